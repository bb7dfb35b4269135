--- The parts of the GAN experiment: its networks, objectives, and measures.

local lu = require "luaunit"
local pl = require "perilune"
local nn = pl.nn

local T = {}
local eq, near = lu.assertEquals, lu.assertAlmostEquals

-- Modules of the experiment, which are not left loaded: others have such names too.
local function load_modules(...)
  local path, loaded, list = package.path, {}, {}
  for name, value in next, package.loaded do loaded[name] = value end
  package.path = arg[0]:match("^(.*/)") .. "../../experiments/gan/?.lua;" .. path
  for i, name in ipairs {...} do list[i] = require(name) end
  for name in next, package.loaded do
    if not loaded[name] and not name:find "^perilune" then package.loaded[name] = nil end
  end
  package.path = path
  return table.unpack(list)
end

local model, objectives, quality, figures =
  load_modules("model", "objectives", "quality", "figures")

function T.test_parameter_counts()
  eq(model.generator({}):parameter_count(), 1554177)
  eq(model.critic({}):parameter_count(), 1030145)
  eq(model.generator({batch_norm = true}):parameter_count(), 1554177 + 2 * (256 + 128 + 64))
  eq(model.critic({batch_norm = true}):parameter_count(), 1030145 + 2 * (128 + 256))
end

function T.test_shapes()
  for _, batch_norm in ipairs {false, true} do
    local options = {width = 2, batch_norm = batch_norm}
    local images = pl.no_grad(model.generator(options), pl.randn(3, model.NOISE))
    eq(images:size(), {3, 1, 28, 28})
    lu.assertTrue(images:amin():item() >= 0 and images:amax():item() <= 1)
    eq(pl.no_grad(model.critic(options), images):size(), {3, 1})
  end
end

function T.test_initial_weights_of_the_critic()
  pl.manual_seed(1)
  local expected = {4 / (25 + 64 * 25 / 4), 4 / (64 * 25 + 128 * 25 / 4),
                    4 / (128 * 25 + 256 * 25 / 4), 2 / (4096 + 1)}
  for name, p in model.critic({}):named_parameters() do
    local square = p:detach():square():mean():item()
    if p:dim() == 1 then eq(square, 0, name) else
      lu.assertAlmostEquals(square / table.remove(expected, 1), 1, 0.1, name)
    end
  end
  eq(expected, {})
end

function T.test_initial_values_of_dcgan()
  pl.manual_seed(1)
  for _, make in ipairs {model.generator, model.critic} do
    local net = make {width = 8, batch_norm = true}
    for name, p in net:named_parameters() do
      local squares = p:detach():square():mean():item()
      if p:dim() > 1 then near(math.sqrt(squares), 0.02, 2e-3) end
      if name:find "bias" then eq(squares, 0) end
    end
  end
end

function T.test_noise_leaves_the_stream_alone()
  pl.manual_seed(3)
  local random = pl.random_state()
  eq(model.noise(2, 5):totable(), model.noise(2, 5):totable())
  eq(pl.random_state(), random)
  eq(model.noise(2, 5):size(), {2, 128})
end

function T.test_images_in_parts()
  local net = model.generator {width = 1}
  local noise = model.noise(251, 1)
  eq(model.images(net, noise):size(), {251, 1, 28, 28})
  local all, one = model.images(net, noise), model.images(net, noise:slice(1, 251, 1))
  near((all:slice(1, 251, 1) - one):abs():amax():item(), 0, 1e-5)
end

function T.test_from_state()
  for _, batch_norm in ipairs {false, true} do
    local net = model.generator {width = 2, batch_norm = batch_norm}
    local other = assert(model.from_state(net:state_dict()))
    eq(other.training, false)
    local noise = model.noise(2, 1)
    eq(pl.no_grad(other, noise):totable(), pl.no_grad(net:eval(), noise):totable())
  end
  eq({model.from_state {}}, {nil, "this is no generator"})
  eq({model.from_state(nil)}, {nil, "this is no generator"})
end

--
-- Objectives
--

-- The gradient of w x + b is w everywhere, so the penalty is known: 10 (|w| - 1)^2.
function T.test_penalty_of_a_linear_critic()
  local critic = nn.Linear(4, 1)
  pl.no_grad(critic.weight.copy_, critic.weight, pl.tensor {{1, -2, 4, 2}}) -- of norm 5
  local real, fake = pl.randn(6, 4), pl.randn(6, 4)
  for _, norm in ipairs(objectives.gradient_norms(critic, real, fake):totable()) do
    near(norm, 5, 1e-5)
  end
  local loss, numbers = objectives["wgan-gp"].critic(critic, real, fake)
  near(numbers.gradient_norm, 5, 1e-5)
  near(numbers.penalty, 160, 1e-3)
  local difference = pl.no_grad(function() return (critic(fake) - critic(real)):mean():item() end)
  near(loss:item(), 160 + difference, 1e-3)
  -- the gradient of the penalty is 20 (|w| - 1) w / |w| = 16 w
  local gradient = pl.grad(loss, {critic.weight})[1] - (fake - real):mean(1, true)
  near((gradient - critic.weight * 16):abs():amax():item(), 0, 1e-3)
