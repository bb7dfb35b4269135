--- What plots say about arguments that make no sense, and whom they blame.

local lu = require "luaunit"
local core = require "perilune.core"
local plot = require "perilune.plot"

local T = {}

-- A text of the message that a call raises, without the place.
local function message(f, ...)
  local ok, text = pcall(f, ...)
  lu.assertFalse(ok)
  return (text:gsub("^[^:]*test_plot_messages.lua:%d+: ", ""))
end

local function with_panel(f)
  return function()
    local p = plot.figure():panel()
    f(p)
  end
end

local messages = {
  {"line: x has 2 values, y 3", function(p) p:line({1, 2}, {1, 2, 3}) end},
  {"line: y: list or tensor expected, got 3", function(p) p:line(3) end},
  {"line: y: list or tensor expected, got nil", function(p) p:line() end},
  {"line: y[2]: number expected, got 'a'", function(p) p:line {1, "a"} end},
  {"line: y: a tensor of one dimension expected, got [1,2]",
    function(p) p:line(core.tensor {{1, 2}}) end},
  {"line: unknown option 'colour'; did you mean 'color'?",
    function(p) p:line({1}, {colour = "red"}) end},
  {"line: unknown option 'qqq'; known: alpha, color, label, marker, size, style, width",
    function(p) p:line({1}, {qqq = 1}) end},
  {"line: options: table expected, got 'red'", function(p) p:line({1}, {2}, "red") end},
  {"line: unknown marker 'cirle'; did you mean 'circle'?",
    function(p) p:line({1}, {marker = "cirle"}) end},
  {"line: unknown style 'dashd'; did you mean 'dashed'?",
    function(p) p:line({1}, {style = "dashd"}) end},
  {"line: style: one of solid, dashed, dotted expected, got 1",
    function(p) p:line({1}, {style = 1}) end},
  {"line: unknown color 'gren'; did you mean 'green'?",
    function(p) p:line({1}, {color = "gren"}) end},
  {"line: unknown color '#12'; six hexadecimal digits expected after #",
    function(p) p:line({1}, {color = "#12"}) end},
  {"line: color: three numbers from 0 to 1 expected",
    function(p) p:line({1}, {color = {1, 2}}) end},
  {"line: color: name, '#rrggbb', palette number or {r, g, b} expected, got 1.5",
    function(p) p:line({1}, {color = 1.5}) end},
  {"line: width: positive number expected, got 0", function(p) p:line({1}, {width = 0}) end},
  {"line: alpha: number from 0 to 1 expected, got 2", function(p) p:line({1}, {alpha = 2}) end},
  {"line: label: string expected, got boolean", function(p) p:line({1}, {label = true}) end},
  {"line: label: the text is not valid UTF-8", function(p) p:line({1}, {label = "\xff"}) end},
  {"scatter: classes has 1 values, y 2", function(p) p:scatter({1, 2}, {classes = {1}}) end},
  {"scatter: classes[2]: integer from 1 to 1000 expected, got 0",
    function(p) p:scatter({1, 2}, {classes = {1, 0}}) end},
  {"errorbar: y has 2 values, error 1", function(p) p:errorbar(nil, {1, 2}, {1}) end},
  {"errorbar: error: list or tensor expected, got nil", function(p) p:errorbar(nil, {1, 2}) end},
  {"band: x has 2 values, high 1", function(p) p:band(nil, {1, 2}, {1}) end},
  {"bar: categories has 1 values, values 2", function(p) p:bar({"a"}, {1, 2}) end},
  {"bar: categories: list expected, got string", function(p) p:bar("a", {1, 2}) end},
  {"bar: error: number of at least 0 expected, got -1", function(p) p:bar({1}, {error = -1}) end},
  {"errorbar: error.above: list or tensor expected, got nil",
   function(p) p:errorbar(nil, {1}, {below = 1}) end},
  {"bar: values has 2 values, error 1", function(p)
    p:bar({1, 2}, {error = {below = 1, above = {1}}})
  end},
  {"bar: values has 2 values, error 1", function(p) p:bar({1, 2}, {error = {1}}) end},
  {"bar: annotate: '%d %d' cannot format a number",
    function(p) p:bar({1}, {annotate = "%d %d"}) end},
  {"hist: bins: positive integer expected, got 2.5", function(p) p:hist({1}, {bins = 2.5}) end},
  {"hist: bins: at least two edges expected", function(p) p:hist({1}, {bins = {1}}) end},
  {"hist: bins: edges must grow, but edge 3 does not",
    function(p) p:hist({1}, {bins = {1, 2, 2}}) end},
  {"hline: number expected, got nil", function(p) p:hline() end},
  {"text: x: number expected, got nil", function(p) p:text(nil, 1, "a") end},
  {"text: y: number expected, got string", function(p) p:text(1, "a") end},
  {"text: text: string expected, got nil", function(p) p:text(1, 1) end},
  {"text: unknown align 'centre'; did you mean 'center'?",
    function(p) p:text(1, 1, "a", {align = "centre"}) end},
  {"heatmap: row 1 has 2 values, row 2 1", function(p) p:heatmap {{1, 2}, {3}} end},
  {"heatmap: matrix: list of lists or tensor expected, got 1", function(p) p:heatmap(1) end},
  {"heatmap: matrix: a tensor of two dimensions expected, got [2]",
    function(p) p:heatmap(core.tensor {1, 2}) end},
  {"heatmap: rows has 2 labels, the matrix has 1 rows",
    function(p) p:heatmap({{1}}, {rows = {"a", "b"}}) end},
  {"heatmap: unknown colormap 'blue'; did you mean 'blues'?",
    function(p) p:heatmap({{1}}, {colormap = "blue"}) end},
  {"heatmap: the panel has one already", function(p) p:heatmap({{1}}):heatmap({{1}}) end},
  {"images: a panel with images has no other marks", function(p) p:line({1}):images {} end},
  {"line: a panel with images has no other marks", function(p) p:images({}):line {1} end},
  {"images: image 1: tensor expected, got 1", function(p) p:images {1} end},
  {"images: image 1: [h,w], [h,w,3], [1,h,w] or [3,h,w] expected, got [2]",
    function(p) p:images {core.tensor {1, 2}} end},
  {"images: [h,w], [n,h,w], [n,h,w,3], [n,1,h,w] or [n,3,h,w] expected, got [1,2,1,1]",
    function(p) p:images(core.tensor {{{{1}}, {{1}}}}) end},
  {"images: titles has 1 texts, there are 0 images",
    function(p) p:images({}, {titles = {"a"}}) end},
}

