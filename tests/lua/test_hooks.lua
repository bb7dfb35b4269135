--- Hooks of modules, and states of which a part is loaded.

local lu = require "luaunit"
local pl = require "perilune"
local nn = pl.nn

local T = {}

local function same(a, b)
  lu.assertEquals(a:totable(), b:totable())
end

local function network()
  pl.manual_seed(1)
  return nn.Sequential {
    nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 4), nn.Tanh(),
    nn.Linear(4, 2),
  }, pl.randn(2, 1, 8, 8)
end

-- The layers one by one.
local function outputs_of(net, x)
  local list = {}
  for i, layer in ipairs(net) do
    x = layer(x)
    list[i] = x
  end
  return list
end

function T.test_each_layer_shows_its_own_output()
  local net, x = network()
  local before, want = net(x), outputs_of(net, x)
  local seen, handles = {}, {}
  for i, layer in ipairs(net) do
    handles[i] = layer:register_forward_hook(function(module, inputs, y)
      lu.assertTrue(rawequal(module, layer))
      lu.assertEquals(inputs.n, 1)
      seen[i] = y
    end)
  end
  lu.assertTrue(net(x):allclose(before))
  for i = 1, #net do lu.assertTrue(seen[i]:allclose(want[i]), i) end
  for _, handle in ipairs(handles) do handle:remove() end
  seen = {}
  same(net(x), before)
  lu.assertEquals(seen, {})
end

-- One hook on any layer of a network that was called before, on those whose work another one does too.
function T.test_plans_notice_hooks()
  for i = 1, 7 do
    local net, x = network()
    local want = outputs_of(net, x)[i]
    net(x)
    local seen
    local handle = net[i]:register_forward_hook(function(_, _, y) seen = y end)
    net(x)
    lu.assertTrue(seen:allclose(want), i)
    handle:remove()
    seen = nil
    net(x)
    lu.assertNil(seen)
    handle:remove()
  end
end

function T.test_a_network_within_a_network()
  local net, x = network()
  local outer, n = nn.Sequential {net, nn.ReLU()}, 0
  outer(x)
  local handle = net:register_forward_hook(function(_, _, y)
    n = n + 1
    return y * 0 - 1
  end)
  same(outer(x), pl.zeros(2, 2))
  same(net(x), pl.full({2, 2}, -1))
  lu.assertEquals(n, 2)
  handle:remove()
  lu.assertNotEquals(net(x):totable(), pl.full({2, 2}, -1):totable())
end

function T.test_what_hooks_give_takes_the_place()
  local layer, x = nn.Linear(2, 2), pl.ones(1, 2)
  local doubled = layer(x * 2)
  local pre = layer:register_forward_pre_hook(function(module, inputs)
    lu.assertTrue(rawequal(module, layer))
    return inputs[1] * 2
  end)
  same(layer(x), doubled)
  local one = layer:register_forward_hook(function(_, inputs, y)
    same(inputs[1], x * 2)
    return y + 1
  end)
  local two = layer:register_forward_hook(function(_, _, y) return y * 2 end)
  lu.assertTrue(layer(x):allclose((doubled + 1) * 2))
  one:remove()
  lu.assertTrue(layer(x):allclose(doubled * 2))
  two:remove()
  pre:remove()
end

function T.test_several_results()
  local lstm, x = nn.LSTM(2, 3), pl.randn(4, 1, 2)
  local want, got = table.pack(lstm(x)), nil
  local handle = lstm:register_forward_hook(function(_, _, ...) got = table.pack(...) end)
  lu.assertEquals(select("#", lstm(x)), want.n)
  lu.assertEquals(got.n, want.n)
  same(got[1], want[1])
  handle:remove()
end

function T.test_a_hook_may_remove_itself()
  local layer, n = nn.ReLU(), 0
  local handle
  handle = layer:register_forward_hook(function()
    n = n + 1
    handle:remove()
  end)
  layer:register_forward_hook(function() n = n + 10 end)
  layer(pl.ones(1))
  layer(pl.ones(1))
  lu.assertEquals(n, 21)
end

function T.test_backward_hooks()
  local net, x = network()
  x:requires_grad_()
  local sum = net(x):sum()
  sum:backward()
  local want, grad = x.grad, net[5].weight.grad
  x.grad = nil
  net:zero_grad()
  local ins, outs = nil, nil
  local handle = net[6]:register_full_backward_hook(function(_, grad_input, grad_output)
    ins, outs = grad_input[1], grad_output[1]
  end)
  net(x):sum():backward()
  lu.assertTrue(x.grad:allclose(want))
  lu.assertTrue(net[5].weight.grad:allclose(grad))
  local ones = pl.ones(2, 2)
  lu.assertTrue(outs:allclose(ones:mm(net[7].weight:detach())))
  lu.assertEquals(ins:size(), {2, 4})
  handle:remove()
end

function T.test_backward_hooks_replace()
  local layer, x = nn.Linear(3, 2), pl.ones(1, 3):requires_grad_()
  local handle = layer:register_full_backward_hook(function(_, grads) return {grads[1] * 0 + 7} end)
  layer(x):sum():backward()
  same(x.grad, pl.full({1, 3}, 7))
  handle:remove()
  local seen
  layer:register_full_backward_hook(function(_, ins, outs) seen = {#ins, #outs} end)
  layer(pl.ones(1, 3)):sum():backward()
  lu.assertEquals(seen, {0, 1})
end

function T.test_copies_have_no_hooks()
  local layer, n = nn.ReLU(), 0
  layer:register_forward_hook(function() n = n + 1 end)
  layer:clone()(pl.ones(1))
  lu.assertEquals(n, 0)
  local path = os.tmpname()
  pl.save(path, layer)
  pl.load(path)(pl.ones(1))
  os.remove(path)
  lu.assertEquals(n, 0)
end

function T.test_errors_say_where()
  local net = nn.Sequential {nn.ReLU(), nn.Linear(2, 2)}
  net[2]:register_forward_hook(function() error "no" end)
  lu.assertErrorMsgMatches(".*test_hooks.lua:%d+: no %(in Sequential.2 Linear%(2, 2%)%)", net,
                           pl.ones(1, 2))
  lu.assertErrorMsgContains("register_forward_hook: function expected, got nil",
                            net.register_forward_hook, net)
  lu.assertErrorMsgContains("register_forward_pre_hook: function expected, got tensor",
                            net.register_forward_pre_hook, net, pl.ones(1))
end

--
-- States
--

function T.test_a_part_of_a_state()
  local net = nn.Sequential {nn.Linear(2, 3), nn.Linear(3, 1)}
  local state = {["1.weight"] = pl.ones(3, 2), ["9.bias"] = pl.ones(1)}
  local bias = net[1].bias:detach():clone()
  lu.assertEquals(net:load_state_dict(state, {strict = false}),
                  {missing = {"1.bias", "2.bias", "2.weight"}, unexpected = {"9.bias"}})
  same(net[1].weight:detach(), pl.ones(3, 2))
  same(net[1].bias:detach(), bias)
  lu.assertErrorMsgContains("missing 1.bias, 2.bias, 2.weight; unexpected 9.bias",
                            net.load_state_dict, net, state)
  lu.assertErrorMsgContains("other shapes: 1.weight ([3,2] here, [2] there)", net.load_state_dict,
                            net, {["1.weight"] = pl.ones(2)}, {strict = false})
  lu.assertTrue(rawequal(net:load_state_dict(net:state_dict()), net))
  lu.assertErrorMsgContains("load_state_dict: unknown option 'strickt'", net.load_state_dict, net,
                            state, {strickt = false})
end

return T
