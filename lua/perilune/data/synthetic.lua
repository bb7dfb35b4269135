--- Ten drawn classes of garments or of digits: stand-ins for Fashion-MNIST and MNIST that need no
-- download.
--
-- Each class is a function that returns polygons, drawn in order over each other. Lengths,
-- widths, shades, position, size and tilt vary from image to image; neighbouring classes
-- (T-shirt and shirt, pullover and coat) overlap a little, as the real ones do.
-- @module perilune.data.synthetic

local core = require "perilune.core"

local synthetic = {}

local PARAMETERS <const> = 24 -- random numbers that one image may use
local CHUNK <const> = 250 -- images that lie in Lua tables at one time

--
-- The classes. Coordinates are (x right, y down) in [-1, 1]; a polygon is a list
-- x1, y1, x2, y2, ... with a field `shade`, which multiplies the brightness of the image.
-- `r(low, high)` gives the next random number of the image.
--

-- The right half of an outline, from top to bottom, and its mirror image.
local function mirrored(half, shade)
  local outline, n = {shade = shade}, #half
  for i = 1, n do outline[i] = half[i] end
  for i = n - 1, 1, -2 do
    outline[#outline + 1] = -half[i]
    outline[#outline + 1] = half[i + 1]
  end
  return outline
end

-- A bar of the given thickness from (x1, y1) to (x2, y2).
local function bar(x1, y1, x2, y2, thick, shade)
  local length = math.sqrt((x2 - x1) ^ 2 + (y2 - y1) ^ 2)
  local dx, dy = -(y2 - y1) / length * thick / 2, (x2 - x1) / length * thick / 2
  return {x1 + dx, y1 + dy, x2 + dx, y2 + dy, x2 - dx, y2 - dy, x1 - dx, y1 - dy, shade = shade}
end

-- What is worn above the waist; `sleeve` is a length, `angle` how far it hangs down.
local function top(r, sleeve, angle, hem)
  local shoulder, chest = r(0.42, 0.52), r(0.40, 0.50)
  local x, y = shoulder + sleeve * math.cos(angle), -0.74 + sleeve * math.sin(angle)
  local cuff = r(0.20, 0.28)
  return mirrored({r(0.14, 0.24), -0.86, shoulder, -0.74, x, y,
    x - cuff * math.sin(angle), y + cuff * math.cos(angle),
    chest, -0.30, chest * r(0.85, 1.0), 0.2, chest * r(0.9, 1.12), hem}, 1)
end

local function neckline(r, shade)
  local w, deep = r(0.12, 0.2), r(0.1, 0.26)
  return mirrored({w, -0.87, w * 0.7, -0.86 + deep * 0.8, 0, -0.86 + deep}, shade)
end

local function t_shirt(r)
  return {top(r, r(0.32, 0.56), r(0.45, 0.85), r(0.66, 0.88)), neckline(r, 0.1)}
end

local function trouser(r)
  local hip, ankle, gap = r(0.30, 0.42), r(0.26, 0.42), r(0.02, 0.12)
  return {
    mirrored({hip * 0.85, -0.92, hip, -0.45, ankle, 0.92, gap, 0.92, 0.01, r(-0.4, -0.2)}, 1),
    bar(-hip * 0.85, -0.86, hip * 0.85, -0.86, 0.1, r(0.6, 0.95)),
  }
end

local function pullover(r)
  return {
    top(r, r(1.05, 1.4), r(1.0, 1.22), r(0.62, 0.84)), neckline(r, r(0.1, 0.7)),
    bar(-0.42, 0.7, 0.42, 0.7, r(0.02, 0.1), r(0.7, 1.0)),
  }
end

local function dress(r)
  local waist, hem = r(0.16, 0.26), r(0.28, 0.56)
  local shoulder = r(0.20, 0.34)
  return {
    mirrored({0.12, -0.92, shoulder, -0.9, shoulder * r(0.9, 1.25), -0.5, waist, r(-0.25, 0.0),
      (waist + hem) / 2 * r(0.95, 1.1), 0.4, hem, 0.92}, 1),
    neckline(r, 0.05),
  }
end

local function coat(r)
  local hem = r(0.78, 0.95)
  return {
    top(r, r(1.05, 1.4), r(1.02, 1.25), hem), neckline(r, r(0.2, 0.8)),
    bar(0, -0.7, r(-0.04, 0.04), hem, r(0.03, 0.09), r(0.05, 0.75)),
  }
end

local function sandal(r)
  local heel, toe = r(0.0, 0.3), r(0.38, 0.5)
  local parts = {
    {-0.9, toe, 0.2, toe - 0.05, 0.9, toe - heel - 0.1, 0.9, toe - heel + 0.05, 0.3, toe + 0.1,
      -0.85, toe + 0.12, shade = 1},
    bar(0.85, toe - heel, 0.85, toe + 0.12, r(0.08, 0.2), 0.9),
  }
  for i = 1, 3 do
    local x = -1 + 0.45 * i + r(-0.08, 0.08)
    parts[#parts + 1] = bar(x, toe, x + r(0.1, 0.4), toe - r(0.2, 0.55), r(0.07, 0.15), r(0.6, 1))
  end
  return parts
end

local function shirt(r)
  local hem = r(0.68, 0.9)
  local collar = r(0.7, 1.0)
  return {
    top(r, r(0.48, 1.35), r(0.8, 1.2), hem), neckline(r, 0.25),
    mirrored({0.05, -0.95, 0.2, -0.9, 0.14, -0.66, 0.03, -0.74}, collar),
    bar(0, -0.7, 0, hem, r(0.02, 0.06), r(0.55, 0.9)),
  }
end

local function sneaker(r)
  local ankle, toe = r(-0.32, -0.08), r(0.1, 0.24)
  return {
    {0.85, ankle, 0.92, 0.42, -0.9, 0.42, -0.9, toe, -0.6, toe - 0.06, r(-0.2, 0.1), ankle + 0.08,
      0.4, ankle + r(0.0, 0.15), shade = 1},
    {-0.93, 0.34, 0.95, 0.34, 0.95, 0.5, -0.9, 0.5, shade = r(0.6, 1.0)},
    bar(-0.35, toe, r(-0.1, 0.2), ankle + 0.25, r(0.05, 0.12), r(0.3, 0.8)),
  }
end

local function bag(r)
  local w, y, h = r(0.6, 0.92), r(-0.35, -0.02), r(0.62, 0.8)
  local grip, rise = r(0.22, 0.5), r(0.25, 0.6)
  return {
    mirrored({grip, y - rise, grip * 1.2, y}, r(0.6, 1.0)),
    mirrored({grip * 0.7, y - rise + 0.12, grip * 0.95, y}, 0),
    mirrored({w * r(0.75, 1.0), y, w, h}, 1),
    bar(-w * 0.8, y + 0.2, w * 0.8, y + 0.2, r(0.03, 0.12), r(0.5, 0.9)),
  }
end

local function boot(r)
  local rim, toe, shaft = r(-0.92, -0.5), r(0.3, 0.45), r(0.1, 0.3)
  return {
    {-shaft, rim, 0.72, rim + r(-0.05, 0.05), 0.75, 0.75, -0.88, 0.75, -0.9, toe + 0.2,
      -0.55, toe, -shaft, r(0.0, 0.25), shade = 1},
    {-0.92, 0.7, 0.78, 0.7, 0.78, 0.86, 0.35, 0.86, 0.3, 0.8, -0.9, 0.8, shade = r(0.5, 0.9)},
  }
end

-- The strokes of each digit, as a pocket calculator has them: `a` above, `g` in the middle, `d`
-- below, `f` and `b` left and right in the upper half, `e` and `c` in the lower one.
local STROKES <const> = {
  "abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgecd", "abc", "abcdefg", "abcdfg",
}

-- From which corner to which a stroke goes: 1 and 2 are the upper ones, 3 and 4 in the middle.
local CORNERS <const> = {
  a = {1, 2}, b = {2, 4}, c = {4, 6}, d = {5, 6}, e = {3, 5}, f = {1, 3}, g = {3, 4},
}

local function digit(strokes)
  return function(r)
    local w, h, slant, thick, corners = r(0.35, 0.55), r(0.7, 0.9), r(0, 0.25), r(0.14, 0.28), {}
    for i = 1, 6 do
      local x, y = i % 2 == 0 and w or -w, ((i - 1) // 2 - 1) * h
      corners[i] = {x - slant * y + r(-0.08, 0.08), y + r(-0.08, 0.08)}
    end
    local bars = {}
    for stroke in strokes:gmatch "." do
      local from, to = corners[CORNERS[stroke][1]], corners[CORNERS[stroke][2]]
      bars[#bars + 1] = bar(from[1], from[2], to[1], to[2], thick, 1)
    end
    return bars
  end
end

local digits = {}
for i, strokes in ipairs(STROKES) do digits[i] = digit(strokes) end

local CLASSES <const> = {
  garments = {t_shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, boot},
  digits = digits,
}

--
-- Drawing
--

-- Adds how much of each pixel of a line lies between x1 and x2, in pixels, times `weight`.
local function cover(line, x1, x2, weight, size)
  x1, x2 = math.max(x1, 0), math.min(x2, size)
  if x1 >= x2 then return end
  local first, last = math.floor(x1) + 1, math.min(math.floor(x2) + 1, size)
  if first == last then
    line[first] = line[first] + (x2 - x1) * weight
    return
  end
  line[first] = line[first] + (first - x1) * weight
  for i = first + 1, last - 1 do line[i] = line[i] + weight end
  line[last] = line[last] + (x2 - last + 1) * weight
end

-- Where the horizontal line at height y crosses the polygon, from left to right.
local function crossings(polygon, y, into)
  local k, n = 0, #polygon
  local x1, y1 = polygon[n - 1], polygon[n]
  for i = 1, n, 2 do
    local x2, y2 = polygon[i], polygon[i + 1]
    if (y1 <= y) ~= (y2 <= y) then
      local x, at = x1 + (y - y1) / (y2 - y1) * (x2 - x1), k
      while at > 0 and into[at] > x do
        into[at + 1] = into[at]
        at = at - 1
      end
      into[at + 1] = x
      k = k + 1
    end
    x1, y1 = x2, y2
  end
  return k
end

local line, crossed = {}, {}

-- Fills a polygon, given in pixels, over what is in `pixels` from `base` on.
local function fill(pixels, base, polygon, shade, size)
  local low, high = math.huge, -math.huge
  for i = 2, #polygon, 2 do
    low, high = math.min(low, polygon[i]), math.max(high, polygon[i])
  end
  for row = math.max(math.floor(low), 0), math.min(math.floor(high), size - 1) do
    for x = 1, size do line[x] = 0 end
    for part = 0, 1 do -- two lines of sight for a row of pixels
      local k = crossings(polygon, row + 0.25 + 0.5 * part, crossed)
      for i = 1, k - 1, 2 do cover(line, crossed[i], crossed[i + 1], 0.5, size) end
    end
    local at = base + row * size
    for x = 1, size do
      local c = line[x]
      if c > 0 then pixels[at + x] = pixels[at + x] * (1 - c) + shade * c end
    end
  end
end

-- Puts a polygon into pixels: scaled, tilted and moved.
local function place(polygon, frame)
  for i = 1, #polygon, 2 do
    local x, y = polygon[i] * frame.width, polygon[i + 1] * frame.height
    polygon[i] = frame.x + x * frame.cos - y * frame.sin
    polygon[i + 1] = frame.y + x * frame.sin + y * frame.cos
  end
  return polygon
end

-- Draws one image, from a list of numbers in [0, 1).
local function draw(pixels, base, shapes, uniform, size)
  local used = 0
  local function r(low, high)
    used = used + 1
    return low + (high - low) * uniform[used]
  end
  local half, tilt = size / 2, r(-0.12, 0.12)
  local frame = {
    x = half * (1 + r(-0.1, 0.1)), y = half * (1 + r(-0.1, 0.1)),
    width = half * r(0.78, 1.0), height = half * r(0.8, 1.0),
    cos = math.cos(tilt), sin = math.sin(tilt),
  }
  local bright = r(0.35, 1.0)
  for _, polygon in ipairs(shapes(r)) do
    fill(pixels, base, place(polygon, frame), bright * polygon.shade, size)
  end
end

-- Draws images first .. first + count - 1 and gives them as bytes, with cloth-like noise.
local function draw_chunk(classes, labels, uniforms, first, count, size)
  local pixels, area = {}, size * size
  for i = 1, count * area do pixels[i] = 0 end
  for i = 1, count do
    local n = first + i - 1
    draw(pixels, (i - 1) * area, classes[labels[n]], uniforms[n], size)
  end
  local noise = core.empty(count, size, size):normal_(1, 0.15)
  local images = core.tensor(pixels):reshape(count, size, size):mul_(noise):mul_(255)
  return core.clamp(images, 0, 255):to("uint8")
end

--- Draws images of ten classes.
--
-- The same seed gives the same images; the random numbers of the caller go on as if
-- nothing had been drawn. The classes are balanced and in random order.
-- @param options `n` images (1000), `seed` (1), `size` of an image's side (28), `of` what:
--   "garments" (the default) or "digits"
-- @return images, a uint8 tensor [n, size, size]
-- @return labels, an int32 tensor [n] of 1..10
function synthetic.draw(options)
  local n, size, classes = options.n or 1000, options.size or 28, CLASSES[options.of or "garments"]
  local state <const> = core.random_state()
  local _ <close> = setmetatable({}, {__close = function() core.set_random_state(state) end})
  core.manual_seed(options.seed or 1)
  local classes_in_order, labels = core.randperm(n):totable(), {}
  for i = 1, n do labels[i] = classes_in_order[i] % #classes + 1 end
  local uniforms = core.rand(n, PARAMETERS):totable()
  local images = core.empty({n, size, size}, "uint8")
  for first = 1, n, CHUNK do
    local count = math.min(CHUNK, n - first + 1)
    images:slice(1, first, count):copy_(draw_chunk(classes, labels, uniforms, first, count, size))
  end
  return images, core.tensor(labels, "int32")
end

return synthetic
