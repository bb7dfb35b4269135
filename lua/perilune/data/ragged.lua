--- Rows of different lengths, and batches of rows of similar lengths (internal; use
-- `perilune.data`).
-- @module perilune.data.ragged

local blame = require "perilune.internal.blame"
local check = require "perilune.internal.check"
local core = require "perilune.core"
local entries = require "perilune.data.entries"
local object = require "perilune.internal.object"
local option = require "perilune.internal.option"

local complain = blame.complain
local ragged = {}

--
-- Rows one behind the other. Row i is the `lengths[i]` elements of `values` behind `_starts[i]`.
--

local Ragged = object.class "rows"
Ragged.__name, Ragged.__rows = "perilune.ragged", true

function Ragged:__len() return #self._starts end

local function new(values, lengths, o)
  local starts, at = {}, 0
  for i, length in ipairs(lengths:totable()) do starts[i], at = at, at + length end
  return setmetatable({
    values = values, lengths = lengths, padding_value = o.padding_value,
    pad_to_multiple = o.pad_to_multiple, _starts = starts,
  }, Ragged)
end

-- Rows with their lengths as numbers, one behind the other.
local function cut(self, rows)
  local pieces, lengths = {}, self.lengths:index_select(rows, 1)
  for i, row in ipairs(rows:totable()) do
    pieces[i] = self.values:slice(1, self._starts[row] + 1, lengths[i])
  end
  return pieces, lengths
end

local function joined(pieces, like)
  return #pieces > 0 and core.cat(pieces, 1) or like:slice(1, 1, 0)
end

