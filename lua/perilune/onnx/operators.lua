--- ONNX operators in ops, those that `export` writes (internal): each gets its attributes, and its
-- inputs, nil for those that are missing. Bools are uint8, int64 is int32.
-- @module perilune.onnx.operators

local pl = require "perilune"

local O = {}

-- Operators that are an op by another name.
for onnx, op in next, {
  Abs = "abs", Acos = "acos", Asin = "asin", Atan = "atan", Cos = "cos", Cosh = "cosh", Erf = "erf",
  Det = "linalg.det", Exp = "exp", Floor = "floor", Ceil = "ceil", Round = "round",
  HardSwish = "hardswish", Log = "log", Neg = "neg", Reciprocal = "reciprocal", Relu = "relu",
  Selu = "selu", Sigmoid = "sigmoid",
  Sign = "sign", Sin = "sin", Sinh = "sinh", Softplus = "softplus", Sqrt = "sqrt", Tan = "tan",
  Tanh = "tanh", IsNaN = "isnan", Not = "logical_not", Add = "add", Sub = "sub", Mul = "mul",
  Pow = "pow", Max = "maximum", Min = "minimum", And = "logical_and", Or = "logical_or",
  Xor = "logical_xor", Equal = "eq", Less = "lt", LessOrEqual = "le", Greater = "gt",
  GreaterOrEqual = "ge", MatMul = "matmul", Where = "where",
} do
  local call = pl.op(op).call
  O[onnx] = function(_, ...) return call(...) end
end

local function fail(text, ...)
  error(text:format(...), 0)
end

-- The integers of a tensor; ends of slices are beyond all numbers.
local function ints(t)
  local list = t:reshape(-1):totable()
  for i, v in ipairs(list) do
    list[i] = math.tointeger(v) or v < 0 and math.mininteger or math.maxinteger
  end
  return list
end

local function dim(x, axis) return axis < 0 and axis + x:dim() + 1 or axis + 1 end

local function dims(x, axes)
  local list = {}
  for i, axis in ipairs(axes or {}) do list[i] = dim(x, axis) end
  return list
end

local function is_integer(t) return t:dtype() ~= "real" end

function O.Identity(_, x) return x end
O.Dropout = O.Identity
function O.Constant(a) return a.value or fail "a constant is no tensor" end
function O.Div(_, a, b)
  if is_integer(a) and is_integer(b) then return (a - pl.fmod(a, b)) // b end
  return a / b
end
function O.Mod(a, x, y) return a.fmod == 1 and pl.fmod(x, y) or x % y end
function O.Cast(a, x)
  local kinds = {[1] = "real", [2] = "uint8", [6] = "int32", [7] = "int32", [11] = "real"}
  return a.to == 9 and x:ne(0) or x:to(kinds[a.to] or fail("a cast to type %s", a.to))
end
function O.Clip(_, x, low, high)
  return x:clamp(low and low:item() or -math.huge, high and high:item() or math.huge)
end
function O.LeakyRelu(a, x) return x:leaky_relu(a.alpha or 0.01) end
function O.Elu(a, x) return x:elu(a.alpha or 1) end
function O.HardSigmoid(a, x) return (x * (a.alpha or 0.2) + (a.beta or 0.5)):clamp(0, 1) end
function O.Softmax(a, x) return x:softmax(dim(x, a.axis or -1)) end
function O.LogSoftmax(a, x) return x:log_softmax(dim(x, a.axis or -1)) end

-- Shapes

function O.Shape(_, x) return pl.tensor(x:size(), "int32") end
function O.Reshape(_, x, size)
  local list = ints(size)
  for i, n in ipairs(list) do list[i] = n == 0 and x:size(i) or n end
  return x:reshape(list)
end
function O.Flatten(a, x)
  local rows = 1
  for d = 1, dim(x, a.axis or 1) - 1 do rows = rows * x:size(d) end
  return x:reshape(rows, -1)
