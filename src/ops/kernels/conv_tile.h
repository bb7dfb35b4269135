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

#include <string.h>

#include "../../base/base.h"
#include "../conv_plan.h"

/*
** Vectors: LANES numbers, as wide as the instruction set has registers
*/

#if defined(VECTOR_BYTES) /* given to try out a width on a processor that lacks it */
#elif defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
#ifdef PL_REAL_IS_DOUBLE
#define LANES (VECTOR_BYTES / 8)
typedef int64_t pl_lane;
#else
#define LANES (VECTOR_BYTES / 4)
typedef int32_t pl_lane;
#endif
#define BLOCK (2 * LANES) /* channels that a tile works on at once: two vectors */

typedef pl_real vec __attribute__((vector_size(VECTOR_BYTES)));
typedef pl_lane vec_mask __attribute__((vector_size(VECTOR_BYTES)));
typedef pl_real vec_anywhere
    __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(pl_real)), may_alias));

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 32")

INLINE vec load(const pl_real *p) { return *(const vec_anywhere *)p; }
INLINE vec every(pl_real s) { return s - (vec){0}; } /* + would lose the sign of -0 */
INLINE void store(pl_real *p, vec v) { *(vec_anywhere *)p = v; }
INLINE vec choose(vec_mask m, vec yes, vec no) {
  return (vec)(((vec_mask)yes & m) | ((vec_mask)no & ~m));
}

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
  return f->y ? choose(load(f->y + at) > 0, g, g * f->slope) : g;
}
INLINE pl_real flow_one(const flow *f, int64_t at) {
  return !f->y || f->y[at] > 0 ? f->g[at] : f->slope * f->g[at];
}

/*
** Between planes (a channel's numbers side by side) and blocks (BLOCK channels side by side)
**
** Shuffles of two vectors like cards: number by number within each 128 bits, which costs one
** instruction, and 128 bits by 128 bits. QUARTER numbers fill 128 bits.
*/
#ifdef PL_REAL_IS_DOUBLE
#define QUARTER 2
#else
#define QUARTER 4
#endif
#if LANES == 2
#define WITHIN_LOW  0, 2
#define WITHIN_HIGH 1, 3
#elif LANES == 4 && QUARTER == 4
#define WITHIN_LOW  0, 4, 1, 5
#define WITHIN_HIGH 2, 6, 3, 7
#elif LANES == 4
#define WITHIN_LOW  0, 4, 2, 6
#define WITHIN_HIGH 1, 5, 3, 7
#define ACROSS_LOW  0, 1, 4, 5
#define ACROSS_HIGH 2, 3, 6, 7
#elif LANES == 8 && QUARTER == 4
#define WITHIN_LOW  0, 8, 1, 9, 4, 12, 5, 13
#define WITHIN_HIGH 2, 10, 3, 11, 6, 14, 7, 15
#define ACROSS_LOW  0, 1, 2, 3, 8, 9, 10, 11
#define ACROSS_HIGH 4, 5, 6, 7, 12, 13, 14, 15
#elif LANES == 8
#define WITHIN_LOW  0, 8, 2, 10, 4, 12, 6, 14
#define WITHIN_HIGH 1, 9, 3, 11, 5, 13, 7, 15
#define ACROSS_LOW  0, 1, 8, 9, 2, 3, 10, 11
#define ACROSS_HIGH 4, 5, 12, 13, 6, 7, 14, 15
#else
#define WITHIN_LOW  0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29
#define WITHIN_HIGH 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31
#define ACROSS_LOW  0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23
#define ACROSS_HIGH 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31
#endif

/*
** Rounds of shuffling row i with the row half a group further on transpose: first the numbers
** of each square of 128 bits, in groups of QUARTER rows, then the squares.
*/
INLINE void transpose(vec v[LANES]) {
  vec t[LANES];
  UNROLL for (int round = 1; round < QUARTER; round *= 2) {
    UNROLL for (int i = 0; i < LANES / 2; i++) {
      int from = i / (QUARTER / 2) * QUARTER + i % (QUARTER / 2);
      t[2 * i] = __builtin_shufflevector(v[from], v[from + QUARTER / 2], WITHIN_LOW);
      t[2 * i + 1] = __builtin_shufflevector(v[from], v[from + QUARTER / 2], WITHIN_HIGH);
    }
    UNROLL for (int i = 0; i < LANES; i++) v[i] = t[i];
  }
#ifdef ACROSS_LOW
  UNROLL for (int round = QUARTER; round < LANES; round *= 2) {
    UNROLL for (int i = 0; i < LANES / 2; i++) {
      int to = i / QUARTER * 2 * QUARTER + i % QUARTER;
      t[to] = __builtin_shufflevector(v[i], v[i + LANES / 2], ACROSS_LOW);
      t[to + QUARTER] = __builtin_shufflevector(v[i], v[i + LANES / 2], ACROSS_HIGH);
    }
    UNROLL for (int i = 0; i < LANES; i++) v[i] = t[i];
  }
#endif
}

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
*/

enum { TILE_ROWS = 6 };
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

/* m rows in tiles of even height. */
static inline void block_tiles(int64_t m, int64_t n, const pl_conv_pair *pair, const pl_real *a,
                               const pl_real *x, const tile_row *row, pl_real *c) {
  int64_t tiles = (m + TILE_ROWS - 1) / TILE_ROWS;
  for (int64_t t = 0, i = 0; t < tiles; t++) {
    int64_t end = m * (t + 1) / tiles;
    block_tile_of[end - i](n, pair, a, x, row + i, c);
    i = end;
  }
}

#endif
