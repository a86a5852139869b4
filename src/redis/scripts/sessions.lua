-- Sessions: who is alive, what they know, and the end of the call.

-- Nothing is granted until the sessions have said again what they hold.
function our.discontinue(learn_for, at_least)
  S.epoch, S.learn, S.floor = S.epoch + 1, now + learn_for, now + at_least
  local names = call('ZRANGE', BEATS, 0, -1)
  S.pending, S.reap_at, S.soonest = #names, 0, 0
  for _, name in ipairs(names) do
    call('ZADD', BEATS, our.text(now), name)
  end
end

-- Whether the server's time went back, or nobody called for so long that something was wrong.
function our.check_time()
  local went_back = now < S.last - 50000
  if went_back then
    our.shift_rates(S.last - now)
  elseif S.sessions == 0 or now - S.last <= lease / 2 then
    now = math.max(now, S.last)
    return false
  end
  if S.sessions > 0 then
    our.discontinue(lease, 0)
  end
  return S.sessions > 0
end

function our.check_learning()
  if S.learn > 0 and (now >= S.learn or S.pending <= 0 and now >= S.floor) then
    S.learn = 0
  end
end

function our.beat(known)
  if math.abs(now - known.beat) > lease / 20 then
    call('ZADD', BEATS, our.text(now), me)
    known.beat, known.is_changed = now, true
  end
end

function our.channel(name)
  return 'cq1:p:' .. (string.match(name, '^(.*)%-[^-]*$') or name)
end

