--- Data sets and batches. Text is in `data.text`.
--
-- A set is a table of tensors of any dtypes with equal first size, by position, `{x, y}`, or by
-- name, `{inputs = x, targets = y}`; other fields describe it, and its parts keep them.
--
--     local data = require "perilune.data"
--     local train, test = data.split({pl.randn(100, 3), pl.randn(100)}, 0.8, {seed = 1})
--     for x, y in data.batches(train, {batch_size = 32}) do
--       ...  -- x: real [32, 3], y: real [32]; the last batch is smaller
--     end
--
-- A set of images has `images`, a uint8 tensor [n, h, w] or [n, h, w, 3]; `labels`, an int32
-- tensor [n] of class indices from 1; `classes`, their names; `name`; and `synthetic`, true for
-- the drawn stand-in.
--
--     local train = assert(data.fashion_mnist{split = "train"})
--     for x, y in data.batches(train, {batch_size = 128, mean = 0.286, std = 0.353}) do
--       ...  -- x: real [128, 1, 28, 28], y: int32 [128]
--     end
-- @module perilune.data

local check = require "perilune.internal.check"
local option = require "perilune.internal.option"
local core = require "perilune.core"
local batches = require "perilune.data.batches"
local combine = require "perilune.data.combine"
local csv = require "perilune.data.csv"
local csv_write = require "perilune.data.csv_write"
local entries = require "perilune.data.entries"
local parts = require "perilune.data.parts"
local ragged = require "perilune.data.ragged"
local split = require "perilune.data.split"
local standard = require "perilune.data.standard"
local synthetic = require "perilune.data.synthetic"
local unknown = require "perilune.internal.unknown"

local complain = require("perilune.internal.blame").complain
local data = {
  text = unknown.guard("pl.data.text", require "perilune.data.text"),
  describe = entries.describe,
  batches = batches.batches, batch_count = batches.batch_count, cycle = batches.cycle,
  count = parts.count, subset = parts.subset, take = parts.take, shuffle = parts.shuffle,
  csv = csv.read, csv_rows = csv.rows, write_csv = csv_write.write,
  statistics = standard.statistics, standardise = standard.standardise,
  unstandardise = standard.unstandardise,
  split = split.split, folds = split.folds, permutation = parts.permutation,
  concat = combine.concat, map = combine.map, balance = combine.balance,
  ragged = ragged.new, bucket = ragged.bucket,
}

local known = {} -- the rows of sets.lua, by name
for _, row in ipairs(require "perilune.data.sets") do known[row.name] = row end

--- The names of Fashion-MNIST's classes, in the order of their labels.
data.fashion_classes = known["fashion-mnist"].classes

local SPLITS <const> = {train = "train", test = "t10k"}
local SYNTHETIC <const> = {train = {n = 6000, seed = 1}, test = {n = 1000, seed = 2}}

--
-- Finding and reading
--

-- The path itself or its compressed form, whichever is there.
local function existing(path)
  for _, candidate in ipairs {path, path .. ".gz"} do
    if core.file_size(candidate) then return candidate end
  end
end

local function folders(given)
  if given then return {given} end
  local home = os.getenv "XDG_DATA_HOME"
  if not home or home == "" then home = (os.getenv "HOME" or "") .. "/.local/share" end
  local list = {"./data", home .. "/perilune"}
  local chosen = os.getenv "PERILUNE_DATA"
  if chosen and chosen ~= "" then table.insert(list, 1, chosen) end
  return list
end

--- Finds the folder that holds a data file.
--
-- Looks into `folder` alone if it is given, else into `$PERILUNE_DATA`, `./data` and
-- `${XDG_DATA_HOME:-~/.local/share}/perilune`.
-- @param folder or nil
-- @param file the file that must be in it, for instance "ptb/ptb.train.txt"; it may also
--   be there with `.gz` at its end
-- @return the path of the file, or nil and a message that says where it was looked for and
--   which command fetches it
function data.find(folder, file)
  local list = folders(folder)
  for _, place in ipairs(list) do
    local path = existing(place .. "/" .. file)
    if path then return path end
  end
  return nil, ("%s is not in %s; scripts/fetch-data.sh fetches it, --data synthetic does without")
    :format(file, table.concat(list, ", "))
end

--- Reads an IDX file, plain or compressed with gzip.
-- @param path the file
-- @return a uint8 or int32 tensor, or nil and a message
function data.idx(path)
  check.path("idx", path)
  return core.read_idx(path)
end

--- A NumPy array in its file's own memory, for arrays larger than memory: nothing is read before it
-- is used, and nobody can change it.
--
--     local images = assert(data.npy "images.npy")   -- uint8 [1000000, 64, 64]
--     for batch in data.batches {images} do ... end
--
-- Of float32 (in a build with double float64), int32 and uint8 in this machine's byte order;
-- `pl.load` reads the others. `pl.memory` counts all of it. The file must stay as it is meanwhile:
-- what shortens it ends the program.
-- @param path the .npy file
-- @return tensor, or nil and a message
function data.npy(path)
  check.path("npy", path)
  return core.map_npy(path)
