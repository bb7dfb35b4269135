--- Recurrent layers: embeddings, LSTM and GRU over whole sequences, their single steps, and
-- dropout with one mask for all steps. Sequences are time-major, x [steps, batch, n].
--
--     local words, rnn = nn.Embedding(10000, 200), nn.LSTM(200, 200, {num_layers = 2})
--     local state
--     for x, y in stream do
--       pl.tidy(function()
--         local out
--         out, state = rnn(words(x), state)
--         ...
--         state = nn.detach(state) -- carried on to the next part of the text, without its past
--       end)
--     end
-- @module perilune.nn.recurrent

local pl = require "perilune"
local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local option = require "perilune.internal.option"
local shape_of = require("perilune.internal.words").shape
local module = require "perilune.nn.module"

local class, parameter = module.class, module.parameter
local recurrent = {}

local function check_probability(who, what, p)
  p = check.unwrapped(p)
  if type(p) ~= "number" or not (p >= 0 and p < 1) then
    complain("%s: %s: number in [0, 1) expected, got %s", who, what, check.shown(p))
  end
  return p
end

-- Dropout of a sequence with the same mask at every step.
local function locked_dropout(x, p)
  local size = x:size()
  size[1] = 1
  return x * pl.dropout(pl.ones(size), p, true)
end

--
-- Layers around the recurrent ones
--

--- A vector for each word: int32 token ids from 1, of any shape, -> [..., n].
--
-- With `dropout` whole words are left out in training (Gal and Ghahramani 2016): each with
-- that probability, everywhere in the batch at once, the others scaled up. The vector of the word
-- `padding_idx`, which fills up rows, is zero at first and gets no gradient.
-- @param words number of words
-- @param n size of a vector
-- @param[opt={dropout=0, padding_idx=none}] options
recurrent.Embedding = class "Embedding"
local Embedding = recurrent.Embedding

function Embedding:init(words, n, options)
  words = check.count("Embedding", "number of words", words)
  n = check.count("Embedding", "size of a vector", n)
  local o = option.read("Embedding", options, {dropout = 0, padding_idx = option.absent})
  self.dropout = check_probability("Embedding", "dropout", o.dropout)
  self.weight = parameter(pl.randn(words, n))
  if o.padding_idx == nil then return end
  self._padding = math.tointeger(check.unwrapped(o.padding_idx))
  if not self._padding or self._padding < 1 or self._padding > words then
    complain("Embedding: padding_idx: 1 to %d expected, got %s", words, check.shown(o.padding_idx))
  end
  pl.no_grad(function() self.weight[self._padding] = 0 end)
end

function Embedding:forward(index)
  local x = pl.embedding(index, self.weight)
  if self._padding then x = pl.where(index:eq(self._padding):unsqueeze(-1), x:detach(), x) end
  if not self.training or self.dropout == 0 then return x end
  local mask = pl.dropout(pl.ones(self.weight:size(1), 1), self.dropout, true)
  return x * pl.embedding(index, mask)
end

function Embedding:extra()
  return ("%d, %d%s%s"):format(self.weight:size(1), self.weight:size(2),
    self._padding and (", padding_idx=%d"):format(self._padding) or "",
    self.dropout == 0 and "" or (", dropout=%g"):format(self.dropout))
end

--- Dropout of a sequence x [steps, batch, n] with one mask for all steps, the so-called
-- variational dropout (Gal and Ghahramani 2016). In evaluation mode it does nothing.
-- @param[opt=0.5] p probability
recurrent.LockedDropout = class "LockedDropout"
local LockedDropout = recurrent.LockedDropout

function LockedDropout:init(p)
  self.p = check_probability("LockedDropout", "p", p or 0.5)
end

function LockedDropout:forward(x)
  if not self.training or self.p == 0 then return x end
  if x:dim() ~= 3 then
    complain("LockedDropout: input [steps, batch, n] expected, got %s", shape_of(x))
  end
  return locked_dropout(x, self.p)
end

function LockedDropout:extra()
  return ("%g"):format(self.p)
end

--
-- Single steps
--

-- What LSTMCell and GRUCell share: the parameters. `gates` is how many each unit has.
local Cell = class "Cell"

function Cell:init(n_in, n_hidden, options)
  local who = self.class_name
  n_in = check.count(who, "number of inputs", n_in)
  n_hidden = check.count(who, "number of units", n_hidden)
  local o = option.read(who, options, {bias = true})
  local bound, rows = 1 / math.sqrt(n_hidden), self.gates * n_hidden
  local function new(...) return parameter(pl.empty(...):uniform_(-bound, bound)) end
  self.weight_ih, self.weight_hh = new(rows, n_in), new(rows, n_hidden)
  if o.bias then self.bias_ih, self.bias_hh = new(rows), new(rows) end
