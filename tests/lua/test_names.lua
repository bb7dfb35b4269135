--- Names that are not there: what the errors say, what the table of PyTorch's and Torch7's names
-- says, and that methods are called with a colon.

local lu = require "luaunit"
local core = require "perilune.core"
local help = require "perilune.help"
local pl = require "perilune"
local torch = require "perilune.help.torch"

local T = {}
local nn <const>, optim <const> = pl.nn, pl.optim

local function message_of(code, ...)
  local f <const> = assert(load("local pl, nn, optim, x, net, opt = ...\nlocal _ = " .. code,
                                "=script"))
  local ok, message = pcall(f, pl, nn, optim, ...)
  lu.assertEquals(ok, false, code)
  return message
end

local function things()
  local net <const> = nn.Linear(2, 2)
  return pl.ones(2, 2), net, optim.SGD(net:parameters(), {lr = 0.1})
end

function T.test_messages()
  for code, text in pairs {
    ["x.shape[1]"] = "a tensor has no 'shape'; write x:size()",
    ["x:cuda()"] = "a tensor has no 'cuda': all tensors are in the computer's memory: leave it out",
    ["x['repeat'](x, 2)"] = "a tensor has no 'repeat'; write x:tile(...); repeat is a word of Lua's",
    ["x:typeAs(x)"] = "a tensor has no 'typeAs'; write x:to(y:dtype())",
    ["x:sume()"] = "a tensor has no 'sume'; did you mean 'sum'?",
    ["x:abs_()"] = "a tensor has no 'abs_'; write x = x:abs(...), or x:copy_(x:abs(...)) inside no_grad",
    ["x:stack()"] = "a tensor has no 'stack'; write pl.stack",
    ["x:qqqq()"] = "a tensor has no 'qqqq'",
    ["pl.from_numpy(1)"] = "pl has no 'from_numpy'; write pl.tensor(table)",
    ["pl.onez(3)"] = "pl has no 'onez'; did you mean 'ones'?",
    ["pl.Linear(1, 1)"] = "pl has no 'Linear'; write pl.nn.Linear",
    ["pl.clone(x)"] = "pl has no 'clone'; write x:clone(...)",
    ["pl.qqqq"] = "pl has no 'qqqq'; help(pl) lists what there is",
    ["nn.Lineal(1, 1)"] = "pl.nn has no 'Lineal'; did you mean 'Linear'?",
    ["nn.RNN(1, 1, 3)"] = "pl.nn has no 'RNN'; write nn.GRU(n, m), or nn.LSTM(n, m)",
    ["nn.SpatialConvolution"] = "pl.nn has no 'SpatialConvolution'; write nn.Conv2d(n, m, k)",
    ["nn.Adam()"] = "pl.nn has no 'Adam'; write pl.optim.Adam",
    ["nn.init.xavier_normal(x)"] = "pl.nn.init has no 'xavier_normal'; did you mean 'xavier_normal_'?",
    ["optim.MultiplicativeLR(opt)"] = "pl.optim has no 'MultiplicativeLR'; write optim.LambdaLR(opt, "
      .. "function(t) return factor end): the product of the factors",
    ["opt:stepp()"] = "an optimiser has no 'stepp'; did you mean 'step'?",
    ["opt.param_groups"] = "an optimiser has no 'param_groups'; write opt.groups",
    ["net:evaluate()"] = "a module has no 'evaluate'; write net:eval()",
  } do
    lu.assertEquals(message_of(code, things()), "script:2: " .. text)
  end
end

function T.test_every_part_of_the_library_refuses()
  for _, public in ipairs(require("perilune.help.names").public(true)) do
    if require("perilune.help.names").module(public.value) then
      local ok, message = pcall(function() return public.value.qqqq end)
      lu.assertEquals(ok, false, public.path)
      lu.assertStrContains(message, public.path .. " has no 'qqqq'")
    end
  end
end

function T.test_modules_have_fields_of_their_own()
  local net <const> = nn.Linear(2, 2)
  lu.assertNil(net.hidden)
  net.hidden = 3
  lu.assertEquals(net.hidden, 3)
  lu.assertNil(nn.class("Mine")().something)
end

--
-- The table
--

