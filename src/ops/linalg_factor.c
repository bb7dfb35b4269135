/*
** linalg_factor.c: QR, eigenvalues and singular values. The gradients are those of Giles 2008,
** "Collected matrix derivative results for forward and reverse mode algorithmic differentiation"; of
** QR, Walter and Lehmann 2012, "Algorithmic differentiation of linear algebra functions with
** application in optimum experimental design", and of wide matrices Roberts and Roberts 2020.
*/
#include "matrices.h"

/* One in the place of each pair of alike, and the differences v[j] - v[i] elsewhere. */
static pl_tensor *differences(pl_tensor *v) {
  if (!v) return NULL;
  pl_tensor *d = pl_sub(pl_unsqueeze(v, -2), pl_unsqueeze(v, -1));
  return pl_add(d, pl_identity(pl_size(v).v[pl_size(v).n - 1]));
}

/* x with column j times v[j]; x with row i times v[i]. */
static pl_tensor *by_columns(pl_tensor *x, pl_tensor *v) { return pl_mul(x, pl_unsqueeze(v, -2)); }
static pl_tensor *by_rows(pl_tensor *x, pl_tensor *v) { return pl_mul(x, pl_unsqueeze(v, -1)); }

/* a + b, of which either may be NULL for nothing; NULL after an error. */
static pl_tensor *plus(pl_tensor *a, pl_tensor *b) {
  if (pl_error()) return NULL;
  return a && b ? pl_add(a, b) : a ? a : b;
}

static bool does_converge(const pl_args *c, pl_trouble t) {
  return !t.what ||
         pl_matrix_fail(c, t.matrix, "has no result: LAPACK's iteration does not converge");
}

/*
** qr
*/

static bool qr_shape(pl_args *c) {
  if (!pl_need_matrices(c, 0)) return false;
  const pl_tensor *a = c->in[0];
  const int64_t k = pl_smaller(a);
  return pl_out(c, 0, PL_REAL, pl_stack_of(a, pl_rows_of(a), k)) &&
         pl_out(c, 1, PL_REAL, pl_stack_of(a, k, pl_columns_of(a)));
}

static int64_t qr_one(const pl_each *e, int64_t i, pl_real *reals, blasint *ints) {
  (void)ints;
  pl_qr(e->m, e->n, e->a + i * e->m * e->n, e->out[0] + i * e->m * e->k,
        e->out[1] + i * e->k * e->n, reals, e->room);
  return 0;
}

static bool qr_forward(pl_args *c) {
  pl_tensor *a = pl_contiguous(c->in[0]);
  pl_trouble none;
  if (!a) return false;
  pl_each e = {.m = pl_rows_of(a),
               .n = pl_columns_of(a),
               .k = pl_smaller(a),
               .a = pl_reals(a),
               .out = {pl_reals(c->out[0]), pl_reals(c->out[1])},
               .one = qr_one};
  if (!pl_qr_room(e.m, e.n, &e.room)) return pl_too_large(c);
  return pl_each_matrix(&e, pl_matrix_count(a), &none);
}

/* The gradient of a matrix that is not wide: (g_q + q s) r'^-1, where s is symmetric and its lower
 * triangle is that of r g_r' - g_q' q. */
static pl_tensor *qr_of_tall(pl_tensor *q, pl_tensor *r, pl_tensor *gq, pl_tensor *gr) {
  pl_tensor *m =
      plus(gr ? pl_matmul(r, pl_mT(gr)) : NULL, gq ? pl_neg(pl_matmul(pl_mT(gq), q)) : NULL);
  pl_tensor *s = pl_add(pl_tril(m, 0), pl_mT(pl_tril(m, -1)));
  return pl_linalg_solve_triangular(pl_mT(r), plus(gq, pl_matmul(q, s)), false, false, false);
}

/* A wide one is [x, y] = q [u, v], where x is square: x = q u, and v = q' y. */
static pl_tensor *qr_of_wide(const pl_args *c, pl_tensor *gq, pl_tensor *gr) {
  pl_tensor *a = c->in[0], *q = c->out[0];
  const int64_t m = pl_rows_of(a), more = pl_columns_of(a) - m;
  pl_tensor *u = pl_slice(c->out[1], -1, 0, m, 1);
  if (!gr) return pl_pad(qr_of_tall(q, u, gq, NULL), pl_list(0, more), 0);
  pl_tensor *gu = pl_slice(gr, -1, 0, m, 1), *gv = pl_slice(gr, -1, m, more, 1);
  pl_tensor *y = pl_slice(a, -1, m, more, 1);
  pl_tensor *gx = qr_of_tall(q, u, plus(gq, pl_matmul(y, pl_mT(gv))), gu);
  pl_tensor *const both[] = {gx, pl_matmul(q, gv)};
  return pl_error() ? NULL : pl_cat(2, both, -1);
}

