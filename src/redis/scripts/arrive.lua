-- An arrival: granted, queued or refused.

-- Sees to a place in the queue; where it is full, somebody may have to give way.
function our.make_place(w, bound)
  bound = bound or C.max_waiting
  if S.waiting < bound then
    return true
  end
  if S.waiting < C.max_waiting or bound == 0 then
    return false -- its own bound, for which nobody else has to leave
  end
  local victim
  if C.has_lanes then
    local l = our.lane(w.lane)
    local most = call('ZREVRANGE', CROWDS, 0, 0, 'WITHSCORES')
    if most[2] and tonumber(most[2]) > our.crowd(l, l.waiting + 1) then
      victim = our.lowest(tonumber(most[1]))
    end
  end
  if not victim then
    victim = our.lowest(w.lane)
    if not victim or victim.priority >= w.priority then
      return false
    end
  end
  our.shed(victim)
  return true
end

-- The arguments of an ask begin at `at`.
function our.arrive(at, owner)
  local class, patience = ARGV[at + 1], tonumber(ARGV[at + 5])
  local w = { session = me, id = ARGV[at], class = class, priority = tonumber(ARGV[at + 2]),
    units = tonumber(ARGV[at + 3]), load = our.bounded(tonumber(ARGV[at + 4])), seq = S.seq, arrived = now,
    deadline = now + patience }
  w.level = 256 - w.priority
  w.lane = our.join((our.class_of(class)))
  local waiting = S.waiting
  if S.learn == 0 and not S.is_unsettled and our.fits(w) then
    our.take(w, owner)
    our.say(' g ' .. w.id .. ' ' .. our.text(S.granted) .. ' ' .. our.text(now) .. ' ' .. our.text(w.load) .. ' -')
    if waiting > 0 and C.has_lanes then
      our.grant_all() -- its lane has moved back, and others may have moved up
    end
  elseif patience == 0 then
    our.say(' r ' .. w.id .. ' ' .. our.letter(w, 't'))
  elseif not our.make_place(w, tonumber(ARGV[at + 6])) then
    our.say(' r ' .. w.id .. ' ' .. our.letter(w, 'f'))
  else
    S.seq = S.seq + 1
    our.enlist(w)
    queued[w.id] = our.say(' q ' .. w.id .. ' ' .. our.text(w.seq))
    -- At the end of a line, behind others, nothing changes.
    local is_behind = waiting > 0 and S.waiting > waiting
    if not is_behind or S.uncommon > 0 or S.kind ~= 'p' then
      our.grant_all()
    end
  end
  our.leave(w.lane)
end

-- Units to hold idle, if nobody wants them: what fits beside the reserves.
function our.spare(class, units, owner)
  if S.waiting > 0 then
    return
  end
  S.keepers[me] = true -- of what is given back, even if there is nothing to spare
  if S.learn > 0 or #C.rates > 0 then
    return
  end
  local token, priority = our.class_of(class)
  local index = our.join(token)
  units = math.min(units, C.limit - S.used - our.left(index, priority))
  if C.has_lanes then
    units = math.min(units, our.lane(index).cap - our.lane(index).used)
  end
  if units > 0 then
    our.take({ lane = index, class = class, priority = priority, units = units, load = 0 }, owner)
    S.granted = S.granted - 1
    our.say(' s ' .. class .. ' ' .. our.text(units))
  end
  our.leave(index)
end