end

-- The cell over a sequence with the given recurrent weights, from the states in `first`.
function Cell:run(x, weight_hh, first)
  return self.op(x, self.weight_ih, weight_hh, self.bias_ih, self.bias_hh, table.unpack(first))
end

function Cell:extra()
  return ("%d, %d%s"):format(self.weight_ih:size(2), self.weight_hh:size(2),
                             self.bias_ih and "" or ", bias=false")
end

local function is_real(t)
  return pl.is_tensor(t) and t:dtype() == "real"
end

local function describe(value)
  return pl.is_tensor(value) and value:dtype() .. shape_of(value) or check.type(value)
end

-- Complains unless each state is a real tensor of the given size.
local function check_states(who, names, states, size)
  local expected = "[" .. table.concat(size, ",") .. "]"
  for i, name in ipairs(names) do
    local state = states[i]
    if not is_real(state) or shape_of(state) ~= expected then
      complain("%s: state %s is %s, expected real%s", who, name, describe(state), expected)
    end
  end
end

-- A state as the list of its tensors: that of an LSTM is {h, c}, that of a GRU is h.
local function state_list(self, state)
  if state == nil then return {} end
  if #self.states == 1 then return {state} end
  if type(state) ~= "table" then
    complain("%s: state {h, c} expected, got %s", self.class_name, describe(state))
  end
  return state
end

-- The reverse of it.
local function as_state(self, list)
  return #self.states == 1 and list[1] or list
end

local function check_input(self, x, sizes, n)
  if not is_real(x) or x:dim() ~= #sizes + 1 or x:size(-1) ~= n then
    complain("%s: input real[%s,%d] expected, got %s", self.class_name, table.concat(sizes, ","), n,
      describe(x))
  end
end

function Cell:forward(x, state)
  check_input(self, x, {"batch"}, self.weight_ih:size(2))
  local batch, units = x:size(1), self.weight_hh:size(2)
  local first = state_list(self, state)
  if state ~= nil then check_states(self.class_name, self.states, first, {batch, units}) end
  local last = table.pack(self:run(x:reshape(1, batch, -1), self.weight_hh, first))
  table.remove(last, 1)
  return last[1], as_state(self, {table.unpack(last)})
end

--- One step of an LSTM: `h, state = cell(x, state)` with x [batch, n_in], the state {h, c} of
-- two tensors [batch, n_hidden]; without a state it begins with zeros.
--
-- Parameters are as in PyTorch: `weight_ih` [4 n_hidden, n_in], `weight_hh` [4 n_hidden,
-- n_hidden], `bias_ih` and `bias_hh`, with the gates input, forget, cell, output in this order,
-- at first uniform in ±1/sqrt(n_hidden).
-- @param n_in number of inputs
-- @param n_hidden number of units
-- @param[opt={bias=true}] options
recurrent.LSTMCell = class("LSTMCell", Cell)
recurrent.LSTMCell.gates, recurrent.LSTMCell.states = 4, {"h", "c"}
recurrent.LSTMCell.op = pl.lstm

--- One step of a GRU: `h, state = cell(x, state)` with x [batch, n_in]; the state is h
-- [batch, n_hidden] itself; without one it begins with zeros.
--
-- Parameters are as in PyTorch: `weight_ih` [3 n_hidden, n_in], `weight_hh` [3 n_hidden,
-- n_hidden], `bias_ih` and `bias_hh`, with the gates reset, update, new in this order, at
-- first uniform in ±1/sqrt(n_hidden).
-- @param n_in number of inputs
-- @param n_hidden number of units
-- @param[opt={bias=true}] options
recurrent.GRUCell = class("GRUCell", Cell)
recurrent.GRUCell.gates, recurrent.GRUCell.states = 3, {"h"}
recurrent.GRUCell.op = pl.gru

--
-- Sequences
--

local LAYER_OPTIONS <const> = {
  num_layers = 1, dropout = 0, bias = true, variational = false, weight_dropout = 0,
}

-- What LSTM and GRU share: cells one above the other, each over the whole sequence.
local Recurrent = class "Recurrent"
Recurrent.is_recurrent = true

function Recurrent:init(n_in, n_hidden, options)
  local who = self.class_name
  n_in = check.count(who, "number of inputs", n_in)
  n_hidden = check.count(who, "number of units", n_hidden)
  local o = option.read(who, options, LAYER_OPTIONS)
  check.count(who, "num_layers", o.num_layers)
  self.dropout = check_probability(who, "dropout", o.dropout)
  self.weight_dropout = check_probability(who, "weight_dropout", o.weight_dropout)
  self.variational, self.layers = o.variational, {}
  for i = 1, o.num_layers do
    self.layers[i] = self.cell(i == 1 and n_in or n_hidden, n_hidden, {bias = o.bias})
  end
