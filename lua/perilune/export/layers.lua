--- What each layer of a network is in C (internal).
--
-- A network becomes a list of steps: tables with
--
--     path, text      of the layer, and what it is: "Linear(400, 120)"
--     owner           the path at which the layer was called first, whose arrays it has
--     size            of the result, without the dim of examples
--     piece           the function of `pieces.lua` that it calls; nil: the numbers stay as they are
--     moves           whether it writes its result beside what it reads, or else in its place
--     arguments       of the call, behind the numbers
--     arrays          list of {name = , values = list of numbers}
--     window          of a kernel, by the names of the struct's fields
-- @module perilune.export.layers

local pl = require "perilune"
local complain = require("perilune.internal.blame").complain
local fields = require "perilune.nn.fields"
local nn = require "perilune.nn"

local layers = {}

local function count(size)
  local n = 1
  for _, k in ipairs(size) do n = n * k end
  return n
end

--- How many numbers there are.
layers.count = count

--
-- Layers with weights
--

-- The numbers of a tensor; nil without one.
local function numbers(path, t)
  if not t then return nil end
  if pl.isfinite(t:detach()):all():item() == 0 then
    complain("export_c: %s has values that are infinite or NaN", path)
  end
  return t:detach():flatten():totable()
end

-- What batch norm does in evaluation mode: y = scale x + shift for each feature.
local function scale_and_shift(path, layer)
  local mean = numbers(path .. ".running_mean", layer.running_mean)
  local var = numbers(path .. ".running_var", layer.running_var)
  local weight = numbers(path .. ".weight", layer.weight)
  local bias = numbers(path .. ".bias", layer.bias)
  local scale, shift = {}, {}
  for i = 1, #mean do
    scale[i] = (weight and weight[i] or 1) / math.sqrt(var[i] + layer._attributes.eps)
    shift[i] = (bias and bias[i] or 0) - mean[i] * scale[i]
  end
  return scale, shift
end

