--- Tensors, gradients, networks and what experiments need around them.
--
-- `local pl = require "perilune"` gives one table: every function of the engine
-- (`pl.tensor`, `pl.matmul`, `pl.no_grad`, ...) and the parts of the library, each loaded
-- when it is first used: `pl.nn`, `pl.optim`, `pl.data`, `pl.image`, `pl.plot`,
-- `pl.progress`, `pl.experiment`, `pl.learn`, `pl.profile`, `pl.help`, and `pl.save` and
-- `pl.load`.
--
-- Lua counts from 1, and so do dimensions, rows, classes and token ids; -1 is the last.
-- @module perilune

local blaming = require("perilune.internal.blame").blaming
local check = require "perilune.internal.check"
local core = require "perilune.core"

-- Fields that are loaded when they are first used, and the modules behind them.
local parts = {
  nn = "perilune.nn", optim = "perilune.optim", data = "perilune.data",
  image = "perilune.image", plot = "perilune.plot", progress = "perilune.progress",
  experiment = "perilune.experiment", help = "perilune.help", learn = "perilune.learn",
  profile = "perilune.profile",
}
local functions = {save = "perilune.store", load = "perilune.store"}

local perilune = {}
for name, value in next, core do perilune[name] = value end

local function load_part(self, name)
  local part
  if parts[name] then
    part = require(parts[name])
  elseif functions[name] then
    part = require(functions[name])[name]
  end
  rawset(self, name, part)
  return part
end

-- `pairs` shows all names, those of parts that were not used yet too: for completion and help.
local function load_all(self)
  for _, list in ipairs {parts, functions} do
    for name in next, list do pcall(load_part, self, name) end
  end
  return next, self, nil
end

setmetatable(perilune, {__index = load_part, __pairs = load_all})

--- Whether a value is a tensor.
-- @param value anything
-- @return boolean
function perilune.is_tensor(value)
  return check.is_tensor(value)
end

--- Whether there is a file or folder: `if not pl.file_exists "net.safetensors" then ... end`.
-- @param path string; it is an error if it is empty or none
-- @return boolean
function perilune.file_exists(path)
  return (blaming(core.file_size, path)) ~= nil
end

return perilune
