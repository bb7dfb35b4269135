--- Tables as text (internal; use `perilune.data`).
-- @module perilune.data.csv

local blame = require "perilune.internal.blame"
local check = require "perilune.internal.check"
local core = require "perilune.core"
local csv_write = require "perilune.data.csv_write"
local option = require "perilune.internal.option"

local complain = blame.complain
local csv = {}

-- What stands for a missing value, if the caller does not say so.
local NA <const> = {"", "NA", "N/A", "NaN", "nan", "null", "NULL"}
local MOST_ONE_HOT <const> = 1000

local OPTIONS <const> = {
  separator = ",", header = true, names = option.absent, columns = option.absent,
  target = option.absent, types = option.absent, missing = "nan", na = NA, rows = option.absent,
  one_hot = false, unseen = "refuse", like = option.absent,
}
local TYPES <const> = {real = true, int32 = true, category = true}

--
-- Options
--

local TEXT <const>, COLUMN <const> = {string = true}, {string = true, integer = true}

local function check_types(who, types)
  if type(types) ~= "table" then
    complain("%s: types: a table by column expected, got %s", who, check.shown(types))
  end
  for column, kind in next, types do
    if type(kind) == "table" then
      check.list(who, "types", kind, TEXT)
    elseif not TYPES[kind] then
      complain("%s: types: '%s' is to be %s; 'real', 'int32', 'category' or a list of words "
        .. "expected", who, tostring(column), check.shown(kind))
    end
  end
end

local function check_choice(who, o)
  if o.missing ~= "nan" and o.missing ~= "refuse" then
    complain("%s: missing: 'nan' or 'refuse' expected, got %s", who, check.shown(o.missing))
  end
  if o.unseen ~= "refuse" and o.unseen ~= "zero" then
    complain("%s: unseen: 'refuse' or 'zero' expected, got %s", who, check.shown(o.unseen))
  end
  csv_write.check_separator(who, o.separator)
  local kind = math.type(o.target) or type(o.target)
  if o.target ~= nil and o.target ~= false and not COLUMN[kind] then
    complain("%s: target: a column expected, got %s", who, check.shown(o.target))
  end
end

local function check_options(who, o)
  check_choice(who, o)
  check.list(who, "na", o.na, TEXT)
  if o.columns then check.list(who, "columns", o.columns, COLUMN) end
  if o.names then check.list(who, "names", o.names, TEXT) end
  if o.types then check_types(who, o.types) end
  if o.one_hot and o.target == nil then
    complain("%s: one_hot is about the columns of x, which there is with a target", who)
  end
  for _, name in ipairs {"rows", "chunk_size"} do
    if o[name] then o[name] = check.count(who, name, o[name]) end
  end
end

-- Takes over what a description says: the columns, what they are, and their words.
local function take_over(who, o, given)
  local like = o.like
  if type(like) ~= "table" or type(like.types) ~= "table" or type(like.inputs) ~= "table" then
    complain("%s: like: the description of a table expected, got %s", who, check.shown(like))
  end
  for _, name in ipairs {"columns", "types", "one_hot"} do
    if given[name] ~= nil then complain("%s: like says what %s are", who, name) end
  end
  if o.target == nil then o.target = like.target or (like.features and false) end
  o.columns, o.one_hot, o.types = like.inputs, like.one_hot, {}
  for name, kind in next, like.types do o.types[name] = like.words[name] or kind end
end

--
-- Columns
--

-- Where each name stands first, and where again.
local function index_of(names)
  local index = {first = {}, again = {}}
  for i, name in ipairs(names) do
    local known = index.first[name] and index.again or index.first
    known[name] = known[name] or i
  end
  return index
end

