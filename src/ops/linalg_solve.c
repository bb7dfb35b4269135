/*
** linalg_solve.c: Cholesky and LU factors and what is solved by them. The gradients are those of
** Giles 2008, "Collected matrix derivative results for forward and reverse mode algorithmic
** differentiation"; that of the Cholesky factor is Murray's, 2016.
*/
#include <float.h>
#include <math.h>
#include <string.h>

#include "matrices.h"

/* A contiguous copy of t in output i, to be worked on in place. */
static bool copy_out(pl_args *c, int i, pl_tensor *t) {
  return t && pl_out(c, i, PL_REAL, pl_size(t)) && pl_copy(c->out[i], t);
}

/*
** cholesky
*/

enum { UPPER }; /* place of the attribute */

static int64_t cholesky_one(const pl_each *e, int64_t i, pl_real *reals, blasint *ints) {
  (void)reals, (void)ints;
  return pl_cholesky_in_place(e->n, e->out[0] + i * e->n * e->n);
}

static bool cholesky_forward(pl_args *c) {
  pl_trouble t;
  if (!pl_need_square(c, 0)) return false;
  if (!copy_out(c, 0, c->attr[UPPER].i ? pl_mT(c->in[0]) : c->in[0])) return false;
  const int64_t n = pl_rows_of(c->in[0]);
  const pl_each e = {.m = n, .n = n, .out = {pl_reals(c->out[0])}, .one = cholesky_one};
  if (!pl_each_matrix(&e, pl_matrix_count(c->in[0]), &t)) return false;
  if (t.what)
    return pl_matrix_fail(
        c, t.matrix, "is not positive definite: its leading minor of order %lld is not positive",
        (long long)t.what);
  if (c->attr[UPPER].i) c->out[0] = pl_mT(c->out[0]);
  return c->out[0] != NULL;
}

/* The lower triangle, with half of the diagonal. */
static pl_tensor *half_lower(pl_tensor *x) {
  return pl_affine(pl_add(pl_tril(x, 0), pl_tril(x, -1)), 0.5, 0);
}

/* g_a is the symmetric part of l'^-1 half_lower(l' g) l^-1. */
static bool cholesky_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                          pl_tensor **gin) {
  (void)needs_grad;
  const bool upper = c->attr[UPPER].i;
  pl_tensor *l = upper ? pl_mT(c->out[0]) : c->out[0], *g = upper ? pl_mT(gout[0]) : gout[0];
  pl_tensor *s = half_lower(pl_matmul(pl_mT(l), pl_tril(g, 0)));
  s = pl_linalg_solve_triangular(pl_mT(l), s, true, true, false);
  s = pl_linalg_solve_triangular(l, s, false, false, false);
  gin[0] = pl_affine(pl_add(s, pl_mT(s)), 0.5, 0);
  return true;
}

PL_OP_IN(linalg, cholesky, .group = PL_GROUP_LINALG, .inputs = "a", .attrs = "upper:bool=false",
         .doc =
             "the lower triangular l [...,n,n] with a = l l', of symmetric positive definite "
             "matrices, of which the lower triangle is read; or, if upper, u with a = u' u by the "
             "upper one. The gradient is symmetric",
         .onnx = "refuse 'ONNX has no operators of linear algebra'",
         .samples = "spd[3,3]; spd[2,3,3] upper=true; spd[1,1]", .forward = cholesky_forward,
         .gradient = cholesky_rule, .unsaved = PL_UNSAVED_IN, .flops = pl_matrix_flops,
         .data = &(const double){1.0 / 3});

/*
** solve_triangular
*/

enum { TRI_UPPER, TRI_LEFT, TRI_UNIT };

typedef struct {
  pl_each each;
  pl_triangle triangle;
  int64_t ld, step; /* of a: from row to row, from matrix to matrix */
} triangular;

static bool triangular_shape(pl_args *c) {
  const pl_tensor *a = c->in[0], *b = c->in[1];
  const bool left = c->attr[TRI_LEFT].i;
  if (!pl_need_square(c, 0) || !pl_need_matrices(c, 1)) return false;
  if (pl_rows_of(a) == (left ? pl_rows_of(b) : pl_columns_of(b))) return true;
  return pl_op_fail(c, "a is %s, b %s; expected %s", PL_DESCRIBE(a), PL_DESCRIBE(b),
                    left ? "[...,n,n] and [...,n,k]" : "[...,n,n] and [...,k,n]");
}

static bool triangular_broadcast(const pl_args *c, pl_tensor **in) {
  if (!pl_need_matrices(c, 0) || !pl_need_matrices(c, 1)) return false;
  return pl_broadcast_stacks(c, in);
}

