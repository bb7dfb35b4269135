--- Plots: what is drawn where, read from the pixels, and every message.

local lu = require "luaunit"
local core = require "perilune.core"
local plot = require "perilune.plot"
local Scale = require "perilune.plot.scale"
local ticks = require "perilune.plot.ticks"

local T = {}
local nan <const>, inf <const> = 0 / 0, math.huge
local RED <const>, GREEN <const>, BLUE <const> = "#ff0000", "#00ff00", "#0000ff"

--
-- Helpers
--

local tests = {
  [RED] = function(p) return p[1] > 180 and p[2] < 90 and p[3] < 90 end,
  [GREEN] = function(p) return p[1] < 90 and p[2] > 180 and p[3] < 90 end,
  [BLUE] = function(p) return p[1] < 90 and p[2] < 90 and p[3] > 180 end,
  spine = function(p)
    return math.abs(p[1] - 0x9a) < 8 and math.abs(p[2] - 0xa5) < 8 and math.abs(p[3] - 0xb1) < 8
  end,
}

-- Where a colour is in a figure: count, left, right, top, bottom, and the pixels as nested tables.
local function find(fig, color, pixels)
  pixels = pixels or fig:pixels(2):totable()
  local is = tests[color]
  local r = {n = 0, left = inf, right = -inf, top = inf, bottom = -inf, pixels = pixels}
  for y, row in ipairs(pixels) do
    for x, p in ipairs(row) do
      if is(p) then
        r.n = r.n + 1
        r.left, r.right = math.min(r.left, x), math.max(r.right, x)
        r.top, r.bottom = math.min(r.top, y), math.max(r.bottom, y)
      end
    end
  end
  r.x, r.y = (r.left + r.right) / 2, (r.top + r.bottom) / 2
  return r
end

local function small(options)
  local fig = plot.figure {width = 180, height = 130}
  return fig, fig:panel(options)
end

local function near(a, b, tolerance)
  lu.assertAlmostEquals(a, b, tolerance or 1)
end

local function counted(n, f)
  local list = {}
  for i = 1, n do list[i] = f(i) end
  return list
end

local function file_bytes(path)
  local file = assert(io.open(path, "rb"))
  local bytes = file:read "a"
  file:close()
  return bytes
end

--
-- Places
--

function T.test_lines_pass_where_they_must()
  local fig, p = small {x_limits = {0, 10}, y_limits = {0, 10}}
  p:line({0, 10}, {0, 0}, {color = RED}):line({0, 10}, {10, 10}, {color = BLUE})
  p:line({0, 10}, {5, 5}, {color = GREEN})
  local low = find(fig, RED)
  local high, middle = find(fig, BLUE, low.pixels), find(fig, GREEN, low.pixels)
  near(middle.y, (low.y + high.y) / 2)
  lu.assertTrue(low.y - high.y > 60)
  near(low.left, high.left, 3) -- the axis hides a little of the lower one
  near(low.right, middle.right)
end

