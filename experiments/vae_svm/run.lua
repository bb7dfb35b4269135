--- Learning from few labels: a variational autoencoder learns what garments look like from
-- 60,000 images without labels, and a support vector machine learns their names from 100 to
-- 3,000 labels (scheme M1 of Kingma et al. 2014, Algorithm 1), on Fashion-MNIST or another set of
-- images.
--
-- perilune experiments/vae_svm/run.lua --help

local pl = require "perilune"
local svm = require "perilune.learn.svm"
local data, experiment, optim = pl.data, pl.experiment, pl.optim
local figures = require "figures"
local labels = require "labels"
local machines = require "machines"
local model = require "model"
local variants = require "variants"

local NETWORKS <const> = {"elbo", "features"}
local METHODS <const> = {"svm", "tsvm", "m1-svm", "m1-tsvm", "best"}
local ACTIVE <const> = 0.01 -- variance of the means from which a latent variable is in use
local TRAIN_SHOWN <const> = 10000 -- training images on which the bound is measured

-- These go before what variants.lua says of networks, and of methods.
local OF_NETWORKS <const> = {
  {"epochs", quick = 2, help = "passes over the training images"},
  {"batch-size", type = "integer", min = 1, help = "images in a step"},
  {"lr", type = "number", min = 1e-9, help = "learning rate of Adam"},
  {"beta", type = "number", min = 0, help = "factor of the divergence"},
  {"warmup", type = "integer", min = 0, help = "epochs in which the factor grows to that"},
  {"decay", type = "boolean", help = "whether the learning rate falls to 0 on a cosine"},
  {"noise", type = "number", min = 0, max = 0.99,
   help = "probability that the encoder does not see a pixel"},
  {"hidden", type = "integer", many = true, min = 1, help = "sizes of the encoder's hidden layers"},
  {"latent", type = "integer", min = 1, help = "latent variables"},
}
local OF_METHODS <const> = {
  {"C", type = "number", min = 1e-9, help = "cost of a labelled example"},
  {"gamma", help = "of the kernel exp(-gamma d^2), or \"scale\""},
  {"unlabelled-cost", type = "number", min = 1e-12, help = "cost of an unlabelled example"},
  {"features", type = "integer", min = 2, help = "random features of a transductive machine"},
  {"neighbours", type = "integer", min = 0,
   help = "of an image in the graph of a transductive machine; 0: no graph"},
  {"view", choices = {"mean", "hidden", "both"},
   help = "what the machines see of a network: the latent variables, its last hidden layer"},
  {"copies", choices = {"none", "mirrored", "shifted", "all"},
   help = "copies of the labelled images that are labelled too"},
}
for _, declared in ipairs(OF_NETWORKS) do declared.of = "network" end
for _, declared in ipairs(OF_METHODS) do declared.of = "method" end

local OWN <const> = {
  {"set"},
  {"network", default = "all", many = true, choices = NETWORKS, help = "autoencoders to train"},
  {"method", default = "all", many = true, choices = METHODS, help = "methods to compare"},
  {"labels", type = "integer", many = true, default = {100, 600, 1000, 3000}, quick = {100},
   min = 10, help = "numbers of labels"},
  {"draws", type = "integer", min = 1, quick = 1,
   help = "draws of labels (default: 5 of up to 100, 3 of more)"},
  {"seed", many = false, default = 1, min = 0,
   help = "of the networks; draw number i has the seed 1000 times this + i"},
  {"validation", type = "flag",
   help = "draw labels from 1,000 training images that nothing else uses, and test on the rest "
     .. "of these, to choose options"},
  {"reuse", value = "DIR", help = "take the networks that are in the folder of another run"},
  {"sample", value = "PNG", free = true, help = "draw images that do not exist, and stop"},
  {"classify", value = "PNG", free = true, help = "name what is in a picture, and stop"},
  {"from", value = "PATH", free = true,
   help = "for --sample a network, NETWORK-SEED.safetensors of a run; for --classify the folder "
     .. "of a run, and --reuse if it was given there"},
}

