--- What a run of an experiment leaves behind: its options, its metrics, checkpoints from
-- which it goes on to the same bits, and the closing table.
--
--     local options = experiment.options(arg, {name = "lenet5", options = {
--       {"variant", default = "all", many = true, choices = {"plain", "dropout"}},
--       {"epochs", default = 15, quick = 1},
--     }})
--     local run = experiment.open(options)
--     for job in run:jobs(options) do
--       local net = model[job.variant]()
--       local opt = optim.Adam(net:parameters())
--       for epoch in job:epochs(options.epochs, {model = net, optimizer = opt}) do
--         for x, y in job:batches(train, {batch_size = 128}) do
--           pl.tidy(function()
--             opt:zero_grad()
--             local loss = pl.cross_entropy(net(x), y)
--             loss:backward()
--             opt:step()
--             job:add("loss", loss:item(), #y)
--           end)
--         end
--         job:report {train_loss = job:mean "loss", test_accuracy = accuracy(net, test)}
--       end
--     end
--     run:table(...)
--
-- `run` and `job` are explained in `perilune.experiment.run` and `perilune.experiment.job`;
-- loops of another form use `run:checkpoint`, `run:restore`, `run:due` and `run:finish`.
-- @module perilune.experiment

local pl = require "perilune"
local failure = require "perilune.experiment.failure"
local options = require "perilune.experiment.options"
local report = require "perilune.experiment.report"
local run = require "perilune.experiment.run"
local use = require "perilune.experiment.use"
local unknown = require "perilune.internal.unknown"

local experiment = {}

--- Reads an experiment's command line. A mistake in it ends the program with one line,
-- `--help` with a page.
--
-- Options are declared as `{"batch-size", default = 64, type = "integer", min = 1, help = ""}`
-- and read as `options.batch_size`. The fields of a declaration are `type` ("string",
-- "integer", "number", "boolean", given as yes or no, or "flag"), `default`, `quick` (the
-- default with --quick), `choices` (a list), `many` (the value is a list, given with commas or
-- as "all"), `min`, `max`, `value` (its name on the help page), `help`, `of` (see `settings`),
-- `free` (it does not determine the results, so that --resume may change it), `before` (what it
-- was in runs of versions that did not have it) and `common` (runs are joined only if they have the
-- same). `--data`,
-- `--out`, `--seed`, `--threads`, `--epochs`, `--resume`, `--join`, `--quick` and `--help` are
-- there by themselves; a declaration under such a name adds to it. `{"set"}` alone declares
-- `--set`, one of the sets of images that `data.images` knows. With `--resume` the values
-- are those of the run that is resumed.
-- @param words the table `arg`
-- @param about `name` of the task; `options`, a list of declarations; `summary` and `notes`,
--   texts of the help page
-- @return table of values by name
function experiment.options(words, about)
  return options.new(words, about)
end

--- The settings of a variant, with what the command line gives in their place: the values of
-- options that are declared with `of = "variant"`, which have no default of their own.
--
--     {"lr", type = "number", of = "variant", help = "learning rate"}
--     ...
--     local settings = experiment.settings(options, {lr = 0.1, momentum = 0.9})
-- @param values what `experiment.options` gave
-- @param settings table of the variant's own; it is left as it is
-- @param[opt="variant"] of whose options
-- @return new table
function experiment.settings(values, settings, of)
  return options.settings(values, settings, of or "variant")
end

--- Opens the folder of a run, a new one or with --resume the old one.
-- @param values what `experiment.options` gave
-- @return the run
function experiment.open(values)
  return run.open(values)
end

--- A module of another experiment, whose folder lies beside that of the script:
--
--     local judge = experiment.use "lenet5/judge"
--
-- Modules that it requires by name are looked for in its own folder first; they have nothing to
-- do with those of the script that have the same names.
-- @param name of the file, without .lua
-- @return what the module gives
function experiment.use(name)
  return use(name)
end

--- Ends the experiment because of a person's mistake or of the machine: the program prints
-- `perilune: message`, without a traceback, and has exit status 1.
-- @param format as of string.format
-- @param ... what to put in
function experiment.fail(format, ...)
  failure.fail(format, ...)
end

--- Gives its arguments back, or fails with the message if the first is nil or false: the
-- `assert` for what a person can put right, such as a missing file.
-- @param value what a function gave
-- @param message its second result
-- @return the value
function experiment.must(value, message, ...)
  return failure.must(value, message, ...)
end

--- The networks of a job from their file, which must have been trained on a set of images. Files
-- of version 0.1 do not say on which: it was Fashion-MNIST.
-- @param path of the file, `KEY.safetensors` of a run
-- @param[opt] set the name of the set; any, if it is left out
-- @return what the file holds, or nil and a message
-- @return the name of the set
function experiment.load_networks(path, set)
  local saved, message = pl.load(path)
  if not saved then return nil, message end
  local own = type(saved) == "table" and type(saved.about) == "table" and saved.about.set
    or "fashion-mnist"
  if set and own ~= set then
    return nil, ("%s: a network for %s, not for %s"):format(path, own, set)
  end
  return saved, own
end

--- The mean and the sample standard deviation of a list of numbers.
-- @param list of at least one number
-- @return the mean
-- @return the spread; nil for a single number
function experiment.mean_spread(list)
  return report.mean_spread(list)
end

--- A table as text, texts on the left and numbers on the right of their columns.
-- @param rows list of tables; a value that is a list of numbers is shown as mean ± spread
-- @param columns list of names, or of `{name, title = ..., format = "%.2f"}`
-- @return string
function experiment.table(rows, columns)
  return report.table(rows, columns)
end

return unknown.guard("pl.experiment", experiment)
