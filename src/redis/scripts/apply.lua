-- Another configuration.

local function shape()
  local words = { C.keyed and C.keyed.most or 0 }
  for _, l in ipairs(C.lanes) do
    words[#words + 1] = l.token
  end
  for _, reserve in ipairs(C.reserves) do
    words[#words + 1] = reserve.lane and 'l' .. reserve.lane or 'p' .. reserve.least
  end
  return table.concat(words, ' ')
end

-- The same lanes, with other weights and caps.
local function adjust_lanes(known)
  for index, l in pairs(known) do
    local rule = C.lanes[index + 1] or C.keyed
    l.weight, l.cap = rule.weight, rule.cap
    count_waiter(index, 0)
  end
end

-- Other lanes or reserves: what is held and who waits is sorted in anew. A lane of the same name keeps its time.
local function rebuild(known)
  local before = {}
  for index, l in pairs(known) do
    before[l.token] = l
    erase('l:' .. index)
    erase('t:' .. l.token)
  end
  local waiting = {}
  for i, member in ipairs(S.waiting > 0 and call('HVALS', WAITERS) or {}) do
    waiting[i] = waiter(member)
  end
  table.sort(waiting, function(a, b) return a.seq < b.seq end)
  for _, key in ipairs({ QUEUE, AGES, WAITERS, DEADLINES, READY, CROWDS, IDLE }) do
    call('DEL', key)
  end
  save_changes()
  lanes, made, heads_of = {}, {}, {}
  S.used, S.waiting, S.uncommon, S.keyed, S.favoured, S.favoured_changed = 0, 0, 0, 0, {}, true
  local function join_again(class)
    local index = join((class_of(class)))
    local l = C.has_lanes and lane(index)
    local old = l and l.used == 0 and l.waiting == 0 and before[l.token]
    if old then
      l.high, l.low = old.high, old.low
    end
    return index
  end
  for _, name in ipairs(call('ZRANGE', BEATS, 0, -1)) do
    local owner = record(name)
    local held = owner and owner.held or {}
    if owner then
      owner.held = {}
    end
    for class, units in pairs(held) do
      class = string.match(class, '^[^@]+')
      join_again(class)
      take_over(owner, class, units)
    end
  end
  for _, w in ipairs(waiting) do
    w.lane = join_again(w.class)
    enlist(w)
    leave(w.lane)
  end
end

local function apply(revision, config)
  local before, known = C, {}
  S.revision, S.digest = revision, string.sub(redis.sha1hex(config), 1, 16)
  S.kind = string.match(config, '^%S+ %S+ %S+ 0 0 0 0 0 0$') and 'p' or 'r'
  put('k', format('%s %s %s %s', S.kind, revision, string.match(config, '^%S+'), S.digest))
  put('c', config)
  if C.text == config then
    return
  end
  for index = 0, C.has_lanes and #C.lanes + S.keyed - 1 or -1 do
    known[index] = lane(index)
  end
  for index = 1, #C.rates do
    rate(index)
  end
  local shape_before = shape()
  parse_config(config)
  if shape() == shape_before then
    adjust_lanes(known)
  else
    rebuild(known)
  end
  carry_rates(before.rates)
end
