--- Ops that are registered at run time become functions, methods and help (internal).
--
-- A name that a script would no longer mean the same by is left alone; the op is then reached by
-- `pl.op(name).call` alone.
-- @module perilune.internal.registered

local blame = require "perilune.internal.blame"
local core = require "perilune.core"
local unknown = require "perilune.internal.unknown"

local new, open, watch = core.registered.new, core.registered.open, core.registered.watch
local load_library = core.registered.load

local registered = {}

local spaces = {linalg = true} -- tables of core that hold ops
local refused = {} -- op -> what has its name

-- What has the name already, or nil.
local function taken_by(perilune, is_part, name)
  local space, last = name:match "^(.-)%.(.+)$"
  if spaces[space] then return rawget(core[space], last) and "pl." .. name end
  local word = space or name
  if rawget(perilune, word) ~= nil or is_part(word) then return "pl." .. word end
  return not space and rawget(core.methods, name) and "a method of tensors"
end

local function open_op(perilune, name)
  local space = name:match "^(.-)%."
  open(name)
  if not space then
    perilune[name] = core[name]
  elseif not spaces[space] then
    spaces[space] = true
    perilune[space] = unknown.guard("pl." .. space, core[space])
    package.loaded["perilune.registered." .. space] = core[space]
  end
end

--- Opens the ops of the process, those that are there and those that come.
-- @param perilune the table of the library
-- @param is_part function that says whether a name is that of a part which was not used yet
-- @return function that opens what is new; the host calls it too, before it runs a script
function registered.open(perilune, is_part)
  local function open_new()
    for _, name in ipairs(new()) do
      refused[name] = taken_by(perilune, is_part, name)
      if not refused[name] then open_op(perilune, name) end
    end
  end
  watch(open_new)
  open_new()
  return open_new
end

--- Loads a shared object and opens its ops.
-- @param path of the file
-- @param open_new what `registered.open` gave
-- @return list of names
function registered.load(path, open_new)
  local names <const> = blame.blaming(load_library, path)
  open_new()
  for _, name in ipairs(names) do
    if refused[name] then
      blame.complain(
        "load_ops: %s: the op '%s' has the name of %s; pl.op(\"%s\").call is its function",
        path, name, refused[name], name)
    end
  end
  return names
end

return registered
