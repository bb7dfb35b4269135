--- The marks that fill a panel: heatmaps and grids of images. See marks.lua for the fields.
--
-- Further fields of these kinds: `aspect(mark)` is the width of a panel divided by its height;
-- `natural(mark, width)` is the height that a panel of some width would like to have.
-- @module perilune.plot.pictures

local core = require "perilune.core"
local is_finite = require "perilune.plot.draw".is_finite
local read = require "perilune.plot.read"
local text = require "perilune.plot.text"
local theme = require "perilune.plot.theme"

local pictures = {}

--
-- Heatmap
--

-- The place of a value in the colour map.
local function shade(mark, value)
  return math.min(math.max((value - mark.low) / (mark.high - mark.low), 0), 1)
end

local function cell_color(mark, value)
  if not is_finite(value) then return theme.rgb(theme.missing) end
  return theme.colormaps[mark.colormap](shade(mark, value))
end

local function bytes(r, g, b)
  return {math.floor(255 * r + 0.5), math.floor(255 * g + 0.5), math.floor(255 * b + 0.5)}
end

--- The colour map from top to bottom as an image.
function pictures.colorbar(mark)
  local rows, steps = {}, 128
  for i = 1, steps do
    rows[i] = {bytes(theme.colormaps[mark.colormap](1 - (i - 1) / (steps - 1)))}
  end
  return core.tensor(rows, "uint8")
end

local function cell_text(mark, value)
  if not is_finite(value) then return "" end
  return read.formatted(mark.annotate, value)
end

-- The largest size at which every text fits its cell; too small to read: nil.
local function annotation_size(mark, c, w, h)
  local size = math.min(theme.tick_size, 0.55 * h)
  c:font(10)
  for _, row in ipairs(mark.rows) do
    for _, value in ipairs(row) do
      local width = c:measure(cell_text(mark, value))
      if width > 0 then size = math.min(size, 10 * 0.84 * w / width) end
    end
  end
  return size >= 3.5 and size or nil
end

local function annotate_cells(mark, c, view, w, h)
  local size = annotation_size(mark, c, w, h)
  if not size then return end
  c:font(size)
  for i, row in ipairs(mark.rows) do
    for j, value in ipairs(row) do
      local r, g, b = cell_color(mark, value)
      local light = 0.299 * r + 0.587 * g + 0.114 * b > 0.55
      if light then theme.use(c, theme.ink, value == 0 and 0.45 or 1) else c:color(1, 1, 1) end
      c:text(cell_text(mark, value), view.x(j), view.y(i), "center", "middle")
    end
  end
end

-- Every cell a rectangle, which stays sharp at any size.
local function draw_cells(mark, c, box, w, h)
  local gap = math.min(w, h) > 8 and 0.8 or 0
  for i, row in ipairs(mark.rows) do
    for j, value in ipairs(row) do
      c:color(cell_color(mark, value))
      -- without a gap cells overlap a little, or viewers show hairlines between them
      local more = gap == 0 and 0.3 or -gap
      local x, y = box.x + (j - 1) * w + gap / 2, box.y + (i - 1) * h + gap / 2
      local right, bottom = box.x + box.w, box.y + box.h
      c:rect(x, y, math.min(w + more, right - x), math.min(h + more, bottom - y)):fill()
    end
  end
end

-- One image with a pixel a cell, for large matrices.
local function draw_pixels(mark, c, box)
  local rows = {}
  for i, row in ipairs(mark.rows) do
    local line = {}
    for j, value in ipairs(row) do line[j] = bytes(cell_color(mark, value)) end
    rows[i] = line
  end
  c:image(core.tensor(rows, "uint8"), box.x, box.y, box.w, box.h)
end

