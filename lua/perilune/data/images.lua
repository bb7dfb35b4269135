--- Sets of images: those that are known by name, finding and reading them, and drawn stand-ins
-- (internal; use `perilune.data`).
-- @module perilune.data.images

local check = require "perilune.internal.check"
local core = require "perilune.core"
local entries = require "perilune.data.entries"
local option = require "perilune.internal.option"
local synthetic = require "perilune.data.synthetic"
local words = require "perilune.internal.words"

local complain = require("perilune.internal.blame").complain
local images = {}

local STEMS <const> = {train = "train", test = "t10k"} -- of the files of a split
local DRAWN <const> = {train = {n = 6000, seed = 1}, test = {n = 1000, seed = 2}}

-- The rows of sets.lua, and of sets that are registered, by name; `key` is the name in `pl.data`.
local known = {}
for _, row in ipairs(require "perilune.data.sets") do
  known[row.name] = row
  row.key = row.name:gsub("-", "_")
end

--
-- Files
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
-- @return the path of the file, or nil and a message that says where it was looked for and, of
--   sets that are fetched, which command fetches it
function images.find(folder, file)
  local list = folders(folder)
  for _, place in ipairs(list) do
    local path = existing(place .. "/" .. file)
    if path then return path end
  end
  local row = known[file:match "^[^/]*"]
  return nil, ("%s is not in %s%s"):format(file, table.concat(list, ", "), row and row.urls
    and "; scripts/fetch-data.sh fetches it, --data synthetic does without" or "")
end

--- Reads an IDX file, plain or compressed with gzip.
-- @param path the file
-- @return a uint8 or int32 tensor, or nil and a message
function images.idx(path)
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
-- what shortens it ends the program, so a host with a policy refuses a file that the script may
-- write.
-- @param path the .npy file
-- @return tensor, or nil and a message
function images.npy(path)
  check.path("npy", path)
  return core.map_npy(path)
end

