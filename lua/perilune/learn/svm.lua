--- Support vector machines.
--
--     local svm = pl.learn.svm
--     local best = svm.search(x, labels, {C = {1, 10, 100}, gamma = {0.01, 0.1}, seed = 1})
--     local model = svm.fit(x, labels, best)
--     print(model:score(test_x, test_labels))
--
-- Examples are real [n, d], labels int32 [n] that count from 1. `fit` learns from labelled
-- examples alone, by LIBSVM (Chang and Lin 2011), one machine for each pair of classes or each
-- class, on all threads. `transduce` also learns from examples without labels.
-- @module perilune.learn.svm

local pl = require "perilune"
local blame = require "perilune.internal.blame"
local check = require "perilune.internal.check"
local option = require "perilune.internal.option"
local core = require "perilune.core"
local folds = require "perilune.learn.folds"
local models = require "perilune.learn.model"
local transduction = require "perilune.learn.transduction"

local complain, blaming = blame.complain, blame.blaming

local svm = {}

--
-- Options
--

local function choice(who, name, value, words)
  for _, word in ipairs(words) do
    if value == word then return end
  end
  complain("%s: %s: '%s' expected, got %s", who, name, table.concat(words, "' or '"),
    check.shown(value))
end

local function positive(who, name, value)
  if type(value) ~= "number" or not (value > 0 and value < math.huge) then
    complain("%s: %s: positive number expected, got %s", who, name, check.shown(value))
  end
end

local function gamma_value(who, value)
  if value ~= "scale" then
    if type(value) == "string" then
      complain("%s: gamma: positive number or 'scale' expected, got '%s'", who, value)
    end
    positive(who, "gamma", value)
  end
end

-- The tensors are checked by svm_classes, once they are tensors.
local function need_tensors(who, x, labels)
  check.tensor(who .. ": examples", x)
  check.tensor(who .. ": labels", labels)
  return blaming(core.svm_classes, x, labels, who)
end

local FIT <const> = {
  kernel = "rbf", C = 1, gamma = "scale", decision = "ovo", tolerance = 1e-3, memory = 1024,
}

local function check_fit(who, o)
  choice(who, "kernel", o.kernel, {"rbf", "linear"})
  choice(who, "decision", o.decision, {"ovo", "ovr"})
  for _, name in ipairs {"C", "tolerance", "memory"} do positive(who, name, o[name]) end
  gamma_value(who, o.gamma)
end

--
-- Inductive machines
--

local function train(x, labels, classes, o)
  x = x:detach()
  local gamma = o.gamma == "scale" and core.svm_gamma(x) or o.gamma
  local weights, bias, support, points = core.svm_train(x, labels, classes, {
    kernel = o.kernel, C = o.C, gamma = gamma, pairs = o.decision == "ovo",
    tolerance = o.tolerance, memory = o.memory,
  })
  return models.new {
    kernel = o.kernel, decision = o.decision, gamma = gamma, classes = classes,
    points = points, weights = weights, bias = bias, support = support, options = o,
  }
end

--- Trains a machine on labelled examples: for each pair of classes ("ovo") or each class
-- against the rest ("ovr") it minimises 1/2 |w|^2 + C sum_i max(0, 1 - y_i f(x_i)), where f is
-- linear or a combination of kernels exp(-gamma |x - x_i|^2).
-- LIBSVM itself is serial; the machines are trained side by side on all threads, from one
-- kernel matrix if that fits into `memory`, and are the same for any number of threads.
-- Ctrl-C is noticed between machines.
-- @param x real [n, d], finite
-- @param labels int32 [n] of at least two classes
-- @param[opt] options `kernel` ("rbf" or "linear"); `C` (1); `gamma`, a number or "scale", which
--   is 1 / (d * variance of x); `decision` ("ovo" or "ovr"); `tolerance` (1e-3) of LIBSVM;
--   `memory` (1024), MiB that the kernel matrix of 16 n^2 bytes may take
-- @return the model
function svm.fit(x, labels, options)
  local o = option.read("fit", options, FIT)
  check_fit("fit", o)
  local classes = need_tensors("fit", x, labels)
  return blaming(train, x, labels, classes, o)
