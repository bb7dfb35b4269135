/*
** statistics.c: medians, quantiles, histograms and covariances.
*/
#include <math.h>

#include "ops.h"

/*
** median, quantile: of the values in order; NaN, which is the last in order, wins over all
*/

/* x as a row along dim: itself, or all of it where there is no dim. */
static pl_tensor *as_rows(const pl_args *c, int64_t *dim) {
  pl_tensor *x = c->in[0];
  if (*dim == PL_NO_DIM) x = pl_reshape(x, pl_list(-1)), *dim = 0;
  if (!x || !pl_resolve_dim(c->op->name, x->rank, dim)) return NULL;
  if (x->size[*dim]) return x;
  return pl_op_fail(c, "dim %d of %s is empty", (int)*dim + 1, PL_DESCRIBE(c->in[0])), NULL;
}

static pl_ints rest_size(const pl_args *c, int64_t dim, bool keepdim) {
  pl_ints size = pl_size(c->in[0]);
  for (int d = size.n - 1; d >= 0; d--)
    if (dim == PL_NO_DIM || d == dim) size = pl_without(size, d, keepdim);
  return size;
}

/* Where in x the middle of each sorted row was, the lower of two; or the first NaN. */
static pl_tensor *middle(pl_tensor *sorted, pl_tensor *at, int64_t dim) {
  const pl_split s = pl_split_at(sorted, dim);
  pl_tensor *y = pl_empty(PL_INT32, pl_without(pl_size(sorted), dim, true));
  if (!y) return NULL;
  for (int64_t i = 0; i < s.outer * s.inner; i++) {
    const int64_t first = i / s.inner * s.n * s.inner + i % s.inner;
    const pl_real *row = sorted->dtype == PL_REAL ? pl_reals(sorted) + first : NULL;
    int64_t k = (s.n - 1) / 2;
    if (row && isnan(row[(s.n - 1) * s.inner]))
      for (k = s.n - 1; k > 0 && isnan(row[(k - 1) * s.inner]);) k--;
    pl_int32s(y)[i] = pl_int32s(at)[first + k * s.inner];
  }
  return y;
}

static bool median_decompose(pl_args *c) {
  int64_t dim = c->attr[0].i;
  pl_tensor *x = as_rows(c, &dim), *both[2];
  if (!x) return false;
  const bool was = pl_grad_mode(false);
  pl_tensor *at = pl_sort(x, (int)dim, false, both) ? middle(both[0], both[1], dim) : NULL;
  pl_grad_mode(was);
  const bool all = c->attr[0].i == PL_NO_DIM;
  const pl_ints size = rest_size(c, all ? PL_NO_DIM : dim, c->attr[1].i);
  c->out[0] = pl_reshape(pl_gather(x, at, (int)dim), size);
  if (!all) c->out[1] = pl_reshape(at, size);
  return !pl_error();
}

PL_OP(median, .group = PL_GROUP_REDUCTIONS, .inputs = "x", .attrs = "dim:dim? keepdim:bool=false",
      .doc =
          "the middle values along a dim, the lower of two, and their positions (int32, from 1); "
          "without dim the middle value of all, alone",
      .onnx = "refuse 'ONNX has no operator for it'",
      .samples = "any[3,5] dim=2; any[4,2] dim=1 keepdim=true; any[3,4]", .outputs = 2,
      .integers = PL_INTEGERS_MOVED, .decompose = median_decompose);

enum { LINEAR, LOWER, HIGHER, MIDPOINT, NEAREST }; /* as in the row's attribute */

/* How much of the upper neighbour, at a fraction of the way to it. */
static double share(int64_t interpolation, double fraction, double below) {
  switch (interpolation) {
    case LINEAR: return fraction;
    case LOWER: return 0;
    case HIGHER: return fraction > 0;
    case MIDPOINT: return fraction > 0 ? 0.5 : 0;
    default: return rint(below + fraction) - below; /* NEAREST: halves to the even position */
  }
}

static bool quantile_decompose(pl_args *c) {
  const double q = c->attr[0].d;
  int64_t dim = c->attr[1].i;
  pl_tensor *x = as_rows(c, &dim), *both[2];
  if (!x) return false;
  if (!(q >= 0 && q <= 1)) return pl_op_fail(c, "q %g is not within 0 and 1", q);
  if (!pl_sort(x, (int)dim, false, both)) return false;
  const int64_t n = x->size[dim];
  const double at = q * (double)(n - 1), below = floor(at);
  pl_tensor *low = pl_slice(both[0], (int)dim, (int64_t)below, 1, 1);
  pl_tensor *high = pl_slice(both[0], (int)dim, PL_MIN((int64_t)below + 1, n - 1), 1, 1);
  pl_tensor *last = pl_slice(both[0], (int)dim, n - 1, 1, 1);
  const double part = share(c->attr[3].i, at - below, below);
  pl_tensor *y = part > 0 ? pl_lerp(low, high, pl_full(PL_REAL, PL_ALL_DIMS, part)) : low;
  y = pl_where(pl_isnan(last), last, y);
  const bool all = c->attr[1].i == PL_NO_DIM;
  c->out[0] = pl_reshape(y, rest_size(c, all ? PL_NO_DIM : dim, c->attr[2].i));
  return c->out[0] != NULL;
}

