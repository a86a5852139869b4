-- What is taken and given back, and by whom.
local said, queued, mail = {}, {}, {}

local function say(line)
  said[#said + 1] = line
  return #said
end

-- Into the mailbox of another session, and on its way.
local function post(name, kind, rest)
  local owner = record(name)
  owner.pushed, owner.is_changed = owner.pushed + 1, true
  local number = text(owner.pushed)
  mail[#mail + 1] = name .. ' ' .. number
  mail[#mail + 1] = kind .. ' ' .. rest
  mails[name] = (mails[name] or '') .. ' ' .. kind .. ' ' .. number .. ':' .. string.gsub(rest, ' ', ':')
end

local function class_of(class)
  local token, priority, index = string.match(class, '^([^/]+)/([^@]+)@?(.*)$')
  return token, tonumber(priority) or 0, tonumber(index)
end

local function lane_of(class)
  if not C.has_lanes then
    return 0
  end
  local token, _, index = class_of(class)
  return index or find_lane(token) or C.others
end

local function count_held(class, index, units)
  local _, priority = class_of(class)
  S.used = S.used + units
  if #C.reserves > 0 then
    count_favoured(index, priority, units)
  end
end

local function hold(owner, class, index, units)
  if C.keyed and index >= #C.lanes then
    class = class .. '@' .. index
  end
  owner.held[class] = (owner.held[class] or 0) + units
  owner.is_changed = true
end

local function take(w, owner)
  if C.has_lanes then
    lane_take(w.lane, w.units, favour(w.lane, w.priority) ~= nil)
  end
  count_held(w.class, w.lane, w.units)
  spend_all(w.load)
  S.granted = S.granted + 1
  hold(owner, w.class, w.lane, w.units)
end

-- Units that the owner holds under this class go back.
local function free(owner, class, units)
  local index = lane_of(class)
  owner.held[class] = owner.held[class] > units and owner.held[class] - units or nil
  owner.is_changed = true
  count_held(class, index, -units)
  if C.has_lanes then
    local l = lane(index)
    l.used = l.used - units
    sort_in(l)
    sort_idle(l)
  end
end

-- Never more than it holds. Where that is in several lanes, of the first.
local function give_back(owner, class, units)
  local classes = { class }
  if C.keyed then
    for other in pairs(owner.held) do
      if string.sub(other, 1, #class + 1) == class .. '@' then
        classes[#classes + 1] = other
      end
    end
    table.sort(classes, function(a, b)
      return (select(3, class_of(a)) or -1) < (select(3, class_of(b)) or -1)
    end)
  end
  for _, some in ipairs(classes) do
    local back = math.min(units, owner.held[some] or 0)
    if back > 0 then
      free(owner, some, back)
      units = units - back
    end
  end
end

local function give_back_all(owner)
  local classes = {}
  for class in pairs(owner.held) do
    classes[#classes + 1] = class
  end
  for _, class in ipairs(classes) do
    free(owner, class, owner.held[class])
  end
end

-- A session's report counts as it stands, even above the limit.
local function take_over(owner, class, units)
  local index = join((class_of(class)))
  count_held(class, index, units)
  hold(owner, class, index, units)
  if C.has_lanes then
    local l = lane(index)
    l.used = l.used + units
    sort_in(l)
    leave(index)
  end
end

local function drop(w)
  remove(w)
  if C.has_lanes then
    sort_idle(lane(w.lane))
  end
  if queued[w.id] and w.session == me then
    said[queued[w.id]] = ''
  end
end

local function is_kept_by_rate(w)
  return S.next_at > now or not rates_allow({ load = w.load })
end

local function time_out(w)
  local letter = w.session == me and (is_kept_by_rate(w) and 'T' or 't')
  drop(w)
  if letter then
    say(' r ' .. w.id .. ' ' .. letter)
  end
end

local function shed(w)
  drop(w)
  if w.session == me then
    say(' r ' .. w.id .. ' s')
  elseif record(w.session) then
    post(w.session, 's', w.id)
  end
end

local function grant(w)
  local owner = record(w.session)
  remove(w)
  take(w, owner)
  local rest = w.id .. ' ' .. text(S.granted) .. ' ' .. text(now) .. ' ' .. text(w.load)
  if w.session == me then
    if queued[w.id] then
      said[queued[w.id]] = ''
    end
    say(' g ' .. rest .. ' -')
  else
    post(w.session, 'g', rest)
  end
end

-- Until nobody can go.
local grants_left, drops_left = AT_ONCE, AT_ONCE
local function grant_all()
  S.next_at, S.next_owner = 0, '-'
  while S.waiting > 0 and S.learn == 0 and S.used < C.limit do
    local w = candidate()
    if not w then
      return
    end
    local lost = is_lost(w)
    if (lost and drops_left or grants_left) == 0 then
      -- The rest with the next call, which is asked for at once.
      S.next_at, S.next_owner, S.is_unsettled = now, w.session, true
      return
    end
    if lost then
      drops_left = drops_left - 1
      time_out(w)
    else
      grants_left = grants_left - 1
      grant(w)
    end
  end
end

-- Who waits past its deadline; others' owners know by themselves.
local function sweep()
  if S.waiting == 0 or now <= S.soonest then
    return
  end
  for _, key in ipairs(call('ZRANGEBYSCORE', DEADLINES, '-inf', '(' .. text(now), 'LIMIT', 0, AT_ONCE)) do
    local w = find_waiter(key)
    if w then
      time_out(w)
    else
      late[#late + 1] = key
    end
  end
  flush_removed()
  S.soonest = tonumber(call('ZRANGE', DEADLINES, 0, 0, 'WITHSCORES')[2] or 0)
end