static int64_t triangular_one(const pl_each *e, int64_t i, pl_real *reals, blasint *ints) {
  (void)reals, (void)ints;
  const triangular *t = (const triangular *)e;
  pl_triangle_solve(t->triangle, e->m, e->n, e->a + i * t->step, t->ld,
                    e->out[0] + i * e->m * e->n);
  return 0;
}

static bool triangular_forward(pl_args *c) {
  pl_trouble none;
  if (!copy_out(c, 0, c->in[1])) return false;
  pl_tensor *turned = pl_mT(c->in[0]);
  if (!turned) return false;
  const bool transposed = pl_is_contiguous(turned) && !pl_is_contiguous(c->in[0]);
  pl_tensor *a = transposed ? turned : pl_contiguous(c->in[0]);
  if (!a) return false;
  const int64_t n = pl_rows_of(a);
  triangular t = {.triangle = {.upper = c->attr[TRI_UPPER].i,
                               .left = c->attr[TRI_LEFT].i,
                               .unit = c->attr[TRI_UNIT].i,
                               .transposed = transposed},
                  .ld = PL_MAX(n, 1),
                  .step = n * n};
  t.each = (pl_each){.m = pl_rows_of(c->in[1]),
                     .n = pl_columns_of(c->in[1]),
                     .a = pl_reals(a),
                     .out = {pl_reals(c->out[0])},
                     .one = triangular_one};
  return pl_each_matrix(&t.each, pl_matrix_count(a), &none);
}

/* g_b solves a' g_b = g; g_a is the triangle of -g_b x'. */
static bool triangular_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                            pl_tensor **gin) {
  const bool upper = c->attr[TRI_UPPER].i, left = c->attr[TRI_LEFT].i, unit = c->attr[TRI_UNIT].i;
  pl_tensor *g = pl_linalg_solve_triangular(pl_mT(c->in[0]), gout[0], !upper, left, unit);
  if (needs_grad & 2) gin[1] = g;
  if (needs_grad & 1) {
    pl_tensor *x = c->out[0], *full = left ? pl_matmul(g, pl_mT(x)) : pl_matmul(pl_mT(x), g);
    gin[0] = pl_neg(upper ? pl_triu(full, unit) : pl_tril(full, -unit));
  }
  return true;
}

PL_OP_IN(linalg, solve_triangular, .group = PL_GROUP_LINALG, .inputs = "a b",
         .attrs = "upper:bool left:bool=true unitriangular:bool=false",
         .doc =
             "x of a x = b, or of x a = b if not left, where a [...,n,n] is upper or lower "
             "triangular: the other triangle is not read, nor is the diagonal if unitriangular, "
             "which then counts as 1. Stacks broadcast. A 0 on the diagonal gives inf or nan",
         .onnx = "refuse 'ONNX has no operators of linear algebra'",
         .samples =
             "regular[3,3] any[3,2] upper=true; regular[2,3,3] any[3,2] upper=false; "
             "regular[3,3] any[2,3] upper=true left=false; regular[3,3] any[2,2,3] upper=false "
             "left=false unitriangular=true; regular[3,3] any[3,1] upper=true unitriangular=true",
         .broadcast = triangular_broadcast, .shape = triangular_shape,
         .forward = triangular_forward, .gradient = triangular_rule);

/*
** solve, inv: by LU factors
*/

/* The factors in memory of the thread's own, and b, which is in the output, by them. */
static int64_t solve_one(const pl_each *e, int64_t i, pl_real *reals, blasint *ints) {
  const int64_t n = e->n;
  memcpy(reals, e->a + i * n * n, (size_t)(n * n) * sizeof *reals);
  const int64_t zero = pl_lu_in_place(n, reals, ints);
  if (!zero) pl_lu_solve(n, e->k, reals, ints, e->out[0] + i * n * e->k);
  return zero;
}

/* The output, which holds k right hand sides for each matrix, becomes the solution. */
static bool solve_in_place(pl_args *c, int64_t k) {
  pl_tensor *a = pl_contiguous(c->in[0]);
  pl_trouble t;
  if (!a) return false;
  const int64_t n = pl_rows_of(a);
  const pl_each e = {.m = n,
                     .n = n,
                     .k = k,
                     .room = {.reals = n * n, .ints = n},
                     .a = pl_reals(a),
                     .out = {pl_reals(c->out[0])},
                     .one = solve_one};
  if (!pl_each_matrix(&e, pl_matrix_count(a), &t)) return false;
  return !t.what || pl_matrix_fail(c, t.matrix, "is singular");
}

static bool solve_shape(pl_args *c) {
  const pl_tensor *a = c->in[0], *b = c->in[1];
  if (!pl_need_square(c, 0)) return false;
  if (pl_rows_of(a) == b->size[a->rank - 2]) return true;
  return pl_op_fail(c, "a is %s, b %s; expected [...,n,n] and [...,n] or [...,n,k]", PL_DESCRIBE(a),
                    PL_DESCRIBE(b));
}

