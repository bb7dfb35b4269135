--- Adam and AdamW, which differ in weight decay only.
-- @module perilune.optim.algorithms.adam

local core = require "perilune.core"
local optimizer = require "perilune.optim.optimizer"

local STATE <const> = {exp_avg = "tensor", exp_avg_sq = "tensor", max_exp_avg_sq = "tensor",
                       step = "integer"}

local function step_all(decoupled)
  return function(params, grads, states, o)
    local ms = optimizer.remembered(params, states, "exp_avg")
    local vs = optimizer.remembered(params, states, "exp_avg_sq")
    local largest = o.amsgrad and optimizer.remembered(params, states, "max_exp_avg_sq") or nil
    local steps = optimizer.steps(states)
    core.adam_(params, grads, ms, vs, steps, {
      lr = o.lr, beta1 = o.betas[1], beta2 = o.betas[2], eps = o.eps,
      weight_decay = o.weight_decay, decoupled = decoupled, maximize = o.maximize,
    }, largest)
    optimizer.remember(states, {exp_avg = ms, exp_avg_sq = vs, max_exp_avg_sq = largest,
                                step = steps})
  end
end

--- Adam (Kingma and Ba 2015): with m and v the decaying means of g and g^2, divided by
-- 1 - beta^step, p = p - lr m / (sqrt(v) + eps). With amsgrad (Reddi et al. 2018) the largest mean
-- of g^2 so far takes the place of the last.
--
--     local opt = optim.Adam(net:parameters(), {lr = 1e-3, betas = {0.5, 0.999}})
-- @param params list of tensors, or of groups `{params = list, lr = ..., ...}`
-- @param options `lr` (1e-3), `betas` ({0.9, 0.999}), `eps` (1e-8), `weight_decay` (0),
--   `amsgrad` (false), `maximize` (false)
-- @return the optimiser
local Adam = optimizer.new {
  name = "Adam",
  options = {
    lr = 1e-3, betas = {0.9, 0.999}, eps = 1e-8, weight_decay = 0, amsgrad = false,
    maximize = false,
  },
  state = STATE,
  step_all = step_all(false),
}

--- Adam with decoupled weight decay (Loshchilov and Hutter 2019): weight_decay does not
-- enter g; before each step p = p - lr weight_decay p.
--
--     local opt = optim.AdamW(optim.groups(net, {weight_decay = 0.1}), {lr = 3e-4})
-- @param params list of tensors, or of groups `{params = list, lr = ..., ...}`
-- @param options `lr` (1e-3), `betas` ({0.9, 0.999}), `eps` (1e-8), `weight_decay` (0.01),
--   `amsgrad` (false), `maximize` (false)
-- @return the optimiser
local AdamW = optimizer.new {
  name = "AdamW",
  options = {
    lr = 1e-3, betas = {0.9, 0.999}, eps = 1e-8, weight_decay = 0.01, amsgrad = false,
    maximize = false,
  },
  state = STATE,
  step_all = step_all(true),
}

return {Adam = Adam, AdamW = AdamW}
