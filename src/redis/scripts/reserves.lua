-- Units that some requests can always get. A unit in use fills a place of one reserve, however many are for
-- its holder, and of those the one that leaves most to others.

function our.includes(reserve, index, priority)
  if reserve.lane then
    return reserve.lane == index
  end
  return priority >= reserve.least
end

-- Who can use the same reserves: that of a lane, and those for this priority and below. Nil: none.
function our.favour(index, priority)
  local in_lane, least
  for _, reserve in ipairs(C.reserves) do
    if our.includes(reserve, index, priority) then
      in_lane = in_lane or reserve.lane
      least = reserve.least and math.max(least or 0, reserve.least) or least
    end
  end
  if in_lane or least then
    return (in_lane or '-') .. '/' .. (least or '-')
  end
end

function our.count_favoured(index, priority, change)
  local class = our.favour(index, priority)
  if class then
    S.favoured[class] = (S.favoured[class] or 0) + change
    S.favoured_changed = true
  end
end

function our.used_by(which)
  local sum = 0
  for class, used in pairs(S.favoured) do
    local in_lane, least = string.match(class, '^(%S+)/(%S+)$')
    if which(tonumber(in_lane), tonumber(least)) then
      sum = sum + used
    end
  end
  return sum
end

-- What is left of the reserves that are not for such a request; of all, without one.
function our.left(index, priority)
  if #C.reserves == 0 then
    return 0
  end
  local function counts(reserve)
    return not index or not our.includes(reserve, index, priority)
  end
  local by_lane = {}
  for _, reserve in ipairs(C.reserves) do
    if reserve.lane then
      by_lane[reserve.lane] = reserve
    end
  end
  -- Units of a priority from here up to the next that do not fill the reserve of their lane: that is filled
  -- by the lowest first, who can fill nothing else.
  local function spare_at(at)
    local spare = 0
    for class, used in pairs(S.favoured) do
      local in_lane, least = string.match(class, '^(%S+)/(%S+)$')
      in_lane, least = tonumber(in_lane), tonumber(least)
      if least == at then
        local own = in_lane and by_lane[in_lane]
        if own and counts(own) then
          local lower = our.used_by(function(other, below)
            return other == in_lane and (not below or below < at)
          end)
          spare = spare + math.max(used - math.max(own.units - lower, 0), 0)
        else
          spare = spare + used
        end
      end
    end
    return spare
  end
  local sum, spare = 0, 0
  for _, reserve in ipairs(C.reserves) do
    local fills
    if reserve.lane then
      fills = our.used_by(function(in_lane) return in_lane == reserve.lane end)
    else
      -- Whoever is above may fill what is below.
      spare = spare + spare_at(reserve.least)
      fills = spare
    end
    if counts(reserve) then
      local filled = math.min(fills, reserve.units)
      sum = sum + reserve.units - filled
      if reserve.least then
        spare = spare - filled
      end
    end
  end
  return sum
end
