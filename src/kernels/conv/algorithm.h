/*
** algorithm.h: what the convolution kernels ask algorithm.c, and the sizes that both must know.
*/
#ifndef PERILUNE_CONV_ALGORITHM_H
#define PERILUNE_CONV_ALGORITHM_H

#include "plan.h"

/* What the lanes of a vector are in direct.c: output channels, neighbours in a row, images. */
typedef enum { PL_BY_BLOCKS, PL_BY_ROWS, PL_BY_IMAGES } pl_direct_method;

/* `lanes`: elements of a vector. */
pl_direct_method pl_conv_direct_method(const pl_conv_plan *plan, int64_t images, int lanes);
/* The same for the weight gradient, which has no method by images. */
bool pl_conv_weight_by_rows(const pl_conv *p, int lanes);

enum {
  /* multiply-adds below which a second thread costs more than it saves, dense and sparse */
  PL_CONV_SERIAL = 1 << 18,
  PL_CONV_SPARSE_SERIAL = 1 << 16,
  PL_CONV_OFFSET_MAX = 1 << 30 /* offsets into images are of 32 bits */
};

/* Winograd F(4 x 4, 3 x 3) */
enum {
  PL_WINOGRAD_TILE = 4,       /* outputs of a tile along an axis */
  PL_WINOGRAD_TAPS = 3,       /* taps of a phase along an axis */
  PL_WINOGRAD_POINTS = 6,     /* interpolation points along an axis, the last one at infinity */
  PL_WINOGRAD_MAX_STRIDE = 2, /* a stride parts the window into that many phases */
  /* multiply-adds of a lane that transforming one element costs, of the weights and of an image;
   * Zen 4, `perilune bench/fit.lua` */
  PL_WINOGRAD_WEIGHT_COST = 12,
  PL_WINOGRAD_IMAGE_COST = 20
};

/* Vectors of outputs in a pass of the weight gradient by rows, whose gradients stay in the first
 * cache. */
enum { PL_VECTOR_SLICE = 128 };

/* Sparse gradients: input rows that a pooling window reaches, which a tile holds in registers. */
enum { PL_SPARSE_MIN_ROWS = 5, PL_SPARSE_MAX_ROWS = 8 };

/* How far a pooling window reaches along an axis of the input. */
static inline int64_t pl_sparse_reach(const pl_conv *p, const pl_pool *pool, int axis) {
  return ((axis ? p->s : p->r) - 1) * p->dil[axis] + 1 + (pool->size[axis] - 1) * p->stride[axis];
}
/* Rows of a table of shifted weights for one input channel, zeros included. */
static inline int64_t pl_sparse_table_rows(const pl_conv *p, const pl_pool *pool) {
  return pl_sparse_reach(p, pool, 0) + (pool->size[0] - 1) * p->stride[0];
}
/* Input channels of a tile: two if their sums stay in registers. */
int64_t pl_sparse_tile_channels(const pl_conv *p, int64_t rows);

#endif
