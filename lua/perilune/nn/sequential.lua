--- A chain of layers.
-- @module perilune.nn.sequential

local module = require "perilune.nn.module"

--- Calls its layers one after the other: `nn.Sequential {nn.Linear(4, 8), nn.Tanh()}`.
-- A ReLU or LeakyReLU right after a Linear, a convolution or a BatchNorm is computed in the
-- same pass; the values are the same.
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

function Sequential:forward(x)
  local i, n = 1, #self
  while i <= n do
    local layer, next_layer = self[i], self[i + 1]
    if next_layer and layer.fuses_activation and next_layer.attributes then
      x = layer(x, next_layer)
      i = i + 2
    else
      x = layer(x)
      i = i + 1
    end
  end
  return x
end

return Sequential
