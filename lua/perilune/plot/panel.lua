--- Panels: one pair of axes and the marks on it. See perilune.plot for an overview.
--
-- Every method that adds a mark gives the panel back, so that calls chain. Data are lists or
-- tensors of one dimension and are copied; NaN and infinity leave gaps. Options that most
-- marks know: `label`, the text in the legend; `color`, a name ("blue"), "#rrggbb", the number
-- of a palette colour or {r, g, b}; `alpha`, the opacity.
-- @module perilune.plot.panel

local complain = require("perilune.internal.blame").complain
local object = require "perilune.internal.object"
local check = require "perilune.internal.check"
local unwrapped = check.unwrapped
local bins = require "perilune.plot.bins"
local legend = require "perilune.plot.legend"
local marks = require "perilune.plot.marks"
local read = require "perilune.plot.read"
local scale = require "perilune.plot.scale"
local theme = require "perilune.plot.theme"


local Panel = object.class "panel"
Panel.__name = "perilune.plot.panel"

--
-- Panels
--

local function read_legend(who, name, value)
  if type(value) == "boolean" then return value end
  return read.word(who, name, value, legend.places)
end

local function read_grid(who, name, value)
  if type(value) == "boolean" then return value end
  return read.word(who, name, value, {"x", "y"})
end

local kind_of_scale = read.one_of {"linear", "log"}

local panel_options = {
  title = read.text, x_label = read.text, y_label = read.text,
  x_limits = read.limits, y_limits = read.limits, x_scale = kind_of_scale,
  y_scale = kind_of_scale, x_ticks = read.places, y_ticks = read.places, x_format = read.format,
  y_format = read.format, legend = read_legend, grid = read_grid, span = read.count,
}

--- The options of a panel, by name.
Panel.known_options = panel_options

local function check_log_limits(who, options, name)
  local limits = options[name .. "_limits"]
  if options[name .. "_scale"] ~= "log" or not limits then return end
  if (limits[1] or 1) < 1e-300 or (limits[2] or 1) < 1e-300 then
    complain("%s: %s_limits: positive numbers expected on a log axis", who, name)
  end
end

--- A panel without marks; scripts call `figure:panel`.
function Panel.new(who, options)
  local o = read.options(who, options, panel_options)
  check_log_limits(who, o, "x")
  check_log_limits(who, o, "y")
  o.x_scale, o.y_scale = o.x_scale or "linear", o.y_scale or "linear"
  return setmetatable({options = o, marks = {}, colors = 0}, Panel)
end

-- Kinds of which a panel has one, and that stand alone or below others.
local alone = {images = true}

