/*
** microkernel.h: what the convolution kernels are made of: copies between planes and blocks of
** channels, padded copies of images, and the micro-kernel that does most of the arithmetic. None of
** them knows what a convolution is: offsets are read from a table, so windows, strides and
** dilations are tables, not loops.
**
**   planes   [channel][i]           as tensors lie in memory (NCHW)
**   block    [i][BLOCK channels]    as the micro-kernel wants them (NCHWc)
*/
#ifndef PERILUNE_CONV_MICROKERNEL_H
#define PERILUNE_CONV_MICROKERNEL_H

#include "../../base/base.h"
#include "../kernels.h"
#include "plan.h"

/*
** Between planes and blocks
*/

/* block[i][lane] = plane[lane][i] for n elements a plane; lanes from `channels` on are zero. */
static inline void block_from_planes(pl_real *block, const masked *m, int64_t plane,
                                     int64_t channels, int64_t n) {
  for (int64_t half = 0; half < BLOCK; half += LANES) {
    for (int64_t i = 0; n >= LANES && i < n; i += LANES) {
      int64_t at = PL_MIN(i, n - LANES); /* the last vectors may overlap those before */
      vec v[LANES];
      UNROLL for (int k = 0; k < LANES; k++) {
        v[k] = half + k < channels ? masked_load(m, (half + k) * plane + at) : (vec){0};
      }
      transpose(v);
      UNROLL for (int k = 0; k < LANES; k++) store(block + (at + k) * BLOCK + half, v[k]);
    }
    for (int64_t i = 0; n < LANES && i < n; i++)
      for (int64_t k = half; k < half + LANES; k++)
        block[i * BLOCK + k] = k < channels ? masked_one(m, k * plane + i) : 0;
  }
}

/* plane[lane][i] = act(block[i][lane]) for the first `channels` lanes. */
static inline void planes_from_block(pl_real *planes, int64_t plane, const pl_real *block,
                                     pl_real slope, int64_t channels, int64_t n) {
  for (int64_t half = 0; half < channels; half += LANES) {
    for (int64_t i = 0; n >= LANES && i < n; i += LANES) {
      int64_t at = PL_MIN(i, n - LANES);
      vec v[LANES];
      UNROLL for (int k = 0; k < LANES; k++) {
        v[k] = activate(load(block + (at + k) * BLOCK + half), slope);
      }
      transpose(v);
      UNROLL for (int k = 0; k < LANES; k++) {
        if (half + k < channels) store(planes + (half + k) * plane + at, v[k]);
      }
    }
    for (int64_t i = 0; n < LANES && i < n; i++)
      for (int64_t k = half; k < PL_MIN(half + LANES, channels); k++)
        planes[k * plane + i] = activate_one(block[i * BLOCK + k], slope);
  }
}

/* sum[lane] += block[0][lane] + ... + block[m - 1][lane] */
static inline void sum_block(pl_real *sum, const pl_real *block, int64_t m) {
  vec s0 = {0}, s1 = {0};
  for (int64_t i = 0; i < m; i++, block += BLOCK) s0 += load(block), s1 += load(block + LANES);
  store(sum, load(sum) + s0);
  store(sum + LANES, load(sum + LANES) + s1);
}

/*
** A reduction over shares of the images, whose sums are n elements each. First those of each half
** are added, in order, into the first of the half, by the thread that has made most of them; then
** the two halves.
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

INLINE void copy_row(pl_real *to, const masked *m, int64_t n) {
  if (n < LANES) {
    for (int64_t i = 0; i < n; i++) to[i] = masked_one(m, i);
    return;
  }
  for (int64_t i = 0; i + LANES < n; i += LANES) store(to + i, masked_load(m, i));
  store(to + n - LANES, masked_load(m, n - LANES));
}

/* Stripe s of the copy holds the columns s, s + stripes, ... of the padded row. */
INLINE void copy_stripes(const pl_conv_layout *l, pl_real *to, const masked *m, int64_t n) {
  for (int64_t s = 0; s < l->stripes; s++) {
    int64_t first = ((s - l->left) % l->stripes + l->stripes) % l->stripes;
    pl_real *out = to + s * l->pitch + (first + l->left) / l->stripes;
    for (int64_t i = first; i < n; i += l->stripes) *out++ = masked_one(m, i);
  }
}

