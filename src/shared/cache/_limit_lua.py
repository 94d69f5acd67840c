"""The script that decides rate limits inside Redis: one trip, one moment, the server's clock."""

from collections.abc import Iterable
from typing import Final

__all__ = ["CLOCK", "script_for"]

#: Stands apart so that tests can let time pass.
CLOCK: Final = "local t = redis.call('TIME') local now = t[1] * 1000000 + t[2]"

# Times are whole microseconds, which a double holds exactly. Nothing is written before
# every tier has granted, but for grants that no longer count.
_HEAD: Final = """
local number, floor, max = tonumber, math.floor, math.max
local function text(n) return string.format('%.0f', n) end
local function alive(us) return text(max(1, math.ceil(us / 1000) + 1)) end
local tiers = {}
"""

#: One function per algorithm, each the twin of the class in shared.resilience.
_DECIDE: Final = {
    "s": """
-- exact sliding window: a list, newest first, of "moment:permits:permits so far"
function tiers.s(key, permits, per, cost)
  local function grant(index)
    local entry = redis.call('LINDEX', key, index)
    if not entry then return nil end
    local at, count, total = string.match(entry, '^(%d+):(%d+):(%d+)$')
    return number(at), number(count), number(total)
  end
  local now, newest, _, total = now, grant(0)
  local used, first, before = 0, nil, 0
  if newest then
    now = max(now, newest)
    local at, count, sum = grant(-1)
    while at and at + per <= now do
      redis.call('RPOP', key)
      at, count, sum = grant(-1)
    end
    if at then
      first, before = sum, sum - count
      used = total - before
    else
      newest = nil
    end
  end
  local sum = total or 0
  if used + cost <= permits then
    local reset = newest and newest + per - now or 0
    return true, permits - used - cost, 0, cost > 0 and per or reset, permits - used, reset, function()
      redis.call('LPUSH', key, text(now) .. ':' .. text(cost) .. ':' .. text(sum + cost))
      redis.call('PEXPIRE', key, alive(per))
    end
  end
  local wait, wanted = -1, before + used + cost - permits
  if cost <= permits then
    -- the oldest grant with which enough have come back; totals fall with the index
    local low, high = 0, redis.call('LLEN', key) - 1
    if first >= wanted then low = high end
    while low < high do
      local middle = math.ceil((low + high) / 2)
      local _, _, there = grant(middle)
      if there >= wanted then low = middle else high = middle - 1 end
    end
    wait = grant(low) + per - now
  end
  local left, reset = max(0, permits - used), newest and newest + per - now or 0
  return false, left, wait, reset
end
""",
    "g": """
-- GCRA: the moment at which the bucket is full again
function tiers.g(key, permits, per, cost)
  local step, full = per / permits, max(number(redis.call('GET', key) or 0), now)
  local function left(debt) return max(0, floor((per - debt + 1) / step)) end
  local after = full + cost * step
  local wait = after - now - per
  if wait <= 1 then
    return true, left(after - now), 0, after - now, left(full - now), full - now, function()
      redis.call('SET', key, string.format('%.3f', after), 'PX', alive(after - now))
    end
  end
  return false, left(full - now), cost > permits and -1 or wait, full - now
end
""",
    "b": """
-- sub-buckets: a hash from the number of a slice to the permits used in it
function tiers.b(key, permits, per, cost, slices)
  local width = per / slices
  local index = floor(now / width)
  local flat, counts, order, used = redis.call('HGETALL', key), {}, {}, 0
  for i = 1, #flat, 2 do index = max(index, number(flat[i])) end
  local old = {}
  for i = 1, #flat, 2 do
    local slice = number(flat[i])
    if slice < index - slices then
      old[#old + 1] = flat[i]
    else
      counts[slice] = number(flat[i + 1])
      order[#order + 1] = slice
      used = used + counts[slice]
    end
  end
  table.sort(order)
  local function leaves(slice) return max(0, (slice + 1 + slices) * width - now) end
  local reset = #order > 0 and leaves(order[#order]) or 0
  if used + cost <= permits then
    local after = cost > 0 and leaves(index) or reset
    return true, permits - used - cost, 0, after, permits - used, reset, function()
      if #old > 0 then redis.call('HDEL', key, unpack(old)) end
      redis.call('HINCRBY', key, text(index), text(cost))
      redis.call('PEXPIRE', key, alive(leaves(index)))
    end
  end
  local wait, short = -1, used + cost - permits
  if cost <= permits then
    for _, slice in ipairs(order) do
      short = short - counts[slice]
      if short <= 0 then wait = leaves(slice) break end
    end
  end
  return false, max(0, permits - used), wait, reset
end
""",
    "f": """
-- fixed window: "number of the period:permits used in it"
function tiers.f(key, permits, per, cost)
  local window, used = floor(now / per), 0
  local entry = redis.call('GET', key)
  if entry then
    local known, count = string.match(entry, '^(%d+):(%d+)$')
    if window <= number(known) then window, used = number(known), number(count) end
  end
  local over = max(0, (window + 1) * per - now)
  local reset = used > 0 and over or 0
  if used + cost <= permits then
    return true, permits - used - cost, 0, used + cost > 0 and over or 0, permits - used, reset, function()
      redis.call('SET', key, text(window) .. ':' .. text(used + cost), 'PX', alive(over))
    end
  end
  return false, max(0, permits - used), cost > permits and -1 or over, over
end
""",
}

_TAIL: Final = """
local answers, granted = {}, true
for i, key in ipairs(KEYS) do
  local a = (i - 1) * 5
  local decide, permits, per = tiers[ARGV[a + 1]], number(ARGV[a + 2]), number(ARGV[a + 3])
  local slices, cost = number(ARGV[a + 4]), number(ARGV[a + 5])
  local answer = {decide(key, permits, per, cost, slices)}
  granted = granted and answer[1]
  answer.cost = cost
  answers[i] = answer
end
local told = {}
for _, answer in ipairs(answers) do
  local left, reset = answer[2], answer[4]
  if answer[1] and not granted then left, reset = answer[5], answer[6] end
  if granted and answer.cost > 0 then answer[7]() end
  told[#told + 1] = answer[1] and 1 or 0
  told[#told + 1] = left
  told[#told + 1] = math.ceil(answer[3])
  told[#told + 1] = math.ceil(reset)
end
return told
"""


def script_for(letters: Iterable[str]) -> str:
    """Return the script for tiers of these algorithms; the server runs no line more than it needs."""
    return _HEAD + CLOCK + "".join(_DECIDE[letter] for letter in sorted(set(letters))) + _TAIL