function T.test_messages_of_marks()
  for _, case in ipairs(messages) do
    lu.assertEquals(message(with_panel(case[2])), case[1])
  end
end

function T.test_messages_of_figures_and_panels()
  local function panel(options) return function() plot.figure():panel(options) end end
  local cases = {
    {"figure: unknown option 'colums'; did you mean 'columns'?",
      function() plot.figure {colums = 2} end},
    {"figure: width: number of points up to 14400 expected, got 0",
      function() plot.figure {width = 0} end},
    {"figure: columns: positive integer expected, got 'a'",
      function() plot.figure {columns = "a"} end},
    {"figure: widths has 2 values for 3 columns",
      function() plot.figure {columns = 3, widths = {1, 2}} end},
    {"figure: widths[2]: positive number expected, got 0",
      function() plot.figure {widths = {1, 0}} end},
    {"panel: span is 3 in a figure of 2 columns",
      function() plot.figure({columns = 2}):panel {span = 3} end},
    {"panel: unknown legend 'top rigth'; did you mean 'top right'?", panel {legend = "top rigth"}},
    {"panel: unknown x_scale 'logg'; did you mean 'log'?", panel {x_scale = "logg"}},
    {"panel: y_limits: positive numbers expected on a log axis",
      panel {y_scale = "log", y_limits = {0, 1}}},
    {"panel: x_limits: both limits are 1", panel {x_limits = {1, 1}}},
    {"panel: x_limits: {low, high} expected, got 3", panel {x_limits = 3}},
    {"panel: x_limits[2]: number expected, got 'a'", panel {x_limits = {1, "a"}}},
    {"panel: x_limits[1]: number up to 1e300 expected, got 1e+308", panel {x_limits = {1e308}}},
    {"panel: x_ticks[2]: number expected, got inf", panel {x_ticks = {0, 1 / 0}}},
    {"panel: y_format: '%y' cannot format a number", panel {y_format = "%y"}},
    {"panel: unknown grid 'both'; known: x, y", panel {grid = "both"}},
    {"save: the name of a file expected", function() plot.figure():save() end},
    {"save: name 2: string expected, got nil", function() plot.figure():save("a.png", nil) end},
    {"pixels: scale: positive number expected, got 0", function() plot.figure():pixels(0) end},
    {"bar: a log axis has no categories",
      function() plot.figure():panel({x_scale = "log"}):bar({"a"}, {1}) end},
    {"line: unknown option 'titles'; did you mean 'title'?",
      function() plot.line({1}, {titles = "y"}) end},
  }
  for _, case in ipairs(cases) do lu.assertEquals(message(case[2]), case[1]) end
end

function T.test_errors_blame_the_caller()
  local line = debug.getinfo(1, "l").currentline + 2
  local ok, text = pcall(function()
    plot.figure():panel():line({1}, {2, 3})
  end)
  lu.assertFalse(ok)
  lu.assertStrContains(text, ("test_plot_messages.lua:%d: line: x has"):format(line))
end

return T
