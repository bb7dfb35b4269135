--- Averages of weights over the steps of a training.
-- @module perilune.optim.average

local pl = require "perilune"
local complain = require("perilune.internal.blame").complain
local object = require "perilune.internal.object"
local check = require "perilune.internal.check"
local option = require "perilune.internal.option"
local words = require "perilune.internal.words"
local checks = require "perilune.optim.checks"

local average = {}

local Average = object.class "average"
Average.__name = "average"

local function need_decay(decay)
  if decay ~= nil and (type(decay) ~= "number" or not (decay >= 0 and decay < 1)) then
    complain("average: decay: number in [0, 1) expected, got %s", check.shown(decay))
  end
end

local function need_same(who, params, means)
  if type(means) ~= "table" or #means ~= #params then
    complain("%s: %s means for %d parameters", who, type(means) == "table" and #means or "no",
      #params)
  end
  for i, p in ipairs(params) do
    check.tensor(("%s: mean %d"):format(who, i), means[i])
    if means[i]:dtype() ~= p:dtype() then
      complain("%s: mean %d is %s, expected %s", who, i, means[i]:dtype(), p:dtype())
    end
    if words.shape(means[i]) ~= words.shape(p) then
      complain("%s: mean %d is %s for a parameter of %s", who, i, words.shape(means[i]),
        words.shape(p))
    end
  end
end

--- Makes an average of parameters, which often does better than they do after the last step.
--
--     local average = optim.average(net:parameters(), {decay = 0.999})
--     ...
--       opt:step()
--       average:update()
--     ...
--     average:swap() -- evaluates the average
--     local test = accuracy(net)
--     average:swap()
--
-- Without `decay` all steps count alike (Polyak and Juditsky 1992). With it a step counts
-- 1 - decay, and all before it decay (exponential moving average).
-- @param params list of tensors
-- @param[opt] options `decay`; `warmup`, true for a decay of at most k / (k + 9) in the k-th step
--   after the first, so that the beginning is soon forgotten; `means`, tensors that hold the
--   average, such as the parameters of a second network, which then has to be saved by itself
-- @return the average, with the fields `n`, how many steps it is of, and `means`
function average.average(params, options)
  local o = option.read("average", options,
                        {decay = option.absent, warmup = false, means = option.absent})
  checks.list("average", params)
  for i, p in ipairs(params) do check.tensor(("average: parameter %d"):format(i), p) end
  need_decay(o.decay)
  if o.means then need_same("average", params, o.means) end
  return setmetatable({
    params = params, means = o.means or {}, n = 0, _decay = o.decay, _warmup = o.warmup,
    _borrowed = o.means ~= nil,
  }, Average)
end

-- The first step is the average of itself.
local function begin(self)
  for i, p in ipairs(self.params) do
    if self.means[i] then
      self.means[i]:copy_(p:detach())
    else
      self.means[i] = pl.keep(p:detach():clone())
    end
  end
end

-- The parts of the average so far and of the new step.
local function parts(self)
  if not self._decay then return 1 - 1 / self.n, 1 / self.n end
  local decay = self._decay
  if self._warmup then decay = math.min(decay, (self.n - 1) / (self.n + 8)) end
  return decay, 1 - decay
end

--- Takes the parameters into the average: after each step, or from the step on from which the
-- average is wanted.
function Average:update()
  self.n = self.n + 1
  pl.tidy(pl.no_grad, function()
    if self.n == 1 then return begin(self) end
    local old, new = parts(self)
    for i, p in ipairs(self.params) do self.means[i]:mul_(old):add_(p:detach(), new) end
  end)
end

--- Exchanges the parameters with their means. Before the first `update` there is nothing to
-- exchange.
function Average:swap()
  if self.n == 0 then return end
  pl.tidy(pl.no_grad, function()
    for i, p in ipairs(self.params) do
      local copy = p:detach():clone()
      p:copy_(self.means[i])
      self.means[i]:copy_(copy)
    end
  end)
end

--- The number of steps and, unless they are somebody else's, the means, as a plain table for
-- `perilune.save`. The tensors are not copies.
-- @return table
function Average:state_dict()
  return {n = self.n, means = not self._borrowed and self.means or nil}
end

--- Takes over what `state_dict` gave.
-- @param state table
-- @return the average
function Average:load_state_dict(state)
  if type(state) ~= "table" or math.type(state.n) ~= "integer" or state.n < 0 then
    complain("load_state_dict of an average: what state_dict gave expected")
  end
  if not self._borrowed then
    if state.n > 0 then need_same("load_state_dict of an average", self.params, state.means) end
    self.means = {}
    for i, mean in ipairs(state.means or {}) do self.means[i] = pl.keep(mean:clone()) end
  end
  self.n = state.n
  return self
end

return average