PL_OP(quantile, .group = PL_GROUP_REDUCTIONS, .inputs = "x",
      .attrs =
          "q:real dim:dim? keepdim:bool=false "
          "interpolation:choice(linear|lower|higher|midpoint|nearest)",
      .doc =
          "what a part q, from 0 to 1, of the values along a dim, or of all, lie below: of the "
          "values in order the one at q (n - 1), and between two as interpolation says",
      .samples =
          "any[3,5] q=0.3 dim=2; any[3,5] q=0.5; any[4,2] q=0.4 dim=1 keepdim=true "
          "interpolation=lower; any[4] q=0.4 interpolation=higher; any[4] q=0.4 "
          "interpolation=midpoint; any[4] q=0.4 interpolation=nearest",
      .integers = PL_INTEGERS_REAL, .decompose = quantile_decompose);

/*
** histc
*/

/* The range of the bins: as given, or, where both ends are alike, that of x. */
static bool histogram_range(pl_args *c, const pl_tensor *x, double *low, double *high) {
  *low = c->attr[1].d, *high = c->attr[2].d;
  if (*low == *high && pl_numel(x)) {
    *low = INFINITY, *high = -INFINITY;
    for (int64_t i = 0; i < pl_numel(x); i++)
      *low = fmin(*low, (double)pl_reals(x)[i]), *high = fmax(*high, (double)pl_reals(x)[i]);
  }
  if (*low == *high) *low -= 1, *high += 1;
  if (isfinite(*low) && isfinite(*high) && *low < *high) return true;
  return pl_op_fail(c, "there are no bins between %g and %g", *low, *high);
}

static bool histc_shape(pl_args *c) {
  if (c->attr[0].i < 1)
    return pl_op_fail(c, "%lld bins; at least 1 expected", (long long)c->attr[0].i);
  return pl_out(c, 0, PL_REAL, pl_list(c->attr[0].i));
}

static bool histc_forward(pl_args *c) {
  pl_tensor *x = pl_contiguous(c->in[0]);
  double low, high;
  if (!x || !histogram_range(c, x, &low, &high)) return false;
  const int64_t bins = c->attr[0].i;
  pl_fill(c->out[0], 0);
  for (int64_t i = 0; i < pl_numel(x); i++) {
    const double v = (double)pl_reals(x)[i];
    if (!(v >= low && v <= high)) continue;
    const int64_t bin = (int64_t)((v - low) / (high - low) * (double)bins);
    pl_reals(c->out[0])[PL_MIN(bin, bins - 1)] += 1;
  }
  return true;
}

PL_OP(histc, .group = PL_GROUP_REDUCTIONS, .inputs = "x",
      .attrs = "bins:int=100 min:real=0 max:real=0",
      .doc =
          "how many elements lie in each of `bins` equal parts of [min, max], which is the range "
          "of x where min and max are alike; others are left out",
      .onnx = "refuse 'ONNX has no operator that counts'",
      .samples = "any[20] bins=5; any[20] bins=4 min=-1 max=1", .nograd = true,
      .integers = PL_INTEGERS_REAL, .shape = histc_shape, .forward = histc_forward);

/*
** cov, corrcoef: x is [variables, observations]
*/

static bool cov_decompose(pl_args *c) {
  pl_tensor *x = c->in[0];
  if (x->rank > 2) return pl_op_fail(c, "x is %s, expected at most 2 dims", PL_DESCRIBE(x));
  const int64_t n = x->rank ? x->size[x->rank - 1] : 1;
  const double divisor = (double)(n - c->attr[0].i);
  pl_tensor *rows = x->rank == 2 ? x : pl_reshape(x, pl_list(1, n));
  pl_tensor *centred = pl_sub(rows, pl_mean(rows, pl_list(1), true));
  pl_tensor *y = pl_affine(pl_bmm(centred, pl_transpose(centred, 0, 1)), 1 / PL_MAX(divisor, 0), 0);
  return (c->out[0] = x->rank == 2 ? y : pl_reshape(y, PL_ALL_DIMS)) != NULL;
}

static bool corrcoef_decompose(pl_args *c) {
  pl_tensor *cov = pl_cov(c->in[0], 1);
  if (!cov) return false;
  if (!cov->rank) return (c->out[0] = pl_div(cov, cov)) != NULL;
  pl_tensor *deviation = pl_sqrt(pl_diag(cov, 0));
  pl_tensor *columns = pl_div(cov, pl_unsqueeze(deviation, 1));
  return (c->out[0] = pl_clamp(pl_div(columns, deviation), -1, 1)) != NULL;
}

PL_OP(cov, .group = PL_GROUP_REDUCTIONS, .inputs = "x", .attrs = "correction:int=1",
      .doc =
          "the covariances of the rows of x [variables, observations]: of n observations, their "
          "deviations' products summed and divided by n - correction; of a vector its variance",
      .samples = "any[3,5]; any[3,5] correction=0; any[5]", .integers = PL_INTEGERS_REAL,
      .decompose = cov_decompose);
PL_OP(corrcoef, .group = PL_GROUP_REDUCTIONS, .inputs = "x",
      .doc =
          "Pearson's correlation coefficients of the rows of x [variables, observations], within "
          "-1 and 1; of a vector 1",
      .samples = "any[3,5]", .integers = PL_INTEGERS_REAL, .decompose = corrcoef_decompose);