end
function O.Expand(_, x, size)
  local list = ints(size)
  for i = 1, math.min(#list, x:dim()) do
    local at = #list + 1 - i
    if list[at] == 1 then list[at] = x:size(-i) end
  end
  return x:expand(list)
end
function O.Squeeze(a, x, axes) return x:squeeze(dims(x, a.axes or axes and ints(axes))) end
function O.Unsqueeze(a, x, axes)
  local list = a.axes or ints(axes)
  for i, axis in ipairs(list) do list[i] = axis < 0 and axis + x:dim() + #list or axis end
  table.sort(list)
  for _, axis in ipairs(list) do x = x:unsqueeze(axis + 1) end
  return x
end
function O.Transpose(a, x)
  local order = a.perm
  if not order then
    order = {}
    for d = 1, x:dim() do order[d] = x:dim() - d end
  end
  return x:permute(dims(x, order))
end
function O.Concat(a, ...) return pl.cat({...}, dim((...), a.axis)) end
function O.Slice(_, x, starts, ends, axes, steps)
  starts, ends, axes, steps = ints(starts), ints(ends), axes and ints(axes), steps and ints(steps)
  for i, first in ipairs(starts) do
    local d, step = dim(x, axes and axes[i] or i - 1), steps and steps[i] or 1
    if step == 0 then fail "a step of 0" end
    local n, last, back = x:size(d), ends[i], step < 0 and 1 or 0
    first = math.max(0, math.min(first < 0 and first + n or first, n - back))
    last = math.max(-back, math.min(last < 0 and last >= -n and last + n or last, n))
    local length = math.max(0, (last - first + step + (back == 1 and 1 or -1)) // step)
    x = x:slice(d, first + 1, length, step)
  end
  return x
end
function O.Pad(_, x, pads, value)
  local list, all, rank = {}, ints(pads), x:dim()
  for d = rank, 1, -1 do
    list[#list + 1] = all[d]
    list[#list + 1] = all[rank + d]
  end
  return x:pad(list, value and value:item() or 0)
end
function O.Trilu(a, x, k)
  return (a.upper or 1) == 1 and x:triu(k and k:item() or 0) or x:tril(k and k:item() or 0)
end

-- Reductions and order

local function reduction(name)
  return function(a, x, axes)
    local list, keep = dims(x, a.axes or axes and ints(axes)), (a.keepdims or 1) == 1
    if name == "prod" then return x:prod(list[1], keep) end
    return x[name](x, list, keep)
  end
end
O.ReduceSum, O.ReduceMean, O.ReduceProd = reduction "sum", reduction "mean", reduction "prod"
O.ReduceMax, O.ReduceMin = reduction "amax", reduction "amin"
function O.ArgMax(a, x) return x:argmax(dim(x, a.axis or 0), (a.keepdims or 1) == 1) - 1 end
function O.ArgMin(a, x) return x:argmin(dim(x, a.axis or 0), (a.keepdims or 1) == 1) - 1 end
function O.TopK(a, x, k)
  local values, at = x:topk(k:item(), dim(x, a.axis or -1), (a.largest or 1) == 1)
  return values, at - 1
end
function O.CumSum(_, x, axis) return x:cumsum(dim(x, axis:item())) end

-- Positions

local function from_one(index, n) return pl.where(index:lt(0), index + n, index) + 1 end

function O.Gather(a, x, index)
  local d = dim(x, a.axis or 0)
  local at = from_one(index:to "int32", x:size(d))
  if at:dim() == 0 then return x:select(d, at:item()) end
  local size = x:size()
  table.remove(size, d)
  for i, n in ipairs(at:size()) do table.insert(size, d + i - 1, n) end
  return x:index_select(at:reshape(-1), d):reshape(size)
end
function O.GatherElements(a, x, index)
  local d = dim(x, a.axis or 0)
  return x:gather(from_one(index, x:size(d)), d)
end
function O.ScatterElements(a, x, index, updates)
  if a.reduction ~= "add" then fail "ScatterElements without reduction 'add'" end
  local d = dim(x, a.axis or 0)
  return x + updates:scatter_add(from_one(index, x:size(d)), d, x:size(d))
end
function O.OneHot(_, index, depth, values)
  local low, high = values:select(1, 1), values:select(1, 2)
  return pl.one_hot(from_one(index:to "int32", depth:item()), depth:item()) * (high - low) + low
end

-- Layers

function O.Gemm(a, x, y, bias)
  x, y = a.transA == 1 and x:t() or x, a.transB == 1 and y:t() or y
  local z = pl.matmul(x, y) * (a.alpha or 1)
  return bias and z + bias * (a.beta or 1) or z
end

-- Images whose padding is the same on both sides, and the padding.
local function padded(x, pads, value)
  pads = pads or {0, 0, 0, 0}
  if #pads ~= 4 then fail "windows with other than two dims" end
  if pads[1] == pads[3] and pads[2] == pads[4] then return x, {pads[1], pads[2]} end
  return x:pad({pads[2], pads[4], pads[1], pads[3]}, value or 0), {0, 0}
end

function O.Conv(a, x, weight, bias)
  local images, padding = padded(x, a.pads)
  return pl.conv2d(images, weight, bias, {
    stride = a.strides, padding = padding, dilation = a.dilations,
  })
end
function O.ConvTranspose(a, x, weight, bias)
  local p = a.pads or {0, 0, 0, 0}
  if p[1] ~= p[3] or p[2] ~= p[4] then fail "ConvTranspose with other pads after than before" end
  return pl.conv_transpose2d(x, weight, bias, {
    stride = a.strides, padding = {p[1], p[2]}, dilation = a.dilations,
    output_padding = a.output_padding,
  })
end
function O.MaxPool(a, x)
  local images, padding = padded(x, a.pads, -math.huge)
  return images:max_pool2d(a.kernel_shape, {stride = a.strides or 1, padding = padding})
end
function O.AveragePool(a, x)
  local images, padding = padded(x, a.pads)
  if a.count_include_pad ~= 1 and (images ~= x or padding[1] + padding[2] > 0) then
    fail "AveragePool that leaves its padding out"
  end
  return images:avg_pool2d(a.kernel_shape, {stride = a.strides or 1, padding = padding})
end
function O.BatchNormalization(a, x, scale, shift, mean, var)
  return pl.batch_norm(x, scale, shift, mean, var, {eps = a.epsilon or 1e-5})
end
function O.InstanceNormalization(a, x, scale, shift)
  return pl.instance_norm(x, scale, shift, {eps = a.epsilon or 1e-5})
end
function O.LayerNormalization(a, x, scale, shift)
  local size = table.move(x:size(), dim(x, a.axis or -1), x:dim(), 1, {})
  return pl.layer_norm(x, scale, shift, {normalized_shape = size, eps = a.epsilon or 1e-5})
end

-- The gates of a weight or bias [1, gates h, ...] in our order.
local function in_order(t, order)
  if not t then return nil end
  local parts, units = {}, t:size(1) // #order
  for i, k in ipairs(order) do parts[i] = t:narrow(1, (k - 1) * units + 1, units) end
  return pl.cat(parts, 1)
end

local function recurrent(op, order)
  return function(a, x, w, r, bias, lengths, h0, c0)
    if lengths or w:size(1) ~= 1 then fail "recurrent layers with lengths or two directions" end
    local both = bias and bias:squeeze(1):chunk(2) or {}
    local states = {h0 and h0:squeeze(1), c0 and c0:squeeze(1)}
    if op == pl.gru and a.linear_before_reset ~= 1 then fail "GRU without linear_before_reset" end
    local y, h, c = op(x, in_order(w:squeeze(1), order), in_order(r:squeeze(1), order),
                       in_order(both[1], order), in_order(both[2], order),
                       table.unpack(states, 1, 2))
    return y:unsqueeze(2), h:unsqueeze(1), c and c:unsqueeze(1)
  end
end
O.LSTM, O.GRU = recurrent(pl.lstm, {1, 3, 4, 2}), recurrent(pl.gru, {2, 1, 3})

return O
