--- The samples of an op's row, as docs/ops.md explains them, `any[3,4] index4[3] dim=2`, read into
-- words (internal).
-- @module perilune.help.sample

local complain = require("perilune.internal.blame").complain

local sample = {}

local function read_list(text)
  local list = {}
  for n in text:gmatch "[^,]+" do
    list[#list + 1] = math.tointeger(n)
    if not math.tointeger(n) then return nil end
  end
  return list
end

local function read_number(text)
  local sign, inf = text:match "^(%-?)(inf)$"
  if inf then return sign == "-" and -math.huge or math.huge end
  return tonumber(text)
end

local booleans <const> = {["true"] = true, ["false"] = false}

local readers <const> = {
  int = math.tointeger, dim = math.tointeger, index = math.tointeger, real = read_number,
  bool = function(text) return booleans[text] end,
  choice = function(text) return text end,
  dims = read_list, ints = read_list, pair = read_list,
}

local function read_attribute(row, name, text)
  for _, spec in ipairs(row.attrs) do
    local value
    if spec.name == name then value = readers[spec.type](text) end
    if value ~= nil then return value end
  end
  complain("%s: its samples have '%s=%s', which is no attribute, or no value of one",
    row.name, name, text)
end

local kinds <const> = {
  any = true, pos = true, regular = true, spd = true, unit = true, const = true, constpos = true,
  bool = true, index = true,
}

local function read_input(row, word)
  local kind, top, sizes = word:match "^(%a+)(%d*)%[([%d,]*)%]$"
  if not kinds[kind] or (kind == "index") ~= (top ~= "") then
    complain("%s: its samples have '%s'; a tensor, any[3,4], or name=value expected",
      row.name, word)
  end
  return {kind = kind, top = math.tointeger(top), size = read_list(sizes)}
end

local function read(row, text)
  local inputs, attributes = {}, {}
  for word in text:gmatch "%S+" do
    local name, value = word:match "^([%w_]+)=(.*)$"
    if name then attributes[name] = read_attribute(row, name, value)
    else inputs[#inputs + 1] = read_input(row, word) end
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
