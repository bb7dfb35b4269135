--- One option of an experiment: how it is declared, and from words to values (internal).
--
-- It is declared as `{"batch-size", default = 64, type = "integer", min = 1, help = ""}`;
-- the fields are those of FIELDS below. Its value is under the name with `_` for `-`.
-- @module perilune.experiment.option

local complain = require("perilune.internal.blame").complain
local internal = require "perilune.internal.option"
local words = require "perilune.internal.words"
local failure = require "perilune.experiment.failure"

local fail = failure.fail
local option = {}

local FIELDS <const> = {
  name = internal.required,
  type = "string",           -- or "integer", "number", "boolean", "flag"
  default = internal.absent, -- what it is if it is not given
  quick = internal.absent,   -- the default with --quick
  choices = internal.absent, -- list of the values that it may have
  many = false,              -- a list: values with commas between, or "all" of the choices
  min = internal.absent,     -- the least number
  max = internal.absent,     -- the greatest number
  bare = false,              -- may stand without a value, which is then true
  value = internal.absent,   -- what the help page calls the value
  of = internal.absent,      -- what has its own default: "variant"; see experiment.settings
  help = "",
  free = false,              -- does not determine the results: --resume may change it
  same = internal.absent,    -- function(a, b): whether both give the same results
  before = internal.absent,  -- what it was in runs of versions that did not have it
  common = false,            -- runs that are joined must have it in common
}

local function same_data(a, b)
  return (a == "synthetic") == (b == "synthetic")
end

-- What every experiment takes; what it declares itself under such a name goes before.
local STANDARD <const> = {
  {"data", value = "DIR", same = same_data,
   help = "where the data sets are; \"synthetic\" draws stand-ins"},
  {"out", value = "DIR", free = true, help = "folder of the run (default runs/<task>-<time>)"},
  {"seed", type = "integer", many = true, default = 1, min = 0, max = 0xFFFFFFFF,
   help = "seeds of the random numbers; of several, the table shows mean and spread"},
  {"threads", type = "integer", min = 1, max = 4096, help = "number of threads (default all)"},
  {"epochs", type = "integer", min = 1, help = "passes over the training data"},
  {"resume", value = "DIR", bare = true, free = true,
   help = "go on with the run in this folder, or in that of --out"},
  {"join", value = "DIR", many = true,
   help = "train nothing: draw the pictures and the table of these runs together"},
  {"quick", type = "flag", help = "a small run, to see that all works"},
  {"help", type = "flag", free = true, help = "print this page and stop"},
}

-- What experiments may declare by its name alone.
local function offered(name)
  if name ~= "set" then return {} end
  local sets = require("perilune.data").image_sets()
  return {
    "set", default = "fashion-mnist", before = "fashion-mnist", choices = sets, common = true,
    help = "the images",
  }
end

--
-- Declarations
--

local function standard_fields(name)
  for _, entry in ipairs(STANDARD) do
    if entry[1] == name then return entry end
  end
  return offered(name)
end

local function declare(entry, own)
  local given = {}
  for _, fields in ipairs {standard_fields(entry[1]), entry} do
    for name, value in next, fields do given[name] = value end
  end
  given.name, given[1] = given[1], nil
  local result = internal.read("option " .. tostring(given.name), given, FIELDS)
  result.key, result.standard = result.name:gsub("-", "_"), not own
  if result.type == "flag" and result.default == nil then result.default = false end
  if not option.readers[result.type] then
    complain("option %s: unknown type '%s'", result.name, result.type)
  end
  return result
end

