--- A trained network as a judge of images that another experiment made: what classes it sees in
-- them, and the values of its last hidden layer, in which images can be compared.

local pl = require "perilune"
local model = require "model"

local judge = {}

local Judge = {__name = "judge"}
Judge.__index = Judge

local BLOCK <const> = 1000 -- images at a time

--- Takes the batch-norm network of a run.
-- @param path VARIANT-SEED.safetensors
-- @param set the name of the set of images that it must have been trained on
-- @return the judge, or nil and a message
function judge.load(path, set)
  local saved, message = pl.experiment.load_networks(path, set)
  if not saved then return nil, message end
  local net = model.lenet5 {batch_norm = true}
  local fits, why = pcall(net.load_state_dict, net, saved.model or {})
  if not fits then return nil, ("%s: %s"):format(path, why:match "load_state_dict: (.*)") end
  net:eval()
  local n = #net
  return setmetatable({
    _features = pl.nn.Sequential(table.move(net, 1, n - 1, 1, {})), _output = net[n],
    _about = pl.data.about(set),
  }, Judge)
end

-- Images as the network was trained with them.
local function prepared(images, about)
  local x = images:to("real"):reshape(-1, 1, 28, 28)
  if images:dtype() == "uint8" then x = x / 255 end
  return (x - about.mean) / about.std
end

--- Looks at images.
-- @param images uint8 [n, 28, 28], or real in [0, 1] [n, 28, 28] or [n, 1, 28, 28]
-- @return the last hidden layer, real [n, 84]
-- @return the probabilities of the classes, real [n, 10]
function Judge:look(images)
  local features, probabilities = {}, {}
  for first = 1, #images, BLOCK do
    local f, p = pl.tidy(pl.no_grad, function()
      local rows = images:slice(1, first, math.min(BLOCK, #images - first + 1))
      local values = self._features(prepared(rows, self._about))
      return values, self._output(values):softmax()
    end)
    features[#features + 1], probabilities[#probabilities + 1] = f, p
  end
  return pl.cat(features, 1), pl.cat(probabilities, 1)
end

return judge
