--- nn.summary: sizes, parameters and arithmetic of layers.

local lu = require "luaunit"
local pl = require "perilune"
local nn = pl.nn

local T = {}

local function network()
  return nn.Sequential {
    nn.Conv2d(1, 6, 5, {padding = 2}), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
    nn.Dropout(0.5), nn.Sequential {nn.Linear(1176, 10), nn.Tanh()},
  }
end

function T.test_each_layer()
  local s = nn.summary(network(), {2, 1, 28, 28})
  local paths, outputs, parameters = {}, {}, {}
  for i, layer in ipairs(s.layers) do
    paths[i], outputs[i], parameters[i] = layer.path, table.concat(layer.output, ","),
      layer.parameters
  end
  lu.assertEquals(paths, {"", "1", "2", "3", "4", "5", "6", "7", "7.1", "7.2"})
  lu.assertEquals(outputs, {"2,10", "2,6,28,28", "2,6,28,28", "2,6,28,28", "2,6,14,14", "2,1176",
                            "2,1176", "2,10", "2,10", "2,10"})
  lu.assertEquals(parameters, {0, 156, 12, 0, 0, 0, 0, 0, 11770, 0})
  lu.assertEquals(s.parameters, 11938)
  lu.assertEquals(s.layers[2].flops, 2 * 25 * 6 * 28 * 28 * 2)
  lu.assertEquals(s.layers[9].flops, 2 * 1176 * 10 * 2)
  lu.assertEquals(s.output, {2, 10})
  local sum = 0
  for _, layer in ipairs(s.layers) do sum = sum + layer.flops end
  lu.assertEquals(s.flops, sum)
end

function T.test_text()
  local net = nn.Sequential {nn.Linear(3, 1000), nn.ReLU()}
  net[1]:requires_grad_(false)
  lu.assertEquals(tostring(nn.summary(net, {4, 3})), [[
path  layer            output    parameters   flops
      Sequential()     [4,1000]
1     Linear(3, 1000)  [4,1000]       4,000  24,000
2     ReLU()           [4,1000]               4,000
      all                             4,000  28,000
0 of the parameters are trained]])
end

local function state(net)
  local values = {}
  for name, t in pairs(net:state_dict()) do values[name] = t:totable() end
  local modes = {}
  for i, m in ipairs(net:modules()) do modes[i] = m.training end
  return {values, modes, pl.random_state()}
end

function T.test_the_network_stays_as_it_is()
  local net = network()
  net[2]:eval()
  local before, calls = state(net), 0
  net[1]:register_forward_hook(function() calls = calls + 1 end)
  nn.summary(net, {2, 1, 28, 28})
  lu.assertEquals(state(net), before)
  lu.assertEquals(calls, 0)
  for _, p in ipairs(net:parameters()) do lu.assertTrue(p.requires_grad) end
  lu.assertErrorMsgContains("in Sequential.1 Conv2d", nn.summary, net, {2, 3, 28, 28})
  lu.assertEquals(state(net), before)
  lu.assertNotEquals(net(pl.ones(2, 1, 28, 28)):size(), nil)
end

-- Layers stand in the order of their calls; one that is shared has its parameters once.
function T.test_a_module_of_ones_own()
  local net = nn.module {
    a = nn.Linear(2, 3), b = nn.Linear(3, 2), unused = nn.ReLU(),
    forward = function(self, x, y) return self.a(self.b(self.a(x + y))) end,
  }
  local s = nn.summary(net, {{4, 2}, pl.ones(4, 2)})
  local list = {}
  for i, layer in ipairs(s.layers) do list[i] = ("%s %d"):format(layer.path, layer.calls) end
  lu.assertEquals(list, {" 1", "a 2", "b 1", "unused 0"})
  lu.assertEquals(s.parameters, 17)
  lu.assertEquals(s.layers[2].flops, 2 * 2 * 2 * 3 * 4)
  lu.assertStrContains(tostring(s), "not called")
end

function T.test_labels_and_several_results()
  local net = nn.Sequential {nn.Embedding(7, 5), nn.LSTM(5, 3)}
  local s = nn.summary(net, pl.tensor({{1, 2}, {3, 7}}, "int32"))
  lu.assertEquals(s.output, {2, 2, 3})
  lu.assertEquals(s.parameters, 35 + 4 * 3 * (5 + 3 + 2))
end

-- In the middle of a profile, which goes on.
function T.test_within_a_profile()
  pl.profile.start()
  local s = nn.summary(nn.Linear(2, 3), {4, 2})
  local _ = pl.ones(2) + 1
  local report = pl.profile.stop()
  lu.assertEquals(s.flops, 48)
  local names = {}
  for _, op in ipairs(report.ops) do names[op.name] = true end
  lu.assertTrue(names.linear and names.add)
end

function T.test_messages()
  lu.assertErrorMsgContains("summary: module expected, got function", nn.summary, print, {1})
  lu.assertErrorMsgContains("summary: input: tensor, sizes, or a list of these expected, got nil",
                            nn.summary, nn.ReLU())
  lu.assertErrorMsgContains("summary: input: tensor, sizes, or a list of these expected, got string",
                            nn.summary, nn.ReLU(), "28")
  lu.assertErrorMsgContains("summary: input has a string among it", nn.summary, nn.ReLU(),
                            {1, "a"})
end

return T
