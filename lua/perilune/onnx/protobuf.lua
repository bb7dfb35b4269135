--- Messages of Protocol Buffers, written and read (internal).
--
-- A message is a list of fields, each a key, number << 3 | wire type, and a value:
--
--     type 0   varint: seven bits a byte, the low ones first, the high bit says that more follow
--     type 1   eight bytes
--     type 2   a length as a varint, and so many bytes: texts, lists, messages
--     type 5   four bytes
--
-- What is written is a list of parts, texts and tensors, so that large values are not copied.
-- @module perilune.onnx.protobuf

local protobuf = {}

local char, pack, unpack = string.char, string.pack, string.unpack

local function varint(v)
  if v >= 0 and v < 128 then return char(v) end
  local bytes = {}
  while v & ~0x7f ~= 0 do
    bytes[#bytes + 1] = char(v & 0x7f | 0x80)
    v = v >> 7
  end
  bytes[#bytes + 1] = char(v)
  return table.concat(bytes)
end

--
-- Writing
--

local Message = {}
Message.__index = Message

--- An empty message.
-- @return the message, with methods that add fields
function protobuf.message()
  return setmetatable({bytes = 0}, Message)
end

local function put(self, part, bytes)
  self[#self + 1] = part
  self.bytes = self.bytes + bytes
end

local function put_text(self, text)
  put(self, text, #text)
end

--- Adds an integer.
function Message:int(field, v)
  put_text(self, varint(field << 3) .. varint(v))
end

--- Adds a float of four bytes.
function Message:float(field, v)
  put_text(self, varint(field << 3 | 5) .. pack("<f", v))
end

--- Adds a text.
function Message:text(field, text)
  put_text(self, varint(field << 3 | 2) .. varint(#text) .. text)
end

--- Adds integers as one packed list.
function Message:ints(field, list)
  local parts = {}
  for i, v in ipairs(list) do parts[i] = varint(v) end
  self:text(field, table.concat(parts))
end

--- Adds floats as one packed list.
function Message:floats(field, list)
  local parts = {}
  for i, v in ipairs(list) do parts[i] = pack("<f", v) end
  self:text(field, table.concat(parts))
end

--- Adds the values of a tensor, which lie in the file as so many bytes.
function Message:values(field, tensor, bytes)
  put_text(self, varint(field << 3 | 2) .. varint(bytes))
  put(self, tensor, bytes)
end

--- Adds a message.
function Message:message(field, inner)
  put_text(self, varint(field << 3 | 2) .. varint(inner.bytes))
  for i = 1, #inner do self[#self + 1] = inner[i] end
  self.bytes = self.bytes + inner.bytes
end

--
-- Reading. Nothing is copied but the texts that are asked for; each length is compared with what
-- is left.
--

local function read_varint(data, at, last)
  local v, shift = 0, 0
  while true do
    if at > last or shift > 63 then error("a number does not end", 0) end
    local byte = data:byte(at)
    v = v | (byte & 0x7f) << shift
    at, shift = at + 1, shift + 7
    if byte < 128 then return v, at end
  end
end

-- What a field holds: an integer, the bytes of a float or double, or where its bytes lie.
local function read_value(data, kind, at, last)
  if kind == 0 then return read_varint(data, at, last) end
  local n = kind == 1 and 8 or kind == 5 and 4 or nil
  if kind == 2 then n, at = read_varint(data, at, last) end
  if not n then error(("a field is of type %d"):format(kind), 0) end
  if n < 0 or n > last - at + 1 then error("a field is longer than what is around it", 0) end
  return {at, at + n - 1}, at + n
end

--- Calls a function for each field of a message.
-- @param data string
-- @param place where the message lies in it: {first, last}
-- @param visit function(field, value), the value an integer, or {first, last} of bytes
function protobuf.each(data, place, visit)
  if type(place) ~= "table" then error("a message is a number", 0) end
  local at, last = place[1], place[2]
  while at <= last do
    local key, value
    key, at = read_varint(data, at, last)
    value, at = read_value(data, key & 7, at, last)
    visit(key >> 3, value)
  end
end

--- The bytes at a place.
-- @return string
function protobuf.text(data, place)
  if type(place) ~= "table" then error("a text is a number", 0) end
  return data:sub(place[1], place[2])
end

--- Adds the integers of a field, one or a packed list, to a list.
function protobuf.add_ints(list, data, value)
  if type(value) ~= "table" then
    list[#list + 1] = value
    return
  end
  local at, last = value[1], value[2]
  while at <= last do list[#list + 1], at = read_varint(data, at, last) end
end

--- Adds the floats of a field, one or a packed list, to a list.
function protobuf.add_floats(list, data, value)
  if type(value) ~= "table" or (value[2] - value[1] + 1) % 4 ~= 0 then
    error("a float has other than four bytes", 0)
  end
  for at = value[1], value[2], 4 do list[#list + 1] = unpack("<f", data, at) end
end

return protobuf
