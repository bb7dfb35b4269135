--- A run and its folder (internal; use `perilune.experiment.open`).
--
-- The folder holds
--
-- - `options.json`: the task and the options that determine the results;
-- - `metrics.jsonl`: one JSON object a line, appended by `run:log`;
-- - `checkpoint.safetensors`: how far the run is: the length of the metrics, the finished
--   jobs, the random numbers, and the state of the job that is not finished;
-- - `<key>.safetensors`: the networks of a finished job;
-- - `table.txt` and whatever else the experiment writes.
--
-- The checkpoint is there from the beginning and replaced as a whole, so it is the one truth about
-- the run: a run that goes on cuts the metrics back to what the checkpoint knows of before it
-- writes. First it reads all files and compares their checksums (`perilune.experiment.folder`). A
-- record is in its file as soon as it is logged, but only a checkpoint waits for the disk to have
-- it: waiting takes milliseconds, which is too long for a record of every step. One process at a
-- time has the folder.
-- @module perilune.experiment.run

local pl = require "perilune"
local core = require "perilune.core"
local store = require "perilune.store"
local complain = require("perilune.internal.blame").complain
local object = require "perilune.internal.object"
local sorted_keys = require("perilune.internal.words").sorted_keys
local failure = require "perilune.experiment.failure"
local job = require "perilune.experiment.job"
local files = require "perilune.experiment.folder"
local options = require "perilune.experiment.options"
local progress = require "perilune.progress"
local report = require "perilune.experiment.report"
local schema = require "perilune.experiment.schema"

local fail, must = failure.fail, failure.must
local run = {}

local INTERVAL <const> = 600 -- seconds between two checkpoints inside of a loop

local Run = object.class "run"
Run.__name = "run"

-- Cuts the metrics of a resumed run, which begins to write.
local function cut_metrics(self)
  if self._uncut then must(core.truncate_file(self:path "metrics.jsonl", self._bytes)) end
  self._uncut = false
end

local function save(self, key, state)
  cut_metrics(self)
  if self._bytes > 0 then must(core.append_file(self:path "metrics.jsonl", "")) end
  must(store.save(self:path "checkpoint.safetensors", {
    metrics_bytes = self._bytes, metrics_crc32 = self._crc, finished = self._finished,
    random = pl.random_state(), key = key, state = state,
  }))
  self._saved_at, self._current, self._pending = core.clock(), key, nil
end

--
-- Opening
--

-- A folder under runs/ that is not there yet.
local function new_folder(task)
  local stem = ("runs/%s-%s"):format(task, os.date "%Y%m%d-%H%M%S")
  local folder, n = stem, 1
  while pl.file_exists(folder) do
    n = n + 1
    folder = ("%s-%d"):format(stem, n)
  end
  return folder
end

-- What the bits depend on besides the options.
local function build()
  return {version = core.version, instructions = core.isa(), blas = core.blas(),
          real = core.real}
end

-- The folders that this process has locked.
local locked = {}

-- No other process may use the folder until this one ends, which may open it again.
local function lock(folder)
  if not locked[folder] then must(core.lock_folder(folder)) end
  locked[folder] = true
end

local function set_of(list)
  local set = {}
  for _, value in ipairs(list) do set[value] = true end
  return set
end

-- The records of a finished run. Results that were handed on have no checkpoint.
local function finished_records(folder)
  local path = folder .. "/metrics.jsonl"
  local saved = files.read_checkpoint(folder .. "/checkpoint.safetensors")
  local bytes = saved and saved.metrics_bytes
  if saved and (saved.key or bytes == 0 or (core.file_size(path) or 0) > bytes) then
    fail("--join: %s is not finished; --resume %s goes on with it", folder, folder)
  end
  return files.read_records(path, bytes, saved and saved.metrics_crc32)
end

