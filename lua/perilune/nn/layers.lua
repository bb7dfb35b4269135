--- Layers with parameters or with a mode: linear, convolutions, pooling, normalisation,
-- dropout. Names, arguments and initial values are PyTorch's.
-- @module perilune.nn.layers

local pl = require "perilune"
local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local option = require "perilune.internal.option"
local words = require "perilune.internal.words"
local arguments = require "perilune.nn.arguments"
local module = require "perilune.nn.module"

local class, parameter = module.class, module.parameter
local attribute, described = arguments.attribute, arguments.described
local pair, pair_text = arguments.pair, arguments.pair_text
local weight_and_bias = arguments.weight_and_bias
local layers = {}

--- y = x W' + b, over the last dimension.
-- @param n_in number of inputs
-- @param n_out number of outputs
-- @param[opt={bias=true}] options
layers.Linear = class "Linear"
local Linear = layers.Linear
Linear.fuses, Linear.op, Linear.operands = {"activation"}, "linear", {"weight", "bias"}

function Linear:init(n_in, n_out, options)
  n_in = check.count("Linear", "number of inputs", n_in)
  n_out = check.count("Linear", "number of outputs", n_out)
  local o = option.read("Linear", options, {bias = true})
  weight_and_bias(self, {n_out, n_in}, n_out, o.bias)
end

function Linear:forward(x, attributes)
  if not attributes then return pl.linear(x, self.weight, self.bias) end
  return pl.linear(x, self.weight, self.bias, attributes)
end
Linear.made_forward = Linear.forward

function Linear:extra()
  return ("%d, %d%s"):format(self.weight:size(2), self.weight:size(1),
                             self.bias and "" or ", bias=false")
end

-- What convolutions share: both numbers of channels, the kernel's size and the options, checked,
-- and the attributes of the op, which are options too.
local function init_conv(self, n_in, n_out, kernel_size, options, defaults)
  local who = getmetatable(self).class_name
  local k = pair(who, "kernel size", kernel_size, 1)
  local o = option.read(who, options, defaults)
  self._attributes = {
    stride = attribute(pair(who, "stride", o.stride, 1), 1),
    padding = attribute(pair(who, "padding", o.padding, 0), 0),
    dilation = attribute(pair(who, "dilation", o.dilation, 1), 1),
  }
  return check.count(who, "number of input channels", n_in),
         check.count(who, "number of output channels", n_out), k, o
end

local function conv_extra(self, n_in, n_out, more)
  local size, a = self.weight:size(), self._attributes
  return ("%d, %d, %s%s%s%s%s%s"):format(
    n_in, n_out, pair_text {size[3], size[4]}, described(a.stride, "stride"),
    described(a.padding, "padding"), more, described(a.dilation, "dilation"),
    self.bias and "" or ", bias=false")
end

--- Convolution of images [N, channels, height, width].
-- @param n_in number of input channels
-- @param n_out number of output channels
-- @param kernel_size integer, or {height, width}; so are the options
-- @param[opt={stride=1, padding=0, dilation=1, bias=true}] options
layers.Conv2d = class "Conv2d"
local Conv2d = layers.Conv2d
Conv2d.fuses, Conv2d.op, Conv2d.operands = {"activation", "max_pool"}, "conv2d", {"weight", "bias"}

function Conv2d:init(n_in, n_out, kernel_size, options)
  local k, o
  n_in, n_out, k, o = init_conv(self, n_in, n_out, kernel_size, options,
                                {stride = 1, padding = 0, dilation = 1, bias = true})
  weight_and_bias(self, {n_out, n_in, k[1], k[2]}, n_out, o.bias)
end

function Conv2d:forward(x, attributes)
  return pl.conv2d(x, self.weight, self.bias, attributes or self._attributes)
end
Conv2d.made_forward = Conv2d.forward

function Conv2d:extra()
  return conv_extra(self, self.weight:size(2), self.weight:size(1), "")
end

