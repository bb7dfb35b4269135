--- The files of a run's folder, each read by one function that checks all of it (internal).
--
-- A file that is not what it was when it was written ends the program with one line that says
-- which file, what is wrong with it, and where. Nothing is written before all were read.
--
-- - `options.json`: `task`, `options`, `build`, and `crc32`, the CRC-32 of the file with zeros in
--   the place of its digits;
-- - `checkpoint.safetensors`, which has a checksum as every archive has, and knows the length and
--   the CRC-32 of the metrics;
-- - `metrics.jsonl`: one record a line.
-- @module perilune.experiment.folder

local pl = require "perilune"
local core = require "perilune.core"
local store = require "perilune.store"
local failure = require "perilune.experiment.failure"
local schema = require "perilune.experiment.schema"

local fail, damaged = failure.fail, schema.damaged
local folder = {}

local OPTIONS <const> = schema.record {
  task = schema.text, options = schema.table, build = schema.optional(schema.map(schema.text)),
}

local RECORD <const> = schema.record {
  variant = schema.name, seed = schema.name, seconds = schema.number,
  epoch = schema.optional(schema.number), iteration = schema.optional(schema.number),
}

local CHECKPOINT <const> = schema.record {
  metrics_bytes = schema.natural, metrics_crc32 = schema.optional(schema.natural),
  finished = schema.list(schema.text), key = schema.optional(schema.text),
  random = schema.record {key = schema.integer, counter = schema.integer},
  state = schema.optional(schema.table),
}

-- The bytes of a file; what keeps it from being read names it.
local function read(path)
  return failure.must(core.read_file(path))
end

-- What a JSON text in a file holds; `where` says which part of the file it is.
local function decode(path, text, where)
  local value, message = core.json_decode(text)
  if value == nil then
    damaged(path, "%s%s", where, (message or "null"):gsub("^json_decode: ", ""))
  end
  return value
end

--
-- options.json
--

local DIGITS <const>, NONE <const> = '"crc32":"(%x%x%x%x%x%x%x%x)"', '"crc32":"00000000"'

local function sum_of(text)
  return ('"crc32":"%08x"'):format(core.crc32(text))
end

--- The text of options.json.
-- @param saved table with `task`, `options` and `build`
-- @return string
function folder.options_text(saved)
  saved.crc32 = "00000000"
  local text = core.json_encode(saved) .. "\n"
  return (text:gsub(NONE, sum_of(text), 1))
end

--- Reads the file that says what a run is.
-- @param path of options.json
-- @return table with `task`, `options` and `build`
function folder.read_options(path)
  local text = read(path)
  local saved = schema.check(path, decode(path, text, ""), OPTIONS)
  if text:find '"crc32":' and not text:find(DIGITS) or text:find(DIGITS)
    and text:match(DIGITS) ~= sum_of(text:gsub(DIGITS, NONE, 1)):match(DIGITS) then
    damaged(path, "its checksum is not that of what it holds")
  end
  return saved
end

--
-- metrics.jsonl
--

--- Reads the records of metrics.jsonl.
-- @param path of the file
-- @param[opt] bytes how many of its bytes count; all, if it is left out
-- @param[opt] crc the CRC-32 of these bytes
-- @return list of records
function folder.read_records(path, bytes, crc)
  local text, list = read(path), {}
  if bytes and #text < bytes then
    damaged(path, "it has %d bytes; the checkpoint knows of %d", #text, bytes)
  end
  text = text:sub(1, bytes or #text)
  for line in text:gmatch "[^\n]+" do
    local where = ("line %d: "):format(#list + 1)
    local record = decode(path, line, where)
    if type(record) ~= "table" or record.variant == nil or record.seed == nil then
      damaged(path, "%sa record with variant and seed expected", where)
    end
    schema.check(path, record, RECORD, ("line %d"):format(#list + 1))
    if not (record.epoch or record.iteration) then damaged(path, "%sno epoch", where) end
    list[#list + 1] = record
  end
  if crc and core.crc32(text) ~= crc then
    damaged(path, "its first %d bytes are not those that the checkpoint knows of", #text)
  end
  return list
end

--
-- Archives
--

-- What an archive holds, or nil if there is no such file.
local function load(path)
  if not pl.file_exists(path) then return nil end
  local saved, message = store.load(path)
  if saved then return saved end
  local prefix = path .. ": "
  if message:sub(1, #prefix) ~= prefix then fail("%s", message) end
  damaged(path, "%s", message:sub(#prefix + 1))
end

--- Reads a checkpoint.
-- @param path of the file
-- @return table, or nil if there is no such file
function folder.read_checkpoint(path)
  local saved = load(path)
  if not saved then return nil end
  schema.check(path, saved, CHECKPOINT)
  if saved.key and not saved.state then damaged(path, "state is missing; table expected") end
  return saved
end

--- The networks of a finished job.
-- @param where the folder of the run
-- @param key of the job
-- @return the bytes of the file, or nil if there is no such file
function folder.read_networks(where, key)
  local path = ("%s/%s.safetensors"):format(where, key)
  return load(path) and read(path)
end

return folder
