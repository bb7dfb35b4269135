--- Axes: limits from the data, room for labels, and the drawing of everything around the
-- marks (internal).
--
-- A plan is a panel in the making: `panel`, the axes `x` and `y` ({scale, ticks}), the margins
-- `left`, `right`, `top`, `bottom` that it needs around its box, and once it has a place
-- `box` and `view`, which marks draw with.
-- @module perilune.plot.axes

local legend = require "perilune.plot.legend"
local marks = require "perilune.plot.marks"
local pictures = require "perilune.plot.pictures"
local scale = require "perilune.plot.scale"
local text = require "perilune.plot.text"
local theme = require "perilune.plot.theme"
local ticks = require "perilune.plot.ticks"

local axes = {}

local TICK <const> = 3        -- length of a tick
local LABEL_GAP <const> = 3   -- between a tick and its label
local TITLE_GAP <const> = 6
local EDGE <const> = 4        -- least room around a box
local LEAST_SIDE <const> = 20 -- of a box
local LEGEND_GAP <const> = 6
local BAR_WIDTH <const> = 9   -- of a colour bar
local BAR_GAP <const> = 9
local LONGEST_ACROSS <const> = 80 -- room below the axis for turned labels
local WIDEST_SLOT <const> = 110 -- of a category, in points

--
-- Limits
--

local function is_usable(v, kind)
  return v == v and v < math.huge and v > -math.huge and (kind ~= "log" or v > 1e-300)
end

local function extend(range, v, counts)
  if not range.low or v < range.low then range.low = v end
  if not range.high or v > range.high then range.high = v end
  if counts and v % 1 ~= 0 then range.whole = false end
end

-- Whether the limits that the user set leave a value out.
local function hides(limits, v)
  if not limits then return false end
  local a, b = limits[1] or v, limits[2] or v
  return v < math.min(a, b) or v > math.max(a, b)
end

-- The ranges of x and y that the marks of a panel take.
local function reach(panel)
  local o = panel.options
  local x, y = {whole = true}, {whole = true}
  for _, mark in ipairs(panel.marks) do
    local kind = marks[mark.kind]
    local counts = not kind.note
    if kind.floor then y.floor = true end
    if kind.apart or mark.marker then x.apart = true end
    kind.reach(mark, function(px, py)
      local seen = px and is_usable(px, o.x_scale)
      if seen then extend(x, px, counts and not mark.whole_bins) end
      if seen and hides(o.x_limits, px) then return end
      if py and is_usable(py, o.y_scale) then extend(y, py, counts) end
    end)
  end
  return x, y
end

-- The user's limits where there are some, kept apart from the data's.
local function limited(given, kind, low, high)
  if not given then return low, high end
  local a, b = given[1] or low, given[2] or high
  if given[1] and given[2] or a < b then return a, b end
  local size = math.abs(given[1] or given[2])
  local step = kind == "log" and 9 * size or math.max(1, size / 20)
  if given[1] then return a, a + step end
  return kind == "log" and b / 10 or b - step, b
end