--- Transposed convolution of images [N, channels, height, width], the adjoint of `Conv2d`; its
-- weight is [n_in, n_out, height, width]. A result has (height - 1) stride - 2 padding +
-- dilation (kernel_size - 1) + output_padding + 1 rows; output_padding is less than stride.
-- @param n_in number of input channels
-- @param n_out number of output channels
-- @param kernel_size integer, or {height, width}; so are the options
-- @param[opt={stride=1, padding=0, output_padding=0, dilation=1, bias=true}] options
layers.ConvTranspose2d = class "ConvTranspose2d"
local ConvTranspose2d = layers.ConvTranspose2d
ConvTranspose2d.fuses = {"activation"}
ConvTranspose2d.op, ConvTranspose2d.operands = "conv_transpose2d", {"weight", "bias"}

function ConvTranspose2d:init(n_in, n_out, kernel_size, options)
  local k, o
  n_in, n_out, k, o = init_conv(self, n_in, n_out, kernel_size, options,
                                {stride = 1, padding = 0, output_padding = 0, dilation = 1,
                                 bias = true})
  self._attributes.output_padding =
    attribute(pair("ConvTranspose2d", "output_padding", o.output_padding, 0), 0)
  weight_and_bias(self, {n_in, n_out, k[1], k[2]}, n_out, o.bias)
end

function ConvTranspose2d:forward(x, attributes)
  return pl.conv_transpose2d(x, self.weight, self.bias, attributes or self._attributes)
end
ConvTranspose2d.made_forward = ConvTranspose2d.forward

function ConvTranspose2d:extra()
  return conv_extra(self, self.weight:size(1), self.weight:size(2),
                    described(self._attributes.output_padding, "output_padding"))
end

local function init_pool(self, name, kernel_size, options)
  local o = option.read(name, options, {stride = option.absent, padding = 0})
  local k = pair(name, "kernel size", kernel_size, 1)
  local stride = o.stride and pair(name, "stride", o.stride, 1) or k
  local padding = pair(name, "padding", o.padding, 0)
  self._attributes = {
    size = attribute(k), stride = attribute(stride), padding = attribute(padding, 0)}
  return k, stride, padding
end

local function pool_extra(self)
  local k, stride = pair_text(self._attributes.size), pair_text(self._attributes.stride)
  return k .. (stride ~= k and ", stride=" .. stride or "")
    .. described(self._attributes.padding, "padding")
end

--- The greatest value of each window.
-- @param kernel_size integer, or {height, width}
-- @param[opt={stride=kernel_size, padding=0}] options
layers.MaxPool2d = class "MaxPool2d"
local MaxPool2d = layers.MaxPool2d
MaxPool2d.fused_as, MaxPool2d.op = "max_pool", "max_pool2d"

-- For square windows that lie side by side; nil for others.
local function fused_pool(k, stride, padding)
  for i = 1, 2 do
    if k[i] ~= k[1] or stride[i] ~= k[1] or padding[i] ~= 0 then return nil end
  end
  return {max_pool = k[1]}
end

function MaxPool2d:init(kernel_size, options)
  self._fused = fused_pool(init_pool(self, "MaxPool2d", kernel_size, options))
end

function MaxPool2d:forward(x)
  return pl.max_pool2d(x, self._attributes)
end
MaxPool2d.made_forward = MaxPool2d.forward

function MaxPool2d:fused()
  return self._fused
end

MaxPool2d.extra = pool_extra

--- The mean of each window.
-- @param kernel_size integer, or {height, width}
-- @param[opt={stride=kernel_size, padding=0}] options
layers.AvgPool2d = class "AvgPool2d"
local AvgPool2d = layers.AvgPool2d
AvgPool2d.op = "avg_pool2d"

function AvgPool2d:init(kernel_size, options)
  init_pool(self, "AvgPool2d", kernel_size, options)
end

function AvgPool2d:forward(x)
  return pl.avg_pool2d(x, self._attributes)
end
AvgPool2d.made_forward = AvgPool2d.forward

AvgPool2d.extra = pool_extra

-- What BatchNorm1d and BatchNorm2d share; they differ in the ranks that they accept.
local BatchNorm = class "BatchNorm"
BatchNorm.fuses = {"activation"}
BatchNorm.normalizes = true
BatchNorm.counts_batches = true -- in PyTorch

function BatchNorm:init(n, options)
  local who = getmetatable(self).class_name
  n = check.count(who, "number of features", n)
  local o = option.read(who, options, {eps = 1e-5, momentum = 0.1, affine = true})
  self._attributes, self._features = {eps = o.eps, momentum = o.momentum}, n
  if o.affine then
    self.weight, self.bias = parameter(pl.ones(n)), parameter(pl.zeros(n))
  end
  self.running_mean, self.running_var = pl.zeros(n), pl.ones(n)
