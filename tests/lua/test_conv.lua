--- Transposed convolution: against plain loops, and as the adjoint of convolution. And the
-- gradient penalty of a critic of convolutions and leaky ReLUs.

local lu = require "luaunit"
local pl = require "perilune"
local core = require "perilune.core"

local T = {}
local double = pl.real == "double"
local tolerance = double and 1e-11 or 2e-5

local function close(a, b, what)
  lu.assertEquals(a:size(), b:size(), what)
  local size = math.max(1, b:abs():amax():item())
  local difference = (a - b):abs():amax():item()
  lu.assertTrue(difference <= tolerance * size, ("%s: differ by %g"):format(what, difference))
end

local function options_text(o)
  return ("stride %d,%d padding %d,%d dilation %d,%d"):format(
    o.stride[1], o.stride[2], o.padding[1], o.padding[2], o.dilation[1], o.dilation[2])
end

-- Calls visit(text, size of images, size of weight, options) for many odd shapes.
local function each_shape(visit)
  pl.manual_seed(3)
  local function pick(low, high) return low + math.floor(pl.rand(1)[1] * (high - low + 1)) end
  for i = 1, 60 do
    local o = {stride = {pick(1, 3), pick(1, 3)}, padding = {pick(0, 2), pick(0, 2)},
               dilation = {pick(1, 2), pick(1, 2)}}
    local n, c, k = pick(1, 3), i <= 16 and i or pick(1, 16), pick(1, 16)
    local kh, kw = pick(1, 5), pick(1, 5)
    local h, w = pick(5, 12), pick(5, 20)
    h = math.max(h, o.dilation[1] * (kh - 1) + 1)
    w = math.max(w, o.dilation[2] * (kw - 1) + 1)
    visit(("case %d: x [%d,%d,%d,%d], window %d x %d, %s"):format(
      i, n, c, h, w, kh, kw, options_text(o)), {n, c, h, w}, {k, c, kh, kw}, o)
  end
end

-- What is left of the image beyond the last window.
local function output_padding(size, window, o)
  local rest = {}
  for d = 1, 2 do
    local room = size[d + 2] + 2 * o.padding[d] - o.dilation[d] * (window[d + 2] - 1) - 1
    rest[d] = room % o.stride[d]
  end
  return rest
end

local function inner(a, b)
  return (a * b):sum():item()
end

function T.test_transposed_convolution_is_the_adjoint()
  each_shape(function(what, size, window, o)
    local x, w = pl.randn(size), pl.randn(window)
    local cx = pl.conv2d(x, w, o)
    local y = pl.randn(cx:size())
    local cty = pl.conv_transpose2d(y, w, {
      stride = o.stride, padding = o.padding, dilation = o.dilation,
      output_padding = output_padding(size, window, o)})
    lu.assertEquals(cty:size(), size, what)
    local left, right = inner(cx, y), inner(x, cty)
    local scale = cx:norm():item() * y:norm():item() + 1
    lu.assertTrue(math.abs(left - right) <= tolerance * scale, what)
    close(cty, pl.conv2d_input_grad(y, w, {stride = o.stride, padding = o.padding,
      dilation = o.dilation, size = size}), what)
  end)
end

-- Each number of x times the window, added where it falls.
local function spread(x, w, bias, o)
  local xs, ws = x:totable(), w:totable()
  local s, p = o.stride, o.padding
  local kh, kw = w:size(3), w:size(4)
  local oh = (x:size(3) - 1) * s[1] - 2 * p[1] + o.dilation[1] * (kh - 1) + 1 + o.output_padding[1]
  local ow = (x:size(4) - 1) * s[2] - 2 * p[2] + o.dilation[2] * (kw - 1) + 1 + o.output_padding[2]
  local y = {}
  for n = 1, #xs do
    y[n] = {}
    for k = 1, w:size(2) do
      y[n][k] = {}
      for i = 1, oh do
        y[n][k][i] = {}
        for j = 1, ow do y[n][k][i][j] = bias[k] end
      end
      for c = 1, #xs[n] do
        for i, row in ipairs(xs[n][c]) do
          for j, v in ipairs(row) do
            for a = 1, kh do
              for b = 1, kw do
                local r = (i - 1) * s[1] - p[1] + (a - 1) * o.dilation[1] + 1
                local q = (j - 1) * s[2] - p[2] + (b - 1) * o.dilation[2] + 1
                if y[n][k][r] and y[n][k][r][q] then
                  y[n][k][r][q] = y[n][k][r][q] + v * ws[c][k][a][b]
                end
              end
            end
          end
        end
      end
    end
  end
  return pl.tensor(y)
