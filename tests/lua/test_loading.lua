--- Folders of pictures, and batches that threads make ahead.

local lu = require "luaunit"
local pl = require "perilune"

local T = {}
local data, image = pl.data, pl.image
local eq, fails = lu.assertEquals, lu.assertErrorMsgContains

local folder = os.tmpname()
os.remove(folder)
local has_images = image.write(folder .. ".jpg", pl.zeros(1, 1))
os.remove(folder .. ".jpg")
local state

function T.setUp()
  state = pl.random_state()
  assert(pl.mkdir(folder))
end

function T.tearDown()
  pl.set_random_state(state)
  os.execute("rm -rf '" .. folder .. "'")
end

T.skip = not has_images and "this build knows no JPEG"

local function write_bytes(path, bytes)
  local file <close> = assert(io.open(folder .. "/" .. path, "wb"))
  file:write(bytes)
end

local function read_bytes(path)
  local file <close> = assert(io.open(folder .. "/" .. path, "rb"))
  return file:read "a"
end

-- A picture whose pixels tell it from others.
local function write_picture(path, h, w, seed)
  assert(pl.mkdir((folder .. "/" .. path):match "(.*)/"))
  local pixels = ((pl.arange(1, h * w * 3, "real") * (seed * 7 + 1)) % 251):reshape(h, w, 3)
  assert(image.write(folder .. "/" .. path, pixels:to "uint8"))
  return pixels
end

-- Two classes of n pictures each.
local function write_classes(n, h, w)
  for i = 1, n do
    write_picture(("cat/%02d.png"):format(i), h or 6, w or 5, i)
    write_picture(("dog/%02d.jpg"):format(i), h or 6, w or 5, n + i)
  end
end

