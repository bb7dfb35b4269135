--- Networks as C: what is written compiles without a warning and gives the same numbers.

local lu = require "luaunit"
local pl = require "perilune"
local core = require "perilune.core"

local T = {}
local nn = pl.nn
local eq, fails = lu.assertEquals, lu.assertErrorMsgContains
local has_compiler = os.execute "command -v cc > /dev/null"
local folder, state

function T.setUp()
  state = pl.random_state()
  pl.manual_seed(1)
  folder = os.tmpname()
  os.remove(folder)
  assert(core.mkdir(folder))
end

function T.tearDown()
  pl.set_random_state(state)
  os.execute("rm -rf '" .. folder .. "'")
end

-- Reads examples and writes their results, each twice: what is in scratch must not matter.
local MAIN <const> = [[
#include <stdio.h>
#include "net.h"

int main(void)
{
  float input[NET_INPUT], output[NET_OUTPUT];
  static float scratch[NET_SCRATCH];
  while (fread(input, sizeof(float), NET_INPUT, stdin) == NET_INPUT) {
    for (int i = 0; i < NET_SCRATCH; i++) scratch[i] = 1e30f;
    net_forward(input, output, scratch);
    net_forward(input, output, scratch);
    if (fwrite(output, sizeof(float), NET_OUTPUT, stdout) != NET_OUTPUT) return 1;
  }
  return 0;
}
]]

local COMPILE <const> = "cd '%s' && cc -std=c99 -Wall -Wextra -pedantic -Werror %s -o net main.c -lm "
  .. "&& ./net < input > output"

-- The numbers of a tensor as floats of C, whatever the build has.
local function floats(x)
  local bytes = {}
  for i, value in ipairs(x:flatten():totable()) do bytes[i] = ("f"):pack(value) end
  return table.concat(bytes)
end

-- What the exported network makes of examples.
local function results(net, x, flags)
  local size = x:size()
  local n = table.remove(size, 1)
  assert(pl.export_c(folder .. "/net.h", net, {input = size}))
  assert(core.write_file(folder .. "/main.c", MAIN))
  assert(core.write_file(folder .. "/input", floats(x)))
  assert(os.execute(COMPILE:format(folder, flags or "")))
  return pl.from_bytes(pl.read_file(folder .. "/output"), "F32"):reshape(n, -1)
end