--- Completes declarations and adds those that every experiment has.
-- @param own list of the experiment's declarations
-- @return list of options
-- @return the same by name
function option.declare_all(own)
  local list, by_name = {}, {}
  for i, entries in ipairs {own, STANDARD} do
    for _, entry in ipairs(entries) do
      if not by_name[entry[1]] then
        list[#list + 1] = declare(entry, i == 1)
        by_name[entry[1]] = list[#list]
      elseif i == 1 then
        complain("option %s is declared twice", entry[1])
      end
    end
  end
  return list, by_name
end

--
-- Values
--

local function read_number(text)
  local n = tonumber(text)
  return n and math.abs(n) < math.huge and n or nil
end

local booleans <const> = {yes = true, no = false}

-- From a word of the command line to a value, or nil.
option.readers = {
  string = function(text) return text ~= "" and text or nil end,
  number = read_number,
  integer = function(text) return math.tointeger(read_number(text)) end,
  boolean = function(text) return booleans[text] end,
  flag = function() return nil end,
}

local kinds = {string = "a value", number = "a number", integer = "an integer",
                      boolean = "yes or no", flag = "yes or no"}

--- What values an option takes, in words.
-- @param self the option
-- @return string
function option.expected(self)
  local kind, low, high = kinds[self.type], self.min, self.max
  if low and high then return ("%s from %s to %s"):format(kind, low, high) end
  if low then return ("%s of at least %s"):format(kind, low) end
  if high then return ("%s of at most %s"):format(kind, high) end
  return kind
end

--- "; did you mean --seed?", or nothing if no known word is near.
-- @param word that is not known
-- @param known list of words
-- @param prefix of the known word
-- @return string
function option.hint(word, known, prefix)
  local near = words.nearest(word, known)
  return near and ("; did you mean %s%s?"):format(prefix, near) or ""
end

--- The choices as words.
-- @param self the option
-- @return list of strings
function option.choice_names(self)
  local names = {}
  for i, choice in ipairs(self.choices) do names[i] = tostring(choice) end
  return names
end

local function check_choice(self, value, text)
  for _, choice in ipairs(self.choices) do
    if choice == value then return end
  end
  local names = option.choice_names(self)
  fail("--%s: '%s' is none of %s%s", self.name, text, table.concat(names, ", "),
       option.hint(text, names, ""))
end

local function read_one(self, text)
  local value = option.readers[self.type](text)
  if value == nil or self.min and value < self.min or self.max and value > self.max then
    fail("--%s: %s expected, got '%s'", self.name, option.expected(self), text)
  end
  if self.choices then check_choice(self, value, text) end
  return value
end

-- The values in the order in which they are given, or all choices.
local function read_many(self, text)
  if text == "all" and self.choices then
    return table.move(self.choices, 1, #self.choices, 1, {})
  end
  local list, seen = {}, {}
  for word in (text .. ","):gmatch "([^,]*)," do
    local value = read_one(self, word)
    if seen[value] then fail("--%s: %s is there twice", self.name, word) end
    list[#list + 1], seen[value] = value, true
  end
  return list
end

local kind_fits = {
  string = function(value) return type(value) == "string" end,
  number = function(value) return math.type(value) and math.abs(value) < math.huge end,
  integer = function(value) return math.type(value) == "integer" end,
  boolean = function(value) return type(value) == "boolean" end,
}
kind_fits.flag = kind_fits.boolean

local function is_choice(self, value)
  for _, choice in ipairs(self.choices or {value}) do
    if choice == value then return true end
  end
  return false
end

local function misfit(self, value)
  if not kind_fits[self.type](value) then
    return ("%s; %s expected"):format(option.text(value), option.expected(self))
  elseif self.min and value < self.min or self.max and value > self.max then
    return ("%s; %s expected"):format(value, option.expected(self))
  elseif not is_choice(self, value) then
    return ("'%s', none of %s"):format(value, table.concat(option.choice_names(self), ", "))
  end
end

--- What is wrong with a value that a file gives for an option.
-- @param self the option
-- @param value anything but nil
-- @return text, or nil
function option.problem(self, value)
  if not self.many then return misfit(self, value) end
  if type(value) ~= "table" or next(value) == nil then
    return ("%s; a list expected"):format(type(value) == "table" and "empty" or tostring(value))
  end
  for key, one in next, value do
    local text = math.type(key) ~= "integer" and "not a list" or misfit(self, one)
    if text then return text end
  end
end

--- The value that a word of the command line stands for.
-- @param self the option
-- @param text the word
-- @return the value
function option.read(self, text)
  return (self.many and read_many or read_one)(self, text)
end

--- A value as one would write it on the command line.
-- @param value anything
-- @return string
function option.text(value)
  if type(value) ~= "table" then return value == nil and "none" or tostring(value) end
  local words_of = {}
  for i, one in ipairs(value) do words_of[i] = tostring(one) end
  return table.concat(words_of, ",")
end

--- The value of an option that is not given. The default of a list may be a list or a text.
-- @param self the option
-- @param quick whether --quick is given
-- @return the value
function option.default(self, quick)
  local value = self.default
  if quick and self.quick ~= nil then value = self.quick end
  if not self.many or value == nil then return value end
  return read_many(self, option.text(value))
end

--- Whether two values give the same results.
-- @param self the option
-- @param a value
-- @param b another
-- @return boolean
function option.same_value(self, a, b)
  if self.same then return self.same(a, b) end
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for i = 1, math.max(#a, #b) do
    if a[i] ~= b[i] then return false end
  end
  return true
end

return option