function our.clear_mail(name, known, upto)
  local seen = {}
  for number = known.acked + 1, math.min(upto, known.pushed) do
    seen[#seen + 1] = name .. ' ' .. our.text(number)
    known.acked, known.is_changed = number, true
  end
  our.call_many('HDEL', MAIL, seen)
end

function our.end_session(name, known)
  our.clear_mail(name, known, known.pushed)
  our.give_back_all(known)
  call('ZREM', BEATS, name)
  our.erase('o:' .. name)
  our.erase('p:' .. name)
  S.sessions = S.sessions - 1
  S.keepers[name] = nil
  if known.epoch ~= S.epoch then
    S.pending = S.pending - 1
  end
  records[name] = false
end

function our.names(set)
  local names = {}
  for name in pairs(set) do
    names[#names + 1] = name
  end
  table.sort(names)
  return table.concat(names, ' ')
end

-- It has to attach again before it is granted anything. What it holds stays its own.
function our.exclude(known)
  known.epoch, known.is_changed = 0, true
  S.pending = S.pending + 1
end

-- Whether it would hear of a grant. On a cluster that cannot be known.
function our.is_listening(name, known)
  if fast_death and name ~= me and not known.is_listening then
    known.is_listening = call('PUBSUB', 'NUMSUB', our.channel(name))[2] > 0
    if not known.is_listening then
      our.exclude(known)
    end
  end
  return known.epoch == S.epoch
end

-- Those that have missed two heartbeats keep what they hold, and their waiters their places, but for those to whom it
-- would be granted now: nobody might read it. They have to attach again.
function our.suspend()
  if S.waiting == 0 then
    return
  end
  local silent = now - 2 * heartbeat - lease / 20
  for _, name in ipairs(call('ZRANGEBYSCORE', BEATS, '-inf', '(' .. our.text(silent), 'LIMIT', 0, AT_ONCE)) do
    local known = our.record(name)
    if known and known.epoch == S.epoch and name ~= me then
      our.exclude(known)
    end
  end
end

-- The sessions that are dead: silent for a lease, or for a little while and nobody listens for them.
function our.reap()
  if S.learn > 0 or now < S.reap_at then
    return
  end
  S.reap_at = now + math.floor(heartbeat / 4)
  local dead = call('ZRANGEBYSCORE', BEATS, '-inf', '(' .. our.text(now - lease), 'LIMIT', 0, 8)
  if fast_death and #dead == 0 then
    local silent = call('ZRANGEBYSCORE', BEATS, '-inf', '(' .. our.text(now - 1.5 * heartbeat), 'LIMIT', 0, AT_ONCE)
    local channels = {}
    for i, name in ipairs(silent) do
      channels[i] = our.channel(name)
    end
    local listeners = #silent > 0 and call('PUBSUB', 'NUMSUB', unpack(channels)) or {}
    for i, name in ipairs(silent) do
      if listeners[2 * i] == 0 and #dead < 8 then
        dead[#dead + 1] = name
      end
    end
  end
  if #dead == 8 then
    S.reap_at = 0 -- perhaps more
  end
  our.suspend()
  for _, name in ipairs(dead) do
    local known = our.record(name)
    if known then
      our.end_session(name, known)
    else
      call('ZREM', BEATS, name)
    end
  end
end

function our.save()
  our.flush_removed()
  our.call_many('HSET', MAIL, mail)
  local tag = string.match(STATE, '^cq1:{(.*)}:s$')
  if S.next_at > 0 and S.next_owner ~= me and our.record(S.next_owner)
    and (S.next_at ~= S.was_next_at or S.next_owner ~= S.was_next_owner) then
    mails[S.next_owner] = (mails[S.next_owner] or '') .. ' n ' .. our.text(S.next_at)
  end
  if S.waiting > 0 then
    -- Who was given units to spare is to give back what it does not use.
    for name in pairs(S.keepers) do
      if name ~= me and our.record(name) then
        mails[name] = (mails[name] or '') .. ' r 0'
      end
    end
    S.keepers = {}
  end
  local keepers = our.names(S.keepers)
  if keepers ~= S.were_keepers then
    our.put('z', keepers)
  end
  for name, payload in pairs(mails) do
    call('PUBLISH', our.channel(name), tag .. ' ' .. name .. payload)
  end
  for name, known in pairs(records) do
    if known and known.is_changed then
      our.save_record(name, known)
    end
  end
  our.save_lanes()
  our.save_rates()
  if S.favoured_changed then
    local classes = {}
    for class, units in pairs(S.favoured) do
      if units ~= 0 then
        classes[#classes + 1] = class .. ' ' .. our.text(units)
      end
    end
    our.put('e', table.concat(classes, ' '))
  end
  our.put('x', format('%.0f %.0f %.0f %.0f %.0f %.0f %.0f %.0f', S.epoch, S.learn, now, S.used, S.waiting, S.granted,
    S.sessions, S.reap_at))
  our.put('y', format('%.0f %.0f %.0f %.0f %.0f %.0f %s %.0f %.0f %.0f %s', S.pending, S.floor, S.uncommon, S.seq,
    S.soonest, S.next_at, S.next_owner, S.high, S.low, S.keyed, S.run_id))
  our.save_changes()
end

-- What the session is told; kept, to be said again.
function our.finish(known)
  local letters = {}
  for number = known.acked + 1, math.min(known.acked + AT_ONCE, known.pushed) do
    letters[#letters + 1] = me .. ' ' .. our.text(number)
  end
  local shown = known.acked + #letters
  if #letters > 0 then
    for i, letter in ipairs(call('HMGET', MAIL, unpack(letters))) do
      local kind, id, rest = string.match(letter or '', '^(%S) (%S+)(.*)$')
      if kind == 'g' then
        our.say(' g ' .. id .. rest .. ' ' .. our.text(known.acked + i))
      elseif kind == 's' then
        our.say(' r ' .. id .. ' s')
      end
    end
  end
  local reply = format('D %.0f %.0f %.0f %.0f %.0f %.0f %.0f %s %s %.0f %.0f %s', S.epoch, now, S.learn, C.limit,
    S.used, S.waiting, S.sessions, S.revision, known.digest == S.digest and '1' or '0', shown, S.next_at,
    S.next_owner == me and '1' or '0') .. table.concat(said)
  our.put('p:' .. me, reply)
  known.is_changed = true
  our.save()
  return reply
end