-- The records of other runs, which --join names, and the networks of their jobs as bytes; two that
-- trained the same are a mistake.
local function read_joined(values, task)
  local list, from, networks = {}, {}, {}
  for _, folder in ipairs(values.join or {}) do
    local name, value = options.differing(values, options.read_saved(folder, task).options)
    if name then
      fail("--join: %s has --%s %s; join it with runs of the same", folder, name, value)
    end
    for _, record in ipairs(finished_records(folder)) do
      local key = job.key_of(record.variant, record.seed)
      if (from[key] or folder) ~= folder then
        fail("--join: %s is in %s and in %s", key, from[key], folder)
      end
      if not from[key] then
        from[key], networks[key] = folder, files.read_networks(folder, key) or false
      end
      list[#list + 1] = record
    end
  end
  return list, networks
end

-- Makes them records of this run, and writes the networks.
local function take_joined(self, records, networks)
  for _, record in ipairs(records) do self:log(record) end
  for _, key in ipairs(sorted_keys(networks)) do
    if networks[key] then self:write(key .. ".safetensors", networks[key]) end
    self:finish(key)
  end
end

local function begin(self, behind)
  local joined, networks = read_joined(self.options, behind.task)
  self.folder = self.options.out or new_folder(behind.task)
  must(core.mkdir(self.folder))
  lock(self.folder)
  for _, name in ipairs {"options.json", "metrics.jsonl", "checkpoint.safetensors"} do
    if pl.file_exists(self:path(name)) then
      fail("%s holds a run already; --resume %s goes on with it", self.folder, self.folder)
    end
  end
  self:write("options.json", files.options_text {
    task = behind.task, options = options.determining(self.options), build = build(),
  })
  save(self)
  take_joined(self, joined, networks)
end

-- Says so if the same bits cannot be expected.
local function compare_builds(self, saved)
  local now = build()
  for _, name in ipairs(sorted_keys(now)) do
    if saved and saved[name] ~= now[name] then
      progress.hide()
      io.stderr:write(("note: %s was begun with %s %s, this is %s; numbers may differ\n"):format(
        self.folder, name, tostring(saved[name]), tostring(now[name])))
    end
  end
end

-- A run that was stopped before there was a checkpoint has no metrics either.
local function read_checkpoint(self)
  local path, metrics = self:path "checkpoint.safetensors", self:path "metrics.jsonl"
  local saved = files.read_checkpoint(path)
  if saved then
    self._bytes, self._crc = saved.metrics_bytes, saved.metrics_crc32
    self._finished, self._pending = saved.finished, saved
  elseif pl.file_exists(metrics) and core.file_size(metrics) ~= 0 then
    fail("%s is missing, without which the run cannot go on", path)
  end
end

local function read_metrics(self)
  local path = self:path "metrics.jsonl"
  if not pl.file_exists(path) then
    if self._bytes > 0 then fail("%s is missing", path) end
    return
  end
  self._records = files.read_records(path, self._bytes, self._crc)
  self._uncut = true
end

local function all_finished(self)
  local finished = set_of(self._finished)
  for _, record in ipairs(self._records) do
    if not finished[job.key_of(record.variant, record.seed)] then return false end
  end
  return #self._records > 0
end

local function go_on(self, behind)
  self.folder = behind.folder
  lock(self.folder)
  read_checkpoint(self)
  read_metrics(self)
  compare_builds(self, behind.saved.build)
  if self.options.join and not all_finished(self) then
    fail("%s was stopped while it was being joined; join the runs in another folder", self.folder)
  end
end

--- Opens the folder of a run; see `perilune.experiment.open`.
-- @param values what `perilune.experiment.options` gave
-- @return the run
function run.open(values)
  local behind = options.behind(values)
  if not behind then complain("open: the table that experiment.options gave expected") end
  local self = setmetatable({
    options = values, task = behind.task, interval = INTERVAL, _command = behind.command,
    _bytes = 0, _crc = 0, _finished = {}, _records = {}, _saved_at = core.clock(),
  }, Run)
  if behind.folder then go_on(self, behind) else begin(self, behind) end
  print(("%s: %s%s"):format(self.task, self.folder, behind.folder and ", going on" or ""))
  return self
end

--
-- Files
--

--- The path of a file in the run's folder.
-- @param name of the file
-- @return string
function Run:path(name)
  return self.folder .. "/" .. name
end

--- Writes a file in the run's folder, whole or not at all.
-- @param name of the file
-- @param text what to write
function Run:write(name, text)
  must(core.write_file(self:path(name), text))
end

--
-- Metrics
--

--- Appends a record to metrics.jsonl. Infinities and NaN are written as null.
-- @param record plain table with at least `variant`, `seed`, `seconds`, and `epoch` or
--   `iteration`
function Run:log(record)
  for _, name in ipairs {"variant", "seed", "seconds"} do
    if record[name] == nil then complain("log: the record has no %s", name) end
  end
  if not record.epoch and not record.iteration then complain("log: the record has no epoch") end
  local line = core.json_encode(record, {nan = "null"})
  cut_metrics(self)
  self._bytes = must(core.append_file(self:path "metrics.jsonl", line .. "\n", false))
  self._crc = self._crc and core.crc32(line .. "\n", self._crc)
  self._records[#self._records + 1] = core.json_decode(line)
end

local function fits(record, filter)
  if type(filter) == "function" then return filter(record) end
  for name, value in next, filter or {} do
    if record[name] ~= value then return false end
  end
  return true
end

--- The records so far, those from before the run was resumed included.
-- @param[opt] filter a table, whose fields the records must have, or a function
-- @return list of tables
function Run:records(filter)
  local list = {}
  for _, record in ipairs(self._records) do
    if fits(record, filter) then list[#list + 1] = record end
  end
  return list
end

--- The last value of a field, for each variant and seed: what the closing table shows.
-- @param field name in the records
-- @param[opt] filter as for `records`
-- @return list of values, in the order in which the variants and seeds were run
function Run:last(field, filter)
  local list, place = {}, {}
  for _, record in ipairs(self:records(filter)) do
    local key = job.key_of(record.variant, record.seed)
    if record[field] ~= nil then
      place[key] = place[key] or #list + 1
      list[place[key]] = record[field]
    end
  end
  return list
end

--- A row for each variant, for the closing table: the field `variant`, and for each of the
-- given fields the list of its last values with all seeds.
-- @param fields list of names in the records
-- @return list of tables
function Run:summary(fields)
  local rows, seen = {}, {}
  for _, record in ipairs(self._records) do
    local variant = record.variant
    if not seen[variant] then
      local row = {variant = variant}
      for _, field in ipairs(fields) do row[field] = self:last(field, {variant = variant}) end
      rows[#rows + 1], seen[variant] = row, true
    end
  end
  return rows
end

--- A field over the epochs (or iterations) in which it was measured, with all seeds: what a
-- curve with a band shows.
-- @param field name in the records
-- @param[opt] filter as for `records`
-- @return list of the epochs, in order
-- @return list of the means over the seeds
-- @return list of the least values
-- @return list of the greatest values
function Run:over_seeds(field, filter)
  local epochs, values = {}, {}
  for _, record in ipairs(self:records(filter)) do
    local epoch = record.epoch or record.iteration
    if record[field] ~= nil then
      if not values[epoch] then epochs[#epochs + 1], values[epoch] = epoch, {} end
      table.insert(values[epoch], record[field])
    end
  end
  table.sort(epochs)
  local mean, low, high = {}, {}, {}
  for i, epoch in ipairs(epochs) do
    local list = values[epoch]
    mean[i] = report.mean_spread(list)
    low[i], high[i] = math.min(table.unpack(list)), math.max(table.unpack(list))
  end
  return epochs, mean, low, high
end

--- Ends the run with a message if a number is NaN or infinite.
-- @param name what the number is
-- @param value the number
-- @param[opt] where `variant`, `seed`, `epoch`, `step`, `iteration`, for the message
-- @return the number
function Run:check_finite(name, value, where)
  if value == value and math.abs(value) < math.huge then return value end
  local at = {}
  for _, part in ipairs {"variant", "seed", "epoch", "step", "iteration"} do
    if where and where[part] then at[#at + 1] = ("%s %s"):format(part, where[part]) end
  end
  fail("%s is %s%s%s", name, tostring(value), #at > 0 and " at " or "", table.concat(at, ", "))
end

--- Prints a table and writes it to table.txt.
-- @param rows list of tables; a value that is a list of numbers is shown as mean ± spread
-- @param columns list of names, or of `{name, title = ..., format = "%.2f"}`
-- @return the table as text
function Run:table(rows, columns)
  local text = report.table(rows, columns)
  self:write("table.txt", text)
  progress.hide()
  io.write(text)
  return text
end

--
-- Checkpoints
--

--- Writes a checkpoint: the state of the job that runs, with what every checkpoint has. One
-- job runs at a time.
-- @param key of the job
-- @param state plain table for `perilune.save`, or a function that gives one
function Run:checkpoint(key, state)
  local pending = self._pending and self._pending.key
  if pending and pending ~= key then
    schema.damaged(self:path "checkpoint.safetensors",
      "it holds the job %s, but the first that is not finished is %s", pending, key)
  end
  local other = self._current
  if other and other ~= key then
    complain("checkpoint: %s is not finished, so there can be none of %s", other, key)
  end
  if type(state) == "function" then state = state() end
  save(self, key, state)
end

--- Whether it is time for a checkpoint inside of a loop: `interval` seconds, ten minutes,
-- have passed since the last.
-- @return boolean
function Run:due()
  return core.clock() - self._saved_at >= self.interval
end

--- The state of an unfinished job in a resumed run; sets the random numbers too.
-- @param key of the job
-- @return what `checkpoint` was given, or nil if there is none of this job
function Run:restore(key)
  local saved = self._pending
  if not saved or saved.key ~= key then return nil end
  pl.set_random_state(saved.random)
  self._pending, self._current = nil, key
  return saved.state
end

--- Whether a job is finished.
-- @param key of the job
-- @return boolean
function Run:finished(key)
  for _, finished in ipairs(self._finished) do
    if finished == key then return true end
  end
  return false
end

--- Notes that a job is finished; of its state only the networks are kept.
-- @param key of the job
-- @param[opt] networks plain table to save as `<key>.safetensors`
function Run:finish(key, networks)
  if networks then must(store.save(self:path(key .. ".safetensors"), networks)) end
  self._finished[#self._finished + 1] = key
  save(self)
end

--
-- Jobs
--

--- The jobs of a run: each variant with each seed. Those that are finished are left out; the
-- random numbers start from the job's seed. A job is finished when the next one is asked for.
-- With --join there are none.
--
--     for job in run:jobs(options) do train(job) end
--
-- @param what `variant` and `seed`, values or lists of values
-- @return iterator over jobs
function Run:jobs(what)
  local queue, i, current = self.options.join and {} or job.queue(what), 0, nil
  return function()
    if current then current:finish() end
    repeat
      i = i + 1
    until not queue[i] or not self:finished(job.key_of(table.unpack(queue[i])))
    current = queue[i] and job.new(self, table.unpack(queue[i]))
    if current then pl.manual_seed(current.seed) end
    return current
  end
end

local function quoted(word)
  if word:match "^[%w_@%%+=:,./-]+$" then return word end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

--- The command that goes on with this run.
-- @return string
function Run:resume_command()
  local words = {}
  for i, word in ipairs(self._command) do words[i] = quoted(word) end
  return ("%s --resume %s"):format(table.concat(words, " "), quoted(self.folder))
end

--- Stops the program after Ctrl-C, with exit status 130; save a checkpoint before.
function Run:stop()
  progress.hide()
  io.stderr:write("Stopped. This goes on: ", self:resume_command(), "\n")
  os.exit(130, true)
end

return run
