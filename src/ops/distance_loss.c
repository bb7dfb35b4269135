/*
** distance_loss.c: losses between two tensors that are composed of other ops, as the mean, the sum
** or each of their terms.
*/
#include "reduction.h"

static pl_tensor *difference(const pl_args *c) {
  return pl_one_shape(c) ? pl_sub(c->in[0], c->in[1]) : NULL;
}

/*
** Of x - y
*/

static bool mse_loss_decompose(pl_args *c) {
  pl_tensor *d = difference(c);
  return d && pl_reduced(c, pl_square(d), 0);
}

static bool l1_loss_decompose(pl_args *c) {
  pl_tensor *d = difference(c);
  return d && pl_reduced(c, pl_abs(d), 0);
}

/* k (d - k / 2) with k = d limited to [-delta, delta]: d^2 / 2 within, delta (|d| - delta / 2)
 * beyond */
static pl_tensor *huber(pl_tensor *d, double delta) {
  pl_tensor *k = pl_clamp(d, -delta, delta);
  return pl_mul(k, pl_sub(d, pl_affine(k, 0.5, 0)));
}

static bool huber_loss_decompose(pl_args *c) {
  const double delta = c->attr[1].d;
  if (!(delta > 0)) return pl_op_fail(c, "delta is %g, expected more than 0", delta);
  pl_tensor *d = difference(c);
  return d && pl_reduced(c, huber(d, delta), 0);
}

static bool smooth_l1_loss_decompose(pl_args *c) {
  const double beta = c->attr[1].d;
  if (!(beta >= 0)) return pl_op_fail(c, "beta is %g, expected 0 or more", beta);
  pl_tensor *d = difference(c);
  return d && pl_reduced(c, beta > 0 ? pl_affine(huber(d, beta), 1 / beta, 0) : pl_abs(d), 0);
}

#define PAIR "any[3,4] any[3,4]; any[3,4] any[3,4] reduction=sum; any[4] any[4] reduction=none"
PL_OP(mse_loss, .group = PL_GROUP_LOSSES, .inputs = "x y", .attrs = PL_REDUCTION_ATTR,
      .doc = "(x - y)^2: the mean or the sum of all elements, or none of these", .samples = PAIR,
      .decompose = mse_loss_decompose);
PL_OP(l1_loss, .group = PL_GROUP_LOSSES, .inputs = "x y", .attrs = PL_REDUCTION_ATTR,
      .doc = "|x - y|: the mean or the sum of all elements, or none of these", .samples = PAIR,
      .decompose = l1_loss_decompose);
PL_OP(smooth_l1_loss, .group = PL_GROUP_LOSSES, .inputs = "x y",
      .attrs = PL_REDUCTION_ATTR " beta:real=1",
      .doc =
          "with d = |x - y|: d^2 / (2 beta) where d < beta, else d - beta / 2 (Girshick 2015); the "
          "mean or the sum of all elements, or none of these",
      .samples = PAIR "; any[3,4] any[3,4] beta=0.3; any[3] any[3] beta=0",
      .decompose = smooth_l1_loss_decompose);
PL_OP(huber_loss, .group = PL_GROUP_LOSSES, .inputs = "x y",
      .attrs = PL_REDUCTION_ATTR " delta:real=1",
      .doc =
          "with d = |x - y|: d^2 / 2 where d < delta, else delta (d - delta / 2) (Huber 1964); the "
          "mean or the sum of all elements, or none of these",
      .samples = PAIR "; any[3,4] any[3,4] delta=0.3", .decompose = huber_loss_decompose);
#undef PAIR

/*
** Of probabilities
*/

enum { KL_MEAN, KL_BATCHMEAN, KL_SUM, KL_NONE }; /* as in the row's attribute */

/* target log target, which is 0 at 0 */
static pl_tensor *negative_entropy(pl_tensor *target) {
  pl_tensor *some = pl_gt(target, pl_zero());
  return pl_where(some, pl_mul(target, pl_log(pl_where(some, target, pl_one()))), pl_zero());
}

static bool kl_div_decompose(pl_args *c) {
  pl_tensor *x = c->in[0], *target = c->in[1], *p, *terms;
  if (!pl_one_shape(c)) return false;
  if (c->attr[1].i) p = pl_exp(target), terms = pl_mul(p, pl_sub(target, x));
  else terms = pl_sub(negative_entropy(target), pl_mul(target, x));
  if (!terms) return false;
  switch (c->attr[0].i) {
    case KL_MEAN: c->out[0] = pl_mean(terms, PL_ALL_DIMS, false); break;
    case KL_NONE: c->out[0] = terms; break;
    default: c->out[0] = pl_sum(terms, PL_ALL_DIMS, false); /* KL_BATCHMEAN, KL_SUM */
  }
  if (c->attr[0].i == KL_BATCHMEAN)
    c->out[0] = pl_affine(c->out[0], 1 / (double)(x->rank ? x->size[0] : 1), 0);
  return c->out[0] != NULL;
}