function T.test_axes_stand_at_the_limits()
  local fig, p = small {x_limits = {0, 10}, y_limits = {0, 10}, grid = false}
  p:line({2, 8}, {2, 2}, {color = RED}):line({2, 2}, {2, 8}, {color = BLUE})
  local red = find(fig, RED)
  local blue = find(fig, BLUE, red.pixels)
  local function longest(last, at)
    local best, most = 0, 0
    for i = 1, last do
      local n = at(i)
      if n > most then best, most = i, n end
    end
    return best
  end
  local function count_spine(first, last, at)
    local n = 0
    for i = first, last do
      if tests.spine(at(i)) then n = n + 1 end
    end
    return n
  end
  local pixels = red.pixels
  local column = longest(#pixels[1], function(x)
    return count_spine(1, #pixels, function(y) return pixels[y][x] end)
  end)
  local row = longest(#pixels, function(y)
    return count_spine(1, #pixels[1], function(x) return pixels[y][x] end)
  end)
  -- from (2, 2) to the axes is as far as a third of the way from 2 to 8
  near(blue.x - column, (red.right - red.left) / 3, 3)
  near(row - red.y, (blue.bottom - blue.top) / 3, 3)
end

function T.test_log_scale()
  local fig, p = small {y_scale = "log", y_limits = {1, 1000}}
  p:line({0, 1}, {1, 1}, {color = RED}):line({0, 1}, {10, 10}, {color = GREEN})
  p:line({0, 1}, {1000, 1000}, {color = BLUE})
  local one = find(fig, RED)
  local ten, thousand = find(fig, GREEN, one.pixels), find(fig, BLUE, one.pixels)
  near((one.y - ten.y) * 3, one.y - thousand.y, 2)
end

function T.test_log_scale_across_and_reversed()
  local fig, p = small {x_scale = "log", x_limits = {100, 1}, y_limits = {0, 1}}
  p:line({1, 1}, {0, 1}, {color = RED}):line({10, 10}, {0, 1}, {color = GREEN})
  p:line({100, 100}, {0, 1}, {color = BLUE})
  local one = find(fig, RED)
  local ten, hundred = find(fig, GREEN, one.pixels), find(fig, BLUE, one.pixels)
  lu.assertTrue(hundred.x < one.x)
  near(ten.x, (one.x + hundred.x) / 2)
end

function T.test_bars_stand_on_zero_side_by_side()
  local fig, p = small {y_limits = {0, 10}}
  p:bar({"a", "b"}, {10, 5}, {color = RED}):bar({"a", "b"}, {5, 5}, {color = BLUE})
  local red = find(fig, RED)
  local blue = find(fig, BLUE, red.pixels)
  near(red.bottom, blue.bottom)
  near(blue.bottom - blue.top, (red.bottom - red.top) / 2, 2)
  lu.assertTrue(red.left < blue.left and red.right < blue.right)
  near(red.n, 1.5 * blue.n, 0.05 * blue.n)
end

function T.test_histogram_counts()
  local fig, p = small {y_limits = {0, 4}}
  p:hist({1, 1, 1, 1, 2.5, 4, 4, nan, inf}, {bins = {1, 2, 3, 4}, color = RED})
  local red = find(fig, RED)
  local heights, width = {}, (red.right - red.left + 1) / 3
  for k = 1, 3 do
    local x, n = math.floor(red.left + (k - 0.5) * width), 0
    for y = red.top, red.bottom do
      if tests[RED](red.pixels[y][x]) then n = n + 1 end
    end
    heights[k] = n
  end
  near(heights[2] * 4, heights[1], 3)
  near(heights[3] * 2, heights[1], 2)
end

function T.test_error_bars_reach_their_ends()
  local fig, p = small {y_limits = {0, 10}, x_limits = {0, 2}}
  p:errorbar({1}, {5}, 2, {color = RED}):line({0, 2}, {7, 7}, {color = BLUE, width = 1})
  local red = find(fig, RED)
  local blue = find(fig, BLUE, red.pixels)
  near(red.top, blue.y, 2)
  near((red.top + red.bottom) / 2, red.y)
end

function T.test_error_bars_with_two_lengths()
  local fig, p = small {y_limits = {0, 10}, x_limits = {0, 2}}
  p:errorbar({1}, {5}, {below = 1, above = {3}}, {color = RED})
  p:line({0, 2}, {8, 8}, {color = BLUE, width = 1}):line({0, 2}, {4, 4}, {color = GREEN, width = 1})
  local red = find(fig, RED)
  near(red.top, find(fig, BLUE, red.pixels).y, 2)
  near(red.bottom, find(fig, GREEN, red.pixels).y, 2)
  fig, p = small {y_limits = {0, 10}}
  p:bar({5}, {color = GREEN, error = {below = {1}, above = 4}})
  p:line({0, 2}, {9, 9}, {color = BLUE, width = 1})
  lu.assertTrue(find(fig, GREEN).top > find(fig, BLUE).y + 20)
end

function T.test_band_and_hline()
  local fig, p = small {x_limits = {0, 1}, y_limits = {0, 4}}
  p:band({0, 1}, {1, 1}, {3, 3}, {color = RED, alpha = 1}):hline(2, {color = BLUE, style = "solid"})
  local red = find(fig, RED)
  local blue = find(fig, BLUE, red.pixels)
  near(red.y, blue.y, 1)
  lu.assertTrue(red.n > 3000)
end

function T.test_nothing_is_drawn_outside_the_panel()
  local fig, p = small {x_limits = {0, 10}, y_limits = {0, 10}}
  for _, y in ipairs {0, 10} do p:line({0, 10}, {y, y}, {color = BLUE, width = 1}) end
  p:line({-100, 100}, {-100, 100}, {color = RED}):line({5, 5}, {-1e299, 1e299}, {color = RED})
  p:band({-50, 50}, {-50, -50}, {50, 50}, {color = GREEN, alpha = 1})
  p:bar({1, 2, 3}, {50, -50, 1e6}, {color = RED, annotate = "%d", error = 1e4})
  p:scatter({-5, 20}, {5, 5}, {color = RED, size = 9}):errorbar({5}, {40}, {1000}, {color = RED})
  p:text(30, 5, "WWWW", {color = RED, size = 20}):vline(60, {color = RED})
  local frame = find(fig, BLUE)
  for _, color in ipairs {RED, GREEN} do
    local r = find(fig, color, frame.pixels)
    lu.assertTrue(r.n > 50)
    -- a pixel or two more is the width of a line at the edge
    lu.assertTrue(r.left >= frame.left - 3 and r.right <= frame.right + 3)
    lu.assertTrue(r.top >= frame.top - 3 and r.bottom <= frame.bottom + 3)
  end
end

--
-- Gaps, extremes
--

function T.test_nan_and_infinity_leave_gaps()
  local fig, p = small {x_limits = {1, 5}, y_limits = {0, 2}}
  p:line({1, 1, nan, 1, 1}, {color = RED}):line({0.5, 0.5, inf, 0.5, 0.5}, {color = BLUE})
  local red = find(fig, RED)
  local blue = find(fig, BLUE, red.pixels)
  for _, r in ipairs {red, blue} do
    local gap = 0
    for x = r.left, r.right do
      if not tests[r == red and RED or BLUE](red.pixels[math.floor(r.y + 0.5)][x]) then
        gap = gap + 1
      end
    end
    near(gap, (r.right - r.left) / 2, 4)
  end
end

function T.test_a_point_between_gaps_is_a_dot()
  local fig, p = small {}
  p:line({nan, 1, nan}, {color = RED, style = "dashed"})
  lu.assertTrue(find(fig, RED).n >= 4)
end

function T.test_a_spike_among_many_points_is_seen()
  local ys = counted(100000, function(i) return i == 70001 and 1 or 0 end)
  local fig, p = small {y_limits = {0, 1}}
  p:line(ys, {color = RED})
  local red = find(fig, RED)
  lu.assertTrue(red.bottom - red.top > 50)
end

function T.test_odd_data_give_pictures()
  local shapes = {
    {}, {1}, {5, 5, 5}, {0, 0}, {nan, nan}, {inf, -inf}, {1e308, -1e308}, {1e-320, 0},
    {1, 1 + 1e-12}, {-3, -2}, {nan, 2}, {0, 1e-300, 1e300}, {math.mininteger, math.maxinteger},
  }
  for _, scale in ipairs {"linear", "log"} do
    local fig = plot.figure {columns = #shapes, width = 1500, title = "odd"}
    for _, ys in ipairs(shapes) do
      local p = fig:panel {y_scale = scale, title = "t"}
      p:line(ys, {label = "a"}):scatter(ys, {label = "b"}):errorbar(nil, ys, ys, {label = "c"})
      p:band(nil, ys, ys, {label = "d"})
      fig:panel({y_scale = scale}):bar(ys, {label = "a", annotate = "%.1f", error = ys})
      fig:panel({x_scale = scale, y_scale = scale}):line(ys, ys):hist(ys)
      fig:panel():heatmap({ys}, {annotate = "%d"})
      p:hline(nan):vline(inf):text(nan, 1, "")
    end
    lu.assertEquals(fig:pixels(1):size(3), 3)
  end
  for _, low in ipairs {1e16, -1e17, 1e299} do
    plot.line({1, 2, 3}, {y_limits = {low}}):pixels(1)
    plot.line({1, 2, 3}, {y_limits = {nil, low}}):pixels(1)
  end
  local fig = plot.figure()
  fig:panel():hline(1e308):hline(-1e308)
  lu.assertEquals(fig:pixels(1):size(3), 3)
end

function T.test_empty_figures_and_panels()
  lu.assertEquals(plot.figure({width = 50, height = 40}):pixels(1):size(), {40, 50, 3})
  local fig = plot.figure {width = 300}
  fig:panel()
  fig:panel({title = ""}):images {}
  fig:panel():heatmap {}
  fig:panel({x_scale = "log", y_scale = "log"}):hist {}
  lu.assertEquals(fig:pixels(2):size(2), 600)
end

function T.test_long_words_and_small_pages()
  local long = ("word "):rep(200)
  local fig = plot.figure {width = 120, height = 90, title = long}
  local p = fig:panel {title = long, x_label = long, y_label = ("x"):rep(500)}
  p:bar({long, ("y"):rep(3000), "c"}, {1, 2, 3}, {label = long, annotate = "%.8f"})
  lu.assertEquals(fig:pixels(1):size(), {90, 120, 3})
end

--
-- Legends
--

function T.test_legend_is_drawn_where_nothing_is()
  local function curve(legend)
    local fig, p = small {legend = legend, y_limits = {0, 1}}
    p:line({1, 1, 1, 1}, {color = RED, label = "a", width = 2})
    return find(fig, RED)
  end
  local without, with = curve(false), curve(nil)
  lu.assertEquals(without.bottom - without.top <= 3, true)
  lu.assertTrue(with.n > without.n + 20)
  lu.assertTrue(with.bottom > with.top + 50) -- the line is at the top, so the sample is below
end

function T.test_legend_outside()
  local fig, p = small {legend = "outside", x_limits = {0, 1}}
  p:line({0, 1}, {0, 0}, {color = BLUE}):scatter({0, 1}, {1, 1}, {color = RED, label = "red"})
  local blue = find(fig, BLUE)
  lu.assertTrue(find(fig, RED, blue.pixels).right > blue.right + 5)
end

function T.test_legend_goes_outside_where_it_would_cover()
  local fig, p = small {}
  for k = 1, 4 do
    p:line(counted(40, function(i) return (i * 7919 * k) % 13 end), {color = RED, label = "s" .. k})
  end
  p:hline(6, {color = BLUE, style = "solid"})
  local blue = find(fig, BLUE)
  lu.assertTrue(find(fig, RED, blue.pixels).right > blue.right + 5)
end

--
-- Pictures
--

function T.test_images_keep_their_pixels_and_their_shape()
  local image = core.tensor({
    {{255, 0, 0}, {0, 255, 0}, {255, 255, 0}}, {{0, 0, 255}, {9, 8, 7}, {255, 0, 255}},
  }, "uint8")
  local fig = plot.figure {width = 138, height = 98} -- 120 x 80 inside the padding of 9
  fig:panel():images {image}
  local red = find(fig, RED)
  local function at(row, column)
    return red.pixels[red.top + 80 * row - 40][red.left + 80 * column - 40]
  end
  lu.assertEquals({red.left, red.right}, {19, 98}) -- 40 points, two pixels each
  lu.assertEquals({red.top, red.bottom}, {19, 98})
  for row = 1, 2 do
    for column = 1, 3 do
      lu.assertEquals(at(row, column), image:totable()[row][column])
    end
  end
end

function T.test_images_of_all_layouts_are_equal()
  local grey = {{0, 51}, {102, 255}}
  local function pixels(value)
    local fig = plot.figure {width = 60, height = 60}
    fig:panel():images(value)
    return fig:pixels(1):totable()
  end
  local rgb = {}
  for y = 1, 2 do
    rgb[y] = {}
    for x = 1, 2 do rgb[y][x] = {grey[y][x], grey[y][x], grey[y][x]} end
  end
  local expected = pixels(core.tensor(grey, "uint8"))
  local same = {
    core.tensor({grey}, "uint8"), core.tensor({{grey}}, "uint8"),
    core.tensor({{grey, grey, grey}}, "uint8"), core.tensor({rgb}, "uint8"),
    {core.tensor(grey, "uint8")}, {core.tensor({grey}, "uint8")},
    core.tensor({{{0, 0.2}, {0.4, 1}}}),
  }
  for i, value in ipairs(same) do lu.assertEquals(pixels(value), expected, i) end
end

function T.test_captions_and_their_colours()
  local image = core.tensor({{255, 255}, {255, 255}}, "uint8")
  local fig = plot.figure {width = 200}
  fig:panel():images({image, image}, {titles = {"MMM\nMMM", "MMM"}, title_color = {RED, BLUE},
    columns = 2, title_size = 12})
  local red = find(fig, RED)
  local blue = find(fig, BLUE, red.pixels)
  lu.assertTrue(red.right < blue.left)
  lu.assertTrue(red.bottom - red.top > 1.7 * (blue.bottom - blue.top))
  near(red.bottom, blue.bottom)
end

function T.test_heatmap_cells()
  local fig = plot.figure {width = 200, height = 120}
  fig:panel():heatmap({{0, 1}, {nan, 0}}, {colormap = "grays", colorbar = false,
    rows = {"a", "b"}, columns = {"c", "d"}})
  local pixels = fig:pixels(1):totable()
  local dark, missing = 0, 0
  for _, row in ipairs(pixels) do
    for _, p in ipairs(row) do
      if p[1] == 0 and p[2] == 0 and p[3] == 0 then dark = dark + 1 end
      if p[1] == 0xec and p[2] == 0xef and p[3] == 0xf2 then missing = missing + 1 end
    end
  end
  near(dark, 2 * missing, 0.1 * dark)
  lu.assertTrue(missing > 1000)
end

function T.test_colorbar()
  -- the widest gap between columns of dark pixels: the bar stands apart from the cells
  local function gap(colorbar)
    local fig = plot.figure {width = 200, height = 120}
    fig:panel():heatmap({{0, 0}, {0, 1}}, {colormap = "grays", colorbar = colorbar})
    local dark = {}
    for _, row in ipairs(fig:pixels(1):totable()) do
      for x, p in ipairs(row) do
        if p[1] < 20 and p[3] < 20 then dark[x] = true end
      end
    end
    local widest, last = 0, nil
    for x = 1, 200 do
      if dark[x] then widest, last = math.max(widest, last and x - last or 0), x end
    end
    return widest
  end
  lu.assertTrue(gap(false) < 4)
  lu.assertTrue(gap(true) > 7)
end

--
-- Data
--

function T.test_tensors_are_as_good_as_lists()
  local function pixels(convert)
    local fig, p = small {}
    p:line(convert {1, 2, 3}, convert {3, 1, 2}):bar(convert {1, 2}, convert {1, 2})
    p:hist(convert {1, 2, 3}):band(nil, convert {1, 2}, convert {2, 3})
    fig:panel():heatmap(convert {{1, 2}, {3, 4}})
    return fig:pixels(1):totable()
  end
  local lists = pixels(function(list) return list end)
  lu.assertEquals(pixels(core.tensor), lists)
  lu.assertEquals(pixels(function(list) return core.tensor(list, "int32") end), lists)
end

function T.test_data_are_copied()
  local ys = {1, 2, 3}
  local fig, p = small {}
  p:line(ys)
  local before = fig:pixels(1):totable()
  ys[2] = 100
  lu.assertEquals(fig:pixels(1):totable(), before)
end

function T.test_counting_from_one()
  local function pixels(...)
    local fig, p = small {}
    p:line(...)
    return fig:pixels(1):totable()
  end
  local options = {color = RED}
  local expected = pixels({1, 2, 3}, {4, 6, 5}, options)
  lu.assertEquals(pixels({4, 6, 5}, options), expected)
  lu.assertEquals(pixels({4, 6, 5}, nil, options), expected)
end

function T.test_colours_of_the_palette_and_of_bands()
  local _, p = small {}
  p:band(nil, {1}, {2}):line({1}):band(nil, {1}, {2}):line({1}, {color = RED}):band(nil, {1}, {2})
  p:scatter({1}):band(nil, {1}, {2}, {color = 7})
  local colors = counted(#p.marks, function(i) return p.marks[i].color end)
  lu.assertEquals(colors, {1, 1, 1, RED, RED, 2, 7})
end

function T.test_scatter_by_class()
  local _, p = small {}
  p:scatter({1, 2, 3}, {1, 2, 3}, {classes = {1, 3, 3}, labels = {"a", "b", "c"}})
  lu.assertEquals(#p.marks, 3)
  lu.assertEquals(p.marks[3].x, {2, 3})
  lu.assertEquals({p.marks[1].label, p.marks[2].label, p.marks[3].color}, {"a", "b", 3})
  lu.assertEquals(#p.marks[2].x, 0)
end

function T.test_one_liners()
  local fig = plot.line({1, 2}, {3, 4}, {title = "t", x_label = "x", label = "l", width = 90,
    height = 80, scale = 1})
  lu.assertEquals(fig:pixels():size(), {80, 90, 3})
  for _, f in ipairs {
    plot.scatter({1, 2}), plot.bar({"a"}, {1}), plot.hist({1, 2}, {bins = 3}),
    plot.heatmap({{1}}, {title = "t"}), plot.line({1, 2}, {title = "t"}),
    plot.errorbar(nil, {1}, 1), plot.band(nil, {1}, {2}), plot.images({}, {title = "t"}),
  } do
    lu.assertEquals(#f.panels, 1)
    lu.assertEquals(f:pixels(1):size(3), 3)
  end
end

--
-- Ticks
--

local function labels(list)
  return counted(#list, function(i) return list[i].label end)
end

local function tick_labels(kind, low, high, n, whole)
  return labels((Scale.new(kind, low, high):ticks(n, whole)))
end

function T.test_ticks_are_round_numbers()
  lu.assertEquals(tick_labels("linear", 0, 1, 5), {"0.0", "0.2", "0.4", "0.6", "0.8", "1.0"})
  lu.assertEquals(tick_labels("linear", -1.1, 1.1, 3), {"−1", "0", "1"})
  lu.assertEquals(tick_labels("linear", 0, 30000, 3), {"0", "10,000", "20,000", "30,000"})
  lu.assertEquals(tick_labels("linear", 0, 12000, 3), {"0", "5,000", "10,000"})
  lu.assertEquals(tick_labels("linear", 0.5, 4.5, 8, true), {"1", "2", "3", "4"})
  lu.assertEquals(tick_labels("linear", 0, 4e-6, 2), {"0", "2×10⁻⁶", "4×10⁻⁶"})
  lu.assertEquals(tick_labels("linear", 1, 1.0000002, 2), {"1.0000000", "1.0000001", "1.0000002"})
  lu.assertEquals(tick_labels("linear", 3, 0, 3), {"0", "1", "2", "3"})
end

function T.test_ticks_of_log_scales()
  lu.assertEquals(tick_labels("log", 0.01, 10, 5), {"0.01", "0.1", "1", "10"})
  lu.assertEquals(tick_labels("log", 1e-6, 10, 8)[1], "10⁻⁶")
  lu.assertEquals(tick_labels("log", 1, 60, 6), {"1", "2", "5", "10", "20", "50"})
  lu.assertEquals(tick_labels("log", 1e-30, 1, 4), {"10⁻³⁰", "10⁻²⁰", "10⁻¹⁰", "10⁰"})
  lu.assertEquals(tick_labels("log", 2.1, 2.4, 3), {"2.1", "2.2", "2.3", "2.4"})
  lu.assertEquals(tick_labels("log", 86, 215, 6), {"100", "150", "200"})
  lu.assertEquals(tick_labels("log", 1.2, 3, 6), {"1.5", "2.0", "2.5", "3.0"})
end

-- Whether labels of a horizontal axis keep apart.
local function overlap(list, length)
  for i = 2, #list do
    local a, b = list[i - 1], list[i]
    if (b.at - a.at) * length < (a.width + b.width) / 2 then return true end
  end
  return false
end

function T.test_tick_labels_do_not_overlap()
  local c <close> = core.canvas(10, 10)
  for _, limits in ipairs {{0, 1}, {0, 1e5}, {-1e-7, 1e-7}, {1e9, 1e9 + 4}, {0.001, 0.0012}} do
    for length = 20, 400, 38 do
      for _, kind in ipairs {"linear", "log"} do
        local low = kind == "log" and math.max(limits[1], 1e-9) or limits[1]
        local list = ticks.across(c, Scale.new(kind, low, limits[2]), length, {})
        lu.assertFalse(overlap(list, length))
        lu.assertTrue(#list > 0 or length < 60)
      end
    end
  end
  local values = counted(101, function(i) return i - 1 end)
  lu.assertFalse(overlap(ticks.across(c, Scale.new("linear", 0, 100), 300, {values = values}), 300))
end

function T.test_category_labels_are_broken_turned_or_thinned()
  local c <close> = core.canvas(10, 10)
  local function across(list, length)
    return ticks.categories_across(c, Scale.new("linear", 0.5, #list + 0.5), length, list, 60)
  end
  lu.assertEquals(labels(across({"a", "b"}, 100)), {"a", "b"})
  lu.assertEquals(labels(across({"some words", "b"}, 90)), {"some\nwords", "b"})
  local turned = across(counted(10, function(i) return "category " .. i end), 200)
  lu.assertEquals({turned.angle, #turned}, {45, 10})
  local thinned = across(counted(100, function(i) return "category " .. i end), 300)
  lu.assertEquals(thinned.angle, 45)
  lu.assertTrue(#thinned < 40)
  local numbers = across(counted(100, tostring), 200)
  lu.assertEquals({numbers.angle, numbers[1].label, numbers[2].label}, {0, "20", "40"})
  lu.assertFalse(overlap(numbers, 200))
end

function T.test_tick_formats_and_chosen_ticks()
  local c <close> = core.canvas(10, 10)
  local scale = Scale.new("linear", -1, 1)
  local function across(options) return labels(ticks.across(c, scale, 300, options)) end
  lu.assertEquals(across {values = {-0.5, 0.25, 7}}, {"−0.5", "0.25"})
  lu.assertEquals(across {values = {-1}, format = "%.1f %%"}, {"−1.0 %"})
  lu.assertEquals(across {values = {1}, format = function(v) return 2 * v end}, {"2"})
end

--
-- Layout
--

function T.test_boxes_of_a_column_and_a_row_are_aligned()
  local fig = plot.figure {width = 400, columns = 2}
  for k = 1, 4 do
    local limits = k == 3 and {0, 1e6} or {0, 1}
    local p = fig:panel {y_limits = limits, x_limits = {0, 1}, y_label = k == 3 and "label" or nil,
      title = k == 2 and "two\nlines" or "one"}
    p:line({0, 1}, {limits[2], limits[2]}, {color = k % 2 == 1 and RED or BLUE, width = 2})
  end
  local pixels = fig:pixels(1):totable()
  -- the extent of the top line of each panel
  local function line(color, from, to)
    local part = {}
    for y = 1, #pixels do part[y] = y >= from and y <= to and pixels[y] or {} end
    return find(fig, color, part)
  end
  local half = #pixels // 2
  local first, second = line(RED, 1, half), line(BLUE, 1, half)
  local third, fourth = line(RED, half, #pixels), line(BLUE, half, #pixels)
  near(first.left, third.left)
  near(first.right, third.right)
  near(second.left, fourth.left)
  near(second.right, fourth.right)
  near(first.top, second.top)
  near(third.bottom, fourth.bottom)
end

function T.test_span_and_weights()
  local fig = plot.figure {width = 300, height = 200, widths = {3, 1}, heights = {1, 1}}
  for _, options in ipairs {{span = 2}, {}, {}} do
    options.x_limits, options.y_limits = {0, 1}, {0, 1}
    fig:panel(options):hline(1, {color = RED, style = "solid", width = 2})
  end
  local red = find(fig, RED)
  local widths = {}
  for _, y in ipairs {red.top, red.bottom} do
    for _, p in ipairs(red.pixels[y]) do
      if tests[RED](p) then widths[y] = (widths[y] or 0) + 1 end
    end
  end
  lu.assertTrue(widths[red.top] > widths[red.bottom] + 20)
end

--
-- Files
--

function T.test_equal_calls_give_equal_files()
  local function save()
    local fig = plot.figure {title = "Équal", width = 200}
    local p = fig:panel {x_label = "x"}
    p:line({1, 3, 2}, {label = "a", marker = "circle"}):scatter({1, 2, 3}, {label = "b"})
    fig:panel():heatmap({{1, 2}, {3, 4}}, {annotate = "%d"})
    fig:panel():images {core.tensor({{0, 255}, {255, 0}}, "uint8")}
    local stem = os.tmpname()
    local paths = {stem .. ".png", stem .. ".svg", stem .. ".pdf"}
    lu.assertEquals(fig:save(table.unpack(paths)), true)
    local bytes = {}
    for i, path in ipairs(paths) do
      bytes[i] = file_bytes(path)
      os.remove(path)
    end
    os.remove(stem)
    return bytes
  end
  local a, b = save(), save()
  lu.assertEquals(a[1]:sub(2, 4), "PNG")
  lu.assertStrContains(a[2], "<svg")
  lu.assertEquals(a[3]:sub(1, 5), "%PDF-")
  for i = 1, 3 do lu.assertTrue(a[i] == b[i], i) end
end

function T.test_png_has_two_pixels_a_point()
  local path = os.tmpname()
  os.remove(path)
  path = path .. ".png"
  for scale, width in pairs {[2] = 160, [3] = 240} do
    local fig = plot.figure {width = 80, height = 60, scale = scale}
    lu.assertEquals(fig:save(path), true)
    lu.assertEquals(core.read_image(path):size(2), width)
  end
  os.remove(path)
end

function T.test_save_reports_what_it_cannot_do()
  local fig = plot.line {1, 2}
  local ok, text = fig:save "a.gif"
  lu.assertNil(ok)
  lu.assertStrContains(text, "must end in .png, .svg or .pdf")
  ok, text = fig:save "/nonexistent/a.png"
  lu.assertNil(ok)
  lu.assertStrContains(text, "/nonexistent/a.png")
end

return T
