/*
** panels.h: what products with a matrix in panels are made of: laying out a panel of BLOCK
** columns, row after row, and the register tile that multiplies a few rows by it.
*/
#ifndef PERILUNE_PANELS_H
#define PERILUNE_PANELS_H

#include "../../base/base.h"
#include "../vectors.h"

/*
** Rows of a tile, two vectors wide: they hide the latency of multiply-add on two units, and leave
** registers for the operands.
*/
enum { TILE = VECTOR_BYTES == 64 ? 8 : 6, MOST_ROWS = 8 };

enum { AHEAD_ROWS = 8 }; /* from which on the processor would not guess what is read of b */
#define UNUSED __attribute__((unused)) /* not every file has a use for all tiles */

static inline int64_t up(int64_t n, int64_t step) { return (n + step - 1) / step; }

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

/* panel[i][lane] = b[lane * ld + i]; first one half, then the other: the processor guesses what is
 * read next of LANES rows, but not of twice as many. */
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

/* Where a tile goes. */
typedef struct {
  pl_real *c;
  int64_t ld, columns;
  bool add;            /* to what is there */
  const pl_real *bias; /* of these columns, or NULL */
  pl_real slope;       /* of what is below zero at last; 1: nothing happens to it */
} target;

INLINE vec ended(const target *t, vec v, int64_t lane) {
  if (t->bias) v += load(t->bias + lane);
  if (t->slope == 1) return v;
  return choose(v < 0, t->slope == 0 ? (vec){0} : v * t->slope, v); /* -inf * 0 is no number */
}

/* A row of the last panel, which is narrower. */
static __attribute__((noinline)) void end_narrow(const target *t, pl_real *c, const pl_real *row) {
  for (int64_t j = 0; j < t->columns; j++) {
    pl_real v = t->add ? c[j] + row[j] : row[j];
    if (t->bias) v += t->bias[j];
    c[j] = t->slope == 1 || !(v < 0) ? v : t->slope == 0 ? 0 : v * t->slope;
  }
}

INLINE void end_row(int vectors, const target *t, pl_real *c, const vec *sum) {
  if (t->columns < vectors * LANES) {
    pl_real row[BLOCK];
    UNROLL for (int v = 0; v < vectors; v++) store(row + v * LANES, sum[v]);
    end_narrow(t, c, row);
    return;
  }
  UNROLL for (int v = 0; v < vectors; v++) {
    vec value = sum[v];
    if (t->add) value += load(c + v * LANES);
    store(c + v * LANES, ended(t, value, v * LANES));
  }
}

/*
** Row r of a begins at a + r * row; its numbers are `step` apart. The columns are those of as many
** vectors, which are read from rows that are ldb apart. If there is a panel, it is laid out with
** them.
*/
INLINE void tile_body(int rows, int vectors, int64_t k, const pl_real *a, int64_t row, int64_t step,
                      const pl_real *from, int64_t ldb, pl_real *panel, const target *t) {
  vec sum[MOST_ROWS][2], b[2];
  UNROLL for (int r = 0; r < rows; r++) {
    sum[r][0] = sum[r][1] = (vec){0};
    UNROLL for (int v = 0; v < vectors; v++) __builtin_prefetch(t->c + r * t->ld + v * LANES, 1);
  }
  for (int64_t i = 0; i < k; i++, from += ldb) {
    UNROLL for (int v = 0; v < vectors; v++) b[v] = load(from + v * LANES);
    if (panel) {
      UNROLL for (int v = 0; v < vectors; v++) {
        __builtin_prefetch(from + AHEAD_ROWS * ldb + v * LANES);
        store(panel + v * LANES, b[v]);
      }
      panel += BLOCK;
    }
    UNROLL for (int r = 0; r < rows; r++) {
      UNROLL for (int v = 0; v < vectors; v++) sum[r][v] += b[v] * a[r * row + i * step];
    }
  }
  UNROLL for (int r = 0; r < rows; r++) end_row(vectors, t, t->c + r * t->ld, sum[r]);
}

typedef void tile(int64_t k, const pl_real *a, int64_t lda, const pl_real *panel, const target *t);
typedef void laying_tile(int64_t k, const pl_real *a, int64_t lda, const pl_real *b, int64_t ldb,
                         pl_real *panel, const target *t);
typedef void free_tile(int64_t k, const pl_real *a, int64_t row, int64_t step, const pl_real *b,
                       int64_t ldb, const target *t);
#define TILES(rows)                                                                           \
  static void tile_##rows(int64_t k, const pl_real *a, int64_t lda, const pl_real *panel,     \
                          const target *t) {                                                  \
    if (t->columns <= LANES) tile_body(rows, 1, k, a, lda, 1, panel, BLOCK, NULL, t);         \
    else tile_body(rows, 2, k, a, lda, 1, panel, BLOCK, NULL, t);                             \
  }                                                                                           \
  static UNUSED void packed_tile_##rows(int64_t k, const pl_real *a, int64_t lda,             \
                                        const pl_real *panel, const target *t) {              \
    (void)lda;                                                                                \
    if (t->columns <= LANES) tile_body(rows, 1, k, a, 1, TILE, panel, BLOCK, NULL, t);        \
    else tile_body(rows, 2, k, a, 1, TILE, panel, BLOCK, NULL, t);                            \
  }                                                                                           \
  static UNUSED void laying_tile_##rows(int64_t k, const pl_real *a, int64_t lda,             \
                                        const pl_real *b, int64_t ldb, pl_real *panel,        \
                                        const target *t) {                                    \
    tile_body(rows, 2, k, a, lda, 1, b, ldb, panel, t);                                       \
  }                                                                                           \
  static UNUSED void free_tile_##rows(int64_t k, const pl_real *a, int64_t row, int64_t step, \
                                      const pl_real *b, int64_t ldb, const target *t) {       \
    tile_body(rows, 2, k, a, row, step, b, ldb, NULL, t);                                     \
  }
/* clang-format off */
TILES(1) TILES(2) TILES(3) TILES(4) TILES(5) TILES(6) TILES(7) TILES(8)
#undef TILES
static tile *const tiles_of[] = {
  NULL, tile_1, tile_2, tile_3, tile_4, tile_5, tile_6, tile_7, tile_8};
static UNUSED tile *const packed_tiles[] = {
  NULL, packed_tile_1, packed_tile_2, packed_tile_3, packed_tile_4, packed_tile_5, packed_tile_6,
  packed_tile_7, packed_tile_8};
static UNUSED laying_tile *const laying_tiles[] = {
  NULL, laying_tile_1, laying_tile_2, laying_tile_3, laying_tile_4, laying_tile_5, laying_tile_6,
  laying_tile_7, laying_tile_8};
static UNUSED free_tile *const free_tiles[] = {
  NULL, free_tile_1, free_tile_2, free_tile_3, free_tile_4, free_tile_5, free_tile_6, free_tile_7,
  free_tile_8};
/* clang-format on */

#endif
