--- Data sets: IDX files, batches, parts of a set, the drawn stand-in, and Fashion-MNIST itself
-- if $PERILUNE_DATA says where it is.

local lu = require "luaunit"
local pl = require "perilune"
local core = require "perilune.core"

local T = {}
local data = pl.data
local eq, near, fails = lu.assertEquals, lu.assertAlmostEquals, lu.assertErrorMsgContains

-- In memory if there is such a place: many small files are written.
local folder = os.tmpname()
os.remove(folder)
if core.file_size "/dev/shm" then folder = folder:gsub("^.*/", "/dev/shm/") end
local path = folder .. "/file"
local state

function T.setUp()
  state = pl.random_state()
  assert(core.mkdir(folder))
end

function T.tearDown()
  pl.set_random_state(state)
  os.execute("rm -rf '" .. folder .. "'")
end

local function write_bytes(name, bytes)
  local file <close> = assert(io.open(name, "wb"))
  file:write(bytes)
end

local function read_bytes(name)
  local file <close> = assert(io.open(name, "rb"))
  return file:read "a"
end

-- The same bytes with one bit changed.
local function flipped(whole, at, bit)
  return whole:sub(1, at - 1) .. string.char(whole:byte(at) ~ 1 << bit) .. whole:sub(at + 1)
end

local function compressed(bytes)
  write_bytes(folder .. "/plain", bytes)
  assert(os.execute(("gzip -c '%s/plain' > '%s/gz'"):format(folder, folder)))
  return read_bytes(folder .. "/gz")
end

local function expect_nil(text, ...)
  local value, message = ...
  eq(value, nil)
  lu.assertStrContains(message, text)
end

--
-- IDX
--

