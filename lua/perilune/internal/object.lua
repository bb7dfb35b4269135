--- Classes of objects whose methods say so when they are called with a dot (internal).
-- @module perilune.internal.object

local complain = require("perilune.internal.blame").complain

local object = {}

local written = setmetatable({}, {__mode = "k"}) -- method -> the function that was written

-- A method that checks what it is called with. The call of the function is a tail call: it stands
-- in no traceback.
local function checked(variable, name, is, f)
  local function method(self, ...)
    if is(self) then return f(self, ...) end
    complain("%s: methods are called with a colon: %s:%s(...)", name, variable, name)
  end
  written[method] = f
  return method
end

-- No methods, or not to be slowed down: `new` makes an object, and `forward` of modules is called
-- for every layer.
local AS_WRITTEN <const> = {new = true, forward = true}

--- What `__index` is of objects of a class: the class. In a host with a policy it is a function, so
-- that a script does not reach the class through an object.
-- @param class table
-- @return table, or a function
function object.index(class)
  return class
end

--- A value of the library that a script gives: in a host with a policy scripts have views of
-- tables. Whether it is one of the library's tables is asked by `rawequal`: `==` would hand that
-- to the script's `__eq`.
-- @param value anything
-- @return the value
function object.itself(value)
  return value
end

--- The same value for a script, of which it gets hold otherwise than through the library's tables.
-- @param value anything
-- @return the value, or a view
function object.shown(value)
  return value
end

--- Makes a class: a table for methods, whose objects find them there.
-- @param variable what an object is called in the message: "net"
-- @param[opt] is function that says whether a value is such an object; else its metatable does
-- @return table
function object.class(variable, is)
  local class = {}
  class.__index = object.index(class)
  is = is or function(value) return rawequal(getmetatable(value), class) end
  return setmetatable(class, {__newindex = function(_, name, value)
    local method = type(value) == "function" and not name:find "^__" and not AS_WRITTEN[name]
    rawset(class, name, method and checked(variable, name, is, value) or value)
  end})
end

--- The function that was written as a method.
-- @param f function
-- @return function
function object.written(f)
  return written[f] or f
end

return object
