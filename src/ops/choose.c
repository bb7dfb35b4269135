/*
** choose.c: elements chosen by a mask or by their order; composed of where, gather and sort.
*/
#include "ops.h"

static bool need_mask(const pl_args *c) {
  if (c->in[1]->dtype != PL_REAL) return true;
  return pl_op_fail(c, "mask is %s, expected uint8, as comparisons give it, or int32",
                    PL_DESCRIBE(c->in[1]));
}

static bool masked_fill_decompose(pl_args *c) {
  if (!need_mask(c)) return false;
  return (c->out[0] = pl_where(c->in[1], c->in[2], c->in[0])) != NULL;
}

static bool masked_select_decompose(pl_args *c) {
  pl_ints size;
  if (!need_mask(c) || !pl_broadcast("masked_select", c->in[0], c->in[1], &size)) return false;
  pl_tensor *x = pl_reshape(pl_expand_to(c->in[0], size), pl_list(-1));
  return (c->out[0] = pl_index_select(x, pl_nonzero(pl_expand_to(c->in[1], size)), 0)) != NULL;
}

/* t with all its dims but one as in `size`. */
static pl_tensor *expanded_but(pl_tensor *t, pl_ints size, int64_t dim) {
  size.v[dim] = t->size[dim];
  return pl_expand_to(t, size);
}

static bool take_along_dim_decompose(pl_args *c) {
  pl_tensor *x = c->in[0], *index = c->in[1];
  int64_t dim = c->attr[0].i;
  if (dim == PL_NO_DIM) {
    c->out[0] = pl_gather(pl_reshape(x, pl_list(-1)), pl_reshape(index, pl_list(-1)), 0);
    return c->out[0] != NULL;
  }
  if (x->rank != index->rank)
    return pl_op_fail(c, "%s and index %s; expected as many dims", PL_DESCRIBE(x),
                      PL_DESCRIBE(index));
  if (!pl_resolve_dim("take_along_dim", x->rank, &dim)) return false;
  pl_ints size = pl_size(x);
  for (int d = 0; d < size.n; d++)
    if (size.v[d] == 1) size.v[d] = index->size[d];
  c->out[0] = pl_gather(expanded_but(x, size, dim), expanded_but(index, size, dim), (int)dim);
  return c->out[0] != NULL;
}

static bool argsort_decompose(pl_args *c) {
  pl_tensor *both[2];
  const bool was = pl_grad_mode(false);
  const bool ok = pl_sort(c->in[0], (int)c->attr[0].i, c->attr[1].i, both);
  pl_grad_mode(was);
  c->out[0] = ok ? both[1] : NULL;
  return ok;
}

PL_OP(masked_fill, .group = PL_GROUP_INDEXING, .inputs = "x mask value",
      .doc = "x, with value where mask (uint8 or int32) is not 0; all broadcast",
      .integers = PL_INTEGERS_MOVED, .apart = 1 << 1, .onnx = "Where(truth(mask), value, x)",
      .samples = "any[3,4] bool[3,4] any[]; any[2,3] bool[3] any[2,1]",
      .decompose = masked_fill_decompose);
PL_OP(masked_select, .group = PL_GROUP_INDEXING, .inputs = "x mask",
      .doc = "the elements of x where mask (uint8 or int32) is not 0, as a vector; both broadcast",
      .onnx = "refuse 'the size of its result depends on the values'",
      .samples = "any[3,4] bool[3,4]; any[2,3] bool[3]", .integers = PL_INTEGERS_MOVED,
      .apart = 1 << 1, .decompose = masked_select_decompose);
PL_OP(take_along_dim, .group = PL_GROUP_INDEXING, .inputs = "x index", .attrs = "dim:dim?",
      .doc =
          "gather, whose other dims broadcast; without dim, elements of x as a vector. Takes the "
          "positions that argmax with keepdim, or argsort, gives",
      .samples = "any[3,4] index4[3,2] dim=2; any[3,4] index3[1,4] dim=1; any[2,3] index6[4]",
      .integers = PL_INTEGERS_MOVED, .apart = 1 << 1, .decompose = take_along_dim_decompose);
PL_OP(
    argsort, .group = PL_GROUP_REDUCTIONS, .inputs = "x",
    .attrs = "dim:dim=-1 descending:bool=false",
    .doc =
        "where the values in order along a dim were (int32, from 1); equal values keep their order",
    .samples = "any[3,4] dim=2; any[4,2] dim=1 descending=true", .nograd = true,
    .integers = PL_INTEGERS_READ, .decompose = argsort_decompose);
