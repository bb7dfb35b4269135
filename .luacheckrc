-- What luacheck looks at and what it lets pass: `luacheck .` in this folder, as in tests/lint.sh.
std = "lua54"
max_line_length = false
include_files = {"**/*.lua"}
exclude_files = {"build*"}
ignore = {
  "212/self", -- a method need not use its object
  "581", -- `not (x > y)` is true of a NaN, `x <= y` is not
}

for _, folder in ipairs {"lua", "experiments"} do files[folder].max_line_length = 100 end

-- A profile of a whole program has to see the program exit.
files["lua/perilune/profile"].globals = {"os.exit"}

-- What the test gives to scripts in a host with a policy; these try what is forbidden.
files["tests/sandbox"] = {read_globals = {"attempt", "box", "is_inner", "outside"},
                          ignore = {"113", "122", "512"}}

-- What C programs call is global.
files["examples/embed"] = {allow_defined_top = true, ignore = {"131"}}

-- Tests let go of what they have made by assigning nil, and catch what is printed.
files["tests"].ignore = {"311"}
files["tests/lua/test_memory.lua"].ignore = {"231"}
for _, name in ipairs {"experiment", "damage"} do
  files[("tests/lua/test_%s.lua"):format(name)].globals = {"print", "io.write", "io.stderr"}
end