local function add(panel, kind, mark)
  for _, other in ipairs(panel.marks) do
    if kind == other.kind and (kind == "images" or kind == "heatmap") then
      complain("%s: the panel has one already", kind)
    elseif alone[kind] or alone[other.kind] then
      complain("%s: a panel with images has no other marks", kind)
    end
  end
  mark.kind = kind
  panel.marks[#panel.marks + 1] = mark
  return panel
end

-- The colour asked for, or the next one of the palette; remembered for a band that follows.
local function series_color(panel, wanted)
  if not wanted then
    panel.colors = panel.colors + 1
    wanted = panel.colors
  end
  panel.latest_color = wanted
  return wanted
end

--
-- Arguments
--

local function joined(base, more)
  local all = {}
  for name, value in next, base do all[name] = value end
  for name, value in next, more do all[name] = value end
  return all
end

local common = {label = read.text, color = read.color, alpha = read.fraction}
local pen = joined(common, {
  style = read.one_of(marks.styles), width = read.positive,
})
local marker = {marker = read.one_of(marks.markers), size = read.positive}

-- (y, options) and (x, y, options) both become x, y, options.
local function shift(x, y, options)
  if y ~= nil and options == nil and type(y) == "table" and not read.is_data(y) then
    return nil, x, y
  elseif y == nil then
    return nil, x, options
  end
  return x, y, options
end

-- A category as text: 2.0 is "2".
local function category(who, what, value)
  if math.type(value) == "float" then return ("%.6g"):format(value) end
  return read.text(who, what, value)
end

-- The places of categories on the axis; unknown ones are added at its end.
local function category_places(panel, who, what, values)
  if panel.options.x_scale == "log" then complain("%s: a log axis has no categories", who) end
  panel.categories = panel.categories or {}
  local places = {}
  local known = {}
  for i, name in ipairs(panel.categories) do known[name] = i end
  for i = 1, #values do
    local name = category(who, ("%s[%d]"):format(what, i), values[i])
    if not known[name] then
      panel.categories[#panel.categories + 1] = name
      known[name] = #panel.categories
    end
    places[i] = known[name]
  end
  return places
end

local function counted(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

-- Values of x: numbers, names of categories, or nil for 1 to n.
local function read_x(panel, who, values, n)
  if values == nil then return counted(n) end
  if type(values) == "table" and type(values[1]) == "string" then
    return category_places(panel, who, "x", values)
  end
  return read.list(who, "x", values)
end

local function read_xy(panel, who, x, y)
  local ys = read.list(who, "y", y)
  local xs = read_x(panel, who, x, #ys)
  read.same_length(who, "x", xs, "y", ys)
  return xs, ys
end

--
-- Marks of points
--

local line_options = joined(pen, marker)

--- A line through points.
-- @param xs numbers or names of categories; `p:line(ys)` counts from 1
-- @param ys numbers
-- @param options `label`, `color`, `alpha`, `style` ("solid", "dashed", "dotted"), `width` in
--   points, `marker` ("circle", "square", "triangle", "diamond", "cross", "plus"), `size` of it
function Panel:line(xs, ys, options)
  xs, ys, options = shift(xs, ys, options)
  local mark = read.options("line", options, line_options)
  mark.x, mark.y = read_xy(self, "line", xs, ys)
  mark.color = series_color(self, mark.color)
  mark.size = mark.size or theme.marker_size
  return add(self, "line", mark)
end

-- Splits points by their class, a list of lists of positions.
local function by_class(who, classes, n)
  local members, count = {}, 0
  if #classes ~= n then complain("%s: classes has %d values, y %d", who, #classes, n) end
  for i = 1, n do
    local k = math.tointeger(classes[i])
    if not k or k < 1 or k > 1000 then
      complain("%s: classes[%d]: integer from 1 to 1000 expected, got %s", who, i,
        check.shown(classes[i]))
    end
    members[k] = members[k] or {}
    table.insert(members[k], i)
    count = math.max(count, k)
  end
  return members, count
end

local function pick(values, positions)
  local list = {}
  for i, position in ipairs(positions) do list[i] = values[position] end
  return list
end

local function size_for(n)
  return n <= 100 and theme.marker_size or n <= 1000 and 3.4 or 2.4
end

local scatter_options = joined(joined(common, marker), {
  classes = read.list, labels = read.texts,
})

--- Points.
-- @param xs numbers or names of categories; `p:scatter(ys)` counts from 1
-- @param ys numbers
-- @param options `label`, `color`, `alpha`, `marker`, `size` in points; `classes`, a class
--   number from 1 for each point, gives each class its colour, and `labels` its name
function Panel:scatter(xs, ys, options)
  xs, ys, options = shift(xs, ys, options)
  local o = read.options("scatter", options, scatter_options)
  local x, y = read_xy(self, "scatter", xs, ys)
  o.size, o.marker = o.size or size_for(#y), o.marker or "circle"
  if not o.classes then
    local mark = {x = x, y = y, label = o.label, color = series_color(self, o.color),
      alpha = o.alpha, size = o.size, marker = o.marker}
    return add(self, "scatter", mark)
  end
  local members, count = by_class("scatter", o.classes, #y)
  for k = 1, count do
    local color = series_color(self, o.color)
    local positions = members[k] or {}
    add(self, "scatter", {x = pick(x, positions), y = pick(y, positions), color = color,
      label = o.labels and o.labels[k], alpha = o.alpha, size = o.size, marker = o.marker})
  end
  return self
end

local errorbar_options = joined(common, marker)

-- Reads how far the error bars of a mark reach.
local function take_errors(mark, who, name, err)
  mark.below, mark.above = read.errors(who, err, mark.y)
  read.same_length(who, name, mark.y, "error", mark.below)
  read.same_length(who, name, mark.y, "error", mark.above)
end

--- Points with error bars from y - error to y + error.
-- @param xs numbers, names of categories, or nil to count from 1
-- @param ys numbers
-- @param err a number, or one for each point; `{below = ..., above = ...}` if the bars reach
--   farther on one side
-- @param options `label`, `color`, `alpha`, `marker`, `size`
function Panel:errorbar(xs, ys, err, options)
  local mark = read.options("errorbar", options, errorbar_options)
  mark.x, mark.y = read_xy(self, "errorbar", xs, ys)
  take_errors(mark, "errorbar", "y", err)
  mark.color = series_color(self, mark.color)
  mark.size, mark.marker = mark.size or theme.marker_size, mark.marker or "circle"
  return add(self, "errorbar", mark)
end

--- The area between two curves, in the colour of the series before it.
-- @param xs numbers, names of categories, or nil to count from 1
-- @param low numbers
-- @param high numbers
-- @param options `label`, `color`, `alpha` (0.2)
function Panel:band(xs, low, high, options)
  local mark = read.options("band", options, common)
  mark.low, mark.high = read.list("band", "low", low), read.list("band", "high", high)
  mark.x = read_x(self, "band", xs, #mark.low)
  read.same_length("band", "x", mark.x, "low", mark.low, "high", mark.high)
  mark.color = mark.color or self.latest_color or 1
  mark.alpha = mark.alpha or 0.2
  return add(self, "band", mark)
end

--
-- Bars
--

local function read_error(who, name, value)
  return math.type(value) and read.length(who, name, value) or value
end

local bar_options = joined(common, {error = read_error, annotate = read.format})

--- Bars, one for each category. The bars of several calls stand side by side.
-- @param categories names or numbers; `p:bar(values)` counts from 1
-- @param values numbers
-- @param options `label`, `color`, `alpha`; `error`, for error bars, as `errorbar` takes it;
--   `annotate`, a format such as "%.1f", to write the values above
function Panel:bar(categories, values, options)
  categories, values, options = shift(categories, values, options)
  local mark = read.options("bar", options, bar_options)
  mark.y = read.list("bar", "values", values)
  if categories == nil then
    categories = counted(#mark.y)
  elseif read.is_tensor(categories) then
    categories = read.list("bar", "categories", categories)
  elseif type(categories) ~= "table" then
    complain("bar: categories: list expected, got %s", check.type(categories))
  end
  read.same_length("bar", "categories", categories, "values", mark.y)
  mark.x = category_places(self, "bar", "categories", categories)
  if mark.error then take_errors(mark, "bar", "values", mark.error) end
  mark.color = series_color(self, mark.color)
  return add(self, "bar", mark)
end

local function read_bins(who, name, value)
  if math.type(value) then return read.count(who, name, value) end
  local edges = read.list(who, name, value)
  if #edges < 2 then complain("%s: %s: at least two edges expected", who, name) end
  for i = 2, #edges do
    if not (edges[i] > edges[i - 1]) then
      complain("%s: %s: edges must grow, but edge %d does not", who, name, i)
    end
  end
  return edges
end

local hist_options = joined(common, {bins = read_bins, density = read.flag})

--- How often values occur. Without `bins` several histograms of a panel share their bins.
-- @param values numbers
-- @param options `label`, `color`, `alpha`; `bins`, their number or a list of edges;
--   `density`: true makes the area 1
function Panel:hist(values, options)
  local mark = read.options("hist", options, hist_options)
  local list = read.list("hist", "values", values)
  mark.edges, self.bin_width, self.bin_origin =
    bins.edges(list, mark.bins, self.bin_width, self.bin_origin)
  mark.y = bins.count(list, mark.edges, mark.density)
  mark.whole_bins = bins.are_whole(mark.edges)
  mark.color = series_color(self, mark.color)
  mark.fixed_alpha = mark.alpha
  return add(self, "hist", mark)
end

--
-- Notes
--

local function line_across(panel, kind, value, options)
  local mark = read.options(kind, options, pen)
  value = unwrapped(value)
  if not math.type(value) then
    complain("%s: number expected, got %s", kind, check.type(value))
  end
  mark.at = value
  mark.color, mark.width = mark.color or theme.muted, mark.width or 1
  mark.style = mark.style or "dashed"
  return add(panel, kind, mark)
end

--- A horizontal line across the panel.
-- @param y where
-- @param options `label`, `color`, `alpha`, `style` ("dashed"), `width`
function Panel:hline(y, options)
  return line_across(self, "hline", y, options)
end

--- A vertical line across the panel.
-- @param x where
-- @param options as for `hline`
function Panel:vline(x, options)
  return line_across(self, "vline", x, options)
end

local text_options = {
  color = read.color, size = read.positive, bold = read.flag, rotation = read.number,
  align = read.one_of {"left", "center", "right"},
  valign = read.one_of {"top", "middle", "baseline", "bottom"},
}

--- Text at a point.
-- @param x number or name of a category
-- @param y number
-- @param s the text; \n begins a new line
-- @param options `color`, `size` in points, `bold`, `align` ("left", "center", "right"),
--   `valign` ("top", "middle", "baseline", "bottom"), `rotation` in degrees
function Panel:text(x, y, s, options)
  local mark = read.options("text", options, text_options)
  x, y = unwrapped(x), unwrapped(y)
  if not math.type(y) then complain("text: y: number expected, got %s", check.type(y)) end
  mark.text = read.text("text", "text", s)
  if type(x) == "string" then x = category_places(self, "text", "x", {x})[1] end
  if not math.type(x) then complain("text: x: number expected, got %s", check.type(x)) end
  mark.x, mark.y = x, y
  mark.color, mark.size = mark.color or theme.ink, mark.size or theme.tick_size
  return add(self, "text", mark)
end

--
-- Pictures
--

local function finite_range(rows)
  local low, high
  for _, row in ipairs(rows) do
    for _, v in ipairs(row) do
      if v == v and v > -math.huge and v < math.huge then
        low, high = math.min(low or v, v), math.max(high or v, v)
      end
    end
  end
  return low, high
end

local heatmap_options = {
  rows = read.texts, columns = read.texts, annotate = read.format, limits = read.limits,
  colormap = read.one_of {"aurora", "blues", "grays"}, colorbar = read.flag,
}

local function labels_or_numbers(who, what, labels, n)
  if labels and #labels ~= n then
    complain("%s: %s has %d labels, the matrix has %d %s", who, what, #labels, n, what)
  end
  if labels then return labels end
  local list = {}
  for i = 1, n do list[i] = tostring(i) end
  return list
end

--- A matrix as coloured cells, its first row at the top.
-- @param matrix list of lists, or a tensor of two dimensions
-- @param options `rows` and `columns`, their labels; `annotate`, a format such as "%d", to
--   write the values into the cells; `colormap` ("aurora", "blues", "grays"); `limits`, the
--   values at the ends of the colour map; `colorbar` (true)
function Panel:heatmap(matrix, options)
  local o = read.options("heatmap", options, heatmap_options)
  local rows = read.matrix("heatmap", "matrix", matrix)
  local columns = rows[1] and #rows[1] or 0
  local low, high = finite_range(rows)
  low, high = scale.around("linear", low, high, 0, 0)
  if o.limits then low, high = o.limits[1] or low, o.limits[2] or high end
  if low == high then high = low + 1 end
  return add(self, "heatmap", {
    rows = columns > 0 and rows or {}, columns = columns, low = low, high = high,
    row_labels = labels_or_numbers("heatmap", "rows", o.rows, #rows),
    column_labels = labels_or_numbers("heatmap", "columns", o.columns, columns),
    annotate = o.annotate, colormap = o.colormap or "aurora", colorbar = o.colorbar,
  })
end

local images_options = {
  columns = read.count, titles = read.texts, title_color = read.colors,
  title_size = read.positive, padding = read.length,
}

--- A grid of images with square pixels: uint8 from 0 to 255, or real from 0 to 1.
-- @param images a list of tensors [h,w], [h,w,3], [1,h,w] or [3,h,w], or one tensor [n,h,w],
--   [n,h,w,3], [n,1,h,w] or [n,3,h,w]
-- @param options `columns` (as many as suit the space); `titles`, a list of captions, which may
--   have several lines; `title_color`, one or a list of names; `title_size`; `padding`
function Panel:images(images, options)
  local mark = read.options("images", options, images_options)
  mark.images, mark.ratios = read.images("images", images)
  mark.ratio = mark.ratios[1] or 1
  if mark.titles and #mark.titles ~= #mark.images then
    complain("images: titles has %d texts, there are %d images", #mark.titles, #mark.images)
  end
  mark.title_size = mark.title_size or theme.tick_size
  mark.padding = mark.padding or (mark.titles and 8 or 3)
  if mark.columns then mark.columns = math.max(1, math.min(mark.columns, #mark.images)) end
  return add(self, "images", mark)
end

--- The options of the methods that draw data, by their names.
Panel.mark_options = {
  line = line_options, scatter = scatter_options, errorbar = errorbar_options, band = common,
  bar = bar_options, hist = hist_options, heatmap = heatmap_options, images = images_options,
}

--- Settles what depends on the other marks; called before the panel is drawn.
function Panel:prepare()
  local bars, hists = 0, 0
  for _, mark in ipairs(self.marks) do
    if mark.kind == "bar" then
      bars = bars + 1
      mark.slot = bars
    elseif mark.kind == "hist" then
      hists = hists + 1
    end
  end
  for _, mark in ipairs(self.marks) do
    if mark.kind == "bar" then mark.slots = bars end
    if mark.kind == "hist" then mark.alpha = mark.fixed_alpha or hists > 1 and 0.6 or 1 end
  end
end

return Panel
