--- What the rules of ops are written with (internal; docs/ops.md explains the column).
--
-- A rule is an expression of Lua, in which an ONNX operator is a function that adds a node and
-- gives its outputs, the inputs and attributes of the op are variables by their names, and `out`
-- holds the sizes of the op's results. The functions below are there too. Numbers stand for
-- constants.
-- @module perilune.onnx.rules

local pl = require "perilune"
local extent = require "perilune.onnx.extent"
local graph = require "perilune.onnx.graph"

local rules = {}

--- Each function gets the graph, and then the arguments of the rule.
local helpers = {}

--
-- Kinds and numbers
--

--- The kind of a value: "real", "int32", "uint8".
function helpers.kind(_, v) return v.kind end

function helpers.is_integer(_, v) return v.kind ~= "real" end

--- A value, or a number, in another kind.
function helpers.cast(g, v, kind) return g:cast(v, kind) end

--- A real number, or a vector of such.
function helpers.number(g, v)
  if type(v) == "table" then return g:constant(pl.tensor(v), "constant") end
  return g:number(v, "real")
end

--- An integer, or a list of integers, as int64; nothing of nothing.
function helpers.int64(g, v) return g:int64(v) end

--- The number unless it is infinite.
function helpers.finite(_, v)
  return math.abs(v) < math.huge and v or nil
end

--- Positions as ONNX counts them, from 0; those of the graph's inputs and results count from 1.
function helpers.from_zero(g, index) return g:node("Sub", {index, 1}) end

local function from_one(g, index) return g:node("Add", {g:cast(index, "int32"), 1}) end

--- The bool that says where a value is not 0.
function helpers.truth(g, v) return g:cast(v, "bool") end

local function is_mask(v)
  return v.truth or v.tensor and v.kind == "uint8" and v.tensor:le(1):all():item() == 1
end

--- An operator of bools, of masks.
function helpers.of_masks(g, operator, a, b)
  if not (is_mask(a) and is_mask(b)) then
    g.refuse("ONNX has bits from opset 18 on; here they must be those of comparisons")
  end
  return operator(g:cast(a, "bool"), g:cast(b, "bool"))
end

--- Two values in the kind in which they can be compared.
function helpers.alike(g, a, b)
  local kind = (a.kind == "real" or b.kind == "real") and "real" or "int32"
  return g:cast(a, kind), g:cast(b, kind)
end

--- Raises an error that says why the op cannot be exported.
function helpers.refuse(g, why) g.refuse("%s", why) end

--
-- Arithmetic
--

function helpers.remainder(g, a, b)
  if a.kind ~= "real" then return g:node("Mod", {a, b}) end
  local rest = g:node("Mod", {a, b}, {fmod = 1})
  local wrong = g:node("Less", {g:node("Mul", {rest, b}), 0})
  return g:node("Where", {wrong, g:node("Add", {rest, b}), rest})
end

function helpers.floor_divide(g, a, b)
  local whole = g:node("Div", {g:node("Sub", {a, helpers.remainder(g, a, b)}), b})
  return a.kind == "real" and g:node("Round", {whole}) or whole
end

-- atan(a / b), and half a turn more or less where b is negative; 0 in the middle.
function helpers.atan2(g, a, b)
  local behind, none = g:node("Less", {b, 0}), g:node("Equal", {b, 0})
  none = g:node("And", {none, g:node("Equal", {a, 0})})
  local turn = g:node("Where", {g:node("Less", {a, 0}), g:number(-math.pi, "real"),
                                g:number(math.pi, "real")})
  local angle = g:node("Atan", {g:node("Div", {a, b})})
  angle = g:node("Add", {angle, g:node("Where", {behind, turn, g:number(0, "real")})})
  return g:node("Where", {none, g:number(0, "real"), angle})
end

--
-- Shapes
--

--- A size as int64; in a reshape, one that depends on the inputs follows from the others.
function helpers.sizes(g, size)
  local list, free = {}, nil
  for i, n in ipairs(size) do
    list[i] = n
    if n == -1 or extent.is(n) then free = free and -1 or i end
  end
  if free and free > 0 then list[free] = -1 end
  return g:int64(list)
end

--- A size as int64.
function helpers.shape(g, size) return g:int64(size) end

--- A list of dims as int64; nothing, which stands for all, of an empty one.
function helpers.some(g, dims) return #dims > 0 and g:int64(dims) or nil end

--- The same for an attribute.
function helpers.every(_, dims) return #dims > 0 and dims or nil end

