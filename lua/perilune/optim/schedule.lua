--- What all learning-rate schedules share (internal; its methods are those of every schedule). Each
-- sets the rate of every group to a function of the group's rate at the beginning and of t, the
-- number of calls of `step` so far, so that rounding does not add up and a restored schedule gives
-- the same bits.
-- @module perilune.optim.schedule

local complain = require("perilune.internal.blame").complain
local object = require "perilune.internal.object"
local check = require "perilune.internal.check"
local optimizer = require "perilune.optim.optimizer"

local schedule = {}

local Schedule = object.class "schedule"
Schedule.__name = "schedule"

-- A rate, and perhaps a momentum.
local function set(group, lr, momentum)
  group.lr = lr
  if momentum and group.betas then
    group.betas[1] = momentum
  elseif momentum then
    group.momentum = momentum
  end
end

local function apply(self, t)
  for i, group in ipairs(self.optimizer.groups) do
    set(group, self._rate(t, self.initial_lr[i], i))
  end
end

local function rates(groups)
  local list = {}
  for i, group in ipairs(groups) do list[i] = group.lr end
  return list
end

-- Which schedule of an optimiser stepped last, and those that another one has followed.
local last = setmetatable({}, {__mode = "k"})
local followed = setmetatable({}, {__mode = "k"})

--- Makes a schedule the one that sets the rates of its optimiser. One after the other may do so,
-- but two in turn would undo what the other did.
-- @param self the schedule
function schedule.take_over(self)
  local before = last[self.optimizer]
  if before == self then return end
  if followed[self] then
    complain("%s: %s sets the rates of this optimiser since; ChainedScheduler multiplies "
             .. "schedules, SequentialLR has one follow the other", self.name, before.name)
  end
  if before then followed[before] = true end
  last[self.optimizer] = self
end

--- Makes a schedule the one that sets the rates in the place of those that it is made of.
-- @param parts list of schedules
-- @param made the schedule
function schedule.replace(parts, made)
  for _, part in ipairs(parts) do followed[part] = true end
  schedule.take_over(made)
  return made
end

--- Goes on by one epoch, or by one batch, whichever the schedule counts. `ReduceLROnPlateau` is
-- told how good the epoch was: `schedule:step(loss)`.
function Schedule:step()
  schedule.take_over(self)
  if self._finds and self.steps == 0 then self.initial_lr = rates(self.optimizer.groups) end
  apply(self, self.steps + 1)
  self.steps = self.steps + 1
end

--- Where the schedule stands, as a plain table.
-- @return table
function Schedule:state_dict()
  return {schedule = self.name, steps = self.steps,
          initial_lr = table.move(self.initial_lr, 1, #self.initial_lr, 1, {})}
end

--- Complains unless a state is one of a schedule, and reads its number of steps.
-- @param self the schedule
-- @param state anything
-- @return integer
function schedule.steps_of(self, state)
  if type(state) ~= "table" or state.schedule ~= self.name then
    complain("load_state_dict of %s: the state is one of %s", self.name,
      tostring(type(state) == "table" and state.schedule or type(state)))
  end
  return check.natural("load_state_dict of " .. self.name, "steps", state.steps)
end

--- Takes over what `state_dict` gave. The rates themselves are a part of the optimiser's state.
-- @param state of the same kind of schedule for as many groups
-- @return the schedule
function Schedule:load_state_dict(state)
  local steps = schedule.steps_of(self, state)
  if type(state.initial_lr) ~= "table" or #state.initial_lr ~= #self.initial_lr then
    complain("load_state_dict of %s: %d groups here, %s there", self.name, #self.initial_lr,
      type(state.initial_lr) == "table" and #state.initial_lr or "none")
  end
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

--- Complains unless a value is an optimiser.
-- @param who the schedule's name
-- @param opt anything
function schedule.need_optimizer(who, opt)
  if not optimizer.is_optimizer(opt) then
    complain("%s: optimiser expected, got %s", who, check.type(opt))
  end
end

-- The rates that groups had before any schedule set them.
local before = setmetatable({}, {__mode = "k"})

--- Makes a schedule and sets the rates to those of t = 0.
-- @param name of the schedule
-- @param opt the optimiser
-- @param rate function(t, lr, i) that gives the rate after t steps of group i, which began with lr;
--   and perhaps its momentum
-- @param[opt] finds whether the schedule begins at the rates that it finds at its first step
-- @return the schedule
function schedule.new(name, opt, rate, finds)
  schedule.need_optimizer(name, opt)
  local self = setmetatable({name = name, optimizer = opt, steps = 0, _rate = rate, _finds = finds},
    Schedule)
  self.initial_lr = rates(opt.groups)
  for i, group in ipairs(opt.groups) do
    before[group] = before[group] or group.lr
    if not finds then self.initial_lr[i] = before[group] end
  end
  apply(self, 0)
  return self
end

--- Whether a value is a schedule whose rate is a function of t, so that others can be made of it.
-- @param value anything
-- @return boolean
function schedule.is_function(value)
  return type(value) == "table" and rawequal(getmetatable(value), Schedule) and not value._finds
end

--
-- Options
--

--- Complains unless an option is a finite number within bounds.
-- @param who the schedule's name
-- @param name the option's
-- @param value anything
-- @param[opt=-inf] least number
-- @param[opt=inf] most number
function schedule.need_number(who, name, value, least, most)
  least, most = least or -math.huge, most or math.huge
  local is_number = type(value) == "number" and math.abs(value) < math.huge
  if is_number and value >= least and value <= most then return end
  local bounds = ""
  if most < math.huge then
    bounds = (" in [%g, %g]"):format(least, most)
  elseif least > -math.huge then
    bounds = (" of at least %g"):format(least)
  end
  complain("%s: %s: number%s expected, got %s", who, name, bounds, check.shown(value))
end

--- An option that is a number for all groups or a list of one for each.
-- @param who the schedule's name
-- @param opt the optimiser
-- @param name the option's
-- @param value anything
-- @param least what the numbers must be at least
-- @return list of as many numbers as there are groups
function schedule.per_group(who, opt, name, value, least)
  local list = {}
  if type(value) == "table" and #value ~= #opt.groups then
    complain("%s: %s: number, or list of %d for as many groups, expected, got a list of %d", who,
      name, #opt.groups, #value)
  end
  for i = 1, #opt.groups do
    list[i] = value
    if type(value) == "table" then list[i] = value[i] end
    schedule.need_number(who, name, list[i], least)
  end
  return list
end

--- Complains unless an option is one of some words.
-- @param who the schedule's name
-- @param name the option's
-- @param value anything
-- @param words list of strings
function schedule.need_one_of(who, name, value, words)
  for _, word in ipairs(words) do
    if value == word then return end
  end
  complain("%s: %s: one of %s expected, got %s", who, name, table.concat(words, ", "),
    check.shown(value))
end

--- Complains unless an option is true or false.
-- @param who the schedule's name
-- @param name the option's
-- @param value anything
function schedule.need_boolean(who, name, value)
  if type(value) ~= "boolean" then
    complain("%s: %s: true or false expected, got %s", who, name, check.shown(value))
  end
end

--- Complains unless the groups have a momentum that a schedule can set.
-- @param who the schedule's name
-- @param opt the optimiser
function schedule.need_momentum(who, opt)
  for _, group in ipairs(opt.groups) do
    if not group.momentum and not group.betas then
      complain("%s: %s has neither momentum nor betas; cycle_momentum = false cycles the rate "
               .. "alone", who, opt.name)
    end
  end
end

return schedule