pictures.heatmap = {
  layer = 1,
  cover = function() end,
  aspect = function(mark)
    if mark.columns == 0 then return nil end
    local ratio = mark.columns / #mark.rows
    return ratio >= 0.2 and ratio <= 5 and ratio or nil
  end,
  natural = function(mark, width)
    local aspect = pictures.heatmap.aspect(mark)
    return aspect and math.min(width / aspect, 1.25 * width)
  end,
  reach = function(mark, visit)
    visit(0.5, 0.5)
    visit(mark.columns + 0.5, #mark.rows + 0.5)
  end,
  draw = function(mark, c, view)
    local box = view.box
    if mark.columns == 0 then return end
    local w, h = box.w / mark.columns, box.h / #mark.rows
    if #mark.rows * mark.columns > 10000 then return draw_pixels(mark, c, box) end
    draw_cells(mark, c, box, w, h)
    if mark.annotate then annotate_cells(mark, c, view, w, h) end
  end,
}

--
-- Images
--

local caption_gap = 2
local small_cell, large_cell = 62, 190 -- sides that images like to have, in points

-- Rows, size of one picture and height of the captions for a number of columns.
local function image_cells(mark, columns, width, height)
  local rows = math.ceil(#mark.images / columns)
  local pad, caption = mark.padding, mark.caption_height
  local w = (width - (columns - 1) * pad) / columns
  local h = (height - (rows - 1) * pad) / rows - caption
  w = math.max(math.min(w, h * mark.ratio), 1)
  return {columns = columns, rows = rows, w = w, h = w / mark.ratio, caption = caption}
end

local function best_cells(mark, width, height)
  if mark.columns then return image_cells(mark, mark.columns, width, height) end
  local best
  for columns = 1, #mark.images do
    local cells = image_cells(mark, columns, width, height)
    if not best or cells.w > best.w + 1e-6 then best = cells end
  end
  return best
end

local function measure_captions(mark)
  local lines = 0
  for i = 1, #mark.images do
    local title = mark.titles and mark.titles[i]
    if title then lines = math.max(lines, text.lines(title)) end
  end
  mark.caption_height = lines > 0 and lines * 1.25 * mark.title_size + caption_gap or 0
end

local function grid_extent(mark, cells)
  return cells.columns * cells.w + (cells.columns - 1) * mark.padding,
    cells.rows * (cells.h + cells.caption) + (cells.rows - 1) * mark.padding
end

-- The size at which all captions fit, but not much smaller than the one asked for.
local function caption_size(mark, c, width)
  local size = mark.title_size
  for _, title in ipairs(mark.titles or {}) do
    c:font(mark.title_size)
    size = math.min(size, mark.title_size * width / math.max(c:measure(title), 1))
  end
  return math.max(size, 0.72 * mark.title_size)
end

-- The caption, with an ellipsis in lines that are too long even so.
local function fit_caption(c, s, width)
  local lines = {}
  for line in (s .. "\n"):gmatch("(.-)\n") do lines[#lines + 1] = text.cut(c, line, width) end
  return table.concat(lines, "\n")
end

local function title_color(mark, i)
  local color = mark.title_color
  if type(color) == "table" and color.list then color = color.list[i] end
  return color or theme.ink
end

-- The image as large as fits the cell, in its middle.
local function draw_image(mark, c, i, x, y, cells)
  local w = math.min(cells.w, cells.h * mark.ratios[i])
  local h = w / mark.ratios[i]
  c:image(mark.images[i], x + (cells.w - w) / 2, y + (cells.h - h) / 2, w, h)
end

pictures.images = {
  layer = 1,
  cover = function() end,
  reach = function() end,
  natural = function(mark, width)
    measure_captions(mark)
    local n = #mark.images
    if n == 0 then return nil end
    local columns = mark.columns
    if not columns then
      columns = math.min(math.max(width // small_cell, 1), n)
      columns = math.ceil(n / math.ceil(n / columns)) -- as few as that many rows need
    end
    local w = (width - (columns - 1) * mark.padding) / columns
    local rows = math.ceil(n / columns)
    local h = math.min(w / mark.ratio, large_cell) + mark.caption_height
    return rows * h + (rows - 1) * mark.padding
  end,
  --- Width and height that the grid takes of a space.
  extent = function(mark, width, height)
    measure_captions(mark)
    if #mark.images == 0 then return width, height end
    mark.cells = best_cells(mark, width, height)
    return grid_extent(mark, mark.cells)
  end,
  draw = function(mark, c, view)
    local cells, pad = mark.cells, mark.padding
    local width = cells and cells.w + 0.8 * pad
    c:font(cells and caption_size(mark, c, width) or 1)
    for i in ipairs(mark.images) do
      local x = view.box.x + ((i - 1) % cells.columns) * (cells.w + pad)
      local y = view.box.y + ((i - 1) // cells.columns) * (cells.h + cells.caption + pad)
      local top = y + cells.caption
      draw_image(mark, c, i, x, top, cells)
      local title = mark.titles and mark.titles[i]
      if title then
        theme.use(c, title_color(mark, i))
        c:text(fit_caption(c, title, width), x + cells.w / 2, top - caption_gap, "center",
          "bottom")
      end
    end
  end,
}

return pictures
