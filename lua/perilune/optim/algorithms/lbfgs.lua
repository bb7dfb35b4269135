--- L-BFGS.
-- @module perilune.optim.algorithms.lbfgs

local pl = require "perilune"
local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local checks = require "perilune.optim.checks"
local line_search = require "perilune.optim.line_search"
local optimizer = require "perilune.optim.optimizer"

--
-- All parameters as one vector
--

-- Their gradients, those that have none as zeros.
local function gathered(run)
  local list = {}
  for i, p in ipairs(run.params) do
    list[i] = p.grad and p.grad:flatten() or pl.zeros(p:numel())
  end
  local g = pl.cat(list, 1)
  return run.o.maximize and -g or g
end

local function move(run, d, t)
  local first = 1
  for _, p in ipairs(run.params) do
    p:add_(d:narrow(1, first, p:numel()):reshape(p:size()), t)
    first = first + p:numel()
  end
end

local function copies(params)
  local list = {}
  for i, p in ipairs(params) do list[i] = p:detach():clone() end
  return list
end

local function dot(a, b) return pl.dot(a, b):item() end
local function largest(v) return v:abs():amax():item() end

-- The loss and its gradient where the parameters are, those of its negative for `maximize`; and
-- what the closure gave.
local function evaluate(run)
  local result = pl.enable_grad(run.closure)
  local loss = check.is_tensor(result) and result:numel() == 1 and result:item() or result
  if type(loss) ~= "number" then
    complain("LBFGS: step: the function gave a %s; the loss expected, a number or a tensor of one "
             .. "element", check.type(result))
  end
  run.evals, run.state.func_evals = run.evals + 1, run.state.func_evals + 1
  return run.o.maximize and -loss or loss, gathered(run), result
end

--
-- The direction
--

-- Takes the last change of the gradient into the memory, unless the loss bends the wrong way there.
local function remember(state, g, o)
  local y, s = g - state.prev_flat_grad, state.d * state.t
  local ys = dot(y, s)
  if ys <= 1e-10 then return end
  local lists = {old_dirs = pl.keep(y), old_stps = pl.keep(s), ro = 1 / ys}
  for name, value in next, lists do
    if #state[name] == o.history_size then table.remove(state[name], 1) end
    table.insert(state[name], value)
  end
  state.H_diag = ys / dot(y, y)
end

-- Minus the gradient times the inverse of the Hessian as the memory has it: Nocedal 1980, the two
-- loops.
local function two_loops(state, g)
  local d, part = -g, {}
  for i = #state.ro, 1, -1 do
    part[i] = dot(state.old_stps[i], d) * state.ro[i]
    d:add_(state.old_dirs[i], -part[i])
  end
  d:mul_(state.H_diag)
  for i = 1, #state.ro do
    d:add_(state.old_stps[i], part[i] - dot(state.old_dirs[i], d) * state.ro[i])
  end
  return d
end

-- Makes d, and t, the step to try first.
local function direct(state, g, o)
  state.n_iter = state.n_iter + 1
  if state.n_iter == 1 then
    state.old_dirs, state.old_stps, state.ro, state.H_diag = {}, {}, {}, 1.0
    state.d, state.t = pl.keep(-g), math.min(1, 1 / g:abs():sum():item()) * o.lr
  else
    remember(state, g, o)
    state.d, state.t = pl.keep(two_loops(state, g)), o.lr
  end
  state.prev_flat_grad = pl.keep(g)
end

--
-- The step
--

-- Goes to where the line search leads: the loss and the gradient there.
local function search(run, loss, g, slope)
  local state = run.state
  local before = copies(run.params)
  local function at(t)
    move(run, state.d, t)
    local f, there = evaluate(run)
    for i, p in ipairs(run.params) do p:copy_(before[i]) end
    return {t = t, f = f, g = there, slope = dot(there, state.d)}
  end
  local start = {t = 0, f = loss, g = g, slope = slope}
  local point = line_search.strong_wolfe(start, at, state.t, largest(state.d),
                                         run.max_eval - run.evals)
  state.t = point.t
  move(run, state.d, state.t)
  return point.f, point.g
