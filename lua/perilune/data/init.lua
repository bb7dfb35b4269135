--- Data sets and batches. Text is in `data.text`.
--
-- A set of images is a table: `images`, a uint8 tensor [n, h, w] or [n, h, w, 3]; `labels`,
-- an int32 tensor [n] of class indices from 1; `classes`, their names; `name`; and
-- `synthetic`, true for the drawn stand-in.
--
--     local data = require "perilune.data"
--     local train = assert(data.fashion_mnist{split = "train"})
--     for x, y in data.batches(train, {batch_size = 128, mean = 0.286, std = 0.353}) do
--       ...  -- x: real [128, 1, 28, 28], y: int32 [128]
--     end
-- @module perilune.data

local blame = require "perilune.internal.blame"
local check = require "perilune.internal.check"
local option = require "perilune.internal.option"
local core = require "perilune.core"
local cycle = require "perilune.data.cycle"
local synthetic = require "perilune.data.synthetic"

local complain, blaming = blame.complain, blame.blaming
local data = {text = require "perilune.data.text"}

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

--- A tensor in a message: uint8[60000,28,28].
-- @param t tensor
-- @return string
function data.describe(t)
  return ("%s[%s]"):format(t:dtype(), table.concat(t:size(), ","))
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

local function check_seed(who, seed)
  if not math.type(seed) or not math.tointeger(seed) then
    complain("%s: seed: integer expected, got %s", who, tostring(seed))
  end
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
  check_seed("synthetic", o.seed)
  local images, labels = synthetic.draw(o)
  return {images = images, labels = labels, classes = data.fashion_classes,
    name = "drawn garments", synthetic = true}
end

--
-- Parts of a set
--

-- Complains unless the value is a set.
local function check_set(who, set)
  if type(set) ~= "table" or set.images == nil or set.labels == nil then
    complain("%s: set with images and labels expected, got %s", who,
      type(set) == "table" and "a table without them" or type(set))
  end
end

-- The same set with other images and labels.
local function with(set, images, labels)
  local part = {}
  for name, value in pairs(set) do part[name] = value end
  part.images, part.labels = images, labels
  return part
end

--- Some rows of a set, copied.
-- @param set the set
-- @param rows an int32 tensor or a list of row numbers
-- @return the smaller set
function data.subset(set, rows)
  check_set("subset", set)
  if type(rows) == "table" then rows = blaming(core.tensor, rows, "int32") end
  return with(set, blaming(core.index_select, set.images, rows, 1),
              blaming(core.index_select, set.labels, rows, 1))
end

--- Cuts a set in two.
--
-- Without a seed the first images are the first part, and nothing is copied.
-- @param set the set
-- @param first how many images the first part gets, or the fraction of them
-- @param options `seed`: choose them at random with this seed
-- @return the first part
-- @return the rest
function data.split(set, first, options)
  local o = option.read("split", options, {seed = option.absent})
  if o.seed then check_seed("split", o.seed) end
  check_set("split", set)
  local n, count = #set.labels, first
  if type(first) == "number" and first < 1 then count = math.floor(first * n + 0.5) end
  if math.type(count) ~= "integer" or count < 1 or count >= n then
    complain("split: %s of %d images; 1 to %d, or a fraction, expected", tostring(first), n, n - 1)
  end
  if not o.seed then
    return with(set, set.images:slice(1, 1, count), set.labels:slice(1, 1, count)),
      with(set, set.images:slice(1, count + 1, n - count),
        set.labels:slice(1, count + 1, n - count))
  end
  local order = data.permutation(n, o.seed)
  return data.subset(set, order:slice(1, 1, count)),
    data.subset(set, order:slice(1, count + 1, n - count))
end

--- A random order of 1..n that depends on the seed alone.
-- @param n how many
-- @param seed an integer
-- @return an int32 tensor [n]
function data.permutation(n, seed)
  n = check.natural("permutation", "n", n)
  check_seed("permutation", seed)
  local state = core.random_state()
  core.manual_seed(seed)
  local order = core.randperm(n)
  core.set_random_state(state)
  return order
