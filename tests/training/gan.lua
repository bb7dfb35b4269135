--- The GAN experiment: that WGAN-GP finds all modes of a mixture, and on the drawn stand-in that
-- a run which is stopped goes on to the same bits.

local lu = require "luaunit"
local pl = require "perilune"
local core = require "perilune.core"
local program = require "program"
local nn, optim = pl.nn, pl.optim
local objectives = dofile "experiments/gan/objectives.lua"

local T = {}

local folder

function T.setUp() folder = program.folder() end
function T.tearDown() program.remove(folder) end

--
-- Eight normal distributions on a circle, as in Gulrajani et al. 2017, figure 1
--

local MODES <const>, RADIUS <const>, SPREAD <const>, BATCH <const> = 8, 4, 0.2, 64

local function mixture()
  local angles = pl.multinomial(pl.ones(MODES), BATCH, true):to("real") * (2 * math.pi / MODES)
  return pl.stack({angles:cos(), angles:sin()}, 2) * RADIUS + pl.randn(BATCH, 2) * SPREAD
end

local function network(outputs)
  return nn.Sequential {nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(),
                        nn.Linear(64, outputs)}
end

local function descend(optimizer, loss)
  optimizer:zero_grad()
  loss:backward()
  optimizer:step()
end

local function train_on_mixture(iterations)
  local objective, generator, critic = objectives["wgan-gp"], network(2), network(1)
  local of_generator = optim.Adam(generator:parameters(), {lr = 2e-3, betas = {0.5, 0.9}})
  local of_critic = optim.Adam(critic:parameters(), {lr = 2e-3, betas = {0.5, 0.9}})
  for i = 1, iterations do
    local lr = 2e-3 * math.min(1, 2 * (1 - (i - 1) / iterations))
    of_generator.lr, of_critic.lr = lr, lr
    for _ = 1, 5 do
      pl.tidy(function()
        local fake = pl.no_grad(generator, pl.randn(BATCH, 2))
        descend(of_critic, (objective.critic(critic, mixture(), fake)))
      end)
    end
    pl.tidy(function()
      descend(of_generator, objective.generator(critic, generator(pl.randn(BATCH, 2))))
    end)
  end
  return generator
end

-- How many of the points lie within five standard deviations of each mode.
local function count_near(points)
  local counts = {}
  for mode = 1, MODES do
    local angle = 2 * math.pi * mode / MODES
    local centre = pl.tensor {RADIUS * math.cos(angle), RADIUS * math.sin(angle)}
    local distance = (points - centre):square():sum(2):sqrt()
    counts[mode] = distance:lt(5 * SPREAD):to("real"):sum():item()
  end
  return counts
end

function T.test_all_modes_of_a_mixture()
  pl.manual_seed(1)
  local generator = train_on_mixture(1000)
  local counts, sum = count_near(pl.no_grad(generator, pl.randn(1000, 2))), 0
  for mode, count in ipairs(counts) do
    lu.assertTrue(count >= 40, ("mode %d has %d of 1000 points"):format(mode, count))
    sum = sum + count
  end
  lu.assertTrue(sum >= 600, ("%d of 1000 points lie near a mode"):format(sum))
end

--
-- Runs on the stand-in. The script is started through another one, which stops it when the
-- batch of the given number is asked for, as Ctrl-C or as kill -9 would.
--

local STOPPER <const> = [[
package.path = "experiments/gan/?.lua;" .. package.path
local pl = require "perilune"
local how, left = (os.getenv "STOP" or ""):match "(%S+) (%S+)"
local cycle, open = pl.data.cycle, pl.experiment.open
function pl.experiment.open(...)
  local run = open(...)
  if how == "kill" then run.interval = 0 end -- a checkpoint after every iteration
  return run
end
function pl.data.cycle(...)
  local batches = cycle(...)
  local next_batch = batches.next
  function batches:next()
    left = left and left - 1
    if left == 0 and how == "int" then io.popen("kill -INT $PPID"):close() end
    if left == 0 and how ~= "int" then os.execute "kill -9 $PPID" end
    return next_batch(self)
  end
  return batches
end
dofile "experiments/gan/run.lua"
]]

local SMALL <const> = "--data synthetic --width 2 --batch-size 10 --iterations 12 --every 5 "
  .. "--samples 100 "

local classifier -- trained once, for all tests

local function make_classifier()
  if classifier then return end
  local text, status = program.run("PERILUNE_PROGRESS=off @perilune experiments/lenet5/run.lua "
    .. "--data synthetic --variant batch-norm --epochs 1 --seed 1 --out " .. folder .. "/lenet5")
  lu.assertEquals(status, 0, text)
  classifier = program.bytes(folder .. "/lenet5/batch-norm-1.safetensors")
end

local function start(arguments, stop)
  make_classifier()
  assert(core.write_file(folder .. "/stopper.lua", STOPPER))
  assert(core.write_file(folder .. "/batch-norm-1.safetensors", classifier))
  return program.run(("STOP='%s' PERILUNE_PROGRESS=off @perilune %s/stopper.lua --threads 1 %s")
    :format(stop or "", folder, arguments))
end

local function begin(out)
  return SMALL .. "--classifier " .. folder .. "/batch-norm-1.safetensors --out " .. out
end

