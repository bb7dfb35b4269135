--- What has to work for a script that may write into one folder, and do nothing else; run by
-- tests/embed/policy.c, which looks at the files afterwards.

local pl = require "perilune"
local nn, optim = pl.nn, pl.optim

local function equal(a, b, what)
  if a ~= b then error(("%s: %s expected, got %s"):format(what, tostring(b), tostring(a)), 2) end
end

local function contents(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

--
-- Training, saving, plotting
--

pl.manual_seed(3)
local net = nn.Sequential {nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)}
local opt = optim.Adam(net:parameters(), {lr = 0.05})
local schedule = optim.StepLR(opt, {step_size = 5})
local x, y, losses = pl.randn(12, 1, 4, 4), pl.randint(1, 3, 12), {}
for step = 1, 10 do
  pl.tidy(function()
    opt:zero_grad()
    local loss = pl.cross_entropy(net(x), y)
    loss:backward()
    opt:step()
    losses[step] = loss:item()
  end)
  schedule:step()
end
assert(losses[10] < losses[1], "training does not train")
net:eval()

assert(pl.save("net.safetensors", net))
assert(pl.save("folder/state.safetensors", {net = net:state_dict(), opt = opt:state_dict()}))
local again = assert(pl.load "net.safetensors")
equal((again(x) - net(x)):abs():max():item(), 0, "the network that was saved")
assert(assert(pl.load "folder/state.safetensors").opt)
for _, kind in ipairs {"png", "svg", "pdf"} do
  pl.plot.line(losses, {title = "loss"}):save("loss." .. kind)
end
pl.image.write("image.png", pl.zeros(4, 4))
equal(pl.image.read("image.png"):size(1), 4, "image")

--
-- A class of one's own
--

local Scale = nn.class "Scale"
function Scale:init(n) self.factor = nn.parameter(pl.ones(n)) end
function Scale:forward(v) return v * self.factor end
local Twice = nn.class("Twice", nn.Linear)
function Twice:forward(v) return 2 * nn.Linear.forward(self, v) end
equal(getmetatable(Scale(2)), Scale, "a class of one's own")
equal(Twice(2, 3)(pl.ones(1, 2)):size(2), 3, "a class of the library's that is refined")
assert(pl.save("own.safetensors", nn.Sequential {Scale(2), Twice(2, 2)}))
assert(pl.load "own.safetensors")
local squared = pl.custom(function(c, v) c.v = v return v * v end, function(c, g) return 2 * c.v * g end)
local v = pl.ones(2):requires_grad_(true)
squared(v):sum():backward()
equal(v.grad[1], 2, "a gradient of one's own")

--
-- Experiments
--

local options = pl.experiment.options({"--quick"}, {name = "try", options = {
  {"variant", default = "all", many = true, choices = {"plain"}}, {"epochs", default = 2, quick = 1},
}})
pl.progress.quiet = true
local run = pl.experiment.open(options)
for job in run:jobs(options) do
  local layer = nn.Linear(2, 1)
  local sgd = optim.SGD(layer:parameters(), {lr = 0.1})
  for _ in job:epochs(options.epochs, {model = layer, optimizer = sgd}) do
    job:add("loss", 1, 1)
    job:report {loss = job:mean "loss"}
  end
end

pl.mkdir "mine"
pl.mkdir "theirs"
pl.write_file("theirs/judge.lua", "local part = require 'part' return {name = ..., part = part}")
pl.write_file("theirs/part.lua", "return 7")
local path <const> = package.path
package.path = box .. "/mine/?.lua;" .. path
equal(pl.experiment.use "theirs/judge".part, 7, "a module of another experiment")
equal(pl.experiment.use "theirs/judge", pl.experiment.use "theirs/judge", "which is loaded once")
package.path = path
local used <const>, why <const> = pcall(pl.experiment.use, "theirs/judge")
equal(not used and why:match "use: .*", "use: there is no theirs/judge.lua beside the folder of the script",
  "one that is not there")

--
-- Files of Lua's own
--

assert(pl.mkdir "deep/er/still")
local out = assert(io.open("deep/er/still/text", "w"))
assert(out:write("one\n", "two\n"))
assert(out:seek("set", 0))
assert(out:close())
equal(contents "deep/er/still/text", "one\ntwo\n", "what was written")
equal(contents(box .. "/deep/er/still/text"), "one\ntwo\n", "an absolute name")
equal(contents ".//deep/./er/still/text", "one\ntwo\n", "a name with dots")
local lines = {}
for line in io.lines "deep/er/still/text" do lines[#lines + 1] = line end
equal(table.concat(lines, ","), "one,two", "lines")
io.output "output"
io.write "through io.output"
io.output():close()
io.output(io.stdout)
io.input "output"
equal(io.read "a", "through io.output", "io.input")
io.input():close()
io.input(io.stdin)
equal(pl.append_file("log", "a"), 1, "append_file")
equal(pl.file_size "log", 1, "file_size")
assert(pl.truncate_file("log", 0))
assert(pl.lock_folder "deep")
assert(os.rename("log", "deep/log"))
assert(pl.file_exists "deep/log")
assert(os.remove "deep/log")
assert(not pl.file_exists "deep/log")
local missing, message = io.open "missing"
equal(missing, nil, "a file that is not there")
assert(message:find "No such file", message)
assert(not pcall(io.open, "output", "rw"))

--
-- Modules and chunks
--

assert(pl.write_file("mine.lua", "#!/usr/bin/lua\nlocal name, path = ...\nreturn {name = name, path = path}"))
equal(require("mine").path, "./mine.lua", "require")
equal(require "mine", require "mine", "a module that is loaded once")
equal(dofile("mine.lua").name, nil, "dofile")
equal(loadfile("mine.lua")("n").name, "n", "loadfile")
equal(package.searchpath("mine", package.path), "./mine.lua", "searchpath")
equal(load "return 1 + 1"(), 2, "load")
equal(load("return x", "=x", "t", {x = 3})(), 3, "load with an environment")
equal(require "string", string, "require of a library")
package.preload.made = function() return "made" end
equal(require "made", "made", "preload")

--
-- The library's tables, which can be read
--

local n = 0
for name, f in pairs(string) do
  n = n + 1
  equal(f, string[name], "string." .. name)
end
assert(n >= 16, "pairs(string)")
for name, f in next, string do equal(f, string[name], "next " .. name) end
assert(next(string) and next(pl.linalg), "next")
equal(getmetatable("").__index, string, "the metatable of strings")
equal(rawget(string, "rep"), string.rep, "rawget")
equal(pl.nn, nn, "a part is one table")
equal(require "perilune.nn", nn, "a part by its name")
equal(("x"):rep(3), "xxx", "methods of strings")
assert(pl.help.text(nn.Linear):find "Linear", "help")
assert(pl.help.text(pl):find "Parts", "help(pl)")
assert(debug.traceback "x":find "traceback")
equal(select(2, pcall(function() return pl.nosuch end)):match "pl has no 'nosuch'", "pl has no 'nosuch'", "advice")
equal(os.date("!%Y", 0), "1970", "a date that is given")
equal(os.time {year = 2000, month = 1, day = 1, hour = 12} ~= nil, true, "a time that is given")
math.randomseed(1)
equal(os.getenv "HOME", nil, "getenv")
equal(io.read "a", "", "no input")
print "works"
