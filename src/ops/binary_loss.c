/*
** binary_loss.c: cross-entropy of yes and no, from logits or from probabilities.
*/
#include <math.h>

#include "reduction.h"

/*
** binary_cross_entropy_with_logits: softplus(x) - x y, computed as max(x, 0) - x y +
** log(1 + exp(-|x|)), which is exact where the logits are huge. Sums are made of pieces in one
** pass, in double precision and in order: of rows where these are asked for, else of PIECE numbers.
** With weights it is composed.
*/

enum { BCE_MEAN, BCE_SUM, BCE_ROWS, BCE_NONE }; /* as in the row's attribute */
enum { PIECE = 4096 };

static bool is_weighted(const pl_args *c) { return c->in[2] || c->in[3]; }

static bool bce_shape(pl_args *c) {
  for (int i = 0; i < c->n_in; i++)
    if (c->in[i] && !pl_need_real(c, i)) return false;
  const pl_tensor *x = c->in[0], *y = c->in[1];
  int64_t reduction = c->attr[0].i;
  if (!pl_same_size(x, y))
    return pl_op_fail(c, "logits are %s, target %s; expected one shape", PL_DESCRIBE(x),
                      PL_DESCRIBE(y));
  if (reduction == BCE_ROWS && !x->rank)
    return pl_op_fail(c, "logits are %s, which has no rows", PL_DESCRIBE(x));
  if (is_weighted(c)) return true;
  if (reduction == BCE_NONE) return pl_out(c, 0, PL_REAL, pl_size(x));
  return pl_out(c, 0, PL_REAL, reduction == BCE_ROWS ? pl_list(x->size[0]) : PL_ALL_DIMS);
}

/* The numbers of each piece of x. */
static int64_t bce_piece(const pl_args *c) {
  const pl_tensor *x = c->in[0];
  if (c->attr[0].i != BCE_ROWS) return PIECE;
  return x->size[0] ? pl_numel(x) / x->size[0] : 0;
}

static bool bce_sums(pl_args *c, const pl_real *x, const pl_real *y) {
  int64_t n = pl_numel(c->in[0]), piece = bce_piece(c);
  int64_t pieces = c->attr[0].i == BCE_ROWS ? c->in[0]->size[0] : (n + piece - 1) / piece;
  double *sum = pl_scratch((size_t)PL_MAX(pieces, 1) * sizeof *sum), total = 0;
  if (!sum) return false;
#pragma omp parallel for schedule(static) if (n > PL_GRAIN / 4)
  for (int64_t p = 0; p < pieces; p++)
    sum[p] =
        PL_KERNELS(softmax)->bce_sum(PL_MIN(piece, n - p * piece), x + p * piece, y + p * piece);
  for (int64_t p = 0; p < pieces; p++) total += sum[p];
  pl_real *out = pl_reals(c->out[0]);
  if (c->attr[0].i == BCE_ROWS)
    for (int64_t p = 0; p < pieces; p++) out[p] = (pl_real)sum[p];
  else out[0] = (pl_real)(c->attr[0].i == BCE_MEAN ? total / (double)n : total);
  pl_scratch_free(sum);
  return true;
}

/* What flows back to each element of the logits: g as it is, or that of its row. */
static pl_tensor *bce_spread(const pl_args *c, pl_tensor *g) {
  pl_ints size = pl_size(c->in[0]);
  if (c->attr[0].i == BCE_MEAN) return pl_affine(g, 1 / (double)pl_numel(c->in[0]), 0);
  if (c->attr[0].i != BCE_ROWS) return g;
  for (int d = 1; d < size.n; d++) size.v[d] = 1;
  return pl_reshape(g, size);
}

/* (sigmoid(x) - y) g, in one pass where g is one number for a piece */
static bool bce_grad_logits(const pl_args *c, pl_tensor *gout, pl_tensor *gx) {
  pl_tensor *x = pl_contiguous(c->in[0]), *y = pl_contiguous(c->in[1]), *g = pl_contiguous(gout);
  if (!x || !y || !g || !gx) return false;
  /* at least 1: a row of nothing is a piece of 0, by which no loop can go on */
  int64_t n = pl_numel(x), piece = PL_MAX(1, bce_piece(c)), step = c->attr[0].i == BCE_ROWS;
  const double scale = c->attr[0].i == BCE_MEAN ? 1 / (double)n : 1;
#pragma omp parallel for schedule(static) if (n > PL_GRAIN / 4)
  for (int64_t i = 0; i < n; i += piece)
    PL_KERNELS(softmax)->bce_grad(PL_MIN(piece, n - i), pl_reals(gx) + i, pl_reals(x) + i,
                                  pl_reals(y) + i,
                                  (pl_real)(scale * (double)pl_reals(g)[step * (i / piece)]));
  return true;
}

