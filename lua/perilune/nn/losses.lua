--- Losses as modules; the mean over the batch.
-- @module perilune.nn.losses

local pl = require "perilune"
local check = require "perilune.check"
local module = require "perilune.nn.module"

local losses = {}

--- Cross-entropy of logits [N, classes] with labels [N] that count from 1 (kind int32).
-- @param[opt={label_smoothing=0}] options
losses.CrossEntropyLoss = module.class "CrossEntropyLoss"
local CrossEntropyLoss = losses.CrossEntropyLoss

function CrossEntropyLoss:init(options)
  self.label_smoothing =
    check.options("CrossEntropyLoss", options, {label_smoothing = 0}, 4).label_smoothing
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

return losses
