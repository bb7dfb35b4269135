/*
** reduce.c: sums and extremes along dims. A reduction of several dims is done dim by dim
** from the last, neighbours merged, so each pass sees a contiguous [outer, n, inner].
** Partial sums cover fixed blocks and are added in order: the bits do not depend on
** how many threads there are.
*/
#include <float.h>
#include <math.h>
#include <string.h>

#include "ops.h"

/*
** sum
*/

enum { SUM_BLOCK = 8192, ROW_BLOCK = 64 };

/* One long row: blocks are summed on all threads, then added in order. */
static bool sum_long_row(int64_t n, const pl_real *x, pl_real *y) {
  int64_t blocks = (n + SUM_BLOCK - 1) / SUM_BLOCK;
  double *part = pl_scratch((size_t)PL_MAX(blocks, 1) * sizeof *part);
  if (!part) return false;
#pragma omp parallel for schedule(static) if (n > 4 * PL_GRAIN)
  for (int64_t b = 0; b < blocks; b++)
    part[b] = PL_KERNELS(reduce)->sum(PL_MIN(SUM_BLOCK, n - b * SUM_BLOCK), x + b * SUM_BLOCK);
  double total = 0;
  for (int64_t b = 0; b < blocks; b++) total += part[b];
  *y = (pl_real)total;
  pl_scratch_free(part);
  return true;
}

static bool sum_rows(int64_t rows, int64_t n, const pl_real *x, pl_real *y) {
  if (rows == 1) return sum_long_row(n, x, y);
#pragma omp parallel for schedule(static) if (rows * n > PL_GRAIN)
  for (int64_t r = 0; r < rows; r++) y[r] = (pl_real)PL_KERNELS(reduce)->sum(n, x + r * n);
  return true;
}

/* y[i] = sum over r of x[r][i]: blocks of rows first, then the blocks in order. */
static bool sum_columns(int64_t n, int64_t inner, const pl_real *x, pl_real *y) {
  int64_t blocks = (n + ROW_BLOCK - 1) / ROW_BLOCK;
  pl_real *part = pl_scratch((size_t)PL_MAX(blocks * inner, 1) * sizeof *part);
  if (!part) return false;
#pragma omp parallel for schedule(static) if (n * inner > PL_GRAIN && blocks > 1)
  for (int64_t b = 0; b < blocks; b++) {
    pl_real *sum = part + b * inner;
    int64_t end = PL_MIN(n, (b + 1) * ROW_BLOCK);
    memset(sum, 0, (size_t)inner * sizeof *sum);
    for (int64_t r = b * ROW_BLOCK; r < end; r++)
      PL_KERNELS(reduce)->accumulate(inner, sum, x + r * inner);
  }
  memset(y, 0, (size_t)inner * sizeof *y);
  for (int64_t b = 0; b < blocks; b++) PL_KERNELS(reduce)->accumulate(inner, y, part + b * inner);
  pl_scratch_free(part);
  return true;
}

static bool sum_split(pl_split s, const pl_real *x, pl_real *y) {
  if (s.inner == 1) return sum_rows(s.outer, s.n, x, y);
  for (int64_t o = 0; o < s.outer; o++)
    if (!sum_columns(s.n, s.inner, x + o * s.n * s.inner, y + o * s.inner)) return false;
  return true;
}

/* Bit d set: dim d is reduced. Empty lists mean all. */
static bool dim_mask(const char *op, const pl_tensor *x, pl_ints dims, unsigned *mask) {
  if (!pl_resolve_dims(op, x->rank, &dims, mask)) return false;
  if (!dims.n) *mask = (1u << x->rank) - 1;
  return true;
}

static pl_ints reduced_size(const pl_tensor *x, unsigned mask, bool keepdim) {
  pl_ints size = {0};
  for (int d = 0; d < x->rank; d++) {
    if (!(mask >> d & 1)) size.v[size.n++] = x->size[d];
    else if (keepdim) size.v[size.n++] = 1;
  }
  return size;
}

