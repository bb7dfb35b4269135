-- Writes the reference page: perilune scripts/reference.lua > docs/reference.md
-- All that it says comes from the table of ops and from the doc comments of the Lua library.
local core = require "perilune.core"
local sorted_keys = require("perilune.internal.words").sorted_keys
local doc = require "perilune.help.doc"
local entries = require "perilune.help.entries"
local groups = require "perilune.help.groups"
local names = require "perilune.help.names"
local sources = require "perilune.sources"

local function say(...)
  io.write(string.format(...), "\n")
end

-- Text of a doc comment: it is Markdown as it is, but for what would start a heading.
local function prose(text)
  if text ~= "" then say("%s\n", (text:gsub("%f[^\n\0]#", "\\#"))) end
end

local function anchor(title)
  return (title:lower():gsub("[^%w%s_-]", ""):gsub("%s", "-"))
end

--
-- Arguments and results
--

local function param_line(param)
  local extra = param.default and (" (default `%s`)"):format(param.default)
    or param.optional and " (optional)" or ""
  local words = param.text ~= "" and ": " .. param.text or ""
  return ("- `%s`%s%s"):format(param.name, words, extra)
end

local function details(entry)
  for _, param in ipairs(entry.params) do say("%s", param_line(param)) end
  for _, result in ipairs(entry.returns) do say("- returns %s", result.text) end
  if #entry.params + #entry.returns > 0 then say("") end
end

-- What an op becomes in a graph of ONNX.
local function onnx(entry)
  local row = entry.signature and core.op(entry.name)
  if not row then return end
  local why = row.onnx and row.onnx:match "^refuse '(.*)'$"
  if why then say("In ONNX: nothing; %s.\n", why)
  else say("In ONNX: %s\n", row.onnx and "`" .. row.onnx .. "`" or "the ops that it is made of.") end
end

local function thing(entry, name)
  say("#### `%s`\n", entry.signature or doc.signature(entry, name))
  prose(entry.text)
  onnx(entry)
  details(entry)
  local lines = entry.signature and entries.example(entry.name)
  if lines then say("%s\n", (("\n" .. lines):gsub("\n", "\n    "):sub(2))) end
end

--
-- The engine
--

local function engine_groups()
  local list = {}
  for _, group in ipairs(groups.list(entries.bound_names())) do
    if #group > 0 then list[#list + 1] = group end
  end
  return list
end

local indexing <const> = [[
**`t[i] == 0` is false, without a word, where `t[i]` is a tensor**: Lua compares a tensor with a number
without asking anybody. `t[i]` is a number where no gradient is recorded for `t`, and a tensor without dims
where one is; `t[i]:item()` is always right for the latter, and `t:detach()[i]` is always a number.

| key | what `t[key]` is |
|---|---|
| integer `i` | row `i`, which shares the memory of `t`; of a tensor of one dim the element. -1 is the last; one beyond the last is nil, so that `ipairs(t)` ends; others raise |
| `{i, j}` | one entry for each dim, in order; dims without an entry stay whole. With an integer for each dim it is the element |
| `{{first, last}}`, `{{first, last, step}}` | a range as an entry: the positions from `first` to `last`, both included; negative ones count from the end, a negative step runs backwards; `{}` is the whole dim. It shares the memory of `t` |
| uint8 tensor in the shape of `t` | a mask: the elements where it is not 0, in row-major order, as a new tensor of one dim |
| int32 tensor `[n]` | a new tensor of the rows that it names, which may repeat; of those of a tensor of one dim the elements |

An element is a Lua number: an integer of int32 and uint8, a float of real tensors. While a gradient is
recorded for `t` it is a tensor without dims, with its history: a copy, which a later change of `t` does
not reach. Arithmetic, printing, `item()` and every function that takes a number take it; `<` raises.

    local w = pl.tensor({1, 2}):requires_grad_()
    (w[1] * w[2]):backward()          -- w.grad is {2, 1}
    pl.tensor {w[1] * w[1], 5, w[2]}  -- has the history of its elements

`t[key] = v` writes a number, or a tensor that broadcasts to the part; with a mask `v` may have as many
elements as the mask has ones, with row numbers as many rows. It is not recorded: under recording `v` must
have no history, and `t` must not require a gradient. The same holds for the methods that end in `_`.
`cat`, `stack` and `where` make tensors of parts that have a history; inside `no_grad` writing is free.]]

