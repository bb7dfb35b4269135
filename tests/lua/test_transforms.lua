--- What pl.image does to images: values of torchvision and PyTorch (oracle_images.lua), layouts, random
--- numbers, transforms, bad input.

local lu = require "luaunit"
local pl = require "perilune"
local oracle = require "oracle_images"

local T = {}
local image = pl.image
local eq, fails = lu.assertEquals, lu.assertErrorMsgContains

local x = pl.tensor(oracle.x):reshape(table.unpack(oracle.size))

-- The largest difference of two tensors in one shape.
local function difference(a, b)
  eq(a:size(), b:size())
  return (a:to "real" - b:to "real"):abs():max():item()
end

local function numbers(case) return pl.tensor(table.move(case, 1, #case, 1, {})):reshape(table.unpack(case.size)) end

function T.test_what_torchvision_has()
  for _, case in ipairs(oracle.steps) do
    local y = image[case.name](x, load("return " .. case.arguments)())
    lu.assertTrue(difference(y, numbers(case)) < 1e-5, case.name .. " " .. case.arguments)
  end
end

-- The comments of the functions say what the table has: each parameter, with its default.
function T.test_comments_say_what_the_table_has()
  local said = {}
  for _, entry in ipairs(require("perilune.help.doc").module "perilune.image.steps") do
    local text, named = {entry.text}, {}
    for _, param in ipairs(entry.params) do
      text[#text + 1], named[param.name] = param.text, param
    end
    said[entry.name] = {text = table.concat(text, " "), named = named}
  end
  for name, parameters in pairs(require("perilune.core").image_steps()) do
    for _, p in ipairs(parameters) do
      local own, text = said[name].named[p.name], said[name].text
      if own then
        eq(own.default, p.default)
      elseif not text:find "as of `" then
        lu.assertStrContains(text, "`" .. p.name .. "`", false, false, name)
        local default = p.default and p.default:gsub("0%.75, 1%.33333", "3/4, 4/3")
        if default and not default:find '^"' then
          lu.assertStrContains(text, "`" .. p.name .. "` (" .. default .. ")", false, false, name)
        end
      end
    end
  end
end

--
-- Layouts
--

local half <const> = {resize = {{3, 4}}, crop = {1, 1, 4, 5}, center_crop = {4}, pad = {1}, flip = {}, rotate = {30},
  affine = {{angle = 9}}, blur = {3}, erase = {1, 2, 3, 3}, to_gray = {}, normalise = {0.5, 2}, jitter = {{brightness = {2, 2}}},
  random_crop = {6, {padding = 1}}, random_resized_crop = {4}, random_flip = {}, random_rotate = {9}, random_affine = {9},
  random_blur = {3}, random_erase = {}, random_gray = {}}

local function done(name, t)
  pl.manual_seed(3)
  return image[name](t, table.unpack(half[name]))
end

function T.test_every_function_is_tried()
  for name in pairs(require "perilune.image.steps") do
    lu.assertTrue(half[name] ~= nil or name == "transform", name)
  end
end

-- The same comes of channels first and last, of one image and of a batch, with the random numbers of
-- the first image.
function T.test_layouts_agree()
  for name in pairs(half) do
    local first = done(name, x)
    local last = done(name, x:permute(1, 3, 4, 2))
    local one = done(name, x[1]:permute(2, 3, 1))
    local lines = first:select(1, 1)
    if name == "to_gray" then
      eq(difference(lines:select(1, 1), one), 0)
      eq(difference(lines:select(1, 1), last[1]), 0)
    else
      eq(difference(lines:permute(2, 3, 1), one), 0, name)
      eq(difference(last[1], one), 0, name)
    end
    local grey = x:select(2, 1)
    eq(difference(done(name, grey):select(1, 1), done(name, grey[1])), 0, name)
    eq(done(name, grey:unsqueeze(2)):size(2), 1)
  end
end

function T.test_bytes()
  local t = pl.randint(0, 255, {5, 6, 7, 3}, "uint8")
  for name in pairs(half) do
    local y = done(name, t)
    eq(y:dtype(), name == "normalise" and "real" or "uint8")
    if name ~= "normalise" then
      local real = (done(name, t:to "real" / 255):clamp(0, 1) * 255 + 0.5):to "uint8"
      lu.assertTrue(difference(y, real) <= 1, name)
    end
  end
  eq(image.flip(image.flip(t)):totable(), t:totable())
  eq(image.crop(t, 1, 1, 6, 7):totable(), t:totable())
  eq(image.resize(t, {6, 7}):totable(), t:totable())
  eq(image.normalise(pl.full({1, 1, 3}, 255, "uint8"), 0.5, 0.5):totable(), {{{1, 1, 1}}})
end

function T.test_four_channels_and_ambiguous_sizes()
  eq(image.resize(pl.rand(8, 6, 4), 3):size(), {4, 3, 4})
  eq(image.resize(pl.rand(2, 4, 8, 6), 3):size(), {2, 4, 4, 3})
  eq(image.resize(pl.rand(2, 3, 8, 3), 6):size(), {2, 3, 16, 6})              -- real: channels first
  eq(image.resize(pl.zeros({2, 3, 8, 3}, "uint8"), 6):size(), {2, 6, 16, 3})  -- uint8: channels last
  eq(image.resize(pl.zeros({2, 3, 8, 6}, "uint8"), 3):size(), {2, 3, 4, 3})
  eq(image.resize(pl.rand(3, 8, 6), 3):size(), {3, 4, 3})                     -- three grey images
  eq(image.rotate(pl.rand(5, 9, 3), 90, {expand = true}):size(), {9, 5, 3})
end

function T.test_a_quarter_turn_is_exact()
  local t = pl.randint(0, 255, {5, 8, 3}, "uint8")
  local y = image.rotate(t, 90, {expand = true})
  eq(y:totable(), t:permute(2, 1, 3):flip(1):totable())
  eq(image.rotate(t, 360):totable(), t:totable())
end

function T.test_views_and_single_pixels()
  local t = pl.rand(7, 9, 3)
  eq(difference(image.resize(t:permute(2, 1, 3), {4, 4}), image.resize(t, {4, 4}):permute(2, 1, 3)) < 1e-6, true)
  for name in pairs(half) do
    local ok, why = pcall(done, name, pl.rand(1, 1))
    lu.assertTrue(ok or why:find(name .. ": ", 1, true) ~= nil, name)
  end
end

--
-- Random numbers
--

function T.test_each_image_has_its_own()
  local same = x:expand(8, 3, 6, 7)
  local y = image.random_resized_crop(same, 4)
  local different = false
  for i = 2, 8 do different = different or difference(y[1], y[i]) > 0 end
  lu.assertTrue(different)
end

function T.test_the_seed_decides_and_the_threads_do_not()
  local big = pl.rand(32, 3, 40, 40)
  local t = image.transform {{"random_resized_crop", 24}, {"random_flip"}, {"jitter", 0.3, 0.3, 0.3, 0.1},
    {"random_affine", 20, translate = {0.2, 0.2}}, {"random_erase"}, {"random_blur", 3}, {"random_gray", 0.5}}
  local threads = pl.threads()
  local function run(n)
    pl.threads(n)
    pl.manual_seed(7)
    return t(big)
  end
  local one, two, again = run(1), run(4), t(big)
  pl.threads(threads)
  eq(difference(one, two), 0)
  lu.assertTrue(difference(two, again) > 0)
end

function T.test_one_number_of_the_stream_an_image()
  local t = pl.rand(5, 6, 6)
  local before = pl.random_state()
  image.random_flip(t)
  eq(pl.random_state(), {key = before.key, counter = before.counter + 5})
end

function T.test_chances()
  local t = pl.tensor {{0, 1}}:expand(2000, 1, 2)
  local flipped = image.random_flip(t, {p = 0.25}):select(3, 1):sum():item()
  lu.assertTrue(flipped > 420 and flipped < 580)
  eq(image.random_flip(t, {p = 0}):totable(), t:totable())
  eq(image.random_flip(t, {p = 1}):totable(), image.flip(t):totable())
  local bright = image.jitter(pl.full({500, 1, 1}, 0.5), {brightness = 0.2})
  lu.assertTrue(bright:min():item() >= 0.4 - 1e-6 and bright:max():item() <= 0.6 + 1e-6)
  lu.assertTrue(bright:min():item() < 0.41 and bright:max():item() > 0.59)
  local holes = image.random_erase(pl.ones(50, 20, 20), {p = 1, scale = {0.1, 0.2}})
  for i = 1, 50 do
    local share = 1 - holes[i]:mean():item()
    lu.assertTrue(share > 0.08 and share < 0.23)
  end
  for _ = 1, 20 do eq(image.random_crop(pl.ones(3, 9, 9), 9, {padding = 4}):size(), {3, 9, 9}) end
end

--
-- Transforms
--

function T.test_transforms_are_their_steps()
  local t = image.transform {{"resize", {5, 4}, mode = "bicubic"}, {"flip"}, {"normalise", mean = 0.5, std = {1, 2, 4}}}
  local y = image.normalise(image.flip(image.resize(x, {5, 4}, {mode = "bicubic"})), 0.5, {1, 2, 4})
  eq(difference(t(x), y), 0)
  eq(tostring(t), [[transform: resize(size = {5, 4}, mode = "bicubic", antialias = true), ]] ..
    [[flip(direction = "horizontal"), normalise(mean = 0.5, std = {1, 2, 4})]])
end

function T.test_transforms_of_batches()
  local set = {images = pl.randint(0, 255, {10, 8, 8, 3}, "uint8"), labels = pl.arange(1, 10, "int32")}
  local t = image.transform {{"center_crop", 6}}
  local n = 0
  for batch, labels in pl.data.batches(set, {batch_size = 5, transform = t}) do
    eq(batch:size(), {5, 3, 6, 6})
    eq(#labels, 5)
    n = n + 1
  end
  eq(n, 2)
end

function T.test_sizes_must_agree()
  local t = image.transform {{"random_rotate", 90, expand = true}}
  fails("those of a tensor must be of one size", t, pl.rand(20, 9, 17))
end

--
-- Mixtures
--

function T.test_mixup()
  local a, y = pl.rand(6, 3, 4, 4), pl.tensor({1, 2, 3, 4, 5, 6}, "int32")
  local mixed, first, second, weight = image.mixup(a, y)
  eq(first:totable(), y:totable())
  lu.assertTrue(weight >= 0 and weight <= 1)
  local other = pl.index_select(a, second, 1)
  lu.assertTrue(difference(mixed, a * weight + other * (1 - weight)) < 1e-6)
  local _, soft = image.mixup(a, pl.rand(6, 5))
  eq(soft:size(), {6, 5})
end

function T.test_weights_of_mixup()
  local function spread(alpha)
    local sum, y = 0, pl.tensor({1}, "int32")
    for _ = 1, 300 do
      local _, _, _, weight = image.mixup(pl.rand(1, 1, 1), y, {alpha = alpha})
      sum = sum + (weight - 0.5) ^ 2
    end
    return sum / 300
  end
  for _, alpha in ipairs {0.3, 1, 4} do -- of Beta(a, a): 1 / (4 (2 a + 1))
    local variance = 1 / (4 * (2 * alpha + 1))
    lu.assertTrue(math.abs(spread(alpha) / variance - 1) < 0.3, alpha)
  end
end

function T.test_cutmix()
  local y = pl.tensor({1, 2, 3, 4}, "int32")
  for _, size in ipairs {{4, 3, 9, 8}, {4, 9, 8, 3}, {4, 9, 8}} do
    local a = pl.arange(1, 4):reshape(4, 1, 1, 1):narrow(2, 1, 1)
    a = #size == 4 and a:expand(table.unpack(size)) or a:select(4, 1):expand(table.unpack(size))
    for _ = 1, 10 do
      local mixed, first, second, weight = image.cutmix(a, y)
      eq(mixed:size(), size)
      for i = 1, 4 do
        if first[i] ~= second[i] then
          local stayed = mixed[i]:eq(first[i]):to("real"):mean():item()
          lu.assertAlmostEquals(stayed, weight, 1e-6)
        end
      end
    end
  end
end

--
-- Bad input
--

function T.test_each_option_is_checked()
  local t = pl.rand(2, 3, 6, 7)
  for text, call in pairs {
    ["resize: size is missing"] = {"resize"},
    ["resize: size is 0; 1 to 65535 expected"] = {"resize", 0},
    ["resize: size is 2.5; a whole number expected"] = {"resize", 2.5},
    ["resize: size is nan; 1 to 65535 expected"] = {"resize", 0 / 0},
    ["resize: size has 3 numbers; 1 to 2 expected"] = {"resize", {1, 2, 3}},
    ["resize: number expected, got table"] = {"resize", {1, {}}},
    ["resize: mode: number expected, got function"] = {"resize", 3, {mode = print}},
    ["resize: size: a list of 1 to 4 numbers expected, got 5"] = {"resize", {size = {1, 2, 3, 4, 5}}},
    ["resize: size is 'big'; a number expected"] = {"resize", "big"},
    ["resize: mode is 'cubic'; one of bilinear bicubic area nearest expected"] = {"resize", 3, {mode = "cubic"}},
    ["resize: antialias is a number; true or false expected"] = {"resize", 3, {antialias = 1}},
    ["resize: size is true; a number expected"] = {"resize", true},
    ["resize: unknown option 'sise'"] = {"resize", {sise = 3}},
    ["resize: size is given twice"] = {"resize", 3, {size = 3}},
    ["resize: 60000 x 70000 pixels asked for; 1 to 100000000 expected"] = {"resize", 60000},
    ["crop: 9 x 9 pixels from line 1, column 1 on are not within an image of 6 x 7"] = {"crop", 1, 1, 9, 9},
    ["crop: top is 0; 1 to 65535 expected"] = {"crop", 0, 1, 2, 2},
    ["crop: width is missing"] = {"crop", 1, 1, 2},
    ["center_crop: 7 x 7 pixels of an image of 6 x 7"] = {"center_crop", 7},
    ["pad: padding has 3 numbers; 1, 2 or 4 expected"] = {"pad", {1, 2, 3}},
    ["pad: padding is -1; 0 to 65535 expected"] = {"pad", -1},
    ["pad: fill has 2 numbers, but the image 3 channels"] = {"pad", 1, {fill = {1, 2}}},
    ["pad: an image of 6 x 7 has not enough pixels to reflect"] = {"pad", 6, {mode = "reflect"}},
    ["pad: 60006 x 60007 pixels asked for"] = {"pad", 30000},
    ["flip: direction is 'up'; one of horizontal vertical expected"] = {"flip", "up"},
    ["affine: scale is 0; 0.001 to 1000 expected"] = {"affine", {scale = 0}},
    ["affine: shear is 90; -89 to 89 expected"] = {"affine", {shear = {90, 0}}},
    ["affine: translate has 1 number; 2 expected"] = {"affine", {translate = 3}},
    ["blur: kernel_size is 4; an odd number expected"] = {"blur", 4},
    ["blur: the kernel is too large for an image of 6 x 7"] = {"blur", 13},
    ["to_gray: channels is 2; 1 or 3 expected"] = {"to_gray", 2},
    ["normalise: std is 0; a positive number expected"] = {"normalise", 0, 0},
    ["normalise: mean has 4 numbers, but the image 3 channels"] = {"normalise", {1, 2, 3, 4}, 1},
    ["jitter: hue is 0.6; -0.5 to 0.5 expected"] = {"jitter", {hue = 0.6}},
    ["jitter: brightness is {2, 1}; the smaller number first expected"] = {"jitter", {brightness = {2, 1}}},
    ["random_crop: 9 x 9 pixels of an image of 6 x 7"] = {"random_crop", 9},
    ["random_flip: p is 1.5; 0 to 1 expected"] = {"random_flip", {p = 1.5}},
    ["random_affine: shear has 3 numbers; 1, 2 or 4 expected"] = {"random_affine", 3, {shear = {1, 2, 3}}},
    ["random_gray: 2 arguments; at most 1 expected"] = {"random_gray", 0.5, 3},
  } do
    local name = call[1]
    local ok, message = pcall(image[name], t, table.unpack(call, 2))
    if name == "random_gray" then ok, message = pcall(image.transform, {{name, 0.5, 3}}) end
    eq(ok, false, text)
    lu.assertStrContains(message, text)
    lu.assertNotStrContains(message, "\n")
  end
end

function T.test_tensors_that_are_no_images()
  for _, t in ipairs {pl.rand(3), pl.rand(2, 2, 8, 8), pl.rand(1, 1, 1, 1, 1), pl.zeros({4, 4}, "int32"),
                      pl.zeros(0, 4, 4), pl.zeros(4, 0)} do
    fails("uint8 or real [h,w], [h,w,3], [n,h,w], [n,h,w,3], or [n,c,h,w] with pixels expected",
      image.flip, t)
  end
  fails("flip: images expected, got string", image.flip, "photo.jpg")
  fails("flip: images expected, got nil", image.flip)
end

function T.test_lists_of_steps()
  for text, list in pairs {
    ["transform: a list of steps expected, got an empty table"] = {},
    ["transform: step 2 is a string; {name, ...} expected"] = {{"flip"}, "flip"},
    ["transform: step 1 begins with a number; the name of a step expected"] = {{3}},
    ["transform: there is no step 'rotat'; did you mean 'rotate'?"] = {{"rotat", 3}},
    ["transform: there is no step 'ColorJitter'; write image.jitter"] = {{"flip"}, {"ColorJitter", 3}},
    ["rotate: angle is missing"] = {{"rotate"}},
    ["resize: unknown option 'sigma'"] = {{"resize", 3, sigma = 2}},
  } do
    fails(text, image.transform, list)
  end
  fails("resize: 15 arguments; at most 8 expected", image.transform,
    {{"resize", nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, 3}})
  eq(tostring(image.transform {{"resize", 3, nil, false}}),
    'transform: resize(size = 3, mode = "bilinear", antialias = false)')
  fails("transform: images expected, got number", image.transform {{"flip"}}, 3)
  fails("table expected", image.transform, "flip")
end

-- What is no number stays where it is, and has no hue.
function T.test_pixels_that_are_no_numbers()
  for channel = 1, 3 do
    local pixels = pl.tensor {0.2, 0.4, 0.9}:expand(4, 4, 3):clone()
    pixels:select(3, channel):fill_(0 / 0)
    for _ = 1, 20 do
      eq(image.jitter(pixels, {hue = 0.5}):isnan():to("real"):sum():item(), 16)
      eq(image.jitter(pixels, {hue = 0.5, saturation = 0.5}):size(), {4, 4, 3})
    end
  end
end

function T.test_mixtures_are_checked()
  local a, y = pl.rand(4, 3, 5, 5), pl.tensor({1, 2, 3, 4}, "int32")
  for _, name in ipairs {"mixup", "cutmix"} do
    fails(name .. ": alpha: a number above 0", image[name], a, y, {alpha = 0})
    fails(name .. ": images are real[4]", image[name], pl.rand(4), y)
    fails("as many of both expected", image[name], a, pl.tensor({1}, "int32"))
    fails(name .. ": tensor expected", image[name], a, 3)
  end
  fails("mixup: images are uint8[4,5,5]; real ones expected", image.mixup, pl.zeros({4, 5, 5}, "uint8"), y)
end

function T.test_no_gradient_passes()
  local w = pl.rand(2, 3, 4, 4):requires_grad_()
  local y = image.flip(w)
  eq(y.requires_grad, false)
  fails("transform", function() y:sum():backward() end)
end

return T
