/*
** reduction.h: what losses share: their terms as a mean, a sum, or as they are.
*/
#ifndef PERILUNE_REDUCTION_H
#define PERILUNE_REDUCTION_H

#include "ops.h"

enum { PL_MEAN, PL_SUM, PL_NONE_REDUCED }; /* as in the attribute */
#define PL_REDUCTION_ATTR "reduction:choice(mean|sum|none)"

/* The result from the terms of a loss, as attribute `at` says. */
static inline bool pl_reduced(pl_args *c, pl_tensor *terms, int at) {
  switch (c->attr[at].i) {
    case PL_MEAN: c->out[0] = pl_mean(terms, PL_ALL_DIMS, false); break;
    case PL_SUM: c->out[0] = pl_sum(terms, PL_ALL_DIMS, false); break;
    default: c->out[0] = terms; /* PL_NONE_REDUCED */
  }
  return c->out[0] != NULL;
}

/* Whether inputs 0 and 1 are real and of one shape; says why not. */
static inline bool pl_one_shape(const pl_args *c) {
  if (!pl_need_real(c, 0) || !pl_need_real(c, 1)) return false;
  if (pl_same_size(c->in[0], c->in[1])) return true;
  return pl_op_fail(c, "%s is %s, %s %s; expected one shape", pl_input_name(c->op, 0),
                    PL_DESCRIBE(c->in[0]), pl_input_name(c->op, 1), PL_DESCRIBE(c->in[1]));
}

#endif
