/*
** ops.h: shared by the files of this floor: loops over strided operands, broadcasting, dims.
*/
#ifndef PERILUNE_OPS_PRIVATE_H
#define PERILUNE_OPS_PRIVATE_H

#include "../autograd/autograd.h"
#include "../kernels/dispatch.h"
#include "activation.h"

#ifdef PL_SCAN_ROWS /* scripts/ops.py is reading */
#define PL_SCAN_ACTIVATION(NAME, ...) @activation NAME @
PL_ACTIVATIONS(PL_SCAN_ACTIVATION)
#endif

/* Up to three tensors of the same shape. */
pl_loop pl_loop_over(int n, pl_tensor *const *t);

/* The shape both broadcast to; false with a message that names the op. */
bool pl_broadcast(const char *op, const pl_tensor *a, const pl_tensor *b, pl_ints *size);
/* x itself if it has this size, else expanded to it. */
pl_tensor *pl_expand_to(pl_tensor *x, pl_ints size);
/* Expands all inputs to their common shape. */
bool pl_broadcast_inputs(const pl_args *c, pl_tensor **in);
/* [a, r, b]: how a contiguous tensor looks from one dimension. */
typedef struct {
  int64_t outer, n, inner;
} pl_split;
pl_split pl_split_at(const pl_tensor *t, int64_t dim);
/* A size with dimension d removed, or kept as 1. */
pl_ints pl_without(pl_ints size, int64_t d, bool keepdim);
/* Height and width from an attribute that is a pair, of which a single number stands for both; false
 * with a message unless both are at least `least`. */
bool pl_get_pair(const pl_args *c, int attr, const char *name, int64_t least, int64_t v[2]);
/* A tensor of channels in the shape that broadcasts over x [n,c,...]; NULL stays NULL. */
pl_tensor *pl_over_channels(pl_tensor *t, const pl_tensor *x);
/* What flows back to images [n,c,h,w] from their pooling, whose maxima were at these positions. */
pl_tensor *pl_unpool(pl_tensor *g, pl_tensor *at, int64_t h, int64_t w);
/* Zero and one of rank 0. */
pl_tensor *pl_zero(void);
pl_tensor *pl_one(void);

#endif
