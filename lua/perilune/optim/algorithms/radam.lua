--- RAdam.
-- @module perilune.optim.algorithms.radam

local core = require "perilune.core"
local optimizer = require "perilune.optim.optimizer"

local function step_all(params, grads, states, o)
  local ms = optimizer.remembered(params, states, "exp_avg")
  local vs, steps = optimizer.remembered(params, states, "exp_avg_sq"), optimizer.steps(states)
  core.radam_(params, grads, ms, vs, steps, {
    lr = o.lr, beta1 = o.betas[1], beta2 = o.betas[2], eps = o.eps,
    weight_decay = o.weight_decay, decoupled = o.decoupled_weight_decay, maximize = o.maximize,
  })
  optimizer.remember(states, {exp_avg = ms, exp_avg_sq = vs, step = steps})
end

--- RAdam (Liu et al. 2019), Adam that needs no warm-up: in step t, with R = 2 / (1 - beta2) - 1 and
-- r = R - 2 t beta2^t / (1 - beta2^t), the step of Adam is multiplied by
-- sqrt((r - 4) (r - 2) R / ((R - 4) (R - 2) r)); while r is at most 5, p = p - lr m / (1 -
-- beta1^t).
--
--     local opt = optim.RAdam(net:parameters(), {lr = 1e-3})
-- @param params list of tensors, or of groups `{params = list, lr = ..., ...}`
-- @param options `lr` (1e-3), `betas` ({0.9, 0.999}), `eps` (1e-8): beside the root of the mean
--   square that is not yet divided by 1 - beta2^t, `weight_decay` (0),
--   `decoupled_weight_decay` (false): as in AdamW, `maximize` (false)
-- @return the optimiser
local RAdam = optimizer.new {
  name = "RAdam",
  options = {
    lr = 1e-3, betas = {0.9, 0.999}, eps = 1e-8, weight_decay = 0,
    decoupled_weight_decay = false, maximize = false,
  },
  state = {exp_avg = "tensor", exp_avg_sq = "tensor", step = "integer"},
  step_all = step_all,
}

return {RAdam = RAdam}
