--- Metrics of numbers, and of language models (internal; use `perilune.metrics`).
-- @module perilune.metrics.regression

local pl = require "perilune"
local complain = require("perilune.internal.blame").complain
local metric = require "perilune.metrics.metric"
local read = require "perilune.metrics.read"
local words = require "perilune.internal.words"

-- Prediction and target as real tensors of one shape.
local function pair(who, prediction, target)
  read.tensors(who, prediction, target)
  if words.shape(prediction) ~= words.shape(target) then
    complain("%s: the prediction is %s, the target %s; one shape expected", who,
             words.shape(prediction), words.shape(target))
  end
  return prediction:to "real", target:to "real"
end

-- The kind of a result of the mean of f(prediction - target).
local function kind_of_error(name, f, finish)
  return {
    name = name,
    count = function(_, prediction, target)
      local x, y = pair(name, prediction, target)
      return {sum = f(x - y):sum():item(), n = x:numel()}
    end,
    result = function(total)
      if total.n == 0 then complain("%s: there is no number yet", name) end
      return finish(total.sum / total.n)
    end,
  }
end

local mae_kind = kind_of_error("mae", pl.abs, function(mean) return mean end)
local rmse_kind = kind_of_error("rmse", pl.square, math.sqrt)

--- The mean absolute error: the mean of |prediction - target| over all elements.
--
--     metrics.mae(net(x), y)
-- @param prediction tensor
-- @param target tensor of the same shape
-- @param[opt] options a table that is empty so far
-- @return number
local mae = metric.once(mae_kind)

--- `mae` over batches.
-- @param[opt] options a table that is empty so far
-- @return accumulator
local MAE = metric.over(mae_kind)

--- The root of the mean of (prediction - target)^2 over all elements.
--
--     metrics.rmse(net(x), y)
-- @param prediction tensor
-- @param target tensor of the same shape
-- @param[opt] options a table that is empty so far
-- @return number
local rmse = metric.once(rmse_kind)

--- `rmse` over batches.
-- @param[opt] options a table that is empty so far
-- @return accumulator
local RMSE = metric.over(rmse_kind)

--
-- R2. Of each column: how many targets, their mean, the sum of the squares of their distances from
-- it, and that of the errors. Two of these are joined as in Chan, Golub and LeVeque 1979.
--

local function columns(t)
  return t:reshape(t:size(1), -1)
end

local r2_kind = {
  name = "r2",
  count = function(_, prediction, target)
    local x, y = pair("r2", prediction, target)
    if x:dim() < 1 or x:numel() == 0 then complain("r2: the batch has no rows") end
    x, y = columns(x), columns(y)
    local mean = y:mean {dim = 1}
    return {n = x:size(1), mean = mean:totable(),
            spread = (y - mean):square():sum({dim = 1}):totable(),
            errors = (x - y):square():sum({dim = 1}):totable()}
  end,
  add = function(a, b)
    local n = a.n + b.n
    local total = {n = n, mean = {}, spread = {}, errors = {}}
    if #a.mean ~= #b.mean then complain("r2: batches of %d and %d columns", #a.mean, #b.mean) end
    for c = 1, #a.mean do
      local apart = b.mean[c] - a.mean[c]
      total.mean[c] = a.mean[c] + apart * b.n / n
      total.spread[c] = a.spread[c] + b.spread[c] + apart * apart * a.n * b.n / n
      total.errors[c] = a.errors[c] + b.errors[c]
    end
    return total
  end,
  result = function(total)
    if total.n < 2 then complain("r2: at least two rows expected, got 1") end
    local sum = 0
    for c = 1, #total.mean do
      local errors, spread = total.errors[c], total.spread[c]
      local none = spread == 0 and (errors == 0 and 1 or 0)
      sum = sum + (none or 1 - errors / spread)
    end
    return sum / #total.mean
  end,
}

--- The coefficient of determination: 1 for what is predicted exactly, 0 for what is as good as the
-- targets' mean, and below for what is worse. Of several columns it is the mean of theirs. Of
-- targets that are all equal it is 1 if they are met, else 0.
--
--     metrics.r2(net(x), y)
-- @param prediction tensor [n, ...]
-- @param target tensor of the same shape, with at least two rows
-- @param[opt] options a table that is empty so far
-- @return number
local r2 = metric.once(r2_kind)

--- `r2` over batches.
-- @param[opt] options a table that is empty so far
-- @return accumulator
local R2 = metric.over(r2_kind)

--
-- Perplexity
--

local perplexity_kind = {
  name = "perplexity",
  options = {ignore_index = -100},
  count = function(o, prediction, target)
    read.tensors("perplexity", prediction, target)
    local n = target:dtype() == "int32" and target:ne(o.ignore_index):sum():item()
      or target:numel() // target:size(2)
    if n == 0 then return {sum = 0, n = 0} end
    local sum = pl.cross_entropy(prediction, target,
                                 {ignore_index = o.ignore_index, reduction = "sum"})
    return {sum = sum:item(), n = n}
  end,
  result = function(total)
    if total.n == 0 then complain("perplexity: there is no label yet") end
    return math.exp(total.sum / total.n)
  end,
}

--- exp of the mean cross-entropy: among how many equally probable words a language model chooses.
--
--     metrics.perplexity(logits, words)
-- @param prediction logits [n, classes, ...], as of `pl.cross_entropy`
-- @param target labels [n, ...] from 1, int32, or probabilities of the shape of the logits
-- @param[opt] options `ignore_index` (-100), a label that does not count
-- @return number of at least 1
local perplexity = metric.once(perplexity_kind)

--- `perplexity` over batches: of all words together, not the mean of the batches' perplexities.
-- @param[opt] options those of `perplexity`
-- @return accumulator
local Perplexity = metric.over(perplexity_kind)

return {
  mae = mae, MAE = MAE, rmse = rmse, RMSE = RMSE, r2 = r2, R2 = R2,
  perplexity = perplexity, Perplexity = Perplexity,
}
