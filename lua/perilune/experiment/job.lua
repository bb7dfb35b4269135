--- A job: the training of one variant with one seed, which can be stopped at any step and
-- goes on to the same bits (internal; `run:jobs` makes them).
--
-- A job counts either in epochs, which have steps (`job:epochs`), or in iterations alone
-- (`job:iterations`). It has the fields `variant`, `seed`, `key` ("lstm-1"), `epoch`, `step`
-- (how many steps of the epoch, or iterations, are done) and `state`, a plain table for
-- whatever else must outlive a stop: tensors, numbers, texts and tables of these. A plain table
-- `about` goes into the file of its networks.
-- @module perilune.experiment.job

local pl = require "perilune"
local core = require "perilune.core"
local complain = require("perilune.internal.blame").complain
local object = require "perilune.internal.object"
local check = require "perilune.internal.check"
local option = require "perilune.internal.option"
local words = require "perilune.internal.words"
local data = require "perilune.data"
local entries = require "perilune.data.entries"
local loading = require "perilune.data.loading"
local orders = require "perilune.data.orders"
local progress = require "perilune.progress"
local schema = require "perilune.experiment.schema"

local job = {}

local Job = object.class "job"
Job.__name = "job"

--- The name of a job, of its checkpoint and of its networks.
-- @param variant name
-- @param seed integer
-- @return string
function job.key_of(variant, seed)
  return ("%s-%s"):format(variant, seed)
end

local function list_of(value)
  return type(value) == "table" and value or {value}
end

