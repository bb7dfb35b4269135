--- JPEG files: what Pillow wrote and reads (oracle_images.lua), and what is damaged.

local lu = require "luaunit"
local pl = require "perilune"
local core = require "perilune.core"
local oracle = require "oracle_images"

local T = {}
local image = pl.image
local eq = lu.assertEquals

local folder = os.tmpname()
os.remove(folder)
if core.file_size "/dev/shm" then folder = folder:gsub("^.*/", "/dev/shm/") end
local path = folder .. "/image.jpg"

local function write_bytes(bytes)
  local file <close> = assert(io.open(path, "wb"))
  file:write(bytes)
end

local function read_bytes()
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

local function bytes_of(case)
  return (case.bytes:gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end))
end

local cases = {}
for _, case in ipairs(oracle.jpegs) do cases[case.name] = bytes_of(case) end

function T.setUp()
  assert(core.mkdir(folder))
  write_bytes(cases.baseline)
  local _, message = image.read(path)
  if message and message:find "built without libjpeg" then lu.skip "no libjpeg" end
end
function T.tearDown() os.execute("rm -rf '" .. folder .. "'") end

local function expect_nil(text, ...)
  local value, message = ...
  eq(value, nil)
  lu.assertStrContains(message, text)
  lu.assertStrContains(message, path)
  lu.assertNotStrContains(message, "\n")
end

