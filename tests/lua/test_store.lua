--- Saving and loading: what comes back, what is refused, and damaged files.

local lu = require "luaunit"
local pl = require "perilune"
local core = require "perilune.core"

local T = {}
local eq, fails = lu.assertEquals, lu.assertErrorMsgContains

-- In memory if there is such a place: many small files are written.
local folder = os.tmpname()
os.remove(folder)
if core.file_size "/dev/shm" then folder = folder:gsub("^.*/", "/dev/shm/") end
local path = folder .. "/file.safetensors"

function T.setUp() assert(core.mkdir(folder)) end
function T.tearDown() os.execute("rm -rf '" .. folder .. "'") end

local function read_bytes(name)
  local file <close> = assert(io.open(name, "rb"))
  return file:read "a"
end

local function write_bytes(name, bytes)
  local file <close> = assert(io.open(name, "wb"))
  file:write(bytes)
end

local function expect_nil(text, ...)
  local value, message = ...
  eq(value, nil)
  lu.assertStrContains(message, text)
end

local function round_trip(value)
  assert(pl.save(path, value))
  return assert(pl.load(path))
end

--
-- Round trips
--

function T.test_plain_values()
  local value = {
    n = 3, x = 0.1, big = 1e300, small = -5e-324, negative = -7, yes = true, no = false,
    text = "a \"text\" with \n lines, ä and €", empty = "", list = {1, 2, {3, {}}}, nothing = {},
    deep = {a = {b = {c = {"d"}}}}, ["odd key.with dots"] = 1, [""] = 2,
  }
  eq(round_trip(value), value)
end

function T.test_numbers()
  local inf = math.huge
  local back = round_trip {
    inf = inf, minus = -inf, nan = 0 / 0, most = math.maxinteger, least = math.mininteger,
    edge = 1 << 53, above = (1 << 53) + 1, below = -(1 << 53) - 1, third = 1 / 3, zero = -0.0,
      list = {inf, 1},
  }
  eq({back.inf, back.minus, back.most, back.least}, {inf, -inf, math.maxinteger, math.mininteger})
  eq(back.nan ~= back.nan, true)
  eq({back.edge, back.above, back.below}, {1 << 53, (1 << 53) + 1, -(1 << 53) - 1})
  eq({math.type(back.above), math.type(back.most), math.type(back.third)},
     {"integer", "integer", "float"})
  eq(back.third, 1 / 3)
  eq(1 / back.zero, -inf)
  eq(back.list, {inf, 1})
end

function T.test_whole_numbers_come_back_as_integers()
  eq(math.type(round_trip({x = 2.0}).x), "integer")
end

function T.test_tensors()
  local t = pl.tensor {{1.5, -2}, {0 / 0, 1 / 0}}
  local back = round_trip {
    t = t, views = {t:t(), t[1], t:flip()}, ints = pl.tensor({1, -5}, "int32"),
    bytes = pl.tensor({{0}, {255}}, "uint8"), scalar = pl.tensor(3), none = pl.zeros(0, 4),
    eight = pl.ones(1, 2, 1, 1, 1, 1, 1, 1),
  }
  eq(tostring(back.t), tostring(t))
  eq(tostring(back.views[1]), tostring(t:t():contiguous()))
  eq(back.views[2]:totable(), {1.5, -2})
  eq({back.ints:dtype(), back.bytes:dtype(), back.t:dtype()}, {"int32", "uint8", "real"})
  eq(back.ints:totable(), {1, -5})
  eq(back.bytes:totable(), {{0}, {255}})
  eq(back.scalar:item(), 3)
  eq(back.none:size(), {0, 4})
  eq(back.eight:dim(), 8)
end

function T.test_all_bits_of_reals()
  local t = pl.randn(1000)
  local back = round_trip({t = t}).t
  eq(back:eq(t):all():item(), 1)
end

function T.test_one_tensor_under_two_names()
  local t = pl.ones(3)
  local back = round_trip {a = t, b = {t, t}}
  eq(back.a:totable(), {1, 1, 1})
  back.a:fill_(2)
  eq(back.b[1]:totable(), {1, 1, 1}) -- saved twice: they are no longer one
end

function T.test_parameters_come_back_without_gradients()
  local w = pl.ones(2):requires_grad_()
  local back = round_trip {w = w, y = w * 2}
  eq({back.w.requires_grad, back.y.requires_grad}, {false, false})
  eq(back.y:totable(), {2, 2})
