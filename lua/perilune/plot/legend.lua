--- Legends: in the corner that covers least, or beside the panel (internal).
-- @module perilune.plot.legend

local marks = require "perilune.plot.marks"
local text = require "perilune.plot.text"
local theme = require "perilune.plot.theme"

local legend = {}

local PADDING <const> = 6
local SAMPLE_GAP <const> = 5
local ROW <const> = 13
local COLUMN_GAP <const> = 12
local INSET <const> = 5       -- distance from the sides of the panel
local CELL <const> = 4        -- side of the cells that count what a legend would cover
local MOST_COVERED <const> = 0.012

--- What the option `legend` of a panel may be, besides true and false.
legend.places = {"top right", "top left", "bottom right", "bottom left", "outside"}

-- Corners and middles, in order of preference: horizontal and vertical place from 0 to 1.
local spots = {{1, 0}, {0, 0}, {1, 1}, {0, 1}, {0.5, 0}, {0.5, 1}, {1, 0.5}, {0, 0.5}}
local named = {
  ["top right"] = spots[1], ["top left"] = spots[2],
  ["bottom right"] = spots[3], ["bottom left"] = spots[4],
}

--- The legend of a panel, or nil if it has no labels or none is wanted.
function legend.new(panel)
  local where = panel.options.legend
  if where == false then return nil end
  local entries, seen, sample = {}, {}, 0
  for _, mark in ipairs(panel.marks) do
    local label = mark.label
    if label and label ~= "" and not seen[label] and marks[mark.kind].key then
      seen[label] = true
      entries[#entries + 1] = {mark = mark, label = label}
      sample = math.max(sample, marks[mark.kind].key_width)
    end
  end
  if #entries == 0 then return nil end
  return {
    entries = entries, sample = sample, spot = named[where], outside = where == "outside",
    trials = 2,
  }
end

-- Puts the entries into as many columns as it takes to be no higher than `height`.
local function arrange(self, c, height, widest)
  local n = #self.entries
  local most = math.max(1, math.floor((height - 2 * PADDING) / ROW))
  self.columns = math.ceil(n / most)
  self.rows = math.ceil(n / self.columns)
  local room = (widest - 2 * PADDING - (self.columns - 1) * COLUMN_GAP) / self.columns
  room = math.max(room - self.sample - SAMPLE_GAP, 24)
  c:font(theme.tick_size)
  self.label_width = 0
  for _, entry in ipairs(self.entries) do
    entry.text = text.cut(c, entry.label:gsub("\n", " "), room)
    self.label_width = math.max(self.label_width, (c:measure(entry.text)))
  end
  self.column = self.sample + SAMPLE_GAP + self.label_width
  self.width = self.columns * self.column + (self.columns - 1) * COLUMN_GAP + 2 * PADDING
  self.height = self.rows * ROW + 2 * PADDING - 3
end

--- Finds the size.
-- @param self the legend
-- @param c canvas, for measuring
-- @param inner_w width of the panel's box
-- @param inner_h its height
-- @param cell_w width of the part of the page that the panel has
-- @param cell_h its height
function legend.measure(self, c, inner_w, inner_h, cell_w, cell_h)
  if self.outside then
    arrange(self, c, cell_h, 0.4 * cell_w)
  else
    arrange(self, c, inner_h - 2 * INSET, inner_w - 2 * INSET)
  end
end

-- The cells of the box that marks use.
local function used_cells(plan)
  local box, used = plan.box, {}
  for _, mark in ipairs(plan.panel.marks) do
    marks[mark.kind].cover(mark, plan.view, function(x, y)
      local i, j = (x - box.x) // CELL, (y - box.y) // CELL
      if i == i and j == j and math.abs(i) < 1e4 and math.abs(j) < 1e4 then
        used[math.floor(i) << 16 | math.floor(j) & 0xFFFF] = true
      end
    end)
  end
  return used
end

-- Which part of the rectangle is used, 0 to 1.
local function covered(used, box, x, y, w, h)
  local hits, all = 0, 0
  for i = (x - box.x - 2) // CELL, (x - box.x + w + 2) // CELL do
    for j = (y - box.y - 2) // CELL, (y - box.y + h + 2) // CELL do
      all = all + 1
      if used[math.floor(i) << 16 | math.floor(j) & 0xFFFF] then hits = hits + 1 end
    end
  end
  return hits / all
end

local function at_spot(self, box, spot)
  return box.x + INSET + spot[1] * (box.w - self.width - 2 * INSET),
    box.y + INSET + spot[2] * (box.h - self.height - 2 * INSET)
end

local function emptiest(self, plan)
  local used, best, least = used_cells(plan), nil, math.huge
  for _, spot in ipairs(spots) do
    local x, y = at_spot(self, plan.box, spot)
    local part = covered(used, plan.box, x, y, self.width, self.height)
    if part < least then best, least = spot, part end
  end
  return best, least
end

--- Finds the place in a panel that has its own. A legend that would cover too much there goes
-- outside; the layout then starts again, with room for it.
function legend.place(self, plan)
  local box = plan.box
  if self.outside then
    self.left, self.top = box.x + box.w + self.x, box.y
    return
  end
  local spot = self.spot
  if not spot then
    local part
    spot, part = emptiest(self, plan)
    local large = self.width > 0.7 * box.w or self.height > 0.75 * box.h
    self.trials = self.trials - 1
    if self.trials >= 0 and (large or part > MOST_COVERED) then self.outside = true end
  end
  self.left, self.top = at_spot(self, box, spot)
end

local function draw_frame(self, c)
  local x, y, w, h, r = self.left, self.top, self.width, self.height, 3
  c:move_to(x + r, y):line_to(x + w - r, y):curve_to(x + w, y, x + w, y, x + w, y + r)
  c:line_to(x + w, y + h - r):curve_to(x + w, y + h, x + w, y + h, x + w - r, y + h)
  c:line_to(x + r, y + h):curve_to(x, y + h, x, y + h, x, y + h - r)
  c:line_to(x, y + r):curve_to(x, y, x, y, x + r, y):close_path()
end

--- Draws the legend.
function legend.draw(self, c)
  if not self.outside then
    draw_frame(self, c)
    c:color(1, 1, 1, 0.88):fill()
    draw_frame(self, c)
    theme.use(c, theme.grid)
    c:line_width(0.8):dash():stroke()
  end
  for i, entry in ipairs(self.entries) do
    local column, row = (i - 1) // self.rows, (i - 1) % self.rows
    local x = self.left + PADDING + column * (self.column + COLUMN_GAP)
    local y = self.top + PADDING + row * ROW + ROW / 2 - 1.5
    local width = marks[entry.mark.kind].key_width
    marks[entry.mark.kind].key(entry.mark, c, x + (self.sample - width) / 2, y, width)
    theme.use(c, theme.ink)
    c:font(theme.tick_size):text(entry.text, x + self.sample + SAMPLE_GAP, y, "left", "middle")
  end
end

return legend
