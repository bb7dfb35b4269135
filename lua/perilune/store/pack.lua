--- Lua values as what JSON can hold, and back (internal). What JSON has no word for is a table with
-- one key that begins with `$`: `{["$number"] = "inf"}`, `{["$tensor"] = "1.weight"}`.
-- @module perilune.store.pack

local check = require "perilune.internal.check"
local core = require "perilune.core"

local pack = {}

local special = {inf = math.huge, ["-inf"] = -math.huge, nan = 0 / 0}

--- Raises the error of a value that cannot be packed: its path, and what it is.
-- @param path of the value
-- @param format of the rest, as in `string.format`
-- @param ... its arguments
function pack.refuse(path, format, ...)
  error(("%s %s"):format(path == "" and "the table" or path, format:format(...)), 0)
end

--- The path of a field.
-- @param path of the table
-- @param key
-- @return string
function pack.below(path, key)
  return path == "" and tostring(key) or path .. "." .. key
end

local refuse, below = pack.refuse, pack.below

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

local function is_sequence(keys, t)
  for _, key in ipairs(keys) do
    if math.type(key) ~= "integer" or key < 1 then return false end
  end
  return #keys == #t
end

--- All keys of a table, in any order.
-- @param t table
-- @return list
function pack.all_keys(t)
  local keys = {}
  for key in next, t do keys[#keys + 1] = key end
  return keys
end

local function check_key(key, path, entries)
  if math.type(key) == "integer" then
    if not entries then refuse(path, "is a list with gaps, or with names beside its numbers") end
  elseif type(key) ~= "string" then
    refuse(path, "has the key %s; keys 1..n or strings expected", tostring(key))
  elseif key:sub(1, 1) == "$" then
    refuse(path, "has the key %s; names that begin with $ are the file's own", key)
  end
end

-- Whether keys have to be written beside their values: there are integers among them.
local function check_keys(keys, path, how)
  local integers = false
  for _, key in ipairs(keys) do
    check_key(key, path, how.entries)
    integers = integers or math.type(key) == "integer"
  end
  return integers
end

local function pack_table(t, path, how, seen)
  if seen[t] then refuse(path, "occurs inside itself") end
  seen[t] = true
  local packed, keys = {}, how.keys(t)
  local entries = not is_sequence(keys, t) and check_keys(keys, path, how)
  for i, key in ipairs(keys) do
    local value = pack.value(rawget(t, key), below(path, key), how, seen)
    if entries then packed[i] = {key, value} else packed[key] = value end
  end
  seen[t] = nil
  return entries and {["$entries"] = packed} or packed
end

--- A value as JSON can hold it. Raises an error that names the path of what cannot be packed.
-- @param value anything
-- @param path of it
-- @param how table: `keys(t)`, the list of a plain table's keys that are packed; `other(value,
--   path)`, which packs what is neither a number, a string, a boolean nor a plain table; `entries`,
--   whether lists may have gaps and names
-- @param seen the tables around it
-- @return table, number, string or boolean
function pack.value(value, path, how, seen)
  local kind = type(value)
  if kind == "number" then return pack_number(value) end
  if kind == "string" or kind == "boolean" then return value end
  if kind == "table" and not getmetatable(value) then return pack_table(value, path, how, seen) end
  return how.other(value, path)
end

--- Raises the error of a value of a kind that no file holds.
-- @param value anything
-- @param path of it
function pack.unknown(value, path)
  if type(value) == "table" then refuse(path, "is an object; plain table expected") end
  refuse(path, "is a %s, which a file cannot hold", check.type(value))
end

--- The JSON text of what was packed.
-- @param packed
-- @return string; raises an error that names the place of what JSON cannot hold
function pack.encoded(packed)
  local ok, text = pcall(core.json_encode, packed)
  return ok and text or error((text:gsub("^json_encode: ", "")), 0)
end

--- The reverse of it.
-- @param text
-- @return what was packed; raises an error for a text that is not JSON
function pack.decoded(text)
  local value, message = core.json_decode(text)
  return value == nil and error(message, 0) or value
end

--- The key of a packed table that stands for something else: `$tensor`.
-- @param packed anything
-- @return string, or nil
-- @return what stands under it
function pack.tag(packed)
  local key, value = next(packed)
  if type(key) == "string" and key:sub(1, 1) == "$" and next(packed, key) == nil then
    return key, value
  end
end

--- The items of a packed table by their keys.
-- @param packed table
-- @param path of it
-- @return table
function pack.items(packed, path)
  local tag, entries = pack.tag(packed)
  if tag ~= "$entries" or type(entries) ~= "table" then return packed end
  local items = {}
  for _, entry in ipairs(entries) do
    local key = type(entry) == "table" and entry[1]
    if not (type(key) == "string" or math.type(key) == "integer") or entry[2] == nil then
      refuse(path, "has an entry that is no pair of a key and a value")
    end
    items[key] = entry[2]
  end
  return items
end

--- The number of a packed one.
-- @param text what stands under `$number`
-- @return number; raises an error for a text that is none
function pack.number(text)
  return special[text] or type(text) == "string" and math.tointeger(tonumber(text))
    or error(("'%s' is no number"):format(tostring(text)), 0)
end

--- The value that was packed.
-- @param packed
-- @param other function(tag, value) that gives what stands for something else, or nil if it does
--   not know the tag, whose table is then a plain one
-- @return value
function pack.unpacked(packed, other)
  if type(packed) ~= "table" then return packed end
  local tag, inner = pack.tag(packed)
  if tag == "$number" then return pack.number(inner) end
  local value = tag and other(tag, inner)
  if value ~= nil then return value end
  for key, item in next, packed do packed[key] = pack.unpacked(item, other) end
  return packed
end

return pack
