--- Averaged stochastic gradient descent.
-- @module perilune.optim.algorithms.asgd

local core = require "perilune.core"
local checks = require "perilune.optim.checks"
local optimizer = require "perilune.optim.optimizer"

local function step_all(params, grads, states, o)
  local means, steps = optimizer.remembered(params, states, "ax"), optimizer.steps(states)
  local etas = optimizer.numbers(states, "eta", o.lr)
  local mus = optimizer.numbers(states, "mu", 1.0)
  core.asgd_(params, grads, means, steps, etas, mus, {
    lr = o.lr, lambd = o.lambd, alpha = o.alpha, t0 = o.t0, weight_decay = o.weight_decay,
    maximize = o.maximize,
  })
  optimizer.remember(states, {ax = means, step = steps, eta = etas, mu = mus})
end

--- Averaged stochastic gradient descent (Polyak and Juditsky 1992; its rates are Xu's, 2011):
-- p = (1 - lambd eta) p - eta g, where eta = lr / (1 + lambd lr t)^alpha after t steps. From step
-- t0 on `state[i].ax` has the mean of parameter i over the steps. `optim.SWA` has it of any
-- optimiser's.
--
--     local opt = optim.ASGD(net:parameters(), {lr = 0.1, t0 = 1000})
-- @param params list of tensors, or of groups `{params = list, lr = ..., ...}`
-- @param options `lr` (0.01), `lambd` (1e-4), `alpha` (0.75), `t0` (1e6), `weight_decay` (0),
--   `maximize` (false)
-- @return the optimiser
local ASGD = optimizer.new {
  name = "ASGD",
  options = {
    lr = 0.01, lambd = 1e-4, alpha = 0.75, t0 = 1e6, weight_decay = 0, maximize = false,
  },
  rules = {lambd = checks.at_least_0, alpha = checks.at_least_0, t0 = checks.at_least_0},
  state = {ax = "tensor", step = "integer", eta = "number", mu = "number"},
  step_all = step_all,
}

return {ASGD = ASGD}
