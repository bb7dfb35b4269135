--- The marks: what a panel can draw, one table for each kind.
--
-- A mark is a plain table with a `kind` and its data. A kind has
--
-- - `layer`: kinds with a smaller number are drawn first;
-- - `note`: true if it only comments on others, and its place says nothing about the data;
-- - `floor`: true if its axis of y should end at zero, without room below;
-- - `reach(mark, visit)`: calls visit(x, y) with values that the limits must hold; either may
--   be nil;
-- - `draw(mark, c, view)`: draws on the canvas c; view.x and view.y turn values into points;
-- - `cover(mark, view, visit)`: calls visit(x, y) with points that a legend should leave free;
-- - `headroom(mark, c, view)`: how many points of room it needs above its values;
-- - `key(mark, c, x, y, width)`: draws the sample for the legend, if it can have one;
-- - `key_width`: how wide that is, in points;
-- - `apart`: true if its points should keep away from the sides of the panel.
--
-- All but `layer`, `reach`, `draw` and `cover` may be missing.
-- @module perilune.plot.marks

local bars = require "perilune.plot.bars"
local draw = require "perilune.plot.draw"
local pictures = require "perilune.plot.pictures"
local theme = require "perilune.plot.theme"

local marks = {}

local is_finite, set_color, pen = draw.is_finite, theme.use, draw.pen
local clip, inside, span = draw.clip, draw.inside, draw.span
local cover_rect, swatch_key = draw.cover_rect, draw.swatch_key
local whisker, draw_whiskers = draw.whisker, draw.whiskers

-- Markers: path, whether it is an outline only, and a size that makes all look equally large.
local polygons = {
  square = {{-0.87, -0.87}, {0.87, -0.87}, {0.87, 0.87}, {-0.87, 0.87}},
  triangle = {{0, -1.15}, {1.05, 0.8}, {-1.05, 0.8}},
  diamond = {{0, -1.25}, {1.05, 0}, {0, 1.25}, {-1.05, 0}},
}
local crosses = {
  cross = {{-0.8, -0.8, 0.8, 0.8}, {-0.8, 0.8, 0.8, -0.8}},
  plus = {{-1.05, 0, 1.05, 0}, {0, -1.05, 0, 1.05}},
}

--- The names of the markers and of the styles of lines.
marks.markers = {"circle", "square", "triangle", "diamond", "cross", "plus"}
marks.styles = {"solid", "dashed", "dotted"}

local function shape(c, name, x, y, r)
  if name == "circle" then return c:circle(x, y, r) end
  for i, p in ipairs(polygons[name]) do
    local step = i == 1 and c.move_to or c.line_to
    step(c, x + p[1] * r, y + p[2] * r)
  end
  c:close_path()
end

local function draw_cross(c, strokes, x, y, r)
  for _, s in ipairs(strokes) do
    c:move_to(x + s[1] * r, y + s[2] * r):line_to(x + s[3] * r, y + s[4] * r)
  end
  c:line_width(0.45 * r):dash():stroke()
end

-- One marker of diameter `size`; `halo` gives it a thin white rim that parts it from its line.
local function draw_marker(c, mark, x, y, size, halo)
  local r = size / 2
  if crosses[mark.marker] then
    set_color(c, mark.color, mark.alpha)
    return draw_cross(c, crosses[mark.marker], x, y, r)
  end
  if halo then
    shape(c, mark.marker, x, y, r + 0.8)
    c:color(1, 1, 1):fill()
  end
  shape(c, mark.marker, x, y, r)
  set_color(c, mark.color, mark.alpha)
  c:fill()
end

-- Calls visit(px, py) for every point that can be drawn, visit(nil) where the line breaks.
local function each_point(mark, view, visit)
  for i = 1, #mark.x do
    local px, py = view.x(mark.x[i]), view.y(mark.y[i])
    if is_finite(px) and is_finite(py) then visit(px, py) else visit(nil) end
  end
end

-- Passes points on to visit, but of those that share half a point of width only the first,
-- the lowest, the highest and the last: long series stay small files and look the same.
local function thinned(visit)
  local column, low, high, last
  local function flush()
    if not column then return end
    local early, late = low, high
    if low.n > high.n then early, late = high, low end
    if early.n > 1 and early ~= last then visit(early.x, early.y) end
    if late ~= early and late ~= last then visit(late.x, late.y) end
    if last.n > 1 then visit(last.x, last.y) end
    column = nil
  end
  return function(x, y)
    if x == nil then
      flush()
      return visit(nil)
    end
    local here = math.floor(2 * x)
    if here ~= column then
      flush()
      column = here
      last = {x = x, y = y, n = 1}
      low, high = last, last
      return visit(x, y)
    end
    last = {x = x, y = y, n = last.n + 1}
    if y < low.y then low = last end
    if y > high.y then high = last end
  end, flush
end

