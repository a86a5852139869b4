-- Who goes next: the rules of `admission::Queue` for one resource.
local AT_ONCE = 64

-- The earliest time at which a rate lets the first in line go, and whose that one is.
function our.rates_allow(w)
  local ready = #C.rates > 0 and our.ready_at(w.load) or now
  if ready > now and w.member and (S.next_at == 0 or ready < S.next_at) then
    S.next_at, S.next_owner = ready, w.session
  end
  return ready <= now
end

-- Whether a claim is more than it can have, whatever is given back: more than the limit, than its lane may use, or
-- than is left beside what is reserved for others.
function our.exceeds(w)
  if w.units > C.limit or C.has_lanes and w.units > our.lane(w.lane).cap then
    return true
  end
  local own, to_others = 0, 0
  for _, reserve in ipairs(C.reserves) do
    if our.includes(reserve, w.lane, w.priority) then
      own = own + reserve.units
    else
      to_others = to_others + reserve.units
    end
  end
  return w.units + to_others > C.limit and w.units > own
end

function our.room(w)
  if not our.lane_has_room(w.lane, w.units) then
    return 'lane full'
  end
  local fits = S.used + our.left(w.lane, w.priority) + w.units <= C.limit
  return fits and our.rates_allow(w) and 'enough' or 'short'
end

function our.room_in_reserve(w)
  return #C.reserves > 0 and our.left() >= our.left(w.lane, w.priority) + w.units and S.used + w.units <= C.limit
    and our.lane_has_room(w.lane, w.units) and our.rates_allow(w)
end

-- Those who contend for whom there is this reserve, in order.
function our.waiting_for(reserve)
  if reserve.lane then
    return our.heads(reserve.lane)
  end
  local all = {}
  local function collect(index)
    for _, w in ipairs(our.heads(index)) do
      all[#all + 1] = w.priority >= reserve.least and w or nil
    end
  end
  if C.has_lanes then
    for _, index in ipairs(call('ZRANGE', CROWDS, 0, AT_ONCE - 1)) do
      collect(tonumber(index))
    end
  else
    collect(0)
  end
  table.sort(all, our.goes_before)
  return all
end

-- Whether it can have what is reserved for it, and nobody stands before it who waits for that.
function our.has_reserve(w)
  if not our.room_in_reserve(w) then
    return false
  end
  for _, reserve in ipairs(C.reserves) do
    if our.includes(reserve, w.lane, w.priority) then
      local is_next = true
      for _, other in ipairs(our.waiting_for(reserve)) do
        if not our.goes_before(other, w) then
          break
        end
        is_next = is_next and our.room_in_reserve(other)
      end
      if is_next then
        return true
      end
    end
  end
  return false
end

-- Calls `visit` with those who contend, in order, until it says something.
function our.each_contender(visit)
  if not C.has_lanes then
    for _, w in ipairs(our.heads(0)) do
      local said = visit(w, '')
      if said then
        return said
      end
    end
    return
  end
  local from, to = 0, 3
  while from < AT_ONCE do
    local ready = call('ZRANGE', READY, from, to)
    for _, member in ipairs(ready) do
      for _, w in ipairs(our.heads(tonumber(string.sub(member, -7)))) do
        local said = visit(w, member)
        if said then
          return said
        end
      end
    end
    if #ready <= to - from then
      return
    end
    from, to = to + 1, AT_ONCE - 1
  end
end

function our.is_lost(w)
  local owner = our.record(w.session)
  return w.deadline < now or not owner or owner.epoch ~= S.epoch or not our.is_listening(w.session, owner)
end

-- The first that can go, or that is lost.
function our.candidate()
  local full = {}
  local found = our.each_contender(function(w)
    if our.is_lost(w) then
      return w
    end
    local here = our.room(w)
    -- In the same lane nobody passes.
    if here == 'enough' and not full[w.lane] or here ~= 'lane full' and our.has_reserve(w) then
      return w
    end
    full[w.lane] = full[w.lane] or here == 'lane full'
    return here == 'short' and 'none'
  end)
  if found and found ~= 'none' then
    return found
  end
  if #C.reserves == 0 or our.left() == 0 then
    return
  end
  for _, reserve in ipairs(C.reserves) do
    for _, w in ipairs(our.waiting_for(reserve)) do
      if our.is_lost(w) or our.has_reserve(w) then
        return w
      end
      if not our.room_in_reserve(w) then
        break
      end
    end
  end
end

-- Whether an arrival can have what it asks, behind nobody who is short.
function our.fits(w)
  if S.waiting > 0 then
    for _, other in ipairs(our.heads(w.lane)) do
      if our.band_of(other.priority) == our.band_of(w.priority) and our.goes_before(other, w) then
        return false
      end
    end
    local own = ''
    if C.has_lanes then
      local high, low = our.start_of(our.lane(w.lane))
      own = our.place(high, low, w.lane)
    end
    local said = our.each_contender(function(other, where)
      if where > own or where == own and not our.goes_before(other, w) then
        return 'free'
      end
      local there = our.room(other)
      return (there == 'short' or there == 'lane full' and other.lane == w.lane) and 'behind'
    end)
    if said == 'behind' then
      return our.has_reserve(w)
    end
  end
  return our.room(w) == 'enough' or our.has_reserve(w)
end
