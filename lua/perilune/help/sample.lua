--- The samples of an op's row, as docs/ops.md explains them, `any[3,4] index4[3] dim=2`, read into
-- words (internal).
-- @module perilune.help.sample

local sample = {}

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

local function read_input(word)
  local kind, top, sizes = word:match "^(%a+)(%d*)%[([%d,]*)%]$"
  assert(kind, "not an input: " .. word)
  return {kind = kind, top = math.tointeger(top), size = read_list(sizes)}
end

local function read(row, text)
  local inputs, attributes = {}, {}
  for word in text:gmatch "%S+" do
    local name, value = word:match "^([%w_]+)=(.*)$"
    if name then attributes[name] = read_attribute(row, name, value)
    else inputs[#inputs + 1] = read_input(word) end
  end
  return inputs, attributes
end

--- The samples of a row: `for text, inputs, attributes in sample.each(row) do`; an input has
-- `kind` ("any"), `top`, of an index the greatest, and `size`, a list.
-- @param row of pl.op
-- @return the iterator
function sample.each(row)
  local texts = row.samples:gmatch "%s*([^;]*[^;%s])"
  return function()
    local text = texts()
    if text then return text, read(row, text) end
  end
end

return sample
