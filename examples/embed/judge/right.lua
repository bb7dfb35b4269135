function softmax(x)
  local e = (x - x:amax({2}, true)):exp()
  return e / e:sum({2}, true)
end
