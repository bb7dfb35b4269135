--- The public names of the library and of Lua's own: `pl.nn.Linear`, `string.format`.
-- @module perilune.help.names

local perilune = require "perilune"
local object = require "perilune.internal.object"

local names = {}

--- The reserved words of Lua.
names.keywords = {
  "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if",
  "in", "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
}

local reserved = {}
for _, word in ipairs(names.keywords) do reserved[word] = true end

--- Whether a text can be a name in Lua.
-- @param word string
-- @return boolean
function names.is_name(word)
  return word:find("^[%a_][%w_]*$") ~= nil and not reserved[word]
end

--- Whether a value is a class of modules, as `nn.class` makes them.
-- @param value anything
-- @return boolean
function names.is_class(value)
  return type(value) == "table" and rawget(value, "class_name") ~= nil
end

--- The module that a table is: "perilune.nn" for `pl.nn`.
-- @param value anything
-- @return string, or nil if it is none of the library's modules, or a class
function names.module(value)
  value = object.itself(value)
  if type(value) ~= "table" or names.is_class(value) then return nil end
  for name, loaded in next, package.loaded do
    if rawequal(loaded, value) and name:find("^perilune%f[.\0]") then return name end
  end
end

local function sorted_keys(t)
  local keys = {}
  for key in next, t do
    if type(key) == "string" and key:byte() ~= 95 then keys[#keys + 1] = key end
  end
  table.sort(keys)
  return keys
end

-- Adds the fields of a table, and afterwards those of the classes and modules in it.
local function add_fields(list, seen, path, t, separator)
  local inner = {}
  for _, key in ipairs(sorted_keys(t)) do
    local value = rawget(t, key)
    local kind = type(value)
    if (kind == "function" or kind == "table") and not seen[value] then
      local entry = {path = path .. separator .. key, value = value}
      seen[value] = true
      list[#list + 1] = entry
      if names.is_class(value) or names.module(value) then inner[#inner + 1] = entry end
    end
  end
  for _, entry in ipairs(inner) do
    add_fields(list, seen, entry.path, entry.value, names.is_class(entry.value) and ":" or ".")
  end
end

--- The public names of Perilune.
-- @param[opt=false] all whether parts that were not used yet are loaded for that
-- @return list of {path = "pl.nn.Linear", value = ...}, outer names first
function names.public(all)
  if all then pairs(perilune) end -- which loads every part
  local list = {{path = "pl", value = perilune}}
  add_fields(list, {[perilune] = true}, "pl", perilune, ".")
  return list
end

local LUA <const> = {
  "_G", "coroutine", "debug", "io", "math", "os", "package", "string", "table", "utf8",
}

--- The names of Lua's own functions and libraries, and of global functions.
-- @return list of {path = "string.format", value = ...}
function names.lua()
  local list = {}
  for _, library in ipairs(LUA) do
    local t = package.loaded[library] or {}
    local prefix = library == "_G" and "" or library .. "."
    list[#list + 1] = {path = library, value = t}
    for _, key in ipairs(sorted_keys(t)) do
      local value = t[key]
      if type(value) == "function" then list[#list + 1] = {path = prefix .. key, value = value} end
    end
  end
  return list
end

--- All public names by value; the library's go before Lua's.
-- @param[opt=false] all as in `names.public`
-- @return table: function or table -> name
function names.by_value(all)
  local map = {}
  for _, list in ipairs {names.public(all), names.lua()} do
    for _, entry in ipairs(list) do map[entry.value] = map[entry.value] or entry.path end
  end
  return map
end

return names
