--- The settings: of the autoencoders, and of the machines that learn from labels. Chosen with
-- `--validation`, on 1,000 labels of training images that nothing else uses; README.md says
-- what was tried.

local variants = {}

-- What an autoencoder does not say itself: the network of Kingma et al. 2014, section 4.1, and
-- their batches and optimiser (4.4), but with a learning rate that falls, not 3e-4 throughout.
local COMMON <const> = {
  hidden = {600, 600}, latent = 50, lr = 1e-3, batch_size = 100,
  beta = 1,   -- factor of the divergence
  warmup = 0, -- epochs in which the factor grows to that from 0
  decay = true, -- the learning rate falls to 0 on a cosine
  noise = 0,  -- probability that the encoder does not see a pixel
  epochs = 30,
}

local function autoencoder(own)
  local settings = {}
  for name, value in next, COMMON do settings[name] = value end
  for name, value in next, own do settings[name] = value end
  return settings
end

--- The autoencoders, by name.
variants.networks = {
  elbo = autoencoder {title = "beta 1", warmup = 10, epochs = 100},
  features = autoencoder {title = "beta 0.05", beta = 0.05, epochs = 25},
}

-- What a method does not say itself. An option may depend on the number of labels:
-- C = {[100] = 1, default = 10}.
local function method(own)
  local settings = {
    transductive = false, C = 10, gamma = "scale", neighbours = 10,
    features = {default = 500, [3000] = 1000},
    view = "mean", copies = "none",
  }
  for name, value in next, own do settings[name] = value end
  return settings
end

--- The methods: a machine on the pixels, or on what a network makes of them.
variants.methods = {
  svm = method {title = "SVM on pixels"},
  tsvm = method {title = "TSVM on pixels", transductive = true},
  ["m1-svm"] = method {title = "M1 + SVM", network = "features", C = 3},
  ["m1-tsvm"] = method {title = "M1 + TSVM", network = "features", transductive = true},
  best = method {
    title = "M1 + TSVM, best", network = "features", transductive = true, C = 3,
    view = "both", copies = "shifted",
  },
}

return variants