static bool qr_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                    pl_tensor **gin) {
  (void)needs_grad;
  const bool wide = pl_rows_of(c->in[0]) < pl_columns_of(c->in[0]);
  gin[0] =
      wide ? qr_of_wide(c, gout[0], gout[1]) : qr_of_tall(c->out[0], c->out[1], gout[0], gout[1]);
  return true;
}

PL_OP_IN(linalg, qr, .group = PL_GROUP_LINALG, .inputs = "a",
         .doc =
             "q [...,m,k] with orthonormal columns and the upper triangular r [...,k,n] of a = q r "
             "[...,m,n], where k is the smaller of m and n. The gradient needs the first k columns "
             "of a to be independent",
         .onnx = "refuse 'ONNX has no operators of linear algebra'",
         .samples = "regular[4,3]; regular[3,3]; regular[2,3,5]; regular[1,1]", .outputs = 2,
         .shape = qr_shape, .forward = qr_forward, .gradient = qr_rule, .flops = pl_matrix_flops,
         .data = &(const double){4});

/*
** eigh, eigvalsh
*/

static int64_t eigh_one(const pl_each *e, int64_t i, pl_real *reals, blasint *ints) {
  return pl_eigh(e->n, e->job == 'V', e->a + i * e->n * e->n, e->out[0] + i * e->n, reals, ints,
                 e->room);
}

/* The eigenvalues in output 0; the vectors, if wanted, are the rows of what is returned. */
static pl_tensor *eigh_run(pl_args *c, bool vectors) {
  pl_trouble t;
  if (!pl_need_square(c, 0)) return NULL;
  const int64_t n = pl_rows_of(c->in[0]);
  pl_each e = {.m = n, .n = n, .job = vectors ? 'V' : 'N', .one = eigh_one};
  if (!pl_eigh_room(n, vectors, &e.room)) return pl_too_large(c), NULL;
  if (!pl_need_finite(c) || !pl_out(c, 0, PL_REAL, pl_stack_of_vectors(c->in[0], n))) return NULL;
  pl_tensor *work = pl_empty(PL_REAL, pl_size(c->in[0]));
  if (!work || !pl_copy(work, c->in[0])) return NULL;
  e.a = pl_reals(work), e.out[0] = pl_reals(c->out[0]);
  if (!pl_each_matrix(&e, pl_matrix_count(work), &t) || !does_converge(c, t)) return NULL;
  return work;
}

static bool eigh_forward(pl_args *c) {
  pl_tensor *rows = eigh_run(c, true);
  return rows && (c->out[1] = pl_mT(rows)) != NULL;
}

static bool eigvalsh_forward(pl_args *c) { return eigh_run(c, false) != NULL; }

/* The symmetric part of v (diag(g_w) + (v' g_v) / (w[j] - w[i])) v', the quotient without its
 * diagonal. */
static pl_tensor *eigh_gradient(pl_tensor *w, pl_tensor *v, pl_tensor *gw, pl_tensor *gv) {
  if (!v) return NULL;
  pl_tensor *one = pl_identity(pl_rows_of(v));
  pl_tensor *inner = gw ? by_columns(one, gw) : NULL;
  if (gv) {
    pl_tensor *turns = pl_mul(pl_matmul(pl_mT(v), gv), pl_affine(one, -1, 1));
    inner = plus(inner, pl_div(turns, differences(w)));
    inner = pl_affine(pl_add(inner, pl_mT(inner)), 0.5, 0);
  }
  return pl_matmul(pl_matmul(v, inner), pl_mT(v));
}

static bool eigh_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                      pl_tensor **gin) {
  (void)needs_grad;
  gin[0] = eigh_gradient(c->out[0], c->out[1], gout[0], gout[1]);
  return true;
}

static bool eigvalsh_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                          pl_tensor **gin) {
  (void)needs_grad;
  pl_tensor *both[2];
  if (!pl_linalg_eigh(c->in[0], both)) return false;
  gin[0] = pl_matmul(by_columns(both[1], gout[0]), pl_mT(both[1]));
  return true;
}

