-- The state as numbers, and back. S: what changes; C: the configuration. `our`: all functions, in a table, because
-- a closure costs a walk over all locals that any closure has captured, for each one that it captures.
local our = {}
local _, QUEUE, AGES, WAITERS, DEADLINES, READY, CROWDS, BEATS, MAIL, IDLE = unpack(KEYS)
local ASIDE, LANE, BAND, PLACE = 'a', '%07.0f', '%03.0f', '%016.0f'
local S, C, lanes, records, mails = {}, nil, {}, {}, {}
local changes, rates = {}, {}

function our.text(number)
  return format('%.0f', number)
end

function our.put(field, value)
  changes[field] = value
end

function our.erase(field)
  changes[field] = false
end

function our.parse_config(config)
  local words = string.gmatch(config, '%S+')
  local function number()
    return tonumber(words())
  end
  C = { lanes = {}, by_token = {}, reserves = {}, thresholds = {}, rates = {}, others = 0, text = config }
  C.limit, C.max_waiting, C.credit = number(), number(), number()
  for index = 1, number() do
    local lane = { token = words(), weight = number(), cap = number() }
    C.lanes[index] = lane
    C.by_token[lane.token] = index - 1
    if lane.token == 'ffffffffffffffff' then
      C.others = index - 1
    end
  end
  local keyed = { most = number(), weight = number(), cap = number() }
  C.keyed = keyed.most > 0 and keyed
  C.has_lanes = #C.lanes > 0
  for _ = 1, number() do
    local units, whose = number(), words()
    local least = string.match(whose, '^p(.*)$')
    local reserve = { units = units, least = tonumber(least) }
    if least then
      C.thresholds[#C.thresholds + 1] = reserve.least
    else
      reserve.lane = C.by_token[string.sub(whose, 2)]
    end
    C.reserves[#C.reserves + 1] = reserve
  end
  table.sort(C.thresholds, function(a, b) return a > b end)
  -- Those for lanes, then those by priority, highest first.
  table.sort(C.reserves, function(a, b)
    if a.lane and b.lane then
      return a.lane < b.lane
    end
    return a.lane and not b.lane or not a.lane and not b.lane and a.least > b.least
  end)
  for index = 1, number() do
    local rate = { by = words(), count = number(), period = number(), burst = tonumber(words()) }
    rate.key = KEYS[10 + index]
    if rate.by == 'l' then
      C.most_load = math.max(C.most_load or 0, rate.count, rate.burst or 0)
    end
    C.rates[index] = rate
  end
end

-- `hot`: what the quick way has read already.
function our.load_state(hot)
  local rest = call('HMGET', STATE, 'y', 'c', 'e', 'r:1', 'r:2', 'r:3', 'r:4', 'z')
  local n = tonumber
  S.kind, S.revision, S.digest = string.match(hot[1], '^(%S+) (%S+) %S+ (%S+)$')
  local epoch, learn, last, used, waiting, granted, sessions, reap_at = string.match(
    hot[2], '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$')
  S.epoch, S.learn, S.last, S.used, S.waiting = n(epoch), n(learn), n(last), n(used), n(waiting)
  S.granted, S.sessions, S.reap_at = n(granted), n(sessions), n(reap_at)
  local pending, floor, uncommon, seq, soonest, next_at, next_owner, high, low, keyed, run_id = string.match(
    rest[1], '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$')
  S.pending, S.floor, S.uncommon, S.seq, S.soonest = n(pending), n(floor), n(uncommon), n(seq), n(soonest)
  S.next_at, S.next_owner, S.run_id = n(next_at), next_owner, run_id
  S.high, S.low, S.keyed = n(high), n(low), n(keyed)
  our.parse_config(rest[2])
  S.favoured = {}
  for class, units in string.gmatch(rest[3] or '', '(%S+) (%S+)') do
    S.favoured[class] = n(units)
  end
  for index = 1, 4 do
    rates[index] = rest[3 + index]
  end
  S.keepers, S.were_keepers = {}, rest[8] or ''
  for name in string.gmatch(S.were_keepers, '%S+') do
    S.keepers[name] = true
  end
  S.was_next_at, S.was_next_owner = S.next_at, S.next_owner
end

-- What a session holds is kept by the class that it says, so that another configuration loses nothing. In a lane
-- that was made for a key it is kept under `class@lane`, because a key may come to share a lane, and leave it.
function our.record(name, stored)
  local known = records[name]
  if known == nil then
    stored = stored or call('HGET', STATE, 'o:' .. name)
    known = false
    if stored then
      local epoch, operation, pushed, acked, beat, digest, total, rest = string.match(
        stored, '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)(.*)$')
      known = { epoch = tonumber(epoch), operation = tonumber(operation), pushed = tonumber(pushed),
        acked = tonumber(acked), beat = tonumber(beat), digest = digest, held = {} }
      local plain = tonumber(total)
      for class, units in string.gmatch(rest, '(%S+) (%S+)') do
        known.held[class] = tonumber(units)
        plain = plain - known.held[class]
      end
      known.held['-/-'] = plain > 0 and plain or nil
    end
    records[name] = known
  end
  return known
end

function our.save_record(name, known)
  local total, rest = 0, {}
  for class, units in pairs(known.held) do
    total = total + units
    if class ~= '-/-' and units > 0 then
      rest[#rest + 1] = ' ' .. class .. ' ' .. our.text(units)
    end
  end
  our.put('o:' .. name, format('%.0f %.0f %.0f %.0f %.0f %s %.0f', known.epoch, known.operation, known.pushed,
    known.acked, known.beat, known.digest, total) .. table.concat(rest))
end

-- Arguments in portions that `unpack` can take.
function our.call_many(command, key, list)
  for from = 1, #list, 1000 do
    call(command, key, unpack(list, from, math.min(from + 999, #list)))
  end
end

function our.save_changes()
  local written, erased = {}, {}
  for field, value in pairs(changes) do
    if value then
      written[#written + 1] = field
      written[#written + 1] = value
    else
      erased[#erased + 1] = field
    end
  end
  our.call_many('HDEL', STATE, erased)
  our.call_many('HSET', STATE, written)
  changes = {}
end
