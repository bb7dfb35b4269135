--- What all optimisers share: stepping, and the state that a checkpoint keeps (internal; its
-- methods are those of every optimiser).
--
-- An optimiser has the fields `groups`, a list of tables with `params` and the options of
-- the group, and `lr`: reading gives that of the first group, assigning sets all groups.
-- @module perilune.optim.optimizer

local pl = require "perilune"
local core = require "perilune.core"
local blame = require "perilune.internal.blame"
local check = require "perilune.internal.check"
local object = require "perilune.internal.object"
local option = require "perilune.internal.option"
local unknown = require "perilune.internal.unknown"
local words = require "perilune.internal.words"
local checks = require "perilune.optim.checks"

local complain, blaming, in_name_of = blame.complain, blame.blaming, blame.in_name_of
local is_tensor = pl.is_tensor
local optimizer = {}

--
-- The methods of every optimiser
--

local meta = {__name = "optimiser"}
local kind_of = setmetatable({}, {__mode = "k"}) -- optimiser -> what its kind is
local Optimizer = object.class("opt", function(value)
  return rawequal(getmetatable(value), meta)
end)

function meta.__index(self, key)
  if key == "lr" then return rawget(self, "groups")[1].lr end
  local method = Optimizer[key]
  if method == nil then unknown.raise("an optimiser", key, Optimizer) end
  return method
end

function meta.__newindex(self, key, value)
  if key ~= "lr" then return rawset(self, key, value) end
  checks.lr(self.name, value)
  for _, group in ipairs(self.groups) do group.lr = value end
end

