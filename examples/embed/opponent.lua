--- The opponent of guess.c: it foretells the player's next choice from the last ones, by a GRU that
-- learns from each round when it is over. C calls the two functions below.
local pl = require "perilune"
local nn, optim = pl.nn, pl.optim

pl.manual_seed(1)
pl.threads(1)

local CHOICES, LENGTH, REPEATS = 3, 6, 4

-- What both chose in the last rounds, 0 before the first, in; a guess about the next, out.
local Reader = nn.class "Reader"

function Reader:init()
  self.mine, self.yours = nn.Embedding(CHOICES + 1, 8), nn.Embedding(CHOICES + 1, 8)
  self.rnn, self.head = nn.GRU(16, 32), nn.Linear(32, CHOICES)
end

function Reader:forward(mine, yours) -- int32 [LENGTH, N] both -> scores [N, CHOICES]
  local h = self.rnn(pl.cat({self.mine(mine), self.yours(yours)}, {dim = 3}))
  return self.head(h[LENGTH])
end

local reader = Reader()
local optimizer = optim.Adam(reader:parameters(), {lr = 0.01})

-- Rounds that are over, as far as the network still learns from them.
local memory = {mine = {}, yours = {}}

-- The rounds before number `at`, as a column of indices.
local function column(list, at)
  local t = {}
  for i = 1, LENGTH do t[i] = {(list[at - LENGTH + i - 1] or 0) + 1} end
  return pl.tensor(t, "int32")
end

local function scores(rounds)
  local mine, yours = {}, {}
  for i, at in ipairs(rounds) do
    mine[i], yours[i] = column(memory.mine, at), column(memory.yours, at)
  end
  return reader(pl.cat(mine, {dim = 2}), pl.cat(yours, {dim = 2}))
end

--- What the player will choose next, and how sure that is: probabilities [3].
function foretell()
  return pl.tidy(pl.no_grad, function()
    return scores({#memory.yours + 1}):softmax(2)[1]:clone()
  end)
end

--- A round is over; each choice is a number from 1 to 3. Gives the loss before the step.
function learn(mine, yours)
  table.insert(memory.mine, mine:item())
  table.insert(memory.yours, yours:item())
  local n, loss = #memory.yours, 0
  for step = 1, REPEATS do
    pl.tidy(function()
      local rounds, target = {}, {}
      for i = 1, math.min(n, 16) do -- the last round, and some of those before it
        rounds[i] = i == 1 and n or n + 1 - math.random(math.min(n, 200))
        target[i] = memory.yours[rounds[i]]
      end
      local l = pl.cross_entropy(scores(rounds), pl.tensor(target, "int32"))
      optimizer:zero_grad()
      l:backward()
      optimizer:step()
      if step == 1 then loss = l:item() end
    end)
  end
  return loss
end
