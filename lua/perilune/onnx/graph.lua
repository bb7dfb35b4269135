--- An ONNX graph in the making: values, nodes, constants, and the sizes that are free (internal).
-- @module perilune.onnx.graph

local pl = require "perilune"
local extent = require "perilune.onnx.extent"

local graph = {}

--- What a node reads and gives: {name =, kind =, size = list of integers and extents, if known;
-- tensor = of a constant, or ints = of one of int64; truth = the bool that a mask was}. The kind is
-- a dtype of ours, or "bool" or "int64", which ONNX has besides.
local Value = {__name = "a value of the graph"}

--- The numbers of the kinds in ONNX.
graph.KINDS = {real = 1, uint8 = 2, int32 = 6, int64 = 7, bool = 9}

local function set(list)
  local result = {}
  for word in list:gmatch "%S+" do result[word] = true end
  return result
end

-- Operators whose result is of another kind than their first input, with their outputs.
local BOOL <const> = set "Equal Less LessOrEqual Greater GreaterOrEqual And Or Xor Not IsNaN"
local INT64 <const> = set "Shape ArgMax ArgMin"
local OUTPUTS <const> = {TopK = 2, LSTM = 3, GRU = 2}
-- And where the input stands that decides the kind of the result, and of numbers beside it.
local DECIDES <const> = {Where = 2, OneHot = 3}

local Graph = {}
Graph.__index = Graph

--- An empty graph.
-- @param symbols list of {name =, size =, input =, dim =}: the sizes that are free
-- @param refuse function(text, ...) that raises an error
-- @return the graph
function graph.new(symbols, refuse)
  return setmetatable({
    symbols = symbols, refuse = refuse, inputs = {}, outputs = {}, nodes = {}, constants = {},
    symbol_values = {}, scope = "",
  }, Graph)
end

--- Whether something is a value of a graph.
function graph.is_value(v)
  return getmetatable(v) == Value
end

local function value(fields)
  return setmetatable(fields, Value)
end

