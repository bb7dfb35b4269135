local function largest(x, i) return i > 7 and 0 or math.max(x[i], largest(x, i)) end
function softmax(x) return (x - largest(x[1], 1)):softmax(2) end
