--- Metrics of classes (internal; use `perilune.metrics`).
-- @module perilune.metrics.classes

local pl = require "perilune"
local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local option = require "perilune.internal.option"
local metric = require "perilune.metrics.metric"
local read = require "perilune.metrics.read"

local function check_classes(who, o)
  if o.num_classes then o.num_classes = check.count(who, "num_classes", o.num_classes) end
  read.check_threshold(who, o.threshold)
end

-- A quotient of counts; 0 where there is nothing to count.
local function quotient(a, b)
  return b == 0 and 0.0 or a / b
end

local function need_examples(who, n)
  if n == 0 then complain("%s: there is no example yet", who) end
end

local function count_equal(a, b)
  return a:eq(b):sum():item()
end

--
-- Accuracy
--

local accuracy_kind = {
  name = "accuracy",
  options = {threshold = 0.5, logits = true, ignore_index = option.absent},
  check = function(o) check_classes("accuracy", o) end,
  count = function(o, prediction, target)
    local batch = read.classes("accuracy", prediction, target, o)
    return {right = count_equal(read.predicted(batch, o), batch.target), n = #batch.target}
  end,
  result = function(total)
    need_examples("accuracy", total.n)
    return total.right / total.n
  end,
}

--- The share of examples whose class was predicted: the one with the highest score.
--
--     metrics.accuracy(net(x), y)                    -- scores [n, classes], labels [n]
--     metrics.accuracy(svm:predict(x), y)            -- labels with labels
--     metrics.accuracy(logits, y, {threshold = 0.8}) -- scores [n] of one class, targets 0 and 1
-- @param prediction scores of classes or of one class, or labels
-- @param target labels, one-hot rows, or 0 and 1
-- @param[opt] options `threshold` (0.5), the probability from which on the one class is predicted;
--   `logits` (true), false if scores are probabilities; `ignore_index`, a label that does not count
-- @return number from 0 to 1
local accuracy = metric.once(accuracy_kind)

--- `accuracy` over batches.
-- @param[opt] options those of `accuracy`
-- @return accumulator
local Accuracy = metric.over(accuracy_kind)

local top_k_kind = {
  name = "top_k_accuracy",
  options = {k = 5, ignore_index = option.absent},
  check = function(o) o.k = check.count("top_k_accuracy", "k", o.k) end,
  count = function(o, prediction, target)
    local batch = read.scores("top_k_accuracy", prediction, target, o)
    if batch.binary then complain("top_k_accuracy: scores of at least two classes expected") end
    local _, best = batch.scores:topk(math.min(o.k, batch.classes))
    return {right = count_equal(best, batch.target:unsqueeze(2)), n = #batch.target}
  end,
  result = function(total)
    need_examples("top_k_accuracy", total.n)
    return total.right / total.n
  end,
}

--- The share of examples whose class is among the k with the highest scores.
--
--     metrics.top_k_accuracy(net(x), y, {k = 3})
-- @param prediction scores [n, classes], real
-- @param target labels [n] from 1, int32, or one-hot rows
-- @param[opt] options `k` (5); `ignore_index`, a label that does not count
-- @return number from 0 to 1
local top_k_accuracy = metric.once(top_k_kind)

--- `top_k_accuracy` over batches.
-- @param[opt] options those of `top_k_accuracy`
-- @return accumulator
local TopKAccuracy = metric.over(top_k_kind)

--
-- Precision, recall, F1: of each class, how often it was predicted, how often it was there, and how
-- often both
--

local AVERAGES <const> = {macro = true, micro = true, weighted = true, none = true}

-- Of one class it is the 1 that counts, and nothing is averaged.
local function count_one(predicted, target)
  return {right = {count_equal(predicted * target, 1)}, predicted = {predicted:sum():item()},
          there = {target:sum():item()}, classes = 1, n = #target}
end

local function count_classes(batch, predicted, target)
  local right = target:index_select(predicted:eq(target):nonzero(), 1)
  return {
    right = read.frequencies(right, batch.classes), n = #target,
    predicted = read.frequencies(predicted, batch.classes),
    there = read.frequencies(target, batch.classes),
  }
end

local function add_up(list)
  local total = 0
  for _, value in ipairs(list) do total = total + value end
  return total
end

-- A list of each class's value, of those that are there or were predicted the mean with weights.
local function averaged(total, value, weight_of)
  local sum, weights = 0, 0
  for c = 1, math.max(#total.predicted, #total.there) do
    local predicted, there = total.predicted[c] or 0, total.there[c] or 0
    local weight = predicted + there > 0 and weight_of(there) or 0
    sum = sum + weight * value(total.right[c] or 0, predicted, there)
    weights = weights + weight
  end
  return quotient(sum, weights)
end

local function of_each(total, value)
  local list = {}
  for c = 1, math.max(#total.predicted, #total.there) do
    list[c] = value(total.right[c] or 0, total.predicted[c] or 0, total.there[c] or 0)
  end
  return pl.tensor(list)
end

local function one() return 1 end
local function itself(there) return there end

-- The kind of a value of how often a class was predicted rightly, predicted, and there.
local function kind_of_class(name, value)
  return {
    name = name,
    options = {average = "macro", threshold = 0.5, logits = true, num_classes = option.absent,
               ignore_index = option.absent},
    check = function(o)
      check_classes(name, o)
      if not AVERAGES[o.average] then
        complain("%s: average: macro, micro, weighted or none expected, got %s", name,
                 check.shown(o.average))
      end
    end,
    count = function(o, prediction, target)
      local batch = read.classes(name, prediction, target, o)
      local predicted = read.predicted(batch, o)
      if batch.binary then return count_one(predicted, batch.target) end
      return count_classes(batch, predicted, batch.target)
    end,
    result = function(total, o)
      need_examples(name, total.n)
      if o.average == "none" then return of_each(total, value) end
      if o.average == "micro" then
        return value(add_up(total.right), add_up(total.predicted), add_up(total.there))
      end
      return averaged(total, value, o.average == "weighted" and itself or one)
    end,
  }
end

local precision_kind = kind_of_class("precision", function(right, predicted)
  return quotient(right, predicted)
end)
local recall_kind = kind_of_class("recall", function(right, _, there)
  return quotient(right, there)
end)
local f1_kind = kind_of_class("f1", function(right, predicted, there)
  return quotient(2 * right, predicted + there)
end)

--- Of the examples for which a class was predicted, the share that is of it.
--
--     metrics.precision(net(x), y)                        -- the mean over the classes
--     metrics.precision(net(x), y, {average = "none"})    -- of each class, real [classes]
--
-- A quotient of nothing is 0. Of scores of one class, and 0 and 1, it is that of the 1.
-- @param prediction scores of classes or of one class, or labels
-- @param target labels, one-hot rows, or 0 and 1
-- @param[opt] options `average` ("macro"): the mean over the classes that are there or were
--   predicted; "weighted": by how often each is there; "micro": of all examples together; "none":
--   of each class, a tensor; `num_classes`, where labels do not say; `threshold` (0.5), `logits`
--   (true) and `ignore_index` as of `accuracy`
-- @return number, or real [classes]
local precision = metric.once(precision_kind)

--- `precision` over batches.
-- @param[opt] options those of `precision`
-- @return accumulator
local Precision = metric.over(precision_kind)

--- Of the examples of a class, the share for which it was predicted; see `precision`.
-- @param prediction scores of classes or of one class, or labels
-- @param target labels, one-hot rows, or 0 and 1
-- @param[opt] options those of `precision`
-- @return number, or real [classes]
local recall = metric.once(recall_kind)

--- `recall` over batches.
-- @param[opt] options those of `precision`
-- @return accumulator
local Recall = metric.over(recall_kind)

--- The harmonic mean of precision and recall; see `precision`.
-- @param prediction scores of classes or of one class, or labels
-- @param target labels, one-hot rows, or 0 and 1
-- @param[opt] options those of `precision`
-- @return number, or real [classes]
local f1 = metric.once(f1_kind)

--- `f1` over batches.
-- @param[opt] options those of `precision`
-- @return accumulator
local F1 = metric.over(f1_kind)

--
-- The confusion matrix
--

local NORMALIZED <const> = {["true"] = true, pred = true, all = true}

-- Labels from 1, also of one class, whose 0 is the first.
local function count_pairs(batch, predicted)
  local target, classes = batch.target, batch.classes
  if batch.binary then predicted, target, classes = predicted + 1, target + 1, 2 end
  if not classes then
    complain("confusion_matrix: labels do not say how many classes there are; give num_classes")
  end
  local counts, rows = read.frequencies((target - 1) * classes + predicted, classes * classes), {}
  for r = 1, classes do rows[r] = table.move(counts, (r - 1) * classes + 1, r * classes, 1, {}) end
  return {rows = rows}
end

local function normalized(counts, by)
  local x = counts:to "real"
  local total = by == "true" and x:sum {dim = 2, keepdim = true}
    or by == "pred" and x:sum {dim = 1, keepdim = true} or x:sum()
  return x / total:maximum(1)
end

local confusion_kind = {
  name = "confusion_matrix",
  options = {normalize = option.absent, threshold = 0.5, logits = true,
             num_classes = option.absent, ignore_index = option.absent},
  check = function(o)
    check_classes("confusion_matrix", o)
    if o.normalize ~= nil and not NORMALIZED[o.normalize] then
      complain("confusion_matrix: normalize: true, pred or all, as words, expected, got %s",
               check.shown(o.normalize))
    end
  end,
  count = function(o, prediction, target)
    local batch = read.classes("confusion_matrix", prediction, target, o)
    return count_pairs(batch, read.predicted(batch, o))
  end,
  result = function(total, o)
    local counts = pl.tensor(total.rows, "int32")
    return o.normalize and normalized(counts, o.normalize) or counts
  end,
}

--- How often examples of class i, a row, were taken for class j, a column.
--
--     local counts = metrics.confusion_matrix(net(x), y)
--     metrics.plot_confusion_matrix(counts, {classes = names}):save "confusion.png"
--
-- Scores of one class, and 0 and 1, give a matrix of two rows, of which the 0 is the first.
-- @param prediction scores of classes or of one class, or labels
-- @param target labels, one-hot rows, or 0 and 1
-- @param[opt] options `normalize`: "true", rows have the sum 1, "pred", columns do, "all",
--   everything does; `num_classes`, which labels need; `threshold` (0.5), `logits` (true) and
--   `ignore_index` as of `accuracy`
-- @return int32 [classes, classes], or real if it is normalised
local confusion_matrix = metric.once(confusion_kind)

--- `confusion_matrix` over batches.
-- @param[opt] options those of `confusion_matrix`
-- @return accumulator
local ConfusionMatrix = metric.over(confusion_kind)

return {
  accuracy = accuracy, Accuracy = Accuracy,
  top_k_accuracy = top_k_accuracy, TopKAccuracy = TopKAccuracy,
  precision = precision, Precision = Precision, recall = recall, Recall = Recall,
  f1 = f1, F1 = F1,
  confusion_matrix = confusion_matrix, ConfusionMatrix = ConfusionMatrix,
}
