--- The pictures of the LeNet-5 experiment.

local pl = require "perilune"
local experiment, plot = pl.experiment, pl.plot

local figures = {}

local function save(run, figure, name)
  experiment.must(figure:save(run:path(name .. ".png"), run:path(name .. ".svg")))
end

local function draw_curve(panel, run, variant, field, options)
  local epochs, mean, low, high = run:over_seeds(field, {variant = variant})
  panel:line(epochs, mean, options)
  panel:band(epochs, low, high, {alpha = 0.18})
end

--- Accuracy and loss of each setting by itself, and the test accuracy of all together.
-- @param run of the experiment
-- @param variants table of settings by name
-- @param names in the order of the legend
-- @param set the title of the set of images
function figures.curves(run, variants, names, set)
  local all = plot.figure {
    columns = 2, width = 760, height = 330, title = "LeNet-5 on " .. set}
  local accuracy = all:panel {title = "Test accuracy", x_label = "epoch", y_label = "%"}
  local loss = all:panel {title = "Training loss", x_label = "epoch", y_scale = "log"}
  for i, name in ipairs(names) do
    local title = variants[name].title
    if #run:records {variant = name} > 0 then
      draw_curve(accuracy, run, name, "test_accuracy", {label = title, color = i})
      draw_curve(loss, run, name, "train_loss", {label = title, color = i})
      figures.setting(run, name, title)
    end
  end
  save(run, all, "all")
end

--- Train and test accuracy, and both losses, of one setting.
-- @param run of the experiment
-- @param name of the setting
-- @param title to show
function figures.setting(run, name, title)
  local figure = plot.figure {columns = 2, width = 760, height = 300, title = "LeNet-5, " .. title}
  local accuracy = figure:panel {title = "Accuracy", x_label = "epoch", y_label = "%"}
  draw_curve(accuracy, run, name, "train_accuracy", {label = "train", color = 1})
  draw_curve(accuracy, run, name, "test_accuracy", {label = "test", color = 2})
  local loss = figure:panel {title = "Loss", x_label = "epoch", y_scale = "log"}
  draw_curve(loss, run, name, "train_loss", {label = "train, as it learns", color = 1})
  draw_curve(loss, run, name, "test_loss", {label = "test", color = 2})
  save(run, figure, name)
end

local function confusion(predicted, labels, classes)
  local rows = {}
  for i = 1, classes do
    rows[i] = {}
    for j = 1, classes do rows[i][j] = 0 end
  end
  for i, label in ipairs(labels) do
    rows[label][predicted[i]] = rows[label][predicted[i]] + 1
  end
  return rows
end

--- The confusion matrix, and the images on which the network is most sure and wrong.
-- @param run of the experiment
-- @param name of the setting
-- @param logits of all test images
-- @param set the test images
function figures.mistakes(run, name, logits, set)
  local classes = set.classes
  local probability = pl.no_grad(pl.softmax, logits)
  local sure, class = probability:max(2)
  local predicted, labels = class:totable(), set.labels:totable()

  local matrix = plot.figure {width = 560, height = 520}
  matrix:panel {title = "What the network says of each image, " .. name,
                x_label = "network", y_label = "truth"}
    :heatmap(confusion(predicted, labels, #classes),
             {rows = classes, columns = classes, annotate = "%d", colormap = "blues"})
  save(run, matrix, name .. "-confusion")

  local images, titles = {}, {}
  local _, order = sure:sort(1, true)
  for _, i in ipairs(order:totable()) do
    if predicted[i] ~= labels[i] and #images < 40 then
      images[#images + 1] = set.images[i]
      titles[#titles + 1] = ("%s\n%s %.0f %%"):format(classes[labels[i]], classes[predicted[i]],
                                                     100 * sure[i])
    end
  end
  local grid = plot.figure {width = 760, height = 440}
  local title = "The worst mistakes, " .. name .. ": the truth, and what the network is sure of"
  grid:panel {title = title}
    :images(images, {columns = 10, titles = titles})
  save(run, grid, name .. "-mistakes")
end

return figures