-- What is said of a name that no column has.
local function no_column(path, names, key)
  local message = ("%s: there is no column '%s'; it has '%s'"):format(path, key,
    table.concat(names, "', '", 1, math.min(#names, 20)))
  local other = #names == 1 and names[1]:match "[;\t|,]"
  return other and ("%s; is the separator %q?"):format(message, other) or message
end

-- Where a column is, or nil and what is wrong with the file.
local function find_column(path, names, key)
  if math.type(key) == "integer" then
    if names[key] then return key end
    return nil, ("%s: there is no column %d among its %d"):format(path, key, #names)
  end
  names.index = names.index or index_of(names)
  local at, again = names.index.first[key], names.index.again[key]
  if not at then return nil, no_column(path, names, key) end
  if not again then return at end
  return nil, ("%s: columns %d and %d are both named '%s'; the option names gives them others")
    :format(path, at, again, key)
end

-- The numbers of the columns that are read beside the target.
local function choose_columns(path, names, o, target)
  local list, taken = {}, {}
  for _, key in ipairs(o.columns or names) do
    local at, message = find_column(path, names, key)
    if not at then return nil, message end
    if taken[names[at]] or (o.columns and at == target) then
      return nil, ("%s: column '%s' is chosen twice"):format(path, names[at])
    end
    if at ~= target then list[#list + 1] = at end
    taken[names[at]] = true
  end
  if #list == 0 then return nil, ("%s: there are no columns but the target"):format(path) end
  return list
end

-- What a column is to be: a type, and the words that it may have.
local function type_of(o, i, name)
  local kind = o.types and (o.types[name] or o.types[i]) or "guess"
  if type(kind) == "table" then return "category", kind end
  return kind
end

local function check_type_names(path, names, o)
  for key in next, o.types or {} do
    if not o.like then
      local at, message = find_column(path, names, key)
      if not at then return nil, message end
    end
  end
  return true
end

local function name_columns(path, table_, o)
  local names = table_:names()
  if o.names and #o.names ~= #names then
    return nil, ("%s: has %d columns; there are %d names"):format(path, #names, #o.names)
  end
  for i, name in ipairs(o.names or {}) do
    local ok, why = table_:rename(i, name)
    if not ok then return nil, why end
    names[i] = name
  end
  return names
end

local function choose(plan, o, i, required)
  local kind, list = type_of(o, i, plan.names[i])
  return plan.table:choose(i, kind, required, list, o.unseen == "zero" and i ~= plan.target)
end

local function find_target(path, names, o)
  if not o.target then return o.target end
  local at, message = find_column(path, names, o.target)
  if not at and o.like then message = message .. "; target = false reads x alone" end
  return at, message
end

-- Where the columns of x and the target are.
local function find_columns(plan, o)
  local path, names, message = plan.path, name_columns(plan.path, plan.table, o)
  if not names then return nil, message end
  plan.names = names
  plan.target, message = find_target(path, names, o)
  if message then return nil, message end
  plan.columns, message = choose_columns(path, names, o, plan.target)
  if not plan.columns then return nil, message end
  return check_type_names(path, names, o)
end

local function choose_types(plan, o)
  for _, i in ipairs(plan.columns) do
    local ok, why = choose(plan, o, i, o.missing == "refuse")
    if not ok then return nil, why end
  end
  if plan.target then return choose(plan, o, plan.target, true) end
  return true
end

-- Opens the file, decides about its columns, and reads it once; nil and a message if it does not
-- have what is asked for.
local function open(path, o)
  local table_, message = core.csv_open(path, o.separator, o.header, o.na)
  if not table_ then return nil, message end
  local plan = {path = path, table = table_, o = o}
  local ok, why = find_columns(plan, o)
  if ok then ok, why = choose_types(plan, o) end
  if ok then plan.rows, why = table_:survey(o.rows or -1) end
  if not plan.rows then return nil, why end
  return plan
end

--
-- Descriptions
--

-- Notes what a column turned out to be in the set: whole numbers are real in x, and in y too if
-- nobody asked for int32.
local function describe_column(plan, about, i)
  local name = plan.names[i]
  local kind, missing, list = plan.table:column(i)
  local stays = plan.target == nil or i == plan.target and type_of(plan.o, i, name) == "int32"
  if kind == "int32" and not stays then kind = "real" end
  about.columns[#about.columns + 1] = name
  about.types[name], about.missing[name], about.words[name] = kind, missing, list
end

-- What is said of a column of x that is a category.
local function no_numbers(plan, k)
  local i = plan.columns[k]
  local word, line = plan.table:first_word(i)
  return ("%s: column '%s' %s, and x has numbers: one_hot = true makes a column of each word, "
    .. "columns = {...} leaves it out"):format(plan.path, plan.names[i],
    word and ("has words, such as '%s' in line %d"):format(word, line) or "is a category")
end

-- The names of the columns of x; nil and a message if one has words and may not be parted.
local function features(plan, about)
  local list = {}
  for k, name in ipairs(about.inputs) do
    local known = about.words[name]
    if not known then
      list[#list + 1] = name
    elseif not plan.o.one_hot then
      return nil, no_numbers(plan, k)
    elseif #known > MOST_ONE_HOT then
      return nil, ("%s: column '%s' has %d words; one_hot makes columns of %d at most")
        :format(plan.path, name, #known, MOST_ONE_HOT)
    else
      for _, word in ipairs(known) do list[#list + 1] = name .. "=" .. word end
    end
  end
  return list
end

local function describe(plan)
  local about = {rows = plan.rows, columns = {}, types = {}, missing = {}, words = {}, inputs = {},
    one_hot = plan.o.one_hot}
  for k, i in ipairs(plan.columns) do
    describe_column(plan, about, i)
    about.inputs[k] = plan.names[i]
  end
  if plan.target then
    describe_column(plan, about, plan.target)
    about.target = plan.names[plan.target]
  end
  if plan.target == nil then return about end
  local message
  about.features, message = features(plan, about)
  return about.features and about, message
end

--
-- Sets
--

-- The columns of x that a column of the file becomes, real [n,k].
local function feature(plan, about, tensor, i)
  local known = about.words[plan.names[i]]
  if not known then return tensor:to("real"):unsqueeze(2) end
  if plan.o.unseen == "refuse" then return core.one_hot(tensor, #known):to "real" end
  return core.one_hot(tensor + 1, #known + 1):narrow(2, 2, #known):to "real"
end

local function matrix_set(plan, about, tensors)
  local list = {}
  for k, i in ipairs(plan.columns) do list[k] = feature(plan, about, tensors[i], i) end
  local x = #list == 1 and list[1] or core.cat(list, 2)
  if not plan.target then return {x} end
  local y = tensors[plan.target]
  if about.types[about.target] == "real" then y = y:to "real" end
  return {x, y, classes = about.words[about.target]}
end

local function column_set(plan, tensors)
  local set = {}
  local named = plan.o.header or plan.o.names
  for k, i in ipairs(plan.columns) do set[named and plan.names[i] or k] = tensors[i] end
  return set
end

-- The set of the next n rows; nil at the end, or nil and a message.
local function read_set(opened, plan, about, n)
  local tensors, rows = opened:read(n)
  if not tensors then return nil, rows end
  if rows == 0 then return nil end
  return plan.target == nil and column_set(plan, tensors) or matrix_set(plan, about, tensors)
end

-- The plan, the description and the options; or nil and a message.
local function start(who, path, options, defaults)
  check.path(who, path)
  local o = option.read(who, options, defaults)
  check_options(who, o)
  if o.like ~= nil then take_over(who, o, options) end
  local plan, message = open(path, o)
  if not plan then return nil, message end
  local about
  about, message = describe(plan)
  if not about then return nil, message end
  return plan, about, o
end

--- Reads a table as text (CSV, RFC 4180), plain or compressed with gzip, as a set.
--
--     local set, about = assert(data.csv("houses.csv", {target = "price"}))
--     local train, test = data.split(set, 0.8, {seed = 1})
--     for x, y in data.batches(train, {batch_size = 32}) do ... end
--
-- With a `target` the set is {x, y}: x is real [n, k], the other columns in their order, and y the
-- target, real [n], or, of a category, int32 [n] with the words in `classes`. With `target = false`
-- it is {x}. Without `target` it has a tensor [n] for each column, by name, or by position without
-- a header.
--
-- A column is real; int32; or a category: int32, which of the column's words it is, from 1, where
-- words are sorted, numbers by value. If `types` does not say which, it is int32 if it has whole
-- numbers of int32's range alone and none is missing, real if it has numbers, else a category.
-- Numbers are decimal, with a point, or inf; 01067 is 1067. A missing value is NaN in a real column
-- and the word "" in a category; int32 has none, and a target must not miss any.
--
-- Two guesses are refused, with the line. If more than half of the values that are not missing are
-- numbers, a word is a slip or stands for a missing value. And if a column of whole numbers becomes
-- real, as one is beyond int32 or missing, real must have all digits of each. `types` makes "real"
-- of such a column, rounded, or "category", whose words have all digits and the zeros before them.
-- In x, and in y without `types`, whole numbers are real, rounded.
--
-- A category whose words are given, or come from `like`, has no others, and misses no value unless
-- "" is one of them. With `unseen = "zero"` what is none of them is 0, and with `one_hot` a row of
-- zeros; not in a target.
--
-- Blank lines are left out. Text is UTF-8. What does not fit is named with file, line and column.
--
-- The description has `rows`; `columns`, the names of those that were read; by name, `types`,
-- `missing` (how many) and `words`; and with a target `target`, `inputs`, the columns that x was
-- made of, and `features`, the names of the columns of x. It is a plain table that `pl.save`
-- writes; as `like` it makes the same of another file:
--
--     local new = assert(data.csv("new.csv", {like = about, target = false}))
-- @param path file name
-- @param options `target`: a column, by name or number; `columns`: list of those to read, all by
--   default; `types`: by column "real", "int32", "category", or the list of its words;
--   `one_hot` (false): x has a column for each word of a category, else categories are refused
--   there; `unseen` ("refuse"): or "zero", what becomes of words that are not among the given ones;
--   `missing` ("nan"): or "refuse"; `na`: list of what stands for a missing value: "", NA,
--   N/A, NaN, nan, null and NULL; `separator` (","); `header` (true): the first row has the names;
--   `names`: list of names in their place; `rows`: at most so many; `like`: the description of
--   another table, whose columns, types, words and target are taken
-- @return the set, or nil and a message
-- @return the description
function csv.read(path, options)
  local plan, about = start("csv", path, options, OPTIONS)
  if not plan then return nil, about end
  local opened <close> = plan.table
  local set, message = read_set(opened, plan, about, plan.rows)
  if not set then return nil, message end
  return set, about
end

local ROWS_OPTIONS <const> = {chunk_size = 10000}
for name, value in next, OPTIONS do ROWS_OPTIONS[name] = value end

--- Reads a table as text in pieces, each a set of some rows: for tables larger than memory.
--
--     for part in assert(data.csv_rows("clicks.csv", {target = "bought", chunk_size = 100000})) do
--       for x, y in data.batches(part) do ... end
--     end
--
-- Types and words are those of the whole file, which is read once before the first piece.
-- @param path file name
-- @param options as of `data.csv`, and `chunk_size` (10000): how many rows a piece has; the last
--   may have fewer
-- @return iterator, or nil and a message; it is an error if the file changes on the way
-- @return the description
function csv.rows(path, options)
  local plan, about, o = start("csv_rows", path, options, ROWS_OPTIONS)
  if not plan then return nil, about end
  local function next_set()
    local set, message = read_set(plan.table, plan, about, o.chunk_size)
    if message then complain("csv_rows: %s", message) end
    return set
  end
  return next_set, about, nil, plan.table
end

return csv
