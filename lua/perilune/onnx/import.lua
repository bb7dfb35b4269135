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

-- The first thing that cannot be done, as a text.
local function problem_of(g)
  local unknown, seen = {}, {}
  for _, n in ipairs(g.nodes) do
    if not operators[n.operator] and not seen[n.operator] then
      seen[n.operator] = true
      unknown[#unknown + 1] = n.operator
    end
    for name, value in next, FIXED do
      if n.attrs[name] ~= nil and n.attrs[name] ~= value then
        return ("%s with %s = %s"):format(n.operator, name, check.shown(n.attrs[name]))
      end
    end
  end
  if #unknown > 0 then return "operators " .. words.abbreviate(unknown) end
  if #g.outputs == 0 then return "a graph without outputs" end
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
    list[i] = values[name]
    if name ~= "" and not list[i] then error(("the value '%s' is missing"):format(name), 0) end
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
    if not ok then blame.complain("%s '%s': %s", n.operator, n.name, why) end
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
  train(g)
  return module.module({
    name = "Imported", forward = Imported.forward, weights = g.constants, _nodes = g.nodes,
    _inputs = inputs_of(g), _outputs = g.outputs,
  }):eval()
end