end

-- Goes the step that is to be tried first. The last time the loss is not evaluated again: with
-- batches it would be another one.
local function go(run, loss, g, last)
  move(run, run.state.d, run.state.t)
  if last then return loss, g end
  return evaluate(run)
end

-- Whether to end after an iteration that began with `before` and ended with `loss` and g.
local function is_over(run, before, loss, g)
  local state, o = run.state, run.o
  return run.evals >= run.max_eval or largest(g) <= o.tolerance_grad
    or largest(state.d) * state.t <= o.tolerance_change
    or math.abs(loss - before) < o.tolerance_change
end

local function iterate(run, loss, g)
  local state, o = run.state, run.o
  for n = 1, o.max_iter do
    pl.tidy(direct, state, g, o)
    local slope, before = dot(g, state.d), loss
    if slope > -o.tolerance_change then return end
    if o.line_search_fn then
      loss, g = search(run, loss, g, slope)
    else
      loss, g = go(run, loss, g, n == o.max_iter)
    end
    if is_over(run, before, loss, g) then return end
  end
end

-- Begins anew where other parameters are frozen than before.
local function forget(state, params)
  local n = 0
  for _, p in ipairs(params) do n = n + p:numel() end
  if state.prev_flat_grad and state.prev_flat_grad:numel() == n then return end
  for name in next, state do state[name] = nil end
  state.func_evals, state.n_iter = 0, 0
end

local function minimize(params, state, o, closure)
  forget(state, params)
  local run = {params = params, state = state, o = o, closure = closure, evals = 0,
               max_eval = o.max_eval or o.max_iter * 5 // 4}
  local loss, g, result = evaluate(run)
  if not (largest(g) <= o.tolerance_grad) then iterate(run, loss, g) end
  return result
end

--- L-BFGS (Nocedal 1980; Liu and Nocedal 1989), for small networks and whole sets: p goes along
-- minus g times the inverse Hessian, as the last `history_size` changes of p and g tell it, at most
-- max_iter times a step. The loss is evaluated several times, by the function that `step` is given:
--
--     local opt = optim.LBFGS(net:parameters(), {line_search_fn = "strong_wolfe"})
--     local loss = opt:step(function()
--       opt:zero_grad()
--       local loss = pl.mse_loss(net(x), y)
--       loss:backward()
--       return loss
--     end)
--
-- Without a line search p goes `lr` of the way each time. There is one group of parameters. It
-- remembers 2 history_size + 2 times the parameters.
-- @param params list of tensors
-- @param options `lr` (1); `max_iter` (20); `max_eval` (5 / 4 max_iter): how often the loss may be
--   evaluated in a step; `tolerance_grad` (1e-7) of the largest gradient and `tolerance_change`
--   (1e-9) of p and of the loss, below which a step ends; `history_size` (100); `line_search_fn`,
--   "strong_wolfe" (Nocedal and Wright 2006, chapter 3); `maximize` (false)
-- @return the optimiser
local LBFGS = optimizer.new {
  name = "LBFGS",
  options = {
    lr = 1, max_iter = 20, max_eval = optimizer.absent, tolerance_grad = 1e-7,
    tolerance_change = 1e-9, history_size = 100, line_search_fn = optimizer.absent,
    maximize = false,
  },
  rules = {
    max_iter = checks.count, max_eval = checks.count, history_size = checks.count,
    tolerance_grad = checks.at_least_0, tolerance_change = checks.at_least_0,
    line_search_fn = checks.one_of {"strong_wolfe"},
  },
  state = {
    func_evals = "integer", n_iter = "integer", d = "vector", t = "number", old_dirs = "vectors",
    old_stps = "vectors", ro = "numbers", H_diag = "number", prev_flat_grad = "vector",
  },
  minimize = minimize,
}

return {LBFGS = LBFGS}