function meta.__tostring(self)
  local n = 0
  for _, group in ipairs(self.groups) do n = n + #group.params end
  return ("%s(%d parameters in %d groups, lr=%g)"):format(self.name, n, #self.groups, self.lr)
end

-- A step of those parameters that are not frozen, have a gradient and are chosen, by number (nil:
-- all of them).
local function advance(self, chosen)
  local k = 0
  for _, group in ipairs(self.groups) do
    local params, grads, states = {}, {}, {}
    for _, p in ipairs(group.params) do
      k = k + 1
      local grad = (not chosen or chosen[k]) and p.requires_grad and p.grad
      if grad then
        params[#params + 1], grads[#grads + 1], states[#states + 1] = p, grad, self.state[k]
      end
    end
    if #params > 0 then self._step_all(params, grads, states, group) end
  end
end

-- A step of a kind that evaluates the loss itself.
local function minimize(self, closure)
  local params = {}
  for _, p in ipairs(self.groups[1].params) do
    if p.requires_grad then params[#params + 1] = p end
  end
  if #params == 0 then return pl.enable_grad(closure) end
  return pl.no_grad(kind_of[self].minimize, params, self.state[1], self.groups[1], closure)
end

--- Changes the parameters by one step along their gradients, those of a group in one pass. A
-- parameter without a gradient stays as it is, and so does a frozen one, whose `requires_grad` is
-- false, until it requires a gradient again. Gradients add up until `zero_grad`, so a batch that
-- does not fit into memory is taken in parts, each loss divided by their number:
--
--     opt:zero_grad()
--     for x, y in data.batches(batch, {batch_size = 16}) do -- 4 parts of a batch of 64
--       pl.tidy(function() (pl.cross_entropy(net(x), y) / 4):backward() end)
--     end
--     opt:step() -- as with the mean of all 64
--
-- `LBFGS` evaluates the loss several times in a step. It needs, and the others take, a function
-- that forgets the gradients, evaluates the loss, goes back from it and returns it.
-- @param[opt] closure that function
-- @return what it gave when it was called first
function Optimizer:step(closure)
  local evaluates = kind_of[self].minimize
  if type(closure) ~= "function" and (evaluates or closure ~= nil) then
    complain("%s: step: function expected that returns the loss, got %s", self.name,
      check.type(closure))
  end
  if evaluates then return blaming(minimize, self, closure) end
  if not closure then return blaming(advance, self) end
  local loss = pl.enable_grad(closure)
  blaming(advance, self)
  return loss
end

--- `loss:backward()`, `step()` and `zero_grad()` in one: each parameter is changed as soon as its
-- gradient is complete, while that is in the processor's caches, and its gradient is let go, so
-- that those of all parameters are never there at the same time. The steps are the same. There is
-- no moment between the two for clipping. This saves memory, not time. Should it fail, some
-- parameters have been changed already; no gradients are left.
-- @param loss tensor of one element
function Optimizer:step_backward(loss)
  if kind_of[self].minimize then
    complain("step_backward: %s evaluates the loss itself; step(function) expected", self.name)
  end
  local params = {}
  for _, group in ipairs(self.groups) do
    table.move(group.params, 1, #group.params, #params + 1, params)
  end
  local function ready(...)
    local chosen = {}
    for _, k in ipairs {...} do chosen[k] = true end
    advance(self, chosen)
    for k in pairs(chosen) do params[k].grad = nil end
  end
  local _ <close> = setmetatable({}, {__close = function() self:zero_grad() end})
  check.tensor("step_backward", loss)
  in_name_of("step_backward", "backward_each", core.backward_each, loss, params,
             function(...) pl.tidy(ready, ...) end)
  blaming(pl.tidy, advance, self) -- those that had a gradient before
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
  return checks.own(copy)
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
  local params = type(there) == "table" and there.params
  if type(params) ~= "table" or #params ~= #here then
    return ("group %d has %d parameters here, %s there"):format(i, #here,
      type(params) == "table" and #params or "none")
  end
  for _, name in ipairs(words.sorted_keys(there)) do
    if group[name] ~= nil and type(there[name]) ~= type(group[name]) then
      return ("%s of group %d is a %s here, a %s there"):format(name, i, check.type(group[name]),
        check.type(there[name]))
    end
  end
  for j, shape in ipairs(here) do
    if shape ~= params[j] then
      return ("parameter %d of group %d is %s here, %s there"):format(j, i, shape,
        tostring(params[j]))
    end
  end
end

local function is_real(value) return is_tensor(value) and value:dtype() == "real" end
local function is_vector(value) return is_real(value) and value:dim() == 1 end

local function list_of(is)
  return function(value)
    if type(value) ~= "table" then return false end
    for _, item in ipairs(value) do
      if not is(item) then return false end
    end
    return true
  end
end

-- What a kind's `state` can say of a name: the words of messages, and whether a value is that.
local REMEMBERED <const> = {
  tensor = {"real tensor", is_real},
  integer = {"integer of at least 0", function(v) return math.type(v) == "integer" and v >= 0 end},
  number = {"number", math.type},
  numbers = {"list of numbers", list_of(math.type)},
  vector = {"real tensor with one dimension", is_vector},
  vectors = {"list of real tensors with one dimension", list_of(is_vector)},
}

local function misfit_of(value, what)
  local expected, is = table.unpack(REMEMBERED[what])
  return not is(value) and expected or nil
end

-- What the engine steps all at once has to have the parameter's shape.
local function has_shape_of(kind, name)
  return not kind.step and (not kind.state or kind.state[name] == "tensor")
end

local function state_misfit(kind, k, p, state)
  if type(state) ~= "table" then
    return ("the state of parameter %d is a %s; table expected"):format(k, check.type(state))
  end
  for name, value in next, state do
    local shaped = has_shape_of(kind, name) and is_tensor(value)
    if kind.state and not kind.state[name] then
      return ("the state of parameter %d has an entry '%s', which is not one of %s"):format(k, name,
        table.concat(words.sorted_keys(kind.state), ", "))
    end
    local wanted = kind.state and misfit_of(value, kind.state[name])
    if wanted then
      return ("%s of parameter %d is a %s; %s expected"):format(name, k,
        is_tensor(value) and value:dtype() .. " tensor" or type(value), wanted)
    elseif shaped and words.shape(value) ~= words.shape(p) then
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
      problem = state_misfit(kind_of[self], k, p, state.state[k] or {})
      if problem then return problem end
    end
  end
end

-- A group with other options.
local function with_options(group, options)
  local copy = {}
  for _, from in ipairs {group, options} do
    for name, value in next, from do copy[name] = value end
  end
  copy.params = group.params
  return copy
end

-- A copy whose tensors outlive the step in which it is made.
local function kept(value)
  if is_tensor(value) then return pl.keep(value:clone()) end
  if type(value) ~= "table" then return value end
  local copy = {}
  for name, item in next, value do copy[name] = kept(item) end
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
    checks.saved_options(kind_of[self], with_options(group, state.groups[i]))
  end
  for i, group in ipairs(self.groups) do
    for name, value in next, with_options(group, state.groups[i]) do group[name] = value end
    checks.own(group)
  end
  for k = 1, #self.state do self.state[k] = kept(state.state[k] or {}) end
  return self
end

--
-- Kinds of optimisers
--

--- As the default of an option: it must be given.
optimizer.required = option.required

--- As the default of an option: it need not be given, and has none.
optimizer.absent = option.absent

-- The step of a kind that changes one parameter at a time. Nothing is recorded, and of the
-- tensors that it makes only those in `state` outlive it.
local function one_by_one(step)
  local function one(p, grad, state, o)
    step(p, grad, state, o)
    for _, value in next, state do
      if is_tensor(value) then pl.keep(value) end
    end
  end
  return function(params, grads, states, o)
    for i, p in ipairs(params) do pl.tidy(pl.no_grad, one, p, grads[i], states[i], o) end
  end
end

local function need(what, value, expected)
  if type(value) ~= expected then
    complain("new: %s: %s expected, got %s", what, expected, check.type(value))
  end
end

-- What of a kind may be left out, and its type. One of STEPS must be there.
local PARTS <const> = {state = "table", check = "function", refuses = "function", rules = "table"}
local STEPS <const> = {"step", "step_all", "minimize"}

local function need_step(kind)
  local given
  for _, name in ipairs(STEPS) do
    if kind[name] ~= nil then
      if given then complain("new: %s or %s expected, got both", given, name) end
      given = name
    end
  end
  need(given or "step", kind[given], "function")
end

local function need_state(state)
  for _, name in ipairs(words.sorted_keys(state)) do
    if not REMEMBERED[state[name]] then
      complain("new: state: %s is '%s'; one of %s expected", name, tostring(state[name]),
        table.concat(words.sorted_keys(REMEMBERED), ", "))
    end
  end
end

local function read_kind(given)
  local known = {name = option.required, options = option.required}
  for name in next, PARTS do known[name] = option.absent end
  for _, name in ipairs(STEPS) do known[name] = option.absent end
  local kind = option.read("new", given, known)
  need("name", kind.name, "string")
  need("options", kind.options, "table")
  if kind.options.lr == nil then complain("new: options: lr is missing") end
  for name, expected in next, PARTS do
    if kind[name] ~= nil then need(name, kind[name], expected) end
  end
  need_state(kind.state or {})
  need_step(kind)
  kind.step_all = kind.step_all or kind.step and one_by_one(kind.step)
  return kind
end

--- Makes a kind of optimiser, such as `optim.Adam`. Adamax (Kingma and Ba 2015, section 7.1), which
-- divides by the largest gradient so far, is
--
--     local Adamax = optim.new {
--       name = "Adamax",
--       options = {lr = 2e-3, betas = {0.9, 0.999}, eps = 1e-8, weight_decay = 0},
--       step = function(p, grad, state, o)
--         local m, u = state.exp_avg or pl.zeros(p:size()), state.exp_inf or pl.zeros(p:size())
--         grad = grad + p * o.weight_decay
--         state.exp_avg = m:mul_(o.betas[1]):add_(grad, 1 - o.betas[1])
--         state.exp_inf = u:mul_(o.betas[2]):copy_(u:maximum(grad:abs() + o.eps))
--         state.step = (state.step or 0) + 1
--         p:add_(m / u, -o.lr / (1 - o.betas[1] ^ state.step))
--       end,
--     }
--     local opt = Adamax(net:parameters(), {lr = 3e-3})
--
-- `step` changes one parameter in place, of which nothing is recorded. `state` is empty before
-- the first step; the tensors and numbers in it stay, and are a part of checkpoints. `o` has the
-- options of the parameter's group. Instead, to step all parameters of a group at once, give
-- `step_all(params, grads, states, o)`, with lists, which keeps its tensors itself; or, for one
-- that evaluates the loss several times in a step, `minimize(params, state, o, closure)`, which
-- gives what the closure gave first.
-- @param kind table: `name`; `options`, their defaults, `lr` among them, or `optim.required`;
--   `step`. Perhaps `state`, which says of what is remembered by a name whether it is a "tensor",
--   an "integer" or a "number", a "vector", or a list, of "numbers" or "vectors": it is checked
--   when a state is loaded. Perhaps `check`, a function of the options that gives a text if they do
--   not go together, and `refuses`, one of a parameter. Perhaps `rules`: of an option `{"even
--   number", function(v) return v % 2 == 0 end}`, what is expected and whether a value is that
-- @return function(params, options), which makes an optimiser
function optimizer.new(kind)
  kind = read_kind(kind)
  return function(params, options)
    local self = {
      name = kind.name, groups = checks.groups(kind, params, options), state = {},
      _step_all = kind.step_all,
    }
    kind_of[self] = kind
    for _, group in ipairs(self.groups) do
      for _ = 1, #group.params do self.state[#self.state + 1] = {} end
    end
    return setmetatable(self, meta)
  end
end

--- What the states remember under a name, or tensors of the parameters' sizes.
-- @param params list of tensors
-- @param states list of tables
-- @param name key in the states
-- @param[opt=0] first number, of which those tensors are full
-- @return list of tensors
function optimizer.remembered(params, states, name, first)
  local list = {}
  for i, p in ipairs(params) do
    list[i] = states[i][name] or pl.keep(pl.full(p:size(), first or 0))
  end
  return list
end

--- The numbers that the states remember under a name.
-- @param states list of tables
-- @param name key in the states
-- @param first number, before the first step
-- @return list of numbers
function optimizer.numbers(states, name, first)
  local list = {}
  for i, state in ipairs(states) do list[i] = state[name] or first end
  return list
end

--- The numbers of the steps that are to be made, from 1.
-- @param states list of tables
-- @return list of integers
function optimizer.steps(states)
  local list = {}
  for i, state in ipairs(states) do list[i] = (state.step or 0) + 1 end
  return list
end

--- Puts values into the states: after the step, which may fail.
-- @param states list of tables
-- @param lists of values, by their names; nil for none
function optimizer.remember(states, lists)
  for name, list in next, lists do
    for i, value in ipairs(list) do states[i][name] = value end
  end
end

--- Whether a value is an optimiser.
-- @param value anything
-- @return boolean
function optimizer.is_optimizer(value)
  return type(value) == "table" and rawequal(getmetatable(value), meta)
end

--- Whether an optimiser evaluates the loss itself, several times in a step.
-- @param self the optimiser
-- @return boolean
function optimizer.evaluates(self)
  return kind_of[self].minimize ~= nil
end

return optimizer
