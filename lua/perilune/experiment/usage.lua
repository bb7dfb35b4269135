--- The page that `--help` prints (internal).
-- @module perilune.experiment.usage

local option = require "perilune.experiment.option"

local usage = {}

local WIDTH <const>, COLUMN <const> = 88, 26 -- of the page; where explanations begin

-- Lines of at most `width` characters.
local function wrap(text, width)
  local lines, line = {}, ""
  for word in text:gmatch "%S+" do
    if line ~= "" and utf8.len(line) + 1 + utf8.len(word) > width then
      lines[#lines + 1], line = line, ""
    end
    line = line == "" and word or line .. " " .. word
  end
  if line ~= "" then lines[#lines + 1] = line end
  return lines
end

local function value_name(self)
  if self.type == "flag" then return "" end
  local usual = {string = self.choices and "NAME" or "TEXT", integer = "N", number = "X",
                 boolean = "yes|no"}
  local name = (self.value or usual[self.type]) .. (self.many and ",..." or "")
  return self.bare and (" [%s]"):format(name) or " " .. name
end

-- What the option does, its choices and its default.
local function explanation(self)
  local text = self.help
  if self.choices then
    local names = table.concat(option.choice_names(self), ", ")
    text = ("%s: %s%s"):format(text, names, self.many and ", or all" or "")
  end
  if self.of then return ("%s (default: the %s's)"):format(text, self.of) end
  if self.default == nil or self.type == "flag" then return text end
  local default = "default " .. option.text(self.default)
  if self.quick ~= nil then
    default = ("%s, with --quick %s"):format(default, option.text(self.quick))
  end
  return ("%s (%s)"):format(text, default)
end

local function add_option(lines, self)
  local left = ("  --%s%s"):format(self.name, value_name(self))
  local texts = wrap(explanation(self), WIDTH - COLUMN)
  if #left > COLUMN - 2 then
    lines[#lines + 1], left = left, ""
  end
  for i = 1, math.max(1, #texts) do
    local first = i == 1 and left or ""
    lines[#lines + 1] = first .. (" "):rep(COLUMN - #first) .. (texts[i] or "")
  end
end

local function add_section(lines, title, list, standard)
  local empty = true
  for _, known in ipairs(list) do
    if known.standard == standard then
      if empty then table.move({"", title}, 1, 2, #lines + 1, lines) end
      empty = false
      add_option(lines, known)
    end
  end
end

local function add_text(lines, text)
  if text == "" then return end
  local wrapped = wrap(text, WIDTH)
  lines[#lines + 1] = ""
  table.move(wrapped, 1, #wrapped, #lines + 1, lines)
end

--- The page as text.
-- @param about `summary` and `notes` of the experiment
-- @param list of the declared options
-- @param command the words that started the program
-- @return string
function usage.page(about, list, command)
  local program = (command[1] or "perilune"):match "[^/]*$"
  local script = #command > 1 and command[#command] or "run.lua"
  local lines = {("usage: %s %s [options]"):format(program, script)}
  add_text(lines, about.summary)
  add_section(lines, "Options of this experiment:", list, false)
  add_section(lines, "Options of every experiment:", list, true)
  add_text(lines, about.notes)
  return table.concat(lines, "\n") .. "\n"
end

return usage
