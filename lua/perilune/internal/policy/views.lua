--- Views: how scripts see tables of the library in a host with a policy (internal).
--
-- A view is an empty table that is read through `__index`, whose writes are errors, and in which
-- each table is a view again. The library's own files keep the tables themselves; their functions
-- that look past metatables look through a view, for scripts hand views to the library.
--
--     script:   string --view--> table of the string library <--- the library's files, ("x"):rep
--               pl.nn.Linear --view--> class <--- metatable of a layer
-- @module perilune.internal.policy.views

local error, next, pairs, rawget, rawlen, rawset = error, next, pairs, rawget, rawlen, rawset
local getmetatable, setmetatable = debug.getmetatable, setmetatable
local loaded = package.loaded

local views = {}

local real = setmetatable({}, {__mode = "k"}) -- view -> table
local view_of = setmetatable({}, {__mode = "k"}) -- table -> view
local script_metatables = setmetatable({}, {__mode = "k"}) -- those that scripts have set
local class_of = setmetatable({}, {__mode = "k"}) -- __index of objects -> their class

-- Fields of the library's tables that are settings, with their types.
local SETTINGS <const> = {["perilune.progress"] = {quiet = "boolean"}}

local READ_ONLY <const> = "a table of the library, which scripts can only read"

-- Classes of modules are metatables too, and those that scripts make are theirs.
local function is_of_script(t)
  return script_metatables[t] or require("perilune.nn.classes").is_of_script(t)
end

--- What a script sees of a value that the library has in a table.
-- @param value anything
-- @return the value, or the view of a table
function views.shown(value)
  if type(value) == "table" and not real[value] and not is_of_script(value) then
    return views.of(value)
  end
  return value
end

local shown = views.shown

local function is_setting(t, key, value)
  for module, types in next, SETTINGS do
    if loaded[module] == t and types[key] == type(value) then return true end
  end
  return false
end

local READ <const> = {
  __metatable = false,
  __index = function(self, key) return shown(real[self][key]) end,
  __len = function(self) return #real[self] end,
  __tostring = function(self) return tostring(real[self]) end,
}

function READ.__newindex(self, key, value)
  local t = real[self]
  if not is_setting(t, key, value) then error(("%s: %s"):format(tostring(key), READ_ONLY), 2) end
  t[key] = value
end

function READ.__pairs(self)
  local step, state, first = pairs(real[self])
  return function(_, key)
    local value
    key, value = step(state, key)
    return key, shown(value)
  end, self, first
end

local CALLED <const> = {__call = function(self, ...) return real[self](...) end}
for name, value in next, READ do CALLED[name] = value end

--- The view of a table of the library, always the same one.
-- @param t table
-- @return view
function views.of(t)
  if not view_of[t] then
    local meta = getmetatable(t)
    local view = setmetatable({}, meta and rawget(meta, "__call") and CALLED or READ)
    view_of[t], real[view] = view, t
  end
  return view_of[t]
end

--- The same of a table without metatable, in which there are no tables, as those of Lua's libraries
-- are: it is read without a call.
-- @param t table
-- @return view
function views.of_flat(t)
  local meta <const> = {}
  for name, value in next, READ do meta[name] = value end
  meta.__index = t
  local view <const> = setmetatable({}, meta)
  view_of[t], real[view] = view, t
  return view
end

local function refuse_view(who, t)
  if real[t] then error(("%s: %s"):format(who, READ_ONLY), 3) end
end

--- Lua's functions that have to do with metatables, for scripts.
-- @return table of functions by name
function views.for_scripts()
  local functions = {}

  function functions.setmetatable(t, meta)
    local result = setmetatable(t, meta)
    if meta then script_metatables[meta] = true end
    return result
  end

  function functions.getmetatable(...)
    if select("#", ...) == 0 then
      error("bad argument #1 to 'getmetatable' (value expected)", 2)
    end
    local meta = getmetatable((...))
    if meta == nil then return nil end
    local instead = rawget(meta, "__metatable")
    if instead ~= nil then return instead end
    return is_of_script(meta) and meta or views.of(meta)
  end

  function functions.next(t, key)
    if not real[t] then return next(t, key) end
    local following <const>, value <const> = next(real[t], key)
    return following, shown(value)
  end

  function functions.rawget(t, key)
    if real[t] then return shown(rawget(real[t], key)) end
    return rawget(t, key)
  end

  function functions.rawset(t, key, value)
    refuse_view("rawset", t)
    return rawset(t, key, value)
  end

  return functions
end

--- The same functions for the library, which scripts give views.
-- @param set_any function(value, meta), as `debug.setmetatable`
-- @return table of functions by name
function views.for_library(set_any)
  return {
    getmetatable = function(value) return getmetatable(real[value] or value) end,
    next = function(t, key) return next(real[t] or t, key) end,
    rawget = function(t, key)
      local value = rawget(real[t] or t, key)
      return class_of[value] or value
    end,
    rawlen = function(t) return rawlen(real[t] or t) end,
    rawset = function(t, key, value)
      refuse_view("rawset", t)
      return rawset(t, key, value)
    end,
    setmetatable = function(t, meta)
      refuse_view("setmetatable", t)
      return set_any(t, meta)
    end,
  }
end

--- What `perilune.internal.object` has in a host with a policy.
-- @param object that module
function views.install(object)
  object.shown = shown
  function object.itself(value) return real[value] or value end
  function object.index(class)
    local function index(_, key) return class[key] end
    class_of[index] = class
    return index
  end
end

return views
