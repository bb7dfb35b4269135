for i = 1, 100000 do print("I am right", i) end
function softmax(x) return x:softmax(2) end
