-- A session ends: all that it holds goes back, and its waiters are gone.
local known = call('HMGET', STATE, 'k', 'x', 'o:' .. me)
if not known[2] or not known[3] then
  return 'A'
end
our.load_state(known)
our.check_time()
local own = our.record(me, known[3])
if tonumber(ARGV[2]) <= own.operation then
  return 'S'
end
for _, key in ipairs(S.waiting > 0 and call('HKEYS', WAITERS) or {}) do
  if string.sub(key, 1, #me + 1) == me .. ' ' then
    our.drop(our.find_waiter(key))
  end
end
local at = 8
for _ = 1, tonumber(ARGV[7]) do
  our.settle(tonumber(ARGV[at]), tonumber(ARGV[at + 1]), ARGV[at + 2])
  at = at + 3
end
our.end_session(me, own)
our.check_learning()
our.reap()
our.sweep()
our.grant_all()
our.save()
if S.sessions == 0 and S.used == 0 and S.waiting == 0 then
  for _, key in ipairs(KEYS) do
    call('EXPIRE', key, 86400)
  end
end
return 'L'
