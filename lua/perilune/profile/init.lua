--- Profiles: where the time of a script goes, by op and by module.
--
--     local profile = require "perilune.profile"
--     profile.start()
--     train()
--     print(profile.stop())
--
-- `perilune --profile script.lua` does the same for a whole script. A line is an op or the
-- gradient of an op; work that an op hands on to other ops is its own. Arithmetic is counted by
-- formula (2 m n k for a matrix product; one operation an element where there is no formula),
-- bytes are those of the tensors that go in and come out, once each.
-- @module perilune.profile

local core = require "perilune.core"
local complain = require("perilune.internal.blame").complain
local object = require "perilune.internal.object"
local unknown = require "perilune.internal.unknown"

local profile = {}

local open = {} -- profiles that are being taken, inner ones last: {began, rows that were there}
local paths, children -- {path, class} of the owners from 1 on; their owners inside, by module

--
-- Owners: a module at its place in a network
--

local function owner_of(path, parent, key)
  local id = #paths + 1
  paths[id], children[id] = path, {}
  children[parent][key] = id
  return id
end

-- What nn.module calls when a module begins; path_of(module) is its path in the one around it.
local function enter(self, depth, path_of, name_of)
  local before = core.profile_owner(0)
  local parent = depth > 1 and children[before] and before or 0
  local id = children[parent][self]
  if not id then
    local place = parent > 0 and path_of()
    local path = place and paths[parent].path .. "." .. place or name_of(self)
    id = owner_of({path = path, class = place and name_of(self)}, parent, self)
  end
  core.profile_owner(id)
  return before
end

--
-- Reports
--

local Report = object.class "report"

-- Sums of rows with one key, longest first.
local function gather(rows, key_of)
  local sums, list = {}, {}
  for _, row in ipairs(rows) do
    local key = key_of(row)
    local sum = sums[key]
    if not sum then
      sum = {name = key, calls = 0, seconds = 0, gradient_seconds = 0, flops = 0, bytes = 0}
      sums[key], list[#list + 1] = sum, sum
    end
    sum.calls = sum.calls + row.calls
    if row.gradient then sum.gradient_seconds = sum.gradient_seconds + row.seconds end
    for _, field in ipairs {"seconds", "flops", "bytes"} do
      sum[field] = sum[field] + row[field]
    end
  end
  table.sort(list, function(a, b)
    return a.seconds > b.seconds or a.seconds == b.seconds and a.name < b.name
  end)
  return list
end

local function op_name(row)
  return row.gradient and row.name .. ", gradient" or row.name
end

local function module_name(owner)
  if not owner then return "outside of modules" end
  return owner.class and ("%s (%s)"):format(owner.path, owner.class) or owner.path
end

local function report(rows, seconds, owners)
  local self = {seconds = seconds, in_ops = 0, flops = 0}
  self.ops = gather(rows, op_name)
  self.modules = gather(rows, function(row) return module_name(owners[row.owner]) end)
  for _, op in ipairs(self.ops) do
    self.in_ops, self.flops = self.in_ops + op.seconds, self.flops + op.flops
  end
  self.elsewhere = seconds - self.in_ops
  return setmetatable(self, Report)
end

local function rate(amount, seconds)
  return seconds > 0 and amount > 0 and ("%9.1f"):format(amount / seconds / 1e9) or (" "):rep(9)
end

local function share(self, seconds)
  return 100 * seconds / math.max(self.seconds, 1e-9)
end

local function op_lines(self, lines)
  lines[#lines + 1] = ("%-30s %8s %10s %6s %9s %9s %9s"):format("op", "calls", "ms", "%",
    "us/call", "GFLOP/s", "GB/s")
  for _, op in ipairs(self.ops) do
    lines[#lines + 1] = ("%-30s %8d %10.1f %6.1f %9.1f %s %s"):format(op.name, op.calls,
      1e3 * op.seconds, share(self, op.seconds), 1e6 * op.seconds / op.calls,
      rate(op.flops, op.seconds), rate(op.bytes, op.seconds))
  end
  lines[#lines + 1] = ("%-30s %8s %10.1f %6.1f"):format("elsewhere: Lua, files, waiting", "",
    1e3 * self.elsewhere, share(self, self.elsewhere))
  lines[#lines + 1] = ("%-30s %8s %10.1f %6.1f %9s %s"):format("all", "", 1e3 * self.seconds, 100,
    "", rate(self.flops, self.seconds))
end

local function module_lines(self, lines)
  lines[#lines + 1] = ""
  lines[#lines + 1] = ("%-30s %10s %10s %6s %9s"):format("module", "ms", "gradient", "%", "GFLOP/s")
  for _, m in ipairs(self.modules) do
    lines[#lines + 1] = ("%-30s %10.1f %10.1f %6.1f %s"):format(
      m.name, 1e3 * (m.seconds - m.gradient_seconds),
      1e3 * m.gradient_seconds, share(self, m.seconds), rate(m.flops, m.seconds))
  end
end

--- The report as text: a table of ops, the time that went elsewhere, and a table of modules.
function Report:__tostring()
  local lines = {}
  op_lines(self, lines)
  if #self.modules > 1 then module_lines(self, lines) end
  return table.concat(lines, "\n")
end

--
-- The whole
--

local function key_of(row)
  return ("%s %s %d"):format(row.name, row.gradient, row.owner)
end

-- The rows of now without what they had before.
local function since(before)
  local known, list = {}, {}
  for _, row in ipairs(before) do known[key_of(row)] = row end
  for _, row in ipairs(core.profile_rows()) do
    local old = known[key_of(row)]
    for _, field in ipairs {"calls", "seconds", "flops", "bytes"} do
      row[field] = row[field] - (old and old[field] or 0)
    end
    if row.calls > 0 then list[#list + 1] = row end
  end
  return list
end

--- Begins a profile. One may begin inside of another; both see what runs then.
function profile.start()
  if #open == 0 then
    paths, children = {}, {[0] = {}}
    core.profile_owner(0)
    require("perilune.nn.module").watch(enter, core.profile_owner)
    core.profile_start()
  end
  open[#open + 1] = {began = core.clock(), before = core.profile_rows()}
end

--- Ends the profile that began last. The report has `seconds` in all, `in_ops`, `elsewhere`,
-- `flops`, and the lists `ops` and `modules` of {name, calls, seconds, gradient_seconds, flops,
-- bytes}, longest first; `print` shows them as tables.
-- @return report
function profile.stop()
  local last = table.remove(open)
  if not last then complain("profile.stop: no profile was started") end
  local result = report(since(last.before), core.clock() - last.began, paths)
  if #open == 0 then
    core.profile_stop()
    core.profile_owner(0)
    require("perilune.nn.module").watch(nil)
    paths, children = nil, nil
  end
  return result
end

--- Begins a profile that is printed to the standard error stream when the script ends; what
-- `perilune --profile` does first. A script that calls os.exit is seen too.
-- @return function() that ends it
function profile.whole()
  local exit, done = os.exit, false
  local function finish()
    if done then return end
    done, os.exit = true, exit
    io.stdout:flush()
    if #open > 0 then io.stderr:write(tostring(profile.stop()), "\n") end
  end
  os.exit = function(...)
    finish()
    exit(...)
  end
  profile.start()
  return finish
end

return unknown.guard("pl.profile", profile)