PL_OP(kl_div, .group = PL_GROUP_LOSSES, .inputs = "x target",
      .attrs = "reduction:choice(mean|batchmean|sum|none) log_target:bool=false",
      .doc =
          "target (log target - x) of log-probabilities x and probabilities target, or their logs "
          "with log_target: the mean or the sum of all elements, the sum divided by the first size "
          "(batchmean: the Kullback-Leibler divergence), or none of these",
      .samples =
          "any[3,4] unit[3,4]; any[3,4] any[3,4] log_target=true reduction=batchmean; any[3,4] "
          "unit[3,4] reduction=sum; any[4] unit[4] reduction=none",
      .decompose = kl_div_decompose);
/*
** Of directions and distances along a dim
*/

static pl_tensor *dot_along(pl_tensor *a, pl_tensor *b, int64_t dim) {
  return pl_sum(pl_mul(a, b), pl_list(dim), false);
}

static bool cosine_similarity_decompose(pl_args *c) {
  int64_t dim = c->attr[0].i;
  pl_tensor *a = c->in[0], *b = c->in[1];
  if (!pl_need_real(c, 0) || !pl_need_real(c, 1) ||
      !pl_resolve_dim("cosine_similarity", a->rank, &dim))
    return false;
  pl_tensor *least = pl_full(PL_REAL, PL_ALL_DIMS, c->attr[1].d);
  pl_tensor *na = pl_maximum(pl_norm(a, pl_list(dim), false), least),
            *nb = pl_maximum(pl_norm(b, pl_list(dim), false), least);
  return (c->out[0] = pl_div(dot_along(a, b, dim), pl_mul(na, nb))) != NULL;
}

/* The length of a - b + eps along the last dim. */
static pl_tensor *distance(pl_tensor *a, pl_tensor *b, double eps) {
  return pl_norm(pl_affine(pl_sub(a, b), 1, eps), pl_list(-1), false);
}

static bool triplet_margin_loss_decompose(pl_args *c) {
  pl_tensor *anchor = c->in[0], *near = c->in[1], *far = c->in[2];
  const double eps = c->attr[1].d;
  if (!pl_one_shape(c) || !pl_need_real(c, 2)) return false;
  if (!pl_same_size(anchor, far))
    return pl_op_fail(c, "anchor is %s, negative %s; expected one shape", PL_DESCRIBE(anchor),
                      PL_DESCRIBE(far));
  pl_tensor *to_far = distance(anchor, far, eps);
  if (c->attr[2].i) to_far = pl_minimum(to_far, distance(near, far, eps));
  pl_tensor *excess = pl_sub(distance(anchor, near, eps), to_far);
  return excess && pl_reduced(c, pl_relu(pl_affine(excess, 1, c->attr[0].d)), 3);
}

PL_OP(cosine_similarity, .group = PL_GROUP_LOSSES, .inputs = "x y",
      .broadcast = pl_broadcast_inputs, .attrs = "dim:dim=1 eps:real=1e-8",
      .doc =
          "the cosine of the angle between x and y along a dim, which goes away: x y / (|x| |y|), "
          "neither length being less than eps; both broadcast",
      .samples = "any[3,4] any[3,4]; any[3,4] any[4] dim=1; any[4] any[4] dim=-1",
      .decompose = cosine_similarity_decompose);
PL_OP(triplet_margin_loss, .group = PL_GROUP_LOSSES, .inputs = "anchor positive negative",
      .attrs = "margin:real=1 eps:real=1e-6 swap:bool=false " PL_REDUCTION_ATTR,
      .doc =
          "max(|anchor - positive| - |anchor - negative| + margin, 0) with lengths along the last "
          "dim, where eps is added to each difference; swap takes |positive - negative| where that "
          "is less (Balntas, Riba, Ponsa and Mikolajczyk 2016). The mean or the sum of these, or "
          "none",
      .samples =
          "any[3,4] any[3,4] any[3,4]; any[3,4] any[3,4] any[3,4] margin=2 swap=true; any[4] "
          "any[4] any[4] reduction=none; any[3,2] any[3,2] any[3,2] reduction=sum",
      .decompose = triplet_margin_loss_decompose);
