/*
** shape.c: ops that move elements and compute nothing. They come in adjoint pairs: reshape
** and reshape, expand and sum, permute and its inverse, slice and unslice, pad and slice.
*/
#include <string.h>

#include "ops.h"

static pl_ints as_dims(int rank) {
  pl_ints d = {.n = rank};
  for (int i = 0; i < rank; i++) d.v[i] = i;
  return d;
}

/* Fills c->out[0] with a view of input 0. */
static bool view(pl_args *c, pl_ints size, const int64_t *stride, int64_t offset) {
  c->out[0] = pl_alias(c->in[0], size, stride, offset);
  return c->out[0] != NULL;
}

/*
** reshape
*/

/* Puts the missing size in the place of -1. */
static bool resolve_size(const pl_args *c, pl_ints *size) {
  int64_t n = pl_numel(c->in[0]), known = 1;
  int hole = -1;
  bool fits = true;
  for (int d = 0; d < size->n; d++) {
    if (size->v[d] == -1 && hole < 0) hole = d;
    else if (size->v[d] < 0 || __builtin_mul_overflow(known, size->v[d], &known)) fits = false;
  }
  if (fits && hole >= 0 && known > 0 && n % known == 0) size->v[hole] = n / known;
  if (!fits || pl_count(*size) != n || (hole >= 0 && known == 0))
    return pl_op_fail(c, "%s has %lld elements, which do not fit [%s]", PL_DESCRIBE(c->in[0]),
                      (long long)n, pl_size_text(c->attr[0].ints, (char[PL_TEXT]){0}, PL_TEXT));
  return true;
}

static bool reshape_forward(pl_args *c) {
  pl_ints size = c->attr[0].ints;
  if (!resolve_size(c, &size)) return false;
  pl_tensor *x = pl_contiguous(c->in[0]);
  c->out[0] = pl_alias(x, size, NULL, x ? x->offset : 0);
  return c->out[0] != NULL;
}

static bool reshape_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                         pl_tensor **gin) {
  (void)needs_grad;
  gin[0] = pl_reshape(gout[0], pl_size(c->in[0]));
  return true;
}

PL_OP(reshape, .group = PL_GROUP_SHAPES, .inputs = "x", .attrs = "size:ints",
      .doc = "the same elements in another shape; one size may be -1",
      .onnx = "Reshape(x, sizes(size))", .samples = "any[3,4] size=2,-1; any[2,2,3] size=12",
      .view = true, .integers = PL_INTEGERS_MOVED, .forward = reshape_forward,
      .gradient = reshape_rule, .unsaved = PL_UNSAVED_ALL);

PL_OP(view, .group = PL_GROUP_SHAPES, .inputs = "x", .attrs = "size:ints",
      .doc = "reshape by PyTorch's other name: the same elements in another shape",
      .onnx = "Reshape(x, sizes(size))", .samples = "any[3,4] size=2,-1", .view = true,
      .integers = PL_INTEGERS_MOVED, .forward = reshape_forward, .gradient = reshape_rule,
      .unsaved = PL_UNSAVED_ALL);

/*
** unsqueeze, squeeze: dims of size 1 come and go
*/

static bool unsqueeze_forward(pl_args *c) {
  const pl_tensor *x = c->in[0];
  int64_t dim = c->attr[0].i;
  if (x->rank == PL_MAX_RANK)
    return pl_op_fail(c, "%s has no room for another dim", PL_DESCRIBE(x));
  if (!pl_resolve_dim("unsqueeze", x->rank + 1, &dim)) return false;
  pl_ints size = {.n = x->rank + 1}, stride = size;
  for (int d = 0; d < size.n; d++) {
    size.v[d] = d == dim ? 1 : x->size[d - (d > dim)];
    stride.v[d] = d == dim ? 1 : x->stride[d - (d > dim)];
  }
  return view(c, size, stride.v, x->offset);
}

static bool squeeze_forward(pl_args *c) {
  const pl_tensor *x = c->in[0];
  unsigned named = c->attr[0].ints.n ? 0 : ~0u;
  for (int i = 0; i < c->attr[0].ints.n; i++) {
    int64_t dim = c->attr[0].ints.v[i];
    if (!pl_resolve_dim("squeeze", x->rank, &dim)) return false;
    named |= 1u << dim;
  }
  pl_ints size = {0}, stride = {0};
  for (int d = 0; d < x->rank; d++) {
    if (x->size[d] == 1 && named >> d & 1) continue;
    size.v[size.n++] = x->size[d];
    stride.v[stride.n++] = x->stride[d];
  }
  return view(c, size, stride.v, x->offset);
}

