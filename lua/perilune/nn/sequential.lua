--- A chain of layers.
-- @module perilune.nn.sequential

local module = require "perilune.nn.module"

--- Calls its layers one after the other: `nn.Sequential {nn.Linear(4, 8), nn.Tanh()}`.
-- A ReLU or LeakyReLU right after a Linear, a convolution or a BatchNorm is computed in the
-- same pass, and so is, right after that, a MaxPool2d of square windows side by side behind a
-- Conv2d or a BatchNorm2d; the values are the same.
-- @param layers list of modules
local Sequential = module.class "Sequential"

function Sequential:init(layers)
  if type(layers) ~= "table" or module.is_module(layers) then
    error("Sequential: list of modules expected: nn.Sequential {a, b, c}", 3)
  end
  for i, layer in ipairs(layers) do
    if not module.is_module(layer) then
      error(("Sequential: layer %d is a %s; module expected"):format(i, type(layer)), 3)
    end
    self[i] = layer
  end
end

-- The attributes that make the op of layer i do what the layers behind it do, and how many
-- of these there are.
local function fused(layers, i)
  local attributes, n = nil, 0
  for _, what in ipairs(layers[i].fuses or {}) do
    local layer = layers[i + n + 1]
    local more = layer and layer.fused_as == what and layer:attributes()
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
    x = self[i](x, attributes)
    i = i + n + 1
  end
  return x
end

return Sequential
