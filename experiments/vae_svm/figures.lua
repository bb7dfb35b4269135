--- The pictures of the experiment.

local pl = require "perilune"
local embed = require "embed"
local experiment, plot = pl.experiment, pl.plot

local figures = {}

local SIDE <const> = 28
local EMBEDDED <const> = 1500 -- test images in the view of the latent space

local function save(run, figure, name)
  experiment.must(figure:save(run:path(name .. ".png"), run:path(name .. ".svg")))
end

local function fields(records, name)
  local epochs, values = {}, {}
  for i, record in ipairs(records) do epochs[i], values[i] = record.epoch, record[name] end
  return epochs, values
end

-- The means of p(x|z) as images.
local function decoded(net, z)
  return pl.no_grad(function()
    return pl.sigmoid(net:decode(z)):reshape(#z, SIDE, SIDE)
  end)
end

local function pixels(set, rows)
  local images = set.images:index_select(pl.tensor(rows, "int32"), 1)
  return images:to("real"):reshape(#rows, -1) / 255
end

local function codes(net, x)
  return pl.no_grad(function() return (net:encode(x)) end)
end

-- The first rows of each class, n of each.
local function rows_of_classes(set, n)
  local rows, of = {}, set.labels:totable()
  for class = 1, #set.classes do
    local found = 0
    for row, label in ipairs(of) do
      if label == class and found < n then rows[#rows + 1], found = row, found + 1 end
    end
  end
  return rows
end

-- Where the axis of the bound begins: the first tenth of the epochs, in which the bound grows
-- fastest, may lie below.
local function lowest(run, names)
  local low = math.huge
  for _, name in ipairs(names) do
    local _, test = fields(run:records {variant = name}, "test_elbo")
    low = math.min(low, test[math.max(1, #test // 10)])
  end
  return low
end

--- The bound over the epochs, of all networks, and its second term.
-- @param run of the experiment
-- @param names of the networks
-- @param settings of these by name
function figures.bounds(run, names, settings)
  local figure = plot.figure {columns = 2, width = 820, height = 350,
                              title = "Evidence lower bound of the autoencoders"}
  local bound = figure:panel {title = "Bound", x_label = "epoch", y_label = "nats per image",
                              y_limits = {lowest(run, names)}}
  local parts = figure:panel {title = "Divergence of the posterior, test images",
                              x_label = "epoch", y_label = "nats per image"}
  for i, name in ipairs(names) do
    local records, title = run:records {variant = name}, settings[name].title
    local epochs, test = fields(records, "test_elbo")
    local _, train = fields(records, "train_elbo")
    local _, divergence = fields(records, "kl")
    bound:line(epochs, train, {label = title .. ", train", color = i, style = "dashed"})
    bound:line(epochs, test, {label = title .. ", test", color = i})
    parts:line(epochs, divergence, {label = title, color = i})
  end
  save(run, figure, "elbo")
end

--- Images that do not exist.
-- @param net autoencoder
-- @return the figure
function figures.samples(net)
  local z = pl.randn(100, net.mean.weight:size(1))
  local figure = plot.figure {width = 460}
  figure:panel {title = "Drawn from the prior"}:images(decoded(net, z), {columns = 10})
  return figure
end

local function draw_reconstructions(run, name, net, set)
  local rows = rows_of_classes(set, 2)
  local x = pixels(set, rows)
  local images = pl.cat({x:reshape(#rows, SIDE, SIDE), decoded(net, codes(net, x))}, 1)
  local figure = plot.figure {width = 820}
  figure:panel {title = "Test images, and what is left of them after the latent variables"}
    :images(images, {columns = #rows})
  save(run, figure, name .. "-reconstructions")
end

-- From one image to another along a straight line between their codes.
local function draw_walk(run, name, net, set)
  local steps, rows = 12, rows_of_classes(set, 1)
  local images = {}
  for _, pair in ipairs {{1, 4}, {2, 10}, {7, 5}, {6, 8}, {9, 3}} do
    local ends = codes(net, pixels(set, {rows[pair[1]], rows[pair[2]]}))
    local t = pl.linspace(0, 1, steps):reshape(-1, 1)
    local z = ends:slice(1, 1, 1) * (1 - t) + ends:slice(1, 2, 1) * t
    images[#images + 1] = decoded(net, z)
  end
  local figure = plot.figure {width = 640}
  figure:panel {title = "From one image to another, in equal steps between their codes"}
    :images(pl.cat(images, 1), {columns = steps})
  save(run, figure, name .. "-walk")
end

local function draw_latent_space(run, name, net, set)
  local n = math.min(EMBEDDED, #set.labels // 2)
  local rows = pl.arange(1, n, "int32"):totable()
  local points = embed.tsne(codes(net, pixels(set, rows)), {seed = 1})
  local figure = plot.figure {width = 640, height = 480}
  figure:panel {title = ("Codes of %d test images in two dimensions (t-SNE)"):format(n),
                x_ticks = {}, y_ticks = {}, legend = "outside"}
    :scatter(points:select(2, 1), points:select(2, 2),
             {classes = set.labels:slice(1, 1, n), labels = set.classes, alpha = 0.8})
  save(run, figure, name .. "-latent")
end

--- What one network has learned: reconstructions, samples, a walk, the latent space.
-- @param run of the experiment
-- @param name of the network
-- @param net the network
-- @param set test images
function figures.network(run, name, net, set)
  pl.tidy(function()
    pl.manual_seed(1)
    draw_reconstructions(run, name, net, set)
    save(run, figures.samples(net), name .. "-samples")
    draw_walk(run, name, net, set)
    draw_latent_space(run, name, net, set)
  end)
end

--- The error of each method against the number of labels, mean and standard deviation.
-- @param run of the experiment
-- @param rows list of tables: `title`, and a list of errors under each number of labels
-- @param counts list of the numbers of labels
function figures.errors(run, rows, counts)
  local figure = plot.figure {width = 600, height = 400}
  local panel = figure:panel {
    title = "Test error against the number of labels", x_label = "labels", y_label = "%",
    x_scale = "log", x_ticks = counts, x_format = "%.0f",
  }
  for i, row in ipairs(rows) do
    local labels, means, spreads = {}, {}, {}
    for _, n in ipairs(counts) do
      if #row[n] > 0 then
        local mean, spread = experiment.mean_spread(row[n])
        table.insert(labels, n)
        table.insert(means, mean)
        table.insert(spreads, spread or 0)
      end
    end
    panel:line(labels, means, {color = i, label = row.title})
    panel:errorbar(labels, means, spreads, {color = i})
  end
  save(run, figure, "errors")
end

return figures