end

local SEARCH <const> = {
  kernel = "rbf", C = option.required, gamma = "scale", decision = "ovo", tolerance = 1e-3,
  memory = 1024, folds = 5, seed = option.absent,
}

local function list(value) return type(value) == "table" and value or {value} end

local function check_search(o)
  check.count("search", "folds", o.folds)
  if o.folds < 2 then complain("search: folds: at least 2 expected, got 1") end
  if o.seed ~= nil then check.natural("search", "seed", o.seed) end
  local cells = {}
  o.C, o.gamma = list(o.C), list(o.gamma)
  for _, name in ipairs {"C", "gamma"} do
    if #o[name] == 0 then complain("search: %s: the list is empty", name) end
  end
  for _, gamma in ipairs(o.kernel == "linear" and {"scale"} or o.gamma) do
    for _, C in ipairs(o.C) do
      local cell = {kernel = o.kernel, C = C, gamma = gamma, decision = o.decision,
                    tolerance = o.tolerance, memory = o.memory}
      check_fit("search", cell)
      cells[#cells + 1] = cell
    end
  end
  return cells
end

local function mean_and_spread(values)
  local mean, square = 0, 0
  for _, v in ipairs(values) do mean = mean + v / #values end
  for _, v in ipairs(values) do square = square + (v - mean) ^ 2 / #values end
  return mean, square ^ 0.5
end

-- The accuracy in each fold of a model that was trained on the others.
local function validate(x, labels, parts, cell)
  local scores = {}
  for i, part in ipairs(parts) do
    scores[i] = pl.tidy(function()
      local train_x, train_labels = x:index_select(part.train, 1), labels[part.train]
      local classes = core.svm_classes(train_x, train_labels)
      local fitted = train(train_x, train_labels, classes, cell)
      return fitted:score(x:index_select(part.test, 1), labels[part.test])
    end)
  end
  return scores
end

--- Tries all combinations of `C` and `gamma` by cross-validation: the examples are parted into
-- folds with as equal numbers of each class as possible, each fold is predicted by a machine
-- trained on the others, and the mean of the accuracies counts. Of equal combinations the
-- first wins, by gamma and then C in the order given.
-- @param x real [n, d], finite
-- @param labels int32 [n]; each class needs two examples at least, or it is not tried
-- @param options `C` (a number or a list), `gamma` (a number, "scale" or a list of these;
--   "scale" is meant of the examples trained on), `folds` (5), `seed` (drawn from the library's
--   stream), and `kernel`, `decision`, `tolerance`, `memory` as in `fit`
-- @return the best options, for `fit`
-- @return list of {C =, gamma =, mean =, spread =, scores = list}, in the order tried
function svm.search(x, labels, options)
  local o = option.read("search", options, SEARCH)
  local cells = check_search(o)
  need_tensors("search", x, labels)
  local best, tried = nil, {}
  blaming(pl.tidy, function()
    local parts = folds.stratified(labels, o.folds, o.seed)
    for i, cell in ipairs(cells) do
      local scores = validate(x:detach(), labels, parts, cell)
      local mean, spread = mean_and_spread(scores)
      tried[i] = {C = cell.C, gamma = cell.gamma, mean = mean, spread = spread, scores = scores}
      if not best or mean > tried[best].mean then best = i end
    end
  end)
  return cells[best], tried
end

svm.transduce = transduction.transduce
svm.neighbours = transduction.neighbours

--- Reads a model that its method `save` wrote, and checks that its parts fit.
-- @param path file name
-- @return the model, or nil and a message
function svm.load(path)
  return models.load(path)
end

return svm
