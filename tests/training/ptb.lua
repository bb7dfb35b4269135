--- The Penn Treebank experiment on the generated stand-in, whose entropy is known: how near
-- small networks come to it, and that a run which is stopped goes on to the same bits.

local lu = require "luaunit"
local pl = require "perilune"
local core = require "perilune.core"
local program = require "program"

local T = {}
local SCRIPT <const> = "PERILUNE_PROGRESS=off @perilune experiments/ptb/run.lua --threads 1 "

local folder

function T.setUp() folder = program.folder() end
function T.tearDown() program.remove(folder) end

--
-- What is learned. The train text is 40,000 words long, the others 4,000, so that chance alone
-- makes them 0.6 % and 2 % easier or harder than the grammar is.
--

local MARGINS <const> = {
  lstm = {train = 1.04, test = 1.06}, gru = {train = 1.03, test = 1.06},
  ["lstm-dropout"] = {train = 1.06, test = 1.08}, best = {train = 1.08, test = 1.10},
}

function T.test_perplexity_comes_near_the_known_one()
  local out, limit = folder .. "/run", pl.data.text.synthetic().perplexity
  local text, status = program.run(SCRIPT .. "--data synthetic --units 32 --steps 10 --lr 0.5 "
    .. "--init 0.2 --epochs 6 --flat 3 --train-every 6 --variant lstm,gru,lstm-dropout,best "
    .. "--out " .. out)
  lu.assertEquals(status, 0, text)
  local last = {}
  for _, record in ipairs(program.metrics(out .. "/metrics.jsonl")) do
    last[record.variant] = record
  end
  for variant, margins in pairs(MARGINS) do
    for split, margin in pairs(margins) do
      local ratio = last[variant][split .. "_perplexity"] / limit
      lu.assertTrue(ratio < margin and ratio > 0.97, ("%s, %s: %.3f"):format(variant, split, ratio))
    end
  end
  for _, name in ipairs {"table.txt", "all.png", "lstm.svg", "gru.png", "best.png"} do
    lu.assertTrue(#program.bytes(out .. "/" .. name) > 100, name)
  end
end

--
-- The softmax over a part of the words.
--

function T.test_sampled_words()
  package.path = "experiments/ptb/?.lua;" .. package.path
  local sampled = require "sampled"
  pl.manual_seed(1)
  local text = pl.multinomial(pl.arange(1, 50):reciprocal(), 2000, true)
  local sampler, logits = sampled.new(text, 50, 20), pl.randn(50)
  local targets, whole = text:slice(1, 1, 6), logits:exp():sum():item()
  lu.assertAlmostEquals(sampler.probability:sum():item(), 20, 1e-3)
  lu.assertTrue(sampler.probability:amin():item() > 0)
  lu.assertEquals(sampler.probability[1], 1)
  local number, sum = 0, 0
  for _ = 1, 2000 do
    local part = sampler:draw(targets)
    lu.assertEquals(part.words:index_select(part.targets, 1):totable(), targets:totable())
    number = number + #part.words
    sum = sum + (logits:index_select(part.words, 1) - part.shift):exp():sum():item()
  end
  lu.assertTrue(number > 2000 * 20 and number < 2000 * 26, number)
  lu.assertAlmostEquals(sum / 2000 / whole, 1, 0.02)
end

--
-- Stopping. The script is started through another one, which stops it at the step of the
-- given number, as Ctrl-C or as kill -9 would.
--

local STOPPER <const> = [[
package.path = "experiments/ptb/?.lua;" .. package.path
local pl = require "perilune"
local how, left = (os.getenv "STOP" or ""):match "(%S+) (%d+)"
local clip, open = pl.optim.clip_grad_norm_, pl.experiment.open
function pl.experiment.open(...)
  local run = open(...)
  if how == "kill" then run.interval = 0 end -- a checkpoint after every step
  return run
end
function pl.optim.clip_grad_norm_(...)
  left = left and left - 1
  if left == 0 and how == "int" then io.popen("kill -INT $PPID"):close() end
  if left == 0 and how ~= "int" then os.execute "kill -9 $PPID" end
  return clip(...)
end
dofile "experiments/ptb/run.lua"
]]

-- Options with which all that a checkpoint holds is in use: averaged weights, chunks of
-- random lengths, every kind of dropout, weight decay, a softmax over a part of the words.
local SMALL <const> = "--data synthetic --tokens 3000 --variant best,gru-dropout --units 8 "
  .. "--steps 10 --batch-size 10 --init 0.2 --lr 2 --epochs 6 --average 1 --train-every 3 "
  .. "--sampled 30 "

local function start(arguments, stop)
  local script = folder .. "/stopper.lua"
  assert(core.write_file(script, STOPPER))
  return program.run(("STOP='%s' PERILUNE_PROGRESS=off @perilune %s --threads 1 %s"):format(
    stop or "", script, arguments))
end

local function results(out)
  local list = {program.metrics(out .. "/metrics.jsonl", {"seconds", "words_per_second"})}
  for _, name in ipairs {"best-1.safetensors", "gru-dropout-1.safetensors", "best.png"} do
    list[#list + 1] = program.bytes(out .. "/" .. name)
  end
  return list
end

local function assert_goes_on(stops)
  local whole, parts = folder .. "/whole", folder .. "/parts"
  local text, status = start(SMALL .. "--out " .. whole)
  lu.assertEquals(status, 0, text)
  local expected = results(whole)
  lu.assertTrue(expected[1][6].averaged_steps > 1)
  for i, stop in ipairs(stops) do
    text, status = start(i == 1 and SMALL .. "--out " .. parts or "--resume " .. parts, stop)
    lu.assertNotEquals(status, 0, text)
  end
  text, status = start("--resume " .. parts)
  lu.assertEquals(status, 0, text)
  local found = results(parts)
  lu.assertEquals(found[1], expected[1])
  for i = 2, #found do lu.assertTrue(found[i] == expected[i], "result " .. i .. " differs") end
end

function T.test_interrupted_run_is_equal_bit_for_bit()
  assert_goes_on {"int 50", "int 101", "int 77"}
end

function T.test_run_killed_in_mid_epoch_is_equal_bit_for_bit()
  assert_goes_on {"kill 40", "kill 130"}
end

function T.test_run_killed_long_after_a_checkpoint_is_equal_bit_for_bit()
  assert_goes_on {"late 133"}
end

--
-- Samples and mistakes
--

function T.test_sample()
  local out = folder .. "/run"
  local text, status = program.run(SCRIPT .. "--data synthetic --variant gru --tokens 500 "
    .. "--units 8 --epochs 1 --out " .. out)
  lu.assertEquals(status, 0, text)
  local sample = SCRIPT .. "--from " .. out .. "/gru-1.safetensors --words 20 --sample "
  text, status = program.run(sample .. "'the company'")
  lu.assertEquals(status, 0, text)
  lu.assertStrMatches(text, "the company.*\n")
  local _, count = text:gsub("%S+", "")
  lu.assertTrue(count > 2 and count <= 22, text)
  lu.assertEquals(program.run(sample .. "'the company'"), text)
  text, status = program.run(sample .. "'the zebra'")
  lu.assertEquals(status, 1, text)
  lu.assertEquals(text, "perilune: 'zebra' is not in the vocabulary, which has no <unk>\n")
end

local function refused(arguments, message)
  local text, status = program.run(SCRIPT .. arguments)
  lu.assertEquals(status, 1, text)
  lu.assertEquals(text, "perilune: " .. message .. "\n")
end

function T.test_bad_input()
  refused("--data " .. folder, "ptb/ptb.train.txt is not in " .. folder
    .. "; scripts/fetch-data.sh fetches it, --data synthetic does without")
  refused("--data synthetic --tokens 100 --batch-size 200",
          "a batch of 200 is larger than the text of 100 words")
  refused("--sample a", "--sample needs --from VARIANT-SEED.safetensors")
  refused("--variant lsmt", "--variant: 'lsmt' is none of lstm, lstm-dropout, gru, gru-dropout, "
    .. "lstm-variational, best; did you mean lstm?")
end

-- A loss that overflows is named with the step at which it stopped being finite.
function T.test_divergence()
  local text, status = program.run(SCRIPT .. "--data synthetic --variant lstm --tokens 1000 "
    .. "--units 8 --epochs 1 --steps 5 --lr 1e308 --clip 1e308 --out " .. folder .. "/run")
  lu.assertEquals(status, 1, text)
  lu.assertStrMatches(text:match "[^\n]*\n$",
    "perilune: [%a_]+ is %-?%a+ at variant lstm, seed 1, epoch 1, step %d\n")
end

return T