local function idx(kind, sizes, elements)
  local parts = {("BBBB"):pack(0, 0, kind, #sizes)}
  for _, n in ipairs(sizes) do parts[#parts + 1] = (">I4"):pack(n) end
  return table.concat(parts) .. elements
end

local function bytes(...) return string.char(...) end

function T.test_idx()
  write_bytes(path, idx(8, {2, 3}, bytes(1, 2, 3, 4, 5, 255)))
  local t = assert(data.idx(path))
  eq(t:dtype(), "uint8")
  eq(t:totable(), {{1, 2, 3}, {4, 5, 255}})
  write_bytes(path, idx(12, {3}, (">i4i4i4"):pack(1, -2, 1 << 30)))
  eq(data.idx(path):totable(), {1, -2, 1 << 30})
  write_bytes(path, compressed(idx(8, {1, 1, 4}, bytes(9, 8, 7, 6))))
  eq(data.idx(path):totable(), {{{9, 8, 7, 6}}})
end

function T.test_idx_refused()
  for _, case in ipairs {
    {"", "not an IDX file"},
    {"\0\0", "not an IDX file"},
    {"hello world", "not an IDX file"},
    {idx(13, {1}, "aaaa"), "IDX elements of kind 0x0d; 0x08 (uint8) or 0x0c (int32) expected"},
    {idx(8, {}, "a"), "0 IDX dimensions; 1 to 8 expected"},
    {idx(8, {1, 1, 1, 1, 1, 1, 1, 1, 1}, "a"), "9 IDX dimensions; 1 to 8 expected"},
    {idx(8, {0, 3}, ""), "IDX dimension 1 has size 0"},
    {idx(8, {2}, "a"), "its IDX header promises 2 bytes of elements, the file has 1"},
    {idx(8, {2}, "aaa"), "its IDX header promises 2 bytes of elements, the file has 3"},
    {idx(12, {2}, "aaaa"), "promises 8 bytes of elements, the file has 4"},
    {idx(8, {4294967295, 4294967295, 4294967295}, "a"),
     "the sizes in its IDX header are impossibly large"},
    {idx(8, {4294967295}, "a"), "promises 4294967295 bytes of elements, the file has 1"},
    {idx(8, {2}, ""):sub(1, 6), "ends within its IDX header"},
  } do
    write_bytes(path, case[1])
    expect_nil(case[2], data.idx(path))
  end
  expect_nil("not a regular file", data.idx(folder))
  expect_nil("No such file or directory", data.idx(folder .. "/none"))
end

function T.test_idx_in_gzip_refused()
  local good = compressed(idx(8, {4}, "abcd"))
  for _, case in ipairs {
    {compressed(idx(8, {5}, "abcd")), "ends early (4 of 5 bytes of elements)"},
    {compressed(idx(8, {3}, "abcd")), "more bytes than its IDX header promises"},
    {compressed(idx(8, {1 << 30}, "a")), "more than"},
    {compressed(idx(8, {100}, ("a"):rep(1000000))), "more bytes than its IDX header promises"},
    {compressed("x"), "not an IDX file"},
    {good .. "x", "more bytes than its IDX header promises"},
    {good .. good, "more bytes than its IDX header promises"},
    {good:sub(1, -9) .. "xxxx" .. good:sub(-4), "the compressed data are damaged"}, -- the checksum
    {good:sub(1, -5) .. "xxxx", "the compressed data are damaged"}, -- the length
  } do
    write_bytes(path, case[1])
    expect_nil(case[2], data.idx(path))
  end
end

function T.test_a_bomb_takes_no_memory()
  write_bytes(path, compressed(idx(8, {1 << 31, 1 << 31}, ("\0"):rep(3000000))))
  local before = pl.memory().live_bytes
  expect_nil("more than", data.idx(path))
  eq(pl.memory().live_bytes, before)
end

function T.test_every_shorter_idx_file_and_every_flipped_bit()
  local plain = idx(8, {2, 2}, "abcd")
  for _, whole in ipairs {plain, compressed(plain)} do
    for n = 0, #whole - 1 do
      write_bytes(path, whole:sub(1, n))
      expect_nil(path, data.idx(path))
    end
    for at = 1, #whole do
      for bit = 0, 7 do
        write_bytes(path, flipped(whole, at, bit))
        local t, message = data.idx(path)
        if t then eq(t:numel(), 4) else lu.assertStrContains(message, path) end
      end
    end
  end
end

function T.test_read_pair()
  local images, labels = folder .. "/images", folder .. "/labels"
  write_bytes(images, idx(8, {2, 1, 2}, bytes(0, 1, 2, 3)))
  write_bytes(labels, idx(8, {2}, bytes(2, 0)))
  local set = assert(data.read_pair(images, labels, {"a", "b", "c"}))
  eq(set.labels:totable(), {3, 1})
  eq(set.labels:dtype(), "int32")
  eq(set.images:totable(), {{{0, 1}}, {{2, 3}}})
  eq({set.synthetic, #set.classes}, {false, 3})
  expect_nil(labels .. ": label 2; 0 to 1 expected", data.read_pair(images, labels, {"a", "b"}))
  write_bytes(labels, idx(8, {3}, bytes(2, 0, 1)))
  expect_nil("has 2 images but " .. labels .. " has 3 labels",
             data.read_pair(images, labels, {"a", "b", "c"}))
  expect_nil("uint8[2,1,2]; labels [n] expected", data.read_pair(images, images, {"a"}))
  expect_nil("uint8[3]; images [n,h,w] expected", data.read_pair(labels, labels, {"a"}))
end

--
-- Batches
--

-- Images whose first pixel is their number.
local function numbered(n, h, w)
  local images = pl.zeros({n, h or 2, w or 3}, "uint8")
  for i = 1, n do images[{i, 1, 1}] = i end
  return {images = images, labels = pl.arange(1, n, "int32"), classes = {}, name = "numbered"}
end

local function collect(set, options)
  local labels, sizes = {}, {}
  for x, y in data.batches(set, options) do
    eq(#x, #y)
    sizes[#sizes + 1] = #y
    for i, label in ipairs(y:totable()) do
      labels[#labels + 1] = label
      near(x[{i, 1, 1, 1}] * 255, label, 1e-3)
    end
  end
  return labels, sizes
end

local function sorted(list)
  local copy = table.move(list, 1, #list, 1, {})
  table.sort(copy)
  return copy
end

local function counting(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

function T.test_batches_cover_each_row_once()
  for _, n in ipairs {1, 7, 8, 9, 100} do
    for _, size in ipairs {1, 3, 8, 200} do
      local labels, sizes = collect(numbered(n), {batch_size = size})
      eq(sorted(labels), counting(n))
      eq(#sizes, data.batch_count(numbered(n), {batch_size = size}))
    end
  end
end

function T.test_batches_in_order()
  local labels, sizes = collect(numbered(10), {batch_size = 4, shuffle = false})
  eq(labels, counting(10))
  eq(sizes, {4, 4, 2})
end

function T.test_drop_last()
  local labels, sizes = collect(numbered(10), {batch_size = 4, drop_last = true})
  eq({#labels, sizes}, {8, {4, 4}})
  eq(data.batch_count(numbered(10), {batch_size = 4, drop_last = true}), 2)
  eq(#collect(numbered(3), {batch_size = 4, drop_last = true}), 0)
  eq(select(2, collect(numbered(8), {batch_size = 4, drop_last = true})), {4, 4})
end

function T.test_shuffling_is_repeatable()
  local set = numbered(50)
  pl.manual_seed(4)
  local a, b = collect(set), collect(set)
  pl.manual_seed(4)
  eq({(collect(set)), (collect(set))}, {a, b})
  lu.assertNotEquals(a, b)
  lu.assertNotEquals(a, counting(50))
end

function T.test_skip()
  local set = numbered(10)
  pl.manual_seed(4)
  local all = collect(set, {batch_size = 3})
  pl.manual_seed(4)
  local rest = collect(set, {batch_size = 3, skip = 2})
  eq(rest, {table.unpack(all, 7)})
  eq(#collect(set, {batch_size = 3, skip = 4}), 0)
  eq(#collect(set, {batch_size = 3, skip = 9}), 0)
end

function T.test_order()
  local set = numbered(5)
  eq(collect(set, {batch_size = 2, order = pl.tensor({5, 1, 5}, "int32")}), {5, 1, 5})
  eq(#collect(set, {batch_size = 4, order = pl.tensor({1, 1, 2, 2, 3, 3, 4, 4, 5, 5}, "int32")}),
     10)
  fails("row 1 is 6; 1 to 5 expected", collect, set, {order = pl.tensor({6}, "int32")})
end

function T.test_normalisation_and_layout()
  local set = {images = pl.tensor({{{0, 255}}, {{51, 102}}}, "uint8"),
               labels = pl.tensor({1, 2}, "int32")}
  for x in data.batches(set, {shuffle = false, mean = 0.5, std = 0.25}) do
    eq(x:size(), {2, 1, 1, 2})
    for i, v in ipairs {-2, 2, -1.2, -0.4} do near(x:flatten()[i], v, 1e-6) end
  end
  local colour = {images = pl.arange(0, 11, "uint8"):reshape(1, 2, 2, 3),
                  labels = pl.tensor({1}, "int32")}
  for x in data.batches(colour) do
    eq(x:size(), {1, 3, 2, 2})
    near(x[{1, 2, 1, 2}] * 255, 4, 1e-4)
  end
end

function T.test_transform()
  local set = numbered(3)
  for x, y, extra in data.batches(set, {transform = function(x, y) return x:sum(), y:to("real"),
                                        "more" end}) do
    eq({x:dim(), y:dtype(), extra}, {0, "real", "more"})
  end
end

function T.test_transform_that_gives_nothing()
  local next_batch = data.batches(numbered(3), {transform = function(x) x:mul_(2) end})
  lu.assertErrorMsgContains("batches: transform gave nothing; a batch expected", next_batch)
end

function T.test_flips()
  pl.manual_seed(2)
  local images = pl.zeros({2000, 1, 3}, "uint8")
  images[{{}, 1, 1}] = 255
  local set, mirrored = {images = images, labels = pl.zeros({2000}, "int32")}, 0
  for x in data.batches(set, {batch_size = 500, flip = true}) do
    eq(x:sum():item(), 500)
    eq(x[{{}, 1, 1, 2}]:sum():item(), 0)
    mirrored = mirrored + x[{{}, 1, 1, 3}]:sum():item()
  end
  near(mirrored, 1000, 115)
end

function T.test_shifts()
  pl.manual_seed(2)
  local images = pl.zeros({3600, 5, 5}, "uint8")
  images[{{}, 3, 3}] = 255
  local set = {images = images, labels = pl.zeros({3600}, "int32")}
  for x in data.batches(set, {batch_size = 3600, shift = 1}) do
    for i, n in ipairs(x:sum(1):flatten():totable()) do
      local row, column = (i - 1) // 5 - 2, (i - 1) % 5 - 2
      local inside = math.abs(row) <= 1 and math.abs(column) <= 1
      near(n, inside and 400 or 0, inside and 100 or 0)
    end
  end
  -- what moves out is lost, what moves in is black: the mean of 0.5 makes it -1
  local one = {images = pl.full({1, 2, 2}, 255, "uint8"), labels = pl.ones({1}, "int32")}
  local seen = {}
  for _ = 1, 300 do
    for x in data.batches(one, {shift = 2, mean = 0.5, std = 0.5}) do
      local values = x:flatten():totable()
      for _, v in ipairs(values) do lu.assertTrue(v == 1 or v == -1) end
      seen[table.concat(values, " ")] = true
    end
  end
  local count = 0
  for _ in pairs(seen) do count = count + 1 end
  eq(count, 10) -- all lost, and nine ways to keep some
end

function T.test_augmentation_is_repeatable_and_independent_of_threads()
  local set = data.synthetic {n = 60}
  local before = pl.threads()
  local sums = {}
  for n = 1, 2 do
    pl.threads(n)
    pl.manual_seed(9)
    for x in data.batches(set, {batch_size = 60, flip = true, shift = 2}) do sums[n] = x end
  end
  pl.threads(before)
  eq(sums[1]:eq(sums[2]):all():item(), 1)
end

function T.test_a_batch_takes_its_share_of_the_stream()
  local set = numbered(10)
  local function after(options)
    pl.manual_seed(1)
    for _ in data.batches(set, options) do end
    return pl.random_state().counter
  end
  eq(after {shuffle = false}, 0)
  eq(after {shuffle = false, flip = true}, 10)
  eq(after {shuffle = false, flip = true, shift = 3}, 10)
end

-- The rows of the next n batches.
local function rows_of(cycle, n)
  local list = {}
  for i = 1, n do
    local x, y = cycle:next()
    near((x:amax({2, 3, 4}) * 255 - y:to("real")):abs():amax():item(), 0, 1e-3)
    list[i] = y:totable()
  end
  return list
end

local CYCLE <const> = {batch_size = 3}

function T.test_cycle()
  local cycle = data.cycle(numbered(10), CYCLE)
  eq({cycle.pass, cycle.place}, {1, 0})
  local passes = rows_of(cycle, 6)
  eq({cycle.pass, cycle.place}, {2, 3})
  for pass = 0, 1 do
    local seen = {}
    for i = 1, 3 do
      for _, row in ipairs(passes[3 * pass + i]) do
        eq(seen[row], nil)
        seen[row] = true
      end
    end
  end
  rows_of(cycle, 1)
  eq({cycle.pass, cycle.place}, {3, 1})
end

function T.test_cycle_goes_on_where_it_was()
  for _, before in ipairs {0, 1, 2, 3, 4, 7} do
    local cycle, other = data.cycle(numbered(10), CYCLE), data.cycle(numbered(10), CYCLE)
    rows_of(cycle, before)
    local saved, random = cycle:state_dict(), pl.random_state()
    local expected = rows_of(cycle, 8)
    pl.manual_seed(99)
    other:load_state_dict(saved)
    pl.set_random_state(random)
    eq(rows_of(other, 8), expected)
  end
end

function T.test_cycle_refuses()
  fails("cycle: set of tensors expected, got nil", data.cycle, nil)
  fails("cycle: batch_size is 11, but the set has 10 rows", data.cycle, numbered(10),
        {batch_size = 11})
  fails("cycle: unknown option 'drop_last'", data.cycle, numbered(10), {drop_last = true})
  local cycle = data.cycle(numbered(10), CYCLE)
  cycle:next()
  fails("load_state_dict: the state is one of 10 rows, the set has 4",
        data.cycle(numbered(4), CYCLE).load_state_dict, data.cycle(numbered(4), CYCLE),
        cycle:state_dict())
end

function T.test_refused()
  local set = numbered(4)
  fails("batches: set of tensors expected, got nil", data.batches)
  fails("batches: set of tensors expected, got a table without any", data.batches, {})
  fails("batches: unknown option 'batchsize'; known: ahead, batch_size,", data.batches, set,
        {batchsize = 3})
  fails("batches: batch_size: positive integer expected, got 0", data.batches, set,
        {batch_size = 0})
  fails("batches: skip: integer of at least 0 expected, got -1", data.batches, set, {skip = -1})
  fails("batches: shift: integer of at least 0 expected, got 1.5", data.batches, set, {shift = 1.5})
  fails("image_batch: std is 0; a positive number expected", data.batches(set, {std = 0}))
  fails("image_batch: option mean is a string; number expected", data.batches(set, {mean = "a"}))
  fails("batches: order: int32 tensor [n] expected, got real[2]", data.batches, set,
        {order = pl.ones(2)})
  fails("images are uint8[2,2]; uint8 [n,h,w] or [n,h,w,c] expected",
        data.batches {images = pl.ones({2, 2}, "uint8"), labels = pl.ones({2}, "int32")})
  fails("batches: seed: integer expected, got 1.5", data.batches, set, {seed = 1.5})
  fails("batches: seed says how to shuffle, which shuffle = false does not", data.batches, set,
        {seed = 1, shuffle = false})
end

--
-- Sets of any tensors
--

-- Features that say their row, targets, and labels of three classes.
local function columns(n)
  local x, labels = pl.arange(1, n):reshape(n, 1):expand(n, 2):contiguous(), {}
  for i = 1, n do labels[i] = i % 3 + 1 end
  return x, pl.arange(1, n) * 10, pl.tensor(labels, "int32")
end

function T.test_sets_by_position()
  local x, y, labels = columns(10)
  local sizes, rows = {}, {}
  for a, b, c, more in data.batches({x, y, labels, name = "rows"}, {batch_size = 4}) do
    sizes[#sizes + 1] = #a
    eq({a:size(2), b:dim(), c:dtype(), more}, {2, 1, "int32", nil})
    for i = 1, #a do
      rows[#rows + 1] = math.tointeger(a[{i, 2}])
      eq({b[i], c[i]}, {a[{i, 1}] * 10, rows[#rows] % 3 + 1})
    end
  end
  eq({sizes, sorted(rows)}, {{4, 4, 2}, counting(10)})
  for only in data.batches({pl.ones({3, 2}, "uint8")}, {batch_size = 2, drop_last = true}) do
    eq({only:dtype(), only:size()}, {"uint8", {2, 2}})
  end
end

function T.test_sets_by_name()
  local x, y = columns(5)
  local set, seen = {inputs = x, targets = y, classes = {"a"}}, {}
  for batch, more in data.batches(set, {batch_size = 2, shuffle = false}) do
    eq(more, nil)
    eq((batch.inputs[{{}, 1}] * 10):totable(), batch.targets:totable())
    eq(batch.classes, nil)
    seen[#seen + 1] = #batch.targets
  end
  eq(seen, {2, 2, 1})
  for sum in data.batches(set, {batch_size = 5, transform = function(b) return b.targets:sum() end}) do
    eq(sum:item(), 150)
  end
end

-- Their pixels are nobody's business; images and labels with a third tensor are a set by name.
function T.test_images_that_are_real_and_images_with_more()
  local images, labels = pl.rand(4, 1, 2, 2), pl.tensor({1, 2, 3, 4}, "int32")
  for x, y in data.batches({images = images, labels = labels}, {shuffle = false}) do
    eq({x:totable(), y:totable()}, {images:totable(), labels:totable()})
  end
  local set = {images = images, labels = labels, weights = pl.ones(4)}
  for batch in data.batches(set) do eq(batch.images:size(), {4, 1, 2, 2}) end
  fails("batches: flip is for sets of uint8 images and their labels; transform may do it to others",
        data.batches, set, {flip = true})
  fails("cycle: mean is for sets of uint8 images and their labels", data.cycle, {images}, {mean = 1})
end

function T.test_an_order_by_seed()
  local x, y = columns(20)
  local function order(seed)
    local list = {}
    for _, b in data.batches({x, y}, {batch_size = 7, seed = seed}) do
      table.move(b:totable(), 1, #b, #list + 1, list)
    end
    return list
  end
  local before = pl.random_state()
  local first = order(1)
  eq(order(1), first)
  lu.assertNotEquals(order(2), first)
  eq(pl.random_state(), before)
end

function T.test_cycles_of_any_set()
  local x, y = columns(7)
  for _, set in ipairs {{x, y}, {inputs = x, targets = y}} do
    local cycle = data.cycle(set, {batch_size = 3})
    for _ = 1, 5 do
      local a, b = cycle:next()
      if not set[1] then a, b = a.inputs, a.targets end
      eq((a[{{}, 1}] * 10):totable(), b:totable())
    end
    eq({cycle.pass, cycle.place}, {3, 1})
  end
end

function T.test_what_is_no_set()
  local x = pl.ones(3, 2)
  for message, set in pairs {
    ["got a tensor; {x} is a set with x alone"] = x,
    ["set of tensors expected, got an object"] = pl.nn.Linear(1, 1),
    ["set of tensors expected, got a table without any"] = {name = "none"},
    ["entry 2 of the set is a table; tensor expected"] = {x, {1, 2, 3}},
    ["the set has tensors by position and by name, 'y'; one way expected"] = {x, y = x},
    ["the set has an entry 3, but none 2"] = {x, [3] = x},
    ["entry '2' of the set is real[], which has no rows"] = {x, pl.tensor(1)},
    ["entry 'y' of the set is int32[4], but 'x' is real[3,2]; equal first sizes expected"] =
      {x = x, y = pl.ones({4}, "int32")},
  } do
    for _, name in ipairs {"batches", "cycle", "split", "subset", "folds", "take", "shuffle", "count",
                           "batch_count"} do
      fails(name .. ": ", data[name], set, 2)
      fails(message, data[name], set, 2)
    end
  end
end

function T.test_parts_of_any_set()
  local x, y = columns(10)
  local named = {inputs = x, targets = y, name = "ten"}
  eq({data.count(named), data.count {x}}, {10, 10})
  eq(data.subset({x, y}, {3, 1})[2]:totable(), {30, 10})
  local a, b = data.split(named, 0.3)
  eq({a.targets:totable(), #b.inputs, a.name, b.name}, {{10, 20, 30}, 7, "ten", "ten"})
  eq(data.take({x, y}, 2)[2]:totable(), {10, 20})
  eq(#data.take({x, y}, 0)[1], 0)
  fails("take: 11 of 10 rows", data.take, {x}, 11)
  local mixed = data.shuffle({x, y}, 3)
  eq((mixed[1][{{}, 2}] * 10):totable(), mixed[2]:totable())
  eq(data.shuffle({x, y}, 3)[2]:totable(), mixed[2]:totable())
  eq(sorted(mixed[2]:totable()), y:totable())
  lu.assertNotEquals(mixed[2]:totable(), y:totable())
end

-- How many of each class.
local function histogram(labels)
  local counts = {0, 0, 0}
  for _, label in ipairs(labels:totable()) do counts[label] = counts[label] + 1 end
  return counts
end

function T.test_stratified_splits()
  local labels = {}
  for i = 1, 100 do labels[i] = i <= 60 and 1 or i <= 90 and 2 or 3 end
  local set = {x = pl.arange(1, 100), labels = pl.tensor(labels, "int32")}
  local a, b = data.split(set, 0.5, {stratify = "labels", seed = 1})
  eq({histogram(a.labels), histogram(b.labels)}, {{30, 15, 5}, {30, 15, 5}})
  local all = table.move(b.x:totable(), 1, 50, 51, a.x:totable())
  eq(sorted(all), set.x:totable())
  lu.assertNotEquals(sorted(a.x:totable()), data.split(set, 0.5, {stratify = "labels"}).x:totable())
  eq(#data.split({set.x, set.labels}, 7, {stratify = 2})[1], 7)
  fails("split: stratify: the set has no entry 'label'", data.split, set, 3, {stratify = "label"})
  fails("split: stratify: 'x' is real[100]; labels, int32 or uint8 [n], expected", data.split, set, 3,
        {stratify = "x"})
end

function T.test_folds()
  local x, y, labels = columns(11)
  for _, options in ipairs {{}, {seed = 4}, {seed = 4, stratify = 3}} do
    local seen, sizes = {}, {}
    for train, test in data.folds({x, y, labels}, 3, options) do
      eq(#train[1] + #test[1], 11)
      local both = table.move(test[2]:totable(), 1, #test[2], #train[2] + 1, train[2]:totable())
      eq(sorted(both), y:totable())
      sizes[#sizes + 1] = #test[1]
      table.move(test[2]:totable(), 1, #test[2], #seen + 1, seen)
      if options.stratify then
        for _, count in ipairs(histogram(test[3])) do lu.assertTrue(count == 1 or count == 2) end
      end
    end
    eq({sorted(seen), sorted(sizes)}, {y:totable(), {3, 4, 4}})
  end
  fails("folds: 12 folds of 11 rows; 2 to 11 expected", data.folds, {x}, 12)
  fails("folds: unknown option 'shuffle'; known: group, seed, stratify", data.folds, {x}, 2, {shuffle = true})
end

--
-- Parts
--

function T.test_subset_and_split()
  local set = numbered(10)
  local part = data.subset(set, {3, 1, 3})
  eq(part.labels:totable(), {3, 1, 3})
  eq(part.images[{{}, 1, 1}]:totable(), {3, 1, 3})
  eq(part.name, "numbered")
  eq(data.subset(set, pl.tensor({2}, "int32")).labels:totable(), {2})
  local a, b = data.split(set, 3)
  eq({a.labels:totable(), b.labels:totable()}, {{1, 2, 3}, {4, 5, 6, 7, 8, 9, 10}})
  a, b = data.split(set, 0.25, {seed = 1})
  eq({#a.labels, #b.labels}, {3, 7})
  local again = data.split(set, 0.25, {seed = 1})
  eq(again.labels:totable(), a.labels:totable())
  local all = table.move(b.labels:totable(), 1, 7, 4, a.labels:totable())
  eq(sorted(all), counting(10))
  for _, first in ipairs {0, 10, 11, -1, 2.5, 0.01, "3", true} do
    fails("split: " .. tostring(first) .. " of 10 rows; 1 to 9, or a fraction, expected",
          data.split, set, first)
  end
  fails("index 11 at position 1 is not within 1 and 10", data.subset, set, {11})
end

function T.test_permutation_leaves_the_stream_alone()
  local before = pl.random_state()
  eq(data.permutation(6, 3):totable(), data.permutation(6, 3):totable())
  eq(pl.random_state(), before)
end

--
-- Drawn images
--

function T.test_synthetic()
  local before = pl.random_state()
  local set = data.synthetic {n = 500, seed = 3}
  eq(pl.random_state(), before)
  eq(set.images:size(), {500, 28, 28})
  eq({set.synthetic, #set.classes, set.images:dtype(), set.labels:dtype()},
     {true, 10, "uint8", "int32"})
  local counts = {}
  for _, label in ipairs(set.labels:totable()) do counts[label] = (counts[label] or 0) + 1 end
  for c = 1, 10 do eq(counts[c], 50) end
  local again, other = data.synthetic {n = 500, seed = 3}, data.synthetic {n = 500, seed = 4}
  eq(again.images:eq(set.images):all():item(), 1)
  eq(again.labels:eq(set.labels):all():item(), 1)
  eq(other.images:eq(set.images):all():item(), 0)
  eq(data.synthetic({n = 3, size = 12}).images:size(), {3, 12, 12})
  local mean = set.images:to("real"):mean():item()
  lu.assertTrue(mean > 20 and mean < 150, mean)
end

function T.test_synthetic_classes_differ()
  local set = data.synthetic {n = 400, seed = 5}
  local means = {}
  for c = 1, 10 do
    local rows = set.labels:eq(c):nonzero()
    means[c] = pl.index_select(set.images, rows, 1):to("real"):mean(1)
  end
  for a = 1, 10 do
    for b = 1, a - 1 do lu.assertTrue((means[a] - means[b]):abs():mean():item() > 2) end
  end
end

function T.test_fashion_mnist_synthetic()
  local set = assert(data.fashion_mnist {data = "synthetic", n = 20})
  eq({#set.labels, set.synthetic}, {20, true})
  local test = assert(data.fashion_mnist {data = "synthetic", n = 20, split = "test"})
  eq(test.images:eq(set.images):all():item(), 0)
  fails("fashion_mnist: split 'tset'; 'train' or 'test' expected", data.fashion_mnist,
        {split = "tset"})
  expect_nil("fashion-mnist/train-images-idx3-ubyte is not in " .. folder,
             data.fashion_mnist {data = folder})
end

function T.test_find()
  assert(core.mkdir(folder .. "/ptb"))
  write_bytes(folder .. "/ptb/a.txt", "x")
  write_bytes(folder .. "/ptb/b.txt.gz", "x")
  eq(data.find(folder, "ptb/a.txt"), folder .. "/ptb/a.txt")
  eq(data.find(folder, "ptb/b.txt"), folder .. "/ptb/b.txt.gz")
  expect_nil("ptb/c.txt is not in " .. folder .. "; scripts/fetch-data.sh fetches it",
             data.find(folder, "ptb/c.txt"))
end

--
-- The real images
--

function T.test_fashion_mnist()
  if (os.getenv "PERILUNE_DATA" or "") == "" then
    print "Fashion-MNIST itself: skipped, PERILUNE_DATA is not set"
    lu.skip "PERILUNE_DATA is not set"
  end
  local set = assert(data.fashion_mnist())
  eq(set.images:size(), {60000, 28, 28})
  eq(set.labels:slice(1, 1, 10):totable(), {10, 1, 1, 4, 1, 3, 8, 3, 6, 6})
  local sum, squares = 0, 0
  for first = 1, 60000, 10000 do
    local x = set.images:slice(1, first, 10000):to("real")
    sum, squares = sum + x:mean():item() / 6, squares + x:square():mean():item() / 6
  end
  near(sum, 72.9404, 5e-4)
  near(math.sqrt(squares - sum * sum), 90.0212, 5e-4)
  for c = 1, 10 do eq(set.labels:eq(c):to("real"):sum():item(), 6000) end
  local test = assert(data.fashion_mnist {split = "test"})
  eq({#test.labels, test.name}, {10000, "Fashion-MNIST test"})
end

local FETCHED <const> = {"fashion-mnist", "mnist"}

function T.test_names_of_sets()
  lu.assertErrorMsgContains("images: there is no set 'cifar'; known are fashion-mnist, mnist",
                            data.images, {name = "cifar"})
  lu.assertEquals(data.images({name = "fashion-mnist", data = "synthetic", n = 3}).labels:size(1), 3)
  fails("about: there is no set 'cifar'; known are fashion-mnist, mnist", data.about, "cifar")
  eq(table.move(data.image_sets(), 1, 2, 1, {}), FETCHED)
end

function T.test_what_is_known_of_a_set()
  local about = data.about "mnist"
  eq({about.name, about.title, #about.classes, about.mirrored, about.mean, about.std},
    {"mnist", "MNIST", 10, false, 0.1307, 0.3081})
  about.classes[1] = "changed"
  eq(data.about("mnist").classes[1], "0")
  for _, name in ipairs(FETCHED) do
    local set, facts = assert(data.images {name = name, data = "synthetic", n = 10}), data.about(name)
    eq({set.mean, set.std, set.title, set.classes, set.mirrored},
      {facts.mean, facts.std, facts.title, facts.classes, facts.mirrored})
  end
end

-- Each row is the function of its name.
function T.test_mnist_synthetic()
  local set = assert(data.mnist {data = "synthetic", n = 40, split = "test"})
  eq({#set.labels, set.synthetic, set.name, set.classes[10]}, {40, true, "drawn digits", "9"})
  local drawn = data.synthetic {n = 40, seed = 2, set = "mnist"}
  eq(drawn.images:eq(set.images):all():item(), 1)
  lu.assertNotEquals(data.synthetic({n = 40, seed = 2}).images:eq(set.images):all():item(), 1)
  expect_nil("mnist/train-images-idx3-ubyte is not in " .. folder, data.mnist {data = folder})
  fails("mnist: split 'dev'; 'train' or 'test' expected", data.mnist, {split = "dev"})
  fails("synthetic: there is no set 'ptb'; known are fashion-mnist, mnist", data.synthetic,
    {set = "ptb"})
end

local function mean_and_std(images)
  local x = images:to("real") / 255
  local mean = x:mean():item()
  return mean, math.sqrt((x - mean):square():mean():item())
end

function T.test_sets_that_are_fetched()
  if (os.getenv "PERILUNE_DATA" or "") == "" then
    print "Fashion-MNIST and MNIST themselves: skipped, PERILUNE_DATA is not set"
    lu.skip "PERILUNE_DATA is not set"
  end
  for _, name in ipairs(FETCHED) do
    local train, test = assert(data.images {name = name}), assert(data.images {name = name, split = "test"})
    eq({train.images:size(), test.images:size()}, {{60000, 28, 28}, {10000, 28, 28}})
    local mean, std = mean_and_std(train.images)
    near(mean, train.mean, 5e-5)
    near(std, train.std, 5e-5)
    eq(train.name, train.title .. " train")
  end
end

--
-- One's own
--

-- Sets stay known; their names come behind those of the others.
function T.test_register()
  data.register {name = "test-letters", title = "Letters", classes = {"a", "b"}, mean = 0.5, std = 0.25}
  assert(core.mkdir(folder .. "/test-letters"))
  for stem, label in pairs {train = 0, t10k = 1} do
    write_bytes(("%s/test-letters/%s-images-idx3-ubyte"):format(folder, stem),
      idx(8, {2, 2, 2}, ("a"):rep(8)))
    write_bytes(("%s/test-letters/%s-labels-idx1-ubyte"):format(folder, stem),
      idx(8, {2}, bytes(label, label)))
  end
  local test = assert(data.test_letters {data = folder, split = "test"})
  eq({test.images:size(), test.labels:totable(), test.name, test.mean, test.mirrored, test.classes},
    {{2, 2, 2}, {2, 2}, "Letters test", 0.5, false, {"a", "b"}})
  eq(assert(data.images {name = "test-letters", data = folder}).labels:totable(), {1, 1})
  expect_nil("test-letters/train-images-idx3-ubyte is not in ./none",
    data.test_letters {data = "./none"})
  lu.assertNotStrContains(select(2, data.test_letters {data = "./none"}), "fetch")
  fails("test_letters: there are no drawn images for 'test-letters'; for fashion-mnist, mnist there are",
    data.test_letters, {data = "synthetic"})
end

function T.test_register_a_function()
  data.register {name = "test-own", classes = {"x"}, read = function(o)
    if o.split == "test" then return nil, "none to test" end
    return {images = pl.ones({1, 2, 2}, "uint8"), labels = pl.ones({1}, "int32"), from = o.data}
  end}
  local set = data.test_own {data = "there"}
  eq({set.from, set.name, set.title}, {"there", "test-own train", "test-own"})
  eq({data.test_own {split = "test"}}, {nil, "none to test"})
end

function T.test_register_refuses()
  for text, row in pairs {
    ["register: option 'classes' is missing"] = {name = "x"},
    ["register: name: a word of letters, digits and '-' expected, got a b"] =
      {name = "a b", classes = {"x"}},
    ["register: pl.data has a 'mnist' already"] = {name = "mnist", classes = {"x"}},
    ["register: pl.data has a 'split' already"] = {name = "split", classes = {"x"}},
    ["register: classes: at least one name expected"] = {name = "x", classes = {}},
    ["register: classes has a number among it"] = {name = "x", classes = {1}},
    ["register: mean: number expected, got a"] = {name = "x", classes = {"x"}, mean = "a"},
    ["register: read: function expected, got 3"] = {name = "x", classes = {"x"}, read = 3},
    ["register: unknown option 'url'"] = {name = "x", classes = {"x"}, url = "y"},
  } do
    fails(text, data.register, row)
  end
end

return T
