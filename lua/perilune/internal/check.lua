--- Checks of arguments (internal).
-- @module perilune.internal.check

local complain = require("perilune.internal.blame").complain

local check = {}

--- Whether a value is a tensor.
-- @param value anything
-- @return boolean
function check.is_tensor(value)
  local meta = type(value) == "userdata" and getmetatable(value)
  return type(meta) == "table" and meta.__name == "perilune.tensor"
end

--- A number that a tensor without dims holds; any other value as it is.
-- @param value anything
-- @return value
function check.unwrapped(value)
  return check.is_tensor(value) and value:dim() == 0 and value:item() or value
end

--- The type of a value for messages: Lua's, but that of a tensor is tensor.
-- @param value anything
-- @return string
function check.type(value)
  return check.is_tensor(value) and "tensor" or type(value)
end

--- A value for messages: a number, string or boolean itself, else its type. A NaN has no sign.
-- @param value anything
-- @return string
function check.shown(value)
  if value ~= value then return "nan" end
  if type(value) == "table" or type(value) == "userdata" then return check.type(value) end
  return tostring(value)
end

--- Raises an error unless the value is a tensor.
-- @param who the function's name
-- @param value to check
function check.tensor(who, value)
  if not check.is_tensor(value) then complain("%s: tensor expected, got %s", who, type(value)) end
end

--- Raises an error unless the value is a positive integer.
-- @param who the function's name
-- @param what the argument's name
-- @param value to check
-- @return the value as an integer
function check.count(who, what, value)
  value = check.unwrapped(value)
  local n = math.type(value) and math.tointeger(value)
  if n and n >= 1 then return n end
  complain("%s: %s: positive integer expected, got %s", who, what, check.shown(value))
end

--- Raises an error unless the value is an integer of at least 0.
-- @param who the function's name
-- @param what the argument's name
-- @param value to check
-- @return the value as an integer
function check.natural(who, what, value)
  value = check.unwrapped(value)
  local n = math.type(value) and math.tointeger(value)
  if n and n >= 0 then return n end
  complain("%s: %s: integer of at least 0 expected, got %s", who, what, check.shown(value))
end

--- Raises an error unless the value is a list of values of some types.
-- @param who the function's name
-- @param what the argument's name
-- @param list to check
-- @param types set of what `math.type` and `type` call them
function check.list(who, what, list, types)
  if type(list) ~= "table" then
    complain("%s: %s: a list expected, got %s", who, what, check.shown(list))
  end
  for _, item in ipairs(list) do
    if not types[math.type(item) or type(item)] then
      complain("%s: %s has a %s among it", who, what, check.type(item))
    end
  end
end

--- Raises an error unless the value can be a seed of random numbers.
-- @param who the function's name
-- @param value to check
function check.seed(who, value)
  if not math.type(value) or not math.tointeger(value) then
    complain("%s: seed: integer expected, got %s", who, check.shown(value))
  end
end

--- Raises an error unless the value can be the name of a file.
-- @param who the function's name
-- @param path to check
function check.path(who, path)
  if type(path) ~= "string" then
    complain("%s: path expected, got %s", who, check.type(path))
  elseif path == "" or path:find("\0", 1, true) then
    complain("%s: path expected, got an empty or binary string", who)
  end
end

return check
