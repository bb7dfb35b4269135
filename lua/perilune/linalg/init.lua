--- Linear algebra: factors of dense matrices, and what is solved by them, through LAPACK.
--
-- A matrix is a tensor [m,n]; with more dims, [...,m,n], a tensor is a stack of them, and each has
-- its own result. Stacks of two inputs broadcast. Matrices may lie in memory in any way, and be
-- empty. `int32` and `uint8` are refused: `x:to "real"`.
--
--     local a = pl.tensor {{4, 2}, {2, 3}}
--     local l = pl.linalg.cholesky(a)                  -- l:matmul(l:t()) is a
--     local x = pl.linalg.solve(a, pl.tensor {1, 2})   -- a:matmul(x) is {1, 2}
--     local w, v = pl.linalg.eigh(a)                   -- (v * w):matmul(v:t()) is a
--     local u, s, vh = pl.linalg.svd(pl.randn(5, 3))
--
-- All have gradients of any order, but `matrix_rank`. Those of eigenvectors and singular vectors
-- need distinct values, and a function that does not depend on the signs of the vectors.
-- `cholesky`, `eigh` and `eigvalsh` read one triangle alone and take the matrix for symmetric;
-- their gradients are symmetric too.
--
-- A matrix that cannot be factored is an error that says which of the stack it is. NaN and
-- infinity are an error where LAPACK iterates (`eigh`, `eigvalsh`, `svd`, `svdvals`,
-- `matrix_rank`, `pinv`, `lstsq`) and in `cholesky`; elsewhere they give NaN.
-- @module perilune.linalg

local core = require "perilune.core"

return require("perilune.internal.unknown").guard("pl.linalg", core.linalg)
