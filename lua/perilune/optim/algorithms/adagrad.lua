--- Adagrad.
-- @module perilune.optim.algorithms.adagrad

local core = require "perilune.core"
local checks = require "perilune.optim.checks"
local optimizer = require "perilune.optim.optimizer"

local function step_all(params, grads, states, o)
  local sums = optimizer.remembered(params, states, "sum", o.initial_accumulator_value)
  local steps = optimizer.steps(states)
  core.adagrad_(params, grads, sums, steps, {
    lr = o.lr, lr_decay = o.lr_decay, eps = o.eps, weight_decay = o.weight_decay,
    maximize = o.maximize,
  })
  optimizer.remember(states, {sum = sums, step = steps})
end

--- Adagrad (Duchi, Hazan and Singer 2011): with s the sum of all g^2 so far,
-- p = p - lr / (1 + (step - 1) lr_decay) g / (sqrt(s) + eps). Coordinates that seldom have a
-- gradient, such as rows of an embedding, take larger steps.
--
--     local opt = optim.Adagrad(net:parameters(), {lr = 0.1})
-- @param params list of tensors, or of groups `{params = list, lr = ..., ...}`
-- @param options `lr` (0.01), `lr_decay` (0), `weight_decay` (0), `initial_accumulator_value` (0):
--   s at first, `eps` (1e-10), `maximize` (false)
-- @return the optimiser
local Adagrad = optimizer.new {
  name = "Adagrad",
  options = {
    lr = 0.01, lr_decay = 0, weight_decay = 0, initial_accumulator_value = 0, eps = 1e-10,
    maximize = false,
  },
  rules = {lr_decay = checks.at_least_0, initial_accumulator_value = checks.at_least_0},
  state = {sum = "tensor", step = "integer"},
  step_all = step_all,
}

return {Adagrad = Adagrad}
