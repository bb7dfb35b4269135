--- A graph as an ONNX file (internal): the messages of onnx.proto, whose fields have these numbers.
-- @module perilune.onnx.model

local pl = require "perilune"
local extent = require "perilune.onnx.extent"
local graph = require "perilune.onnx.graph"
local protobuf = require "perilune.onnx.protobuf"

local model = {}

--- The version of ONNX's operators, and of the file format that goes with it (ONNX 1.12, 2022).
model.OPSET, model.IR_VERSION = 17, 8

local MODEL <const> = {ir_version = 1, producer_name = 2, producer_version = 3, graph = 7,
                       opset_import = 8, metadata_props = 14}
local GRAPH <const> = {node = 1, name = 2, initializer = 5, input = 11, output = 12}
local NODE <const> = {input = 1, output = 2, name = 3, op_type = 4, attribute = 5}
local ATTRIBUTE <const> = {name = 1, f = 2, i = 3, s = 4, floats = 7, ints = 8, type = 20}
local TYPES <const> = {f = 1, i = 2, s = 3, floats = 6, ints = 7}
local TENSOR <const> = {dims = 1, data_type = 2, name = 8, raw_data = 9}
local WIDTHS <const> = {real = 4, int32 = 4, uint8 = 1}

model.fields = {
  model = MODEL, graph = GRAPH, node = NODE, attribute = ATTRIBUTE, tensor = TENSOR, types = TYPES,
}

local function pair(first, second, a, b)
  local m = protobuf.message()
  m:text(first, a)
  if math.type(b) then m:int(second, b) else m:text(second, b) end
  return m
end

-- The field for a value: "i", "f", "s", "ints" or "floats".
local function kind_of(v)
  if type(v) == "string" then return "s" end
  local list = type(v) == "table"
  local float = math.type(list and v[1] or v) == "float"
  return list and (float and "floats" or "ints") or float and "f" or "i"
end

-- How the value of a field is added to a message.
local ADD <const> = {i = "int", f = "float", s = "text", ints = "ints", floats = "floats"}

local function attribute(name, v)
  if type(v) == "boolean" then v = v and 1 or 0 end
  local m, kind = protobuf.message(), kind_of(v)
  m:text(ATTRIBUTE.name, name)
  m[ADD[kind]](m, ATTRIBUTE[kind], v)
  m:int(ATTRIBUTE.type, TYPES[kind])
  return m
end

local function sorted_names(t)
  local names = {}
  for name in next, t do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function node(n)
  local m = protobuf.message()
  for i = 1, n.inputs.n do m:text(NODE.input, n.inputs[i] and n.inputs[i].name or "") end
  for _, v in ipairs(n.outputs) do m:text(NODE.output, v.name) end
  m:text(NODE.name, n.name)
  m:text(NODE.op_type, n.operator)
  for _, name in ipairs(sorted_names(n.attrs)) do
    m:message(NODE.attribute, attribute(name, n.attrs[name]))
  end
  return m
end

local function initializer(v)
  local m = protobuf.message()
  if #v.size > 0 then m:ints(TENSOR.dims, v.size) end
  m:int(TENSOR.data_type, graph.KINDS[v.kind])
  m:text(TENSOR.name, v.name)
  if v.tensor then
    m:values(TENSOR.raw_data, v.tensor, v.tensor:numel() * WIDTHS[v.kind])
  else
    local bytes = {}
    for i, n in ipairs(v.ints) do bytes[i] = string.pack("<i8", n) end
    m:text(TENSOR.raw_data, table.concat(bytes))
  end
  return m
end

-- A dim of an input or output: a number, or the formula of one that is free.
local function dim(n, symbols)
  local m = protobuf.message()
  if extent.is(n) then m:text(2, extent.text(n, symbols)) else m:int(1, n) end
  return m
end

local function value_info(v, symbols)
  local shape, tensor, kind, m = protobuf.message(), protobuf.message(), protobuf.message(),
    protobuf.message()
  for _, n in ipairs(v.size) do shape:message(1, dim(n, symbols)) end
  tensor:int(1, graph.KINDS[v.kind])
  tensor:message(2, shape)
  kind:message(1, tensor)
  m:text(1, v.name)
  m:message(2, kind)
  return m
end

local function graph_message(g, name)
  local m = protobuf.message()
  for _, n in ipairs(g.nodes) do m:message(GRAPH.node, node(n)) end
  m:text(GRAPH.name, name)
  for _, v in ipairs(g.constants) do m:message(GRAPH.initializer, initializer(v)) end
  for _, v in ipairs(g.inputs) do m:message(GRAPH.input, value_info(v, g.symbols)) end
  for _, v in ipairs(g.outputs) do m:message(GRAPH.output, value_info(v, g.symbols)) end
  return m
end

--- The file of a graph.
-- @param g graph, finished
-- @param name of the graph
-- @param metadata table of texts
-- @return list of parts, texts and tensors, with their number of `bytes`
function model.encode(g, name, metadata)
  local m = protobuf.message()
  m:int(MODEL.ir_version, model.IR_VERSION)
  m:text(MODEL.producer_name, "perilune")
  m:text(MODEL.producer_version, pl.version)
  m:message(MODEL.graph, graph_message(g, name))
  m:message(MODEL.opset_import, pair(1, 2, "", model.OPSET))
  for _, key in ipairs(sorted_names(metadata)) do
    m:message(MODEL.metadata_props, pair(1, 2, key, metadata[key]))
  end
  return m
end

return model
