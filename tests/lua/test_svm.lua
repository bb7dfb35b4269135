--- Support vector machines: LIBSVM's own results, the transductive one, files, and what is refused.

local lu = require "luaunit"
local pl = require "perilune"
local core = require "perilune.core"
local svm = require "perilune.learn.svm"

local T = {}
local eq, fails, near = lu.assertEquals, lu.assertErrorMsgContains, lu.assertAlmostEquals

local path = os.tmpname()
function T.tearDown() os.remove(path) end

local function ints(list) return pl.tensor(list, "int32") end

--
-- Data
--

-- 60 examples of three classes that overlap, in 64ths, the same on every machine.
local function waves()
  local x, y = {}, {}
  for i = 1, 60 do
    local class = (i - 1) % 3 + 1
    x[i] = {
      math.sin(i * 1.7) * 0.9 + (class == 2 and 1 or 0),
      math.cos(i * 2.3) * 0.9 + (class == 3 and 1.2 or 0), math.sin(i * i * 0.37),
    }
    for j = 1, 3 do x[i][j] = math.floor(x[i][j] * 64 + 0.5) / 64 end
    y[i] = class
  end
  x, y = pl.tensor(x), ints(y)
  return x[{{1, 40}}], y[{{1, 40}}], x[{{41, 60}}], y[{{41, 60}}]
end

-- Two half circles that reach into each other: m examples of each.
local function moons(m, noise)
  local a, b = pl.rand(m) * math.pi, pl.rand(m) * math.pi
  local x = pl.cat({pl.stack({a:cos(), a:sin()}, 2), pl.stack({1 - b:cos(), 0.5 - b:sin()}, 2)}, 1)
  return x + pl.randn(2 * m, 2) * noise, pl.cat({pl.ones(m), pl.ones(m) * 2}, 1):to("int32")
end

-- k long clusters side by side: m examples of each; one labelled example at one end of each.
local function stripes(k, m)
  local rows = pl.arange(1, k * m)
  local class = (rows - (((rows - 1) / k):floor() * k)):to("int32")
  local y = class:to("real") * 2 + pl.randn(k * m) * 0.15
  local x = pl.stack({pl.rand(k * m) * 12, y}, 2)
  local ends = pl.tensor {{0.5, 2}, {11.5, 4}, {0.5, 6}, {11.5, 8}}
  return x, class, ends, ints(pl.arange(1, k):totable())
end

--
-- Against LIBSVM
--

-- svm-train -t 0 (linear) or -t 2 (RBF) -c 2 -g 0.7 -e 1e-6, Debian's libsvm-tools 3.24:
-- rho, the number of support vectors, and what svm-predict says of the other 20 examples.
local recorded = {
  linear = {
    rho = {-0.85077672227508039, -0.71179869242457605, -0.059450380738090329}, support = 28,
    labels = {2, 2, 1, 3, 2, 3, 1, 3, 2, 2, 3, 2, 2, 3, 1, 2, 3, 1, 1, 3},
  },
  rbf = {
    rho = {0.069864733937401391, -0.12873384844701979, -0.1456116233271946}, support = 36,
    labels = {2, 2, 1, 2, 2, 3, 1, 1, 2, 2, 3, 1, 2, 3, 3, 2, 3, 1, 1, 3},
  },
}

function T.test_fit_is_libsvm()
  local x, y, test_x, test_y = waves()
  for kernel, expected in pairs(recorded) do
    for _, memory in ipairs {1024, 1e-9} do -- with a kernel matrix, and with LIBSVM's own kernels
      local m = svm.fit(x, y, {kernel = kernel, C = 2, gamma = 0.7, tolerance = 1e-6,
                               memory = memory})
      for i = 1, 3 do near(m.bias[i], -expected.rho[i], 1e-5) end
      eq(m.support, expected.support)
      eq(m:predict(test_x):totable(), expected.labels)
      local right = 0
      for i, label in ipairs(expected.labels) do right = right + (label == test_y[i] and 1 or 0) end
      eq(m:score(test_x, test_y), right / 20)
    end
  end
end

local function write_examples(name, x, y)
  local file <close> = assert(io.open(name, "w"))
  for i, row in ipairs(x:totable()) do
    file:write(y[i])
    for j, v in ipairs(row) do file:write((" %d:%.17g"):format(j, v)) end
    file:write("\n")
  end
end

