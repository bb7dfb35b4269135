/*
** loss.c: losses, as means over the batch unless they are asked for otherwise. Sums over the
** batch are made in double precision and in order.
*/
#include <math.h>

#include "ops.h"

/*
** cross_entropy: with q = (1 - s) one_hot + s / C, the mean over rows of - sum q log softmax(x).
** Kept for the gradient: x itself and, of each row, the largest logit m and log sum exp(x - m): one
** number for both would lose what is small beside a large m.
*/

static bool cross_entropy_shape(pl_args *c) {
  if (!pl_need_real(c, 0) || !pl_need_rank(c, 0, 2)) return false;
  const pl_tensor *x = c->in[0], *labels = c->in[1];
  double s = c->attr[0].d;
  if (labels->dtype != PL_INT32 || labels->rank != 1 || labels->size[0] != x->size[0])
    return pl_op_fail(c, "labels are %s, expected int32[%lld] for logits %s", PL_DESCRIBE(labels),
                      (long long)x->size[0], PL_DESCRIBE(x));
  if (!x->size[0]) return pl_op_fail(c, "the batch is empty: logits are %s", PL_DESCRIBE(x));
  if (!(s >= 0 && s <= 1)) return pl_op_fail(c, "label_smoothing %g is not within 0 and 1", s);
  for (int64_t i = 0; i < x->size[0]; i++) {
    double v = pl_at(labels, i);
    if (v < 1 || v > (double)x->size[1])
      return pl_op_fail(c, "label %g at position %lld is not within 1 and %lld", v,
                        (long long)i + 1, (long long)x->size[1]);
  }
  return pl_out(c, 0, PL_REAL, PL_ALL_DIMS);
}

static double row_loss(int64_t n, const pl_real *x, int32_t label, double s, pl_real *max,
                       pl_real *log_sum) {
  const double log_s = PL_KERNELS(softmax)->log_sum(n, x, max);
  const double loss = log_s - ((double)x[label - 1] - (double)*max);
  *log_sum = (pl_real)log_s;
  if (s == 0) return loss;
  const double mean = PL_KERNELS(reduce)->sum(n, x) / (double)n - (double)*max;
  return (1 - s) * loss + s * (log_s - mean);
}

static bool cross_entropy_forward(pl_args *c) {
  pl_tensor *x = pl_contiguous(c->in[0]), *labels = pl_contiguous(c->in[1]);
  if (!x || !labels || !pl_save(c, 0, pl_empty(PL_REAL, pl_list(x->size[0]))) ||
      !pl_save(c, 1, pl_empty(PL_REAL, pl_list(x->size[0]))))
    return false;
  pl_real *max = pl_reals(c->saved[0]), *log_sum = pl_reals(c->saved[1]);
  int64_t rows = x->size[0], n = x->size[1];
  double *loss = pl_scratch((size_t)rows * sizeof *loss), total = 0;
  if (!loss) return false;
#pragma omp parallel for schedule(static) if (rows * n > PL_GRAIN / 4)
  for (int64_t r = 0; r < rows; r++)
    loss[r] =
        row_loss(n, pl_reals(x) + r * n, pl_int32s(labels)[r], c->attr[0].d, max + r, log_sum + r);
  for (int64_t r = 0; r < rows; r++) total += loss[r];
  pl_reals(c->out[0])[0] = (pl_real)(total / (double)rows);
  pl_scratch_free(loss);
  return true;
}

/* (softmax - q) g / rows, in one pass */
static bool cross_entropy_fused(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                                pl_tensor **gin) {
  (void)needs_grad;
  pl_tensor *x = pl_contiguous(c->in[0]), *labels = pl_contiguous(c->in[1]);
  if (!x || !labels || !(gin[0] = pl_empty(PL_REAL, pl_size(x)))) return false;
  int64_t rows = x->size[0], n = x->size[1];
  const double g = pl_at(gout[0], 0) / (double)rows, s = c->attr[0].d;
  const pl_real *max = pl_reals(c->saved[0]), *log_sum = pl_reals(c->saved[1]);
#pragma omp parallel for schedule(static) if (rows * n > PL_GRAIN / 4)
  for (int64_t r = 0; r < rows; r++) {
    pl_real *out = pl_reals(gin[0]) + r * n;
    PL_KERNELS(softmax)->exp_shift(n, out, pl_reals(x) + r * n, -max[r],
                                   (pl_real)(g * exp(-(double)log_sum[r])),
                                   (pl_real)(-g * s / (double)n));
    out[pl_int32s(labels)[r] - 1] -= (pl_real)(g * (1 - s));
  }
  return true;
}