-- Images and labels must be of the same set.
local function check_pair(pixels, labels, image_path, label_path)
  if pixels:dtype() ~= "uint8" or pixels:dim() ~= 3 then
    return nil, ("%s: %s; images [n,h,w] expected"):format(image_path, entries.describe(pixels))
  elseif labels:dtype() ~= "uint8" or labels:dim() ~= 1 then
    return nil, ("%s: %s; labels [n] expected"):format(label_path, entries.describe(labels))
  elseif #pixels ~= #labels then
    return nil, ("%s has %d images but %s has %d labels"):format(image_path, #pixels, label_path,
      #labels)
  end
  return true
end

--- Reads a set of images and labels from two IDX files.
-- @param image_path uint8 [n, h, w]
-- @param label_path uint8 [n], classes counted from 0 in the file
-- @param classes the names of the classes
-- @return the set, its labels counted from 1, or nil and a message
function images.read_pair(image_path, label_path, classes)
  local pixels, image_error = images.idx(image_path)
  if not pixels then return nil, image_error end
  local labels, label_error = images.idx(label_path)
  if not labels then return nil, label_error end
  local ok, message = check_pair(pixels, labels, image_path, label_path)
  if not ok then return nil, message end
  labels = labels:to("int32")
  local highest = labels:to("real"):amax():item()
  if highest >= #classes then
    return nil, ("%s: label %d; 0 to %d expected"):format(label_path, highest, #classes - 1)
  end
  return {images = pixels, labels = labels:add_(1), classes = classes, synthetic = false}
end

--
-- Known sets
--

--- The rows of all sets of images (internal).
-- @return list, in order of their names
function images.all()
  local list = {}
  for _, name in ipairs(words.sorted_keys(known)) do
    if known[name].kind == "images" then list[#list + 1] = known[name] end
  end
  return list
end

--- The names of the sets of images that `data.images` knows.
-- @return list of strings, sorted
function images.names()
  local names = {}
  for i, row in ipairs(images.all()) do names[i] = row.name end
  return names
end

local function row_of(who, name)
  local row = known[name]
  if row and row.kind == "images" then return row end
  complain("%s: there is no set '%s'; known are %s", who, tostring(name),
    table.concat(images.names(), ", "))
end

local FACTS <const> = {"classes", "mean", "mirrored", "std", "title"} -- that sets have too

-- What is known of a set; lists are copied.
local function facts_of(row, into)
  for _, fact in ipairs(FACTS) do
    local value = row[fact]
    if type(value) == "table" then value = table.move(value, 1, #value, 1, {}) end
    if into[fact] == nil then into[fact] = value end
  end
  return into
end

--- What is known of a set of images without reading it.
--
--     local about = data.about "mnist"
--     for x, y in data.batches(train, {mean = about.mean, std = about.std}) do ... end
-- @param name of the set; it is an error if no set has it
-- @return table: `name`; `title`; `classes`, their names; `mean` and `std` of the pixels of the
--   training part, divided by 255; `mirrored`, whether a mirrored image is one of the same class.
--   The sets that are read have these fields as well
function images.about(name)
  local row = row_of("about", name)
  return facts_of(row, {name = row.name})
end

local function draw(who, row, o)
  if not row.drawn then
    local drawn = {}
    for _, other in ipairs(images.all()) do drawn[#drawn + 1] = other.drawn and other.name end
    complain("%s: there are no drawn images for '%s'; for %s there are", who, row.name,
      table.concat(drawn, ", "))
  end
  local default = DRAWN[o.split]
  return images.synthetic {n = o.n or default.n, seed = default.seed, set = row.name}
end

local function read_files(row, o)
  local stem, paths = STEMS[o.split], {}
  for i, name in ipairs {"images-idx3", "labels-idx1"} do
    local path, message = images.find(o.data, ("%s/%s-%s-ubyte"):format(row.name, stem, name))
    if not path then return nil, message end
    paths[i] = path
  end
  return images.read_pair(paths[1], paths[2], row.classes)
end

-- The set of a row.
local function read(who, row, o)
  if not STEMS[o.split] then
    complain("%s: split '%s'; 'train' or 'test' expected", who, o.split)
  end
  if o.data == "synthetic" then return draw(who, row, o) end
  local set, message
  if row.read then
    set, message = row.read {split = o.split, data = o.data}
    if set then entries.read(("%s: what read gave"):format(who), set) end
  else
    set, message = read_files(row, o)
  end
  if not set then return nil, message end
  set.name = set.name or row.title .. " " .. o.split
  return facts_of(row, set)
end

local READ_OPTIONS <const> = {data = option.absent, split = "train", n = option.absent}

--- Reads the set of a row (internal).
-- @param row as in sets.lua
-- @param who the function's name
-- @param options as of `images`, without the name
-- @return the set, or nil and a message
function images.read(row, who, options)
  return read(who, row, option.read(who, options, READ_OPTIONS))
end

--- One of the sets of images that are known by name: those that scripts/fetch-data.sh fetches,
-- "fashion-mnist" and "mnist", and those of `data.register`.
--
--     local train = assert(data.images {name = "mnist"})
-- @param options `name`; `split`, "train" (the default) or "test"; `data`, the folder to look in
--   (see `data.find`), or "synthetic" for drawn images (see `data.synthetic`); `n`, how many of
--   those. It is an error if no set has the name.
-- @return the set, or nil and a message
function images.images(options)
  local o = option.read("images", options,
    {name = option.required, data = option.absent, split = "train", n = option.absent})
  return read("images", row_of("images", o.name), o)
end

--- A drawn stand-in for a set of images: the same classes as simple shapes.
--
-- Deterministic, and without effect on the random numbers of the caller.
-- @param options `n` images (1000), `seed` (1), `size` of an image's side (28), `set`:
--   "fashion-mnist" (the default), for garments, or "mnist", for digits
-- @return the set
function images.synthetic(options)
  local o = option.read("synthetic", options,
    {n = 1000, seed = 1, size = 28, set = "fashion-mnist"})
  check.count("synthetic", "n", o.n)
  check.count("synthetic", "size", o.size)
  check.seed("synthetic", o.seed)
  local row = row_of("synthetic", o.set)
  if not row.drawn then complain("synthetic: there are no drawn images for '%s'", row.name) end
  local pixels, labels = synthetic.draw {n = o.n, seed = o.seed, size = o.size, of = row.drawn}
  return facts_of(row, {
    images = pixels, labels = labels, name = "drawn " .. row.drawn, synthetic = true})
end

--
-- One's own
--

local ROW <const> = {
  name = option.required, classes = option.required, title = option.absent, mean = option.absent,
  std = option.absent, mirrored = false, read = option.absent,
}

local function check_row(row, taken)
  if type(row.name) ~= "string" or not row.name:find "^%a[%w-]*$" then
    complain("register: name: a word of letters, digits and '-' expected, got %s",
      check.shown(row.name))
  elseif rawget(taken, (row.name:gsub("-", "_"))) ~= nil then
    complain("register: pl.data has a '%s' already", (row.name:gsub("-", "_")))
  end
  check.list("register", "classes", row.classes, {string = true})
  if #row.classes == 0 then complain "register: classes: at least one name expected" end
  for _, name in ipairs {"mean", "std"} do
    if row[name] ~= nil and not math.type(row[name]) then
      complain("register: %s: number expected, got %s", name, check.shown(row[name]))
    end
  end
  if row.read ~= nil and type(row.read) ~= "function" then
    complain("register: read: function expected, got %s", check.shown(row.read))
  end
end

--- Notes the row of a set (internal).
-- @param given row
-- @param taken table whose names the set may not have
-- @return the row
function images.register(given, taken)
  local row = option.read("register", given, ROW)
  check_row(row, taken)
  row.kind, row.title, row.key = "images", row.title or row.name, row.name:gsub("-", "_")
  known[row.name] = row
  return row
end

return images
