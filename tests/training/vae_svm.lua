--- The autoencoders and the machines on the drawn stand-in: the terms of the bound, what is
-- reached, and that a run which is stopped goes on to the same bits.

local lu = require "luaunit"
local pl = require "perilune"
local core = require "perilune.core"
local program = require "program"

package.path = "experiments/vae_svm/?.lua;" .. package.path
local embed = require "embed"
local labels = require "labels"
local model = require "model"

local T = {}
local SCRIPT <const> = "PERILUNE_PROGRESS=off @perilune experiments/vae_svm/run.lua --threads 1 "
local SMALL <const> = "--data synthetic --hidden 60 --latent 8 --lr 2e-3 --features 100 "

local folder

function T.setUp() folder = program.folder() end
function T.tearDown() program.remove(folder) end

--
-- The terms of the bound against closed forms
--

-- A network whose layers give their biases alone: q(z|x) = N(m, s^2), p(x|z) = Bernoulli(p).
local function constant_network(m, log_var, logit)
  local net = model.new {pixels = 6, hidden = {5, 4}, latent = 3}
  for name, parameter in net:named_parameters() do
    local value = name == "mean.bias" and m or name == "log_var.bias" and log_var
      or name == "decoder.5.bias" and logit or 0
    pl.no_grad(parameter.fill_, parameter, value)
  end
  return net
end

function T.test_terms_of_the_bound()
  local x = pl.tensor {{0, 1, 0.25, 0.5, 1, 0}, {1, 1, 1, 1, 1, 1}}
  local nll, kl, mean = pl.no_grad(constant_network(0.5, math.log(0.3), 1.2), x)
  local kl_each = (0.25 + 0.3 - math.log(0.3) - 1) / 2
  lu.assertEquals(kl:size(), {2, 3})
  lu.assertTrue((kl - kl_each):abs():amax():item() < 1e-6)
  lu.assertTrue((mean - 0.5):abs():amax():item() < 1e-6)
  local p = 1 / (1 + math.exp(-1.2))
  lu.assertAlmostEquals(nll[1], -2.75 * math.log(p) - 3.25 * math.log(1 - p), 1e-5)
  lu.assertAlmostEquals(nll[2], -6 * math.log(p), 1e-5)
end

-- For a linear decoder and z of one dimension the bound cannot be above log p(x), which is an
-- integral; with q = p(z) and many samples the reconstruction is its known mean.
function T.test_bound_is_below_the_likelihood()
  pl.manual_seed(3)
  local net = model.new {pixels = 4, hidden = {}, latent = 1}
  local x = pl.tensor {{1, 0, 1, 1}}
  local nll, kl = pl.no_grad(net, x:expand(20000, 4):contiguous())
  local bound = -(nll:mean():item() + kl:sum():item() / 20000)
  local z = pl.linspace(-8, 8, 4001)
  local logits = pl.no_grad(net.decode, net, z:reshape(-1, 1))
  local log_x = pl.binary_cross_entropy_with_logits(logits, x:expand(4001, 4):contiguous(),
                                                    {reduction = "rows"}) * -1
  local log_prior = z:square() * -0.5 - 0.5 * math.log(2 * math.pi)
  local evidence = (log_x + log_prior):logsumexp(1):item() + math.log(16 / 4000)
  lu.assertTrue(bound < evidence, ("%g and %g"):format(bound, evidence))
  lu.assertTrue(bound > evidence - 3, ("%g and %g"):format(bound, evidence))
end

function T.test_network_of_its_state()
  local net = model.new {pixels = 9, hidden = {7, 5, 3}, latent = 2}
  local same = model.from_state(net:state_dict())
  local x = pl.rand(4, 9)
  lu.assertEquals(same:encode(x):totable(), net:encode(x):totable())
  lu.assertEquals({model.from_state {}}, {nil, "this is no variational autoencoder"})
end

--
-- Draws of labels, and the view in two dimensions
--

local function counts(set, rows)
  local list = {}
  for class = 1, #set.classes do list[class] = 0 end
  for _, label in ipairs(set.labels[rows]:totable()) do list[label] = list[label] + 1 end
  return list
end

local function is_part(part, whole)
  local all = {}
  for _, row in ipairs(whole:totable()) do all[row] = true end
  for _, row in ipairs(part:totable()) do
    if not all[row] then return false end
  end
  return true
end

