--- Losses as modules; the mean over the batch unless they are asked for otherwise.
-- @module perilune.nn.losses

local pl = require "perilune"
local complain = require("perilune.internal.blame").complain
local option = require "perilune.internal.option"
local module = require "perilune.nn.module"

local losses = {}

--- Cross-entropy of logits [N, classes] with labels [N] that count from 1 (int32).
-- @param[opt={label_smoothing=0}] options
losses.CrossEntropyLoss = module.class "CrossEntropyLoss"
local CrossEntropyLoss = losses.CrossEntropyLoss

function CrossEntropyLoss:init(options)
  self.label_smoothing =
    option.read("CrossEntropyLoss", options, {label_smoothing = 0}).label_smoothing
end

function CrossEntropyLoss:forward(logits, labels)
  return pl.cross_entropy(logits, labels, {label_smoothing = self.label_smoothing})
end

function CrossEntropyLoss:extra()
  return self.label_smoothing == 0 and "" or ("label_smoothing=%g"):format(self.label_smoothing)
end

--- The mean of (x - y)^2.
losses.MSELoss = module.class "MSELoss"

function losses.MSELoss:forward(x, y)
  return pl.mse_loss(x, y)
end

--- Binary cross-entropy of logits with targets of the same shape, from 0 to 1.
-- @param[opt={reduction="mean"}] options `reduction`: "mean" or "sum" of all elements, "rows",
--   the sum of each row, or "none"
losses.BCEWithLogitsLoss = module.class "BCEWithLogitsLoss"
local BCEWithLogitsLoss = losses.BCEWithLogitsLoss

local REDUCTIONS <const> = {mean = true, sum = true, rows = true, none = true}

function BCEWithLogitsLoss:init(options)
  self.reduction =
    option.read("BCEWithLogitsLoss", options, {reduction = "mean"}).reduction
  if not REDUCTIONS[self.reduction] then
    complain("BCEWithLogitsLoss: reduction: mean, sum, rows or none expected, got %s",
      tostring(self.reduction))
  end
end

function BCEWithLogitsLoss:forward(logits, target)
  return pl.binary_cross_entropy_with_logits(logits, target, {reduction = self.reduction})
end

function BCEWithLogitsLoss:extra()
  return self.reduction == "mean" and "" or ("reduction=%s"):format(self.reduction)
end

return losses
