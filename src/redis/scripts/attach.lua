-- The first words of a session: its configuration, what it holds, who waits in it.
local operation, run_id, cold_start = tonumber(ARGV[2]), ARGV[7], tonumber(ARGV[8])
local revision, config = ARGV[9], ARGV[10]
local helds, waits = tonumber(ARGV[11]), tonumber(ARGV[12])
local known = call('HMGET', STATE, 'k', 'x', 'o:' .. me)
if not known[2] then
  -- That nothing is known does not mean that nothing is held.
  call('DEL', unpack(KEYS))
  local stamp = our.text(now)
  local digest = string.sub(redis.sha1hex(config), 1, 16)
  local is_plain = string.match(config, '^%S+ %S+ %S+ 0 0 0 0 0 0$')
  known = {
    format('%s %s %s %s', is_plain and 'p' or 'r', revision, string.match(config, '^%S+'), digest),
    format('%.0f %.0f %s 0 0 %s 0 0', tonumber(ARGV[3]) + 1, now + cold_start, stamp, stamp),
  }
  -- Places and tokens begin at the time, so that they are above all that were given before.
  call('HSET', STATE, 'k', known[1], 'c', config, 'y',
    format('0 %.0f 0 %s 0 0 - 0 0 0 %s', now + cold_start, stamp, run_id))
end
our.load_state(known)
local own = our.record(me, known[3] or nil)
if own and operation <= own.operation then
  return 'S'
end
if S.sessions == 0 then
  for _, key in ipairs(KEYS) do
    call('PERSIST', key)
  end
end
our.check_time()
if S.run_id ~= run_id or tonumber(ARGV[3]) > S.epoch then
  S.epoch, S.run_id = math.max(S.epoch, tonumber(ARGV[3])), run_id
  our.discontinue(math.max(lease, cold_start), cold_start)
end
if tonumber(revision) > tonumber(S.revision) or S.sessions == (own and 1 or 0) then
  our.apply(revision, config)
end
if own then
  our.clear_mail(me, own, own.pushed)
  our.give_back_all(own)
  if own.epoch ~= S.epoch then
    S.pending = S.pending - 1
  end
else
  own = { pushed = 0, acked = 0, held = {} }
  records[me] = own
  S.sessions = S.sessions + 1
  if tonumber(ARGV[3]) == S.epoch then
    our.say(' l') -- it was thought dead, and what it held may be others' by now
  end
end
own.epoch, own.operation, own.is_changed, own.beat = S.epoch, operation, true, now
own.digest = string.sub(redis.sha1hex(config), 1, 16)
call('ZADD', BEATS, our.text(now), me)
for _, key in ipairs(S.waiting > 0 and call('HKEYS', WAITERS) or {}) do
  if string.sub(key, 1, #me + 1) == me .. ' ' then
    our.drop(our.find_waiter(key))
  end
end
our.flush_removed()
local at = 13
for _ = 1, helds do
  our.take_over(own, ARGV[at], tonumber(ARGV[at + 1]))
  at = at + 2
end
local first, new = at, {}
for _ = 1, waits do
  local seq, patience = tonumber(ARGV[at + 7]), tonumber(ARGV[at + 5])
  if patience == 0 then
    our.say(' r ' .. ARGV[at] .. ' t')
  elseif not seq then
    new[#new + 1] = at
  else
    -- Who had a place keeps it, whatever the bound.
    S.seq = math.max(S.seq, seq + 1)
    local w = { session = me, id = ARGV[at], class = ARGV[at + 1], priority = tonumber(ARGV[at + 2]),
      units = tonumber(ARGV[at + 3]), load = our.bounded(tonumber(ARGV[at + 4])), seq = seq,
      arrived = now - tonumber(ARGV[at + 8]), deadline = now + patience, lane = our.join((our.class_of(ARGV[at + 1]))) }
    our.enlist(w)
    our.leave(w.lane)
    queued[ARGV[at]] = our.say(' q ' .. ARGV[at] .. ' ' .. our.text(seq))
  end
  at = at + 9
end
our.check_learning()
our.reap()
our.sweep()
our.grant_all()
for _, position in ipairs(new) do
  our.arrive(position, own)
end
return our.finish(own)