-- Draws the line through the points; a point without neighbours becomes a dot.
local function trace(mark, c, view)
  local last_x, last_y, length, lone = nil, nil, 0, {}
  local function finish()
    if length == 1 then lone[#lone + 1] = {last_x, last_y} end
    length = 0
  end
  local feed, flush = thinned(function(x, y)
    if x == nil then return finish() end
    local step = length == 0 and c.move_to or c.line_to
    step(c, x, y)
    last_x, last_y, length = x, y, length + 1
  end)
  each_point(mark, view, feed)
  flush()
  finish()
  c:stroke()
  local radius = math.max(1.1 * (mark.width or theme.line_width), 1.6)
  for _, p in ipairs(lone) do c:circle(p[1], p[2], radius) end
  c:fill()
end

local function reach_xy(mark, visit)
  for i = 1, #mark.x do visit(mark.x[i], mark.y[i]) end
end

local function cover_points(mark, view, visit)
  each_point(mark, view, function(x, y)
    if x then visit(x, y) end
  end)
end

-- Points every 4 points of length along the line, as far as it is inside.
local function cover_line(mark, view, visit)
  local px, py
  local box = view.box
  local function feed(x, y)
    if x and px then
      local n = math.min(math.ceil(math.max(math.abs(x - px), math.abs(y - py)) / 4), 500)
      for i = 1, n do
        local cx, cy = px + (x - px) * i / n, py + (y - py) * i / n
        if inside(box, cx, cy) then visit(cx, cy) end
      end
    elseif x then
      visit(x, y)
    end
    px, py = x, y
  end
  local thin, flush = thinned(feed)
  each_point(mark, view, thin)
  flush()
end

-- The line sample of a legend.
local function line_key(mark, c, x, y, width)
  pen(c, mark)
  c:move_to(x, y):line_to(x + width, y):stroke()
  if mark.marker then draw_marker(c, mark, x + width / 2, y, mark.size, true) end
end

--
-- Line
--

-- Markers at every point, or at every k-th if they would touch.
local function line_markers(mark, c, view)
  local points = {}
  each_point(mark, view, function(x, y)
    if x then points[#points + 1] = {x, y} end
  end)
  if #points == 0 then return end
  local length = math.abs(points[#points][1] - points[1][1])
  local stride = 1
  if #points > 1 and length > 0 then
    stride = math.max(1, math.ceil(1.6 * mark.size * (#points - 1) / length))
  end
  for i = 1, #points, stride do
    local x, y = points[i][1], points[i][2]
    if inside(view.box, x, y) then draw_marker(c, mark, x, y, mark.size, true) end
  end
end

marks.line = {
  layer = 3,
  reach = reach_xy,
  cover = cover_line,
  key = line_key,
  key_width = 20,
  draw = function(mark, c, view)
    clip(c, view.box)
    pen(c, mark)
    trace(mark, c, view)
    c:pop()
    if mark.marker then line_markers(mark, c, view) end
  end,
}

--
-- Scatter
--

-- The points inside the panel; of those within a quarter of a point of each other only one.
local function visible_points(mark, view)
  local points, seen = {}, {}
  each_point(mark, view, function(x, y)
    if not x or not inside(view.box, x, y) then return end
    local place = math.floor(4 * x) << 20 | math.floor(4 * y)
    if seen[place] then return end
    seen[place] = true
    points[#points + 1] = {x, y}
  end)
  return points
end

-- Circles as the round ends of lines without length, a hundred to a stroke: files of many
-- points are a fifth of the size and made in a fraction of the time.
local function draw_dots(mark, c, points)
  set_color(c, mark.color)
  c:line_width(mark.size):dash()
  for i, p in ipairs(points) do
    c:move_to(p[1], p[2]):line_to(p[1], p[2])
    if i % 100 == 0 then c:stroke() end
  end
  c:stroke()
end

marks.scatter = {
  layer = 3,
  apart = true,
  key_width = 10,
  reach = reach_xy,
  cover = cover_points,
  key = function(mark, c, x, y, width)
    local solid = {color = mark.color, marker = mark.marker}
    draw_marker(c, solid, x + width / 2, y, math.max(mark.size, theme.marker_size))
  end,
  draw = function(mark, c, view)
    if (mark.alpha or 1) < 1 then
      each_point(mark, view, function(x, y)
        if x and inside(view.box, x, y) then draw_marker(c, mark, x, y, mark.size) end
      end)
      return
    end
    local points = visible_points(mark, view)
    if mark.marker == "circle" then return draw_dots(mark, c, points) end
    for _, p in ipairs(points) do draw_marker(c, mark, p[1], p[2], mark.size) end
  end,
}

--
-- Error bars
--

marks.errorbar = {
  layer = 3,
  apart = true,
  key_width = 10,
  key = function(mark, c, x, y, width)
    pen(c, {color = mark.color, width = 1.2})
    whisker(c, x + width / 2, y - 4.5, y + 4.5, 2)
    c:stroke()
    draw_marker(c, mark, x + width / 2, y, mark.size)
  end,
  cover = function(mark, view, visit)
    for i = 1, #mark.y do
      local x = view.x(mark.x[i])
      local bottom, top = span(view, draw.ends(mark, i))
      if is_finite(x) and is_finite(top) then cover_rect(view, x, top, x, bottom, visit) end
    end
  end,
  reach = function(mark, visit)
    for i = 1, #mark.y do
      local low, high = draw.ends(mark, i)
      visit(mark.x[i], mark.y[i])
      visit(mark.x[i], low)
      visit(mark.x[i], high)
    end
  end,
  draw = function(mark, c, view)
    pen(c, {color = mark.color, alpha = mark.alpha, width = 1.2})
    draw_whiskers(mark, c, view, 3, function(i) return view.x(mark.x[i]) end)
    each_point(mark, view, function(x, y)
      if x and inside(view.box, x, y) then draw_marker(c, mark, x, y, mark.size, true) end
    end)
  end,
}

--
-- Band
--

-- Calls visit(first, last) for each run of points whose place is known.
local function runs(mark, view, visit)
  local first
  for i = 1, #mark.x + 1 do
    local known = i <= #mark.x and is_finite(view.x(mark.x[i]))
      and is_finite(mark.low[i]) and is_finite(view.y(mark.high[i]))
    if known and not first then first = i end
    if not known and first then
      visit(first, i - 1)
      first = nil
    end
  end
end

marks.band = {
  layer = 1,
  key = swatch_key,
  key_width = 14,
  cover = function() end,
  reach = function(mark, visit)
    for i = 1, #mark.x do
      visit(mark.x[i], mark.low[i])
      visit(mark.x[i], mark.high[i])
    end
  end,
  draw = function(mark, c, view)
    clip(c, view.box, 0)
    set_color(c, mark.color, mark.alpha)
    runs(mark, view, function(first, last)
      for i = first, last do
        local step = i == first and c.move_to or c.line_to
        step(c, view.x(mark.x[i]), view.y(mark.high[i]))
      end
      for i = last, first, -1 do c:line_to(view.x(mark.x[i]), (span(view, mark.low[i], 1))) end
      c:close_path():fill()
    end)
    c:pop()
  end,
}

--
-- Lines across the panel, and text
--

local function straight(mark, c, view, from, to)
  clip(c, view.box)
  pen(c, mark)
  c:move_to(from[1], from[2]):line_to(to[1], to[2]):stroke():pop()
end

marks.hline = {
  layer = 3,
  note = true,
  key = line_key,
  key_width = 20,
  reach = function(mark, visit) visit(nil, mark.at) end,
  cover = function(mark, view, visit)
    local y = view.y(mark.at)
    local box = view.box
    if is_finite(y) then cover_rect(view, box.x, y, box.x + box.w, y, visit) end
  end,
  draw = function(mark, c, view)
    local y, box = view.y(mark.at), view.box
    if is_finite(y) then straight(mark, c, view, {box.x, y}, {box.x + box.w, y}) end
  end,
}

marks.vline = {
  layer = 3,
  note = true,
  key = line_key,
  key_width = 20,
  reach = function(mark, visit) visit(mark.at, nil) end,
  cover = function(mark, view, visit)
    local x = view.x(mark.at)
    local box = view.box
    if is_finite(x) then cover_rect(view, x, box.y, x, box.y + box.h, visit) end
  end,
  draw = function(mark, c, view)
    local x, box = view.x(mark.at), view.box
    if is_finite(x) then straight(mark, c, view, {x, box.y}, {x, box.y + box.h}) end
  end,
}

marks.text = {
  layer = 5,
  note = true,
  reach = function(mark, visit) visit(mark.x, mark.y) end,
  cover = function(mark, view, visit)
    local x, y = view.x(mark.x), view.y(mark.y)
    if not (is_finite(x) and is_finite(y)) then return end
    -- about where the text will be; its exact size is not known here
    local w, h = 0.6 * mark.size * #mark.text:match("[^\n]*"), mark.size
    local left = x - w * (({center = 0.5, right = 1})[mark.align] or 0)
    cover_rect(view, left, y - h, left + w, y + h, visit)
  end,
  draw = function(mark, c, view)
    local x, y = view.x(mark.x), view.y(mark.y)
    if not (is_finite(x) and is_finite(y) and inside(view.box, x, y)) then return end
    set_color(c, mark.color)
    c:font(mark.size, mark.bold):text(mark.text, x, y, mark.align, mark.valign, mark.rotation)
  end,
}

marks.bar, marks.hist = bars.bar, bars.hist
marks.heatmap, marks.images = pictures.heatmap, pictures.images

return marks
