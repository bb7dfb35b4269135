--- Generator and critic for 28 x 28 images, after the networks that Gulrajani et al. 2017 used
-- for MNIST (DIM 64): 1,554,177 and 1,030,145 parameters without batch norm.

local pl = require "perilune"
local nn = pl.nn

local model = {}

--- Values that a generator gets for an image.
model.NOISE = 128

-- How many values are summed up for one output. Of the kernel of a transposed convolution with
-- stride 2, a fourth meets an input.
local function fan_in(layer)
  local weight = layer.weight
  local n_in, field = weight:size(2), weight:numel() // (weight:size(1) * weight:size(2))
  if getmetatable(layer) == nn.ConvTranspose2d then return weight:size(1) * field / 4 end
  return n_in * field
end

-- He et al. 2015, uniform, and biases at zero; or what DCGAN begins with.
local function initialise(net, initial)
  if initial == "dcgan" then return nn.init.dcgan_(net) end
  for _, layer in ipairs(net:modules()) do
    if layer.weight and layer.weight:dim() > 1 then
      local bound = math.sqrt(6 / fan_in(layer))
      nn.init.uniform_(layer.weight, -bound, bound)
      nn.init.zeros_(layer.bias)
    end
  end
  return net
end

--- Makes a generator: 4 x 4 maps from the noise, and transposed convolutions that double their
-- sides to 7, 14 and 28.
-- @param options `width`, the maps of the last but one layer (64), half as many as in the layer
--   before it; `batch_norm`, true to normalise each hidden layer before its activation;
--   `momentum` of the batch norms' running statistics (0.1); `initial`, "dcgan" for the initial
--   weights of that paper instead of He's
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
  return initialise(nn.Sequential(layers), options.initial)
end

--- Makes a critic, which DCGAN calls discriminator: convolutions with stride 2.
-- @param options `width`, the maps of the first layer (64), half as many as of the second;
--   `batch_norm`, true to normalise the second and third layer before the activation;
--   `initial` as for `generator`
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
  return initialise(nn.Sequential(layers), options.initial)
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