local function results(out)
  local list = {program.metrics(out .. "/metrics.jsonl")}
  for _, name in ipairs {
    "dcgan-1.safetensors", "wgan-gp-1.safetensors", "dcgan-1-film.png", "wgan-gp-1-film.png",
    "dcgan-1-at-5.png", "losses.png", "quality.png", "samples.png", "side-by-side.png",
    "interpolation.png", "neighbours.png",
  } do list[#list + 1] = program.bytes(out .. "/" .. name) end
  return list
end

local function assert_goes_on(stops)
  local whole, parts = folder .. "/whole", folder .. "/parts"
  local text, status = start(begin(whole))
  lu.assertEquals(status, 0, text)
  for i, stop in ipairs(stops) do
    text, status = start(i == 1 and begin(parts) or "--resume " .. parts, stop)
    lu.assertNotEquals(status, 0, text)
  end
  text, status = start("--resume " .. parts)
  lu.assertEquals(status, 0, text)
  local expected, found = results(whole), results(parts)
  lu.assertEquals(found[1], expected[1])
  for i = 2, #found do lu.assertTrue(found[i] == expected[i], "result " .. i .. " differs") end
end

-- DCGAN takes 12 batches, WGAN-GP then 60.
function T.test_interrupted_run_is_equal_bit_for_bit()
  assert_goes_on {"int 4", "int 5", "int 17", "int 13"}
end

function T.test_run_killed_after_an_iteration_is_equal_bit_for_bit()
  assert_goes_on {"kill 9", "kill 16"}
end

function T.test_run_killed_long_after_a_checkpoint_is_equal_bit_for_bit()
  assert_goes_on {"late 9", "late 40"}
end

local FIELDS <const> = {"seed", "epoch", "iteration", "d_loss", "g_loss"}

function T.test_records()
  local out = folder .. "/run"
  local text, status = start(begin(out))
  lu.assertEquals(status, 0, text)
  local metrics = program.metrics(out .. "/metrics.jsonl")
  lu.assertEquals(#metrics, 24)
  for i, record in ipairs(metrics) do
    for _, field in ipairs(FIELDS) do lu.assertNotNil(record[field], field) end
    lu.assertEquals(record.iteration, (i - 1) % 12 + 1)
    lu.assertEquals(record.variant, i <= 12 and "dcgan" or "wgan-gp")
    local measured = record.iteration % 5 == 0 or record.iteration == 12
    lu.assertEquals(record.frechet ~= nil, measured)
    lu.assertEquals(record.gradient_norm ~= nil, i > 12)
    lu.assertEquals(record.penalty ~= nil, i > 12)
  end
  lu.assertStrContains(text, "moved by 2 pixels")

  local sample = "@perilune experiments/gan/run.lua --count 3 --sample %s/x.png --from %s"
  text, status = program.run(sample:format(folder, out .. "/dcgan-1.safetensors"))
  lu.assertEquals({text, status}, {"", 0})
  lu.assertEquals(pl.image.read(folder .. "/x.png"):size(), {62, 62})
  text, status = program.run(sample:format(folder, folder .. "/batch-norm-1.safetensors"))
  lu.assertEquals(status, 1)
  lu.assertEquals(text, ("perilune: %s/batch-norm-1.safetensors: this is no generator\n")
    :format(folder))
end

--
-- Mistakes
--

local function refused(arguments, message)
  local text, status = program.run("@perilune experiments/gan/run.lua --data synthetic "
    .. arguments)
  lu.assertEquals(status, 1, text)
  lu.assertEquals(text, "perilune: " .. message .. "\n")
end

function T.test_bad_input()
  refused("", "--classifier FILE is missing: the network that judges the images. "
    .. "experiments/lenet5/run.lua --set fashion-mnist --variant batch-norm --seed 1 --out runs/lenet5 makes "
    .. "runs/lenet5/batch-norm-1.safetensors")
  refused("--classifier " .. folder .. "/none.safetensors",
          "cannot open " .. folder .. "/none.safetensors: No such file or directory")
  assert(pl.save(folder .. "/other.safetensors", {model = {a = pl.ones(2)}}))
  local text, status = program.run("@perilune experiments/gan/run.lua --classifier "
    .. folder .. "/other.safetensors")
  lu.assertEquals(status, 1)
  lu.assertStrContains(text, folder .. "/other.safetensors: the state is not one of this ")
  assert(pl.save(folder .. "/digits.safetensors", {about = {set = "mnist"}}))
  refused("--classifier " .. folder .. "/digits.safetensors", folder
    .. "/digits.safetensors: a network for mnist, not for fashion-mnist")
  refused("--iterations 0", "--iterations: an integer of at least 1 expected, got '0'")
  refused("--variant wgan", "--variant: 'wgan' is none of dcgan, wgan-gp; did you mean wgan-gp?")
  refused("--epochs 3", "--epochs: this experiment counts --iterations")
  refused("--sample x.png", "--sample needs --from VARIANT-SEED.safetensors")
end

function T.test_divergence()
  local text, status = start(begin(folder .. "/run") .. " --variant wgan-gp --lr 1e38")
  lu.assertEquals(status, 1, text)
  lu.assertStrMatches(text:match "[^\n]*\n$",
    "perilune: [%a_]+ is %-?%a+ at variant wgan%-gp, seed 1, iteration %d+\n")
end

return T