static bool sum_shape(pl_args *c) {
  unsigned mask;
  return dim_mask("sum", c->in[0], c->attr[0].ints, &mask) &&
         pl_out(c, 0, c->in[0]->dtype, reduced_size(c->in[0], mask, c->attr[1].i));
}

/* x with the dims that are reduced behind the others: each result's elements are a row. */
static pl_tensor *rows_of(pl_tensor *x, unsigned mask) {
  pl_ints order = {0};
  for (int last = 0; last < 2; last++)
    for (int d = 0; d < x->rank; d++)
      if ((int)(mask >> d & 1) == last) order.v[order.n++] = d;
  return x->rank ? pl_contiguous(pl_permute(x, order)) : x;
}

/* The sum of row r of an int32 or uint8 tensor: 64 bits hold that of any. */
static int64_t integer_row_sum(const pl_tensor *x, int64_t r, int64_t n) {
  int64_t sum = 0;
  if (x->dtype == PL_INT32)
    for (int64_t i = 0; i < n; i++) sum += pl_int32s(x)[r * n + i];
  else
    for (int64_t i = 0; i < n; i++) sum += pl_uint8s(x)[r * n + i];
  return sum;
}

static bool integer_sum(pl_args *c, unsigned mask) {
  pl_tensor *y = c->out[0], *x = rows_of(c->in[0], mask);
  const int64_t rows = pl_numel(y), n = rows && x ? pl_numel(x) / rows : 0;
  for (int64_t r = 0; r < rows && x; r++) {
    const int64_t sum = integer_row_sum(x, r, n);
    if (sum < INT32_MIN || sum > INT32_MAX)
      return pl_op_fail(c, "%lld does not fit int32; to(\"real\") has room", (long long)sum);
    pl_int32s(y)[r] = (int32_t)sum;
  }
  return x != NULL;
}

static bool sum_forward(pl_args *c) {
  unsigned mask;
  pl_tensor *x = c->in[0];
  if (!dim_mask("sum", x, c->attr[0].ints, &mask)) return false;
  if (x->dtype != PL_REAL) return integer_sum(c, mask);
  if (!(x = pl_contiguous(x))) return false;
  pl_ints size = pl_size(x);
  for (int d = x->rank - 1; d >= 0; d--) { /* dims d.. down to e are summed in one pass */
    if (!(mask >> d & 1)) continue;
    int e = d;
    pl_split s = {1, 1, 1};
    while (e > 0 && mask >> (e - 1) & 1) e--;
    for (int i = 0; i < size.n; i++) *(i < e ? &s.outer : i <= d ? &s.n : &s.inner) *= size.v[i];
    for (int i = e; i <= d; i++) size.v[i] = 1;
    pl_tensor *y = pl_empty(PL_REAL, size);
    if (!y || !sum_split(s, pl_reals(x), pl_reals(y))) return false;
    x = y;
    d = e;
  }
  return pl_copy(c->out[0], pl_alias(x, pl_size(c->out[0]), NULL, x->offset));
}

/* g with the reduced dims back, as ones, then repeated to the shape of x. */
static pl_tensor *spread(const pl_tensor *x, unsigned mask, pl_tensor *g) {
  return pl_expand_to(pl_reshape(g, reduced_size(x, mask, true)), pl_size(x));
}

static bool sum_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                     pl_tensor **gin) {
  (void)needs_grad;
  unsigned mask;
  if (!dim_mask("sum", c->in[0], c->attr[0].ints, &mask)) return false;
  gin[0] = spread(c->in[0], mask, gout[0]);
  return true;
}

PL_OP(sum, .group = PL_GROUP_REDUCTIONS, .inputs = "x", .attrs = "dim:dims? keepdim:bool=false",
      .doc = "the sum over some dims, or over all; of integers it is exact, or fails",
      .onnx = "ReduceSum(x, some(dim), {keepdims = keepdim})",
      .samples = "any[3,4]; any[2,3,4] dim=2; any[2,3,4] dim=1,3 keepdim=true",
      .integers = PL_INTEGERS_COUNTED, .shape = sum_shape, .forward = sum_forward,
      .gradient = sum_rule, .unsaved = PL_UNSAVED_ALL);

