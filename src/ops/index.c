/*
** index.c: reading and adding by index. Index tensors are int32 and count from 1. gather
** and scatter_add are adjoint, as are index_select and index_add.
*/
#include <stdlib.h>
#include <string.h>

#include "ops.h"

/* All indices within 1..n, or a message with the first that is not. */
static bool check_index(const pl_args *c, const pl_tensor *index, int64_t n) {
  int64_t count = pl_numel(index);
  const int32_t *v = pl_int32s(index);
  for (int64_t i = 0; i < count; i++)
    if (v[i] < 1 || v[i] > n)
      return pl_op_fail(c, "index %d at position %lld is not within 1 and %lld", v[i],
                        (long long)i + 1, (long long)n);
  return true;
}

static bool need_index(const pl_args *c, int i) {
  if (c->in[i]->dtype == PL_INT32) return true;
  return pl_op_fail(c, "index is %s, expected int32", PL_DESCRIBE(c->in[i]));
}

/*
** gather, scatter_add
*/

static bool same_but(const pl_args *c, const pl_tensor *a, const pl_tensor *b, int64_t dim) {
  bool fits = a->rank == b->rank;
  for (int d = 0; d < a->rank && fits; d++) fits = d == dim || a->size[d] == b->size[d];
  if (fits) return true;
  return pl_op_fail(c, "%s and index %s differ in more than dim %d", PL_DESCRIBE(a), PL_DESCRIBE(b),
                    (int)dim + 1);
}

static bool gather_shape(pl_args *c) {
  int64_t dim = c->attr[0].i;
  return need_index(c, 1) && pl_resolve_dim("gather", c->in[0]->rank, &dim) &&
         same_but(c, c->in[0], c->in[1], dim) && pl_out(c, 0, c->in[0]->dtype, pl_size(c->in[1]));
}

/* The result is split as t, what it is taken from as s. */
#define GATHER(name, type)                                                               \
  static void name(pl_split t, pl_split s, type *y, const type *in, const int32_t *at) { \
    for (int64_t o = 0; o < t.outer; o++)                                                \
      for (int64_t k = 0; k < t.n; k++)                                                  \
        for (int64_t i = 0; i < t.inner; i++) {                                          \
          const int64_t e = (o * t.n + k) * t.inner + i;                                 \
          y[e] = in[(o * s.n + at[e] - 1) * s.inner + i];                                \
        }                                                                                \
  }
GATHER(gather_reals, pl_real)
GATHER(gather_int32s, int32_t)
GATHER(gather_uint8s, uint8_t)
#undef GATHER

static bool gather_forward(pl_args *c) {
  int64_t dim = c->attr[0].i;
  pl_tensor *x = pl_contiguous(c->in[0]), *index = pl_contiguous(c->in[1]), *y = c->out[0];
  if (!x || !index || !pl_resolve_dim("gather", x->rank, &dim)) return false;
  const pl_split s = pl_split_at(x, dim), t = pl_split_at(index, dim);
  if (!check_index(c, index, s.n)) return false;
  const int32_t *at = pl_int32s(index);
  switch (x->dtype) {
    case PL_REAL: gather_reals(t, s, pl_reals(y), pl_reals(x), at); break;
    case PL_INT32: gather_int32s(t, s, pl_int32s(y), pl_int32s(x), at); break;
    default: gather_uint8s(t, s, pl_uint8s(y), pl_uint8s(x), at);
  }
  return true;
}

static bool gather_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                        pl_tensor **gin) {
  (void)needs_grad;
  int64_t dim = c->attr[0].i;
  if (!pl_resolve_dim("gather", c->in[0]->rank, &dim)) return false;
  gin[0] = pl_scatter_add(gout[0], c->in[1], (int)dim, c->in[0]->size[dim]);
  return true;
}

PL_OP(gather, .group = PL_GROUP_INDEXING, .inputs = "x index", .attrs = "dim:dim",
      .doc = "y[i][j] = x[index[i][j]][j] for dim 1, and so on; index (int32) has the shape of y",
      .onnx = "GatherElements(x, from_zero(index), {axis = dim})",
      .samples = "any[3,4] index4[3,2] dim=2; any[3,4] index3[5,4] dim=1",
      .integers = PL_INTEGERS_MOVED, .apart = 1 << 1, .shape = gather_shape,
      .forward = gather_forward, .gradient = gather_rule, .unsaved = PL_UNSAVED_ALL);

