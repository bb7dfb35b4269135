--- Networks from PyTorch and back. What PyTorch wrote lies in tests/torch, by fixtures.py; back.py
-- there has it read what is written here.

local lu = require "luaunit"
local pl = require "perilune"
local nn = pl.nn

local T = {}
local eq, fails = lu.assertEquals, lu.assertErrorMsgContains

local fixtures = (debug.getinfo(1, "S").source:match "^@(.*/)" or "./") .. "../torch/"
local networks, expected = dofile(fixtures .. "networks.lua"), dofile(fixtures .. "expected.lua")

local function state_of(name)
  return assert(pl.load(fixtures .. name .. ".safetensors"))
end

local function names(t)
  local list = {}
  for name in pairs(t) do list[#list + 1] = name end
  table.sort(list)
  return list
end

-- The net gives what PyTorch gave.
local function expect_results(net, name)
  local y, want = net:eval()(networks[name].input):flatten(), pl.tensor(expected[name])
  local wrong = (y - want):abs():max():item() / want:abs():max():item()
  lu.assertTrue(wrong < 1e-6, ("%s: %g"):format(name, wrong))
end

function T.test_results_are_pytorchs()
  for name, row in pairs(networks) do
    local net, report = nn.from_torch(row.make(), state_of(name))
    expect_results(net, name)
    eq({report.missing, report.unexpected, report.mismatched}, {{}, {}, {}})
  end
end

function T.test_counters_of_batches_are_ignored_and_said_so()
  local _, report = nn.from_torch(networks.lenet.make(), state_of "lenet")
  eq(report.ignored, {"features.1.num_batches_tracked", "features.5.num_batches_tracked"})
end

function T.test_and_back()
  for name, row in pairs(networks) do
    local net, state = nn.from_torch(row.make(), state_of(name)), state_of(name)
    local back = nn.to_torch(net)
    eq(names(back), names(state))
    for key, t in pairs(state) do
      eq(back[key]:size(), t:size())
      if key:find "num_batches_tracked" then
        eq({back[key]:dtype(), back[key]:item(), t:item()}, {"int32", 0, 3})
      else
        eq(back[key]:equal(t), true, key)
      end
    end
    expect_results(nn.from_torch(row.make(), back), name)
  end
end

function T.test_parameters_stay_parameters()
  local net = networks.words.make()
  net.rnn:requires_grad_(false)
  local before = net:parameters()
  nn.from_torch(net, state_of "words")
  eq(#net:parameters(), #before)
  eq({net.decoder.weight.requires_grad, net.rnn.layers[1].weight_ih.requires_grad}, {true, false})
  eq(nn.to_torch(net)["decoder.weight"].requires_grad, false)
end

function T.test_every_name_that_does_not_fit_is_listed_and_nothing_is_changed()
  local net, state = networks.lenet.make(), state_of "lenet"
  local before = net:clone():state_dict()
  state["features.0.bias"], state["features.1.bias"], state.more, state["9"] = nil, nil, pl.ones(1), 3
  state["classifier.0.weight"] = state["classifier.0.weight"]:t()
  fails("from_torch: the state is not one of this Module(): missing features.0.bias, features.1.bias; "
    .. "unexpected 9, more; other shapes: classifier.0.weight ([16,32] here, [32,16] there)",
    nn.from_torch, net, state)
  for name, t in pairs(net:state_dict()) do eq(t:equal(before[name]), true, name) end
end

function T.test_what_fits_is_loaded_without_strict()
  local net, state = networks.lenet.make(), state_of "lenet"
  net.classifier[3] = nn.Linear(16, 2)
  local was = net.classifier[3].weight:clone()
  state.more, state["features.0.bias"] = pl.ones(1), nil
  local same, report = nn.from_torch(net, state, {strict = false})
  eq(rawequal(same, net), true)
  eq(report.missing, {"features.0.bias"})
  eq(report.unexpected, {"more"})
  eq(report.mismatched, {"classifier.2.bias ([2] here, [10] there)",
                         "classifier.2.weight ([2,16] here, [10,16] there)"})
  eq(net.classifier[3].weight:equal(was), true)
  eq(net.features[1].weight:equal(state["features.0.weight"]), true)
end

function T.test_prefixes()
  local state = {extra = pl.ones(1)}
  for name, t in pairs(state_of "words") do state["module." .. name] = t end
  local net, report = nn.from_torch(networks.words.make(), state, {prefix = "module."})
  eq(report.ignored, {"extra"})
  expect_results(net, "words")
  state.extra = nil
  fails('{prefix = "module."}?', nn.from_torch, net, state)
  eq(names(nn.to_torch(net, {prefix = "module."})), names(state))
end

function T.test_one_tensor_with_two_names()
  local net, state = networks.others.make(), state_of "others"
  state["encoder.weight"] = nil -- as safetensors' save_model leaves it out
  expect_results(nn.from_torch(net, state), "others")
  state["encoder.weight"] = pl.zeros(4, 4)
  fails("encoder.weight (one tensor with decoder.weight here, other values there)", nn.from_torch, net, state)
  state["encoder.weight"], state["decoder.weight"] = nil, nil
  fails("missing decoder.weight, encoder.weight", nn.from_torch, net, state)
end

function T.test_what_is_probably_the_matter()
  local net, state = networks.words.make(), state_of "words"
  fails("the names are those of state_dict, which load_state_dict takes", nn.from_torch, net, net:state_dict())
  state["rnn.weight_ih_l0_reverse"] = pl.ones(1)
  fails("unexpected rnn.weight_ih_l0_reverse; there is no bidirectional layer here", nn.from_torch, net, state)
  state["rnn.weight_ih_l0_reverse"], state["rnn.weight_hr_l0"] = nil, pl.ones(1)
  fails("there is no proj_size here", nn.from_torch, net, state)
end

function T.test_kinds_of_values()
  local layer = nn.class "Layer" ()
  layer.count, layer.w = pl.zeros({2}, "int32"), nn.parameter(pl.zeros(2))
  fails("count (int32 here, real there)", nn.from_torch, layer, {count = pl.ones(2), w = pl.ones(2)})
  nn.from_torch(layer, {count = pl.ones({2}, "int32"), w = pl.ones({2}, "int32")})
  eq({layer.count:totable(), layer.w:totable()}, {{1, 1}, {1, 1}})
end

function T.test_a_module_within_itself()
  local layer = nn.class "Layer" ()
  layer.w, layer.me, layer.list = nn.parameter(pl.zeros(1)), layer, {{a = pl.zeros(2)}}
  eq(names(nn.to_torch(layer)), {"list.0.a", "w"})
  layer.kept = layer.w * 2 -- a result
  eq(names(nn.to_torch(layer)), {"list.0.a", "w"})
end

function T.test_arguments()
  local net = nn.Linear(1, 1)
  fails("from_torch: module expected, got table", nn.from_torch, {}, {})
  fails("to_torch: module expected, got tensor", nn.to_torch, pl.ones(1))
  fails("from_torch: table of tensors expected, got string", nn.from_torch, net, "net.safetensors")
  fails("from_torch: table of tensors expected, got a module", nn.from_torch, net, net)
  fails("from_torch: prefix: string expected, got 3", nn.from_torch, net, {}, {prefix = 3})
  fails("from_torch: unknown option 'strikt'", nn.from_torch, net, {}, {strikt = false})
  fails("to_torch: unknown option 'strict'; known: prefix", nn.to_torch, net, {strict = false})
end

return T
