--- An ONNX file as a table of nodes, constants, inputs and outputs (internal). The file may say
-- anything: each length and number is checked before it is used.
-- @module perilune.onnx.read

local pl = require "perilune"
local core = require "perilune.core"
local model = require "perilune.onnx.model"
local protobuf = require "perilune.onnx.protobuf"

local F <const> = model.fields
local each, text, add_ints, add_floats =
  protobuf.each, protobuf.text, protobuf.add_ints, protobuf.add_floats

-- ONNX's kinds of numbers that we have, by the names of safetensors, and the bytes of one.
local KINDS <const> = {
  [1] = {"F32", 4}, [2] = {"U8", 1}, [3] = {"I8", 1}, [6] = {"I32", 4}, [7] = {"I64", 8},
  [9] = {"BOOL", 1}, [11] = {"F64", 8},
}
-- Where a tensor has its numbers if not in raw_data: floats, int32s, int64s.
local LISTS <const> = {[4] = "floats", [5] = "ints", [7] = "ints"}
local OLDEST <const>, NEWEST <const> = 13, 21

local function integer(v)
  return math.type(v) or error("a number is a text", 0)
end

-- The numbers of a tensor as bytes, from a list.
local function packed(list, kind)
  local formats = {F32 = "<f", I32 = "<i4", I64 = "<i8", U8 = "B", BOOL = "B", I8 = "b"}
  local bytes = {}
  for i, v in ipairs(list) do
    local ok, b = pcall(string.pack, formats[kind] or "", v)
    bytes[i] = ok and b or error("a number does not fit its tensor", 0)
  end
  return table.concat(bytes)
end

local function size_of(dims)
  local n = 1
  for _, d in ipairs(dims) do
    if d < 0 or d > 0 and n > (1 << 40) // d then error("a tensor has an impossible size", 0) end
    n = n * d
  end
  return n
end

local function tensor(data, place)
  local dims, list, raw, name, kind = {}, {}, nil, "", nil
  each(data, place, function(field, v)
    if field == F.tensor.dims then add_ints(dims, data, v)
    elseif field == F.tensor.data_type and integer(v) then kind = v
    elseif field == F.tensor.name then name = text(data, v)
    elseif field == F.tensor.raw_data then raw = text(data, v)
    elseif LISTS[field] == "floats" then add_floats(list, data, v)
    elseif LISTS[field] then add_ints(list, data, v)
    elseif field == 13 or field == 14 then error("its weights lie in another file", 0) end
  end)
  local k = KINDS[kind]
  if not k then error(("tensor '%s' is of type %s, which is not read"):format(name, kind), 0) end
  raw = raw or packed(list, k[1])
  if #dims > 8 or #raw ~= size_of(dims) * k[2] then
    error(("tensor '%s' has not the bytes of its size"):format(name), 0)
  end
  return name, pl.from_bytes(raw, k[1], dims, {convert = true})
end

local function attribute(data, place)
  local name, value, list = "", nil, {}
  each(data, place, function(field, v)
    if field == F.attribute.name then name = text(data, v)
    elseif field == F.attribute.f then add_floats(list, data, v) value = list[1]
    elseif field == F.attribute.i and integer(v) then value = v
    elseif field == F.attribute.s then value = text(data, v)
    elseif field == 5 then value = select(2, tensor(data, v))
    elseif field == F.attribute.ints then add_ints(list, data, v) value = list
    elseif field == F.attribute.floats then add_floats(list, data, v) value = list end
  end)
  return name, value
end

local function node(data, place)
  local n = {inputs = {}, outputs = {}, attrs = {}, operator = "", name = "", domain = ""}
  local texts = {[F.node.name] = "name", [F.node.op_type] = "operator", [7] = "domain"}
  each(data, place, function(field, v)
    if field == F.node.input then n.inputs[#n.inputs + 1] = text(data, v)
    elseif field == F.node.output then n.outputs[#n.outputs + 1] = text(data, v)
    elseif field == F.node.attribute then
      local name, value = attribute(data, v)
      n.attrs[name] = value
    elseif texts[field] then n[texts[field]] = text(data, v) end
  end)
  if n.domain ~= "" and n.domain ~= "ai.onnx" then n.operator = n.domain .. "." .. n.operator end
  return n
end

local function name_of(data, place)
  local name = ""
  each(data, place, function(field, v) if field == 1 then name = text(data, v) end end)
  return name
end

local function read_graph(data, place)
  local g = {nodes = {}, constants = {}, inputs = {}, outputs = {}}
  each(data, place, function(field, v)
    if field == F.graph.node then g.nodes[#g.nodes + 1] = node(data, v)
    elseif field == F.graph.initializer then
      local name, t = tensor(data, v)
      g.constants[name] = t
    elseif field == F.graph.input then g.inputs[#g.inputs + 1] = name_of(data, v)
    elseif field == F.graph.output then g.outputs[#g.outputs + 1] = name_of(data, v) end
  end)
  return g
end

-- The version of ONNX's own operators that the file asks for, or nil.
local function opset_of(data, place)
  local domain, version = "", 0
  each(data, place, function(field, v)
    if field == 1 then domain = text(data, v) elseif field == 2 and integer(v) then version = v end
  end)
  return (domain == "" or domain == "ai.onnx") and version or nil
end

local function check_opset(version)
  if not version then error("it does not say of which opset it is", 0) end
  if version < OLDEST or version > NEWEST then
    error(("it is of opset %d; %d to %d are read"):format(version, OLDEST, NEWEST), 0)
  end
end

-- Without the line of the library in which something failed.
local function bare(why)
  return (tostring(why):gsub("^[^\n:]+:%d+: ", ""))
end

--- Reads a file.
-- @param path
-- @return {nodes =, constants =, inputs =, outputs =}, or nil and a message
return function(path)
  local data, why = core.read_file(path)
  if not data then return nil, why end
  local place, opset
  local ok, result = pcall(function()
    each(data, {1, #data}, function(field, v)
      if field == F.model.graph then place = v
      elseif field == F.model.opset_import then opset = opset_of(data, v) or opset end
    end)
    if not place then error("it has no graph", 0) end
    check_opset(opset)
    return read_graph(data, place)
  end)
  if ok then return result end
  return nil, ("%s: not an ONNX file that can be read: %s"):format(path, bare(result))
end