/*
** mean, var, std, nansum, nanmean, norm: built from sums
*/

/* How many elements go into one result. */
static bool group_size(const pl_args *c, int64_t *n) {
  unsigned mask;
  if (!dim_mask(c->op->name, c->in[0], c->attr[0].ints, &mask)) return false;
  *n = 1;
  for (int d = 0; d < c->in[0]->rank; d++)
    if (mask >> d & 1) *n *= c->in[0]->size[d];
  return true;
}

/* The exact sum of integers, divided once. */
static bool integer_mean(pl_args *c, int64_t n) {
  unsigned mask;
  pl_tensor *x = c->in[0];
  if (!dim_mask("mean", x, c->attr[0].ints, &mask) ||
      !pl_out(c, 0, PL_REAL, reduced_size(x, mask, c->attr[1].i)) || !(x = rows_of(x, mask)))
    return false;
  for (int64_t r = 0; r < pl_numel(c->out[0]); r++)
    pl_reals(c->out[0])[r] = (pl_real)((double)integer_row_sum(x, r, n) / (double)n);
  return true;
}

static bool mean_decompose(pl_args *c) {
  int64_t n;
  if (!group_size(c, &n)) return false;
  if (c->in[0]->dtype != PL_REAL) return integer_mean(c, n);
  c->out[0] = pl_affine(pl_sum(c->in[0], c->attr[0].ints, c->attr[1].i), 1.0 / (double)n, 0);
  return true;
}

/* x less its mean as far as that can be said in x's precision: a constant, for nothing that is
 * computed from deviations depends on it. */
static pl_tensor *shifted(pl_tensor *x, pl_ints dims) {
  const bool was = pl_grad_mode(false);
  pl_tensor *shift = pl_mean(x, dims, true);
  pl_grad_mode(was);
  return pl_sub(x, shift);
}

/* The second mean is that of small numbers, so the variance is exact beside a large offset too. */
static bool var_decompose(pl_args *c) {
  int64_t n;
  if (!group_size(c, &n)) return false;
  const double divisor = (double)n - (c->attr[2].i ? 1 : 0);
  pl_tensor *x = shifted(c->in[0], c->attr[0].ints);
  pl_tensor *centred = pl_sub(x, pl_mean(x, c->attr[0].ints, true));
  pl_tensor *sum = pl_sum(pl_square(centred), c->attr[0].ints, c->attr[1].i);
  c->out[0] = pl_affine(sum, 1 / PL_MAX(divisor, 0), 0);
  return true;
}

/* The root of x, which is not negative; at 0, where it has no gradient, 0 stands for that. */
static pl_tensor *root(pl_tensor *x) {
  pl_tensor *nothing = pl_eq(x, pl_zero());
  return pl_where(nothing, pl_zero(), pl_sqrt(pl_where(nothing, pl_one(), x)));
}

#ifdef PL_REAL_IS_DOUBLE
static const double LEAST = DBL_MIN, MOST = DBL_MAX, EPSILON = DBL_EPSILON;
#else
static const double LEAST = (double)FLT_MIN, MOST = (double)FLT_MAX, EPSILON = (double)FLT_EPSILON;
#endif

/* Whether sums of squares are finite and large enough to be exact, or NaN. */
static bool squares_fit(const pl_tensor *sums) {
  bool fit = true;
  for (int64_t i = 0; fit && i < pl_numel(sums); i++)
    fit = !(pl_at(sums, i) < LEAST / EPSILON || pl_at(sums, i) > MOST);
  return fit;
}

/* The largest magnitudes over some dims, which are kept, as constants; 1 for those that are no
 * measure. */
