--- Images: PNG files, channels, and grids of tensors.

local lu = require "luaunit"
local pl = require "perilune"
local core = require "perilune.core"

local T = {}
local image = pl.image
local eq, fails = lu.assertEquals, lu.assertErrorMsgContains

-- In memory if there is such a place: many small files are written.
local folder = os.tmpname()
os.remove(folder)
if core.file_size "/dev/shm" then folder = folder:gsub("^.*/", "/dev/shm/") end
local path = folder .. "/image.png"

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

-- The same bytes with one bit changed.
local function flipped(whole, at, bit)
  return whole:sub(1, at - 1) .. string.char(whole:byte(at) ~ 1 << bit) .. whole:sub(at + 1)
end

local function noise(...)
  return pl.randint(0, 255, {...}, "uint8")
end

--
-- Files
--

function T.test_round_trips()
  for _, size in ipairs {{1, 1}, {3, 5}, {28, 28}, {200, 3}, {1, 1, 3}, {7, 4, 3}, {64, 65, 3}} do
    local t = noise(table.unpack(size))
    eq(image.write(path, t), true)
    local back = assert(image.read(path))
    eq(back:dtype(), "uint8")
    eq(back:totable(), t:totable())
  end
end

function T.test_every_grey_value()
  local t = pl.arange(0, 255, "uint8"):reshape(16, 16)
  assert(image.write(path, t))
  eq(image.read(path):totable(), t:totable())
end

function T.test_real_images()
  assert(image.write(path, pl.tensor {{0, 1, 0.5}, {-3, 7, 0 / 0}}))
  eq(image.read(path):totable(), {{0, 255, 128}, {0, 255, 0}})
  local t = pl.arange(0, 255):reshape(16, 16) / 255
  assert(image.write(path, t))
  eq(image.read(path):flatten():totable(), pl.arange(0, 255, "uint8"):totable())
end

function T.test_views()
  local t = noise(3, 4, 6)
  local view = t:permute(2, 3, 1)
  assert(image.write(path, view))
  eq(image.read(path):totable(), view:totable())
  assert(image.write(path, t[1]:flip()))
  eq(image.read(path):totable(), t[1]:flip():totable())
end

function T.test_refused_tensors()
  for _, t in ipairs {pl.ones(3), pl.ones(2, 2, 2), pl.ones({2, 2}, "int32"),
                      pl.ones(2, 2, 3, 1)} do
    expect_nil("uint8 or real [h,w], [h,w,3] or [h,w,4] expected", image.write(path, t))
  end
  expect_nil("1 to 100000000 pixels expected", image.write(path, pl.zeros({0, 4}, "uint8")))
  expect_nil("1 to 100000000 pixels expected",
             image.write(path, pl.zeros({1, 1}, "uint8"):expand(20000, 20000)))
  fails("tensor expected, got table", image.write, path, {})
  eq(io.open(path), nil)
end

function T.test_files_that_cannot_be_written()
  local t = noise(4, 4)
  expect_nil("cannot write /dev/full: No space left on device", image.write("/dev/full", t))
  expect_nil("No such file or directory", image.write(folder .. "/none/a.png", t))
  expect_nil("cannot write " .. folder, image.write(folder, t))
  eq(io.popen("ls -A '" .. folder .. "'"):read "a", "")
end

function T.test_files_that_cannot_be_read()
  expect_nil("No such file or directory", image.read(path))
  expect_nil("not a regular file", image.read(folder))
  write_bytes(path, "")
  expect_nil("not a PNG or JPEG file", image.read(path))
  write_bytes(path, ("x"):rep(100))
  expect_nil("not a PNG or JPEG file", image.read(path))
end

function T.test_every_shorter_file_and_every_flipped_bit()
  assert(image.write(path, noise(3, 2)))
  local whole = read_bytes(path)
  for n = 0, #whole - 1 do
    write_bytes(path, whole:sub(1, n))
    expect_nil(path, image.read(path))
  end
  for at = 1, #whole do
    for bit = 0, 7 do
      write_bytes(path, flipped(whole, at, bit))
      expect_nil(path, image.read(path))
    end
  end
  write_bytes(path, whole .. "\0")
  expect_nil("1 bytes follow the end of the PNG", image.read(path))