end

function T.test_a_network()
  local net = pl.nn.Sequential {pl.nn.Linear(2, 3), pl.nn.BatchNorm1d(3), pl.nn.Linear(3, 1)}
  net(pl.randn(8, 2))
  local other = pl.nn.Sequential {pl.nn.Linear(2, 3), pl.nn.BatchNorm1d(3), pl.nn.Linear(3, 1)}
  other:load_state_dict(round_trip(net:state_dict()))
  local x = pl.randn(4, 2)
  eq(other:eval()(x):totable(), net:eval()(x):totable())
end

function T.test_the_same_value_gives_the_same_bytes()
  local function value() return {b = pl.ones(2), a = {x = 1, y = pl.zeros(1), list = {1, 2}},
                                 c = "t"} end
  assert(pl.save(path, value()))
  local first = read_bytes(path)
  assert(pl.save(path, value()))
  eq(read_bytes(path) == first, true)
end

function T.test_any_safetensors_file()
  assert(core.save_tensors(path, {w = pl.ones(2)}, {note = "text"}))
  local back = assert(pl.load(path))
  eq(back.w:totable(), {1, 1})
  local tensors, texts = core.load_tensors(path)
  eq(texts, {note = "text"})
  eq(tensors.w:size(), {2})
  assert(core.save_tensors(path, {}))
  eq(pl.load(path), {})
end

--
-- Refused values: nothing is written
--

function T.test_refused()
  local loop = {}
  loop.inside = {loop}
  for text, value in pairs {
    ["save: inside.1 occurs inside itself"] = loop,
    ["save: f is a function, which a file cannot hold"] = {f = print},
    ["save: a.b is a thread, which a file cannot hold"] = {a = {b = coroutine.create(print)}},
    ["save: the table has the key 1.5; keys 1..n or strings expected"] = {[1.5] = 1},
    ["save: a is a list with gaps, or with names beside its numbers"] = {a = {1, [3] = 2}},
    ["save: b is a list with gaps"] = {b = {1, x = 2}},
    ["save: the table has the key true; keys"] = {[true] = 1},
    ["save: the table has the key $number; names that begin with $ are the file's own"] =
      {["$number"] = 1},
    ["save: a.b is an object; plain table expected"] = {a = {b = setmetatable({}, {})}},
    ["save: a.b names two tensors"] = {["a.b"] = pl.ones(1), a = {b = pl.ones(1)}},
    ["save: a is a string with a zero byte in it"] = {a = "x\0y"},
    ["save: a is a string that is not UTF-8 (byte 0xFF at 3)"] = {a = "ab\xff"},
    ["save: a.b[2] is a string that is not UTF-8 (byte 0xC0 at 1)"] = {a = {b = {"ä€𝄞", "\xc0\x80"}}},
    ["save: a[1] is a string that is not UTF-8 (byte 0xED at 2)"] = {a = {"-\xed\xa0\x80"}},
    ["save: a[1] is a string that is not UTF-8 (byte 0xE2 at 1)"] = {a = {"\xe2\x82"}},
    ["save: a has a key that is not UTF-8 (byte 0xF5 at 1)"] = {a = {["\xf5\x80\x80\x80"] = 1}},
  } do
    fails(text, pl.save, path, value)
  end
  fails("save: table expected, got number", pl.save, path, 5)
  fails("save: table expected, got tensor", pl.save, path, pl.ones(1))
  eq(io.open(path), nil)
end

function T.test_names_that_a_file_cannot_hold()
  local ok, message = pl.save(path, {__metadata__ = pl.ones(1)})
  eq(ok, nil)
  lu.assertStrContains(message, "no tensor may be named __metadata__")
  eq(io.open(path), nil)
end

--
-- Files that cannot be written or read
--

function T.test_files_that_cannot_be_written()
  expect_nil("cannot write " .. folder .. "/none/file", pl.save(folder .. "/none/file", {a = 1}))
  expect_nil("No such file or directory", pl.save(folder .. "/none/file", {a = 1}))
  expect_nil("cannot write /dev/full: No space left on device",
             pl.save("/dev/full", {a = pl.ones(9)}))
  expect_nil("cannot write " .. folder, pl.save(folder, {a = 1}))
  fails("path expected, got an empty or binary string", pl.save, "", {a = 1})
  eq(io.popen("ls -A '" .. folder .. "'"):read "a", "")
