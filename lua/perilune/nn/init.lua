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

local pl = require "perilune"

local nn = {
  init = require "perilune.nn.initializers",
  gaussian = require "perilune.nn.gaussian",
  Sequential = require "perilune.nn.sequential",
}

for _, part in ipairs {"module", "layers", "recurrent", "activations", "losses"} do
  for name, value in next, (require("perilune.nn." .. part)) do nn[name] = value end
end

--- The engine's functions that layers call, with weights and options as arguments.
nn.functional = {}

for _, name in ipairs {
  "linear", "conv2d", "conv_transpose2d", "max_pool2d", "avg_pool2d", "batch_norm", "layer_norm",
  "instance_norm", "dropout", "pad",
  "relu", "leaky_relu", "tanh", "sigmoid", "softplus", "softmax", "log_softmax",
  "cross_entropy", "mse_loss", "binary_cross_entropy_with_logits", "one_hot", "embedding", "lstm",
  "gru",
} do
  nn.functional[name] = pl[name]
end

return nn
