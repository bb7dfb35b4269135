--- Every mark on one page, and how each is made: perilune docs/gallery.lua
--
-- Writes gallery.png beside this file. The data are drawn at random, from a fixed seed.

local pl = require "perilune"
local plot = require "perilune.plot"

local folder = arg[0]:match("^(.*)/") or "."
pl.manual_seed(3)

-- Numbers x1, ..., xn from a function of 1, ..., n with a little noise.
local function curve(n, noise, f)
  local wobble, values = pl.randn(n):totable(), {}
  for i = 1, n do values[i] = f(i) * math.exp(noise * wobble[i]) end
  return values
end

-- A page of three columns. Sizes of rows and columns are relative; margins, ticks and the
-- height of the page are found from what is on it. `width` and `height` are in points.
local fig = plot.figure {title = "Gallery", columns = 3, width = 940, heights = {1, 1, 1.5}}

-- Lines: each gets the next colour of the palette unless it asks for one. Train and test of
-- a setting share a colour here, so only one of them has a label.
do
  local p = fig:panel {title = "line", x_label = "epoch", y_label = "loss", y_scale = "log"}
  for k, name in ipairs {"SGD", "momentum", "Adam"} do
    local train = curve(20, 0.04, function(i) return 2.3 * math.exp(-i * k / 14) + 0.05 end)
    local test = curve(20, 0.04, function(i) return 2.3 * math.exp(-i * k / 15) + 0.12 end)
    p:line(train, {color = k, style = "dashed", width = 1.2})
    p:line(test, {color = k, label = name})
  end
end

-- A band around a line takes the colour of the series before it. NaN leaves a gap. Lines
-- across the panel and text comment on the data.
do
  local p = fig:panel {title = "band, hline, vline, text", x_label = "epoch",
    y_label = "perplexity"}
  for _, height in ipairs {420, 340} do
    local mean = curve(30, 0.02, function(i) return 80 + height * math.exp(-i / 6) end)
    local low, high = {}, {}
    for i, v in ipairs(mean) do low[i], high[i] = 0.9 * v - 4, 1.1 * v + 4 end
    p:line(mean, {label = height > 400 and "LSTM" or "GRU"}):band(nil, low, high)
  end
  p:hline(92, {label = "required"})
  p:vline(15):text(15.5, 330, "learning rate\nhalved")
end

-- Markers on lines, limits, formats of the tick labels. `y_limits = {nil, 100}` would leave
-- the lower end to the data.
do
  local p = fig:panel {title = "markers and styles", x_label = "images per class", x_scale = "log",
    y_label = "accuracy", y_format = "%d %%", y_limits = {50, 100}, grid = "y"}
  local sizes = {10, 30, 100, 300, 1000, 3000}
  local markers = {"circle", "square", "triangle", "diamond"}
  for k, marker in ipairs(markers) do
    local accuracy = curve(#sizes, 0.01, function(i) return 95 - 30 / i - 3 * k end)
    p:line(sizes, accuracy,
      {marker = marker, style = k > 2 and "dotted" or "solid", label = marker})
  end
end

-- Points: `classes` gives each class its colour, `labels` their names. `classes` and data may be
-- tensors as well as lists.
do
  local p = fig:panel {title = "scatter", x_label = "z₁", y_label = "z₂", legend = "outside"}
  local n, classes = 1500, {}
  for i = 1, n do classes[i] = i % 5 + 1 end
  local angle = pl.tensor(classes) * (2 * math.pi / 5)
  p:scatter(pl.cos(angle) * 3 + pl.randn(n), pl.sin(angle) * 3 + pl.randn(n),
    {classes = classes, labels = {"Dress", "Coat", "Sandal", "Shirt", "Bag"}})
end

-- Points with error bars: a number, or one for each point.
do
  local p = fig:panel {title = "errorbar", x_label = "width", y_label = "accuracy", x_scale = "log"}
  p:errorbar({8, 16, 32, 64, 128, 256}, {.79, .84, .87, .885, .89, .892},
    {.02, .015, .01, .008, .005, .006}, {label = "LeNet-5"})
  p:errorbar({8, 16, 32, 64, 128, 256}, {.74, .79, .83, .85, .862, .87}, 0.01,
    {label = "MLP", marker = "square"})
end

-- Histograms of one panel share their bins. `bins` sets their number or edges, `density` makes
-- areas comparable.
do
  local p = fig:panel {title = "hist", x_label = "output of the critic", y_label = "density"}
  p:hist(pl.randn(3000), {label = "drawn", density = true})
  p:hist(pl.randn(1000) * 0.6 + 1.5, {label = "real", density = true})
end

-- Bars: the bars of several calls stand side by side over the same categories.
do
  local p = fig:panel {title = "bar", y_label = "test accuracy (%)", y_limits = {70, 100}}
  local networks = {"linear", "MLP", "LeNet-5"}
  p:bar(networks, {84.3, 88.4, 90.9}, {label = "plain", error = 0.4, annotate = "%.1f"})
  p:bar(networks, {83.1, 88.7, 92.6}, {label = "augmented", error = {0.6, 0.4, 0.3},
    annotate = "%.1f"})
end

-- A matrix with labels, numbers in its cells and a bar that explains the colours. The colour
-- maps are "aurora", "blues" and "grays".
local set = pl.data.synthetic {n = 8, seed = 5}
do
  local p = fig:panel {title = "heatmap", x_label = "predicted", y_label = "true"}
  local counts = pl.floor(pl.rand(10, 10) ^ 4 * 60):totable()
  for i = 1, 10 do counts[i][i] = 900 - 17 * i end
  p:heatmap(counts, {rows = set.classes, columns = set.classes, annotate = "%d",
    colormap = "blues"})
end

-- Images keep square pixels. Captions may have several lines, and colours of their own.
do
  local titles, colors = {}, {}
  for i = 1, #set.labels do
    local right = i % 5 ~= 3
    local guess = set.classes[right and set.labels[i] or set.labels[i] % 10 + 1]
    titles[i] = ("%s\n%d %%"):format(guess, 99 - i)
    colors[i] = right and "green" or "red"
  end
  fig:panel({title = "images"}):images(set.images, {titles = titles, title_color = colors})
end

-- The ends of the names say how to save: .png, .svg or .pdf; several at once are fine.
assert(fig:save(folder .. "/gallery.png"))