function T.test_draws_are_balanced_and_leave_the_reserved_alone()
  local set = pl.data.synthetic {n = 3000, seed = 1}
  local small, large = labels.draw(set, 100, 1), labels.draw(set, 600, 1)
  lu.assertEquals(counts(set, small.labelled), {10, 10, 10, 10, 10, 10, 10, 10, 10, 10})
  lu.assertTrue(is_part(small.labelled, large.labelled))
  lu.assertEquals(#small.unlabelled, 2900)
  lu.assertFalse(is_part(small.labelled, labels.draw(set, 100, 2).labelled))
  local reserved = pl.tensor(labels.reserved(set), "int32")
  local other = labels.validation_draw(set, 600, 1)
  lu.assertEquals(#other.test, 400)
  lu.assertTrue(is_part(other.labelled, reserved) and is_part(other.test, reserved))
  for _, row in ipairs(large.labelled:totable()) do
    lu.assertFalse(is_part(pl.tensor({row}, "int32"), reserved))
  end
end

-- Two groups of points stay two groups.
function T.test_view_in_two_dimensions()
  pl.manual_seed(1)
  local x = pl.randn(60, 5)
  x:slice(1, 1, 30):add_(12)
  local y = embed.tsne(x, {perplexity = 10, steps = 200})
  local a, b = y:slice(1, 1, 30), y:slice(1, 31, 30)
  local apart = (a:mean(1) - b:mean(1)):norm():item()
  local spread = math.sqrt(math.max(a:var(1):sum():item(), b:var(1):sum():item()))
  lu.assertTrue(apart > 2 * spread, ("%g and %g"):format(apart, spread))
end

--
-- Whole runs
--

local function lines_of(path)
  local list = {}
  for line in io.lines(path) do list[#list + 1] = line end
  return list
end

function T.test_what_is_reached()
  local out = folder .. "/a"
  local text, status = program.run(SCRIPT .. SMALL .. "--epochs 5 --warmup 2 --labels 100,600 "
    .. "--draws 1 --network elbo --method svm,m1-svm,m1-tsvm --out " .. out)
  lu.assertEquals(status, 0, text)
  local records = program.metrics(out .. "/metrics.jsonl")
  lu.assertEquals(records[5].epoch, 5)
  lu.assertTrue(records[5].test_elbo > -235, text)
  lu.assertTrue(records[5].train_elbo > records[1].train_elbo + 20, text)
  lu.assertAlmostEquals(records[5].test_elbo, -records[5].kl - records[5].reconstruction, 1e-9)
  lu.assertTrue(records[5].active_units >= 3, text)
  local csv = lines_of(out .. "/table.csv")
  lu.assertEquals(csv[1], "method,labels,draws,error_mean,error_std")
  lu.assertEquals(#csv, 7)
  for i, most in ipairs {25, 15, 35, 25, 35, 30} do
    local mean = tonumber(csv[i + 1]:match "^[%w-]+,%d+,1,([%d.]+),$")
    lu.assertTrue(mean and mean < most, csv[i + 1])
  end
  for _, name in ipairs {"elbo.png", "elbo-samples.png", "features-reconstructions.svg",
                         "elbo-latent.png", "features-walk.png", "errors.png", "table.txt",
                         "features-1.safetensors", "m1-tsvm-600.machine"} do
    lu.assertTrue(#program.bytes(out .. "/" .. name) > 100, name)
  end
end

-- Networks of another run are not trained again, and give the same errors.
function T.test_reuse_and_use()
  local out, again = folder .. "/a", folder .. "/b"
  local common = SCRIPT .. SMALL .. "--epochs 1 --labels 100 --draws 2 --network features "
    .. "--method m1-tsvm --out "
  local text, status = program.run(common .. out)
  lu.assertEquals(status, 0, text)
  text, status = program.run(common .. again .. " --reuse " .. out)
  lu.assertEquals(status, 0, text)
  local first, second = program.metrics(out .. "/metrics.jsonl"), program.metrics(again .. "/metrics.jsonl")
  lu.assertEquals(#second, 2)
  lu.assertEquals(second, table.move(first, 2, 3, 1, {}))

  text, status = program.run("@perilune experiments/vae_svm/run.lua --sample " .. folder
    .. "/s.png --from " .. out .. "/features-1.safetensors")
  lu.assertEquals(status, 0, text)
  lu.assertTrue(#program.bytes(folder .. "/s.png") > 1000)
  local set = pl.data.synthetic {n = 20, seed = 3}
  assert(pl.image.write(folder .. "/x.png", set.images[1]))
  local classify = "@perilune experiments/vae_svm/run.lua --classify " .. folder .. "/x.png --from "
  text, status = program.run(classify .. out)
  lu.assertEquals(status, 0, text)
  lu.assertStrMatches(text, "[%a-/ ]+\n")
  lu.assertEquals(program.run(classify .. again .. " --reuse " .. out), text)
  lu.assertStrContains(program.run(classify .. again), again .. "/features-1.safetensors")

  -- Networks of another set.
  text, status = program.run(SCRIPT .. "--data synthetic --set mnist --labels 100 --method m1-tsvm "
    .. "--reuse " .. out .. " --out " .. folder .. "/d")
  lu.assertEquals(status, 1)
  lu.assertEquals(text, ("perilune: %s/features-1.safetensors: a network for fashion-mnist, not for "
    .. "mnist\n"):format(out))

  -- A run that takes all from another.
  text, status = program.run(SCRIPT .. "--data synthetic --labels 100 --method m1-tsvm --join "
    .. out .. " --out " .. folder .. "/c")
  lu.assertEquals(status, 0, text)
  lu.assertEquals(program.bytes(folder .. "/c/table.csv"), program.bytes(out .. "/table.csv"))
  lu.assertEquals(program.bytes(folder .. "/c/elbo.png"), program.bytes(out .. "/elbo.png"))
end

function T.test_digits()
  local text, status = program.run(SCRIPT .. SMALL .. "--set mnist --epochs 1 --labels 100 --draws 1 "
    .. "--network features --method m1-svm --out " .. folder .. "/a")
  lu.assertEquals(status, 0, text)
  local set = pl.data.synthetic {n = 1, seed = 3, set = "mnist"}
  assert(pl.image.write(folder .. "/x.png", set.images[1]))
  text, status = program.run(("@perilune experiments/vae_svm/run.lua --classify %s/x.png --from %s/a")
    :format(folder, folder))
  lu.assertEquals(status, 0, text)
  lu.assertStrMatches(text, "%d\n")
end

-- Options with which all kinds of machines are in use.
local ALL <const> = SMALL .. "--epochs 2 --labels 100,200 --draws 2 --network elbo "
  .. "--method m1-svm,m1-tsvm --copies mirrored --view both "

-- Stopped by Ctrl-C and by kill -9, in the networks and in the machines.
function T.test_resumed_run_is_equal_bit_for_bit()
  local whole, parts = folder .. "/whole", folder .. "/parts"
  local text, status = program.run(SCRIPT .. ALL .. "--out " .. whole)
  lu.assertEquals(status, 0, text)
  local size = core.file_size(whole .. "/metrics.jsonl")

  text, status = program.stop(SCRIPT .. ALL .. "--out " .. parts, "INT", parts .. "/metrics.jsonl", 100)
  lu.assertEquals(status, 130, text)
  lu.assertStrContains(text, "--resume " .. parts)
  local resume = SCRIPT .. "--resume " .. parts
  program.stop(resume, "KILL", parts .. "/metrics.jsonl", size // 3)
  text, status = program.stop(resume, "INT", parts .. "/metrics.jsonl", 2 * size // 3)
  lu.assertEquals(status, 130, text)
  program.stop(resume, "KILL", parts .. "/metrics.jsonl", 5 * size // 6)
  text, status = program.run(resume)
  lu.assertEquals(status, 0, text)

  lu.assertEquals(program.metrics(parts .. "/metrics.jsonl"), program.metrics(whole .. "/metrics.jsonl"))
  for _, name in ipairs {"elbo-1.safetensors", "features-1.safetensors", "table.csv", "elbo.png",
                         "errors.png", "m1-tsvm-200.machine", "elbo-samples.png"} do
    lu.assertTrue(program.bytes(parts .. "/" .. name) == program.bytes(whole .. "/" .. name),
                  name .. " differs")
  end
end

local function refused(arguments, message)
  local text, status = program.run(SCRIPT .. arguments)
  lu.assertEquals(status, 1, text)
  lu.assertEquals(text, "perilune: " .. message .. "\n")
end

function T.test_bad_input()
  refused("--method m1-svn", "--method: 'm1-svn' is none of svm, tsvm, m1-svm, m1-tsvm, best; "
    .. "did you mean m1-svm?")
  refused("--data " .. folder, "fashion-mnist/train-images-idx3-ubyte is not in " .. folder
    .. "; scripts/fetch-data.sh fetches it, --data synthetic does without")
  refused("--data synthetic --labels 105", "--labels: 105 is no multiple of the 10 classes")
  refused("--data synthetic --labels 600,1000 --validation",
          "--labels: with --validation fewer than the 1000 reserved, not 1000")
  refused("--data synthetic --gamma wide", "--gamma: positive number or scale expected, got 'wide'")
  refused("--sample a.png", "--sample needs --from NETWORK-SEED.safetensors")
  refused("--classify a.png", "--classify needs --from, the folder of a run")
  refused("--data synthetic --labels 100000 --out " .. folder .. "/x",
          "100000 labels are 10000 of each class, but there are 500 of class T-shirt/top")
end

-- A loss that overflows is named with the step at which it stopped being finite.
function T.test_divergence()
  local text, status = program.run(SCRIPT .. "--data synthetic --hidden 20 --latent 2 --epochs 1 "
    .. "--network elbo --method svm --lr 1e30 --out " .. folder .. "/run")
  lu.assertEquals(status, 1, text)
  lu.assertStrMatches(text:match "[^\n]*\n$",
    "perilune: loss is %-?%a+ at variant elbo, seed 1, epoch 1, step %d\n")
end

return T