PL_OP_IN(linalg, eigh, .group = PL_GROUP_LINALG, .inputs = "a",
         .doc =
             "the eigenvalues w [...,n] of symmetric matrices [...,n,n], in ascending order, and "
             "their eigenvectors, the columns of v [...,n,n]: a = v diag(w) v'. The lower triangle "
             "is read. Only up to their signs, and with equal eigenvalues up to a turn, are the "
             "vectors determined; their gradient needs distinct eigenvalues, and is inf or nan "
             "without. NaN or infinity is an error",
         .onnx = "refuse 'ONNX has no operators of linear algebra'",
         .samples = "spd[3,3]; spd[2,3,3]; spd[1,1]", .outputs = 2, .forward = eigh_forward,
         .gradient = eigh_rule, .unsaved = PL_UNSAVED_IN, .flops = pl_matrix_flops,
         .data = &(const double){9});
PL_OP_IN(linalg, eigvalsh, .group = PL_GROUP_LINALG, .inputs = "a",
         .doc =
             "the eigenvalues [...,n] of symmetric matrices [...,n,n], in ascending order; the "
             "lower triangle is read. A gradient of second order needs distinct eigenvalues",
         .onnx = "refuse 'ONNX has no operators of linear algebra'",
         .samples = "spd[3,3]; spd[2,3,3]", .forward = eigvalsh_forward, .gradient = eigvalsh_rule,
         .unsaved = PL_UNSAVED_OUT, .flops = pl_matrix_flops, .data = &(const double){4.0 / 3});

/*
** svd, svdvals
*/

enum { FULL_MATRICES };

static int64_t svd_one(const pl_each *e, int64_t i, pl_real *reals, blasint *ints) {
  const int64_t k = PL_MIN(e->m, e->n), m = e->job == 'A' ? e->m : k, n = e->job == 'A' ? e->n : k;
  pl_real *u = e->job == 'N' ? NULL : e->out[0] + i * e->m * m,
          *vh = e->job == 'N' ? NULL : e->out[2] + i * n * e->n;
  return pl_svd(e->m, e->n, e->job, e->a + i * e->m * e->n, u, e->out[1] + i * k, vh, reals, ints,
                e->room);
}

/* The matrices can be worked on by this job. */
static bool svd_check(const pl_args *c, char job) {
  pl_linalg_room room;
  if (!pl_need_matrices(c, 0)) return false;
  if (!pl_svd_room(pl_rows_of(c->in[0]), pl_columns_of(c->in[0]), job, &room))
    return pl_too_large(c);
  return pl_need_finite(c);
}

/* Singular values into `s`; by the job also vectors into `u` and `vh`, which may be NULL. */
static bool svd_run(const pl_args *c, char job, pl_tensor *u, pl_tensor *s, pl_tensor *vh) {
  pl_trouble t;
  pl_tensor *work = pl_empty(PL_REAL, pl_size(c->in[0]));
  if (!work || !pl_copy(work, c->in[0])) return false;
  pl_each e = {.m = pl_rows_of(work),
               .n = pl_columns_of(work),
               .job = job,
               .a = pl_reals(work),
               .out = {u ? pl_reals(u) : NULL, pl_reals(s), vh ? pl_reals(vh) : NULL},
               .one = svd_one};
  return pl_svd_room(e.m, e.n, job, &e.room) && pl_each_matrix(&e, pl_matrix_count(work), &t) &&
         does_converge(c, t);
}

static bool svd_shape(pl_args *c) {
  const pl_tensor *a = c->in[0];
  const bool full = c->attr[FULL_MATRICES].i;
  if (!svd_check(c, full ? 'A' : 'S')) return false;
  const int64_t m = pl_rows_of(a), n = pl_columns_of(a), k = pl_smaller(a);
  return pl_out(c, 0, PL_REAL, pl_stack_of(a, m, full ? m : k)) &&
         pl_out(c, 1, PL_REAL, pl_stack_of_vectors(a, k)) &&
         pl_out(c, 2, PL_REAL, pl_stack_of(a, full ? n : k, n));
}

static bool svd_forward(pl_args *c) {
  const bool full = c->attr[FULL_MATRICES].i;
  if (full && !pl_smaller(c->in[0])) { /* nothing is turned by anything */
    for (int i = 0; i <= 2; i += 2) {
      pl_tensor *one = pl_identity(pl_rows_of(c->out[i]));
      if (!one || !pl_copy(c->out[i], pl_expand_to(one, pl_size(c->out[i])))) return false;
    }
    return true;
  }
  return svd_run(c, full ? 'A' : 'S', c->out[0], c->out[1], c->out[2]);
}

