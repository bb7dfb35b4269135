local pl = require "perilune"
hoard = {}
function softmax(x)
  for i = 1, 1000 do hoard[i] = pl.zeros(1000, 1000) end
  return x:softmax(2)
end