end

--
-- Batches
--

local BATCH_OPTIONS <const> = {
  batch_size = 64, shuffle = true, drop_last = false, flip = false, shift = 0, mean = 0, std = 1,
  transform = option.absent, order = option.absent, skip = 0,
}

--- How many batches `data.batches` gives with the same options, without those to skip.
-- @param set the set
-- @param options `batch_size` (64), `drop_last` (false), `order`
-- @return a whole number
function data.batch_count(set, options)
  check_set("batch_count", set)
  options = options or {}
  local n = #(options.order or set.labels)
  local size = check.count("batch_count", "batch_size", options.batch_size or 64)
  return options.drop_last and n // size or (n + size - 1) // size
end

local function transformed(x, ...)
  if x == nil then complain("batches: transform gave nothing; images and labels expected") end
  return x, ...
end

--- Goes once through a set in batches: `for x, y in data.batches(set, {...}) do`.
--
-- `x` is a real tensor [b, channels, h, w], (pixel / 255 - mean) / std; `y` the int32 labels
-- [b]. The order and the augmentation come from the common stream of random numbers, so a
-- run that restores `random_state` meets the same batches.
-- @param set the set
-- @param options `batch_size` (64); `shuffle` (true); `drop_last` (false): leave out a last
--   batch that is not full; `mean` (0) and `std` (1) of the pixels; `flip` (false): mirror half
--   of the images; `shift` (0): move images by at most that many pixels each way;
--   `transform(x, y)`: a function whose results take the place of x and y; `order`: an int32
--   tensor of rows to use in this order; `skip` (0): how many batches not to make
-- @return the iterator
function data.batches(set, options)
  check_set("batches", set)
  local o = option.read("batches", options, BATCH_OPTIONS)
  local size = check.count("batches", "batch_size", o.batch_size)
  check.natural("batches", "skip", o.skip)
  check.natural("batches", "shift", o.shift)
  local order = o.order
  if order and (not check.is_tensor(order) or order:dtype() ~= "int32" or order:dim() ~= 1) then
    complain("batches: order: int32 tensor [n] expected, got %s",
      check.is_tensor(order) and data.describe(order) or type(order))
  end
  local count = data.batch_count(set, o)
  if not order then
    local n = #set.labels
    order = o.shuffle and core.randperm(n) or core.arange(1, n, "int32")
  end
  local batch, n = o.skip, #order
  return function()
    if batch >= count then return nil end
    local first = batch * size + 1
    batch = batch + 1
    local rows = order:slice(1, first, math.min(size, n - first + 1))
    local x = blaming(core.image_batch, set.images, rows, o)
    local y = blaming(core.index_select, set.labels, rows, 1)
    if o.transform then return transformed(o.transform(x, y)) end
    return x, y
  end
end

--- Batches without end, for trainings that do not count in epochs: `local x, y = c:next()`.
--
-- Each pass through the set has a new order, and leaves out a last batch that is not full.
-- `c.pass` counts the passes from 1, `c.place` the batches of the pass that were given. With
-- `state_dict` and `load_state_dict` it is a part of a job, and goes on where it was.
-- @param set the set
-- @param options as for `batches`: `batch_size` (64), `mean`, `std`, `flip`, `shift`,
--   `transform`
-- @return the cycle
function data.cycle(set, options)
  check_set("cycle", set)
  local o = option.read("cycle", options, {
    batch_size = 64, flip = false, shift = 0, mean = 0, std = 1, transform = option.absent})
  check.count("cycle", "batch_size", o.batch_size)
  o.drop_last = true
  local count = data.batch_count(set, o)
  if count == 0 then
    complain("cycle: batch_size is %d, but the set has %d images", o.batch_size, #set.labels)
  end
  return cycle.new(data.batches, count, set, o)
end

return data