static pl_tensor *magnitude(pl_tensor *x, pl_ints dims) {
  const bool was = pl_grad_mode(false);
  pl_tensor *most = pl_amax(pl_abs(x), dims, true);
  pl_tensor *some = pl_gt(pl_in_range(most, LEAST, MOST), pl_zero());
  most = pl_where(some, most, pl_one());
  pl_grad_mode(was);
  return most;
}

/* s y, where s has dims that y has not */
static pl_tensor *scaled(pl_tensor *y, pl_tensor *s) {
  return y && s ? pl_mul(y, pl_reshape(s, pl_size(y))) : NULL;
}

/* Of n numbers that are huge or tiny, so that their squares are not numbers, std is s std(x / s). */
static bool std_decompose(pl_args *c) {
  const pl_ints dims = c->attr[0].ints;
  const bool keepdim = c->attr[1].i, unbiased = c->attr[2].i;
  pl_tensor *x = c->in[0];
  pl_tensor *var = pl_var(x, dims, keepdim, unbiased);
  if (!var) return false;
  if (squares_fit(var) || !pl_numel(x)) return (c->out[0] = root(var)) != NULL;
  x = shifted(x, dims);
  pl_tensor *s = magnitude(x, dims);
  return (c->out[0] = scaled(root(pl_var(pl_div(x, s), dims, keepdim, unbiased)), s)) != NULL;
}

static bool var_mean_decompose(pl_args *c) {
  c->out[0] = pl_var(c->in[0], c->attr[0].ints, c->attr[1].i, c->attr[2].i);
  c->out[1] = pl_mean(c->in[0], c->attr[0].ints, c->attr[1].i);
  return !pl_error();
}

static bool nansum_decompose(pl_args *c) {
  pl_tensor *y = c->in[0];
  if (y->dtype == PL_REAL) y = pl_where(pl_isnan(c->in[0]), pl_zero(), c->in[0]);
  return (c->out[0] = pl_sum(y, c->attr[0].ints, c->attr[1].i)) != NULL;
}

static bool nanmean_decompose(pl_args *c) {
  pl_tensor *n = pl_sum(pl_eq(c->in[0], c->in[0]), c->attr[0].ints, c->attr[1].i);
  return (c->out[0] = pl_div(pl_nansum(c->in[0], c->attr[0].ints, c->attr[1].i), n)) != NULL;
}

static bool norm_decompose(pl_args *c) {
  unsigned mask;
  if (!dim_mask("norm", c->in[0], c->attr[0].ints, &mask)) return false;
  const pl_ints dims = c->attr[0].ints;
  pl_tensor *x = c->in[0], *sum = pl_sum(pl_square(x), dims, c->attr[1].i);
  if (!sum) return false;
  if (squares_fit(sum) || !pl_numel(x)) return (c->out[0] = root(sum)) != NULL;
  pl_tensor *s = magnitude(x, dims);
  sum = pl_sum(pl_square(pl_div(x, s)), dims, c->attr[1].i);
  return (c->out[0] = scaled(root(sum), s)) != NULL;
}

static bool logsumexp_decompose(pl_args *c) {
  int64_t dim = c->attr[0].i;
  pl_tensor *most[2], *x = c->in[0];
  if (!pl_resolve_dim("logsumexp", x->rank, &dim)) return false;
  if (!x->size[dim]) /* the log of 0 */
    return (c->out[0] = pl_log(pl_sum(pl_exp(x), pl_list(dim), c->attr[1].i))) != NULL;
  bool was = pl_grad_mode(false);
  bool ok = pl_max(x, (int)dim, true, most);
  if (ok)
    most[0] = pl_where(pl_isfinite(most[0]), most[0], pl_zero()); /* infinity less itself is NaN */
  pl_grad_mode(was);
  if (!ok) return false;
  pl_tensor *sum = pl_sum(pl_exp(pl_sub(x, most[0])), pl_list(dim), true);
  pl_tensor *y = pl_add(pl_log(sum), most[0]);
  c->out[0] = c->attr[1].i ? y : pl_reshape(y, pl_without(pl_size(x), dim, false));
  return true;
}

