--- Saving and loading of plain tables (internal; use `perilune.save` and `perilune.load`).
--
-- A file is a safetensors archive: the tensors under the path at which they were found
-- (`model.1.weight`), and the rest of the table as JSON in the archive's metadata.
-- @module perilune.store

local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local core = require "perilune.core"
local option = require "perilune.internal.option"

local store = {}

local KEY = "perilune" -- the metadata entry that holds the structure
local special = {inf = math.huge, ["-inf"] = -math.huge, nan = 0 / 0}

-- JSON holds no infinities and no integers beyond 2^53: those are written as text.
local function pack_number(n)
  if n ~= n then return {["$number"] = "nan"} end
  if n == math.huge or n == -math.huge then
    return {["$number"] = n > 0 and "inf" or "-inf"}
  end
  if math.type(n) == "integer" and (n > 1 << 53 or n < -(1 << 53)) then
    return {["$number"] = ("%d"):format(n)}
  end
  return n
end

local function is_sequence(t)
  local n = 0
  for key in next, t do
    if math.type(key) ~= "integer" or key < 1 then return false end
    n = n + 1
  end
  return n == #t
end

local function refuse(path, format, ...)
  error(("save: %s %s"):format(path == "" and "the table" or path, format:format(...)), 0)
end

local function below(path, key)
  return path == "" and tostring(key) or path .. "." .. key
end

local pack

local function pack_table(t, path, tensors, seen)
  if seen[t] then refuse(path, "occurs inside itself") end
  if getmetatable(t) then
    refuse(path, "is an object; plain table expected (of a network, save its state_dict())")
  end
  seen[t] = true
  local packed, sequence = {}, is_sequence(t)
  for key, value in next, t do
    if not sequence and math.type(key) == "integer" then
      refuse(path, "is a list with gaps, or with names beside its numbers")
    elseif not sequence and type(key) ~= "string" then
      refuse(path, "has the key %s; keys 1..n or strings expected", tostring(key))
    elseif not sequence and key:sub(1, 1) == "$" then
      refuse(path, "has the key %s; names that begin with $ are the file's own", key)
    end
    packed[key] = pack(value, below(path, key), tensors, seen)
  end
  seen[t] = nil
  return packed
end

function pack(value, path, tensors, seen)
  local kind = type(value)
  if check.is_tensor(value) then
    if tensors[path] then refuse(path, "names two tensors") end
    tensors[path] = value
    return {["$tensor"] = path}
  elseif kind == "table" then
    return pack_table(value, path, tensors, seen)
  elseif kind == "number" then
    return pack_number(value)
  elseif kind == "string" or kind == "boolean" then
    return value
  end
  refuse(path, "is a %s, which a file cannot hold", kind)
end

local function unpack_value(value, tensors)
  if type(value) ~= "table" then return value end
  local number, name = value["$number"], value["$tensor"]
  if number then
    return special[number] or type(number) == "string" and math.tointeger(tonumber(number))
      or error(("'%s' is no number"):format(number), 0)
  end
  if name then
    return tensors[name] or error(("tensor '%s' is missing"):format(name), 0)
  end
  for key, inner in next, value do value[key] = unpack_value(inner, tensors) end
  return value
end

--- Saves a plain table: tensors, numbers, strings, booleans and tables of these. The file
-- is a safetensors archive, written under a temporary name, synced and renamed. Numbers
-- without a fraction come back as integers.
-- @param path file name
-- @param value table whose keys are 1..n or strings
-- @return true, or nil and a message if the file cannot be written
function store.save(path, value)
  local tensors = {}
  check.path("save", path)
  if type(value) ~= "table" then
    complain("save: table expected, got %s", check.type(value))
  end
  local ok, packed = pcall(pack, value, "", tensors, {})
  if not ok then complain("%s", packed) end
  local encoded, text = pcall(core.json_encode, packed)
  if not encoded then complain("%s", (text:gsub("^json_encode", "save"))) end
  return core.save_tensors(path, tensors, {[KEY] = text})
end

--- Loads what `save` wrote, or any safetensors file as a table of named tensors.
--
-- F32, F64, F16 and BF16 become real, of which a build with float has seven digits; I32, I16, I8
-- and U16 become int32, and so do I64, U64 and U32 where all values fit; U8 and BOOL become uint8.
-- A tensor of another dtype, or with a value that does not fit, is an error that names it.
--
--     local state, left_out = assert(pl.load("model.safetensors", {convert = true, skip = true}))
--     for name, why in pairs(left_out) do print(name, why) end
-- @param path file name
-- @param[opt] options `convert` (false): a tensor with integers beyond int32 becomes real, rounded,
--   and numbers beyond float become infinite; `skip` (false): leave out tensors that cannot be read
-- @return the table, or nil and a message
-- @return with `skip`, a table of messages by the names of the tensors that were left out
function store.load(path, options)
  check.path("load", path)
  local o = option.read("load", options, {convert = false, skip = false})
  local tensors, meta, left_out = core.load_tensors(path, o)
  if not tensors then return nil, meta end
  if not o.skip then left_out = nil end
  if not meta[KEY] then return tensors, left_out end
  local packed, message = core.json_decode(meta[KEY])
  if packed == nil then return nil, ("%s: %s"):format(path, message) end
  local ok, value = pcall(unpack_value, packed, tensors)
  if ok and type(value) ~= "table" then ok, value = false, "does not hold a table" end
  if not ok then return nil, ("%s: %s"):format(path, value) end
  return value, left_out
end

return store
