--- Text on a terminal: widths, paragraphs and columns (internal).
-- @module perilune.help.text

local text = {}

--- The number of columns that a text takes.
-- @param s string
-- @return integer
function text.width(s)
  return utf8.len(s) or #s
end

--- Adds spaces up to a width.
-- @param s string
-- @param width columns
-- @return string
function text.fill(s, width)
  return s .. (" "):rep(width - text.width(s))
end

--- Breaks a paragraph into lines. A word that is longer than the width stays whole.
-- @param paragraph string; runs of spaces and newlines in it count as one space
-- @param width columns
-- @return list of lines
function text.wrap(paragraph, width)
  local lines, line = {}, nil
  for word in paragraph:gmatch("%S+") do
    if line and text.width(line) + 1 + text.width(word) <= width then
      line = line .. " " .. word
    else
      lines[#lines + 1] = line
      line = word
    end
  end
  lines[#lines + 1] = line
  return lines
end

--- Lays words out in columns, which are read downwards as in a directory listing.
-- @param words list of strings
-- @param width columns of the terminal
-- @return string, several lines
function text.columns(words, width)
  local cell = 0
  for _, word in ipairs(words) do cell = math.max(cell, text.width(word) + 2) end
  local across = math.max(1, (width + 2) // math.max(cell, 1))
  local rows = (#words + across - 1) // across
  local lines = {}
  for row = 1, rows do
    local line = {}
    for i = row, #words, rows do line[#line + 1] = text.fill(words[i], cell) end
    lines[row] = table.concat(line):gsub("%s+$", "")
  end
  return table.concat(lines, "\n")
end

return text
