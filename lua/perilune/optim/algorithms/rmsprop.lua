--- RMSprop.
-- @module perilune.optim.algorithms.rmsprop

local core = require "perilune.core"
local optimizer = require "perilune.optim.optimizer"

local function step_all(params, grads, states, o)
  local squares = optimizer.remembered(params, states, "square_avg")
  local buffers = o.momentum ~= 0 and optimizer.remembered(params, states, "momentum_buffer") or nil
  core.rmsprop_(params, grads, squares, buffers, {
    lr = o.lr, alpha = o.alpha, eps = o.eps, weight_decay = o.weight_decay, momentum = o.momentum,
  })
  optimizer.remember(states, "square_avg", squares)
  optimizer.remember(states, "momentum_buffer", buffers)
end

--- RMSprop (Hinton 2012): with s = alpha s + (1 - alpha) g^2, p = p - lr g / (sqrt(s) + eps).
-- With momentum b = momentum b + g / (sqrt(s) + eps), and p = p - lr b.
-- @param params list of tensors, or of groups `{params = list, lr = ..., ...}`
-- @param options `lr` (0.01), `alpha` (0.99), `eps` (1e-8), `weight_decay` (0), `momentum` (0)
-- @return the optimiser
local RMSprop = optimizer.new {
  name = "RMSprop",
  options = {lr = 0.01, alpha = 0.99, eps = 1e-8, weight_decay = 0, momentum = 0},
  state = {square_avg = "tensor", momentum_buffer = "tensor"},
  step_all = step_all,
}

return {RMSprop = RMSprop}
