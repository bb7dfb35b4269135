--- Images from noise: DCGAN and WGAN-GP on Fashion-MNIST, or on another set of images.
--
-- perilune experiments/gan/run.lua --help

local pl = require "perilune"
local data, experiment, optim = pl.data, pl.experiment, pl.optim
local figures = require "figures"
local model = require "model"
local objectives = require "objectives"
local quality = require "quality"
local variants = require "variants"

local NAMES <const> = {"dcgan", "wgan-gp"}
local SHOWN <const> = 100 -- images of the noise that stays the same
local FILM_SEED <const>, TEST_SEED <const> = 1, 2 -- of noise that is not for training

local options = experiment.options(arg, {
  name = "gan",
  summary = "Trains generators of images, against a discriminator (DCGAN) or a critic (WGAN-GP).",
  options = {
    {"set"},
    {"variant", default = "all", many = true, choices = NAMES, help = "networks to train"},
    {"iterations", type = "integer", of = "variant", min = 1, quick = 60,
     help = "steps of the generator"},
    {"classifier", value = "FILE",
     help = "the network that judges the images: batch-norm-SEED.safetensors of a run of lenet5"},
    {"vae", value = "FILE",
     help = "a network of vae_svm, whose images are measured too, for comparison"},
    {"every", type = "integer", default = 500, quick = 30, min = 1, value = "N",
     help = "iterations between two measurements of the images, with a checkpoint"},
    {"samples", type = "integer", default = 10000, quick = 500, min = 100, value = "N",
     help = "images that are measured"},
    {"width", type = "integer", default = 64, quick = 16, min = 1,
     help = "maps of the first layer of the critic; the others are in proportion"},
    {"batch-size", type = "integer", default = 50, min = 2, help = "images in a step"},
    {"lr", type = "number", of = "variant", min = 1e-9, help = "learning rate"},
    {"critic-steps", type = "integer", of = "variant", min = 1,
     help = "steps of the critic for one of the generator"},
    {"average", type = "number", default = 0.998, min = 0, max = 0.99999,
     help = "decay of the moving average of the generator's weights; 0: none"},
    {"epochs", help = "(not here; see --iterations)"},
    {"sample", value = "PNG", free = true, help = "draw images into a picture, and stop"},
    {"from", value = "FILE", free = true,
     help = "the networks for --sample: VARIANT-SEED.safetensors of a run"},
    {"count", type = "integer", default = 100, min = 1, free = true,
     help = "images for --sample"},
  },
  notes = "A run leaves behind: metrics.jsonl, with a line for each iteration; the plots as PNG "
    .. "and SVG; images at intervals as VARIANT-SEED-at-ITERATION.png; the trained networks as "
    .. "VARIANT-SEED.safetensors; and table.txt. d_loss is the mean over the steps of the critic "
    .. "in an iteration, the penalty included.",
})

--
-- Data, and the judge
--

local CLASSIFIER_COMMAND <const> =
  "experiments/lenet5/run.lua --set %s --variant batch-norm --seed 1 --out runs/lenet5"

local function load_judge()
  if not options.classifier then
    experiment.fail("--classifier FILE is missing: the network that judges the images. "
      .. "%s makes runs/lenet5/batch-norm-1.safetensors", CLASSIFIER_COMMAND:format(options.set))
  end
  return experiment.must(quality.judge.load(options.classifier, options.set))
end

