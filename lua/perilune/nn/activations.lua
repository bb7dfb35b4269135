--- Activations as layers. Some say which attributes of linear, conv2d, conv_transpose2d and
-- batch_norm do the same within that op, and Sequential makes use of that. As long as these
-- attributes stay the same, `fused` gives the same table.
-- @module perilune.nn.activations

local pl = require "perilune"
local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local module = require "perilune.nn.module"
local words = require "perilune.internal.words"

local class = module.class
local activations = {}

-- Sets the fields that an op's attributes are made of: numbers; what is nil gets its default.
local function take_numbers(self, more, ...)
  local who = self.class_name
  if more ~= nil then complain("%s: too many arguments", who) end
  for i, spec in ipairs(pl.op(self.op).attrs) do
    local value = check.unwrapped((select(i, ...)))
    if value == nil then value = spec.default end
    if type(value) ~= "number" then
      complain("%s: %s: number expected, got %s", who, spec.name, check.type(value))
    end
    self[spec.name] = value
  end
end

-- The class of an op of one tensor, whose attributes are fields.
local function op_class(name, op)
  local made, fields = class(name), {}
  for i, spec in ipairs(pl.op(op).attrs) do fields[i] = spec.name end
  made.op, made.made_of = op, fields

  function made:_op_attributes()
    local attributes = {}
    for _, field in ipairs(fields) do attributes[field] = self[field] end
    return attributes
  end

  function made:forward(x)
    if #fields == 0 then return pl[op](x) end
    return pl[op](x, made._op_attributes(self))
  end
  made.made_forward = made.forward

  function made:extra()
    local texts = {}
    for i, field in ipairs(fields) do texts[i] = ("%g"):format(self[field]) end
    return table.concat(texts, ", ")
  end
  return made
end

-- An op without parameters that is also an activation of those ops.
local function activation_class(name, op)
  local made, attributes = op_class(name, op), {activation = op}
  made.fused_as = "activation"
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
activations.LeakyReLU = op_class("LeakyReLU", "leaky_relu")
local LeakyReLU = activations.LeakyReLU
LeakyReLU.fused_as = "activation"
function LeakyReLU:init(slope, ...) take_numbers(self, (...), slope) end

-- The sign of the result must be that of the argument.
function LeakyReLU:fused()
  if self.slope < 0 then return nil end
  if not self._fused or self._fused.slope ~= self.slope then
    self._fused = {activation = "leaky_relu", slope = self.slope}
  end
  return self._fused
end

--- log(1 + exp(x)).
activations.Softplus = op_class("Softplus", "softplus")

--- x where x > 0, else alpha (exp(x) - 1) (Clevert, Unterthiner and Hochreiter 2015).
-- @param[opt=1] alpha number
activations.ELU = op_class("ELU", "elu")
function activations.ELU:init(alpha, ...) take_numbers(self, (...), alpha) end

--- ELU scaled such that mean 0 and variance 1 stay from layer to layer (Klambauer et al. 2017).
activations.SELU = op_class("SELU", "selu")

--- x times the normal distribution function (Hendrycks and Gimpel 2016).
activations.GELU = op_class("GELU", "gelu")

--- x sigmoid(x), also called swish (Elfwing, Uchibe and Doya 2017).
activations.SiLU = op_class("SiLU", "silu")

--- x tanh(log(1 + exp(x))) (Misra 2019).
activations.Mish = op_class("Mish", "mish")

--- x limited to [min_val, max_val].
-- @param[opt=-1] min_val number
-- @param[opt=1] max_val number
activations.Hardtanh = op_class("Hardtanh", "hardtanh")
function activations.Hardtanh:init(min_val, max_val, ...)
  take_numbers(self, (...), min_val, max_val)
end

--- x / 6 + 1/2, limited to [0, 1] (Howard et al. 2019).
activations.Hardsigmoid = op_class("Hardsigmoid", "hardsigmoid")

--- x hardsigmoid(x) (Howard et al. 2019).
activations.Hardswish = op_class("Hardswish", "hardswish")

--- log(1 / (1 + exp(-x))).
activations.LogSigmoid = op_class("LogSigmoid", "logsigmoid")

--- x where x > 0, else weight * x, with a weight that is learned: one, or one a channel, the second
-- dimension (He et al. 2015).
-- @param[opt=1] num_parameters 1, or the number of channels
-- @param[opt=0.25] init what the weights are at first
activations.PReLU = class "PReLU"
local PReLU = activations.PReLU

function PReLU:init(num_parameters, init, ...)
  if (...) ~= nil then complain("PReLU: two arguments expected, num_parameters and init") end
  local n = check.count("PReLU", "num_parameters", num_parameters or 1)
  init = check.unwrapped(init or 0.25)
  if type(init) ~= "number" then
    complain("PReLU: init: number expected, got %s", check.type(init))
  end
  self.weight = module.parameter(pl.full({n}, init))
end

function PReLU:forward(x)
  local n = #self.weight
  if n > 1 and (x:dim() < 2 or x:size(2) ~= n) then
    complain("PReLU: %d channels in dim 2 expected, got %s", n, words.shape(x))
  end
  local sizes = {}
  for i = 1, x:dim() do sizes[i] = i == 2 and n or 1 end
  local weight = n > 1 and self.weight:reshape(sizes) or self.weight
  return pl.where(x:gt(0), x, weight * x)
end

function PReLU:extra()
  return tostring(#self.weight)
end

--- a sigmoid(b), where a and b are the halves of x (Dauphin et al. 2017).
-- @param[opt=-1] dim dimension that is halved
activations.GLU = class "GLU"
local GLU = activations.GLU

function GLU:init(dim, ...)
  if (...) ~= nil then complain("GLU: one argument expected, dim") end
  if dim ~= nil and not math.tointeger(dim) then
    complain("GLU: dim: integer expected, got %s", check.shown(dim))
  end
  self.dim = dim or -1
end

function GLU:forward(x)
  local n = x:size(self.dim)
  if n % 2 ~= 0 then
    complain("GLU: an even size of dim %d expected, got %s", self.dim, words.shape(x))
  end
  return x:narrow(self.dim, 1, n // 2) * x:narrow(self.dim, n // 2 + 1, n // 2):sigmoid()
end

function GLU:extra()
  return tostring(self.dim)
end

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
