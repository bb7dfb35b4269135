/*
** panels.c: products of a few rows with a matrix that stays the same for many of them, as in the
** steps of a recurrent layer. The matrix is laid out in panels once; a tile of the result stays in
** registers over the whole inner dimension. An element has the same bits however the rows are cut.
*/
#include "panels.h"

#include "../kernels.h"

static int64_t size(int64_t k, int64_t n) { return up(n, BLOCK) * BLOCK * k; }

static void pack(int64_t k, int64_t n, const pl_real *b, int64_t ld, bool transposed,
                 pl_real *panels) {
  const int64_t count = up(n, BLOCK);
#pragma omp parallel for schedule(static) if (k * n > PL_GRAIN)
  for (int64_t p = 0; p < count; p++) {
    const int64_t j = p * BLOCK;
    pack_panel(k, PL_MIN(BLOCK, n - j), b + (transposed ? j * ld : j), ld, transposed,
               panels + j * k);
  }
}

static void product(int64_t m, int64_t n, int64_t k, const pl_real *a, int64_t lda,
                    const pl_real *panels, bool accumulate, pl_real *c, int64_t ldc) {
  const int64_t count = up(m, TILE); /* tiles of even height */
  for (int64_t j = 0; j < n; j += BLOCK, panels += k * BLOCK) {
    for (int64_t i = 0, at = 0; i < count; i++) {
      const int64_t end = m * (i + 1) / count;
      target to = {c + at * ldc + j, ldc, PL_MIN(BLOCK, n - j), accumulate, NULL, 1};
      tiles_of[end - at](k, a + at * lda, lda, panels, &to);
      at = end;
    }
  }
}

const pl_panel_kernels PL_ISA_NAME(pl_panel_kernels) = {
    .size = size, .pack = pack, .product = product};