static bool cross_entropy_decompose(pl_args *c) {
  pl_tensor *logp = pl_log_softmax(c->in[0], 1);
  pl_tensor *index = pl_reshape(c->in[1], pl_list(-1, 1));
  double s = c->attr[0].d;
  pl_tensor *right = pl_neg(pl_mean(pl_gather(logp, index, 1), PL_ALL_DIMS, false));
  c->out[0] = right;
  if (s != 0) {
    pl_tensor *all = pl_neg(pl_mean(logp, PL_ALL_DIMS, false));
    c->out[0] = pl_add(pl_affine(right, 1 - s, 0), pl_affine(all, s, 0));
  }
  return c->out[0] != NULL;
}

PL_OP(
    cross_entropy, .group = PL_GROUP_LOSSES, .inputs = "logits labels",
    .attrs = "label_smoothing:real=0",
    .doc =
        "the mean over the batch of -log softmax(logits) at the labels; logits [n,c], labels int32 "
        "[n] "
        "from 1. label_smoothing s takes s/c from each class (Szegedy et al. 2016)",
    .samples = "any[3,4] index4[3]; any[3,4] index4[3] label_smoothing=0.1",
    .shape = cross_entropy_shape, .forward = cross_entropy_forward,
    .decompose = cross_entropy_decompose, .fused_gradient = cross_entropy_fused,
    .unsaved = PL_UNSAVED_OUT);

/*
** binary_cross_entropy_with_logits: softplus(x) - x y, computed as max(x, 0) - x y +
** log(1 + exp(-|x|)), which is exact where the logits are huge. Sums are made of pieces in one
** pass: of rows where these are asked for, else of PIECE numbers.
*/

enum { BCE_MEAN, BCE_SUM, BCE_ROWS, BCE_NONE }; /* as in the row's attribute */
enum { PIECE = 4096 };

static bool bce_shape(pl_args *c) {
  if (!pl_need_real(c, 0) || !pl_need_real(c, 1)) return false;
  const pl_tensor *x = c->in[0], *y = c->in[1];
  int64_t reduction = c->attr[0].i;
  if (!pl_same_size(x, y))
    return pl_op_fail(c, "logits are %s, target %s; expected one shape", PL_DESCRIBE(x),
                      PL_DESCRIBE(y));
  if (reduction == BCE_ROWS && !x->rank)
    return pl_op_fail(c, "logits are %s, which has no rows", PL_DESCRIBE(x));
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

static bool bce_forward(pl_args *c) {
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

static bool bce_decompose(pl_args *c) {
  pl_tensor *loss = pl_sub(pl_softplus(c->in[0]), pl_mul(c->in[0], c->in[1]));
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

PL_OP(
    binary_cross_entropy_with_logits, .group = PL_GROUP_LOSSES, .inputs = "logits target",
    .attrs = "reduction:choice(mean|sum|rows|none)",
    .doc =
        "-target log p - (1 - target) log(1 - p) with p = sigmoid(logits), both of one shape, also "
        "for huge logits: the mean or the sum of all elements, the sum of each row (over all dims "
        "but the first), or none of these",
    .samples =
        "any[3,4] any[3,4]; any[3,4] any[3,4] reduction=sum; any[3,2,2] any[3,2,2] reduction=rows; "
        "any[4] any[4] reduction=rows; any[3,4] any[3,4] reduction=none",
    .shape = bce_shape, .forward = bce_forward, .decompose = bce_decompose,
    .fused_gradient = bce_fused, .unsaved = PL_UNSAVED_OUT);
