-- Other rates: what the old ones remember as spent stays spent.

-- A log as entries, out of the list.
function our.unroll(r)
  if r.burst then
    return
  end
  r.log = {}
  for i, stored in ipairs(call('LRANGE', r.key, 0, -1)) do
    r.log[i] = our.entry(stored)
  end
  r.log[#r.log + 1] = r.back
  call('DEL', r.key)
end

-- The units that have not come back, and the ticks of a part of one.
function our.owed(r, arrival)
  local whole, part = our.minus(r, arrival.whole, arrival.part, now, 0)
  local ticks = whole % r.period * r.count + part
  return math.floor(whole / r.period) * r.count + math.floor(ticks / r.period), ticks % r.period
end

function our.carry(r, old)
  r.is_changed = true
  if r.burst then
    r.arrivals = {}
    for _, e in ipairs(old.log or {}) do
      if e.amount > 0 then
        our.cell_spend(r, e.last, e.amount)
      end
    end
    for _, arrival in ipairs(old.arrivals or {}) do
      if r.count == old.count and r.period == old.period then
        r.arrivals[#r.arrivals + 1] = arrival
      elseif arrival.whole >= now then
        local units, part = our.owed(old, arrival)
        local whole, rest = our.plus(r, now, 0, our.span(r, units))
        local ticks = math.min(math.ceil(part / old.period * r.period), r.period)
        whole, rest = our.plus(r, whole, rest, math.floor(ticks / r.count), ticks % r.count)
        r.arrivals[#r.arrivals + 1] = { since = arrival.since, whole = whole, part = rest }
      end
    end
    return
  end
  r.sum, r.len, r.front = 0, 0, 0
  for _, e in ipairs(old.log or {}) do
    if now - e.last < r.period then
      our.log_push(r, e)
    end
  end
  if old.arrivals and old.arrivals[1] then
    local units, part = our.owed(old, old.arrivals[1])
    our.spend(r, units + (part > 0 and 1 or 0))
  end
end

function our.is_same_rate(a, b)
  return a and b and a.by == b.by and a.count == b.count and a.period == b.period and a.burst == b.burst
end

function our.carry_rates(before)
  for index, r in ipairs(C.rates) do
    local old = before[index]
    if our.is_same_rate(r, old) then
      C.rates[index], old.is_carried = old, true
    end
  end
  for _, old in ipairs(before) do
    if not old.is_carried then
      our.unroll(old)
    end
  end
  for index, r in ipairs(C.rates) do
    if r ~= before[index] then
      r.is_read, r.is_changed = true, true
      r.arrivals, r.sum, r.len, r.front = r.burst and {}, 0, 0, 0
      for _, old in ipairs(before) do
        if old.by == r.by and not old.is_carried then
          old.is_carried = true
          our.carry(r, old)
          break
        end
      end
    end
  end
  for index = #C.rates + 1, #before do
    our.erase('r:' .. index)
  end
end