PL_OP(unsqueeze, .group = PL_GROUP_SHAPES, .inputs = "x", .attrs = "dim:dim",
      .doc = "a new dim of size 1, without copying; -1 puts it last",
      .onnx = "Unsqueeze(x, int64 {dim})", .samples = "any[3,4] dim=2; any[3] dim=-1; any[] dim=1",
      .view = true, .integers = PL_INTEGERS_MOVED, .forward = unsqueeze_forward,
      .gradient = reshape_rule, .unsaved = PL_UNSAVED_ALL);
PL_OP(squeeze, .group = PL_GROUP_SHAPES, .inputs = "x", .attrs = "dim:dims?",
      .doc = "without some dims, or all, that have size 1; without copying",
      .onnx = "squeeze(x, dim)", .samples = "any[1,3,1]; any[1,3,1] dim=3; any[3,1] dim=1,2",
      .view = true, .integers = PL_INTEGERS_MOVED, .forward = squeeze_forward,
      .gradient = reshape_rule, .unsaved = PL_UNSAVED_ALL);

/*
** expand
*/

static bool expand_forward(pl_args *c) {
  const pl_tensor *x = c->in[0];
  pl_ints size = c->attr[0].ints;
  int lead = size.n - x->rank;
  int64_t stride[PL_MAX_RANK] = {0};
  bool fits = lead >= 0;
  int64_t count = 1;
  for (int d = 0; d < size.n && fits; d++) {
    int64_t n = d < lead ? 1 : x->size[d - lead];
    if (size.v[d] == -1 && d >= lead) size.v[d] = n;
    fits = size.v[d] >= 0 && (n == 1 || n == size.v[d]) &&
           !__builtin_mul_overflow(count, size.v[d], &count);
    stride[d] = n == 1 ? 0 : x->stride[d - lead];
  }
  if (!fits)
    return pl_op_fail(c, "%s does not expand to [%s]", PL_DESCRIBE(x),
                      pl_size_text(c->attr[0].ints, (char[PL_TEXT]){0}, PL_TEXT));
  return view(c, size, stride, x->offset);
}

static bool expand_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                        pl_tensor **gin) {
  (void)needs_grad;
  const pl_tensor *x = c->in[0], *y = c->out[0];
  pl_ints dims = {0};
  int lead = y->rank - x->rank;
  for (int d = 0; d < y->rank; d++)
    if (d < lead || (x->size[d - lead] == 1 && y->size[d] != 1)) dims.v[dims.n++] = d;
  pl_tensor *g = dims.n ? pl_sum(gout[0], dims, true) : gout[0];
  gin[0] = pl_reshape(g, pl_size(x));
  return true;
}

PL_OP(expand, .group = PL_GROUP_SHAPES, .inputs = "x", .attrs = "size:ints",
      .doc = "repeats dims of size 1, and adds dims in front, without copying",
      .onnx = "Expand(x, shape(out[1]))",
      .samples = "any[3,1] size=3,4; any[3] size=2,3; any[] size=2,2", .view = true,
      .integers = PL_INTEGERS_MOVED, .forward = expand_forward, .gradient = expand_rule,
      .unsaved = PL_UNSAVED_ALL);

/*
** permute, transpose
*/

static bool permute_forward(pl_args *c) {
  const pl_tensor *x = c->in[0];
  pl_ints dims = c->attr[0].ints, size = {.n = x->rank};
  int64_t stride[PL_MAX_RANK];
  unsigned seen;
  if (dims.n != x->rank) return pl_op_fail(c, "%d dims given for %s", dims.n, PL_DESCRIBE(x));
  if (!pl_resolve_dims("permute", x->rank, &dims, &seen)) return false;
  for (int i = 0; i < dims.n; i++) {
    size.v[i] = x->size[dims.v[i]];
    stride[i] = x->stride[dims.v[i]];
  }
  return view(c, size, stride, x->offset);
}

