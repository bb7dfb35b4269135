--- Examples of ops that run, made from the samples of their rows (internal).
-- @module perilune.help.example

local core = require "perilune.core"
local sample = require "perilune.help.sample"

local example = {}

local MOST <const> = 12 -- elements that are written out; of more only dtype and sizes

-- What the inputs of each kind are filled with, over and over.
local values <const> = {
  any = {1, -2, 3, 0.5, -1, 2, -0.5}, pos = {1, 4, 0.5, 2, 3}, unit = {0.5, 0.25, 0.75},
  bool = {1, 0, 1, 1, 0},
}
local matrices <const> = {regular = true, spd = true}
values.const, values.constpos = values.any, values.pos

local function numel(size)
  local n = 1
  for _, s in ipairs(size) do n = n * s end
  return n
end

-- Nested tables of numbers, as Lua has them, from a function that gives the next.
local function nested(size, next_number, d)
  d = d or 1
  if d > #size then return ("%.4g"):format(next_number()) end
  local list = {}
  for i = 1, size[d] do list[i] = nested(size, next_number, d + 1) end
  return "{" .. table.concat(list, ", ") .. "}"
end

-- Square or not: 2, 3, ... on the diagonal, 1 above it, and 1 or -1 below.
local function matrix_of(input)
  local m, n = input.size[#input.size - 1], input.size[#input.size]
  local i = -1
  return function()
    i = i + 1
    local row, column = i // n % m, i % n
    if row == column then return row + 2 end
    return input.kind == "regular" and row > column and -1 or 1
  end
end

-- Inputs begin at different places, so that they differ.
local function cycle_of(input, start)
  if matrices[input.kind] then return matrix_of(input) end
  local list, i = values[input.kind], start
  return function()
    i = i + 1
    if input.kind == "index" then return (2 * i - 2) % input.top + 1 end
    return list[(i - 1) % #list + 1]
  end
end

local dtypes <const> = {bool = "uint8", index = "int32"}

local function input_code(input, start)
  local dtype = dtypes[input.kind]
  if numel(input.size) <= MOST then
    local text = nested(input.size, cycle_of(input, start))
    if dtype then return ("pl.tensor(%s, \"%s\")"):format(text, dtype) end
    return text:sub(1, 1) == "{" and "pl.tensor " .. text or ("pl.tensor(%s)"):format(text)
  end
  local sizes = table.concat(input.size, ", ")
  if dtype == "int32" then
    return ("pl.randperm(%d):reshape(%s)"):format(numel(input.size), sizes)
  end
  if dtype then return ("pl.zeros(%s, \"%s\")"):format(sizes, dtype) end
  return ("pl.%s(%s)"):format(input.kind:find "pos" and "rand" or "randn", sizes)
end

local function attribute_text(value)
  if type(value) == "table" and #value == 1 then return tostring(value[1]) end
  if type(value) == "table" then return "{" .. table.concat(value, ", ") .. "}" end
  if type(value) == "string" then return ("%q"):format(value) end
  if value == math.huge then return "math.huge" end
  return tostring(value)
end

local function attributes_code(row, attributes)
  local list = {}
  for _, spec in ipairs(row.attrs) do
    local value = attributes[spec.name]
    if value ~= nil then list[#list + 1] = ("%s = %s"):format(spec.name, attribute_text(value)) end
  end
  return #list > 0 and "{" .. table.concat(list, ", ") .. "}" or nil
end

-- The first sample whose tensors can be written out, or else the first.
local function chosen(row)
  local first
  for _, inputs, attributes in sample.each(row) do
    first = first or {inputs, attributes}
    local most = 0
    for _, input in ipairs(inputs) do most = math.max(most, numel(input.size)) end
    if most <= MOST then return inputs, attributes end
  end
  return table.unpack(first)
end

-- The lines before the call, and the call.
local function code_of(row, inputs, attributes)
  local lines, arguments = {}, {}
  for i, input in ipairs(inputs) do arguments[i] = input_code(input, i - 1) end
  if #table.concat(arguments, ", ") > 60 then
    for i, code in ipairs(arguments) do
      local name = row.inputs.variadic and ("x%d"):format(i) or row.inputs[i].name
      if name == "end" then name = "last" end
      lines[i], arguments[i] = ("local %s = %s"):format(name, code), name
    end
  end
  if row.inputs.variadic then arguments = {"{" .. table.concat(arguments, ", ") .. "}"} end
  arguments[#arguments + 1] = attributes_code(row, attributes)
  return lines, ("pl.%s(%s)"):format(row.name, table.concat(arguments, ", "))
end

-- Inputs of one size with their last dim alone; nil if they are not, or the op is about shapes.
local function shortened(row, inputs, attributes)
  local first, list = table.concat(inputs[1].size, ","), {}
  for i, input in ipairs(inputs) do
    local size = input.size
    if row.group == "Shapes" or attributes.dim or matrices[input.kind] or #size < 2
      or table.concat(size, ",") ~= first then
      return nil
    end
    list[i] = {kind = input.kind, top = input.top, size = {size[#size]}}
  end
  return list
end

-- The values, or what has them where they are drawn or many.
local function described(value, drawn)
  local size = value:size()
  if drawn or value:numel() > MOST then
    return ("%s[%s]"):format(value:dtype(), table.concat(size, ","))
  end
  local flat, i = value:reshape(-1):totable(), 0
  return nested(size, function()
    i = i + 1
    return flat[i]
  end)
end

local function results_of(lines, call)
  local chunk = ("local pl = ...\n%s\nreturn %s"):format(table.concat(lines, "\n"), call)
  local state, texts = core.random_state(), {}
  local _ <close> = setmetatable({}, {__close = function() core.set_random_state(state) end})
  core.manual_seed(1)
  core.no_grad(core.tidy, function()
    local drawn = chunk:find("pl.rand", 1, true)
    for i, value in ipairs {assert(load(chunk))(core)} do texts[i] = described(value, drawn) end
  end)
  return table.concat(texts, ", ")
end

-- Code and results of the op with shorter inputs, where it takes these, or else as sampled.
local function made(row)
  local inputs, attributes = chosen(row)
  local short = shortened(row, inputs, attributes)
  if short then
    local lines, call = code_of(row, short, attributes)
    local ok, results = pcall(results_of, lines, call)
    if ok then return lines, call, results end
  end
  local lines, call = code_of(row, inputs, attributes)
  return lines, call, results_of(lines, call)
end

--- An example of an op, with its results behind `-->`: tables of numbers with four digits, or
-- dtype and sizes. The common stream of random numbers stays where it is.
-- @param row of pl.op
-- @return lines of Lua as one string
function example.of(row)
  local lines, call, results = made(row)
  local one_line = ("%s  --> %s"):format(call, results)
  if #one_line <= 96 then lines[#lines + 1] = one_line
  else
    lines[#lines + 1] = call
    lines[#lines + 1] = "--> " .. results
  end
  return table.concat(lines, "\n")
end

return example