-- The same by the tools themselves, where they are installed, on data of another kind.
function T.test_fit_against_the_tools()
  if not os.execute("command -v svm-train >/dev/null 2>&1") then
    print("test_svm: LIBSVM's tools are not installed (libsvm-tools), their comparison is skipped")
    return
  end
  pl.manual_seed(4)
  local y = (pl.rand(300) * 4 + 1):clamp(1, 4):to("int32")
  local x = pl.one_hot(y, 4):to("real") * 1.5 + pl.randn(300, 4)
  write_examples(path, x, y)
  for kernel, number in pairs {linear = 0, rbf = 2} do
    assert(os.execute(("svm-train -q -t %d -c 3 -g 0.2 -e 1e-5 %s %s.model && "
      .. "svm-predict %s %s.model %s.out >/dev/null"):format(number, path, path, path, path, path)))
    local m, same = svm.fit(x, y, {kernel = kernel, C = 3, gamma = 0.2, tolerance = 1e-5}), 0
    local i, ours = 0, m:predict(x)
    for line in io.lines(path .. ".out") do
      i = i + 1
      if tonumber(line) == ours[i] then same = same + 1 end
    end
    lu.assertTrue(same >= 299, ("%s: %d of 300 labels are the same"):format(kernel, same))
  end
  os.remove(path .. ".model")
  os.remove(path .. ".out")
end

function T.test_one_class_against_the_rest()
  local x, y, test_x = waves()
  for _, kernel in ipairs {"linear", "rbf"} do
    local m = svm.fit(x, y, {
      kernel = kernel, C = 2, gamma = 0.7, decision = "ovr", tolerance = 1e-6})
    local f = m:decision_function(test_x)
    eq(f:size(), {20, 3})
    eq(m:predict(test_x):totable(), f:argmax(2):totable())
    -- a column is the machine for two classes: that class, and all others
    local binary = svm.fit(x, (y:eq(2):to("real") * -1 + 2):to("int32"),
      {kernel = kernel, C = 2, gamma = 0.7, tolerance = 1e-6}):decision_function(test_x)
    for i = 1, 20 do near(binary[{i, 1}], f[{i, 2}], 1e-4) end
  end
end

-- sum of coefficient times kernel, plus bias, in plain Lua.
function T.test_decision_values()
  local x, y, test_x = waves()
  local m = svm.fit(x, y, {C = 2, gamma = 0.7})
  local f, points, weights = m:decision_function(test_x), m.points:totable(), m.weights:totable()
  for i, row in ipairs(test_x:totable()) do
    for c = 1, 3 do
      local sum = m.bias[c]
      for s, point in ipairs(points) do
        local square = 0
        for j, v in ipairs(row) do square = square + (v - point[j]) ^ 2 end
        sum = sum + weights[s][c] * math.exp(-0.7 * square)
      end
      near(f[{i, c}], sum, 1e-5)
    end
  end
end

function T.test_gamma_scale()
  local x, y = waves()
  local values = x:reshape(-1)
  local variance = (values - values:mean()):square():mean():item()
  near(svm.fit(x, y).gamma, 1 / (3 * variance), 1e-6)
  eq(svm.fit(pl.ones(4, 2), ints {1, 2, 1, 2}).gamma, 1)
end

--
-- Cross-validation
--

