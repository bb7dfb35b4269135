--- Figures: panels in rows and columns, on a page that is saved as PNG, SVG or PDF. See
-- perilune.plot for an overview.
-- @module perilune.plot.figure

local core = require "perilune.core"
local blame = require "perilune.internal.blame"
local object = require "perilune.internal.object"
local check = require "perilune.internal.check"
local axes = require "perilune.plot.axes"
local Panel = require "perilune.plot.panel"
local read = require "perilune.plot.read"
local text = require "perilune.plot.text"
local theme = require "perilune.plot.theme"

local blaming, complain = blame.blaming, blame.complain

local Figure = object.class "fig"
Figure.__name = "perilune.plot.figure"

local PASSES <const> = 5        -- of the layout: labels depend on sizes, and sizes on labels
local LEAST_SIDE <const> = 24   -- of a box
local HIGHEST <const> = 14400   -- page, in points
local FIRST_MARGIN <const> = 45 -- what a panel is guessed to need at first

local function read_weights(who, name, value)
  local list = read.list(who, name, value)
  for i, v in ipairs(list) do read.positive(who, ("%s[%d]"):format(name, i), v) end
  return list
end

local figure_options = {
  width = read.side, height = read.side, columns = read.count, rows = read.count,
  widths = read_weights, heights = read_weights, title = read.text, scale = read.positive,
}

