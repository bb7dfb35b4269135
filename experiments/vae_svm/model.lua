--- The variational autoencoder M1 (Kingma et al. 2014, section 3.1, Kingma and Welling 2014).
--
-- p(z) is the standard normal distribution, p(x|z) independent Bernoulli pixels, and q(z|x) a
-- normal distribution with independent dimensions; two networks give the parameters of the
-- last two. All hidden layers have the activation softplus.

local pl = require "perilune"
local nn = pl.nn

local model = {}

local VAE = nn.class "VAE"

-- Layers of the given sizes, each with an activation; and the size of the last.
local function hidden_layers(n, sizes)
  local layers = {}
  for _, size in ipairs(sizes) do
    layers[#layers + 1], layers[#layers + 2] = nn.Linear(n, size), nn.Softplus()
    n = size
  end
  return layers, n
end

local function reversed(list)
  local result = {}
  for i = #list, 1, -1 do result[#result + 1] = list[i] end
  return result
end

function VAE:init(settings)
  self.noise = nn.Dropout(settings.noise or 0)
  local below, n = hidden_layers(settings.pixels, settings.hidden)
  self.encoder = nn.Sequential(below)
  self.mean, self.log_var = nn.Linear(n, settings.latent), nn.Linear(n, settings.latent)
  local above, m = hidden_layers(settings.latent, reversed(settings.hidden))
  above[#above + 1] = nn.Linear(m, settings.pixels)
  self.decoder = nn.Sequential(above)
end

--- The approximate posterior q(z|x).
-- @param x real [n, pixels], from 0 to 1
-- @return its mean [n, latent]
-- @return the logarithm of its variance [n, latent]
function VAE:encode(x)
  local h = self.encoder(x)
  return self.mean(h), self.log_var(h)
end

--- Latent variables to the logits of the pixels.
-- @param z real [n, latent]
-- @return real [n, pixels]
function VAE:decode(z)
  return self.decoder(z)
end

--- The two terms of the evidence lower bound, with one sample of z for each image: the bound on
-- log p(x) is minus the sum of the first and of all of the second, in nats. In training mode the
-- encoder sees the images with noise.
-- @param x real [n, pixels], from 0 to 1
-- @return -log p(x|z), real [n]
-- @return the divergence of q(z|x) from p(z) in each dimension, real [n, latent]
-- @return the mean of q(z|x), real [n, latent]
function VAE:forward(x)
  local mean, log_var = self:encode(self.noise(x))
  local logits = self:decode(nn.gaussian.rsample(mean, log_var))
  local reconstruction = pl.binary_cross_entropy_with_logits(logits, x, {reduction = "rows"})
  return reconstruction, nn.gaussian.kl_divergence(mean, log_var), mean
end

--- Makes a network.
-- @param settings `pixels` of an image, `hidden`, list of the sizes of the encoder's hidden
--   layers (the decoder's are the same in reverse), `latent`, the number of latent variables,
--   `noise` (0), the probability that the encoder does not see a pixel in training
-- @return module
function model.new(settings)
  return VAE(settings)
end

--- Makes the network that a saved state belongs to.
-- @param state what `state_dict` gave
-- @return module, or nil and a message
function model.from_state(state)
  local hidden, first = {}, state["encoder.1.weight"]
  if not first or not state["mean.weight"] then
    return nil, "this is no variational autoencoder"
  end
  for i = 1, math.huge, 2 do
    local weight = state[("encoder.%d.weight"):format(i)]
    if not weight then break end
    hidden[#hidden + 1] = weight:size(1)
  end
  local net = model.new {
    pixels = first:size(2), hidden = hidden, latent = state["mean.weight"]:size(1),
  }
  return net:load_state_dict(state):eval()
end

return model
