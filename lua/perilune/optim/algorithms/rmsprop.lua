--- RMSprop.
-- @module perilune.optim.algorithms.rmsprop

local core = require "perilune.core"
local optimizer = require "perilune.optim.optimizer"

local function step_all(params, grads, states, o)
  local squares = optimizer.remembered(params, states, "square_avg")
  local buffers = o.momentum ~= 0 and optimizer.remembered(params, states, "momentum_buffer") or nil
  local means = o.centered and optimizer.remembered(params, states, "grad_avg") or nil
  core.rmsprop_(params, grads, squares, buffers, {
    lr = o.lr, alpha = o.alpha, eps = o.eps, weight_decay = o.weight_decay, momentum = o.momentum,
    maximize = o.maximize,
  }, means)
  optimizer.remember(states, {square_avg = squares, momentum_buffer = buffers, grad_avg = means})
end

--- RMSprop (Hinton 2012): with s = alpha s + (1 - alpha) g^2, p = p - lr g / (sqrt(s) + eps).
-- With momentum b = momentum b + g / (sqrt(s) + eps), and p = p - lr b. Centered (Graves 2013), s
-- less the square of the decaying mean of g, the variance of g, takes the place of s.
--
--     local opt = optim.RMSprop(net:parameters(), {lr = 1e-3, momentum = 0.9})
-- @param params list of tensors, or of groups `{params = list, lr = ..., ...}`
-- @param options `lr` (0.01), `alpha` (0.99), `eps` (1e-8), `weight_decay` (0), `momentum` (0),
--   `centered` (false), `maximize` (false)
-- @return the optimiser
local RMSprop = optimizer.new {
  name = "RMSprop",
  options = {
    lr = 0.01, alpha = 0.99, eps = 1e-8, weight_decay = 0, momentum = 0, centered = false,
    maximize = false,
  },
  state = {square_avg = "tensor", momentum_buffer = "tensor", grad_avg = "tensor"},
  step_all = step_all,
}

return {RMSprop = RMSprop}
