--- The pictures of the GAN experiment.

local pl = require "perilune"
local experiment, plot = pl.experiment, pl.plot
local model = require "model"
local quality = require "quality"
local variants = require "variants"

local figures = {}

local NAMES <const> = {"dcgan", "wgan-gp"}
local SEED <const> = 3 -- of the noise of all images here

local function save(run, figure, name)
  experiment.must(figure:save(run:path(name .. ".png"), run:path(name .. ".svg")))
end

--
-- Curves
--

-- The iterations in which a field was measured, and its values, times a factor.
local function values_of(records, field, factor)
  local iterations, values = {}, {}
  for _, record in ipairs(records) do
    if record[field] then
      iterations[#iterations + 1] = record.iteration
      values[#values + 1] = (factor or 1) * record[field]
    end
  end
  return iterations, values
end

-- The mean of each value and its neighbours: of a hundredth of all on each side, as far as there
-- are so many.
local function smoothed(values)
  local reach, sums, means = math.max(1, #values // 100), {[0] = 0}, {}
  for i, value in ipairs(values) do sums[i] = sums[i - 1] + value end
  for i = 1, #values do
    local first, last = math.max(1, i - reach), math.min(#values, i + reach)
    means[i] = (sums[last] - sums[first - 1]) / (last - first + 1)
  end
  return means
end

-- A curve of every iteration: faint, and smoothed in front of it.
local function draw_noisy(panel, records, field, options)
  local iterations, values = values_of(records, field, options.factor)
  if #values == 0 then return end
  panel:line(iterations, values, {color = options.color, alpha = 0.25, width = 0.6})
  panel:line(iterations, smoothed(values), {color = options.color, label = options.label})
end

local function draw_losses(run, seed)
  local dcgan = run:records {variant = "dcgan", seed = seed}
  local wgan = run:records {variant = "wgan-gp", seed = seed}
  local panels = (#dcgan > 0 and 1 or 0) + (#wgan > 0 and 3 or 0)
  if panels == 0 then return end
  local columns = math.min(panels, 2)
  local figure = plot.figure {columns = columns, width = 430 * columns,
                              height = panels > 2 and 560 or 330, title = "Losses"}
  local function panel(title)
    return figure:panel {title = title, x_label = "iteration"}
  end
  if #dcgan > 0 then
    local losses = panel "DCGAN: cross-entropy"
    draw_noisy(losses, dcgan, "d_loss", {label = "discriminator", color = 1})
    draw_noisy(losses, dcgan, "g_loss", {label = "generator", color = 2})
    losses:hline(2 * math.log(2), {label = "2 ln 2", style = "dotted"})
  end
  if #wgan > 0 then
    local losses = panel "WGAN-GP: negative critic loss, and generator loss"
    draw_noisy(losses, wgan, "d_loss", {label = "- critic", color = 1, factor = -1})
    draw_noisy(losses, wgan, "g_loss", {label = "generator", color = 2})
    local norm = panel "WGAN-GP: norm of the critic's gradient"
    draw_noisy(norm, wgan, "gradient_norm", {color = 4})
    norm:hline(1, {style = "dotted"})
    local penalty = panel "WGAN-GP: gradient penalty"
    draw_noisy(penalty, wgan, "penalty", {color = 5})
  end
  save(run, figure, "losses")
end

-- The quality over the iterations, beside that of real images.
local function draw_quality(run, seed, scale)
  local figure = plot.figure {columns = 2, width = 860, height = 330,
                              title = "Quality of the images"}
  local distance = figure:panel {title = "Fréchet distance to the test images",
                                 x_label = "iteration", y_scale = "log"}
  local share = figure:panel {title = "Share of the rarest class", x_label = "iteration",
                              y_label = "%", y_limits = {0, 10}}
  for i, name in ipairs(NAMES) do
    local records, title = run:records {variant = name, seed = seed}, variants[name].title
    local iterations, values = values_of(records, "frechet")
    if #values > 0 then
      distance:line(iterations, values, {label = title, color = i, marker = "circle"})
      local _, last = values_of(records, "frechet_last")
      distance:line(iterations, last, {color = i, style = "dashed", alpha = 0.6, width = 1,
                                       label = title .. ", last weights"})
      local _, shares = values_of(records, "smallest_share", 100)
      share:line(iterations, shares, {label = title, color = i, marker = "circle"})
    end
  end
  for i, row in ipairs(scale) do
    if row.frechet > 1e-3 then
      distance:hline(row.frechet, {label = row.variant, style = "dotted", color = #NAMES + i})
    end
  end
  share:hline(4, {label = "4 %", style = "dotted"})
  save(run, figure, "quality")
end

--- The losses of both variants, and the quality of their images.
-- @param run of the experiment
-- @param seed of the jobs to show
-- @param scale what `quality.scale` gave
function figures.curves(run, seed, scale)
  draw_losses(run, seed)
  draw_quality(run, seed, scale)
end

--- Whether images of an iteration are kept for the film: those of 25, 50, 100, 200, ... and of
-- the last.
-- @param i iteration
-- @param n number of iterations
-- @return boolean
function figures.is_on_film(i, n)
  if i == n then return true end
  while i % 2 == 0 and i > 25 do i = i // 2 end
  return i == 25
end

--- Images of the same noise at some iterations, a row for each.
-- @param run of the experiment
-- @param key of the job
-- @param variant of the job
-- @param film list of `{iteration = , images = uint8 [n, h, w]}`
function figures.film(run, key, variant, film)
  local figure = plot.figure {columns = 1, width = 480,
                              title = variants[variant].title .. ", the same noise"}
  for _, frame in ipairs(film) do
    figure:panel {title = ("iteration %d"):format(frame.iteration)}
      :images(frame.images, {columns = #frame.images})
  end
  save(run, figure, key .. "-film")
end

--
-- Images of trained generators
--

local function each(nets, visit)
  for _, name in ipairs(NAMES) do
    if nets[name] then visit(nets[name], variants[name].title) end
  end
end

-- A panel of pictures for each network: `draw` is called with the panel and the network.
local function draw_panels(run, nets, name, title, draw)
  local n = 0
  each(nets, function() n = n + 1 end)
  local figure = plot.figure {columns = n, width = 430 * n, title = title}
  each(nets, function(net, net_title) draw(figure:panel {title = net_title}, net) end)
  save(run, figure, name)
end

-- The first n rows of each class, in the order of their numbers.
local function first_of_classes(classes, n)
  local rows = {}
  for i, class in ipairs(classes:totable()) do
    local list = rows[class] or {}
    rows[class] = list
    if #list < n then list[#list + 1] = i end
  end
  return rows
end

-- For each source of images, the first two of each class: not the best ones. The judge says of
-- which class an image is; of the real ones it is known.
local function sources_of(nets, judge, test)
  local sources = {}
  each(nets, function(net, title)
    local images = model.images(net, model.noise(1000, SEED))
    local _, probabilities = judge:look(images)
    sources[#sources + 1] = {title = title, images = images,
                             rows = first_of_classes(probabilities:argmax(-1), 2)}
  end)
  sources[#sources + 1] = {title = "real", images = test.images,
                           rows = first_of_classes(test.labels, 2)}
  return sources
end

local function draw_side_by_side(run, nets, judge, test)
  local figure = plot.figure {columns = 5, width = 860,
                              title = "Two images of each label: generated, and real"}
  local sources = sources_of(nets, judge, test)
  for class, name in ipairs(test.classes) do
    local images, titles = {}, {}
    for _, source in ipairs(sources) do
      for i = 1, 2 do
        local row = (source.rows[class] or {})[i]
        images[#images + 1] = row and source.images[row] or pl.full({28, 28}, 0.93)
        titles[#titles + 1] = row and source.title or source.title .. ": none"
      end
    end
    figure:panel {title = name}:images(images, {columns = 2, titles = titles})
  end
  save(run, figure, "side-by-side")
end

local function draw_samples(run, nets)
  draw_panels(run, nets, "samples", nil, function(panel, net)
    panel:images(model.images(net, model.noise(100, SEED)), {columns = 10})
  end)
end

-- From one noise vector to another along the sphere on which such noise lies.
local function between(a, b, steps)
  local cosine = ((a * b):sum() / (a:norm() * b:norm())):item()
  local angle, rows = math.acos(cosine), {}
  for i = 0, steps - 1 do
    local t = i / (steps - 1)
    rows[i + 1] = a * (math.sin((1 - t) * angle) / math.sin(angle))
      + b * (math.sin(t * angle) / math.sin(angle))
  end
  return pl.stack(rows, 1)
end

local function draw_interpolation(run, nets)
  local rows, steps, paths = 8, 10, {}
  local ends = model.noise(2 * rows, SEED)
  for i = 1, rows do paths[i] = between(ends[2 * i - 1], ends[2 * i], steps) end
  draw_panels(run, nets, "interpolation", "From one noise to another", function(panel, net)
    panel:images(model.images(net, pl.cat(paths, 1)), {columns = steps})
  end)
end

local function draw_neighbours(run, nets, train)
  local n, k = 12, 4
  draw_panels(run, nets, "neighbours", "Samples and the training images nearest to them",
              function(panel, net)
    local images, list, titles = model.images(net, model.noise(n, SEED)), {}, {}
    local nearest = quality.nearest(images, train, k):totable()
    for i = 1, n do
      list[#list + 1], titles[#titles + 1] = images[i], "sample"
      for j = 1, k do
        list[#list + 1], titles[#titles + 1] = train.images[nearest[i][j]], ""
      end
    end
    panel:images(list, {columns = 2 * (k + 1), titles = titles})
  end)
end

--- Images of the trained generators: samples, two of each class beside real ones, ways between
-- them, and the training images that are nearest.
-- @param run of the experiment
-- @param nets generators by variant
-- @param judge that says of which class an image is
-- @param train set
-- @param test set
function figures.images(run, nets, judge, train, test)
  if not next(nets) then return end
  draw_samples(run, nets)
  draw_side_by_side(run, nets, judge, test)
  draw_interpolation(run, nets)
  draw_neighbours(run, nets, train)
end

return figures
