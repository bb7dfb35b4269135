--- LeNet-5 (LeCun et al. 1998) for 28 x 28 images, in its modern form: ReLU and max pooling.
--
-- 61,706 parameters: 6 maps of 5x5, pooling, 16 maps of 5x5, pooling, 120, 84 and 10 units.

local nn = require "perilune.nn"

local model = {}

--- Makes the network.
-- @param options `dropout`, the probability on the two hidden linear layers (0: no such
--   layers); `batch_norm`, true to normalise each hidden layer before its activation
-- @return module: real [n, 1, 28, 28] -> logits [n, 10]
function model.lenet5(options)
  local layers = {}
  local function add(layer) layers[#layers + 1] = layer end
  local function activate(norm, n)
    if options.batch_norm then add(norm(n)) end
    add(nn.ReLU())
  end
  local function drop()
    if options.dropout and options.dropout > 0 then add(nn.Dropout(options.dropout)) end
  end

  add(nn.Conv2d(1, 6, 5, {padding = 2}))
  activate(nn.BatchNorm2d, 6)
  add(nn.MaxPool2d(2))
  add(nn.Conv2d(6, 16, 5))
  activate(nn.BatchNorm2d, 16)
  add(nn.MaxPool2d(2))
  add(nn.Flatten())
  add(nn.Linear(400, 120))
  activate(nn.BatchNorm1d, 120)
  drop()
  add(nn.Linear(120, 84))
  activate(nn.BatchNorm1d, 84)
  drop()
  add(nn.Linear(84, 10))
  return nn.Sequential(layers)
end

return model
