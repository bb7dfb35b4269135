-- Experiments: the command line, the folder of a run, checkpoints, and that a run which was
-- stopped goes on to the same bits.

local lu = require "luaunit"
local pl = require "perilune"
local core = require "perilune.core"
local experiment = pl.experiment

local T = {}

--
-- Helpers
--

local folders = {}

-- A path in a folder that is removed after the test.
local function temporary(name)
  if not folders[1] then
    folders[1] = os.tmpname()
    os.remove(folders[1])
    assert(core.mkdir(folders[1]))
  end
  return folders[1] .. "/" .. name
end

local was_quiet = pl.progress.quiet

function T.setUp()
  pl.progress.quiet = true
end

function T.tearDown()
  pl.progress.quiet = was_quiet
  for i, folder in ipairs(folders) do
    os.execute(("rm -rf '%s'"):format(folder))
    folders[i] = nil
  end
end

local function contents(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

-- What f prints, and its results.
local function captured(f, ...)
  local texts, old_print, old_write = {}, print, io.write
  print = function(...) texts[#texts + 1] = table.concat({...}, "\t") .. "\n" end
  io.write = function(...) texts[#texts + 1] = table.concat {...} end
  local results = table.pack(pcall(f, ...))
  print, io.write = old_print, old_write
  if not results[1] then error(results[2], 0) end
  return table.concat(texts), table.unpack(results, 2, results.n)
end

-- f has to end with a failure of exactly this message.
local function assert_failure(message, f, ...)
  local ok, failure = pcall(f, ...)
  lu.assertFalse(ok)
  if type(failure) ~= "table" then error(failure, 0) end
  lu.assertEquals(failure.message, message)
  lu.assertEquals(tostring(failure), message)
  lu.assertEquals(failure.traceback, false)
end

local DECLARED = {
  {"variant", default = "all", many = true, choices = {"plain", "dropout", "best"},
   help = "networks to train"},
  {"epochs", default = 15, quick = 1},
  {"batch-size", default = 64, type = "integer", min = 1, max = 512, help = "images in a step"},
  {"lr", default = 1e-3, type = "number", help = "learning rate"},
  {"cell", default = "lstm", choices = {"lstm", "gru"}, help = "kind of cell"},
  {"flip", type = "flag", help = "mirrors images"},
  {"note", free = true, help = "a text for people"},
}

local function parse(words)
  return experiment.options(words, {name = "toy", options = DECLARED, summary = "A toy."})
end

local function parse_line(line)
  local words = {}
  for word in line:gmatch "%S+" do words[#words + 1] = word end
  return parse(words)
end

-- A run in a temporary folder, opened without a word.
local function open(line)
  local _, run = captured(experiment.open, parse_line(line))
  return run
end

local function record(fields)
  local all = {variant = "plain", seed = 1, epoch = 1, seconds = 0.5}
  for name, value in next, fields or {} do all[name] = value end
  return all
end

--
-- The command line
--

function T.test_defaults()
  local o = parse {}
  lu.assertEquals(o.variant, {"plain", "dropout", "best"})
  lu.assertEquals({o.epochs, o.batch_size, o.lr, o.cell}, {15, 64, 1e-3, "lstm"})
  lu.assertEquals({o.flip, o.quick, o.help}, {false, false, false})
  lu.assertEquals(o.seed, {1})
  lu.assertEquals(o.threads, core.threads())
  lu.assertNil(o.data)
  lu.assertNil(o.note)
end

function T.test_values()
  local o = parse {"--variant=best,plain", "--epochs", "3", "--batch-size=8", "--lr", "-1e-2",
                   "--flip", "--seed", "4,2", "--note", "two words", "--data", "synthetic"}
  lu.assertEquals(o.variant, {"best", "plain"})
  lu.assertEquals({o.epochs, o.batch_size, o.lr, o.flip}, {3, 8, -0.01, true})
  lu.assertEquals(math.type(o.epochs), "integer")
  lu.assertEquals(o.seed, {4, 2})
  lu.assertEquals({o.note, o.data}, {"two words", "synthetic"})
end

function T.test_quick_has_defaults_of_its_own()
  lu.assertEquals(parse({"--quick"}).epochs, 1)
  lu.assertEquals(parse({"--quick", "--epochs", "2"}).epochs, 2)
end

-- Options that go before what a variant says.
local function settings_of(...)
  local o = experiment.options({...}, {name = "toy", options = {
    {"lr", type = "number", of = "variant"}, {"tied", type = "boolean", of = "variant"},
    {"epochs", of = "variant", quick = 1}, {"gamma", type = "number", of = "method"},
  }})
  local own = {lr = 0.1, tied = true, epochs = 9, units = 200, gamma = 3}
  local result = experiment.settings(o, own)
  lu.assertEquals(own, {lr = 0.1, tied = true, epochs = 9, units = 200, gamma = 3})
  return result, experiment.settings(o, own, "method")
end

function T.test_settings_of_variants()
  local own = {lr = 0.1, tied = true, epochs = 9, units = 200, gamma = 3}
  lu.assertEquals({settings_of()}, {own, own})
  local of_variant, of_method = settings_of("--lr", "2", "--tied", "no", "--gamma", "5", "--quick")
  lu.assertEquals(of_variant, {lr = 2, tied = false, epochs = 1, units = 200, gamma = 3})
  lu.assertEquals(of_method, {lr = 0.1, tied = true, epochs = 9, units = 200, gamma = 5})
  assert_failure("--tied: yes or no expected, got 'maybe'", settings_of, "--tied", "maybe")
end

function T.test_default_lists_are_not_shared()
  parse({}).variant[1] = "changed"
  lu.assertEquals(parse({}).variant[1], "plain")
end

function T.test_messages_of_the_command_line()
  for line, message in pairs {
    ["--sead 3"] = "unknown option '--sead'; did you mean --seed?",
    ["--sead=3"] = "unknown option '--sead=3'; did you mean --seed?",
    ["--batch_size 3"] = "unknown option '--batch_size'; did you mean --batch-size?",
    ["--batch 3"] = "unknown option '--batch'; did you mean --batch-size?",
    ["--zzz"] = "unknown option '--zzz'; --help lists all",
    ["-x"] = "unknown option '-x'; --help lists all",
    ["lstm"] = "unexpected argument 'lstm'",
    ["--epochs"] = "--epochs: an integer of at least 1 expected, got none",
    ["--epochs --flip"] = "--epochs: an integer of at least 1 expected, got none",
    ["--epochs 0"] = "--epochs: an integer of at least 1 expected, got '0'",
    ["--epochs 1.5"] = "--epochs: an integer of at least 1 expected, got '1.5'",
    ["--epochs=many"] = "--epochs: an integer of at least 1 expected, got 'many'",
    ["--batch-size 513"] = "--batch-size: an integer from 1 to 512 expected, got '513'",
    ["--lr fast"] = "--lr: a number expected, got 'fast'",
    ["--lr 1e999"] = "--lr: a number expected, got '1e999'",
    ["--note="] = "--note: a value expected, got ''",
    ["--cell lsmt"] = "--cell: 'lsmt' is none of lstm, gru; did you mean lstm?",
    ["--cell gruu"] = "--cell: 'gruu' is none of lstm, gru; did you mean gru?",
    ["--variant plain,bset"] = "--variant: 'bset' is none of plain, dropout, best; did you mean best?",
    ["--variant plain,plain"] = "--variant: plain is there twice",
    ["--seed 1,x"] = "--seed: an integer from 0 to 4294967295 expected, got 'x'",
    ["--seed 1,"] = "--seed: an integer from 0 to 4294967295 expected, got ''",
    ["--flip=yes"] = "--flip takes no value",
    ["--lr 1 --lr 2"] = "--lr is given twice",
    ["--resume"] = "--resume needs a folder: --resume DIR, or --resume with --out DIR",
    ["--resume a --out b"] = "--resume a and --out b are two folders",
    ["--resume /nowhere"] =
      "/nowhere holds no run: there is no options.json in it",
  } do assert_failure(message, parse_line, line) end
end

function T.test_undeclared_option_is_a_slip()
  local o = parse {}
  lu.assertErrorMsgContains("options: there is no option 'epoch'", function() return o.epoch end)
end

function T.test_errors_of_declarations()
  local function declare(...)
    return pcall(experiment.options, {}, {name = "toy", options = {...}})
  end
  for message, entries in pairs {
    ["option x: unknown option 'mni'"] = {{"x", mni = 1}},
    ["option x: unknown type 'float'"] = {{"x", type = "float"}},
    ["option x is declared twice"] = {{"x"}, {"x"}},
  } do
    local ok, err = declare(table.unpack(entries))
    lu.assertFalse(ok)
    lu.assertStrContains(err, message)
  end
end

function T.test_help_page()
  local usage = require "perilune.experiment.usage"
  local list = require("perilune.experiment.option").declare_all(DECLARED, 1)
  lu.assertEquals(usage.page({summary = "A toy.", notes = "Ends soon."}, list,
                             {"/bin/perilune", "experiments/toy/run.lua"}), [[
usage: perilune experiments/toy/run.lua [options]

A toy.

Options of this experiment:
  --variant NAME,...      networks to train: plain, dropout, best, or all (default all)
  --epochs N              passes over the training data (default 15, with --quick 1)
  --batch-size N          images in a step (default 64)
  --lr X                  learning rate (default 0.001)
  --cell NAME             kind of cell: lstm, gru (default lstm)
  --flip                  mirrors images
  --note TEXT             a text for people

Options of every experiment:
  --data DIR              where the data sets are; "synthetic" draws stand-ins
  --out DIR               folder of the run (default runs/<task>-<time>)
  --seed N,...            seeds of the random numbers; of several, the table shows mean
                          and spread (default 1)
  --threads N             number of threads (default all)
  --resume [DIR]          go on with the run in this folder, or in that of --out
  --join DIR,...          train nothing: draw the pictures and the table of these runs
                          together
  --quick                 a small run, to see that all works
  --help                  print this page and stop

Ends soon.
]])
end

--
-- The folder of a run
--

function T.test_new_run()
  local folder = temporary "run"
  local text, run = captured(experiment.open, parse {"--out", folder, "--lr", "0.5"})
  lu.assertEquals(text, "toy: " .. folder .. "\n")
  lu.assertEquals(run:path "x.png", folder .. "/x.png")
  local saved = assert(core.json_decode(contents(run:path "options.json")))
  lu.assertEquals(saved.task, "toy")
  lu.assertEquals(saved.options.lr, 0.5)
  lu.assertEquals(saved.options.variant, {"plain", "dropout", "best"})
  lu.assertEquals(saved.options.threads, core.threads())
  for _, name in ipairs {"out", "note", "resume", "help", "data"} do
    lu.assertNil(saved.options[name], name)
  end
end

function T.test_folder_with_a_run_is_refused()
  local folder = temporary "run"
  open("--out " .. folder)
  assert_failure(("%s holds a run already; --resume %s goes on with it"):format(folder, folder),
                 experiment.open, parse {"--out", folder})
end

function T.test_open_wants_parsed_options()
  lu.assertErrorMsgContains("open: the table that experiment.options gave expected",
                            experiment.open, {epochs = 1})
end

function T.test_resumed_options()
  local folder = temporary "run"
  open("--lr 0.25 --quick --seed 3,4 --data somewhere --out " .. folder)
  local o = parse {"--resume", folder}
  lu.assertEquals({o.lr, o.epochs, o.quick, o.data}, {0.25, 1, true, "somewhere"})
  lu.assertEquals(o.seed, {3, 4})
  o = parse {"--out", folder, "--resume", "--lr", "0.25", "--note", "again", "--data", "else"}
  lu.assertEquals({o.lr, o.note, o.data}, {0.25, "again", "else"})
end

function T.test_resume_refuses_other_options()
  local folder = temporary "run"
  open("--data somewhere --out " .. folder)
  for line, message in pairs {
    ["--lr 0.5"] = "--lr is 0.001 for the run in %s, not 0.5",
    ["--seed 1,2"] = "--seed is 1 for the run in %s, not 1,2",
    ["--variant plain"] = "--variant is plain,dropout,best for the run in %s, not plain",
    ["--quick"] = "--quick is false for the run in %s, not true",
    ["--data synthetic"] = "--data is somewhere for the run in %s, not synthetic",
  } do assert_failure(message:format(folder), parse_line, line .. " --resume " .. folder) end
  assert_failure(folder .. " holds a run of toy, not of other", experiment.options,
                 {"--resume", folder}, {name = "other"})
  assert_failure(("%s/options.json has no option --new: another version of the experiment made it")
    :format(folder), experiment.options, {"--resume", folder},
    {name = "toy", options = {{"new", default = 1, type = "integer"}}})
end

function T.test_damaged_options()
  local folder = temporary "run"
  local run = open("--out " .. folder)
  run:write("options.json", "{")
  assert_failure(folder .. "/options.json is damaged: not JSON at byte 2 of 1", parse, {"--resume", folder})
end

function T.test_folder_that_cannot_be_made()
  assert(core.write_file(temporary "file", "x"))
  local ok, failure = pcall(open, "--out " .. temporary "file/run")
  lu.assertFalse(ok)
  lu.assertStrContains(failure.message, "cannot make the folder " .. temporary "file")
end

function T.test_full_disk()
  if not core.file_size "/dev/full" then return lu.skip "there is no /dev/full" end
  local run = open("--out " .. temporary "run")
  os.execute(("ln -s /dev/full '%s'"):format(run:path "metrics.jsonl"))
  assert_failure(("cannot write %s: No space left on device"):format(run:path "metrics.jsonl"),
                 run.log, run, record())
end

--
-- Metrics
--

function T.test_log_and_records()
  local run = open("--out " .. temporary "run")
  run:log(record {loss = 0.5})
  run:log(record {epoch = 2, loss = 0 / 0})
  run:log(record {seed = 2, loss = 1 / 3})
  run:log(record {variant = "best", loss = 2})
  lu.assertEquals(contents(run:path "metrics.jsonl"), [[
{"epoch":1,"loss":0.5,"seconds":0.5,"seed":1,"variant":"plain"}
{"epoch":2,"loss":null,"seconds":0.5,"seed":1,"variant":"plain"}
{"epoch":1,"loss":0.3333333333333333,"seconds":0.5,"seed":2,"variant":"plain"}
{"epoch":1,"loss":2,"seconds":0.5,"seed":1,"variant":"best"}
]])
  lu.assertEquals(#run:records(), 4)
  lu.assertEquals(#run:records {variant = "plain", seed = 1}, 2)
  lu.assertEquals(#run:records(function(r) return r.epoch > 1 end), 1)
  lu.assertEquals(run:last("loss", {variant = "plain"}), {0.5, 1 / 3})
  lu.assertEquals(run:summary {"loss"},
    {{variant = "plain", loss = {0.5, 1 / 3}}, {variant = "best", loss = {2}}})
  lu.assertErrorMsgContains("log: the record has no seed", run.log, run,
                            {variant = "plain", epoch = 1, seconds = 1})
  lu.assertErrorMsgContains("log: the record has no epoch", run.log, run,
                            {variant = "plain", seed = 1, seconds = 1})
end

function T.test_check_finite()
  local run = open("--out " .. temporary "run")
  lu.assertEquals(run:check_finite("loss", 0.5), 0.5)
  assert_failure("loss is inf", run.check_finite, run, "loss", math.huge)
  local ok, failure = pcall(run.check_finite, run, "loss", 0 / 0,
                            {variant = "plain", seed = 1, epoch = 3, step = 417})
  lu.assertFalse(ok)
  lu.assertStrMatches(failure.message,
                      "loss is %-?nan at variant plain, seed 1, epoch 3, step 417")
end

--
-- Checkpoints
--

function T.test_checkpoint_and_restore()
  local folder = temporary "run"
  local run = open("--out " .. folder)
  run:log(record())
  local length = core.file_size(run:path "metrics.jsonl")
  pl.manual_seed(7)
  run:checkpoint("plain-1", function() return {epoch = 2, weights = pl.tensor {1, 2}} end)
  local expected = pl.rand(3):totable()
  run:log(record {epoch = 2})

  local other = open("--resume " .. folder)
  lu.assertEquals(#other:records(), 1)
  lu.assertNil(other:restore "plain-2")
  local state = other:restore "plain-1"
  lu.assertEquals({state.epoch, state.weights:totable()}, {2, {1, 2}})
  lu.assertEquals(pl.rand(3):totable(), expected)
  lu.assertFalse(other:finished "plain-1")
  other:checkpoint("plain-1", {})
  lu.assertEquals(core.file_size(other:path "metrics.jsonl"), length)
end

function T.test_finished_jobs()
  local folder = temporary "run"
  local run = open("--out " .. folder)
  run:checkpoint("plain-1", {large = pl.zeros(100000)})
  run:finish("plain-1", {model = {weight = pl.ones(2)}})
  lu.assertTrue(core.file_size(run:path "checkpoint.safetensors") < 2000)
  lu.assertEquals(pl.load(run:path "plain-1.safetensors").model.weight:totable(), {1, 1})
  local other = open("--resume " .. folder)
  lu.assertTrue(other:finished "plain-1")
  lu.assertFalse(other:finished "plain-2")
  lu.assertNil(other:restore "plain-1")
end

-- A run in a folder of its own, finished, with a record of each of the given variants.
local function finished_run(name, ...)
  local run = open("--out " .. temporary(name))
  for i, variant in ipairs {...} do
    run:log {variant = variant, seed = 1, epoch = 1, seconds = i}
    run:finish(variant .. "-1", {model = {weight = pl.full({1}, i)}})
  end
  return run.folder
end

function T.test_runs_that_are_joined()
  local one, two = finished_run("one", "plain"), finished_run("two", "dropout", "best")
  local all = temporary "all"
  local run = open(("--join %s,%s --out %s"):format(one, two, all))
  for job in run:jobs(run.options) do error("a job of a joined run: " .. job.key) end
  lu.assertEquals(run:last "seconds", {1, 1, 2})
  lu.assertEquals(contents(all .. "/metrics.jsonl"),
                  contents(one .. "/metrics.jsonl") .. contents(two .. "/metrics.jsonl"))
  lu.assertEquals(contents(all .. "/best-1.safetensors"), contents(two .. "/best-1.safetensors"))
  local again = open("--resume " .. all)
  lu.assertEquals(again:records(), run:records())
  for job in again:jobs(again.options) do error("a job of a joined run: " .. job.key) end
end

-- A run of an experiment with --set.
local function open_set(line)
  local words = {}
  for word in line:gmatch "%S+" do words[#words + 1] = word end
  local o = experiment.options(words, {name = "toy", options = {{"set"}}})
  local _, run = captured(experiment.open, o)
  return run
end

function T.test_sets()
  lu.assertEquals(experiment.options({}, {name = "toy", options = {{"set"}}}).set, "fashion-mnist")
  local sets = table.concat(pl.data.image_sets(), ", ")
  assert_failure(("--set: 'mnits' is none of %s; did you mean mnist?"):format(sets), open_set,
    "--set mnits")
  assert_failure("unknown option '--set'; --help lists all", parse, {"--set", "mnist"})
  local list = require("perilune.experiment.option").declare_all({{"set"}}, 1)
  local page = require("perilune.experiment.usage").page({summary = "A toy.", notes = ""}, list, {"perilune", "toy.lua"})
  lu.assertStrContains(page:gsub("%s+", " "), ("the images: %s (default fashion-mnist)"):format(sets))
  local folder = temporary "digits"
  open_set("--set mnist --out " .. folder)
  lu.assertEquals(open_set("--resume " .. folder).options.set, "mnist")
  assert_failure(("--set is mnist for the run in %s, not fashion-mnist"):format(folder), open_set,
    ("--resume %s --set fashion-mnist"):format(folder))
end

-- Runs of version 0.1 do not say their set.
function T.test_a_run_without_a_set()
  local folder = temporary "old"
  captured(experiment.open, experiment.options({"--out", folder}, {name = "toy"}))
  lu.assertEquals(open_set("--resume " .. folder).options.set, "fashion-mnist")
  assert_failure(("--set is fashion-mnist for the run in %s, not mnist"):format(folder), open_set,
    ("--resume %s --set mnist"):format(folder))
end

function T.test_runs_with_different_sets_are_not_joined()
  for _, set in ipairs {"mnist", "fashion-mnist"} do
    local run = open_set(("--set %s --out %s"):format(set, temporary(set)))
    run:log {variant = set, seed = 1, epoch = 1, seconds = 1}
    run:finish(set .. "-1")
  end
  assert_failure(("--join: %s has --set mnist; join it with runs of the same"):format(
    temporary "mnist"), open_set, ("--join %s,%s --out %s"):format(temporary "fashion-mnist",
    temporary "mnist", temporary "all"))
  local one = ("--join %s --set mnist --out %s"):format(temporary "mnist", temporary "all")
  lu.assertEquals(#open_set(one):records(), 1)
end

function T.test_networks_say_their_set()
  local run = open("--variant plain --out " .. temporary "run")
  for job in run:jobs {variant = {"plain", "best"}, seed = 1} do
    if job.variant == "plain" then job.about = {set = "mnist"} end
    for _ in job:epochs(1, {model = pl.nn.Linear(1, 1)}) do end
  end
  local plain, best = run:path "plain-1.safetensors", run:path "best-1.safetensors"
  local saved, set = experiment.load_networks(plain)
  lu.assertEquals({set, saved.model.weight:size()}, {"mnist", {1, 1}})
  lu.assertEquals(select(2, experiment.load_networks(best)), "fashion-mnist")
  lu.assertEquals({experiment.load_networks(plain, "fashion-mnist")},
    {nil, plain .. ": a network for mnist, not for fashion-mnist"})
  lu.assertStrContains(select(2, experiment.load_networks(plain .. "x")), "cannot open")
end

-- A run that is not finished has no result yet, and a joining that was stopped no table.
function T.test_joining_what_is_unfinished()
  local one, all = finished_run("one", "plain"), temporary "all"
  local run = open("--resume " .. one)
  run:log {variant = "best", seed = 1, epoch = 1, seconds = 1}
  run:checkpoint("best-1", {})
  assert_failure(("--join: %s is not finished; --resume %s goes on with it"):format(one, one),
    open, ("--join %s --out %s"):format(one, all))
  local two = finished_run("two", "plain")
  open(("--join %s --out %s"):format(two, all))
  local saved = assert(pl.load(all .. "/checkpoint.safetensors"))
  saved.finished = {}
  assert(pl.save(all .. "/checkpoint.safetensors", saved))
  assert_failure(all .. " was stopped while it was being joined; join the runs in another folder",
    open, "--resume " .. all)
end

function T.test_runs_that_cannot_be_joined()
  local one, two = finished_run("one", "plain"), finished_run("two", "plain")
  local all = temporary "all"
  assert_failure(("--join: plain-1 is in %s and in %s"):format(one, two),
                 open, ("--join %s,%s --out %s"):format(one, two, all))
  assert_failure(temporary "none" .. " holds no run: there is no options.json in it",
                 open, ("--join %s --out %s"):format(temporary "none", all))
  local saved = contents(one .. "/options.json")
  saved = saved:gsub('"toy"', '"other"'):gsub('"crc32":"%x+",', "")
  assert(core.write_file(one .. "/options.json", saved))
  assert_failure(one .. " holds a run of other, not of toy",
                 open, ("--join %s --out %s"):format(one, all))
  for text, message in pairs {
    ["{\"variant\": \"plain\"}\n"] = "line 1: a record with variant and seed expected",
    ["{}\n"] = "line 1: a record with variant and seed expected",
    ["{\"variant\": \"a\", \"seed\": 1}\n"] = "line 1.seconds is missing; number expected",
    ["{\"variant\": \"a\", \"seed\": 1, \"seconds\": 1}\n"] = "line 1: no epoch",
    ["{\"variant\": \"a\", \"seed\": 1, \"seconds\": 1, \"epoch\": 1}\n{\"vari"] = "line 2: ",
  } do
    assert(core.write_file(two .. "/metrics.jsonl", text))
    os.remove(two .. "/checkpoint.safetensors") -- as of results that were handed on
    local ok, failure = pcall(open, ("--join %s --out %s"):format(two, all))
    lu.assertFalse(ok)
    lu.assertStrContains(failure.message, "/metrics.jsonl is damaged: " .. message)
  end
  lu.assertNil(core.file_size(all .. "/options.json"))
end

function T.test_fields_over_seeds()
  local run = open("--out " .. temporary "run")
  for _, r in ipairs {{1, 1, 4}, {1, 2, 2}, {2, 1, 6}, {2, 2}, {2, 3, 1}} do
    run:log {variant = "plain", seed = r[1], epoch = r[2], seconds = 1, loss = r[3]}
  end
  run:log {variant = "best", seed = 1, epoch = 9, seconds = 1, loss = 0}
  local epochs, mean, low, high = run:over_seeds("loss", {variant = "plain"})
  lu.assertEquals({epochs, mean, low, high}, {{1, 2, 3}, {5, 2, 1}, {4, 2, 1}, {6, 2, 1}})
  lu.assertEquals({run:over_seeds("loss", {variant = "none"})}, {{}, {}, {}, {}})
end

function T.test_one_job_at_a_time()
  local run = open("--out " .. temporary "run")
  run:checkpoint("plain-1", {})
  lu.assertErrorMsgContains("checkpoint: plain-1 is not finished, so there can be none of plain-2",
                            run.checkpoint, run, "plain-2", {})
end

function T.test_run_without_a_checkpoint_begins_anew()
  local folder = temporary "run"
  open("--out " .. folder):log(record())
  local other = open("--resume " .. folder)
  lu.assertEquals(other:records(), {})
  other:log(record {epoch = 2})
  lu.assertEquals(#other:records(), 1)
  lu.assertEquals(core.file_size(other:path "metrics.jsonl"),
    #contents(other:path "metrics.jsonl"):match "^[^\n]*\n")
end

function T.test_metrics_that_are_too_short()
  local folder = temporary "run"
  local run = open("--out " .. folder)
  run:log(record())
  run:checkpoint("plain-1", {})
  assert(core.truncate_file(run:path "metrics.jsonl", 10))
  local ok, failure = pcall(open, "--resume " .. folder)
  lu.assertFalse(ok)
  lu.assertStrContains(failure.message, run:path "metrics.jsonl")
  os.remove(run:path "metrics.jsonl")
  assert_failure(run:path "metrics.jsonl" .. " is missing", open, "--resume " .. folder)
end

function T.test_due()
  local run = open("--out " .. temporary "run")
  lu.assertFalse(run:due())
  run.interval = 0
  lu.assertTrue(run:due())
end

function T.test_errors_of_loops()
  local run = open("--variant plain --out " .. temporary "run")
  for job in run:jobs(run.options) do
    lu.assertErrorMsgContains("steps: to be used inside of job:epochs", job.steps, job, 3)
    lu.assertErrorMsgContains("epochs: net has no state_dict and load_state_dict",
                              job.epochs, job, 1, {net = {}})
    lu.assertErrorMsgContains("epochs: number of epochs: positive integer expected, got 0",
                              job.epochs, job, 0)
    for _ in job:epochs(1) do
      for i in job:steps(2) do lu.assertEquals(job.step, i - 1) end
      lu.assertErrorMsgContains("steps: this epoch has had its loop", job.steps, job, 3)
      local ok, failure = pcall(job.add, job, "loss", math.huge)
      lu.assertFalse(ok)
      lu.assertEquals(failure.message, "loss is inf at variant plain, seed 1, epoch 1, step 3")
    end
  end
end

function T.test_batches_in_an_order_of_ones_own()
  local run, set = open("--variant plain --out " .. temporary "run"), pl.data.synthetic {n = 20}
  local order, seen = pl.tensor({3, 1, 2}, "int32"), {}
  for job in run:jobs(run.options) do
    for _ in job:epochs(1) do
      lu.assertErrorMsgContains("batches: skip: the job skips what is done already",
        job.batches, job, set, {skip = 1})
    end
    for _ in job:epochs(2) do
      for _, y in job:batches(set, {order = order, batch_size = 1}) do seen[#seen + 1] = y:item() end
      lu.assertErrorMsgContains("add: loss: number expected, got a tensor; item() gives its number",
        job.add, job, "loss", pl.ones(1))
    end
  end
  lu.assertEquals(seen, {set.labels[3], set.labels[1], set.labels[2]})
end

function T.test_batches_of_any_set_in_a_job()
  local run, set = open("--variant plain --out " .. temporary "run"), {x = pl.ones(5, 2), y = pl.ones(5)}
  local sizes = {}
  for job in run:jobs(run.options) do
    for _ in job:epochs(1) do
      lu.assertErrorMsgContains("batches: set of tensors expected, got nil", job.batches, job)
    end
    for _ in job:epochs(2) do
      lu.assertErrorMsgContains("batches: seed: the job's own", job.batches, job, set, {seed = 1})
    end
    for _ in job:epochs(3) do
      for batch in job:batches(set, {batch_size = 3}) do sizes[#sizes + 1] = #batch.x + #batch.y end
    end
  end
  lu.assertEquals(sizes, {6, 4})
end

function T.test_means_of_an_epoch()
  local run, seen = open("--variant plain --out " .. temporary "run"), {}
  for job in run:jobs(run.options) do
    for epoch in job:epochs(2) do
      lu.assertNil(job:mean "loss")
      for i in job:steps(3) do job:add("loss", epoch * i, i == 3 and 2 or 1) end
      seen[epoch] = job:mean "loss"
      job:log {loss = seen[epoch]}
    end
    job:log {late = true}
  end
  lu.assertEquals(seen, {9 / 4, 18 / 4})
  lu.assertEquals(run:records()[2].epoch, 2)
  lu.assertEquals(run:records()[3].epoch, 2)
  lu.assertTrue(run:finished "plain-1")
end

function T.test_iterations()
  local run, seen = open("--variant plain --out " .. temporary "run"), {}
  captured(function()
    for job in run:jobs(run.options) do
      for i in job:iterations(5) do
        job:add("loss", i)
        if i % 2 == 0 then job:report {loss = job:mean "loss"} else job:log {odd = true} end
        seen[#seen + 1] = {i, job.step}
      end
      job:log {late = true}
    end
  end)
  lu.assertEquals(seen, {{1, 0}, {2, 1}, {3, 2}, {4, 3}, {5, 4}})
  local records = run:records()
  lu.assertEquals({records[2].loss, records[4].loss}, {1.5, 3.5})
  lu.assertEquals({records[4].iteration, records[6].iteration}, {4, 5})
  lu.assertNil(records[4].epoch)
  lu.assertTrue(run:finished "plain-1")
end

function T.test_errors_of_iterations()
  local run = open("--variant plain --out " .. temporary "run")
  for job in run:jobs(run.options) do
    for message, arguments in pairs {
      ["iterations: number of iterations: positive integer expected, got 0"] = {0},
      ["iterations: net has no state_dict and load_state_dict"] = {1, {net = {}}},
      ["iterations: checkpoint: positive integer expected, got 0"] = {1, {}, {checkpoint = 0}},
    } do lu.assertErrorMsgContains(message, job.iterations, job, table.unpack(arguments)) end
    for i in job:iterations(2) do
      local ok, failure = pcall(job.add, job, "loss", i == 1 and 0 or math.huge)
      lu.assertEquals(ok, i == 1)
      if not ok then
        lu.assertEquals(failure.message, "loss is inf at variant plain, seed 1, iteration 2")
      end
    end
  end
end

--
-- Tables
--

function T.test_mean_spread()
  lu.assertEquals({experiment.mean_spread {4}}, {4})
  local mean, spread = experiment.mean_spread {1, 2, 6}
  lu.assertAlmostEquals(mean, 3, 1e-15)
  lu.assertAlmostEquals(spread, math.sqrt(7), 1e-15)
  lu.assertErrorMsgContains("mean_spread: the list is empty", experiment.mean_spread, {})
end

function T.test_table()
  local rows = {
    {variant = "plain", train = {95.5, 96.5}, test = 91},
    {variant = "batch-norm", train = {8.25}, steps = 1200},
  }
  local columns = {"variant", {"train", title = "train %", format = "%.2f"}, "test",
                   {"steps", format = "%d"}}
  local expected = [[
variant          train %  test  steps
----------  ------------  ----  -----
plain       96.00 ± 0.71    91      -
batch-norm          8.25     -   1200
]]
  lu.assertEquals(experiment.table(rows, columns), expected)
  local run = open("--out " .. temporary "run")
  local printed = captured(run.table, run, rows, columns)
  lu.assertEquals(printed, expected)
  lu.assertEquals(contents(run:path "table.txt"), expected)
  lu.assertErrorMsgContains("table: unknown option 'align'", experiment.table, rows,
                            {{"test", align = "left"}})
end

--
-- A whole experiment, which is stopped in several ways. It does what the environment says at
-- a certain step: STOP="kill plain-1 2 3" at the third step of the second epoch.
--

local SCRIPT = [[
local pl = require "perilune"
local experiment, data, nn, optim = pl.experiment, pl.data, pl.nn, pl.optim

local options = experiment.options(arg, {name = "toy", summary = "A toy.", options = {
  {"variant", default = "all", many = true, choices = {"plain", "dropout"}},
  {"epochs", default = 3}, {"seed", default = {1, 2}},
  {"lr", default = 0.01, type = "number"},
}})
if options.lr > 1 then experiment.fail("--lr %g is too large", options.lr) end
local run = experiment.open(options)
run.interval = tonumber(os.getenv "INTERVAL") or run.interval
local train = data.synthetic {n = 44, size = 12}

local function network(variant)
  local p = variant == "dropout" and 0.3 or 0
  return nn.Sequential {nn.Flatten(), nn.Linear(144, 16), nn.BatchNorm1d(16), nn.ReLU(),
                        nn.Dropout(p), nn.Linear(16, 10)}
end

local signals = {
  kill = function() os.execute "kill -9 $PPID" end,
  int = function() io.popen("kill -INT $PPID"):close() end, -- os.execute would shield from it
  nan = function() return 0 / 0 end,
}

local function maybe_stop(job)
  local how, key, epoch, step = (os.getenv "STOP" or ""):match "(%S+) (%S+) (%d+) (%d+)"
  if key == job.key and tonumber(epoch) == job.epoch and tonumber(step) == job.step + 1 then
    return signals[how]()
  end
end

for job in run:jobs(options) do
  local net = network(job.variant)
  local opt = optim.Adam(optim.groups(net), {lr = options.lr})
  local schedule = optim.CosineAnnealingLR(opt, {T_max = options.epochs * 6})
  local noise = pl.randn(4)
  job.state.path = pl.zeros(4)
  for epoch in job:epochs(options.epochs, {model = net, optimizer = opt, schedule = schedule}) do
    for x, y in job:batches(train, {batch_size = 8, flip = true, shift = 1}) do
      pl.tidy(function()
        opt:zero_grad()
        local loss = pl.cross_entropy(net:train()(x), y)
        loss:backward()
        optim.clip_grad_norm_(net:parameters(), 1)
        opt:step()
        job:add("loss", maybe_stop(job) or loss:item(), #y)
        job.state.path:add_(noise, loss:item())
      end)
      schedule:step()
      if job.step % 2 == 0 then job:log {at = job.step, lr = opt.lr} end
    end
    job:report {train_loss = job:mean "loss", path = job.state.path:sum():item()}
  end
  job:log {random = pl.rand(1):item()}
end
run:table(run:summary {"train_loss", "path"},
          {"variant", {"train_loss", format = "%.9f"}, {"path", format = "%.9f"}})
]]

local function program()
  local first = 0
  while arg[first - 1] do first = first - 1 end
  return arg[first]
end

-- The same without epochs, and with data in a cycle.
local COUNTED = SCRIPT:gsub("  for epoch in job:epochs.*(\n  job:log {random)", [[
  local batches = data.cycle(train, {batch_size = 8, flip = true, shift = 1})
  local parts = {model = net, optimizer = opt, schedule = schedule, batches = batches}
  for i in job:iterations(options.epochs * 6, parts, {checkpoint = 7}) do
    pl.tidy(function()
      local x, y = batches:next()
      opt:zero_grad()
      local loss = pl.cross_entropy(net:train()(x), y)
      loss:backward()
      opt:step()
      job:add("loss", maybe_stop(job) or loss:item())
      job.state.path:add_(noise, loss:item())
    end)
    schedule:step()
    job:log {lr = opt.lr, pass = batches.pass}
    if i %% 4 == 0 then
      job:report {train_loss = job:mean "loss", path = job.state.path:sum():item()}
    end
  end%1]])

-- The same with rows drawn by weights, and with a sampler that knows the epoch; 6 batches each.
local BATCHES <const> = "batch_size = 8, flip = true, shift = 1"
local WEIGHTED = SCRIPT:gsub(BATCHES, BATCHES .. ", weights = pl.arange(1, 44)", 1)
local SAMPLED = SCRIPT:gsub(BATCHES, BATCHES .. [[, sampler = function(n, size, pass)
        return pl.cat({pl.randperm(n), pl.tensor({pass}, "int32")}, 1)
      end]], 1)

-- The same with images that threads augment ahead.
local AHEAD <const> = [[batch_size = 8, workers = 2, ahead = 3,
      transform = pl.image.transform {{"random_flip"}, {"random_crop", 12, padding = 1}}]]
local LOADED, LOADED_COUNTED = SCRIPT:gsub(BATCHES, AHEAD, 1), COUNTED:gsub(BATCHES, AHEAD, 1)

-- Runs the script; gives the exit status and what it wrote on stdout and stderr.
local function execute(arguments, environment, text)
  local script = temporary "run.lua"
  assert(core.write_file(script, text or SCRIPT))
  local command = ("%s '%s' '%s' --threads 1 %s >'%s' 2>'%s'"):format(environment or "",
    program(), script, arguments, temporary "stdout", temporary "stderr")
  local _, how, code = os.execute(command)
  return how == "exit" and code or how, contents(temporary "stdout"), contents(temporary "stderr")
end

-- What must be the same in all runs: metrics without times, networks, the table.
local function results(folder)
  local list = {contents(folder .. "/table.txt"),
                (contents(folder .. "/metrics.jsonl"):gsub('"seconds":[^,]*,', ""))}
  for _, key in ipairs {"plain-1", "plain-2", "dropout-1", "dropout-2"} do
    list[#list + 1] = contents(folder .. "/" .. key .. ".safetensors")
  end
  return list
end

local references = {} -- by the text of the script

local function assert_same_as_undisturbed(folder, text)
  text = text or SCRIPT
  if not references[text] then
    local status, _, err = execute("--out " .. temporary "undisturbed", "", text)
    lu.assertEquals(status, 0, err)
    references[text] = results(temporary "undisturbed")
    lu.assertStrContains(references[text][1], "plain")
  end
  for i, expected in ipairs(results(folder)) do
    lu.assertTrue(references[text][i] == expected, "result " .. i .. " differs")
  end
end

-- Stops a run at the given steps, one after the other, and goes on to its end.
local function assert_survives(stops, interval, text)
  local folder, first = temporary "stopped", true
  for _, stop in ipairs(stops) do
    local status = execute((first and "--out " or "--resume ") .. folder,
                           ("STOP='%s' INTERVAL=%s"):format(stop, interval), text)
    lu.assertNotEquals(status, 0)
    first = false
  end
  local status, _, err = execute("--resume " .. folder, "", text)
  lu.assertEquals(status, 0, err)
  assert_same_as_undisturbed(folder, text)
end

function T.test_killed_in_mid_epoch()
  assert_survives({"kill plain-1 2 4"}, 0)
end

function T.test_killed_long_after_the_last_checkpoint()
  assert_survives({"kill dropout-1 3 6"}, 600)
end

function T.test_killed_again_and_again()
  assert_survives({"kill plain-1 1 1", "kill plain-1 1 3", "kill plain-2 1 1", "kill plain-2 3 6",
                   "kill dropout-2 2 2"}, 0)
end

function T.test_killed_before_the_first_checkpoint()
  assert_survives({"kill plain-1 1 5", "kill plain-1 1 6"}, 600)
end

function T.test_iterations_killed_again_and_again()
  assert_survives({"kill plain-1 1 3", "kill plain-1 1 9", "kill plain-2 1 18",
                   "kill dropout-2 1 6"}, 0, COUNTED)
end

function T.test_weights_killed_again_and_again()
  lu.assertStrContains(WEIGHTED, "weights")
  assert_survives({"kill plain-1 2 4", "kill dropout-2 2 6"}, 0, WEIGHTED)
end

function T.test_samplers_killed_again_and_again()
  lu.assertStrContains(SAMPLED, "sampler")
  assert_survives({"kill plain-1 2 4", "kill dropout-2 2 6"}, 0, SAMPLED)
end

function T.test_threads_killed_again_and_again()
  lu.assertStrContains(LOADED, "workers = 2")
  assert_survives({"kill plain-1 2 4", "kill plain-2 1 1", "kill dropout-2 2 6"}, 0, LOADED)
end

function T.test_threads_of_a_cycle_killed_again_and_again()
  lu.assertStrContains(LOADED_COUNTED, "workers = 2")
  assert_survives({"kill plain-1 1 3", "kill plain-2 1 18", "kill dropout-2 1 9"}, 600,
    LOADED_COUNTED)
end

-- The last checkpoint is that of iteration 7, then that of 14.
function T.test_iterations_killed_after_a_checkpoint()
  assert_survives({"kill plain-1 1 9", "kill dropout-1 1 17"}, 600, COUNTED)
end

function T.test_iterations_interrupted()
  local folder = temporary "stopped"
  local status, _, err = execute("--out " .. folder, "STOP='int dropout-1 1 9'", COUNTED)
  lu.assertEquals(status, 130, err)
  local state = assert(pl.load(folder .. "/checkpoint.safetensors"))
  lu.assertEquals({state.key, state.state.step}, {"dropout-1", 9})
  lu.assertEquals(execute("--resume " .. folder, "", COUNTED), 0)
  assert_same_as_undisturbed(folder, COUNTED)
end

function T.test_interrupted()
  local folder = temporary "stopped"
  local status, _, err = execute("--out " .. folder, "STOP='int dropout-1 2 3'")
  lu.assertEquals(status, 130, err)
  local command = err:match "Stopped%. This goes on: ([^\n]*)\n$"
  lu.assertEquals(command, ("%s %s --resume %s"):format(program(), temporary "run.lua", folder))
  local state = assert(pl.load(folder .. "/checkpoint.safetensors"))
  lu.assertEquals({state.key, state.state.epoch, state.state.step}, {"dropout-1", 2, 3})
  lu.assertEquals(state.finished, {"plain-1", "plain-2"})
  lu.assertTrue((os.execute(command .. " >/dev/null 2>&1")))
  assert_same_as_undisturbed(folder)
end

function T.test_a_folder_in_use()
  local folder = temporary "run"
  open("--variant plain --threads 1 --out " .. folder)
  local status, _, message = execute("--resume " .. folder)
  lu.assertEquals(status, 1)
  lu.assertStrContains(message, folder .. " is in use by another process")
end

function T.test_damaged_files_end_with_one_line()
  local folder = temporary "stopped"
  execute("--out " .. folder, "STOP='kill dropout-1 2 3' INTERVAL=0")
  for name, what in pairs {
    ["options.json"] = "its checksum is not that of what it holds",
    ["metrics.jsonl"] = "its first %d+ bytes are not those that the checkpoint knows of",
    ["checkpoint.safetensors"] = "its checksum is %x+, that of what it holds %x+",
  } do
    local path = folder .. "/" .. name
    local before = contents(path)
    local damaged = before:gsub("1", "2", 1)
    assert(core.write_file(path, damaged))
    local status, out, err = execute("--resume " .. folder)
    lu.assertEquals({status, contents(path) == damaged}, {1, true})
    lu.assertNotStrContains(out, "epoch")
    lu.assertStrMatches(err, "perilune: " .. path:gsub("%p", "%%%0") .. " is damaged: " .. what .. "\n")
    assert(core.write_file(path, before))
  end
  lu.assertEquals(execute("--resume " .. folder), 0)
  assert_same_as_undisturbed(folder)
end

function T.test_finished_run_prints_its_table_again()
  local folder = temporary "undisturbed"
  lu.assertEquals(execute("--epochs 1 --out " .. folder), 0)
  local metrics = contents(folder .. "/metrics.jsonl")
  local status, out = execute("--resume " .. folder)
  lu.assertEquals(status, 0)
  lu.assertEquals(out, ("toy: %s, going on\n%s"):format(folder, contents(folder .. "/table.txt")))
  lu.assertEquals(contents(folder .. "/metrics.jsonl"), metrics)
end

function T.test_nan_ends_the_run()
  local status, _, err = execute("--out " .. temporary "run", "STOP='nan plain-2 2 3'")
  lu.assertEquals(status, 1)
  lu.assertStrMatches(err:match "[^\n]*\n$",
                      "[^\n]*: loss is %-?nan at variant plain, seed 2, epoch 2, step 3\n")
end

function T.test_mistakes_end_with_one_line()
  local status, out, err = execute "--lr 2"
  lu.assertEquals({status, out}, {1, ""})
  lu.assertStrMatches(err, "[^\n]*: %-%-lr 2 is too large\n")
  status, out, err = execute "--sead 2"
  lu.assertEquals({status, out}, {1, ""})
  lu.assertStrMatches(err, "[^\n]*: unknown option '%-%-sead'; did you mean %-%-seed%?\n")
end

function T.test_help_ends_well()
  local status, out, err = execute "--help"
  lu.assertEquals({status, err}, {0, ""})
  lu.assertStrContains(out, "usage: ")
  lu.assertStrContains(out, "--seed N,...")
end

return T