--- What it is in messages: "ragged int32[3,*]".
-- @return string
function Ragged:describe()
  local sizes = {#self, "*", table.unpack(self.values:size(), 2)}
  return ("ragged %s[%s]"):format(self.values:dtype(), table.concat(sizes, ","))
end

--- Some rows, copied.
-- @param rows int32 tensor of their numbers
-- @return ragged rows
function Ragged:index_select(rows)
  local pieces, lengths = cut(self, rows)
  return new(joined(pieces, self.values), lengths, self)
end

--- The rows of this and of others, one behind the other.
-- @param others list of ragged rows with elements of the same dtype and shape
-- @return ragged rows
function Ragged:concat(others)
  local values, lengths = {self.values}, {self.lengths}
  for i, other in ipairs(others) do values[i + 1], lengths[i + 1] = other.values, other.lengths end
  return new(core.cat(values, 1), core.cat(lengths, 1), self)
end

--- Some rows side by side, the shorter ones filled up with `padding_value`.
-- @param rows int32 tensor [b] of their numbers
-- @return tensor [b, length, ...], where the length is that of the longest row, or the next
--   multiple of `pad_to_multiple`
-- @return int32 tensor [b]: the lengths of the rows
function Ragged:batch(rows)
  local pieces, lengths = cut(self, rows)
  local multiple = self.pad_to_multiple
  local length = (lengths:amax():item() + multiple - 1) // multiple * multiple
  local size = {#pieces, length, table.unpack(self.values:size(), 2)}
  local padded = core.full(size, self.padding_value, self.values:dtype())
  for i, piece in ipairs(pieces) do
    if #piece > 0 then padded:select(1, i):slice(1, 1, #piece):copy_(piece) end
  end
  return padded, lengths
end

--
-- Making them
--

local RAGGED_OPTIONS <const> = {
  lengths = option.absent, dtype = option.absent, padding_value = 0, pad_to_multiple = 1,
}

-- A row of a list as a tensor.
local function row_of(row, i, dtype)
  if type(row) == "table" and #row > 0 then
    row = blame.in_name_of("ragged: row " .. i, "tensor", core.tensor, row, dtype)
  end
  if type(row) == "table" then row = core.zeros({0}, dtype or "real") end
  if not check.is_tensor(row) or row:dim() == 0 then
    complain("ragged: row %d: tensor [length, ...] or list of numbers expected, got %s", i,
      check.is_tensor(row) and entries.describe(row) or type(row))
  end
  return row:detach()
end

local function element_of(row)
  return ("%s[*%s]"):format(row:dtype(),
    row:dim() > 1 and "," .. table.concat(row:size(), ",", 2) or "")
end

local function from_list(list, dtype)
  if #list == 0 then complain "ragged: at least one row expected" end
  local pieces, lengths = {}, {}
  for i, row in ipairs(list) do
    pieces[i] = row_of(row, i, dtype)
    lengths[i] = #pieces[i]
    if element_of(pieces[i]) ~= element_of(pieces[1]) then
      complain("ragged: row %d is %s, but row 1 is %s", i, element_of(pieces[i]),
        element_of(pieces[1]))
    end
  end
  return core.cat(pieces, 1), core.tensor(lengths, "int32")
end

local function check_lengths(values, lengths)
  if type(lengths) == "table" then
    lengths = blame.in_name_of("ragged: lengths", "tensor", core.tensor, lengths, "int32")
  end
  if not check.is_tensor(lengths) or lengths:dtype() ~= "int32" or lengths:dim() ~= 1
    or #lengths == 0 then
    complain("ragged: lengths: int32 tensor [n] expected, got %s",
      check.is_tensor(lengths) and entries.describe(lengths) or type(lengths))
  end
  local sum = lengths:sum():item()
  if lengths:amin():item() < 0 or sum ~= #values then
    complain("ragged: lengths from 0 whose sum is %d, the size of %s, expected; their sum is %d",
      #values, entries.describe(values), sum)
  end
  return lengths
end

--- Rows of different lengths, as an entry of a set: words of sentences, samples of sounds.
--
--     local words = data.ragged({{3, 1, 4}, {1, 5}}, {dtype = "int32", padding_value = 1})
--     for x, lengths, y in data.batches {words, targets} do
--       ...  -- x: int32 [b, longest], lengths: int32 [b]
--     end
--
-- In a batch they lie side by side in a tensor [b, longest, ...], filled up with `padding_value`,
-- and behind it come their lengths; in a batch by name these are `KEY_lengths`. All parts of a set
-- have the rows as they are, one behind the other: `rows.values` and `rows.lengths`.
-- @param rows list of tensors [length, ...] of one dtype, or of lists of numbers; or a tensor
--   [sum of lengths, ...], with `lengths`
-- @param options `padding_value` (0); `pad_to_multiple` (1): lengths of batches are multiples of
--   it; `dtype`: of lists of numbers; `lengths`: int32 tensor [n] or list
-- @return the rows: `#rows` is how many
function ragged.new(rows, options)
  local o = option.read("ragged", options, RAGGED_OPTIONS)
  check.count("ragged", "pad_to_multiple", o.pad_to_multiple)
  if not math.type(o.padding_value) then
    complain("ragged: padding_value: number expected, got %s", check.shown(o.padding_value))
  end
  local values, lengths
  if check.is_tensor(rows) and rows:dim() > 0 and o.lengths ~= nil then
    values, lengths = rows:detach(), check_lengths(rows, o.lengths)
  elseif type(rows) == "table" and getmetatable(rows) == nil and o.lengths == nil then
    values, lengths = from_list(rows, o.dtype)
  else
    complain("ragged: list of rows, or tensor and lengths, expected, got %s", check.shown(rows))
  end
  blame.in_name_of("ragged: padding_value", "full", core.full, {1}, o.padding_value, values:dtype())
  return new(values, lengths, o)
end

--
-- Batches of similar lengths
--

local function lengths_of(of)
  if entries.is_source(of) then of = of.lengths end
  if check.is_tensor(of) and of:dim() == 1 then of = of:totable() end
  if type(of) ~= "table" or getmetatable(of) ~= nil or not math.type(of[1]) then
    complain("bucket: ragged rows, or lengths [n], expected, got %s", check.shown(of))
  end
  return of
end

-- Rows from..upto of a random order, the shorter ones first, cut into batches.
local function cut_pool(batches, rows, from, upto, lengths, batch_size)
  local pool, place = table.move(rows, from, upto, 1, {}), {}
  for i, row in ipairs(pool) do place[row] = i end
  table.sort(pool, function(a, b)
    if lengths[a] ~= lengths[b] then return lengths[a] < lengths[b] end
    return place[a] < place[b]
  end)
  for first = 1, #pool, batch_size do
    batches[#batches + 1] = table.move(pool, first, math.min(first + batch_size - 1, #pool), 1, {})
  end
end

-- All rows: random ones are pooled, and a pool is sorted; the batches come in random order, and
-- one that is not full comes last.
local function bucketed(lengths, batch_size, pool_size)
  local n, rows, batches, order = #lengths, core.randperm(#lengths):totable(), {}, {}
  local full = n - n % batch_size
  for from = 1, full, pool_size do
    cut_pool(batches, rows, from, math.min(from + pool_size - 1, full), lengths, batch_size)
  end
  local turn = #batches > 0 and core.randperm(#batches):totable() or {}
  for _, i in ipairs(turn) do table.move(batches[i], 1, batch_size, #order + 1, order) end
  return core.tensor(table.move(rows, full + 1, n, #order + 1, order), "int32")
end

--- A sampler of batches whose rows have similar lengths, so that little is padded.
--
--     local by_length = data.bucket(words)
--     for x, lengths, y in data.batches({words, targets}, {sampler = by_length}) do ... end
--
-- Each row comes once. Rows are drawn into pools of `pool` batches each, a pool is sorted by
-- length, and the batches come in a random order: the smaller the pools, the more random they are.
-- @param of ragged rows, or lengths: a list or tensor [n]
-- @param options `pool` (100): batches that are sorted together
-- @return a function for the option `sampler`
function ragged.bucket(of, options)
  local o, lengths = option.read("bucket", options, {pool = 100}), lengths_of(of)
  local pool = check.count("bucket", "pool", o.pool)
  return function(n, batch_size)
    if n ~= #lengths then
      complain("bucket: the set has %d rows, the lengths are those of %d", n, #lengths)
    end
    return bucketed(lengths, batch_size, pool * batch_size)
  end
end

return ragged
