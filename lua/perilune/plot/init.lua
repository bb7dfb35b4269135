--- Plots: figures of panels with marks, saved as PNG, SVG or PDF.
--
--     local plot = require "perilune.plot"
--     local fig = plot.figure {title = "Training"}
--     local p = fig:panel {x_label = "epoch", y_label = "loss", y_scale = "log"}
--     p:line(train_losses, {label = "train", style = "dashed"})
--     p:line(test_losses, {label = "test", marker = "circle"})
--     assert(fig:save("loss.png", "loss.pdf"))
--
-- A figure holds panels in rows and columns, a panel holds marks: `line`, `scatter`, `errorbar`,
-- `band`, `bar`, `hist`, `hline`, `vline`, `text`, `heatmap`, `images` (see
-- perilune.plot.panel). Margins, ticks and the place of the legend are found when the figure is
-- saved. docs/gallery.lua shows every mark.
--
-- One panel with one mark needs a single call:
--
--     plot.line(losses, {title = "Loss", x_label = "epoch"}):save("loss.png")
-- @module perilune.plot

local words = require "perilune.internal.words"
local Figure = require "perilune.plot.figure"
local Panel = require "perilune.plot.panel"
local read = require "perilune.plot.read"
local unknown = require "perilune.internal.unknown"

local plot = {}

--- Colours and measures, which a script may change: `palette`, `line_width`, `tick_size` and
-- others, see theme.lua.
plot.theme = unknown.guard("pl.plot.theme", require "perilune.plot.theme")

--- A figure.
--
-- `figure:panel(options)` adds a panel, left to right and row by row. Its options: `title`,
-- `x_label`, `y_label`; `x_scale` and `y_scale` ("linear", "log"); `x_limits` and `y_limits`,
-- {low, high}, where either may be missing and the larger may come first; `x_ticks` and
-- `y_ticks`, lists of numbers; `x_format` and `y_format`, such as "%.0f %%" or a function;
-- `legend`, true for the emptiest corner, or beside the panel if there is none (the default),
-- "top right", "top left", "bottom right", "bottom left", "outside", or false; `grid`, true,
-- "x", "y" or false; `span`, how many columns the panel takes.
--
-- `figure:save("a.png", "a.svg", "a.pdf")` writes files and gives true, or nil and a message;
-- `figure:pixels(scale)` gives the picture as a uint8 tensor [h, w, 3].
-- @param options `width` and `height` in points (as much as the panels need); `columns`
--   and `rows` of panels; `widths` and `heights`, relative sizes of these; `title`; `scale`,
--   pixels for a point in PNG files (2)
-- @return the figure
plot.figure = Figure.new

local page_options = {width = true, height = true, scale = true}

-- Options of a page, a panel and a mark, from one table.
local function sort_options(who, options)
  local page, panel, mark, known = {}, {}, {}, {}
  for _, group in ipairs {page_options, Panel.known_options, Panel.mark_options[who]} do
    for name in next, group do known[name] = true end
  end
  for _, name in ipairs(words.sorted_keys(options)) do
    if not known[name] then read.unknown_option(who, name, known) end
    local group = page_options[name] and page or Panel.known_options[name] and panel or mark
    group[name] = options[name]
  end
  return page, panel, mark
end

--- Figures of one panel with one mark: `plot.line(xs, ys, options)` and so on. The arguments
-- are those of the panel's method; the options may also be those of the panel, and the page's
-- `width`, `height` and `scale`.
for name in next, Panel.mark_options do
  plot[name] = function(...)
    local arguments = table.pack(...)
    local last = arguments[arguments.n]
    local page, panel, mark
    if type(last) == "table" and not read.is_data(last) then
      page, panel, mark = sort_options(name, last)
      arguments[arguments.n] = next(mark) and mark or nil
    end
    local fig = Figure.new(page)
    local p = fig:panel(panel)
    p[name](p, table.unpack(arguments, 1, arguments.n))
    return fig
  end
end

return unknown.guard("pl.plot", plot)