end

-- Images and labels must be of the same set.
local function check_pair(images, labels, image_path, label_path)
  if images:dtype() ~= "uint8" or images:dim() ~= 3 then
    return nil, ("%s: %s; images [n,h,w] expected"):format(image_path, data.describe(images))
  elseif labels:dtype() ~= "uint8" or labels:dim() ~= 1 then
    return nil, ("%s: %s; labels [n] expected"):format(label_path, data.describe(labels))
  elseif #images ~= #labels then
    return nil, ("%s has %d images but %s has %d labels"):format(image_path, #images, label_path,
      #labels)
  end
  return true
end

--- Reads a set of images and labels from two IDX files.
-- @param image_path uint8 [n, h, w]
-- @param label_path uint8 [n], classes counted from 0 in the file
-- @param classes the names of the classes
-- @return the set, its labels counted from 1, or nil and a message
function data.read_pair(image_path, label_path, classes)
  local images, image_error = data.idx(image_path)
  if not images then return nil, image_error end
  local labels, label_error = data.idx(label_path)
  if not labels then return nil, label_error end
  local ok, message = check_pair(images, labels, image_path, label_path)
  if not ok then return nil, message end
  labels = labels:to("int32")
  local highest = labels:to("real"):amax():item()
  if highest >= #classes then
    return nil, ("%s: label %d; 0 to %d expected"):format(label_path, highest, #classes - 1)
  end
  return {images = images, labels = labels:add_(1), classes = classes, synthetic = false}
end

local function known_images()
  local names = {}
  for name, row in next, known do
    if row.kind == "images" then names[#names + 1] = name end
  end
  table.sort(names)
  return table.concat(names, ", ")
end

local function read_images(who, row, o)
  local stem = SPLITS[o.split]
  if not stem then complain("%s: split '%s'; 'train' or 'test' expected", who, o.split) end
  if o.data == "synthetic" then
    if row.name ~= "fashion-mnist" then
      complain("%s: there are no drawn images for '%s', only for 'fashion-mnist'", who, row.name)
    end
    local default = SYNTHETIC[o.split]
    return data.synthetic {n = o.n or default.n, seed = default.seed}
  end
  local images, why = data.find(o.data, ("%s/%s-images-idx3-ubyte"):format(row.name, stem))
  if not images then return nil, why end
  local labels, why_labels = data.find(o.data, ("%s/%s-labels-idx1-ubyte"):format(row.name, stem))
  if not labels then return nil, why_labels end
  local set, message = data.read_pair(images, labels, row.classes)
  if not set then return nil, message end
  set.name = row.title .. " " .. o.split
  return set
end

--- One of the sets of images that scripts/fetch-data.sh fetches: "fashion-mnist" or "mnist".
--
--     local train = assert(data.images {name = "mnist"})
-- @param options `name`; `split`, "train" (the default) or "test"; `data`, the folder to look in
--   (see `data.find`), or, for Fashion-MNIST, "synthetic" for drawn images (see
--   `data.synthetic`); `n`, how many of those. It is an error if no set has the name.
-- @return the set, or nil and a message
function data.images(options)
  local o = option.read("images", options,
    {name = option.required, data = option.absent, split = "train", n = option.absent})
  local row = known[o.name]
  if not row or row.kind ~= "images" then
    complain("images: there is no set '%s'; known are %s", tostring(o.name), known_images())
  end
  return read_images("images", row, o)
end

--- Fashion-MNIST: 60,000 and 10,000 grey images of clothes, 28 x 28, in ten classes.
-- @param options as of `data.images`, without the name
-- @return the set, or nil and a message
function data.fashion_mnist(options)
  return read_images("fashion_mnist", known["fashion-mnist"], option.read("fashion_mnist", options,
    {data = option.absent, split = "train", n = option.absent}))
end

--- A drawn stand-in for Fashion-MNIST: the same ten classes as simple shapes.
--
-- Deterministic, and without effect on the random numbers of the caller.
-- @param options `n` images (1000), `seed` (1), `size` of an image's side (28)
-- @return the set
function data.synthetic(options)
  local o = option.read("synthetic", options, {n = 1000, seed = 1, size = 28})
  check.count("synthetic", "n", o.n)
  check.count("synthetic", "size", o.size)
  check.seed("synthetic", o.seed)
  local images, labels = synthetic.draw(o)
  return {images = images, labels = labels, classes = data.fashion_classes,
    name = "drawn garments", synthetic = true}
end

return unknown.guard("pl.data", data)
