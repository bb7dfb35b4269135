--- A chain of layers.
-- @module perilune.nn.sequential

local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local classes = require "perilune.nn.classes"
local chain = require("perilune.core").chain
local hooks = require "perilune.nn.hooks"
local module = require "perilune.nn.module"

local run = module.Module._run

--- Calls its layers one after the other: `nn.Sequential {nn.Linear(4, 8), nn.Tanh()}`.
-- A ReLU, LeakyReLU, Tanh or Sigmoid right after a Linear, a convolution or a BatchNorm is
-- computed in the same op, and so is, right after that, a MaxPool2d of square windows side by side
-- behind a Conv2d or a BatchNorm2d; the values are the same.
-- @param layers list of modules
local Sequential = module.class "Sequential"

function Sequential:init(layers, ...)
  if type(layers) ~= "table" or module.is_module(layers) or (...) ~= nil then
    complain("Sequential: list of modules expected: nn.Sequential {a, b, c}")
  end
  local last = 0
  for key in next, layers do
    if math.type(key) ~= "integer" or key < 1 then
      complain("Sequential: layer '%s': a list has no names", tostring(key))
    end
    last = math.max(last, key)
  end
  for i = 1, last do
    if not module.is_module(layers[i]) then
      complain("Sequential: layer %d is a %s; module expected", i, check.type(layers[i]))
    end
    self[i] = layers[i]
  end
end

classes.made_of_fields(Sequential.init)

--
-- The plan: which layers are computed in one pass. It is made at the first call and holds as long
-- as the list has the same layers, no hooks come or go, and those that are computed with another do
-- what they did. (One that could not be, such as a LeakyReLU of negative slope, stays by itself.)
--

local function is_hooked(layer)
  return hooks.of and hooks.of[layer] ~= nil
end

-- Whether a layer does what its class was made for: a class derived from it may do something else,
-- and so may hooks.
local function as_made(layer)
  return layer.made_forward == layer.forward and not is_hooked(layer)
end

-- The attributes with which the op of layer i does what the layers behind it do too, and how many
-- of these there are.
local function fuse(layers, i)
  local layer, n, attributes = layers[i], 0, nil
  for _, what in ipairs(as_made(layer) and layer.fuses or {}) do
    local follower = layers[i + n + 1]
    local more = follower and follower.fused_as == what and as_made(follower) and follower:fused()
    if more then
      attributes, n = attributes or {}, n + 1
      for _, part in ipairs {layer._attributes or {}, more} do
        for name, value in next, part do attributes[name] = value end
      end
    end
  end
  return attributes, n
end

-- A list with an entry for each layer: what it was, and `fused`, what it gave if the layer before
-- it does its work; or else `attributes` for those that do such work.
local function make_plan(layers)
  local plan, i = {changes = hooks.changes}, 1
  while i <= #layers do
    local attributes, n = fuse(layers, i)
    for j = i, i + n do
      local layer = layers[j]
      plan[j] = {layer = layer, forward = layer.forward, fused = j > i and layer:fused()}
    end
    plan[i].attributes = attributes
    i = i + n + 1
  end
  return plan
end

-- What a chain needs to know of layer i: the op that it is, or what it was for the layer before to
-- do its work; nil if it is neither.
local function link(layer, entry)
  local fields = table.move(layer.made_of or {}, 1, #(layer.made_of or {}), 2, {"forward"})
  if entry.fused then
    fields[#fields + 1] = "fused"
    return {layer = layer, fields = fields}
  end
  return layer.op and as_made(layer) and {
    layer = layer, fields = fields, op = layer.op, operands = layer.operands or {},
    attributes = entry.attributes or layer:_op_attributes(),
  }
end

-- The chain of a plan, which needs no Lua between the layers; false if not all of them are ops, or
-- if the network has hooks, which C would not call.
local function make_chain(self, plan)
  local links = {}
  if is_hooked(self) then return false end
  for i, entry in ipairs(plan) do
    links[i] = link(entry.layer, entry)
    if not links[i] then return false end
  end
  return chain.new(links, Sequential.forward, Sequential.__call)
end

local function holds(plan, layers)
  if plan.changes ~= hooks.changes then return false end
  for i = 1, #plan do
    local entry, layer = plan[i], layers[i]
    if layer ~= entry.layer or layer.forward ~= entry.forward
      or entry.fused and layer:fused() ~= entry.fused then
      return false
    end
  end
  return layers[#plan + 1] == nil
end

function Sequential:forward(x)
  local plan = self._plan
  local y = plan and plan.chain and chain.run(plan.chain, self, x)
  if y then return y end
  if not plan or not holds(plan, self) then
    plan = make_plan(self)
    plan.chain = make_chain(self, plan)
    self._plan = plan
  end
  for i = 1, #plan do
    local entry = plan[i]
    if not entry.fused then x = run(entry.layer, x, entry.attributes) end
  end
  return x
end

return Sequential
