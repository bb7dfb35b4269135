--- NumPy's files and plain bytes. What NumPy wrote lies in tests/fuzz/corpus, by tests/fuzz/seeds.py.

local lu = require "luaunit"
local pl = require "perilune"
local core = require "perilune.core"

local T = {}
local eq, fails = lu.assertEquals, lu.assertErrorMsgContains

local corpus = (debug.getinfo(1, "S").source:match "^@(.*/)" or "./") .. "../fuzz/corpus/"
local folder = os.tmpname()
os.remove(folder)

function T.setUp() assert(core.mkdir(folder)) end
function T.tearDown() os.execute("rm -rf '" .. folder .. "'") end

local function read_bytes(name)
  local file <close> = assert(io.open(name, "rb"))
  return file:read "a"
end

local function write_bytes(name, bytes)
  local file <close> = assert(io.open(name, "wb"))
  file:write(bytes)
  return name
end

local function expect_nil(text, ...)
  local value, message = ...
  eq(value, nil)
  lu.assertStrContains(message, text)
end

local VALUES <const> = {{0, 1, 2}, {100, 4, 5}}

function T.test_what_numpy_wrote()
  local kinds = {f = "real", i = "int32", u = "int32"}
  local count = 0
  for name in io.popen("ls " .. corpus .. "npy"):lines() do
    local letter, width = name:match "^([fiu])(%d)%-%a+.npy"
    if letter then
      local t = assert(pl.load(corpus .. "npy/" .. name))
      eq({name, t:dtype(), t:totable()}, {name, letter .. width == "u1" and "uint8" or kinds[letter], VALUES})
      count = count + 1
    end
  end
  eq(count, 20)
  for name, values in pairs {
    fortran = VALUES, version2 = VALUES, version3 = VALUES, bool = {1, 0}, vector = {0, 1, 2, 3, 4},
  } do
    eq(assert(pl.load(corpus .. "npy/" .. name .. ".npy")):totable(), values)
  end
  eq(pl.load(corpus .. "npy/bool.npy"):dtype(), "uint8")
  eq(pl.load(corpus .. "npy/scalar.npy"):item(), 1.5)
  eq(pl.load(corpus .. "npy/empty.npy"):size(), {0, 3})
  eq(pl.load(corpus .. "npy/fortran.npy"):is_contiguous(), true)
end

function T.test_what_has_no_place_is_refused_by_name()
  for name, text in pairs {
    complex = "the array is of complex numbers ('<c8')", text = "of texts ('<U2')",
    date = "of dates and times ('<M8[D]')", structured = "of a structured dtype",
    objects = "of Python objects, which are pickled: that may run any code and is not read ('|O')",
    deep = "the array has 9 dims; at most 8 can be read",
    ["fortran-i8"] = "has the <i8 value 1099511627776 at [2,1], beyond int32; 'convert' makes the tensor real",
  } do
    local path = corpus .. "npy/" .. name .. ".npy"
    local value, message = pl.load(path)
    eq(value, nil)
    lu.assertStrContains(message, path .. ": ")
    lu.assertStrContains(message, text)
  end
  local t = assert(pl.load(corpus .. "npy/fortran-i8.npy", {convert = true}))
  eq({t:dtype(), t:totable()}, {"real", {{1, 2}, {1 << 40, 3}}})
end

function T.test_archives_of_numpy()
  for _, name in ipairs {"stored", "deflated"} do
    local t = assert(pl.load(corpus .. "npz/" .. name .. ".npz"))
    eq({t.x:totable(), t.y:totable(), t.y:dtype()}, {VALUES, {0, 1, 2}, "int32"})
  end
  eq(pl.load(corpus .. "npz/deflated.npz").z:size(), {3000})
  eq(pl.load(corpus .. "npz/none.npz"), {})
  eq(pl.load(corpus .. "npz/described.npz").x:totable(), VALUES) -- sizes stand behind it
  local path = corpus .. "npz/others.npz"
  expect_nil(path .. ": 'b.npy' is packed by method 12 of zip; 0 and 8 can be read", pl.load(path))
  local t, left_out = pl.load(path, {skip = true})
  eq(t.x:totable(), VALUES)
  lu.assertStrContains(left_out.b, "method 12")
  lu.assertStrContains(left_out["notes.txt"], "is not named as NumPy arrays are")
  path = corpus .. "npz/objects.npz"
  expect_nil("array 'o' is of Python objects", pl.load(path))
  t, left_out = pl.load(path, {skip = true})
  eq({t.o, t.x:totable()}, {nil, VALUES})
  lu.assertStrContains(left_out.o, "'skip' leaves it out")