static bool permute_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                         pl_tensor **gin) {
  (void)needs_grad;
  pl_ints dims = c->attr[0].ints, inverse = {.n = dims.n};
  for (int i = 0; i < dims.n; i++) inverse.v[dims.v[i] < 0 ? dims.v[i] + dims.n : dims.v[i]] = i;
  gin[0] = pl_permute(gout[0], inverse);
  return true;
}

PL_OP(permute, .group = PL_GROUP_SHAPES, .inputs = "x", .attrs = "dims:dims",
      .doc = "the dims in another order, without copying", .onnx = "Transpose(x, {perm = dims})",
      .samples = "any[2,3,4] dims=3,1,2", .view = true, .integers = PL_INTEGERS_MOVED,
      .forward = permute_forward, .gradient = permute_rule, .unsaved = PL_UNSAVED_ALL);

static bool transpose_decompose(pl_args *c) {
  int64_t a = c->attr[0].i, b = c->attr[1].i;
  pl_ints dims = as_dims(c->in[0]->rank);
  if (!pl_resolve_dim("transpose", dims.n, &a) || !pl_resolve_dim("transpose", dims.n, &b))
    return false;
  dims.v[a] = b;
  dims.v[b] = a;
  c->out[0] = pl_permute(c->in[0], dims);
  return true;
}

PL_OP(transpose, .group = PL_GROUP_SHAPES, .inputs = "x", .attrs = "dim0:dim dim1:dim",
      .doc = "two dims exchanged, without copying", .samples = "any[2,3,4] dim0=1 dim1=3",
      .integers = PL_INTEGERS_MOVED, .decompose = transpose_decompose);

/*
** slice, narrow, unslice, select, flip
*/

/* narrow has none. */
static int64_t step_of(const pl_args *c) { return c->op->signature->n_attr > 3 ? c->attr[3].i : 1; }

static bool slice_forward(pl_args *c) {
  const pl_tensor *x = c->in[0];
  int64_t dim = c->attr[0].i, start = c->attr[1].i, length = c->attr[2].i, step = step_of(c);
  if (!pl_resolve_dim(c->op->name, x->rank, &dim)) return false;
  int64_t n = x->size[dim];
  if (start < 0) start += n;
  if (step == 0) return pl_op_fail(c, "the step is 0");
  int64_t last;
  bool far = length < 0 || length > n || __builtin_mul_overflow(length - 1, step, &last) ||
             __builtin_add_overflow(start, last, &last);
  if (far || start < 0 || start > n || (length > 0 && (start >= n || last < 0 || last >= n)))
    return pl_op_fail(c, "%lld elements from %lld in steps of %lld leave dim %d of %s",
                      (long long)length, (long long)start + 1, (long long)step, (int)dim + 1,
                      PL_DESCRIBE(x));
  pl_ints size = pl_size(x), stride = pl_strides(x);
  size.v[dim] = length;
  if (length > 1) stride.v[dim] *= step;
  return view(c, size, stride.v, x->offset + (length ? start * x->stride[dim] : 0));
}

static bool slice_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                       pl_tensor **gin) {
  (void)needs_grad;
  const pl_tensor *x = c->in[0];
  int64_t dim = c->attr[0].i, start = c->attr[1].i;
  if (!pl_resolve_dim("slice", x->rank, &dim)) return false;
  if (start < 0) start += x->size[dim];
  gin[0] = pl_unslice(gout[0], (int)dim, start, step_of(c), x->size[dim]);
  return true;
}

PL_OP(slice, .group = PL_GROUP_SHAPES, .inputs = "x",
      .attrs = "dim:dim start:index length:int step:int=1",
      .doc = "`length` positions of a dim, from `start` in steps of `step`, without copying",
      .onnx = "slice(x, dim, start, length, step)",
      .samples = "any[3,7] dim=2 start=2 length=3 step=2; any[4,3] dim=1 start=4 length=2 step=-2",
      .view = true, .integers = PL_INTEGERS_MOVED, .forward = slice_forward, .gradient = slice_rule,
      .unsaved = PL_UNSAVED_ALL);

PL_OP(narrow, .group = PL_GROUP_SHAPES, .inputs = "x", .attrs = "dim:dim start:index length:int",
      .doc = "`length` positions of a dim, from `start`, without copying",
      .onnx = "slice(x, dim, start, length, 1)", .samples = "any[3,7] dim=2 start=2 length=3",
      .view = true, .integers = PL_INTEGERS_MOVED, .forward = slice_forward, .gradient = slice_rule,
      .unsaved = PL_UNSAVED_ALL);

