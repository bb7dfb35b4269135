--- The samples of an op's row, as docs/ops.md explains them: `any[3,4] index4[3] dim=2`. The tests
-- of gradients walk them as they are, the benchmark of ops larger.
-- @module samples

local pl = require "perilune"

local samples = {}

local makers = {}

function makers.any(size) return pl.randn(size), true end
function makers.pos(size) return pl.rand(size) + 0.5, true end
function makers.unit(size) return 0.1 + 0.8 * pl.rand(size), true end
function makers.const(size) return pl.randn(size), false end
function makers.constpos(size) return pl.rand(size) + 0.5, false end
function makers.bool(size) return pl.empty(size, "uint8"):bernoulli_(0.5), false end

local function make_input(word, scale)
  local kind, top, sizes = word:match "^(%a+)(%d*)%[([%d,]*)%]$"
  assert(kind, "not an input: " .. word)
  local size = {}
  for n in sizes:gmatch "%d+" do size[#size + 1] = math.tointeger(n) * scale end
  if kind == "index" then
    return (pl.rand(size) * tonumber(top) * scale + 1):to "int32", false
  end
  return assert(makers[kind], "unknown input " .. word)(size)
end

local function read_list(text)
  local list = {}
  for n in text:gmatch "[^,]+" do list[#list + 1] = math.tointeger(n) end
  return list
end

local readers <const> = {
  int = math.tointeger, dim = math.tointeger, index = math.tointeger, real = tonumber,
  bool = function(text) return text == "true" end,
  choice = function(text) return text end,
  dims = read_list, ints = read_list, pair = read_list,
}

local function read_attribute(row, name, text)
  for _, spec in ipairs(row.attrs) do
    if spec.name == name then return readers[spec.type](text) end
  end
  error(("%s: sample has an unknown attribute %s"):format(row.name, name))
end

local function make_sample(row, text, scale)
  local inputs, wanted, attributes = {}, {}, {}
  for word in text:gmatch "%S+" do
    local name, value = word:match "^([%w_]+)=(.*)$"
    if name then
      attributes[name] = read_attribute(row, name, value)
    else
      inputs[#inputs + 1], wanted[#inputs + 1] = make_input(word, scale)
    end
  end
  return inputs, wanted, attributes
end

--- The samples of a row, each made when its turn comes: `for text, inputs, wanted, attributes in
-- samples.each(row) do`; wanted[i] says whether a gradient by input i is asked for.
-- @param row of pl.op
-- @param[opt=1] scale factor of all sizes, and of what an index may be
function samples.each(row, scale)
  local texts = row.samples:gmatch "%s*([^;]*[^;%s])"
  return function()
    local text = texts()
    if text then return text, make_sample(row, text, scale or 1) end
  end
end

--- Calls the op of a row.
-- @return its results
function samples.call(row, inputs, attributes)
  local arguments = row.inputs.variadic and {inputs} or {table.unpack(inputs)}
  arguments[#arguments + 1] = attributes
  return pl[row.name](table.unpack(arguments))
end

return samples
