--- ONNX files as networks (internal; use `perilune.onnx.import`).
-- @module perilune.onnx.import

local blame = require "perilune.internal.blame"
local check = require "perilune.internal.check"
local module = require "perilune.nn.module"
local operators = require "perilune.onnx.operators"
local read = require "perilune.onnx.read"
local words = require "perilune.internal.words"

-- Inputs of operators that are trained.
local TRAINED <const> = {
  Conv = {2, 3}, ConvTranspose = {2, 3}, Gemm = {2, 3}, MatMul = {1, 2}, Gather = {1},
  BatchNormalization = {2, 3}, LayerNormalization = {2, 3}, InstanceNormalization = {2, 3},
  LSTM = {2, 3, 4}, GRU = {2, 3, 4}, Add = {1, 2},
}
-- Attributes that may have one value alone.
local FIXED <const> = {
  group = 1, auto_pad = "NOTSET", ceil_mode = 0, direction = "forward", layout = 0,
  select_last_index = 0, storage_order = 0, input_forget = 0, allowzero = 0, exclusive = 0,
  reverse = 0, mode = "constant", noop_with_empty_axes = 0,
}

-- What the attributes are that operators read.
local INTEGER <const>, LIST <const> = "an integer", "a list of integers"
local ATTRIBUTES <const> = {
  axis = INTEGER, keepdims = INTEGER, largest = INTEGER, transA = INTEGER, transB = INTEGER,
  to = INTEGER, fmod = INTEGER, upper = INTEGER, count_include_pad = INTEGER,
  linear_before_reset = INTEGER, hidden_size = INTEGER,
  alpha = "a number", beta = "a number", epsilon = "a number", reduction = "a text",
  axes = LIST, perm = LIST, strides = LIST, pads = LIST, dilations = LIST, kernel_shape = LIST,
  output_padding = LIST,
}
-- The attributes that operators need, and how many inputs they have at least, if not one.
local NEEDED <const> = {Concat = "axis", Cast = "to", MaxPool = "kernel_shape",
  AveragePool = "kernel_shape", Constant = "value"}
local LEAST <const> = {
  Constant = 0, Reshape = 2, Expand = 2, Slice = 3, Pad = 2, TopK = 2, CumSum = 2, Gather = 2,
  GatherElements = 2, ScatterElements = 3, OneHot = 3, Gemm = 2, Conv = 2, ConvTranspose = 2,
  BatchNormalization = 5, InstanceNormalization = 3, LayerNormalization = 2, LSTM = 3, GRU = 3,
  Mod = 2, Div = 2, Add = 2, Sub = 2, Mul = 2, Pow = 2, Max = 2, Min = 2, And = 2, Or = 2, Xor = 2,
  Equal = 2, Less = 2, LessOrEqual = 2, Greater = 2, GreaterOrEqual = 2, MatMul = 2, Where = 3,
}

local function is_of(kind, value)
  if kind == INTEGER then return math.type(value) == "integer" end
  if kind ~= LIST then return type(value) == (kind == "a text" and "string" or "number") end
  for _, n in ipairs(type(value) == "table" and value or {""}) do
    if math.type(n) ~= "integer" then return false end
  end
  return true
end

local function attribute_problem(n)
  for name, value in next, FIXED do
    if n.attrs[name] ~= nil and n.attrs[name] ~= value then
      return ("%s with %s = %s"):format(n.operator, name, check.shown(n.attrs[name]))
    end
  end
  for name, kind in next, ATTRIBUTES do
    if n.attrs[name] ~= nil and not is_of(kind, n.attrs[name]) then
      return ("%s with %s = %s instead of %s"):format(n.operator, name,
        check.shown(n.attrs[name]), kind)
    end
  end
  if NEEDED[n.operator] and n.attrs[NEEDED[n.operator]] == nil then
    return ("%s without %s"):format(n.operator, NEEDED[n.operator])
  end
end