--- A figure without panels; scripts call `plot.figure`.
function Figure.new(options)
  local o = read.options("figure", options, figure_options)
  o.scale = o.scale or 2
  if o.widths then
    o.columns = o.columns or #o.widths
    if #o.widths ~= o.columns then
      complain("figure: widths has %d values for %d columns", #o.widths, o.columns)
    end
  end
  return setmetatable({options = o, panels = {}}, Figure)
end

--- Adds a panel: left to right, row by row.
-- @param options see perilune.plot
-- @return the panel
function Figure:panel(options)
  local panel = Panel.new("panel", options)
  local columns = self.options.columns
  if columns and (panel.options.span or 1) > columns then
    complain("panel: span is %d in a figure of %d columns", panel.options.span, columns)
  end
  self.panels[#self.panels + 1] = panel
  return panel
end

--
-- Layout
--

local function column_count(self)
  local n = #self.panels
  if self.options.columns then return self.options.columns end
  local columns = n <= 1 and 1 or n <= 4 and 2 or 3
  if self.options.rows then columns = math.max(1, math.ceil(n / self.options.rows)) end
  for _, panel in ipairs(self.panels) do columns = math.max(columns, panel.options.span or 1) end
  return columns
end

local function default_width(columns)
  return columns == 1 and 440 or math.min(columns * 320, 960)
end

-- A plan for each panel, with its row and its first and last column.
local function make_plans(self, columns)
  local plans, row, column = {}, 1, 1
  for i, panel in ipairs(self.panels) do
    local span = math.min(panel.options.span or 1, columns)
    if column + span - 1 > columns then row, column = row + 1, 1 end
    local plan = axes.plan(panel)
    plan.row, plan.first, plan.last = row, column, column + span - 1
    plans[i] = plan
    column = column + span
  end
  return plans, math.max(row, self.options.rows or 1)
end

-- A list of n numbers that add up to 1.
local function shares(weights, n)
  local list, sum = {}, 0
  for i = 1, n do
    list[i] = weights and weights[i] or 1
    sum = sum + list[i]
  end
  for i = 1, n do list[i] = list[i] / sum end
  return list
end

local function zeros(n)
  local list = {}
  for i = 1, n do list[i] = 0 end
  return list
end

-- The margins of each column and row: what the most demanding panel needs.
local function collect_margins(page, plans)
  local left, right = zeros(page.columns), zeros(page.columns)
  local top, bottom = zeros(page.rows), zeros(page.rows)
  for _, plan in ipairs(plans) do
    left[plan.first] = math.max(left[plan.first], plan.left)
    right[plan.last] = math.max(right[plan.last], plan.right)
    top[plan.row] = math.max(top[plan.row], plan.top)
    bottom[plan.row] = math.max(bottom[plan.row], plan.bottom)
  end
  page.left, page.right, page.top, page.bottom = left, right, top, bottom
end

local function sum(list)
  local total = 0
  for _, v in ipairs(list) do total = total + v end
  return total
end

-- Where the boxes of each column begin and end.
local function set_columns(page)
  local gaps = (page.columns - 1) * theme.panel_gap
  local room = page.width - 2 * theme.page_padding - gaps - sum(page.left) - sum(page.right)
  page.x, page.w = {}, {}
  local x = theme.page_padding
  for j = 1, page.columns do
    page.w[j] = math.max(room * page.width_shares[j], LEAST_SIDE)
    page.x[j] = x + page.left[j]
    x = page.x[j] + page.w[j] + page.right[j] + theme.panel_gap
  end
end

local function box_width(page, plan)
  return page.x[plan.last] + page.w[plan.last] - page.x[plan.first]
end

-- The height of a row's boxes when the page has no given height: what its pictures like,
-- or a pleasant ratio.
local function natural_height(page, plans, row)
  local highest, plain = 0, false
  for _, plan in ipairs(plans) do
    if plan.row == row then
      local h = axes.natural(plan, box_width(page, plan))
      if h then highest = math.max(highest, h) else plain = true end
    end
  end
  if highest > 0 and not plain then return highest end
  local mean = sum(page.w) / #page.w
  return math.min(math.max(0.62 * mean, 110), 250) * page.height_shares[row] * page.rows
end

local function set_rows(page, plans)
  local room
  if page.given_height then
    room = page.given_height - page.title_height - 2 * theme.page_padding
      - (page.rows - 1) * theme.panel_gap - sum(page.top) - sum(page.bottom)
  end
  page.y, page.h = {}, {}
  local y = theme.page_padding + page.title_height
  for i = 1, page.rows do
    local h = room and room * page.height_shares[i] or natural_height(page, plans, i)
    page.h[i] = math.max(h, LEAST_SIDE)
    page.y[i] = y + page.top[i]
    y = page.y[i] + page.h[i] + page.bottom[i] + theme.panel_gap
  end
  page.height = page.given_height or y - theme.panel_gap + theme.page_padding
end

-- The part of the page that a panel has, margins included.
local function set_cells(page, plans)
  for _, plan in ipairs(plans) do
    plan.cell_w = page.left[plan.first] + box_width(page, plan) + page.right[plan.last]
    plan.cell_h = page.top[plan.row] + page.h[plan.row] + page.bottom[plan.row]
  end
end

-- Labels of the vertical axes in a column stand below each other, except beside heatmaps, whose
-- rows have long names.
local function align_labels(page, plans)
  local left = zeros(page.columns)
  for _, plan in ipairs(plans) do
    if not plan.heatmap then left[plan.first] = math.max(left[plan.first], plan.left) end
  end
  for _, plan in ipairs(plans) do
    plan.label_left = plan.heatmap and plan.left or left[plan.first]
  end
end

local function place_title(self, page, c)
  page.title_height = 0
  local title = self.options.title
  if not title or title == "" then return end
  c:font(theme.figure_title_size, true)
  page.title = text.wrap(c, title, page.width - 2 * theme.page_padding, 3)
  local _, height = c:measure(page.title)
  page.title_height = height + 10
end

-- Measures and places until labels and sizes agree.
local function lay_out(self, c)
  local o = self.options
  local columns = column_count(self)
  local plans, rows = make_plans(self, columns)
  local page = {
    columns = columns, rows = rows, width = o.width or default_width(columns),
    given_height = o.height, width_shares = shares(o.widths, columns),
    height_shares = shares(o.heights, rows),
  }
  place_title(self, page, c)
  for _, plan in ipairs(plans) do
    plan.left, plan.right, plan.top, plan.bottom = FIRST_MARGIN, 4, 20, FIRST_MARGIN
  end
  for _ = 1, PASSES do
    collect_margins(page, plans)
    set_columns(page)
    set_rows(page, plans)
    set_cells(page, plans)
    for _, plan in ipairs(plans) do
      local w, h = box_width(page, plan), page.h[plan.row]
      axes.measure(plan, c, w, h)
      axes.place(plan, page.x[plan.first], page.y[plan.row], w, h, columns == 1)
    end
  end
  align_labels(page, plans)
  return page, plans
end

--
-- Results
--

-- Draws the figure on a new canvas.
local function draw(self)
  local page, plans = lay_out(self, blaming(core.canvas, 10, 10))
  if page.height > HIGHEST then
    complain("figure: its %d rows make a page of %.0f points; at most %d can be drawn", page.rows,
      page.height, HIGHEST)
  end
  local c = core.canvas(page.width, page.height)
  if page.title then
    theme.use(c, theme.ink)
    c:font(theme.figure_title_size, true)
    c:text(page.title, theme.page_padding, theme.page_padding, "left", "top")
  end
  for _, plan in ipairs(plans) do axes.draw(plan, c) end
  return c
end

--- Saves the figure to one or several files; the ends of their names, .png, .svg and .pdf,
-- say how. Files are written whole or not at all.
-- @param ... paths
-- @return true, or nil and a message
function Figure:save(...)
  local n = select("#", ...)
  if n == 0 then complain("save: the name of a file expected") end
  for i = 1, n do
    local path = select(i, ...)
    if type(path) ~= "string" then
      complain("save: name %d: string expected, got %s", i, check.type(path))
    end
  end
  local c <close> = draw(self)
  for i = 1, n do
    local ok, message = c:save((select(i, ...)), self.options.scale)
    if not ok then return nil, message end
  end
  return true
end

--- The figure as an image.
-- @param factor how many pixels a point has (1)
-- @return uint8 tensor [h, w, 3]
function Figure:pixels(factor)
  if factor ~= nil then read.positive("pixels", "scale", factor) end
  local c <close> = draw(self)
  return c:pixels(factor or 1)
end

return Figure
