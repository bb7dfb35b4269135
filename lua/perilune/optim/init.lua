--- Optimisers, learning-rate schedules and gradient clipping. Names, formulas and defaults
-- are PyTorch's.
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
-- @module perilune.optim

local optim = {}

for _, part in ipairs {"algorithms", "schedules", "clipping"} do
  for name, value in next, (require("perilune.optim." .. part)) do optim[name] = value end
end

return optim
