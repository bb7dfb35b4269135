/*
** class_loss.c: losses of classes, whose numbers are labels from 1: cross_entropy and nll_loss.
*/
#include <math.h>
#include <string.h>

#include "reduction.h"

/*
** Labels: which class each position has, and what it weighs
*/

/* Labels as positions in x [n,c,...], those to ignore as 1; whether each counts (uint8); and the
 * weight of its class, 0 if it does not. */
typedef struct {
  pl_tensor *at, *counts, *weight;
} labelled;

static bool check_label(const pl_args *c, double v, int64_t i, int64_t classes) {
  if (v >= 1 && v <= (double)classes) return true;
  return pl_op_fail(c, "label %g at position %lld is not within 1 and %lld", v, (long long)i + 1,
                    (long long)classes);
}

/* Fails if a label is no class and not to ignore. */
static bool check_labels(const pl_args *c, int64_t ignore) {
  const pl_tensor *labels = c->in[1];
  const int64_t n = pl_numel(labels), classes = c->in[0]->size[1];
  for (int64_t i = 0; i < n; i++) {
    const double v = pl_at(labels, i);
    if (!pl_goes_on(i)) return false;
    if (v != (double)ignore && !check_label(c, v, i, classes)) return false;
  }
  return true;
}

static bool read_labels(const pl_args *c, int64_t ignore, labelled *l) {
  const pl_ints size = pl_size(c->in[1]);
  *l = (labelled){pl_empty(PL_INT32, size), pl_empty(PL_UINT8, size), NULL};
  if (!l->at || !l->counts) return false;
  for (int64_t i = 0; i < pl_numel(l->at); i++) {
    const double v = pl_at(c->in[1], i);
    const bool counts = v != (double)ignore;
    pl_int32s(l->at)[i] = counts ? (int32_t)v : 1;
    pl_uint8s(l->counts)[i] = counts;
  }
  pl_tensor *w = pl_one();
  if (c->in[2]) w = pl_reshape(pl_index_select(c->in[2], pl_reshape(l->at, pl_list(-1)), 0), size);
  return (l->weight = pl_where(l->counts, w, pl_zero())) != NULL;
}

static bool check_weight(const pl_args *c) {
  const pl_tensor *x = c->in[0], *weight = c->in[2];
  if (!weight || (weight->dtype == PL_REAL && weight->rank == 1 && weight->size[0] == x->size[1]))
    return true;
  return pl_op_fail(c, "weight is %s, expected real[%lld], one for each class", PL_DESCRIBE(weight),
                    (long long)x->size[1]);
}

/* The terms, to which only what counts contributes, reduced; a mean is that by weight. */
static pl_tensor *reduced_by_weight(pl_tensor *terms, const labelled *l, int64_t reduction) {
  terms = pl_where(l->counts, terms, pl_zero()); /* what does not count may be infinite */
  if (reduction == PL_NONE_REDUCED) return terms;
  pl_tensor *sum = pl_sum(terms, PL_ALL_DIMS, false);
  return reduction == PL_SUM ? sum : pl_div(sum, pl_sum(l->weight, PL_ALL_DIMS, false));
}

/* -weight x at the labels, reduced */
static pl_tensor *negative_likelihood(pl_tensor *x, const labelled *l, int64_t reduction) {
  pl_tensor *right = pl_squeeze(pl_gather(x, pl_unsqueeze(l->at, 1), 1), pl_list(1));
  right = pl_where(l->counts, right, pl_zero());
  return reduced_by_weight(pl_neg(pl_mul(l->weight, right)), l, reduction);
}

/*
** nll_loss: x [n,c,...], labels [n,...]
*/

static bool nll_shapes(const pl_args *c) {
  const pl_tensor *x = c->in[0], *labels = c->in[1];
  if (!pl_need_real(c, 0)) return false;
  if (x->rank < 2 || labels->dtype != PL_INT32 || labels->rank != x->rank - 1)
    return pl_op_fail(c, "x is %s, labels %s; expected real[n,c,...] and int32[n,...]",
                      PL_DESCRIBE(x), PL_DESCRIBE(labels));
  const pl_ints size = pl_without(pl_size(x), 1, false);
  for (int d = 0; d < size.n; d++)
    if (labels->size[d] != size.v[d])
      return pl_op_fail(c, "labels are %s for x %s", PL_DESCRIBE(labels), PL_DESCRIBE(x));
  return check_weight(c);
}

