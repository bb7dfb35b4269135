--- What the kinds of marks share: pens, clipping, rectangles (internal).
-- @module perilune.plot.draw

local theme = require "perilune.plot.theme"

local draw = {}

function draw.is_finite(v)
  return v == v and v ~= math.huge and v ~= -math.huge
end

local is_finite = draw.is_finite

--- Sets colour, width and dashes of a line.
function draw.pen(c, mark)
  local w = mark.width or theme.line_width
  theme.use(c, mark.color, mark.alpha)
  c:line_width(w)
  if mark.style == "dashed" then
    c:dash(3.6 * w, 2 * w)
  elseif mark.style == "dotted" then
    c:dash(1.1 * w, 1.7 * w)
  else
    c:dash()
  end
end

--- Lets only what is inside the box through.
-- Lines at the very edge keep their whole width, areas end at the axis.
function draw.clip(c, box, more)
  more = more or 1
  c:push():rect(box.x - more, box.y - more, box.w + 2 * more, box.h + 2 * more):clip()
end

--- Whether a point is in the box.
function draw.inside(box, x, y)
  return x >= box.x - 0.01 and x <= box.x + box.w + 0.01
    and y >= box.y - 0.01 and y <= box.y + box.h + 0.01
end

--- Visits points every 4 points in a rectangle given by its sides, as far as it is inside.
function draw.cover_rect(view, left, top, right, bottom, visit)
  local box = view.box
  if left > right then left, right = right, left end
  if top > bottom then top, bottom = bottom, top end
  left, right = math.max(left, box.x), math.min(right, box.x + box.w)
  top, bottom = math.max(top, box.y), math.min(bottom, box.y + box.h)
  if left > right or top > bottom then return end
  for i = 0, math.ceil((right - left) / 4) do
    for j = 0, math.ceil((bottom - top) / 4) do
      visit(math.min(left + 4 * i, right), math.min(top + 4 * j, bottom))
    end
  end
end

--- The sample of a legend for areas.
function draw.swatch_key(mark, c, x, y, width)
  theme.use(c, mark.color, mark.alpha)
  c:rect(x, y - 3.5, width, 7):fill()
end

--- Adds an error bar to the path.
function draw.whisker(c, x, low, high, cap)
  c:move_to(x, low):line_to(x, high)
  c:move_to(x - cap, low):line_to(x + cap, low)
  c:move_to(x - cap, high):line_to(x + cap, high)
end

--- The part of a bar from low to high that the panel shows; a log axis has no zero, so the
-- bar goes to the bottom.
function draw.span(view, low, high)
  local bottom, top = view.y(low), view.y(high)
  if not is_finite(bottom) then bottom = view.box.y + view.box.h end
  return bottom, top
end

-- How far an error bar reaches on one side.
local function reach(errors, i)
  return errors and is_finite(errors[i]) and math.abs(errors[i]) or 0
end

--- The ends of the i-th error bar, mark.y[i] - mark.below[i] and mark.y[i] + mark.above[i]; the
-- value itself where there is no number.
-- @return number
-- @return number
function draw.ends(mark, i)
  return mark.y[i] - reach(mark.below, i), mark.y[i] + reach(mark.above, i)
end

--- Draws the error bars of values whose errors are both numbers.
-- @param mark the mark
-- @param c canvas
-- @param view of the panel
-- @param cap half the width of the ends, in points
-- @param place function from i to points from the left
function draw.whiskers(mark, c, view, cap, place)
  draw.clip(c, view.box)
  for i = 1, #mark.y do
    local x, known = place(i), is_finite(mark.below[i]) and is_finite(mark.above[i])
    if is_finite(mark.y[i]) and known and is_finite(x) then
      local bottom, top = draw.span(view, draw.ends(mark, i))
      if is_finite(top) then draw.whisker(c, x, bottom, top, cap) end
    end
  end
  c:stroke():pop()
end

return draw