end

function T.test_norm_zero_is_finite()
  local critic = nn.Linear(4, 1)
  nn.init.zeros_(critic.weight)
  local loss = objectives["wgan-gp"].critic(critic, pl.randn(3, 4), pl.randn(3, 4))
  lu.assertTrue(pl.grad(loss, {critic.weight})[1]:isnan():any():item() == 0)
end

function T.test_cross_entropy()
  local score = function(x) return x end
  local real, fake = pl.tensor {{2}, {0}}, pl.tensor {{-1}, {0}}
  local function minus_log_sigmoid(x) return math.log(1 + math.exp(-x)) end
  local d = objectives.dcgan.critic(score, real, fake):item()
  near(d, (minus_log_sigmoid(2) + minus_log_sigmoid(1)) / 2 + math.log(2), 1e-6)
  near(objectives.dcgan.generator(score, fake):item(),
       (minus_log_sigmoid(-1) + math.log(2)) / 2, 1e-6)
end

--
-- The generator that makes images
--

-- The statistics of batch norm are those of the weights that are used.
function T.test_settle()
  local options = {width = 1, batch_norm = true}
  local net = model.generator(options)
  local images = model.settle(model.sampler(net, options))
  eq(images[1].weight:totable(), net[1].weight:totable())
  eq(images[1].weight.requires_grad, false)
  local hidden = pl.no_grad(nn.Sequential {images[1], images[2], images[3]}, model.noise(1000, 1))
  near(hidden:mean():item(), 0, 1e-3)
  near(hidden:square():mean():item(), 1, 1e-2)
end

--
-- Measures
--

-- A judge that sees in an image the class that its first pixel says.
local judge = {look = function(_, images)
  local x = images:to("real"):reshape(#images, -1):slice(2, 1, 1)
  local classes = (x * 10 + 1):reshape(-1):to "int32"
  return pl.cat({x, x:square()}, 2), pl.one_hot(classes, 10):to "real"
end}

function T.test_measure()
  local images = pl.zeros(20, 1, 2, 2)
  for i = 1, 20 do images[{i, 1, 1, 1}] = ((i - 1) % 10 + 0.5) / 10 end
  local reference = judge:look(images)
  local even = quality.measure(judge, images, reference)
  near(even.frechet, 0, 1e-4)
  near(even.entropy, math.log(10), 1e-6)
  near(even.score, 10, 1e-3)
  near(even.smallest_share, 0.1, 1e-6)
  local few = quality.measure(judge, images:slice(1, 1, 2), reference)
  near(few.entropy, math.log(2), 1e-6)
  eq(few.smallest_share, 0)
  lu.assertTrue(few.frechet > 0.1)
end

function T.test_images_of_a_vae()
  local vae = assert(loadfile(arg[0]:match("^(.*/)") .. "../../experiments/vae_svm/model.lua"))()
  local net, path = vae.new {pixels = 784, hidden = {3}, latent = 2}, os.tmpname()
  assert(pl.save(path, {model = net:state_dict()}))
  local images = assert(quality.vae_images(path, "fashion-mnist", 3, 1))
  eq(images:size(), {3, 1, 28, 28})
  local expected = pl.no_grad(net.decode, net, model.noise(3, 1, 2)):sigmoid()
  near((images:reshape(3, 784) - expected):abs():amax():item(), 0, 1e-6)
  assert(pl.save(path, {a = pl.ones(1)}))
  eq({quality.vae_images(path, "fashion-mnist", 3, 1)}, {nil, path .. ": this is no variational autoencoder"})
  os.remove(path)
end

function T.test_film()
  local kept = {}
  for i = 1, 260 do
    if figures.is_on_film(i, 260) then kept[#kept + 1] = i end
  end
  eq(kept, {25, 50, 100, 200, 260})
end

function T.test_nearest()
  local train = {images = pl.zeros({6, 2, 2}, "uint8")}
  for i = 1, 6 do train.images[{i, 1, 1}] = 40 * i end
  local images = pl.zeros(2, 1, 2, 2)
  images[{1, 1, 1, 1}], images[{2, 1, 1, 1}] = 130 / 255, 10 / 255
  eq(quality.nearest(images, train, 2):totable(), {{3, 4}, {1, 2}})
end

return T
