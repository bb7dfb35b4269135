--- Metrics of scores (internal; use `perilune.metrics`): curves over all thresholds, areas below
-- them, and how far scores are probabilities.
-- @module perilune.metrics.curves

local pl = require "perilune"
local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local metric = require "perilune.metrics.metric"
local read = require "perilune.metrics.read"

--
-- What is counted: the scores themselves, for only all of them together have an order.
--

local function kept(t)
  return pl.keep(t:detach():clone())
end

local function counted(name)
  return function(o, prediction, target)
    local batch = read.scores(name, prediction, target, o)
    return {scores = {kept(batch.scores)}, targets = {kept(batch.target)}}
  end
end

local function appended(a, b)
  local copy = table.move(a, 1, #a, 1, {})
  return table.move(b, 1, #b, #copy + 1, copy)
end

local function add(a, b)
  if a.scores[1]:dim() ~= b.scores[1]:dim() then
    complain("merge: batches with scores of classes and with scores of one class")
  end
  return {scores = appended(a.scores, b.scores), targets = appended(a.targets, b.targets)}
end

-- Scores [n] in descending order, and of the last of each value how many targets so far are 1 and
-- how many 0: lists, whose last entries are the numbers of both.
local function steps(scores, targets)
  local sorted, order = scores:sort {descending = true}
  local ones = targets:index_select(order, 1):cumsum(1):totable()
  local values, list = sorted:totable(), {values = {}, ones = {}, zeros = {}}
  for i = 1, #values do
    if values[i] ~= values[i + 1] then
      local k = #list.values + 1
      list.values[k], list.ones[k], list.zeros[k] = values[i], ones[i], i - ones[i]
    end
  end
  list.all_ones, list.all_zeros = list.ones[#list.ones] or 0, list.zeros[#list.zeros] or 0
  return list
end

local function need(name, what, n)
  if n == 0 then complain("%s: there is no example of %s", name, what) end
end

-- The steps of scores of one class.
local function steps_of_one(name, total)
  local scores = pl.cat(total.scores, 1)
  if scores:dim() > 1 then
    complain("%s: scores of one class expected, got those of %d; take one column of them", name,
             scores:size(2))
  end
  return steps(scores, pl.cat(total.targets, 1))
end

-- The mean over the classes of value(steps, class), each against all others.
local function over_classes(total, value)
  local scores, targets = pl.cat(total.scores, 1), pl.cat(total.targets, 1)
  if scores:dim() == 1 then return value(steps(scores, targets), "the 1") end
  local sum, classes <const> = 0, scores:size(2)
  for c = 1, classes do
    local of_class = steps(scores:select(2, c), targets:eq(c):to "int32")
    sum = sum + value(of_class, ("class %d"):format(c))
  end
  return sum / classes
end

--
-- ROC
--

local roc_curve_kind = {
  name = "roc_curve", options = {}, count = counted "roc_curve", add = add,
  result = function(total)
    local s <const> = steps_of_one("roc_curve", total)
    need("roc_curve", "the 1", s.all_ones)
    need("roc_curve", "the 0", s.all_zeros)
    local fpr, tpr, thresholds = {0}, {0}, {math.huge}
    for k, value in ipairs(s.values) do
      fpr[k + 1], tpr[k + 1] = s.zeros[k] / s.all_zeros, s.ones[k] / s.all_ones
      thresholds[k + 1] = value
    end
    return pl.tensor(fpr), pl.tensor(tpr), pl.tensor(thresholds)
  end,
}

--- The receiver operating characteristic: the share of zeros and the share of ones whose score is
-- at least a threshold, for each score that there is, from the highest down; before these (0, 0).
--
--     local fpr, tpr = metrics.roc_curve(scores, y)
--     pl.plot.line(fpr, tpr):save "roc.png"
-- @param prediction scores of one class, real [n]: logits or probabilities
-- @param target [n], 0 and 1
-- @param[opt] options a table that is empty so far
-- @return fpr, false positive rates, real [k]
-- @return tpr, true positive rates, real [k]
-- @return thresholds, real [k], the first infinite
local roc_curve = metric.once(roc_curve_kind)

--- `roc_curve` over batches, which keeps their scores.
-- @param[opt] options a table that is empty so far
-- @return accumulator
local RocCurve = metric.over(roc_curve_kind)

-- Twice the area is the sum of integers.
local function area(s, what)
  need("roc_auc", what, s.all_ones)
  need("roc_auc", "anything but " .. what, s.all_zeros)
  local doubled, ones, zeros = 0, 0, 0
  for k = 1, #s.values do
    doubled = doubled + (s.zeros[k] - zeros) * (s.ones[k] + ones)
    ones, zeros = s.ones[k], s.zeros[k]
  end
  return doubled / (2 * s.all_ones * s.all_zeros)
end

local roc_auc_kind = {
  name = "roc_auc", options = {}, count = counted "roc_auc", add = add,
  result = function(total) return over_classes(total, area) end,
}

--- The area below the ROC curve: the probability that an example of the class has a higher score
-- than another one, equal scores counting half.
--
--     metrics.roc_auc(scores, y)  -- 0.93
-- @param prediction scores of one class [n], or of classes [n, classes], of which it is the mean of
--   each against the others; logits or probabilities
-- @param target 0 and 1, or labels from 1 or one-hot rows
-- @param[opt] options a table that is empty so far
-- @return number
local roc_auc = metric.once(roc_auc_kind)

--- `roc_auc` over batches, which keeps their scores.
-- @param[opt] options a table that is empty so far
-- @return accumulator
local RocAuc = metric.over(roc_auc_kind)

--
-- Precision and recall
--

local pr_curve_kind = {
  name = "precision_recall_curve", options = {}, count = counted "precision_recall_curve",
  add = add,
  result = function(total)
    local s <const> = steps_of_one("precision_recall_curve", total)
    need("precision_recall_curve", "the 1", s.all_ones)
    local precision, recall, thresholds = {}, {}, {}
    for k = #s.values, 1, -1 do
      precision[#precision + 1] = s.ones[k] / (s.ones[k] + s.zeros[k])
      recall[#recall + 1] = s.ones[k] / s.all_ones
      thresholds[#thresholds + 1] = s.values[k]
    end
    precision[#precision + 1], recall[#recall + 1] = 1, 0
    return pl.tensor(precision), pl.tensor(recall), pl.tensor(thresholds)
  end,
}

--- Precision and recall where an example counts as predicted whose score is at least a threshold,
-- for each score that there is, from the lowest up; behind these (1, 0).
--
--     local precision, recall = metrics.precision_recall_curve(scores, y)
--     pl.plot.line(recall, precision):save "curve.png"
-- @param prediction scores of one class, real [n]: logits or probabilities
-- @param target [n], 0 and 1
-- @param[opt] options a table that is empty so far
-- @return precision, real [k + 1]
-- @return recall, real [k + 1]
-- @return thresholds, real [k]
local precision_recall_curve = metric.once(pr_curve_kind)

--- `precision_recall_curve` over batches, which keeps their scores.
-- @param[opt] options a table that is empty so far
-- @return accumulator
local PrecisionRecallCurve = metric.over(pr_curve_kind)

local function mean_precision(s, what)
  need("average_precision", what, s.all_ones)
  local sum, ones = 0, 0
  for k = 1, #s.values do
    sum = sum + (s.ones[k] - ones) * s.ones[k] / (s.ones[k] + s.zeros[k])
    ones = s.ones[k]
  end
  return sum / s.all_ones
end

local average_precision_kind = {
  name = "average_precision", options = {}, count = counted "average_precision", add = add,
  result = function(total) return over_classes(total, mean_precision) end,
}

--- The mean of the precision over the steps of recall, without interpolation.
--
--     metrics.average_precision(scores, y)
-- @param prediction scores of one class [n], or of classes [n, classes], of which it is the mean of
--   each against the others; logits or probabilities
-- @param target 0 and 1, or labels from 1 or one-hot rows
-- @param[opt] options a table that is empty so far
-- @return number
local average_precision = metric.once(average_precision_kind)

--- `average_precision` over batches, which keeps their scores.
-- @param[opt] options a table that is empty so far
-- @return accumulator
local AveragePrecision = metric.over(average_precision_kind)

--
-- Calibration
--

-- What is said of an example, with which probability, and whether it is so.
local function confidences(batch, o)
  local scores = batch.scores
  if batch.binary then
    return o.logits and scores:sigmoid() or scores, batch.target
  end
  local p, best = (o.logits and scores:softmax(2) or scores):max {dim = 2}
  return p, best:eq(batch.target)
end

local calibration_kind = {
  name = "calibration_error",
  options = {n_bins = 15, logits = true},
  check = function(o) o.n_bins = check.count("calibration_error", "n_bins", o.n_bins) end,
  count = function(o, prediction, target)
    local batch = read.scores("calibration_error", prediction, target, o)
    local p, right = confidences(batch, o)
    local bins = (p * o.n_bins):ceil():clamp(1, o.n_bins):to "int32"
    local function by_bin(weights)
      return pl.bincount(bins, weights, {minlength = o.n_bins}):totable()
    end
    return {n = by_bin(nil), confidence = by_bin(p),
            right = by_bin(right:to "real")}
  end,
  result = function(total)
    local sum, n = 0, 0
    for b = 1, #total.n do
      sum, n = sum + math.abs(total.right[b] - total.confidence[b]), n + total.n[b]
    end
    need("calibration_error", "anything", n)
    return sum / n
  end,
}

--- The expected calibration error (Guo et al. 2017): examples are sorted into bins by the
-- probability of what is predicted, (0, 1/15], (1/15, 2/15], ...; how far in each the mean of the
-- probabilities is from the share that is right, weighted by the number of examples.
--
--     metrics.calibration_error(net(x), y)
-- @param prediction scores [n, classes], or [n] of one class
-- @param target labels from 1, one-hot rows, or 0 and 1
-- @param[opt] options `n_bins` (15); `logits` (true), false if scores are probabilities
-- @return number from 0 to 1
local calibration_error = metric.once(calibration_kind)

--- `calibration_error` over batches.
-- @param[opt] options those of `calibration_error`
-- @return accumulator
local CalibrationError = metric.over(calibration_kind)

return {
  roc_curve = roc_curve, RocCurve = RocCurve, roc_auc = roc_auc, RocAuc = RocAuc,
  precision_recall_curve = precision_recall_curve, PrecisionRecallCurve = PrecisionRecallCurve,
  average_precision = average_precision, AveragePrecision = AveragePrecision,
  calibration_error = calibration_error, CalibrationError = CalibrationError,
}
