--- What metrics of classes are given: scores or labels, and targets (internal).
--
-- Three forms are understood. The prediction is
--
-- - real [n, classes, ...], a score of each class: the target has labels from 1, int32 [n, ...], or
--   is one-hot, of the shape of the scores;
-- - int32, labels: the target has labels too, or is one-hot, [n, classes];
-- - real, of the target's shape, or [n, 1], a score of the one class that is asked for; or uint8,
--   decisions: the target is 0 or 1.
-- @module perilune.metrics.read

local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local pl = require "perilune"
local words = require "perilune.internal.words"

local read = {}

local function describe(t)
  return t:dtype() .. words.shape(t)
end

local function same_shape(a, b)
  return words.shape(a) == words.shape(b)
end

--- Raises an error unless both are tensors.
-- @param who the metric's name
-- @param prediction
-- @param target
function read.tensors(who, prediction, target)
  check.tensor(who .. ": prediction", prediction)
  check.tensor(who .. ": target", target)
end

local function no_nan(who, scores)
  if scores:isnan():any():item() ~= 0 then complain("%s: the prediction has a NaN in it", who) end
end

-- Raises an error unless scores are probabilities, if they should be.
local function check_scores(who, scores, o)
  no_nan(who, scores)
  if o.logits ~= false or scores:numel() == 0 then return end
  local low, high = scores:min():item(), scores:max():item()
  if low < 0 or high > 1 then
    complain("%s: logits = false: probabilities expected, got a score of %g", who,
             low < 0 and low or high)
  end
end

local function check_labels(who, what, labels, classes)
  if labels:numel() == 0 then return end
  local low, high = labels:min():item(), labels:max():item()
  if low < 1 or classes and high > classes then
    complain("%s: the %s has the label %d; labels count from 1%s", who, what,
             low < 1 and low or high, classes and " to " .. classes or "")
  end
end

local function check_binary(who, what, t)
  local other = t:ne(0):logical_and(t:ne(1))
  if other:any():item() ~= 0 then
    complain("%s: the %s has values other than 0 and 1, which go with scores of one class", who,
             what)
  end
end

-- The labels of one-hot rows.
local function from_one_hot(who, target)
  local wrong = target:ne(0):logical_and(target:ne(1)):any():item() ~= 0
  local rows = target:ne(0):sum {dim = 2}
  if wrong or rows:ne(1):any():item() ~= 0 then
    complain("%s: the target %s: labels, or one 1 in each row, expected", who, describe(target))
  end
  return target:argmax(2)
end

-- Whether the scores are those of classes, and not of one.
local function are_of_classes(scores, target)
  return scores:dtype() == "real" and scores:dim() >= 2 and scores:size(2) > 1
    and (target:dim() == scores:dim() - 1 and target:dtype() == "int32"
         or same_shape(scores, target) and scores:dim() == 2)
end

local function misfit(who, prediction, target)
  complain("%s: the prediction is %s, the target %s; scores [n, classes] or labels with labels [n]"
           .. ", or scores of one class with targets 0 and 1 of the same shape, expected", who,
           describe(prediction), describe(target))
end