static bool scatter_shape(pl_args *c) {
  int64_t dim = c->attr[0].i;
  if (!need_index(c, 1) || !pl_resolve_dim("scatter_add", c->in[0]->rank, &dim)) return false;
  if (!pl_same_size(c->in[0], c->in[1]))
    return pl_op_fail(c, "x is %s, index %s; expected one shape", PL_DESCRIBE(c->in[0]),
                      PL_DESCRIBE(c->in[1]));
  pl_ints size = pl_size(c->in[0]);
  size.v[dim] = c->attr[1].i;
  return pl_out(c, 0, c->in[0]->dtype, size);
}

/*
** Integers are added in 64 bits, and must fit in the end.
*/

/* Zeros for the sums of y. */
static int64_t *new_sums(const pl_tensor *y) {
  const size_t bytes = (size_t)PL_MAX(pl_numel(y), 1) * sizeof(int64_t);
  int64_t *sums = pl_scratch(bytes);
  if (sums) memset(sums, 0, bytes);
  return sums;
}

static bool keep_sums(const pl_args *c, int64_t *sums) {
  const int64_t n = pl_numel(c->out[0]);
  int64_t lost = n;
  for (int64_t i = n - 1; i >= 0; i--) {
    pl_int32s(c->out[0])[i] = (int32_t)sums[i];
    if (sums[i] != (int32_t)sums[i]) lost = i;
  }
  if (lost < n)
    pl_op_fail(c, "%lld at position %lld does not fit int32; to(\"real\") has room",
               (long long)sums[lost], (long long)lost + 1);
  pl_scratch_free(sums);
  return lost == n;
}

/* x is split as s, the result as t. */
#define SCATTER(name, type, sum)                                                        \
  static void name(pl_split s, pl_split t, const type *in, const int32_t *at, sum *y) { \
    for (int64_t o = 0; o < s.outer; o++)                                               \
      for (int64_t k = 0; k < s.n; k++)                                                 \
        for (int64_t i = 0; i < s.inner; i++) {                                         \
          const int64_t e = (o * s.n + k) * s.inner + i;                                \
          y[(o * t.n + at[e] - 1) * t.inner + i] += in[e];                              \
        }                                                                               \
  }
SCATTER(scatter_reals, pl_real, pl_real)
SCATTER(scatter_int32s, int32_t, int64_t)
#undef SCATTER

static bool scatter_forward(pl_args *c) {
  int64_t dim = c->attr[0].i;
  pl_tensor *x = pl_contiguous(c->in[0]), *index = pl_contiguous(c->in[1]);
  if (!x || !index || !pl_resolve_dim("scatter_add", x->rank, &dim)) return false;
  pl_split s = pl_split_at(x, dim), t = pl_split_at(c->out[0], dim);
  if (!check_index(c, index, t.n)) return false;
  const int32_t *at = pl_int32s(index);
  if (x->dtype == PL_INT32) {
    int64_t *sums = new_sums(c->out[0]);
    if (sums) scatter_int32s(s, t, pl_int32s(x), at, sums);
    return sums && keep_sums(c, sums);
  }
  pl_fill(c->out[0], 0);
  scatter_reals(s, t, pl_reals(x), at, pl_reals(c->out[0]));
  return true;
}

static bool scatter_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                         pl_tensor **gin) {
  (void)needs_grad;
  gin[0] = pl_gather(gout[0], c->in[1], (int)c->attr[0].i);
  return true;
}

PL_OP(scatter_add, .group = PL_GROUP_INDEXING, .inputs = "x index", .attrs = "dim:dim size:int",
      .doc = "zeros, of `size` along the dim, with x added where gather would read it",
      .onnx =
          "ScatterElements(Expand(cast(0, kind(x)), shape(out[1])), from_zero(index), x, {axis = "
          "dim, reduction = 'add'})",
      .samples = "any[3,2] index4[3,2] dim=2 size=4", .integers = PL_INTEGERS_COUNTED,
      .apart = 1 << 1, .shape = scatter_shape, .forward = scatter_forward, .gradient = scatter_rule,
      .unsaved = PL_UNSAVED_ALL);

/*
** index_select, index_add
*/

static bool rows_shape(pl_args *c, int64_t n) {
  int64_t dim = c->attr[0].i;
  if (!need_index(c, 1) || !pl_need_rank(c, 1, 1) ||
      !pl_resolve_dim(c->op->name, c->in[0]->rank, &dim))
    return false;
  pl_ints size = pl_size(c->in[0]);
  size.v[dim] = n;
  return pl_out(c, 0, c->in[0]->dtype, size);
}

static bool index_select_shape(pl_args *c) { return rows_shape(c, pl_numel(c->in[1])); }