-- Where the values or gradients of ops differ from PyTorch's; the tests of the ops and their oracle
-- leave these out.
local function edges()
  say("### At the edges\n")
  prose([[
Gradients are the same whether a graph of them is asked for or not, also at ties, zeros, infinities and
NaN. Values and gradients are those of PyTorch 2, but for these:

| where | here | PyTorch |
|---|---|---|
| equal values in `amax`, `amin`, and in `max`, `min`, `median` without dim | the gradient is that of the first, of `median` that of the one in the middle | shared among them |
| equal values in `maximum`, `minimum` | the gradient is that of a | shared |
| NaN in `amax`, `amin` | the gradient is that of the first NaN | NaN for all |
| NaN in `maximum`, `minimum` | the gradient is that of b | that of both |
| NaN in `relu`, `hardtanh` | the gradient is 0 | 1 |
| NaN in `elu`, `selu`, `hardswish` | the gradient is NaN | 1 |
| `sign` of NaN | NaN | 0 |
| `hardswish` of -infinity, `gelu` of infinity | 0, infinity | NaN |
| `logsumexp` of equal numbers beyond 2^24 | the gradients sum to 1 | each is 1 |
| `norm` of numbers whose squares overflow or vanish | right, with its gradient | infinite or 0 |
| the gradient of the gradient of `norm` where it is 0 | 0 | NaN |
| the gradient of the gradient of `elu`, `selu` at 0 | that of the side below 0 | 0 |
| `prod`, `cumprod` beside infinities and NaN | the gradient is the product of the other factors | NaN |
| `quantile` between two equal infinities | infinite | NaN |
| `nanmean` of NaN alone | the gradient is 0 | NaN |
| the mean of `var_mean` beside infinities, and the gradient of `var` there | that of `mean`; NaN | NaN; infinite |
| `x ^ 0.5` of -infinity | infinity, as `pow` of C | NaN |
| the gradient of the gradient of `a ^ b` where a is 0 | 0 | NaN |

Shapes, and what is refused, are those of PyTorch too, but for these:

| where | here | PyTorch |
|---|---|---|
| `cov`, `corrcoef` of a matrix of one row | a matrix [1,1] | a tensor without dims |
| dims 1 and -1 of a tensor without dims | refused | taken |
| `median` of nothing | refused | NaN |
| `cat` of an empty vector and tensors of more dims | refused | the vector is left out |
| an index for `gather` that is smaller in other dims | refused: `x:slice(...)` first | the first of these are read |
| an index without dims for `index_select` | refused: `x:select(dim, i)` | taken as a vector |
| one example without its dim n, for `cross_entropy` and `nll_loss` | refused: `x:unsqueeze(1)` | taken |
| a bias of one element for `linear` of several units | refused | repeated |
| `bmm` of two matrices | their product | refused |
| `batch_norm` in training of an empty batch | refused | an empty result |
| padding of a pooling beyond half a window | taken, if less than the window | refused |]])
end

local dtypes <const> = [[
A tensor is real (float, or double in a build that says so), int32 or uint8; comparisons give uint8, of 0 and
1. Without a dtype tensors are made real, `pl.tensor {1, 2}` and `pl.arange(1, 5)` too. Where inputs of several
dtypes meet, real goes before int32, and int32 before uint8; a Lua float (`1.0` is one: `math.type`) is real, a
Lua integer is of the integers that it stands beside. Numbers alone, without a tensor, are real.

    local a, mask = pl.tensor({1, 2, 3}, "int32"), pl.tensor({1, 0, 1}, "uint8")
    a + 1       -- int32 {2, 3, 4}
    a + 1.0     -- real {2, 3, 4}
    1 - mask    -- int32 {0, 1, 0}
    a / 2       -- real {0.5, 1, 1.5}
    a // 2      -- int32 {0, 1, 1}
    -a % 3      -- int32 {2, 1, 0}
    ~mask & a:gt(1)  -- uint8 {0, 1, 0}

**Nothing is lost in silence.** An int32 result beyond -2147483648 to 2147483647 is an error that names the values
and the position, in sums too; `to("real")` has room. So is what does not fit a tensor that it is written into: by
`pl.tensor`, `pl.full`, `pl.arange`, `t[i] = v`, and the methods that end in `_`, which then change nothing.
`to("int32")` and `to("uint8")` round towards zero, and refuse NaN and what is out of range. A division of
integers by 0 is an error; `/` is one of real numbers. Comparisons of int32 tensors with tensors and with numbers
are exact, also beyond 16777216, where a float no longer holds every integer. Integers have no gradient; beside a
real tensor they are constants. `a == b` of tensors is a question of identity; use `a:eq(b)`.

What the ops make of integers:]]