end

function T.test_transposed_convolution_by_plain_loops()
  pl.manual_seed(5)
  local kinds = {
    {stride = {1, 1}, padding = {0, 0}, dilation = {1, 1}, output_padding = {0, 0}},
    {stride = {2, 2}, padding = {2, 2}, dilation = {1, 1}, output_padding = {1, 1}},
    {stride = {3, 2}, padding = {1, 0}, dilation = {2, 1}, output_padding = {2, 0}},
  }
  for c = 1, 16, 3 do
    for i, o in ipairs(kinds) do
      local x, w = pl.randn(2, c, 3, 4), pl.randn(c, 17 - c, 5, 3)
      local bias = pl.randn(17 - c)
      local y = pl.conv_transpose2d(x, w, bias, o)
      local what = ("%d channels, kind %d"):format(c, i)
      close(y, spread(x, w, bias, o), what)
      local active = {activation = "leaky_relu", slope = 0.2}
      for name, value in next, o do active[name] = value end
      close(pl.conv_transpose2d(x, w, bias, active), pl.leaky_relu(y, 0.2), what .. ", activated")
    end
  end
end

function T.test_transposed_convolution_of_no_images()
  local x = pl.zeros(0, 2, 3, 3):requires_grad_()
  local w = pl.randn(2, 3, 3, 3):requires_grad_()
  local y = pl.conv_transpose2d(x, w, {stride = 2})
  lu.assertEquals(y:size(), {0, 3, 7, 7})
  local g = pl.grad(y:sum(), {x, w})
  lu.assertEquals(g[1]:size(), {0, 2, 3, 3})
  lu.assertEquals(g[2]:abs():sum():item(), 0)
end

--
-- The gradient penalty (Gulrajani et al. 2017): its gradient is one of second order
--

local function critic(d)
  local nn, down = pl.nn, {stride = 2, padding = 2}
  return nn.Sequential {
    nn.Conv2d(1, d, 5, down), nn.LeakyReLU(0.2), nn.Conv2d(d, 2 * d, 5, down), nn.LeakyReLU(0.2),
    nn.Conv2d(2 * d, 4 * d, 5, down), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(16 * 4 * d, 1),
  }
end

local function penalty(D, x)
  x = x:detach():requires_grad_()
  local g = pl.grad(D(x):sum(), {x}, {create_graph = true})[1]
  local norm = (g:flatten(2):square():sum(2) + 1e-12):sqrt()
  return ((norm - 1) ^ 2):mean() * 10, x
end

-- The second derivative of what is piecewise linear is zero: nothing flows to the images, nor
-- to the biases of the convolutions, and no work is done for it.
function T.test_penalty_has_no_zero_gradients()
  pl.manual_seed(1)
  local D = critic(2)
  local loss, x = penalty(D, pl.rand(3, 1, 28, 28))
  loss:backward()
  lu.assertNil(x.grad)
  for name, p in D:named_parameters() do
    lu.assertEquals(p.grad ~= nil, name:find("weight", 1, true) ~= nil, name)
  end
end

-- (f(p + h d) - f(p - h d)) / 2h, all parameters moved by a direction each.
local function difference(f, parameters, direction, h)
  local function at(step)
    pl.no_grad(function()
      for i, p in ipairs(parameters) do p:add_(direction[i], step) end
    end)
    return f():item()
  end
  local ahead = at(h)
  local behind = at(-2 * h)
  at(h)
  return (ahead - behind) / (2 * h)
end

local function along(parameters, direction)
  local sum = 0
  for i, p in ipairs(parameters) do
    if p.grad then sum = sum + inner(p.grad, direction[i]) end
  end
  return sum
end

