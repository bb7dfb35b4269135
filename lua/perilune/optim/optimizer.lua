--- What all optimisers share: groups of parameters, stepping, and the state that a
-- checkpoint keeps (internal; its methods are those of every optimiser).
--
-- An optimiser has the fields `groups`, a list of tables with `params` and the options of
-- the group, and `lr`: reading gives that of the first group, assigning sets all groups.
-- @module perilune.optim.optimizer

local pl = require "perilune"
local core = require "perilune.core"
local blame = require "perilune.internal.blame"
local option = require "perilune.internal.option"
local words = require "perilune.internal.words"

local complain, blaming = blame.complain, blame.blaming
local is_tensor = pl.is_tensor
local optimizer = {}

--
-- What is wrong with options and parameters: these functions give a text, or nil.
--

local function at_least_0(v) return v >= 0 end
local function fraction(v) return v >= 0 and v < 1 end

local rules = {
  lr = {"positive number", function(v) return v > 0 end},
  momentum = {"number of at least 0", at_least_0},
  dampening = {"number", function() return true end},
  weight_decay = {"number of at least 0", at_least_0},
  eps = {"number of at least 0", at_least_0},
  alpha = {"number in [0, 1)", fraction},
}
local beta_rule = {"two numbers in [0, 1)", fraction}
local assigned_lr_rule = {"number of at least 0", at_least_0} -- a schedule may end at 0

local function wrong_number(name, value, rule)
  local expected, fits = rule[1], rule[2]
  if type(value) ~= "number" or not (math.abs(value) < math.huge and fits(value)) then
    return ("%s: %s expected, got %s"):format(name, expected, tostring(value))
  end
end

local function wrong_betas(betas)
  if type(betas) ~= "table" then betas = {tostring(betas)} end
  return wrong_number("betas", betas[1], beta_rule) or wrong_number("betas", betas[2], beta_rule)
end

local function wrong_option(group)
  for _, name in ipairs(words.sorted_keys(group)) do
    local problem = rules[name] and wrong_number(name, group[name], rules[name])
    if problem then return problem end
  end
  if group.nesterov and (group.momentum == 0 or group.dampening ~= 0) then
    return "nesterov needs a momentum and no dampening"
  end
  return group.betas ~= nil and wrong_betas(group.betas) or nil
end

--- What is wrong with what should be a list of parameters.
-- @param params anything
-- @return a text, or nil
function optimizer.wrong_kind(params)
  local meta = type(params) == "table" and getmetatable(params)
  if type(meta) == "table" and rawget(meta, "is_module") then
    return "list of tensors expected, got a module; pass its :parameters()"
  elseif type(params) ~= "table" then
    return ("list of tensors expected, got %s"):format(type(params))
  end
end

local function wrong_list(params)
  local problem = type(params) == "table" and optimizer.wrong_kind(params)
  if problem then
    return problem
  elseif type(params) ~= "table" then
    return ("list of tensors or groups expected, got %s"):format(type(params))
  elseif #params == 0 then
    return "the list of parameters is empty"
  end
end

local function wrong_parameter(p, place, seen)
  if not is_tensor(p) then
    return ("%s is a %s; tensor expected"):format(place, type(p))
  elseif not p.requires_grad then
    return ("%s, %s, does not require a gradient; nn.parameter(t) makes it do so"):format(
      place, words.shape(p))
  elseif not p.is_leaf then
    return ("%s, %s, is the result of an op and would not be trained; nn.parameter(t:detach()) would"):format(
      place, words.shape(p))
  elseif not p:is_contiguous() then
    return ("%s, %s, is not dense; contiguous() makes a copy that is"):format(place, words.shape(p))
  elseif seen[p] then
    return place .. " is there twice"
  end
  seen[p] = true
end

--
-- Groups
--

local function is_group(value)
  return type(value) == "table" and getmetatable(value) == nil and value.params ~= nil
end

-- The list as a list of groups, of which the first result is nil if it is not one.
local function as_groups(params)
  local problem = wrong_list(params)
  if problem then return nil, problem end
  if not is_group(params[1]) then return {{params = params}} end
  for i, group in ipairs(params) do
    if not is_group(group) then return nil, ("entry %d is no group {params = ...}"):format(i) end
    problem = wrong_list(group.params)
    if problem then return nil, ("group %d: %s"):format(i, problem) end
  end
  return params
