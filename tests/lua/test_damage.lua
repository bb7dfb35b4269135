-- Damaged run folders: whatever is done to a file of a run that was stopped, the run goes on to
-- what it would have come to, or ends with one line that names the file, and writes nothing.

local lu = require "luaunit"
local pl = require "perilune"
local core = require "perilune.core"
local data, experiment, nn, optim = pl.data, pl.experiment, pl.nn, pl.optim

local T = {}

local FILES <const> = {"options.json", "metrics.jsonl", "checkpoint.safetensors",
                       "plain-1.safetensors", "dropout-1.safetensors", "table.txt"}

--
-- A stand-in: two small networks, of which the second is stopped in its second epoch
--

local STOP <const> = "stopped here"

local function network(variant)
  return nn.Sequential {nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(),
                        nn.Dropout(variant == "dropout" and 0.3 or 0), nn.Linear(4, 1)}
end

local function train_step(job, net, opt, batch)
  opt:zero_grad()
  local loss = pl.mse_loss(net(batch.x):flatten(), batch.y)
  loss:backward()
  opt:step()
  job:add("loss", loss:item(), #batch.y)
end

local function train(job, epochs, lr, set, stop)
  local net = network(job.variant)
  local opt = optim.Adam(optim.groups(net), {lr = lr})
  local parts = {model = net, optimizer = opt, schedule = optim.StepLR(opt, {step_size = 1}),
                 average = optim.SWA(net:parameters()),
                 more = data.cycle(set, {batch_size = 3})}
  job.state.seen = 0
  for epoch in job:epochs(epochs, parts) do
    for batch in job:batches(set, {batch_size = 4}) do
      pl.tidy(train_step, job, net, opt, batch)
      parts.average:update()
      pl.tidy(parts.more.next, parts.more)
      job.state.seen = job.state.seen + #batch.y
      if job.step == 1 then job:log {seen = job.state.seen} end
      if stop and job.variant == "dropout" and epoch == 2 and job.step == 1 then error(STOP, 0) end
    end
    parts.schedule:step()
    job:report {loss = job:mean "loss", seen = job.state.seen}
  end
end

local function stand_in(words, stop)
  local options = experiment.options(words, {name = "stand-in", options = {
    {"variant", default = "all", many = true, choices = {"plain", "dropout"}},
    {"epochs", default = 2, max = 9}, {"lr", default = 0.05, type = "number"},
    {"threads", type = "integer", min = 1, max = 2},
  }})
  local run = experiment.open(options)
  run.interval = 0
  pl.tidy(function()
    pl.manual_seed(3)
    local set = {x = pl.randn(10, 3), y = pl.randn(10)}
    for job in run:jobs(options) do train(job, options.epochs, options.lr, set, stop) end
  end)
  run:table(run:summary {"loss", "seen"}, {"variant", {"loss", format = "%.9f"}, "seen"})
end

-- What f does, without a word.
local function quietly(f, ...)
  local old_print, old_write, old_stderr = print, io.write, io.stderr
  print, io.write = function() end, function() end
  io.stderr = {write = function() end}
  local results = table.pack(pcall(f, ...))
  print, io.write, io.stderr = old_print, old_write, old_stderr
  return table.unpack(results, 1, results.n)
end

--
-- Folders
--

local home, folder

-- The file's bytes; nil if there is none, true if it is a folder.
local function bytes_of(path)
  local file <close> = io.open(path, "rb")
  return file and (file:read "a" or true)
end

local function contents()
  local files = {}
  for _, name in ipairs(FILES) do files[name] = bytes_of(folder .. "/" .. name) end
  return files
end

local function put(files)
  for _, name in ipairs(FILES) do
    local path = folder .. "/" .. name
    os.remove(path)
    if files[name] == true then assert(core.mkdir(path)) end
    if type(files[name]) == "string" then
      local file <close> = assert(io.open(path, "wb"))
      file:write(files[name])
    end
  end
end

local function without_times(metrics)
  return (metrics:gsub('"seconds":[^,]*,', ""))
end

local was_quiet, was_threads, clock, stopped, finished

-- So that files have the same bytes in every run.
local function counting_clock()
  local now = 0
  return function()
    now = now + 0.25
    return now
  end
end

function T.setUp()
  was_quiet, was_threads, pl.progress.quiet = pl.progress.quiet, pl.threads(), true
  clock, core.clock = core.clock, counting_clock()
  home = os.tmpname()
  os.remove(home)
  assert(core.mkdir(home))
  folder = home .. "/run"
  local ok, message = quietly(stand_in, {"--threads", "1", "--out", folder}, true)
  assert(not ok and message == STOP, message)
  stopped = contents()
  assert(quietly(stand_in, {"--resume", folder}))
  finished = contents()
end

function T.tearDown()
  pl.progress.quiet, core.clock = was_quiet, clock
  pl.threads(was_threads)
  os.execute(("rm -rf '%s'"):format(home))
  stopped, finished = nil, nil
end

--
-- Damages
--

local state = 1
local function draw(n)
  state = state * 6364136223846793005 + 1442695040888963407
  return (state >> 33) % n + 1
end

local function replaced(text, at, length, by)
  return text:sub(1, at - 1) .. by .. text:sub(at + length)
end

local function random_bytes(n)
  local list = {}
  for i = 1, n do list[i] = string.char(draw(256) - 1) end
  return table.concat(list)
end

-- Each gives what is left of a text.
local DAMAGES <const> = {
  function(text) return text:sub(1, draw(#text) - 1) end,
  function(text) return text:sub(draw(#text)) end,
  function(text)
    local at = draw(#text)
    return replaced(text, at, 1, string.char(text:byte(at) ~ (1 << draw(8) - 1)))
  end,
  function(text) return replaced(text, draw(#text), 1, random_bytes(1)) end,
  function(text) return replaced(text, draw(#text), 8, random_bytes(8)) end,
  function(text) return replaced(text, draw(#text), draw(64), "") end,
  function(text) return replaced(text, draw(#text), 0, random_bytes(draw(16))) end,
  function(text) return replaced(text, draw(#text), 16, ("\0"):rep(16)) end,
  function(text) return text .. random_bytes(draw(32)) end,
  function(text) return text .. text end,
}

local VALUES <const> = {"null", "true", '"x"', "[]", "{}", "-1", "0.5", "1e999", "1e300", "nan",
                        '["x"]', '{"a":1}', "[[1]]", '""'}

-- The places of the values in a JSON text: the first byte and the length of each.
local function values_in(text)
  local list = {}
  for _, pattern in ipairs {'[:%[,]()"[^"]*"()', "[:%[,]()%-?%d[%d%.e%-]*()", ":()%b[]()", ":()%b{}()",
                            "[:%[,]()%a+()"} do
    for first, last in text:gmatch(pattern) do list[#list + 1] = {first, last - first} end
  end
  return list
end

-- The same with another value in one place, or without a field.
local function with_another_value(text, values)
  local places = values_in(text)
  local place = places[draw(#places)]
  local new = values[draw(#values)]
  return replaced(text, place[1], place[2], new)
end

local function without_a_field(text)
  local fields = {}
  for first, last in text:gmatch '()"[%w_]+":[^,{}%[%]]*,()' do
    fields[#fields + 1] = {first, last - first}
  end
  local field = fields[draw(#fields)]
  return replaced(text, field[1], field[2], "")
end

--
-- What has to come of it
--

local counts

-- The one line that a person gets, or nil if the run came to its end.
local function failure_of(ok, failure, what)
  if ok then return nil end
  if type(failure) ~= "table" then error(("%s: %s"):format(what, failure), 0) end
  lu.assertEquals(failure.traceback, false, what)
  lu.assertNil(failure.message:find "\n", what)
  return failure.message
end

local function assert_finished(before, after, what)
  for _, file in ipairs(FILES) do
    local there, expected = after[file], finished[file]
    -- of these nothing is needed, and nothing written
    if file == "plain-1.safetensors" or file == "options.json" then expected = before[file] end
    -- this knows of the times in the metrics, and of no job
    if file == "checkpoint.safetensors" then there, expected = nil, nil end
    if file == "metrics.jsonl" then there, expected = without_times(there), without_times(expected) end
    lu.assertTrue(there == expected, what .. ": other results in " .. file)
  end
end

-- Resumes what is in the folder after `name` was damaged. Only where `unsealed`, where no checksum
-- can tell, it may end well with other results, or with numbers that are not finite.
local function try(name, what, unsealed)
  local before = contents()
  local message = failure_of(quietly(stand_in, {"--resume", folder}))
  collectgarbage()
  counts[message and "refused" or "finished"] = counts[message and "refused" or "finished"] + 1
  local after = contents()
  if not message then
    return unsealed or assert_finished(before, after, what)
  elseif not (unsealed and message:find "^loss is ") then
    lu.assertStrContains(message, folder, false, what)
    lu.assertStrContains(message, unsealed and folder or name, false, what)
    for _, file in ipairs(FILES) do
      lu.assertTrue(after[file] == before[file], what .. " changed " .. file)
    end
  end
end

local function damage(name, new, what, unsealed)
  local files = {}
  for file, bytes in pairs(stopped) do files[file] = bytes end
  files[name] = new
  put(files)
  try(name, ("%s, %s"):format(name, what), unsealed)
end

local function each_file(f)
  for _, name in ipairs {"options.json", "metrics.jsonl", "checkpoint.safetensors",
                         "plain-1.safetensors"} do f(name, stopped[name]) end
end

function T.test_files_that_are_gone_or_something_else()
  counts = {refused = 0, finished = 0}
  each_file(function(name, text)
    damage(name, nil, "deleted")
    damage(name, true, "a folder")
    damage(name, "", "empty")
    each_file(function(other, bytes)
      if other ~= name then damage(name, bytes, "has the bytes of " .. other) end
    end)
    damage(name, (text:gsub("%d", "7", 1)), "one digit")
  end)
  put(stopped)
  assert(core.mkdir(folder .. "/table.txt")) -- the last file that is written
  local message = failure_of(quietly(stand_in, {"--resume", folder}))
  lu.assertStrContains(message, "cannot write " .. folder .. "/table.txt: ")
  os.remove(folder .. "/table.txt")
  lu.assertTrue(quietly(stand_in, {"--resume", folder}))
  assert_finished(stopped, contents(), "table.txt")
end

function T.test_random_damage()
  counts, state = {refused = 0, finished = 0}, 1
  each_file(function(name, text)
    for i = 1, 150 do
      local k = (i - 1) % #DAMAGES + 1
      damage(name, DAMAGES[k](text), ("damage %d of kind %d"):format(i, k))
    end
  end)
  -- networks of finished jobs are not read, and some damages change nothing that counts
  lu.assertTrue(counts.refused > 300 and counts.finished >= 150, counts.refused)
end

-- Networks say themselves that they were damaged, or give what they held: a damage may hit what is
-- not theirs, such as the name of the checksum.
function T.test_damaged_networks()
  state = 2
  local path, text = folder .. "/plain-1.safetensors", stopped["plain-1.safetensors"]
  local again = home .. "/again.safetensors"
  for _ = 1, 100 do
    local new = DAMAGES[draw(#DAMAGES)](text)
    assert(core.write_file(path, new))
    local value, message = pl.load(path)
    if value then
      assert(pl.save(again, value))
      lu.assertTrue(bytes_of(again) == text)
    else
      lu.assertStrContains(message, path)
    end
  end
end

function T.test_other_values_in_json()
  counts, state = {refused = 0, finished = 0}, 3
  for _, name in ipairs {"options.json", "metrics.jsonl"} do
    for i = 1, 120 do
      damage(name, with_another_value(stopped[name], VALUES), "value " .. i)
    end
    for i = 1, 20 do damage(name, without_a_field(stopped[name]), "field " .. i) end
  end
  lu.assertTrue(counts.refused > 200, counts.refused)
end

-- A run that is joined with others is read whole before anything is written.
function T.test_damaged_runs_that_are_joined()
  state = 5
  local out = home .. "/all"
  local function join() return failure_of(quietly(stand_in, {"--join", folder, "--out", out})) end
  put(finished)
  lu.assertNil(join())
  lu.assertEquals(bytes_of(out .. "/plain-1.safetensors"), finished["plain-1.safetensors"])
  for _, name in ipairs(FILES) do
    out = ("%s/all-%s"):format(home, name)
    for i = 1, name == "table.txt" and 0 or 60 do
      local files = {}
      for file, bytes in pairs(finished) do files[file] = bytes end
      files[name] = DAMAGES[(i - 1) % #DAMAGES + 1](finished[name])
      put(files)
      local message = join()
      if message then
        lu.assertStrContains(message, folder)
        lu.assertNil(core.file_size(out))
      else
        lu.assertEquals(without_times(bytes_of(out .. "/metrics.jsonl")),
                        without_times(finished["metrics.jsonl"]))
        lu.assertEquals(bytes_of(out .. "/plain-1.safetensors"), finished["plain-1.safetensors"])
        os.execute(("rm -r '%s'"):format(out))
      end
    end
  end
end

--
-- Without checksums, as version 0.1 wrote them, or with right ones: what cannot be told may be another
-- run, but never a traceback
--

function T.test_other_values_without_a_checksum()
  counts, state = {refused = 0, finished = 0}, 4
  local options = stopped["options.json"]:gsub('"crc32":"%x+",', "")
  for i = 1, 120 do damage("options.json", with_another_value(options, VALUES), "value " .. i, true) end
  for i = 1, 20 do damage("options.json", without_a_field(options), "field " .. i, true) end
  lu.assertTrue(counts.refused > 80, counts.refused)
end

-- The places in a table: {table, key, path}, but for what belongs to the script.
local function places_in(t, path, list)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for _, key in ipairs(keys) do
    local here = path .. "." .. key
    list[#list + 1] = {t, key, here}
    if type(t[key]) == "table" and here ~= ".state.state" then places_in(t[key], here, list) end
  end
  return list
end

local function others_than(value)
  local list = {"x", -1.5, true, {}, {{}}, 1 << 40, pl.ones(7, 7), pl.ones({3}, "int32"), pl.tensor(1)}
  if pl.is_tensor(value) and value:dim() > 0 then
    list[#list + 1] = pl.ones(table.unpack(value:size())):to "uint8"
    list[#list + 1] = pl.cat({value, value}, 1)
  end
  return list
end

function T.test_other_values_in_the_checkpoint()
  counts = {refused = 0, finished = 0}
  local name, path = "checkpoint.safetensors", home .. "/changed.safetensors"
  put(stopped)
  local saved = assert(pl.load(folder .. "/" .. name))
  for _, place in ipairs(places_in(saved, "", {})) do
    local t, key, where = table.unpack(place)
    local value = t[key]
    for i, other in ipairs(others_than(value)) do
      if not (where == ".state.state" and type(other) == "table") then
        t[key] = other
        assert(pl.save(path, saved))
        damage(name, bytes_of(path), ("%s, value %d"):format(where, i), true)
      end
    end
    if math.type(key) ~= "integer" then
      t[key] = nil
      assert(pl.save(path, saved))
      damage(name, bytes_of(path), where .. ", left out", true)
    end
    t[key] = value
  end
  lu.assertTrue(counts.refused > 400, counts.refused)
end

return T