local function assert_same(net, x)
  if not has_compiler then lu.skip "there is no C compiler" end
  local expected = pl.no_grad(net:eval(), x)
  local got = results(net, x)
  eq(got:size(2), expected:numel() // #x)
  local limit = 1e-5 * math.max(1, expected:abs():amax():item())
  local difference = (got - expected:reshape(#x, -1)):abs():amax():item()
  lu.assertTrue(difference <= limit, difference)
end

-- Batch norms that do something.
local function disturbed(net)
  for _, layer in ipairs(net:modules()) do
    if layer.running_mean then
      layer.running_mean:normal_(0, 1)
      layer.running_var:uniform_(0.2, 2)
      if layer.weight then
        pl.no_grad(function()
          layer.weight:normal_(1, 0.3)
          layer.bias:normal_(0, 0.5)
        end)
      end
    end
  end
  return net
end

local function lenet()
  return disturbed(nn.Sequential {
    nn.Conv2d(1, 6, 5, {padding = 2}), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(6, 16, 5), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
    nn.Linear(400, 120), nn.BatchNorm1d(120), nn.ReLU(), nn.Dropout(0.3),
    nn.Linear(120, 84), nn.BatchNorm1d(84), nn.ReLU(), nn.Linear(84, 10),
  })
end

function T.test_lenet_with_batch_norm()
  assert_same(lenet(), pl.randn(3, 1, 28, 28))
end

function T.test_perceptrons()
  for _, activation in ipairs {
    nn.Tanh(), nn.Sigmoid(), nn.Softplus(), nn.LeakyReLU(0.2), nn.Softmax(), nn.LogSoftmax(-1),
  } do
    assert_same(nn.Sequential {nn.Linear(7, 13), activation, nn.Linear(13, 4, {bias = false})},
      pl.randn(5, 7) * 3)
  end
end

function T.test_odd_windows()
  assert_same(nn.Sequential {
    nn.Conv2d(3, 5, {3, 2}, {stride = {2, 3}, padding = {1, 0}, dilation = {2, 1}, bias = false}),
    nn.LeakyReLU(0.1), nn.AvgPool2d({3, 2}, {stride = {1, 2}, padding = {1, 1}}),
    nn.MaxPool2d({2, 3}, {stride = 1, padding = {0, 1}}),
  }, pl.randn(2, 3, 17, 14))
end

-- A batch norm in front, one behind an activation, one without weights, and those of sequences.
function T.test_batch_norms_that_are_not_folded()
  assert_same(disturbed(nn.Sequential {
    nn.BatchNorm2d(2), nn.Conv2d(2, 3, 3, {bias = false}), nn.ReLU(),
    nn.BatchNorm2d(3, {affine = false}),
  }), pl.randn(2, 2, 5, 4))
  assert_same(disturbed(nn.Sequential {nn.BatchNorm1d(3)}), pl.randn(4, 3, 5))
  -- of sequences it counts the rows of a linear layer, and not its results
  assert_same(disturbed(nn.Sequential {nn.Linear(4, 3), nn.BatchNorm1d(3)}), pl.randn(2, 3, 4))
  assert_same(disturbed(nn.Sequential {nn.Linear(4, 5), nn.BatchNorm1d(3)}), pl.randn(2, 3, 4))
end

function T.test_layer_norms()
  local net = nn.Sequential {
    nn.Linear(6, 6), nn.LayerNorm(6), nn.Tanh(), nn.Unflatten(2, {2, 3}),
    nn.LayerNorm({2, 3}, {elementwise_affine = false}),
  }
  pl.no_grad(function()
    net[2].weight:normal_()
    net[2].bias:normal_()
  end)
  assert_same(net, pl.randn(3, 6))
end

function T.test_nested_networks_and_views()
  assert_same(nn.Sequential {
    nn.Identity(), nn.Sequential {nn.Linear(12, 12), nn.Sequential {nn.Unflatten(2, {3, 2, 2})}},
    nn.Sequential {nn.MaxPool2d(2), nn.Softmax(2)}, nn.Flatten(),
  }, pl.randn(3, 12))
end

function T.test_networks_without_a_layer_that_moves_numbers()
  assert_same(nn.Sequential {nn.Flatten(), nn.Tanh(), nn.ReLU()}, pl.randn(2, 3, 4))
  assert_same(nn.Sequential {nn.Flatten()}, pl.randn(2, 3, 4))
  assert_same(nn.Linear(3, 2), pl.randn(4, 3))
  assert_same(nn.Conv2d(2, 3, 2), pl.randn(2, 2, 5, 4))
  assert_same(nn.MaxPool2d(2), pl.randn(2, 2, 5, 4))
  assert_same(nn.Sequential {nn.Tanh(), nn.Linear(4, 4), nn.Softmax(2)}, pl.randn(2, 3, 4))
end

-- Its arrays stand there once, and no batch norm is folded into them.
function T.test_a_layer_that_is_called_twice()
  local shared = nn.Linear(4, 4)
  local net = disturbed(nn.Sequential {shared, nn.BatchNorm1d(4), nn.Tanh(), shared})
  assert_same(net, pl.randn(3, 4))
  local text = pl.read_file(folder .. "/net.h")
  eq(select(2, text:gsub("static const float [%w_]*weight", "")), 1)
  lu.assertStrContains(text, "net_linear(a, output, 1, 4, 4, net_1_weight, net_1_bias);")
end

function T.test_softmax_of_large_numbers()
  assert_same(nn.Sequential {nn.Softmax()}, pl.tensor {{1000, 999, -1000}, {-1e4, -1e4, -1e4}})
  assert_same(nn.Sequential {nn.Softplus()}, pl.tensor {{100, -100, 0, 30}})
end

function T.test_sanitizers_find_nothing()
  if not has_compiler then lu.skip "there is no C compiler" end
  local x = pl.randn(2, 1, 28, 28)
  local net = lenet():eval()
  local got = results(net, x, "-g -fsanitize=address,undefined -fno-sanitize-recover")
  lu.assertTrue((got - net(x)):abs():amax():item() < 1e-4)
end

-- The whole text of a small network.
function T.test_text()
  local net = nn.Linear(2, 1):eval()
  net.weight = nn.parameter(pl.tensor {{0.1, -1e-9}})
  net.bias = nn.parameter(pl.tensor {3})
  assert(pl.export_c(folder .. "/two-one.h", net, {input = 2, name = "Tiny_1"}))
  local text = pl.read_file(folder .. "/two-one.h")
  for _, line in ipairs {
    "/* A network as C99: call Tiny_1_forward with one example and memory for its result.",
    "**     float input[TINY_1_INPUT], output[TINY_1_OUTPUT];",
    "#ifndef TINY_1_H", "#define TINY_1_INPUT 2 /* 2 */", "#define TINY_1_OUTPUT 1 /* 1 */",
    "#define TINY_1_SCRATCH 1", "static const float Tiny_1_bias[1] = {\n  3.0f\n};",
    "static inline void Tiny_1_forward(const float *input, float *output, float *scratch)\n{\n"
      .. "  (void)scratch;\n\n  /* Linear(2, 1): 1 */\n"
      .. "  Tiny_1_linear(input, output, 1, 2, 1, Tiny_1_weight, Tiny_1_bias);\n}\n\n#endif\n",
  } do
    lu.assertStrContains(text, line)
  end
  lu.assertStrMatches(text:match "Tiny_1_weight%[2%] = {\n  ([^\n]*)\n", "0%.10*1?f, %-[19][%d.]*e%-%d+f")
  lu.assertNotStrContains(text, "math.h")
end

-- The file's name is that of the network.
function T.test_names()
  local net = nn.Linear(1, 1):eval()
  assert(pl.export_c(folder .. "/model.tar.h", net, {input = 1, name = "m"}))
  fails("export_c: name: a name of C expected, letters, digits and _, got my-net", pl.export_c,
    folder .. "/my-net.h", net, {input = 1})
  fails("got 3d", pl.export_c, folder .. "/x.h", net, {input = 1, name = "3d"})
end

function T.test_refuses()
  local net, path = nn.Sequential {nn.Linear(2, 2)}, folder .. "/net.h"
  local options = {input = 2}
  fails("export_c: the network is in training mode; net:eval() first", pl.export_c, path, net, options)
  net:eval()
  net[1]:train()
  fails("export_c: 1 is in training mode; net:eval() first", pl.export_c, path, net, options)
  local function refused(text, other, o)
    fails(text, pl.export_c, path, nn.is_module(other) and other:eval() or other, o or options)
  end
  refused("export_c: 2.1 is a InstanceNorm2d; layers that can be exported: AvgPool2d, BatchNorm1d,",
    nn.Sequential {nn.Linear(2, 2), nn.Sequential {nn.InstanceNorm2d(2)}})
  refused("export_c: the network is a LSTM; layers", nn.LSTM(2, 2))
  local Own = nn.class("Linear", nn.Linear)
  refused("export_c: 1 is a Linear of your own; layers", nn.Sequential {Own(2, 2)})
  local changed = nn.Linear(2, 2)
  changed.forward = function(_, x) return x end
  refused("export_c: the network is a Linear of your own; layers", changed)
  local broken = nn.Linear(2, 2)
  pl.no_grad(function() broken.weight[{1, 1}] = 0 / 0 end)
  refused("export_c: 1.weight has values that are infinite or NaN", nn.Sequential {broken})
  local norm = nn.BatchNorm1d(2)
  norm.running_var:fill_(-5)
  refused("export_c: 1.scale has", nn.Sequential {norm})
  refused("export_c: 1.weight has", nn.Sequential {nn.Linear(2, 2), norm})
  refused("export_c: LeakyReLU(inf) has inf, which is no float", nn.LeakyReLU(math.huge))
  local around = nn.Sequential {nn.Linear(2, 2), nn.Sequential {}}
  around[2][1] = around
  refused("export_c: 2.1 contains itself", around)
  refused("2 inputs against 3 (in Linear(3, 1))", nn.Linear(3, 1))
  refused("export_c: network expected, got number", 3)
  refused("export_c: the network has no layers", nn.Sequential {})
  refused("export_c: 1 (Softmax): a softmax over the examples is none of one example",
    nn.Sequential {nn.Softmax(1)})
  refused("export_c: 1 makes [2] of one example; [1, ...] expected", nn.Sequential {nn.Flatten(1)})
  net:eval()
  refused("export_c: option 'input' is missing", net, {})
  refused("export_c: input: the size of one example expected, such as {1, 28, 28}, got a", net,
    {input = "a"})
  refused("export_c: input: positive integer expected, got 0", net, {input = {2, 0}})
  refused("export_c: unknown option 'inputs'; known: input, name", net, {inputs = 2})
  fails("export_c: path expected, got nil", pl.export_c, nil, net, options)
  eq(core.file_size(path), nil)
  local ok, message = pl.export_c(folder .. "/none/net.h", net, options)
  eq(ok, nil)
  lu.assertStrContains(message, "none/net.h")
end

return T