static bool bce_fused(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                      pl_tensor **gin) {
  if (needs_grad & 2) gin[1] = pl_neg(pl_mul(bce_spread(c, gout[0]), c->in[0]));
  if (!(needs_grad & 1)) return !pl_error();
  if (c->attr[0].i == BCE_NONE)
    return (gin[0] = pl_mul(gout[0], pl_sub(pl_sigmoid(c->in[0]), c->in[1]))) != NULL;
  return bce_grad_logits(c, gout[0], gin[0] = pl_empty(PL_REAL, pl_size(c->in[0])));
}

/* w broadcast over x; NULL, and a message, if it does not. */
static pl_tensor *weight_of(const pl_args *c, int at) {
  pl_ints size;
  pl_tensor *x = c->in[0], *w = c->in[at];
  if (!pl_broadcast(c->op->name, x, w, &size)) return NULL;
  if (size.n == x->rank && pl_same_size(pl_expand_to(x, size), x)) return pl_expand_to(w, size);
  return pl_op_fail(c, "%s is %s, which does not spread over logits %s", pl_input_name(c->op, at),
                    PL_DESCRIBE(w), PL_DESCRIBE(x)),
         NULL;
}

/* (1 - y) x + (1 + (pos_weight - 1) y) softplus(-x), which without a pos_weight is softplus(x) - x y */
static pl_tensor *bce_terms(const pl_args *c) {
  pl_tensor *x = c->in[0], *y = c->in[1], *terms;
  if (!c->in[3]) terms = pl_sub(pl_softplus(x), pl_mul(x, y));
  else {
    pl_tensor *of_yes = pl_affine(pl_mul(pl_affine(weight_of(c, 3), 1, -1), y), 1, 1);
    terms = pl_add(pl_mul(pl_affine(y, -1, 1), x), pl_mul(of_yes, pl_softplus(pl_neg(x))));
  }
  return c->in[2] ? pl_mul(terms, weight_of(c, 2)) : terms;
}

static bool bce_decompose(pl_args *c) {
  pl_tensor *loss = bce_terms(c);
  if (!loss) return false;
  pl_ints rest = {loss->rank - 1, {0}};
  for (int d = 0; d < rest.n; d++) rest.v[d] = d + 1;
  switch (c->attr[0].i) {
    case BCE_MEAN: loss = pl_mean(loss, PL_ALL_DIMS, false); break;
    case BCE_SUM: loss = pl_sum(loss, PL_ALL_DIMS, false); break;
    case BCE_ROWS: loss = rest.n ? pl_sum(loss, rest, false) : loss; break;
    default: break; /* BCE_NONE */
  }
  return (c->out[0] = loss) != NULL;
}

static bool bce_forward(pl_args *c) {
  if (is_weighted(c)) return bce_decompose(c);
  pl_tensor *x = pl_contiguous(c->in[0]), *y = pl_contiguous(c->in[1]);
  if (!x || !y) return false;
  if (c->attr[0].i != BCE_NONE) return bce_sums(c, pl_reals(x), pl_reals(y));
  int64_t n = pl_numel(x);
#pragma omp parallel for schedule(static) if (n > PL_GRAIN / 4)
  for (int64_t i = 0; i < n; i += PIECE)
    PL_KERNELS(softmax)->bce(PL_MIN(PIECE, n - i), pl_reals(c->out[0]) + i, pl_reals(x) + i,
                             pl_reals(y) + i);
  return true;
}

