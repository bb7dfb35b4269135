/*
** conv_tile.h: what the convolution kernels are made of: a vector type, copies between an
** image's planes and vectors of channels, padded copies of images, and the register tile
** that does most of the arithmetic.
**
** None of them knows what a convolution is. A tile multiplies numbers that it finds by a
** table of offsets, so windows, strides and dilations are tables, not loops.
*/
#ifndef PERILUNE_CONV_TILE_H
#define PERILUNE_CONV_TILE_H

#include "../../base/base.h"
#include "conv_plan.h"
#include "../vectors.h"

/* The activation of a result. */
typedef struct {
  pl_activation act;
  pl_real slope;
} finish;
static const finish unchanged = {PL_NONE, 0};

INLINE vec finished(const finish *f, vec v) {
  if (f->act == PL_NONE) return v;
  return choose(v < 0, f->act == PL_RELU ? (vec){0} : v * f->slope, v);
}

INLINE pl_real finished_one(const finish *f, pl_real v) {
  return f->act == PL_NONE || !(v < 0) ? v : f->act == PL_RELU ? 0 : v * f->slope;
}

/* A gradient on its way back through an activation whose result was y (NULL: none). */
typedef struct {
  const pl_real *g, *y;
  pl_real slope;
} flow;

INLINE flow flow_at(const flow *f, int64_t at) {
  return (flow){f->g + at, f->y ? f->y + at : NULL, f->slope};
}
INLINE vec flow_load(const flow *f, int64_t at) {
  vec g = load(f->g + at);
  if (!f->y) return g;
  return choose(load(f->y + at) > 0, g, f->slope == 0 ? (vec){0} : g * f->slope); /* inf * 0 */
}
INLINE pl_real flow_one(const flow *f, int64_t at) {
  if (!f->y || f->y[at] > 0) return f->g[at];
  return f->slope == 0 ? 0 : f->slope * f->g[at];
}

/*
** Between planes (a channel's numbers side by side) and blocks (BLOCK channels side by side)
*/

/* block[i][lane] = plane[lane][i] for n numbers a plane; lanes from `channels` on are zero. */
static inline void block_from_planes(pl_real *block, const flow *f, int64_t plane, int64_t channels,
                                     int64_t n) {
  for (int64_t half = 0; half < BLOCK; half += LANES) {
    for (int64_t i = 0; n >= LANES && i < n; i += LANES) {
      int64_t at = PL_MIN(i, n - LANES); /* the last vectors may overlap those before */
      vec v[LANES];
      UNROLL for (int k = 0; k < LANES; k++) {
        v[k] = half + k < channels ? flow_load(f, (half + k) * plane + at) : (vec){0};
      }
      transpose(v);
      UNROLL for (int k = 0; k < LANES; k++) store(block + (at + k) * BLOCK + half, v[k]);
    }
    for (int64_t i = 0; n < LANES && i < n; i++)
      for (int64_t k = half; k < half + LANES; k++)
        block[i * BLOCK + k] = k < channels ? flow_one(f, k * plane + i) : 0;
  }
}

/* plane[lane][i] = finished(block[i][lane]) for the first `channels` lanes. */
static inline void planes_from_block(pl_real *planes, int64_t plane, const pl_real *block,
                                     const finish *f, int64_t channels, int64_t n) {
  const finish end = *f;
  for (int64_t half = 0; half < channels; half += LANES) {
    for (int64_t i = 0; n >= LANES && i < n; i += LANES) {
      int64_t at = PL_MIN(i, n - LANES);
      vec v[LANES];
      UNROLL for (int k = 0; k < LANES; k++) {
        v[k] = finished(&end, load(block + (at + k) * BLOCK + half));
      }
      transpose(v);
      UNROLL for (int k = 0; k < LANES; k++) {
        if (half + k < channels) store(planes + (half + k) * plane + at, v[k]);
      }
    }
    for (int64_t i = 0; n < LANES && i < n; i++)
      for (int64_t k = half; k < PL_MIN(half + LANES, channels); k++)
        planes[k * plane + i] = finished_one(&end, block[i * BLOCK + k]);
  }
}

/* Adds m rows of a block to one. */
static inline void sum_block(pl_real *sum, const pl_real *block, int64_t m) {
  vec s0 = {0}, s1 = {0};
  for (int64_t i = 0; i < m; i++, block += BLOCK) s0 += load(block), s1 += load(block + LANES);
  store(sum, load(sum) + s0);
  store(sum + LANES, load(sum + LANES) + s1);
}

/*
** Sums of shares of the images, n numbers each. First those of each half, in order, into the first
** of the half, which the thread that has made most of them can do; then both.
*/
static inline void add_share(pl_real *to, const pl_real *from, int64_t n) {
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES) store(to + i, load(to + i) + load(from + i));
  for (; i < n; i++) to[i] += from[i];
}

static inline void add_half(pl_real *sums, int64_t shares, int64_t half, int64_t n) {
  const int64_t first = shares * half / 2, end = shares * (half + 1) / 2;
  for (int64_t s = first + 1; s < end; s++) add_share(sums + first * n, sums + s * n, n);
}

static inline void add_halves(pl_real *sums, int64_t shares, int64_t n) {
  if (shares > 1) add_share(sums, sums + shares / 2 * n, n);
}

