-- Weighted fair sharing by start-time fair queueing. Virtual time: whole units over weight, and 2^-32 of them.
local SCALE = 4294967296

function our.lane(index)
  local l = lanes[index]
  if not l then
    local rule = C.lanes[index + 1] or C.keyed
    l = { index = index, token = rule.token, weight = rule.weight, cap = rule.cap, used = 0, waiting = 0, aside = 0,
      high = 0, low = 0, is_keyed = index >= #C.lanes }
    local stored = call('HGET', STATE, 'l:' .. index)
    if stored then
      local token, used, waiting, aside, high, low, start_high, start_low, idle = string.match(
        stored, '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$')
      l.token, l.used, l.waiting, l.aside = token, tonumber(used), tonumber(waiting), tonumber(aside)
      l.high, l.low = tonumber(high), tonumber(low)
      l.start_high, l.start_low, l.is_idle = tonumber(start_high), tonumber(start_low), idle == '1'
    end
    lanes[index] = l
  end
  return l
end

function our.save_lanes()
  for index, l in pairs(lanes) do
    if l.is_changed then
      local start = l.start_high and format('%.0f %.0f', l.start_high, l.start_low) or '- -'
      our.put('l:' .. index, format('%s %.0f %.0f %.0f %.0f %.0f %s %s', l.token, l.used, l.waiting, l.aside, l.high, l.low,
        start, l.is_idle and '1' or '0'))
    end
  end
end

function our.place(high, low, index)
  return format('%016.0f%010.0f' .. LANE, high, low, index)
end

-- When the next grant of a lane starts.
function our.start_of(l)
  if l.start_high then
    return l.start_high, l.start_low
  end
  if l.high > S.high or l.high == S.high and l.low > S.low then
    return l.high, l.low
  end
  return S.high, S.low
end

-- Puts a lane among those with waiters and room, or takes it out.
function our.sort_in(l)
  l.is_changed = true
  local is_ready = l.waiting > l.aside and l.used < l.cap
  if is_ready and not l.start_high then
    l.start_high, l.start_low = our.start_of(l)
    call('ZADD', READY, 0, our.place(l.start_high, l.start_low, l.index))
  elseif l.start_high and not is_ready then
    call('ZREM', READY, our.place(l.start_high, l.start_low, l.index))
    l.start_high, l.start_low = nil, nil
  end
end

-- A lane that was made for a key, and that nobody uses, can be made for another one.
function our.sort_idle(l)
  if not l.is_keyed then
    return
  end
  if l.used == 0 and l.waiting == 0 and not l.is_idle and not l.is_joined then
    call('ZADD', IDLE, 0, our.place(l.high, l.low, l.index))
    l.is_idle, l.is_changed = true, true
  end
end

local made = {}

-- The lane of a token, if there is one.
function our.find_lane(token)
  if token == '-' then
    return C.others
  end
  local index = C.by_token[token]
  if index or not C.keyed then
    return index or C.others
  end
  if made[token] == nil then
    made[token] = tonumber(call('HGET', STATE, 't:' .. token)) or false
  end
  return made[token] or nil
end

-- A number of 16 hexadecimal digits, modulo one that is small.
function our.modulo(token, by)
  local high, low = tonumber(string.sub(token, 1, 8), 16), tonumber(string.sub(token, 9), 16)
  return ((high % by) * (SCALE % by) + low % by) % by
end

-- A lane for a token that has none.
function our.make(token)
  local index
  if S.keyed < C.keyed.most then
    index = #C.lanes + S.keyed
    S.keyed = S.keyed + 1
  else
    local idle = call('ZRANGE', IDLE, 0, 0)[1]
    if not idle then
      -- Every lane is in use: the key shares one, the same as long as that is so.
      return #C.lanes + our.modulo(token, C.keyed.most)
    end
    call('ZREM', IDLE, idle)
    index = tonumber(string.sub(idle, -7))
    local forgotten = our.lane(index).token
    our.erase('t:' .. forgotten)
    made[forgotten] = false
  end
  lanes[index] = { index = index, token = token, weight = C.keyed.weight, cap = C.keyed.cap, used = 0, waiting = 0,
    aside = 0, high = 0, low = 0, is_keyed = true, is_changed = true }
  made[token] = index
  our.put('t:' .. token, tostring(index))
  return index
end

-- The lane of a token, which is in use until it is left.
function our.join(token)
  if not C.has_lanes then
    return 0
  end
  local index = our.find_lane(token) or our.make(token)
  local l = our.lane(index)
  l.is_joined = true
  if l.is_idle then
    call('ZREM', IDLE, our.place(l.high, l.low, index))
    l.is_idle, l.is_changed = false, true
  end
  return index
end

-- Whoever joined it is in, or was turned away.
function our.leave(index)
  if C.has_lanes then
    local l = our.lane(index)
    l.is_joined = false
    our.sort_idle(l)
  end
end

-- How many wait for a weight.
function our.crowd(l, waiting)
  return math.floor(waiting * SCALE / l.weight)
end

-- Others wait in a lane, and of these others stand aside.
function our.count_waiter(index, change, aside)
  if not C.has_lanes then
    return
  end
  local l = our.lane(index)
  l.waiting, l.aside = l.waiting + change, l.aside + aside
  if l.waiting > 0 then
    call('ZADD', CROWDS, our.text(our.crowd(l, l.waiting)), format(LANE, index))
  else
    call('ZREM', CROWDS, format(LANE, index))
  end
  our.sort_in(l)
end

-- A grant. Who was let in past others does not move the present.
function our.lane_take(index, units, is_favoured)
  local l = our.lane(index)
  local high, low = our.start_of(l)
  local present_high, present_low = high, low
  local first = is_favoured and call('ZRANGE', READY, 0, 0)[1]
  if first and first < our.place(high, low, index) then
    present_high, present_low = tonumber(string.sub(first, 1, 16)), tonumber(string.sub(first, 17, 26))
  end
  if present_high > S.high or present_high == S.high and present_low > S.low then
    S.high, S.low = present_high, present_low
  end
  l.used = l.used + units
  local rest = units % l.weight
  l.high = high + math.floor(units / l.weight)
  l.low = low + math.floor(rest * SCALE / l.weight)
  if l.low >= SCALE then
    l.high, l.low = l.high + 1, l.low - SCALE
  end
  if l.start_high then
    call('ZREM', READY, our.place(l.start_high, l.start_low, index))
    l.start_high, l.start_low = nil, nil
  end
  our.sort_in(l)
end

function our.lane_has_room(index, units)
  if not C.has_lanes then
    return true
  end
  local l = our.lane(index)
  return l.used + units <= l.cap
end
