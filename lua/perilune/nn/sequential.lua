--- A chain of layers.
-- @module perilune.nn.sequential

local complain = require("perilune.internal.blame").complain
local module = require "perilune.nn.module"

--- Calls its layers one after the other: `nn.Sequential {nn.Linear(4, 8), nn.Tanh()}`.
-- A ReLU or LeakyReLU right after a Linear, a convolution or a BatchNorm is computed in the
-- same pass, and so is, right after that, a MaxPool2d of square windows side by side behind a
-- Conv2d or a BatchNorm2d; the values are the same.
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
      complain("Sequential: layer %d is a %s; module expected", i, type(layers[i]))
    end
    self[i] = layers[i]
  end
end

-- Whether a layer does what its class was made for: a class derived from it may do something else.
local function as_made(layer)
  return layer.made_forward == layer.forward
end

-- The attributes that make the op of layer i do what the layers behind it do, and how many
-- of these there are.
local function fused(layers, i)
  local attributes, n = nil, 0
  for _, what in ipairs(as_made(layers[i]) and layers[i].fuses or {}) do
    local layer = layers[i + n + 1]
    local more = layer and layer.fused_as == what and as_made(layer) and layer:attributes()
    if more then
      attributes, n = attributes or {}, n + 1
      for name, value in pairs(more) do attributes[name] = value end
    end
  end
  return attributes, n
end

function Sequential:forward(x)
  local i = 1
  while i <= #self do
    local attributes, n = fused(self, i)
    if attributes then x = self[i](x, attributes) else x = self[i](x) end
    i = i + n + 1
  end
  return x
end

return Sequential