local OWNERS <const> = {
  tensor = core.methods, nn = nn, optim = optim, module = nn.Module, data = pl.data,
}

function T.test_what_is_there_is_not_listed_as_absent()
  for key, owner in pairs(OWNERS) do
    for _, row in ipairs(torch.rows(key)) do
      for _, name in ipairs(row.names) do lu.assertNil(rawget(owner, name), name) end
    end
  end
end

function T.test_no_name_is_listed_twice()
  for _, section in ipairs(torch.sections) do
    local seen <const> = {}
    for _, row in ipairs(torch.rows(section.key)) do
      for _, name in ipairs(row.names) do
        lu.assertNil(seen[name], name)
        seen[name] = true
      end
    end
  end
end

function T.test_the_same_names_are_there()
  for name in torch.same:gmatch "[%w_]+" do
    local field <const> = name == "is_leaf" or name == "requires_grad"
    lu.assertTrue(field or (rawget(core.methods, name) or pl[name]) ~= nil, name)
  end
end

function T.test_what_a_section_has_is_there()
  for section, text in next, torch.present do
    for name in text:gmatch "[%w_]+" do
      lu.assertNotNil(pl[section][name], name)
      lu.assertNil(torch.find(section, name), name)
    end
  end
end

-- What there has to be for a text to be right: pl.where, x:gt, nn.Linear.
function T.test_what_is_to_be_written_is_there()
  local owners <const> = {pl = pl, nn = nn, optim = optim, data = pl.data}
  for _, section in ipairs(torch.sections) do
    for _, row in ipairs(torch.rows(section.key)) do
      local text <const> = row.write or row.why
      for owner, name in text:gmatch "%f[%w](%l+)%.([%w_]+)%f[^%w_]" do
        if owners[owner] then lu.assertNotNil(owners[owner][name], text) end
      end
      for owner, name in text:gmatch "(%w*):(%l[%w_]*)%(" do
        local known <const> = owner == "net" and nn.Module or owner ~= "opt" and core.methods
        if known then lu.assertNotNil(rawget(known, name), text) end
      end
    end
  end
end

function T.test_help_reads_the_table()
  lu.assertStrContains(help.text "shape", "write x:size()")
  lu.assertStrContains(help.text "torch.cuda", "leave it out")
  lu.assertStrContains(help.text "nn.TemporalConvolution", "write nn.Conv1d")
end

--
-- A dot in the place of a colon
--

local function refuses(call, f, ...)
  local ok, message = pcall(f, ...)
  lu.assertEquals(ok, false, call)
  lu.assertStrContains(message, "methods are called with a colon: " .. call)
end

function T.test_methods_of_modules_and_optimisers()
  local x <const>, net <const>, opt <const> = things()
  for _, name in ipairs {"parameters", "named_parameters", "eval", "train", "apply", "state_dict",
                         "zero_grad", "modules", "parameter_count"} do
    refuses(("net:%s(...)"):format(name), net[name])
    refuses(("net:%s(...)"):format(name), net[name], x)
  end
  for _, name in ipairs {"step", "zero_grad", "step_backward", "state_dict"} do
    refuses(("opt:%s(...)"):format(name), opt[name])
    refuses(("opt:%s(...)"):format(name), opt[name], 1)
  end
  refuses("net:forward(...)", function() net.forward(x) end)
  refuses("net:forward(...)", function() nn.Sequential({net}).forward(x) end)
end

function T.test_methods_of_other_objects()
  local _ <const>, _, opt <const> = things()
  refuses("schedule:step(...)", optim.StepLR(opt, {step_size = 1}).step)
  refuses("fig:save(...)", pl.plot.figure().save, "a.png")
end

function T.test_the_line_of_the_script_is_blamed()
  for _, code in ipairs {"net.parameters()", "opt.step()", "x.sum()", "net.forward(x)"} do
    lu.assertStrMatches(message_of(code, things()), "script:2: .*with a colon.*")
  end
end

function T.test_help_of_methods_shows_what_was_written()
  lu.assertStrContains(help.text(nn.Module.eval), "Sets evaluation mode")
  lu.assertStrContains(help.text "Job.log" .. help.text(nn.Linear), "parameters")
end

return T
