--- Sets of tensors and sources: their rows, parts, and batches with samplers.

local lu = require "luaunit"
local pl = require "perilune"

local T = {}
local data = pl.data
local eq, near, fails = lu.assertEquals, lu.assertAlmostEquals, lu.assertErrorMsgContains
local state

function T.setUp()
  state = pl.random_state()
end

function T.tearDown()
  pl.set_random_state(state)
end

local function ints(list)
  return pl.tensor(list, "int32")
end

--
-- Sources
--

-- A source of a script: the squares of some numbers, made when they are asked for.
local Squares = {__rows = true}
Squares.__index = Squares

local function squares(numbers)
  return setmetatable({numbers = numbers, made = 0}, Squares)
end

function Squares:__len() return #self.numbers end

function Squares:describe() return ("squares[%d]"):format(#self.numbers) end

function Squares:index_select(rows)
  local chosen = {}
  for i, row in ipairs(rows:totable()) do chosen[i] = self.numbers[row] end
  return squares(chosen)
end

function Squares:batch(rows)
  local values = self:index_select(rows).numbers
  for i, value in ipairs(values) do values[i] = value * value end
  self.made = self.made + #values
  return ints(values)
end

local function counting(n)
  local numbers = {}
  for i = 1, n do numbers[i] = i end
  return {squares(numbers), pl.arange(1, n, "int32")}
end

function T.test_a_source_takes_the_place_of_a_tensor()
  local set = counting(5)
  eq(data.count(set), 5)
  local seen = {}
  for x, y in data.batches(set, {batch_size = 2}) do
    eq(x:totable(), (y * y):totable())
    for _, row in ipairs(y:totable()) do seen[row] = true end
  end
  eq(#seen, 5)
  eq(set[1].made, 5)
end

function T.test_parts_of_a_source_are_sources()
  local set = counting(10)
  local train, test = data.split(set, 0.8, {seed = 1})
  eq({data.count(train), data.count(test)}, {8, 2})
  eq(train[1].numbers, train[2]:totable())
  eq(data.take(set, 3)[1].numbers, {1, 2, 3})
  eq(data.subset(set, {7, 7})[1].numbers, {7, 7})
  for others, own in data.folds(set, 5) do eq({#others[1], #own[1]}, {8, 2}) end
  eq(set[1].made, 0)
end

function T.test_sources_by_name()
  local set = {x = squares {3, 4}, y = ints {1, 2}, classes = {"a", "b"}}
  for batch in data.batches(set, {shuffle = false}) do
    eq(batch.x:totable(), {9, 16})
    eq(batch.y:totable(), {1, 2})
  end
end

function T.test_sources_that_do_not_fit()
  fails("entry '2' of the set is squares[3], but '1' is int32[2]; equal first sizes expected",
    data.batches, {ints {1, 2}, squares {1, 2, 3}})
  fails("batches: set of tensors expected, got squares[1]; {x} is a set with x alone",
    data.batches, squares {1})
  fails("split: stratify: '1' is squares[2]; labels, int32 or uint8 [n], expected",
    data.split, {squares {1, 2}}, 1, {stratify = 1})
end

--
-- Parts
--

-- Rows that say their number, labels, and groups.
local function grouped(groups, labels)
  return {
    x = pl.arange(1, #groups, "int32"), group = ints(groups),
    label = ints(labels or groups), classes = {"a", "b", "c"},
  }
end

local function rows_of(set) return set.x:totable() end

local function sorted(list)
  table.sort(list)
  return list
end

-- The groups of a part, each once.
local function groups_in(set)
  local list, seen = {}, {}
  for _, g in ipairs(set.group:totable()) do
    if not seen[g] then list[#list + 1] = g end
    seen[g] = true
  end
  return sorted(list)
end

local function all_rows(...)
  local all = {}
  for _, set in ipairs {...} do table.move(rows_of(set), 1, #set.x, #all + 1, all) end
  return sorted(all)
end

function T.test_split_by_shares()
  local set = grouped {1, 1, 1, 1, 1, 2, 2, 2, 2, 2}
  local a, b, c = data.split(set, {0.5, 0.3, 0.2})
  eq({rows_of(a), rows_of(b), rows_of(c)}, {{1, 2, 3, 4, 5}, {6, 7, 8}, {9, 10}})
  a, b, c = data.split(set, {5, 3, 2}, {seed = 3})
  eq({#a.x, #b.x, #c.x, all_rows(a, b, c)}, {5, 3, 2, rows_of(set)})
  lu.assertNotEquals(rows_of(a), {1, 2, 3, 4, 5})
  eq(rows_of((data.split(set, {5, 3, 2}, {seed = 3}))), rows_of(a))
  eq(select("#", data.split(set, {1, 2, 3, 4})), 4)
end

function T.test_two_shares_are_a_share_and_the_rest()
  local set = grouped {1, 1, 1, 2, 2, 2, 2, 3, 3}
  for _, options in ipairs {{}, {seed = 1}, {seed = 1, stratify = "label"}} do
    local a, b = data.split(set, 0.6, options)
    local c, d = data.split(set, {0.6, 0.4}, options)
    eq({rows_of(c), rows_of(d)}, {rows_of(a), rows_of(b)})
  end
end

function T.test_stratified_shares()
  local labels = {}
  for i = 1, 100 do labels[i] = i <= 60 and 1 or i <= 90 and 2 or 3 end
  local set, counts = grouped(labels), {}
  for i, part in ipairs {data.split(set, {0.6, 0.2, 0.2}, {seed = 2, stratify = "label"})} do
    counts[i] = {0, 0, 0}
    for _, label in ipairs(part.label:totable()) do counts[i][label] = counts[i][label] + 1 end
  end
  eq(counts, {{36, 18, 6}, {12, 6, 2}, {12, 6, 2}})
end

-- The middle part's share is so small that rounding both its borders by themselves would take rows
-- back.
function T.test_small_shares_lose_nothing()
  local labels = {}
  for i = 1, 40 do labels[i] = i end
  local set = grouped(labels)
  local a, b, c = data.split(set, {0.5, 0.05, 0.45}, {seed = 1, stratify = "label"})
  eq({#a.x, #b.x, #c.x, all_rows(a, b, c)}, {20, 2, 18, rows_of(set)})
end

function T.test_split_refuses_shares()
  local set = grouped {1, 1, 2, 2}
  for text, shares in pairs {
    ["split: shares 0.5, 0.4 of 4 rows; fractions whose sum is 1, or numbers whose sum is 4"] =
      {0.5, 0.4},
    ["split: shares 4 of 4 rows"] = {4},
    ["split: shares 0.9, 0.1 of 4 rows: part 2 would have 0"] = {0.9, 0.1},
    ["split: shares 5, -1 of 4 rows: part 2 would have -1"] = {5, -1},
    ["split: shares 1.5, 2.5 of 4 rows: part 1 would have 1.5"] = {1.5, 2.5},
    ["split: shares has a string among it"] = {"1", 3},
  } do
    fails(text, data.split, set, shares)
  end
end

function T.test_split_keeps_groups_together()
  local set = grouped {7, 7, 3, 3, 3, 5, 7, 9, 9, 1}
  local a, b = data.split(set, 2, {group = "group"})
  eq({rows_of(a), rows_of(b)}, {{1, 2, 3, 4, 5, 7}, {6, 8, 9, 10}})
  for seed = 1, 5 do
    local c, d, e = data.split(set, {0.6, 0.2, 0.2}, {group = "group", seed = seed})
    eq({#groups_in(c), #groups_in(d), #groups_in(e)}, {3, 1, 1})
    eq(all_rows(c, d, e), rows_of(set))
    local of = {}
    for i, part in ipairs {c, d, e} do
      for _, g in ipairs(groups_in(part)) do
        eq(of[g], nil)
        of[g] = i
      end
    end
  end
  fails("split: 5 of 5 groups; 1 to 4, or a fraction, expected", data.split, set, 5,
    {group = "group"})
  fails("split: group: the set has no entry 'patient'", data.split, set, 2, {group = "patient"})
  fails("split: stratify and group exclude each other; data.folds takes both", data.split, set, 2,
    {group = "group", stratify = "label"})
end

function T.test_folds_keep_groups_together()
  local set = grouped {7, 7, 3, 3, 3, 5, 7, 9, 9, 1}
  local seen, sizes = {}, {}
  for others, own in data.folds(set, 3, {group = "group"}) do
    eq(all_rows(others, own), rows_of(set))
    for _, g in ipairs(groups_in(own)) do
      lu.assertNotTableContains(groups_in(others), g)
      eq(seen[g], nil)
      seen[g] = true
    end
    sizes[#sizes + 1] = #own.x
  end
  eq(sizes, {4, 3, 3})
  fails("folds: 6 folds of 5 groups; 2 to 5 expected", data.folds, set, 6, {group = "group"})
end

-- scikit-learn's example of StratifiedGroupKFold, whose folds have these classes.
function T.test_folds_of_groups_with_classes()
  local labels = {1, 1, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1}
  local set = grouped({1, 1, 2, 2, 3, 3, 3, 4, 5, 5, 5, 5, 6, 6, 7, 8, 8}, labels)
  local groups = {}
  for _, own in data.folds(set, 3, {group = "group", stratify = "label"}) do
    groups[#groups + 1] = groups_in(own)
  end
  eq(#groups, 3)
  local counts = {}
  for i, own in ipairs(groups) do
    counts[i] = {0, 0}
    for _, g in ipairs(own) do
      for row, h in ipairs(set.group:totable()) do
        if g == h then counts[i][labels[row]] = counts[i][labels[row]] + 1 end
      end
    end
  end
  table.sort(counts, function(a, b) return a[1] * 100 + a[2] < b[1] * 100 + b[2] end)
  eq(counts, {{3, 3}, {4, 1}, {4, 2}})
end

--
-- Sets made of sets
--

function T.test_concat()
  local a = {x = ints {1, 2}, y = pl.ones(2, 3), classes = {"a"}, name = "one", size = 3}
  local b = {x = ints {3}, y = pl.zeros(1, 3), classes = {"a"}, name = "two", size = 3}
  local set = data.concat(a, b, a)
  eq({set.x:totable(), set.y:size(), set.classes, set.name, set.size},
    {{1, 2, 3, 1, 2}, {5, 3}, {"a"}, nil, 3})
  eq(data.concat({ints {1}}, {ints {2}})[1]:totable(), {1, 2})
  fails("concat: at least one set expected", data.concat)
  fails("concat: set 2 has other classes than set 1", data.concat, a,
    {x = a.x, y = a.y, classes = {"b"}})
  fails("concat: set 2 has the entries x, but set 1 has x, y", data.concat, a,
    {x = a.x, classes = {"a"}})
  fails("concat: entry 'y' of set 2 is real[2,4], but that of set 1 is real[2,3]", data.concat, a,
    {x = a.x, y = pl.ones(2, 4), classes = {"a"}})
  fails("concat: entry '1' of set 2 is real[1], but that of set 1 is int32[1]", data.concat,
    {ints {1}}, {pl.ones(1)})
  fails("concat: squares[1] cannot be joined", data.concat, {squares {1}}, {squares {2}})
  fails("concat: set of tensors expected, got string", data.concat, "a")
end

function T.test_map()
  local x = pl.arange(1, 10)
  local set = data.map({x, x:to "int32"}, function(a, b)
    lu.assertTrue(#a <= 4)
    return a * 2, b, a:unsqueeze(2):expand(#a, 3)
  end, {batch_size = 4})
  eq({set[1]:totable(), set[2]:totable(), set[3]:size()},
    {(x * 2):totable(), x:to("int32"):totable(), {10, 3}})
  local named = data.map({images = pl.ones({3, 2, 2}, "uint8"), labels = ints {1, 2, 1}, name = "n"},
    function(part)
      eq(part.images:dtype(), "uint8")
      return {images = part.images:to "real" * 2, labels = part.labels, name = part.name}
    end, {batch_size = 2})
  eq({named.images:size(), named.labels:totable(), named.name}, {{3, 2, 2}, {1, 2, 1}, "n"})
  eq(data.map({squares {3, 4}}, function(a) return a end)[1]:totable(), {9, 16})
end

function T.test_map_records_nothing_and_keeps_nothing()
  local w = pl.ones(2):requires_grad_()
  local before = pl.memory().tensors
  local set = data.map({pl.ones(6, 2)}, function(a) return (a * w):sum(2) end, {batch_size = 2})
  collectgarbage()
  eq(set[1].requires_grad, false)
  eq(pl.memory().tensors - before, 1)
end

function T.test_map_refuses()
  local set = {pl.arange(1, 10)}
  fails("map: the function made 1 rows of 10", data.map, set, function() return pl.ones(1) end)
  fails("map: the function gave nothing; as many rows as it got expected", data.map, set, function() end)
  fails("map: function expected, got number", data.map, set, 3)
  fails("map: batch_size: positive integer expected, got 0", data.map, set, print, {batch_size = 0})
  fails("map: what the function gave: entry 1 of the set is a number; tensor expected", data.map,
    set, function() return 1 end)
  fails("map: entry '1' of set 2 is real[5,2], but that of set 1 is real[5,1]", data.map, set,
    function(x) return x:unsqueeze(2):expand(5, x[1] > 1 and 2 or 1) end, {batch_size = 5})
end

function T.test_balance()
  local set = grouped({1, 2, 3, 4, 5, 6, 7, 8}, {1, 1, 1, 1, 1, 2, 2, 3})
  for how, count in pairs {over = 5, under = 1} do
    local even = data.balance(set, "label", {seed = 2, how = how})
    local counts = {0, 0, 0}
    for _, label in ipairs(even.label:totable()) do counts[label] = counts[label] + 1 end
    eq(counts, {count, count, count})
    eq(rows_of(data.balance(set, "label", {seed = 2, how = how})), rows_of(even))
    eq(sorted(rows_of(even)), rows_of(even))
  end
  local times = {}
  for _, row in ipairs(rows_of(data.balance(set, "label", {seed = 1}))) do
    times[row] = (times[row] or 0) + 1
  end
  eq({times[1], times[8], sorted {times[6], times[7]}}, {1, 5, {2, 3}})
  local before = pl.random_state()
  data.balance(set, "label", {seed = 1})
  eq(pl.random_state(), before)
  fails("balance: how: 'over' or 'under' expected, got both", data.balance, set, "label",
    {how = "both"})
  fails("balance: key: the set has no entry 'y'", data.balance, set, "y")
end

--
-- Which rows come
--

local function collect(set, options)
  local list = {}
  for x in data.batches(set, options) do list[#list + 1] = x:totable() end
  return list
end

local function flat(list)
  local all = {}
  for _, batch in ipairs(list) do table.move(batch, 1, #batch, #all + 1, all) end
  return all
end

local function ten() return {pl.arange(1, 10, "int32")} end

function T.test_samplers()
  local expected = {{10, 9, 8}, {7, 7}}
  local rows = {10, 9, 8, 7, 7}
  for _, sampler in ipairs {
    function() return rows end,
    function() return ints(rows) end,
    function()
      local i = 0
      return function()
        i = i + 1
        return rows[i]
      end
    end,
    setmetatable({}, {__call = function(_, n, size, pass)
      eq({n, size, pass}, {10, 3, 1})
      return rows
    end}),
  } do
    eq(collect(ten(), {batch_size = 3, sampler = sampler}), expected)
    eq(collect(ten(), {batch_size = 3, sampler = sampler, skip = 1}), {expected[2]})
    eq(collect(ten(), {batch_size = 3, sampler = sampler, drop_last = true}), {expected[1]})
  end
  local random = function(n) return pl.randperm(n):slice(1, 1, 4) end
  eq(collect(ten(), {sampler = random, seed = 3}), collect(ten(), {sampler = random, seed = 3}))
end

function T.test_weights()
  local weights = {1, 0, 0, 3, 0, 0, 0, 0, 0, 0}
  local counts = {}
  for _, row in ipairs(flat(collect(ten(), {weights = weights, num_samples = 4000, seed = 1}))) do
    counts[row] = (counts[row] or 0) + 1
  end
  near(counts[1], 1000, 100)
  eq(counts[1] + counts[4], 4000)
  eq(#flat(collect(ten(), {weights = pl.tensor(weights)})), 10)
  eq(data.batch_count(ten(), {weights = weights, num_samples = 100, batch_size = 30}), 4)
  eq(data.batch_count(ten(), {weights = weights, batch_size = 3, drop_last = true}), 3)
end

function T.test_samplers_and_weights_refuse()
  local set, function_ = ten(), function() return {} end
  fails("batches: sampler gave no rows", data.batches, set, {sampler = function_})
  fails("batches: sampler gave row 11 of 10", data.batches, set,
    {sampler = function() return {1, 11} end})
  fails("batches: sampler gave nil; a list or int32 tensor [n] of rows, or an iterator over them",
    data.batches, set, {sampler = function() end})
  fails("batches: sampler gave real[2]", data.batches, set, {sampler = function()
    return pl.ones(2)
  end})
  fails("batches: sampler: function expected, got table", data.batches, set, {sampler = {1, 2}})
  fails("batches: sampler and weights exclude each other", data.batches, set,
    {sampler = function_, weights = pl.ones(10)})
  fails("batches: shuffle = false and weights exclude each other", data.batches, set,
    {shuffle = false, weights = pl.ones(10)})
  fails("batches: order and sampler exclude each other", data.batches, set,
    {order = ints {1}, sampler = function_})
  fails("batches: num_samples says how many rows weights draw; there are no weights", data.batches,
    set, {num_samples = 3})
  fails("batches: weights: real tensor [10] expected, got real[9]", data.batches, set,
    {weights = pl.ones(9)})
  fails("batches: weights: real tensor [10] expected, got number", data.batches, set, {weights = 1})
  fails("batches: weights: weight 2 is -1, expected 0 or more", data.batches, set,
    {weights = {1, -1, 1, 1, 1, 1, 1, 1, 1, 1}})
  fails("batch_count: how many rows a sampler gives is not known before it is asked",
    data.batch_count, set, {sampler = function_})
  fails("cycle: batch_size is 4, but num_samples is 3 rows", data.cycle, set,
    {batch_size = 4, weights = pl.ones(10), num_samples = 3})
  local cycle = data.cycle(set, {batch_size = 4, sampler = function() return {1, 2} end})
  fails("cycle: batch_size is 4, but the sampler gave 2 rows", cycle.next, cycle)
end

function T.test_collate()
  local set = {words = data.ragged({{1, 2}, {3}}, {dtype = "int32"}), y = ints {5, 6}}
  local batch = data.batches(set, {shuffle = false, collate = function(samples)
    eq({#samples, samples[1].words:totable(), samples[2].words:totable()}, {2, {1, 2}, {3}})
    return samples[1].y + samples[2].y, "more"
  end})
  eq({batch()}, {11, "more"})
  local images = {images = pl.ones({3, 2, 2}, "uint8"), labels = ints {1, 2, 3}}
  for x in data.batches(images, {collate = function(samples) return samples[1].images end,
                                 transform = function(x) return x + 1 end}) do
    eq(x:totable(), {{2, 2}, {2, 2}})
  end
  eq(images.images:sum():item(), 12)
  fails("batches: collate gave nothing; a batch expected",
    data.batches(ten(), {collate = function() end}))
  fails("batches: collate gets the pixels as they are, without mean", data.batches, images,
    {collate = print, mean = 1})
end

function T.test_cycles_with_samplers_go_on_where_they_were()
  local function by_pass(n, size, pass)
    return pl.cat({pl.randperm(n), ints {pass, size}}, 1)
  end
  for _, options in ipairs {
    {weights = pl.arange(1, 10), num_samples = 7}, {weights = pl.arange(1, 10)},
    {sampler = by_pass}, {sampler = data.bucket(pl.arange(1, 10, "int32"))},
  } do
    options.batch_size = 3
    for _, before in ipairs {0, 1, 2, 3, 4, 7} do
      local cycle, other = data.cycle(ten(), options), data.cycle(ten(), options)
      for _ = 1, before do cycle:next() end
      local saved, random = cycle:state_dict(), pl.random_state()
      local expected, got = {}, {}
      for i = 1, 8 do expected[i] = cycle:next():totable() end
      pl.manual_seed(99)
      other:load_state_dict(saved)
      pl.set_random_state(random)
      for i = 1, 8 do got[i] = other:next():totable() end
      eq(got, expected)
    end
  end
  local cycle = data.cycle(ten(), {batch_size = 3, weights = pl.ones(10)})
  fails("load_state_dict: order is no order of 10 rows", cycle.load_state_dict, cycle,
    {pass = 1, place = 1, order = ints {1, 2, 11}})
  fails("load_state_dict: place is 4 of 3 batches", cycle.load_state_dict, cycle,
    {pass = 1, place = 4, order = ints {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}})
end

--
-- Rows of different lengths
--

local function sentences(options)
  return data.ragged({{1, 2, 3}, {}, {4}, {5, 6, 7, 8}, {9, 10}}, options or {dtype = "int32"})
end

function T.test_ragged_batches()
  local rows = sentences {dtype = "int32", padding_value = -1}
  eq({#rows, rows:describe(), data.describe(rows), rows.lengths:totable(), rows.values:totable()},
    {5, "ragged int32[5,*]", "ragged int32[5,*]", {3, 0, 1, 4, 2}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}})
  local seen = {}
  for x, lengths, y in data.batches({rows, pl.arange(1, 5, "int32")},
                                    {batch_size = 3, shuffle = false}) do
    seen[#seen + 1] = {x:totable(), lengths:totable(), y:totable()}
  end
  eq(seen, {
    {{{1, 2, 3}, {-1, -1, -1}, {4, -1, -1}}, {3, 0, 1}, {1, 2, 3}},
    {{{5, 6, 7, 8}, {9, 10, -1, -1}}, {4, 2}, {4, 5}},
  })
  for batch in data.batches({words = sentences {pad_to_multiple = 8}}, {shuffle = false}) do
    eq({batch.words:size(), batch.words:dtype(), batch.words_lengths:totable()},
      {{5, 8}, "real", {3, 0, 1, 4, 2}})
  end
end

function T.test_ragged_rows_of_vectors()
  local rows = data.ragged({pl.ones(2, 3), pl.ones(1, 3) * 2})
  eq(rows:describe(), "ragged real[2,*,3]")
  for x, lengths in data.batches({rows}, {shuffle = false}) do
    eq({x:size(), lengths:totable(), x[2]:totable()},
      {{2, 2, 3}, {2, 1}, {{2, 2, 2}, {0, 0, 0}}})
  end
  local from_values = data.ragged(pl.arange(1, 4), {lengths = {1, 3}})
  eq(from_values:index_select(ints {2}).values:totable(), {2, 3, 4})
end

function T.test_parts_of_ragged_rows()
  local set = {sentences(), pl.arange(1, 5, "int32")}
  eq(data.subset(set, {4, 2, 4})[1].values:totable(), {5, 6, 7, 8, 5, 6, 7, 8})
  eq({#data.take(set, 0)[1], #data.take(set, 2)[1]}, {0, 2})
  local a, b = data.split(set, 0.4, {seed = 1})
  eq({#a[1], #b[1]}, {2, 3})
  local whole = data.concat(data.take(set, 2), data.subset(set, {3, 4, 5}))
  eq({whole[1].values:totable(), whole[1].lengths:totable()},
    {set[1].values:totable(), set[1].lengths:totable()})
  fails("concat: entry '1' of set 2 is ragged real[1,*], but that of set 1 is ragged int32[5,*]",
    data.concat, {sentences()}, {data.ragged {{1}}})
  local same = data.map({sentences()}, function(x, lengths)
    local rows = {}
    for i, n in ipairs(lengths:totable()) do rows[i] = x[i]:slice(1, 1, n) end
    return data.ragged(rows)
  end, {batch_size = 2})
  eq(same[1].values:totable(), set[1].values:totable())
end

function T.test_ragged_refuses()
  for text, arguments in pairs {
    ["ragged: row 2 is int32[*], but row 1 is real[*]"] = {{pl.ones(1), ints {1}}},
    ["ragged: row 2 is real[*,2], but row 1 is real[*,3]"] = {{pl.ones(1, 3), pl.ones(1, 2)}},
    ["ragged: row 1: tensor [length, ...] or list of numbers expected, got real[]"] =
      {{pl.tensor(1)}},
    ["ragged: row 2: tensor [length, ...] or list of numbers expected, got number"] = {{{1}, 2}},
    ["ragged: at least one row expected"] = {{}},
    ["ragged: list of rows, or tensor and lengths, expected, got tensor"] = {pl.ones(2)},
    ["ragged: list of rows, or tensor and lengths, expected, got nil"] = {},
    ["ragged: lengths from 0 whose sum is 4, the size of real[4], expected; their sum is 3"] =
      {pl.ones(4), {lengths = {1, 2}}},
    ["ragged: lengths: int32 tensor [n] expected, got number"] = {pl.ones(4), {lengths = 4}},
    ["ragged: pad_to_multiple: positive integer expected, got 0"] = {{{1}}, {pad_to_multiple = 0}},
    ["ragged: padding_value: number expected, got a"] = {{{1}}, {padding_value = "a"}},
  } do
    fails(text, data.ragged, table.unpack(arguments, 1, 2))
  end
  fails("ragged: padding_value: ", data.ragged, {{1}}, {dtype = "int32", padding_value = 0.5})
  fails("methods are called with a colon: rows:describe(...)", sentences().describe)
end

function T.test_buckets()
  pl.manual_seed(5)
  local lengths = pl.randint(1, 50, 103)
  local list, spread, n = lengths:totable(), 0, 0
  local set = {pl.arange(1, 103, "int32")}
  local seen, firsts = {}, {}
  for rows in data.batches(set, {batch_size = 10, sampler = data.bucket(lengths, {pool = 5})}) do
    local least, most = math.huge, 0
    for _, row in ipairs(rows:totable()) do
      seen[#seen + 1] = row
      least, most = math.min(least, list[row]), math.max(most, list[row])
    end
    if #rows == 10 then spread, n = spread + most - least, n + 1 end
    firsts[#firsts + 1] = #rows
  end
  eq({sorted(seen), firsts}, {set[1]:totable(), {10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 3}})
  lu.assertTrue(spread / n < 15, spread / n)
  local function order() return collect(set, {batch_size = 10, sampler = data.bucket(list)}) end
  lu.assertNotEquals(order(), order())
  fails("bucket: the set has 10 rows, the lengths are those of 103", data.batches, ten(),
    {sampler = data.bucket(lengths)})
  fails("bucket: ragged rows, or lengths [n], expected, got x", data.bucket, "x")
  fails("bucket: pool: positive integer expected, got 0", data.bucket, lengths, {pool = 0})
end

return T