end

function T.test_a_failed_save_keeps_the_old_file()
  assert(pl.save(path, {a = 1}))
  local before, value = read_bytes(path), {a = pl.ones(3, 3):t()}
  core.fail_after(0) -- the transposed tensor needs a copy
  local ok, message = pl.save(path, value)
  core.fail_after(-1)
  expect_nil("not enough memory", ok, message)
  eq(read_bytes(path) == before, true)
  eq(io.popen("ls -A '" .. folder .. "'"):read "a", "file.safetensors\n")
end

function T.test_files_that_cannot_be_read()
  expect_nil("cannot open " .. path .. ": No such file or directory", pl.load(path))
  expect_nil("not a regular file", pl.load(folder))
  write_bytes(path, "")
  expect_nil("not a safetensors file (shorter than 8 bytes)", pl.load(path))
  write_bytes(path, ("\255"):rep(20))
  expect_nil(path .. ": not a safetensors file", pl.load(path))
  write_bytes(path, ("<I8"):pack(20) .. "{}")
  expect_nil("not a whole safetensors file (a header of 20 bytes in a file of 10)", pl.load(path))
  write_bytes(path, ("<I8"):pack(2) .. "[]")
  expect_nil("its header is not a JSON object", pl.load(path))
  write_bytes(path, ("<I8"):pack(2) .. "{}x")
  expect_nil("has 1 bytes of data; its header describes 0", pl.load(path))
end

function T.test_every_shorter_file_is_refused()
  assert(pl.save(path, {a = pl.tensor {1, 2}, b = {pl.ones({3}, "uint8"), "text"}}))
  local whole = read_bytes(path)
  for n = 0, #whole - 1 do
    write_bytes(path, whole:sub(1, n))
    local value, message = pl.load(path)
    eq(value, nil)
    lu.assertStrContains(message, path)
  end
  write_bytes(path, whole .. "\0")
  expect_nil("bytes of data", pl.load(path))
end

function T.test_no_flipped_bit_does_harm()
  assert(pl.save(path, {a = pl.tensor {1, 2}, b = {pl.ones({3}, "uint8"), 1 / 0}}))
  local whole = read_bytes(path)
  local header = 8 + ("<I8"):unpack(whole)
  local refused = 0
  for at = 1, header do
    for bit = 0, 7 do
      local byte = string.char(whole:byte(at) ~ (1 << bit))
      write_bytes(path, whole:sub(1, at - 1) .. byte .. whole:sub(at + 1))
      local ok, value, message = pcall(pl.load, path)
      lu.assertTrue(ok, value)
      if not value then
        refused = refused + 1
        lu.assertStrContains(message, path)
      end
    end
  end
  lu.assertTrue(refused > header * 4)
end

-- A changed value is found by the checksum, which is no text of the file's.
function T.test_changed_data_are_refused()
  assert(core.save_tensors(path, {a = pl.tensor {1, 2}}, {note = "text"}))
  eq(select(2, core.load_tensors(path)), {note = "text"})
  local whole = read_bytes(path)
  write_bytes(path, whole:sub(1, -2) .. string.char(whole:byte(-1) ~ 1))
  expect_nil(path .. ": its checksum is ", pl.load(path))
  write_bytes(path, (whole:gsub("perilune.crc32", "perilune.other")))
  eq(pl.load(path).a:totable(), {1, 2})
  expect_nil("no text may be named perilune.crc32",
             core.save_tensors(path, {}, {["perilune.crc32"] = "0"}))
  eq({core.crc32 "123456789", core.crc32("6789", core.crc32 "12345")}, {0xCBF43926, 0xCBF43926})
end

