--- Tables as text: what is read, what is refused and where, what is written; standardising.

local lu = require "luaunit"
local pl = require "perilune"
local core = require "perilune.core"

local data = pl.data
local T = {}
local eq, fails = lu.assertEquals, lu.assertErrorMsgContains

local folder = os.tmpname()
os.remove(folder)
if core.file_size "/dev/shm" then folder = folder:gsub("^.*/", "/dev/shm/") end
local path = folder .. "/t.csv"

function T.setUp() assert(core.mkdir(folder)) end
function T.tearDown() os.execute("rm -rf '" .. folder .. "'") end

local function write(text)
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
  return path
end

local function read_bytes()
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

-- Columns as lists.
local function columns(text, options)
  local set, about = assert(data.csv(write(text), options))
  for key, value in pairs(set) do
    if pl.is_tensor(value) then set[key] = value:totable() end
  end
  return set, about
end

local function expect_nil(text, ...)
  local value, message = ...
  eq(value, nil)
  eq(message, path .. ": " .. text)
end

local HOUSES <const> = "id,city,area,price\n1,Bonn,80.5,100\n2,Ulm,,200\n3,Bonn,50,300\n"

--
-- Reading
--

-- Text in gzip, in a block that is stored.
local function packed(text)
  return "\x1f\x8b\8\0\0\0\0\0\0\3\1" .. ("<I2I2"):pack(#text, 0xffff ~ #text) .. text .. ("<I4I4"):pack(core.crc32(text), #text)
end

function T.test_tables_in_gzip()
  local want, about = columns(HOUSES)
  for _, bytes in ipairs {packed(HOUSES), packed(HOUSES:sub(1, 20)) .. packed(HOUSES:sub(21)),
                          packed("\xef\xbb\xbf" .. HOUSES)} do
    local set, its = columns(bytes)
    eq(its, about)
    set.area[2], want.area[2] = nil, nil
    eq(set, want)
  end
  local lines = {"n"}
  for i = 1, 20000 do lines[#lines + 1] = ("%d"):format(i) end
  local text, parts = table.concat(lines, "\n"), {}
  for from = 1, #text, 60000 do parts[#parts + 1] = packed(text:sub(from, from + 59999)) end
  local file <close> = assert(io.popen("gzip -c > " .. path, "w"))
  file:write(text)
  file:close()
  for _, bytes in ipairs {read_bytes(), table.concat(parts)} do
    write(bytes)
    local sum, rows = 0, 0
    for part in data.csv_rows(path, {chunk_size = 7000}) do
      sum, rows = sum + part.n:sum():item(), rows + part.n:size(1)
    end
    eq({rows, sum}, {20000, 200010000})
  end
end

function T.test_damaged_gzip()
  local good = packed(HOUSES)
  for _, case in ipairs {
    {good:sub(1, -9), "the compressed data are cut off"}, {good:sub(1, 30), "the compressed data are cut off"},
    {good:sub(1, -9) .. "abcd" .. good:sub(-4), "the compressed data are damaged"},
    {good .. "x", "more bytes follow those in gzip"}, {good .. good:sub(1, 20), "the compressed data are cut off"},
    {packed "PNG\0\1", "not a table as text (CSV) in gzip"}, {packed "", "is empty"},
    {packed "a,b\n1\n", "line 2: 1 field; 2 expected, as in the first row"},
  } do
    expect_nil(case[2], data.csv(write(case[1])))
  end
end

-- What is downloaded in the place of a table.
function T.test_text_that_is_no_table()
  for text, why in pairs {
    ["<!DOCTYPE html>\n<html>,</html>\n"] = "an HTML page",
    ["version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"] =
      "a pointer of Git LFS; git lfs pull fetches the file",
  } do
    expect_nil("not a table as text (CSV), but " .. why, data.csv(write(text)))
  end
  eq(columns("BMI,age\n20,3\n"), {BMI = {20}, age = {3}})
  eq(columns("PAR1,PAR2\n20,3\n"), {PAR1 = {20}, PAR2 = {3}})
end

function T.test_types_are_guessed()
  local set, about = columns(HOUSES)
  eq(set.id, {1, 2, 3})
  eq(set.city, {1, 2, 1})
  eq({set.area[1], set.area[2] ~= set.area[2], set.area[3]}, {80.5, true, 50})
  eq(about, {
    rows = 3, columns = {"id", "city", "area", "price"}, inputs = {"id", "city", "area", "price"},
    types = {id = "int32", city = "category", area = "real", price = "int32"},
    missing = {id = 0, city = 0, area = 1, price = 0}, words = {city = {"Bonn", "Ulm"}}, one_hot = false,
  })
end

function T.test_x_and_y()
  local set, about = assert(data.csv(write(HOUSES), {target = "price", columns = {"area", "id"}}))
  eq({#set, set[1]:size(), set[1]:dtype(), set[2]:dtype()}, {2, {3, 2}, "real", "real"})
  eq(set[1][3]:totable(), {50, 3})
  eq(set[2]:totable(), {100, 200, 300})
  eq({about.target, about.inputs, about.features}, {"price", {"area", "id"}, {"area", "id"}})
  set, about = assert(data.csv(path, {target = "price", one_hot = true}))
  eq(about.features, {"id", "city=Bonn", "city=Ulm", "area"})
  eq(set[1]:narrow(2, 1, 3):totable(), {{1, 1, 0}, {2, 0, 1}, {3, 1, 0}})
  set = assert(data.csv(path, {target = "city", columns = {1}}))
  eq({set[2]:totable(), set[2]:dtype(), set.classes}, {{1, 2, 1}, "int32", {"Bonn", "Ulm"}})
  set = assert(data.csv(path, {target = 4, columns = {"id"}, types = {price = "int32"}}))
  eq(set[2]:dtype(), "int32")
  set = assert(data.csv(path, {target = "id", columns = {"price"}, types = {id = "category"}}))
  eq({set[2]:totable(), set.classes}, {{1, 2, 3}, {"1", "2", "3"}})
  local train, test = data.split(set, 2)
  eq({train.classes, #test[1]}, {set.classes, 1})
  expect_nil("column 'city' has words, such as 'Bonn' in line 2, and x has numbers: one_hot = true makes a column of "
    .. "each word, columns = {...} leaves it out", data.csv(path, {target = "price"}))
end

function T.test_what_the_format_has()
  for text, want in pairs {
    ['a,b\r\n1,"x, ""y"""\r\n2,"p\nq"\r\n'] = {a = {1, 2}, b = {2, 1}},
    ["\xef\xbb\xbfa,b\n1,2"] = {a = {1}, b = {2}},
    ["a,b\r1,2\r3,4\r"] = {a = {1, 3}, b = {2, 4}},
    ["\n\na,b\n\n1,2\n\r\n\n3,4\n\n"] = {a = {1, 3}, b = {2, 4}},
    ['"a, b","c""d"\n1,2\n'] = {["a, b"] = {1}, ['c"d'] = {2}},
    ["a,b\n 1 ,\t2.5\t\n"] = {a = {1}, b = {2.5}},
    ['a,b\n"1","2"\n'] = {a = {1}, b = {2}},
    ['a\nx"y"\n'] = {a = {1}},
    [",b\n1,2\n"] = {[""] = {1}, b = {2}},
    ["a,b\n1,+2e1\n-3,.5\n"] = {a = {1, -3}, b = {20, 0.5}},
    ["a\ninf\n-Infinity\n5.\n"] = {a = {1 / 0, -1 / 0, 5}},
    ["a\n2147483647\n-2147483648\n"] = {a = {2147483647, -2147483648}},
    ["a\n1e-500\n"] = {a = {0}},
  } do
    eq((columns(text)), want)
  end
  local _, about = columns 'a,b\r\n1,"x, ""y"""\r\n2,"p\nq"\r\n'
  eq(about.words.b, {"p\nq", 'x, "y"'})
  _, about = columns "a\n2147483648\n"
  eq(about.types.a, "real")
end

function T.test_numbers_are_rounded_once()
  local function number(text) return columns("a\n" .. text .. "\n", {types = {a = "real"}}).a[1] end
  for _, text in ipairs {"0.1", "3.14159265358979323846", "1e22", "123456789012345678901234567890", "8.5e-10",
                         "9007199254740993", "1.7976931348623157e30", "4.35", "0.000001", "1e-30", "5e-324"} do
    eq(number(text), pl.tensor(tonumber(text)):item())
  end
end

function T.test_words_that_come_late()
  local set, about = columns "a,b\n3,1\n,1\nx,1\ny,1\n007,1\n"
  eq(about.words.a, {"", "007", "3", "x", "y"})
  eq({set.a, about.types.a, about.missing.a}, {{3, 1, 4, 5, 2}, "category", 1})
end

-- One slip does not make a category of a column of numbers.
function T.test_a_word_among_numbers()
  local function slip(key, numbers, values)
    return ("is no number, but %d of %d values are; if it stands for a missing value, add it to na; "
      .. "types = {%s = \"category\"} makes words of all"):format(numbers, values, key)
  end
  local lines = {"area,price"}
  for i = 1, 199 do lines[#lines + 1] = ("%d.5,%d"):format(i, i) end
  lines[101] = "l00,7"
  local text = table.concat(lines, "\n")
  for _, options in ipairs {{}, {target = "price", one_hot = true}, {target = "area"}} do
    expect_nil("line 101, column 1 ('area'): 'l00' " .. slip("area", 198, 199), data.csv(write(text), options))
  end
  eq(select(2, columns(text, {na = {"", "l00"}})).types.area, "real")
  eq(#select(2, columns(text, {types = {area = "category"}})).words.area, 199)
  expect_nil("line 3, column 2 ('no. of'): 'many' " .. slip("[2]", 2, 3), data.csv(write "a,no. of\n1,1\n1,many\n,\n1,2\n"))
  expect_nil("line 1, column 1 ('1'): 'x' " .. slip("[1]", 2, 3), data.csv(write "x\n1\n2\n", {header = false}))
  for name, key in pairs {["end"] = "[1]", ["2nd"] = "[1]", [""] = "[1]", s_2 = "s_2", ["\xc3\xa9"] = "[1]"} do
    expect_nil(("line 3, column 1 ('%s'): 'x' "):format(name) .. slip(key, 2, 3), data.csv(write(name .. ",b\n1,\nx,\n2,\n")))
    expect_nil(("line 3, column 1 ('%s'): 'x' "):format(name) .. slip(key, 2, 3),
      data.csv(write "a,\n1,\nx,\n2,\n", {names = {name, "b"}}))
  end
  eq(columns("1\nx\n2\n", {header = false, types = {[1] = "category"}})[1], {1, 3, 2})
  local many = {"a", "-"} -- more numbers than a category has words
  for i = 1, 1000001 do many[#many + 1] = i end
  expect_nil("line 2, column 1 ('a'): '-' " .. slip("a", 1000000, 1000001), data.csv(write(table.concat(many, "\n"))))
  local _, about = columns "a\n1\n2\nmany\nfew\n\n" -- half of them
  eq(about.types.a, "category")
  expect_nil("column 'a' has words, such as 'many' in line 4, and x has numbers: one_hot = true makes a column of each "
    .. "word, columns = {...} leaves it out", data.csv(path, {target = false}))
  expect_nil("column 'a' is a category, and x has numbers: one_hot = true makes a column of each word, columns = {...} "
    .. "leaves it out", data.csv(path, {target = false, types = {a = "category"}}))
end

-- Two long numbers that real cannot tell apart are no values of a column that nobody called real.
function T.test_whole_numbers_with_more_digits_than_real()
  local big = core.real == "float" and {"12345678901", "12345678902"} or {"12345678901234567", "12345678901234568"}
  local why = ("'%s' has more digits than real (%s) keeps; types = {id = \"category\"} keeps them, "
    .. "types = {id = \"real\"} rounds"):format(big[1], core.real)
  write("id,x\n7,1\n" .. big[1] .. ",2\n" .. big[2] .. ",3\n")
  for _, options in ipairs {{}, {target = "x"}, {target = "id"}} do
    expect_nil("line 3, column 1 ('id'): " .. why, data.csv(path, options))
  end
  eq(assert(data.csv(path, {types = {id = "category"}})).id:totable(), {1, 2, 3})
  eq(assert(data.csv(path, {types = {id = "real"}})).id:dtype(), "real")
  -- a missing value makes a column real too
  local odd = core.real == "float" and "16777217" or "9007199254740993"
  eq(select(2, data.csv(write("id\n\"\"\n" .. odd .. "\n"))), path .. ": line 3, column 1 ('id'): "
    .. why:gsub(big[1], odd))
  -- numbers with fractions are measured, and what real holds stays
  eq(select(2, columns("a\n" .. big[1] .. "\n0.5\n")).types.a, "real")
  eq(columns("a\n4294967296\n-3000000000\n"), {a = {4294967296, -3000000000}})
  eq(columns("a\n01067\n16777217\n"), {a = {1067, 16777217}})
end

function T.test_words_that_were_not_seen()
  local _, about = assert(data.csv(write "city,x,y\nBonn,1,1\nUlm,2,2\n", {target = "y", one_hot = true}))
  write "city,x\nUlm,1\nKiel,2\n,3\n"
  expect_nil("line 3, column 1 ('city'): 'Kiel' is not among the words given; unseen = \"zero\" takes it as none of them",
    data.csv(path, {like = about, target = false}))
  eq(assert(data.csv(path, {like = about, target = false, unseen = "zero"}))[1]:totable(), {{0, 1, 1}, {0, 0, 2}, {0, 0, 3}})
  eq(assert(data.csv(path, {types = {city = {"Ulm", "Kiel"}}, unseen = "zero"})).city:totable(), {1, 2, 0})
  expect_nil("line 3, column 1 ('city'): 'Kiel' is not among the words given",
    data.csv(path, {target = "city", types = {city = {"Ulm"}}, unseen = "zero"}))
  fails("csv: unseen: 'refuse' or 'zero' expected, got mean", data.csv, path, {unseen = "mean"})
end

function T.test_words_of_numbers_are_sorted_by_value()
  local set, about = columns("a\n10\n9\n\n-1\nNA\n", {types = {a = "category"}})
  eq({about.words.a, set.a}, {{"", "-1", "9", "10"}, {4, 3, 2, 1}})
end

function T.test_many_words()
  local lines, n = {"w,x"}, 20000
  for i = 1, n do lines[#lines + 1] = ("w%05d,%d"):format((i * 7919) % n, i) end
  local set, about = columns(table.concat(lines, "\n"))
  eq({#about.words.w, about.words.w[1], about.words.w[n]}, {n, "w00000", "w19999"})
  for i = 1, n, 997 do eq({set.w[i], set.x[i]}, {(i * 7919) % n + 1, i}) end
end

-- Fields, quotes and line ends on both sides of the end of a piece.
function T.test_pieces_of_the_file()
  for shift = 0, 12 do
    local long = ("x"):rep(65536 - 20 + shift)
    local set, about = columns(('a,b\r\n%s,"1""\r\n2"\r\n%s,"1""\r\n2"\r\n'):format(long, long))
    eq({#about.words.a[1], about.words.b, set.b}, {#long, {'1"\r\n2'}, {1, 1}})
    expect_nil(("line 5: 1 field; 2 expected, as in the first row"),
      data.csv(write(('a,b\r\n%s,"1""\r\n2"\r\n3,4\r\n5'):format(long))))
  end
end

function T.test_without_a_header()
  local set, about = columns("1;2\n3;4\n", {header = false, separator = ";"})
  eq({set, about.columns}, {{{1, 3}, {2, 4}}, {"1", "2"}})
  eq(columns("1,2\n3,4\n", {header = false, names = {"a", "b"}}), {a = {1, 3}, b = {2, 4}})
  eq(columns("1,2\n3,4\n", {header = false, target = 1}), {{{2}, {4}}, {1, 3}})
  eq(columns("a,a\n3,4\n", {names = {"p", "q"}}), {p = {3}, q = {4}})
  eq(columns("1\t2\n", {header = false, separator = "\t", columns = {2}}), {{2}})
end

function T.test_missing_values()
  local _, about = columns("a,b\n1,?\n2,x\n-,x\n", {na = {"?", "-"}})
  eq({about.types, about.words.b}, {{a = "real", b = "category"}, {"", "x"}})
  for _, text in ipairs {"", "NA", " nan ", "NULL", "N/A", '"NA"'} do
    eq(select(2, columns("a,b\n" .. text .. ",1\n")).missing.a, 1)
  end
  expect_nil("line 3, column 3 ('area'): '' stands for a missing value, and there must be one",
    data.csv(write(HOUSES), {missing = "refuse"}))
  expect_nil("line 3, column 3 ('area'): '' stands for a missing value, and there must be one",
    data.csv(path, {target = "area", columns = {"id"}}))
  expect_nil("line 3, column 1 ('a'): '' stands for a missing value, which int32 has not",
    data.csv(write "a,b\n1,2\n,3\n", {types = {a = "int32"}}))
  eq(select(2, columns "a,b\n,1\n,2\n").types.a, "real")
end

function T.test_some_rows_and_columns()
  eq(columns(HOUSES, {columns = {"price", 1}, rows = 2}), {price = {100, 200}, id = {1, 2}})
  -- what is not read is not looked at
  eq((columns("a,b\n1,x\n2\n", {columns = {"a"}, rows = 1})), {a = {1}})
end

function T.test_the_same_of_another_file()
  local _, about = assert(data.csv(write(HOUSES), {target = "price", one_hot = true}))
  local saved = folder .. "/about.safetensors"
  assert(pl.save(saved, about))
  about = assert(pl.load(saved))
  local set = assert(data.csv(write "area,more,city,id\n7,0,Ulm,\n", {like = about, target = false}))
  eq(#set, 1)
  eq(set[1]:size(), {1, 4})
  eq(set[1]:totable()[1][3], 1) -- city=Ulm
  set = assert(data.csv(write(HOUSES), {like = about}))
  eq({set[1]:size(), set[2]:totable(), set[2]:dtype()}, {{3, 4}, {100, 200, 300}, "real"})
  expect_nil("there is no column 'price'; it has 'id', 'city', 'area'; target = false reads x alone",
    data.csv(write "id,city,area\n1,Ulm,2\n", {like = about}))
  expect_nil("line 2, column 2 ('city'): 'Köln' is not among the words given; unseen = \"zero\" takes it as none of them",
    data.csv(write "id,city,area\n1,Köln,2\n", {like = about, target = false}))
  fails("csv: like says what columns are", data.csv, path, {like = about, columns = {1}})
  fails("csv: like: the description of a table expected, got 1", data.csv, path, {like = 1})
  _, about = assert(data.csv(write "x,k\n1,2\n2,3\n", {target = false}))
  eq(assert(data.csv(write "k,x\n1,2.5\n", {like = about}))[1]:totable(), {{2.5, 1}})
  _, about = assert(data.csv(write "x,k\n1,2\n2,3\n", {target = "k", types = {k = "int32"}}))
  eq(about.types, {x = "real", k = "int32"})
  eq(assert(data.csv(path, {like = about}))[2]:dtype(), "int32")
  _, about = assert(data.csv(write "x,k\n1,b\n2,a\n", {target = "k"}))
  eq(assert(data.csv(write "k,x\nb,1\n", {like = about}))[2]:totable(), {2})
end

function T.test_pieces_of_a_set()
  local lines = {"x,k"}
  for i = 1, 25 do lines[#lines + 1] = i .. "," .. (i % 2 == 0 and "even" or "odd") end
  write(table.concat(lines, "\n"))
  local sizes, sum = {}, 0
  for part in assert(data.csv_rows(path, {target = "k", chunk_size = 10})) do
    sizes[#sizes + 1] = #part[1]
    eq(part.classes, {"even", "odd"})
    for x, y in data.batches(part, {batch_size = 4}) do
      sum = sum + x:sum():item()
      eq((x:flatten():to "int32" % 2 + 1):eq(y):all():item(), 1)
    end
  end
  eq({sizes, sum}, {{10, 10, 5}, 325})
  for part in assert(data.csv_rows(path, {chunk_size = 10, rows = 3})) do
    eq(#part.x, 3)
  end
  expect_nil("there is no column 'z'; it has 'x', 'k'", data.csv_rows(path, {target = "z"}))
  write("x,k\n" .. ("1,2\n"):rep(40000)) -- more than is read at a time
  local next_part = assert(data.csv_rows(path, {chunk_size = 20000}))
  next_part()
  write "x,k\n"
  fails("csv_rows: " .. path .. ": was changed while it was read", function() next_part() next_part() end)
  fails("csv_rows: chunk_size: positive integer expected, got 0", data.csv_rows, path, {chunk_size = 0})
end

--
-- What is refused
--

function T.test_damaged_tables()
  for _, case in ipairs {
    {"", "is empty"}, {"\n\n", "is empty"},
    {"a,b\n", "has no rows below its header"},
    {"a,b\n1,2\n3\n", "line 3: 1 field; 2 expected, as in the first row"},
    {'a,b\n"1\n2",2\n3,4,5\n', "line 4: 3 fields; 2 expected, as in the first row"},
    {'a,b\n1,2\n"3,4\n5,6', "line 3: a quote is opened and never closed"},
    {'a,b\n1,"2"x\n', "line 2: text behind the closing quote of a field"},
    {"a,b\n1," .. ("x"):rep(600) .. "\0\n", "line 2: a zero byte, which no text has"},
    {"a,b\n1," .. ("x"):rep(600) .. '"\0"\n', "line 2: a zero byte, which no text has"},
    {"a,b\n1,\"" .. ("x"):rep(600) .. '\0"\n', "line 2: a zero byte, which no text has"},
    {"\x93NUMPY\1\0v\0", "not a table as text (CSV), but a NumPy array; pl.load reads it"},
    {"\xff\xfea\0,\0", "is text in UTF-16; UTF-8 expected"},
    {"a,b\n1,K\xf6ln\n", "line 2, column 2 ('b'): 'K\xf6ln' is not UTF-8"},
    {"a,K\xf6ln\n1,2\n", "line 1, column 2 ('K\xf6ln'): 'K\xf6ln' is not UTF-8"},
    {"a,b\n1,x\n", "line 2, column 2 ('b'): 'x' is no number", {types = {b = "real"}}},
    {'a,b\n1,"x\ny\27"\n', "line 2, column 2 ('b'): 'x?y?' is no number", {types = {b = "real"}}},
    {"a,b\n1," .. ("x"):rep(50) .. "\n", "line 2, column 2 ('b'): '" .. ("x"):rep(40) .. "...' is no number",
     {types = {b = "real"}}},
    {"a,b\n1" .. (","):rep(100001), "line 2: more than 100000 columns"},
    {"a,b\n1,0x10\n", "line 2, column 2 ('b'): '0x10' is no number", {types = {b = "real"}}},
    {"a,b\n1,1e\n", "line 2, column 2 ('b'): '1e' is no number", {types = {b = "real"}}},
    {"a,b\n1,2.5\n", "line 2, column 2 ('b'): '2.5' is no whole number of int32's range", {types = {b = "int32"}}},
    {"a\n1e999\n", "line 2, column 1 ('a'): '1e999' is beyond " .. core.real},
    {"a,b\n1,x\n1,y\n", "line 3, column 2 ('b'): 'y' is not among the words given; unseen = \"zero\" takes it as none of them", {types = {b = {"x"}}}},
    {"a,b\n1,y\n", "column 'b' is chosen twice", {columns = {"b", 2}}},
    {"a,b\n1,y\n", "column 'b' is chosen twice", {columns = {"b"}, target = "b"}},
    {"a\n1\n", "there are no columns but the target", {target = "a"}},
    {"a,b\n1,2\n", "there is no column 'c'; it has 'a', 'b'", {target = "c"}},
    {"a,b\n1,2\n", "there is no column 3 among its 2", {columns = {3}}},
    {"a,b\n1,2\n", "there is no column 'c'; it has 'a', 'b'", {types = {c = "real"}}},
    {"a;b\n1;2\n", "there is no column 'b'; it has 'a;b'; is the separator \";\"?", {target = "b"}},
    {"a,a\n1,2\n", "columns 1 and 2 are both named 'a'; the option names gives them others"},
    {"a,b\n1,2\n", "has 2 columns; there are 1 names", {names = {"a"}}},
    {'a\n"' .. ("x"):rep(1 << 24) .. 'y', "line 2: a field of more than 16 MB; is a quote not closed?"},
    {(","):rep(100001), "line 1: more than 100000 columns"},
  } do
    expect_nil(case[2], data.csv(write(case[1]), case[3]))
  end
  os.remove(path)
  eq(select(2, data.csv(path)), "cannot open " .. path .. ": No such file or directory")
  eq(select(2, data.csv(folder)), "cannot open " .. folder .. ": not a regular file")
end

function T.test_wrong_options()
  write(HOUSES)
  for text, options in pairs {
    ["csv: unknown option 'seperator'; known: "] = {seperator = ";"},
    ["csv: separator: ',', ';' or another single character expected, got '::'"] = {separator = "::"},
    ["expected, got '.'"] = {separator = "."},
    ["expected, got 'x'"] = {separator = "x"},
    ["csv: missing: 'nan' or 'refuse' expected, got zero"] = {missing = "zero"},
    ["csv: types: 'id' is to be float; 'real', 'int32', 'category' or a list of words expected"] = {types = {id = "float"}},
    ["csv: columns: a list expected, got id"] = {columns = "id"},
    ["csv: na has a number among it"] = {na = {1.5}},
    ["csv: target: a column expected, got table"] = {target = {}},
    ["csv: rows: positive integer expected, got 0"] = {rows = 0},
    ["csv: one_hot is about the columns of x, which there is with a target"] = {one_hot = true},
  } do
    fails(text, data.csv, path, options)
  end
  fails("csv: path expected, got nil", data.csv)
end

--
-- Writing
--

function T.test_written()
  assert(data.write_csv(path, {{"a", "b,c", 'd"e', "", "f\ng", " h"}, {1, 2.5, 1 / 0, 0 / 0, -3, 1 << 40},
    {true, false, "x", 0.1, "y", "z"}, pl.tensor({1, 2, 3, 4, 5, 6}, "int32")}, {"t", "n, m", "b", "i"}))
  eq(read_bytes(), 't,"n, m",b,i\na,1,true,1\n"b,c",2.5,false,2\n"d""e",inf,x,3\n"",nan,0.1,4\n"f\ng",-3,y,5\n'
    .. '" h",1099511627776,z,6\n')
  assert(data.write_csv(path, {b = pl.tensor {1, 0.1}, a = {"x", "y"}}))
  eq(read_bytes(), "a,b\nx,1\ny,0.1\n")
  assert(data.write_csv(path, {b = pl.tensor {1, 0.1}, a = {"x", "y"}}, {"b", "a"}, {separator = "\t"}))
  eq(read_bytes(), "b\ta\n1\tx\n0.1\ty\n")
  assert(data.write_csv(path, pl.tensor {{1, 2}, {3, 4}}:t()))
  eq(read_bytes(), "1,3\n2,4\n")
  assert(data.write_csv(path, {pl.tensor {{1, 2}, {3, 4}}, {5, 6}}, {"a", "b", "c"}))
  eq(read_bytes(), "a,b,c\n1,2,5\n3,4,6\n")
end

function T.test_numbers_come_back_with_all_bits()
  local x = pl.cat({pl.randn(500) * pl.pow(10, pl.rand(500) * 60 - 30), pl.tensor {0, -0.0, 1 / 0, -1 / 0, 1e-45, 3e38}}, 1)
  assert(data.write_csv(path, {x, pl.arange(1, 506, "int32")}, {"x", "i"}))
  local back = assert(data.csv(path))
  eq(pl.to_bytes(back.x) == pl.to_bytes(x), true)
  eq(back.i:dtype(), "int32")
end

function T.test_what_cannot_be_written()
  local old = "old"
  write(old)
  fails("write_csv: column 'b' has 2 rows, 'a' has 1", data.write_csv, path, {{1}, {1, 2}}, {"a", "b"})
  fails("write_csv: 1 names of 2 columns", data.write_csv, path, {{1}, {1}}, {"a"})
  fails("write_csv: column 'a' has a table in it", data.write_csv, path, {{{}}}, {"a"})
  fails("write_csv: column '1' is a tensor of 3 dims; [n] or [n,k] expected", data.write_csv, path, {pl.ones(1, 1, 1)})
  fails("write_csv: column '1' is a number; tensor or list expected", data.write_csv, path, {1})
  fails("write_csv: there are no columns", data.write_csv, path, {})
  fails("write_csv: there is no column 'c'", data.write_csv, path, {a = {1}}, {"c"})
  fails("write_csv: columns: tensor or table expected, got 1", data.write_csv, path, 1)
  fails("write_csv: separator: ", data.write_csv, path, {{1}}, nil, {separator = '"'})
  eq(read_bytes(), old)
  eq({data.write_csv("/dev/full", {pl.ones(10000)})}, {nil, "cannot write /dev/full: No space left on device"})
  eq(data.write_csv(folder .. "/none/t.csv", {{1}}), nil)
  eq(io.popen("ls -A '" .. folder .. "'"):read "a", "t.csv\n")
end

--
-- Standardising
--

function T.test_standardising()
  local x = pl.tensor {{1, 2, 5}, {3, 0 / 0, 5}, {5, 4, 5}}
  local s = data.statistics(x)
  eq({s.mean:totable(), s.std:totable()}, {{3, 3, 5}, {pl.tensor(math.sqrt(8 / 3)):item(), 1, 1}})
  local y = data.standardise(x, s)
  eq({y[2][1], y[3][2], y[1][3]}, {0, 1, 0})
  eq(y[2][2] ~= y[2][2], true)
  eq(y:nan_to_num(0)[2][2], 0)
  lu.assertTrue(data.unstandardise(y, s):nan_to_num(0):allclose(x:nan_to_num(0)))
  s = data.statistics(pl.tensor({1, 2, 3}, "int32"))
  eq({s.mean:item(), data.standardise(pl.tensor({2}, "int32"), s):totable()}, {2, {0}})
  assert(pl.save(folder .. "/s.safetensors", {statistics = s}))
  eq(pl.load(folder .. "/s.safetensors").statistics.mean:item(), 2)
  fails("statistics: column 1 of real[1,2] has no values, or infinite ones", data.statistics, pl.tensor {{0 / 0, 1}})
  fails("statistics: column 2 of real[1,2] has no values, or infinite ones", data.statistics, pl.tensor {{0, 1 / 0}})
  fails("standardise: real[2,2], but the statistics are those of [n,3]", data.standardise, pl.ones(2, 2), data.statistics(x))
  fails("standardise: what data.statistics gave expected, got table", data.standardise, x, {})
  fails("statistics: tensor expected, got table", data.statistics, {})
end

return T
