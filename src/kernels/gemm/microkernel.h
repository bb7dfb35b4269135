/*
** microkernel.h: the micro-kernel of matrix products, which multiplies a few rows of a by a packed
** panel of b in registers, and the packing of such panels (Goto and van de Geijn, Anatomy of
** High-Performance Matrix Multiplication, 2008; Van Zee and van de Geijn, BLIS, 2015).
**
**              NR columns
**            b | . . . . |                 panel: row after row of NR = BLOCK columns,
**              | . . . . | k               read from front to end
**      k       | . . . . |
**   a |......| c |+ + + +|                 c: MR rows, two vectors each, stay in registers
**   MR|......|   |+ + + +|
*/
#ifndef PERILUNE_GEMM_MICROKERNEL_H
#define PERILUNE_GEMM_MICROKERNEL_H

#include "../../base/base.h"
#include "../kernels.h"

/* Rows of the micro-kernel: as many as hide the latency of multiply-add on two units and leave
 * registers for the operands. Measured with AVX-512: eight are faster than six (docs/design.md). */
enum { MR = VECTOR_BYTES == 64 ? 8 : 6, MR_MAX = 8, NR = BLOCK };

/* The inner dimension of a product is cut into slices of KC: MR rows of a and a stretch of a panel of
 * b, KC long, fit into the first cache. Measured on a Zen 4, two threads: a product of the vae made
 * 185 GFLOP/s with 512 and 194 with 704 (docs/design.md, `perilune bench/ops.lua`). */
enum { KC = 704 };

enum { PREFETCH_ROWS = 8 }; /* of b ahead: with a stride the processor does not guess it */
#define UNUSED __attribute__((unused)) /* not every file has a use for all micro-kernels */

/* panel[i][lane] = b[i * ld + lane] for k rows; lanes from `columns` on are zero. */
static void pack_rows(int64_t k, int64_t columns, const pl_real *b, int64_t ld, pl_real *panel) {
  for (int64_t i = 0; i < k; i++, b += ld, panel += BLOCK) {
    if (columns == BLOCK) {
      memcpy(panel, b, BLOCK * sizeof *b);
      continue;
    }
    for (int64_t j = 0; j < BLOCK; j++) panel[j] = j < columns ? b[j] : 0;
  }
}

/* LANES rows of b, of which there are `rows`, become half a panel. */
INLINE void pack_half(int64_t k, int64_t rows, const pl_real *b, int64_t ld, pl_real *panel) {
  const int64_t whole = k / LANES * LANES;
  for (int64_t i = 0; i < whole; i += LANES) {
    vec v[LANES];
    UNROLL for (int j = 0; j < LANES; j++) v[j] = j < rows ? load(b + j * ld + i) : (vec){0};
    transpose(v);
    UNROLL for (int j = 0; j < LANES; j++) store(panel + (i + j) * BLOCK, v[j]);
  }
  for (int64_t i = whole; i < k; i++)
    for (int64_t j = 0; j < LANES; j++) panel[i * BLOCK + j] = j < rows ? b[j * ld + i] : 0;
}

/* panel[i][lane] = b[lane * ld + i]; first one half, then the other: the hardware prefetcher
 * follows LANES rows, but not twice as many (2.7 microseconds instead of 11.6 for 784 elements). */
static void pack_columns(int64_t k, int64_t columns, const pl_real *b, int64_t ld, pl_real *panel) {
  for (int64_t half = 0; half < BLOCK; half += LANES, b += LANES * ld, panel += LANES) {
    const int64_t rows = columns - half;
    if (rows >= LANES) pack_half(k, LANES, b, ld, panel);
    else pack_half(k, rows, b, ld, panel);
  }
}

static inline void pack_panel(int64_t k, int64_t columns, const pl_real *b, int64_t ld,
                              bool transposed, pl_real *panel) {
  if (transposed) pack_columns(k, columns, b, ld, panel);
  else pack_rows(k, columns, b, ld, panel);
}

/* A tile of c, and what is done to it on its way out. */
typedef struct {
  pl_real *c;
  int64_t ld, columns;
  bool add;            /* to what is there */
  const pl_real *bias; /* of these columns, or NULL */
  pl_real slope;
} c_tile;

/* A row of the last panel, which is narrower. */
static __attribute__((noinline)) void store_narrow(const c_tile *t, pl_real *c,
                                                   const pl_real *row) {
  for (int64_t j = 0; j < t->columns; j++) {
    pl_real v = t->add ? c[j] + row[j] : row[j];
    if (t->bias) v += t->bias[j];
    c[j] = activate_one(v, t->slope);
  }
}

