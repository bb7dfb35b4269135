/*
** packed.c: products of a few rows with a matrix that stays the same for many of them, as in the
** steps of a recurrent layer (the packed GEMM of Intel's MKL). The matrix is packed
** once; a tile of the result stays in registers over the whole inner dimension. An element has the
** same bits however the rows are cut.
**
**   b [k,n]     panel 0 | panel 1 | ...      each [k][NR], one after the other
*/
#include "microkernel.h"

static int64_t packed_size(int64_t k, int64_t n) { return pl_ceil_div(n, NR) * NR * k; }

static void pack_all(int64_t k, int64_t n, const pl_real *b, int64_t ld, bool transposed,
                     pl_real *packed) {
  const int64_t count = pl_ceil_div(n, NR);
#pragma omp parallel for schedule(static) if (k * n > PL_GRAIN)
  for (int64_t p = 0; p < count; p++) {
    const int64_t j = p * NR;
    pack_panel(k, PL_MIN(NR, n - j), b + (transposed ? j * ld : j), ld, transposed, packed + j * k);
  }
}

static void packed_product(int64_t m, int64_t n, int64_t k, const pl_real *a, int64_t lda,
                           const pl_real *packed, bool accumulate, pl_real *c, int64_t ldc) {
  const int64_t count = pl_ceil_div(m, MR); /* tiles of even height */
  for (int64_t j = 0; j < n; j += NR, packed += k * NR) {
    for (int64_t i = 0, at = 0; i < count; i++) {
      const int64_t end = m * (i + 1) / count;
      c_tile to = {c + at * ldc + j, ldc, PL_MIN(NR, n - j), accumulate, NULL, 1};
      microkernels[end - at](k, a + at * lda, lda, packed, &to);
      at = end;
    }
  }
}

const pl_packed_kernels PL_ISA_NAME(pl_packed_kernels) = {
    .size = packed_size, .pack = pack_all, .product = packed_product};
