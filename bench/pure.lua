--- Times Lua alone, without tensors, for bench/limits.sh: perilune bench/pure.lua SECONDS
--
-- A sample is a turn of the loop: calls, tables, strings and arithmetic.

local seconds <const> = tonumber(arg and arg[1]) or 1
local clock <const> = os.clock

local function fibonacci(n) return n < 2 and n or fibonacci(n - 1) + fibonacci(n - 2) end

local function turn()
  local t, text = {}, ""
  for i = 1, 1000 do t[i] = (i * 7919) % 1009 end
  table.sort(t)
  for i = 1, 50 do text = text .. t[i] .. " " end
  for word in text:gmatch "%d+" do t[#t + 1] = tonumber(word) end
  return fibonacci(12) + #t
end

local start <const>, n = clock(), 0
repeat
  for _ = 1, 20 do turn() end
  n = n + 20
until clock() - start >= seconds
local took <const> = clock() - start
print(("%-12s %9.2f steps/s %11.0f samples/s"):format("lua", n / took, n / took))