INLINE void store_row(int vectors, const c_tile *t, pl_real *c, const vec *sum) {
  if (t->columns < vectors * LANES) {
    pl_real row[BLOCK];
    UNROLL for (int v = 0; v < vectors; v++) store(row + v * LANES, sum[v]);
    store_narrow(t, c, row);
    return;
  }
  UNROLL for (int v = 0; v < vectors; v++) {
    vec value = sum[v];
    if (t->add) value += load(c + v * LANES);
    if (t->bias) value += load(t->bias + v * LANES);
    store(c + v * LANES, activate(value, t->slope));
  }
}

/*
** c = a b for `rows` rows, of as many vectors. Row r of a begins at a + r * row; its elements are
** `step` apart. The rows of b are ldb apart. If there is a panel, b is packed into it meanwhile.
*/
INLINE void microkernel(int rows, int vectors, int64_t k, const pl_real *a, int64_t row,
                        int64_t step, const pl_real *from, int64_t ldb, pl_real *panel,
                        const c_tile *t) {
  vec sum[MR_MAX][2], b[2];
  UNROLL for (int r = 0; r < rows; r++) {
    sum[r][0] = sum[r][1] = (vec){0};
    UNROLL for (int v = 0; v < vectors; v++) __builtin_prefetch(t->c + r * t->ld + v * LANES, 1);
  }
  for (int64_t i = 0; i < k; i++, from += ldb) {
    UNROLL for (int v = 0; v < vectors; v++) b[v] = load(from + v * LANES);
    if (panel) {
      UNROLL for (int v = 0; v < vectors; v++) {
        __builtin_prefetch(from + PREFETCH_ROWS * ldb + v * LANES);
        store(panel + v * LANES, b[v]);
      }
      panel += BLOCK;
    }
    UNROLL for (int r = 0; r < rows; r++) {
      UNROLL for (int v = 0; v < vectors; v++) sum[r][v] += b[v] * a[r * row + i * step];
    }
  }
  UNROLL for (int r = 0; r < rows; r++) store_row(vectors, t, t->c + r * t->ld, sum[r]);
}

typedef void gemm_tile(int64_t k, const pl_real *a, int64_t lda, const pl_real *panel,
                       const c_tile *t);
typedef void packing_microkernel(int64_t k, const pl_real *a, int64_t lda, const pl_real *b,
                                 int64_t ldb, pl_real *panel, const c_tile *t);
typedef void strided_microkernel(int64_t k, const pl_real *a, int64_t row, int64_t step,
                                 const pl_real *b, int64_t ldb, const c_tile *t);
#define MICROKERNELS(rows)                                                                     \
  static void plain_microkernel_##rows(int64_t k, const pl_real *a, int64_t lda,               \
                                       const pl_real *panel, const c_tile *t) {                \
    if (t->columns <= LANES) microkernel(rows, 1, k, a, lda, 1, panel, BLOCK, NULL, t);        \
    else microkernel(rows, 2, k, a, lda, 1, panel, BLOCK, NULL, t);                            \
  }                                                                                            \
  static UNUSED void packed_a_microkernel_##rows(int64_t k, const pl_real *a, int64_t lda,     \
                                                 const pl_real *panel, const c_tile *t) {      \
    (void)lda;                                                                                 \
    if (t->columns <= LANES) microkernel(rows, 1, k, a, 1, MR, panel, BLOCK, NULL, t);         \
    else microkernel(rows, 2, k, a, 1, MR, panel, BLOCK, NULL, t);                             \
  }                                                                                            \
  static UNUSED void packing_microkernel_##rows(int64_t k, const pl_real *a, int64_t lda,      \
                                                const pl_real *b, int64_t ldb, pl_real *panel, \
                                                const c_tile *t) {                             \
    microkernel(rows, 2, k, a, lda, 1, b, ldb, panel, t);                                      \
  }                                                                                            \
  static UNUSED void strided_microkernel_##rows(int64_t k, const pl_real *a, int64_t row,      \
                                                int64_t step, const pl_real *b, int64_t ldb,   \
                                                const c_tile *t) {                             \
    microkernel(rows, 2, k, a, row, step, b, ldb, NULL, t);                                    \
  }
MICROKERNELS(1)
MICROKERNELS(2)
MICROKERNELS(3)
MICROKERNELS(4)
MICROKERNELS(5)
MICROKERNELS(6)
MICROKERNELS(7)
MICROKERNELS(8)
#undef MICROKERNELS

/* By the number of rows. */
#define BY_ROWS(name) \
  { NULL, name##_1, name##_2, name##_3, name##_4, name##_5, name##_6, name##_7, name##_8 }
static gemm_tile *const microkernels[] = BY_ROWS(plain_microkernel);
static UNUSED gemm_tile *const packed_a_microkernels[] = BY_ROWS(packed_a_microkernel);
static UNUSED packing_microkernel *const packing_microkernels[] = BY_ROWS(packing_microkernel);
static UNUSED strided_microkernel *const strided_microkernels[] = BY_ROWS(strided_microkernel);
#undef BY_ROWS

#endif