local function positive(v, dim) return dim < 0 and dim + #v.size or dim end

function helpers.squeeze(g, x, dims)
  local list = {}
  for d = 0, #x.size - 1 do
    local wanted = #dims == 0
    for _, dim in ipairs(dims) do wanted = wanted or positive(x, dim) == d end
    if wanted and x.size[d + 1] == 1 then list[#list + 1] = d end
  end
  return #list > 0 and g:node("Squeeze", {x, g:int64(list)}) or x
end

function helpers.slice(g, x, dim, start, length, step)
  dim = positive(x, dim)
  if start < 0 then start = start + x.size[dim + 1] end
  local stop = start + length * step
  if stop < 0 then stop = math.mininteger end
  return g:node("Slice", {x, g:int64 {start}, g:int64 {stop}, g:int64 {dim}, g:int64 {step}})
end

--- Pads in the order of ONNX: before all dims, then after them.
function helpers.pads_of(g, x, pads)
  local list, rank = {}, #x.size
  for d = 0, rank - 1 do
    local i = 2 * (rank - 1 - d)
    list[d + 1], list[rank + d + 1] = pads[i + 1] or 0, pads[i + 2] or 0
  end
  return g:int64(list)
end

--- A padding for both sides of height and width.
function helpers.around(_, p) return {p[1], p[2], p[1], p[2]} end

--- The stride of a window, which is its size if none is given.
function helpers.stride_of(_, stride, size)
  return {stride[1] == 0 and size[1] or stride[1], stride[2] == 0 and size[2] or stride[2]}
end

--
-- Extremes and order
--

function helpers.position_of(g, operator, x, dim, keepdim)
  if dim then return from_one(g, operator(x, {axis = dim, keepdims = keepdim})) end
  local at = operator(g:node("Reshape", {x, g:int64 {-1}}), {axis = 0, keepdims = 0})
  if keepdim then
    local ones = {}
    for d = 1, #x.size do ones[d] = 1 end
    at = g:node("Reshape", {at, g:int64(ones)})
  end
  return from_one(g, at)
end

function helpers.most(g, reduce, position, x, dim, keepdim)
  if not dim then return reduce(x, {keepdims = keepdim}) end
  return reduce(x, {axes = {dim}, keepdims = keepdim}),
         helpers.position_of(g, position, x, dim, keepdim)
end

function helpers.sort(g, x, dim, descending)
  local n = g:int64 {x.size[positive(x, dim) + 1]}
  local values, at = g:node("TopK", {x, n}, {axis = dim, largest = descending, sorted = 1})
  return values, from_one(g, at)
end

--
-- Layers
--

local PARAMETERS <const> = {leaky_relu = "slope"}

--- The activation that a layer applies to its result.
function helpers.activated(g, y, activation, slope)
  if activation == "none" then return y end
  local attrs = {}
  for _, a in ipairs(pl.op(activation).attrs) do
    attrs[a.name] = PARAMETERS[activation] == a.name and slope or a.default
  end
  return rules.apply(g, activation, {y}, attrs)
end

function helpers.pooled(g, y, max_pool)
  if max_pool == 1 then return y end
  local window = {max_pool, max_pool}
  return g:node("MaxPool", {y}, {kernel_shape = window, strides = window})
end

function helpers.linear(g, x, weight, bias)
  if #x.size == 2 then return g:node("Gemm", {x, weight, bias, n = 3}, {transB = 1}) end
  local y = g:node("MatMul", {x, g:node("Transpose", {weight}, {perm = {1, 0}})})
  return bias and g:node("Add", {y, bias}) or y
end

local function ones_or(g, v, size, number)
  return v or g:constant(pl.full(size, number), "constant")
end

--- A parameter of each channel, dim 2 of x; the number if there is none.
function helpers.per_channel(g, v, x, number)
  return ones_or(g, v, {x.size[2]}, number)
end

function helpers.batch_norm(g, x, weight, bias, mean, var, training, eps)
  if training then g.refuse "it is in training mode; call eval() of the network" end
  local scale = helpers.per_channel(g, weight, x, 1)
  local shift = helpers.per_channel(g, bias, x, 0)
  return g:node("BatchNormalization", {x, scale, shift, mean, var}, {epsilon = eps})
end

function helpers.layer_norm(g, x, weight, bias, size, eps)
  local scale = ones_or(g, weight, size, 1)
  return g:node("LayerNormalization", {x, scale, bias, n = 3}, {axis = -#size, epsilon = eps})
end

--
-- Recurrent layers. ONNX has the gates in another order, a dim for directions, and both biases in
-- one vector.
--

-- The gates of a weight or bias in another order, with a dim in front.
local function in_order(g, v, order)
  local units = v.size[1] // #order
  if v.tensor then
    local parts = {}
    for i, k in ipairs(order) do parts[i] = v.tensor:narrow(1, (k - 1) * units + 1, units) end
    return g:constant(pl.cat(parts, 1):unsqueeze(1), v.name)
  end
  local rows = {}
  for _, k in ipairs(order) do
    for i = 0, units - 1 do rows[#rows + 1] = (k - 1) * units + i end
  end
  return g:node("Unsqueeze", {g:node("Gather", {v, g:int64(rows)}, {axis = 0}), g:int64 {0}})
end

local function biases(g, a, b, size, order)
  if not (a or b) then return nil end
  a, b = in_order(g, ones_or(g, a, {size}, 0), order), in_order(g, ones_or(g, b, {size}, 0), order)
  if a.tensor and b.tensor then
    return g:constant(pl.cat({a.tensor, b.tensor}, 2), a.name)
  end
  return g:node("Concat", {a, b}, {axis = 1})
end

local function with_direction(g, v) return v and g:node("Unsqueeze", {v, g:int64 {0}}) end

-- The arguments of a recurrent operator: the length of each sequence is left out.
local function recurrent(g, order, x, weight_ih, weight_hh, bias_ih, bias_hh, h0)
  return {x, in_order(g, weight_ih, order), in_order(g, weight_hh, order),
          biases(g, bias_ih, bias_hh, weight_ih.size[1], order), nil, with_direction(g, h0), n = 6}
end

function helpers.lstm(g, x, weight_ih, weight_hh, bias_ih, bias_hh, h0, c0)
  local inputs = recurrent(g, {1, 4, 2, 3}, x, weight_ih, weight_hh, bias_ih, bias_hh, h0)
  inputs[7], inputs.n = with_direction(g, c0), 7
  local y, h, c = g:node("LSTM", inputs, {hidden_size = weight_hh.size[2]})
  return g:node("Squeeze", {y, g:int64 {1}}), g:node("Squeeze", {h, g:int64 {0}}),
         g:node("Squeeze", {c, g:int64 {0}})
end

function helpers.gru(g, x, weight_ih, weight_hh, bias_ih, bias_hh, h0)
  local inputs = recurrent(g, {2, 1, 3}, x, weight_ih, weight_hh, bias_ih, bias_hh, h0)
  local y, h = g:node("GRU", inputs, {hidden_size = weight_hh.size[2], linear_before_reset = 1})
  return g:node("Squeeze", {y, g:int64 {1}}), g:node("Squeeze", {h, g:int64 {0}})
end

--
-- Rules
--

-- The function of an ONNX operator: values and numbers, or a list of such, then a table of
-- attributes.
local function operator(g, name)
  return function(...)
    local inputs, attrs = table.pack(...), nil
    local last = inputs[inputs.n]
    if type(last) == "table" and not graph.is_value(last) then
      attrs, inputs[inputs.n], inputs.n = last, nil, inputs.n - 1
    end
    if type(inputs[1]) == "table" and not graph.is_value(inputs[1]) then
      inputs = table.move(inputs[1], 1, #inputs[1], 1, {})
    end
    return g:node(name, inputs, attrs)
  end
end

-- What a name means in a rule.
local function meaning(g, variables, name)
  if variables[name] ~= nil then return variables[name] end
  if name == "math" then return math end
  local helper = helpers[name]
  if helper then return function(...) return helper(g, ...) end end
  return name:find "^%u" and operator(g, name) or nil
end

--- Adds the nodes of an op.
-- @param g graph
-- @param name of the op, which has a rule
-- @param inputs list of values, false or nil for those that are missing
-- @param attrs its attributes by name
-- @param[opt] out list of the sizes of its results
-- @return the values of its results
function rules.apply(g, name, inputs, attrs, out)
  local row = pl.op(name)
  local variables = {out = out}
  for k, v in next, attrs do variables[k] = v end
  for i, input in ipairs(row.inputs) do variables[input.name] = inputs[i] or nil end
  if row.inputs.variadic then variables[row.inputs[1].name] = inputs end
  local env = setmetatable({}, {__index = function(_, word) return meaning(g, variables, word) end})
  local rule = assert(load("return " .. row.onnx, "=the rule of " .. name, "t", env))
  return rule()
end

return rules
