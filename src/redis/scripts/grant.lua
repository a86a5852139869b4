-- What is taken and given back, and by whom.
local said, queued, mail = {}, {}, {}

function our.say(line)
  said[#said + 1] = line
  return #said
end

-- Into the mailbox of another session, and on its way.
function our.post(name, kind, rest)
  local owner = our.record(name)
  owner.pushed, owner.is_changed = owner.pushed + 1, true
  local number = our.text(owner.pushed)
  mail[#mail + 1] = name .. ' ' .. number
  mail[#mail + 1] = kind .. ' ' .. rest
  mails[name] = (mails[name] or '') .. ' ' .. kind .. ' ' .. number .. ':' .. string.gsub(rest, ' ', ':')
end

function our.class_of(class)
  local token, priority, index = string.match(class, '^([^/]+)/([^@]+)@?(.*)$')
  return token, tonumber(priority) or 0, tonumber(index)
end

function our.lane_of(class)
  if not C.has_lanes then
    return 0
  end
  local token, _, index = our.class_of(class)
  return index or our.find_lane(token) or C.others
end

function our.count_held(class, index, units)
  local _, priority = our.class_of(class)
  S.used = S.used + units
  if #C.reserves > 0 then
    our.count_favoured(index, priority, units)
  end
end

function our.hold(owner, class, index, units)
  if C.keyed and index >= #C.lanes then
    class = class .. '@' .. index
  end
  owner.held[class] = (owner.held[class] or 0) + units
  owner.is_changed = true
end

function our.take(w, owner)
  if C.has_lanes then
    our.lane_take(w.lane, w.units, our.favour(w.lane, w.priority) ~= nil)
  end
  our.count_held(w.class, w.lane, w.units)
  our.spend_all(w.load)
  S.granted = S.granted + 1
  our.hold(owner, w.class, w.lane, w.units)
end

-- Units that the owner holds under this class go back.
function our.free(owner, class, units)
  local index = our.lane_of(class)
  owner.held[class] = owner.held[class] > units and owner.held[class] - units or nil
  owner.is_changed = true
  our.count_held(class, index, -units)
  if C.has_lanes then
    local l = our.lane(index)
    l.used = l.used - units
    our.sort_in(l)
    our.sort_idle(l)
  end
end

-- Never more than it holds. Where that is in several lanes, of the first.
function our.give_back(owner, class, units)
  local classes = { class }
  if C.keyed then
    for other in pairs(owner.held) do
      if string.sub(other, 1, #class + 1) == class .. '@' then
        classes[#classes + 1] = other
      end
    end
    table.sort(classes, function(a, b)
      return (select(3, our.class_of(a)) or -1) < (select(3, our.class_of(b)) or -1)
    end)
  end
  for _, some in ipairs(classes) do
    local back = math.min(units, owner.held[some] or 0)
    if back > 0 then
      our.free(owner, some, back)
      units = units - back
    end
  end
end

function our.give_back_all(owner)
  local classes = {}
  for class in pairs(owner.held) do
    classes[#classes + 1] = class
  end
  for _, class in ipairs(classes) do
    our.free(owner, class, owner.held[class])
  end
end

-- A session's report counts as it stands, even above the limit.
function our.take_over(owner, class, units)
  local index = our.join((our.class_of(class)))
  our.count_held(class, index, units)
  our.hold(owner, class, index, units)
  if C.has_lanes then
    local l = our.lane(index)
    l.used = l.used + units
    our.sort_in(l)
    our.leave(index)
  end
end

function our.drop(w)
  our.remove(w)
  if C.has_lanes then
    our.sort_idle(our.lane(w.lane))
  end
  if queued[w.id] and w.session == me then
    said[queued[w.id]] = ''
  end
end

-- The letter of a refusal: a capital, and the time at which a rate lets it go, if it was kept by one.
function our.letter(w, letter)
  local ready = math.max(#C.rates > 0 and our.ready_at(w.load) or 0, S.next_at)
  return ready > now and string.upper(letter) .. our.text(ready) or letter
end

function our.time_out(w)
  local letter = w.session == me and our.letter(w, 't')
  our.drop(w)
  if letter then
    our.say(' r ' .. w.id .. ' ' .. letter)
  end
end

function our.shed(w)
  our.drop(w)
  if w.session == me then
    our.say(' r ' .. w.id .. ' s')
  elseif our.record(w.session) then
    our.post(w.session, 's', w.id)
  end
end

function our.grant(w)
  local owner = our.record(w.session)
  our.remove(w)
  our.take(w, owner)
  local rest = w.id .. ' ' .. our.text(S.granted) .. ' ' .. our.text(now) .. ' ' .. our.text(w.load)
  if w.session == me then
    if queued[w.id] then
      said[queued[w.id]] = ''
    end
    our.say(' g ' .. rest .. ' -')
  else
    our.post(w.session, 'g', rest)
  end
end

-- Until nobody can go.
local grants_left, drops_left = AT_ONCE, AT_ONCE
function our.grant_all()
  S.next_at, S.next_owner = 0, '-'
  while S.waiting > 0 and S.learn == 0 and S.used < C.limit do
    local w = our.candidate()
    if not w then
      return
    end
    local lost = our.is_lost(w)
    if (lost and drops_left or grants_left) == 0 then
      -- The rest with the next call, which is asked for at once.
      S.next_at, S.next_owner, S.is_unsettled = now, w.session, true
      return
    end
    if lost then
      drops_left = drops_left - 1
      our.time_out(w)
    else
      grants_left = grants_left - 1
      our.grant(w)
    end
  end
end

-- Who waits past its deadline; others' owners know by themselves.
function our.sweep()
  if S.waiting == 0 or now <= S.soonest then
    return
  end
  for _, key in ipairs(call('ZRANGEBYSCORE', DEADLINES, '-inf', '(' .. our.text(now), 'LIMIT', 0, AT_ONCE)) do
    local w = our.find_waiter(key)
    if w then
      our.time_out(w)
    else
      late[#late + 1] = key
    end
  end
  our.flush_removed()
  S.soonest = tonumber(call('ZRANGE', DEADLINES, 0, 0, 'WITHSCORES')[2] or 0)
end
