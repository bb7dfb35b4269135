--- The pictures of the Penn Treebank experiment.

local pl = require "perilune"
local experiment, plot = pl.experiment, pl.plot

local figures = {}

local function save(run, figure, name)
  experiment.must(figure:save(run:path(name .. ".png"), run:path(name .. ".svg")))
end

local function draw_curve(panel, run, variant, field, options)
  local epochs, mean, low, high = run:over_seeds(field, {variant = variant})
  if #epochs == 0 then return end
  panel:line(epochs, mean, options)
  panel:band(epochs, low, high, {alpha = 0.18})
end

-- A line at what a perfect model reaches, if that is known.
local function draw_limit(panel, corpus)
  if not corpus.perplexity then return end
  panel:hline(corpus.perplexity, {label = "a perfect model", style = "dotted"})
end

local function setting_text(settings)
  local text = ("learning rate %g, keep probability %.2g"):format(settings.lr, 1 - settings.dropout)
  if settings.weight_decay == 0 then return text end
  return ("%s, weight decay %g"):format(text, settings.weight_decay)
end

-- The training text is read in evaluation mode only now and then: points without a line.
local function draw_points(panel, run, variant, field, options)
  local epochs, mean = run:over_seeds(field, {variant = variant})
  if #epochs > 0 then panel:scatter(epochs, mean, options) end
end

--- The perplexities of one setting over the epochs.
-- @param run of the experiment
-- @param name of the variant
-- @param settings of the variant
-- @param corpus that it was trained on
function figures.setting(run, name, settings, corpus)
  local figure = plot.figure {width = 560, height = 360}
  local panel = figure:panel {
    title = ("%s: %s"):format(settings.title, setting_text(settings)),
    x_label = "epoch", y_label = "perplexity", y_scale = "log",
  }
  draw_points(panel, run, name, "train_perplexity", {label = "train", color = 1})
  draw_curve(panel, run, name, "learning_perplexity",
             {label = "train, as it learns", color = 1, style = "dashed"})
  draw_curve(panel, run, name, "valid_perplexity", {label = "validation", color = 3})
  draw_curve(panel, run, name, "test_perplexity", {label = "test", color = 2})
  draw_limit(panel, corpus)
  save(run, figure, name)
end

--- A picture of each setting, and one of all together.
-- @param run of the experiment
-- @param names in the order of the legend
-- @param settings_of function(name) that gives the settings
-- @param corpus that they were trained on
function figures.curves(run, names, settings_of, corpus)
  local all = plot.figure {columns = 2, width = 860, height = 360,
                           title = "Language models of " .. corpus.name}
  local axes = {x_label = "epoch", y_label = "perplexity", y_scale = "log"}
  for _, split in ipairs {{"valid", "Validation"}, {"test", "Test"}} do
    axes.title = split[2]
    local panel = all:panel(axes)
    for i, name in ipairs(names) do
      draw_curve(panel, run, name, split[1] .. "_perplexity",
                 {label = settings_of(name).title, color = i})
    end
    draw_limit(panel, corpus)
  end
  save(run, all, "all")
  for _, name in ipairs(names) do
    if #run:records {variant = name} > 0 then
      figures.setting(run, name, settings_of(name), corpus)
    end
  end
end

return figures
