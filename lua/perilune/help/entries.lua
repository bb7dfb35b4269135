--- What is known of public things, in one form: functions of C from the texts of the binding,
-- functions and classes of Lua from their doc comments (internal).
-- @module perilune.help.entries

local core = require "perilune.core"
local words = require "perilune.internal.words"
local doc = require "perilune.help.doc"
local example = require "perilune.help.example"
local names = require "perilune.help.names"
local perilune = require "perilune"
local sources = require "perilune.sources"

local entries = {}

--- The functions and methods of the engine.
-- @return sorted list of names
function entries.bound_names()
  local set = {}
  for key in next, core.docs do set[key:match "^tensor:(.*)" or key] = true end
  return words.sorted_keys(set)
end

--- The entry of a function or method of the engine.
-- @param name as `entries.bound_names` lists it
-- @return entry as `doc.parse` makes them, with `signature`; nil for an unknown name
function entries.bound(name)
  local text = core.docs[name] or core.docs["tensor:" .. name]
  if not text then return nil end
  local signature, description = (text .. "\n"):match("^(.-)\n(.-)%s*$")
  return {
    kind = "function", name = name, signature = signature, text = description,
    summary = description:match("^[^\n]*"), params = {}, returns = {},
  }
end

--- An example of an op that runs, with its results.
-- @param name of a function
-- @return lines of Lua, the reason why there are none, or nil if it is no op or has no samples
function entries.example(name)
  local row = core.op(name)
  if not row or not row.samples:find "%S" then return nil end
  local ok, lines = pcall(example.of, row)
  return ok and lines or "-- " .. tostring(lines)
end

--- The value of a name in a table, of a name with dots in the tables inside.
-- @param owner table
-- @param name "sum", "linalg.inv"
-- @return value or nil
function entries.find(owner, name)
  for part in name:gmatch "[^.]+" do owner = type(owner) == "table" and rawget(owner, part) end
  return owner or nil
end

local bound_names = {} -- function of C -> its name
local known = 0 -- ops among them

local function find_bound_names()
  for key in next, core.docs do
    local name = key:match "^tensor:(.*)" or key
    for _, owner in ipairs {core, core.methods} do
      local f = entries.find(owner, name)
      if f then bound_names[f] = name end
    end
  end
end

-- The name of a function of C; ops may be registered at any time.
local function bound_name(f)
  if not bound_names[f] and known ~= core.registered.count() then
    known = core.registered.count()
    find_bound_names()
  end
  return bound_names[f]
end

local function find_value(module, name)
  for _, entry in ipairs(doc.module(module) or {}) do
    if entry.name == name and entry.kind == "value" then return entry end
  end
end

-- The comment of a field that is no function written there, in the file of the module that
-- has the field, or in one of its folder.
local function field_entry(path)
  local parent, name = path:match("^pl%.?(.-)[.:]?([%w_]+)$")
  local owner = perilune
  for part in (parent or ""):gmatch("[%w_]+") do
    owner = type(owner) == "table" and rawget(owner, part)
  end
  local module = names.module(owner)
  local entry = module and find_value(module, name)
  if entry or not module or owner == perilune then return entry end
  for _, inner in ipairs(sources.modules) do
    entry = inner:sub(1, #module + 1) == module .. "." and find_value(inner, name)
    if entry then return entry end
  end
end

-- A function that a module has from elsewhere may have a comment in both places.
local function function_entry(f, path)
  local bound = bound_name(f)
  if bound then return entries.bound(bound) end
  local field, own = path and field_entry(path), doc.of(f)
  if not field or not own then return own end
  local entry = {}
  for key, value in next, field do entry[key] = value end
  entry.kind, entry.arguments = "function", doc.arguments(f)
  return entry
end

-- Whether a module says that it is "(internal)": its objects are not for scripts.
local function is_internal(module)
  local overview = doc.overview(module)
  return overview ~= nil and overview.text:find("(internal)", 1, true) ~= nil
end

--- The documented methods of the library's objects that scripts get.
-- @param[opt] module whose; without it, those of all modules
-- @return list of entries, in the order of the modules
function entries.methods(module)
  local list = {}
  for _, name in ipairs(module and {module} or sources.modules) do
    for _, entry in ipairs(is_internal(name) and {} or doc.module(name)) do
      if entry.kind == "method" and entry.name:byte() ~= 95 then list[#list + 1] = entry end
    end
  end
  return list
end

--- The entry of a value.
-- @param value function, class, module of the library or plain value
-- @param[opt] path its public name, "pl.nn.Linear"
-- @return entry as `doc.parse` makes them, with `signature` if it is a function of C; or nil
function entries.of(value, path)
  if type(value) == "function" then
    return function_entry(value, path)
  elseif names.is_class(value) then
    return doc.class(value)
  end
  local module = names.module(value)
  if module then return doc.overview(module) end
  return path and field_entry(path)
end

return entries