end

-- Dropout on the way from one layer to the next.
local function drop_between(self, y)
  if not self.training or self.dropout == 0 then return y end
  return self.variational and locked_dropout(y, self.dropout) or pl.dropout(y, self.dropout, true)
end

local function recurrent_weight(self, cell)
  if not self.training or self.weight_dropout == 0 then return cell.weight_hh end
  return pl.dropout(cell.weight_hh, self.weight_dropout, true)
end

-- The states of one layer.
local function states_of_layer(states, i)
  local list = {}
  for k, state in ipairs(states) do list[k] = state:select(1, i) end
  return list
end

-- From lists of the layers' last states to one tensor [layers, batch, units] of each kind.
local function join_layers(self, last)
  local joined = {}
  for k = 1, #self.states do
    local list = {}
    for i, states in ipairs(last) do list[i] = states[k + 1] end
    joined[k] = pl.stack(list, 1)
  end
  return joined
end

function Recurrent:forward(x, state)
  local cell = self.layers[1]
  check_input(self, x, {"steps", "batch"}, cell.weight_ih:size(2))
  local first = state_list(self, state)
  if state ~= nil then
    check_states(self.class_name, self.states, first,
                 {#self.layers, x:size(2), cell.weight_hh:size(2)})
  end
  local y, last = x, {}
  for i, layer in ipairs(self.layers) do
    if i > 1 then y = drop_between(self, y) end
    last[i] = table.pack(layer:run(y, recurrent_weight(self, layer), states_of_layer(first, i)))
    y = last[i][1]
  end
  return y, as_state(self, join_layers(self, last))
end

function Recurrent:extra()
  local cell, texts = self.layers[1], {}
  for _, name in ipairs {"dropout", "weight_dropout"} do
    if self[name] > 0 then texts[#texts + 1] = (", %s=%g"):format(name, self[name]) end
  end
  if self.variational then texts[#texts + 1] = ", variational=true" end
  if #self.layers > 1 then table.insert(texts, 1, (", num_layers=%d"):format(#self.layers)) end
  return cell:extra() .. table.concat(texts)
end

--- Layers of an LSTM (Hochreiter and Schmidhuber 1997) over a sequence: `y, state = rnn(x,
-- state)` with x [steps, batch, n_in] and y [steps, batch, n_hidden]. The state is {h, c},
-- each [num_layers, batch, n_hidden]; without one it begins with zeros.
--
-- `dropout` acts between layers, not on the way from step to step (Zaremba et al. 2014); with
-- `variational` it has one mask for all steps. `weight_dropout` drops values of the recurrent
-- weights, the same at all steps (Merity et al. 2017). Both only in training. The field
-- `layers` holds the layers' parameters, each as in `LSTMCell`: `layers.1.weight_ih`, ...
-- @param n_in number of inputs
-- @param n_hidden number of units
-- @param[opt={num_layers=1, dropout=0, bias=true, variational=false, weight_dropout=0}] options
recurrent.LSTM = class("LSTM", Recurrent)
recurrent.LSTM.cell, recurrent.LSTM.states = recurrent.LSTMCell, {"h", "c"}

--- Layers of a GRU (Cho et al. 2014) over a sequence: `y, state = rnn(x, state)` with x
-- [steps, batch, n_in] and y [steps, batch, n_hidden]. The state is a tensor [num_layers,
-- batch, n_hidden]; without one it begins with zeros. The options are those of `LSTM`; the
-- parameters of each layer are as in `GRUCell`.
-- @param n_in number of inputs
-- @param n_hidden number of units
-- @param[opt={num_layers=1, dropout=0, bias=true, variational=false, weight_dropout=0}] options
recurrent.GRU = class("GRU", Recurrent)
recurrent.GRU.cell, recurrent.GRU.states = recurrent.GRUCell, {"h"}

--- The values of a state without its history, for the next part of a sequence. They outlive
-- `pl.tidy`.
-- @param state tensor, or table of tensors, or nil
-- @return the same with other tensors
function recurrent.detach(state)
  if state == nil then return nil end
  if pl.is_tensor(state) then return pl.keep(state:detach()) end
  if type(state) ~= "table" then
    complain("detach: tensor or table of tensors expected, got %s", check.type(state))
  end
  local result = {}
  for key, value in next, state do result[key] = recurrent.detach(value) end
  return result
end

return recurrent
