--- Learning-rate schedules. Each sets the rate of every group to a function of the group's
-- rate at the beginning and of t, the number of calls of `step` so far, so that rounding
-- does not add up and a restored schedule gives the same bits.
-- @module perilune.optim.schedules

local complain = require("perilune.internal.blame").complain
local object = require "perilune.internal.object"
local check = require "perilune.internal.check"
local option = require "perilune.internal.option"
local optimizer = require "perilune.optim.optimizer"

local schedules = {}

local Schedule = object.class "schedule"
Schedule.__name = "schedule"

local function apply(self)
  for i, group in ipairs(self.optimizer.groups) do
    group.lr = self._rate(self.steps, self.initial_lr[i])
  end
end

--- Goes on by one epoch, or by one batch, whichever the schedule counts.
function Schedule:step()
  self.steps = self.steps + 1
  apply(self)
end

--- Where the schedule stands, as a plain table.
-- @return table
function Schedule:state_dict()
  return {schedule = self.name, steps = self.steps,
          initial_lr = table.move(self.initial_lr, 1, #self.initial_lr, 1, {})}
end

--- Takes over what `state_dict` gave. The rates themselves are a part of the optimiser's state.
-- @param state of the same kind of schedule for as many groups
-- @return the schedule
function Schedule:load_state_dict(state)
  if type(state) ~= "table" or state.schedule ~= self.name then
    complain("load_state_dict of %s: the state is one of %s", self.name,
      tostring(type(state) == "table" and state.schedule or type(state)))
  elseif type(state.initial_lr) ~= "table" or #state.initial_lr ~= #self.initial_lr then
    complain("load_state_dict of %s: %d groups here, %s there", self.name, #self.initial_lr,
      type(state.initial_lr) == "table" and #state.initial_lr or "none")
  end
  local steps = check.natural("load_state_dict of " .. self.name, "steps", state.steps)
  for i, lr in ipairs(state.initial_lr) do
    if not math.type(lr) then
      complain("load_state_dict of %s: initial_lr of group %d is %s; number expected", self.name, i,
        tostring(lr))
    end
  end
  self.steps = steps
  self.initial_lr = table.move(state.initial_lr, 1, #state.initial_lr, 1, {})
  return self
end

-- The rates that groups had before any schedule set them.
local before = setmetatable({}, {__mode = "k"})

-- rate(t, lr) gives the rate after t steps of a group that began with lr.
local function new(name, opt, rate)
  if not optimizer.is_optimizer(opt) then
    complain("%s: optimiser expected, got %s", name, check.type(opt))
  end
  local self = setmetatable({name = name, optimizer = opt, steps = 0, _rate = rate}, Schedule)
  self.initial_lr = {}
  for i, group in ipairs(opt.groups) do
    before[group] = before[group] or group.lr
    self.initial_lr[i] = before[group]
  end
  apply(self)
  return self
end

local function check_number(who, name, value, least)
  if type(value) ~= "number" or not (value >= least and value < math.huge) then
    complain("%s: %s: number of at least %d expected, got %s", who, name, least, check.shown(value))
  end
end

--- Multiplies the rate by gamma after every step_size steps: lr gamma^(t // step_size).
-- @param opt the optimiser
-- @param options `step_size`; `gamma` (0.1)
-- @return the schedule
function schedules.StepLR(opt, options)
  local o = option.read("StepLR", options, {step_size = option.required, gamma = 0.1})
  local size = check.count("StepLR", "step_size", o.step_size)
  check_number("StepLR", "gamma", o.gamma, 0)
  return new("StepLR", opt, function(t, lr) return lr * o.gamma ^ (t // size) end)
end

--- Half a cosine from the rate down to eta_min at t = T_max, where it stays:
-- eta_min + (lr - eta_min) (1 + cos(pi (t - warmup) / (T_max - warmup))) / 2, after a linear
-- rise lr (t + 1) / (warmup + 1) during the first `warmup` steps.
-- @param opt the optimiser
-- @param options `T_max`, the number of steps; `eta_min` (0); `warmup` (0)
-- @return the schedule
function schedules.CosineAnnealingLR(opt, options)
  local who = "CosineAnnealingLR"
  local o = option.read(who, options, {T_max = option.required, eta_min = 0, warmup = 0})
  local last, low, warmup = check.count(who, "T_max", o.T_max), o.eta_min, o.warmup
  check_number(who, "eta_min", low, 0)
  check_number(who, "warmup", warmup, 0)
  if warmup >= last then
    complain("%s: warmup of %g steps in a T_max of %d", who, warmup, last)
  end
  return new(who, opt, function(t, lr)
    if t < warmup then return lr * (t + 1) / (warmup + 1) end
    local part = math.min(1, (t - warmup) / (last - warmup))
    return low + (lr - low) * (1 + math.cos(math.pi * part)) / 2
  end)
end

--- Multiplies the rate by a function of t, which is 0 at first: lr f(t).
-- @param opt the optimiser
-- @param f function(t) that gives a number
-- @return the schedule
function schedules.LambdaLR(opt, f)
  if type(f) ~= "function" then
    complain("LambdaLR: function expected, got %s", check.type(f))
  end
  return new("LambdaLR", opt, function(t, lr)
    local factor = f(t)
    if type(factor) ~= "number" then
      complain("LambdaLR: the function gave a %s for %d; number expected", check.type(factor), t)
    end
    return lr * factor
  end)
end

return schedules
