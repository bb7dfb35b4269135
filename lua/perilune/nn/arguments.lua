--- What layers do with their arguments (internal).
-- @module perilune.nn.arguments

local pl = require "perilune"
local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local init = require "perilune.nn.initializers"
local module = require "perilune.nn.module"

local parameter = module.parameter
local arguments = {}

--- Gives a layer its weight, and n_out biases unless there are to be none. PyTorch counts the
-- elements of weight[1] as the inputs of one output, which in a transposed convolution they are
-- not.
-- @param self layer
-- @param size list: that of the weight
-- @param n_out integer
-- @param bias boolean
function arguments.weight_and_bias(self, size, n_out, bias)
  self.weight = parameter(init.kaiming_uniform_(pl.empty(size), {a = math.sqrt(5)}))
  local bound = 1 / math.sqrt(self.weight:numel() // size[1])
  if bias then self.bias = parameter(pl.empty(n_out):uniform_(-bound, bound)) end
end

--- Two integers from one or from a pair.
-- @param who the layer's class
-- @param what the argument
-- @param value as it was given
-- @param least integer
-- @return list of two
function arguments.pair(who, what, value, least)
  value = check.unwrapped(value)
  if math.type(value) then value = {value, value} end
  local a, b
  if type(value) == "table" and #value == 2 then
    a, b = math.tointeger(value[1]), math.tointeger(value[2])
  end
  if not a or not b or a < least or b < least then
    complain("%s: %s: integer of at least %d, or two of them, expected", who, what, least)
  end
  return {a, b}
end

--- Sizes of dimensions from one or from a list.
-- @param who the layer's class
-- @param what the argument
-- @param value as it was given
-- @return list
function arguments.sizes(who, what, value)
  value = check.unwrapped(value)
  local list = math.type(value) and {value} or value
  if type(list) ~= "table" or #list == 0 then
    complain("%s: %s: integer or list of integers expected, got %s", who, what,
      type(list) == "table" and "an empty list" or type(list))
  end
  local sizes = {}
  for i, n in ipairs(list) do sizes[i] = check.count(who, what, n) end
  return sizes
end

--- A pair as an op takes it with the least to read: an integer for two equal ones, nil for those
-- that it has by itself.
-- @param p list of two
-- @param usual integer
-- @return integer, list or nil
function arguments.attribute(p, usual)
  if p[1] ~= p[2] then return p end
  return p[1] ~= usual and p[1] or nil
end

--- A pair, or what `attribute` made of it, in a description.
-- @param p list of two, integer or nil
-- @return string
function arguments.pair_text(p)
  if type(p) ~= "table" then return tostring(p) end
  return p[1] == p[2] and tostring(p[1]) or ("{%d, %d}"):format(p[1], p[2])
end

--- ", name=value" for an attribute that there is.
-- @param p as of `pair_text`
-- @param name string
-- @return string
function arguments.described(p, name)
  return p and (", %s=%s"):format(name, arguments.pair_text(p)) or ""
end

return arguments
