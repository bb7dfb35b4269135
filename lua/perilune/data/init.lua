--- Data sets and batches. Text is in `data.text`.
--
-- A set is a table of tensors of any dtypes with equal first size, by position, `{x, y}`, or by
-- name, `{inputs = x, targets = y}`; other fields describe it, and its parts keep them. Rows of
-- different lengths are an entry too, by `data.ragged`.
--
--     local data = require "perilune.data"
--     local train, test = data.split({pl.randn(100, 3), pl.randn(100)}, 0.8, {seed = 1})
--     for x, y in data.batches(train, {batch_size = 32}) do
--       ...  -- x: real [32, 3], y: real [32]; the last batch is smaller
--     end
--
-- A set of images has `images`, a uint8 tensor [n, h, w] or [n, h, w, 3]; `labels`, an int32
-- tensor [n] of class indices from 1; `classes`, their names; `name`; of known sets what
-- `data.about` says; and `synthetic`, true for the drawn stand-in.
--
--     local train = assert(data.fashion_mnist{split = "train"})
--     for x, y in data.batches(train, {batch_size = 128, mean = train.mean, std = train.std}) do
--       ...  -- x: real [128, 1, 28, 28], y: int32 [128]
--     end
-- @module perilune.data

local batches = require "perilune.data.batches"
local combine = require "perilune.data.combine"
local csv = require "perilune.data.csv"
local csv_write = require "perilune.data.csv_write"
local entries = require "perilune.data.entries"
local folder = require "perilune.data.folder"
local images = require "perilune.data.images"
local parts = require "perilune.data.parts"
local ragged = require "perilune.data.ragged"
local split = require "perilune.data.split"
local standard = require "perilune.data.standard"
local unknown = require "perilune.internal.unknown"

local data = {
  text = unknown.guard("pl.data.text", require "perilune.data.text"),
  describe = entries.describe,
  batches = batches.batches, batch_count = batches.batch_count, cycle = batches.cycle,
  count = parts.count, subset = parts.subset, take = parts.take, shuffle = parts.shuffle,
  csv = csv.read, csv_rows = csv.rows, write_csv = csv_write.write,
  statistics = standard.statistics, standardise = standard.standardise,
  unstandardise = standard.unstandardise,
  folder = folder.read, pictures = folder.pictures,
  split = split.split, folds = split.folds, permutation = parts.permutation,
  concat = combine.concat, map = combine.map, balance = combine.balance,
  ragged = ragged.new, bucket = ragged.bucket,
  find = images.find, idx = images.idx, npy = images.npy, read_pair = images.read_pair,
  images = images.images, about = images.about, image_sets = images.names,
  synthetic = images.synthetic,
}

--- The names of Fashion-MNIST's classes, in the order of their labels.
data.fashion_classes = images.about("fashion-mnist").classes

--- The set of images of this name, as `data.images` gives it: `data.mnist()` is
-- `data.images {name = "mnist"}`.
-- @param options as of `data.images`, without the name
-- @return the set, or nil and a message
for _, row in ipairs(images.all()) do
  data[row.key] = function(options) return images.read(row, row.key, options) end
end

--- Makes a set of images known by a name of one's own, to `data.NAME`, `data.images`, and
-- experiments.
--
--     data.register {
--       name = "road-signs", title = "Road signs", classes = {"stop", "yield", "no entry"},
--     }
--     local train = assert(data.road_signs {split = "train"})
--
-- Without `read` the images are those of the folder NAME within the folder of `data.find`, in the
-- files train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
-- t10k-labels-idx1-ubyte, plain or with `.gz` at their ends.
-- @param row `name`, a word with letters, digits and `-`, which is `_` in `data.NAME`; `classes`,
--   the list of their names; `title` (the name); `mean` and `std` of the pixels of the training
--   part, divided by 255; `mirrored` (false): a mirrored image is one of the same class; `read`: a
--   function of `split` and `data`, the options of `data.images`, that gives the set, or nil and a
--   message
function data.register(row)
  local known = images.register(row, data)
  --- The set of images that was registered under this name, as `data.images` gives it.
  -- @param options as of `data.images`, without the name
  -- @return the set, or nil and a message
  local function registered(options)
    return images.read(known, known.key, options)
  end
  data[known.key] = registered
end

return unknown.guard("pl.data", data)
