-- The task: a function softmax(x) of a matrix, along its rows, that works for large values too.
local pl = require "perilune"

assert(type(softmax) == "function", "there is no function softmax")
local x = pl.randn(5, 7) * 1000
local y = softmax(x)
assert(pl.is_tensor(y), "softmax gives no tensor")
assert(y:allclose(x:softmax(2), 1e-4, 1e-6), "the values are wrong")
