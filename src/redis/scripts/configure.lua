-- Another configuration at run time, if its revision is higher. All grants go out by mail.
local known = call('HMGET', STATE, 'k', 'x')
if not known[2] then
  return 'A'
end
load_state(known)
if check_time() then
  save()
  return 'A'
end
local is_newer = tonumber(ARGV[7]) > tonumber(S.revision)
if is_newer then
  apply(ARGV[7], ARGV[8])
  check_learning()
  sweep()
  grant_all()
  save()
end
return (is_newer and 'C ' or 'c ') .. S.revision
