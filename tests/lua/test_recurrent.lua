-- Recurrent layers: against values from PyTorch (tests/oracle_recurrent.py wrote
-- oracle_recurrent.lua), against cells of elementary ops, and what they promise of states,
-- dropout and bad input.

local lu = require "luaunit"
local pl = require "perilune"
local nn = pl.nn
local cases = require "oracle_recurrent"

local T = {}

local double = pl.real == "double"
local TOLERANCE = double and 1e-9 or 2e-5

--
-- Helpers
--

local function assert_close(actual, expected, what, tolerance)
  lu.assertEquals(actual:size(), expected:size(), what)
  if actual:numel() == 0 then return end
  local difference = (actual - expected):abs():amax():item()
  lu.assertTrue(difference <= (tolerance or TOLERANCE) * (1 + expected:abs():amax():item()),
                ("%s: differs by %g"):format(what, difference))
end

local function tensor(values)
  return pl.tensor({table.unpack(values)}):reshape(values.size)
end

-- Element i of a tensor times cos(i), summed up.
local function weighted(t)
  return (t:reshape(-1) * pl.arange(0, t:numel() - 1):cos()):sum()
end

local function list_of(state)
  return pl.is_tensor(state) and {state} or state
end

local function state_of(list)
  return #list == 1 and list[1] or list
end

local function random_state(layers, batch, units, count)
  local list = {}
  for i = 1, count do list[i] = pl.randn(layers, batch, units) end
  return state_of(list)
end

local COUNT = {LSTM = 2, GRU = 1} -- tensors of a state

local function each_cell(f)
  for _, cell in ipairs {"LSTM", "GRU"} do f(cell, COUNT[cell]) end
end

--
-- Values
--