-- Saves tensors with a header of its own making.
local function write_archive(header, data)
  write_bytes(path, ("<I8"):pack(#header) .. header .. (data or ""))
end

local function inner(dtype, shape, from, to)
  return ('{"dtype":"%s","shape":%s,"data_offsets":[%s,%s]}'):format(dtype, shape, from, to)
end

function T.test_lying_headers()
  local function entry(...) return '{"a":' .. inner(...) .. "}" end
  for _, case in ipairs {
    {entry("F8_E4M3", "[4]", 0, 4),
     "tensor 'a' is of dtype F8_E4M3, which cannot be read; 'skip' leaves it out"},
    {entry("F32", "[3]", 0, 4),
     "tensor 'a' does not have as many bytes as its dtype and shape need"},
    {entry("F32", "[1]", 0, 8), "no data_offsets within the 4 bytes of data"},
    {entry("F32", "[-1]", 0, 4), "a size that is no whole number"},
    {entry("F32", "[1.5]", 0, 4), "a size that is no whole number"},
    {entry("F32", "[1e300]", 0, 4), "a size that is no whole number"},
    {entry("F32", "[1,1,1,1,1,1,1,1,1]", 0, 4), "no shape of at most 8 sizes"},
    {entry("F32", "{}", 0, 4), "no shape of at most 8 sizes"},
    {entry("F32", "[1]", 4, 0), "no data_offsets within"},
    {entry("F32", "[1]", -4, 0), "no data_offsets within"},
    {entry("U8", "[9007199254740992,9007199254740992]", 0, 4), "does not have as many bytes"},
    {entry("U8", "[2]", 2, 4), "the data of tensor 'a' begin at byte 2; 0 expected"},
    {entry("U8", "[2]", 0, 2), "has 4 bytes of data; its header describes 2"},
    {'{"a":5}', "tensor 'a' has no dtype"},
    {'{"__metadata__":5}', "__metadata__ is no object"},
    {'{"__metadata__":{"x":5}}', "'x' in __metadata__ is no text"},
    {'{"__metadata__":{},"__metadata__":{}}', "two __metadata__ in the header"},
    {('{"a":%s,"a":%s}'):format(inner("U8", "[2]", 0, 2), inner("U8", "[2]", 2, 4)),
      "two tensors are named 'a'"},
    {('{"a":%s,"b":%s}'):format(inner("U8", "[4]", 0, 4), inner("U8", "[4]", 0, 4)),
      "begin at byte 0; 4 expected"},
    {("["):rep(5000), "its header is not a JSON object"},
    {'{} {}', "its header is not a JSON object"},
  } do
    write_archive(case[1], "\1\2\3\4")
    expect_nil(case[2], pl.load(path))
  end
  write_bytes(path, ("<I8"):pack(1 << 62))
  expect_nil("a header of 4611686018427387904 bytes in a file of 8", pl.load(path))
end

function T.test_doubles_and_floats()
  local d, f = inner("F64", "[2]", 0, 16), inner("F32", "[1]", 16, 20)
  write_archive(('{"d":%s,"f":%s}'):format(d, f), ("<ddf"):pack(0.1, -3, 0.5))
  local t = assert(pl.load(path))
  lu.assertAlmostEquals(t.d[1], 0.1, 1e-7)
  eq({t.d[2], t.f[1]}, {-3, 0.5})
end

--
-- Reals of 16 bits
--

-- The bytes of one tensor in a file of a dtype.
local function written(tensor, dtype, options)
  local o = {dtype = dtype}
  for name, value in pairs(options or {}) do o[name] = value end
  assert(pl.save(path, {t = tensor}, o))
  local bytes = read_bytes(path)
  local text = bytes:sub(9, 8 + ("<I8"):unpack(bytes))
  lu.assertStrContains(text, ('"dtype":"%s"'):format(dtype))
  return bytes:sub(9 + #text)
end

local function bits_of(bytes)
  local list = {}
  for i = 1, #bytes, 2 do list[#list + 1] = ("<I2"):unpack(bytes, i) end
  return list
end

local function all_patterns(first, last)
  local list = {}
  for i = first, last do list[#list + 1] = ("<I2"):pack(i) end
  return table.concat(list)
end

-- The first pattern of an infinity, and the bits of both ends of what is finite.
local INFINITY <const> = {F16 = 0x7c00, BF16 = 0x7f80}

function T.test_reals_are_written_as_pytorch_writes_them()
  local torch = dofile((debug.getinfo(1, "S").source:match "^@(.*/)" or "./") .. "../torch/expected.lua")
  for dtype in pairs(INFINITY) do eq(bits_of(written(pl.tensor(torch.values), dtype)), torch[dtype]) end
end

function T.test_all_reals_of_16_bits_come_back()
  for dtype, inf in pairs(INFINITY) do
    for _, sign in ipairs {0, 0x8000} do
      local patterns = all_patterns(sign, sign + inf)
      eq(written(pl.from_bytes(patterns, dtype), dtype) == patterns, true, dtype)
    end
    local nans = pl.from_bytes(all_patterns(inf + 1, 0x7fff) .. all_patterns(0x8000 + inf + 1, 0xffff), dtype)
    eq(pl.from_bytes(written(nans, dtype), dtype):isnan():all():item(), 1)
  end
end

-- Between two neighbours lies a middle, which goes to the even one.
function T.test_reals_are_rounded_to_the_nearest()
  local step = 2.0 ^ (pl.real == "double" and -50 or -23)
  for dtype, inf in pairs(INFINITY) do
    local values = pl.from_bytes(all_patterns(0, inf - 1), dtype):totable()
    local middle, below, above, even = {}, {}, {}, {}
    for i = 200, #values - 1 do -- the first ones of BF16 are no normal floats
      local m, k = (values[i] + values[i + 1]) / 2, #middle + 1
      middle[k], below[k], above[k] = m, m * (1 - step), m * (1 + step)
      even[k] = i - 1 + (i - 1) % 2
    end
    eq(bits_of(written(pl.tensor(middle), dtype)), even)
    eq(written(pl.tensor(below), dtype) == all_patterns(199, inf - 2), true, dtype)
    eq(written(pl.tensor(above), dtype) == all_patterns(200, inf - 1), true, dtype)
    eq(written(-pl.tensor(above), dtype) == all_patterns(0x8000 + 200, 0x8000 + inf - 1), true, dtype)
  end
end

function T.test_nothing_becomes_infinite_in_silence()
  for dtype, beyond in pairs {F16 = 65520, BF16 = 0x1.ffp127} do
    local least = beyond * (1 - 2.0 ^ -23)
    eq(bits_of(written(pl.tensor {least, -least}, dtype)), {INFINITY[dtype] - 1, INFINITY[dtype] + 0x7fff})
    local before = read_bytes(path)
    local t = pl.tensor {{1, 2}, {-beyond, 3}}
    expect_nil(("%s: tensor 'deep.1' has the value %.9g at [2,1], beyond %s; 'convert' makes it infinite"):format(
      path, -beyond, dtype), pl.save(path, {deep = {t}}, {dtype = dtype}))
    eq(read_bytes(path), before)
    eq(bits_of(written(t, dtype, {convert = true}))[3], INFINITY[dtype] + 0x8000)
    local ends = pl.tensor {1 / 0, -1 / 0}
    eq(bits_of(written(ends, dtype)), {INFINITY[dtype], INFINITY[dtype] + 0x8000})
  end
  if pl.real == "double" then
    expect_nil("has the value 1e+300 at [1], beyond F32", pl.save(path, {pl.tensor {1e300}}, {dtype = "F32"}))
    eq(written(pl.tensor {1e300}, "F32", {convert = true}), ("<f"):pack(1 / 0))
  end
end

function T.test_dtypes_of_networks_and_integers()
  local net = pl.nn.Sequential {pl.nn.Linear(2, 3), pl.nn.BatchNorm1d(3)}
  local value = {net = net, ids = pl.tensor({70000, -1}, "int32"), mask = pl.tensor({0, 1}, "uint8"),
                 none = pl.zeros(0, 2), one = pl.tensor(0.1), view = pl.tensor {{1, 2}, {3, 4}}:t()}
  for dtype, digits in pairs {F16 = 1e-3, BF16 = 1e-2, F32 = 1e-7, F64 = 1e-7} do
    assert(pl.save(path, value, {dtype = dtype}))
    local back = assert(pl.load(path))
    eq({back.ids:totable(), back.mask:totable(), back.none:size()}, {{70000, -1}, {0, 1}, {0, 2}})
    eq(back.view:totable(), {{1, 3}, {2, 4}})
    lu.assertAlmostEquals(back.one:item(), 0.1, digits)
    local w = net[1].weight
    lu.assertTrue(((back.net[1].weight - w):abs():max() / w:abs():max()):item() < digits)
  end
end

function T.test_options_of_save()
  local x = {x = pl.ones(1)}
  fails("dtype: F32, F64, F16 or BF16 expected, got 'I16'", pl.save, path, x, {dtype = "I16"})
  fails("save: dtype: string expected, got 3", pl.save, path, x, {dtype = 3})
  fails("save: unknown option 'type'; known: compress, convert, dtype", pl.save, path, x, {type = "F16"})
  fails(path .. " is a .safetensors file; option 'compress' is one of .npz files", pl.save, path, x,
    {compress = true})
  fails("x.npy is a .npy file; option 'dtype' is one of .safetensors files", pl.save, "x.npy", x.x,
    {dtype = "F16"})
  fails("x.npz is a .npz file; option 'convert' is one of .safetensors files", pl.save, "x.npz", x,
    {convert = true})
  eq(core.file_size(path), nil)
end

--- As PyTorch writes a network with batch norm, half precision and a mask, and one dtype of its own.
function T.test_a_file_of_many_dtypes()
  local parts, entries, at = {}, {}, 0
  local function add(name, dtype, shape, bytes)
    parts[#parts + 1] = bytes
    entries[#entries + 1] = ('"%s":%s'):format(name, inner(dtype, shape, at, at + #bytes))
    at = at + #bytes
  end
  add("w", "F32", "[1]", ("<f"):pack(1.5))
  add("num_batches_tracked", "I64", "[]", ("<i8"):pack(7))
  add("h", "F16", "[2]", "\x00\x3c\x00\xc0")
  add("b", "BF16", "[2]", "\x80\x3f\x40\x40")
  add("mask", "BOOL", "[2]", "\1\0")
  local function write()
    write_archive("{" .. table.concat(entries, ",") .. "}", table.concat(parts))
  end
  write()
  local t = assert(pl.load(path))
  eq({t.w[1], t.num_batches_tracked:item(), t.h:totable(), t.b:totable(), t.mask:totable()},
     {1.5, 7, {1, -2}, {1, 3}, {1, 0}})
  eq({t.num_batches_tracked:dtype(), t.mask:dtype()}, {"int32", "uint8"})
  add("ids", "I64", "[2,2]", ("<i8i8i8i8"):pack(1, 2, 3000000000, 4))
  add("tiny", "F8_E5M2", "[3]", "abc")
  write()
  expect_nil(path .. ": tensor 'ids' has the I64 value 3000000000 at [2,1], beyond int32; "
    .. "'convert' makes the tensor real, 'skip' leaves it out", pl.load(path))
  expect_nil(path .. ": tensor 'tiny' is of dtype F8_E5M2", pl.load(path, {convert = true}))
  local left_out
  t, left_out = pl.load(path, {skip = true})
  eq({t.ids, t.tiny, t.w[1]}, {nil, nil, 1.5})
  lu.assertStrContains(left_out.ids, "beyond int32")
  lu.assertStrContains(left_out.tiny, "F8_E5M2, which cannot be read")
  t, left_out = pl.load(path, {skip = true, convert = true})
  eq({t.ids:dtype(), t.ids:totable()}, {"real", {{1, 2}, {3000000000, 4}}})
  eq(left_out.ids, nil)
  lu.assertNotNil(left_out.tiny)
  write_archive("{}")
  eq({pl.load(path, {skip = true})}, {{}, {}})
  eq(select("#", pl.load(path)), 2)
  fails("load: unknown option 'skipp'; known: convert, skip", pl.load, path, {skipp = true})
  write_bytes(path, "\x93NUMPY\1\0v\0")
  expect_nil(path .. ": the NumPy header of the array has 118 bytes; 0 can be", pl.load(path))
end

function T.test_damaged_structures()
  for text, meta in pairs {
    ["json_decode: not JSON at byte"] = "{",
    ["tensor 'x' is missing"] = '{"a":{"$tensor":"x"}}',
    ["tensor '5' is missing"] = '{"a":{"$tensor":5}}',
    ["'abc' is no number"] = '{"a":{"$number":"abc"}}',
    ["'1.5' is no number"] = '{"a":{"$number":"1.5"}}',
    ["does not hold a table"] = "5",
  } do
    assert(core.save_tensors(path, {}, {perilune = meta}))
    expect_nil(text, pl.load(path))
  end
end

--
-- The other file functions
--

function T.test_write_append_size_truncate()
  eq(core.write_file(path, "one\n"), true)
  eq(core.append_file(path, "two", false), 7)
  eq(core.append_file(path, "\n"), 8)
  eq(core.append_file(path, "", true), 8)
  eq(core.file_size(path), 8)
  eq(read_bytes(path), "one\ntwo\n")
  eq(core.truncate_file(path, 4), true)
  eq(read_bytes(path), "one\n")
  expect_nil("cannot cut " .. path .. " to 9 bytes: it has 4", core.truncate_file(path, 9))
  expect_nil("cannot cut " .. path .. " to -1 bytes", core.truncate_file(path, -1))
  expect_nil("No such file", core.file_size(folder .. "/none"))
  expect_nil("cannot write /dev/full: No space left on device", core.write_file("/dev/full", "x"))
  expect_nil("cannot write " .. folder, core.append_file(folder, "x"))
  eq(core.write_file(path, "a\0b"), true)
  eq(core.file_size(path), 3)
end

function T.test_folders()
  eq(core.mkdir(folder .. "/a/b/c"), true)
  eq(core.mkdir(folder .. "/a/b/c"), true)
  eq(core.mkdir(folder .. "/d/"), true)
  eq(core.write_file(folder .. "/a/b/c/f", "x"), true)
  expect_nil("cannot make the folder", core.mkdir(folder .. "/a/b/c/f/g"))
  expect_nil("Not a directory", core.mkdir(folder .. "/a/b/c/f"))
end

--
-- JSON
--

function T.test_json()
  eq(core.json_encode {b = 1, a = {true, "x"}, c = 0.1}, '{"a":[true,"x"],"b":1,"c":0.1}')
  eq(core.json_encode {}, "{}")
  eq(core.json_decode '[1, 2.5, "x", null, {"a": []}]', {1, 2.5, "x", nil, {a = {}}})
  eq(core.json_encode({1 / 0}, {nan = "null"}), "[null]")
  for text, value in pairs {
    ["json_encode: [1] is not a finite number"] = {0 / 0},
    ["json_encode: a.b is a function, which JSON cannot hold"] = {a = {b = print}},
    ["json_encode: the value is a tensor"] = pl.ones(1),
    ["json_encode: [1] is an integer beyond 2^53"] = {(1 << 53) + 1},
    ["has keys that are not 1 to n"] = {1, x = 2},
  } do
    fails(text, core.json_encode, value)
  end
  for _, text in ipairs {"", "{", "[1,]", "{\"a\":1}x", "nul", "\"\\q\"", "[1 2]",
                         ("["):rep(2000)} do
    expect_nil("json_decode: not JSON at byte", core.json_decode(text))
  end
end

--- Twice as many texts take about twice as long to read; by the square of it these would take minutes.
function T.test_many_texts()
  local texts, n = {}, 200000
  for i = 1, n do texts["name " .. i] = "text " .. i end
  assert(pl.save_tensors(path, {t = pl.ones(1)}, texts))
  local start = os.clock()
  local _, back = pl.load_tensors(path)
  lu.assertTrue(os.clock() - start < 10)
  eq({back["name 1"], back["name " .. n]}, {"text 1", "text " .. n})
end

function T.test_names_and_texts_that_are_not_utf8_are_refused()
  local file = folder .. "/bytes"
  expect_nil("the name of tensor 'a\xff' is not UTF-8 (byte 0xFF at 2)",
             pl.save_tensors(file, {["a\xff"] = pl.ones(1)}))
  expect_nil("text 'note' is not UTF-8 (byte 0xFE at 1)", pl.save_tensors(file, {}, {note = "\xfe"}))
  expect_nil("the name of text '\x80' is not UTF-8 (byte 0x80 at 1)",
             pl.save_tensors(file, {}, {["\x80"] = "note"}))
  eq(io.open(file), nil)
  assert(pl.save_tensors(file, {["größe"] = pl.ones(1)}, {["Δ"] = "日本語 \u{10FFFF}"}))
  local tensors, texts = pl.load_tensors(file)
  eq({tensors["größe"]:item(), texts["Δ"]}, {1, "日本語 \u{10FFFF}"})
end

function T.test_texts_with_zero_bytes_are_refused()
  lu.assertErrorMsgContains("save_tensors: text 'note' has a zero byte",
    pl.save_tensors, folder .. "/zero", {}, {note = "a\0b"})
  lu.assertEquals({pl.json_decode '"a\\u0000b"'},
    {nil, "json_decode: a string with a zero byte at byte 3 of 10"})
  lu.assertEquals(pl.json_decode '"a\\\\u0000b"', "a\\u0000b")
end

return T