static bool solve_forward(pl_args *c) {
  const int64_t k = pl_is_vector(c) ? 1 : pl_columns_of(c->in[1]);
  return copy_out(c, 0, c->in[1]) && solve_in_place(c, k);
}

/* b x', of matrices or vectors. */
static pl_tensor *outer(const pl_args *c, pl_tensor *b, pl_tensor *x) {
  if (pl_is_vector(c)) return pl_mul(pl_unsqueeze(b, -1), pl_unsqueeze(x, -2));
  return pl_matmul(b, pl_mT(x));
}

/* g_b solves a' g_b = g; g_a is -g_b x'. */
static bool solve_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                       pl_tensor **gin) {
  pl_tensor *g = pl_linalg_solve(pl_mT(c->in[0]), gout[0]);
  if (needs_grad & 2) gin[1] = g;
  if (needs_grad & 1) gin[0] = pl_neg(outer(c, g, c->out[0]));
  return true;
}

PL_OP_IN(linalg, solve, .group = PL_GROUP_LINALG, .inputs = "a b",
         .doc =
             "x of a x = b, where a is [...,n,n] and b [...,n,k], or [...,n] where b has one dim "
             "or is a vector for each matrix; stacks broadcast. A singular matrix is an error",
         .onnx = "refuse 'ONNX has no operators of linear algebra'",
         .samples =
             "regular[3,3] any[3,2]; regular[3,3] any[3]; regular[2,3,3] any[2,3]; "
             "regular[3,3] any[2,3,1]; regular[1,1] any[1,1]",
         .broadcast = pl_broadcast_stacks, .shape = solve_shape, .forward = solve_forward,
         .gradient = solve_rule, .flops = pl_matrix_flops, .data = &(const double){2.0 / 3});

static bool inv_forward(pl_args *c) {
  if (!pl_need_square(c, 0)) return false;
  const int64_t n = pl_rows_of(c->in[0]);
  pl_tensor *one = pl_identity(n);
  return one && copy_out(c, 0, pl_expand_to(one, pl_size(c->in[0]))) && solve_in_place(c, n);
}

static bool inv_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                     pl_tensor **gin) {
  (void)needs_grad;
  pl_tensor *turned = pl_mT(c->out[0]);
  gin[0] = pl_neg(pl_matmul(pl_matmul(turned, gout[0]), turned));
  return true;
}

PL_OP_IN(linalg, inv, .group = PL_GROUP_LINALG, .inputs = "a",
         .doc =
             "the inverses of square matrices [...,n,n]; a singular one is an error. What is "
             "multiplied by an inverse is better had from solve",
         .onnx = "refuse 'ONNX has no operators of linear algebra'",
         .samples = "regular[3,3]; regular[2,2,2]; regular[1,1]", .forward = inv_forward,
         .gradient = inv_rule, .unsaved = PL_UNSAVED_IN, .flops = pl_matrix_flops,
         .data = &(const double){2});

/*
** det, slogdet: from the diagonal of an LU factor
*/

/* The sign of a determinant, where NaN has the sign 0, and the logarithm of its size. */
static void log_of_diagonal(int64_t n, const pl_real *lu, int sign, pl_real *out, pl_real *size) {
  double sum = 0;
  for (int64_t k = 0; k < n; k++) {
    const pl_real d = lu[k * n + k];
    sign *= (d > 0) - (d < 0);
    sum += log(fabs((double)d));
  }
  *out = (pl_real)sign, *size = (pl_real)sum;
}

static pl_real product_of_diagonal(int64_t n, const pl_real *lu, int sign) {
  pl_real product = (pl_real)sign;
  for (int64_t k = 0; k < n; k++) product *= lu[k * n + k];
  return product;
}

/* det has one output, slogdet two. */
static int64_t det_one(const pl_each *e, int64_t i, pl_real *reals, blasint *ints) {
  const int64_t n = e->n;
  memcpy(reals, e->a + i * n * n, (size_t)(n * n) * sizeof *reals);
  pl_lu_in_place(n, reals, ints);
  const int sign = pl_lu_sign(n, ints);
  if (e->out[1]) log_of_diagonal(n, reals, sign, e->out[0] + i, e->out[1] + i);
  else e->out[0][i] = product_of_diagonal(n, reals, sign);
  return 0;
}

static bool det_shape(pl_args *c) {
  if (!pl_need_square(c, 0)) return false;
  const pl_ints size = pl_stack_of_numbers(c->in[0]);
  for (int i = 0; i < pl_op_outputs(c->op); i++)
    if (!pl_out(c, i, PL_REAL, size)) return false;
  return true;
}