static bool index_select_forward(pl_args *c) {
  int64_t dim = c->attr[0].i;
  pl_tensor *x = pl_contiguous(c->in[0]), *index = pl_contiguous(c->in[1]);
  if (!x || !index || !pl_resolve_dim("index_select", x->rank, &dim)) return false;
  pl_split s = pl_split_at(x, dim);
  if (!check_index(c, index, s.n)) return false;
  size_t row = (size_t)s.inner * pl_dtype_bytes(x->dtype);
  int64_t m = pl_numel(index);
  const int32_t *at = pl_int32s(index);
  const char *in = pl_data(x);
  char *out = pl_data(c->out[0]);
#pragma omp parallel for schedule(static) if (s.outer * m * s.inner > PL_GRAIN)
  for (int64_t e = 0; e < s.outer * m; e++)
    memcpy(out + (size_t)e * row, in + (size_t)(e / m * s.n + at[e % m] - 1) * row, row);
  return true;
}

static bool index_select_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                              pl_tensor **gin) {
  (void)needs_grad;
  int64_t dim = c->attr[0].i;
  if (!pl_resolve_dim("index_select", c->in[0]->rank, &dim)) return false;
  gin[0] = pl_index_add(gout[0], c->in[1], (int)dim, c->in[0]->size[dim]);
  return true;
}

PL_OP(index_select, .group = PL_GROUP_INDEXING, .inputs = "x index", .attrs = "dim:dim",
      .doc = "the positions of a dim that index (int32 [n]) names, of any dtype",
      .onnx = "Gather(x, from_zero(index), {axis = dim})",
      .samples = "any[4,3] index4[5] dim=1; any[2,3] index3[2] dim=2",
      .integers = PL_INTEGERS_MOVED, .apart = 1 << 1, .shape = index_select_shape,
      .forward = index_select_forward, .gradient = index_select_rule, .unsaved = PL_UNSAVED_ALL);

static bool index_add_shape(pl_args *c) {
  int64_t dim = c->attr[0].i;
  if (!rows_shape(c, c->attr[1].i)) return false;
  if (!pl_resolve_dim("index_add", c->in[0]->rank, &dim)) return false;
  if (c->in[0]->size[dim] == pl_numel(c->in[1])) return true;
  return pl_op_fail(c, "%s has not one position in dim %d for each of index %s",
                    PL_DESCRIBE(c->in[0]), (int)dim + 1, PL_DESCRIBE(c->in[1]));
}

static bool integer_index_add(const pl_args *c, pl_split s, const pl_tensor *x, const int32_t *at,
                              int64_t n) {
  int64_t *sums = new_sums(c->out[0]);
  for (int64_t o = 0; o < s.outer && sums; o++)
    for (int64_t k = 0; k < s.n; k++)
      for (int64_t i = 0; i < s.inner; i++)
        sums[(o * n + at[k] - 1) * s.inner + i] += pl_int32s(x)[(o * s.n + k) * s.inner + i];
  return sums && keep_sums(c, sums);
}

static bool index_add_forward(pl_args *c) {
  int64_t dim = c->attr[0].i;
  pl_tensor *x = pl_contiguous(c->in[0]), *index = pl_contiguous(c->in[1]);
  if (!x || !index || !pl_resolve_dim("index_add", x->rank, &dim)) return false;
  pl_split s = pl_split_at(x, dim);
  int64_t n = c->attr[1].i;
  if (!check_index(c, index, n)) return false;
  const int32_t *at = pl_int32s(index);
  if (x->dtype == PL_INT32) return integer_index_add(c, s, x, at, n);
  const pl_real *in = pl_reals(x);
  pl_real *out = pl_reals(c->out[0]);
  pl_fill(c->out[0], 0);
  for (int64_t o = 0; o < s.outer; o++)
    for (int64_t k = 0; k < s.n; k++)
      PL_KERNELS(reduce)->accumulate(s.inner, out + (o * n + at[k] - 1) * s.inner,
                                     in + (o * s.n + k) * s.inner);
  return true;
}

static bool index_add_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                           pl_tensor **gin) {
  (void)needs_grad;
  gin[0] = pl_index_select(gout[0], c->in[1], (int)c->attr[0].i);
  return true;
}

PL_OP(index_add, .group = PL_GROUP_INDEXING, .inputs = "x index", .attrs = "dim:dim size:int",
      .doc = "zeros, of `size` along the dim, with x added at the positions that index names",
      .onnx = "refuse 'ONNX adds to single elements alone; scatter_add does so'",
      .samples = "any[3,2] index4[3] dim=1 size=4; any[2,3] index5[3] dim=2 size=5",
      .integers = PL_INTEGERS_COUNTED, .apart = 1 << 1, .shape = index_add_shape,
      .forward = index_add_forward, .gradient = index_add_rule, .unsaved = PL_UNSAVED_ALL);