static bool nll_loss_decompose(pl_args *c) {
  const int64_t ignore = c->attr[0].i;
  labelled l;
  if (!nll_shapes(c) || !check_labels(c, ignore) || !read_labels(c, ignore, &l)) return false;
  return (c->out[0] = negative_likelihood(c->in[0], &l, c->attr[1].i)) != NULL;
}

PL_OP(nll_loss, .group = PL_GROUP_LOSSES, .inputs = "x labels weight?",
      .attrs = "ignore_index:int=-100 " PL_REDUCTION_ATTR,
      .doc =
          "-weight x at the labels (int32 [n,...] from 1) of log-probabilities x [n,c,...], weight "
          "[c] being that of each class, and nothing where the label is ignore_index: the sum "
          "divided by that of the weights (mean), the sum, or none of these",
      .onnx = "refuse 'the labels that count are counted'",
      .samples =
          "any[3,4] index4[3]; any[3,4] index4[3] constpos[4]; any[3,4] index4[3] ignore_index=2 "
          "reduction=sum; any[2,3,4] index3[2,4] reduction=none",
      .decompose = nll_loss_decompose);

/*
** cross_entropy: with q = (1 - s) one_hot + s / C, or q = (1 - s) target + s / C, the mean over rows
** of - sum weight q log softmax(x). Rows of logits [n,c] with labels and without weights have
** kernels; all else is composed. Kept for the gradient: x itself and, of each row, the largest logit
** m and log sum exp(x - m): one number for both would lose what is small beside a large m.
*/

enum { SMOOTHING, IGNORE, REDUCTION }; /* the attributes */

static bool has_labels(const pl_args *c) { return c->in[1]->dtype == PL_INT32; }
static bool has_kernel(const pl_args *c) {
  return c->in[0]->rank == 2 && has_labels(c) && !c->in[2];
}

static bool check_target(const pl_args *c) {
  const pl_tensor *x = c->in[0], *target = c->in[1];
  const pl_ints size = pl_without(pl_size(x), 1, false);
  bool good = has_labels(c) && target->rank == size.n;
  for (int d = 0; good && d < size.n; d++) good = target->size[d] == size.v[d];
  if (good || (target->dtype == PL_REAL && pl_same_size(x, target))) return true;
  pl_tensor expected = {.dtype = PL_INT32, .rank = size.n};
  for (int d = 0; d < size.n; d++) expected.size[d] = size.v[d];
  return pl_op_fail(c, "labels are %s, expected %s, or probabilities %s, for logits %s",
                    PL_DESCRIBE(target), PL_DESCRIBE(&expected), PL_DESCRIBE(x), PL_DESCRIBE(x));
}

static bool cross_entropy_shape(pl_args *c) {
  if (!pl_need_real(c, 0)) return false;
  const pl_tensor *x = c->in[0];
  const double s = c->attr[SMOOTHING].d;
  if (x->rank < 2) return pl_op_fail(c, "logits are %s, expected [n,c,...]", PL_DESCRIBE(x));
  if (!check_target(c) || !check_weight(c)) return false;
  if (!pl_numel(x)) return pl_op_fail(c, "the batch is empty: logits are %s", PL_DESCRIBE(x));
  if (!(s >= 0 && s <= 1)) return pl_op_fail(c, "label_smoothing %g is not within 0 and 1", s);
  if (has_labels(c) && !check_labels(c, c->attr[IGNORE].i)) return false;
  if (!has_labels(c) && c->attr[IGNORE].i >= 0)
    return pl_op_fail(c, "ignore_index is for labels, and these are probabilities");
  if (!has_kernel(c)) return true;
  const bool each = c->attr[REDUCTION].i == PL_NONE_REDUCED;
  return pl_out(c, 0, PL_REAL, each ? pl_list(x->size[0]) : PL_ALL_DIMS);
}

/*
** By composition
*/

/* x [n,c,...] as rows [m,c] */
static pl_tensor *as_rows(pl_tensor *x) {
  pl_ints order = {x->rank, {0}};
  for (int d = 1; d < x->rank - 1; d++) order.v[d] = d + 1;
  order.v[x->rank - 1] = 1;
  const int64_t classes = x->size[1];
  return pl_reshape(pl_permute(x, order), pl_list(pl_numel(x) / classes, classes));
}

