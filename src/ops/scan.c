/*
** scan.c: what runs along a dim: sums, products, extremes so far.
*/
#include "ops.h"

/*
** cumsum
*/

/* Sums, or products, of integers so far: after a 0 products are 0, whatever comes. */
static bool integers_so_far(const pl_args *c, pl_tensor *x, int64_t dim, bool products,
                            pl_tensor *y) {
  const pl_split s = pl_split_at(x, dim);
  if (!(x = pl_contiguous(x)) || !y) return false;
  for (int64_t i = 0; i < s.outer * s.inner; i++) {
    const int64_t first = i / s.inner * s.n * s.inner + i % s.inner;
    int64_t so_far = products;
    for (int64_t k = 0; k < s.n; k++) {
      const int64_t at = first + k * s.inner, v = pl_int32s(x)[at];
      so_far = products ? so_far * v : so_far + v;
      if (so_far != (int32_t)so_far)
        return pl_op_fail(c, "%lld at position %lld does not fit int32; to(\"real\") has room",
                          (long long)so_far, (long long)at + 1);
      pl_int32s(y)[at] = (int32_t)so_far;
    }
  }
  return true;
}

static bool cumsum_shape(pl_args *c) {
  int64_t dim = c->attr[0].i;
  return pl_resolve_dim("cumsum", c->in[0]->rank, &dim) &&
         pl_out(c, 0, c->in[0]->dtype, pl_size(c->in[0]));
}

static bool cumsum_forward(pl_args *c) {
  int64_t dim = c->attr[0].i;
  pl_tensor *x = c->in[0];
  if (!pl_resolve_dim("cumsum", x->rank, &dim)) return false;
  if (x->dtype != PL_REAL) return integers_so_far(c, x, dim, false, c->out[0]);
  if (!(x = pl_contiguous(x))) return false;
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
      .doc = "running sums along a dim", .onnx = "CumSum(x, int64(dim))",
      .samples = "any[3,4] dim=2; any[3,2] dim=1", .integers = PL_INTEGERS_COUNTED,
      .shape = cumsum_shape, .forward = cumsum_forward, .gradient = cumsum_rule,
      .unsaved = PL_UNSAVED_ALL);

/*
** cumprod: y[k] = x[1] ... x[k] in log n steps, each of which multiplies by what is 1, 2, 4, ...
** places before (Hillis and Steele 1986); so the gradient is right where factors are 0
*/

static bool cumprod_decompose(pl_args *c) {
  int64_t dim = c->attr[0].i;
  pl_tensor *y = c->in[0];
  if (!pl_resolve_dim("cumprod", y->rank, &dim)) return false;
  if (y->dtype != PL_REAL) {
    c->out[0] = pl_empty(y->dtype, pl_size(y));
    return integers_so_far(c, y, dim, true, c->out[0]);
  }
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
      .integers = PL_INTEGERS_COUNTED, .decompose = cumprod_decompose);

/*
** cummax, cummin: positions first, by which the values are gathered; the last of equals wins, and
** NaN over all
*/

/* Upward or downward, by the sign; in a type that holds all of them with either. */
#define SO_FAR_ROW(name, type, wide)                                                   \
  static void name(int64_t n, int64_t step, const type *row, wide sign, int32_t *at) { \
    int64_t best = 0;                                                                  \
    for (int64_t k = 0; k < n; k++) {                                                  \
      const wide v = sign * row[k * step], most = sign * row[best * step];             \
      if (v != v || (most == most && v >= most)) best = k;                             \
      at[k * step] = (int32_t)best + 1;                                                \
    }                                                                                  \
  }
SO_FAR_ROW(reals_so_far, pl_real, pl_real)
SO_FAR_ROW(int32s_so_far, int32_t, int64_t)
SO_FAR_ROW(uint8s_so_far, uint8_t, int32_t)
#undef SO_FAR_ROW

static pl_tensor *extremes_so_far(pl_tensor *x, int64_t dim, int sign) {
  pl_tensor *at = pl_empty(PL_INT32, pl_size(x)), *dense = pl_contiguous(x);
  if (!at || !dense) return NULL;
  const pl_split s = pl_split_at(x, dim);
  for (int64_t i = 0; i < s.outer * s.inner; i++) {
    const int64_t first = i / s.inner * s.n * s.inner + i % s.inner;
    int32_t *out = pl_int32s(at) + first;
    switch (x->dtype) {
      case PL_REAL: reals_so_far(s.n, s.inner, pl_reals(dense) + first, (pl_real)sign, out); break;
      case PL_INT32: int32s_so_far(s.n, s.inner, pl_int32s(dense) + first, sign, out); break;
      default: uint8s_so_far(s.n, s.inner, pl_uint8s(dense) + first, sign, out);
    }
  }
  return at;
}

static bool so_far_decompose(pl_args *c) {
  int64_t dim = c->attr[0].i;
  if (!pl_resolve_dim(c->op->name, c->in[0]->rank, &dim)) return false;
  c->out[1] = extremes_so_far(c->in[0], dim, *(const int *)c->op->data);
  return (c->out[0] = pl_gather(c->in[0], c->out[1], (int)dim)) != NULL;
}

static const int upward = 1, downward = -1;
#define SO_FAR(name_, direction, doc_)                                                       \
  PL_OP(name_, .group = PL_GROUP_REDUCTIONS, .inputs = "x", .attrs = "dim:dim", .doc = doc_, \
        .samples = "any[3,4] dim=2; any[5,2] dim=1",                                         \
        .onnx = "refuse 'ONNX has no operator for it'", .outputs = 2,                        \
        .integers = PL_INTEGERS_MOVED, .decompose = so_far_decompose, .data = &direction);
SO_FAR(cummax, upward, "the largest values so far along a dim, and their positions (int32, from 1)")
SO_FAR(cummin, downward,
       "the smallest values so far along a dim, and their positions (int32, from 1)")
#undef SO_FAR