end

function T.test_compressed_archives()
  local path = folder .. "/x.npz"
  local set = {x = pl.arange(1, 100000), ["y/ä"] = pl.randn(5, 3):t(), none = pl.zeros(0, 3),
               one = pl.tensor(3, "int32"), noise = pl.randint(0, 255, 70000)}
  assert(pl.save(path, set))
  local stored = #read_bytes(path)
  assert(pl.save(path, set, {compress = true}))
  local bytes = read_bytes(path)
  lu.assertTrue(#bytes < 0.6 * stored, #bytes)
  local back = assert(pl.load(path))
  for name, t in pairs(set) do
    eq({back[name]:dtype(), back[name]:size()}, {t:dtype(), t:size()})
    eq(pl.to_bytes(back[name]) == pl.to_bytes(t), true, name)
  end
  assert(pl.save(path, set, {compress = true}))
  eq(read_bytes(path) == bytes, true)
  assert(pl.save(path, {}, {compress = true}))
  eq(pl.load(path), {})
end

-- By a reader that is not ours.
function T.test_python_reads_compressed_archives()
  local path = folder .. "/x.npz"
  assert(pl.save(path, {x = pl.arange(1, 3000), y = pl.ones(2)}, {compress = true}))
  local pipe = io.popen(([[python3 -c "
import zipfile
z = zipfile.ZipFile('%s')
print(z.testzip(), [(i.filename, i.compress_type, i.file_size) for i in z.infolist()])
" 2>&1]]):format(path))
  local said = pipe:read "a"
  pipe:close()
  if said:find "not found" then lu.skip "python3 is not there" end
  eq(said, ("None [('x.npy', 8, %d), ('y.npy', 8, %d)]\n"):format(
    128 + 3000 * #pl.to_bytes(pl.ones(1)), 128 + 2 * #pl.to_bytes(pl.ones(1))))
end

function T.test_round_trips()
  local path = folder .. "/x.npy"
  for _, t in ipairs {
    pl.randn(3, 4), pl.randn(3, 4):t(), pl.tensor({1, -5, 2147483647}, "int32"), pl.tensor(2.5),
    pl.zeros(0, 2), pl.tensor({0, 255}, "uint8"), pl.tensor {0 / 0, 1 / 0, -0.0},
    pl.ones(1, 2, 1, 2, 1, 2, 1, 2),
  } do
    assert(pl.save(path, t))
    local back = assert(pl.load(path))
    eq({back:dtype(), back:size()}, {t:dtype(), t:size()})
    eq(pl.to_bytes(back), pl.to_bytes(t))
  end
  path = folder .. "/x.npz"
  local set = {x = pl.randn(3, 2):t(), ["y/ä"] = pl.ones({2}, "int32"), z = pl.tensor({7}, "uint8")}
  assert(pl.save(path, set))
  local back = assert(pl.load(path))
  for name, t in pairs(set) do eq(pl.to_bytes(back[name]), pl.to_bytes(t)) end
  local first = read_bytes(path)
  assert(pl.save(path, set))
  eq(read_bytes(path) == first, true)
  assert(pl.save(path, {}))
  eq(pl.load(path), {})
end

-- As numpy.save writes them.
function T.test_the_bytes_are_numpys()
  if core.real ~= "float" then return end
  for name, t in pairs {
    ["f4-little"] = pl.tensor(VALUES), ["i4-little"] = pl.tensor(VALUES, "int32"), ["u1-little"] = pl.tensor(VALUES, "uint8"),
    scalar = pl.tensor(1.5), vector = pl.arange(0, 4, "int32"), empty = pl.zeros(0, 3),
  } do
    local path = folder .. "/" .. name .. ".npy"
    assert(pl.save(path, t))
    local want = read_bytes(corpus .. "npy/" .. name .. ".npy")
    -- NumPy leaves room in the header for the first size to grow
    eq(read_bytes(path):gsub(" +\n", "\n"), want:gsub(" +\n", "\n"))
  end
end

function T.test_what_cannot_be_saved()
  fails("save: x.npy is one NumPy array; tensor expected, got table", pl.save, "x.npy", {})
  fails("a plain table of tensors expected, got tensor", pl.save, "x.npz", pl.ones(1))
  fails("got an object", pl.save, "x.npz", pl.nn.Linear(1, 1))
  fails("'a' is a number", pl.save, "x.npz", {a = 1})
  fails("save: x.npz has NumPy arrays by name, such as {x = a, y = b}; got the key 1", pl.save, "x.npz", {pl.ones(1)})
  fails("a tensor alone goes into a .npy file", pl.save, "x.safetensors", pl.ones(1))
  expect_nil("is not UTF-8", pl.save(folder .. "/x.npz", {["\xff"] = pl.ones(1)}))
  eq(core.file_size(folder .. "/x.npz"), nil)
  expect_nil("No such file", pl.save(folder .. "/none/x.npy", pl.ones(1)))
end

function T.test_every_shorter_file_is_refused()
  for _, name in ipairs {"npy/f4-little.npy", "npy/version2.npy", "npz/stored.npz", "npz/deflated.npz"} do
    local whole, path = read_bytes(corpus .. name), folder .. "/short"
    for n = 0, #whole - 1, #whole > 500 and 7 or 1 do
      write_bytes(path, whole:sub(1, n))
      local value, message = pl.load(path)
      eq({n, value}, {n, nil})
      lu.assertStrContains(message, path)
    end
    expect_nil("", pl.load(write_bytes(path, whole .. "\0")))
  end
end

local function with_header(text)
  return write_bytes(folder .. "/x.npy", "\x93NUMPY\1\0" .. ("<s2"):pack(text) .. ("\0"):rep(8))
end

function T.test_lying_headers()
  for text, message in pairs {
    ["{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }"] = "needs 12 bytes of values by its header; there are 8",
    ["{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9), }"] = "impossibly large sizes",
    ["{'descr': '<f4', 'fortran_order': False, 'shape': (0, 9223372036854775807, 9), }"] = "impossibly large sizes",
    ["{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }"] = "is damaged at byte",
    ["{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }"] = "is damaged at byte 62",
    ["{'descr': '<f4', 'fortran_order': 0, 'shape': (2,), }"] = "is damaged at byte",
    ["{'descr': '<f4', 'shape': (2,), }"] = "is damaged at byte",
    ["{'descr': '<f4', 'descr': '<f4', 'shape': (2,), }"] = "is damaged at byte",
    ["{'descr': '<f4', 'fortran_order': False, 'shape': (2), }"] = "is damaged at byte",
    ["{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } x"] = "is damaged at byte",
    ["{'descr': 'f4', 'fortran_order': False, 'shape': (2,), }"] = "of a dtype that cannot be read ('f4')",
    [""] = "is damaged at byte 11",
  } do
    local path = with_header(text)
    expect_nil(path, pl.load(path))
    expect_nil(message, pl.load(path))
  end
  eq(pl.load(with_header "{'shape':(1L,2),'descr':\"<f4\",'fortran_order':True}"):size(), {1, 2})
  expect_nil("version 4 of NumPy's format", pl.load(write_bytes(folder .. "/x", "\x93NUMPY\4\0" .. ("\0"):rep(9))))
  expect_nil("has 4294967295 bytes; 1 can be", pl.load(write_bytes(folder .. "/x", "\x93NUMPY\2\0\xff\xff\xff\xff ")))
end

function T.test_lying_archives()
  local whole, path = read_bytes(corpus .. "npz/stored.npz"), folder .. "/x.npz"
  local directory = whole:find("PK\1\2", 1, true)
  local function with(at, bytes)
    write_bytes(path, whole:sub(1, at - 1) .. bytes .. whole:sub(at + #bytes))
    return pl.load(path)
  end
  expect_nil("has impossible sizes", with(directory + 24, "\xff\xff\xff\x7f"))
  expect_nil("has impossible sizes", with(directory + 42, "\xff\xff\xff\x7f"))
  expect_nil("has impossible sizes", with(directory + 24, "\xff\xff\xff\xff")) -- without a field of zip64
  expect_nil("'x.npy' is encrypted", with(directory + 8, "\1"))
  expect_nil("the checksum of 'x.npy' is wrong", with(directory + 16, "\0\0\0\0"))
  expect_nil("has a zero byte", with(directory + 46, "\0"))
  expect_nil("its directory is cut off", with(directory, "xx"))
  expect_nil("'x.npy' is not where it should be", with(1 + 8, "\8"))
  -- the second member where the first is: what overlaps could unpack to any size
  local second = whole:find("PK\1\2", directory + 1, true)
  expect_nil("overlap", with(second + 42, "\0\0\0\0"))
  expect_nil("two members are named 'x.npy'", with(second + 46, "x"))
  expect_nil("its directory is nowhere", with(#whole - 22 + 1 + 10, "\xff"))
end

function T.test_mapped()
  local path = folder .. "/x.npy"
  local t = pl.randn(6, 3)
  assert(pl.save(path, t))
  local x = assert(pl.data.npy(path))
  eq(x:totable(), t:totable())
  eq({x:size(), (x * 2):totable()}, {{6, 3}, (t * 2):totable()})
  local rows = 0
  for batch in pl.data.batches({x}, {batch_size = 4}) do rows = rows + #batch end
  eq(rows, 6)
  fails("is read only", x.fill_, x, 0)
  eq(assert(pl.data.npy(corpus .. "npy/vector.npy")):totable(), {0, 1, 2, 3, 4})
  if core.real == "float" then
    eq(pl.data.npy(corpus .. "npy/empty.npy"):size(), {0, 3})
    local f = assert(pl.data.npy(corpus .. "npy/fortran.npy"))
    eq({f:totable(), f:is_contiguous()}, {VALUES, false})
  end
  expect_nil("its dtype '<f2' is another one in memory; pl.load reads it", pl.data.npy(corpus .. "npy/f2-little.npy"))
  expect_nil("its dtype '>i4' is another one in memory", pl.data.npy(corpus .. "npy/i4-big.npy"))
  expect_nil("not a NumPy array, but an archive of NumPy arrays; pl.load reads it", pl.data.npy(corpus .. "npz/stored.npz"))
  expect_nil("No such file", pl.data.npy(folder .. "/none"))
  fails("path expected", pl.data.npy, "")
end

function T.test_a_mapped_file_that_is_not_aligned()
  local path = write_bytes(folder .. "/x.npy",
    "\x93NUMPY\1\0" .. ("<s2"):pack "{'descr': '<i4', 'fortran_order': False, 'shape': (1,)}" .. "\1\0\0\0")
  expect_nil("its values begin at byte 65, where none of 4 bytes may", pl.data.npy(path))
  eq(pl.load(path):totable(), {1})
end

function T.test_bytes()
  eq(pl.to_bytes(pl.tensor({1, -2}, "int32")), ("<i4i4"):pack(1, -2))
  eq(pl.to_bytes(pl.tensor({{1, 2}, {3, 4}}, "uint8"):t()), "\1\3\2\4")
  eq(pl.to_bytes(pl.zeros(0)), "")
  local t = pl.randn(2, 3)
  eq(pl.from_bytes(pl.to_bytes(t), "real", {2, 3}):totable(), t:totable())
  eq(pl.from_bytes(pl.to_bytes(t)):size(), {6})
  eq(pl.from_bytes(("<i2i2"):pack(-1, 300), "I16"):totable(), {-1, 300})
  eq(pl.from_bytes(("<d"):pack(0.5), "F64", {1, 1}):totable(), {{0.5}})
  eq(pl.from_bytes("\1\2", "uint8", 2):totable(), {1, 2})
  eq(pl.from_bytes(("<i8"):pack(1 << 40), "I64", nil, {convert = true}):totable(), {1 << 40})
  fails("from_bytes: 3 bytes are no whole number of I16, of 2 bytes each", pl.from_bytes, "abc", "I16")
  fails("from_bytes: I16[3] needs 6 bytes, got 4", pl.from_bytes, "abcd", "I16", {3})
  fails("from_bytes: 'I17' is no dtype", pl.from_bytes, "abcd", "I17")
  fails("size -1 of dim 1 is not possible", pl.from_bytes, "abcd", "I16", {-1, 2})
  fails("the I64 value 1099511627776 at [1] is beyond int32; 'convert'", pl.from_bytes, ("<i8"):pack(1 << 40), "I64")
  fails("string expected, got 1", pl.from_bytes, 1)
  fails("tensor expected, got 'a'", pl.to_bytes, "a")
end

function T.test_a_file_says_what_it_is()
  local function zip_of(name)
    return "PK\3\4" .. ("\0"):rep(22) .. ("<I2I2"):pack(#name, 0) .. name
  end
  for bytes, text in pairs {
    [zip_of "archive/data.pkl" .. "x"] = "but a PyTorch file, of torch.save; "
      .. 'in Python: safetensors.torch.save_file(torch.load("net.pt"), "net.safetensors")',
    ["\x80\2\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\2M\xe9\3."] = "but a PyTorch file, of torch.save; in Python",
    [zip_of "net/data/0" .. "x"] = "but a TorchScript file; in Python: "
      .. 'safetensors.torch.save_file(torch.jit.load("net.pt").state_dict(), "net.safetensors")',
    [zip_of "word/document.xml"] = "but a zip archive",
    [zip_of "[Content_Types].xml"] = "but an Office document; saved as CSV, a table is read by pl.data.csv",
    ["BM\x46\0\0\0\0\0\0\0\x36\0\0\0"] = "but a BMP image", ["RIFF\x24\0\0\0WEBPVP8 "] = "but a RIFF file",
    ["<!DOCTYPE html>\n<html>"] = "but an HTML page", ["SQLite format 3\0"] = "but an SQLite database",
    ["version https://git-lfs.github.com/spec/v1\n"] = "but a pointer of Git LFS; git lfs pull fetches the file",
    [("a"):rep(100, "\0") .. ("\0"):rep(58) .. "ustar"] = "but a tar archive", ["BMI,age\n20,3\n"] = "but text; if",
    ["\x89PNG\r\n\x1a\n"] = "but a PNG image; pl.image.read reads it",
    ["\xff\xd8\xff\xe0....."] = "but a JPEG image", ["\x89HDF\r\n\x1a\n"] = "but an HDF5 file",
    ["\x1f\x8b......."] = "but a gzip file; gunzip unpacks it", ["a,b\n1,2\n3,4"] = "but text; if it is a table, pl.data.csv reads it",
    ["\x80\2}q\1(X\6\0\0"] = "but a Python pickle", ["\0\0\8\1\0\0\0\1x"] = "but an IDX file; pl.data.idx reads it",
  } do
    local path = write_bytes(folder .. "/x", bytes)
    expect_nil(path .. ": not a safetensors file, " .. text, pl.load(path))
  end
  local npy = corpus .. "npy/f4-little.npy"
  expect_nil("not a PNG or JPEG file, but a NumPy array; pl.load reads it", pl.image.read(npy))
  expect_nil("not an IDX file, but a NumPy array; pl.load reads it", pl.data.idx(npy))
  eq({pl.file_kind(npy), pl.file_kind(write_bytes(folder .. "/x", "a,b\n")), pl.file_kind(write_bytes(folder .. "/y", "\1"))},
     {"npy", "text", ""})
  expect_nil("No such file", pl.file_kind(folder .. "/none"))
end

return T
