--- Initialisers: fill tensors in place with the usual random distributions. They return the
-- tensor (`dcgan_` takes a whole network). In the names of arguments, `fan_in` is the number of
-- inputs of one output.
-- @module perilune.nn.init

local pl = require "perilune"
local blame = require "perilune.internal.blame"
local check = require "perilune.internal.check"
local option = require "perilune.internal.option"
local words = require "perilune.internal.words"

local complain, blaming = blame.complain, blame.blaming
local init = {}

-- Calls a method that changes a tensor in place, which parameters allow without recording.
local function fill(who, t, method, ...)
  check.tensor(who, t)
  return blaming(pl.no_grad, t[method], t, ...)
end

-- Inputs and outputs of a weight: [out, in] or [out, in, height, width].
local function fans(who, weight)
  check.tensor(who, weight)
  local size = weight:size()
  if #size < 2 then
    complain("%s: weight with at least 2 dimensions expected, got %s", who, words.shape(weight))
  end
  local field = 1
  for i = 3, #size do field = field * size[i] end
  return size[2] * field, size[1] * field
end

local gains = {
  linear = 1, sigmoid = 1, conv2d = 1, tanh = 5 / 3, relu = math.sqrt(2),
}

--- The factor by which an activation asks for larger weights.
-- @param activation "linear", "sigmoid", "tanh", "relu" or "leaky_relu"
-- @param[opt=0.01] slope of leaky_relu
-- @return number
function init.gain(activation, slope)
  if activation == "leaky_relu" then return math.sqrt(2 / (1 + (slope or 0.01) ^ 2)) end
  return gains[activation] or complain("gain: unknown activation '%s'; known: leaky_relu, %s",
    tostring(activation), table.concat(words.sorted_keys(gains), ", "))
end

--- Uniform in [low, high).
-- @param t tensor
-- @param[opt=0] low number
-- @param[opt=1] high number
function init.uniform_(t, low, high)
  return fill("uniform_", t, "uniform_", low or 0, high or 1)
end

--- Normal.
-- @param t tensor
-- @param[opt=0] mean number
-- @param[opt=1] std number
function init.normal_(t, mean, std)
  return fill("normal_", t, "normal_", mean or 0, std or 1)
end

--- Zeros.
-- @param t tensor
function init.zeros_(t)
  return fill("zeros_", t, "zero_")
end

--- Ones.
-- @param t tensor
function init.ones_(t)
  return fill("ones_", t, "fill_", 1)
end

--- A constant.
-- @param t tensor
-- @param value number
function init.constant_(t, value)
  return fill("constant_", t, "fill_", value)
end

--- He et al. 2015, uniform: variance gain^2 / fan_in.
-- @param t weight
-- @param[opt={a=0}] options `a`: negative slope of the leaky ReLU that follows
function init.kaiming_uniform_(t, options)
  local o = option.read("kaiming_uniform_", options, {a = 0})
  local bound = init.gain("leaky_relu", o.a) * math.sqrt(3 / fans("kaiming_uniform_", t))
  return fill("kaiming_uniform_", t, "uniform_", -bound, bound)
end

--- He et al. 2015, normal: variance gain^2 / fan_in.
-- @param t weight
-- @param[opt={a=0}] options `a`: negative slope of the leaky ReLU that follows
function init.kaiming_normal_(t, options)
  local o = option.read("kaiming_normal_", options, {a = 0})
  local std = init.gain("leaky_relu", o.a) / math.sqrt(fans("kaiming_normal_", t))
  return fill("kaiming_normal_", t, "normal_", 0, std)
end

--- Glorot and Bengio 2010, uniform: variance 2 gain^2 / (fan_in + fan_out).
-- @param t weight
-- @param[opt=1] gain number
function init.xavier_uniform_(t, gain)
  local fan_in, fan_out = fans("xavier_uniform_", t)
  local bound = (gain or 1) * math.sqrt(6 / (fan_in + fan_out))
  return fill("xavier_uniform_", t, "uniform_", -bound, bound)
end

--- Glorot and Bengio 2010, normal: variance 2 gain^2 / (fan_in + fan_out).
-- @param t weight
-- @param[opt=1] gain number
function init.xavier_normal_(t, gain)
  local fan_in, fan_out = fans("xavier_normal_", t)
  return fill("xavier_normal_", t, "normal_", 0, (gain or 1) * math.sqrt(2 / (fan_in + fan_out)))
end

-- Subtracts from a row its projections on the rows before it, and scales it to length 1.
local function orthonormal_row(rows, i)
  local row = rows[i]
  for _ = 1, 2 do -- twice is enough against rounding
    for j = 1, i - 1 do row = row - rows[j] * (row * rows[j]):sum() end
  end
  return row / (row * row):sum():sqrt()
end

--- A random matrix with orthonormal rows (or columns, if there are fewer of them).
-- @param t weight; further dimensions than the first count as columns
-- @param[opt=1] gain number
function init.orthogonal_(t, gain)
  fans("orthogonal_", t)
  return blaming(pl.no_grad, function()
    local flat = pl.randn(t:size(1), t:numel() // t:size(1))
    local tall = flat:size(1) > flat:size(2)
    if tall then flat = flat:t():contiguous() end
    local rows = {}
    for i = 1, #flat do rows[i] = flat[i] end
    for i = 1, #rows do rows[i] = orthonormal_row(rows, i) end
    local matrix = pl.stack(rows, 1)
    if tall then matrix = matrix:t():contiguous() end
    return t:copy_((matrix * (gain or 1)):reshape(t:size()))
  end)
end

--- The initial values of DCGAN (Radford et al. 2016): weights normal with mean 0 and standard
-- deviation 0.02, those of normalisations with mean 1; biases 0.
-- @param net module
-- @return the module
function init.dcgan_(net)
  local is_module = type(net) == "table" and net.is_module
  if not is_module then complain("dcgan_: module expected, got %s", check.type(net)) end
  return net:apply(function(m)
    local weight, bias = rawget(m, "weight"), rawget(m, "bias")
    if check.is_tensor(weight) then init.normal_(weight, m.normalizes and 1 or 0, 0.02) end
    if check.is_tensor(bias) then init.zeros_(bias) end
  end)
end

return init
