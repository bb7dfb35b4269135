--- NAdam.
-- @module perilune.optim.algorithms.nadam

local core = require "perilune.core"
local checks = require "perilune.optim.checks"
local optimizer = require "perilune.optim.optimizer"

local function step_all(params, grads, states, o)
  local ms = optimizer.remembered(params, states, "exp_avg")
  local vs = optimizer.remembered(params, states, "exp_avg_sq")
  local steps = optimizer.steps(states)
  local products = optimizer.numbers(states, "mu_product", 1.0)
  core.nadam_(params, grads, ms, vs, steps, products, {
    lr = o.lr, beta1 = o.betas[1], beta2 = o.betas[2], eps = o.eps,
    weight_decay = o.weight_decay, momentum_decay = o.momentum_decay,
    decoupled = o.decoupled_weight_decay, maximize = o.maximize,
  })
  optimizer.remember(states, {exp_avg = ms, exp_avg_sq = vs, step = steps, mu_product = products})
end

--- NAdam (Dozat 2016), Adam with Nesterov's momentum: with mu_t = beta1 (1 - 0.96^(t
-- momentum_decay) / 2) in step t, P their product so far, m and v the decaying means of g and g^2
-- and v divided by 1 - beta2^t,
-- p = p - lr ((1 - mu_t) g / (1 - P) + mu_(t+1) m / (1 - P mu_(t+1))) / (sqrt(v) + eps).
--
--     local opt = optim.NAdam(net:parameters(), {lr = 1e-3})
-- @param params list of tensors, or of groups `{params = list, lr = ..., ...}`
-- @param options `lr` (2e-3), `betas` ({0.9, 0.999}), `eps` (1e-8), `weight_decay` (0),
--   `momentum_decay` (4e-3), `decoupled_weight_decay` (false): as in AdamW, `maximize` (false)
-- @return the optimiser
local NAdam = optimizer.new {
  name = "NAdam",
  options = {
    lr = 2e-3, betas = {0.9, 0.999}, eps = 1e-8, weight_decay = 0, momentum_decay = 4e-3,
    decoupled_weight_decay = false, maximize = false,
  },
  rules = {momentum_decay = checks.at_least_0},
  state = {exp_avg = "tensor", exp_avg_sq = "tensor", step = "integer", mu_product = "number"},
  step_all = step_all,
}

return {NAdam = NAdam}