#define REDUCE_SAMPLES "any[3,4]; any[2,3,4] dim=2; any[2,3,4] dim=1,3 keepdim=true"
PL_OP(mean, .group = PL_GROUP_REDUCTIONS, .inputs = "x", .attrs = "dim:dims? keepdim:bool=false",
      .doc = "the mean over some dims, or over all; real, of integers too",
      .onnx = "ReduceMean(cast(x, 'real'), {axes = every(dim), keepdims = keepdim})",
      .samples = REDUCE_SAMPLES, .integers = PL_INTEGERS_READ, .decompose = mean_decompose);
PL_OP(var, .group = PL_GROUP_REDUCTIONS, .inputs = "x",
      .attrs = "dim:dims? keepdim:bool=false unbiased:bool=true",
      .doc = "the variance over some dims; unbiased divides by n - 1",
      .samples = REDUCE_SAMPLES "; any[2,3,4] dim=1,3 unbiased=false", .integers = PL_INTEGERS_REAL,
      .decompose = var_decompose);
#define VAR_SAMPLES REDUCE_SAMPLES "; any[2,3,4] dim=1,3 unbiased=false"
PL_OP(std, .group = PL_GROUP_REDUCTIONS, .inputs = "x",
      .attrs = "dim:dims? keepdim:bool=false unbiased:bool=true",
      .doc =
          "the standard deviation over some dims, or over all: the root of var; at 0 its gradient "
          "is 0",
      .samples = VAR_SAMPLES, .integers = PL_INTEGERS_REAL, .decompose = std_decompose);
PL_OP(var_mean, .group = PL_GROUP_REDUCTIONS, .inputs = "x",
      .attrs = "dim:dims? keepdim:bool=false unbiased:bool=true",
      .doc = "the variance and the mean over some dims, or over all", .samples = VAR_SAMPLES,
      .outputs = 2, .integers = PL_INTEGERS_REAL, .decompose = var_mean_decompose);
PL_OP(nansum, .group = PL_GROUP_REDUCTIONS, .inputs = "x", .attrs = "dim:dims? keepdim:bool=false",
      .doc = "the sum over some dims, or over all, of what is not NaN", .samples = REDUCE_SAMPLES,
      .integers = PL_INTEGERS_COUNTED, .decompose = nansum_decompose);
PL_OP(nanmean, .group = PL_GROUP_REDUCTIONS, .inputs = "x", .attrs = "dim:dims? keepdim:bool=false",
      .doc = "the mean over some dims, or over all, of what is not NaN; of nothing it is NaN",
      .samples = REDUCE_SAMPLES, .integers = PL_INTEGERS_REAL, .decompose = nanmean_decompose);
PL_OP(norm, .group = PL_GROUP_REDUCTIONS, .inputs = "x", .attrs = "dim:dims? keepdim:bool=false",
      .doc =
          "the Euclidean norm over some dims, or over all, also of huge and tiny numbers; at 0 its "
          "gradient is 0",
      .samples = REDUCE_SAMPLES, .integers = PL_INTEGERS_REAL, .decompose = norm_decompose);
PL_OP(logsumexp, .group = PL_GROUP_REDUCTIONS, .inputs = "x", .attrs = "dim:dim keepdim:bool=false",
      .doc = "log of the sum of exp(x) along a dim, without overflow; of nothing it is -inf",
      .samples = "any[3,4] dim=2; any[2,3,2] dim=2 keepdim=true", .integers = PL_INTEGERS_REAL,
      .decompose = logsumexp_decompose);

/*
** max, min, argmax, argmin: values and their positions; the first of equals wins, NaN wins over
** all. Without a dim x is one row, and the position is not a result, but kept for the gradient.
*/

