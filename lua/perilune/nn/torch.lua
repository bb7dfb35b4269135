--- Networks from PyTorch and back: its names for what a network has.
--
-- Layers have PyTorch's fields, layouts and order of gates, so only names differ. Positions of a
-- list count from 0 there: `features.1.weight` is `features.0.weight`. The layers of an LSTM or GRU
-- are no modules there: `rnn.layers.1.weight_ih` is `rnn.weight_ih_l0`. A batch norm there counts
-- batches, in `num_batches_tracked`, which it needs for a momentum of None alone and which there is
-- none of here. A tensor that has two names there has both in a state, and here one.
-- @module perilune.nn.torch

local pl = require "perilune"
local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local option = require "perilune.internal.option"
local words = require "perilune.internal.words"
local fields = require "perilune.nn.fields"
local state = require "perilune.nn.state"

local torch = {}

local COUNTER <const> = "num_batches_tracked"

-- The cells of a recurrent module: weight_ih_l0 is the first one's.
local function visit_cells(cells, prefix, visit)
  for i, cell in ipairs(cells) do
    for _, key in ipairs(fields.sorted_keys(cell)) do
      local value = rawget(cell, key)
      if pl.is_tensor(value) then visit(("%s%s_l%d"):format(prefix, key, i - 1), value) end
    end
  end
end

-- Calls visit(name, tensor) for all names of all tensors below t, and visit(name) for counters.
-- `above` has the tables that t lies in.
local function walk(t, prefix, above, visit)
  if above[t] then return end
  above[t] = true
  for _, key in ipairs(fields.sorted_keys(t)) do
    local value, name = rawget(t, key), prefix .. (math.type(key) and key - 1 or key)
    if pl.is_tensor(value) then
      if not fields.is_activation(name, value) then visit(name, value) end
    elseif key == "layers" and t.is_recurrent then
      visit_cells(value, prefix, visit)
    elseif fields.is_searched(value) then
      walk(value, name .. ".", above, visit)
    end
  end
  if t.counts_batches then visit(prefix .. COUNTER) end
  above[t] = nil
end

-- A list of {name = , value = tensor}, and a set of the names of counters.
local function named(net)
  local list, counters = {}, {}
  walk(net, "", {}, function(name, value)
    if value then list[#list + 1] = {name = name, value = value} else counters[name] = true end
  end)
  return list, counters
end

local function check_module(who, net)
  if not fields.is_module(net) then
    complain("%s: module expected, got %s", who, check.type(net))
  end
end

local function read_options(who, options, defaults)
  local o = option.read(who, options, defaults)
  if type(o.prefix) ~= "string" then
    complain("%s: prefix: string expected, got %s", who, check.shown(o.prefix))
  end
  return o
end

-- The part of a state behind the prefix that has a place in a network, and the names of the rest.
local function part_of(given, prefix, counters)
  local part, ignored = {}, {}
  for _, name in ipairs(words.sorted_keys(given)) do
    local inner = name:sub(1, #prefix) == prefix and name:sub(#prefix + 1)
    if not inner or counters[inner] then
      ignored[#ignored + 1] = name
    else
      part[inner] = given[name]
    end
  end
  return part, ignored
end

-- "module.", if all names of a state begin with it.
local function common_prefix(given)
  local first = next(given)
  local prefix = first and tostring(first):match "^[^.]+%."
  for name in next, prefix and given or {} do
    if tostring(name):sub(1, #prefix) ~= prefix then return nil end
  end
  return prefix
end

-- What PyTorch has and layers here have not.
local absent <const> = {
  ["_l%d+_reverse$"] = "there is no bidirectional layer here",
  ["weight_hr_l%d+$"] = "there is no proj_size here",
}

local function fits(own, given)
  for name in next, own do
    if not given[name] then return false end
  end
  return next(own) ~= nil
end

-- What is probably the matter, or "".
local function hint(net, given, report)
  if fits(net:state_dict(), given) then
    return "; the names are those of state_dict, which load_state_dict takes"
  end
  for _, name in ipairs(report.unexpected) do
    for pattern, why in next, absent do
      if name:find(pattern) then return "; " .. why end
    end
  end
  local prefix = common_prefix(given)
  return prefix and #report.missing > 0 and ("; {prefix = %q}?"):format(prefix) or ""
end

--- Copies the values of a state that PyTorch wrote into a network, by PyTorch's names.
--
--     # Python: safetensors.torch.save_file(net.state_dict(), "net.safetensors")
--     nn.from_torch(net, assert(pl.load "net.safetensors"))
--
-- The network is made like PyTorch's: modules in fields of the same names, or in a Sequential in
-- the same order, with those that have no parameters. Every name and shape must fit, or an error
-- names those that do not and nothing is changed; with `strict = false` what fits is copied.
-- Indices count from 1 here: row 1 of an embedding is its row 0, and so with classes. Options, such
-- as padding or eps, are no part of a state, nor is batch_first: sequences are [steps, batch, n].
-- @param net module
-- @param given table of tensors by PyTorch's names, as `pl.load` reads it
-- @param[opt={prefix="", strict=true}] options `prefix`: only names that begin so, such as
--   "module." of DataParallel, and without it
-- @return net
-- @return table of lists of names: `missing`, which the state does not have, `unexpected`, which
--   the network does not have, `mismatched`, with both shapes, and `ignored`: counters of batches,
--   and what does not begin with the prefix
-- @usage local _, rest = nn.from_torch(net, state, {prefix = "module.", strict = false})
function torch.from_torch(net, given, options)
  check_module("from_torch", net)
  if type(given) ~= "table" or fields.is_module(given) then
    complain("from_torch: table of tensors expected, got %s",
      fields.is_module(given) and "a module" or check.type(given))
  end
  local o = read_options("from_torch", options, {prefix = "", strict = true})
  local own, counters = named(net)
  local part, ignored = part_of(given, o.prefix, counters)
  local report = state.compare(own, part)
  local problem = o.strict and state.text(report)
  if problem then
    complain("from_torch: the state is not one of this %s: %s%s", net:signature(), problem,
      hint(net, given, report))
  end
  state.copy(own, part)
  report.ignored = ignored
  return net, report
end

--- The parameters and buffers of a network by PyTorch's names, for `load_state_dict` there. They
-- are not copies. Counters of batches are there too, and are 0.
--
--     pl.save("net.safetensors", nn.to_torch(net))
--     # Python: net.load_state_dict(safetensors.torch.load_file("net.safetensors"))
-- @param net module
-- @param[opt={prefix=""}] options `prefix`: what all names begin with
-- @return table of tensors by name
-- @usage for name, t in pairs(nn.to_torch(net)) do print(name, t) end
function torch.to_torch(net, options)
  check_module("to_torch", net)
  local o = read_options("to_torch", options, {prefix = ""})
  local own, counters = named(net)
  local tensors = {}
  for _, entry in ipairs(own) do tensors[o.prefix .. entry.name] = entry.value:detach() end
  for name in next, counters do tensors[o.prefix .. name] = pl.tensor(0, "int32") end
  return tensors
end

return torch
