--- What the options and parameters of an optimiser must be, and the groups that are made of
-- them (internal).
-- @module perilune.optim.checks

local pl = require "perilune"
local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local option = require "perilune.internal.option"
local words = require "perilune.internal.words"

local checks = {}

--
-- Options
--

--- A rule of options that are finite numbers for which something holds. A rule has what is
-- expected, as text, and a function that says whether a value is that; `count`, how many of them
-- are in a list.
-- @param expected text
-- @param[opt] holds function of the number
-- @param[opt] count integer
-- @return the rule
function checks.number(expected, holds, count)
  return {expected, function(v)
    return type(v) == "number" and math.abs(v) < math.huge and (not holds or holds(v))
  end, count = count}
end

local function fraction(v) return v >= 0 and v < 1 end

checks.at_least_0 = checks.number("number of at least 0", function(v) return v >= 0 end)

--- The rule of options that are positive integers.
checks.count = checks.number("positive integer", function(v)
  return math.tointeger(v) and v >= 1
end)

--- A rule of options that are one of some words.
-- @param list of words
-- @return the rule
function checks.one_of(list)
  local set = {}
  for _, word in ipairs(list) do set[word] = true end
  return {"one of " .. table.concat(list, ", "), function(v) return set[v] == true end}
end

-- What options of these names are, unless an optimiser says otherwise.
local RULES <const> = {
  lr = checks.number("positive number", function(v) return v > 0 end),
  momentum = checks.at_least_0, weight_decay = checks.at_least_0, eps = checks.at_least_0,
  alpha = checks.number("number in [0, 1)", fraction),
  betas = checks.number("two numbers in [0, 1)", fraction, 2),
}

-- And those whose default is of a type.
local OF_TYPE <const> = {
  number = checks.number "number",
  boolean = {"true or false", function(v) return type(v) == "boolean" end},
}

local function need_one(who, name, value, rule)
  if not rule[2](value) then
    complain("%s: %s: %s expected, got %s", who, name, rule[1], check.shown(value))
  end
end

local function need(who, name, value, rule)
  if not rule.count then return need_one(who, name, value, rule) end
  if type(value) ~= "table" then value = {tostring(value)} end
  for i = 1, rule.count do need_one(who, name, value[i], rule) end
end

--- Complains unless a learning rate can be set: 0 too, at which a schedule may end.
-- @param who the optimiser's name
-- @param lr anything
function checks.lr(who, lr)
  need(who, "lr", lr, checks.at_least_0)
end

--- Complains unless options have values that the kind of optimiser can work with.
-- @param kind what `optimizer.new` was given
-- @param o the options
function checks.options(kind, o)
  local rules = kind.rules or {}
  for _, name in ipairs(words.sorted_keys(kind.options)) do
    local rule = rules[name] or RULES[name] or OF_TYPE[type(kind.options[name])]
    if rule and o[name] ~= nil then need(kind.name, name, o[name], rule) end
  end
  local problem = kind.check and kind.check(o)
  if problem then complain("%s: %s", kind.name, problem) end
end

--- The same for options that were saved: a schedule may have ended at a learning rate of 0.
-- @param kind what `optimizer.new` was given
-- @param o the options
function checks.saved_options(kind, o)
  checks.lr(kind.name, o.lr)
  local others = {}
  for name, value in next, o do others[name] = value end
  others.lr = 1
  checks.options(kind, others)
end

--
-- Parameters
--

local function need_list(who, params, what)
  local meta = type(params) == "table" and getmetatable(params)
  if type(meta) == "table" and rawget(meta, "is_module") then
    complain("%s: list of tensors expected, got a module; pass its :parameters()", who)
  elseif type(params) ~= "table" then
    complain("%s: list of %s expected, got %s", who, what, check.type(params))
  end
end

--- Complains unless a value can be a list of parameters.
-- @param who the function's name
-- @param params anything
function checks.list(who, params)
  need_list(who, params, "tensors")
end

local function need_parameters(who, params)
  need_list(who, params, "tensors or groups")
  if #params == 0 then complain("%s: the list of parameters is empty", who) end
end

-- What keeps a tensor from ever being trained: a text, or nil. A frozen one may be trained later.
local function obstacle(p)
  if p:dtype() ~= "real" then
    return ("is %s, which has no gradient; to('real') makes a copy that can"):format(p:dtype())
  elseif not p.is_leaf then
    return "is the result of an op and would not be trained; nn.parameter(t:detach()) would"
  elseif not p:is_contiguous() then
    return "is not dense; contiguous() makes a copy that is"
  end
end

local function need_parameter(kind, place, p, seen)
  if not pl.is_tensor(p) then complain("%s is a %s; tensor expected", place, check.type(p)) end
  local text = obstacle(p) or kind.refuses and kind.refuses(p)
  if text then complain("%s, %s, %s", place, words.shape(p), text) end
  if seen[p] then complain("%s is there twice", place) end
  seen[p] = true
end

--
-- Groups
--

local function is_group(value)
  return type(value) == "table" and getmetatable(value) == nil and value.params ~= nil
end

-- A list of parameters or of groups as a list of groups.
local function as_groups(who, params)
  need_parameters(who, params)
  if not is_group(params[1]) then return {{params = params}} end
  for i, group in ipairs(params) do
    if not is_group(group) then complain("%s: entry %d is no group {params = ...}", who, i) end
    need_parameters(("%s: group %d"):format(who, i), group.params)
  end
  return params
end

--- Copies the tables among some options, so that they are not shared.
-- @param o options, which are changed
-- @return the same table
function checks.own(o)
  for name, value in next, o do
    if type(value) == "table" then
      local copy = {}
      for k, v in next, value do copy[k] = v end
      o[name] = copy
    end
  end
  return o
end

-- A group with all options; what it does not say itself comes from `common`.
local function complete(kind, given, common)
  local known = {params = option.required}
  for name, default in next, kind.options do
    known[name] = default
    if common[name] ~= nil then known[name] = common[name] end
  end
  return checks.own(option.read(kind.name, given, known))
end

--- Makes the groups of an optimiser, or complains.
-- @param kind what `optimizer.new` was given
-- @param params list of tensors, or of groups `{params = list, ...}`
-- @param given the options of all groups, or nil
-- @return list of groups, each with `params` and all options
function checks.groups(kind, params, given)
  local common = option.read(kind.name, given, kind.options)
  checks.options(kind, common)
  local list, groups, seen = as_groups(kind.name, params), {}, {}
  if kind.minimize and #list > 1 then
    complain("%s: one group of parameters expected, got %d", kind.name, #list)
  end
  for i, group in ipairs(list) do
    groups[i] = complete(kind, group, common)
    local of = #list > 1 and " of group " .. i or ""
    for j, p in ipairs(groups[i].params) do
      need_parameter(kind, ("%s: parameter %d%s"):format(kind.name, j, of), p, seen)
    end
    checks.options(kind, groups[i])
  end
  return groups
end

return checks
