--- Activations as layers. ReLU and LeakyReLU say which attributes of linear, conv2d,
-- conv_transpose2d and batch_norm do the same in one pass, and Sequential makes use of that.
-- As long as these attributes stay the same, `fused` gives the same table.
-- @module perilune.nn.activations

local pl = require "perilune"
local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local module = require "perilune.nn.module"

local class = module.class
local activations = {}

--- max(x, 0).
activations.ReLU = class "ReLU"
local ReLU = activations.ReLU
ReLU.fused_as = "activation"

function ReLU:forward(x)
  return pl.relu(x)
end
ReLU.made_forward = ReLU.forward

local RELU <const> = {activation = "relu"}
function ReLU:fused()
  return RELU
end

--- x where x > 0, else slope * x.
-- @param[opt=0.01] slope number
activations.LeakyReLU = class "LeakyReLU"
local LeakyReLU = activations.LeakyReLU
LeakyReLU.fused_as = "activation"

function LeakyReLU:init(slope)
  self.slope = check.unwrapped(slope or 0.01)
  if type(self.slope) ~= "number" then
    complain("LeakyReLU: slope: number expected, got %s", type(slope))
  end
end

function LeakyReLU:forward(x)
  return pl.leaky_relu(x, self.slope)
end
LeakyReLU.made_forward = LeakyReLU.forward

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

--- tanh(x).
activations.Tanh = class "Tanh"
function activations.Tanh:forward(x) return pl.tanh(x) end

--- 1 / (1 + exp(-x)).
activations.Sigmoid = class "Sigmoid"
function activations.Sigmoid:forward(x) return pl.sigmoid(x) end

--- log(1 + exp(x)).
activations.Softplus = class "Softplus"
function activations.Softplus:forward(x) return pl.softplus(x) end

--- exp(x) / sum exp(x) over a dimension.
-- @param[opt=-1] dim dimension
activations.Softmax = class "Softmax"
function activations.Softmax:init(dim) self.dim = dim or -1 end
function activations.Softmax:forward(x) return pl.softmax(x, self.dim) end
function activations.Softmax:extra() return tostring(self.dim) end

--- log softmax(x) over a dimension.
-- @param[opt=-1] dim dimension
activations.LogSoftmax = class("LogSoftmax", activations.Softmax)
function activations.LogSoftmax:forward(x) return pl.log_softmax(x, self.dim) end

return activations
