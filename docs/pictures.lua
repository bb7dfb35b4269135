-- Draws the pictures of docs/architecture.md: perilune docs/pictures.lua [folder]
--
-- floors.svg   the floors of src/, with the words of src/README.md
-- step.svg     a training step, following the weight of a convolution

local pl = require "perilune"

local here = arg[0]:match("^(.*)/[^/]*$") or "."
local folder = arg[1] or here

local INK <const>, GREY <const>, LINE <const> = {.13, .15, .18}, {.42, .45, .5}, {.72, .74, .78}
local SKY <const>, SAND <const>, LEAF <const> = {.86, .92, .98}, {.98, .94, .84}, {.88, .95, .87}
local ROSE <const>, CLOUD <const> = {.98, .88, .87}, {.95, .96, .97}

local function box(c, x, y, w, h, fill)
  c:color(fill[1], fill[2], fill[3])
  c:rect(x, y, w, h)
  c:fill()
  c:color(LINE[1], LINE[2], LINE[3])
  c:line_width(.8)
  c:rect(x, y, w, h)
  c:stroke()
end

local function say(c, words, x, y, size, color, bold, align)
  c:color(color[1], color[2], color[3])
  c:font(size, bold or false)
  c:text(words, x, y, align or "left", "middle")
end

local function arrow(c, x1, y1, x2, y2, color)
  local d = math.sqrt((x2 - x1) ^ 2 + (y2 - y1) ^ 2)
  local ux, uy = (x2 - x1) / d, (y2 - y1) / d
  c:color(color[1], color[2], color[3])
  c:line_width(1.2)
  c:move_to(x1, y1)
  c:line_to(x2 - 4 * ux, y2 - 4 * uy)
  c:stroke()
  c:move_to(x2, y2)
  c:line_to(x2 - 7 * ux - 3 * uy, y2 - 7 * uy + 3 * ux)
  c:line_to(x2 - 7 * ux + 3 * uy, y2 - 7 * uy - 3 * ux)
  c:close_path()
  c:fill()
end