-- The critic of the experiments, 64 channels wide at first, along random directions.
function T.test_penalty_gradient_along_directions()
  if not double then return end
  pl.manual_seed(2)
  local D = critic(64)
  local x, parameters = pl.rand(2, 1, 28, 28), D:parameters()
  local function f() return (penalty(D, x)) end
  f():backward()
  for i = 1, 3 do
    local direction = {}
    for k, p in ipairs(parameters) do direction[k] = pl.randn(p:size()) end
    local got, want = along(parameters, direction), difference(f, parameters, direction, 1e-7)
    lu.assertTrue(math.abs(got - want) <= 1e-5 * math.max(1, math.abs(want)),
      ("direction %d: %.9g, by differences %.9g"):format(i, got, want))
  end
end

-- Each parameter of a narrow one by itself.
function T.test_penalty_gradient_of_each_parameter()
  if not double then return end
  pl.manual_seed(3)
  local D = critic(1)
  local x, parameters = pl.rand(2, 1, 28, 28), D:parameters()
  local function f() return (penalty(D, x)) end
  f():backward()
  for k, p in ipairs(parameters) do
    local direction = {}
    for i, q in ipairs(parameters) do direction[i] = pl.zeros(q:size()) end
    local flat = direction[k]:reshape(-1)
    for i = 1, p:numel() do
      flat[i] = 1
      local got, want = along(parameters, direction), difference(f, parameters, direction, 1e-6)
      flat[i] = 0
      lu.assertTrue(math.abs(got - want) <= 1e-6 * math.max(1, math.abs(want)),
        ("parameter %d, number %d: %.9g, by differences %.9g"):format(k, i, got, want))
    end
  end
end

function T.test_pooled_gradient_without_channels()
  local x, w = pl.ones(1, 0, 8, 8):requires_grad_(), pl.ones(3, 0, 5, 5):requires_grad_()
  local g = pl.grad(pl.conv2d(x, w, nil, {max_pool = 2}):sum(), {x, w})
  lu.assertEquals({g[1]:size(), g[2]:size()}, {{1, 0, 8, 8}, {3, 0, 5, 5}})
end

-- An infinite gradient stays within the window that it came from.
function T.test_pooled_gradient_that_is_infinite()
  local x, w = pl.rand(2, 1, 12, 12):requires_grad_(), pl.ones(4, 1, 5, 5)
  local g = pl.zeros(2, 4, 4, 4)
  g[{1, 1, 2, 2}] = 1 / 0
  g[{2, 3, 1, 1}] = 1
  local gx = pl.grad(pl.conv2d(x, w, nil, {max_pool = 2}), {x}, {grad_outputs = g})[1]
  local separate = pl.max_pool2d(pl.conv2d(x, w), 2)
  local want = pl.grad(separate, {x}, {grad_outputs = g})[1]
  lu.assertEquals(gx:gt(1e30):to("real"):sum():item(), 25)
  lu.assertEquals(gx:isnan():any():item(), 0)
  lu.assertEquals(gx:totable(), want:totable())
end

-- Many images of many channels are convolved with fewer products, one image with all of them.
local function check_many(x, w, options)
  local size = {table.unpack(x:size(), 3)}
  local bias = pl.randn(w:size(1))
  local y = pl.conv2d(x, w, bias, options)
  local g = pl.randn(y:size())
  local adjoint = {stride = options.stride, padding = options.padding, size = size}
  local gx = core.conv2d_input_grad(g, w, adjoint)
  adjoint.size = {w:size(3), w:size(4)}
  local gw, sum = core.conv2d_weight_grad(g, x, adjoint), pl.zeros(w:size())
  local function near(got, want, what)
    local error = (got - want):norm():item() / want:norm():item()
    lu.assertTrue(error < 1e-5, ("%s: %.3g"):format(what, error))
  end
  for i = 1, x:size(1) do
    local xi, gi = x[{{i, i}}], g[{{i, i}}]
    near(y[{{i, i}}], pl.conv2d(xi, w, bias, options), "y")
    adjoint.size = size
    near(gx[{{i, i}}], core.conv2d_input_grad(gi, w, adjoint), "gx")
    adjoint.size = {w:size(3), w:size(4)}
    sum:add_(core.conv2d_weight_grad(gi, xi, adjoint))
  end
  near(gw, sum, "gw")
end

function T.test_many_images_and_one_agree()
  check_many(pl.randn(40, 64, 7, 7), pl.randn(72, 64, 5, 5), {stride = 2, padding = 2})
  check_many(pl.randn(24, 40, 9, 6), pl.randn(64, 40, 3, 3), {stride = 1, padding = 1})
end

return T
