--- Words for messages: lists of them, and the one that was probably meant (internal).
-- @module perilune.internal.words

local words = {}

--- The number of edits that turn one word into another: a letter changed, left out or put
-- in, or two neighbours swapped.
-- @param a word
-- @param b word
-- @return integer
function words.edit_distance(a, b)
  local before, row = {}, {} -- the last two rows of the table of distances
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local next_row = {[0] = i}
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      local d = math.min(row[j - 1] + (same and 0 or 1), row[j] + 1, next_row[j - 1] + 1)
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        d = math.min(d, before[j - 2] + 1)
      end
      next_row[j] = d
    end
    before, row = row, next_row
  end
  return row[#b]
end

--- The known word that a misspelled one was probably meant to be.
-- @param word the word that is not known
-- @param known list of words
-- @return the nearest known word, or nil if none is near
function words.nearest(word, known)
  local best, best_distance = nil, math.max(1, #word // 3) + 1
  for _, candidate in ipairs(known) do
    local d = words.edit_distance(word, candidate)
    if #word > 2 and candidate:sub(1, #word) == word then d = 1 end
    if d < best_distance then best, best_distance = candidate, d end
  end
  return best
end

--- The keys of a table as sorted strings.
-- @param t table
-- @return list of strings
function words.sorted_keys(t)
  local keys = {}
  for key in next, t do keys[#keys + 1] = tostring(key) end
  table.sort(keys)
  return keys
end

--- Cuts a long list of words down for a message.
-- @param list of strings
-- @param[opt=4] most how many to show
-- @return string
function words.abbreviate(list, most)
  most = most or 4
  if #list <= most then return table.concat(list, ", ") end
  return ("%s and %d more"):format(table.concat(list, ", ", 1, most), #list - most)
end

--- An integer with a comma after each three digits: "61,706".
-- @param n
-- @return string
function words.thousands(n)
  local text = ("%.0f"):format(n):reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (text:gsub("^,", ""))
end

--- The lines of a table whose columns stand below each other, two blanks apart.
-- @param rows list of lists of strings
-- @param right list that says of each column whether it ends at the same place, as numbers do
-- @return list of strings
function words.aligned(rows, right)
  local widths, lines = {}, {}
  for _, row in ipairs(rows) do
    for i, text in ipairs(row) do widths[i] = math.max(widths[i] or 0, #text) end
  end
  for r, row in ipairs(rows) do
    local line = {}
    for i, text in ipairs(row) do -- string.format pads to 99 columns at most
      local room = (" "):rep(widths[i] - #text)
      line[i] = right[i] and room .. text or text .. room
    end
    lines[r] = (table.concat(line, "  "):gsub("%s+$", ""))
  end
  return lines
end

--- A shape as text: `[64,10]`.
-- @param tensor
-- @return string
function words.shape(tensor)
  return "[" .. table.concat(tensor:size(), ",") .. "]"
end

return words
