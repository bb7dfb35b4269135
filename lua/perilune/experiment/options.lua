--- The command line of an experiment (internal; use `perilune.experiment.options`).
-- @module perilune.experiment.options

local core = require "perilune.core"
local complain = require("perilune.internal.blame").complain
local internal = require "perilune.internal.option"
local failure = require "perilune.experiment.failure"
local files = require "perilune.experiment.folder"
local option = require "perilune.experiment.option"
local schema = require "perilune.experiment.schema"
local usage = require "perilune.experiment.usage"

local fail = failure.fail
local options = {}

--
-- Reading the words
--

local function unknown(word, name, list)
  local names = {}
  for i, known in ipairs(list) do names[i] = known.name end
  local hint = option.hint(name:gsub("_", "-"), names, "--")
  fail("unknown option '%s'%s", word, hint ~= "" and hint or "; --help lists all")
end

-- The value of an option, and how many words it takes: `joined` is what follows `=`.
local function take(known, joined, following)
  if known.type == "flag" then
    if joined then fail("--%s takes no value", known.name) end
    return true, 1
  end
  if joined then return option.read(known, joined), 1 end
  if known.bare and (not following or following:sub(1, 1) == "-") then return true, 1 end
  if not following or following:sub(1, 2) == "--" then
    fail("--%s: %s expected, got none", known.name, option.expected(known))
  end
  return option.read(known, following), 2
end

-- The options that the words give, by key.
local function parse(words, list, by_name)
  local given, i = {}, 1
  while i <= #words do
    local word = words[i] == "-h" and "--help" or words[i]
    local name, joined = word:match "^%-%-([^=]+)=(.*)$"
    name = name or word:match "^%-%-(.+)$"
    if not name and word:sub(1, 1) ~= "-" then fail("unexpected argument '%s'", word) end
    local known = name and by_name[name] or unknown(word, name or word:sub(2), list)
    if given[known.key] ~= nil then fail("--%s is given twice", name) end
    local value, n = take(known, joined, words[i + 1])
    given[known.key] = value
    i = i + n
  end
  return given
end

--
-- The options of a run that is resumed
--

local function resumed_folder(given)
  local folder = given.resume
  if folder == true then folder = given.out end
  if folder == nil then fail "--resume needs a folder: --resume DIR, or --resume with --out DIR" end
  if given.out and given.out ~= folder then
    fail("--resume %s and --out %s are two folders", folder, given.out)
  end
  return folder
end

--- Reads the file that says what the run in a folder is.
-- @param folder of the run
-- @param task whose run it has to be
-- @return table with `task`, `options` and `build`
function options.read_saved(folder, task)
  local path = folder .. "/options.json"
  if not core.file_size(path) then
    fail("%s holds no run: there is no options.json in it", folder)
  end
  local saved = files.read_options(path)
  if saved.task ~= task then
    fail("%s holds a run of %s, not of %s", folder, saved.task, task)
  end
  return saved
end

-- Puts the run's value in the place of the default; one that is given must agree with it.
local function take_over(known, values, given, saved, folder)
  local key, name, old, new = known.key, known.name, saved[known.key], given[known.key]
  if known.free then return end
  if old == nil then old = known.before end
  if old == nil and known.default ~= nil then
    fail("%s/options.json has no option --%s: another version of the experiment made it", folder,
         name)
  end
  local text = old ~= nil and option.problem(known, old)
  if text then schema.damaged(folder .. "/options.json", "options.%s is %s", key, text) end
  if new == nil then
    values[key] = old
  elseif not option.same_value(known, new, old) then
    fail("--%s is %s for the run in %s, not %s", name, option.text(old), folder, option.text(new))
  end
end

--
-- The result
--

local parsed = setmetatable({}, {__mode = "k"}) -- what `new` gave -> what is behind it

-- Reading an option that was not declared is a slip, not nil.
local function guard(by_name)
  return {__index = function(_, key)
    if type(key) ~= "string" or by_name[key:gsub("_", "-")] then return nil end
    complain("options: there is no option '%s'", key)
  end}
end

-- The words that started the program, up to the script.
local function command_of(words)
  local command, first = {}, 0
  while words[first - 1] do first = first - 1 end
  for i = first, 0 do command[#command + 1] = words[i] end
  return command
end

local function print_help(about, list, command)
  io.write(usage.page(about, list, command))
  os.exit(0, true)
end

local function fill(values, list, given)
  for _, known in ipairs(list) do
    local value = given[known.key]
    if value == nil then value = option.default(known, given.quick) end
    values[known.key] = value
  end
  return values
end

--- Reads the command line; see `perilune.experiment.options`.
-- @param words the table `arg`
-- @param about `name`, `summary`, `options`, `notes`
-- @return table of values
function options.new(words, about)
  local o = internal.read("options", about, {
    name = internal.required, summary = "", options = {}, notes = ""})
  local list, by_name = option.declare_all(o.options)
  local given, command = parse(words, list, by_name), command_of(words)
  if given.help then print_help(o, list, command) end
  local values, behind = fill({}, list, given), {task = o.name, list = list, command = command}
  if given.resume then
    behind.folder = resumed_folder(given)
    behind.saved = options.read_saved(behind.folder, o.name)
    for _, known in ipairs(list) do
      take_over(known, values, given, behind.saved.options, behind.folder)
    end
  end
  if values.threads then core.threads(values.threads) end
  values.threads = core.threads()
  parsed[values] = behind
  return setmetatable(values, guard(by_name))
end

--- Settings with what the command line gives in their place; see `perilune.experiment.settings`.
-- @param values what `new` gave
-- @param settings table
-- @param of whose settings these are
-- @return table
function options.settings(values, settings, of)
  local result = {}
  for key, value in next, settings do result[key] = value end
  for _, known in ipairs(parsed[values].list) do
    local given = values[known.key]
    if known.of == of and given ~= nil then result[known.key] = given end
  end
  return result
end

--- What lies behind a table of options: `task`, `list` of the declared options, `command`,
-- and of a resumed run its `folder` and what it `saved`.
-- @param values what `new` gave
-- @return table, or nil
function options.behind(values)
  return parsed[values]
end

--- The options that runs must have in common to be joined, of which one has another value.
-- @param values what `new` gave
-- @param saved options of another run
-- @return name of the first such option, and the other run's value; nil if there is none
function options.differing(values, saved)
  for _, known in ipairs(parsed[values].list) do
    local other = saved[known.key]
    if other == nil then other = known.before end
    if known.common and not option.same_value(known, values[known.key], other) then
      return known.name, option.text(other)
    end
  end
end

--- The values that determine the results, by key.
-- @param values what `new` gave
-- @return plain table
function options.determining(values)
  local result = {}
  for _, known in ipairs(parsed[values].list) do
    if not known.free then result[known.key] = values[known.key] end
  end
  return result
end

return options