end

--
-- Channels
--

function T.test_alpha()
  local t = pl.tensor({{{255, 0, 0, 255}, {0, 0, 255, 0}}}, "uint8")
  assert(image.write(path, t))
  eq(image.read(path, {mode = "rgba"}):totable(), t:totable())
  eq(image.read(path):totable(), {{{255, 0, 0}, {255, 255, 255}}}) -- on white
  eq(image.read(path, {mode = "gray"}):totable(), {{76, 255}})
end

-- As Pillow composes it with white, and then converts it to L.
function T.test_half_transparent()
  local t = pl.tensor({{{0, 0, 0, 128}, {255, 200, 0, 200}, {10, 20, 30, 1}, {10, 20, 30, 254}}}, "uint8")
  assert(image.write(path, t))
  eq(image.read(path, {mode = "rgba"}):totable(), t:totable())
  local rgb = {{{127, 127, 127}, {255, 212, 55}, {254, 254, 254}, {11, 21, 31}}}
  eq(image.read(path):totable(), rgb)
  eq(image.read(path, {mode = "rgb"}):totable(), rgb)
  eq(image.read(path, {mode = "gray"}):totable(), {{127, 207, 254, 19}})
end

function T.test_modes()
  local grey, colour = noise(3, 4), pl.tensor({{{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {9, 9, 9}}}, "uint8")
  assert(image.write(path, grey))
  eq(image.read(path, {mode = "gray"}):totable(), grey:totable())
  eq(image.read(path, {mode = "rgb"}):totable(), pl.stack({grey, grey, grey}, 3):totable())
  eq(image.read(path, {mode = "rgba"}):select(3, 4):totable(), pl.full({3, 4}, 255, "uint8"):totable())
  assert(image.write(path, colour))
  eq(image.read(path, {mode = "gray"}):totable(), {{76, 150, 29, 9}}) -- as Pillow converts to L
end

function T.test_options_are_checked()
  assert(image.write(path, noise(2, 2)))
  for _, mode in ipairs {"RGB", "grey", 3, true} do
    fails("read: mode is " .. tostring(mode) .. "; 'gray', 'rgb' or 'rgba' expected", image.read, path, {mode = mode})
  end
  fails("moda", image.read, path, {moda = "rgb"})
  for _, quality in ipairs {0, 101, 50.5, "high"} do
    fails("write: quality is " .. quality .. "; 1 to 100 expected", image.write, path, noise(2, 2), {quality = quality})
  end
end

--
-- Grids
--

function T.test_grid()
  local t = pl.tensor({{{1, 2}, {3, 4}}, {{5, 6}, {7, 8}}, {{9, 10}, {11, 12}}}, "uint8")
  eq(image.grid(t, {columns = 2, padding = 0, background = 0}):totable(),
     {{1, 2, 5, 6}, {3, 4, 7, 8}, {9, 10, 0, 0}, {11, 12, 0, 0}})
  eq(image.grid(t, {columns = 3, padding = 1, background = 0}):size(), {4, 10})
  eq(image.grid(t):size(), {2 * 4 + 2, 2 * 4 + 2})
  eq(image.grid(t, {columns = 9, padding = 0}):size(), {2, 6})
  eq(image.grid(t)[1][1], 255)
end

function T.test_grid_layouts()
  local real = pl.rand(4, 3, 5, 6)
  local grid = image.grid(real, {padding = 0})
  eq(grid:size(), {10, 12, 3})
  eq(grid[{1, 7, 2}], math.floor(real[{2, 2, 1, 1}] * 255 + 0.5))
  eq(image.grid(real:permute(1, 3, 4, 2), {padding = 0}):totable(), grid:totable())
  eq(image.grid(pl.rand(4, 1, 5, 6), {padding = 0}):size(), {10, 12})
  eq(image.grid((pl.rand(2, 3, 3)):requires_grad_()):dtype(), "uint8")
end

return T
