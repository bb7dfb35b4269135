--- Activations as layers. Some say which attributes of linear, conv2d, conv_transpose2d and
-- batch_norm do the same within that op, and Sequential makes use of that. As long as these
-- attributes stay the same, `fused` gives the same table.
-- @module perilune.nn.activations

local pl = require "perilune"
local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local module = require "perilune.nn.module"

local class = module.class
local activations = {}

-- An op without parameters that is also an activation of those ops.
local function activation_class(name, op)
  local made, attributes = class(name), {activation = op}
  made.fused_as, made.op = "activation", op
  function made:forward(x) return pl[op](x) end
  made.made_forward = made.forward
  function made:fused() return attributes end
  return made
end

--- max(x, 0).
activations.ReLU = activation_class("ReLU", "relu")

--- tanh(x).
activations.Tanh = activation_class("Tanh", "tanh")

--- 1 / (1 + exp(-x)).
activations.Sigmoid = activation_class("Sigmoid", "sigmoid")

--- x where x > 0, else slope * x.
-- @param[opt=0.01] slope number
activations.LeakyReLU = class "LeakyReLU"
local LeakyReLU = activations.LeakyReLU
LeakyReLU.fused_as, LeakyReLU.op, LeakyReLU.made_of = "activation", "leaky_relu", {"slope"}

function LeakyReLU:init(slope)
  self.slope = check.unwrapped(slope or 0.01)
  if type(self.slope) ~= "number" then
    complain("LeakyReLU: slope: number expected, got %s", check.type(slope))
  end
end

function LeakyReLU:forward(x)
  return pl.leaky_relu(x, self.slope)
end
LeakyReLU.made_forward = LeakyReLU.forward

function LeakyReLU:_op_attributes()
  return {slope = self.slope}
end

-- The sign of the result must be that of the argument.
function LeakyReLU:fused()
  if self.slope < 0 then return nil end
  if not self._fused or self._fused.slope ~= self.slope then
    self._fused = {activation = "leaky_relu", slope = self.slope}
  end
  return self._fused
end

function LeakyReLU:extra()
  return ("%g"):format(self.slope)
end

--- log(1 + exp(x)).
activations.Softplus = class "Softplus"
activations.Softplus.op = "softplus"
function activations.Softplus:forward(x) return pl.softplus(x) end
activations.Softplus.made_forward = activations.Softplus.forward

--- exp(x) / sum exp(x) over a dimension.
-- @param[opt=-1] dim dimension
activations.Softmax = class "Softmax"
activations.Softmax.op, activations.Softmax.made_of = "softmax", {"dim"}
function activations.Softmax:init(dim) self.dim = dim or -1 end
function activations.Softmax:forward(x) return pl.softmax(x, self.dim) end
activations.Softmax.made_forward = activations.Softmax.forward
function activations.Softmax:_op_attributes() return {dim = self.dim} end
function activations.Softmax:extra() return tostring(self.dim) end

--- log softmax(x) over a dimension.
-- @param[opt=-1] dim dimension
activations.LogSoftmax = class("LogSoftmax", activations.Softmax)
activations.LogSoftmax.op = "log_softmax"
function activations.LogSoftmax:forward(x) return pl.log_softmax(x, self.dim) end
activations.LogSoftmax.made_forward = activations.LogSoftmax.forward

return activations
