--- Scales: from values to places along an axis, with ticks at round numbers.
-- @module perilune.plot.scale

local object = require "perilune.internal.object"

local scale = {}
local Scale = {}
Scale.__index = object.index(Scale)

--- A scale.
-- @param kind "linear" or "log"
-- @param low the value at place 0
-- @param high the value at place 1; may be the smaller one
function scale.new(kind, low, high)
  return setmetatable({kind = kind, low = low, high = high}, Scale)
end

--- The place of a value, 0 to 1 inside the limits; NaN for what a log axis cannot show.
function Scale:at(value)
  if self.kind ~= "log" then return (value - self.low) / (self.high - self.low) end
  if not (value > 0) then return 0 / 0 end
  local low = math.log(self.low)
  return (math.log(value) - low) / (math.log(self.high) - low)
end

-- Two limits that differ, around values that do not.
local function spread(kind, value)
  if kind == "log" then return value / 2, value * 2 end
  local half = math.abs(value) < 1e-280 and 0.5 or math.abs(value) * 0.05
  return value - half, value + half
end

--- Limits around data: some room at both ends, and never the same value twice.
-- @param kind "linear" or "log"
-- @param low smallest value, or nil if there is none
-- @param high largest value
-- @param below what part of the range is added at the low end
-- @param above the same for the high end
function scale.around(kind, low, high, below, above)
  if not low then
    if kind == "log" then return 1, 10 end
    return 0, 1
  end
  if kind == "log" then
    local span = math.log(high) - math.log(low)
    if span <= 1e-9 then return spread(kind, low) end
    return math.max(low * math.exp(-below * span), 1e-305),
      math.min(high * math.exp(above * span), 1e305)
  end
  local size = math.max(math.abs(low), math.abs(high))
  if high - low <= math.max(1e-9 * size, 1e-290) then return spread(kind, low) end
  return low - below * (high - low), high + above * (high - low)
end

-- The smallest step of 1, 2, 2.5 or 5 times a power of ten that makes at most n steps.
local function round_step(span, n, integer)
  local power = 10 ^ math.floor(math.log(span / n, 10) - 1)
  while true do
    for _, digit in ipairs {1, 2, 2.5, 5} do
      local step = digit * power
      local allowed = not integer or (step >= 1 and step % 1 == 0)
      if allowed and span / step <= n then return step end
    end
    power = power * 10
  end
end

local superscripts = {
  ["-"] = "⁻", ["0"] = "⁰", ["1"] = "¹", ["2"] = "²", ["3"] = "³", ["4"] = "⁴",
  ["5"] = "⁵", ["6"] = "⁶", ["7"] = "⁷", ["8"] = "⁸", ["9"] = "⁹",
}

local function power_of_ten(exponent)
  return "10" .. tostring(math.floor(exponent)):gsub(".", superscripts)
end

-- A number with a fixed count of decimals and a true minus sign; with commas between thousands
-- if it, or the largest one beside it, has more than four digits.
local function fixed(value, decimals, largest)
  local sign, whole, rest = ("%%.%df"):format(decimals):format(value):match("^(-?)(%d+)(.*)$")
  if #whole > 4 or (largest and largest >= 1e4) then
    whole = whole:reverse():gsub("%d%d%d", "%0,"):reverse():gsub("^,", "")
  end
  if not (whole .. rest):find("[1-9]") then sign = "" end
  return (sign == "-" and "−" or "") .. whole .. rest
end

-- How many decimals a number needs, at most 12.
local function decimals_of(value)
  local d = 0
  while d < 12 do
    local shifted = math.abs(value) * 10 ^ d
    if math.abs(shifted - math.floor(shifted + 0.5)) <= 1e-6 * shifted then break end
    d = d + 1
  end
  return d
end

local function scientific(value, exponent, decimals)
  if value == 0 then return "0" end
  local digits = fixed(value / 10 ^ exponent, decimals)
  return (digits == "1" and "" or digits .. "×") .. power_of_ten(exponent)
end