local function check_case(case, what)
  local net = nn[case.cell](case.n_in, case.units, {num_layers = case.layers, bias = case.bias})
  local state = {}
  for name, values in next, case.parameters do state[name] = tensor(values) end
  net:load_state_dict(state)
  local x, first = tensor(case.x):requires_grad_(), {}
  for i, values in ipairs(case.first) do first[i] = tensor(values):requires_grad_() end
  local y, last = net(x, state_of(first))
  last = list_of(last)
  assert_close(y, tensor(case.y), what .. " y")
  lu.assertEquals(#last, #case.last)
  local loss = weighted(y)
  for i, values in ipairs(case.last) do
    assert_close(last[i], tensor(values), what .. " last state " .. i)
    loss = loss + weighted(last[i])
  end
  loss:backward()
  assert_close(x.grad, tensor(case.x_gradient), what .. " gradient by x")
  for i, values in ipairs(case.first_gradients) do
    assert_close(first[i].grad, tensor(values), what .. " gradient by first state " .. i)
  end
  local n = 0
  for name, p in net:named_parameters() do
    n = n + 1
    assert_close(p.grad, tensor(case.gradients[name]), what .. " gradient by " .. name)
  end
  lu.assertEquals(n, case.layers * (case.bias and 4 or 2))
end

function T.test_values_and_gradients_of_pytorch()
  for _, case in ipairs(cases) do
    pl.tidy(check_case, case, ("%s %d steps, batch %d, %d layers"):format(
      case.cell, case.steps, case.batch, case.layers))
  end
end

-- The formulas, one op each.
local formulas = {}

local function affine(x, weight, bias)
  local y = x:matmul(weight:t())
  return bias and y + bias or y
end

-- The k-th of `count` gates.
local function gate(all, k, count)
  local n = all:size(2) // count
  return all:slice(2, (k - 1) * n + 1, n)
end

function formulas.LSTM(cell, x, h, c)
  local all = affine(x, cell.weight_ih, cell.bias_ih) + affine(h, cell.weight_hh, cell.bias_hh)
  local function part(k) return gate(all, k, 4) end
  c = part(2):sigmoid() * c + part(1):sigmoid() * part(3):tanh()
  return part(4):sigmoid() * c:tanh(), c
end

function formulas.GRU(cell, x, h)
  local i, k = affine(x, cell.weight_ih, cell.bias_ih), affine(h, cell.weight_hh, cell.bias_hh)
  local function sum(j) return gate(i, j, 3) + gate(k, j, 3) end
  local r, z = sum(1):sigmoid(), sum(2):sigmoid()
  local n = (gate(i, 3, 3) + r * gate(k, 3, 3)):tanh()
  return (1 - z) * n + z * h
end

-- A whole network by the formulas; without dropout.
local function by_formulas(cell, net, x, state)
  local y, last = x, {}
  for l, layer in ipairs(net.layers) do
    local now, rows = {}, {}
    for k, t in ipairs(list_of(state)) do now[k] = t:select(1, l) end
    for t = 1, #y do
      now = {formulas[cell](layer, y[t], table.unpack(now))}
      rows[t] = now[1]
    end
    y, last[l] = pl.stack(rows, 1), now
  end
  return y, last
end

local function check_formulas(cell, count, steps, batch, layers)
  local what = ("%s %d steps, batch %d, %d layers"):format(cell, steps, batch, layers)
  local net = nn[cell](3, 5, {num_layers = layers})
  local x, state = pl.randn(steps, batch, 3), random_state(layers, batch, 5, count)
  local y, last = net(x, state)
  local expected, expected_last = by_formulas(cell, net, x, state)
  assert_close(y, expected, what)
  for k, t in ipairs(list_of(last)) do
    for l = 1, layers do
      assert_close(t:select(1, l), expected_last[l][k], what .. " last state")
    end
  end
  local params = net:parameters()
  local fast, slow = pl.grad(weighted(y), params), pl.grad(weighted(expected), params)
  for i = 1, #params do assert_close(fast[i], slow[i], what .. " gradient") end
end

function T.test_against_formulas()
  each_cell(function(cell, count)
    for _, sizes in ipairs {{1, 1, 1}, {1, 4, 3}, {7, 1, 1}, {5, 3, 3}, {2, 9, 2}} do
      pl.tidy(check_formulas, cell, count, table.unpack(sizes))
    end
  end)
end

-- The gradient of the squared gradient's sum, by the fused op and by the formulas.
function T.test_second_order()
  local function second(y, params)
    local sum
    for _, g in ipairs(pl.grad(weighted(y), params, {create_graph = true})) do
      local part = g:square():sum()
      sum = sum and sum + part or part
    end
    return pl.grad(sum, params)
  end
  each_cell(function(cell, count)
    pl.tidy(function()
      local net = nn[cell](2, 3, {num_layers = 2})
      local x, state = pl.randn(3, 2, 2), random_state(2, 2, 3, count)
      local params = net:parameters()
      local fused = second((net(x, state)), params)
      local plain = second((by_formulas(cell, net, x, state)), params)
      for i = 1, #params do
        assert_close(fused[i], plain[i], cell .. " second order", double and 1e-9 or 1e-3)
      end
    end)
  end)
end

--
-- Cells and states
--

function T.test_cells_step_by_step()
  each_cell(function(cell)
    pl.tidy(function()
      local net, x = nn[cell](3, 4), pl.randn(6, 2, 3)
      local y, last = net(x)
      local state, h
      for t = 1, 6 do
        h, state = net.layers[1](x[t], state)
        assert_close(h, y[t], cell .. "Cell step " .. t)
      end
      for k, s in ipairs(list_of(state)) do
        assert_close(s, list_of(last)[k]:select(1, 1), cell .. "Cell state " .. k)
      end
    end)
  end)
end

function T.test_state_carried_over_chunks_equals_one_sequence()
  each_cell(function(cell)
    pl.tidy(function()
      local net, x = nn[cell](3, 4, {num_layers = 2}), pl.randn(9, 2, 3)
      local whole, last = net(x)
      local first, state = net(x:slice(1, 1, 4))
      local second, state_2 = net(x:slice(1, 5, 5), state)
      assert_close(pl.cat({first, second}, 1), whole, cell)
      last = list_of(last)
      for k, s in ipairs(list_of(state_2)) do assert_close(s, last[k], cell .. " state") end
    end)
  end)
end

function T.test_no_state_is_zeros()
  each_cell(function(cell, count)
    pl.tidy(function()
      local net, x, zeros = nn[cell](3, 4, {num_layers = 2}), pl.randn(3, 2, 3), {}
      for i = 1, count do zeros[i] = pl.zeros(2, 2, 4) end
      assert_close((net(x)), (net(x, state_of(zeros))), cell, 0)
    end)
  end)
end

function T.test_detach()
  local net = nn.LSTM(3, 4)
  local state = pl.tidy(function()
    local _, last = net(pl.randn(2, 1, 3))
    lu.assertTrue(last[1].requires_grad)
    return nn.detach(last)
  end)
  lu.assertFalse(state[1].requires_grad)
  lu.assertEquals(state[2]:size(), {1, 1, 4})
  local outside
  pl.tidy(function() outside = nn.detach(pl.ones(2) * 3) end)
  lu.assertEquals(outside:totable(), {3, 3})
  lu.assertNil(nn.detach(nil))
  lu.assertErrorMsgContains("detach: tensor or table of tensors expected, got number", nn.detach, 1)
end

-- The gradient stops where the state was detached.
function T.test_detached_state_ends_the_gradient()
  pl.tidy(function()
    local net = nn.GRU(2, 3)
    local x = pl.randn(2, 1, 2):requires_grad_()
    local _, state = net(x)
    local y = net(pl.randn(2, 1, 2), nn.detach(state))
    lu.assertEquals(pl.grad(y:sum(), x), {false})
  end)
end

--
-- Parameters
--

function T.test_names_and_initial_values()
  local net, names = nn.LSTM(3, 25, {num_layers = 2}), {}
  for name, p in net:named_parameters() do
    names[#names + 1] = name
    local low, high = p:amin():item(), p:amax():item()
    lu.assertTrue(low >= -0.2 and high <= 0.2 and low < -0.15 and high > 0.15, name)
  end
  lu.assertEquals(names, {
    "layers.1.bias_hh", "layers.1.bias_ih", "layers.1.weight_hh", "layers.1.weight_ih",
    "layers.2.bias_hh", "layers.2.bias_ih", "layers.2.weight_hh", "layers.2.weight_ih"})
  lu.assertEquals(net.layers[1].weight_ih:size(), {100, 3})
  lu.assertEquals(net.layers[2].weight_ih:size(), {100, 25})
  lu.assertEquals(nn.GRU(3, 4).layers[1].weight_ih:size(), {12, 3})
  lu.assertEquals(nn.GRU(3, 4, {bias = false}):parameter_count(), 12 * 3 + 12 * 4)
end

function T.test_descriptions()
  lu.assertEquals(nn.LSTM(3, 4, {num_layers = 2, dropout = 0.5}):signature(),
                  "LSTM(3, 4, num_layers=2, dropout=0.5)")
  local gru = nn.GRU(3, 4, {variational = true, weight_dropout = 0.2, bias = false})
  lu.assertEquals(gru:signature(), "GRU(3, 4, bias=false, weight_dropout=0.2, variational=true)")
  lu.assertEquals(nn.GRUCell(3, 4):signature(), "GRUCell(3, 4)")
  lu.assertEquals(nn.Embedding(10, 4, {dropout = 0.1}):signature(), "Embedding(10, 4, dropout=0.1)")
  lu.assertEquals(nn.LockedDropout(0.3):signature(), "LockedDropout(0.3)")
end

function T.test_embedding()
  pl.tidy(function()
    local words = nn.Embedding(5, 3)
    local index = pl.tensor({{1, 5}, {2, 2}}, "int32")
    local x = words(index)
    lu.assertEquals(x:size(), {2, 2, 3})
    assert_close(x[2][1], words.weight[2], "row", 0)
    x:sum():backward()
    assert_close(words.weight.grad:sum(2), pl.tensor {3, 6, 0, 0, 3}, "gradient")
  end)
end

function T.test_tied_weights_are_one_parameter()
  local words, out = nn.Embedding(5, 3), nn.Linear(3, 5, {bias = false})
  out.weight = words.weight
  local net = nn.module {words = words, out = out,
    forward = function(self, x) return self.out(self.words(x)) end}
  lu.assertEquals(#net:parameters(), 1)
  pl.tidy(function()
    net(pl.tensor({1}, "int32")):sum():backward()
    local w = words.weight
    assert_close(w.grad[2], w[1]:detach(), "the part of the softmax")
    assert_close(w.grad[1], w[1] + w:sum(1), "both parts")
  end)
end

--
-- Dropout
--

function T.test_locked_dropout()
  pl.tidy(function()
    local drop = nn.LockedDropout(0.4)
    local y = drop(pl.ones(5, 3, 40))
    for t = 2, 5 do assert_close(y[t], y[1], "step " .. t, 0) end
    local kept = y[1]:ne(0):to("real"):mean():item()
    lu.assertTrue(kept > 0.4 and kept < 0.8, kept)
    assert_close(y[1]:amax(), pl.tensor(1 / 0.6), "scale", 1e-6)
    lu.assertFalse(y[1][1]:eq(y[1][2]):to("real"):amin():item() == 1) -- sequences differ
    local x = pl.randn(2, 2, 2)
    lu.assertTrue(drop:eval()(x) == x)
  end)
end

-- Dropout between layers leaves the first layer alone, and evaluation everything.
function T.test_dropout_between_layers()
  each_cell(function(cell)
    pl.tidy(function()
      local net = nn[cell](3, 8, {num_layers = 2, dropout = 0.5})
      local x = pl.randn(4, 2, 3)
      local _, once = net(x)
      local _, twice = net(x)
      local a, b = list_of(once)[1], list_of(twice)[1]
      assert_close(a:select(1, 1), b:select(1, 1), "first layer", 0)
      lu.assertTrue((a:select(1, 2) - b:select(1, 2)):abs():amax():item() > 0)
      net:eval()
      assert_close((net(x)), (net(x)), "evaluation", 0)
    end)
  end)
end

-- With a mask for all steps a constant input to the second layer stays constant.
function T.test_variational_dropout_between_layers()
  pl.tidy(function()
    local net = nn.GRU(2, 64, {num_layers = 2, dropout = 0.5, variational = true})
    local first, second = net.layers[1], net.layers[2]
    pl.no_grad(function()
      for _, p in ipairs(first:parameters()) do p:zero_() end
      first.bias_ih:fill_(1) -- the first layer's values depend on the step alone
      for _, p in ipairs(second:parameters()) do p:zero_() end
      for i = 1, 64 do second.weight_ih[{128 + i, i}] = 1 end -- the new values are the inputs
    end)
    local y = net(pl.zeros(3, 1, 2))
    local zero = y:eq(0):to("real")
    assert_close(zero[2], zero[1], "dropped at step 2", 0)
    assert_close(zero[3], zero[1], "dropped at step 3", 0)
    local dropped = zero[1]:mean():item()
    lu.assertTrue(dropped > 0.2 and dropped < 0.8, dropped)
  end)
end

function T.test_weight_dropout()
  pl.tidy(function()
    local net = nn.LSTM(3, 8, {weight_dropout = 0.5})
    local x = pl.randn(4, 2, 3)
    local a, b = net(x), net(x)
    assert_close(a[1], b[1], "the first step has no recurrent part", 0)
    lu.assertTrue((a[4] - b[4]):abs():amax():item() > 0)
    net:eval()
    assert_close((net(x)), (net(x)), "evaluation", 0)
  end)
end

function T.test_word_dropout_drops_words()
  pl.tidy(function()
    local words = nn.Embedding(50, 4, {dropout = 0.5})
    local y = words(pl.cat({pl.arange(1, 50):to("int32"), pl.arange(1, 50):to("int32")}, 1))
    local zero = y:eq(0):to("real")
    assert_close(zero:sum(2) * (zero:sum(2) - 4), pl.zeros(100), "whole words", 0)
    assert_close(zero:slice(1, 1, 50), zero:slice(1, 51, 50), "each word everywhere", 0)
    local dropped = zero:mean():item()
    lu.assertTrue(dropped > 0.2 and dropped < 0.8, dropped)
    assert_close(words:eval()(pl.tensor({3}, "int32"))[1], words.weight[3], "evaluation", 0)
  end)
end

--
-- Bad input
--

function T.test_refusals()
  local rnn, gru = nn.LSTM(3, 4, {num_layers = 2}), nn.GRU(3, 4)
  local x, h = pl.randn(5, 2, 3), pl.zeros(2, 2, 4)
  for _, bad in ipairs {
    {"LSTM: input real[steps,batch,3] expected, got real[5,2,4]", rnn, pl.randn(5, 2, 4)},
    {"LSTM: input real[steps,batch,3] expected, got real[2,3]", rnn, pl.randn(2, 3)},
    {"LSTM: input real[steps,batch,3] expected, got int32[1,1,3]", rnn,
     pl.zeros({1, 1, 3}, "int32")},
    {"at least one step and one sequence expected", rnn, pl.zeros(0, 2, 3)},
    {"at least one step and one sequence expected", gru, pl.zeros(5, 0, 3)},
    {"LSTM: state {h, c} expected, got real[2,2,4]", rnn, x, h},
    {"LSTM: state c is nil, expected real[2,2,4]", rnn, x, {h}},
    {"LSTM: state h is real[1,2,4], expected real[2,2,4]", rnn, x, {pl.zeros(1, 2, 4), h}},
    {"LSTM: state c is real[2,1,4], expected real[2,2,4]", rnn, x, {h, pl.zeros(2, 1, 4)}},
    {"GRU: state h is table, expected real[1,2,4]", gru, x, {h}},
    {"GRU: state h is real[2,2,4], expected real[1,2,4]", gru, x, h},
    {"LSTMCell: input real[batch,3] expected, got real[5,2,3]", rnn.layers[1], x},
    {"GRUCell: state h is real[2,2,4], expected real[5,4]", gru.layers[1], pl.zeros(5, 3), h},
    {"LockedDropout: input [steps, batch, n] expected, got [2,3]", nn.LockedDropout(),
     pl.ones(2, 3)},
    {"index 6 at position 2 is not within 1 and 5", nn.Embedding(5, 2), pl.tensor({1, 6}, "int32")},
    {"index 0 at position 1 is not within 1 and 5", nn.Embedding(5, 2), pl.tensor({0}, "int32")},
    {"expected int32", nn.Embedding(5, 2), pl.ones(3)},
  } do lu.assertErrorMsgContains(bad[1], bad[2], table.unpack(bad, 3)) end
end

function T.test_refused_options()
  local function gives(message, f, ...)
    local arguments = table.pack(...)
    local ok, err = pcall(function()
      local made = f(table.unpack(arguments, 1, arguments.n))
      return made
    end)
    lu.assertFalse(ok)
    lu.assertStrMatches(err, "[^\n]*test_recurrent%.lua:%d+: " .. message)
  end
  gives("LSTM: number of inputs: positive integer expected, got 0", nn.LSTM, 0, 4)
  gives("GRU: number of units: positive integer expected, got nil", nn.GRU, 3)
  gives("GRU: num_layers: positive integer expected, got 0", nn.GRU, 3, 4, {num_layers = 0})
  gives("LSTM: dropout: number in %[0, 1%) expected, got 1", nn.LSTM, 3, 4, {dropout = 1})
  gives("LSTM: unknown option 'layers'; known: bias, dropout, num_layers, variational, "
        .. "weight_dropout", nn.LSTM, 3, 4, {layers = 2})
  gives("LSTMCell: number of units: positive integer expected, got 1.5", nn.LSTMCell, 3, 1.5)
  gives("Embedding: dropout: number in %[0, 1%) expected, got %-1", nn.Embedding, 3, 4,
        {dropout = -1})
  gives("LockedDropout: p: number in %[0, 1%) expected, got 2", nn.LockedDropout, 2)
end

return T
