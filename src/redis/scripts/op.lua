-- An operation: acknowledged, cancelled, returned, settled; the dead and the late; grants; arrivals; spare units.
load_state(known)
if check_time() then
  save()
  return 'A'
end
local own = record(me, known[3])
own.operation, own.is_changed = tonumber(ARGV[2]), true
clear_mail(me, own, tonumber(ARGV[7]))
beat(own)
check_learning()
local at = 13 + 2 * returns + 3 * settles
for _ = 1, cancels do
  local w = find_waiter(me .. ' ' .. ARGV[at])
  if w then
    drop(w)
  end
  at = at + 1
end
at = 13
for _ = 1, returns do
  give_back(own, ARGV[at], tonumber(ARGV[at + 1]))
  at = at + 2
end
for _ = 1, settles do
  settle(tonumber(ARGV[at]), tonumber(ARGV[at + 1]), ARGV[at + 2])
  at = at + 3
end
reap()
sweep()
grant_all()
at = at + cancels
for _ = 1, asks do
  arrive(at, own)
  at = at + 7
end
for _ = 1, spares do
  spare(ARGV[at], tonumber(ARGV[at + 1]), own)
  at = at + 2
end
return finish(own)
