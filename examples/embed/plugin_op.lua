--- Loads the op of plugin_op.c, looks at it, checks its gradients, and trains a network with it.
--
-- usage: perilune plugin_op.lua LIBRARY [STEPS]

local pl = require "perilune"
local nn = pl.nn

local library, steps = ..., math.tointeger((select(2, ...))) or 200
local names = pl.load_ops(library)
print("loaded", table.concat(names, ", "))

local x = pl.tensor {{-3, 0, 1}, {9, -1, 3}}
print(pl.mine.squash(x, {k = 1}))
print("doc", pl.op("mine.squash").doc)
print("samples that agree with finite differences", pl.testing.check_op "mine.squash")

-- A layer of it.
local Squash = nn.class "Squash"
function Squash:init(options) self.k = options and options.k or 1 end
function Squash:forward(input) return pl.mine.squash(input, self.k) end

-- Two spirals that wind around each other.
pl.manual_seed(1)
local n = 200
local turn = pl.rand(n) * 6
local side = pl.arange(1, n) % 2
local radius = turn * 0.3 + 0.2
local angle = turn + side * math.pi
local points = pl.stack({radius * angle:cos(), radius * angle:sin()}, 2)
local labels = (side + 1):to "int32"

local net = nn.Sequential {nn.Linear(2, 32), Squash {k = 0.5}, nn.Linear(32, 32), Squash(), nn.Linear(32, 2)}
local optimizer = pl.optim.Adam(net:parameters(), {lr = 0.02})
local first, last
for _ = 1, steps do
  pl.tidy(function()
    optimizer:zero_grad()
    local loss = pl.cross_entropy(net(points), labels)
    loss:backward()
    optimizer:step()
    last = loss:item()
    first = first or last
  end)
end
print(("loss %.3f, then %.3f"):format(first, last))
assert(last < first / 4, "the network does not learn")

-- And a file of it for other programs.
local file = os.tmpname()
assert(pl.onnx.export(file, net:eval(), points))
print("exported", pl.read_file(file):find "2%.Div" ~= nil)
os.remove(file)
