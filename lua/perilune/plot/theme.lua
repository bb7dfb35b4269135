--- Colours, colour maps and measures that every plot shares.
-- Plots read this table when they draw, so a script may change it.

local theme = {}

--- Colours of the series, in order: well apart for colour-blind readers too, dark enough on white.
theme.palette = {
  "#1f6fb5", "#d9541e", "#14916a", "#8e5bb0", "#d99a00",
  "#45aee0", "#c4518f", "#7b5236", "#7d8791", "#7f9a1c",
}

theme.ink = "#1f2933"        -- titles and labels
theme.muted = "#55606b"      -- numbers at the ticks
theme.spine = "#9aa5b1"      -- axis lines
theme.grid = "#e7ebee"
theme.missing = "#eceff2"    -- cells without a value

theme.figure_title_size = 13 -- sizes in points
theme.title_size = 11
theme.label_size = 9.5
theme.tick_size = 8.5
theme.page_padding = 9
theme.panel_gap = 16
theme.line_width = 1.7
theme.marker_size = 5

--- Colours that have a name.
theme.names = {
  blue = "#1f6fb5", orange = "#d9541e", green = "#14916a", purple = "#8e5bb0",
  yellow = "#d99a00", cyan = "#45aee0", pink = "#c4518f", brown = "#7b5236",
  grey = "#7d8791", gray = "#7d8791", olive = "#7f9a1c", red = "#c62f3b",
  black = "#000000", white = "#ffffff",
}

--- The red, green and blue (0 to 1) of a colour, or nil if it is none.
-- @param color "#rrggbb", a name such as "blue", the number of a palette colour, or {r, g, b}
function theme.rgb(color)
  if type(color) == "table" then
    return color[1], color[2], color[3]
  elseif math.type(color) == "integer" then
    color = theme.palette[(color - 1) % #theme.palette + 1]
  end
  if type(color) ~= "string" then return nil end
  local digits = (theme.names[color] or color):match("^#(%x%x%x%x%x%x)$")
  if not digits then return nil end
  local n = tonumber(digits, 16)
  return (n >> 16) / 255, (n >> 8 & 255) / 255, (n & 255) / 255
end

--- Makes a colour, as above, the canvas's.
-- @param c canvas
-- @param color any colour that `theme.rgb` knows
-- @param alpha opacity, 1 if it is left out
function theme.use(c, color, alpha)
  local r, g, b = theme.rgb(color)
  return c:color(r, g, b, alpha)
end

-- From lightness, chroma and hue (degrees) of the perceptual space OKLab to sRGB.
local function from_oklch(lightness, chroma, hue)
  local a = chroma * math.cos(math.rad(hue))
  local b = chroma * math.sin(math.rad(hue))
  local l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ^ 3
  local m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ^ 3
  local s = (lightness - 0.0894841775 * a - 1.2914855480 * b) ^ 3
  local function gamma(v)
    v = math.min(math.max(v, 0), 1)
    return v <= 0.0031308 and 12.92 * v or 1.055 * v ^ (1 / 2.4) - 0.055
  end
  return gamma(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
    gamma(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
    gamma(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s)
end

--- Colour maps: functions from 0..1 to red, green and blue. Lightness changes evenly in all.
theme.colormaps = {
  -- violet over blue and green to yellow
  aurora = function(t)
    return from_oklch(0.27 + 0.65 * t, 0.10 + 0.06 * math.abs(2 * t - 1), 312 - 208 * t)
  end,
  -- white to dark blue
  blues = function(t)
    return from_oklch(0.99 - 0.60 * t, 0.135 * math.sin(math.pi * (0.03 + 0.75 * t)), 235 + 25 * t)
  end,
  grays = function(t)
    return t, t, t
  end,
}

return theme
