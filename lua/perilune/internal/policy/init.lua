--- What scripts find in a host with a policy (internal). `src/host/policy.c` calls the function
-- that this module is once, before any script, and before any other file of the library is loaded.
--
-- Scripts get new globals: what they do not get is not hidden from them but not there. The
-- library's files have an environment of their own, with Lua's functions as they were; only what is
-- given a name of a file, or Lua's text, is in both the function that asks the policy.
-- @module perilune.internal.policy

local core = require "perilune.core"
local chunks = require "perilune.internal.policy.chunks"
local files = require "perilune.internal.policy.files"
local views = require "perilune.internal.policy.views"

local refuse, refused = files.refuse, files.refused
local env <const>, traceback <const> = _ENV, debug.traceback
local getmetatable, next, rawget, rawset, require_own = getmetatable, next, rawget, rawset, require

-- Of Lua's functions, those that scripts get as they are.
local KEPT <const> = {
  "_VERSION", "assert", "collectgarbage", "error", "ipairs", "pairs", "pcall", "print",
  "rawequal", "rawlen", "select", "tonumber", "tostring", "type", "warn", "xpcall",
}
local LIBRARIES <const> = {"coroutine", "io", "math", "os", "string", "table", "utf8"}

--
-- What a host decides, its scripts do not
--

local function restrict_core()
  local threads <const> = core.threads
  local most <const> = threads()
  core.registered.load = refused "load_ops"
  function core.handle_interrupts() return false end
  function core.threads(n)
    if math.type(n) and n > most then refuse(("threads: more than %d"):format(most)) end
    return require("perilune.internal.blame").blaming(threads, n)
  end
end

-- The same of what the library itself uses.
local function restrict_library()
  local perilune <const> = require_own "perilune"
  local memory_limit <const> = core.memory_limit
  perilune.fail_after = refused "fail_after"
  perilune.clear_interrupt = refused "clear_interrupt"
  function perilune.memory_limit(n)
    if n ~= nil then refuse "memory_limit with a number" end
    return memory_limit()
  end
end

local function restrict_random(math, allow)
  local randomseed <const> = math.randomseed
  if allow.random then return end
  function math.randomseed(...)
    if select("#", ...) == 0 then refuse "randomseed without a seed" end
    randomseed(...)
  end
end

--
-- The globals
--

local function add(t, more)
  for name, value in next, more do t[name] = value end
end

local function set_globals(globals, given)
  for name in next, globals do globals[name] = nil end
  add(globals, given)
  globals._G = globals
end

-- Scripts may redefine print, which is then called with texts.
local function set_env(globals, print, given)
  for name, value in next, given do rawset(env, name, value) end
  getmetatable(env).__index = function(_, name)
    local value <const> = rawget(globals, name)
    if name == "arg" then return value end
    if name == "print" then return type(value) == "function" and value or print end
  end
end

-- Lua's libraries as scripts see them, by name; also as modules that are loaded.
local function add_libraries(given, globals)
  local loaded <const> = given.package.loaded
  for _, name in ipairs(LIBRARIES) do given[name] = views.of_flat(globals[name]) end
  given.debug = views.of_flat {traceback = traceback}
  for _, name in ipairs(LIBRARIES) do loaded[name] = given[name] end
  loaded.debug, loaded._G = given.debug, globals
end

--- Puts the policy into force.
-- @param globals the table of global variables
-- @param given functions of C: `open`, `no_input`, `remove`, `rename`, and `setmetatable`, which
--   heeds no `__metatable`
-- @param allow table of booleans: `clock`, `random`, `environment`, `input`
return function(globals, given, allow)
  local os <const> = files.restrict_os(globals.os, given, allow)
  files.restrict_io(globals.io, given, allow)
  restrict_random(globals.math, allow)
  restrict_core()
  globals.string.dump = nil

  local scripts <const> = chunks.for_scripts(globals.io, restrict_library)
  local library <const> = chunks.for_library(scripts)
  add(library, views.for_library(given.setmetatable))
  add(library, {io = globals.io, os = os, _G = globals})

  add(scripts, views.for_scripts())
  for _, name in ipairs(KEPT) do scripts[name] = globals[name] end
  add_libraries(scripts, globals)

  set_globals(globals, scripts)
  set_env(globals, scripts.print, library)
  views.install(require_own "perilune.internal.object")
end