/* dim, if there is one, checked; the sizes of the result. False with a message. */
static bool along(const pl_args *c, int64_t *dim, pl_ints *size) {
  const pl_tensor *x = c->in[0];
  *dim = c->attr[0].i;
  if (*dim == PL_NO_DIM) {
    *size = reduced_size(x, ~0u, c->attr[1].i);
    return pl_numel(x) || pl_op_fail(c, "%s is empty", PL_DESCRIBE(x));
  }
  if (!pl_resolve_dim(c->op->name, x->rank, dim)) return false;
  *size = pl_without(pl_size(x), *dim, c->attr[1].i);
  if (x->size[*dim]) return true;
  return pl_op_fail(c, "dim %d of %s is empty", (int)*dim + 1, PL_DESCRIBE(x));
}

static bool extreme_shape(pl_args *c) {
  int64_t dim;
  pl_ints size;
  if (!along(c, &dim, &size) || !pl_out(c, 0, c->in[0]->dtype, size)) return false;
  if (dim == PL_NO_DIM) return pl_save(c, 0, pl_empty(PL_INT32, size));
  return pl_out(c, 1, PL_INT32, size);
}

static pl_tensor *positions(const pl_args *c) { return c->out[1] ? c->out[1] : c->saved[0]; }

/* Upward or downward, by the sign; in a type that holds all of them with either. */
#define EXTREMES(name, type, wide)                                                             \
  static void name(pl_split s, const type *in, int sign, type *y, int32_t *at) {               \
    _Pragma("omp parallel for schedule(static) if (s.outer * s.n * s.inner > PL_GRAIN)") for ( \
        int64_t i = 0; i < s.outer * s.inner; i++) {                                           \
      const type *row = in + i / s.inner * s.n * s.inner + i % s.inner;                        \
      int64_t best = 0;                                                                        \
      wide most = (wide)sign * row[0];                                                         \
      for (int64_t k = 1; k < s.n && most == most; k++) {                                      \
        const wide v = (wide)sign * row[k * s.inner];                                          \
        if (!(v <= most)) best = k, most = v;                                                  \
      }                                                                                        \
      y[i] = row[best * s.inner];                                                              \
      at[i] = (int32_t)best + 1;                                                               \
    }                                                                                          \
  }
EXTREMES(extreme_reals, pl_real, pl_real)
EXTREMES(extreme_int32s, int32_t, int64_t)
EXTREMES(extreme_uint8s, uint8_t, int32_t)
#undef EXTREMES

static bool extreme_forward(pl_args *c) {
  int64_t dim;
  pl_ints size;
  pl_tensor *x = pl_contiguous(c->in[0]), *y = c->out[0];
  if (!x || !along(c, &dim, &size)) return false;
  const pl_split s = dim == PL_NO_DIM ? (pl_split){1, pl_numel(x), 1} : pl_split_at(x, dim);
  const int sign = *(const int *)c->op->data;
  int32_t *at = pl_int32s(positions(c));
  switch (x->dtype) {
    case PL_REAL: extreme_reals(s, pl_reals(x), sign, pl_reals(y), at); break;
    case PL_INT32: extreme_int32s(s, pl_int32s(x), sign, pl_int32s(y), at); break;
    default: extreme_uint8s(s, pl_uint8s(x), sign, pl_uint8s(y), at);
  }
  return true;
}

static bool extreme_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                         pl_tensor **gin) {
  (void)needs_grad;
  const pl_tensor *x = c->in[0];
  int64_t dim = c->attr[0].i;
  if (!gout[0]) return !pl_error();
  pl_ints one = pl_list(1);
  int64_t n = pl_numel(x);
  if (dim == PL_NO_DIM) dim = 0;
  else if (!pl_resolve_dim(c->op->name, x->rank, &dim)) return false;
  else one = pl_without(pl_size(x), dim, true), n = x->size[dim];
  pl_tensor *g =
      pl_scatter_add(pl_reshape(gout[0], one), pl_reshape(positions(c), one), (int)dim, n);
  return (gin[0] = pl_reshape(g, pl_size(x))) != NULL;
}