/* x - x' over s[j]^2 - s[i]^2: how the vectors of one side turn. */
static pl_tensor *turns(pl_tensor *x, pl_tensor *s) {
  return pl_div(pl_sub(x, pl_mT(x)), differences(pl_square(s)));
}

/* What g [...,n,k], the gradient of orthonormal columns v, has at right angles to all of them. */
static pl_tensor *outside(pl_tensor *g, pl_tensor *v) {
  return pl_sub(g, pl_matmul(v, pl_matmul(pl_mT(v), g)));
}

static pl_tensor *svd_gradient(pl_tensor *const *usv, pl_tensor *const *g) {
  pl_tensor *u = usv[0], *s = usv[1], *vh = usv[2], *v = pl_mT(vh);
  if (!v) return NULL;
  const int64_t k = pl_columns_of(u);
  pl_tensor *gv = g[2] ? pl_mT(g[2]) : NULL, *inner = NULL, *y = NULL;
  if (g[1]) inner = by_columns(pl_identity(k), g[1]);
  if (g[0]) inner = plus(inner, by_columns(turns(pl_matmul(pl_mT(u), g[0]), s), s));
  if (gv) inner = plus(inner, by_rows(turns(pl_matmul(vh, gv), s), s));
  y = pl_matmul(pl_matmul(u, inner), vh);
  pl_tensor *inverse = pl_reciprocal(s);
  if (g[0] && pl_rows_of(u) > k) y = plus(y, pl_matmul(by_columns(outside(g[0], u), inverse), vh));
  if (gv && pl_columns_of(vh) > k)
    y = plus(y, pl_matmul(u, pl_mT(by_columns(outside(gv, v), inverse))));
  return y;
}

static bool svd_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                     pl_tensor **gin) {
  (void)needs_grad;
  const pl_tensor *a = c->in[0];
  if (c->attr[FULL_MATRICES].i && pl_rows_of(a) != pl_columns_of(a))
    return pl_op_fail(c,
                      "a is %s; the full matrices of one that is not square have no gradient, "
                      "those of full_matrices=false have",
                      PL_DESCRIBE(a));
  gin[0] = svd_gradient(c->out, gout);
  return true;
}

static bool svdvals_shape(pl_args *c) {
  return svd_check(c, 'N') &&
         pl_out(c, 0, PL_REAL, pl_stack_of_vectors(c->in[0], pl_smaller(c->in[0])));
}

static bool svdvals_forward(pl_args *c) { return svd_run(c, 'N', NULL, c->out[0], NULL); }

static bool svdvals_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                         pl_tensor **gin) {
  (void)needs_grad;
  pl_tensor *usv[3];
  if (!pl_linalg_svd(c->in[0], false, usv)) return false;
  gin[0] = pl_matmul(by_columns(usv[0], gout[0]), usv[2]);
  return true;
}

PL_OP_IN(linalg, svd, .group = PL_GROUP_LINALG, .inputs = "a", .attrs = "full_matrices:bool=false",
         .doc =
             "u, s, vh of a = u diag(s) vh [...,m,n]: singular values s [...,k] in descending "
             "order, where k is the smaller of m and n, and the columns of u [...,m,k] and rows of "
             "vh [...,k,n], which are orthonormal; with full_matrices u is [...,m,m] and vh "
             "[...,n,n]. Vectors are determined up to the sign of a pair, and with equal values up "
             "to a turn; their gradient needs distinct values, and is inf or nan without. NaN or "
             "infinity is an error",
         .onnx = "refuse 'ONNX has no operators of linear algebra'",
         .samples =
             "regular[3,3]; regular[4,3]; regular[2,3,4]; regular[1,1]; const[3,2] "
             "full_matrices=true; regular[3,3] full_matrices=true",
         .outputs = 3, .shape = svd_shape, .forward = svd_forward, .gradient = svd_rule,
         .unsaved = PL_UNSAVED_IN, .flops = pl_matrix_flops, .data = &(const double){20});
PL_OP_IN(linalg, svdvals, .group = PL_GROUP_LINALG, .inputs = "a",
         .doc =
             "the singular values [...,k] of matrices [...,m,n], in descending order, where k is "
             "the smaller of m and n. A gradient of second order needs distinct values",
         .onnx = "refuse 'ONNX has no operators of linear algebra'",
         .samples = "regular[4,3]; regular[2,3,3]", .shape = svdvals_shape,
         .forward = svdvals_forward, .gradient = svdvals_rule, .unsaved = PL_UNSAVED_OUT,
         .flops = pl_matrix_flops, .data = &(const double){4});
