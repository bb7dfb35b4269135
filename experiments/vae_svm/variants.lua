--- The settings: of the autoencoders, and of the machines that learn from labels. Chosen with
-- `--validation`, on 1,000 labels of training images that nothing else uses; README.md says
-- what was tried.

local variants = {}

-- What an autoencoder does not say itself: the network of Kingma et al. 2014, section 4.4.
local COMMON <const> = {
  hidden = {600, 600}, latent = 50, lr = 3e-4, batch_size = 100,
  beta = 1,   -- factor of the divergence
  warmup = 0, -- epochs in which the factor grows to that from 0
  flip = false, -- mirror half of the images
  epochs = 50,
}

local function autoencoder(own)
  local settings = {}
  for name, value in next, COMMON do settings[name] = value end
  for name, value in next, own do settings[name] = value end
  return settings
end

--- The autoencoders, by name.
variants.networks = {
  elbo = autoencoder {title = "beta 1", warmup = 10},
  features = autoencoder {title = "beta 0.2", beta = 0.2},
  ["best-features"] = autoencoder {title = "beta 0.2, with flips", beta = 0.2, flip = true},
}

--- The methods: a machine on the pixels, or on what a network makes of them.
variants.methods = {
  svm = {title = "SVM on pixels", C = 10, gamma = "scale"},
  tsvm = {title = "TSVM on pixels", transductive = true, C = 10, gamma = "scale"},
  ["m1-svm"] = {title = "M1 + SVM", network = "features", C = 10, gamma = "scale"},
  ["m1-tsvm"] = {
    title = "M1 + TSVM", network = "features", transductive = true, C = 10, gamma = "scale",
  },
  best = {title = "M1 + TSVM, best", network = "best-features", transductive = true, C = 10, gamma = "scale"},
}

return variants