local function below(files)
  local list = {}
  for i, file in ipairs(files) do list[i] = file:sub(#folder + 2) end
  return list
end

-- All that a loop gives, as values.
local function collect(set, options)
  local list = {}
  for x, y in data.batches(set, options) do list[#list + 1] = {x:totable(), y:totable()} end
  return list
end

local function threads()
  local n = 0
  for _ in io.popen "ls /proc/$PPID/task":lines() do n = n + 1 end
  return n
end

--
-- Folders
--

function T.test_folder_has_the_order_of_ImageFolder()
  for _, path in ipairs {
    "b/z.png", "b/a/1.PNG", "b/a-/2.jpg", "b/a/c/3.jpeg", "B/10.png", "B/9.png", "a b/x.png",
  } do
    write_picture(path, 2, 2, 1)
  end
  write_bytes("b/notes.txt", "no picture")
  write_bytes("b/.hidden.png", "no picture")
  write_bytes("loose.png", "in no class")
  assert(pl.mkdir(folder .. "/.git"))
  local set = assert(data.folder(folder))
  eq(set.classes, {"B", "a b", "b"})
  eq(below(set.images:files()), {"B/10.png", "B/9.png", "a b/x.png", "b/z.png", "b/a/1.PNG",
    "b/a-/2.jpg", "b/a/c/3.jpeg"})
  eq(set.labels:totable(), {1, 1, 2, 3, 3, 3, 3})
  eq({#set.images, data.count(set), tostring(set.images)}, {7, 7, "pictures[7]"})
  eq(set.images:file(3), folder .. "/a b/x.png")
end

function T.test_folder_with_odd_names()
  local names = {"a\nb.png", "\xff\xfe.png", "'$(x)`.png", "ü.png", ("n"):rep(200) .. ".png"}
  for i, name in ipairs(names) do write_picture("class\t\xe9/" .. name, 3, 3, i) end
  local set = assert(data.folder(folder))
  eq(set.classes, {"class\t\xe9"})
  table.sort(names)
  eq(below(set.images:files()), {"class\t\xe9/" .. names[1], "class\t\xe9/" .. names[2],
    "class\t\xe9/" .. names[3], "class\t\xe9/" .. names[4], "class\t\xe9/" .. names[5]})
  eq(set.images:batch():size(), {5, 3, 3, 3})
end

function T.test_folder_follows_links_that_end()
  write_picture("cat/1.png", 2, 2, 1)
  write_picture("elsewhere/2.png", 2, 2, 1)
  assert(os.execute(("cd '%s' && mkdir photos && ln -s ../cat ../elsewhere photos && ln -s . cat/loop"
    .. " && ln -s ../../photos elsewhere/back"):format(folder)))
  local set = assert(data.folder(folder .. "/photos"))
  eq(set.classes, {"cat", "elsewhere"})
  local files = below(set.images:files())
  eq({files[1], files[2]}, {"photos/cat/1.png", "photos/elsewhere/2.png"})
  for _, file in ipairs(files) do lu.assertTrue(#file < 100) end
end

-- Of nine folders with links to one another there are a million ways.
function T.test_folders_that_are_linked_to_one_another()
  write_picture("cat/1/x.png", 2, 2, 1)
  for i = 2, 9 do assert(pl.mkdir(folder .. "/cat/" .. i)) end
  for i = 1, 81 do
    os.execute(("ln -s ../%d '%s/cat/%d/to%d'"):format((i - 1) % 9 + 1, folder, (i - 1) // 9 + 1, i))
  end
  local set, why = data.folder(folder)
  eq(set, nil)
  lu.assertStrContains(why, "is one of more than 10000 links to folders")
end

local function refused(text, ...)
  local set, why = data.folder(...)
  eq(set, nil)
  lu.assertStrContains(why, text)
end

function T.test_folder_says_what_it_looked_for()
  refused("cannot open the folder " .. folder .. "/none: No such file", folder .. "/none")
  refused("no folder of a class in it; each class is a folder with its pictures (.jpg, .jpeg,", folder)
  write_picture("cat/1.png", 2, 2, 1)
  refused("1.png: Not a directory", folder .. "/cat/1.png")
  assert(pl.mkdir(folder .. "/dog"))
  write_bytes("dog/1.txt", "")
  refused("no picture (.jpg, .jpeg, .png, .ppm, .bmp, .pgm, .tif, .tiff, .webp) in the folder of a "
    .. "class: dog", folder)
  assert(pl.mkdir(folder .. "/cow"))
  refused("in 2 folders of classes: cow, dog", folder)
end

function T.test_folder_refuses_options()
  fails("folder: path expected, got nil", data.folder)
  fails("folder: unknown option 'sise'", data.folder, folder, {sise = 3})
  fails("folder: unreadable 'leave'; 'error' or 'skip' expected", data.folder, folder,
    {unreadable = "leave"})
  write_picture("cat/1.png", 2, 2, 1)
  fails("folder: size: positive integer expected, got 0", data.folder, folder, {size = 0})
  fails("folder: size is {1, 4294967297}; at most 65535 pixels a side expected", data.folder, folder,
    {size = {1, 2 ^ 32 + 1}})
  fails("folder: size: a number of pixels, or {height, width}, expected, got a list of 3",
    data.folder, folder, {size = {1, 2, 3}})
  fails("folder: mode 'grey'; 'rgb' or 'gray' expected", data.folder, folder, {mode = "grey"})
  fails("folder: transform: pl.image.transform {...} expected, got function", data.folder, folder,
    {transform = function() end})
  fails("pictures: a list of files expected, got string", data.pictures, "x.png")
  fails("file 2 is a number; path expected", data.pictures, {"x.png", 3})
end

function T.test_lists_of_folders()
  for _, name in ipairs {"b", "a", "C"} do write_bytes(name, "") end
  assert(pl.mkdir(folder .. "/z"))
  assert(pl.mkdir(folder .. "/y"))
  local files, folders = pl.list_folder(folder)
  eq({files, folders}, {{"C", "a", "b"}, {"y", "z"}})
  write_bytes("z/1", "")
  eq(pl.find_files(folder), {"C", "a", "b", "z/1"})
  local none, why = pl.list_folder(folder .. "/x")
  eq(none, nil)
  lu.assertStrContains(why, "cannot open the folder")
end

--
-- Pictures
--

function T.test_values_are_those_of_the_files()
  local pixels = write_picture("cat/1.png", 4, 3, 5)
  local set = assert(data.folder(folder))
  local x, y = data.batches(set)()
  eq({x:size(), y:totable()}, {{1, 3, 4, 3}, {1}})
  lu.assertTrue(x:squeeze(1):allclose(pixels:permute(3, 1, 2) / 255, 1e-6))
  local scaled = data.batches(set, {mean = 0.5, std = 0.25})()
  lu.assertTrue(scaled:allclose((x - 0.5) / 0.25, 1e-5, 1e-6))
  local gray = assert(data.folder(folder, {mode = "gray"}))
  eq(data.batches(gray)():size(), {1, 1, 4, 3})
end

-- The shorter side becomes 4, and the middle stays.
function T.test_size_covers_and_crops()
  for _, size in ipairs {{7, 12}, {12, 7}, {4, 4}, {4, 9}, {3, 2}} do
    write_picture("cat/1.png", size[1], size[2], 3)
    local whole = assert(data.folder(folder)).images:batch()
    local x = assert(data.folder(folder, {size = 4})).images:batch()
    local expected = image.center_crop(image.resize(whole, 4), 4)
    lu.assertTrue(x:allclose(expected, 1e-6, 1e-6))
  end
  write_picture("cat/1.png", 10, 40, 3)
  local whole = assert(data.folder(folder)).images:batch()
  local x = assert(data.folder(folder, {size = {5, 8}})).images:batch()
  lu.assertTrue(x:allclose(image.center_crop(image.resize(whole, {5, 20}), {5, 8}), 1e-6, 1e-6))
  eq(tostring(assert(data.folder(folder, {size = {5, 8}, mode = "gray"})).images),
    "pictures[1,1,5,8]")
end

-- A JPEG of a real picture [h, w], which EXIF says to turn.
local function write_photo(path, x, orientation)
  assert(pl.mkdir((folder .. "/" .. path):match "(.*)/"))
  assert(image.write(folder .. "/" .. path, x, {quality = 100}))
  local exif = "Exif\0\0MM\0\42\0\0\0\8\0\1" .. (">I2I2I4I2I2I4"):pack(0x112, 3, 1, orientation, 0, 0)
  local bytes = read_bytes(path)
  write_bytes(path, bytes:sub(1, 2) .. (">BBI2"):pack(0xff, 0xe1, #exif + 2) .. exif .. bytes:sub(3))
end

-- JPEGs are read with a half, a quarter or an eighth of their lines, which comes out as the whole does.
function T.test_photos_that_are_read_smaller()
  local y, x = pl.arange(0, 150, "real"):reshape(151, 1), pl.arange(0, 202, "real"):reshape(1, 203)
  local smooth = 0.5 + 0.5 * (0.11 * y):sin() * (0.09 * x):cos()
  for orientation = 1, 8 do
    write_photo("cat/1.jpg", smooth, orientation)
    local whole = assert(data.folder(folder)).images:batch()
    for _, size in ipairs {{8, 8}, {16, 16}, {37, 37}, {9, 5}} do
      local h, w = size[1], size[2]
      local high, wide = whole:size(3), whole:size(4)
      local tall = high * w >= wide * h
      local covering = tall and {high * w // wide, w} or {h, wide * h // high}
      local off = assert(data.folder(folder, {size = size})).images:batch()
        - image.center_crop(image.resize(whole, covering), size)
      lu.assertTrue(off:abs():mean():item() < 0.008, orientation)
      lu.assertTrue(off:abs():max():item() < 0.035, orientation)
    end
  end
end

-- The right part of 803 columns is white, from column 401 on; 85 columns come of them, of which the
-- middle 64 stay. Mirrored, the left part is.
function T.test_edges_of_photos_stay_where_they_are()
  local x = pl.arange(1, 803, "real"):gt(400):to("real"):reshape(1, 803):expand(601, 803)
  for orientation, white in pairs {[1] = 74 - 400 * 85 / 803, [2] = 403 * 85 / 803 - 10} do
    write_photo("cat/1.jpg", x, orientation)
    local sums = assert(data.folder(folder, {size = 64})).images:batch():sum(4)
    lu.assertTrue((sums - white):abs():max():item() < 0.02)
  end
end

function T.test_sets_of_pictures_are_sets()
  write_classes(6)
  local set = assert(data.folder(folder))
  os.remove(folder .. "/cat/01.png") -- nothing reads it
  local train, test = data.split(set, 8, {seed = 1, stratify = "labels"})
  eq({#train.images, #test.images, train.classes}, {8, 4, {"cat", "dog"}})
  local seen = {}
  for _, part in ipairs {train, test} do
    for i = 1, #part.images do
      local file = part.images:file(i)
      seen[#seen + 1] = file
      eq(part.classes[part.labels[i]], file:match "/(%a+)/[^/]*$")
    end
  end
  table.sort(seen)
  eq(seen, set.images:files())
  eq(#data.take(set, 3).images, 3)
  eq(data.subset(set, {12, 2}).images:files(), {set.images:file(12), set.images:file(2)})
  eq(data.subset(data.subset(set, {5, 7, 9}), {3}).images:file(1), set.images:file(9))
  for others, own in data.folds(set, 3, {seed = 1}) do eq({#others.images, #own.images}, {8, 4}) end
  eq(data.concat(train, test).images:files()[9], test.images:file(1))
  eq(#data.shuffle(set, 1).images, 12)
  fails("file: row 13 of 12", set.images.file, set.images, 13)
end

function T.test_pictures_with_labels_from_elsewhere()
  write_classes(2)
  local files = {folder .. "/dog/01.jpg", folder .. "/cat/02.png"}
  local set = {images = data.pictures(files, {size = 3}), age = pl.tensor {3, 4}}
  files[1] = "changed afterwards"
  local batch = data.batches(set, {shuffle = false, workers = 1})()
  eq({batch.images:size(), batch.age:totable()}, {{2, 3, 3, 3}, {3, 4}})
end

--
-- Threads
--

local AUGMENT <const> = {{"random_flip"}, {"random_crop", 4}, {"jitter", brightness = 0.3}}

-- The sets that loaders are for, each with options.
local function loaded_sets()
  write_classes(9)
  local pixels = (pl.arange(1, 20 * 6 * 5, "real") % 251):reshape(20, 6, 5):to "uint8"
  local gray = {images = pixels, labels = pl.arange(1, 20, "int32")}
  local files = assert(data.folder(folder))
  local transform = image.transform(AUGMENT)
  return {
    {files, {}}, {files, {transform = transform, mean = 0.3, std = 2}},
    {assert(data.folder(folder, {size = 4, transform = transform})), {drop_last = true}},
    {gray, {transform = transform}}, {gray, {mean = 0.5, std = 0.2}},
    {{pixels, gray.labels}, {transform = transform}},
  }
end

function T.test_same_bits_for_any_number_of_threads()
  for i, case in ipairs(loaded_sets()) do
    local set, o, expected, after = case[1], case[2], nil, nil
    o.batch_size = 4
    for _, workers in ipairs {0, 1, 2, 4} do
      pl.manual_seed(i)
      o.workers, o.ahead = workers, 1 + workers % 3
      local got = collect(set, o)
      expected, after = expected or got, after or pl.random_state()
      eq(got, expected)
      eq(pl.random_state(), after)
    end
  end
end

function T.test_options_without_transform_have_the_bits_of_image_batch()
  local set = {images = (pl.arange(1, 9 * 4, "real") * 7):reshape(9, 2, 2):to "uint8",
    labels = pl.arange(1, 9, "int32")}
  for _, o in ipairs {{mean = 0.286, std = 0.353}, {flip = true, shift = 1}} do
    pl.manual_seed(4)
    local expected = collect(set, o)
    pl.manual_seed(4)
    o.workers = 2
    eq(collect(set, o), expected)
  end
end

function T.test_random_numbers_belong_to_the_picture()
  write_classes(8)
  local set = assert(data.folder(folder, {mode = "gray"}))
  local o = {transform = image.transform {{"random_crop", 3}}, batch_size = 5, key = 17}
  local by_file = {}
  for _, order in ipairs {{1, 2, 3, 4, 5, 6}, {6, 4, 2, 1, 3, 5}, {5, 3}} do
    o.order = pl.tensor(order, "int32")
    local place = 0
    for x in data.batches(set, o) do
      for i = 1, #x do
        place = place + 1
        local values = x[i]:totable()
        eq(by_file[order[place]] or values, values)
        by_file[order[place]] = values
      end
    end
  end
  local different = {}
  o.order = pl.ones(16, "int32")
  o.batch_size = 16
  local x = data.batches(set, o)()
  eq(x[1]:totable(), by_file[1])
  for i = 1, 16 do different[tostring(x[i])] = true end
  local n = 0
  for _ in pairs(different) do n = n + 1 end
  lu.assertTrue(n > 3)
  o.key = 18
  lu.assertNotEquals(data.batches(set, o)():totable(), x:totable())
end

function T.test_resumes_at_each_batch()
  for _, case in ipairs(loaded_sets()) do
    local set, o = case[1], case[2]
    o.batch_size, o.key, o.seed = 4, 5, 9
    local all = collect(set, o)
    for skip = 0, #all do
      o.skip, o.workers = skip, skip % 3
      eq(collect(set, o), table.move(all, skip + 1, #all, 1, {}))
    end
  end
end

function T.test_cycle_resumes_at_each_batch()
  write_classes(5)
  local set = assert(data.folder(folder))
  local function start(workers)
    return data.cycle(set, {batch_size = 3, workers = workers,
      transform = image.transform(AUGMENT)})
  end
  local function rows(cycle, n)
    local list = {}
    for i = 1, n do
      local x, y = cycle:next()
      list[i] = {x:totable(), y:totable()}
    end
    return list
  end
  pl.manual_seed(3)
  local expected = rows(start(0), 9)
  for place = 0, 8 do
    pl.manual_seed(3)
    local cycle = start(place % 3)
    rows(cycle, place)
    local saved, random = cycle:state_dict(), pl.random_state()
    pl.manual_seed(99)
    local other = start((place + 1) % 3)
    other:load_state_dict(saved)
    pl.set_random_state(random)
    eq(rows(other, 9 - place), table.move(expected, place + 1, 9, 1, {}))
  end
  fails("load_state_dict: key is a string; integer expected", start(0).load_state_dict, start(0),
    {pass = 1, place = 0, key = "x"})
end

function T.test_threads_end_with_their_loop()
  write_classes(8)
  local set, before = assert(data.folder(folder)), threads()
  local count = 0
  for _ in data.batches(set, {batch_size = 2, workers = 3}) do
    count = count + 1
    eq(threads(), before + 3)
    if count == 2 then break end
  end
  eq(threads(), before)
  local next_batch = data.batches(set, {batch_size = 8, workers = 3})
  eq(threads(), before)
  next_batch()
  eq(threads(), before + 3)
  next_batch()
  eq({threads(), next_batch()}, {before})
  data.batches(set, {batch_size = 2, workers = 3})()
  collectgarbage()
  collectgarbage()
  eq(threads(), before)
end

function T.test_options_are_checked()
  write_classes(1)
  local set = assert(data.folder(folder))
  fails("batches: workers is 65; at most 64 expected", data.batches, set, {workers = 65})
  fails("batches: workers: integer of at least 0 expected, got -1", data.batches, set, {workers = -1})
  fails("batches: ahead: positive integer expected, got 0", data.batches, set, {ahead = 0})
  fails("batches: key: integer expected, got 0.5", data.batches, set, {key = 0.5})
  fails("batches: flip is for sets of uint8 images", data.batches, set, {flip = true})
  local pixels = {images = pl.zeros({4, 2, 2}, "uint8"), labels = pl.ones(4, "int32")}
  local transform = image.transform {{"random_flip"}}
  fails("batches: flip and shift are steps of the transform", data.batches, pixels,
    {transform = transform, flip = true})
  fails("batches: transform: an image.transform is for pictures and uint8 images", data.batches,
    {pl.ones(3)}, {transform = transform})
end

--
-- Files and sizes that do not fit
--

function T.test_a_file_that_cannot_be_read_is_an_error_of_its_batch()
  write_classes(6)
  write_bytes("dog/02.jpg", read_bytes("dog/02.jpg"):sub(1, 40))
  write_bytes("cat/06.png", "GIF89a, which is not read")
  local set = assert(data.folder(folder))
  for _, workers in ipairs {0, 2} do
    local texts, sizes = {}, {}
    local next_batch = data.batches(set, {batch_size = 3, shuffle = false, workers = workers})
    for i = 1, 4 do
      local ok, x = pcall(next_batch)
      texts[i] = ok and "" or x
      sizes[i] = ok and #x
    end
    eq(sizes, {3, false, false, 3})
    lu.assertStrContains(texts[2], folder .. "/cat/06.png: not a PNG or JPEG file, but a GIF image")
    lu.assertStrContains(texts[3], folder .. "/dog/02.jpg: ")
    lu.assertStrContains(texts[2], "test_loading.lua:")
    eq(next_batch(), nil)
  end
end

function T.test_the_first_failure_in_the_order_of_rows_is_told()
  write_classes(20)
  for _, name in ipairs {"dog/05.jpg", "cat/07.png", "cat/19.png"} do write_bytes(name, "") end
  local set = assert(data.folder(folder))
  for _ = 1, 5 do
    fails("/cat/07.png: ", data.batches(set, {shuffle = false, workers = 4}))
  end
end

function T.test_unreadable_files_are_left_out_and_named()
  write_classes(3)
  write_bytes("dog/02.jpg", read_bytes("dog/02.jpg"):sub(1, 40))
  write_bytes("cat/03.png", "")
  write_bytes("cat/99.webp", "RIFF")
  local set = assert(data.folder(folder, {unreadable = "skip"}))
  eq(below(set.images:files()), {"cat/01.png", "cat/02.png", "dog/01.jpg", "dog/03.jpg"})
  eq(set.labels:totable(), {1, 1, 2, 2})
  local names = {}
  for i, skipped in ipairs(set.skipped) do
    names[i] = skipped.file:sub(#folder + 2)
    lu.assertNotStrContains(skipped.why, skipped.file)
  end
  eq(set.skipped[2].why, "not a PNG or JPEG file, but a RIFF file, such as WebP, WAV and AVI")
  eq(names, {"cat/03.png", "cat/99.webp", "dog/02.jpg"})
  eq(#collect(set, {batch_size = 4}), 1)
  for _, name in ipairs {"cat/01.png", "cat/02.png", "dog/01.jpg", "dog/03.jpg"} do
    write_bytes(name, "")
  end
  refused("none of the 7 pictures can be read: " .. folder .. "/cat/01.png: ", folder,
    {unreadable = "skip"})
end

-- In the names that the script knows, and with its line, whether rows were chosen before or not.
function T.test_wrong_rows_blame_the_script()
  write_classes(2)
  local set = assert(data.folder(folder, {size = 4}))
  local part = set.images:index_select {1, 2}
  for text, f in pairs {
    ["batch: row 1 is 0; 1 to 4 expected"] = function() set.images:batch {0} end,
    ["batch: index 0 at position 1 is not within 1 and 2"] = function() part:batch {0} end,
    ["batch: index: tensor expected, got 'a'"] = function() part:batch "a" end,
    ["batches: index 9 at position 1 is not within 1 and 2"] = function()
      data.batches({part}, {order = pl.tensor({9}, "int32")})
    end,
  } do
    local _, message = pcall(f)
    lu.assertStrMatches(message, ".*test_loading.lua:%d+: " .. text)
  end
end

function T.test_means_of_channels_are_a_step()
  write_classes(1)
  local images = {images = pl.zeros({2, 4, 4}, "uint8"), labels = pl.ones({2}, "int32")}
  for _, set in ipairs {images, (assert(data.folder(folder, {size = 4})))} do
    fails("batches: mean is a table; number expected. One for each channel is a step of a transform: "
      .. 'image.transform {{"normalise", mean = {...}, std = {...}}}', data.batches, set, {mean = {0.5, 0.5, 0.5}})
    fails("cycle: std is a tensor; number expected.", data.cycle, set, {std = pl.ones(3)})
  end
end

-- What the library keeps to itself can be called all the same.
function T.test_loaders_take_nothing_else()
  write_classes(2)
  local pictures = pl.open_pictures {folder .. "/cat/01.png", folder .. "/cat/02.png"}
  local rows, o = pl.tensor({1, 2, 1}, "int32"), {transforms = {}, batch_size = 2, batches = 2}
  local function open(change)
    local options = {}
    for _, t in ipairs {o, change} do
      for name, value in pairs(t) do options[name] = value end
    end
    return pl.open_loader(pictures, options.rows or rows, options)
  end
  fails("batches: rows are real[3]; int32 [n] expected", open, {rows = pl.ones(3)})
  fails("batches: row 2 is 3; 1 to 2 expected", open, {rows = pl.tensor({1, 3}, "int32"), batches = 1})
  fails("batches: row 1 is 0; 1 to 2 expected", open, {rows = pl.zeros({1}, "int32"), batches = 1})
  fails("batches: 3 of 2 rows each, of 3 rows", open, {batches = 3})
  fails("batches of 0 rows", open, {batch_size = 0})
  fails("std is 0; a positive number expected", open, {std = 0})
  fails("batches: workers: 0 to 64 expected", open, {workers = 65})
  for _, n in ipairs {2, 5, -1, 0 / 0} do
    fails("open_pictures: channels", pl.open_pictures, {"1.png"}, {channels = n})
    fails("open_pictures: height: 0 to 100000000 expected", pl.open_pictures, {"1.png"},
      {height = -n * 2 ^ 40})
  end
  local loader = open {workers = 1}
  for _, i in ipairs {0, math.mininteger} do
    fails("next_batch: argument 2: a number from 1 expected", pl.next_batch, loader, i)
  end
  eq({getmetatable(pictures), getmetatable(loader)}, {false, false})
  local meta = debug.getmetatable(pictures)
  meta.__close(pictures)
  fails("the pictures were closed", pl.first_unreadable, pictures, 1)
  fails("the pictures were closed", open, {})
  eq(#pl.next_batch(loader, 1), 2)
  fails("batches: batch 1 was used", pl.next_batch, loader, 1)
  eq(#pl.next_batch(loader, 2), 1)
  eq(pl.next_batch(loader, 3), nil)
  debug.getmetatable(loader).__close(loader)
  eq(pl.next_batch(loader, 3), nil)
  fails("batch: at least one row expected", data.pictures({}).batch, data.pictures({}))
end

-- Options may be given by functions, which may close what they are options of.
function T.test_options_that_are_functions()
  write_classes(2)
  local rows = pl.tensor({1, 2}, "int32")
  local pictures = pl.open_pictures {folder .. "/cat/01.png", folder .. "/cat/02.png"}
  local hostile = setmetatable({batches = 2}, {__index = function(_, name)
    if name == "std" then local _ <close> = pictures end
    return name == "transforms" and {} or nil
  end})
  fails("the pictures were closed", pl.open_loader, pictures, rows, hostile)
  pictures = pl.open_pictures {folder .. "/cat/01.png", folder .. "/cat/02.png"}
  local loader = pl.open_loader(pictures, rows, setmetatable({batches = 2, batch_size = 1}, {
    __index = function(_, name)
      if name ~= "transforms" then return nil end
      return {image.transform {{"resize", 3}}}
    end,
  }))
  collectgarbage()
  eq(pl.next_batch(loader, 1):size(), {1, 3, 3, 3})
end

-- Threads read rows long after they were checked.
function T.test_an_order_that_changes_meanwhile()
  write_classes(6)
  local images = assert(data.folder(folder)).images
  for _, workers in ipairs {0, 2} do
    local order, n = pl.arange(1, #images, "int32"), 0
    local o = {order = order, batch_size = 2, workers = workers, transform = image.transform {{"flip"}}}
    for batch in data.batches({images = images}, o) do
      order:fill_(2000000000)
      n = n + #batch.images
    end
    eq(n, 12)
  end
end

function T.test_an_iterator_that_outlives_a_tidy()
  write_classes(3)
  local set, next_batch = assert(data.folder(folder)), nil
  for _, workers in ipairs {0, 2} do
    pl.tidy(function()
      next_batch = data.batches(set, {batch_size = 2, workers = workers})
      next_batch()
    end)
    eq({#next_batch(), #next_batch(), next_batch()}, {2, 2, nil})
  end
end

function T.test_different_sizes_are_named()
  write_picture("cat/1.png", 4, 5, 1)
  write_picture("cat/2.png", 4, 6, 2)
  write_picture("cat/3.png", 7, 6, 3)
  local set = assert(data.folder(folder))
  for _, workers in ipairs {0, 1, 3} do
    fails(("batches: %s/cat/1.png is 4 x 5 with 3 channels, but %s/cat/2.png is 4 x 6 with 3; the "
      .. "options size and mode of data.folder make them equal"):format(folder, folder),
      data.batches(set, {shuffle = false, workers = workers}))
    local sizes = {}
    for x in data.batches(set, {batch_size = 1, shuffle = false, workers = workers}) do
      sizes[#sizes + 1] = x:size(3) .. "x" .. x:size(4)
    end
    eq(sizes, {"4x5", "4x6", "7x6"})
  end
end

-- An error leaves the other entries of the set where they are.
function T.test_entries_stay_together()
  write_classes(4)
  write_bytes("cat/03.png", "")
  local set = assert(data.folder(folder))
  local both = {images = set.images, masks = data.pictures(set.images:files(), {mode = "gray"}),
    labels = pl.arange(1, 8, "int32")}
  both.images = data.pictures(both.images:files(), {mode = "gray"})
  local next_batch = data.batches(both, {batch_size = 2, shuffle = false, workers = 2,
    transform = image.transform {{"random_flip"}, {"random_crop", 4}}})
  for i = 1, 4 do
    local ok, batch = pcall(next_batch)
    eq(ok, i ~= 2)
    if ok then
      eq(batch.images:totable(), batch.masks:totable())
      eq(batch.labels:totable(), {2 * i - 1, 2 * i})
    end
  end
end

function T.test_images_that_change_meanwhile()
  local images = pl.zeros({8, 2, 2}, "uint8")
  for _, workers in ipairs {0, 2} do
    local next_batch = data.batches({images = images, labels = pl.ones(8, "int32")},
      {batch_size = 2, workers = workers, transform = image.transform {{"flip"}}})
    next_batch()
    images:fill_(1)
    fails("batches: the images were changed before all batches of them were used", next_batch)
  end
end

function T.test_images_in_a_file()
  local pixels = (pl.arange(1, 12 * 20, "real") % 256):reshape(12, 5, 4):to "uint8"
  local path = folder .. "/images.npy"
  assert(pl.save(path, pixels))
  local labels = pl.arange(1, 12, "int32")
  local o = {batch_size = 5, shuffle = false, workers = 2}
  eq(collect({images = assert(data.npy(path)), labels = labels}, o),
    collect({images = pixels, labels = labels}, {batch_size = 5, shuffle = false}))
  o.transform = image.transform {{"flip"}}
  local x = data.batches({images = assert(data.npy(path)), labels = labels}, o)()
  lu.assertTrue(x:allclose(image.flip(pixels:slice(1, 1, 5):to "real":unsqueeze(2) / 255), 1e-6))
end

function T.test_waiting_is_measured()
  write_classes(8, 40, 40)
  local before = pl.data_seconds()
  collect(assert(data.folder(folder)), {workers = 1})
  lu.assertTrue(pl.data_seconds() > before)
end

return T