/*
** Padded copies
*/

INLINE void copy_row(pl_real *to, const flow *f, int64_t n) {
  if (n < LANES) {
    for (int64_t i = 0; i < n; i++) to[i] = flow_one(f, i);
    return;
  }
  for (int64_t i = 0; i + LANES < n; i += LANES) store(to + i, flow_load(f, i));
  store(to + n - LANES, flow_load(f, n - LANES));
}

/* Every stripes-th number of the row. */
INLINE void copy_stripes(const pl_conv_layout *l, pl_real *to, const flow *f, int64_t n) {
  for (int64_t s = 0; s < l->stripes; s++) {
    int64_t first = ((s - l->left) % l->stripes + l->stripes) % l->stripes;
    pl_real *out = to + s * l->pitch + (first + l->left) / l->stripes;
    for (int64_t i = first; i < n; i += l->stripes) *out++ = flow_one(f, i);
  }
}

/* Planes side by side into copies side by side whose zeros are in place. */
static inline void copy_planes(const pl_conv_layout *l, pl_real *to, const flow *f,
                               int64_t planes) {
  int64_t h = PL_MIN(l->h, l->rows - l->top);
  int64_t w = PL_MIN(l->w, l->pitch * l->stripes - l->left);
  for (int64_t c = 0; c < planes; c++)
    for (int64_t i = 0; i < h; i++) {
      flow row = flow_at(f, (c * l->h + i) * l->w);
      pl_real *out = to + c * l->plane + (i + l->top) * l->stripes * l->pitch;
      if (l->stripes == 1) copy_row(out + l->left, &row, w);
      else copy_stripes(l, out, &row, w);
    }
}

/*
** The tile: c[to[i] + lane] += sum over j < n of a[pair[j].a + lane] * x[row[i] + pair[j].x], for
** TILE_ROWS rows or fewer and BLOCK lanes. Twelve accumulators hide the latency of multiply-add
** on two units and leave registers for their operands.
**
** What a tile reads next is fetched into the first-level cache meanwhile, where the processor
** would not guess it: numbers of `a` that lie AHEAD products on, and the sums of the next tile.
** A table of pairs is AHEAD longer than its products.
*/

enum { TILE_ROWS = 6, AHEAD = 16 };
typedef struct {
  int64_t x, to;
} tile_row;
typedef void block_tile(int64_t n, const pl_conv_pair *pair, const pl_real *a, const pl_real *x,
                        const tile_row *row, pl_real *c);

INLINE void block_tile_body(int rows, int64_t n, const pl_conv_pair *pair, const pl_real *a,
                            const pl_real *x, const tile_row *row, pl_real *c) {
  vec sum[TILE_ROWS][2];
  const pl_real *from[TILE_ROWS];
  UNROLL for (int i = 0; i < rows; i++) {
    from[i] = x + row[i].x;
    sum[i][0] = load(c + row[i].to);
    sum[i][1] = load(c + row[i].to + LANES);
  }
  for (const pl_conv_pair *end = pair + n; pair < end; pair++) {
    vec a0 = load(a + pair->a), a1 = load(a + pair->a + LANES);
    int64_t o = pair->x;
    __builtin_prefetch(a + pair[AHEAD].a);
    UNROLL for (int i = 0; i < rows; i++) {
      sum[i][0] += a0 * from[i][o];
      sum[i][1] += a1 * from[i][o];
    }
  }
  UNROLL for (int i = 0; i < rows; i++) {
    store(c + row[i].to, sum[i][0]);
    store(c + row[i].to + LANES, sum[i][1]);
  }
}

#define BLOCK_TILE(rows)                                                                      \
  static inline void block_tile_##rows(int64_t n, const pl_conv_pair *pair, const pl_real *a, \
                                       const pl_real *x, const tile_row *row, pl_real *c) {   \
    block_tile_body(rows, n, pair, a, x, row, c);                                             \
  }
/* clang-format off */
BLOCK_TILE(1) BLOCK_TILE(2) BLOCK_TILE(3) BLOCK_TILE(4) BLOCK_TILE(5) BLOCK_TILE(6)
#undef BLOCK_TILE
static block_tile *const block_tile_of[] = {NULL,         block_tile_1, block_tile_2, block_tile_3,
                                            block_tile_4, block_tile_5, block_tile_6};
/* clang-format on */

static inline void fetch_sums(int64_t rows, const tile_row *row, const pl_real *c) {
  for (int64_t i = 0; i < PL_MIN(rows, TILE_ROWS); i++) __builtin_prefetch(c + row[i].to, 1);
}

/* m rows in tiles of even height. */
static inline void block_tiles(int64_t m, int64_t n, const pl_conv_pair *pair, const pl_real *a,
                               const pl_real *x, const tile_row *row, pl_real *c) {
  int64_t tiles = (m + TILE_ROWS - 1) / TILE_ROWS;
  for (int64_t t = 0, i = 0; t < tiles; t++) {
    int64_t end = m * (t + 1) / tiles;
    fetch_sums(m - end, row + end, c);
    block_tile_of[end - i](n, pair, a, x, row + i, c);
    i = end;
  }
}

#endif
