-- Counts anew, and says where that differs from what is kept. Changes nothing.
local known = call('HMGET', STATE, 'k', 'x')
if not known[2] then
  return ''
end
our.load_state(known)
local lines = {}
function our.compare(what, kept, counted)
  if kept ~= counted then
    lines[#lines + 1] = format('%s %s %s', what, tostring(kept), tostring(counted))
  end
end
local used, used_in, waiting_in, aside_in, favoured, sessions, uncommon, tokens = 0, {}, {}, {}, {}, 0, 0, 0
local stored = call('HGETALL', STATE)
local fields = {}
for i = 1, #stored, 2 do
  fields[stored[i]] = stored[i + 1]
end
for field, value in pairs(fields) do
  local name = string.match(field, '^o:(.*)$')
  tokens = tokens + (string.match(field, '^t:') and 1 or 0)
  if name then
    sessions = sessions + 1
    our.compare('beat:' .. name, call('ZSCORE', BEATS, name) and true or false, true)
    for class, units in pairs(our.record(name, value).held) do
      local index = our.lane_of(class)
      local _, priority = our.class_of(class)
      used = used + units
      used_in[index] = (used_in[index] or 0) + units
      local favour_class = our.favour(index, priority)
      if favour_class then
        favoured[favour_class] = (favoured[favour_class] or 0) + units
      end
    end
  end
end
local queue = call('ZRANGE', QUEUE, 0, -1)
for _, member in ipairs(queue) do
  local w = our.waiter(member)
  waiting_in[w.lane] = (waiting_in[w.lane] or 0) + 1
  aside_in[w.lane] = (aside_in[w.lane] or 0) + (w.is_aside and 1 or 0)
  our.compare('aside:' .. our.key_of(w), w.is_aside, our.exceeds(w))
  uncommon = uncommon + (w.priority ~= 10 and 1 or 0)
  our.compare('waiter:' .. our.key_of(w), call('HGET', WAITERS, our.key_of(w)), member)
  our.compare('age:' .. our.key_of(w), call('ZSCORE', AGES, our.by_age(w)) and true or false, true)
  our.compare('deadline:' .. our.key_of(w), tonumber(call('ZSCORE', DEADLINES, our.key_of(w)) or 0), w.deadline)
end
our.compare('in_use', S.used, used)
our.compare('tokens', S.keyed, tokens)
our.compare('sessions', S.sessions, sessions)
our.compare('beats', call('ZCARD', BEATS), sessions)
our.compare('waiting', S.waiting, #queue)
our.compare('waiters', call('HLEN', WAITERS), #queue)
our.compare('ages', call('ZCARD', AGES), #queue)
our.compare('deadlines', call('ZCARD', DEADLINES), #queue)
our.compare('uncommon', S.uncommon, uncommon)
for class, units in pairs(S.favoured) do
  our.compare('favoured:' .. class, units, favoured[class] or 0)
end
for class, units in pairs(favoured) do
  our.compare('favoured:' .. class, S.favoured[class] or 0, units)
end
local ready, crowded = 0, 0
for index = 0, C.has_lanes and #C.lanes + S.keyed - 1 or -1 do
  local l = our.lane(index)
  our.compare('lane in_use:' .. index, l.used, used_in[index] or 0)
  our.compare('lane waiting:' .. index, l.waiting, waiting_in[index] or 0)
  our.compare('lane aside:' .. index, l.aside, aside_in[index] or 0)
  local is_ready = l.waiting > l.aside and l.used < l.cap
  our.compare('lane ready:' .. index, l.start_high ~= nil, is_ready)
  our.compare('lane place:' .. index,
    l.start_high and call('ZSCORE', READY, our.place(l.start_high, l.start_low, index)) and true or false, is_ready)
  ready, crowded = ready + (is_ready and 1 or 0), crowded + (l.waiting > 0 and 1 or 0)
  local score = call('ZSCORE', CROWDS, format(LANE, index))
  our.compare('lane crowd:' .. index, tonumber(score or 0), our.crowd(l, l.waiting))
  if l.is_keyed then
    our.compare('lane idle:' .. index, call('ZSCORE', IDLE, our.place(l.high, l.low, index)) and true or false,
      l.used == 0 and l.waiting == 0)
    our.compare('lane token:' .. index, fields['t:' .. l.token], tostring(index))
  end
end
our.compare('ready', call('ZCARD', READY), ready)
our.compare('crowds', call('ZCARD', CROWDS), crowded)
local letters, expected = call('HLEN', MAIL), 0
for name, known_session in pairs(records) do
  expected = expected + (known_session and known_session.pushed - known_session.acked or 0)
end
our.compare('mail', letters, expected)
for index = 1, #C.rates do
  local r = our.rate(index)
  if not r.burst then
    local sum = r.back and r.back.amount or 0
    for _, e in ipairs(call('LRANGE', r.key, 0, -1)) do
      sum = sum + our.entry(e).amount
    end
    our.compare('spent:' .. index, r.sum, sum)
    our.compare('log:' .. index, call('LLEN', r.key), r.len)
  end
end
return table.concat(lines, '\n')
