--- Folders of pictures (internal; use `perilune.data`).
-- @module perilune.data.folder

local blame = require "perilune.internal.blame"
local check = require "perilune.internal.check"
local core = require "perilune.core"
local option = require "perilune.internal.option"
local pictures = require "perilune.data.pictures"
local words = require "perilune.internal.words"

local complain, blaming = blame.complain, blame.blaming
local folder = {}

-- Of these names ImageFolder takes files to be pictures. What they are says what is in them.
local NAMES <const> = {"jpg", "jpeg", "png", "ppm", "bmp", "pgm", "tif", "tiff", "webp"}
local LOOKED_FOR <const> = "." .. table.concat(NAMES, ", .")

local known = {}
for _, name in ipairs(NAMES) do known[name] = true end

local function is_named_as_picture(path)
  local name = path:match "%.(%w+)$"
  return name and known[name:lower()]
end

-- Adds the pictures of a class; how many, or nil and a message.
local function add_class(set, path, class)
  local found, why = core.find_files(path)
  if not found then return nil, why end
  local first = #set.files
  for _, file in ipairs(found) do
    if is_named_as_picture(file) then
      set.files[#set.files + 1] = path .. "/" .. file
      set.labels[#set.labels + 1] = class
    end
  end
  return #set.files - first
end

-- Files and labels of all classes, or nil and a message.
local function find(path)
  local files, classes = core.list_folder(path)
  if not files then return nil, classes end
  local set, empty = {files = {}, labels = {}, classes = classes}, {}
  for class, name in ipairs(classes) do
    local count, why = add_class(set, path .. "/" .. name, class)
    if not count then return nil, why end
    if count == 0 then empty[#empty + 1] = name end
  end
  if #classes == 0 then
    return nil, ("%s: no folder of a class in it; each class is a folder with its pictures (%s)")
      :format(path, LOOKED_FOR)
  elseif #empty > 0 then
    return nil, ("%s: no picture (%s) in %s: %s"):format(path, LOOKED_FOR,
      #empty == 1 and "the folder of a class" or #empty .. " folders of classes",
      words.abbreviate(empty))
  end
  return set
end

-- What is wrong with a file, for those who know which one it is.
local function without_file(message, file)
  local first, last = message:find(file .. ": ", 1, true)
  if not first then return message end
  if first == 1 then return message:sub(last + 1) end
  return message:sub(1, first - 1) .. "it" .. message:sub(last - 1) -- cannot open it: no permission
end

-- The rows that can be read, and a list of {file = , why = } of the others.
local function readable(images)
  local rows, skipped, row = {}, {}, 1
  while row <= #images do
    local bad, why = blaming(core.first_unreadable, images._source, row)
    for i = row, (bad or #images + 1) - 1 do rows[#rows + 1] = i end
    if bad then
      local file = images:file(bad)
      skipped[#skipped + 1] = {file = file, why = without_file(why, file)}
    end
    row = (bad or #images) + 1
  end
  return rows, skipped
end

-- The set without what cannot be read.
local function without_unreadable(path, set)
  local rows, skipped = readable(set.images)
  if #rows == 0 then
    return nil, ("%s: none of the %d pictures can be read: %s: %s"):format(path, #skipped,
      skipped[1].file, skipped[1].why)
  end
  local chosen = core.tensor(rows, "int32")
  set.images = set.images:index_select(chosen)
  set.labels = core.index_select(set.labels, chosen, 1)
  set.skipped = skipped
  return set
end

local UNREADABLE <const> = {error = true, skip = true}

--- A folder with a folder of pictures for each class, as a set of images and labels.
--
--     photos/cat/1.jpg  photos/cat/old/2.png  photos/dog/1.jpg
--
--     local set = assert(data.folder("photos", {size = 64}))
--     for x, y in data.batches(set, {batch_size = 32, workers = 2}) do
--       ...  -- x: real [32, 3, 64, 64] with values from 0 to 1, y: int32 [32]
--     end
--
-- The rules are those of PyTorch's ImageFolder. Classes are the names of the folders in the order
-- of their bytes, and their pictures all files below that are named as such (.jpg, .jpeg, .png,
-- .ppm, .bmp, .pgm, .tif, .tiff, .webp), those of a folder in the order of their names. Names that
-- begin with a point are left out. Links are followed, in a host with a policy they are not. Files
-- are read when a batch needs them, PNG and JPEG, by content; the set itself has no pixels.
--
-- `set.images` stands for a tensor: it has a length, `data.split` and the other functions of sets
-- take it, and `set.images:batch {1, 2}` reads two pictures, `set.images:file(1)` says where the
-- first one is.
-- @param path the folder
-- @param options `size`: a number n makes all pictures n x n: the shorter side becomes n pixels,
--   and the middle is cut out; {h, w} does so with another shape; without it a batch of pictures
--   with different sizes is an error. `mode` ("rgb"), or "gray". `transform`: an `image.transform`,
--   done to each picture that is read, with random numbers of its own. `unreadable` ("error"): a
--   file that cannot be read is an error of its batch; "skip" reads all files now and leaves those
--   out, which are `set.skipped`, a list of {file = path, why = what is wrong with it}
-- @return the set, `images`, `labels` from 1 and `classes`; or nil and a message, if there are no
--   pictures, say
function folder.read(path, options)
  check.path("folder", path)
  local defaults = {unreadable = "error"}
  for name, value in next, pictures.OPTIONS do defaults[name] = value end
  local o = option.read("folder", options, defaults)
  if not UNREADABLE[o.unreadable] then
    complain("folder: unreadable '%s'; 'error' or 'skip' expected", check.shown(o.unreadable))
  end
  local found, why = find(path)
  if not found then return nil, why end
  local set = {images = pictures.new("folder", found.files, o), classes = found.classes,
    labels = core.tensor(found.labels, "int32")}
  if o.unreadable == "skip" then return without_unreadable(path, set) end
  return set
end

--- Pictures in files, for sets whose labels come from elsewhere.
--
--     local table = assert(data.csv("labels.csv"))
--     local set = {images = data.pictures(files, {size = 64}), labels = table.class}
-- @param files list of paths
-- @param options `size`, `mode` and `transform`, as of `data.folder`
-- @return what `data.folder` has as `images`
function folder.pictures(files, options)
  if type(files) ~= "table" then
    complain("pictures: a list of files expected, got %s", check.type(files))
  end
  local o = option.read("pictures", options, pictures.OPTIONS)
  return pictures.new("pictures", table.move(files, 1, #files, 1, {}), o)
end

return folder
