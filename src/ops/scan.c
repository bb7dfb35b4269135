/*
** scan.c: what runs along a dim: sums, products, extremes so far.
*/
#include "ops.h"

/*
** cumsum
*/

static bool cumsum_shape(pl_args *c) {
  int64_t dim = c->attr[0].i;
  return pl_need_real(c, 0) && pl_resolve_dim("cumsum", c->in[0]->rank, &dim) &&
         pl_out(c, 0, PL_REAL, pl_size(c->in[0]));
}

static bool cumsum_forward(pl_args *c) {
  int64_t dim = c->attr[0].i;
  pl_tensor *x = pl_contiguous(c->in[0]);
  if (!x || !pl_resolve_dim("cumsum", x->rank, &dim)) return false;
  pl_split s = pl_split_at(x, dim);
  const pl_real *in = pl_reals(x);
  pl_real *out = pl_reals(c->out[0]);
  for (int64_t i = 0; i < s.outer * s.inner; i++) {
    int64_t first = i / s.inner * s.n * s.inner + i % s.inner;
    double sum = 0;
    for (int64_t k = 0; k < s.n; k++)
      out[first + k * s.inner] = (pl_real)(sum += (double)in[first + k * s.inner]);
  }
  return true;
}

static bool cumsum_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                        pl_tensor **gin) {
  (void)needs_grad;
  pl_ints dim = pl_list(c->attr[0].i);
  gin[0] = pl_flip(pl_cumsum(pl_flip(gout[0], dim), (int)c->attr[0].i), dim);
  return true;
}

PL_OP(cumsum, .group = PL_GROUP_REDUCTIONS, .inputs = "x", .attrs = "dim:dim",
      .doc = "running sums along a dim", .samples = "any[3,4] dim=2; any[3,2] dim=1",
      .shape = cumsum_shape, .forward = cumsum_forward, .gradient = cumsum_rule,
      .unsaved = PL_UNSAVED_ALL);

/*
** cumprod: y[k] = x[1] ... x[k] in log n steps, each of which multiplies by what is 1, 2, 4, ...
** places before (Hillis and Steele 1986); so the gradient is right where factors are 0
*/

static bool cumprod_decompose(pl_args *c) {
  int64_t dim = c->attr[0].i;
  pl_tensor *y = c->in[0];
  if (!pl_need_real(c, 0) || !pl_resolve_dim("cumprod", y->rank, &dim)) return false;
  const int d = (int)dim;
  const int64_t n = y->size[dim];
  for (int64_t by = 1; by < n && y; by *= 2) {
    pl_tensor *before = pl_slice(y, d, 0, n - by, 1), *rest = pl_slice(y, d, by, n - by, 1);
    pl_tensor *const parts[] = {pl_slice(y, d, 0, by, 1), pl_mul(before, rest)};
    y = pl_error() ? NULL : pl_cat(2, parts, d);
  }
  return (c->out[0] = y) != NULL;
}

PL_OP(cumprod, .group = PL_GROUP_REDUCTIONS, .inputs = "x", .attrs = "dim:dim",
      .doc = "running products along a dim", .samples = "any[3,4] dim=2; any[5,2] dim=1",
      .decompose = cumprod_decompose);

/*
** cummax, cummin: positions first, by which the values are gathered; the last of equals wins, and
** NaN over all
*/

static pl_tensor *extremes_so_far(pl_tensor *x, int64_t dim, pl_real sign) {
  pl_tensor *at = pl_empty(PL_INT32, pl_size(x)), *dense = pl_contiguous(x);
  if (!at || !dense) return NULL;
  const pl_split s = pl_split_at(x, dim);
  for (int64_t i = 0; i < s.outer * s.inner; i++) {
    const int64_t first = i / s.inner * s.n * s.inner + i % s.inner;
    const pl_real *row = pl_reals(dense) + first;
    int32_t *out = pl_int32s(at) + first;
    int64_t best = 0;
    for (int64_t k = 0; k < s.n; k++) {
      const pl_real v = row[k * s.inner], most = row[best * s.inner];
      if (v != v || (most == most && sign * v >= sign * most)) best = k;
      out[k * s.inner] = (int32_t)best + 1;
    }
  }
  return at;
}

static bool so_far_decompose(pl_args *c) {
  int64_t dim = c->attr[0].i;
  if (!pl_need_real(c, 0) || !pl_resolve_dim(c->op->name, c->in[0]->rank, &dim)) return false;
  c->out[1] = extremes_so_far(c->in[0], dim, *(const int *)c->op->data);
  return (c->out[0] = pl_gather(c->in[0], c->out[1], (int)dim)) != NULL;
}

static const int upward = 1, downward = -1;
#define SO_FAR(name_, direction, doc_)                                                            \
  PL_OP(name_, .group = PL_GROUP_REDUCTIONS, .inputs = "x", .attrs = "dim:dim", .doc = doc_,      \
        .samples = "any[3,4] dim=2; any[5,2] dim=1", .outputs = 2, .decompose = so_far_decompose, \
        .data = &direction);
SO_FAR(cummax, upward, "the largest values so far along a dim, and their positions (int32, from 1)")
SO_FAR(cummin, downward,
       "the smallest values so far along a dim, and their positions (int32, from 1)")
#undef SO_FAR