static const int upward = 1, downward = -1;
#define EXTREME(name_, direction, onnx_, doc_)                                               \
  PL_OP(name_, .group = PL_GROUP_REDUCTIONS, .inputs = "x",                                  \
        .attrs = "dim:dim? keepdim:bool=false", .doc = doc_,                                 \
        .samples = "any[3,4] dim=2; any[2,3,2] dim=2 keepdim=true; any[3,4]", .onnx = onnx_, \
        .outputs = 2, .shape = extreme_shape, .forward = extreme_forward,                    \
        .gradient = extreme_rule, .integers = PL_INTEGERS_MOVED, .unsaved = PL_UNSAVED_IN,   \
        .data = &direction);
EXTREME(max, upward, "most(ReduceMax, ArgMax, x, dim, keepdim)",
        "the largest values along a dim, and their positions (int32, from 1); without dim the "
        "largest value of all, alone")
EXTREME(min, downward, "most(ReduceMin, ArgMin, x, dim, keepdim)",
        "the smallest values along a dim, and their positions (int32, from 1); without dim the "
        "smallest value of all, alone")

/* The second result of max or min. */
static bool where_most(pl_args *c, bool (*most)(pl_tensor *, int, bool, pl_tensor *[2])) {
  pl_tensor *both[2], *x = c->in[0];
  int64_t dim;
  pl_ints size;
  if (!along(c, &dim, &size)) return false;
  bool was = pl_grad_mode(false);
  if (dim == PL_NO_DIM) x = pl_reshape(x, pl_list(-1)), dim = 0;
  bool ok = most(x, (int)dim, true, both) && (c->out[0] = pl_reshape(both[1], size));
  pl_grad_mode(was);
  return ok;
}

static bool argmax_decompose(pl_args *c) { return where_most(c, pl_max); }
static bool argmin_decompose(pl_args *c) { return where_most(c, pl_min); }

