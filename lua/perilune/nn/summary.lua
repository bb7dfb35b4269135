--- What a network computes of an input, layer by layer.
-- @module perilune.nn.summary

local pl = require "perilune"
local blame = require "perilune.internal.blame"
local check = require "perilune.internal.check"
local fields = require "perilune.nn.fields"
local hooks = require "perilune.nn.hooks"
local object = require "perilune.internal.object"
local profile = require "perilune.profile"
local words = require "perilune.internal.words"

local complain, blaming = blame.complain, blame.blaming

local Summary = object.class "summary"
Summary.__name = "summary of a network"

-- A tensor for what stands for one: a list of sizes.
local function tensor_of(given)
  if pl.is_tensor(given) then return given end
  if type(given) ~= "table" or not math.type(given[1]) then
    complain("summary: input: tensor, sizes, or a list of these expected, got %s",
             check.type(given))
  end
  check.list("summary", "input", given, {integer = true})
  return blaming(pl.zeros, given)
end

-- The arguments of the network.
local function inputs_of(given)
  local several = type(given) == "table" and given[1] ~= nil and not math.type(given[1])
  local list = {}
  for i, each in ipairs(several and given or {given}) do list[i] = tensor_of(each) end
  if #list == 0 then tensor_of(given) end
  return list
end

-- The parameters that belong to a module and to none inside it, of those not counted so far.
local function count_own(m, counted)
  local inside, n, trained = {}, 0, 0
  for _, inner in ipairs(m:modules()) do
    for _, p in ipairs(rawequal(inner, m) and {} or inner:parameters()) do inside[p] = true end
  end
  for _, p in ipairs(m:parameters()) do
    if not inside[p] and not counted[p] then
      counted[p], n = true, n + p:numel()
      if p.requires_grad then trained = trained + p:numel() end
    end
  end
  return n, trained
end

-- The sizes of the first tensor among results, which may be in lists.
local function first_size(...)
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    if pl.is_tensor(value) then return value:size() end
    local size = type(value) == "table" and first_size(table.unpack(value))
    if size then return size end
  end
end

-- How a report of the profile calls the module at a path.
local function profiled_name(net, path)
  local own = rawget(net, "name")
  local name = type(own) == "string" and own or net.class_name
  return path == "" and name or ("%s.%s"):format(name, path)
end

-- A layer for each module; the second list has the same in the order in which they will be called,
-- and the hooks of the copy fill them in.
local function begin(net, copy)
  local layers, order, handles = {}, {}, {}
  local copies, counted, paths = copy:modules(), {}, {""}
  for path in net:named_modules() do paths[#paths + 1] = path end
  for i, m in ipairs(net:modules()) do
    local n, trained = count_own(m, counted)
    local layer = {path = paths[i], class = m.class_name, signature = m:signature(), calls = 0,
                   parameters = n, trained = trained, flops = 0}
    layers[i] = layer
    handles[#handles + 1] = hooks.add("summary", copies[i], "forward_pre", function()
      if layer.calls == 0 then order[#order + 1] = layer end
      layer.calls = layer.calls + 1
    end)
    handles[#handles + 1] = hooks.add("summary", copies[i], "forward", function(_, _, ...)
      layer.output = first_size(...)
    end)
  end
  return layers, order, handles
end

-- Runs the network once, and says what it took.
local function run(net, inputs, handles)
  local random = pl.random_state()
  profile.start()
  local results = table.pack(pcall(pl.no_grad, net, table.unpack(inputs)))
  local report = profile.stop()
  pl.set_random_state(random)
  for _, handle in ipairs(handles) do handle:remove() end
  if not results[1] then error(results[2], 0) end
  return report
end

-- The arithmetic of each module by its name in a report.
local function arithmetic(report)
  local flops = {}
  for _, m in ipairs(report.modules) do
    local name = m.name:match "^(.-) %b()$" or m.name
    flops[name] = (flops[name] or 0) + m.flops
  end
  return flops
end

local function whole(flops)
  return math.tointeger(flops) or flops
end

-- On a copy of the network, so that nothing of it changes.
local function summarize(net, inputs)
  local copy = net:clone():eval():requires_grad_(false)
  local layers, order, handles = begin(net, copy)
  local report = run(copy, inputs, handles)
  local self, flops = {layers = order, parameters = 0, trained = 0}, arithmetic(report)
  self.flops, self.output = whole(report.flops), order[1].output
  for _, layer in ipairs(layers) do
    layer.flops = whole(flops[profiled_name(net, layer.path)] or 0)
    self.parameters = self.parameters + layer.parameters
    self.trained = self.trained + layer.trained
    if layer.calls == 0 then order[#order + 1] = layer end -- those not called stand at the end
  end
  return setmetatable(self, Summary)
end

--
-- As text
--

local function shape(size)
  return size and "[" .. table.concat(size, ",") .. "]" or ""
end

local function number(n)
  return n > 0 and words.thousands(n) or ""
end

local function rows_of(self)
  local rows = {{"path", "layer", "output", "parameters", "flops"}}
  for _, layer in ipairs(self.layers) do
    rows[#rows + 1] = {layer.path, layer.signature,
                       layer.calls > 0 and shape(layer.output) or "not called",
                       number(layer.parameters), number(layer.flops)}
  end
  rows[#rows + 1] = {"", "all", "", words.thousands(self.parameters), words.thousands(self.flops)}
  return rows
end

--- The summary as text: a row for each layer, in the order in which they are called, and one for
-- all together.
function Summary:__tostring()
  local lines = words.aligned(rows_of(self), {false, false, false, true, true})
  if self.trained < self.parameters then
    lines[#lines + 1] = ("%s of the parameters are trained"):format(words.thousands(self.trained))
  end
  return table.concat(lines, "\n")
end

local summary = {}

--- What a network computes of an input: the size of each layer's output, its parameters and its
-- arithmetic. The network stays as it is: a copy of it is run, in evaluation mode.
--
--     print(nn.summary(net, {1, 1, 28, 28}))
-- @param net module
-- @param input tensor; or its sizes, for zeros; or a list of these, for networks of several inputs
-- @return summary, which `print` shows as a table, with the fields `output` (sizes), `parameters`,
--   `trained` (those that require a gradient), `flops`, and `layers`, a list of tables: `path` in
--   the network, `class`, `signature`, `output` (of several tensors the first), `parameters` and
--   `flops` of its own, which are not those of modules inside it, and `calls`, how often it was
--   called. flops are additions and multiplications by the formulas of `pl.profile`: 2 m n k of a
--   matrix product
function summary.summary(net, input)
  if not fields.is_module(net) then
    complain("summary: module expected, got %s", check.type(net))
  end
  return pl.tidy(summarize, net, inputs_of(input))
end

return summary