PL_OP(
    binary_cross_entropy_with_logits, .group = PL_GROUP_LOSSES,
    .inputs = "logits target weight? pos_weight?", .attrs = "reduction:choice(mean|sum|rows|none)",
    .doc =
        "-weight (pos_weight target log p + (1 - target) log(1 - p)) with p = sigmoid(logits), "
        "target "
        "being of one shape with the logits and weights broadcasting over them, also for huge "
        "logits: the mean or the sum of all elements, the sum of each row (over all dims but the "
        "first), or none of these",
    .samples =
        "any[3,4] any[3,4]; any[3,4] any[3,4] reduction=sum; any[3,2,2] any[3,2,2] reduction=rows; "
        "any[4] any[4] reduction=rows; any[3,4] any[3,4] reduction=none; any[3,4] unit[3,4] "
        "pos[4]; "
        "any[3,4] unit[3,4] pos[3,1] pos[4] reduction=rows",
    .shape = bce_shape, .forward = bce_forward, .decompose = bce_decompose,
    .fused_gradient = bce_fused, .unsaved = PL_UNSAVED_OUT);

/*
** binary_cross_entropy: each term has a rule of its own, the rest is composed of these
*/

static const double LEAST_LOG = -100, LEAST_VARIANCE = 1e-12;

static bool check_probabilities(const pl_args *c) {
  for (int64_t i = 0; i < pl_numel(c->in[0]); i++) {
    const double v = pl_at(c->in[0], i);
    if (!pl_goes_on(i)) return false;
    if (v < 0 || v > 1)
      return pl_op_fail(c, "x has %g at position %lld, which is not within 0 and 1", v,
                        (long long)i + 1);
  }
  return true;
}

static bool has_terms_only(const pl_args *c) {
  return !c->in[2] && c->attr[0].i == PL_NONE_REDUCED;
}

static bool binary_cross_entropy_shape(pl_args *c) {
  if (!pl_one_shape(c) || (c->in[2] && !pl_need_real(c, 2)) || !check_probabilities(c))
    return false;
  return !has_terms_only(c) || pl_out(c, 0, PL_REAL, pl_size(c->in[0]));
}

static pl_tensor *limited(pl_tensor *log) { return pl_clamp(log, LEAST_LOG, INFINITY); }

static bool binary_cross_entropy_forward(pl_args *c) {
  pl_tensor *x = c->in[0], *y = c->in[1], *terms;
  if (!has_terms_only(c)) {
    terms = pl_binary_cross_entropy(x, y, NULL, PL_NONE_REDUCED);
    return pl_reduced(c, c->in[2] ? pl_mul(terms, c->in[2]) : terms, 0);
  }
  const bool was = pl_grad_mode(false);
  pl_tensor *right = pl_mul(y, limited(pl_log(x)));
  pl_tensor *wrong = pl_mul(pl_affine(y, -1, 1), limited(pl_log1p(pl_neg(x))));
  terms = pl_neg(pl_add(right, wrong));
  pl_grad_mode(was);
  return (c->out[0] = terms) != NULL;
}

/* By x (x - y) / (x (1 - x)), by y log(1 - x) - log x: both limited. */
static bool binary_cross_entropy_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                                      pl_tensor **gin) {
  pl_tensor *x = c->in[0], *y = c->in[1], *rest = pl_affine(x, -1, 1);
  pl_tensor *variance = pl_clamp(pl_mul(x, rest), LEAST_VARIANCE, INFINITY);
  if (needs_grad & 1) gin[0] = pl_div(pl_mul(gout[0], pl_sub(x, y)), variance);
  if (needs_grad & 2)
    gin[1] = pl_mul(gout[0], pl_sub(limited(pl_log1p(pl_neg(x))), limited(pl_log(x))));
  return !pl_error();
}

PL_OP(
    binary_cross_entropy, .group = PL_GROUP_LOSSES, .inputs = "x target weight?",
    .attrs = PL_REDUCTION_ATTR,
    .doc =
        "-weight (target log x + (1 - target) log(1 - x)) of probabilities x, where logs are no "
        "less than -100, and x (1 - x), by which the gradient is divided, no less than 1e-12: the "
        "mean or the sum of all elements, or none of these. With logits it is "
        "binary_cross_entropy_with_logits, which is more exact",
    .samples =
        "unit[3,4] unit[3,4]; unit[3,4] unit[3,4] any[3,4] reduction=sum; unit[2,3] unit[2,3] "
        "any[3] reduction=none",
    .shape = binary_cross_entropy_shape, .forward = binary_cross_entropy_forward,
    .gradient = binary_cross_entropy_rule, .unsaved = PL_UNSAVED_OUT);
