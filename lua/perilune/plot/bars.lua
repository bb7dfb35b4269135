--- The marks that stand on the axis: bars and histograms. See marks.lua for the fields.
-- @module perilune.plot.bars

local draw = require "perilune.plot.draw"
local read = require "perilune.plot.read"
local theme = require "perilune.plot.theme"

local is_finite, set_color, pen = draw.is_finite, theme.use, draw.pen
local clip, inside, span = draw.clip, draw.inside, draw.span
local cover_rect = draw.cover_rect

local bars = {}

-- Left, top, width and height of a bar between two values of x, or nil.
local function bar_rect(view, left, right, value)
  local x1, x2 = view.x(left), view.x(right)
  local base, top = span(view, 0, value)
  if not (is_finite(x1) and is_finite(x2) and is_finite(top)) then return nil end
  return x1, math.min(base, top), x2 - x1, math.abs(base - top)
end

-- Where the i-th bar begins and ends: bars of one place stand side by side.
local function bar_sides(mark, i)
  local group = mark.slots == 1 and 0.64 or 0.8
  local w = group / mark.slots
  local left = mark.x[i] - group / 2 + (mark.slot - 1) * w
  return left + 0.03 * w, left + 0.97 * w
end

-- The end of the i-th bar where its number stands: the value and its error.
local function bar_end(mark, i)
  local low, high = draw.ends(mark, i)
  return mark.y[i] < 0 and low or high
end

local label_gap = 3

-- Fits the numbers to the width of the bars: smaller, or turned if that is not enough.
-- Returns how many points of room they take.
local function fit_labels(mark, c, view)
  local widest = 0
  c:font(10)
  for i = 1, #mark.y do
    local text = is_finite(mark.y[i]) and read.formatted(mark.annotate, mark.y[i]) or ""
    widest = math.max(widest, (c:measure(text)))
  end
  local left, right = bar_sides(mark, 1)
  local room = math.abs(view.x(right) - view.x(left)) * (mark.slots == 1 and 1.4 or 1.05)
  local largest = theme.tick_size - 0.5
  mark.label_size = math.min(largest, 10 * room / math.max(widest, 1e-9))
  mark.turned = mark.label_size < 0.75 * largest
  if not mark.turned then return mark.label_size + label_gap end
  mark.label_size = math.max(math.min(largest, 0.8 * room), 4)
  return widest * mark.label_size / 10 + 2 * label_gap
end

local function bar_labels(mark, c, view)
  c:font(mark.label_size)
  set_color(c, theme.ink)
  for i = 1, #mark.y do
    local left, right = bar_sides(mark, i)
    local up = mark.y[i] >= 0
    local x, y, w, h = bar_rect(view, left, right, bar_end(mark, i))
    local edge = x and (up and y or y + h)
    if x and inside(view.box, x + w / 2, edge) then
      local text = read.formatted(mark.annotate, mark.y[i])
      local at = up and edge - label_gap or edge + label_gap
      if mark.turned then
        c:text(text, x + w / 2, at, up and "left" or "right", "middle", 90)
      else
        c:text(text, x + w / 2, at, "center", up and "baseline" or "top")
      end
    end
  end
end

bars.bar = {
  layer = 2,
  floor = true,
  headroom = function(mark, c, view)
    mark.label_room = mark.annotate and #mark.y > 0 and fit_labels(mark, c, view) or 0
    return mark.label_room
  end,
  key = draw.swatch_key,
  key_width = 14,
  cover = function(mark, view, visit)
    for i = 1, #mark.y do
      local left, right = bar_sides(mark, i)
      local x, y, w, h = bar_rect(view, left, right, bar_end(mark, i))
      local more = mark.label_room or 0
      if x then cover_rect(view, x, y - more, x + w, y + h, visit) end
    end
  end,
  reach = function(mark, visit)
    for i = 1, #mark.x do
      local low, high = draw.ends(mark, i)
      visit(mark.x[i] - 0.5, 0)
      visit(mark.x[i] + 0.5, mark.y[i])
      visit(nil, high)
      visit(nil, low)
    end
  end,
  draw = function(mark, c, view)
    if #mark.y == 0 then return end
    clip(c, view.box, 0)
    set_color(c, mark.color, mark.alpha)
    for i = 1, #mark.y do
      local left, right = bar_sides(mark, i)
      local x, y, w, h = bar_rect(view, left, right, mark.y[i])
      if x then c:rect(x, y, w, h) end
    end
    c:fill():pop()
    if mark.above then
      pen(c, {color = theme.ink, alpha = 0.85, width = 1})
      local left, right = bar_sides(mark, 1)
      local cap = math.min(2.5, math.abs(view.x(right) - view.x(left)) / 3)
      draw.whiskers(mark, c, view, cap, function(i)
        local a, b = bar_sides(mark, i)
        return (view.x(a) + view.x(b)) / 2
      end)
    end
    if mark.annotate then bar_labels(mark, c, view) end
  end,
}

bars.hist = {
  layer = 2,
  floor = true,
  key = draw.swatch_key,
  key_width = 14,
  cover = function(mark, view, visit)
    for i = 1, #mark.y do
      local x, y, w, h = bar_rect(view, mark.edges[i], mark.edges[i + 1], mark.y[i])
      if x then cover_rect(view, x, y, x + w, y + h, visit) end
    end
  end,
  reach = function(mark, visit)
    for i = 1, #mark.y do
      visit(mark.edges[i], 0)
      visit(mark.edges[i + 1], mark.y[i])
    end
  end,
  draw = function(mark, c, view)
    clip(c, view.box, 0)
    set_color(c, mark.color, mark.alpha)
    for i = 1, #mark.y do
      local x, y, w, h = bar_rect(view, mark.edges[i], mark.edges[i + 1], mark.y[i])
      if x and h > 0 then c:rect(x + 0.25, y, math.max(w - 0.5, 0.25), h) end
    end
    c:fill():pop()
  end,
}

return bars
