--- Networks as C (internal; use `perilune.export_c`).
-- @module perilune.export

local blame = require "perilune.internal.blame"
local check = require "perilune.internal.check"
local core = require "perilune.core"
local fields = require "perilune.nn.fields"
local layers = require "perilune.export.layers"
local option = require "perilune.internal.option"
local pieces = require "perilune.export.pieces"

local complain = blame.complain
local export = {}

--
-- Where the numbers lie: in `input`, in the two halves of `scratch`, at the end in `output`. Steps
-- that move numbers go from one half to the other, and others change them where they are.
--

-- The steps that do something. Numbers that nothing moves before they are changed are copied.
local function working(steps)
  local list, moved = {}, false
  for _, step in ipairs(steps) do
    if step.piece then
      if not moved and not step.moves then
        local n = layers.count(step.size)
        list[1] = {piece = "copy", moves = true, arguments = {n}, size = step.size}
      end
      list[#list + 1], moved = step, true
    end
  end
  if #list == 0 then
    local size = steps[#steps].size
    list[1] = {piece = "copy", moves = true, arguments = {layers.count(size)}, size = size}
  end
  return list
end

-- Says of each step where it reads and writes; gives how many numbers each half has.
local function place(steps)
  local last, halves, at = 0, {a = 0, b = 0}, "input"
  for i, step in ipairs(steps) do
    if step.moves then last = i end
  end
  for i, step in ipairs(steps) do
    step.from = at
    if step.moves then at = i == last and "output" or at == "a" and "b" or "a" end
    step.to = at
    if halves[at] then halves[at] = math.max(halves[at], layers.count(step.size)) end
  end
  return halves
end

--
-- Text
--

-- A number as C has it, whatever the locale's decimal point is.
local function literal(x)
  local text = ("%.9g"):format(x):gsub("[^%d%-+e]+", ".")
  return (text:find "[.e]" and text or text .. ".0") .. "f"
end

local PER_LINE <const> = 6
local FLT_MAX <const> = 0x1.fffffep127

-- What C has no number for is refused: weights beyond floats, which only a build in double has, or
-- what is infinite or NaN once a batch norm is a part of them.
local function check_range(name, x)
  if not (math.abs(x) <= FLT_MAX) then
    complain("export_c: %s has %g, which is no float", name, x)
  end
  return x
end

local function array_text(name, what, values)
  local lines = {}
  for first = 1, #values, PER_LINE do
    local row = {}
    for i = first, math.min(first + PER_LINE - 1, #values) do
      row[#row + 1] = literal(check_range(what, values[i]))
    end
    lines[#lines + 1] = "  " .. table.concat(row, ", ")
  end
  return ("static const float %s[%d] = {\n%s\n};\n"):format(name, #values,
    table.concat(lines, ",\n"))
end

local function shape(size)
  return table.concat(size, " x ")
end

-- The name of what belongs to a layer: lenet_2_1_weight.
local function name_of(name, path, what)
  return name .. (path == "" and "" or "_" .. path:gsub("%.", "_")) .. "_" .. what
end

local WINDOW <const> = {
  {"channels", "height", "width"}, {"out_channels", "out_height", "out_width"},
  {"kernel_height", "kernel_width"}, {"stride_down", "stride_right"},
  {"padding_above", "padding_left"}, {"dilation_down", "dilation_right"},
}

local function window_text(name, step)
  local lines = {}
  for i, names in ipairs(WINDOW) do
    local row = {}
    for j, field in ipairs(names) do row[j] = (".%s = %d"):format(field, step.window[field]) end
    lines[i] = "  " .. table.concat(row, ", ")
  end
  return ("static const %s_moves %s = {\n%s\n};\n"):format(name,
    name_of(name, step.path, "window"), table.concat(lines, ",\n"))
end

-- What a step does, for people: `1: Conv2d(1, 6, 5): 6 x 24 x 24`.
local function comment_of(step)
  if not step.path then return "a copy, to be changed" end
  return ("%s%s%s: %s"):format(step.path == "" and "" or step.path .. ": ", step.text,
    step.folded and (" and the batch norm %s"):format(step.folded) or "", shape(step.size))
end

local function argument_text(name, step, argument)
  if type(argument) == "table" then return name_of(name, step.owner, argument.array) end
  if math.type(argument) ~= "float" then return tostring(argument) end
  return literal(check_range(step.text, argument))
end

local function call_text(name, step)
  local arguments = step.moves and {step.from, step.to} or {step.to}
  if step.window then arguments[#arguments + 1] = "&" .. name_of(name, step.path, "window") end
  for _, argument in ipairs(step.arguments) do
    arguments[#arguments + 1] = argument_text(name, step, argument)
  end
  return ("  /* %s */\n  %s_%s(%s);\n"):format(comment_of(step), name, step.piece,
    table.concat(arguments, ", "))
end

-- The functions that are called, and the headers that they need.
local function pieces_text(name, steps)
  local used, texts, needs_math = {}, {}, false
  for _, step in ipairs(steps) do
    used[step.piece] = true
    if step.window then used.window = true end
  end
  for _, piece in ipairs(pieces.list) do
    if used[piece.name] then
      texts[#texts + 1] = piece.text:gsub("NAME", name)
      needs_math = needs_math or piece.math
    end
  end
  return table.concat(texts, "\n"), needs_math
end

-- Arrays and windows of all steps, and how many numbers the arrays have; a layer that is called
-- twice has its arrays once.
local function data_text(name, steps)
  local texts, written = {}, 0
  for _, step in ipairs(steps) do
    if step.window then texts[#texts + 1] = window_text(name, step) end
    for _, array in ipairs(step.owner == step.path and step.arrays or {}) do
      texts[#texts + 1] = array_text(name_of(name, step.path, array.name),
        step.path == "" and array.name or step.path .. "." .. array.name, array.values)
      written = written + #array.values
    end
  end
  return table.concat(texts, "\n"), written
end

local HEAD <const> = [[
/* A network as C99: call NAME_forward with one example and memory for its result.
**
**     float input[NAME_INPUT], output[NAME_OUTPUT];
**     static float scratch[NAME_SCRATCH];
**     NAME_forward(input, output, scratch);
**
** The input is SHAPE_IN numbers, the output SHAPE_OUT, row after row. The three arrays must not
** overlap, and what is in scratch does not matter. Nothing is allocated, nothing is kept. Include
** this file in one source file. Its weights are PARAMETERS numbers.
*/
]]

local BODY <const> = [[
/* From an example to its result. */
static inline void NAME_forward(const float *input, float *output, float *scratch)
{
HALVES
CALLS}
]]

local function halves_text(halves)
  if halves.a == 0 then return "  (void)scratch;\n" end
  if halves.b == 0 then return "  float *const a = scratch;\n" end
  return ("  float *const a = scratch, *const b = scratch + %d;\n"):format(halves.a)
end

local function filled(template, values)
  return (template:gsub("[%u_]+", values))
end

local function header_text(name, size, all)
  local steps, calls, macro = working(all), {}, name:upper()
  local halves, result = place(steps), all[#all].size
  for i, step in ipairs(steps) do calls[i] = call_text(name, step) end
  local functions, needs_math = pieces_text(name, steps)
  local arrays, written = data_text(name, steps)
  local sizes = ("#define %s_INPUT %d /* %s */\n#define %s_OUTPUT %d /* %s */\n"
    .. "#define %s_SCRATCH %d\n"):format(macro, layers.count(size), shape(size), macro,
    layers.count(result), shape(result), macro, math.max(halves.a + halves.b, 1))
  return table.concat({
    filled(HEAD, {
      NAME_INPUT = macro .. "_INPUT", NAME_OUTPUT = macro .. "_OUTPUT",
      NAME_SCRATCH = macro .. "_SCRATCH", NAME_ = name .. "_", SHAPE_IN = shape(size),
      SHAPE_OUT = shape(result), PARAMETERS = written,
    }),
    ("#ifndef %s_H\n#define %s_H\n%s"):format(macro, macro,
      needs_math and "\n#include <math.h>\n" or ""),
    sizes, functions, arrays,
    filled(BODY, {NAME_ = name .. "_", HALVES = halves_text(halves), CALLS = table.concat(calls)}),
    "#endif\n",
  }, "\n")
end

--
-- The function
--

local function size_of(input)
  if math.type(input) then input = {input} end
  if type(input) ~= "table" or #input == 0 or getmetatable(input) ~= nil then
    complain("export_c: input: the size of one example expected, such as {1, 28, 28}, got %s",
      check.shown(input))
  end
  local size = {}
  for i, n in ipairs(input) do size[i] = check.count("export_c", "input", n) end
  return size
end

local function name_for(path, name)
  name = name or path:match "([^/]*)$":gsub("%.[^.]*$", "")
  if type(name) ~= "string" or not name:find "^[%a_][%w_]*$" then
    complain("export_c: name: a name of C expected, letters, digits and _, got %s",
      check.shown(name))
  end
  return name
end

--- Writes a network as a header of C99, for programs and microcontrollers without this library.
--
--     pl.export_c("lenet.h", net:eval(), {input = {1, 28, 28}})
--
-- The header has the weights as arrays of float, the sizes as macros, and the function
-- `void lenet_forward(const float *input, float *output, float *scratch)`, which takes one example.
-- It allocates nothing and needs no more than math.h. Of networks it takes `nn.Sequential`, nested
-- too, of Linear, Conv2d, MaxPool2d, AvgPool2d, BatchNorm1d, BatchNorm2d, LayerNorm, Flatten,
-- Unflatten, Identity, Dropout, ReLU, LeakyReLU, Tanh, Sigmoid, Softplus, Softmax and LogSoftmax. A
-- batch norm right behind a Linear or a Conv2d becomes a part of its weights.
-- @param path of the file, which is written whole or not at all
-- @param net module in evaluation mode; it is an error if it is in training mode, or has other
--   layers
-- @param options `input`: the size of one example, an integer or a list; `name`: what the names of
--   the header begin with (the name of the file)
-- @return true, or nil and a message
function export.export_c(path, net, options)
  check.path("export_c", path)
  if not fields.is_module(net) then
    complain("export_c: network expected, got %s", check.type(net))
  end
  local o = option.read("export_c", options, {input = option.required, name = option.absent})
  local size, name = size_of(o.input), name_for(path, o.name)
  local steps = blame.blaming(layers.steps, net, size)
  if #steps == 0 then complain "export_c: the network has no layers" end
  return core.write_file(path, header_text(name, size, steps))
end

return export
