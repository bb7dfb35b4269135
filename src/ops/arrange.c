/*
** arrange.c: elements repeated, shifted and put on diagonals; nearly all is composed of shape.c.
*/
#include <string.h>

#include "ops.h"

/*
** roll
*/

static pl_tensor *rolled(pl_tensor *x, int dim, int64_t shift) {
  const int64_t n = x->size[dim], s = n ? (shift % n + n) % n : 0;
  if (!s) return x;
  pl_tensor *const halves[] = {pl_slice(x, dim, n - s, s, 1), pl_slice(x, dim, 0, n - s, 1)};
  return halves[0] && halves[1] ? pl_cat(2, halves, dim) : NULL;
}

static bool roll_decompose(pl_args *c) {
  pl_ints shifts = c->attr[0].ints, dims = c->attr[1].ints;
  pl_tensor *y = dims.n ? c->in[0] : pl_reshape(c->in[0], pl_list(-1));
  if (!dims.n) dims = pl_list(0);
  if (shifts.n != dims.n) return pl_op_fail(c, "%d shifts for %d dims", shifts.n, dims.n);
  for (int i = 0; i < dims.n && y; i++) {
    if (!pl_resolve_dim("roll", y->rank, &dims.v[i])) return false;
    y = rolled(y, (int)dims.v[i], shifts.v[i]);
  }
  c->out[0] = pl_reshape(y, pl_size(c->in[0]));
  return c->out[0] != NULL;
}

PL_OP(roll, .group = PL_GROUP_SHAPES, .inputs = "x", .attrs = "shifts:ints dims:dims?",
      .doc =
          "each position of some dims moved on by a shift, round the end; without dims, of all "
          "elements in row-major order",
      .samples = "any[3,4] shifts=1 dims=2; any[3,4] shifts=-1,6 dims=1,2; any[3,2] shifts=2",
      .integers = PL_INTEGERS_MOVED, .decompose = roll_decompose);

/*
** tile, repeat_interleave: as [outer, n, inner], each element of the middle, or all of them,
** several times
*/

static pl_tensor *repeated(pl_tensor *x, int64_t outer, int64_t times, int64_t inner) {
  pl_tensor *y = pl_expand(pl_reshape(x, pl_list(outer, 1, inner)), pl_list(outer, times, inner));
  return y;
}

/* size *= times, or a message. */
static bool multiply(const pl_args *c, int64_t *size, int64_t times) {
  if (times < 0) return pl_op_fail(c, "%lld times; 0 or more expected", (long long)times);
  if (!__builtin_mul_overflow(*size, times, size)) return true;
  return pl_op_fail(c, "%lld times are too many", (long long)times);
}

static bool tile_decompose(pl_args *c) {
  pl_ints dims = c->attr[0].ints, size = pl_size(c->in[0]);
  const int rank = PL_MAX(dims.n, size.n);
  memmove(size.v + rank - size.n, size.v, (size_t)size.n * sizeof *size.v);
  for (int d = 0; d < rank - size.n; d++) size.v[d] = 1;
  size.n = rank;
  pl_tensor *y = pl_reshape(c->in[0], size);
  for (int i = 0; i < dims.n && y; i++) {
    const int d = rank - dims.n + i;
    const pl_split s = pl_split_at(y, d);
    if (!multiply(c, &size.v[d], dims.v[i])) return false;
    if (dims.v[i] != 1) y = pl_reshape(repeated(y, s.outer, dims.v[i], s.n * s.inner), size);
  }
  return (c->out[0] = y) != NULL;
}

static bool repeat_interleave_decompose(pl_args *c) {
  int64_t times = c->attr[0].i, dim = c->attr[1].i;
  pl_tensor *x = dim == PL_NO_DIM ? pl_reshape(c->in[0], pl_list(-1)) : c->in[0];
  if (dim == PL_NO_DIM) dim = 0;
  if (!x || !pl_resolve_dim("repeat_interleave", x->rank, &dim)) return false;
  const pl_split s = pl_split_at(x, dim);
  pl_ints size = pl_size(x);
  if (!multiply(c, &size.v[dim], times)) return false;
  c->out[0] = pl_reshape(repeated(x, s.outer * s.n, times, s.inner), size);
  return c->out[0] != NULL;
}

PL_OP(tile, .group = PL_GROUP_SHAPES, .inputs = "x", .attrs = "dims:ints",
      .doc =
          "x side by side with itself, dims[d] times along each dim; of fewer numbers than dims "
          "these are for the last. PyTorch's repeat, which is a word of Lua's",
      .samples = "any[2,3] dims=2,1; any[2,3] dims=2; any[3] dims=2,2",
      .integers = PL_INTEGERS_MOVED, .decompose = tile_decompose);