end

local function wrong_group(group, place, seen)
  for j, p in ipairs(group.params) do
    local problem = wrong_parameter(p, ("parameter %d%s"):format(j, place), seen)
    if problem then return problem end
  end
  return wrong_option(group)
end

-- A group with all options; what it does not say itself comes from `common`.
local function complete(who, given, common)
  local known = {params = option.required}
  for name, value in next, common do known[name] = value end
  local group = option.read(who, given, known)
  group.params = table.move(group.params, 1, #group.params, 1, {})
  if type(group.betas) == "table" then group.betas = {group.betas[1], group.betas[2]} end
  return group
end

-- The groups, or nil and what is wrong.
local function make_groups(who, params, common)
  local given, problem = as_groups(params)
  local groups, seen = {}, {}
  for i, group in ipairs(given or {}) do
    groups[i] = complete(who, group, common)
    problem = wrong_group(groups[i], #given > 1 and " of group " .. i or "", seen)
    if problem then return nil, problem end
  end
  return not problem and groups or nil, problem
end

--
-- The methods of every optimiser
--

local Optimizer = {}
local meta = {__name = "optimiser"}

function meta.__index(self, key)
  if key == "lr" then return rawget(self, "groups")[1].lr end
  return Optimizer[key]
end

function meta.__newindex(self, key, value)
  if key ~= "lr" then return rawset(self, key, value) end
  local problem = wrong_number("lr", value, assigned_lr_rule)
  if problem then complain("%s: %s", self.name, problem) end
  for _, group in ipairs(self.groups) do group.lr = value end
end

function meta.__tostring(self)
  local n = 0
  for _, group in ipairs(self.groups) do n = n + #group.params end
  return ("%s(%d parameters in %d groups, lr=%g)"):format(self.name, n, #self.groups, self.lr)
end

-- A step of those parameters that have a gradient and are chosen, by number (nil: all of them).
local function step(self, chosen)
  local k = 0
  for _, group in ipairs(self.groups) do
    local params, grads, states = {}, {}, {}
    for _, p in ipairs(group.params) do
      k = k + 1
      local grad = (not chosen or chosen[k]) and p.grad
      if grad then
        params[#params + 1], grads[#grads + 1], states[#states + 1] = p, grad, self.state[k]
      end
    end
    if #params > 0 then self._update(params, grads, states, group) end
  end
end

--- Changes the parameters by one step along their gradients, those of a group in one pass. A
-- parameter without a gradient stays as it is.
function Optimizer:step()
  blaming(step, self)
end

--- `loss:backward()`, `step()` and `zero_grad()` in one: each parameter is changed as soon as its
-- gradient is complete, while that is in the processor's caches, and its gradient is let go, so
-- that those of all parameters are never there at the same time. The steps are the same. There is
-- no moment between the two for clipping. This saves memory, not time. Should it fail, some
-- parameters have been changed already; no gradients are left.
-- @param loss tensor of one element
function Optimizer:step_backward(loss)
  local params = {}
  for _, group in ipairs(self.groups) do
    table.move(group.params, 1, #group.params, #params + 1, params)
  end
  local function ready(...)
    local chosen = {}
    for _, k in ipairs {...} do chosen[k] = true end
    step(self, chosen)
    for k in pairs(chosen) do params[k].grad = nil end
  end
  local _ <close> = setmetatable({}, {__close = function() self:zero_grad() end})
  blaming(core.backward_each, loss, params, function(...) pl.tidy(ready, ...) end)
  pl.tidy(step, self) -- those that had a gradient before
end

--- Forgets the gradients of the parameters.
function Optimizer:zero_grad()
  for _, group in ipairs(self.groups) do
    for _, p in ipairs(group.params) do p.grad = nil end
  end
end

local function shapes(params)
  local list = {}
  for i, p in ipairs(params) do list[i] = words.shape(p) end
  return list
end

-- The options of a group, and the shapes of its parameters in their place.
local function describe(group)
  local copy = {}
  for name, value in next, group do copy[name] = value end
  copy.params = shapes(group.params)
  copy.betas = group.betas and {group.betas[1], group.betas[2]}
  return copy
end

--- The options of the groups and what the optimiser remembers of earlier steps, as a plain
-- table for `perilune.save`. The tensors are not copies.
-- @return table
function Optimizer:state_dict()
  local groups, states = {}, {}
  for i, group in ipairs(self.groups) do groups[i] = describe(group) end
  for k, state in ipairs(self.state) do
    states[k] = {}
    for name, value in next, state do states[k][name] = value end
  end
  return {optimizer = self.name, groups = groups, state = states}
end

-- What is wrong with a group of a state for this one: a text, or nil.
local function group_misfit(i, group, there)
  local here = shapes(group.params)
  if type(there.params) ~= "table" or #there.params ~= #here then
    return ("group %d has %d parameters here, %d there"):format(i, #here, #(there.params or {}))
  end
  for j, shape in ipairs(here) do
    if shape ~= there.params[j] then
      return ("parameter %d of group %d is %s here, %s there"):format(j, i, shape, there.params[j])
    end
  end
end

local function state_misfit(k, p, state)
  for _, name in ipairs(words.sorted_keys(state)) do
    local value = state[name]
    if is_tensor(value) and words.shape(value) ~= words.shape(p) then
      return ("%s of parameter %d is %s for a parameter of %s"):format(
        name, k, words.shape(value), words.shape(p))
    end
  end
end

local function misfit(self, state)
  if type(state) ~= "table" or type(state.groups) ~= "table" or type(state.state) ~= "table" then
    return "what state_dict gave expected"
  elseif state.optimizer ~= self.name then
    return ("the state is one of %s"):format(tostring(state.optimizer))
  elseif #state.groups ~= #self.groups then
    return ("%d groups here, %d there"):format(#self.groups, #state.groups)
  end
  local k = 0
  for i, group in ipairs(self.groups) do
    local problem = group_misfit(i, group, state.groups[i])
    if problem then return problem end
    for _, p in ipairs(group.params) do
      k = k + 1
      problem = state_misfit(k, p, state.state[k] or {})
      if problem then return problem end
    end
  end
end

-- A copy whose tensors outlive the step in which it is made.
local function kept(state)
  local copy = {}
  for name, value in next, state do
    copy[name] = is_tensor(value) and pl.keep(value:clone()) or value
  end
  return copy
end

--- Takes over a state, options included, so that the next steps give the same bits. The
-- state must be one of the same kind of optimiser with the same groups and shapes, or an
-- error says what differs and nothing is changed.
-- @param state what `state_dict` gave, or loaded from a file
-- @return the optimiser
function Optimizer:load_state_dict(state)
  local problem = misfit(self, state)
  if problem then complain("load_state_dict of %s: %s", self.name, problem) end
  for i, group in ipairs(self.groups) do
    for name, value in next, state.groups[i] do
      if name ~= "params" then group[name] = value end
    end
    if group.betas then group.betas = {group.betas[1], group.betas[2]} end
  end
  for k = 1, #self.state do self.state[k] = kept(state.state[k] or {}) end
  return self
end

--- Makes an optimiser.
-- @param name of its kind
-- @param params list of tensors, or of groups `{params = list, lr = ..., ...}`
-- @param options given by the user
-- @param defaults of the options, as `option.read` takes them
-- @param update function(params, grads, states, group): one step of a list of parameters, each
--   state being a table to keep tensors and numbers in
-- @return the optimiser
function optimizer.new(name, params, options, defaults, update)
  local common = option.read(name, options, defaults)
  local problem, groups = wrong_option(common), nil
  if not problem then groups, problem = make_groups(name, params, common) end
  if problem then complain("%s: %s", name, problem) end
  local self = {name = name, groups = groups, state = {}, _update = update}
  for _, group in ipairs(groups) do
    for _ = 1, #group.params do self.state[#self.state + 1] = {} end
  end
  return setmetatable(self, meta)
end

--- Whether a value is an optimiser.
-- @param value anything
-- @return boolean
function optimizer.is_optimizer(value)
  return type(value) == "table" and getmetatable(value) == meta
end

return optimizer
