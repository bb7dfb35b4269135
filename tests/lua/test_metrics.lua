--- Metrics: functions and accumulators, against scikit-learn's values (tests/oracle_metrics.py).

local lu = require "luaunit"
local pl = require "perilune"
local expected = require "oracle_metrics"
local metrics = pl.metrics

local T = {}

local function near(got, want, name)
  if pl.is_tensor(got) then got = got:totable() end
  if type(want) ~= "table" then
    return lu.assertAlmostEquals(got, want, 1e-5 * math.max(1, math.abs(want)), name)
  end
  lu.assertEquals(#got, #want, name)
  for i, value in ipairs(want) do
    if value == math.huge then lu.assertEquals(got[i], value) else near(got[i], value, name) end
  end
end

local function labels(list) return pl.tensor(list, "int32") end

-- Batches of rows: some of one row, one of none.
local CUTS <const> = {0, 1, 1, 8, 30, 40}

local function each_batch(x, y, visit)
  for i = 2, #CUTS do
    local first, n = CUTS[i - 1] + 1, CUTS[i] - CUTS[i - 1]
    visit(x:slice(1, first, n), y:slice(1, first, n), i)
  end
end

-- The function, an accumulator over batches, two that are joined, and one that was saved have one
-- result.
local function check(name, class, x, y, options, want)
  near({metrics[name](x, y, options)}, want, name)
  local whole, odd, even = metrics[class](options), metrics[class](options), metrics[class](options)
  each_batch(x, y, function(a, b, i)
    if #a == 0 and name == "r2" then return end
    whole:update(a, b)
    local part = i % 2 == 0 and even or odd
    part:update(a, b)
  end)
  near({whole:compute()}, want, class)
  near({odd:merge(even):compute()}, want, class .. " merged")
  near({metrics[class](options):merge(odd):compute()}, want, class .. " merged into nothing")
  local loaded = metrics[class](options):load_state_dict(whole:state_dict())
  near({loaded:compute()}, want, class .. " loaded")
  lu.assertErrorMsgContains(name .. ": there is no", whole:reset().compute, whole)
end

local function one_hot(y, classes)
  return pl.one_hot(y, classes)
end

function T.test_classes()
  local case = expected.classes
  local x, y, want = pl.tensor(case.scores), labels(case.labels), case.values
  for _, target in ipairs {y, one_hot(y, 5)} do
    check("accuracy", "Accuracy", x, target, nil, {want.accuracy})
    check("accuracy", "Accuracy", x:softmax(2), target, {logits = false}, {want.accuracy})
    check("top_k_accuracy", "TopKAccuracy", x, target, {k = 1}, {want.accuracy})
    check("top_k_accuracy", "TopKAccuracy", x, target, {k = 2}, {want.top_2_accuracy})
    check("top_k_accuracy", "TopKAccuracy", x, target, {k = 3}, {want.top_3_accuracy})
    check("top_k_accuracy", "TopKAccuracy", x, target, {k = 9}, {1})
    check("calibration_error", "CalibrationError", x, target, nil, {want.calibration})
    check("calibration_error", "CalibrationError", x:softmax(2), target,
          {n_bins = 7, logits = false}, {want.calibration_7})
    check("confusion_matrix", "ConfusionMatrix", x, target, nil, {want.confusion})
    for _, how in ipairs {"true", "pred", "all"} do
      check("confusion_matrix", "ConfusionMatrix", x, target, {normalize = how},
            {want["confusion_" .. how]})
    end
  end
  check("perplexity", "Perplexity", x, y, nil, {want.perplexity})
end

function T.test_precision_recall_f1()
  local case = expected.classes
  local x, y = pl.tensor(case.scores), labels(case.labels)
  for name, class in pairs {precision = "Precision", recall = "Recall", f1 = "F1"} do
    for _, average in ipairs {"macro", "micro", "weighted", "none"} do
      local want = {case.values[name .. "_" .. average]}
      check(name, class, x, y, {average = average}, want)
      check(name, class, x:argmax(2), y, {average = average, num_classes = 5}, want)
    end
  end
end

function T.test_classes_that_labels_show_only_later()
  local f1 = metrics.F1 {average = "none"}
  f1:update(labels {1, 2}, labels {1, 1}):update(labels {4}, labels {4})
  near(f1:compute(), {2 / 3, 0, 0, 1})
  near(metrics.precision(labels {1, 4}, labels {1, 1}), 0.5)
end

function T.test_one_class()
  local case = expected.one_class
  local x, y, want = pl.tensor(case.scores), pl.tensor(case.targets), case.values
  for _, target in ipairs {y, y:to "int32", y:to "uint8"} do
    check("accuracy", "Accuracy", x, target, nil, {want.accuracy})
    check("accuracy", "Accuracy", x:unsqueeze(2), target:unsqueeze(2), nil, {want.accuracy})
    check("accuracy", "Accuracy", x:unsqueeze(2), target, nil, {want.accuracy})
    check("accuracy", "Accuracy", x:gt(0), target, nil, {want.accuracy})
    check("accuracy", "Accuracy", x, target, {threshold = 0.8}, {want.accuracy_strict})
    check("accuracy", "Accuracy", x:sigmoid(), target, {threshold = 0.8, logits = false},
          {want.accuracy_strict})
    check("precision", "Precision", x, target, nil, {want.precision})
    check("recall", "Recall", x, target, nil, {want.recall})
    check("f1", "F1", x, target, {average = "none"}, {{want.f1}})
    check("confusion_matrix", "ConfusionMatrix", x, target, nil, {want.confusion})
    check("roc_auc", "RocAuc", x, target, nil, {want.roc_auc})
    check("average_precision", "AveragePrecision", x, target, nil, {want.average_precision})
    check("calibration_error", "CalibrationError", x, target, nil, {want.calibration})
    check("roc_curve", "RocCurve", x, target, nil, {want.fpr, want.tpr, want.thresholds})
    check("precision_recall_curve", "PrecisionRecallCurve", x, target, nil,
          {want.precisions, want.recalls, want.cuts})
  end
end

function T.test_each_class_against_the_others()
  local case = expected.against_the_others
  local x, y = pl.tensor(case.scores), labels(case.labels)
  check("roc_auc", "RocAuc", x, y, nil, {case.values.roc_auc})
  check("average_precision", "AveragePrecision", x, one_hot(y, 3), nil,
        {case.values.average_precision})
end

function T.test_numbers()
  local case = expected.numbers
  local x, y, want = pl.tensor(case.predictions), pl.tensor(case.targets), case.values
  check("mae", "MAE", x, y, nil, {want.mae})
  check("rmse", "RMSE", x, y, nil, {want.rmse})
  check("r2", "R2", x, y, nil, {want.r2})
  check("r2", "R2", x:select(2, 1), y:select(2, 1), nil, {want.r2_first})
end

-- The targets' mean is far from 0, and the batches' means are far from each other.
function T.test_r2_far_from_zero()
  local r2 = metrics.R2()
  for shift = 0, 3 do
    local y = pl.tensor {4096, 4097, 4099} + 1024 * shift
    r2:update(y + 0.5, y)
  end
  local mean, spread = 4096 + 1536 + 4 / 3, 0
  for shift = 0, 3 do
    for _, value in ipairs {4096, 4097, 4099} do
      spread = spread + (value + 1024 * shift - mean) ^ 2
    end
  end
  lu.assertAlmostEquals(r2:compute(), 1 - 12 * 0.25 / spread, 1e-12)
  lu.assertEquals(metrics.r2(pl.ones(3), pl.ones(3)), 1)
  lu.assertEquals(metrics.r2(pl.zeros(3), pl.ones(3)), 0)
end

function T.test_sequences_and_images()
  local scores = pl.tensor {{{1, 5, 0}, {2, 1, 1}}, {{0, 0, 1}, {1, 1, 0}}} -- [2,2 classes,3]
  local y = labels {{2, 1, 1}, {2, 1, -100}}
  near(metrics.accuracy(scores, y, {ignore_index = -100}), 3 / 5)
  near(metrics.confusion_matrix(scores, y, {ignore_index = -100}), {{1, 2}, {0, 2}})
  local nll = pl.cross_entropy(scores, y):item()
  near(metrics.perplexity(scores, y), math.exp(nll))
end

-- Beyond what a real of 32 bits and an int32 count.
function T.test_counts_are_exact()
  local accuracy = metrics.Accuracy()
  accuracy:load_state_dict {metric = "accuracy", total = {right = 1 << 53, n = 1 << 54}}
  accuracy:update(labels {1, 2}, labels {1, 1})
  lu.assertEquals(accuracy:state_dict().total.right, (1 << 53) + 1)
  lu.assertEquals(accuracy:state_dict().total.n, (1 << 54) + 2)
end

function T.test_states_are_saved()
  local path = os.tmpname()
  local auc, confusion = metrics.RocAuc(), metrics.ConfusionMatrix {num_classes = 3}
  auc:update(pl.tensor {0.1, 0.4, 0.35, 0.8}, pl.tensor {0, 0, 1, 1})
  confusion:update(labels {1, 2, 3}, labels {1, 2, 2})
  pl.save(path, {auc = auc:state_dict(), confusion = confusion:state_dict()})
  local state = pl.load(path)
  os.remove(path)
  near(metrics.RocAuc():load_state_dict(state.auc):compute(), 0.75)
  near(metrics.ConfusionMatrix({num_classes = 3}):load_state_dict(state.confusion):compute(),
       {{1, 0, 0}, {0, 1, 1}, {0, 0, 0}})
end

function T.test_scores_outlive_tidy()
  local auc = metrics.RocAuc()
  for i = 1, 3 do
    pl.tidy(function() auc:update(pl.tensor {0.2 * i, 0.5}, pl.tensor {0, 1}) end)
  end
  near(auc:compute(), 6 / 9)
end

function T.test_a_picture()
  local figure = metrics.plot_confusion_matrix(labels {{3, 1}, {0, 4}}, {classes = {"cat", "dog"}})
  lu.assertEquals(figure:pixels():dim(), 3)
  metrics.plot_confusion_matrix(pl.eye(2), {annotate = false, title = "none"}):pixels()
end

local x3 <const>, y3 <const> = {{1, 2, 3}, {3, 2, 1}}, {1, 2}

function T.test_messages()
  local x, y = pl.tensor(x3), labels(y3)
  local function fails(text, f, ...)
    lu.assertErrorMsgContains(text, f, ...)
  end
  fails("accuracy: prediction: tensor expected, got table", metrics.accuracy, {1}, y)
  fails("accuracy: target: tensor expected, got nil", metrics.accuracy, x)
  fails("accuracy: the target has the label 4; labels count from 1 to 3", metrics.accuracy, x,
        labels {1, 4})
  fails("accuracy: the target has the label 0; labels count from 1", metrics.accuracy, x,
        labels {1, 0})
  fails("accuracy: the prediction has a NaN in it", metrics.accuracy, x / 0 - x / 0, y)
  fails("accuracy: the prediction is real[2,3], the target int32[3]", metrics.accuracy, x,
        labels {1, 2, 3})
  fails("accuracy: the target real[2,3]: labels, or one 1 in each row, expected", metrics.accuracy,
        x, pl.ones(2, 3))
  fails("accuracy: the target has values other than 0 and 1", metrics.accuracy, pl.ones(2), y)
  fails("accuracy: threshold: probability between 0 and 1 expected, got 1", metrics.Accuracy,
        {threshold = 1})
  fails("calibration_error: logits = false: probabilities expected, got a score of 3",
        metrics.calibration_error, x, y, {logits = false})
  fails("calibration_error: n_bins: positive integer expected, got 0", metrics.CalibrationError,
        {n_bins = 0})
  fails("precision: average: macro, micro, weighted or none expected, got mean", metrics.precision,
        x, y, {average = "mean"})
  fails("precision: unknown option 'avg'", metrics.Precision, {avg = "macro"})
  fails("confusion_matrix: labels do not say how many classes there are; give num_classes",
        metrics.confusion_matrix, y, y)
  fails("confusion_matrix: normalize: true, pred or all", metrics.ConfusionMatrix,
        {normalize = true})
  fails("top_k_accuracy: k: positive integer expected, got 0", metrics.TopKAccuracy, {k = 0})
  fails("top_k_accuracy: real scores expected, got int32[2]", metrics.top_k_accuracy, y, y)
  fails("roc_auc: there is no example of the 1", metrics.roc_auc, pl.ones(2), pl.zeros(2))
  fails("roc_auc: there is no example of class 3", metrics.roc_auc, x, y)
  fails("roc_curve: scores of one class expected, got those of 3", metrics.roc_curve, x, y)
  fails("mae: the prediction is [2,3], the target [2]; one shape expected", metrics.mae, x, y)
  fails("r2: at least two rows expected, got 1", metrics.r2, pl.ones(1), pl.ones(1))
  fails("plot_confusion_matrix: 1 names for 2 classes", metrics.plot_confusion_matrix, pl.eye(2),
        {classes = {"a"}})
end

function T.test_messages_of_accumulators()
  local a, b = metrics.Accuracy(), metrics.Accuracy {threshold = 0.7}
  lu.assertErrorMsgContains("merge: the two accumulators of accuracy have other options", a.merge,
                            a, b)
  lu.assertErrorMsgContains("merge: accuracy has no sum with mae", a.merge, a, metrics.MAE())
  lu.assertErrorMsgContains("merge: another accumulator expected, got number", a.merge, a, 1)
  lu.assertErrorMsgContains("load_state_dict: the state of accuracy expected, got mae",
                            a.load_state_dict, a, metrics.MAE():state_dict())
  lu.assertErrorMsgContains("methods are called with a colon", a.compute)
end

return T
