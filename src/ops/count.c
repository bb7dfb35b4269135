/*
** count.c: which values there are, how often, and where others belong among them.
*/
#include "ops.h"

/*
** bincount: ones, or weights, added where the values say
*/

static bool bincount_decompose(pl_args *c) {
  pl_tensor *x = c->in[0], *weights = c->in[1];
  if (x->dtype == PL_REAL) return pl_op_fail(c, "x is %s, expected int32 or uint8", PL_DESCRIBE(x));
  if (!pl_need_rank(c, 0, 1)) return false;
  if (weights && !pl_same_size(x, weights))
    return pl_op_fail(c, "%s and weights %s; expected one shape", PL_DESCRIBE(x),
                      PL_DESCRIBE(weights));
  int64_t n = c->attr[0].i;
  if (n < 0) return pl_op_fail(c, "a minlength of %lld is negative", (long long)n);
  for (int64_t i = 0; i < pl_numel(x) && pl_goes_on(i); i++) n = PL_MAX(n, (int64_t)pl_at(x, i));
  if (pl_error()) return false;
  pl_tensor *ones = weights ? weights : pl_full(PL_INT32, pl_size(x), 1);
  return (c->out[0] = pl_scatter_add(ones, pl_to(x, PL_INT32), 0, n)) != NULL;
}

PL_OP(
    bincount, .group = PL_GROUP_REDUCTIONS, .inputs = "x weights?", .attrs = "minlength:int=0",
    .doc =
        "y[v] is how often v, from 1, is in x (int32 or uint8 [n]), or the sum of the weights [n] "
        "there: as many as the largest value, and at least minlength",
    .onnx = "refuse 'the size of its result depends on the values'",
    .samples = "index4[6]; index4[5] minlength=6; index3[4] any[4]", .apart = 1 << 0,
    .integers = PL_INTEGERS_COUNTED, .decompose = bincount_decompose);

/*
** unique
*/

/* Whether element i of a sorted vector begins a run of equals; each NaN does. */
static bool is_first(const pl_tensor *sorted, int64_t i) {
  return i == 0 || pl_at(sorted, i) != pl_at(sorted, i - 1);
}

/* The number of the run that each element of x is in, by where the sorted ones were. */
static pl_tensor *run_of_each(const pl_tensor *x, const pl_tensor *sorted, const pl_tensor *at) {
  pl_tensor *y = pl_empty(PL_INT32, pl_size(x));
  int32_t run = 0;
  for (int64_t i = 0; y && i < pl_numel(sorted); i++) {
    run += is_first(sorted, i);
    pl_int32s(y)[pl_int32s(at)[i] - 1] = run;
  }
  return y;
}

static pl_tensor *run_lengths(const pl_tensor *sorted, int64_t runs) {
  pl_tensor *y = pl_full(PL_INT32, pl_list(runs), 0);
  int64_t run = -1;
  for (int64_t i = 0; y && i < pl_numel(sorted); i++) {
    run += is_first(sorted, i);
    pl_int32s(y)[run]++;
  }
  return y;
}

static bool unique_forward(pl_args *c) {
  pl_tensor *x = c->in[0], *sorted[2];
  if (!pl_sort(pl_reshape(x, pl_list(-1)), 0, false, sorted)) return false;
  const int64_t n = pl_numel(x);
  int64_t runs = 0, out = 1;
  for (int64_t i = 0; i < n; i++) runs += is_first(sorted[0], i);
  if (!pl_out(c, 0, x->dtype, pl_list(runs))) return false;
  for (int64_t i = 0, run = 0; i < n; i++)
    if (is_first(sorted[0], i)) pl_set_at(c->out[0], run++, pl_at(sorted[0], i));
  if (c->attr[0].i) c->out[out++] = run_of_each(x, sorted[0], sorted[1]);
  if (c->attr[1].i) c->out[out++] = run_lengths(sorted[0], runs);
  return !pl_error();
}

PL_OP(unique, .group = PL_GROUP_REDUCTIONS, .inputs = "x",
      .attrs = "return_inverse:bool=false return_counts:bool=false",
      .doc =
          "the values that x has, each once, in order, as a vector; with return_inverse also where "
          "each element of x is among them (int32, from 1), with return_counts how often each is "
          "in x (int32)",
      .onnx = "refuse 'the size of its result depends on the values'",
      .samples =
          "index4[2,3]; index4[6] return_inverse=true return_counts=true; any[4] "
          "return_counts=true",
      .outputs = 3, .nograd = true, .integers = PL_INTEGERS_MOVED, .forward = unique_forward);

/*
** searchsorted
*/

/* As sort orders them: NaN is the largest. */
static bool is_before(double a, double b) { return a < b || (b != b && a == a); }

/* How many of the n sorted numbers from `first` on are before v, or, on the right, not after it. */
static int64_t count_before(const pl_tensor *sorted, int64_t first, int64_t n, double v,
                            bool right) {
  int64_t low = 0, high = n;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    const double at = pl_at(sorted, first + middle);
    if (right ? !is_before(v, at) : is_before(at, v)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/* One row for all values, or one for each row of them. */
static bool search_shape(pl_args *c) {
  const pl_tensor *sorted = c->in[0], *x = c->in[1];
  bool fits = sorted->rank == 1 || (sorted->rank > 1 && sorted->rank == x->rank);
  for (int d = 0; d < sorted->rank - 1 && fits; d++) fits = sorted->size[d] == x->size[d];
  if (!fits)
    return pl_op_fail(c, "sorted is %s, x %s; expected [n], or [...,n] and [...,m]",
                      PL_DESCRIBE(sorted), PL_DESCRIBE(x));
  const int64_t n = sorted->size[sorted->rank - 1];
  for (int64_t i = 0; i + 1 < pl_numel(sorted) && pl_goes_on(i); i++)
    if ((i + 1) % n && is_before(pl_at(sorted, i + 1), pl_at(sorted, i)))
      return pl_op_fail(c, "sorted is not in order: %g stands before %g at position %lld",
                        pl_at(sorted, i), pl_at(sorted, i + 1), (long long)i + 2);
  return !pl_error() && pl_out(c, 0, PL_INT32, pl_size(x));
}

static bool search_forward(pl_args *c) {
  const pl_tensor *sorted = c->in[0], *x = c->in[1];
  const int64_t n = sorted->size[sorted->rank - 1];
  const int64_t m = sorted->rank > 1 ? x->size[x->rank - 1] : pl_numel(x);
  for (int64_t i = 0; i < pl_numel(x); i++)
    pl_int32s(c->out[0])[i] =
        (int32_t)count_before(sorted, i / m * n, n, pl_at(x, i), c->attr[0].i) + 1;
  return true;
}

PL_OP(searchsorted, .group = PL_GROUP_INDEXING, .inputs = "sorted x", .attrs = "right:bool=false",
      .doc =
          "where each element of x belongs in a sorted row [n] (int32, from 1 to n + 1), before "
          "those that are equal, or, with right, behind them; rows [...,n] are for x [...,m]",
      .onnx = "refuse 'ONNX has no operator for it'",
      .samples = "index9[1] any[3]; index9[1] index9[2,3] right=true", .nograd = true,
      .integers = PL_INTEGERS_READ, .shape = search_shape, .forward = search_forward);