#define ARG(name_, onnx_, doc_)                                               \
  PL_OP(name_, .group = PL_GROUP_REDUCTIONS, .inputs = "x",                   \
        .attrs = "dim:dim? keepdim:bool=false", .doc = doc_,                  \
        .samples = "any[3,4] dim=2; any[3,4]", .onnx = onnx_, .nograd = true, \
        .integers = PL_INTEGERS_READ, .decompose = name_##_decompose);
ARG(argmax, "position_of(ArgMax, x, dim, keepdim)",
    "positions of the largest values along a dim (int32, from 1); without dim, of the largest of "
    "all, in row-major order")
ARG(argmin, "position_of(ArgMin, x, dim, keepdim)",
    "positions of the smallest values along a dim (int32, from 1); without dim, of the smallest of "
    "all, in row-major order")
#undef ARG

/*
** amax, amin: extremes over several dims, values only
*/

static bool amost(pl_args *c, bool (*most)(pl_tensor *, int, bool, pl_tensor *[2])) {
  unsigned mask;
  pl_tensor *x = c->in[0], *both[2];
  if (!dim_mask(c->op->name, x, c->attr[0].ints, &mask)) return false;
  pl_ints size = reduced_size(x, mask, c->attr[1].i);
  for (int d = 0; d < x->rank; d++)
    if (mask >> d & 1 && !x->size[d])
      return pl_op_fail(c, "dim %d of %s is empty", d + 1, PL_DESCRIBE(x));
  if (mask == (1u << x->rank) - 1) { /* all of it: one long row */
    if (!most(pl_reshape(x, pl_list(-1)), 0, true, both)) return false;
    x = both[0];
  } else {
    for (int d = 0; d < c->in[0]->rank; d++) {
      if (!(mask >> d & 1)) continue;
      if (!most(x, d, true, both)) return false;
      x = both[0];
    }
  }
  c->out[0] = pl_reshape(x, size);
  return c->out[0] != NULL;
}

static bool amax_decompose(pl_args *c) { return amost(c, pl_max); }
static bool amin_decompose(pl_args *c) { return amost(c, pl_min); }

PL_OP(amax, .group = PL_GROUP_REDUCTIONS, .inputs = "x", .attrs = "dim:dims? keepdim:bool=false",
      .doc = "the largest values over some dims, or over all; NaN wins",
      .onnx = "ReduceMax(x, {axes = every(dim), keepdims = keepdim})", .samples = REDUCE_SAMPLES,
      .integers = PL_INTEGERS_MOVED, .decompose = amax_decompose);
PL_OP(amin, .group = PL_GROUP_REDUCTIONS, .inputs = "x", .attrs = "dim:dims? keepdim:bool=false",
      .doc = "the smallest values over some dims, or over all; NaN wins",
      .onnx = "ReduceMin(x, {axes = every(dim), keepdims = keepdim})", .samples = REDUCE_SAMPLES,
      .integers = PL_INTEGERS_MOVED, .decompose = amin_decompose);

/*
** prod: halves multiplied by halves, so that the gradient is right where factors are 0
*/

static pl_tensor *fold(pl_tensor *x, int dim) {
  while (x && x->size[dim] > 1) {
    int64_t n = x->size[dim], half = n / 2;
    pl_tensor *y = pl_mul(pl_slice(x, dim, 0, half, 1), pl_slice(x, dim, half, half, 1));
    x = n % 2 ? pl_cat(2, (pl_tensor *[]){y, pl_slice(x, dim, n - 1, 1, 1)}, dim) : y;
  }
  return x;
}

/* The product of n integers, `step` apart; 0 wins over what does not fit. */
static bool integer_product(int64_t n, const int32_t *x, int64_t step, int32_t *y) {
  int64_t product = 1;
  bool fits = true;
  for (int64_t k = 0; k < n; k++) {
    if (x[k * step] == 0) return *y = 0, true;
    if (fits) product *= x[k * step];
    fits = fits && product == (int32_t)product;
  }
  *y = (int32_t)product;
  return fits;
}

static pl_tensor *integer_products(const pl_args *c, pl_tensor *x, int64_t dim) {
  const pl_split s = pl_split_at(x, dim);
  pl_tensor *y = pl_empty(PL_INT32, pl_without(pl_size(x), dim, true));
  if (!y || !(x = pl_contiguous(x))) return NULL;
  for (int64_t i = 0; i < s.outer * s.inner; i++) {
    const int32_t *row = pl_int32s(x) + i / s.inner * s.n * s.inner + i % s.inner;
    if (!integer_product(s.n, row, s.inner, pl_int32s(y) + i))
      return pl_op_fail(c, "product %lld does not fit int32; to(\"real\") has room",
                        (long long)i + 1),
             NULL;
  }
  return y;
}

static bool prod_decompose(pl_args *c) {
  int64_t dim = c->attr[0].i;
  pl_tensor *x = c->in[0];
  const bool all = dim == PL_NO_DIM;
  if (all) x = pl_reshape(x, pl_list(-1)), dim = 0;
  if (!x || !pl_resolve_dim("prod", x->rank, &dim)) return false;
  pl_ints size =
      all ? reduced_size(c->in[0], ~0u, c->attr[1].i) : pl_without(pl_size(x), dim, c->attr[1].i);
  if (!x->size[dim]) return (c->out[0] = pl_full(x->dtype, size, 1)) != NULL;
  x = x->dtype == PL_REAL ? fold(x, (int)dim) : integer_products(c, x, dim);
  return (c->out[0] = pl_reshape(x, size)) != NULL;
}

PL_OP(prod, .group = PL_GROUP_REDUCTIONS, .inputs = "x", .attrs = "dim:dim? keepdim:bool=false",
      .doc = "the product along a dim, or of all elements; of none it is 1",
      .integers = PL_INTEGERS_COUNTED, .onnx = "ReduceProd(x, {axes = {dim}, keepdims = keepdim})",
      .samples = "any[3,4] dim=2; any[2,3,2] dim=2 keepdim=true; any[2,3]",
      .decompose = prod_decompose);
