--- Losses as modules; the mean over the batch unless they are asked for otherwise. Each is an op:
-- what that takes besides its two tensors, or three, are the module's options.
-- @module perilune.nn.losses

local pl = require "perilune"
local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local option = require "perilune.internal.option"
local module = require "perilune.nn.module"

local losses = {}

local function words(spec)
  local list = {}
  for word in spec.default:gmatch "[^|]+" do list[#list + 1] = word end
  return list
end

local function default(spec)
  return spec.type == "choice" and words(spec)[1] or spec.default
end

local function check_word(who, spec, given)
  local list = words(spec)
  for _, word in ipairs(list) do
    if word == given then return end
  end
  complain("%s: %s: %s or %s expected, got %s", who, spec.name,
           table.concat(list, ", ", 1, #list - 1), list[#list], check.shown(given))
end

local function check_tensor(who, name, given)
  if given == nil or pl.is_tensor(given) then return end
  complain("%s: %s: tensor expected, got %s", who, name, check.type(given))
end

-- The tensors of an op that may be left out, by name.
local function weights_of(row)
  local list = {}
  for _, input in ipairs(row.inputs) do
    if input.optional then list[#list + 1] = input.name end
  end
  return list
end

-- The class whose modules call an op with the options that they were made with.
local function loss(class_name, op)
  local class, row = module.class(class_name), pl.op(op)
  local weights, defaults = weights_of(row), {}
  local first <const> = #row.inputs - #weights
  for _, name in ipairs(weights) do defaults[name] = option.absent end
  for _, spec in ipairs(row.attrs) do defaults[spec.name] = default(spec) end

  function class:init(options)
    for name, value in next, option.read(class_name, options, defaults) do self[name] = value end
    for _, name in ipairs(weights) do check_tensor(class_name, name, self[name]) end
    for _, spec in ipairs(row.attrs) do
      if spec.type == "choice" then check_word(class_name, spec, self[spec.name]) end
    end
  end

  function class:forward(...)
    local arguments, options = {...}, {}
    for k, name in ipairs(weights) do arguments[first + k] = self[name] end
    for _, spec in ipairs(row.attrs) do options[spec.name] = self[spec.name] end
    arguments[#row.inputs + 1] = options
    return pl[op](table.unpack(arguments, 1, #row.inputs + 1))
  end

  function class:extra()
    local parts = {}
    for _, spec in ipairs(row.attrs) do
      local value = self[spec.name]
      if value ~= default(spec) then
        local text = type(value) == "number" and ("%g"):format(value) or tostring(value)
        parts[#parts + 1] = ("%s=%s"):format(spec.name, text)
      end
    end
    return table.concat(parts, ", ")
  end
  return class
end

--- Cross-entropy of logits [N, classes, ...] with labels [N, ...] that count from 1 (int32), or
-- with probabilities of the classes, of the shape of the logits.
-- @param[opt] options `weight`: of each class, [classes]; `label_smoothing=0`; `ignore_index=-100`:
--   the label of what does not count; `reduction="mean"`, "sum" or "none"
losses.CrossEntropyLoss = loss("CrossEntropyLoss", "cross_entropy")

--- The negative of log-probabilities [N, classes, ...] at labels [N, ...] that count from 1
-- (int32).
-- @param[opt] options `weight`: of each class, [classes]; `ignore_index=-100`: the label of what
--   does not count; `reduction="mean"`, "sum" or "none"
losses.NLLLoss = loss("NLLLoss", "nll_loss")

--- The mean of (x - y)^2.
-- @param[opt] options `reduction="mean"`, "sum" or "none"
losses.MSELoss = loss("MSELoss", "mse_loss")

--- The mean of |x - y|.
-- @param[opt] options `reduction="mean"`, "sum" or "none"
losses.L1Loss = loss("L1Loss", "l1_loss")

--- The mean of d^2 / (2 beta) where d = |x - y| < beta, elsewhere of d - beta / 2.
-- @param[opt] options `beta=1`; `reduction="mean"`, "sum" or "none"
losses.SmoothL1Loss = loss("SmoothL1Loss", "smooth_l1_loss")

--- The mean of d^2 / 2 where d = |x - y| < delta, elsewhere of delta (d - delta / 2).
-- @param[opt] options `delta=1`; `reduction="mean"`, "sum" or "none"
losses.HuberLoss = loss("HuberLoss", "huber_loss")

--- The mean of target (log target - x) of log-probabilities x.
-- @param[opt] options `log_target=false`: whether targets are logs too; `reduction="mean"`,
--   "batchmean", "sum" or "none"
losses.KLDivLoss = loss("KLDivLoss", "kl_div")

--- Binary cross-entropy of probabilities with targets of the same shape, from 0 to 1.
-- @param[opt] options `weight`: of each element; `reduction="mean"`, "sum" or "none"
losses.BCELoss = loss("BCELoss", "binary_cross_entropy")

--- Binary cross-entropy of logits with targets of the same shape, from 0 to 1.
-- @param[opt] options `weight`: of each element, `pos_weight`: of each target of 1, both
--   broadcasting over the logits; `reduction="mean"` or "sum" of all elements, "rows", the sum of
--   each row, or "none"
losses.BCEWithLogitsLoss = loss("BCEWithLogitsLoss", "binary_cross_entropy_with_logits")

--- The mean of max(|anchor - positive| - |anchor - negative| + margin, 0) of rows.
-- @param[opt] options `margin=1`; `eps=1e-6`; `swap=false`; `reduction="mean"`, "sum" or "none"
losses.TripletMarginLoss = loss("TripletMarginLoss", "triplet_margin_loss")

return losses