/* Planes into padded copies whose zeros are in place already. */
static inline void copy_planes(const pl_conv_layout *l, pl_real *to, const masked *m,
                               int64_t planes) {
  int64_t h = PL_MIN(l->h, l->rows - l->top);
  int64_t w = PL_MIN(l->w, l->pitch * l->stripes - l->left);
  for (int64_t c = 0; c < planes; c++)
    for (int64_t i = 0; i < h; i++) {
      masked row = masked_at(m, (c * l->h + i) * l->w);
      pl_real *out = to + c * l->plane + (i + l->top) * l->stripes * l->pitch;
      if (l->stripes == 1) copy_row(out + l->left, &row, w);
      else copy_stripes(l, out, &row, w);
    }
}

/*
** The micro-kernel: y[row[i].y + lane] += sum over j < n of w[offsets[j].w + lane]
** x[row[i].x + offsets[j].x], for TILE_ROWS rows or fewer and BLOCK lanes. Twelve accumulators hide
** the latency of multiply-add on two units and leave registers for their operands.
**
** What it reads next is prefetched into the first-level cache where the processor would not guess
** it: the weights AHEAD multiply-adds on, and the sums of the next tile. So a table of offsets is
** AHEAD longer than it has multiply-adds.
*/

enum { TILE_ROWS = 6, AHEAD = 16 };
typedef struct {
  int64_t x, y;
} tile_row;
typedef void conv_tile(int64_t n, const pl_conv_offsets *offsets, const pl_real *w,
                       const pl_real *x, const tile_row *row, pl_real *y);

INLINE void conv_tile_body(int rows, int64_t n, const pl_conv_offsets *offsets, const pl_real *w,
                           const pl_real *x, const tile_row *row, pl_real *y) {
  vec sum[TILE_ROWS][2];
  const pl_real *from[TILE_ROWS];
  UNROLL for (int i = 0; i < rows; i++) {
    from[i] = x + row[i].x;
    sum[i][0] = load(y + row[i].y);
    sum[i][1] = load(y + row[i].y + LANES);
  }
  for (const pl_conv_offsets *end = offsets + n; offsets < end; offsets++) {
    vec w0 = load(w + offsets->w), w1 = load(w + offsets->w + LANES);
    int64_t o = offsets->x;
    __builtin_prefetch(w + offsets[AHEAD].w);
    UNROLL for (int i = 0; i < rows; i++) {
      sum[i][0] += w0 * from[i][o];
      sum[i][1] += w1 * from[i][o];
    }
  }
  UNROLL for (int i = 0; i < rows; i++) {
    store(y + row[i].y, sum[i][0]);
    store(y + row[i].y + LANES, sum[i][1]);
  }
}

#define TILE(rows)                                                                                 \
  static inline void conv_tile_##rows(int64_t n, const pl_conv_offsets *offsets, const pl_real *w, \
                                      const pl_real *x, const tile_row *row, pl_real *y) {         \
    conv_tile_body(rows, n, offsets, w, x, row, y);                                                \
  }
/* clang-format off */
TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)
#undef TILE
static conv_tile *const conv_tile_of[] = {NULL, conv_tile_1, conv_tile_2, conv_tile_3, conv_tile_4, conv_tile_5, conv_tile_6};
/* clang-format on */

static inline void prefetch_sums(int64_t rows, const tile_row *row, const pl_real *y) {
  for (int64_t i = 0; i < PL_MIN(rows, TILE_ROWS); i++) __builtin_prefetch(y + row[i].y, 1);
}

/* m rows, in tiles of even height. */
static inline void multiply_tiles(int64_t m, int64_t n, const pl_conv_offsets *offsets,
                                  const pl_real *w, const pl_real *x, const tile_row *row,
                                  pl_real *y) {
  int64_t tiles = (m + TILE_ROWS - 1) / TILE_ROWS;
  for (int64_t t = 0, i = 0; t < tiles; t++) {
    int64_t end = m * (t + 1) / tiles;
    prefetch_sums(m - end, row + end, y);
    conv_tile_of[end - i](n, offsets, w, x, row + i, y);
    i = end;
  }
}

#endif