-- Cuts a text into lines of at most `width` points.
local function wrapped(c, words, width, size)
  local lines, line = {}, ""
  c:font(size, false)
  for word in words:gmatch("%S+") do
    local longer = line == "" and word or line .. " " .. word
    if line ~= "" and c:measure(longer) > width then
      lines[#lines + 1], line = line, word
    else
      line = longer
    end
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n"), #lines
end

--
-- The floors
--

-- Folder -> what it is, as src/README.md says.
local function texts()
  local map = {}
  for line in io.lines(here .. "/../src/README.md") do
    local name, what = line:match("^| `(%w+)/` | (.-) |")
    if name then map[name] = what:gsub("`", "") end
  end
  return map
end

local function floors()
  local what = texts()
  local c, width, gap = pl.canvas(760, 584), 730, 8
  local y = 14
  local function row(names, height, fill)
    local w = (width - gap * (#names - 1)) / #names
    for i, name in ipairs(names) do
      local x = 15 + (i - 1) * (w + gap)
      box(c, x, y, w, height, fill)
      say(c, name .. "/", x + 10, y + 14, 11, INK, true)
      local text, n = wrapped(c, assert(what[name], name), w - 20, 8.5)
      c:color(GREY[1], GREY[2], GREY[3])
      c:text(text, x + 10, y + 27, "left", "top")
      assert(27 + 11 * n < height + 6, name)
    end
    y = y + height + gap
  end
  box(c, 15, y, width, 40, LEAF)
  say(c, "experiments, scripts, the prompt", 25, y + 20, 11, INK, true)
  say(c, "Lua 5.4", 735, y + 20, 9, GREY, false, "right")
  y = y + 48
  box(c, 15, y, width, 40, LEAF)
  say(c, "lua/perilune/", 25, y + 20, 11, INK, true)
  say(c, "nn  optim  data  image  plot  learn  experiment  progress  profile  store  help  internal",
    115, y + 20, 9, GREY)
  y = y + 48
  row({"host"}, 46, SAND)
  row({"bind"}, 46, SAND)
  row({"io", "image", "canvas", "learn", "optim"}, 106, SKY)
  row({"ops"}, 46, SKY)
  row({"autograd", "kernels"}, 62, SKY)
  row({"tensor"}, 46, SKY)
  row({"base"}, 46, SKY)
  say(c, "each knows only what lies below (image and canvas also io); kernels and tensor do not know one another",
    380, y + 6, 9, GREY, false, "center")
  return c
end

--
-- A training step
--

local function step()
  local c = pl.canvas(900, 560)
  local lanes = {
    {"the script", LEAF}, {"lua/perilune", LEAF}, {"bind", SAND}, {"autograd", SKY},
    {"ops, optim", SKY}, {"kernels", SKY}, {"memory", CLOUD},
  }
  local top, height, left = 44, 70, 92
  local function lane_y(i) return top + (i - 1) * height end
  for i, lane in ipairs(lanes) do
    box(c, 8, lane_y(i), 884, height - 6, lane[2])
    say(c, lane[1], 16, lane_y(i) + 14, 10, INK, true)
  end
  local columns = {{"forward", left + 15, 330}, {"backward", left + 365, 230}, {"step", left + 615, 180}}
  for _, column in ipairs(columns) do
    say(c, column[1], column[2], 24, 13, INK, true)
  end

  local function card(lane, x, w, title, text, fill)
    local y = lane_y(lane) + 5
    box(c, x, y, w, height - 16, fill or {1, 1, 1})
    say(c, title, x + 8, y + 12, 9.5, INK, true)
    local lines = wrapped(c, text, w - 16, 8.2)
    c:color(GREY[1], GREY[2], GREY[3])
    c:font(8.2, false)
    c:text(lines, x + 8, y + 20, "left", "top")
    return {x = x + w / 2, top = y, bottom = y + height - 16, left = x, right = x + w,
      middle = y + height / 2 - 8}
  end

  -- forward
  local x = left + 15
  local f = {
    card(1, x, 310, "net(x)", "a module is called with a batch of images"),
    card(2, x, 310, "nn/layers.lua: Conv2d:forward", "pl.conv2d(x, self.weight, self.bias, ...); a list "
      .. "fuses an activation and a pooling that follow"),
    card(3, x, 310, "ops.c: plb_call_op", "arguments by the row's signature; a box for the result"),
    card(4, x, 150, "call.c: pl_apply", "checks, shape, then the row's forward"),
    card(5, x, 150, "conv.c: conv2d_forward", "the geometry, once"),
    card(6, x, 150, "conv/algorithm.c", "winograd.c or direct.c, for this processor"),
  }
  local node = card(4, x + 165, 145, "a node", "remembers the row, x and weight, until the backward pass",
    ROSE)
  -- backward
  x = left + 365
  local b = {
    card(1, x, 210, "loss:backward()", "adds to the grad of every leaf"),
    card(3, x, 210, "grad.c", "options; a box for each gradient that is asked for"),
    card(4, x, 210, "backward.c", "from the newest node to the oldest; frees each"),
    card(5, x, 210, "conv.c: conv2d_fused", "gradients for x, weight and bias"),
    card(6, x, 210, "conv/algorithm.c", "weight.c, winograd.c or sparse_weight.c"),
  }
  -- step
  x = left + 615
  local s = {
    card(1, x, 175, "opt:step()", "after the backward pass"),
    card(2, x, 175, "optim/adam.lua", "groups, rates, moments"),
    card(3, x, 175, "optim.c", "lists of tensors"),
    card(5, x, 175, "adam.c, step.c", "one pass over all parameters"),
    card(6, x, 175, "nn/optim.c", "one loop, vectorised"),
  }
  local weight = card(7, left + 15, 310, "weight  [k, c, r, s]", "one storage, read by the forward pass, "
    .. "changed in place by the step", ROSE)
  local grad = card(7, left + 365, 210, "weight.grad", "made by the backward pass", ROSE)
  for _, column in ipairs {f, b, s} do
    for i = 2, #column do arrow(c, column[i - 1].left + 40, column[i - 1].bottom, column[i].left + 40,
      column[i].top, INK) end
  end
  arrow(c, weight.left + 40, weight.top, f[6].left + 40, f[6].bottom, GREY)
  arrow(c, b[5].left + 40, b[5].bottom, grad.left + 40, grad.top, INK)
  arrow(c, grad.right, grad.middle, s[5].left + 20, s[5].bottom, GREY)
  arrow(c, f[4].right, f[4].middle, node.left, node.middle, INK)
  arrow(c, node.right, node.middle, b[3].left, b[3].middle, GREY)
  -- the step changes the weight, below the cards
  c:color(INK[1], INK[2], INK[3])
  c:line_width(1.2)
  c:move_to(s[5].right - 20, s[5].bottom)
  c:line_to(s[5].right - 20, lane_y(7) + height + 12)
  c:line_to(weight.x, lane_y(7) + height + 12)
  c:stroke()
  arrow(c, weight.x, lane_y(7) + height + 12, weight.x, weight.bottom, INK)
  return c
end

for name, picture in pairs {floors = floors, step = step} do
  local c = picture()
  assert(c:save(("%s/%s.svg"):format(folder, name)))
  if arg[2] then assert(c:save(("%s/%s.png"):format(folder, name), 2)) end
end
