--- Text that fits: lines broken at spaces, an ellipsis where that is not enough (internal).
-- @module perilune.plot.text

local text = {}

--- Cuts a line with an ellipsis so that it is no wider than `width` in the current font.
function text.cut(c, line, width)
  if c:measure(line) <= width then return line end
  local low, high = 0, utf8.len(line)
  while high - low > 1 do
    local n = (low + high) // 2
    local short = line:sub(1, utf8.offset(line, n + 1) - 1) .. "…"
    if c:measure(short) <= width then low = n else high = n end
  end
  return (line:sub(1, utf8.offset(line, low + 1) - 1):gsub("%s+$", "")) .. "…"
end

-- Adds the words of a paragraph to the lines, as many to a line as the width has room for.
local function break_lines(c, paragraph, width, lines)
  local line
  for word in paragraph:gmatch("%S+") do
    local longer = line and line .. " " .. word or word
    if line and c:measure(longer) > width then
      lines[#lines + 1] = line
      line = word
    else
      line = longer
    end
  end
  lines[#lines + 1] = line or ""
end

--- Breaks text at spaces so that it has at most `most` lines no wider than `width`, with an
-- ellipsis where something had to go.
function text.wrap(c, s, width, most)
  if c:measure(s) <= width then return s end
  local lines = {}
  for paragraph in (s .. "\n"):gmatch("(.-)\n") do break_lines(c, paragraph, width, lines) end
  if #lines > most then
    lines[most] = table.concat(lines, " ", most)
    for i = #lines, most + 1, -1 do lines[i] = nil end
  end
  for i, line in ipairs(lines) do lines[i] = text.cut(c, line, width) end
  return table.concat(lines, "\n")
end

--- How many lines a text has.
function text.lines(s)
  local _, n = s:gsub("\n", "")
  return n + 1
end

return text
