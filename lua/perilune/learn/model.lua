--- A trained support vector machine (internal; its methods are those of every model that
-- `learn.svm` gives).
--
-- Fields: `kernel` ("linear", "rbf", or "fourier" after `transduce`), `decision` ("ovo" or
-- "ovr"), `classes` (int32 [k], the labels it knows, ascending), `gamma`, `points` (support
-- vectors or frequencies, real [r, d]; none for a linear kernel), `weights` (real
-- [features, outputs]), `bias` (real [outputs]), `options` (what it was trained with).
-- @module perilune.learn.model

local pl = require "perilune"
local blame = require "perilune.internal.blame"
local object = require "perilune.internal.object"
local check = require "perilune.internal.check"
local core = require "perilune.core"
local store = require "perilune.store"

local complain, blaming = blame.complain, blame.blaming

local model = {}

local Model = object.class "model"
Model.__name = "perilune.svm"

function Model:__tostring()
  return ("svm (%s, %s, %d classes, %d inputs, %d %s)"):format(self.kernel, self.decision,
    #self.classes, self.points and self.points:size(2) or self.weights:size(1),
    self.weights:size(1),
    self.kernel == "rbf" and "support vectors" or "features")
end

--- Makes a model of its fields (internal).
-- @param fields table
-- @return the model
function model.new(fields)
  for _, name in ipairs {"classes", "points", "weights", "bias"} do
    if fields[name] then pl.keep(fields[name]) end
  end
  return setmetatable(fields, Model)
end

local function need_tensor(who, x)
  check.tensor(who .. ": examples", x)
end

local function decide(self, x)
  return core.svm_decide(x, self.weights, self.bias, self.kernel, self.points, self.gamma)
end

--- Decision values: of each class, or of each pair of classes (1,2), (1,3), ..., (2,3), ...
-- where a value above 0 speaks for the first.
-- @param x real [n, d]
-- @return real [n, k], or [n, k (k - 1) / 2] for a model of pairs
function Model:decision_function(x)
  need_tensor("decision_function", x)
  return blaming(decide, self, x)
end

--- Labels: of the largest decision value, or of the class with most votes of the pairs.
-- @param x real [n, d]
-- @return int32 [n]
function Model:predict(x)
  need_tensor("predict", x)
  return blaming(pl.tidy, function()
    return core.svm_choose(decide(self, x), self.classes, self.decision == "ovo")
  end)
end

--- The part of examples whose labels are predicted.
-- @param x real [n, d]
-- @param labels int32 [n]
-- @return number from 0 to 1
function Model:score(x, labels)
  need_tensor("score", x)
  if not check.is_tensor(labels) or labels:dtype() ~= "int32" or labels:dim() ~= 1
    or #labels ~= #x then
    complain("score: int32 [%d] expected for the labels", #x)
  end
  return blaming(pl.tidy, function()
    local labels_of = core.svm_choose(decide(self, x), self.classes, self.decision == "ovo")
    return labels_of:eq(labels):to("real"):sum():item() / #x
  end)
end

--
-- Files
--

local FORMAT <const> = "perilune.svm 1"

--- Saves the model as a safetensors archive, whole or not at all.
-- @param path file name
-- @return true, or nil and a message
function Model:save(path)
  check.path("save", path)
  return store.save(path, {
    format = FORMAT, kernel = self.kernel, decision = self.decision, gamma = self.gamma,
    classes = self.classes, points = self.points, weights = self.weights, bias = self.bias,
    options = self.options,
  })
end

local kernels = {linear = true, rbf = true, fourier = true}

local function is(value, kind, dim)
  return check.is_tensor(value) and value:dtype() == kind and value:dim() == dim
end

local function finite(t)
  return t:numel() == 0 or t:sub(t):eq(0):all():item() == 1
end

-- What is wrong with the fields of a file, or nil.
local function wrong_fields(f)
  if f.format ~= FORMAT then return "it holds no support vector machine" end
  if not kernels[f.kernel] or (f.decision ~= "ovo" and f.decision ~= "ovr") then
    return "its kernel or decision is unknown"
  elseif not (type(f.gamma) == "number" and f.gamma > 0 and f.gamma < math.huge) then
    return "its gamma is no positive number"
  elseif not is(f.classes, "int32", 1) or not is(f.weights, "real", 2) or not is(f.bias, "real", 1)
    or (f.kernel ~= "linear") ~= is(f.points, "real", 2) or type(f.options) ~= "table" then
    return "tensors are missing or of another dtype"
  end
  local k, features = #f.classes, f.weights:size(1)
  local outputs = f.decision == "ovo" and k * (k - 1) // 2 or k
  local points = f.kernel == "fourier" and features // 2 or features
  if k < 2 or #f.bias ~= outputs or f.weights:size(2) ~= outputs
    or f.points and #f.points ~= points or f.kernel == "fourier" and features % 2 ~= 0 then
    return "the sizes of its tensors do not fit"
  end
  for i = 2, k do
    if f.classes[i] <= f.classes[i - 1] then return "its classes are not in order" end
  end
  if not (finite(f.weights) and finite(f.bias) and (not f.points or finite(f.points))) then
    return "it has values that are not finite"
  end
end

--- Reads a model that `save` wrote, and checks that its parts fit.
-- @param path file name
-- @return the model, or nil and a message
function model.load(path)
  check.path("load", path)
  return pl.tidy(function()
    local fields, message = store.load(path)
    if not fields then return nil, message end
    local wrong = wrong_fields(fields)
    if wrong then return nil, ("%s: %s"):format(path, wrong) end
    fields.format = nil
    return model.new(fields)
  end)
end

return model