end

function BatchNorm:forward(x, attributes)
  if not self.ranks[x:dim()] then
    complain("%s: input with %s dimensions expected, got %s", getmetatable(self).class_name,
      self.ranks.text, words.shape(x))
  end
  attributes = attributes or self._attributes
  attributes.training = self.training
  return pl.batch_norm(x, self.weight, self.bias, self.running_mean, self.running_var,
                       attributes)
end
BatchNorm.made_forward = BatchNorm.forward

function BatchNorm:extra()
  return ("%d%s"):format(self._features, self.weight and "" or ", affine=false")
end

--- Batch normalisation (Ioffe and Szegedy 2015) of features: [N, n] or [N, n, length].
-- @param n number of features
-- @param[opt={eps=1e-5, momentum=0.1, affine=true}] options
layers.BatchNorm1d = class("BatchNorm1d", BatchNorm)
layers.BatchNorm1d.ranks = {[2] = true, [3] = true, text = "2 or 3"}

--- Batch normalisation of the channels of images [N, n, height, width].
-- @param n number of channels
-- @param[opt={eps=1e-5, momentum=0.1, affine=true}] options
layers.BatchNorm2d = class("BatchNorm2d", BatchNorm)
layers.BatchNorm2d.fuses = {"activation", "max_pool"}
layers.BatchNorm2d.ranks = {[4] = true, text = "4"}

--- Normalisation of each example over its last dimensions (Ba et al. 2016).
-- @param normalized_shape the sizes of these dimensions: integer, or list
-- @param[opt={eps=1e-5, elementwise_affine=true}] options
layers.LayerNorm = class "LayerNorm"
local LayerNorm = layers.LayerNorm
LayerNorm.normalizes, LayerNorm.op, LayerNorm.operands = true, "layer_norm", {"weight", "bias"}

function LayerNorm:init(normalized_shape, options)
  local sizes = arguments.sizes("LayerNorm", "normalized_shape", normalized_shape)
  local o = option.read("LayerNorm", options, {eps = 1e-5, elementwise_affine = true})
  self._attributes = {normalized_shape = sizes, eps = o.eps}
  if o.elementwise_affine then
    self.weight, self.bias = parameter(pl.ones(sizes)), parameter(pl.zeros(sizes))
  end
end

function LayerNorm:forward(x)
  return pl.layer_norm(x, self.weight, self.bias, self._attributes)
end
LayerNorm.made_forward = LayerNorm.forward

function LayerNorm:extra()
  local sizes = self._attributes.normalized_shape
  local shape = table.concat(sizes, ", ")
  if #sizes > 1 then shape = "{" .. shape .. "}" end
  return shape .. (self.weight and "" or ", elementwise_affine=false")
end

--- Normalisation of each channel of each image [N, n, height, width] (Ulyanov et al. 2016).
-- @param n number of channels
-- @param[opt={eps=1e-5, affine=false}] options
layers.InstanceNorm2d = class "InstanceNorm2d"
local InstanceNorm2d = layers.InstanceNorm2d
InstanceNorm2d.normalizes = true

function InstanceNorm2d:init(n, options)
  n = check.count("InstanceNorm2d", "number of features", n)
  local o = option.read("InstanceNorm2d", options, {eps = 1e-5, affine = false})
  self._eps, self._features = o.eps, n
  if o.affine then
    self.weight, self.bias = parameter(pl.ones(n)), parameter(pl.zeros(n))
  end
end

function InstanceNorm2d:forward(x)
  if x:dim() ~= 4 or x:size(2) ~= self._features then
    complain("InstanceNorm2d: images [N,%d,height,width] expected, got %s", self._features,
      words.shape(x))
  end
  return pl.instance_norm(x, self.weight, self.bias, {eps = self._eps})
end

function InstanceNorm2d:extra()
  return ("%d%s"):format(self._features, self.weight and ", affine=true" or "")
end

--- Sets values to zero with probability p during training, and scales the others so that
-- the mean stays; in evaluation mode it does nothing.
-- @param[opt=0.5] p probability
layers.Dropout = class "Dropout"
local Dropout = layers.Dropout

