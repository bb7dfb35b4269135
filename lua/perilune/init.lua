--- Tensors, gradients, networks and what experiments need around them.
--
-- `local pl = require "perilune"` gives one table: every function of the engine
-- (`pl.tensor`, `pl.matmul`, `pl.no_grad`, ...) and the parts of the library, each loaded
-- when it is first used: `pl.nn`, `pl.optim`, `pl.data`, `pl.image`, `pl.plot`,
-- `pl.metrics`, `pl.train`, `pl.progress`, `pl.experiment`, `pl.learn`, `pl.linalg`, `pl.onnx`,
-- `pl.profile`, `pl.testing`, `pl.help`, and `pl.save` and `pl.load`.
--
-- Lua counts from 1, and so do dimensions, rows, classes and token ids; -1 is the last.
-- @module perilune

local blame = require "perilune.internal.blame"
local blaming <const>, complain <const> = blame.blaming, blame.complain
local check = require "perilune.internal.check"
local core = require "perilune.core"
local registered = require "perilune.internal.registered"
local unknown = require "perilune.internal.unknown"

-- Fields that are loaded when they are first used, and the modules behind them.
local parts = {
  nn = "perilune.nn", optim = "perilune.optim", data = "perilune.data",
  image = "perilune.image", plot = "perilune.plot", progress = "perilune.progress",
  experiment = "perilune.experiment", help = "perilune.help", learn = "perilune.learn",
  linalg = "perilune.linalg", onnx = "perilune.onnx", profile = "perilune.profile",
  testing = "perilune.testing", metrics = "perilune.metrics", train = "perilune.train",
}
local functions = {save = "perilune.store", load = "perilune.store",
                         einsum = "perilune.einsum", export_c = "perilune.export",
                         detect_anomaly = "perilune.anomaly"}
for _, name in ipairs {"jacobian", "hessian", "vjp", "jvp", "hvp"} do
  functions[name] = "perilune.derivatives"
end

-- What is the library's own.
local hidden = {registered = true, trace = true, chain = true, anomaly = true, checkpoint = true}

local perilune = {}
for name, value in next, core do
  if not parts[name] and not hidden[name] then perilune[name] = value end
end

local open_new_ops

local function load_part(self, name)
  local part
  if parts[name] then
    part = require(parts[name])
  elseif functions[name] then
    part = require(functions[name])[name]
  elseif type(name) == "string" then
    open_new_ops()
    part = rawget(self, name)
    if part == nil then unknown.raise("pl", name, self) end
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
unknown.guard("a tensor", core.methods)
open_new_ops = registered.open(perilune, function(name)
  return parts[name] ~= nil or functions[name] ~= nil
end)

--- Loads a shared object with ops that are written in C: functions of `pl`, and methods of tensors
-- if their names have no dot, from then on (see docs/ops.md). It stays loaded, and its ops are
-- there for every host of the process, which gets its functions by loading it too, or with its next
-- run.
-- @param path string; without a slash the file is looked for as the system looks for libraries
-- @return list of the names of its ops; it is an error if it cannot be loaded, registers no op, or
--   if Lua has one of the names already
-- @usage pl.load_ops "./libmine.so"   -- {"mine.squash"}: pl.mine.squash(x)
function perilune.load_ops(path)
  return registered.load(path, open_new_ops)
end

--- Whether a value is a tensor.
-- @param value anything
-- @return boolean
function perilune.is_tensor(value)
  return check.is_tensor(value)
end

--- The coordinates of a grid: of n vectors, n tensors of n dims, tensor i with the values of vector
-- i along dim i, and the same along the others.
-- @param ... vectors
-- @return as many tensors, which share the vectors' memory
-- @usage local y, x = pl.meshgrid(pl.arange(1, 3), pl.arange(1, 4)) -- both [3,4]
function perilune.meshgrid(...)
  local vectors <const>, size <const> = {...}, {}
  for i, v in ipairs(vectors) do
    check.tensor("meshgrid", v)
    if v:dim() ~= 1 then complain("meshgrid: a vector expected, got %d dims", v:dim()) end
    size[i] = v:size(1)
  end
  for i, v in ipairs(vectors) do
    local along <const> = {}
    for d = 1, #size do along[d] = d == i and size[i] or 1 end
    vectors[i] = v:reshape(along):expand(size)
  end
  return table.unpack(vectors)
end

--- Whether there is a file or folder: `if not pl.file_exists "net.safetensors" then ... end`.
-- @param path string; it is an error if it is empty or none
-- @return boolean
function perilune.file_exists(path)
  return (blaming(core.file_size, path)) ~= nil
end

return perilune