static bool det_forward(pl_args *c) {
  pl_tensor *a = pl_contiguous(c->in[0]);
  pl_trouble none;
  if (!a) return false;
  const int64_t n = pl_rows_of(a);
  pl_fill(c->out[0], 1); /* of nothing */
  if (c->out[1]) pl_fill(c->out[1], 0);
  const pl_each e = {.m = n,
                     .n = n,
                     .room = {.reals = n * n, .ints = n},
                     .a = pl_reals(a),
                     .out = {pl_reals(c->out[0]), c->out[1] ? pl_reals(c->out[1]) : NULL},
                     .one = det_one};
  return pl_each_matrix(&e, pl_matrix_count(a), &none);
}

/* g [...] for each matrix times it. */
static pl_tensor *scaled(pl_tensor *g, pl_tensor *matrices) {
  return pl_mul(pl_unsqueeze(pl_unsqueeze(g, -1), -1), matrices);
}

static bool det_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                     pl_tensor **gin) {
  (void)needs_grad;
  gin[0] = scaled(pl_mul(gout[0], c->out[0]), pl_mT(pl_linalg_inv(c->in[0])));
  return true;
}

static pl_real largest_of(int64_t n, const pl_real *x) {
  pl_real most = 0;
  for (int64_t i = 0; i < n; i++) most = fabs(x[i]) > most ? (pl_real)fabs(x[i]) : most;
  return most;
}

/* The cofactors of a matrix times g, as det(a) a^-1 g transposed. They depend on a smoothly, so
 * pivots of 0 may be moved by a rounding error. */
static int64_t cofactors_one(const pl_each *e, int64_t i, pl_real *reals, blasint *ints) {
  const int64_t n = e->n;
  const pl_real epsilon = sizeof(pl_real) == sizeof(double) ? (pl_real)DBL_EPSILON : FLT_EPSILON;
  pl_real *out = e->out[0] + i * n * n;
  memcpy(reals, e->a + i * n * n, (size_t)(n * n) * sizeof *reals);
  const pl_real most = largest_of(n * n, reals), nudge = epsilon * (most > 0 ? most : 1);
  if (pl_lu_in_place(n, reals, ints))
    for (int64_t k = 0; k < n; k++)
      if (reals[k * n + k] == 0) reals[k * n + k] = nudge;
  const pl_real scale = e->b[i] * product_of_diagonal(n, reals, pl_lu_sign(n, ints));
  memset(out, 0, (size_t)(n * n) * sizeof *out);
  for (int64_t k = 0; k < n; k++) out[k * n + k] = scale;
  pl_lu_solve(n, n, reals, ints, out);
  return 0;
}

static bool det_fused(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                      pl_tensor **gin) {
  (void)needs_grad;
  pl_tensor *a = pl_contiguous(c->in[0]), *g = pl_contiguous(gout[0]);
  pl_tensor *y = pl_empty(PL_REAL, pl_size(c->in[0]));
  pl_trouble none;
  if (!a || !g || !y) return false;
  const int64_t n = pl_rows_of(a);
  const pl_each e = {.m = n,
                     .n = n,
                     .room = {.reals = n * n, .ints = n},
                     .a = pl_reals(a),
                     .b = pl_reals(g),
                     .out = {pl_reals(y)},
                     .one = cofactors_one};
  return pl_each_matrix(&e, pl_matrix_count(a), &none) && (gin[0] = pl_mT(y)) != NULL;
}

PL_OP_IN(linalg, det, .group = PL_GROUP_LINALG, .inputs = "a",
         .doc =
             "the determinants [...] of square matrices [...,n,n]. A gradient of second order "
             "needs matrices that are not singular",
         .onnx = "Det(a)", .samples = "regular[3,3]; regular[2,2,2]; regular[1,1]",
         .shape = det_shape, .forward = det_forward, .gradient = det_rule,
         .fused_gradient = det_fused, .flops = pl_matrix_flops, .data = &(const double){2.0 / 3});

static bool slogdet_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                         pl_tensor **gin) {
  (void)needs_grad;
  if (gout[1]) gin[0] = scaled(gout[1], pl_mT(pl_linalg_inv(c->in[0])));
  return true;
}

PL_OP_IN(linalg, slogdet, .group = PL_GROUP_LINALG, .inputs = "a",
         .doc =
             "the signs [...] of the determinants of square matrices [...,n,n], and the logarithms "
             "[...] of their sizes, which cannot overflow; of a singular one 0 and -inf, which "
             "have no gradient",
         .onnx = "refuse 'ONNX has no operators of linear algebra'",
         .samples = "regular[3,3]; regular[2,2,2]", .outputs = 2, .shape = det_shape,
         .forward = det_forward, .gradient = slogdet_rule, .unsaved = PL_UNSAVED_OUT,
         .flops = pl_matrix_flops, .data = &(const double){2.0 / 3});
