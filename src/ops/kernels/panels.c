/*
** panels.c: products of a few rows with a matrix that stays the same for many of them, as in the
** steps of a recurrent layer. The matrix is laid out once in panels of BLOCK columns, row after
** row; a tile of the result stays in registers over the whole inner dimension. An element has
** the same bits however the rows are cut.
*/
#include "../../base/base.h"
#include "kernels.h"
#include "vectors.h"

enum { TILE = 6 }; /* rows of two vectors: they hide the latency of multiply-add on two units */

static int64_t up(int64_t n, int64_t step) { return (n + step - 1) / step; }

/* panel[i][lane] = b[i * ld + lane] for k rows; lanes from `columns` on are zero. */
static void pack_rows(int64_t k, int64_t columns, const pl_real *b, int64_t ld, pl_real *panel) {
  for (int64_t i = 0; i < k; i++, b += ld, panel += BLOCK) {
    memcpy(panel, b, (size_t)columns * sizeof *b);
    for (int64_t j = columns; j < BLOCK; j++) panel[j] = 0;
  }
}

/* panel[i][lane] = b[lane * ld + i] */
static void pack_columns(int64_t k, int64_t columns, const pl_real *b, int64_t ld, pl_real *panel) {
  int64_t i = 0;
  for (; columns == BLOCK && i + LANES <= k; i += LANES) {
    for (int64_t half = 0; half < BLOCK; half += LANES) {
      vec v[LANES];
      UNROLL for (int j = 0; j < LANES; j++) v[j] = load(b + (half + j) * ld + i);
      transpose(v);
      UNROLL for (int j = 0; j < LANES; j++) store(panel + (i + j) * BLOCK + half, v[j]);
    }
  }
  for (; i < k; i++)
    for (int64_t j = 0; j < BLOCK; j++) panel[i * BLOCK + j] = j < columns ? b[j * ld + i] : 0;
}

static int64_t size(int64_t k, int64_t n) { return up(n, BLOCK) * BLOCK * k; }

static void pack(int64_t k, int64_t n, const pl_real *b, int64_t ld, bool transposed,
                 pl_real *panels) {
  const int64_t count = up(n, BLOCK);
#pragma omp parallel for schedule(static) if (k * n > PL_GRAIN)
  for (int64_t p = 0; p < count; p++) {
    const int64_t j = p * BLOCK, columns = PL_MIN(BLOCK, n - j);
    pl_real *panel = panels + p * BLOCK * k;
    if (transposed) pack_columns(k, columns, b + j * ld, ld, panel);
    else pack_rows(k, columns, b + j, ld, panel);
  }
}

/* What is there, or nothing. */
INLINE vec begin(bool accumulate, const pl_real *c) { return accumulate ? load(c) : (vec){0}; }

INLINE void tile_body(int rows, int64_t k, const pl_real *a, int64_t lda, const pl_real *panel,
                      bool accumulate, pl_real *c, int64_t ldc) {
  vec sum[TILE][2];
  UNROLL for (int r = 0; r < rows; r++) {
    sum[r][0] = begin(accumulate, c + r * ldc);
    sum[r][1] = begin(accumulate, c + r * ldc + LANES);
  }
  for (int64_t i = 0; i < k; i++, panel += BLOCK) {
    vec b0 = load(panel), b1 = load(panel + LANES);
    UNROLL for (int r = 0; r < rows; r++) {
      sum[r][0] += b0 * a[r * lda + i];
      sum[r][1] += b1 * a[r * lda + i];
    }
  }
  UNROLL for (int r = 0; r < rows; r++) {
    store(c + r * ldc, sum[r][0]);
    store(c + r * ldc + LANES, sum[r][1]);
  }
}

typedef void tile(int64_t k, const pl_real *a, int64_t lda, const pl_real *panel, bool accumulate,
                  pl_real *c, int64_t ldc);
#define TILE_OF(rows)                                                                     \
  static void tile_##rows(int64_t k, const pl_real *a, int64_t lda, const pl_real *panel, \
                          bool accumulate, pl_real *c, int64_t ldc) {                     \
    tile_body(rows, k, a, lda, panel, accumulate, c, ldc);                                \
  }
/* clang-format off */
TILE_OF(1) TILE_OF(2) TILE_OF(3) TILE_OF(4) TILE_OF(5) TILE_OF(6)
#undef TILE_OF
static tile *const tiles[] = {NULL, tile_1, tile_2, tile_3, tile_4, tile_5, tile_6};
/* clang-format on */

/* A tile of the last panel, whose width is less than that of two vectors. */
static void narrow_tile(int64_t rows, int64_t columns, int64_t k, const pl_real *a, int64_t lda,
                        const pl_real *panel, bool accumulate, pl_real *c, int64_t ldc) {
  pl_real wide[TILE * BLOCK] = {0};
  const size_t bytes = (size_t)columns * sizeof *c;
  for (int64_t r = 0; accumulate && r < rows; r++) memcpy(wide + r * BLOCK, c + r * ldc, bytes);
  tiles[rows](k, a, lda, panel, true, wide, BLOCK);
  for (int64_t r = 0; r < rows; r++) memcpy(c + r * ldc, wide + r * BLOCK, bytes);
}

static void product(int64_t m, int64_t n, int64_t k, const pl_real *a, int64_t lda,
                    const pl_real *panels, bool accumulate, pl_real *c, int64_t ldc) {
  const int64_t count = up(m, TILE); /* tiles of even height */
  for (int64_t j = 0; j < n; j += BLOCK, panels += k * BLOCK) {
    for (int64_t t = 0; t < count; t++) {
      const int64_t from = m * t / count, rows = m * (t + 1) / count - from;
      const pl_real *row = a + from * lda;
      pl_real *to = c + from * ldc + j;
      if (n - j >= BLOCK) tiles[rows](k, row, lda, panels, accumulate, to, ldc);
      else narrow_tile(rows, n - j, k, row, lda, panels, accumulate, to, ldc);
    }
  }
}

const pl_panel_kernels PL_ISA_NAME(pl_panel_kernels) = {
    .size = size, .pack = pack, .product = product};
