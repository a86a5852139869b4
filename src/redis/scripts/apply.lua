-- Another configuration: what is held and who waits is sorted in anew.

local function apply(revision, config)
  S.revision = revision
  local is_same = C and C.text == config
  S.digest = string.sub(redis.sha1hex(config), 1, 16)
  local is_plain = string.match(config, '^%S+ %S+ %S+ 0 0 0 0 0 0$')
  S.kind = is_plain and 'p' or 'r'
  put('k', format('%s %s %s %s', S.kind, revision, string.match(config, '^%S+'), S.digest))
  put('c', config)
  if is_same then
    return
  end
  local before = C
  local finishes = {}
  for index = 0, #before.lanes + S.keyed - 1 do
    local l = lane(index)
    finishes[l.token] = l
    erase('l:' .. index)
    erase('t:' .. l.token)
  end
  for index = 1, #before.rates do
    unroll(rate(index))
  end
  local waiting = {}
  for i, member in ipairs(S.waiting > 0 and call('HVALS', WAITERS) or {}) do
    waiting[i] = waiter(member)
  end
  table.sort(waiting, function(a, b) return a.seq < b.seq end)
  for _, key in ipairs({ QUEUE, AGES, WAITERS, DEADLINES, READY, CROWDS, IDLE }) do
    call('DEL', key)
  end
  call_many('HDEL', STATE, erasures)
  erasures, lanes, made, heads_of = {}, {}, {}, {}
  S.used, S.waiting, S.uncommon, S.keyed, S.favoured, S.favoured_changed = 0, 0, 0, 0, {}, true
  parse_config(config)
  local names = call('ZRANGE', BEATS, 0, -1)
  for _, name in ipairs(names) do
    local known = record(name)
    local held = known and known.held or {}
    if known then
      known.held = {}
    end
    for class, units in pairs(held) do
      take_over(known, string.match(class, '^[^@]+'), units)
    end
  end
  for _, w in ipairs(waiting) do
    w.lane = join((class_of(w.class)))
    enlist(w)
  end
  for index, l in pairs(lanes) do
    local old = finishes[l.token]
    if old and l.weight > 0 then
      if l.is_idle then
        call('ZREM', IDLE, place(l.high, l.low, index))
      end
      if l.start_high then
        call('ZREM', READY, place(l.start_high, l.start_low, index))
      end
      l.high, l.low, l.start_high, l.is_idle = old.high, old.low, nil, false
      sort_in(l)
      sort_idle(l)
    end
  end
  carry_rates(before.rates)
end