static bool unslice_shape(pl_args *c) {
  int64_t dim = c->attr[0].i, start = c->attr[1].i, step = c->attr[2].i, n = c->attr[3].i;
  if (!pl_resolve_dim("unslice", c->in[0]->rank, &dim)) return false;
  pl_ints size = pl_size(c->in[0]);
  int64_t last;
  bool far = __builtin_mul_overflow(size.v[dim] - 1, step, &last) ||
             __builtin_add_overflow(start, last, &last);
  if (far || start < 0 || start > n || (size.v[dim] && (start >= n || last < 0 || last >= n)))
    return pl_op_fail(c, "%s does not fit at %lld into a dim of %lld", PL_DESCRIBE(c->in[0]),
                      (long long)start + 1, (long long)n);
  size.v[dim] = n;
  return pl_out(c, 0, c->in[0]->dtype, size);
}

static bool unslice_forward(pl_args *c) {
  pl_tensor *y = c->out[0];
  int64_t dim = c->attr[0].i, start = c->attr[1].i, step = c->attr[2].i;
  if (!pl_resolve_dim("unslice", y->rank, &dim)) return false;
  pl_ints stride = pl_strides(y);
  if (c->in[0]->size[dim] > 1) stride.v[dim] *= step;
  pl_fill(y, 0);
  if (!pl_numel(c->in[0])) return true;
  pl_tensor *hole = pl_alias(y, pl_size(c->in[0]), stride.v, y->offset + start * y->stride[dim]);
  return hole && pl_copy(hole, c->in[0]);
}

static bool unslice_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                         pl_tensor **gin) {
  (void)needs_grad;
  int64_t dim = c->attr[0].i;
  if (!pl_resolve_dim("unslice", c->in[0]->rank, &dim)) return false;
  gin[0] = pl_slice(gout[0], (int)dim, c->attr[1].i, c->in[0]->size[dim], c->attr[2].i);
  return true;
}

PL_OP(
    unslice, .group = PL_GROUP_ADJOINTS, .inputs = "x",
    .attrs = "dim:dim start:index step:int size:int",
    .doc = "zeros, of `size` along the dim, with x where slice would read it: the adjoint of slice",
    .onnx = "refuse 'it is a part of gradients'", .samples = "any[3,3] dim=2 start=2 step=2 size=7",
    .shape = unslice_shape, .integers = PL_INTEGERS_MOVED, .forward = unslice_forward,
    .gradient = unslice_rule, .unsaved = PL_UNSAVED_ALL);

static bool select_forward(pl_args *c) {
  const pl_tensor *x = c->in[0];
  int64_t dim = c->attr[0].i, index = c->attr[1].i;
  if (!pl_resolve_dim("select", x->rank, &dim)) return false;
  int64_t n = x->size[dim], at = index < 0 ? index + n : index;
  if (at < 0 || at >= n)
    return pl_op_fail(c, "there is no position %lld in dim %d of %s",
                      (long long)(index < 0 ? index : index + 1), (int)dim + 1, PL_DESCRIBE(x));
  pl_ints size = pl_without(pl_size(x), dim, false), stride = pl_without(pl_strides(x), dim, false);
  return view(c, size, stride.v, x->offset + at * x->stride[dim]);
}

static bool select_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                        pl_tensor **gin) {
  (void)needs_grad;
  const pl_tensor *x = c->in[0];
  int64_t dim = c->attr[0].i, index = c->attr[1].i;
  if (!pl_resolve_dim("select", x->rank, &dim)) return false;
  if (index < 0) index += x->size[dim];
  pl_tensor *row = pl_reshape(gout[0], pl_without(pl_size(x), dim, true));
  gin[0] = pl_unslice(row, (int)dim, index, 1, x->size[dim]);
  return gin[0] != NULL;
}

PL_OP(select, .group = PL_GROUP_SHAPES, .inputs = "x", .attrs = "dim:dim index:index",
      .doc = "one position of a dim, which goes away; without copying",
      .onnx = "Gather(x, int64(index), {axis = dim})", .samples = "any[3,4] dim=2 index=3",
      .view = true, .integers = PL_INTEGERS_MOVED, .forward = select_forward,
      .gradient = select_rule, .unsaved = PL_UNSAVED_ALL);

