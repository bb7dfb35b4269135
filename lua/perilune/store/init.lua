--- Saving and loading of plain tables and networks (internal; use `perilune.save` and
-- `perilune.load`).
--
-- A file is a safetensors archive: the tensors under the path at which they were found
-- (`model.1.weight`), and in the archive's metadata the rest of the table as JSON, and how the
-- networks in it are made.
-- @module perilune.store

local blame = require "perilune.internal.blame"
local check = require "perilune.internal.check"
local core = require "perilune.core"
local option = require "perilune.internal.option"
local fields = require "perilune.nn.fields"
local describe = require "perilune.store.describe"
local pack = require "perilune.store.pack"
local rebuild = require "perilune.store.rebuild"

local blaming, complain = blame.blaming, blame.complain
local store = {}

-- The metadata entries that hold the structure, and the description of the networks.
local KEY <const>, NETWORKS <const> = "perilune", "perilune.networks"

-- How plain tables are packed: their tensors go to `tensors`, and their networks to a description.
local function packing(tensors)
  local how = {keys = pack.all_keys}
  function how.other(value, path)
    if fields.is_module(value) then
      how.description = how.description or describe.new(tensors)
      return how.description:pack(value, path)
    elseif not check.is_tensor(value) then
      pack.unknown(value, path)
    elseif tensors[path] then
      pack.refuse(path, "names two tensors")
    end
    tensors[path] = value
    return {["$tensor"] = path}
  end
  return how
end

-- The texts of the metadata.
local function pack_all(value, tensors)
  local how = packing(tensors)
  local texts = {[KEY] = pack.encoded(pack.value(value, "", how, {}))}
  if how.description then
    local document = how.description:finish()
    texts[NETWORKS] = pack.encoded(document)
    rebuild.try(how.description, document)
  end
  return texts
end

-- What a file of NumPy's can hold.
local function save_array(path, value)
  if not check.is_tensor(value) then
    complain("save: %s is one NumPy array; tensor expected, got %s", path, check.type(value))
  end
  return core.write_npy(path, value)
end

local function save_arrays(path, value, compress)
  if type(value) ~= "table" or getmetatable(value) then
    complain("save: %s has NumPy arrays by name; a plain table of tensors expected, got %s", path,
      type(value) == "table" and "an object" or check.type(value))
  end
  for name, tensor in next, value do
    if type(name) ~= "string" then
      complain("save: %s has NumPy arrays by name, such as {x = a, y = b}; got the key %s", path,
        check.shown(name))
    elseif not check.is_tensor(tensor) then
      complain("save: %s has NumPy arrays by name; '%s' is a %s", path, name,
        check.type(tensor))
    end
  end
  return core.save_npz(path, value, compress)
end

-- The options of save, which are of one kind of file each.
local OPTIONS <const> = {dtype = option.absent, convert = false, compress = false}
local OF <const> = {dtype = "safetensors", convert = "safetensors", compress = "npz"}

-- The options for a file of a kind.
local function read_options(path, options, kind)
  local o = option.read("save", options, OPTIONS)
  for _, name in ipairs {"dtype", "convert", "compress"} do
    if o[name] and OF[name] ~= kind then
      complain("save: %s is a .%s file; option '%s' is one of .%s files", path, kind, name,
        OF[name])
    end
  end
  if o.dtype and type(o.dtype) ~= "string" then
    complain("save: dtype: string expected, got %s", check.shown(o.dtype))
  end
  return o
end

