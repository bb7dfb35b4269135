--- Numbers that depend on the sizes of the inputs (internal).
--
-- A network is run with several sizes of its example. A number of a call, such as a size, that was
-- not the same in all runs is an extent: the list of what it was. Extents can be calculated with
-- like integers, run by run; a formula of the sizes is looked for at the end. What was the same in
-- all runs is an integer.
--
-- The runs are: the example as it came; for each symbol (a size that is free, such as "batch") one
-- in which it is twice as large; and one in which all are three times as large, on which a formula
-- that fits the others must fit too.
-- @module perilune.onnx.extent

local extent = {}

local Extent = {__name = "a size that depends on the inputs"}

--- A number by what it was in each run.
-- @param list of integers
-- @return extent, or an integer
function extent.of(list)
  for i = 2, #list do
    if list[i] ~= list[1] then return setmetatable(list, Extent) end
  end
  return list[1]
end

--- Whether a value is an extent.
function extent.is(value)
  return getmetatable(value) == Extent
end

local function combine(f)
  return function(a, b)
    local list = {}
    for i = 1, #(extent.is(a) and a or b) do
      list[i] = f(extent.is(a) and a[i] or a, extent.is(b) and b[i] or b)
    end
    return extent.of(list)
  end
end

Extent.__add = combine(function(a, b) return a + b end)
Extent.__sub = combine(function(a, b) return a - b end)
Extent.__mul = combine(function(a, b) return a * b end)

-- Whether an order is the same in all runs.
local function ordered(f)
  return function(a, b)
    local yes
    for i = 1, #(extent.is(a) and a or b) do
      local here = f(extent.is(a) and a[i] or a, extent.is(b) and b[i] or b)
      if yes ~= nil and yes ~= here then return false end
      yes = here
    end
    return yes
  end
end

Extent.__lt = ordered(function(a, b) return a < b end)
Extent.__le = ordered(function(a, b) return a <= b end)

-- A product: `factor` times powers of the symbols, each of which the run with its double shows.
local function as_product(list, symbols)
  local powers, factor, last = {}, list[1], list[1]
  for i, symbol in ipairs(symbols) do
    local power, ratio = 0, list[i + 1] / list[1]
    while ratio > 1 and power < 4 do ratio, power = ratio / 2, power + 1 end
    if ratio ~= 1 then return nil end
    powers[i] = power
    factor, last = factor / symbol.size ^ power, last * 3 ^ power
  end
  if factor ~= math.floor(factor) or last ~= list[#symbols + 2] then return nil end
  return {factor = math.tointeger(factor), powers = powers}
end

-- A sum: `shift` and multiples of the symbols.
local function as_sum(list, symbols)
  local times, shift, last = {}, list[1], list[1]
  for i, symbol in ipairs(symbols) do
    local growth = list[i + 1] - list[1]
    if growth % symbol.size ~= 0 then return nil end
    times[i] = growth // symbol.size
    shift, last = shift - growth, last + 2 * growth
  end
  if last ~= list[#symbols + 2] then return nil end
  return {shift = shift, times = times}
end

--- The formula of an extent.
-- @param list the extent
-- @param symbols list of {name =, size =}
-- @return {factor =, powers =}, or {shift =, times =}, or nil if it has none of these forms
function extent.formula(list, symbols)
  return as_product(list, symbols) or as_sum(list, symbols)
end

local function product_text(f, symbols)
  local parts = {}
  if f.factor ~= 1 then parts[1] = tostring(f.factor) end
  for i, symbol in ipairs(symbols) do
    for _ = 1, f.powers[i] do parts[#parts + 1] = symbol.name end
  end
  return table.concat(parts, "*")
end

local function sum_text(f, symbols)
  local text = tostring(f.shift)
  for i, symbol in ipairs(symbols) do
    if f.times[i] ~= 0 then text = ("%s + %d*%s"):format(text, f.times[i], symbol.name) end
  end
  return text
end

--- An extent for people: "batch", "2*batch".
-- @param list the extent
-- @param symbols list of symbols
-- @return string
function extent.text(list, symbols)
  local f = extent.formula(list, symbols)
  if not f then return "unknown" end
  return f.factor and product_text(f, symbols) or sum_text(f, symbols)
end

return extent