static bool flip_decompose(pl_args *c) {
  pl_ints dims = c->attr[0].ints.n ? c->attr[0].ints : as_dims(c->in[0]->rank);
  pl_tensor *y = c->in[0];
  unsigned mask;
  if (!pl_resolve_dims("flip", y->rank, &dims, &mask)) return false;
  for (int i = 0; i < dims.n && y; i++) {
    int64_t n = y->size[dims.v[i]];
    if (n) y = pl_slice(y, (int)dims.v[i], n - 1, n, -1);
  }
  c->out[0] = y;
  return y != NULL;
}

PL_OP(flip, .group = PL_GROUP_SHAPES, .inputs = "x", .attrs = "dims:dims?",
      .doc = "the order of some dims reversed, without copying; all by default",
      .samples = "any[3,4] dims=2; any[2,3] dims=1,2", .integers = PL_INTEGERS_MOVED,
      .decompose = flip_decompose);

/*
** cat, stack
*/

static bool cat_shape(pl_args *c) {
  if (c->n_in < 1) return pl_op_fail(c, "no tensors given");
  int64_t dim = c->attr[0].i;
  if (!pl_resolve_dim("cat", c->in[0]->rank, &dim)) return false;
  pl_ints size = pl_size(c->in[0]);
  for (int i = 1; i < c->n_in; i++) {
    const pl_tensor *t = c->in[i];
    bool fits = t->rank == size.n;
    for (int d = 0; d < size.n && fits; d++) fits = d == dim || t->size[d] == size.v[d];
    if (!fits)
      return pl_op_fail(c, "%s and %s differ in more than dim %d", PL_DESCRIBE(c->in[0]),
                        PL_DESCRIBE(t), (int)dim + 1);
    if (__builtin_add_overflow(size.v[dim], t->size[dim], &size.v[dim]))
      return pl_op_fail(c, "the sizes of dim %d add up to too much", (int)dim + 1);
  }
  return pl_out(c, 0, pl_joined(c->op, c->n_in, c->in), size);
}

static bool cat_forward(pl_args *c) {
  pl_tensor *y = c->out[0];
  int64_t dim = c->attr[0].i, at = 0;
  if (!pl_resolve_dim("cat", y->rank, &dim)) return false;
  for (int i = 0; i < c->n_in; i++) {
    if (pl_numel(c->in[i])) {
      pl_tensor *part = pl_alias(y, pl_size(c->in[i]), y->stride, y->offset + at * y->stride[dim]);
      if (!part || !pl_copy(part, c->in[i])) return false;
    }
    at += c->in[i]->size[dim];
  }
  return true;
}

static bool cat_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                     pl_tensor **gin) {
  int64_t dim = c->attr[0].i, at = 0;
  if (!pl_resolve_dim("cat", c->out[0]->rank, &dim)) return false;
  for (int i = 0; i < c->n_in; i++) {
    int64_t n = c->in[i]->size[dim];
    if (needs_grad >> (i & 31) & 1) gin[i] = pl_slice(gout[0], (int)dim, at, n, 1);
    at += n;
  }
  return !pl_error();
}

PL_OP(cat, .group = PL_GROUP_SHAPES, .inputs = "xs...", .attrs = "dim:dim=0",
      .doc = "tensors joined along a dim that exists; of several dtypes, in the highest",
      .onnx = "Concat(xs, {axis = dim})",
      .samples = "any[2,3] any[2,2] dim=2; any[1,3] any[2,3] any[1,3] dim=1",
      .integers = PL_INTEGERS_MOVED, .shape = cat_shape, .forward = cat_forward,
      .gradient = cat_rule, .unsaved = PL_UNSAVED_ALL);

/* The inputs, which must be of one size, as rows [1, elements] of one matrix. */
static pl_tensor *join_rows(const pl_args *c) {
  pl_tensor **rows = pl_scratch((size_t)c->n_in * sizeof *rows);
  const pl_ints flat = {.n = 2, .v = {1, pl_numel(c->in[0])}};
  for (int i = 0; rows && i < c->n_in; i++) {
    if (!pl_same_size(c->in[i], c->in[0]))
      pl_op_fail(c, "%s and %s differ", PL_DESCRIBE(c->in[0]), PL_DESCRIBE(c->in[i]));
    rows[i] = pl_reshape(c->in[i], flat);
  }
  pl_tensor *all = pl_error() ? NULL : pl_cat(c->n_in, rows, 0);
  pl_scratch_free(rows);
  return all;
}

