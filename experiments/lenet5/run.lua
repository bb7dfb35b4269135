--- What dropout, weight decay (L2) and batch normalisation do to LeNet-5 on Fashion-MNIST, or on
-- another set of images.
--
-- perilune experiments/lenet5/run.lua --help

local pl = require "perilune"
local data, experiment, optim = pl.data, pl.experiment, pl.optim
local figures = require "figures"
local model = require "model"
local variants = require "variants"

local NAMES <const> = {"plain", "dropout", "weight-decay", "batch-norm", "best"}

local options = experiment.options(arg, {
  name = "lenet5",
  summary = "Trains LeNet-5 on images, plain and with three kinds of regularisation.",
  options = {
    {"set"},
    {"variant", default = NAMES, many = true, choices = NAMES, help = "settings to train"},
    {"seed", default = {1, 2, 3}, quick = {1}},
    {"epochs", of = "variant", quick = 2, help = "passes over the training images"},
    {"batch-size", type = "integer", of = "variant", min = 1, help = "images in a step"},
    {"lr", type = "number", of = "variant", min = 1e-9, help = "highest learning rate"},
    {"weight-decay", type = "number", of = "variant", min = 0, help = "decoupled L2"},
    {"dropout", type = "number", of = "variant", min = 0, max = 0.99, help = "probability"},
    {"shift", type = "integer", of = "variant", min = 0, max = 14,
     help = "pixels that images are shifted by at random, at most"},
    {"validation", type = "integer", default = 0, min = 0, value = "N",
     help = "hold back the last N training images and test on them, to choose options"},
    {"classify", value = "PNG", free = true, help = "name what is in a picture, and stop"},
    {"from", value = "FILE", free = true,
     help = "the network for --classify: VARIANT-SEED.safetensors of a run"},
  },
  notes = "A run leaves behind: metrics.jsonl, the plots as PNG and SVG, the trained networks as\n"
    .. "VARIANT-SEED.safetensors, and table.txt.",
})

--
-- Data
--

local function load_data()
  local function get(split)
    return experiment.must(data.images {name = options.set, data = options.data, split = split})
  end
  local train, test = get "train", get "test"
  if options.validation > 0 then
    if options.validation >= #train.labels then
      experiment.fail("--validation %d leaves none of the %d images", options.validation,
                      #train.labels)
    end
    train, test = data.split(train, #train.labels - options.validation)
  end
  return train, test
end

--- The mean loss and accuracy of a network in evaluation mode, and what it says of each image.
local function evaluate(net, set)
  local loss, right, logits = 0, 0, {}
  net:eval()
  pl.no_grad(function()
    local batches = data.batches(set, {
      batch_size = 1000, shuffle = false, mean = set.mean, std = set.std})
    for x, y in batches do
      logits[#logits + 1] = pl.tidy(function()
        local out = net(x)
        loss = loss + pl.cross_entropy(out, y):item() * #y
        right = right + pl.eq(out:argmax(-1), y):to("real"):sum():item()
        return out
      end)
    end
  end)
  net:train()
  return {
    loss = loss / #set.labels, accuracy = 100 * right / #set.labels, logits = pl.cat(logits, 1),
  }
end

--
-- Training
--

local function train_epoch(job, net, optimizer, schedule, settings, set)
  local batches = job:batches(set, {
    batch_size = settings.batch_size, mean = set.mean, std = set.std,
    flip = settings.flip and set.mirrored, shift = settings.shift,
  })
  for x, y in batches do
    pl.tidy(function()
      optimizer:zero_grad()
      local loss = pl.cross_entropy(net(x), y)
      loss:backward()
      optimizer:step()
      schedule:step()
      job:add("loss", loss:item(), #y)
    end)
  end
end

local function train(job, train_set, test_set)
  local settings = experiment.settings(options, variants[job.variant])
  local net = model.lenet5(settings)
  local decay = settings.weight_decay
  local optimizer = optim.AdamW(optim.groups(net, {weight_decay = decay}),
                                {lr = settings.lr, weight_decay = decay})
  local steps = settings.epochs * data.batch_count(train_set, {batch_size = settings.batch_size})
  local schedule = optim.CosineAnnealingLR(optimizer, {T_max = steps, warmup = steps // 20})
  local parts = {model = net, optimizer = optimizer, schedule = schedule}
  job.about = {set = options.set}
  for _ in job:epochs(settings.epochs, parts) do
    train_epoch(job, net, optimizer, schedule, settings, train_set)
    local on_train, on_test = evaluate(net, train_set), evaluate(net, test_set)
    job:report {
      train_loss = job:mean "loss", test_loss = on_test.loss,
      train_accuracy = on_train.accuracy, test_accuracy = on_test.accuracy,
    }
  end
  return net
end

--
-- The whole
--

local function classify()
  if not options.from then experiment.fail "--classify needs --from VARIANT-SEED.safetensors" end
  local variant = options.from:match "([%w-]+)%-%d+%.safetensors$"
  if not variants[variant] then
    experiment.fail("%s: the name of a network is VARIANT-SEED.safetensors", options.from)
  end
  local picture = experiment.must(pl.image.read(options.classify))
  if picture:dim() ~= 2 or picture:size(1) ~= 28 or picture:size(2) ~= 28 then
    experiment.fail("%s: a grey picture of 28 x 28 pixels expected, got %s", options.classify,
                    table.concat(picture:size(), " x "))
  end
  local saved, set = experiment.must(experiment.load_networks(options.from))
  local net, about = model.lenet5(variants[variant]), data.about(set)
  net:load_state_dict(saved.model):eval()
  local x = (picture:to("real") / 255 - about.mean) / about.std
  local p, class = pl.no_grad(function()
    return net(x:reshape(1, 1, 28, 28)):softmax():reshape(-1):topk(3)
  end)
  for i = 1, 3 do print(("%-12s %5.1f %%"):format(about.classes[class[i]], 100 * p[i])) end
end

local function main()
  if options.classify then return classify() end
  local train_set, test_set = load_data()
  local run = experiment.open(options)
  print(("%s, %d images to train and %d to test"):format(train_set.name, #train_set.labels,
                                                         #test_set.labels))
  for job in run:jobs(options) do
    local net = train(job, train_set, test_set)
    if job.seed == options.seed[1] then
      figures.mistakes(run, job.variant, evaluate(net, test_set).logits, test_set)
    end
  end
  figures.curves(run, variants, NAMES, train_set.title)
  local where = options.validation > 0 and "validation" or "test"
  run:table(run:summary {"train_accuracy", "test_accuracy", "epoch", "seconds"}, {
    "variant", {"train_accuracy", title = "train accuracy %", format = "%.2f"},
    {"test_accuracy", title = where .. " accuracy %", format = "%.2f"},
    {"epoch", title = "epochs", format = "%d"}, {"seconds", format = "%.1f"},
  })
end

main()