--- Saves a network, or a plain table: networks, tensors, numbers, strings, booleans and tables of
-- these. The file is a safetensors archive, written under a temporary name, synced and renamed.
-- Numbers without a fraction come back as integers.
--
--     pl.save("net.safetensors", net)
--     pl.save("checkpoint.safetensors", {net = net, epoch = 3})
--     local net = assert(pl.load "net.safetensors")
--
-- Of a network the file has the tensors by their names in `state_dict`, and of each module the
-- class, the arguments that it was made with, and its fields as they are: tensors, modules,
-- numbers, strings, booleans and plain tables. A field whose name begins with `_` is what `init`
-- makes of it. Frozen parameters, the mode, and what is there twice stay so. Classes of a script's
-- own are known by their name. An argument may also be a class or an op of the library, such as
-- `pl.relu`; other functions, and modules of `nn.module`, are refused by their path. To make sure
-- that it can be loaded, the network is made once more before anything is written.
--
-- A name that ends in .npy makes a file of NumPy's of one tensor, and .npz one of a plain table of
-- tensors by name, as numpy.savez does.
--
--     pl.save("x.npy", x)
--     pl.save("set.npz", {x = x, y = y}, {compress = true})
--
-- Reals have all their bits in the file, or with `dtype` fewer: "F16" has eleven bits, and numbers
-- up to 65504, "BF16" has eight. They are rounded to the nearest, of two the even one. One beyond
-- the dtype is an error that names it, unless with `convert` it becomes infinite. Integers stay as
-- they are.
--
--     pl.save("small.safetensors", net, {dtype = "F16"})
-- @param path file name
-- @param value module, or table whose keys are 1..n or strings; a tensor for .npy
-- @param[opt] options of safetensors files `dtype`, "F32", "F64", "F16" or "BF16", and `convert`
--   (false); of .npz `compress` (false), as numpy.savez_compressed
-- @return true, or nil and a message if the file cannot be written
function store.save(path, value, options)
  local tensors = {}
  check.path("save", path)
  local o = read_options(path, options, path:match "%.(np[yz])$" or "safetensors")
  if path:find "%.npy$" then return save_array(path, value) end
  if path:find "%.npz$" then return save_arrays(path, value, o.compress) end
  if type(value) ~= "table" then
    complain("save: table expected, got %s%s", check.type(value),
      check.is_tensor(value) and "; a tensor alone goes into a .npy file" or "")
  end
  local ok, texts = pcall(pack_all, value, tensors)
  if not ok then complain("save: %s", texts) end
  return blaming(core.save_tensors, path, tensors, texts, {dtype = o.dtype, convert = o.convert})
end

-- What was packed; networks are made by module(path).
local function unpack_all(packed, tensors, module)
  local value = pack.unpacked(packed, function(tag, inner)
    if tag == "$tensor" then
      return tensors[inner] or error(("tensor '%s' is missing"):format(tostring(inner)), 0)
    elseif tag == "$module" and module then
      return module(inner)
    end
  end)
  return type(value) == "table" and value or error("does not hold a table", 0)
end

local function read_all(tensors, texts)
  local packed = pack.decoded(texts[KEY])
  if not texts[NETWORKS] then return unpack_all(packed, tensors) end
  local document = pack.decoded(texts[NETWORKS])
  local value = rebuild.with(document, tensors, function(module)
    return unpack_all(packed, tensors, module)
  end)
  rebuild.mark(document, tensors, true)
  return value
end

--- Loads what `save` wrote, any safetensors file or NumPy archive (.npz) as a table of named
-- tensors, and a NumPy array (.npy) as a tensor. What it is, its first bytes say, not its name.
--
-- A network is made by its classes, whose `init` gets the arguments that the file has; then it gets
-- its tensors. A class of a script's own must be known by then: its script has to run first. The
-- stream of random numbers goes on as if nothing had been drawn. A file runs no code of its own,
-- and what is made for it is bounded: 64 MB and four times the size of its tensors.
--
-- F32, F64, F16 and BF16 become real, of which a build with float has seven digits; I32, I16, I8
-- and U16 become int32, and so do I64, U64 and U32 where all values fit; U8 and BOOL become uint8.
-- A tensor of another dtype, or with a value that does not fit, is an error that names it. NumPy's
-- dtypes are the same under other names; either byte order, either order of elements, deflated or
-- not. Objects, which are pickled, and structured dtypes are refused.
--
--     local state, left_out = assert(pl.load("model.safetensors", {convert = true, skip = true}))
--     for name, why in pairs(left_out) do print(name, why) end
-- @param path file name
-- @param[opt] options `convert` (false): a tensor with integers beyond int32 becomes real, rounded,
--   and numbers beyond float become infinite; `skip` (false): leave out tensors that cannot be read
-- @return the network, the table or the tensor, or nil and a message
-- @return with `skip`, a table of messages by the names of the tensors that were left out
function store.load(path, options)
  check.path("load", path)
  local o = option.read("load", options, {convert = false, skip = false})
  local kind, why = core.file_kind(path)
  if not kind then return nil, why end
  if kind == "npy" then return core.read_npy(path, o.convert) end
  local tensors, meta, left_out = core.load_tensors(path, o)
  if not tensors then return nil, meta end
  if not o.skip then left_out = nil end
  if not meta[KEY] then return tensors, left_out end
  local ok, value = pcall(read_all, tensors, meta)
  if not ok then return nil, ("%s: %s"):format(path, value) end
  return value, left_out
end

return store