PL_OP(repeat_interleave, .group = PL_GROUP_SHAPES, .inputs = "x", .attrs = "repeats:int dim:dim?",
      .doc =
          "each position of a dim `repeats` times in a row; without dim, each element, in a vector",
      .samples = "any[2,3] repeats=2 dim=2; any[2,3] repeats=3 dim=1; any[2,2] repeats=2",
      .integers = PL_INTEGERS_MOVED, .decompose = repeat_interleave_decompose);

/*
** diag: diagonal k of a matrix begins at element k, or -k rows below; its elements are one row and
** one column apart
*/

static int64_t diagonal_start(int64_t k, int64_t columns) { return k >= 0 ? k : -k * columns; }

static pl_tensor *on_diagonal(pl_tensor *v, int64_t k) {
  const int64_t n = v->size[0] + (k < 0 ? -k : k);
  pl_tensor *flat = pl_unslice(v, 0, diagonal_start(k, n), n + 1, n * n);
  return pl_reshape(flat, pl_list(n, n));
}

static pl_tensor *diagonal(pl_tensor *x, int64_t k) {
  const int64_t rows = x->size[0], columns = x->size[1];
  const int64_t length = PL_MAX(0, PL_MIN(rows + PL_MIN(k, 0), columns - PL_MAX(k, 0)));
  const int64_t start = length ? diagonal_start(k, columns) : 0;
  return pl_slice(pl_reshape(x, pl_list(-1)), 0, start, length, columns + 1);
}

static bool diag_decompose(pl_args *c) {
  pl_tensor *x = c->in[0];
  const int64_t k = c->attr[0].i;
  if (x->rank != 1 && x->rank != 2)
    return pl_op_fail(c, "x is %s, expected a vector or a matrix", PL_DESCRIBE(x));
  if (k < -1000000000 || k > 1000000000)
    return pl_op_fail(c, "there is no diagonal %lld", (long long)k);
  return (c->out[0] = (x->rank == 1 ? on_diagonal : diagonal)(x, k)) != NULL;
}

PL_OP(diag, .group = PL_GROUP_SHAPES, .inputs = "x", .attrs = "diagonal:int=0",
      .doc =
          "of a matrix the vector of a diagonal; of a vector the matrix that has it there, and "
          "zeros elsewhere. Diagonals above the main one count up from 0, those below it down",
      .samples = "any[3,4]; any[3,4] diagonal=2; any[4,3] diagonal=-1; any[3]; any[2] diagonal=-1",
      .integers = PL_INTEGERS_MOVED, .decompose = diag_decompose);

/*
** tril, triu: each the adjoint of itself
*/

static bool triangle_shape(pl_args *c) {
  if (c->in[0]->rank < 2)
    return pl_op_fail(c, "x is %s, expected a matrix, or a stack of them", PL_DESCRIBE(c->in[0]));
  return pl_out(c, 0, c->in[0]->dtype, pl_size(c->in[0]));
}

/* Of row r, the columns up to r + k, or those from there on. */
static bool triangle_forward(pl_args *c) {
  pl_tensor *x = pl_contiguous(c->in[0]), *y = c->out[0];
  if (!x) return false;
  const bool lower = c->op->name[3] == 'l';
  const int64_t rows = x->size[x->rank - 2], n = x->size[x->rank - 1];
  const int64_t k = PL_MAX(-rows, PL_MIN(c->attr[0].i, n)), all = n ? pl_numel(x) / n : 0;
  const size_t one = pl_dtype_bytes(x->dtype);
  pl_fill(y, 0);
  for (int64_t r = 0; r < all; r++) {
    const int64_t cut = PL_MAX(0, PL_MIN(n, r % rows + k + lower));
    const size_t from = (size_t)(r * n + (lower ? 0 : cut)) * one;
    memcpy((char *)pl_data(y) + from, (const char *)pl_data(x) + from,
           (size_t)(lower ? cut : n - cut) * one);
  }
  return true;
}

#define TRIANGLE(name_, onnx_, doc_)                                                            \
  static bool name_##_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,       \
                           pl_tensor **gin) {                                                   \
    (void)needs_grad;                                                                           \
    return (gin[0] = pl_##name_(gout[0], c->attr[0].i)) != NULL;                                \
  }                                                                                             \
  PL_OP(name_, .group = PL_GROUP_SHAPES, .inputs = "x", .attrs = "diagonal:int=0", .doc = doc_, \
        .samples = "any[3,4]; any[2,3,3] diagonal=1; any[4,2] diagonal=-1", .onnx = onnx_,      \
        .integers = PL_INTEGERS_MOVED, .shape = triangle_shape, .forward = triangle_forward,    \
        .gradient = name_##_rule, .unsaved = PL_UNSAVED_ALL);
TRIANGLE(tril, "Trilu(x, int64(diagonal), {upper = 0})",
         "the lower triangle of each matrix, up to a diagonal; zeros above")
TRIANGLE(triu, "Trilu(x, int64(diagonal), {upper = 1})",
         "the upper triangle of each matrix, from a diagonal on; zeros below")
#undef TRIANGLE
