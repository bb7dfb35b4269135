--- Generator and critic for 28 x 28 images: the networks without residual layers that Gulrajani et
-- al. 2017 used for CIFAR-10 (section F), made smaller as they did for MNIST (DIM 64): 1,554,177
-- and 1,030,145 parameters, and those of batch norm.

local pl = require "perilune"
local nn = pl.nn

local model = {}

--- Values that a generator gets for an image.
model.NOISE = 128

-- What Gulrajani et al. began with: uniform, of variance 2 / (in + out) in linear layers (Glorot
-- and Bengio 2010) and twice that in convolutions, which ReLU follows (He et al. 2015), and biases
-- at zero. `in` are the values that are summed up for an output, `out` the outputs that an input
-- goes to: with stride 2, those of a fourth of the kernel.
local function initialise_(critic)
  for _, layer in ipairs(critic:modules()) do
    local weight = layer.weight
    if weight then
      local field = weight:numel() // (weight:size(1) * weight:size(2))
      local n_in, n_out = weight:size(2) * field, weight:size(1) * math.max(field / 4, 1)
      local bound = math.sqrt(3 * (field == 1 and 2 or 4) / (n_in + n_out))
      nn.init.uniform_(weight, -bound, bound)
      nn.init.zeros_(layer.bias)
    end
  end
  return critic
end

--- Makes a generator: 4 x 4 maps from the noise, and transposed convolutions that double their
-- sides to 7, 14 and 28.
-- It begins with the weights of Radford et al. 2016, normal of standard deviation 0.02.
-- @param options `width`, the maps of the last but one layer (64), half as many as in the layer
--   before it; `batch_norm`, true to normalise each hidden layer before its activation;
--   `momentum` of the batch norms' running statistics (0.1)
-- @return module: real [n, 128] -> images [n, 1, 28, 28] in [0, 1]
function model.generator(options)
  local w, layers = options.width or 64, {}
  local function add(layer) layers[#layers + 1] = layer end
  local function activate(n)
    if options.batch_norm then add(nn.BatchNorm2d(n, {momentum = options.momentum or 0.1})) end
    add(nn.ReLU())
  end
  add(nn.Linear(model.NOISE, 4 * w * 16))
  add(nn.Unflatten(2, {4 * w, 4, 4}))
  activate(4 * w)
  add(nn.ConvTranspose2d(4 * w, 2 * w, 5, {stride = 2, padding = 2})) -- 7 x 7 of the 8 x 8
  activate(2 * w)
  add(nn.ConvTranspose2d(2 * w, w, 5, {stride = 2, padding = 2, output_padding = 1}))
  activate(w)
  add(nn.ConvTranspose2d(w, 1, 5, {stride = 2, padding = 2, output_padding = 1}))
  add(nn.Sigmoid())
  return nn.init.dcgan_(nn.Sequential(layers))
end

--- Makes a critic, which DCGAN calls discriminator: convolutions with stride 2.
-- @param options `width`, the maps of the first layer (64), half as many as of the second;
--   `batch_norm`, true for DCGAN's discriminator, which normalises the second and third layer
--   before the activation and begins with weights like the generator's, and not those of WGAN-GP
-- @return module: real [n, 1, 28, 28] -> scores [n, 1], not bounded
function model.critic(options)
  local w, layers = options.width or 64, {}
  local n_in = 1
  for i, n in ipairs {w, 2 * w, 4 * w} do
    layers[#layers + 1] = nn.Conv2d(n_in, n, 5, {stride = 2, padding = 2})
    if options.batch_norm and i > 1 then layers[#layers + 1] = nn.BatchNorm2d(n) end
    layers[#layers + 1] = nn.LeakyReLU(0.2)
    n_in = n
  end
  layers[#layers + 1] = nn.Flatten()
  layers[#layers + 1] = nn.Linear(4 * w * 16, 1)
  local critic = nn.Sequential(layers)
  return options.batch_norm and nn.init.dcgan_(critic) or initialise_(critic)
end

--- Makes the generator that a saved state belongs to, ready to give images.
-- @param state what `state_dict` gave
-- @return module, or nil and a message
function model.from_state(state)
  local first = type(state) == "table" and state["1.weight"]
  if not first or first:dim() ~= 2 or first:size(2) ~= model.NOISE then
    return nil, "this is no generator"
  end
  local net = model.generator {width = first:size(1) // 64, batch_norm = state["3.weight"] ~= nil}
  return net:load_state_dict(state):eval()
end

--
-- Use
--

--- Noise that depends on a seed alone; the common stream of random numbers goes on as if
-- nothing had been drawn.
-- @param n number of vectors
-- @param seed integer
-- @param[opt=128] size of a vector
-- @return real [n, size]
function model.noise(n, seed, size)
  local random = pl.random_state()
  pl.manual_seed(seed)
  local noise = pl.randn(n, size or model.NOISE)
  pl.set_random_state(random)
  return noise
end

local SETTLING <const> = 1000 -- images from which batch norm gets its statistics

--- A copy of a generator to make images with while the other is trained. Its weights may be given
-- other values; the statistics of batch norm are then measured by `settle`.
-- @param net the generator
-- @param options as for `model.generator`
-- @return module
function model.sampler(net, options)
  local copy = model.generator {
    width = options.width, batch_norm = options.batch_norm, momentum = 1,
  }
  return copy:load_state_dict(net:state_dict()):requires_grad_(false)
end

--- Measures the statistics of batch norm for the weights as they are, those of one large batch.
-- @param sampler what `model.sampler` gave
-- @return the sampler in evaluation mode
function model.settle(sampler)
  if #sampler:buffers() > 0 then
    pl.tidy(pl.no_grad, sampler:train(), model.noise(SETTLING, 1))
  end
  return sampler:eval()
end

--- Images of a generator, made without a graph, as many at a time as fit the caches.
-- @param net the generator, or a function
-- @param noise real [n, 128]
-- @return real [n, 1, 28, 28]
function model.images(net, noise)
  local parts = {}
  for first = 1, #noise, 250 do
    local rows = noise:slice(1, first, math.min(250, #noise - first + 1))
    parts[#parts + 1] = pl.tidy(pl.no_grad, net, rows)
  end
  return pl.cat(parts, 1)
end

return model
