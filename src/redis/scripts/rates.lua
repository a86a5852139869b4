-- How often. The same arithmetic as the limiter's own: a log of what was spent, or the generic cell rate
-- algorithm, whose times are pairs of whole microseconds and a numerator over the count.
local EXACT, GRAINS, MOST = 120, 128, 64
local FOREVER = 2 ^ 53

function our.rate(index)
  local r = C.rates[index]
  if r.is_read then
    return r
  end
  r.is_read = true
  local stored = rates[index]
  if r.burst then
    r.arrivals = {}
    for since, whole, part in string.gmatch(stored or '', '(%S+) (%S+) (%S+)') do
      r.arrivals[#r.arrivals + 1] = { since = tonumber(since), whole = tonumber(whole), part = tonumber(part) }
    end
    return r
  end
  -- The log is the list and, behind it, one more entry that is kept here: `len` counts those of the list.
  r.sum, r.len, r.front = 0, 0, 0
  if stored then
    local sum, len, front, first, last, amount = string.match(stored, '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$')
    r.sum, r.len, r.front = tonumber(sum), tonumber(len), tonumber(front)
    if first ~= '-' then
      r.back = { first = tonumber(first), last = tonumber(last), amount = tonumber(amount) }
    end
  end
  return r
end

function our.save_rates()
  for index, r in ipairs(C.rates) do
    if r.is_changed and r.burst then
      local all = {}
      for i, arrival in ipairs(r.arrivals) do
        all[i] = format('%.0f %.0f %.0f', arrival.since, arrival.whole, arrival.part)
      end
      our.put('r:' .. index, table.concat(all, ' '))
    elseif r.is_changed then
      local back = r.back and format('%.0f %.0f %.0f', r.back.first, r.back.last, r.back.amount) or '- - -'
      our.put('r:' .. index, format('%.0f %.0f %.0f ', r.sum, r.len, r.front) .. back)
    end
  end
end

function our.entry(stored)
  local first, last, amount = string.match(stored, '^(%S+) (%S+) (%S+)$')
  return { first = tonumber(first), last = tonumber(last), amount = tonumber(amount) }
end

function our.log_expire(r)
  while r.len > 0 and now - r.front >= r.period do
    local oldest = call('LRANGE', r.key, 0, 31)
    local gone = 0
    for _, stored in ipairs(oldest) do
      local e = our.entry(stored)
      r.front = e.last
      if now - e.last < r.period then
        break
      end
      r.sum, gone = r.sum - e.amount, gone + 1
    end
    call('LTRIM', r.key, gone, -1)
    r.len, r.is_changed = r.len - gone, true
  end
  if r.len == 0 and r.back and now - r.back.last >= r.period then
    r.back, r.sum, r.is_changed = nil, 0, true
  end
end

function our.log_push(r, e)
  r.sum, r.is_changed = r.sum + e.amount, true
  local back = r.back
  local is_exact = r.len + (back and 1 or 0) < EXACT
  if back and (back.last == e.first or not is_exact and e.first - back.first < math.ceil(r.period / GRAINS)) then
    back.last, back.amount = e.last, back.amount + e.amount
    return
  end
  if back then
    call('RPUSH', r.key, format('%.0f %.0f %.0f', back.first, back.last, back.amount))
    r.len = r.len + 1
    if r.len == 1 then
      r.front = back.last
    end
  end
  r.back = e
end

-- When there is room for so much more.
function our.log_ready(r, amount)
  our.log_expire(r)
  local over, from = r.sum + math.min(amount, r.count) - r.count, 0
  if over <= 0 then
    return now
  end
  while from < r.len do
    for _, stored in ipairs(call('LRANGE', r.key, from, from + 15)) do
      local e = our.entry(stored)
      over = over - e.amount
      if over <= 0 then
        return e.last + r.period
      end
    end
    from = from + 16
  end
  return r.back.last + r.period
end

function our.log_refund(r, at, amount)
  local back = r.back
  if not back or at > back.last then
    return
  end
  if at >= back.first then
    amount = math.min(back.amount, amount)
    r.sum, back.amount, r.is_changed = r.sum - amount, back.amount - amount, true
    if back.amount == 0 then
      -- It would count towards the entries from which on the log is no longer exact.
      local before = r.len > 0 and call('RPOP', r.key)
      r.back = before and our.entry(before) or nil
      r.len = math.max(r.len - 1, 0)
    end
    return
  end
  for index, stored in ipairs(r.len > 0 and call('LRANGE', r.key, 0, -1) or {}) do
    local e = our.entry(stored)
    if e.last >= at then
      if e.first > at then
        return
      end
      amount = math.min(e.amount, amount)
      r.sum, e.amount, r.is_changed = r.sum - amount, e.amount - amount, true
      if e.amount > 0 then
        call('LSET', r.key, index - 1, format('%.0f %.0f %.0f', e.first, e.last, e.amount))
        return
      end
      call('LSET', r.key, index - 1, 'x')
      call('LREM', r.key, 1, 'x')
      r.len = r.len - 1
      if index == 1 and r.len > 0 then
        r.front = our.entry(call('LINDEX', r.key, 0)).last
      end
      return
    end
  end
end

-- How long so many units take to come back.
function our.span(r, units)
  local rounds, rest = math.floor(units / r.count), units % r.count
  local ticks = rest * r.period
  local whole = math.min(rounds * r.period + math.floor(ticks / r.count), FOREVER)
  return whole, ticks % r.count
end

function our.plus(r, whole, part, by_whole, by_part)
  whole, part = whole + by_whole, part + by_part
  if part >= r.count then
    whole, part = whole + 1, part - r.count
  end
  return math.min(whole, FOREVER), part
end

-- Not below 0.
function our.minus(r, whole, part, by_whole, by_part)
  whole, part = whole - by_whole, part - by_part
  if part < 0 then
    whole, part = whole - 1, part + r.count
  end
  if whole < 0 then
    return 0, 0
  end
  return whole, part
end

function our.is_after(whole, part, other_whole, other_part)
  return whole > other_whole or whole == other_whole and part > other_part
end

function our.cell_ready(r, amount)
  local first = r.arrivals[1]
  local whole, part = first and first.whole or 0, first and first.part or 0
  whole, part = our.plus(r, whole, part, our.span(r, math.min(amount, r.burst)))
  whole = our.minus(r, whole, part, our.span(r, r.burst))
  return math.max(whole, now)
end

function our.cell_spend(r, at, amount)
  local by_whole, by_part = our.span(r, amount)
  local arrivals = r.arrivals
  for _, arrival in ipairs(arrivals) do
    arrival.whole, arrival.part = our.plus(r, arrival.whole, arrival.part, by_whole, by_part)
  end
  local whole, part = our.plus(r, at, 0, by_whole, by_part)
  while #arrivals > 0 and not our.is_after(arrivals[#arrivals].whole, arrivals[#arrivals].part, whole, part) do
    arrivals[#arrivals] = nil
  end
  local last = arrivals[#arrivals]
  r.is_changed = true
  if last then
    local grain = math.floor(r.burst * r.period / 32)
    local ahead, ahead_part = our.minus(r, last.whole, last.part, whole, part)
    local grain_whole, grain_part = math.floor(grain / r.count), grain % r.count
    if #arrivals == MOST or last.since == at or our.is_after(grain_whole, grain_part, ahead, ahead_part) then
      last.since = at
      return
    end
  end
  arrivals[#arrivals + 1] = { since = at, whole = whole, part = part }
end

function our.cell_refund(r, at, amount)
  local whole, part = our.span(r, amount)
  local later, kept = 1, {}
  while r.arrivals[later] and r.arrivals[later].since <= at do
    later = later + 1
  end
  local bound = r.arrivals[later] or { whole = 0, part = 0 }
  for index, arrival in ipairs(r.arrivals) do
    if index < later then
      arrival.whole, arrival.part = our.minus(r, arrival.whole, arrival.part, whole, part)
    end
    if index >= later or our.is_after(arrival.whole, arrival.part, bound.whole, bound.part) then
      kept[#kept + 1] = arrival
    end
  end
  r.arrivals, r.is_changed = kept, true
end

function our.spend(r, amount)
  if amount == 0 then
    return
  end
  if r.burst then
    our.cell_spend(r, now, amount)
  else
    our.log_expire(r)
    our.log_push(r, { first = now, last = now, amount = amount })
  end
end

function our.amount_of(r, load)
  return r.by == 'r' and 1 or load
end

-- Nobody closes a rate for ever by what he says of himself.
function our.bounded(load)
  return math.min(load, C.most_load or load)
end

function our.spend_all(load)
  for index = 1, #C.rates do
    local r = our.rate(index)
    our.spend(r, our.amount_of(r, load))
  end
end

-- Since when all rates allow a load: now, or later.
function our.ready_at(load)
  local ready = now
  for index = 1, #C.rates do
    local r = our.rate(index)
    local amount = our.amount_of(r, load)
    if amount > 0 then
      ready = math.max(ready, r.burst and our.cell_ready(r, amount) or our.log_ready(r, amount))
    end
  end
  return ready
end

-- What was spent at `at` as `load` was `actual`; nothing at all if that is '-'.
function our.settle(at, load, actual)
  load = our.bounded(load)
  for index = 1, #C.rates do
    local r = our.rate(index)
    local before = our.amount_of(r, load)
    local after = actual == '-' and 0 or our.amount_of(r, our.bounded(tonumber(actual)))
    if after > before then
      our.spend(r, after - before)
    elseif after < before and r.burst then
      our.cell_refund(r, at, before - after)
    elseif after < before then
      our.log_refund(r, at, before - after)
    end
  end
end

-- The clock went back: what was spent keeps its distance from the present.
function our.shift_rates(back)
  for index = 1, #C.rates do
    local r = our.rate(index)
    r.is_changed = true
    for _, arrival in ipairs(r.arrivals or {}) do
      arrival.since, arrival.whole = arrival.since - back, math.max(arrival.whole - back, 0)
    end
    if r.back then
      r.front = r.front - back
      r.back.first, r.back.last = r.back.first - back, r.back.last - back
      for i, stored in ipairs(call('LRANGE', r.key, 0, -1)) do
        local e = our.entry(stored)
        call('LSET', r.key, i - 1, format('%.0f %.0f %.0f', e.first - back, e.last - back, e.amount))
      end
    end
  end
end