--- The pairs of variants and seeds.
-- @param what `variant` and `seed`, values or lists
-- @return list of pairs
function job.queue(what)
  local queue = {}
  for _, variant in ipairs(list_of(what.variant)) do
    for _, seed in ipairs(list_of(what.seed)) do queue[#queue + 1] = {variant, seed} end
  end
  return queue
end

--- Makes a job.
-- @param run that it is part of
-- @param variant name
-- @param seed integer
-- @return the job
function job.new(run, variant, seed)
  return setmetatable({
    run = run, variant = variant, seed = seed, key = job.key_of(variant, seed),
    epoch = 1, step = 0, state = {}, _parts = {}, _sums = {}, _seconds = 0,
    _since = core.clock(),
  }, Job)
end

--
-- Saving
--

local function snapshot(self)
  local parts = {}
  for name, part in next, self._parts do parts[name] = part:state_dict() end
  return {
    epoch = self.epoch, step = self.step, order = self._order, pass_key = self._pass_key,
    sums = self._sums, seconds = self:seconds(), state = self.state, parts = parts,
  }
end

-- What `snapshot` gives.
local SNAPSHOT <const> = schema.record {
  epoch = schema.count, step = schema.natural, order = schema.optional(schema.tensor),
  pass_key = schema.optional(schema.natural),
  sums = schema.map(schema.record {schema.number, schema.number}), seconds = schema.duration,
  state = schema.table, parts = schema.table,
}

-- Ends the program because the checkpoint does not fit this job.
local function damaged(self, text, ...)
  schema.damaged(self.run:path "checkpoint.safetensors", text, ...)
end

-- A part takes up its state; an error of it is one about the file.
local function load_part(self, name, state)
  local part = self._parts[name]
  if state == nil then damaged(self, "state.parts.%s is missing; table expected", name) end
  local ok, message = pcall(part.load_state_dict, part, state)
  if ok then return end
  if type(message) ~= "string" or pl.interrupted() then error(message, 0) end
  message = message:gsub("^[^\n]-:%d+: ", ""):match "^[^\n]*"
  damaged(self, "state.parts.%s is not what this experiment saves: %s", name, message)
end

local function restore(self)
  local saved = self.run:restore(self.key)
  if not saved then return end
  schema.check(self.run:path "checkpoint.safetensors", saved, SNAPSHOT, "state")
  for _, name in ipairs(words.sorted_keys(self._parts)) do
    load_part(self, name, saved.parts[name])
  end
  self.epoch, self.step = saved.epoch, saved.step
  self._order, self._pass_key = saved.order, saved.pass_key
  self._sums, self.state = saved.sums, saved.state
  self._seconds, self._since = saved.seconds, core.clock()
end

--- Writes a checkpoint of the job; no step may be half done. The loops do so after each
-- epoch, every ten minutes, and when Ctrl-C was pressed.
function Job:save()
  self.run:checkpoint(self.key, snapshot(self))
end

-- After each step: writes a checkpoint if it is time for one, or wanted; after Ctrl-C it
-- stops, too.
local function poll(self, bar, wanted)
  local stopped = pl.interrupted()
  if stopped or wanted or self.run:due() then self:save() end
  if not stopped then return end
  bar:close()
  self.run:stop()
end

-- The seconds that the job has worked, those before a stop included.
function Job:seconds()
  return self._seconds + core.clock() - self._since
end

local function is_module(value)
  local meta = getmetatable(value)
  return type(meta) == "table" and rawget(meta, "is_module") or false
end

--- Notes that the job is finished and saves its networks, `{model = state_dict}`, under
-- `<key>.safetensors`. `run:jobs` does so before it gives the next job.
function Job:finish()
  local networks
  for name, part in next, self._parts do
    if is_module(part) then
      networks = networks or {}
      networks[name] = part:state_dict()
    end
  end
  if networks then networks.about = self.about end
  self.run:finish(self.key, networks)
end

--
-- Loops
--

-- Takes over the parts of a training, and where it was if it was stopped.
local function begin(self, who, parts)
  parts = parts or {}
  for _, name in ipairs(words.sorted_keys(parts)) do
    local part = parts[name]
    if type(part) ~= "table" or not (part.state_dict and part.load_state_dict) then
      complain("%s: %s has no state_dict and load_state_dict", who, name)
    end
  end
  self._parts = parts
  restore(self)
end

local function end_epoch(self)
  self.epoch, self.step, self._sums = self.epoch + 1, 0, {}
  self._order, self._pass_key = nil, nil
  self._looped = false
  self:save()
  if pl.interrupted() then self.run:stop() end
end

-- Asks for Ctrl-C to be told instead of stopping the script; what was before comes back when
-- the result is closed.
local function polite()
  local before = pl.handle_interrupts(true)
  return setmetatable({}, {__close = function() pl.handle_interrupts(before) end})
end

--- The epochs that are still to do: `for epoch in job:epochs(15, {model = net}) do`. A job
-- that was stopped takes up the states of the parts, the random numbers and its place.
--
-- Everything that uses random numbers before the loop, such as the initial weights, is made
-- anew and alike, for the job's seed was set.
-- @param n number of epochs
-- @param[opt] parts what is to be saved, by name: networks, optimisers, schedules, anything
--   with `state_dict` and `load_state_dict`
-- @return iterator over the numbers of the epochs
function Job:epochs(n, parts)
  n = check.count("epochs", "number of epochs", n)
  begin(self, "epochs", parts)
  self.last_epoch = n
  if self.epoch > n + 1 then damaged(self, "state.epoch is %d of %d epochs", self.epoch, n) end
  local begun = false
  return function()
    if begun then end_epoch(self) end
    begun = true
    return self.epoch <= n and self.epoch or nil
  end, nil, nil, polite()
end

-- One loop an epoch, for a checkpoint holds one place in it.
local function begin_loop(self, who)
  if not self.last_epoch then complain("%s: to be used inside of job:epochs", who) end
  if self._looped then complain("%s: this epoch has had its loop", who) end
  self._looped = true
end

local function means(self)
  local values = {}
  for name in next, self._sums do values[name] = self:mean(name) end
  return values
end

-- Where the job is: "lstm-1 epoch 2/15". After the loop over epochs or iterations, the last
-- is still the current one.
local function current_epoch(self)
  return math.min(self.epoch, self.last_epoch or 1)
end

local function current_iteration(self)
  return math.min(self.step + 1, self.last_iteration)
end

local function place(self)
  local last = self.last_iteration
  if last then return ("%s iteration %d/%d"):format(self.key, current_iteration(self), last) end
  return ("%s epoch %d/%d"):format(self.key, current_epoch(self), self.last_epoch or 1)
end

-- A loop over n steps that counts `size` units each on its bar, `total` in all; `period` is
-- the number of steps between two checkpoints, those that time asks for apart.
local function loop(self, n, unit, size, total, period)
  if self.step > n then damaged(self, "state.step is %d of %d steps", self.step, n) end
  local function shown() return means(self) end
  local bar = progress.new {
    total = total, unit = unit, done = math.min(self.step * size, total),
    title = self.last_iteration and self.key or place(self),
  }
  local begun = false
  return function()
    if begun then
      self.step = self.step + 1
      bar:update(math.min(size, total - bar.done), shown)
      poll(self, bar, period and self.step % period == 0)
    end
    begun = self.step < n
    return begun and self.step + 1 or nil
  end, nil, nil, bar
end

--- The steps of this epoch that are still to do: `for i in job:steps(n) do`, with a progress
-- bar, and a checkpoint when it is time for one.
-- @param n number of steps in an epoch
-- @param[opt] options `unit` of the progress bar ("steps"), `size`, how many units a step has
-- @return iterator over the numbers of the steps
function Job:steps(n, options)
  n = check.count("steps", "number of steps", n)
  local o = option.read("steps", options, {unit = "steps", size = 1})
  begin_loop(self, "steps")
  return loop(self, n, o.unit, o.size, n * o.size)
end

--- The iterations that are still to do, for a training that is not counted in epochs:
-- `for i in job:iterations(10000, {generator = g, critic = d}) do`. Otherwise like `epochs`:
-- it takes up the states of the parts, shows a progress bar, and writes checkpoints. Give it
-- the data as a part too, with `data.cycle`.
-- @param n number of iterations
-- @param[opt] parts as for `epochs`
-- @param[opt] options `checkpoint` (n): iterations between two checkpoints, besides those that
--   are written every ten minutes
-- @return iterator over the numbers of the iterations
function Job:iterations(n, parts, options)
  n = check.count("iterations", "number of iterations", n)
  local o = option.read("iterations", options, {checkpoint = n})
  check.count("iterations", "checkpoint", o.checkpoint)
  begin(self, "iterations", parts)
  self.last_iteration = n
  local next_step, _, _, bar = loop(self, n, "iterations", 1, n, o.checkpoint)
  local manners = polite()
  return next_step, nil, nil, setmetatable({}, {__close = function()
    local _ <close> = manners
    bar:close()
  end})
end

-- The order of the rows in this epoch; nil: as they are.
local function order_of(self, rows, options)
  if options.order or options.shuffle == false then return options.order end
  if not self._order then
    self._order = pl.keep(orders.draw("batches", rows, options, self.epoch))
  elseif not orders.fits(self._order, rows, options) then
    damaged(self, "state.order is no order of %d rows", rows)
  end
  return self._order
end

-- The key of this epoch's random numbers, if its batches need one.
local function key_of_pass(self, set, options)
  if loading.has_key(entries.read("batches", set), options) then
    self._pass_key = options.key or self._pass_key or pl.random_key()
  end
  return self._pass_key
end

--- The batches of this epoch that are still to do: `for x, y in job:batches(set) do`.
-- @param set of tensors
-- @param[opt] options as for `data.batches`, but for `skip` and `seed`: the job's own seed says how
--   to shuffle
-- @return iterator, as of `data.batches`
function Job:batches(set, options)
  begin_loop(self, "batches")
  local o = {}
  for name, value in next, options or {} do o[name] = value end
  if o.skip then complain("batches: skip: the job skips what is done already") end
  if o.seed then complain("batches: seed: the job's own seed says how to shuffle") end
  local rows = entries.read("batches", set).n
  o.batch_size = check.count("batches", "batch_size", o.batch_size or 64)
  orders.check("batches", rows, o)
  o = orders.fixed(o, order_of(self, rows, o), self.step)
  o.key = key_of_pass(self, set, o)
  local next_batch, _, _, closing = data.batches(set, o)
  local size, count = o.batch_size, data.batch_count(set, o)
  local total = math.min(o.order and #o.order or rows, count * size)
  local unit = set.images and "images" or "rows"
  local next_step, _, _, bar = loop(self, count, unit, size, total)
  return function()
    if next_step() then return next_batch() end
  end, nil, nil, setmetatable({}, {__close = function()
    local _ <close> = closing
    bar:close()
  end})
end

--
-- Numbers
--

-- The fields that say in a record or a message where the job is.
local function whereabouts(self)
  local fields = {variant = self.variant, seed = self.seed}
  if self.last_iteration then
    fields.iteration = current_iteration(self)
  else
    fields.epoch = current_epoch(self)
  end
  return fields
end

--- Takes a number into the mean of this epoch, or of the iterations since the last `report`.
-- NaN and infinity end the run.
-- @param name of the number, "loss"
-- @param value of it; a tensor without dims stands for its number
-- @param[opt=1] weight how much it counts, for instance the size of the batch
function Job:add(name, value, weight)
  value, weight = check.unwrapped(value), check.unwrapped(weight or 1)
  if not math.type(value) then
    complain("add: %s: number expected, got %s", check.shown(name),
      pl.is_tensor(value) and "a tensor; item() gives its number" or check.type(value))
  end
  local where = whereabouts(self)
  if not self.last_iteration then where.step = self.step + 1 end
  self.run:check_finite(name, value, where)
  local sum = self._sums[name] or {0, 0}
  self._sums[name] = {sum[1] + weight * value, sum[2] + weight}
end

--- The mean of what was added in this epoch, or in the iterations since the last `report`.
-- @param name of the number
-- @return number, or nil if nothing was added
function Job:mean(name)
  local sum = self._sums[name]
  return sum and sum[1] / sum[2] or nil
end

-- The record with what every record has.
local function complete(self, record)
  local all = whereabouts(self)
  all.seconds = self:seconds()
  for name, value in next, record do all[name] = value end
  return all
end

--- Appends a record to metrics.jsonl, with the job's variant, seed, epoch or iteration, and
-- seconds.
-- @param record plain table
function Job:log(record)
  self.run:log(complete(self, record))
end

--- Like `log`, and prints the record, except tables in it, as a line. Of iterations, the
-- means begin anew.
-- @param record plain table
function Job:report(record)
  self:log(record)
  if self.last_iteration then self._sums = {} end
  local texts = {place(self)}
  for _, name in ipairs(words.sorted_keys(record)) do
    local value = record[name]
    local format = math.type(value) == "float" and "%s %.5g" or "%s %s"
    if type(value) ~= "table" then texts[#texts + 1] = format:format(name, value) end
  end
  texts[#texts + 1] = ("%.1f s"):format(self:seconds())
  progress.hide()
  print(table.concat(texts, "  "))
end

return job