/* logits [n,c,...] with more dims: the same of all their rows */
static pl_tensor *of_rows(const pl_args *c) {
  pl_tensor *target = has_labels(c) ? pl_reshape(c->in[1], pl_list(-1)) : as_rows(c->in[1]);
  pl_tensor *y = pl_cross_entropy(as_rows(c->in[0]), target, c->in[2], c->attr[SMOOTHING].d,
                                  c->attr[IGNORE].i, (int)c->attr[REDUCTION].i);
  if (c->attr[REDUCTION].i != PL_NONE_REDUCED) return y;
  return pl_reshape(y, pl_without(pl_size(c->in[0]), 1, false));
}

/* -sum over the classes of weight q logp; q NULL: 1 */
static pl_tensor *expectation(const pl_args *c, pl_tensor *q, pl_tensor *logp) {
  pl_tensor *terms = q ? pl_mul(q, logp) : logp;
  if (c->in[2]) terms = pl_mul(terms, c->in[2]);
  return pl_neg(pl_sum(terms, pl_list(1), false));
}

/* Logits that do not count may be NaN. */
static pl_tensor *of_labels(const pl_args *c) {
  pl_tensor *x = c->in[0];
  const double s = c->attr[SMOOTHING].d, classes = (double)x->size[1];
  const int64_t reduction = c->attr[REDUCTION].i;
  labelled l;
  if (!read_labels(c, c->attr[IGNORE].i, &l)) return NULL;
  pl_tensor *logp = pl_log_softmax(pl_where(pl_unsqueeze(l.counts, 1), x, pl_zero()), 1);
  pl_tensor *right = negative_likelihood(logp, &l, reduction);
  if (s == 0) return right;
  pl_tensor *all = reduced_by_weight(expectation(c, NULL, logp), &l, reduction);
  return pl_add(pl_affine(right, 1 - s, 0), pl_affine(all, s / classes, 0));
}

static bool of_probabilities(pl_args *c) {
  pl_tensor *x = c->in[0], *q = c->in[1];
  const double s = c->attr[SMOOTHING].d, classes = (double)x->size[1];
  if (s != 0) q = pl_affine(q, 1 - s, s / classes);
  return pl_reduced(c, expectation(c, q, pl_log_softmax(x, 1)), REDUCTION);
}

static bool cross_entropy_decompose(pl_args *c) {
  if (c->in[0]->rank > 2) return (c->out[0] = of_rows(c)) != NULL;
  if (!has_labels(c)) return of_probabilities(c);
  return (c->out[0] = of_labels(c)) != NULL;
}

/*
** By kernels
*/

static double row_loss(int64_t n, const pl_real *x, int32_t label, double s, pl_real *max,
                       pl_real *log_sum) {
  const double log_s = PL_KERNELS(softmax)->log_sum(n, x, max);
  const double loss = log_s - ((double)x[label - 1] - (double)*max);
  *log_sum = (pl_real)log_s;
  if (s == 0) return loss;
  const double mean = PL_KERNELS(reduce)->sum(n, x) / (double)n - (double)*max;
  return (1 - s) * loss + s * (log_s - mean);
}

/* How many labels count. */
static double counted(const pl_tensor *labels, int64_t ignore) {
  int64_t n = 0;
  for (int64_t i = 0; i < labels->size[0]; i++) n += pl_int32s(labels)[i] != ignore;
  return (double)n;
}

static void reduce_rows(const pl_args *c, const pl_tensor *labels, const double *loss) {
  const int64_t rows = labels->size[0];
  pl_real *out = pl_reals(c->out[0]);
  double total = 0;
  if (c->attr[REDUCTION].i == PL_NONE_REDUCED) {
    for (int64_t r = 0; r < rows; r++) out[r] = (pl_real)loss[r];
    return;
  }
  for (int64_t r = 0; r < rows; r++) total += loss[r];
  if (c->attr[REDUCTION].i == PL_MEAN) total /= counted(labels, c->attr[IGNORE].i);
  out[0] = (pl_real)total;
}

