/*
** product.c: products by their own names, composed of matmul and bmm.
*/
#include <math.h>

#include "ops.h"

static bool need_ranks(const pl_args *c, int at, int a, int b) {
  return pl_need_real(c, at) && pl_need_real(c, at + 1) && pl_need_rank(c, at, a) &&
         pl_need_rank(c, at + 1, b);
}

static bool mm_decompose(pl_args *c) {
  return need_ranks(c, 0, 2, 2) && (c->out[0] = pl_matmul(c->in[0], c->in[1])) != NULL;
}

static bool mv_decompose(pl_args *c) {
  return need_ranks(c, 0, 2, 1) && (c->out[0] = pl_matmul(c->in[0], c->in[1])) != NULL;
}

static bool dot_decompose(pl_args *c) {
  return need_ranks(c, 0, 1, 1) && (c->out[0] = pl_matmul(c->in[0], c->in[1])) != NULL;
}

static bool outer_decompose(pl_args *c) {
  if (!pl_need_rank(c, 0, 1) || !pl_need_rank(c, 1, 1)) return false;
  return (c->out[0] = pl_mul(pl_unsqueeze(c->in[0], 1), c->in[1])) != NULL;
}

static bool addmm_decompose(pl_args *c) {
  const double beta = c->attr[0].d, alpha = c->attr[1].d;
  if (!pl_need_real(c, 0) || !need_ranks(c, 1, 2, 2)) return false;
  pl_tensor *y = pl_matmul(c->in[1], c->in[2]);
  if (alpha != 1) y = pl_affine(y, alpha, 0);
  if (!y) return false;
  pl_tensor *x = pl_expand(c->in[0], pl_size(y));
  if (beta != 0) y = pl_add(beta == 1 ? x : pl_affine(x, beta, 0), y);
  return (c->out[0] = y) != NULL;
}

PL_OP(mm, .group = PL_GROUP_PRODUCTS, .inputs = "a b",
      .doc = "the product of two matrices [m,k] and [k,n]", .samples = "any[2,3] any[3,4]",
      .decompose = mm_decompose);
PL_OP(mv, .group = PL_GROUP_PRODUCTS, .inputs = "a b",
      .doc = "the product of a matrix [m,k] and a vector [k]", .samples = "any[2,3] any[3]",
      .decompose = mv_decompose);
PL_OP(dot, .group = PL_GROUP_PRODUCTS, .inputs = "a b",
      .doc = "the sum of the products of two vectors' elements", .samples = "any[3] any[3]",
      .decompose = dot_decompose);
PL_OP(outer, .group = PL_GROUP_PRODUCTS, .inputs = "a b",
      .doc = "the matrix [m,n] of all products of elements of two vectors [m] and [n]",
      .samples = "any[3] any[2]", .integers = PL_INTEGERS_COUNTED, .decompose = outer_decompose);
PL_OP(addmm, .group = PL_GROUP_PRODUCTS, .inputs = "x a b", .attrs = "beta:real=1 alpha:real=1",
      .doc = "beta x + alpha a b, of matrices a [m,k] and b [k,n]; x expands to [m,n]",
      .samples = "any[2,4] any[2,3] any[3,4]; any[4] any[2,3] any[3,4] beta=0.5 alpha=2",
      .decompose = addmm_decompose);

/*
** cdist: between each row of a and each of b, whose stacks broadcast. A power of 2 is the root of
** a sum of squared differences, and not of |a|^2 + |b|^2 - 2 a b, which cancels where rows are near
*/

/* Along the last dim; at 0, where the root has no derivative, a constant. */
static pl_tensor *p_norm(pl_tensor *d, double p) {
  pl_tensor *power = pl_full(PL_REAL, PL_ALL_DIMS, p), *root = pl_full(PL_REAL, PL_ALL_DIMS, 1 / p);
  pl_tensor *sum = pl_sum(pl_pow(pl_abs(d), power), pl_list(-1), false);
  pl_tensor *some = pl_ne(sum, pl_zero());
  return pl_where(some, pl_pow(pl_where(some, sum, pl_one()), root), pl_zero());
}

static bool cdist_decompose(pl_args *c) {
  pl_tensor *a = c->in[0], *b = c->in[1];
  const double p = c->attr[0].d;
  if (!pl_need_real(c, 0) || !pl_need_real(c, 1)) return false;
  if (a->rank < 2 || b->rank < 2 || a->size[a->rank - 1] != b->size[b->rank - 1])
    return pl_op_fail(c, "a is %s, b %s; expected [...,m,k] and [...,n,k]", PL_DESCRIBE(a),
                      PL_DESCRIBE(b));
  if (!(p > 0)) return pl_op_fail(c, "p is %g, expected more than 0", p);
  pl_tensor *d = pl_sub(pl_unsqueeze(a, -2), pl_unsqueeze(b, -3));
  const pl_ints last = pl_list(-1);
  if (p == 2) c->out[0] = pl_norm(d, last, false);
  else if (p == 1 || !a->size[a->rank - 1]) c->out[0] = pl_sum(pl_abs(d), last, false);
  else if (isinf(p)) c->out[0] = pl_amax(pl_abs(d), last, false);
  else c->out[0] = p_norm(d, p);
  return c->out[0] != NULL;
}

PL_OP(cdist, .group = PL_GROUP_PRODUCTS, .inputs = "a b", .attrs = "p:real=2",
      .doc =
          "the distances [...,m,n] between the rows of a [...,m,k] and those of b [...,n,k]: the "
          "p-norms of their differences, at 0 with gradient 0; p may be inf",
      .samples =
          "any[3,4] any[2,4]; any[3,4] any[2,4] p=1; any[3,4] any[2,4] p=3; any[3,4] any[2,4] "
          "p=inf; any[2,3,2] any[2,2]",
      .decompose = cdist_decompose);
