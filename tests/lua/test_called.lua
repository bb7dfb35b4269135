--- Messages name what was called and blame the script's line: every function and method of the
-- engine is called with arguments that cannot be right.

local lu = require "luaunit"
local core = require "perilune.core"
local pl = require "perilune"

local T = {}

local ARGUMENTS <const> = {
  "", "'a'", "-1", "{}", "0/0", "print", "{'a'}", "{foo = 1}", "1 << 62", "gone", "x, 'a'", "x, {}",
  "x, {foo = 1}", "x, gone", "x, -1, -1", "x, 99", "{x, 1}", "{x, gone}",
  "x, x, x, x, x, x, x, x, x, x, x, x",
}

-- Functions of which the library's own Lua says in whose name they are called.
local WHO <const> = {fail_after = true, svm_check = true, svm_classes = true}

local function released()
  local gone
  pl.tidy(function() gone = pl.ones(2) end)
  return gone
end

-- The messages of a call with all those arguments; "%s" stands for them.
local function each_message(code, visit)
  local env <const> = {pl = pl, methods = core.methods, x = pl.rand(2, 2), gone = released(),
                       print = print}
  for _, arguments in ipairs(ARGUMENTS) do
    local call <const> = code:format(arguments)
    local ok, message = pcall(assert(load("return " .. call, "=row", "t", env)))
    if not ok then visit(call, message) end
  end
end

local function check_name(name, code)
  each_message(code, function(call, message)
    lu.assertStrMatches(message, "row:1: " .. name .. "[: ].+", nil, nil, call)
    lu.assertNotStrContains(message, "userdata", nil, call)
  end)
end

function T.test_every_message_names_what_was_called()
  for key in pairs(core.docs) do
    local name <const> = key:match "[%w_]+$"
    if not WHO[name] and core[name] then check_name(name, "pl." .. name .. "(%s)") end
    if rawget(core.methods, name) then check_name(name, "x:" .. name .. "(%s)") end
  end
  core.memory_limit(0) -- which was set among them
end

function T.test_methods_are_called_with_a_colon()
  for name in pairs(core.methods) do
    each_message("methods." .. name .. "(%s)", function(call, message)
      if call:find "%(x" or call:find "%(gone" then return end
      lu.assertEquals(message,
        ("row:1: %s: methods are called with a colon: t:%s(...)"):format(name, name), call)
    end)
  end
  lu.assertErrorMsgContains("add: methods are called with a colon: t:add(...)",
                            pl.ones(2).add, 2) -- not 2 and nothing
end

function T.test_what_a_name_means_does_not_depend_on_the_variable()
  local f <const> = pl.full
  lu.assertErrorMsgContains("full: argument 2: number expected, got 'a'", function() f({2}, "a") end)
end

function T.test_released()
  local gone <const> = released()
  local x <const> = pl.ones(2)
  for message, f in pairs {
    sum = function() return gone:sum() end, size = function() return gone:size() end,
    add = function() return x + gone end, index = function() return gone[1] end,
    matmul = function() return pl.matmul(x, gone) end,
  } do
    lu.assertErrorMsgContains(message .. ": this tensor was released", f)
  end
end

function T.test_nan_has_no_sign()
  lu.assertErrorMsgContains("got nan", pl.zeros, 0 / 0)
  lu.assertErrorMsgContains("got nan", pl.zeros, -(0 / 0))
  for _, x in ipairs {pl.tensor {0 / 0}, pl.tensor {-(0 / 0)}} do
    lu.assertEquals(tostring(x), "real[1] [nan]")
    lu.assertEquals(tostring(x:item()), "nan")
    lu.assertEquals(tostring(x:totable()[1]), "nan")
  end
end

function T.test_second_results()
  local nn <const> = pl.nn
  local hint <const> = "if it is the second result of a call, parentheses keep the first alone"
  local x <const> = pl.ones(5, 2, 3)
  for _, rnn in ipairs {nn.LSTM(3, 4), nn.GRU(3, 4)} do
    local head <const> = nn.Linear(4, 1)
    lu.assertErrorMsgContains(hint, function() head(rnn(x)) end)
    lu.assertErrorMsgContains("relu: too many arguments; " .. hint,
                              function() pl.relu(rnn(x)) end)
    lu.assertEquals(head((rnn(x))):size(), {5, 2, 1})
  end
  lu.assertErrorMsgContains("sum: dim: integer or list of integers expected, got tensor; " .. hint,
                            function() pl.sum(x:max(1)) end)
end

--
-- Options by name
--

-- Every way to make a tensor that takes a dtype, with that option in `%s`.
local MAKERS <const> = {
  "pl.empty {2, 3, %s}", "pl.zeros {2, 3, %s}", "pl.ones {2, 3, %s}", "pl.rand {2, 3, %s}",
  "pl.randn {2, 3, %s}", "pl.full({2, 3, %s}, 1)", "pl.tensor {1, 2, %s}",
  "pl.tensor {{1, 2}, {3, 4}, %s}",
  "pl.empty(2, 3, {%s})", "pl.zeros({2, 3}, {%s})", "pl.ones(2, 3, {%s})", "pl.rand(2, {%s})",
  "pl.randn(2, {%s})", "pl.full({2}, 1, {%s})", "pl.tensor({1, 2}, {%s})",
  "pl.arange(1, 3, {%s})", "pl.arange(1, 3, 2, {%s})", "pl.arange(1, 3, nil, {%s})",
  "pl.eye(2, {%s})", "pl.eye(2, 3, {%s})", "pl.zeros_like(x, {%s})", "pl.ones_like(x, {%s})",
  "pl.full_like(x, 1, {%s})", "x:to {%s}",
}

local function make(code, option)
  local env <const> = {pl = pl, x = pl.ones(2)}
  return assert(load("return " .. code:format(option), "=row", "t", env))()
end

function T.test_dtype_by_name()
  for _, code in ipairs(MAKERS) do
    local random <const> = code:find "rand"
    for _, dtype in ipairs {"real", not random and "uint8" or nil} do
      lu.assertEquals(make(code, ("dtype = '%s'"):format(dtype)):dtype(), dtype, code)
      lu.assertEquals(make(code, ("kind = '%s'"):format(dtype)):dtype(), dtype, code)
    end
  end
end

function T.test_unknown_options()
  for _, code in ipairs(MAKERS) do
    local name <const> = code:match "[.:]([%w_]+)"
    lu.assertErrorMsgEquals(("row:1: %s: unknown option 'dtyp'; known: dtype"):format(name),
                            make, code, "dtyp = 'uint8'")
    lu.assertErrorMsgContains(name .. ": dtype: 'real', 'int32' or 'uint8' expected, got 3",
                              make, code, "dtype = 3")
    lu.assertErrorMsgContains("dtype and kind are the same option", make, code,
                              "dtype = 'real', kind = 'real'")
  end
end

return T
