--- Networks as a text and a list of tensors (internal): for programs in C that hand them from one
-- host to another. `perilune.save` and `perilune.load` stand on the same.
-- @module perilune.internal.transfer

local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local words = require "perilune.internal.words"
local describe = require "perilune.store.describe"
local fields = require "perilune.nn.fields"
local pack = require "perilune.store.pack"
local rebuild = require "perilune.store.rebuild"

local transfer = {}

local function described(net)
  local description = describe.new {}
  description:pack(net, "")
  local document = description:finish()
  rebuild.try(description, document)
  return pack.encoded(document), description.tensors
end

--- Describes a network. Raises an error that names what cannot be described.
-- @param net module
-- @return text, JSON
-- @return list of its tensors, themselves
function transfer.describe(net)
  if not fields.is_module(net) then
    complain("describe: module expected, got %s", check.type(net))
  end
  local ok, text, tensors = pcall(described, net)
  if not ok then complain("describe: %s", text) end
  local list = {}
  for i, name in ipairs(words.sorted_keys(tensors)) do list[i] = tensors[name] end
  return text, list
end

local function rebuilt(text, list)
  local document, tensors = pack.decoded(text), {}
  rebuild.check(document)
  local names = words.sorted_keys(document.tensors)
  if #names ~= #list then error(("%d tensors expected, got %d"):format(#names, #list), 0) end
  for i, name in ipairs(names) do tensors[name] = list[i] end
  local net = rebuild.with(document, tensors, function(module) return module "" end)
  rebuild.mark(document, tensors, false)
  return net
end

--- Makes a network from its description. The tensors themselves become its parameters and buffers:
-- they are neither copied nor written into, and none requires a gradient.
-- @param text what `describe` gave
-- @param list of tensors, in the order of `describe`
-- @return module
function transfer.rebuild(text, list)
  if type(text) ~= "string" or type(list) ~= "table" then
    complain("rebuild: text and list of tensors expected")
  end
  local ok, net = pcall(rebuilt, text, list)
  if not ok then complain("rebuild: %s", net) end
  return net
end

return transfer
