--- What is said of a name that is not there (internal): what to write instead of a name of PyTorch
-- or Torch7, where the name is to be found, or which one was perhaps meant.
-- @module perilune.internal.unknown

local complain = require("perilune.internal.blame").complain
local is_tensor = require("perilune.internal.check").is_tensor
local words = require "perilune.internal.words"

local getinfo, getlocal = debug and debug.getinfo, debug and debug.getlocal

local unknown = {}

-- Names of functions without what is private.
local function public_keys(...)
  local keys = {}
  for _, t in ipairs {...} do
    for key in next, t do
      if type(key) == "string" and not key:find "^_" then keys[#keys + 1] = key end
    end
  end
  table.sort(keys)
  return keys
end

-- In the sections of the table of foreign names: functions are methods too.
local function foreign(sections, name)
  local torch = require "perilune.help.torch"
  for _, section in ipairs(sections) do
    local row = torch.find(section, name)
    if row then return row.write and "; write " .. row.write or ": " .. row.why end
  end
end

-- x:abs_() of x:abs()
local function in_place(name, methods)
  local plain = name:match "^(.*)_$"
  if plain and rawget(methods, plain) then
    return ("; write x = x:%s(...), or x:copy_(x:%s(...)) inside no_grad"):format(plain, plain)
  end
end

-- Where else the library has the name.
local function elsewhere(name)
  local core = require "perilune.core"
  if rawget(core.methods, name) then return ("; write x:%s(...)"):format(name) end
  for _, public in ipairs(require("perilune.help.names").public(true)) do
    if public.path:match "^pl%.[%w_.]+$" and public.path:match "[%w_]+$" == name then
      return "; write " .. public.path
    end
  end
end

local function near(name, t)
  local meant = words.nearest(name, public_keys(t))
  return meant and ("; did you mean '%s'?"):format(meant)
end

-- The sections in which a name is looked for, by the path of what does not have it.
local SECTIONS <const> = {
  pl = {"tensor", "nn", "optim"}, ["pl.nn"] = {"nn", "tensor", "optim"},
  ["pl.nn.functional"] = {"tensor"}, ["pl.optim"] = {"optim"},
  ["pl.linalg"] = {"linalg", "tensor"}, ["pl.data"] = {"data"},
  ["pl.image"] = {"image"}, ["pl.metrics"] = {"metrics"},
  ["a tensor"] = {"tensor"}, ["an optimiser"] = {"optimizer"}, ["a module"] = {"module"},
}

--- What to say of a name, after "pl.nn has no 'Lineal'".
-- @param owner "pl.nn", "a tensor"
-- @param name the name
-- @param t table of what the owner has
-- @return string
function unknown.advice(owner, name, t)
  local methods = require("perilune.core").methods
  return foreign(SECTIONS[owner] or {}, name) or in_place(name, methods) or elsewhere(name)
    or near(name, t) or owner:find "^pl" and ("; help(%s) lists what there is"):format(owner) or ""
end

-- A tensor that a method has as its self was the first argument of net.forward(x).
local function called_with_a_dot()
  for level = 3, getinfo and 6 or 0 do
    local frame = getinfo(level, "Sn")
    if not frame then return nil end
    if frame.what ~= "C" then
      local variable, value = getlocal(level, 1)
      if variable == "self" and is_tensor(value) then return frame.name or "forward" end
    end
  end
end

--- Raises the error of a name that is not there.
-- @param owner as in `unknown.advice`
-- @param name
-- @param t table of what the owner has
function unknown.raise(owner, name, t)
  local method = owner == "a tensor" and called_with_a_dot()
  if method then
    complain("%s: methods are called with a colon: net:%s(...)", method, method)
  end
  complain("%s has no '%s'%s", owner, tostring(name), unknown.advice(owner, tostring(name), t))
end

--- Methods that only say what to write instead, for objects whose other absent fields are nil.
-- @param owner as in `unknown.advice`
-- @param section of the table of foreign names
-- @return function, an `__index`
function unknown.methods(owner, section)
  local methods = {}
  for _, row in ipairs(require("perilune.help.torch").rows(section)) do
    for _, name in ipairs(row.names) do
      methods[name] = function() unknown.raise(owner, name, {}) end
    end
  end
  return function(_, name) return methods[name] end
end

--- Lets a table raise an error when it is asked for a name that it does not have.
-- @param owner as in `unknown.advice`
-- @param t table
-- @return the table
function unknown.guard(owner, t)
  local function refuse(_, name)
    if type(name) == "string" then unknown.raise(owner, name, t) end
  end
  local meta = getmetatable(t) or {}
  meta.__index = refuse
  return setmetatable(t, meta)
end

return unknown
