--- Arguments and results: tensors, and tables of tensors, as one list with names (internal).
-- @module perilune.onnx.structure

local fields = require "perilune.nn.fields"
local check = require "perilune.internal.check"

local structure = {}

-- The name of what lies at a key below another name: "h" of a table by name, "x2" of a list.
local function name_of(name, key, alone)
  if type(key) == "string" then return name and name .. "." .. key or key end
  return alone and name or name .. key
end

-- `around` has the tables in which the value lies.
local function walk(value, name, list, around, complain)
  if check.is_tensor(value) then
    list.tensors[#list.tensors + 1], list.names[#list.names + 1] = value, name
  elseif type(value) == "table" and not getmetatable(value) then
    if around[value] then complain("'%s' is a table in which it lies itself", name) end
    around[value] = true
    for _, key in ipairs(fields.sorted_keys(value)) do
      walk(value[key], type(key) == "string" and key or name_of(name .. "_", key), list,
        around, complain)
    end
    around[value] = nil
  elseif value ~= nil then
    complain("'%s' is a %s; tensors, and tables of tensors, expected", name, check.type(value))
  end
end

--- The tensors of a list of values, in order, with names.
-- @param values list with `n`
-- @param name of the first, or with a number of each
-- @param complain function(text, ...)
-- @return {tensors =, names =, values =}
function structure.flatten(values, name, complain)
  local list = {tensors = {}, names = {}, values = values}
  for i = 1, values.n do walk(values[i], name_of(name, i, values.n == 1), list, {}, complain) end
  if #list.tensors == 0 and name == "y" then
    complain("the network gives no tensor")
  end
  return list
end

--- The same of an example: a tensor, or a list of arguments.
function structure.example(value, complain)
  if check.is_tensor(value) then return structure.flatten({value, n = 1}, "x", complain) end
  if type(value) ~= "table" or getmetatable(value) then
    complain("example: a tensor, or a list of the arguments, expected, got %s", check.type(value))
  end
  for key in next, value do
    if math.type(key) ~= "integer" then
      complain("example: a list of the arguments expected; it has '%s'", tostring(key))
    end
  end
  return structure.flatten(table.move(value, 1, #value, 1, {n = #value}), "x", complain)
end

--- The values again, with other tensors.
-- @param list what `flatten` gave
-- @param tensors list
-- @return list with `n`
function structure.rebuild(list, tensors)
  local next_one = 0
  local function copy(value)
    if check.is_tensor(value) then
      next_one = next_one + 1
      return tensors[next_one]
    end
    local result = {}
    for _, key in ipairs(fields.sorted_keys(value)) do result[key] = copy(value[key]) end
    return result
  end
  local result = {n = list.values.n}
  for i = 1, result.n do
    if list.values[i] ~= nil then result[i] = copy(list.values[i]) end
  end
  return result
end

return structure