local function x_scale(plan, range)
  local o, panel = plan.panel.options, plan.panel
  if panel.categories then
    local n = math.max(#panel.categories, 1)
    local more = math.max(0, (plan.inner_w / WIDEST_SLOT - n) / 2)
    return scale.new("linear", 0.5 - more, n + 0.5 + more)
  end
  if range.whole and range.low and range.low == range.high and o.x_scale ~= "log" then
    range = {low = range.low - 0.5, high = range.high + 0.5, whole = true}
  end
  local room = range.apart and 0.04 or 0.025
  local low, high = scale.around(o.x_scale, range.low, range.high, room, room)
  return scale.new(o.x_scale, limited(o.x_limits, o.x_scale, low, high))
end

-- The part of the range of y to add for marks that need some points above their values.
local function headroom(plan, c)
  local points = 0
  for _, mark in ipairs(plan.panel.marks) do
    local kind = marks[mark.kind]
    if kind.headroom then points = math.max(points, kind.headroom(mark, c, plan.view)) end
  end
  return points / math.max(plan.inner_h - points, plan.inner_h / 3)
end

local function y_scale(plan, range, c)
  local o = plan.panel.options
  local low, high = range.low, range.high
  local more = headroom(plan, c)
  local below, above = 0.05, 0.05 + more
  if range.floor and o.y_scale ~= "log" and low then
    if low == 0 and high == 0 then high = 1 end
    if low == 0 then below = 0 else below = below + more end
    if high == 0 then above = 0 end
  end
  low, high = scale.around(o.y_scale, low, high, below, above)
  return scale.new(o.y_scale, limited(o.y_limits, o.y_scale, low, high))
end

-- Functions from values to points on the page.
local function view_of(box, x, y)
  return {
    box = box,
    x = function(v) return box.x + x:at(v) * box.w end,
    y = function(v) return box.y + (1 - y:at(v)) * box.h end,
  }
end

--
-- Measures
--

local function find(panel, kind)
  for _, mark in ipairs(panel.marks) do
    if mark.kind == kind then return mark end
  end
end

-- Sides of the box inside the area that the panel has, beside a legend or colour bar.
local function shrink(plan, w, h)
  w = math.max(w - plan.beside, LEAST_SIDE)
  if plan.images then
    local iw, ih = marks.images.extent(plan.images, w, h)
    return math.min(iw, w), math.min(ih, h)
  end
  local aspect = plan.heatmap and marks.heatmap.aspect(plan.heatmap)
  if not aspect then return w, h end
  local width = math.min(w, h * aspect)
  return width, width / aspect
end

local function tick_options(o, name, range)
  return {whole = range.whole, format = o[name .. "_format"], values = o[name .. "_ticks"]}
end

-- How far category labels may reach down.
local function longest_across(plan)
  return math.min(0.3 * plan.cell_h, LONGEST_ACROSS)
end

local function numeric_axes(plan, c)
  local panel = plan.panel
  local o = panel.options
  local x_range, y_range = plan.x_range, plan.y_range
  local w, h = plan.inner_w, plan.inner_h
  local x = x_scale(plan, x_range)
  plan.view = view_of({x = 0, y = 0, w = w, h = h}, x, scale.new("linear", 0, 1))
  local y = y_scale(plan, y_range, c)
  local y_options = tick_options(o, "y", y_range)
  y_options.whole = y_range.whole and y_range.low and y_range.high - y_range.low >= 2
  local x_ticks
  if panel.categories then
    x_ticks = ticks.categories_across(c, x, w, panel.categories, longest_across(plan))
  else
    x_ticks = ticks.across(c, x, w, tick_options(o, "x", x_range))
  end
  plan.x = {scale = x, ticks = x_ticks}
  plan.y = {scale = y, ticks = ticks.up(c, y, h, y_options)}
end

local function heatmap_axes(plan, c)
  local mark = plan.heatmap
  local w, h = plan.inner_w, plan.inner_h
  local x = scale.new("linear", 0.5, math.max(mark.columns, 1) + 0.5)
  local y = scale.new("linear", math.max(#mark.rows, 1) + 0.5, 0.5)
  plan.x = {scale = x, ticks = ticks.categories_across(c, x, w, mark.column_labels,
    longest_across(plan))}
  plan.y = {scale = y, ticks = ticks.categories_up(c, y, h, mark.row_labels, plan.cell_w * 0.3)}
end

-- How far labels of the horizontal axis stand out of the box to the left and to the right.
local function overhang(axis, length)
  local left, right = 0, 0
  local list = axis.ticks
  for _, tick in ipairs(list) do
    local before = list.angle == 0 and tick.width / 2 or 0.71 * (tick.width + theme.tick_size)
    local after = list.angle == 0 and tick.width / 2 or 0
    left = math.max(left, before - tick.at * length)
    right = math.max(right, after - (1 - tick.at) * length)
  end
  return left, right
end

local function fit(c, s, size, bold, width, most)
  if not s or s == "" then return nil, 0 end
  c:font(size, bold)
  local fitted = text.wrap(c, s, math.max(width, 20), most)
  local _, height = c:measure(fitted)
  return fitted, height
end

local function axis_margins(plan, c)
  local o = plan.panel.options
  local before, after = overhang(plan.x, plan.inner_w)
  local x_ticks, y_ticks = plan.x.ticks, plan.y.ticks
  local x_label, x_height = fit(c, o.x_label, theme.label_size, false, plan.inner_w, 2)
  local y_label, y_height = fit(c, o.y_label, theme.label_size, false, plan.inner_h, 2)
  plan.x_label, plan.y_label, plan.y_label_height = x_label, y_label, y_height
  local tick = plan.heatmap and 0 or TICK
  plan.left = #y_ticks > 0 and tick + LABEL_GAP + y_ticks.width or 0
  if y_label then plan.left = plan.left + y_height + 5 end
  plan.left = math.max(plan.left, before)
  plan.x_label_y = #x_ticks > 0 and tick + LABEL_GAP + x_ticks.height or 0
  plan.bottom = plan.x_label_y
  if x_label then
    plan.x_label_y = plan.x_label_y + 4
    plan.bottom = plan.x_label_y + x_height
  end
  plan.right = math.max(EDGE, after - plan.beside)
end

-- The colour bar and a legend outside stand to the right of the box; finds how much room they
-- take from it.
local function measure_beside(plan, c)
  plan.beside = 0
  if plan.heatmap and plan.heatmap.colorbar ~= false and plan.heatmap.columns > 0 then
    local scale_of_bar = scale.new("linear", plan.heatmap.low, plan.heatmap.high)
    plan.bar = {ticks = ticks.up(c, scale_of_bar, plan.inner_h, {})}
    plan.beside = BAR_GAP + BAR_WIDTH + TICK + LABEL_GAP + plan.bar.ticks.width
  end
  if not plan.legend then return end
  legend.measure(plan.legend, c, plan.inner_w, plan.inner_h, plan.cell_w, plan.cell_h)
  if plan.legend.outside then
    plan.legend.x = plan.beside + LEGEND_GAP
    plan.beside = plan.legend.x + plan.legend.width
  end
end

--- The beginnings of a plan, from a panel.
function axes.plan(panel)
  local x, y = reach(panel)
  panel:prepare()
  return {
    panel = panel, x_range = x, y_range = y,
    images = find(panel, "images"), heatmap = find(panel, "heatmap"),
    legend = legend.new(panel),
  }
end

--- The height that a box of some width would like to have, or nil if it does not care.
function axes.natural(plan, width)
  if plan.images then return marks.images.natural(plan.images, width) end
  return plan.heatmap and marks.heatmap.natural(plan.heatmap, width - (plan.beside or 0))
end

--- Finds ticks and margins for a box of w by h points.
function axes.measure(plan, c, w, h)
  local title, title_height
  plan.inner_w, plan.inner_h = plan.inner_w or w, plan.inner_h or h
  measure_beside(plan, c)
  plan.inner_w, plan.inner_h = shrink(plan, w, h)
  plan.top = EDGE
  if plan.heatmap then
    heatmap_axes(plan, c)
  elseif not plan.images then
    numeric_axes(plan, c)
  end
  if plan.x then
    axis_margins(plan, c)
  else
    plan.left, plan.right, plan.top, plan.bottom = 0, 0, 0, 0
  end
  title, title_height = fit(c, plan.panel.options.title, theme.title_size, true,
    w + plan.right, 3)
  plan.title = title
  if title then plan.top = title_height + TITLE_GAP end
end

--- Puts a measured plan into an area.
-- @param plan the plan
-- @param x left side of the area
-- @param y top of it
-- @param w width
-- @param h height
-- @param centered whether a box that is narrower than the area moves to its middle
function axes.place(plan, x, y, w, h, centered)
  local bw, bh = shrink(plan, w, h)
  local spare = centered and w - plan.beside - bw or 0
  plan.box = {x = x + spare / 2, y = y, w = bw, h = bh}
  plan.view = plan.x and view_of(plan.box, plan.x.scale, plan.y.scale) or {box = plan.box}
  if plan.legend then legend.place(plan.legend, plan) end
end

--
-- Drawing
--

-- The nearest place where a line of whole pixels is sharp at two pixels a point.
local function snap(v)
  return math.floor(2 * v + 0.5) / 2
end

-- A horizontal or vertical line.
local function line(c, x1, y1, x2, y2)
  c:move_to(snap(x1), snap(y1)):line_to(snap(x2), snap(y2)):stroke()
end

local function wants_grid(plan, direction)
  local grid = plan.panel.options.grid
  if grid == nil then
    return direction == "y" or not (plan.panel.categories or plan.y_range.floor)
  end
  return grid == true or grid == direction
end

local function draw_grid(plan, c)
  local box = plan.box
  theme.use(c, theme.grid)
  c:line_width(1):dash()
  for _, tick in ipairs(wants_grid(plan, "x") and plan.x.ticks or {}) do
    local x = box.x + tick.at * box.w
    line(c, x, box.y, x, box.y + box.h)
  end
  for _, tick in ipairs(wants_grid(plan, "y") and plan.y.ticks or {}) do
    local y = box.y + (1 - tick.at) * box.h
    line(c, box.x, y, box.x + box.w, y)
  end
end

local function draw_spines(plan, c)
  local box = plan.box
  local bottom = box.y + box.h
  theme.use(c, theme.spine)
  c:line_width(1):dash()
  c:move_to(snap(box.x), snap(box.y)):line_to(snap(box.x), snap(bottom))
  c:line_to(snap(box.x + box.w), snap(bottom)):stroke()
  if not plan.panel.categories then
    for _, tick in ipairs(plan.x.ticks) do
      local x = box.x + tick.at * box.w
      line(c, x, bottom, x, bottom + TICK)
    end
  end
  for _, tick in ipairs(plan.y.ticks) do
    local y = box.y + (1 - tick.at) * box.h
    line(c, box.x - TICK, y, box.x, y)
  end
  c:line_width(0.7)
  for _, at in ipairs(plan.x.ticks.minor) do
    if at >= 0 and at <= 1 then
      line(c, box.x + at * box.w, bottom, box.x + at * box.w, bottom + 0.6 * TICK)
    end
  end
  for _, at in ipairs(plan.y.ticks.minor) do
    local y = box.y + (1 - at) * box.h
    if at >= 0 and at <= 1 then line(c, box.x - 0.6 * TICK, y, box.x, y) end
  end
end

-- The line at zero that bars stand on when it is not the end of the axis.
local function draw_zero(plan, c)
  local at = plan.y.scale:at(0)
  if not plan.y_range.floor or not (at > 0.001 and at < 0.999) then return end
  local box = plan.box
  theme.use(c, theme.spine)
  c:line_width(0.8)
  line(c, box.x, box.y + (1 - at) * box.h, box.x + box.w, box.y + (1 - at) * box.h)
end

local function draw_tick_labels(plan, c)
  local box, tick = plan.box, plan.heatmap and 0 or TICK
  theme.use(c, theme.muted)
  c:font(theme.tick_size)
  local y = box.y + box.h + tick + LABEL_GAP
  local turned = plan.x.ticks.angle > 0
  for _, t in ipairs(plan.x.ticks) do
    local x = box.x + t.at * box.w
    if turned then
      c:text(t.label, x + 1.5, y - 1, "right", "top", plan.x.ticks.angle)
    else
      c:text(t.label, x, y, "center", "top")
    end
  end
  for _, t in ipairs(plan.y.ticks) do
    c:text(t.label, box.x - tick - LABEL_GAP, box.y + (1 - t.at) * box.h, "right", "middle")
  end
end

local function draw_labels(plan, c)
  local box = plan.box
  theme.use(c, theme.ink)
  c:font(theme.label_size)
  if plan.x_label then
    c:text(plan.x_label, box.x + box.w / 2, box.y + box.h + plan.x_label_y, "center", "top")
  end
  if plan.y_label then
    c:text(plan.y_label, box.x - plan.label_left, box.y + box.h / 2, "center", "top", 90)
  end
end

local function draw_colorbar(plan, c)
  local box = plan.box
  local x = box.x + box.w + BAR_GAP
  c:image(pictures.colorbar(plan.heatmap), x, box.y, BAR_WIDTH, box.h)
  theme.use(c, theme.muted)
  c:font(theme.tick_size):line_width(0.8):dash()
  for _, tick in ipairs(plan.bar.ticks) do
    local y = box.y + (1 - tick.at) * box.h
    line(c, x + BAR_WIDTH, y, x + BAR_WIDTH + TICK, y)
    c:text(tick.label, x + BAR_WIDTH + TICK + LABEL_GAP, y, "left", "middle")
  end
end

local function draw_title(plan, c)
  if not plan.title then return end
  theme.use(c, theme.ink)
  c:font(theme.title_size, true)
  c:text(plan.title, plan.box.x, plan.box.y - TITLE_GAP, "left", "bottom")
end

-- The marks, layer by layer, in the order in which they were added.
local function draw_marks(plan, c)
  local layers = {}
  for i, mark in ipairs(plan.panel.marks) do
    layers[i] = {layer = marks[mark.kind].layer, i = i, mark = mark}
  end
  table.sort(layers, function(a, b)
    if a.layer ~= b.layer then return a.layer < b.layer end
    return a.i < b.i
  end)
  for _, entry in ipairs(layers) do
    marks[entry.mark.kind].draw(entry.mark, c, plan.view)
  end
end

--- Draws a plan that has its place.
function axes.draw(plan, c)
  local framed = plan.x and not plan.heatmap
  if framed then draw_grid(plan, c) end
  draw_marks(plan, c)
  if framed then
    draw_zero(plan, c)
    draw_spines(plan, c)
  end
  if plan.x then
    draw_tick_labels(plan, c)
    draw_labels(plan, c)
  end
  if plan.bar then draw_colorbar(plan, c) end
  draw_title(plan, c)
  if plan.legend then legend.draw(plan.legend, c) end
end

return axes