local function init_dropout(self, p, more)
  local who = self.class_name
  p = check.unwrapped(p or 0.5)
  if more ~= nil then complain("%s: one argument expected, p", who) end
  if type(p) ~= "number" or not (p >= 0 and p < 1) then
    complain("%s: p: number in [0, 1) expected, got %s", who, check.shown(p))
  end
  self.p = p
end

function Dropout:init(p, ...) init_dropout(self, p, (...)) end

function Dropout:forward(x)
  if not self.training or self.p == 0 then return x end
  return pl.dropout(x, self.p, true)
end

function Dropout:extra()
  return ("%g"):format(self.p)
end

-- Drops whole parts: what has the same place in the first `kept` dimensions has one chance.
local function drop_parts(self, x, kept)
  if not self.training or self.p == 0 then return x end
  local sizes = {}
  for i = 1, x:dim() do sizes[i] = i <= kept and x:size(i) or 1 end
  return x * pl.dropout(pl.ones(sizes), self.p, true)
end

--- Sets whole channels of images [N, channels, height, width] to zero with probability p during
-- training, and scales the others so that the mean stays (Tompson et al. 2015).
-- @param[opt=0.5] p probability
layers.Dropout2d = class "Dropout2d"
function layers.Dropout2d:init(p, ...) init_dropout(self, p, (...)) end
layers.Dropout2d.extra = Dropout.extra

function layers.Dropout2d:forward(x)
  if x:dim() ~= 4 then
    complain("Dropout2d: images [N,channels,height,width] expected, got %s", words.shape(x))
  end
  return drop_parts(self, x, 2)
end

--- Sets whole examples [N, ...] to zero with probability p during training, and scales the others
-- so that the mean stays: what stands beside a shortcut, `x + drop(f(x))`, is left out for them
-- (stochastic depth, Huang et al. 2016).
-- @param[opt=0.5] p probability
layers.DropPath = class "DropPath"
function layers.DropPath:init(p, ...) init_dropout(self, p, (...)) end
layers.DropPath.extra = Dropout.extra

function layers.DropPath:forward(x)
  return drop_parts(self, x, 1)
end

--- Joins all dimensions from a given one on into one.
-- @param[opt=2] from dimension
layers.Flatten = class "Flatten"
local Flatten = layers.Flatten

function Flatten:init(from, ...)
  if from ~= nil and not math.tointeger(from) then
    complain("Flatten: from: dimension expected, got %s", check.shown(from))
  elseif (...) ~= nil then
    complain("Flatten: one argument expected: the dimensions from there on become one")
  end
  self._from = from or 2
end

function Flatten:forward(x)
  return x:flatten(self._from)
end

function Flatten:extra()
  return self._from == 2 and "" or tostring(self._from)
end

--- Splits one dimension into several: `nn.Unflatten(2, {256, 4, 4})` makes images of rows.
-- @param dim dimension
-- @param sizes list of integers; one may be -1
layers.Unflatten = class "Unflatten"
local Unflatten = layers.Unflatten

function Unflatten:init(dim, sizes)
  if not math.tointeger(dim) or dim == 0 then
    complain("Unflatten: dim: integer other than 0 expected, got %s", check.shown(dim))
  end
  if type(sizes) ~= "table" or #sizes == 0 then
    complain("Unflatten: sizes: list of integers expected")
  end
  self._dim, self._sizes = dim, {}
  for i, n in ipairs(sizes) do
    n = check.unwrapped(n)
    self._sizes[i] = math.type(n) and math.tointeger(n)
      or complain("Unflatten: sizes: integers expected, got %s", check.shown(n))
  end
end

function Unflatten:forward(x)
  local size = x:size()
  local dim = self._dim > 0 and self._dim or #size + 1 + self._dim
  if not size[dim] then
    complain("Unflatten: there is no dim %d in %s", self._dim, words.shape(x))
  end
  local result = table.move(size, 1, dim - 1, 1, {})
  table.move(self._sizes, 1, #self._sizes, dim, result)
  return x:reshape(table.move(size, dim + 1, #size, #result + 1, result))
end

function Unflatten:extra()
  return ("%d, {%s}"):format(self._dim, table.concat(self._sizes, ", "))
end

--- Gives back what it gets.
layers.Identity = class "Identity"

function layers.Identity:forward(x)
  return x
end

return layers
