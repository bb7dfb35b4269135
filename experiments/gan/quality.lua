--- How good generated images are, in numbers that a trained LeNet-5 gives.

local pl = require "perilune"
local model = require "model"

local autoencoder = pl.experiment.use "vae_svm/model"
local quality = {judge = pl.experiment.use "lenet5/judge"}

local CLASSES <const> = 10

-- The share of the images that is seen in each class.
local function shares(probabilities)
  local counts = pl.one_hot(probabilities:argmax(-1), CLASSES):to("real"):sum(1)
  return (counts / #probabilities):totable()
end

local function entropy(list)
  local sum = 0
  for _, p in ipairs(list) do
    if p > 0 then sum = sum - p * math.log(p) end
  end
  return sum
end

-- exp of the mean divergence of an image's probabilities from those of all: 1 to 10, high if
-- each image is of a clear class and all classes occur (Salimans et al. 2016).
local function score(probabilities)
  local p = probabilities + 1e-12
  local divergence = (p * (p:log() - p:mean(1, true):log())):sum(2)
  return math.exp(divergence:mean():item())
end

--- Measures a set of images.
-- @param judge that looks at them
-- @param images as for `judge:look`
-- @param reference the last hidden layer for the real images, real [n, 84]
-- @return table: `frechet`, the distance of both sets in that layer; `shares` of the classes,
--   `smallest_share`, and their `entropy` in nats (at most 2.303); `score`, that of the classes
-- @return the probabilities of the classes, real [n, 10]
function quality.measure(judge, images, reference)
  local features, probabilities = judge:look(images)
  local list = shares(probabilities)
  return {
    frechet = pl.learn.frechet(features, reference), score = score(probabilities),
    shares = list, smallest_share = math.min(table.unpack(list)), entropy = entropy(list),
  }, probabilities
end

-- Images moved to the right, black at the left.
local function shifted(images, n)
  return images:slice(3, 1, 28 - n):pad {n, 0, 0, 0}
end

--- What the numbers are for real images: the training images, and the test images moved by 1
-- and 2 pixels, against the test images; and for other images, if there are any.
-- @param judge that looks at them
-- @param train set
-- @param test set
-- @param reference the last hidden layer for the test images
-- @param[opt] others images of a variational autoencoder
-- @return list of tables as `measure` gives them, with a field `variant` that names the images
function quality.scale(judge, train, test, reference, others)
  local images = test.images:to("real") / 255
  local rows = {
    {"training images", train.images}, {"test images", test.images},
    {"moved by 1 pixel", shifted(images, 1)}, {"moved by 2 pixels", shifted(images, 2)},
  }
  if others then rows[5] = {"VAE", others} end
  for i, row in ipairs(rows) do
    rows[i] = quality.measure(judge, row[2], reference)
    rows[i].variant = row[1]
  end
  return rows
end

--- Images of a variational autoencoder of the experiment vae_svm: the means of their pixels.
-- @param path of its network
-- @param set the name of the set of images that it must have been trained on
-- @param n number of images
-- @param seed of the latent variables
-- @return real [n, 1, 28, 28], or nil and a message
function quality.vae_images(path, set, n, seed)
  local saved, message = pl.experiment.load_networks(path, set)
  if not saved then return nil, message end
  local net, why = autoencoder.from_state(saved.model or {})
  if not net then return nil, ("%s: %s"):format(path, why) end
  local function decode(z) return net:decode(z):sigmoid():reshape(-1, 1, 28, 28) end
  return model.images(decode, model.noise(n, seed, net.mean.weight:size(1)))
end

--- The training images that are nearest to each of the given ones, by the mean squared
-- difference of pixels.
-- @param images real in [0, 1] [n, 1, 28, 28]
-- @param train set
-- @param k how many for each
-- @return int32 [n, k]: rows of the set, the nearest first
function quality.nearest(images, train, k)
  return pl.tidy(pl.no_grad, function()
    local wanted, distances = images:reshape(#images, -1), {}
    for first = 1, #train.images, 5000 do
      local rows = train.images:slice(1, first, math.min(5000, #train.images - first + 1))
      local x = rows:to("real"):reshape(#rows, -1) / 255
      distances[#distances + 1] = x:square():sum(2) - wanted:matmul(x:t()) * 2
    end
    local _, nearest = pl.cat(distances, 2):topk(k, 2, false)
    return nearest
  end)
end

return quality
