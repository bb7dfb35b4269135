--- Lion.
-- @module perilune.optim.algorithms.lion

local core = require "perilune.core"
local optimizer = require "perilune.optim.optimizer"

local function step_all(params, grads, states, o)
  local ms = optimizer.remembered(params, states, "exp_avg")
  core.lion_(params, grads, ms, {
    lr = o.lr, beta1 = o.betas[1], beta2 = o.betas[2], weight_decay = o.weight_decay,
    maximize = o.maximize,
  })
  optimizer.remember(states, {exp_avg = ms})
end

--- Lion (Chen et al. 2023, Algorithm 2), whose steps are of one size in each direction:
-- p = p - lr (sign(beta1 m + (1 - beta1) g) + weight_decay p), and then
-- m = beta2 m + (1 - beta2) g. Its rate is three to ten times smaller than AdamW's, its
-- weight_decay as much larger.
--
--     local opt = optim.Lion(net:parameters(), {lr = 1e-4, weight_decay = 0.1})
-- @param params list of tensors, or of groups `{params = list, lr = ..., ...}`
-- @param options `lr` (1e-4), `betas` ({0.9, 0.99}), `weight_decay` (0), `maximize` (false)
-- @return the optimiser
local Lion = optimizer.new {
  name = "Lion",
  options = {lr = 1e-4, betas = {0.9, 0.99}, weight_decay = 0, maximize = false},
  state = {exp_avg = "tensor"},
  step_all = step_all,
}

return {Lion = Lion}