local function load_data()
  local function get(split)
    return experiment.must(data.images {name = options.set, data = options.data, split = split})
  end
  local train, test = get "train", get "test"
  if options.batch_size > #train.labels then
    experiment.fail("a batch of %d is larger than the set of %d images", options.batch_size,
                    #train.labels)
  end
  return train, test
end

-- What images are measured with: the judge, what it sees in the test images, and what the
-- measures are for real images.
local function load_yardstick(judge, train, test)
  local yardstick = {judge = judge}
  local features, probabilities = judge:look(test.images)
  yardstick.reference = features
  yardstick.accuracy = 100 * pl.eq(probabilities:argmax(), test.labels):to("real"):mean():item()
  local others = options.vae
    and experiment.must(quality.vae_images(options.vae, options.set, options.samples, TEST_SEED))
  yardstick.scale = quality.scale(judge, train, test, features, others)
  return yardstick
end

--
-- Training
--

-- The networks of a job and what trains them.
local function make_gan(job, train_set)
  local settings = experiment.settings(options, variants[job.variant])
  local shape = {width = options.width, batch_norm = true}
  local gan = {objective = objectives[job.variant], settings = settings}
  gan.generator = model.generator(shape)
  gan.critic = model.critic {width = options.width, batch_norm = settings.critic_norm}
  gan.sampler = model.sampler(gan.generator, shape)
  gan.last = model.sampler(gan.generator, shape)
  gan.average = optim.EMA(gan.generator:parameters(), {
    decay = options.average, warmup = true, means = gan.sampler:parameters()})
  gan.average:update()
  local adam = {lr = settings.lr, betas = settings.betas}
  gan.generator_optimizer = optim.Adam(gan.generator:parameters(), adam)
  gan.critic_optimizer = optim.Adam(gan.critic:parameters(), adam)
  gan.batches = data.cycle(train_set, {batch_size = options.batch_size})
  return gan
end

local function parts_of(gan)
  return {
    generator = gan.generator, critic = gan.critic, sampler = gan.sampler,
    average = gan.average, generator_optimizer = gan.generator_optimizer,
    critic_optimizer = gan.critic_optimizer, batches = gan.batches,
  }
end

local function generate(gan)
  return gan.generator(pl.randn(options.batch_size, model.NOISE))
end

-- A step of one network; the other, through which the gradient flows, stays as it is.
local function descend(optimizer, loss)
  local params = optimizer.groups[1].params
  for i, gradient in ipairs(pl.grad(loss, params)) do params[i].grad = gradient end
  optimizer:step()
end

local function critic_step(job, gan)
  local real, fake = gan.batches:next(), pl.no_grad(generate, gan)
  local loss, numbers = gan.objective.critic(gan.critic, real, fake)
  numbers.d_loss = loss:item()
  for name, value in next, numbers do job:add(name, value) end
  descend(gan.critic_optimizer, loss)
  return numbers
end

local function generator_step(job, gan)
  local loss = gan.objective.generator(gan.critic, generate(gan))
  job:add("g_loss", loss:item())
  descend(gan.generator_optimizer, loss)
  gan.average:update()
  return loss:item()
end

-- One iteration; gives what is to be recorded of it.
local function learn(job, gan)
  local steps, record = gan.settings.critic_steps, {}
  for _ = 1, steps do
    local numbers = pl.tidy(critic_step, job, gan)
    for name, value in next, numbers do record[name] = (record[name] or 0) + value / steps end
  end
  record.g_loss = pl.tidy(generator_step, job, gan)
  return record
end

--
-- Looking at the images
--

-- Images of the noise that stays the same, as bytes.
local function shown(net, n)
  return pl.tidy(function()
    local images = model.images(net, model.noise(SHOWN, FILM_SEED):slice(1, 1, n))
    return (images:select(2, 1) * 255 + 0.5):to("uint8")
  end)
end

-- Measures the images of the averaged weights (Yazici et al. 2019), and those of the last weights
-- alone.
local function measure(gan, yardstick)
  local function of(net)
    return pl.tidy(function()
      local images = model.images(net, model.noise(options.samples, TEST_SEED))
      return (quality.measure(yardstick.judge, images, yardstick.reference))
    end)
  end
  gan.last:load_state_dict(gan.generator:state_dict())
  local result = of(model.settle(gan.sampler))
  result.frechet_last = of(model.settle(gan.last)).frechet
  return result
end

-- Whatever is done between two iterations: pictures, measurements, a line for people.
local function look(job, gan, yardstick, i, n)
  local film = job.state.film or {}
  job.state.film = film
  if figures.is_on_film(i, n) then
    film[#film + 1] = {iteration = i, images = pl.keep(shown(model.settle(gan.sampler), 10))}
  end
  if i % options.every ~= 0 and i ~= n then return {} end
  local result = measure(gan, yardstick)
  local grid = pl.image.grid(shown(model.settle(gan.sampler), SHOWN), {columns = 10})
  experiment.must(pl.image.write(job.run:path(("%s-at-%d.png"):format(job.key, i)), grid))
  return result
end

local function log(job, record, measured)
  for name, value in next, measured do record[name] = value end
  if not measured.frechet then return job:log(record) end
  job:report(record)
end

local function train(job, train_set, yardstick)
  local gan = make_gan(job, train_set)
  local n = gan.settings.iterations
  job.about = {set = options.set}
  for i in job:iterations(n, parts_of(gan), {checkpoint = options.every}) do
    local record = learn(job, gan)
    record.epoch = gan.batches.pass
    log(job, record, look(job, gan, yardstick, i, n))
  end
  return gan
end

--
-- The whole
--

local function load_generator(path)
  local saved = experiment.must(pl.load(path))
  local net, message = model.from_state(saved.sampler)
  if not net then experiment.fail("%s: %s", path, message) end
  return net
end

local function sample()
  if not options.from then experiment.fail "--sample needs --from VARIANT-SEED.safetensors" end
  local net = load_generator(options.from)
  local images = model.images(net, model.noise(options.count, options.seed[1]))
  experiment.must(pl.image.write(options.sample, pl.image.grid(images)))
end

-- The generators of the first seed that are finished, by variant.
local function finished_generators(run)
  local nets = {}
  for _, variant in ipairs(NAMES) do
    local path = run:path(("%s-%d.safetensors"):format(variant, options.seed[1]))
    if pl.file_exists(path) then nets[variant] = load_generator(path) end
  end
  return nets
end

local function print_table(run, yardstick)
  local rows = run:summary {"frechet", "frechet_last", "score", "entropy", "smallest_share",
                            "iteration", "seconds"}
  for _, row in ipairs(yardstick.scale) do rows[#rows + 1] = row end
  run:table(rows, {
    {"variant", title = "images"}, {"frechet", title = "Fréchet", format = "%.2f"},
    {"frechet_last", title = "last weights", format = "%.2f"}, {"score", format = "%.2f"},
    {"entropy", format = "%.3f"}, {"smallest_share", title = "smallest share", format = "%.3f"},
    {"iteration", title = "iterations", format = "%d"}, {"seconds", format = "%.0f"},
  })
end

local function main()
  if options.epochs then experiment.fail "--epochs: this experiment counts --iterations" end
  if options.sample then return sample() end
  local judge, train_set, test_set = load_judge(), load_data()
  local yardstick = load_yardstick(judge, train_set, test_set)
  local run = experiment.open(options)
  print(("%s, %d images to train; %s is right on %.2f %% of %d test images"):format(
    train_set.name, #train_set.labels, options.classifier, yardstick.accuracy, #test_set.labels))
  for job in run:jobs(options) do
    train(job, train_set, yardstick)
    figures.film(run, job.key, job.variant, job.state.film)
  end
  figures.curves(run, options.seed[1], yardstick.scale)
  figures.images(run, finished_generators(run), yardstick.judge, train_set, test_set)
  print_table(run, yardstick)
end

main()
