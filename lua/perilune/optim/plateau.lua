--- The learning-rate schedule that waits for a plateau.
-- @module perilune.optim.plateau

local complain = require("perilune.internal.blame").complain
local object = require "perilune.internal.object"
local check = require "perilune.internal.check"
local option = require "perilune.internal.option"
local schedule = require "perilune.optim.schedule"

local plateau = {}

local Plateau = object.class "schedule"
Plateau.__name = "schedule"

-- Whether a measurement is better than the best so far, by more than the threshold.
local function is_better(self, value)
  local o, best = self._options, self.best
  local sign = o.mode == "min" and -1 or 1
  local bar = o.threshold_mode == "rel" and best * (1 + sign * o.threshold)
    or best + sign * o.threshold
  return sign * value > sign * bar
end

local function reduce(self)
  for i, group in ipairs(self.optimizer.groups) do
    local lr = math.max(group.lr * self._options.factor, self._least[i])
    if group.lr - lr > self._options.eps then group.lr = lr end
  end
end

--- Goes on by one epoch; what is measured while it rests does not count as bad.
-- @param value what was measured: a number, or a tensor of one element
function Plateau:step(value)
  local measured = check.is_tensor(value) and value:numel() == 1 and value:item() or value
  if type(measured) ~= "number" then
    complain("ReduceLROnPlateau: step: the epoch's loss expected, a number, got %s",
      check.type(value))
  end
  schedule.take_over(self)
  self.steps = self.steps + 1
  if is_better(self, measured) then
    self.best, self.num_bad_epochs = measured, 0
  else
    self.num_bad_epochs = self.num_bad_epochs + 1
  end
  if self.cooldown_counter > 0 then
    self.cooldown_counter, self.num_bad_epochs = self.cooldown_counter - 1, 0
  end
  if self.num_bad_epochs > self._options.patience then
    reduce(self)
    self.cooldown_counter, self.num_bad_epochs = self._options.cooldown, 0
  end
end

local COUNTERS <const> = {"num_bad_epochs", "cooldown_counter"}

--- Where the schedule stands, as a plain table.
-- @return table
function Plateau:state_dict()
  return {schedule = self.name, steps = self.steps, best = self.best,
          num_bad_epochs = self.num_bad_epochs, cooldown_counter = self.cooldown_counter}
end

--- Takes over what `state_dict` gave.
-- @param state table
-- @return the schedule
function Plateau:load_state_dict(state)
  local who = "load_state_dict of " .. self.name
  local steps = schedule.steps_of(self, state)
  if not math.type(state.best) then
    complain("%s: best: number expected, got %s", who, check.shown(state.best))
  end
  for _, name in ipairs(COUNTERS) do check.natural(who, name, state[name]) end
  self.steps, self.best = steps, state.best
  for _, name in ipairs(COUNTERS) do self[name] = math.tointeger(state[name]) end
  return self
end

local OPTIONS <const> = {
  mode = "min", factor = 0.1, patience = 10, threshold = 1e-4, threshold_mode = "rel", cooldown = 0,
  min_lr = 0, eps = 1e-8,
}

local function check_options(who, o)
  schedule.need_one_of(who, "mode", o.mode, {"min", "max"})
  schedule.need_one_of(who, "threshold_mode", o.threshold_mode, {"rel", "abs"})
  schedule.need_number(who, "factor", o.factor, 0)
  if o.factor >= 1 then complain("%s: factor: number below 1 expected, got %g", who, o.factor) end
  schedule.need_number(who, "threshold", o.threshold, 0)
  schedule.need_number(who, "eps", o.eps, 0)
  o.patience = check.natural(who, "patience", o.patience)
  o.cooldown = check.natural(who, "cooldown", o.cooldown)
end

--- Multiplies the rate by factor when what is measured has not become better for more than
-- `patience` epochs. It goes from the rate as it stands, and is stepped with what was measured:
--
--     local schedule = optim.ReduceLROnPlateau(opt, {patience = 3})
--     ...
--       schedule:step(validation_loss) -- after each epoch
-- @param opt the optimiser
-- @param options `mode` ("min": small is good; "max"), `factor` (0.1), `patience` (10), `threshold`
--   (1e-4): what is better has to be better by this part, or with `threshold_mode` "abs" ("rel") by
--   this much; `cooldown` (0): epochs after a reduction that do not count; `min_lr` (0), a number
--   or a list of one for each group; `eps` (1e-8): no smaller reduction is made
-- @return the schedule
function plateau.ReduceLROnPlateau(opt, options)
  local who = "ReduceLROnPlateau"
  local o = option.read(who, options, OPTIONS)
  schedule.need_optimizer(who, opt)
  check_options(who, o)
  return setmetatable({
    name = who, optimizer = opt, steps = 0, num_bad_epochs = 0, cooldown_counter = 0,
    best = o.mode == "min" and math.huge or -math.huge, _options = o,
    _least = schedule.per_group(who, opt, "min_lr", o.min_lr, 0),
  }, Plateau)
end

return plateau