-- Weight and bias of a layer, and of a batch norm behind it that is folded into them.
local function add_weights(step, layer, norm)
  local weight = numbers(step.path .. ".weight", layer.weight)
  local bias = numbers(step.path .. ".bias", layer.bias)
  if norm then
    local scale, shift = scale_and_shift(norm.path, norm.layer)
    local each = #weight // #scale
    for i = 1, #weight do weight[i] = weight[i] * scale[(i - 1) // each + 1] end
    for i = 1, #scale do shift[i] = shift[i] + (bias and bias[i] or 0) * scale[i] end
    bias, step.folded = shift, norm.path
  end
  step.arrays = {{name = "weight", values = weight}, bias and {name = "bias", values = bias}}
  step.arguments[#step.arguments + 1] = {array = "weight"}
  step.arguments[#step.arguments + 1] = bias and {array = "bias"} or "0"
end

-- The two numbers of an attribute.
local function two(value, usual)
  if type(value) == "table" then return value[1], value[2] end
  return value or usual, value or usual
end

local function window_of(layer, from, to, kernel)
  local w, a = {}, layer._attributes
  w.channels, w.height, w.width = from[1], from[2], from[3]
  w.out_channels, w.out_height, w.out_width = to[1], to[2], to[3]
  w.kernel_height, w.kernel_width = two(kernel)
  w.stride_down, w.stride_right = two(a.stride, 1)
  w.padding_above, w.padding_left = two(a.padding, 0)
  w.dilation_down, w.dilation_right = two(a.dilation, 1)
  return w
end

local function linear(step, layer, from, norm)
  local n_in = layer.weight:size(2)
  step.arguments = {count(from) // n_in, n_in, layer.weight:size(1)}
  add_weights(step, layer, norm)
end

local function conv2d(step, layer, from, norm)
  local size = layer.weight:size()
  step.window, step.arguments = window_of(layer, from, step.size, {size[3], size[4]}), {}
  add_weights(step, layer, norm)
end

local function pool(step, layer, from)
  step.window, step.arguments = window_of(layer, from, step.size, layer._attributes.size), {}
end

local function batch_norm(step, layer, from)
  local scale, shift = scale_and_shift(step.path, layer)
  step.arrays = {{name = "scale", values = scale}, {name = "shift", values = shift}}
  step.arguments = {#scale, count(from) // #scale, {array = "scale"}, {array = "shift"}}
end

local function layer_norm(step, layer, from)
  local n = count(layer._attributes.normalized_shape)
  local weight = numbers(step.path .. ".weight", layer.weight)
  step.arguments = {count(from) // n, n, layer._attributes.eps, "0", "0"}
  if not weight then return end
  local bias = numbers(step.path .. ".bias", layer.bias)
  step.arrays = {{name = "weight", values = weight}, {name = "bias", values = bias}}
  step.arguments[4], step.arguments[5] = {array = "weight"}, {array = "bias"}
end

--
-- Activations
--

local function elementwise(step, _, from)
  step.arguments = {count(from)}
end

local function leaky_relu(step, layer, from)
  step.arguments = {count(from), layer.slope}
end

-- `dim` counts the dim of examples too.
local function softmax(step, layer, from)
  local dim = layer.dim > 0 and layer.dim - 1 or #from + 1 + layer.dim
  if dim < 1 then
    complain("export_c: %s (%s): a softmax over the examples is none of one example", step.path,
      layer.class_name)
  end
  local outer, inner = 1, 1
  for i = 1, dim - 1 do outer = outer * from[i] end
  for i = dim + 1, #from do inner = inner * from[i] end
  step.arguments = {outer, from[dim], inner}
end

local function nothing() end

-- By class: the piece, whether it moves numbers, and the function that fills in a step. `folds`:
-- a batch norm behind it becomes a part of its weights, if an example has so many dims: of more
-- rows, the batch norm counts these and not the results of the layer.
local KINDS <const> = {
  Linear = {piece = "linear", moves = true, fill = linear, folds = "BatchNorm1d", dims = 1},
  Conv2d = {piece = "conv2d", moves = true, fill = conv2d, folds = "BatchNorm2d", dims = 3},
  MaxPool2d = {piece = "max_pool2d", moves = true, fill = pool},
  AvgPool2d = {piece = "avg_pool2d", moves = true, fill = pool},
  BatchNorm1d = {piece = "batch_norm", fill = batch_norm},
  BatchNorm2d = {piece = "batch_norm", fill = batch_norm},
  LayerNorm = {piece = "layer_norm", fill = layer_norm},
  ReLU = {piece = "relu", fill = elementwise},
  LeakyReLU = {piece = "leaky_relu", fill = leaky_relu},
  Tanh = {piece = "tanh", fill = elementwise},
  Sigmoid = {piece = "sigmoid", fill = elementwise},
  Softplus = {piece = "softplus", fill = elementwise},
  Softmax = {piece = "softmax", fill = softmax},
  LogSoftmax = {piece = "log_softmax", fill = softmax},
  Flatten = {fill = nothing}, Unflatten = {fill = nothing}, Identity = {fill = nothing},
  Dropout = {fill = nothing},
}

local function known_kinds()
  local names = {"Sequential"}
  for name in next, KINDS do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, ", ")
end

--
-- The network
--

-- Whether a layer is of a class of the library and does what that does.
local function is_of(layer, name)
  local class = rawget(nn, name)
  return class ~= nil and rawequal(getmetatable(layer), class) and layer.forward == class.forward
end

local function named(path)
  return path == "" and "the network" or path
end

-- The layers in the order of their calls, those of nested lists too; `around` has the lists around.
local function collect(layer, path, list, around)
  if is_of(layer, "Sequential") then
    if around[layer] then complain("export_c: %s contains itself", named(path)) end
    around[layer] = true
    for i, inner in ipairs(layer) do
      collect(inner, path == "" and tostring(i) or path .. "." .. i, list, around)
    end
    around[layer] = nil
    return list
  end
  local name = layer.class_name or "module"
  if not KINDS[name] or not is_of(layer, name) then
    complain("export_c: %s is a %s%s; layers that can be exported: %s", named(path), name,
      KINDS[name] and " of your own" or "", known_kinds())
  end
  list[#list + 1] = {path = path, layer = layer, kind = KINDS[name], name = name}
  return list
end

local function check_mode(net)
  if net.training then complain "export_c: the network is in training mode; net:eval() first" end
  for _, entry in ipairs(fields.collect(net, fields.is_module)) do
    if entry.value.training then
      complain("export_c: %s is in training mode; net:eval() first", entry.name)
    end
  end
end

-- The size of one example of the result.
local function size_of(path, result)
  local size = result:size()
  if table.remove(size, 1) ~= 1 or #size == 0 then
    complain("export_c: %s makes %s of one example; [1, ...] expected", named(path),
      "[" .. table.concat(result:size(), ",") .. "]")
  end
  return size
end

-- How often each layer is called.
local function calls_of(list)
  local calls = {}
  for _, entry in ipairs(list) do calls[entry.layer] = (calls[entry.layer] or 0) + 1 end
  return calls
end

-- With points in numbers, whatever the locale says.
local function described(layer)
  local text = ("%s(%s)"):format(layer.class_name, layer.extra and layer:extra() or "")
  return (text:gsub("(%d),(%d)", "%1.%2"))
end

-- The step of a layer, which makes `to` of an example of the size `from`.
local function step_of(entry, owner, from, to, norm)
  local step = {
    path = entry.path, owner = owner, text = described(entry.layer), size = to,
    piece = entry.kind.piece, moves = entry.kind.moves,
  }
  entry.kind.fill(step, entry.layer, from, norm)
  return step
end

-- Calls each layer with an example of zeros, which says the sizes, and describes it.
local function steps_of(list, x)
  local steps, owners, calls, i = {}, {}, calls_of(list), 1
  while list[i] do
    local entry, follower = list[i], list[i + 1]
    local layer, from, norm = entry.layer, size_of(entry.path, x), nil
    if follower and entry.kind.folds == follower.name and entry.kind.dims == #from
      and calls[layer] == 1 then
      norm = follower
    end
    x = layer(x)
    if norm then x = norm.layer(x) end
    owners[layer] = owners[layer] or entry.path
    local to = size_of(entry.path, x)
    steps[#steps + 1] = step_of(entry, owners[layer], from, to, norm)
    i = i + (norm and 2 or 1)
  end
  return steps
end

--- The steps of a network.
-- @param net module
-- @param size of one example: list of integers
-- @return list of steps
function layers.steps(net, size)
  local list = collect(net, "", {}, {})
  check_mode(net)
  return pl.tidy(pl.no_grad, function()
    return steps_of(list, pl.zeros {1, table.unpack(size)})
  end)
end

return layers