/*
** embedding
*/

static bool embedding_decompose(pl_args *c) {
  pl_tensor *index = c->in[0], *weight = c->in[1];
  if (!need_index(c, 0) || !pl_need_real(c, 1) || !pl_need_rank(c, 1, 2)) return false;
  if (index->rank == PL_MAX_RANK) return pl_op_fail(c, "index has too many dims");
  pl_ints size = pl_size(index);
  size.v[size.n++] = weight->size[1];
  c->out[0] = pl_reshape(pl_index_select(weight, pl_reshape(index, pl_list(-1)), 0), size);
  return c->out[0] != NULL;
}

PL_OP(embedding, .group = PL_GROUP_LAYERS, .inputs = "index weight",
      .doc = "the rows of weight [words,n] that index (int32, from 1, any shape) names: [...,n]",
      .onnx = "Gather(weight, from_zero(index))", .samples = "index5[2,3] any[5,4]",
      .decompose = embedding_decompose);

/*
** one_hot
*/

static bool one_hot_shape(pl_args *c) {
  pl_ints size = pl_size(c->in[0]);
  if (!need_index(c, 0)) return false;
  if (size.n == PL_MAX_RANK || c->attr[0].i < 1)
    return pl_op_fail(c, "%lld classes for %s", (long long)c->attr[0].i, PL_DESCRIBE(c->in[0]));
  size.v[size.n++] = c->attr[0].i;
  return pl_out(c, 0, PL_REAL, size);
}

static bool one_hot_forward(pl_args *c) {
  pl_tensor *index = pl_contiguous(c->in[0]);
  int64_t n = c->attr[0].i;
  if (!index || !check_index(c, index, n)) return false;
  pl_fill(c->out[0], 0);
  const int32_t *at = pl_int32s(index);
  for (int64_t i = 0; i < pl_numel(index); i++) pl_reals(c->out[0])[i * n + at[i] - 1] = 1;
  return true;
}

PL_OP(one_hot, .group = PL_GROUP_LAYERS, .inputs = "index", .attrs = "classes:int",
      .doc = "real [..., classes]: 1 at the index (int32, from 1), else 0",
      .onnx = "OneHot(cast(from_zero(index), 'int64'), int64(classes), number {0, 1})",
      .samples = "index4[3] classes=4", .nograd = true, .shape = one_hot_shape,
      .forward = one_hot_forward);

/*
** sort
*/

/* Either is ordered without rounding: a float does not hold every integer. */
typedef struct {
  union {
    pl_real real;
    int32_t integer;
  } value;
  int32_t at;
} ranked;

typedef int rank(const void *a, const void *b);

/* NaN sorts as the largest; equal values keep their order. */
static int by_real(const ranked *x, const ranked *y) {
  const pl_real a = x->value.real, b = y->value.real;
  const int nan = (a != a) - (b != b);
  return nan ? nan : (a > b) - (a < b);
}

static int by_integer(const ranked *x, const ranked *y) {
  return (x->value.integer > y->value.integer) - (x->value.integer < y->value.integer);
}

#define RANK(name, x, y, by)                                                  \
  static int name(const void *a, const void *b) {                             \
    const int order = by(x, y);                                               \
    return order ? order : ((const ranked *)a)->at - ((const ranked *)b)->at; \
  }
RANK(real_ascending, a, b, by_real)
RANK(real_descending, b, a, by_real)
RANK(integer_ascending, a, b, by_integer)
RANK(integer_descending, b, a, by_integer)
#undef RANK

static rank *order_of(pl_dtype dtype, bool descending) {
  if (dtype == PL_REAL) return descending ? real_descending : real_ascending;
  return descending ? integer_descending : integer_ascending;
}

static bool sort_shape(pl_args *c) {
  const pl_tensor *x = c->in[0];
  int64_t dim = c->attr[0].i;
  return pl_resolve_dim("sort", x->rank, &dim) && pl_out(c, 0, x->dtype, pl_size(x)) &&
         pl_out(c, 1, PL_INT32, pl_size(x));
}

static void take_ranked(const pl_tensor *x, int64_t at, ranked *r) {
  if (x->dtype == PL_REAL) r->value.real = pl_reals(x)[at];
  else r->value.integer = x->dtype == PL_INT32 ? pl_int32s(x)[at] : pl_uint8s(x)[at];
}