--- Writes one number, as the label of a tick that a script chose.
function scale.plain(value)
  local size = math.abs(value)
  if size == 0 or (size < 1e6 and size >= 1e-4) then
    return fixed(value, math.min(decimals_of(value), 6))
  end
  local exponent = math.floor(math.log(size, 10) + 1e-9)
  return scientific(value, exponent, math.min(decimals_of(value / 10 ^ exponent), 3))
end

-- A function that writes the multiples of a step up to some size.
local function writer(largest, step)
  local usual = largest < 1e6 and step > 0.99e-4
  local far_from_zero = largest > 1e4 * step and largest < 1e12 and step > 1e-10
  if usual or far_from_zero then
    local decimals = decimals_of(step)
    return function(value) return fixed(value, decimals, largest) end
  end
  local exponent = math.floor(math.log(largest, 10) + 1e-9)
  local decimals = decimals_of(step / 10 ^ exponent)
  return function(value) return scientific(value, exponent, decimals) end
end

local function linear_ticks(low, high, n, integer)
  local span = high - low
  if not (span > 0 and span < math.huge) then return {} end
  local step = round_step(span, n, integer)
  local write = writer(math.max(math.abs(low), math.abs(high)), step)
  local ticks = {}
  local first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
  for i = first, last do
    ticks[#ticks + 1] = {value = i * step, label = write(i * step)}
  end
  return ticks
end

-- Digits times powers of ten between low and high.
local function multiples(low, high, digits)
  local values = {}
  for e = math.floor(math.log(low, 10) - 1e-9), math.ceil(math.log(high, 10)) do
    for _, digit in ipairs(digits) do
      local value = digit * 10.0 ^ e
      if value >= low * (1 - 1e-9) and value <= high * (1 + 1e-9) then
        values[#values + 1] = value
      end
    end
  end
  return values
end

local function log_label(value, plain)
  if plain then return fixed(value, math.max(0, -math.floor(math.log(value, 10) + 1e-9))) end
  local exponent = math.floor(math.log(value, 10) + 1e-9)
  return scientific(value, exponent, 0)
end

-- The powers of ten whose exponents are multiples of a stride that leaves at most n + 1.
local function decades(low, high, n)
  local first = math.ceil(math.log(low, 10) - 1e-9)
  local last = math.floor(math.log(high, 10) + 1e-9)
  local stride = 1
  for _, s in ipairs {1, 2, 3, 5, 10, 20, 50, 100, 200} do
    stride = s
    if (last - first + 1) / s <= n + 1 then break end
  end
  local values = {}
  for e = math.ceil(first / stride) * stride, last, stride do values[#values + 1] = 10.0 ^ e end
  return values
end

local DIGITS <const> = {{1, 2, 5}, {1, 3}, {1, 1.5, 2, 3, 5, 7}}

-- Round values on a log axis: powers of ten if there are some, else with digits between,
-- three values at least if there is room. `fractions`: whether 1.5 may be among the digits.
local function log_values(low, high, n, fractions)
  local values = decades(low, high, n)
  if #values >= 3 then return values end
  for i = 1, fractions and #DIGITS or 2 do
    local finer = multiples(low, high, DIGITS[i])
    if #finer > #values and #finer <= n + 1 then values = finer end
    if #values >= 3 then break end
  end
  return values
end

local function log_ticks(low, high, n)
  local few = math.log(high, 10) - math.log(low, 10) < 8
  local minor = multiples(low, high, few and {2, 3, 4, 5, 6, 7, 8, 9} or {1})
  local plain = low >= 0.9e-3 and high <= 1.1e4
  local values = log_values(low, high, n, plain and low >= 10)
  if #values < 2 then return linear_ticks(low, high, n), minor end
  local ticks = {}
  for i, value in ipairs(values) do ticks[i] = {value = value, label = log_label(value, plain)} end
  return ticks, minor
end

--- Ticks between the limits: a list of {value=, label=}, and a list of values for minor ones.
-- @param n for about how many steps there is room
-- @param integer true if only whole numbers make sense
function Scale:ticks(n, integer)
  local low, high = math.min(self.low, self.high), math.max(self.low, self.high)
  if self.kind == "log" then return log_ticks(low, high, n) end
  return linear_ticks(low, high, n, integer), {}
end

return scale
