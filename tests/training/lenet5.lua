--- LeNet-5 on the drawn stand-in: what it reaches, and that a run which is stopped goes on to
-- the same bits.

local lu = require "luaunit"
local program = require "program"

local T = {}
local COMMAND <const> = "PERILUNE_PROGRESS=off @perilune experiments/lenet5/run.lua --data synthetic "
  .. "--variant dropout,best --epochs 3 --seed 1 --out "

local folder

function T.setUp() folder = program.folder() end
function T.tearDown() program.remove(folder) end

function T.test_accuracy()
  local text, status = program.run("PERILUNE_PROGRESS=off @perilune experiments/lenet5/run.lua "
    .. "--data synthetic --variant plain,batch-norm --epochs 3 --seed 1 --out " .. folder .. "/a")
  lu.assertEquals(status, 0, text)
  local metrics = program.metrics(folder .. "/a/metrics.jsonl")
  lu.assertTrue(metrics[3].test_accuracy >= 84, text)
  lu.assertTrue(metrics[6].test_accuracy >= 91, text)
  for _, name in ipairs {"all.png", "plain.svg", "plain-confusion.png", "plain-mistakes.png",
                         "table.txt", "plain-1.safetensors"} do
    lu.assertTrue(#program.bytes(folder .. "/a/" .. name) > 100, name)
  end
end

-- Stopped once by Ctrl-C and once by kill -9 at places that depend on the machine's speed.
function T.test_resumed_run_is_equal_bit_for_bit()
  local whole, parts = folder .. "/whole", folder .. "/parts"
  local text, status = program.run(COMMAND .. whole)
  lu.assertEquals(status, 0, text)

  text, status = program.stop(COMMAND .. parts, "INT", parts .. "/metrics.jsonl", 100)
  lu.assertEquals(status, 130, text)
  lu.assertStrContains(text, "--resume " .. parts)
  local resume = "PERILUNE_PROGRESS=off @perilune experiments/lenet5/run.lua --resume " .. parts
  program.stop(resume, "KILL", parts .. "/metrics.jsonl", 500)
  text, status = program.run(resume)
  lu.assertEquals(status, 0, text)

  lu.assertEquals(program.metrics(parts .. "/metrics.jsonl"), program.metrics(whole .. "/metrics.jsonl"))
  for _, name in ipairs {"dropout-1.safetensors", "best-1.safetensors", "all.png",
                         "best-confusion.png"} do
    lu.assertTrue(program.bytes(parts .. "/" .. name) == program.bytes(whole .. "/" .. name),
                  name .. " differs")
  end
end

local function refused(arguments, message)
  local text, status = program.run("@perilune experiments/lenet5/run.lua " .. arguments)
  lu.assertEquals(status, 1, text)
  lu.assertEquals(text, "perilune: " .. message .. "\n")
end

function T.test_bad_input()
  refused("--variant plains", "--variant: 'plains' is none of plain, dropout, weight-decay, "
    .. "batch-norm, best; did you mean plain?")
  refused("--set mnits", "--set: 'mnits' is none of fashion-mnist, mnist; did you mean mnist?")
  refused("--data " .. folder, "fashion-mnist/train-images-idx3-ubyte is not in " .. folder
    .. "; scripts/fetch-data.sh fetches it, --data synthetic does without")
  refused("--data synthetic --validation 6000", "--validation 6000 leaves none of the 6000 images")
  refused("--classify docs/none.png", "--classify needs --from VARIANT-SEED.safetensors")
  local out = folder .. "/nan"
  local text, status = program.run("PERILUNE_PROGRESS=off @perilune experiments/lenet5/run.lua "
    .. "--data synthetic --variant plain --seed 1 --epochs 1 --lr 1e30 --out " .. out)
  lu.assertEquals(status, 1, text)
  lu.assertStrMatches(text, ".*perilune: loss is [-%w]+ at variant plain, seed 1, epoch 1, step %d+\n")
end

-- Another set: its images, its classes, and a run that remembers it.
function T.test_digits()
  local out = folder .. "/digits"
  local text, status = program.run("PERILUNE_PROGRESS=off @perilune experiments/lenet5/run.lua "
    .. "--data synthetic --set mnist --variant best --epochs 2 --seed 1 --out " .. out)
  lu.assertEquals(status, 0, text)
  lu.assertTrue(program.metrics(out .. "/metrics.jsonl")[2].test_accuracy >= 95, text)
  refused("--resume " .. out .. " --set fashion-mnist", "--set is mnist for the run in " .. out
    .. ", not fashion-mnist")
  local pl = require "perilune"
  local set = pl.data.synthetic {n = 1, seed = 3, set = "mnist"}
  assert(pl.image.write(folder .. "/x.png", set.images[1]))
  text, status = program.run(("@perilune experiments/lenet5/run.lua --classify %s/x.png "
    .. "--from %s/best-1.safetensors"):format(folder, out))
  lu.assertEquals(status, 0, text)
  lu.assertEquals(text:match "^%S+", set.classes[set.labels[1]])
end

-- A network is used from its checkpoint, on a picture.
function T.test_classify()
  local out = folder .. "/c"
  local text, status = program.run("PERILUNE_PROGRESS=off @perilune experiments/lenet5/run.lua "
    .. "--data synthetic --variant batch-norm --epochs 1 --seed 1 --out " .. out)
  lu.assertEquals(status, 0, text)
  local pl = require "perilune"
  local set = pl.data.synthetic {n = 20, seed = 3}
  assert(pl.image.write(folder .. "/x.png", set.images[1]))
  text, status = program.run(("@perilune experiments/lenet5/run.lua --classify %s/x.png "
    .. "--from %s/batch-norm-1.safetensors"):format(folder, out))
  lu.assertEquals(status, 0, text)
  local _, lines = text:gsub("%%\n", "")
  lu.assertEquals(lines, 3, text)
end

return T
