--- A line search for the strong Wolfe conditions (internal): Nocedal and Wright 2006, Algorithms
-- 3.5 and 3.6, with the cubic steps and the safeguards of minFunc (Schmidt 2005), as PyTorch has
-- it.
--
-- A point of the line is a table of the step `t` that leads there, the loss `f`, the gradient `g`
-- and the `slope` along the line.
-- @module perilune.optim.line_search

local line_search = {}

local C1 <const>, C2 <const> = 1e-4, 0.9 -- what is enough decrease, and enough flatness
local SMALLEST <const> = 1e-9 -- what is not worth parting, as the largest change of a parameter
local abs, max, min = math.abs, math.max, math.min

-- Where the cubic with the values and slopes of two points is smallest, between two bounds.
local function cubic_step(a, b, low, high)
  if a.t > b.t then a, b = b, a end
  local d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
  local square = d1 * d1 - a.slope * b.slope
  if not (square >= 0) then return (low + high) / 2 end
  local d2 = math.sqrt(square)
  local t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
  return min(max(t, low), high)
end

local function too_high(start, point)
  return point.f > start.f + C1 * point.t * start.slope
end

local function flat_enough(start, point)
  return abs(point.slope) <= -C2 * start.slope
end

-- Algorithm 3.5: two points between which there is one that fits, or one that does; and how many
-- steps that took.
local function bracket(start, at, t, most)
  local before, now = start, at(t)
  for n = 0, most - 1 do
    if too_high(start, now) or (n > 1 and now.f >= before.f) then return before, now, n end
    if flat_enough(start, now) then return now, nil, n end
    if now.slope >= 0 then return before, now, n end
    local farther = cubic_step(before, now, now.t + 0.01 * (now.t - before.t), now.t * 10)
    before, now = now, at(farther)
  end
  return start, now, most
end

-- A step between two points: that of the cubic, but a tenth of the way from an end to which it came
-- too close, twice or at once. And whether it came too close now.
local function inner_step(a, b, close_before)
  local low, high = min(a.t, b.t), max(a.t, b.t)
  local t, margin = cubic_step(a, b, low, high), 0.1 * (high - low)
  if min(high - t, t - low) >= margin then return t, false end
  if not close_before and t < high and t > low then return t, true end
  return abs(t - high) < abs(t - low) and high - margin or low + margin, false
end

local function ordered(a, b)
  if a.f <= b.f then return a, b end
  return b, a
end

-- Algorithm 3.6: the lowest point when one fits, or when there is no room or no step left.
local function zoom(start, at, a, b, steps_left, length)
  local low, high = ordered(a, b)
  local close = false
  for _ = 1, steps_left do
    if abs(high.t - low.t) * length < SMALLEST then break end
    local t
    t, close = inner_step(low, high, close)
    local now = at(t)
    if too_high(start, now) or now.f >= low.f then
      low, high = ordered(low, now)
    else
      if flat_enough(start, now) then return now end
      if now.slope * (high.t - low.t) >= 0 then high = low end
      low = now
    end
  end
  return low
end

--- Goes down a line.
-- @param start the point where it begins, with `t` = 0 and a negative `slope`
-- @param at function(t) that gives a point
-- @param t the first step to try
-- @param length the largest change of a parameter by a step of 1
-- @param most how many points to look at, but for the first
-- @return the point
function line_search.strong_wolfe(start, at, t, length, most)
  local a, b, n = bracket(start, at, t, most)
  if not b then return a end
  return zoom(start, at, a, b, most - n, length)
end

return line_search
