--- Pages of help: headings, prose, rows of two columns and lists of words (internal).
-- @module perilune.help.page

local text = require "perilune.help.text"
local object = require "perilune.internal.object"

local Page = {}
Page.__index = object.index(Page)

local page = {}

--- An empty page.
-- @return page
function page.new()
  return setmetatable({}, Page)
end

--- Adds a heading.
-- @param line string
function Page:heading(line)
  self[#self + 1] = {heading = line}
end

--- Adds text as doc comments have it: paragraphs, list items and indented code.
-- @param prose string; nothing is added if it is empty
function Page:prose(prose)
  if prose ~= "" then self[#self + 1] = {prose = prose} end
end

--- Adds rows of two columns below a heading, if there are any.
-- @param heading string
-- @param rows list of {left, right}
function Page:section(heading, rows)
  if #rows == 0 then return end
  self:heading(heading)
  self[#self + 1] = {rows = rows}
end

--- Adds a list of words below a heading, if there are any.
-- @param heading string
-- @param words list of strings
function Page:words(heading, words)
  if #words == 0 then return end
  self:heading(heading)
  self[#self + 1] = {words = table.concat(words, ", ")}
end

--
-- Layout
--

local function append(out, lines, first, rest)
  for i, line in ipairs(lines) do out[#out + 1] = (i == 1 and first or rest) .. line end
end

local function render_prose(out, prose, width)
  local paragraph, hang = {}, ""
  local function flush()
    append(out, text.wrap(table.concat(paragraph, " "), width - #hang), "", hang)
    paragraph, hang = {}, ""
  end
  for line in (prose .. "\n"):gmatch("(.-)\n") do
    if line:find("^    ") or line:find("^%s*$") then
      flush()
      out[#out + 1] = line
    else
      if line:find("^%- ") then
        flush()
        hang = "  "
      end
      paragraph[#paragraph + 1] = line
    end
  end
  flush()
end

local LEFT <const> = 24 -- the widest left column; what is longer has a line of its own

local function render_rows(out, rows, width)
  local left = 0
  for _, row in ipairs(rows) do left = math.max(left, math.min(LEFT, text.width(row[1]))) end
  local margin = (" "):rep(left + 4)
  for _, row in ipairs(rows) do
    local lines = text.wrap(row[2], math.max(20, width - #margin))
    if text.width(row[1]) > left or #lines == 0 then table.insert(lines, 1, "") end
    append(out, lines, "  " .. text.fill(row[1], left) .. "  ", margin)
  end
end

local function render_block(out, block, width, bold)
  if block.heading then
    out[#out + 1] = bold and ("\27[1m%s\27[0m"):format(block.heading) or block.heading
  elseif block.prose then
    render_prose(out, block.prose, width)
  elseif block.rows then
    render_rows(out, block.rows, width)
  else
    append(out, text.wrap(block.words, width - 2), "  ", "  ")
  end
end

--- The page as text.
-- @param width columns to keep within
-- @param[opt=false] bold whether headings are bold
-- @return string
function Page:render(width, bold)
  local out = {}
  for i, block in ipairs(self) do
    local under = i > 1 and self[i - 1].heading and (block.rows or block.words)
    if i > 1 and not under then out[#out + 1] = "" end
    render_block(out, block, width, bold)
  end
  return (table.concat(out, "\n"):gsub(" +\n", "\n"):gsub(" +$", ""))
end

return page