local differences <const> = [[
Beside PyTorch, as a comparison of some 1,200 drawn calls found it:

- Arithmetic of uint8 is that of int32, where PyTorch goes on from 255 to 0: `abs`, `clamp`, `maximum`, `sign` and
  their like give int32 too.
- There is no int64: sums, products and positions are int32, and sums and products that do not fit are errors.
- There is no bool: comparisons give uint8, and so `~` of uint8 takes 0 and 1 alone, and makes 1 and 0 of them.
- `a ^ b` is real. `//`, `%` and `fmod` of integers refuse 0.
- `clamp` of integers takes whole bounds; convert for others.
- `where` and `masked_fill` with a number that does not fit uint8 give int32, with a Lua float real.
- `mean`, `var`, `std`, `norm`, `quantile`, `cov`, `frac` and the means without NaN take integers, as real numbers.
- `matmul` and its like, layers and losses refuse integers: they are made for real numbers, and a product of
  integers would soon not fit. Convert with `to("real")`.
- `randint` gives its upper end too, as `math.random` does. `rand`, `randn`, `uniform_` and `normal_` refuse integers.
- `bincount`, `unique` and `searchsorted` count positions from 1.]]

local words_for_integers <const> = {
  {"counted", "int32 gives int32, uint8 is taken as int32; beside a real tensor they become real"},
  {"moved", "elements keep their dtype"},
  {"read", "any dtype is taken; that of the result is always the same"},
  {"real", "integers become real"},
  {"refused", "real tensors only, but for labels, positions and masks"},
}

local function kinds_of_numbers()
  say("### Kinds of numbers\n")
  prose(dtypes)
  say("| integers | ops |\n|---|---|")
  for _, word in ipairs(words_for_integers) do
    local list = {}
    for _, name in ipairs(core.ops()) do
      if core.op(name).integers == word[1] then list[#list + 1] = "`" .. name .. "`" end
    end
    say("| %s | %s |", word[2], table.concat(list, " "))
  end
  say("")
  prose(differences)
end

local function engine()
  say("## The engine\n")
  prose([[
Names without `tensor:` are functions of `pl`. Those of ops, which take a tensor first, are methods
of tensors too: `pl.sum(x, 1)` and `x:sum(1)` are the same; those in a table of their own, such as
`pl.linalg`, are not. Arguments after the tensors may be
given by position or, in a table at the end, by name: `x:sum{dim = 1, keepdim = true}`; so may
tensors that may be left out. `name?` may be left out; `name=value` shows a default. Where a number is
expected a tensor without dims stands for its value. [names.md](names.md) sets these names beside
PyTorch's: which are the same, which are written otherwise, and what is absent.]])
  say("### Indexing\n")
  prose(indexing)
  edges()
  kinds_of_numbers()
  for _, group in ipairs(engine_groups()) do
    say("### %s\n", group.title)
    for _, name in ipairs(group) do thing(entries.bound(name)) end
  end
end

--
-- The Lua library
--

-- The parts of the library by their public names, in order.
local function parts()
  local list = {}
  for _, entry in ipairs(names.public(true)) do
    local module = names.module(entry.value)
    if module and entry.path ~= "pl" and doc.overview(module) then
      list[#list + 1] = {path = entry.path, module = module, value = entry.value}
    end
  end
  table.sort(list, function(a, b) return a.path < b.path end)
  table.insert(list, 1, {path = "pl", module = "perilune", value = require "perilune"})
  return list
end

-- The classes of a part, or its other fields; what the engine has is above.
local function fields(part, classes)
  for _, key in ipairs(sorted_keys(part.value)) do
    local value, path = rawget(part.value, key), part.path .. "." .. key
    local entry = key:byte() ~= 95 and not names.module(value) and entries.of(value, path)
    if entry and not entry.signature and names.is_class(value) == classes then
      thing(entry, path)
    end
  end
end

-- Methods of objects, which may be written in an inner module that is no part itself.
local function methods(part, is_part)
  for _, module in ipairs(sources.modules) do
    local inside = module == part.module or part.path ~= "pl" and not is_part[module]
      and module:sub(1, #part.module + 1) == part.module .. "."
    for _, entry in ipairs(inside and entries.methods(module) or {}) do
      thing(entry, entry.owner .. ":" .. entry.name)
    end
  end
end

local function library()
  say("## The Lua library\n")
  local list, is_part = parts(), {}
  for _, part in ipairs(list) do is_part[part.module] = true end
  for _, part in ipairs(list) do
    say("### %s\n", part.path)
    if part.path ~= "pl" then prose(doc.overview(part.module).text) end
    fields(part, true)
    fields(part, false)
    methods(part, is_part)
  end
end

--
-- The page
--

local function contents()
  say("- [The engine](#the-engine)")
  say("  - [At the edges](#at-the-edges)")
  for _, group in ipairs(engine_groups()) do
    say("  - [%s](#%s)", group.title, anchor(group.title))
  end
  say("- [The Lua library](#the-lua-library)")
  for _, part in ipairs(parts()) do say("  - [%s](#%s)", part.path, anchor(part.path)) end
  say("")
end

say("# Reference\n")
say("<!-- Written by scripts/reference.lua; do not edit. -->\n")
prose(doc.overview("perilune").text)
contents()
engine()
library()
