--- Metrics: how good predictions are. Names and conventions are scikit-learn's, but the prediction
-- comes first, as in losses, and classes are counted from 1.
--
-- Each metric is a function of a prediction and a target, and an accumulator over batches, which
-- gives what the function gives of all of them together:
--
--     local accuracy = metrics.Accuracy()
--     for x, y in data.batches(test, {shuffle = false}) do
--       pl.tidy(function() accuracy:update(net(x), y) end)
--     end
--     print(accuracy:compute())
--
-- Accumulators of parts are joined by `merge`, forget by `reset`, and are saved with `state_dict`.
--
-- Scores are real [n, classes, ...], logits or probabilities, of which the highest counts; where
-- the difference matters, they are logits unless `logits = false` says otherwise. Labels are int32
-- [n, ...] from 1; targets may be one-hot rows too. Scores of one class are real [n] or [n, 1], and
-- go with targets 0 and 1. A NaN among the scores is an error.
-- @module perilune.metrics

local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local option = require "perilune.internal.option"
local unknown = require "perilune.internal.unknown"

local metrics = {}

for _, part in ipairs {"classes", "curves", "regression"} do
  for name, value in next, (require("perilune.metrics." .. part)) do metrics[name] = value end
end

--- Draws a confusion matrix, whose rows are the classes and whose columns what they were taken for.
--
--     metrics.plot_confusion_matrix(counts, {classes = {"cat", "dog"}}):save "confusion.png"
-- @param matrix what `confusion_matrix` gave
-- @param[opt] options `classes`, the names; `title`; `annotate`, the format of the numbers in the
--   cells, or false for none
-- @return figure of `perilune.plot`
function metrics.plot_confusion_matrix(matrix, options)
  local o = option.read("plot_confusion_matrix", options,
    {classes = option.absent, title = option.absent, annotate = option.absent})
  check.tensor("plot_confusion_matrix", matrix)
  if matrix:dim() ~= 2 or matrix:size(1) ~= matrix:size(2) then
    complain("plot_confusion_matrix: as many rows as columns expected, got %s",
             require("perilune.internal.words").shape(matrix))
  elseif o.classes and #o.classes ~= matrix:size(1) then
    complain("plot_confusion_matrix: %d names for %d classes", #o.classes, matrix:size(1))
  end
  if o.annotate == nil then o.annotate = matrix:dtype() == "real" and "%.2f" or "%d" end
  return require("perilune.plot").heatmap(matrix, {
    rows = o.classes, columns = o.classes, annotate = o.annotate or nil, colormap = "blues",
    title = o.title, x_label = "predicted", y_label = "true",
  })
end

return unknown.guard("pl.metrics", metrics)
