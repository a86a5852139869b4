-- Another configuration.

function our.shape()
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
function our.adjust_lanes(known)
  for index, l in pairs(known) do
    local rule = C.lanes[index + 1] or C.keyed
    l.weight, l.cap = rule.weight, rule.cap
    our.count_waiter(index, 0, 0)
  end
end

-- Other lanes or reserves: what is held and who waits is sorted in anew. A lane of the same name keeps its time.
function our.rebuild(known)
  local before = {}
  for index, l in pairs(known) do
    before[l.token] = l
    our.erase('l:' .. index)
    our.erase('t:' .. l.token)
  end
  local waiting = {}
  for i, member in ipairs(S.waiting > 0 and call('HVALS', WAITERS) or {}) do
    waiting[i] = our.waiter(member)
  end
  table.sort(waiting, function(a, b) return a.seq < b.seq end)
  for _, key in ipairs({ QUEUE, AGES, WAITERS, DEADLINES, READY, CROWDS, IDLE }) do
    call('DEL', key)
  end
  our.save_changes()
  lanes, made, heads_of = {}, {}, {}
  S.used, S.waiting, S.uncommon, S.keyed, S.favoured, S.favoured_changed = 0, 0, 0, 0, {}, true
  local function join_again(class)
    local index = our.join((our.class_of(class)))
    local l = C.has_lanes and our.lane(index)
    local old = l and l.used == 0 and l.waiting == 0 and before[l.token]
    if old then
      l.high, l.low = old.high, old.low
    end
    return index
  end
  for _, name in ipairs(call('ZRANGE', BEATS, 0, -1)) do
    local owner = our.record(name)
    local held = owner and owner.held or {}
    if owner then
      owner.held = {}
    end
    for class, units in pairs(held) do
      class = string.match(class, '^[^@]+')
      join_again(class)
      our.take_over(owner, class, units)
    end
  end
  for _, w in ipairs(waiting) do
    w.lane = join_again(w.class)
    our.enlist(w)
    our.leave(w.lane)
  end
end

function our.apply(revision, config)
  local before, known = C, {}
  S.revision, S.digest = revision, string.sub(redis.sha1hex(config), 1, 16)
  S.kind = string.match(config, '^%S+ %S+ %S+ 0 0 0 0 0 0$') and 'p' or 'r'
  our.put('k', format('%s %s %s %s', S.kind, revision, string.match(config, '^%S+'), S.digest))
  our.put('c', config)
  if C.text == config then
    return
  end
  for index = 0, C.has_lanes and #C.lanes + S.keyed - 1 or -1 do
    known[index] = our.lane(index)
  end
  for index = 1, #C.rates do
    our.rate(index)
  end
  local shape_before = our.shape()
  our.parse_config(config)
  if our.shape() == shape_before then
    our.adjust_lanes(known)
    our.regroup()
  else
    our.rebuild(known)
  end
  our.carry_rates(before.rates)
end