function T.test_search()
  pl.manual_seed(2)
  local x, y = moons(60, 0.15)
  local options = {C = {0.1, 1, 10}, gamma = {0.01, 1, "scale"}, folds = 4, seed = 7}
  local before = pl.random_state()
  local best, tried = svm.search(x, y, options)
  eq(pl.random_state(), before) -- a seed of its own
  eq(#tried, 9)
  eq({tried[2].C, tried[2].gamma}, {1, 0.01})
  for _, cell in ipairs(tried) do
    eq(#cell.scores, 4)
    local sum = 0
    for _, score in ipairs(cell.scores) do sum = sum + score end
    near(cell.mean, sum / 4, 1e-12)
    lu.assertTrue(cell.mean <= tried[1].mean or cell.gamma ~= 0.01 or cell.C > 0.1)
  end
  local top = 0
  for _, cell in ipairs(tried) do top = math.max(top, cell.mean) end
  lu.assertTrue(top > 0.95)
  lu.assertTrue(svm.fit(x, y, best):score(x, y) > 0.95)
  local again, tried_again = svm.search(x, y, options)
  eq({again, tried_again}, {best, tried})
end

function T.test_search_with_few_examples()
  local x = pl.tensor {{0}, {1}, {0.1}, {1.1}, {5}}
  local best, tried = svm.search(x, ints {1, 2, 1, 2, 3}, {C = {1, 2}, folds = 10, seed = 1})
  eq(best.C, 1)
  eq(#tried[1].scores, 5) -- one for each example
  fails("cannot be parted into folds with two classes", svm.search, x[{{1, 2}}], ints {1, 2},
    {C = 1})
end

function T.test_folds_are_stratified()
  pl.manual_seed(1)
  local labels = {}
  for i = 1, 43 do labels[i] = i <= 20 and 5 or i <= 32 and 2 or 9 end
  local parts = require("perilune.learn.folds").stratified(ints(labels), 4, 3)
  local seen = {}
  for _, part in ipairs(parts) do
    local count = {}
    for _, row in ipairs(part.test:totable()) do
      seen[row] = (seen[row] or 0) + 1
      count[labels[row]] = (count[labels[row]] or 0) + 1
    end
    eq(#part.train + #part.test, 43)
    eq({count[5], count[2]}, {5, 3})
    lu.assertTrue(count[9] == 2 or count[9] == 3)
  end
  for row = 1, 43 do eq(seen[row], 1) end
end

--
-- Transduction
--

local options <const> = {gamma = 5, features = 200, seed = 1}

function T.test_moons_with_two_labels()
  pl.manual_seed(1)
  local x, y = moons(300, 0.08)
  local known, labels = pl.tensor {{-1, 0.1}, {2, 0.4}}, ints {1, 2}
  lu.assertTrue(svm.fit(known, labels, {gamma = 5}):score(x, y) < 0.9)
  lu.assertTrue(svm.transduce(known, labels, x, options):score(x, y) > 0.97)
end

function T.test_stripes_with_a_label_each()
  pl.manual_seed(1)
  local x, y, known, labels = stripes(4, 120)
  lu.assertTrue(svm.fit(known, labels, {gamma = 0.5}):score(x, y) < 0.8)
  local m = svm.transduce(known, labels, x, {gamma = 0.5, features = 200, seed = 1})
  lu.assertTrue(m:score(x, y) > 0.97)
end

-- Classes of unequal size: told, or read off the labels.
function T.test_balance()
  pl.manual_seed(3)
  local y = (pl.rand(400):gt(0.8):to("real") + 1):to("int32")
  local x = pl.randn(400, 2) * 0.5 + y:to("real"):reshape(-1, 1) * 2
  local known, labels = pl.tensor {{2, 2}, {4, 4}}, ints {1, 2}
  local told = svm.transduce(known, labels, x, {
    gamma = 0.5, features = 100, seed = 1, balance = {0.8, 0.2}})
  lu.assertTrue(told:score(x, y) > 0.97)
  local free = svm.transduce(known, labels, x, {
    gamma = 0.5, features = 100, seed = 1, balance = false})
  lu.assertTrue(free:score(x, y) > 0.9)
end

function T.test_no_unlabelled_examples()
  local x, y, test_x = waves()
  local m = svm.transduce(x, y, pl.zeros(0, 3), {gamma = 0.7, features = 100, seed = 1})
  lu.assertTrue(m:score(x, y) > 0.8)
  eq(#m:predict(test_x), 20)
end

function T.test_few_and_repeated_examples()
  local x, y = pl.tensor {{0, 1}, {2, 3}}, ints {3, 1}
  for _, m in ipairs {0, 1, 2, 7} do
    local model = svm.transduce(x, y, pl.ones(m, 2) * 2, {features = 10, seed = 1})
    eq(model:predict(x):totable(), {3, 1})
  end
  local twice = pl.cat({x, x, x}, 1)
  local m = svm.fit(twice, pl.cat({y, y, y}, 1), {C = 10})
  eq(m:predict(x):totable(), {3, 1}) -- label 2 is known to nobody
  eq(m.classes:totable(), {1, 3})
  local constant = pl.cat({twice, pl.ones(6, 3)}, 2)
  eq(svm.fit(constant, pl.cat({y, y, y}, 1)):predict(constant):totable(), {3, 1, 3, 1, 3, 1})
  eq(svm.transduce(constant, pl.cat({y, y, y}, 1), constant, {features = 20, seed = 1})
     :predict(constant):totable(), {3, 1, 3, 1, 3, 1})
end

function T.test_same_bits()
  pl.manual_seed(5)
  local x = moons(100, 0.1)
  local known, labels = pl.tensor {{-1, 0.1}, {2, 0.4}}, ints {1, 2}
  local function run(seed)
    local m = svm.transduce(known, labels, x, {gamma = 5, features = 100, seed = seed})
    return m:decision_function(x):totable()
  end
  local threads = core.threads()
  local first = run(1)
  eq(run(1), first)
  lu.assertNotEquals(run(2), first)
  core.threads(threads == 1 and 2 or 1)
  eq(run(1), first)
  core.threads(threads)
  pl.manual_seed(9)
  local drawn = run(nil)
  lu.assertNotEquals(run(nil), drawn)
  pl.manual_seed(9)
  eq(run(nil), drawn)
end

function T.test_progress()
  pl.manual_seed(1)
  local x = moons(50, 0.1)
  local known, labels, seen = pl.tensor {{-1, 0.1}, {2, 0.4}}, ints {1, 2}, {}
  svm.transduce(known, labels, x, {features = 50, seed = 1, on_progress = function(facts)
    seen[#seen + 1] = facts
  end})
  eq(#seen, seen[1].turns)
  for i, facts in ipairs(seen) do
    eq(facts.turn, i)
    lu.assertTrue(facts.objective > 0 and facts.seconds >= 0)
    lu.assertTrue(facts.changed >= 0 and facts.changed <= 1)
  end
  local calls = 0
  local model, message = svm.transduce(known, labels, x, {
    features = 50, seed = 1, on_progress = function() calls = calls + 1 return calls < 2 end})
  eq({model, calls}, {nil, 2})
  lu.assertStrContains(message, "stopped")
  fails("own error", svm.transduce, known, labels, x, {features = 50, on_progress = function()
    error("own error", 0)
  end})
end

--
-- Files
--

local function same_model(a, b, x)
  eq(a:decision_function(x):totable(), b:decision_function(x):totable())
  eq(a:predict(x):totable(), b:predict(x):totable())
  eq(tostring(a), tostring(b))
end

function T.test_save_and_load()
  local x, y, test_x = waves()
  for _, m in ipairs {
    svm.fit(x, y), svm.fit(x, y, {kernel = "linear"}), svm.fit(x, y, {decision = "ovr"}),
    svm.transduce(x, y, test_x, {features = 50, seed = 1}),
  } do
    assert(m:save(path))
    same_model(m, assert(svm.load(path)), test_x)
  end
end

local function read_bytes()
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

function T.test_damaged_files()
  local x, y = waves()
  local m = svm.fit(x, y)
  assert(m:save(path))
  local bytes = read_bytes()
  for _, n in ipairs {0, 7, 8, 100, #bytes // 2, #bytes - 1} do
    assert(core.write_file(path, bytes:sub(1, n)))
    local loaded, message = svm.load(path)
    eq(loaded, nil)
    lu.assertStrContains(message, path)
  end
  for change, text in pairs {
    [{format = "other"}] = "holds no support vector machine",
    [{kernel = "cubic"}] = "kernel or decision",
    [{gamma = -1}] = "gamma",
    [{weights = pl.zeros(3, 3)}] = "do not fit",
    [{bias = pl.zeros(2)}] = "do not fit",
    [{points = pl.zeros(3)}] = "tensors are missing",
    [{classes = ints {3, 2, 1}}] = "not in order",
    [{bias = pl.full({3}, 0 / 0)}] = "not finite",
  } do
    assert(core.write_file(path, bytes))
    local fields = assert(pl.load(path))
    for name, value in pairs(change) do fields[name] = value end
    assert(pl.save(path, fields))
    local loaded, message = svm.load(path)
    eq(loaded, nil)
    lu.assertStrContains(message, text)
  end
  local loaded, message = svm.load(path .. ".none")
  eq(loaded, nil)
  lu.assertStrContains(message, "No such file")
end

--
-- What is refused
--

function T.test_examples_are_checked()
  local x, y = waves()
  local bad = x:clone()
  bad[{7, 2}] = 0 / 0
  local worse = x:clone()
  worse[{40, 3}] = -1 / 0
  for text, arguments in pairs {
    ["fit: row 7, column 2 is nan; finite numbers expected"] = {bad, y},
    ["fit: row 40, column 3 is infinite"] = {worse, y},
    ["fit: examples are real[40]; real [n,d] expected"] = {x:select(2, 1), y},
    ["fit: examples are int32[40,3]; real [n,d] expected"] = {x:to("int32"), y},
    ["at least one row and one column"] = {pl.zeros(0, 3), ints {}},
    ["fit: 39 labels for 40 examples"] = {x, y[{{1, 39}}]},
    ["fit: labels are real[40]; int32 [n] expected"] = {x, y:to("real")},
    ["fit: label 2 is 0; 1 to 100000 expected"] = {x[{{1, 2}}], ints {1, 0}},
    ["fit: label 1 is -3"] = {x[{{1, 2}}], ints {-3, 1}},
    ["all 2 labels are equal; two classes expected"] = {x[{{1, 2}}], ints {4, 4}},
    ["all 1 labels are equal"] = {x[{{1, 1}}], ints {1}},
    ["fit: examples: tensor expected, got table"] = {{}, y},
    ["fit: labels: tensor expected, got nil"] = {x, nil},
  } do
    fails(text, svm.fit, arguments[1], arguments[2])
  end
end

function T.test_options_are_checked()
  local x, y = waves()
  for text, given in pairs {
    ["fit: kernel: 'rbf' or 'linear' expected, got poly"] = {kernel = "poly"},
    ["fit: decision: 'ovo' or 'ovr' expected"] = {decision = "all"},
    ["fit: C: positive number expected, got 0"] = {C = 0},
    ["fit: C: positive number expected, got x"] = {C = "x"},
    ["fit: gamma: positive number expected, got -1"] = {gamma = -1},
    ["fit: gamma: positive number or 'scale' expected, got 'auto'"] = {gamma = "auto"},
    ["fit: gamma: positive number expected, got inf"] = {gamma = 1 / 0},
    ["fit: unknown option 'cost'; known: C,"] = {cost = 1},
  } do
    fails(text, svm.fit, x, y, given)
  end
  for text, given in pairs {
    ["search: option 'C' is missing"] = {},
    ["search: C: the list is empty"] = {C = {}},
    ["search: folds: at least 2 expected"] = {C = 1, folds = 1},
    ["search: seed: integer of at least 0 expected"] = {C = 1, seed = -1},
    ["search: C: positive number expected, got -1"] = {C = {1, -1}},
  } do
    fails(text, svm.search, x, y, given)
  end
  for text, given in pairs {
    ["transduce: features: even number expected, got 3"] = {features = 3},
    ["transduce: features: positive integer expected"] = {features = 0},
    ["transduce: unlabelled_cost: positive number expected"] = {unlabelled_cost = 0},
    ["transduce: balance: 2 numbers for 3 classes"] = {balance = {1, 2}},
    ["transduce: balance: true, false or a list"] = {balance = 5},
    ["transduce: on_progress: function expected"] = {on_progress = 5},
  } do
    fails(text, svm.transduce, x, y, x, given)
  end
end

function T.test_unlabelled_and_new_examples_are_checked()
  local x, y = waves()
  local bad = x:clone()
  bad[{1, 3}] = 1 / 0
  fails("transduce: unlabelled examples: row 1, column 3 is infinite", svm.transduce, x, y, bad,
    {features = 20})
  fails("transduce: unlabelled examples are real[40,2]; real [m,3] expected", svm.transduce, x, y,
    x[{{}, {1, 2}}])
  fails("transduce: unlabelled examples: tensor expected, got nil", svm.transduce, x, y)
  fails("two classes expected", svm.transduce, x, pl.ones(40):to("int32"), x)
  for _, m in ipairs {svm.fit(x, y), svm.fit(x, y, {kernel = "linear"}),
                      svm.transduce(x, y, x, {features = 20, seed = 1})} do
    fails("examples are real[40,2]; [n,3] expected, as for training", m.predict, m, x[{{}, {1, 2}}])
    fails("row 1, column 3 is infinite", m.predict, m, bad)
    fails("decision_function: examples: tensor expected, got number", m.decision_function, m, 5)
    fails("score: int32 [40] expected for the labels", m.score, m, x, y[{{1, 3}}])
  end
end

function T.test_neighbours_of_values_whose_squares_overflow()
  if pl.real == "double" then return end
  lu.assertErrorMsgContains("squares of the values of x are no float numbers", svm.neighbours,
    pl.tensor {{1e25, 0}, {-1e25, 3}, {2e25, 1}, {5, 5}}, 2)
end

function T.test_a_graph_that_is_known()
  pl.manual_seed(3)
  local x, labels = pl.randn(80, 4), (pl.rand(12) * 3 + 1):to "int32"
  local known, others = x:slice(1, 1, 12):contiguous(), x:slice(1, 13, 68):contiguous()
  local graph = svm.neighbours(x, 10)
  lu.assertEquals(graph.near:size(), {80, 10})
  local own = {features = 30, seed = 1}
  local found = svm.transduce(known, labels, others, own)
  own.graph = graph
  local given = svm.transduce(known, labels, others, own)
  lu.assertEquals((found:decision_function(x) - given:decision_function(x)):abs():amax():item(), 0)
  local few = others:slice(1, 1, 60):contiguous()
  lu.assertErrorMsgContains("graph has near [80,10] and distances [80,10]; 72 rows expected",
    svm.transduce, known, labels, few, own)
  own.graph = {}
  lu.assertErrorMsgContains("graph: near and distances, two tensors, expected", svm.transduce,
    known, labels, others, own)
  own.graph = 3
  lu.assertErrorMsgContains("graph: what svm.neighbours gives expected, got number", svm.transduce,
    known, labels, others, own)
end

return T
