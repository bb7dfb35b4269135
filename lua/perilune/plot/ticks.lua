--- Which ticks an axis gets, so that their labels do not touch each other (internal).
--
-- A list of ticks is a table: entries {at = place from 0 to 1, label = text}, `minor` (places
-- of ticks without labels), `angle` of the labels in degrees, and their extent on the page,
-- `width` and `height` in points.
-- @module perilune.plot.ticks

local read = require "perilune.plot.read"
local plain = require "perilune.plot.scale".plain
local text = require "perilune.plot.text"
local theme = require "perilune.plot.theme"

local ticks = {}

local LABEL_GAP <const> = 10       -- between labels side by side
local LINE <const> = 1.25          -- height of a line, in font sizes
local ANGLE <const> = 45           -- of labels that do not fit side by side
local SINE <const> = math.sin(math.rad(ANGLE))

local function label_height()
  return LINE * theme.tick_size
end

local function measure(c, list)
  c:font(theme.tick_size)
  list.width, list.height, list.angle = 0, 0, 0
  for _, tick in ipairs(list) do
    local w, h = c:measure(tick.label)
    tick.width = w
    list.width, list.height = math.max(list.width, w), math.max(list.height, h)
  end
  return list
end

--
-- Numbers
--

-- Ticks with labels from the scale, or at the places that the user chose.
local function numbers(scale, n, options)
  local list = {}
  local found, minor = scale:ticks(n, options.whole)
  if options.values then
    found, minor = {}, {}
    for _, value in ipairs(options.values) do
      found[#found + 1] = {value = value, label = plain(value)}
    end
  end
  for _, tick in ipairs(found) do
    local at = scale:at(tick.value)
    if at >= -1e-6 and at <= 1 + 1e-6 then
      local label = options.format and read.formatted(options.format, tick.value) or tick.label
      list[#list + 1] = {at = at, label = label}
    end
  end
  table.sort(list, function(a, b) return a.at < b.at end)
  list.minor = {}
  for i, value in ipairs(minor) do list.minor[i] = scale:at(value) end
  return list
end

local function collides(list, length, need)
  for i = 2, #list do
    if (list[i].at - list[i - 1].at) * length < need(list[i - 1], list[i]) then return true end
  end
  return false
end

-- Every k-th tick of the list, with the smallest k that leaves no collisions.
local function without_collisions(c, list, length, need)
  local kept, stride = list, 1
  while collides(kept, length, need) do
    stride = stride + 1
    kept = {minor = list.minor}
    for i = 1, #list, stride do kept[#kept + 1] = list[i] end
  end
  return measure(c, kept)
end

-- As many ticks as fit, but at least three if possible; `need(a, b)` is how far apart two
-- neighbours must be.
local function fitting(c, scale, length, most, options, need)
  local list
  for n = most, 1, -1 do
    list = measure(c, numbers(scale, n, options))
    if options.values or not collides(list, length, need) then break end
  end
  list = without_collisions(c, list, length, need)
  for n = most + 1, options.values and 0 or most + 4 do
    if #list >= 3 then break end
    local more = measure(c, numbers(scale, n, options))
    if #more > #list and not collides(more, length, need) then list = more end
  end
  return list
end

local function side_by_side(a, b)
  return (a.width + b.width) / 2 + LABEL_GAP
end

local function one_above_other()
  return 1.35 * theme.tick_size
end

--- Ticks of a horizontal axis with numbers.
-- @param c canvas, for measuring
-- @param scale the scale
-- @param length of the axis in points
-- @param options `whole`: only whole numbers; `format` of the labels; `values`: the ticks
function ticks.across(c, scale, length, options)
  local most = math.min(math.max(math.floor(length / 22), 1), 10)
  return fitting(c, scale, length, most, options, side_by_side)
end

--- Ticks of a vertical axis with numbers.
function ticks.up(c, scale, length, options)
  local most = math.min(math.max(math.floor(length / 22), 1), 8)
  return fitting(c, scale, length, most, options, one_above_other)
end

--
-- Categories
--

-- A round number of at least x: 1, 2, 5, 10, 20, ...
local function round_stride(x)
  local power = 1
  while true do
    for _, digit in ipairs {1, 2, 5} do
      if digit * power >= x then return digit * power end
    end
    power = power * 10
  end
end

local function all_numbers(labels)
  for _, label in ipairs(labels) do
    if not tonumber(label) then return false end
  end
  return true
end

-- Every stride-th label; of numbers, those that are multiples of the stride.
local function thinned(scale, labels, stride, change)
  local list, first = {minor = {}}, 1
  if stride > 1 and all_numbers(labels) then
    for i = math.min(stride, #labels), 1, -1 do
      if tonumber(labels[i]) % stride == 0 then first = i end
    end
  end
  for i = first, #labels, stride do
    list[#list + 1] = {at = scale:at(i), label = change and change(labels[i]) or labels[i]}
  end
  return list
end

local function widest_word(c, labels)
  local width = 0
  for _, label in ipairs(labels) do
    for word in label:gmatch "%S+" do width = math.max(width, (c:measure(word))) end
  end
  return width
end

-- Labels in at most two lines, or nil if that does not make them fit.
local function in_two_lines(c, scale, labels, room)
  if widest_word(c, labels) > room then return nil end
  local list = thinned(scale, labels, 1, function(label) return text.wrap(c, label, room, 9) end)
  for _, tick in ipairs(list) do
    if text.lines(tick.label) > 2 then return nil end
  end
  return measure(c, list)
end

local function rotated(c, scale, labels, slot, longest)
  local stride = math.max(1, math.ceil(1.15 * theme.tick_size / SINE / slot))
  local list = thinned(scale, labels, stride, function(label)
    return text.cut(c, label:gsub("\n", " "), longest / SINE)
  end)
  measure(c, list)
  list.angle = ANGLE
  list.height = SINE * (list.width + theme.tick_size)
  return list
end

--- Ticks of a horizontal axis with categories: side by side if they fit, else in two lines,
-- else turned; a long row of numbers is thinned.
-- @param longest how much room labels may take below the axis, in points
function ticks.categories_across(c, scale, length, labels, longest)
  c:font(theme.tick_size)
  local slot = length / math.abs(scale.high - scale.low)
  local all = measure(c, thinned(scale, labels, 1))
  local room = slot - 4
  if all.width <= room then return all end
  if all_numbers(labels) then
    return measure(c, thinned(scale, labels, round_stride((all.width + LABEL_GAP) / slot)))
  end
  return in_two_lines(c, scale, labels, room) or rotated(c, scale, labels, slot, longest)
end

--- Ticks of a vertical axis with categories, thinned if there are too many.
-- @param longest how wide labels may be, in points
function ticks.categories_up(c, scale, length, labels, longest)
  c:font(theme.tick_size)
  local slot = length / math.abs(scale.high - scale.low)
  local stride = math.max(1, math.ceil(label_height() / slot))
  if stride > 1 and all_numbers(labels) then stride = round_stride(label_height() / slot) end
  return measure(c, thinned(scale, labels, stride, function(label)
    return text.wrap(c, label, longest, slot > 2 * label_height() and 2 or 1)
  end))
end

return ticks
