--- Optimisers, learning-rate schedules and gradient clipping. Names, formulas and defaults
-- are PyTorch's. In the formulas g is the gradient, p the parameter; without further word,
-- weight_decay adds weight_decay * p to g.
--
--     local opt = optim.AdamW(optim.groups(net, {weight_decay = 0.1}), {lr = 1e-3})
--     local schedule = optim.CosineAnnealingLR(opt, {T_max = epochs})
--     for epoch = 1, epochs do
--       for x, y in data.batches(train) do
--         pl.tidy(function()
--           opt:zero_grad()
--           pl.cross_entropy(net(x), y):backward()
--           optim.clip_grad_norm_(net:parameters(), 5)
--           opt:step()
--         end)
--       end
--       schedule:step()
--     end
--
-- `groups` has options of their own for some parameters, `opt:step` says how gradients of several
-- batches add up, `find_lr` looks for a rate. `opt:state_dict()` and `schedule:state_dict()` are
-- parts of a checkpoint, and a training goes on from it to the same bits.
-- @module perilune.optim

local optimizer = require "perilune.optim.optimizer"
local sources = require "perilune.sources"
local unknown = require "perilune.internal.unknown"

local optim = {new = optimizer.new, required = optimizer.required}

local function add(module)
  for name, value in next, (require(module)) do optim[name] = value end
end

for _, part in ipairs {"groups", "schedules", "plateau", "clipping", "average", "range_test"} do
  add("perilune.optim." .. part)
end

-- Each file of the folder algorithms/ has one optimiser, or two that are nearly the same.
for _, module in ipairs(sources.modules) do
  if module:find "^perilune%.optim%.algorithms%." then add(module) end
end

return unknown.guard("pl.optim", optim)
