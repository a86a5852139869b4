-- An operation: acknowledged, cancelled, returned, settled; the dead and the late; grants; arrivals; spare units.
our.load_state(known)
if our.check_time() then
  our.save()
  return 'A'
end
local own = our.record(me, known[3])
own.operation, own.is_changed = tonumber(ARGV[2]), true
our.clear_mail(me, own, tonumber(ARGV[7]))
our.beat(own)
our.check_learning()
local at = 13 + 2 * returns + 3 * settles
for _ = 1, cancels do
  local w = our.find_waiter(me .. ' ' .. ARGV[at])
  if w then
    our.drop(w)
  end
  at = at + 1
end
at = 13
for _ = 1, returns do
  our.give_back(own, ARGV[at], tonumber(ARGV[at + 1]))
  at = at + 2
end
for _ = 1, settles do
  our.settle(tonumber(ARGV[at]), tonumber(ARGV[at + 1]), ARGV[at + 2])
  at = at + 3
end
our.reap()
our.sweep()
our.grant_all()
at = at + cancels
for _ = 1, asks do
  our.arrive(at, own)
  at = at + 7
end
for _ = 1, spares do
  our.spare(ARGV[at], tonumber(ARGV[at + 1]), own)
  at = at + 2
end
return our.finish(own)
