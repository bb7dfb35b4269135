--- Layers that make images and sequences larger or smaller, pad them, or rearrange them. What is
-- computed along a dimension is a product with a small matrix, or a selection, so it has gradients
-- of any order.
-- @module perilune.nn.resampling

local pl = require "perilune"
local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local option = require "perilune.internal.option"
local shape_of = require("perilune.internal.words").shape
local arguments = require "perilune.nn.arguments"
local module = require "perilune.nn.module"

local class = module.class
local resampling = {}

-- The sum over j of matrix[i][j] times place j, along a dimension.
local function along(x, dim, matrix)
  return x:transpose(dim, -1):matmul(matrix:t()):transpose(dim, -1)
end

local function need_rank(who, x, rank, layout)
  if x:dim() ~= rank then complain("%s: input %s expected, got %s", who, layout, shape_of(x)) end
end

--
-- Means over as many windows as the result has places (PyTorch's rule: they may overlap)
--

local function window_means(n, n_out)
  local i, j = pl.arange(0, n_out - 1):unsqueeze(2), pl.arange(0, n - 1):unsqueeze(1)
  local first, last = (i * n / n_out):floor(), ((i + 1) * n / n_out):ceil()
  return j:ge(first):logical_and(j:lt(last)):to("real") / (last - first)
end

local function adaptive(x, dim, n_out)
  local n = x:size(dim)
  return n == n_out and x or along(x, dim, window_means(n, n_out))
end

--- Means of windows of sequences [N, channels, length], of such a size that so many come out.
-- @param output_size integer
resampling.AdaptiveAvgPool1d = class "AdaptiveAvgPool1d"
local AdaptiveAvgPool1d = resampling.AdaptiveAvgPool1d

function AdaptiveAvgPool1d:init(output_size, ...)
  if (...) ~= nil then complain("AdaptiveAvgPool1d: one argument expected, output_size") end
  self._size = check.count("AdaptiveAvgPool1d", "output_size", output_size)
end

function AdaptiveAvgPool1d:forward(x)
  need_rank("AdaptiveAvgPool1d", x, 3, "[N,channels,length]")
  return adaptive(x, 3, self._size)
end

function AdaptiveAvgPool1d:extra()
  return tostring(self._size)
end

--- Means of windows of images [N, channels, height, width], of such a size that so many come out.
-- @param output_size integer, or {height, width}
resampling.AdaptiveAvgPool2d = class "AdaptiveAvgPool2d"
local AdaptiveAvgPool2d = resampling.AdaptiveAvgPool2d

function AdaptiveAvgPool2d:init(output_size, ...)
  if (...) ~= nil then complain("AdaptiveAvgPool2d: one argument expected, output_size") end
  self._size = arguments.pair("AdaptiveAvgPool2d", "output_size", output_size, 1)
end

function AdaptiveAvgPool2d:forward(x)
  need_rank("AdaptiveAvgPool2d", x, 4, "[N,channels,height,width]")
  if self._size[1] == 1 and self._size[2] == 1 then return x:mean({3, 4}, true) end
  return adaptive(adaptive(x, 3, self._size[1]), 4, self._size[2])
end

function AdaptiveAvgPool2d:extra()
  return arguments.pair_text(self._size)
end

--
-- Interpolation
--

-- Where place i of the result lies in the source, from 0 on: pixels are areas, or with
-- `align_corners` points, of which the outer ones stay.
local function places(n, n_out, scale, align_corners)
  local i = pl.arange(0, n_out - 1)
  if align_corners then return i * (n_out > 1 and (n - 1) / (n_out - 1) or 0) end
  return ((i + 0.5) / scale - 0.5):clamp(0, n - 1)
end

local resize = {}

function resize.nearest(x, dim, n_out, scale)
  local n, from = x:size(dim), {}
  -- In whole numbers where the scale is their ratio: a quotient that is rounded may fall below.
  local is_ratio = math.abs(scale * n - n_out) < 1e-9 * n_out
  for i = 0, n_out - 1 do
    local at = is_ratio and i * n // n_out or math.floor(i / scale)
    from[i + 1] = math.min(at, n - 1) + 1
  end
  return x:index_select(pl.tensor(from, "int32"), dim)
end

function resize.linear(x, dim, n_out, scale, align_corners)
  local n = x:size(dim)
  local at = places(n, n_out, scale, align_corners)
  local near = 1 - (at:unsqueeze(2) - pl.arange(0, n - 1):unsqueeze(1)):abs()
  return along(x, dim, near:clamp(0, 1))
end

local MODES <const> = {nearest = "nearest", linear = "linear", bilinear = "linear"}
local DIMS <const> = {linear = 1, bilinear = 2}

local INTERPOLATE <const> = {
  size = option.absent, scale_factor = option.absent, mode = "nearest", align_corners = false}

-- The options of `interpolate`, checked.
local function read_options(who, options)
  local o = option.read(who, options, INTERPOLATE)
  if not MODES[o.mode] then
    complain("%s: mode: nearest, linear or bilinear expected, got %s", who, check.shown(o.mode))
  elseif (o.size == nil) == (o.scale_factor == nil) then
    complain("%s: either size or scale_factor expected", who)
  elseif o.align_corners and o.mode == "nearest" then
    complain("%s: align_corners is for linear and bilinear", who)
  end
  return o
end

-- The k-th of the values of an option, of which there is one or one a dimension.
local function of_dim(who, name, value, k, count)
  local list = type(value) == "table" and value or {value}
  local v = check.unwrapped(#list == 1 and list[1] or list[k])
  if (#list ~= 1 and #list ~= count) or type(v) ~= "number" or not (v > 0) then
    complain("%s: %s: a positive number, or %d of them, expected", who, name, count)
  end
  return v
end

local function interpolate(who, x, o)
  local count = x:dim() - 2
  if count < 1 or count > 2 or count ~= (DIMS[o.mode] or count) then
    complain("%s: input [N,channels,length] (linear) or [N,channels,height,width] (bilinear) "
      .. "expected, got %s", who, shape_of(x))
  end
  for k = 1, count do
    local n = x:size(k + 2)
    local n_out = o.size and of_dim(who, "size", o.size, k, count)
    local scale = n_out and n_out / n or of_dim(who, "scale_factor", o.scale_factor, k, count)
    n_out = check.count(who, "size", n_out or math.floor(n * scale))
    x = resize[MODES[o.mode]](x, k + 2, n_out, scale, o.align_corners)
  end
  return x
end

--- Makes sequences or images larger or smaller: `nn.interpolate(x, {scale_factor = 2})`.
-- @param x [N, channels, length] or [N, channels, height, width]
-- @param options `size` of the result, a number or one a dimension, or `scale_factor`; `mode`,
--   "nearest" (the default), "linear" of sequences or "bilinear" of images; `align_corners`
--   (false): the outer points stay where they are
-- @return tensor
function resampling.interpolate(x, options)
  check.tensor("interpolate", x)
  return interpolate("interpolate", x, read_options("interpolate", options))
end

--- `nn.interpolate` as a layer: `nn.Upsample {scale_factor = 2, mode = "bilinear"}`.
-- @param options as of `nn.interpolate`
resampling.Upsample = class "Upsample"
local Upsample = resampling.Upsample

function Upsample:init(options)
  self._options = read_options("Upsample", options)
end

function Upsample:forward(x)
  return interpolate("Upsample", x, self._options)
end

local function numbers(value)
  if type(value) == "table" then return ("{%s}"):format(table.concat(value, ", ")) end
  return ("%g"):format(value)
end

function Upsample:extra()
  local o = self._options
  local name = o.size and "size" or "scale_factor"
  return ("%s=%s, mode=%s%s"):format(name, numbers(o[name]), o.mode,
    o.align_corners and ", align_corners=true" or "")
end

--
-- Rearranging and padding
--

--- Makes images of [N, channels r r, height, width] r times as high and as wide, of channels: each
-- r x r of them become the pixels of a square (Shi et al. 2016).
-- @param upscale_factor r
resampling.PixelShuffle = class "PixelShuffle"
local PixelShuffle = resampling.PixelShuffle

function PixelShuffle:init(upscale_factor, ...)
  if (...) ~= nil then complain("PixelShuffle: one argument expected, upscale_factor") end
  self._factor = check.count("PixelShuffle", "upscale_factor", upscale_factor)
end

function PixelShuffle:forward(x)
  local r = self._factor
  need_rank("PixelShuffle", x, 4, "[N,channels,height,width]")
  local n, c, h, w = table.unpack(x:size())
  if c % (r * r) ~= 0 then
    complain("PixelShuffle: a multiple of %d channels expected, got %s", r * r, shape_of(x))
  end
  return x:reshape(n, c // (r * r), r, r, h, w):permute(1, 2, 5, 3, 6, 4)
    :reshape(n, c // (r * r), h * r, w * r)
end

function PixelShuffle:extra()
  return tostring(self._factor)
end

--- Pads images [N, channels, height, width] with their own pixels, mirrored at the border.
-- @param padding integer, or {left, right, top, bottom}
resampling.ReflectionPad2d = class "ReflectionPad2d"
local ReflectionPad2d = resampling.ReflectionPad2d

function ReflectionPad2d:init(padding, ...)
  padding = check.unwrapped(padding)
  if (...) ~= nil then complain("ReflectionPad2d: one argument expected, padding") end
  local list = type(padding) == "table" and padding or {padding, padding, padding, padding}
  self._padding = {}
  for i = 1, 4 do
    local n = math.tointeger(check.unwrapped(list[i]))
    if not n or n < 0 or #list ~= 4 then
      complain("ReflectionPad2d: padding: integer, or {left, right, top, bottom}, expected")
    end
    self._padding[i] = n
  end
end

local function reflected(x, dim, before, after)
  local n = x:size(dim)
  if before >= n or after >= n then
    complain("ReflectionPad2d: padding %d and %d of dim %d of %s: less than its size expected",
      before, after, dim, shape_of(x))
  end
  if before == 0 and after == 0 then return x end
  local at = pl.arange(-before, n - 1 + after):abs()
  at = (n - 1) - ((n - 1) - at):abs()
  return x:index_select((at + 1):to("int32"), dim)
end

function ReflectionPad2d:forward(x)
  need_rank("ReflectionPad2d", x, 4, "[N,channels,height,width]")
  local left, right, top, bottom = table.unpack(self._padding)
  return reflected(reflected(x, 3, top, bottom), 4, left, right)
end

function ReflectionPad2d:extra()
  local p = self._padding
  if p[1] == p[2] and p[1] == p[3] and p[1] == p[4] then return tostring(p[1]) end
  return ("{%s}"):format(table.concat(p, ", "))
end

return resampling
