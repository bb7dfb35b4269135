function softmax(x) return x:exp() / x:exp():sum({2}, true) end