static bool cross_entropy_forward(pl_args *c) {
  if (!has_kernel(c)) return cross_entropy_decompose(c);
  pl_tensor *x = pl_contiguous(c->in[0]), *labels = pl_contiguous(c->in[1]);
  if (!x || !labels || !pl_save(c, 0, pl_empty(PL_REAL, pl_list(x->size[0]))) ||
      !pl_save(c, 1, pl_empty(PL_REAL, pl_list(x->size[0]))))
    return false;
  pl_real *max = pl_reals(c->saved[0]), *log_sum = pl_reals(c->saved[1]);
  const int64_t rows = x->size[0], n = x->size[1], ignore = c->attr[IGNORE].i;
  double *loss = pl_scratch((size_t)rows * sizeof *loss);
  if (!loss) return false;
#pragma omp parallel for schedule(static) if (rows * n > PL_GRAIN / 4)
  for (int64_t r = 0; r < rows; r++) {
    const int32_t label = pl_int32s(labels)[r];
    loss[r] = label == ignore ? 0
                              : row_loss(n, pl_reals(x) + r * n, label, c->attr[SMOOTHING].d,
                                         max + r, log_sum + r);
  }
  reduce_rows(c, labels, loss);
  pl_scratch_free(loss);
  return true;
}

/* (softmax - q) g, in one pass */
static void row_gradient(const pl_args *c, int64_t n, int64_t r, int32_t label, double g,
                         const pl_real *x, pl_real *out) {
  const double s = c->attr[SMOOTHING].d;
  const pl_real max = pl_reals(c->saved[0])[r], log_sum = pl_reals(c->saved[1])[r];
  PL_KERNELS(softmax)->exp_shift(n, out, x, -max, (pl_real)(g * exp(-(double)log_sum)),
                                 (pl_real)(-g * s / (double)n));
  out[label - 1] -= (pl_real)(g * (1 - s));
}

static bool cross_entropy_fused(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                                pl_tensor **gin) {
  (void)needs_grad;
  pl_tensor *x = pl_contiguous(c->in[0]), *labels = pl_contiguous(c->in[1]),
            *g = pl_contiguous(gout[0]);
  if (!x || !labels || !g || !(gin[0] = pl_empty(PL_REAL, pl_size(x)))) return false;
  const int64_t rows = x->size[0], n = x->size[1], ignore = c->attr[IGNORE].i;
  const bool each = c->attr[REDUCTION].i == PL_NONE_REDUCED;
  const double divisor = c->attr[REDUCTION].i == PL_MEAN ? counted(labels, ignore) : 1;
#pragma omp parallel for schedule(static) if (rows * n > PL_GRAIN / 4)
  for (int64_t r = 0; r < rows; r++) {
    const int32_t label = pl_int32s(labels)[r];
    pl_real *out = pl_reals(gin[0]) + r * n;
    if (label == ignore) memset(out, 0, (size_t)n * sizeof *out);
    else
      row_gradient(c, n, r, label, (double)pl_reals(g)[each ? r : 0] / divisor, pl_reals(x) + r * n,
                   out);
  }
  return true;
}

PL_OP(
    cross_entropy, .group = PL_GROUP_LOSSES, .inputs = "logits labels weight?",
    .attrs = "label_smoothing:real=0 ignore_index:int=-100 " PL_REDUCTION_ATTR,
    .doc =
        "-weight log softmax(logits) at the labels, of logits [n,c,...]: labels are int32 [n,...] "
        "from 1, where those equal to ignore_index do not count, or probabilities [n,c,...] of "
        "the classes; weight [c] is that of each class. label_smoothing s takes s/c from each "
        "class (Szegedy et al. 2016). The sum divided by that of the weights at the labels, or by "
        "the number of rows of probabilities (mean), the sum, or none of these",
    .onnx = "refuse 'the labels that count are counted'",
    .samples =
        "any[3,4] index4[3]; any[3,4] index4[3] label_smoothing=0.1; any[3,4] index4[3] "
        "ignore_index=2 reduction=none; any[3,4] index4[3] constpos[4] label_smoothing=0.1 "
        "ignore_index=2; any[3,4] unit[3,4] constpos[4] label_smoothing=0.1; any[2,3,4] "
        "index3[2,4] reduction=none; any[2,3,2] unit[2,3,2] reduction=sum",
    .shape = cross_entropy_shape, .forward = cross_entropy_forward,
    .decompose = cross_entropy_decompose, .fused_gradient = cross_entropy_fused,
    .unsaved = PL_UNSAVED_OUT);
