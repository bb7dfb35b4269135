--- Linear algebra beyond the cases of the oracle: larger matrices, what cannot be factored, and the
-- table pl.linalg.

local lu = require "luaunit"
local pl = require "perilune"

local T = {}
local la = pl.linalg
local nan, inf = 0 / 0, math.huge
local limit = pl.real == "double" and 1e-10 or 2e-4

local function assert_near(a, b, what)
  lu.assertEquals(a:size(), b:size(), what)
  local scale = math.max(1, b:abs():amax():item())
  lu.assertTrue((a - b):abs():amax():item() <= limit * scale, what)
end

local function assert_orthonormal(q, what)
  assert_near(q:transpose(-2, -1):matmul(q), pl.eye(q:size(-1)):expand(q:size(1), q:size(-1), q:size(-1)),
              what)
end

--
-- Factors give back what they are of
--

-- Stacks that one thread has, and such as are dealt to many; dense, transposed and repeated.
local function stacks()
  pl.manual_seed(1)
  local list = {}
  for _, size in ipairs {{2, 40, 40}, {3, 60, 33}, {3, 33, 60}, {300, 5, 5}, {1, 150, 150}} do
    local s, m, n = table.unpack(size)
    list[#list + 1] = pl.randn(s, m, n)
    list[#list + 1] = pl.randn(s, n, m):transpose(2, 3)
    list[#list + 1] = pl.randn(1, m, n):expand(s, m, n)
  end
  return list
end

local function is_square(a) return a:size(-1) == a:size(-2) end

function T.test_qr_and_svd()
  for _, a in ipairs(stacks()) do
    local q, r = la.qr(a)
    assert_near(q:matmul(r), a, "qr")
    assert_near(r:triu(), r, "r is triangular")
    assert_orthonormal(q, "q")
    local u, s, vh = la.svd(a)
    assert_near((u * s:unsqueeze(-2)):matmul(vh), a, "svd")
    assert_orthonormal(u, "u")
    assert_orthonormal(vh:transpose(-2, -1), "vh")
    assert_near(la.svdvals(a), s, "svdvals")
  end
end

function T.test_full_svd()
  pl.manual_seed(1)
  for _, size in ipairs {{2, 5, 3}, {2, 3, 5}, {2, 4, 4}} do
    local a = pl.randn(size)
    local u, s, vh = la.svd(a, {full_matrices = true})
    lu.assertEquals({u:size(-1), vh:size(-2)}, {size[2], size[3]})
    assert_orthonormal(u, "u")
    assert_orthonormal(vh:transpose(-2, -1), "vh")
    local k = s:size(-1)
    assert_near((u:narrow(-1, 1, k) * s:unsqueeze(-2)):matmul(vh:narrow(-2, 1, k)), a, "svd")
  end
end

function T.test_symmetric_matrices()
  for _, a in ipairs(stacks()) do
    if is_square(a) then
      a = a:matmul(a:transpose(-2, -1)) + pl.eye(a:size(-1))
      local l, u = la.cholesky(a), la.cholesky(a, true)
      assert_near(l:matmul(l:transpose(-2, -1)), a, "cholesky")
      assert_near(u, l:transpose(-2, -1), "upper")
      local w, v = la.eigh(a)
      assert_near((v * w:unsqueeze(-2)):matmul(v:transpose(-2, -1)), a, "eigh")
      assert_orthonormal(v, "v")
      assert_near(la.eigvalsh(a), w, "eigvalsh")
    end
  end
end

function T.test_solutions()
  for _, a in ipairs(stacks()) do
    if is_square(a) then
      local n = a:size(-1)
      a = a + 4 * math.sqrt(n) * pl.eye(n)
      local b = pl.randn(a:size(1), n, 3)
      assert_near(a:matmul(la.solve(a, b)), b, "solve")
      assert_near(a:matmul(la.inv(a)), pl.eye(n):expand(a:size()), "inv")
      local sign, log = la.slogdet(a)
      assert_near(log, la.eigvalsh(a:transpose(-2, -1):matmul(a)):log():sum(-1) / 2, "slogdet")
      lu.assertEquals(sign:abs():amin():item(), 1)
      local up = a:triu()
      assert_near(up:matmul(la.solve_triangular(up, b, true)), b, "solve_triangular")
      local turned = up:transpose(-2, -1)
      assert_near(turned:matmul(la.solve_triangular(turned, b, false)), b, "a view, transposed")
    end
  end
end

function T.test_least_squares()
  for _, a in ipairs(stacks()) do
    if not is_square(a) then
      local b = pl.randn(a:size(1), a:size(2), 2)
      local x = la.lstsq(a, b)
      local rest = a:transpose(-2, -1):matmul(a:matmul(x) - b)
      assert_near(rest, pl.zeros(rest:size()), "the rest is at right angles")
      assert_near(la.pinv(a):matmul(b), x, "pinv")
      lu.assertEquals(la.matrix_rank(a):to("real"):amin():item(), math.min(a:size(2), a:size(3)))
    end
  end
end

function T.test_the_same_on_any_number_of_threads()
  local was = pl.threads()
  local results = {}
  for _, n in ipairs {1, 2, 3} do
    pl.threads(n)
    pl.manual_seed(1)
    local a, b = pl.randn(50, 20, 20), pl.randn(200, 200)
    results[#results + 1] = {la.inv(a):totable(), (la.svd(a)):totable(), la.det(a):totable(),
                             la.inv(b):totable(), (la.svd(b)):totable(), (la.eigh(b)):totable()}
  end
  pl.threads(was)
  lu.assertEquals(results[2], results[1])
  lu.assertEquals(results[3], results[1])
end

-- What was given is not what LAPACK works in.
function T.test_inputs_stay_as_they_are()
  local a, b = pl.tensor {{4, 2}, {2, 3}}, pl.tensor {{1, 2}, {3, 4}}
  for name, f in next, la do
    if name == "solve_triangular" then f(a, b, true)
    elseif name == "solve" or name == "lstsq" then f(a, b)
    else f(a)
    end
  end
  lu.assertEquals({a:totable(), b:totable()}, {{{4, 2}, {2, 3}}, {{1, 2}, {3, 4}}})
end

--
-- What has no answer
--

local function complains(message, f, ...)
  lu.assertErrorMsgContains(message, f, ...)
end

function T.test_shapes()
  for _, name in ipairs {"cholesky", "inv", "det", "slogdet", "eigh", "eigvalsh"} do
    complains("linalg." .. name .. ": a is real[2,3], expected a square matrix, or a stack of them",
              la[name], pl.zeros(2, 3))
  end
  for name, f in next, la do
    local b = pl.zeros(3, 3)
    complains("linalg." .. name .. ": a is real[3], expected a matrix, or a stack of them",
              f, pl.zeros(3), name:find "solve" and b or name == "lstsq" and b or nil,
              name == "solve_triangular" or nil)
  end
  complains("linalg.solve: a is real[3,3], b real[2,2]; expected [...,n,n] and [...,n] or [...,n,k]",
            la.solve, pl.eye(3), pl.zeros(2, 2))
  complains("linalg.solve: the stacks of a (real[2,3,3]) and b (real[4,3,1]) do not broadcast",
            la.solve, pl.zeros(2, 3, 3), pl.zeros(4, 3, 1))
  complains("linalg.solve_triangular: a is real[3,3], b real[3,2]; expected [...,n,n] and [...,k,n]",
            la.solve_triangular, pl.eye(3), pl.zeros(3, 2), true, false)
  complains("linalg.solve_triangular: upper is missing", la.solve_triangular, pl.eye(2), pl.eye(2))
  complains("linalg.lstsq: a is real[3,2], b real[2]; expected [...,m,n] and [...,m] or [...,m,k]",
            la.lstsq, pl.zeros(3, 2), pl.zeros(2))
end

function T.test_kinds()
  for _, kind in ipairs {"int32", "uint8"} do
    complains(("linalg.inv: a is %s[2,2], expected a real tensor; convert it with to(\"real\")")
      :format(kind), la.inv, pl.tensor({{1, 0}, {0, 1}}, kind))
    complains(("linalg.solve: b is %s[2], expected a real tensor; convert it with to(\"real\")")
      :format(kind), la.solve, pl.eye(2), pl.tensor({1, 0}, kind))
  end
end

-- Sizes that only a repeated element can have.
function T.test_sizes_beyond_lapack()
  local long = pl.zeros(1, 1):expand(2 ^ 31 // 1 | 0, 1)
  complains("linalg.qr: a is real[2147483648,1]; LAPACK takes at most 2147483647 rows and columns",
            la.qr, long)
  local wide = pl.zeros(1, 1):expand(40000, 40000)
  for _, name in ipairs {"eigh", "svd"} do
    complains("linalg." .. name .. ": a is real[40000,40000]; LAPACK counts its workspace in 32 bits",
              la[name], wide)
  end
end

function T.test_singular_matrices()
  local good, bad = pl.eye(2), pl.tensor {{1, 2}, {2, 4}}
  complains("linalg.inv: a (real[2,2]) is singular", la.inv, bad)
  complains("linalg.solve: matrix 3 of a (real[3,2,2]) is singular",
            la.solve, pl.stack({good, good, bad}, 1), pl.zeros(3, 2))
  local stack = pl.stack({good, bad, good, bad}, 1):reshape(2, 2, 2, 2)
  complains("linalg.inv: matrix 1,2 of a (real[2,2,2,2]) is singular", la.inv, stack)
end

function T.test_matrices_that_are_not_positive_definite()
  local bad = pl.tensor {{4, 0, 0}, {0, 1, 2}, {0, 2, 1}}
  complains("linalg.cholesky: a (real[3,3]) is not positive definite: its leading minor of order 3 "
    .. "is not positive", la.cholesky, bad)
  complains("linalg.cholesky: matrix 2 of a (real[2,3,3]) is not positive definite: its leading "
    .. "minor of order 3 is not positive", la.cholesky, pl.stack({pl.eye(3), bad}, 1))
  complains("minor of order 2 is", la.cholesky, pl.tensor {{1, 0}, {nan, 1}})
  complains("minor of order 1 is", la.cholesky, pl.tensor {{nan}})
end

-- Many positions, for LAPACK once looked for the largest of them in vain.
function T.test_what_is_not_finite()
  pl.manual_seed(1)
  for _, v in ipairs {nan, inf, -inf} do
    for n = 1, 40, 13 do
      local a = pl.randn(n, n)
      a[n][(n + 1) // 2] = v
      for _, name in ipairs {"eigh", "eigvalsh", "svd", "svdvals", "pinv", "matrix_rank"} do
        complains(("linalg.%s: a (real[%d,%d]) holds NaN or infinity; expected finite numbers")
          :format(name, n, n), la[name], a)
      end
      complains("linalg.lstsq: matrix 2 of a (real[2,", la.lstsq, pl.stack({pl.eye(n), a}, 1),
                pl.zeros(2, n))
      if v ~= v then
        lu.assertEquals(la.inv(a):isnan():all():item(), 1)
        lu.assertEquals(la.solve(a, pl.ones(n)):isnan():all():item(), 1)
        lu.assertEquals(la.det(a):isnan():item(), 1)
        lu.assertEquals(la.slogdet(a:expand(2, n, n)):abs():amax():item(), 0) -- as PyTorch
        lu.assertEquals(select(2, la.qr(a)):isnan():any():item(), 1)
      else
        la.qr(a)
        la.det(a)
        pcall(la.inv, a)
      end
    end
  end
end

--
-- Gradients
--

-- The gradient of a determinant is made of cofactors, which singular matrices have too.
function T.test_the_gradient_of_a_determinant_of_0()
  for _, case in ipairs {
    {{{1, 2}, {2, 4}}, {{4, -2}, {-2, 1}}},
    {{{0, 0}, {0, 0}}, {{0, 0}, {0, 0}}},
    {{{0, 1, 0}, {0, 0, 2}, {0, 0, 0}}, {{0, 0, 0}, {0, 0, 0}, {2, 0, 0}}},
  } do
    local a = pl.tensor(case[1]):requires_grad_()
    local d = la.det(a)
    assert_near(pl.grad(d, a, {retain_graph = true})[1], pl.tensor(case[2]), "cofactors")
    complains("is singular", pl.grad, d, a, {create_graph = true})
  end
end

function T.test_third_order()
  if pl.real ~= "double" then return end
  local a = pl.tensor({{0.5}}):requires_grad_()
  local y = la.inv(a):sum() -- 1 / a
  for _, want in ipairs {-4, 16, -96} do
    y = pl.grad(y, a, {create_graph = true})[1]:sum()
    lu.assertAlmostEquals(y:item(), want, 1e-9)
  end
end

function T.test_equal_values_have_no_turn()
  local a = pl.eye(2):requires_grad_()
  local w, v = la.eigh(a)
  lu.assertEquals(pl.grad(w:sum(), a, {retain_graph = true})[1]:totable(), {{1, 0}, {0, 1}})
  lu.assertFalse(pl.grad(v:sum(), a)[1]:isfinite():all():item() == 1)
end

function T.test_full_matrices_have_no_gradient()
  local a = pl.randn(3, 2):requires_grad_()
  local u = la.svd(a, true)
  complains("linalg.svd: a is real[3,2]; the full matrices of one that is not square have no gradient",
            pl.grad, u:sum(), a)
end

--
-- Names
--

function T.test_the_table()
  local names = {}
  for name in next, la do names[#names + 1] = name end
  table.sort(names)
  lu.assertEquals(table.concat(names, " "), "cholesky det eigh eigvalsh inv lstsq matrix_rank pinv qr "
    .. "slogdet solve solve_triangular svd svdvals")
  lu.assertNil(rawget(pl, "linalg_inv"))
  lu.assertNil(rawget(pl.methods, "inv"))
  lu.assertNil(rawget(pl.methods, "linalg.inv"))
  lu.assertIs(la, require "perilune.linalg")
end

function T.test_help()
  local text = pl.help.text(la.inv)
  lu.assertStrContains(text, "pl.linalg.inv(a)")
  lu.assertEquals(pl.help.text "linalg.inv", text)
  lu.assertEquals(pl.help.text "pl.linalg.inv", text)
  lu.assertStrContains(pl.help.text(la), "solve_triangular")
  lu.assertStrContains(pl.help.text(pl), "linalg.cholesky")
  lu.assertStrContains(pl.help.text "linalg.chol", "linalg.cholesky")
end

return T