--- Adds an input.
function Graph:input(name, kind, size)
  local v = value {name = name, kind = kind, size = size}
  self.inputs[#self.inputs + 1] = v
  return v
end

--- A constant.
-- @param tensor
-- @param name
function Graph:constant(tensor, name)
  return value {name = name, kind = tensor:dtype(), size = tensor:size(), tensor = tensor}
end

-- A constant that is there once for each text that describes it.
local function shared(self, key, make)
  self.constants[key] = self.constants[key] or make()
  return self.constants[key]
end

-- A number beside a value of some kind.
function Graph:number(v, kind)
  if kind == "int64" then return self:int64(math.tointeger(v), true) end
  if kind == "int32" and not math.tointeger(v) then
    self.refuse("%s stands beside integers", v)
  end
  local key = ("%s %s"):format(kind, ("%.17g"):format(v))
  return shared(self, key, function()
    return self:constant(pl.full({}, v, kind == "bool" and "uint8" or kind), "constant")
  end)
end

-- The size that is free, as a vector of one int64.
local function symbol_value(self, i)
  local symbol = self.symbols[i]
  self.symbol_values[i] = self.symbol_values[i]
    or self:node("Gather", {self:node("Shape", {symbol.input}), self:int64 {symbol.dim - 1}},
                 {axis = 0})
  return self.symbol_values[i]
end

local function product_node(self, f)
  local v
  for i, power in ipairs(f.powers) do
    for _ = 1, power do
      local s = symbol_value(self, i)
      v = v and self:node("Mul", {v, s}) or s
    end
  end
  return f.factor == 1 and v or self:node("Mul", {v, self:int64 {f.factor}})
end

local function sum_node(self, f)
  local v = self:int64 {f.shift}
  for i, times in ipairs(f.times) do
    if times ~= 0 then
      local term = self:node("Mul", {symbol_value(self, i), self:int64 {times}})
      v = self:node("Add", {v, term})
    end
  end
  return v
end

-- An extent as a vector of one int64.
local function extent_node(self, e)
  local f = extent.formula(e, self.symbols)
  if not f then
    self.refuse("a size is %s for inputs of different sizes, which is no product or sum of these",
                table.concat(e, ", "))
  end
  return f.factor and product_node(self, f) or sum_node(self, f)
end

-- A vector of integers, or one alone.
local function ints(self, list, alone)
  local key = (alone and "int64 " or "int64s ") .. table.concat(list, ",")
  return shared(self, key, function()
    return value {name = "constant", kind = "int64", size = alone and {} or {#list}, ints = list}
  end)
end

--- Integers as a vector of int64, or one as such.
-- @param list of integers and extents, or one of them
function Graph:int64(list)
  if math.type(list) == "integer" then return ints(self, {list}, true) end
  if extent.is(list) then
    return self:node("Squeeze", {extent_node(self, list), self:int64 {0}})
  end
  local parts, fixed = {}, true
  for i, n in ipairs(list) do
    fixed = fixed and not extent.is(n)
    parts[i] = extent.is(n) and extent_node(self, n) or n
  end
  if fixed then return ints(self, list) end
  for i, n in ipairs(parts) do
    if not graph.is_value(n) then parts[i] = self:int64 {n} end
  end
  return #parts == 1 and parts[1] or self:node("Concat", parts, {axis = 0})
end

--
-- Nodes
--

-- What stands in an attribute must be the same for all sizes.
local function check_attributes(self, operator, attrs)
  for name, v in next, attrs do
    for _, n in ipairs(type(v) == "table" and not extent.is(v) and v or {v}) do
      if extent.is(n) then
        self.refuse("%s of %s would have to be %s", name, operator, extent.text(n, self.symbols))
      end
    end
  end
end

-- The kind of a node's first result.
local function result_kind(operator, inputs, attrs)
  if operator == "Cast" then
    for kind, number in next, graph.KINDS do
      if number == attrs.to then return kind end
    end
  end
  return BOOL[operator] and "bool" or INT64[operator] and "int64"
    or inputs[DECIDES[operator] or 1].kind
end

-- A number that changes nothing: x * 1, x + 0.
local function does_nothing(operator, inputs)
  local one = operator == "Mul" and 1 or operator == "Add" and 0
  return one and inputs[2] == one and graph.is_value(inputs[1]) and inputs[1].kind == "real"
end

-- Inputs in which numbers are constants of the kind of the others.
local function with_numbers(self, operator, inputs)
  local kind = "real"
  for i = inputs.n, DECIDES[operator] or 1, -1 do
    if graph.is_value(inputs[i]) then kind = inputs[i].kind end
  end
  for i = 1, inputs.n do
    if math.type(inputs[i]) then inputs[i] = self:number(inputs[i], kind) end
  end
end

--- Adds a node.
-- @param operator its name in ONNX
-- @param inputs list of values and numbers, with holes if it has `n`
-- @param[opt] attrs integers, floats, texts, booleans, and lists of these by name
-- @return its outputs
function Graph:node(operator, inputs, attrs)
  inputs.n = inputs.n or #inputs
  attrs = attrs or {}
  while inputs.n > 0 and inputs[inputs.n] == nil do inputs.n = inputs.n - 1 end
  if does_nothing(operator, inputs) then return inputs[1] end
  with_numbers(self, operator, inputs)
  check_attributes(self, operator, attrs)
  local node = {operator = operator, inputs = inputs, attrs = attrs, outputs = {},
                scope = self.scope}
  local kind = result_kind(operator, inputs, attrs)
  for i = 1, OUTPUTS[operator] or 1 do
    node.outputs[i] = value {node = node, kind = kind}
  end
  if operator == "TopK" then node.outputs[2].kind = "int64" end
  self.nodes[#self.nodes + 1] = node
  return table.unpack(node.outputs)
end

--- A value in another kind; the truth of a mask is what the mask was made of.
function Graph:cast(v, kind)
  if math.type(v) then return self:number(v, kind) end
  if v.kind == kind then return v end
  if kind == "bool" and v.truth then return v.truth end
  local result = self:node("Cast", {v}, {to = graph.KINDS[kind]})
  if v.kind == "bool" then result.truth = v end
  result.size = v.size
  return result
end

--
-- The end: what is used, and names
--

-- The nodes on which the outputs depend, in order.
local function used_nodes(self)
  local used, list = {}, {}
  for _, v in ipairs(self.outputs) do
    if v.node then used[v.node] = true end
  end
  for i = #self.nodes, 1, -1 do
    local node = self.nodes[i]
    for k = 1, used[node] and node.inputs.n or 0 do
      local v = node.inputs[k]
      if v and v.node then used[v.node] = true end
    end
  end
  for _, node in ipairs(self.nodes) do
    if used[node] then list[#list + 1] = node end
  end
  return list
end

local function used_constants(nodes)
  local seen, list = {}, {}
  for _, node in ipairs(nodes) do
    for k = 1, node.inputs.n do
      local v = node.inputs[k]
      if v and (v.tensor or v.ints) and not seen[v] then
        seen[v] = true
        list[#list + 1] = v
      end
    end
  end
  return list
end

-- A name that nothing has yet: "x", "x_2", ...
local function name_anew(taken, name)
  local result, n = name, 1
  while taken[result] do
    n = n + 1
    result = ("%s_%d"):format(name, n)
  end
  taken[result] = true
  return result
end

-- Outputs that have a name already, as an input or another output, get a node of their own.
local function name_outputs(self, names, taken)
  for i, v in ipairs(self.outputs) do
    if not v.node or v.is_output then
      local size, kind = v.size, v.kind
      v = self:node("Identity", {v})
      v.size, v.kind, self.outputs[i] = size, kind, v
    end
    v.is_output, v.name = true, names[i]
    taken[names[i]] = true
  end
end

local function name_nodes(nodes, taken)
  local scopes = {}
  for _, node in ipairs(nodes) do
    node.name = name_anew(scopes, (node.scope ~= "" and node.scope .. "." or "") .. node.operator)
    for _, v in ipairs(node.outputs) do
      if not v.is_output then v.name = name_anew(taken, node.name) end
    end
  end
end

--- Ends the graph: leaves out what no output needs and names everything.
-- @param names of the outputs
function Graph:finish(names)
  local taken = {}
  for _, v in ipairs(self.inputs) do taken[v.name] = true end
  name_outputs(self, names, taken)
  self.nodes = used_nodes(self)
  self.constants = used_constants(self.nodes)
  for _, v in ipairs(self.constants) do v.name = name_anew(taken, v.name) end
  name_nodes(self.nodes, taken)
end

return graph
