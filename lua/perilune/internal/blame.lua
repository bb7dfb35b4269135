--- Errors that blame the script (internal). An error of the library belongs to the innermost line
-- that is not the library's own; how many calls lie between the two does not matter.
--
-- What is used here is taken when the library is loaded: a script may give `error` or `debug`
-- another meaning later. Without `debug`, errors name no line.
-- @module perilune.internal.blame

local sources = require "perilune.sources"

local getinfo = debug and debug.getinfo
local error, type, xpcall = error, type, xpcall
local find, format, gsub = string.find, string.format, string.gsub
local match, sub = string.match, string.sub
local source_of = sources.find

local blame = {}

local known = {} -- chunk -> the module whose file it is, or false

--- The module of the library in whose file a function stands.
-- @param chunk as `debug.getinfo(f, "S").source` names it
-- @return "perilune.nn", or false
function blame.module_of(chunk)
  if known[chunk] == nil then
    local path = match(chunk, "^@.*(perilune[/\\].+)%.lua$")
    local module = path and gsub(gsub(path, "[/\\]init$", ""), "[/\\]", ".")
    known[chunk] = module and source_of(module) == chunk and module or false
  end
  return known[chunk]
end

local is_library = blame.module_of

local function place_of(frame)
  return format("%s:%d: ", frame.short_src, frame.currentline)
end

-- Beyond so many, in a recursion without end, nothing is looked for: to each Lua walks from the
-- first.
local MOST_LEVELS <const> = 1000

-- Calls visit(frame) for the functions that are running, the innermost first, until it gives
-- something, and gives that. Functions of C have no lines and are left out.
local function each_frame(visit)
  for level = 2, getinfo and MOST_LEVELS or 0 do
    local frame = getinfo(level, "Sl")
    if not frame then return nil end
    local result = frame.currentline > 0 and visit(frame)
    if result then return result end
  end
end

local function place_in_script(frame)
  return not is_library(frame.source) and place_of(frame)
end

--- Where the script is: "net.lua:12"; nil without `debug`.
-- @return string
function blame.place()
  local place = each_frame(place_in_script)
  return place and sub(place, 1, -3)
end

--- Raises an error that blames the script.
-- @param text of the message, as in `string.format`
-- @param ... its arguments
function blame.complain(text, ...)
  error((each_frame(place_in_script) or "") .. format(text, ...), 0)
end

-- A message without the library's line that it begins with, and the script's line.
local function parted(message)
  local place = each_frame(function(frame)
    local here = place_of(frame)
    if not is_library(frame.source) then return here end
    if sub(message, 1, #here) == here then message = sub(message, #here + 1) end
  end)
  return message, place or ""
end

--- The message of an error with the script's line in the place of the library's. To be called
-- while the error is being handled, as `xpcall` does.
-- @param message of any type
-- @return the message
function blame.moved(message)
  if type(message) ~= "string" then return message end
  local bare, place = parted(message)
  return bare == message and message or place .. bare
end

-- As `moved`; and functions of C that are called by xpcall itself name no line at all.
local function placed(message)
  if type(message) ~= "string" then return message end
  local bare, place = parted(message)
  return find(bare, "^[^\n:]+:%d+: ") and bare or place .. bare
end

local function finish(ok, ...)
  if not ok then error(..., 0) end
  return ...
end

--- Calls a function so that its errors blame the script, be it one of C, whose errors name the
-- line that calls it.
-- @param f the function
-- @param ... its arguments
-- @return its results
function blame.blaming(f, ...)
  return finish(xpcall(f, placed, ...))
end

--- As `blaming`, for a function of C which the script knows by another name.
-- @param who that name
-- @param inner the one that messages begin with
-- @param f the function
-- @param ... its arguments
-- @return its results
function blame.in_name_of(who, inner, f, ...)
  return finish(xpcall(f, function(message)
    message = placed(message)
    if type(message) ~= "string" then return message end
    return (gsub(message, "%f[%w_]" .. inner .. ": ", who .. ": ", 1))
  end, ...))
end

return blame
