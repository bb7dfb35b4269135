/*
** linalg_least.c: what is read from singular values: rank, pseudoinverse, least squares. The
** gradient of the pseudoinverse is that of Golub and Pereyra 1973, "The differentiation of
** pseudo-inverses and nonlinear least squares problems whose variables separate"; it holds where
** the rank does not change.
*/
#include <float.h>
#include <math.h>

#include "matrices.h"

/* Singular values up to this much of the largest one count as 0, if the caller does not say. */
static double default_tolerance(const pl_tensor *a) {
  const double epsilon = sizeof(pl_real) == sizeof(double) ? DBL_EPSILON : (double)FLT_EPSILON;
  return epsilon * (double)PL_MAX(pl_rows_of(a), pl_columns_of(a));
}

/* What the singular values of a [...,k], the largest of which comes first, must exceed. */
static pl_tensor *cutoff(const pl_tensor *a, pl_tensor *s, double atol, double rtol) {
  if (rtol < 0) rtol = atol > 0 ? 0 : default_tolerance(a);
  pl_tensor *largest = pl_slice(s, -1, 0, 1, 1);
  return pl_maximum(pl_affine(largest, rtol, 0), pl_full(PL_REAL, PL_ALL_DIMS, atol));
}

/* vh' (s^-1 (u' b)), where singular values that count as 0 have the inverse 0; with b NULL the
 * pseudoinverse. Bare values. */
static pl_tensor *by_singular_values(pl_tensor *a, pl_tensor *b, double atol, double rtol) {
  pl_tensor *usv[3];
  if (!pl_linalg_svd(a, false, usv)) return NULL;
  pl_tensor *x = pl_mT(usv[0]);
  if (b) x = pl_matmul(x, b);
  if (pl_smaller(a)) {
    pl_tensor *counts = pl_gt(usv[1], cutoff(a, usv[1], atol, rtol));
    pl_tensor *inverse = pl_where(counts, pl_reciprocal(usv[1]), pl_zero());
    x = pl_mul(x, pl_unsqueeze(inverse, -1));
  }
  return pl_matmul(pl_mT(usv[2]), x);
}

static bool matrices_are_finite(const pl_args *c) {
  return pl_need_matrices(c, 0) && pl_need_finite(c);
}

/*
** matrix_rank
*/

enum { ATOL, RTOL };

static bool rank_decompose(pl_args *c) {
  pl_tensor *a = c->in[0];
  if (!matrices_are_finite(c)) return false;
  const bool was = pl_grad_mode(false);
  c->out[0] = pl_empty(PL_INT32, pl_stack_of_numbers(a));
  pl_tensor *s = pl_linalg_svdvals(a);
  const int64_t k = pl_smaller(a);
  pl_tensor *least = s && k ? cutoff(a, s, c->attr[ATOL].d, c->attr[RTOL].d) : s;
  pl_grad_mode(was);
  if (!c->out[0] || !least) return false;
  for (int64_t i = 0; i < pl_numel(c->out[0]); i++) {
    int32_t rank = 0;
    for (int64_t j = 0; j < k; j++) rank += pl_reals(s)[i * k + j] > pl_reals(least)[i];
    pl_int32s(c->out[0])[i] = rank;
  }
  return true;
}

PL_OP_IN(linalg, matrix_rank, .group = PL_GROUP_LINALG, .inputs = "a",
         .attrs = "atol:real=0 rtol:real=-1",
         .doc =
             "how many singular values of each matrix [...,m,n] exceed atol, and rtol times the "
             "largest (int32); an rtol below 0 stands for the rounding error of the largest times "
             "the larger of m and n, or, beside an atol, for 0",
         .onnx = "refuse 'ONNX has no operators of linear algebra'",
         .samples = "regular[4,3]; regular[2,3,3] atol=1.5; regular[3,3] rtol=0.5", .nograd = true,
         .decompose = rank_decompose);

/*
** pinv
*/

/* The gradient by a, from g, that by its pseudoinverse p [...,n,m]:
 * p p' ... = -p' g p' + (1 - a p) g' p p' + p' p g' (1 - p a) */