local function corners(t)
  local h, w = t:size(1), t:size(2)
  local list = {}
  for _, place in ipairs {{1, 1}, {1, w}, {h, 1}, {h, w}} do
    table.move(t:reshape(h, w, -1)[place]:totable(), 1, 3, #list + 1, list)
  end
  return list
end

function T.test_what_pillow_reads()
  for _, case in ipairs(oracle.jpegs) do
    write_bytes(cases[case.name])
    local t = assert(image.read(path))
    eq(t:dtype(), "uint8")
    eq(t:size(), case.size, case.name)
    eq(corners(t), case.corners, case.name)
    eq(t:to("int32"):sum():item(), case.sum, case.name)
  end
end

function T.test_modes()
  for _, name in ipairs {"baseline", "gray", "cmyk"} do
    write_bytes(cases[name])
    local grey, rgb = image.read(path, {mode = "gray"}), image.read(path, {mode = "rgb"})
    eq(grey:size(), {10, 13})
    eq(rgb:size(), {10, 13, 3})
    eq(image.read(path, {mode = "rgba"}):size(), {10, 13, 4})
    lu.assertTrue((image.to_gray(rgb):to "int32" - grey:to "int32"):abs():max():item() <= 3)
  end
end

function T.test_written_files_come_back()
  local x = pl.linspace(0, 1, 40):reshape(1, 40):expand(30, 40)
  for _, name in ipairs {"a.jpg", "a.JPEG"} do
    local file = folder .. "/" .. name
    assert(image.write(file, x, {quality = 95}))
    lu.assertTrue((assert(image.read(file)):to "real" / 255 - x):abs():max():item() < 0.03)
    assert(image.write(file, pl.stack({x, x, 1 - x}, 3)))
    eq(image.read(file):size(), {30, 40, 3})
  end
  assert(image.write(path, pl.stack({x, x, 1 - x}, 3), {quality = 5}))
  local small = #read_bytes()
  assert(image.write(path, pl.stack({x, x, 1 - x}, 3), {quality = 100}))
  lu.assertTrue(#read_bytes() > small)
end

function T.test_refused_tensors()
  expect_nil("cannot write uint8[2,2,4] as a JPEG; uint8 or real [h,w] or [h,w,3] expected",
    image.write(path, pl.zeros({2, 2, 4}, "uint8")))
  expect_nil("a JPEG has at most 65500 each way", image.write(path, pl.zeros({1, 65501}, "uint8")))
end

function T.test_every_shorter_file()
  for _, name in ipairs {"baseline", "progressive", "restarts", "gray", "exif 6"} do
    for n = 0, #cases[name] - 1 do
      write_bytes(cases[name]:sub(1, n))
      expect_nil(n < 3 and "not a PNG or JPEG file" or "damaged JPEG", image.read(path))
    end
    write_bytes(cases[name] .. "what a camera adds")
    lu.assertNotNil(image.read(path))
  end
end

-- The place of a marker's data, behind its length.
local function marker(bytes, code)
  local at = assert(bytes:find(string.char(0xff, code), 1, true))
  return at + 4
end

local function with(bytes, at, new) return bytes:sub(1, at - 1) .. new .. bytes:sub(at + #new) end

function T.test_sizes_that_lie()
  local at = marker(cases.baseline, 0xc0) + 1
  for size, text in pairs {
    ["\255\220\255\220"] = "65500 x 65500 pixels; at most 100000000 pixels expected",
    ["\39\16\39\16"] = "10000 x 10000 pixels cannot be in", ["\0\32\0\32"] = "damaged JPEG",
    ["\0\0\0\1"] = "damaged JPEG"} do
    write_bytes(with(cases.baseline, at, size))
    expect_nil(text, image.read(path))
  end
end

function T.test_no_entropy_coding_but_huffman()
  local at = marker(cases.baseline, 0xc0)
  write_bytes(with(cases.baseline, at - 3, "\xc9")) -- a frame in arithmetic coding
  expect_nil("arithmetic coding", image.read(path))
end

-- "Exif", the byte order, where the list is, how many entries, and one of them.
local function exif(first, count, entry)
  return "Exif\0\0II\42\0" .. ("<I4I2"):pack(first, count) .. entry
end

local function orientation(kind, value) return ("<I2I2I4I2I2"):pack(0x112, kind, 1, value, 0) end

local function with_exif(data)
  local bytes = cases["exif 1"]
  local at = bytes:find("\xff\xe1", 1, true)
  local length = (">I2"):unpack(bytes, at + 2)
  return bytes:sub(1, at + 1) .. (">I2"):pack(#data + 2) .. data .. bytes:sub(at + 2 + length)
end

-- What is said in a way that EXIF does not know counts as upright.
function T.test_odd_exif()
  for data, size in pairs {
    [exif(8, 1, orientation(3, 6))] = {9, 5, 3},
    [exif(8, 1, orientation(3, 0))] = {5, 9, 3}, [exif(8, 1, orientation(3, 9))] = {5, 9, 3},
    [exif(8, 1, orientation(4, 6))] = {5, 9, 3}, [exif(8, 65535, "")] = {5, 9, 3},
    [exif(8, 65535, orientation(3, 8))] = {9, 5, 3},
    [exif(0, 1, orientation(3, 6))] = {5, 9, 3}, -- a list that begins within its own header
    [exif(0xffffffff, 1, orientation(3, 6))] = {5, 9, 3}, [exif(8, 1, "\x12\1")] = {5, 9, 3},
    ["Exif\0\0"] = {5, 9, 3}, ["Exif\0\0XX\42\0\8\0\0\0\1\0" .. orientation(3, 6)] = {5, 9, 3},
    ["Exif\0\0MM\0\42\0\0\0\8\0\1" .. (">I2I2I4I2I2"):pack(0x112, 3, 1, 6, 0)] = {9, 5, 3}} do
    write_bytes(with_exif(data))
    eq(assert(image.read(path)):size(), size)
  end
end

function T.test_kinds_of_files()
  local archive = pl.save and folder .. "/a.safetensors"
  assert(pl.save(archive, {a = pl.zeros(2)}))
  local value, message = image.read(archive)
  eq(value, nil)
  lu.assertStrContains(message, "not a PNG or JPEG file, but a safetensors file")
  lu.assertStrContains(select(2, pl.load(path)), "a JPEG image; pl.image.read reads it")
end

return T