-- Each value has one origin, and is there before it is used.
local function value_problem(n, known)
  local least = LEAST[n.operator] or 1
  for i = 1, math.max(least, #n.inputs) do
    local name = n.inputs[i] or ""
    if i <= least and name == "" then
      return ("%s with %d inputs instead of %d"):format(n.operator, i - 1, least)
    elseif name ~= "" and not known[name] then
      return ("%s '%s' with the unknown input '%s'"):format(n.operator, n.name, name)
    end
  end
  for _, name in ipairs(n.outputs) do
    if name ~= "" and known[name] then return ("the value '%s' twice"):format(name) end
    known[name] = true
  end
end

local function graph_problem(g)
  local known = {}
  for name in next, g.constants do known[name] = true end
  for _, name in ipairs(g.inputs) do known[name] = true end
  for _, n in ipairs(g.nodes) do
    local problem = attribute_problem(n) or value_problem(n, known)
    if problem then return problem end
  end
  if #g.outputs == 0 then return "a graph without outputs" end
  for _, name in ipairs(g.outputs) do
    if not known[name] then return ("the unknown output '%s'"):format(name) end
  end
end

-- The first thing that cannot be done, as a text.
local function problem_of(g)
  local unknown, seen = {}, {}
  for _, n in ipairs(g.nodes) do
    if not operators[n.operator] and not seen[n.operator] then
      seen[n.operator] = true
      unknown[#unknown + 1] = n.operator
    end
  end
  if #unknown > 0 then return "operators " .. words.abbreviate(unknown) end
  return graph_problem(g)
end

-- Turns the weights into parameters.
local function train(g)
  for _, n in ipairs(g.nodes) do
    for _, i in ipairs(TRAINED[n.operator] or {}) do
      local t = g.constants[n.inputs[i]]
      if t and t:dtype() == "real" and t:dim() > 0 then module.parameter(t) end
    end
  end
end

local function run_node(n, values)
  local list = {n = #n.inputs}
  for i, name in ipairs(n.inputs) do
    if name ~= "" then
      list[i] = values[name] or error(("the value '%s' is missing"):format(name), 0)
    end
  end
  local results = table.pack(operators[n.operator](n.attrs, table.unpack(list, 1, list.n)))
  for i, name in ipairs(n.outputs) do values[name] = results[i] end
end

local function inputs_of(g)
  local names = {}
  for _, name in ipairs(g.inputs) do
    if not g.constants[name] then names[#names + 1] = name end
  end
  return names
end

-- A message without the library's line; what Lua itself says of an input is about that.
local function bare(why)
  local text = tostring(why):gsub("^[^\n:]+:%d+: ", "")
  if not text:find "^attempt to " then return text end
  return "its inputs are not those that it takes (" .. text .. ")"
end

-- The lists of names that a graph has.
local function lists_of(g)
  local lists = {g.inputs, g.outputs}
  for _, n in ipairs(g.nodes) do
    lists[#lists + 1], lists[#lists + 2] = n.inputs, n.outputs
  end
  return lists
end

-- Fields whose names begin with _ are not searched for parameters, so weights get other names.
local function show_hidden(g)
  local taken, instead, lists = {}, {}, lists_of(g)
  for _, list in ipairs(lists) do
    for _, name in ipairs(list) do taken[name] = true end
  end
  for name in next, g.constants do taken[name] = true end
  local shown = {}
  for name, t in next, g.constants do
    local new = name
    while new:byte() == 95 and taken[new] do new = "w" .. new end
    while new ~= name and taken[new] do new = "w" .. new end
    taken[new], instead[name], shown[new] = true, new, t
  end
  for _, list in ipairs(lists) do
    for i, name in ipairs(list) do list[i] = instead[name] or name end
  end
  g.constants = shown
end

local Imported = {}

function Imported:forward(...)
  local values, names = setmetatable({}, {__index = self.weights}), self._inputs
  for i, name in ipairs(names) do
    local t = select(i, ...)
    check.tensor(("input '%s' (%d of %d)"):format(name, i, #names), t)
    values[name] = t
  end
  for _, n in ipairs(self._nodes) do
    local ok, why = pcall(run_node, n, values)
    if not ok then blame.complain("%s '%s': %s", n.operator, n.name, bare(why)) end
  end
  local results = {}
  for i, name in ipairs(self._outputs) do results[i] = values[name] end
  return table.unpack(results, 1, #self._outputs)
end

--- See `perilune.onnx.import`.
return function(path)
  check.path("import", path)
  local g, why = read(path)
  if not g then return nil, why end
  local problem = problem_of(g)
  if problem then return nil, ("%s: it has %s, which cannot be read"):format(path, problem) end
  show_hidden(g)
  train(g)
  return module.module({
    name = "Imported", forward = Imported.forward, weights = g.constants, _nodes = g.nodes,
    _inputs = inputs_of(g), _outputs = g.outputs,
  }):eval()
end