static pl_tensor *pinv_gradient(pl_tensor *a, pl_tensor *p, pl_tensor *g) {
  pl_tensor *pt = pl_mT(p), *gt = pl_mT(g);
  pl_tensor *left = pl_matmul(pl_matmul(gt, p), pt), *right = pl_matmul(pl_matmul(pt, p), gt);
  left = pl_sub(left, pl_matmul(a, pl_matmul(p, left)));
  right = pl_sub(right, pl_matmul(pl_matmul(right, p), a));
  return pl_sub(pl_add(left, right), pl_matmul(pl_matmul(pt, g), pt));
}

static bool pinv_forward(pl_args *c) {
  if (!matrices_are_finite(c)) return false;
  const bool was = pl_grad_mode(false);
  c->out[0] = by_singular_values(c->in[0], NULL, c->attr[ATOL].d, c->attr[RTOL].d);
  pl_grad_mode(was);
  return c->out[0] != NULL;
}

static bool pinv_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                      pl_tensor **gin) {
  (void)needs_grad;
  gin[0] = pinv_gradient(c->in[0], c->out[0], gout[0]);
  return true;
}

PL_OP_IN(linalg, pinv, .group = PL_GROUP_LINALG, .inputs = "a", .attrs = "atol:real=0 rtol:real=-1",
         .doc =
             "the pseudoinverses [...,n,m] of matrices [...,m,n] (Moore 1920; Penrose 1955); "
             "singular values count as 0 as in matrix_rank. The gradient is that of matrices of "
             "this rank",
         .onnx = "refuse 'ONNX has no operators of linear algebra'",
         .samples = "regular[4,3]; regular[2,3,4]; regular[3,3]; const[3,3] rtol=0.5",
         .forward = pinv_forward, .gradient = pinv_rule, .flops = pl_matrix_flops,
         .data = &(const double){22});

/*
** lstsq
*/

enum { RCOND };

static bool lstsq_shape(pl_args *c) {
  const pl_tensor *a = c->in[0], *b = c->in[1];
  if (pl_rows_of(a) == b->size[a->rank - 2]) return pl_need_finite(c);
  return pl_op_fail(c, "a is %s, b %s; expected [...,m,n] and [...,m] or [...,m,k]", PL_DESCRIBE(a),
                    PL_DESCRIBE(b));
}

/* Vectors as matrices of one column. */
static pl_tensor *columns(const pl_args *c, pl_tensor *b) {
  return pl_is_vector(c) ? pl_unsqueeze(b, -1) : b;
}

static pl_tensor *vectors(const pl_args *c, pl_tensor *x) {
  return pl_is_vector(c) ? pl_squeeze(x, pl_list(-1)) : x;
}

static bool lstsq_forward(pl_args *c) {
  const bool was = pl_grad_mode(false);
  pl_tensor *x = by_singular_values(c->in[0], columns(c, c->in[1]), 0, c->attr[RCOND].d);
  c->out[0] = vectors(c, x);
  pl_grad_mode(was);
  return c->out[0] != NULL;
}

/* x = p b */
static bool lstsq_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                       pl_tensor **gin) {
  pl_tensor *g = columns(c, gout[0]), *b = columns(c, c->in[1]);
  pl_tensor *p = pl_linalg_pinv(c->in[0], 0, c->attr[RCOND].d);
  if (needs_grad & 1) gin[0] = pinv_gradient(c->in[0], p, pl_matmul(g, pl_mT(b)));
  if (needs_grad & 2) gin[1] = vectors(c, pl_matmul(pl_mT(p), g));
  return true;
}

PL_OP_IN(
    linalg, lstsq, .group = PL_GROUP_LINALG, .inputs = "a b", .attrs = "rcond:real=-1",
    .doc =
        "the x of least squares |a x - b|, and of these the shortest, where a is [...,m,n] and "
        "b [...,m,k], or [...,m] where b has one dim or is a vector for each matrix; stacks "
        "broadcast. Singular values up to rcond times the largest count as 0; an rcond below 0 "
        "stands for its rounding error times the larger of m and n. The gradient is that of "
        "matrices of this rank",
    .onnx = "refuse 'ONNX has no operators of linear algebra'",
    .samples =
        "regular[4,3] any[4,2]; regular[4,3] any[4]; regular[2,3,4] any[3,2]; regular[3,3] "
        "any[3,1]",
    .broadcast = pl_broadcast_stacks, .shape = lstsq_shape, .forward = lstsq_forward,
    .gradient = lstsq_rule, .flops = pl_matrix_flops, .data = &(const double){22});
