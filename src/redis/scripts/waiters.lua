-- Who waits. A member of the queue says everything about its waiter, and sorts by lane, priority and place; the
-- others find it by session and number. Those that stand aside sort behind all lanes, and are in nobody's way.
local removed, late, forgotten = {}, {}, {}
local heads_of = {}

function our.band_of(priority)
  for band, least in ipairs(C.thresholds) do
    if priority >= least then
      return band - 1
    end
  end
  return #C.thresholds
end

function our.key_of(w)
  return w.session .. ' ' .. w.id
end

function our.side(w)
  return w.is_aside and ASIDE or ''
end

function our.by_age(w)
  return our.side(w) .. format(LANE .. BAND .. PLACE, w.lane, our.band_of(w.priority), w.seq) .. ' ' .. our.key_of(w)
end

function our.waiter(member)
  local side, index, below, seq, session, id, class, units, load, deadline, arrived = string.match(
    member, '^(a?)(%d%d%d%d%d%d%d)(%d%d%d)(%d+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$')
  local w = { member = member, is_aside = side == ASIDE, lane = tonumber(index), priority = 255 - below, seq = tonumber(seq), session = session,
    id = id, class = class, units = tonumber(units), load = tonumber(load), deadline = tonumber(deadline),
    arrived = tonumber(arrived) }
  -- Who has waited for the credit, if there is one, is not overtaken by priority any more.
  w.level = C.credit and w.arrived + C.credit <= now and 0 or 256 - w.priority
  return w
end

function our.find_waiter(key)
  local member = not removed[key] and call('HGET', WAITERS, key)
  return member and our.waiter(member) or nil
end

-- Puts it into the queue, or among those that stand aside.
function our.line_up(w)
  w.member = our.side(w) .. format(LANE .. BAND .. PLACE .. ' %s %s %s %.0f %.0f %.0f %.0f', w.lane, 255 - w.priority,
    w.seq, w.session, w.id, w.class, w.units, w.load, w.deadline, w.arrived)
  call('ZADD', QUEUE, 0, w.member)
  call('ZADD', AGES, 0, our.by_age(w))
  call('HSET', WAITERS, our.key_of(w), w.member)
  heads_of[w.lane] = nil
end

function our.enlist(w)
  local key = our.key_of(w)
  removed[key] = nil
  w.is_aside = our.exceeds(w)
  our.line_up(w)
  call('ZADD', DEADLINES, our.text(w.deadline), key)
  S.waiting = S.waiting + 1
  S.soonest = S.waiting == 1 and w.deadline or math.min(S.soonest, w.deadline)
  S.uncommon = S.uncommon + (w.priority ~= 10 and 1 or 0)
  our.count_waiter(w.lane, 1, w.is_aside and 1 or 0)
end

-- The limit, caps or reserves are others: those that exceed what they can have now stand aside, and those that no
-- longer do take their places.
function our.regroup()
  local moving = {}
  for _, member in ipairs(S.waiting > 0 and call('HVALS', WAITERS) or {}) do
    local w = our.waiter(member)
    if not removed[our.key_of(w)] and our.exceeds(w) ~= w.is_aside then
      moving[#moving + 1] = w
    end
  end
  -- Those that come back first, so that no lane is empty in between and loses its turn.
  table.sort(moving, function(a, b) return a.is_aside and not b.is_aside end)
  for _, w in ipairs(moving) do
    call('ZREM', QUEUE, w.member)
    call('ZREM', AGES, our.by_age(w))
    w.is_aside = not w.is_aside
    our.line_up(w)
    our.count_waiter(w.lane, 0, w.is_aside and 1 or -1)
  end
end

function our.remove(w)
  local key = our.key_of(w)
  removed[key] = true
  late[#late + 1] = key
  forgotten[#forgotten + 1] = key
  call('ZREM', QUEUE, w.member)
  call('ZREM', AGES, our.by_age(w))
  S.waiting = S.waiting - 1
  S.uncommon = S.uncommon - (w.priority ~= 10 and 1 or 0)
  heads_of[w.lane] = nil
  our.count_waiter(w.lane, -1, w.is_aside and -1 or 0)
end

function our.flush_removed()
  our.call_many('ZREM', DEADLINES, late)
  our.call_many('HDEL', WAITERS, forgotten)
  late, forgotten = {}, {}
end

function our.goes_before(a, b)
  return a.level < b.level or a.level == b.level and a.seq < b.seq
end

function our.head(index, band)
  local top = band == 0 and 255 or C.thresholds[band] - 1
  local bottom = C.thresholds[band + 1] or 0
  local first = call('ZRANGEBYLEX', QUEUE, format('[' .. LANE .. BAND, index, 255 - top),
    format('(' .. LANE .. BAND, index, 256 - bottom), 'LIMIT', 0, 1)[1]
  first = first and our.waiter(first)
  if not first or S.uncommon == 0 or not C.credit then
    return first
  end
  local oldest = call('ZRANGEBYLEX', AGES, format('[' .. LANE .. BAND, index, band),
    format('(' .. LANE .. BAND, index, band + 1), 'LIMIT', 0, 1)[1]
  oldest = oldest and our.find_waiter(string.match(oldest, '^%d+ (.*)$'))
  return oldest and our.goes_before(oldest, first) and oldest or first
end

-- Those who contend in a lane: of each that can use the same reserves the first, in order.
function our.heads(index)
  local all = heads_of[index]
  if not all then
    all = {}
    for band = 0, #C.thresholds do
      all[#all + 1] = our.head(index, band)
    end
    table.sort(all, our.goes_before)
    heads_of[index] = all
  end
  return all
end

-- Of all who wait in a lane, the youngest of the lowest priority.
function our.lowest(index)
  local lowest
  for _, side in ipairs({ '', ASIDE }) do
    local last = call('ZREVRANGEBYLEX', QUEUE, format('(' .. side .. LANE, index + 1), format('[' .. side .. LANE, index),
      'LIMIT', 0, 1)[1]
    local w = last and our.waiter(last)
    if w and (not lowest or w.priority < lowest.priority or w.priority == lowest.priority and w.seq > lowest.seq) then
      lowest = w
    end
  end
  return lowest
end
