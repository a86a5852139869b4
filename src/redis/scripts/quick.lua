-- An operation on a resource that has a limit and nothing else, for which nobody waits: what the rest of
-- the script would do, without reading the rest of the state. Anything else goes on below.
local known = call('HMGET', STATE, 'k', 'x', 'o:' .. me)
if not known[2] or not known[3] then
  return 'A'
end
local s_epoch, s_operation, pushed, acked, beat, s_digest, held, classes = string.match(
  known[3], '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)(.*)$')
local epoch, learn, last, used, waiting, granted, sessions, reap_at = string.match(
  known[2], '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$')
last = tonumber(last)
local in_time = now >= last - 50000 and now - last <= lease / 2
if in_time then
  if s_epoch ~= epoch or ARGV[3] ~= epoch then
    return 'A'
  end
  if s_operation == ARGV[2] then
    return call('HGET', STATE, 'p:' .. me)
  end
  if tonumber(ARGV[2]) < tonumber(s_operation) then
    return 'S'
  end
end

local returns, settles, cancels, asks, spares =
  tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])

local kind, revision, limit, digest = string.match(known[1], '^(%S+) (%S+) (%S+) (%S+)$')
if in_time and kind == 'p' and spares == 0 and waiting == '0' and learn == '0' and pushed == acked and classes == ''
  and now < tonumber(reap_at) then
  now = math.max(now, last)
  local stamp = format('%.0f', now)
  local items, more = {}, true
  limit, used, held, granted = tonumber(limit), tonumber(used), tonumber(held), tonumber(granted)
  local at = 13
  for _ = 1, returns do
    local units = math.min(tonumber(ARGV[at + 1]), held)
    more = more and ARGV[at] == '-/-'
    used, held = used - units, held - units
    at = at + 2
  end
  at = at + 3 * settles + cancels
  for _ = 1, asks do
    local units = tonumber(ARGV[at + 3])
    more = more and ARGV[at + 1] == '-/-'
    if used + units <= limit then
      used, held, granted = used + units, held + units, granted + 1
      items[#items + 1] = ' g ' .. ARGV[at] .. format(' %.0f ', granted) .. stamp .. ' ' .. ARGV[at + 4] .. ' -'
    elseif ARGV[at + 5] == '0' then
      items[#items + 1] = ' r ' .. ARGV[at] .. ' t'
    else
      more = false
    end
    at = at + 7
  end
  if more then
    if math.abs(now - beat) > lease / 20 then
      call('ZADD', KEYS[8], stamp, me)
      beat = stamp
    end
    local reply = 'D ' .. epoch .. ' ' .. stamp .. ' 0 ' .. format('%.0f %.0f 0 ', limit, used) .. sessions .. ' '
      .. revision .. (s_digest == digest and ' 1 ' or ' 0 ') .. pushed .. ' 0 0' .. table.concat(items)
    call('HSET', STATE,
      'x', epoch .. ' 0 ' .. stamp .. format(' %.0f 0 %.0f ', used, granted) .. sessions .. ' ' .. reap_at,
      'o:' .. me, epoch .. ' ' .. ARGV[2] .. ' ' .. pushed .. ' ' .. acked .. ' ' .. beat .. ' ' .. s_digest
        .. format(' %.0f', held),
      'p:' .. me, reply)
    return reply
  end
end
