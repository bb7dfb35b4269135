--- Networks: modules, layers, recurrent layers, activations, losses and initialisers.
--
--     local net = nn.Sequential {
--       nn.Conv2d(1, 6, 5, {padding = 2}), nn.ReLU(), nn.MaxPool2d(2),
--       nn.Flatten(), nn.Linear(1176, 10),
--     }
--     local logits = net(images)
--
-- `nn.init` has the initialisers, `nn.functional` the engine's functions without a state,
-- `nn.gaussian` what variational networks need of normal distributions.
-- @module perilune.nn

local core = require "perilune.core"
local pl = require "perilune"
local unknown = require "perilune.internal.unknown"

local nn = {
  init = unknown.guard("pl.nn.init", require "perilune.nn.initializers"),
  gaussian = unknown.guard("pl.nn.gaussian", require "perilune.nn.gaussian"),
  Sequential = require "perilune.nn.sequential",
}

local PARTS <const> = {"module", "layers", "signals", "norms", "resampling", "recurrent",
                       "activations", "losses", "torch", "summary", "checkpoint"}

for _, part in ipairs(PARTS) do
  for name, value in next, (require("perilune.nn." .. part)) do nn[name] = value end
end

require("perilune.nn.classes").begin()

--- The engine's functions that layers call, with weights and options as arguments: those of the
-- groups Layers, Activations and Losses.
nn.functional = {}

local functional <const> = {Layers = true, Activations = true, Losses = true}
for _, group in ipairs(core.groups) do
  for _, name in ipairs(functional[group.title] and group or {}) do
    nn.functional[name] = pl[name]
  end
end

unknown.guard("pl.nn.functional", nn.functional)
return unknown.guard("pl.nn", nn)
