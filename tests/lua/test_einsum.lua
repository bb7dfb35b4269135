--- Einstein summation against the ops that say the same.

local lu = require "luaunit"
local pl = require "perilune"

local T = {}

local function same(equation, want, ...)
  local got = pl.einsum(equation, ...)
  lu.assertTrue(got:allclose(want, 1e-5, 1e-5), equation)
end

function T.test_one_operand()
  local x, s = pl.randn(2, 3), pl.randn(3, 3)
  same("ij->ji", x:t(), x)
  same("ij", x, x)
  same("ji", x:t(), x)
  same("ij->", x:sum(), x)
  same("ij->j", x:sum(1), x)
  same("ii->i", s:diag(), s)
  same("ii", s:diag():sum(), s)
  same("...j->...", x:sum(2), x)
  local cube = pl.randn(2, 3, 3)
  same("bii->b", pl.stack {cube[1]:diag():sum(), cube[2]:diag():sum()}, cube)
  local c = pl.randn(2, 2, 2)
  same("iii->i", pl.tensor {c[{1, 1, 1}], c[{2, 2, 2}]}, c)
end

function T.test_two_operands()
  local a, b = pl.randn(2, 3), pl.randn(3, 4)
  same("ij,jk->ik", a:matmul(b), a, b)
  same("ij,jk", a:matmul(b), a, b)
  same(" i j , j k -> k i ", a:matmul(b):t(), a, b)
  same("ij,ij->", (a * a):sum(), a, a)
  same("ij,kl->ijkl", a:reshape(2, 3, 1, 1) * b, a, b)
  same("i,j->ij", pl.outer(a[1], b[1]), a[1], b[1])
  same("i,i->", pl.dot(a[1], a[2]), a[1], a[2])
  same("ij,->ij", a * 3, a, pl.tensor(3))
  local p, q = pl.randn(5, 2, 3), pl.randn(5, 3, 4)
  same("bij,bjk->bik", pl.bmm(p, q), p, q)
  same("...ij,...jk->...ik", p:matmul(b), p, b)
  same("...ij,...jk", p:reshape(5, 1, 2, 3):matmul(q), p:reshape(5, 1, 2, 3), q)
  same("bij,bjk->k", pl.bmm(p, q):sum {1, 2}, p, q)
  same("ij,jk->ik", pl.ones(2, 1):expand(2, 3):matmul(b), pl.ones(2, 1), b)
end

function T.test_many_operands()
  local a, b, c = pl.randn(2, 3), pl.randn(3, 4), pl.randn(4, 2)
  same("ij,jk,kl->il", a:matmul(b):matmul(c), a, b, c)
  same("ij,jk,ki->", a:matmul(b):matmul(c):diag():sum(), a, b, c)
  local x, w, y = pl.randn(2, 3), pl.randn(2, 3, 4), pl.randn(2, 4)
  local forms = {(x:matmul(w[1]) * y):sum(2), (x:matmul(w[2]) * y):sum(2)}
  same("bn,anm,bm->ba", pl.stack(forms, 2), x, w, y)
end

function T.test_gradient()
  local a, b = pl.randn(2, 3):requires_grad_(), pl.randn(3, 2):requires_grad_()
  local one = pl.grad(pl.einsum("ij,ji->", a, b):square(), {a, b})
  local two = pl.grad((a * b:t()):sum():square(), {a, b})
  for i = 1, 2 do lu.assertTrue(one[i]:allclose(two[i], 1e-4, 1e-4)) end
end

return T
