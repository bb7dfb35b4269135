--- Adam and AdamW, which differ in weight decay only.
-- @module perilune.optim.algorithms.adam

local core = require "perilune.core"
local optimizer = require "perilune.optim.optimizer"

local STATE <const> = {exp_avg = "tensor", exp_avg_sq = "tensor", step = "integer"}

local function step_all(decoupled)
  return function(params, grads, states, o)
    local ms = optimizer.remembered(params, states, "exp_avg")
    local vs, steps = optimizer.remembered(params, states, "exp_avg_sq"), {}
    for i, state in ipairs(states) do steps[i] = (state.step or 0) + 1 end
    core.adam_(params, grads, ms, vs, steps, {
      lr = o.lr, beta1 = o.betas[1], beta2 = o.betas[2], eps = o.eps,
      weight_decay = o.weight_decay, decoupled = decoupled,
    })
    optimizer.remember(states, "exp_avg", ms)
    optimizer.remember(states, "exp_avg_sq", vs)
    optimizer.remember(states, "step", steps)
  end
end

--- Adam (Kingma and Ba 2015): with m and v the decaying means of g and g^2, divided by
-- 1 - beta^step, p = p - lr m / (sqrt(v) + eps).
-- @param params list of tensors, or of groups `{params = list, lr = ..., ...}`
-- @param options `lr` (1e-3), `betas` ({0.9, 0.999}), `eps` (1e-8), `weight_decay` (0)
-- @return the optimiser
local Adam = optimizer.new {
  name = "Adam",
  options = {lr = 1e-3, betas = {0.9, 0.999}, eps = 1e-8, weight_decay = 0},
  state = STATE,
  step_all = step_all(false),
}

--- Adam with decoupled weight decay (Loshchilov and Hutter 2019): weight_decay does not
-- enter g; before each step p = p - lr weight_decay p.
-- @param params list of tensors, or of groups `{params = list, lr = ..., ...}`
-- @param options `lr` (1e-3), `betas` ({0.9, 0.999}), `eps` (1e-8), `weight_decay` (0.01)
-- @return the optimiser
local AdamW = optimizer.new {
  name = "AdamW",
  options = {lr = 1e-3, betas = {0.9, 0.999}, eps = 1e-8, weight_decay = 0.01},
  state = STATE,
  step_all = step_all(true),
}

return {Adam = Adam, AdamW = AdamW}
