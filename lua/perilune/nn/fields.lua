--- What the fields of a module are: modules, parameters, buffers (internal; `perilune.nn.module`
-- says how they are searched).
-- @module perilune.nn.fields

local complain = require("perilune.internal.blame").complain
local is_tensor = require("perilune.internal.check").is_tensor

local fields = {}

-- Tensors that stay parameters while requires_grad_(false) keeps them as they are.
local marked = setmetatable({}, {__mode = "k"})

--- Marks a tensor as a parameter, whether it requires a gradient or not.
-- @param tensor
function fields.mark(tensor)
  marked[tensor] = true
end

--- Whether a tensor is a parameter.
-- @param tensor
-- @return boolean
function fields.is_parameter(tensor)
  return tensor.requires_grad or marked[tensor] or false
end

--- What a tensor is in a module.
-- @param tensor
-- @return "parameter", "frozen", which is a parameter that requires no gradient, or "buffer"
function fields.role(tensor)
  return tensor.requires_grad and "parameter" or marked[tensor] and "frozen" or "buffer"
end

--- Whether a value is a module.
-- @param value anything
-- @return boolean
function fields.is_module(value)
  local meta = type(value) == "table" and getmetatable(value)
  return meta and rawget(meta, "is_module") or false
end

--- Whether a value is a table that is searched: a module or a plain table.
-- @param value anything
-- @return boolean
function fields.is_searched(value)
  return type(value) == "table" and (getmetatable(value) == nil or fields.is_module(value))
end

--- The keys of a table that are searched: 1, 2, ..., then names in alphabetical order.
-- @param t table
-- @return list
function fields.sorted_keys(t)
  local numbers, names = {}, {}
  for key in next, t do
    if math.type(key) == "integer" then
      numbers[#numbers + 1] = key
    elseif type(key) == "string" and key:byte() ~= 95 then
      names[#names + 1] = key
    end
  end
  table.sort(numbers)
  table.sort(names)
  return table.move(names, 1, #names, #numbers + 1, numbers)
end

-- Calls visit(path, value) for each tensor and module below t, each once.
local function walk(t, prefix, seen, visit)
  for _, key in ipairs(fields.sorted_keys(t)) do
    local value = rawget(t, key)
    local searched = fields.is_searched(value)
    if (searched or is_tensor(value)) and not seen[value] then
      seen[value] = true
      local path = prefix .. key
      if not searched or fields.is_module(value) then visit(path, value) end
      if searched then walk(value, path .. ".", seen, visit) end
    end
  end
end

--- Whether a tensor is the result of an op that may be differentiated: an activation that a
-- module has kept, neither a parameter nor a buffer.
-- @param path of the field, for the message
-- @param value tensor
-- @return boolean
function fields.is_activation(path, value)
  local alive, leaf = pcall(function() return value.is_leaf end)
  if not alive then
    complain("the field %s holds a tensor that was released; give it a name that begins with _",
      path)
  end
  return not leaf
end

--- The tensors and modules inside a module, each once, in the order of the search.
-- @param self module
-- @param wanted function(value) that says which
-- @return list of {name = path, value = value}
function fields.collect(self, wanted)
  local list = {}
  walk(self, "", {[self] = true}, function(path, value)
    if is_tensor(value) and fields.is_activation(path, value) then return end
    if wanted(value) then list[#list + 1] = {name = path, value = value} end
  end)
  return list
end

return fields
