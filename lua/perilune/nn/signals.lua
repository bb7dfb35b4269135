--- Layers over the length of sequences [N, channels, length]: convolutions, pooling, normalisation.
-- They are those of images of one line. Names, arguments and initial values are PyTorch's.
-- @module perilune.nn.signals

local pl = require "perilune"
local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local option = require "perilune.internal.option"
local shape_of = require("perilune.internal.words").shape
local arguments = require "perilune.nn.arguments"
local module = require "perilune.nn.module"

local class, parameter = module.class, module.parameter
local signals = {}

-- A sequence as an image of one line.
local function line(self, x)
  if x:dim() ~= 3 then
    complain("%s: input [N,channels,length] expected, got %s", self.class_name, shape_of(x))
  end
  return x:unsqueeze(3)
end

-- An integer of at least `least`.
local function size(self, what, value, least)
  local n = math.tointeger(check.unwrapped(value))
  if not n or n < least then
    complain("%s: %s: integer of at least %d expected, got %s", self.class_name, what, least,
             check.shown(value))
  end
  return n
end

-- ", name=value" for each option that is not what it usually is.
local function described(self, usual, names)
  local texts = {}
  for _, name in ipairs(names) do
    local value = self["_" .. name]
    if value ~= usual[name] then texts[#texts + 1] = (", %s=%d"):format(name, value) end
  end
  return table.concat(texts)
end

--
-- Convolutions
--

local CONV <const> = {stride = 1, padding = 0, dilation = 1, bias = true}
local TRANSPOSED <const> = {stride = 1, padding = 0, output_padding = 0, dilation = 1, bias = true}

local function init_conv(self, n_in, n_out, kernel_size, options, usual)
  local o = option.read(self.class_name, options, usual)
  n_in = check.count(self.class_name, "number of input channels", n_in)
  n_out = check.count(self.class_name, "number of output channels", n_out)
  self._stride = size(self, "stride", o.stride, 1)
  self._dilation = size(self, "dilation", o.dilation, 1)
  self._padding = size(self, "padding", o.padding, 0)
  self._attributes = {
    stride = {1, self._stride}, padding = {0, self._padding}, dilation = {1, self._dilation}}
  return n_in, n_out, size(self, "kernel size", kernel_size, 1), o
end

local function conv_extra(self, n_in, n_out, usual, names)
  return ("%d, %d, %d%s%s"):format(n_in, n_out, self.weight:size(3),
    described(self, usual, names), self.bias and "" or ", bias=false")
end

--- Convolution of sequences [N, channels, length]; its weight is [n_out, n_in, kernel_size].
-- @param n_in number of input channels
-- @param n_out number of output channels
-- @param kernel_size integer; so are the options
-- @param[opt={stride=1, padding=0, dilation=1, bias=true}] options
signals.Conv1d = class "Conv1d"
local Conv1d = signals.Conv1d

function Conv1d:init(n_in, n_out, kernel_size, options)
  local k, o
  n_in, n_out, k, o = init_conv(self, n_in, n_out, kernel_size, options, CONV)
  arguments.weight_and_bias(self, {n_out, n_in, k}, n_out, o.bias)
end

function Conv1d:forward(x)
  return pl.conv2d(line(self, x), self.weight:unsqueeze(3), self.bias, self._attributes):squeeze(3)
end

function Conv1d:extra()
  return conv_extra(self, self.weight:size(2), self.weight:size(1), CONV,
                    {"stride", "padding", "dilation"})
end

--- Transposed convolution of sequences [N, channels, length], the adjoint of `Conv1d`; its weight
-- is [n_in, n_out, kernel_size]. A result has (length - 1) stride - 2 padding +
-- dilation (kernel_size - 1) + output_padding + 1 places; output_padding is less than stride.
-- @param n_in number of input channels
-- @param n_out number of output channels
-- @param kernel_size integer; so are the options
-- @param[opt={stride=1, padding=0, output_padding=0, dilation=1, bias=true}] options
signals.ConvTranspose1d = class "ConvTranspose1d"
local ConvTranspose1d = signals.ConvTranspose1d

function ConvTranspose1d:init(n_in, n_out, kernel_size, options)
  local k, o
  n_in, n_out, k, o = init_conv(self, n_in, n_out, kernel_size, options, TRANSPOSED)
  self._output_padding = size(self, "output_padding", o.output_padding, 0)
  self._attributes.output_padding = {0, self._output_padding}
  arguments.weight_and_bias(self, {n_in, n_out, k}, n_out, o.bias)
end

function ConvTranspose1d:forward(x)
  return pl.conv_transpose2d(line(self, x), self.weight:unsqueeze(3), self.bias, self._attributes)
    :squeeze(3)
end

function ConvTranspose1d:extra()
  return conv_extra(self, self.weight:size(1), self.weight:size(2), TRANSPOSED,
                    {"stride", "padding", "output_padding", "dilation"})
end

--
-- Pooling
--

local function init_pool(self, kernel_size, options)
  local o = option.read(self.class_name, options, {stride = option.absent, padding = 0})
  self._kernel_size = size(self, "kernel size", kernel_size, 1)
  self._stride = size(self, "stride", o.stride or self._kernel_size, 1)
  self._padding = size(self, "padding", o.padding, 0)
  self._attributes = {
    size = {1, self._kernel_size}, stride = {1, self._stride}, padding = {0, self._padding}}
end

local function pool_extra(self)
  return tostring(self._kernel_size)
    .. described(self, {stride = self._kernel_size, padding = 0}, {"stride", "padding"})
end

--- The greatest value of each window of sequences [N, channels, length].
-- @param kernel_size integer
-- @param[opt={stride=kernel_size, padding=0}] options
signals.MaxPool1d = class "MaxPool1d"
signals.MaxPool1d.init, signals.MaxPool1d.extra = init_pool, pool_extra

function signals.MaxPool1d:forward(x)
  return pl.max_pool2d(line(self, x), self._attributes):squeeze(3)
end

--- The mean of each window of sequences [N, channels, length].
-- @param kernel_size integer
-- @param[opt={stride=kernel_size, padding=0}] options
signals.AvgPool1d = class "AvgPool1d"
signals.AvgPool1d.init, signals.AvgPool1d.extra = init_pool, pool_extra

function signals.AvgPool1d:forward(x)
  return pl.avg_pool2d(line(self, x), self._attributes):squeeze(3)
end

--- Normalisation of each channel of each sequence [N, n, length] (Ulyanov et al. 2016).
-- @param n number of channels
-- @param[opt={eps=1e-5, affine=false}] options
signals.InstanceNorm1d = class "InstanceNorm1d"
local InstanceNorm1d = signals.InstanceNorm1d
InstanceNorm1d.normalizes = true

function InstanceNorm1d:init(n, options)
  n = check.count("InstanceNorm1d", "number of features", n)
  local o = option.read("InstanceNorm1d", options, {eps = 1e-5, affine = false})
  self._eps, self._features = o.eps, n
  if o.affine then self.weight, self.bias = parameter(pl.ones(n)), parameter(pl.zeros(n)) end
end

function InstanceNorm1d:forward(x)
  if x:dim() ~= 3 or x:size(2) ~= self._features then
    complain("InstanceNorm1d: sequences [N,%d,length] expected, got %s", self._features,
             shape_of(x))
  end
  return pl.instance_norm(line(self, x), self.weight, self.bias, {eps = self._eps}):squeeze(3)
end

function InstanceNorm1d:extra()
  return ("%d%s"):format(self._features, self.weight and ", affine=true" or "")
end

return signals