static void put_ranked(pl_tensor *y, int64_t at, const ranked *r) {
  if (y->dtype == PL_REAL) pl_reals(y)[at] = r->value.real;
  else if (y->dtype == PL_INT32) pl_int32s(y)[at] = r->value.integer;
  else pl_uint8s(y)[at] = (uint8_t)r->value.integer;
}

static bool sort_forward(pl_args *c) {
  int64_t dim = c->attr[0].i;
  pl_tensor *x = pl_contiguous(c->in[0]);
  if (!x || !pl_resolve_dim("sort", x->rank, &dim)) return false;
  const pl_split s = pl_split_at(x, dim);
  ranked *row = pl_scratch((size_t)PL_MAX(s.n, 1) * sizeof *row);
  if (!row) return false;
  for (int64_t i = 0; i < s.outer * s.inner; i++) {
    const int64_t first = i / s.inner * s.n * s.inner + i % s.inner;
    for (int64_t k = 0; k < s.n; k++) {
      take_ranked(x, first + k * s.inner, &row[k]);
      row[k].at = (int32_t)k + 1;
    }
    qsort(row, (size_t)s.n, sizeof *row, order_of(x->dtype, c->attr[1].i));
    for (int64_t k = 0; k < s.n; k++) {
      put_ranked(c->out[0], first + k * s.inner, &row[k]);
      pl_int32s(c->out[1])[first + k * s.inner] = row[k].at;
    }
  }
  pl_scratch_free(row);
  return true;
}

static bool sort_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                      pl_tensor **gin) {
  (void)needs_grad;
  int64_t dim = c->attr[0].i;
  if (!gout[0] || !pl_resolve_dim("sort", c->in[0]->rank, &dim)) return !pl_error();
  gin[0] = pl_scatter_add(gout[0], c->out[1], (int)dim, c->in[0]->size[dim]);
  return true;
}

PL_OP(sort, .group = PL_GROUP_REDUCTIONS, .inputs = "x",
      .attrs = "dim:dim=-1 descending:bool=false",
      .doc =
          "the values in order along a dim, and where they were (int32, "
          "from 1); equal values keep their order",
      .onnx = "sort(x, dim, descending)",
      .samples = "any[3,4] dim=2; any[4,2] dim=1 descending=true", .outputs = 2,
      .integers = PL_INTEGERS_MOVED, .shape = sort_shape, .forward = sort_forward,
      .gradient = sort_rule, .unsaved = PL_UNSAVED_IN);

/*
** nonzero, topk
*/

static bool nonzero_forward(pl_args *c) {
  const pl_tensor *x = c->in[0];
  int64_t n = pl_numel(x), found = 0;
  for (int64_t i = 0; i < n && pl_goes_on(i); i++) found += pl_at(x, i) != 0;
  if (pl_error() || !pl_out(c, 0, PL_INT32, pl_list(found))) return false;
  int32_t *y = pl_int32s(c->out[0]);
  for (int64_t i = 0; i < n; i++)
    if (pl_at(x, i) != 0) *y++ = (int32_t)i + 1;
  return true;
}

PL_OP(nonzero, .group = PL_GROUP_INDEXING, .inputs = "x",
      .doc = "int32 [n]: where elements are not 0, counted from 1 in row-major order",
      .onnx = "refuse 'the size of its result depends on the values'", .samples = "bool[3,4]",
      .nograd = true, .integers = PL_INTEGERS_READ, .forward = nonzero_forward);

static bool topk_decompose(pl_args *c) {
  int64_t k = c->attr[0].i, dim = c->attr[1].i;
  pl_tensor *both[2];
  if (!pl_resolve_dim("topk", c->in[0]->rank, &dim)) return false;
  if (k < 0 || k > c->in[0]->size[dim])
    return pl_op_fail(c, "%lld values of dim %d of %s", (long long)k, (int)dim + 1,
                      PL_DESCRIBE(c->in[0]));
  if (!pl_sort(c->in[0], (int)dim, c->attr[2].i, both)) return false;
  c->out[0] = pl_slice(both[0], (int)dim, 0, k, 1);
  c->out[1] = pl_slice(both[1], (int)dim, 0, k, 1);
  return !pl_error();
}

PL_OP(topk, .group = PL_GROUP_REDUCTIONS, .inputs = "x",
      .attrs = "k:int dim:dim=-1 largest:bool=true",
      .doc = "the k largest (or smallest) values along a dim in order, and where they were",
      .samples = "any[3,4] k=2 dim=2; any[4,2] k=3 dim=1 largest=false", .outputs = 2,
      .integers = PL_INTEGERS_MOVED, .decompose = topk_decompose);
