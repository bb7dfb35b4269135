--- The io and os of scripts in a host with a policy (internal): all names of files go to functions
-- of C that ask it.
-- @module perilune.internal.policy.files

local files = {}

--- Raises the error of what a policy does not allow.
-- @param what "os.exit"
function files.refuse(what)
  local blame = require "perilune.internal.blame"
  blame.complain("%s is not allowed by the policy of this host", what)
end

--- A function that does.
-- @param what "os.exit"
-- @return function
function files.refused(what)
  return function() files.refuse(what) end
end

--- An argument that has to be a string.
-- @param who "open"
-- @param n which argument it is
-- @param value
-- @return the value
function files.text(who, n, value)
  if type(value) ~= "string" then
    error(("bad argument #%d to '%s' (string expected, got %s)"):format(n, who, type(value)), 3)
  end
  return value
end

local text = files.text

--
-- io
--

local function opener(given)
  return function(path, mode)
    mode = mode == nil and "r" or text("open", 2, mode)
    text("open", 1, path)
    if not mode:find "^[rwa]%+?b?$" then error("bad argument #2 to 'open' (invalid mode)", 2) end
    return given.open(path, mode)
  end
end

local function closing(file, first, ...)
  if first == nil then file:close() end
  return first, ...
end

-- Closes the file after its last line.
local function lines_of(file, ...)
  local read_next <const> = file:lines(...)
  return function() return closing(file, read_next()) end, nil, nil, file
end

-- io.input or io.output: a path is opened here, and everything else is Lua's own to say.
local function redirector(of_lua, open, mode)
  return function(...)
    local file <const> = ...
    if type(file) ~= "string" then return of_lua(...) end
    local opened <const>, message <const> = open(file, mode)
    if not opened then error(message, 2) end
    return of_lua(opened)
  end
end

--- Takes from Lua's io what a policy does not allow.
-- @param io the table of the library, which is changed
-- @param given the functions of C: `open`, `no_input`
-- @param allow what is allowed: `input`
function files.restrict_io(io, given, allow)
  local lines <const>, open <const> = io.lines, opener(given)
  io.open, io.popen, io.tmpfile = open, nil, nil
  io.input, io.output = redirector(io.input, open, "r"), redirector(io.output, open, "w")
  function io.lines(path, ...)
    if path == nil then return lines(path, ...) end
    local file <const>, message <const> = open(path, "r")
    if not file then error(message, 2) end
    return lines_of(file, ...)
  end
  if not allow.input then
    io.stdin = assert(given.no_input())
    io.input(io.stdin)
  end
end

--
-- os
--

local function restrict_clock(os)
  local date <const>, time <const> = os.date, os.time
  local no_clock <const> = files.refused "to ask for the time"
  os.clock = no_clock
  function os.date(format, at) return (at == nil and no_clock or date)(format, at) end
  function os.time(at) return (at == nil and no_clock or time)(at) end
  return date
end

--- Takes from Lua's os what a policy does not allow.
-- @param os the table of the library, which is changed
-- @param given the functions of C: `remove`, `rename`
-- @param allow what is allowed: `clock`, `environment`
-- @return the library's os: its own variables of the environment are there, and dates, by which
--   runs of experiments are named, begin at 0 without a clock
function files.restrict_os(os, given, allow)
  local getenv <const>, own <const> = os.getenv, {}
  os.execute, os.setlocale, os.tmpname = nil, nil, nil
  os.exit, os.remove, os.rename = files.refused "os.exit", given.remove, given.rename
  if not allow.environment then
    function os.getenv(name) return text("getenv", 1, name) and nil end
  end
  for name, value in next, os do own[name] = value end
  function own.getenv(name)
    return (name:find "^PERILUNE_" and getenv or os.getenv)(name)
  end
  if not allow.clock then
    local date <const> = restrict_clock(os)
    function own.date(format, at) return date(format, at or 0) end
  end
  return own
end

return files