local function joined(...)
  local all = {}
  for _, list in ipairs {...} do table.move(list, 1, #list, #all + 1, all) end
  return all
end

local options = experiment.options(arg, {
  name = "vae_svm",
  summary = "Learns the classes of images from few labels: a variational autoencoder without\n"
    .. "labels, then support vector machines on its features.",
  options = joined(OWN, OF_NETWORKS, OF_METHODS),
  notes = "A run leaves behind: metrics.jsonl, the plots as PNG and SVG, the networks as\n"
    .. "NETWORK-SEED.safetensors, the machine of the first draw of each method and number of\n"
    .. "labels as METHOD-LABELS.machine, table.csv, and table.txt. A finished network, and a\n"
    .. "finished machine, are not trained again with --resume.",
})

local function network_settings(name)
  return experiment.settings(options, variants.networks[name], "network")
end

-- Options of a machine may depend on the number of labels: {[100] = 1, [600] = 10}.
local function method_settings(name, n)
  local settings = experiment.settings(options, variants.methods[name], "method")
  for key, value in next, settings do
    if type(value) == "table" then settings[key] = value[n] or value.default end
  end
  settings.gamma = tonumber(settings.gamma) or settings.gamma
  return settings
end

--
-- Data
--

local function load_data()
  local function get(split)
    return experiment.must(data.images {name = options.set, data = options.data, split = split})
  end
  return get "train", get "test"
end

-- Also that there are so many of each class: before hours of training, not after.
local function check_labels(set)
  for _, n in ipairs(options.labels) do
    if n % #set.classes ~= 0 then
      experiment.fail("--labels: %d is no multiple of the %d classes", n, #set.classes)
    elseif options.validation and n >= 1000 then
      experiment.fail("--labels: with --validation fewer than the 1000 reserved, not %d", n)
    end
    if not options.validation then pl.tidy(labels.draw, set, n, 1) end
  end
end

local function check_gamma()
  local gamma = options.gamma
  if gamma and gamma ~= "scale" and not (tonumber(gamma) and tonumber(gamma) > 0) then
    experiment.fail("--gamma: positive number or scale expected, got '%s'", gamma)
  end
end

--
-- Autoencoders
--

local function rows_of(x) return x:reshape(#x, -1) end

-- The bound on a set of images with one sample of each, in nats per image, what it is made of,
-- and how many latent variables are in use (Burda et al. 2016).
local function evaluate(net, set)
  local reconstruction, divergence, means = 0, 0, {}
  net:eval()
  for x in data.batches(set, {batch_size = 1000, shuffle = false}) do
    means[#means + 1] = pl.tidy(pl.no_grad, function()
      local nll, kl, mean = net(rows_of(x))
      reconstruction, divergence = reconstruction + nll:sum():item(), divergence + kl:sum():item()
      return mean
    end)
  end
  net:train()
  local n = #set.labels
  local active = pl.tidy(function()
    return pl.cat(means, 1):var(1):gt(ACTIVE):to("real"):sum():item()
  end)
  return {elbo = -(reconstruction + divergence) / n, reconstruction = reconstruction / n,
          kl = divergence / n, active_units = math.tointeger(active)}
end

-- The factor of the divergence after so many epochs.
local function factor(settings, epochs)
  if epochs >= settings.warmup then return settings.beta end
  return settings.beta * epochs / settings.warmup
end

local function learn(job, net, optimizer, schedule, beta, x)
  local nll, kl = net(rows_of(x))
  local loss = nll:mean() + kl:sum() * (beta / #x)
  job:add("loss", loss:item(), #x)
  optimizer:zero_grad()
  loss:backward()
  optimizer:step()
  schedule:step()
end

local function train_epoch(job, net, optimizer, schedule, settings, set)
  local steps = data.batch_count(set, {batch_size = settings.batch_size})
  for x in job:batches(set, {batch_size = settings.batch_size}) do
    local beta = factor(settings, job.epoch - 1 + job.step / steps)
    pl.tidy(learn, job, net, optimizer, schedule, beta, x)
  end
end

local function train(job, train_set, test_set)
  local settings = network_settings(job.variant)
  settings.pixels = train_set.images:numel() // #train_set.labels
  local net = model.new(settings)
  local optimizer = optim.Adam(net:parameters(), {lr = settings.lr})
  local steps = settings.epochs * data.batch_count(train_set, {batch_size = settings.batch_size})
  local schedule = optim.LambdaLR(optimizer, function(step)
    return settings.decay and 0.5 * (1 + math.cos(math.pi * step / steps)) or 1
  end)
  local shown = train_set
  if #train_set.labels > TRAIN_SHOWN then shown = data.split(train_set, TRAIN_SHOWN) end
  local parts = {model = net, optimizer = optimizer, schedule = schedule}
  job.about = {set = options.set}
  for _ in job:epochs(settings.epochs, parts) do
    train_epoch(job, net, optimizer, schedule, settings, train_set)
    local on_train, on_test = evaluate(net, shown), evaluate(net, test_set)
    job:report {
      loss = job:mean "loss", train_elbo = on_train.elbo, test_elbo = on_test.elbo,
      kl = on_test.kl, reconstruction = on_test.reconstruction,
      active_units = on_test.active_units,
    }
  end
end

-- A network of a file, and the name of the set that it was trained on.
local function read_network(path, set)
  local saved, set_or_message = experiment.load_networks(path, set)
  experiment.must(saved, set_or_message)
  local net, message = model.from_state(saved.model or {})
  if not net then experiment.fail("%s: %s", path, message) end
  return net, set_or_message
end

local function network_path(folder, name)
  return ("%s/%s-%d.safetensors"):format(folder, name, options.seed)
end

-- A trained network: of the run in a folder, or of the one that is reused.
local function trained(folder, name, set)
  local reused = options.reuse and network_path(options.reuse, name)
  if not (reused and pl.file_exists(reused)) then reused = nil end
  return read_network(reused or network_path(folder, name), set)
end

-- That the networks to reuse were trained on the same set: before hours of training, not after.
local function check_reuse()
  for _, name in ipairs(options.reuse and NETWORKS or {}) do
    local path = network_path(options.reuse, name)
    if pl.file_exists(path) then pl.tidy(read_network, path, options.set) end
  end
end

-- The networks of this run, not those that it reuses.
local function trained_here(run)
  local list = {}
  for _, name in ipairs(NETWORKS) do
    if #run:records {variant = name} > 0 then list[#list + 1] = name end
  end
  return list
end

-- The networks that are asked for and those that methods need, without those to reuse.
local function networks_to_train()
  local needed, list = {}, {}
  for _, name in ipairs(options.network) do needed[name] = true end
  for _, name in ipairs(options.method) do needed[variants.methods[name].network or ""] = true end
  for _, name in ipairs(NETWORKS) do
    local there = options.reuse and pl.file_exists(network_path(options.reuse, name))
    if needed[name] and not there then list[#list + 1] = name end
  end
  return list
end

--
-- Machines
--

local function draw_count(n)
  return options.draws or (n <= 100 and 5 or 3)
end

-- All that a method has to do: a list of {labels, draw, key}.
local function tasks_of(method)
  local list = {}
  for _, n in ipairs(options.labels) do
    for draw = 1, draw_count(n) do
      list[#list + 1] = {labels = n, draw = draw, key = ("%s-%d-%d"):format(method, n, draw)}
    end
  end
  return list
end

local function machine_path(run, method, n)
  return run:path(("%s-%d.machine"):format(method, n))
end

-- What all machines of a method share: the images, and what the machines see of them.
local function material(run, method, train_set, test_set)
  local settings = method_settings(method, 0)
  local net = settings.network and trained(run.folder, settings.network, options.set)
  local images = machines.pixels(train_set)
  local encoder = machines.encoder(net, settings.view, images)
  local x, graph = encoder(images), nil
  if settings.transductive and settings.neighbours > 0 and not options.validation then
    graph = svm.neighbours(x, settings.neighbours) -- one for all draws: each has all images
  end
  return {
    train_set = train_set, test_set = test_set, images = images, encoder = encoder, x = x,
    graph = graph, test_x = encoder(machines.pixels(test_set)),
  }
end

-- The part of the test images, or with --validation of the reserved ones, that is named right.
local function accuracy_of(machine, draw, m)
  if not draw.test then return machine:score(m.test_x, m.test_set.labels) end
  return machine:score(m.x:index_select(draw.test, 1), m.train_set.labels[draw.test])
end

local function do_task(run, method, task, m)
  local seed, began = 1000 * options.seed + task.draw, pl.clock()
  local draw_of = options.validation and labels.validation_draw or labels.draw
  local draw = draw_of(m.train_set, task.labels, seed)
  local machine, message = machines.train(m.images, m.x, m.train_set.labels, draw,
    method_settings(method, task.labels), m.encoder, m.graph, seed, task.key)
  if not machine and pl.interrupted() then run:stop() end
  experiment.must(machine, message)
  local err = 100 * (1 - accuracy_of(machine, draw, m))
  if task.draw == 1 then experiment.must(machine:save(machine_path(run, method, task.labels))) end
  local seconds = pl.clock() - began
  run:log {
    variant = method, seed = options.seed, epoch = 1, labels = task.labels, draw = task.draw,
    test_error = err, seconds = seconds,
  }
  run:finish(task.key)
  print(("%s error %.2f %%  %.1f s"):format(task.key, err, seconds))
end

local function compare(run, method, train_set, test_set)
  local left = {}
  for _, task in ipairs(tasks_of(method)) do
    if not run:finished(task.key) then left[#left + 1] = task end
  end
  if #left == 0 then return end
  pl.tidy(function()
    local m = material(run, method, train_set, test_set)
    for _, task in ipairs(left) do
      pl.tidy(do_task, run, method, task, m)
      if pl.interrupted() then run:stop() end
    end
  end)
end

--
-- Results
--

-- The errors of each method, a list for each number of labels.
local function errors(run)
  local rows = {}
  for _, method in ipairs(options.method) do
    local row = {method = method, title = variants.methods[method].title}
    for _, n in ipairs(options.labels) do
      row[n] = {}
      for _, record in ipairs(run:records {variant = method, labels = n}) do
        table.insert(row[n], record.test_error)
      end
    end
    rows[#rows + 1] = row
  end
  return rows
end

local function write_csv(run, rows)
  local lines = {"method,labels,draws,error_mean,error_std"}
  for _, row in ipairs(rows) do
    for _, n in ipairs(options.labels) do
      if #row[n] > 0 then
        local mean, spread = experiment.mean_spread(row[n])
        lines[#lines + 1] = ("%s,%d,%d,%.3f,%s"):format(row.method, n, #row[n], mean,
          spread and ("%.3f"):format(spread) or "")
      end
    end
  end
  run:write("table.csv", table.concat(lines, "\n") .. "\n")
end

local function network_table(run)
  local rows = run:summary {"train_elbo", "test_elbo", "reconstruction", "kl", "active_units",
                            "epoch", "seconds"}
  local shown = {}
  for _, row in ipairs(rows) do
    if variants.networks[row.variant] then shown[#shown + 1] = row end
  end
  if #shown == 0 then return "" end
  return experiment.table(shown, {
    {"variant", title = "autoencoder"}, {"train_elbo", title = "train ELBO", format = "%.2f"},
    {"test_elbo", title = "test ELBO", format = "%.2f"},
    {"reconstruction", format = "%.2f"}, {"kl", title = "divergence", format = "%.2f"},
    {"active_units", title = "active units", format = "%d"},
    {"epoch", title = "epochs", format = "%d"}, {"seconds", format = "%.0f"},
  }) .. "\n"
end

local function error_table(rows)
  local columns = {{"title", title = options.validation and "validation error %" or "test error %"}}
  for _, n in ipairs(options.labels) do
    columns[#columns + 1] = {tostring(n), title = n .. " labels", format = "%.2f"}
  end
  local shown = {}
  for i, row in ipairs(rows) do
    shown[i] = {title = row.title}
    for _, n in ipairs(options.labels) do shown[i][tostring(n)] = row[n] end
  end
  return experiment.table(shown, columns)
end

--
-- Using what was learned
--

local function sample()
  if not options.from then experiment.fail "--sample needs --from NETWORK-SEED.safetensors" end
  local net = read_network(options.from)
  pl.manual_seed(options.seed)
  experiment.must(figures.samples(net):save(options.sample))
end

-- The machine for the most labels in a run's folder, transductive if there is one. The method
-- best is left out, for its inputs are scaled by what the training images are.
local function find_machine(folder)
  for _, method in ipairs {"m1-tsvm", "m1-svm"} do
    local most
    for _, n in ipairs(options.labels) do
      local path = ("%s/%s-%d.machine"):format(folder, method, n)
      if pl.file_exists(path) and n > (most or 0) then most = n end
    end
    if most then return method, ("%s/%s-%d.machine"):format(folder, method, most) end
  end
  experiment.fail("%s has no m1-tsvm-LABELS.machine and no m1-svm-LABELS.machine", folder)
end

local function classify()
  if not options.from then experiment.fail "--classify needs --from, the folder of a run" end
  local picture = experiment.must(pl.image.read(options.classify))
  if picture:dim() ~= 2 or picture:size(1) ~= 28 or picture:size(2) ~= 28 then
    experiment.fail("%s: a grey picture of 28 x 28 pixels expected, got %s", options.classify,
                    table.concat(picture:size(), " x "))
  end
  local method, path = find_machine(options.from)
  local machine = experiment.must(svm.load(path))
  local net, set = trained(options.from, variants.methods[method].network)
  local encoder = machines.encoder(net, variants.methods[method].view)
  local x = encoder(picture:to("real"):reshape(1, 28, 28) / 255)
  print(data.about(set).classes[machine:predict(x)[1]])
end

--
-- The whole
--

local function main()
  if options.sample then return sample() end
  if options.classify then return classify() end
  check_gamma()
  local train_set, test_set = load_data()
  check_labels(train_set)
  check_reuse()
  local run = experiment.open(options)
  print(("%s, %d images to train and %d to test"):format(train_set.name, #train_set.labels,
                                                         #test_set.labels))
  for job in run:jobs {variant = networks_to_train(), seed = options.seed} do
    train(job, train_set, test_set)
  end
  pl.handle_interrupts(true)
  local methods = options.join and {} or options.method
  for _, method in ipairs(methods) do compare(run, method, train_set, test_set) end
  pl.handle_interrupts(false)
  local rows, networks = errors(run), trained_here(run)
  write_csv(run, rows)
  for _, name in ipairs(networks) do
    figures.network(run, name, trained(run.folder, name, options.set), test_set)
  end
  if #networks > 0 then figures.bounds(run, networks, variants.networks) end
  figures.errors(run, rows, options.labels)
  local text = network_table(run) .. error_table(rows)
  run:write("table.txt", text)
  io.write(text)
end

main()