-- The classes last, the others in one dim: scores [m, classes].
local function rows_of(scores)
  local dims = {1}
  for d = 3, scores:dim() do dims[#dims + 1] = d end
  dims[#dims + 1] = 2
  return scores:permute(dims):reshape(-1, scores:size(2))
end

-- Labels other than the one that does not count, and the rows that these are.
local function without_ignored(labels, ignored)
  if ignored == nil then return labels end
  local rows = labels:ne(ignored):nonzero()
  return labels:index_select(rows, 1), rows
end

local function of_classes(who, scores, target, o)
  check_scores(who, scores, o)
  local labels = same_shape(scores, target) and from_one_hot(who, target) or target
  if words.shape(labels) ~= words.shape(scores:select(2, 1)) then misfit(who, scores, target) end
  local kept, rows = without_ignored(labels:reshape(-1), o.ignore_index)
  check_labels(who, "target", kept, scores:size(2))
  scores = rows_of(scores)
  return {scores = rows and scores:index_select(rows, 1) or scores, target = kept,
          classes = scores:size(2)}
end

local function of_one(who, prediction, target, o)
  if prediction:numel() ~= target:numel() or target:dim() > prediction:dim() then
    misfit(who, prediction, target)
  end
  check_binary(who, "target", target)
  if prediction:dtype() == "real" then check_scores(who, prediction, o)
  else check_binary(who, "prediction", prediction) end
  return {scores = prediction:reshape(-1), target = target:reshape(-1):to "int32", binary = true}
end

local function of_labels(who, prediction, target, o)
  local labels = target:dim() == 2 and prediction:dim() == 1 and from_one_hot(who, target) or target
  if not same_shape(prediction, labels) or labels:dtype() ~= "int32" then
    misfit(who, prediction, target)
  end
  local kept, rows = without_ignored(labels:reshape(-1), o.ignore_index)
  local predicted = prediction:reshape(-1)
  if rows then predicted = predicted:index_select(rows, 1) end
  local classes = labels ~= target and target:size(2) or o.num_classes
  check_labels(who, "target", kept, classes)
  check_labels(who, "prediction", predicted, classes)
  return {predicted = predicted, target = kept, classes = classes}
end

--- Reads a prediction and a target.
-- @param who the metric's name
-- @param prediction tensor
-- @param target tensor
-- @param o options: `ignore_index`, a label that does not count; `logits`, false if scores are
--   probabilities; `num_classes` of labels
-- @return table: `target`, int32 [m], labels, or 0 and 1; `scores` [m, classes], or [m] if it is
--   `binary`, or `predicted` labels [m]; `classes`, how many, nil if that is not known
function read.classes(who, prediction, target, o)
  read.tensors(who, prediction, target)
  if are_of_classes(prediction, target) then return of_classes(who, prediction, target, o) end
  if prediction:dtype() == "int32" then return of_labels(who, prediction, target, o) end
  return of_one(who, prediction, target, o)
end

--- The same, but where labels are no scores.
-- @param who the metric's name
-- @param prediction real tensor
-- @param target tensor
-- @param o options
-- @return table, as `read.classes` gives it, with `scores`
function read.scores(who, prediction, target, o)
  local batch = read.classes(who, prediction, target, o)
  if not batch.scores or batch.scores:dtype() ~= "real" then
    complain("%s: real scores expected, got %s", who, describe(prediction))
  end
  return batch
end

-- The score from which on a class is predicted, of probabilities or logits.
local function threshold_of(o)
  local p = o.threshold or 0.5
  return o.logits == false and p or math.log(p / (1 - p))
end

--- The labels that a batch predicts; of one class, 1 and 0.
-- @param batch what `read.classes` gave
-- @param o options: `threshold`, the probability from which on the one class is predicted
-- @return int32 [m]
function read.predicted(batch, o)
  if batch.predicted then return batch.predicted end
  if not batch.binary then return batch.scores:argmax(2) end
  if batch.scores:dtype() ~= "real" then return batch.scores:to "int32" end
  return batch.scores:gt(threshold_of(o)):to "int32"
end

--- Raises an error unless a threshold is a probability.
-- @param who the metric's name
-- @param threshold
function read.check_threshold(who, threshold)
  if not math.type(threshold) or not (threshold > 0 and threshold < 1) then
    complain("%s: threshold: probability between 0 and 1 expected, got %s", who,
             check.shown(threshold))
  end
end

--- How often each label occurs.
-- @param labels int32 [m] from 1
-- @param[opt] classes at least so many entries
-- @return list of integers
function read.frequencies(labels, classes)
  return pl.bincount(labels, {minlength = classes or 0}):totable()
end

return read