static bool stack_decompose(pl_args *c) {
  if (c->n_in < 1) return pl_op_fail(c, "no tensors given");
  int64_t dim = c->attr[0].i;
  if (c->in[0]->rank == PL_MAX_RANK)
    return pl_op_fail(c, "%s has no room for another dim", PL_DESCRIBE(c->in[0]));
  if (!pl_resolve_dim("stack", c->in[0]->rank + 1, &dim)) return false;
  const pl_ints size = pl_size(c->in[0]);
  pl_ints full = {.n = size.n + 1, .v = {c->n_in}};
  memcpy(full.v + 1, size.v, (size_t)size.n * sizeof *size.v);
  pl_tensor *all = pl_reshape(join_rows(c), full);
  pl_ints dims = as_dims(full.n);
  memmove(dims.v, dims.v + 1, (size_t)dim * sizeof *dims.v);
  dims.v[dim] = 0;
  c->out[0] = dim ? pl_permute(all, dims) : all;
  return true;
}

PL_OP(stack, .group = PL_GROUP_SHAPES, .inputs = "xs...", .attrs = "dim:dim=0",
      .doc = "tensors of one shape joined along a new dim",
      .samples = "any[2,3] any[2,3] dim=1; any[2,3] any[2,3] any[2,3] dim=3",
      .integers = PL_INTEGERS_MOVED, .decompose = stack_decompose);

/*
** pad
*/

static bool pad_shape(pl_args *c) {
  pl_ints pads = c->attr[0].ints, size = pl_size(c->in[0]);
  if (pads.n % 2 || pads.n / 2 > size.n)
    return pl_op_fail(c, "%d pads for %s; expected two for each dim, the last dim first", pads.n,
                      PL_DESCRIBE(c->in[0]));
  for (int i = 0; i < pads.n; i++) {
    if (pads.v[i] < 0) return pl_op_fail(c, "a pad of %lld is negative", (long long)pads.v[i]);
    int64_t *padded = &size.v[size.n - 1 - i / 2];
    if (__builtin_add_overflow(*padded, pads.v[i], padded))
      return pl_op_fail(c, "a pad of %lld is too large", (long long)pads.v[i]);
  }
  return pl_check_fits("pad", c->in[0]->dtype, c->attr[1].d, -1) &&
         pl_out(c, 0, c->in[0]->dtype, size);
}

static bool pad_forward(pl_args *c) {
  pl_tensor *y = c->out[0];
  pl_ints pads = c->attr[0].ints;
  int64_t at = y->offset;
  for (int i = 0; i < pads.n; i += 2) at += pads.v[i] * y->stride[y->rank - 1 - i / 2];
  pl_fill(y, c->attr[1].d);
  if (!pl_numel(c->in[0])) return true;
  pl_tensor *inside = pl_alias(y, pl_size(c->in[0]), y->stride, at);
  return inside && pl_copy(inside, c->in[0]);
}

static bool pad_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                     pl_tensor **gin) {
  (void)needs_grad;
  const pl_tensor *x = c->in[0];
  pl_ints pads = c->attr[0].ints;
  pl_tensor *g = gout[0];
  for (int i = 0; i < pads.n; i += 2) {
    int d = x->rank - 1 - i / 2;
    if (pads.v[i] || pads.v[i + 1]) g = pl_slice(g, d, pads.v[i], x->size[d], 1);
  }
  gin[0] = g;
  return g != NULL;
}

PL_OP(
    pad, .group = PL_GROUP_LAYERS, .inputs = "x", .attrs = "pads:ints value:real=0",
    .doc = "adds `value` around x; pads: before and after for the last dim, then the one before it",
    .onnx = "Pad(x, pads_of(x, pads), value)",
    .samples = "any[2,3] pads=1,2; any[2,3] pads=0,1,2,0 value=3", .integers = PL_INTEGERS_MOVED,
    .shape = pad_shape, .forward = pad_forward, .gradient = pad_rule, .unsaved = PL_UNSAVED_ALL);
