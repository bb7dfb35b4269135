/*
** norm.c: batch normalisation and dropout.
*/
#include <math.h>

#include "ops.h"

/*
** batch_norm (Ioffe and Szegedy 2015): y = act((x - mean) / sqrt(var + eps) * weight + bias)
** for each channel, dim 2 of x. Kept for the gradient: mean and 1 / sqrt(var + eps). In
** training mode these are the batch's, and the running statistics move towards them.
*/

enum { X, WEIGHT, BIAS, RUNNING_MEAN, RUNNING_VAR };
enum { TRAINING, MOMENTUM, EPS, ACTIVATION, SLOPE };

/* x as [n, c, inner]. */
typedef struct {
  int64_t n, c, inner, count; /* count: elements of a channel */
} layout;

static layout layout_of(const pl_tensor *x) {
  layout l = {x->size[0], x->size[1], 1, 0};
  for (int d = 2; d < x->rank; d++) l.inner *= x->size[d];
  l.count = l.n * l.inner;
  return l;
}

static bool check_channels(const pl_args *c, int i) {
  const pl_tensor *t = c->in[i], *x = c->in[X];
  if (!t || (t->kind == PL_REAL && t->rank == 1 && t->size[0] == x->size[1])) return true;
  return pl_op_fail(c, "%s is %s, expected real[%lld] for x %s",
                    pl_input_name(c->op, i, (char[32]){0}, 32), PL_DESCRIBE(t),
                    (long long)x->size[1], PL_DESCRIBE(x));
}

static bool batch_norm_shape(pl_args *c) {
  const pl_tensor *x = c->in[X];
  if (!pl_need_real(c, X)) return false;
  if (x->rank < 2) return pl_op_fail(c, "x is %s, expected at least 2 dims", PL_DESCRIBE(x));
  for (int i = WEIGHT; i <= RUNNING_VAR; i++)
    if (!check_channels(c, i)) return false;
  bool training = c->attr[TRAINING].i;
  if (!training && (!c->in[RUNNING_MEAN] || !c->in[RUNNING_VAR]))
    return pl_op_fail(c, "running_mean and running_var are needed outside of training");
  if (training && layout_of(x).count < 2)
    return pl_op_fail(c, "training needs more than one value a channel, x is %s", PL_DESCRIBE(x));
  return pl_check_slope(c, c->attr[ACTIVATION].i, c->attr[SLOPE].d) &&
         pl_out(c, 0, PL_REAL, pl_size(x));
}

/* Sums of one channel over all images. */
static double channel_sum(layout l, const pl_real *x, int64_t k) {
  double sum = 0;
  for (int64_t i = 0; i < l.n; i++) sum += PL_MATH->sum(l.inner, x + (i * l.c + k) * l.inner);
  return sum;
}

static double channel_squares(layout l, const pl_real *x, int64_t k, pl_real mean) {
  double sum = 0;
  for (int64_t i = 0; i < l.n; i++)
    sum += PL_MATH->sum_squares_about(l.inner, x + (i * l.c + k) * l.inner, mean);
  return sum;
}

/* Features without further dims lie side by side: all channels at once, row by row. */
static bool feature_statistics(layout l, const pl_real *x, pl_real *mean, pl_real *var) {
  double *sum = pl_scratch((size_t)PL_MAX(l.c, 1) * sizeof *sum);
  if (!sum) return false;
  for (int64_t k = 0; k < l.c; k++) sum[k] = 0;
  for (int64_t i = 0; i < l.n; i++)
    for (int64_t k = 0; k < l.c; k++) sum[k] += (double)x[i * l.c + k];
  for (int64_t k = 0; k < l.c; k++) mean[k] = (pl_real)(sum[k] / (double)l.n), sum[k] = 0;
  for (int64_t i = 0; i < l.n; i++)
    for (int64_t k = 0; k < l.c; k++) {
      double d = (double)(x[i * l.c + k] - mean[k]);
      sum[k] += d * d;
    }
  for (int64_t k = 0; k < l.c; k++) var[k] = (pl_real)(sum[k] / (double)l.n);
  pl_scratch_free(sum);
  return true;
}

static bool statistics(layout l, const pl_real *x, pl_real *mean, pl_real *var) {
  if (l.inner == 1) return feature_statistics(l, x, mean, var);
#pragma omp parallel for schedule(static) if (l.c * l.count > PL_GRAIN)
  for (int64_t k = 0; k < l.c; k++) {
    mean[k] = (pl_real)(channel_sum(l, x, k) / (double)l.count);
    var[k] = (pl_real)(channel_squares(l, x, k, mean[k]) / (double)l.count);
  }
  return true;
}

static void move(pl_tensor *running, int64_t k, double momentum, double value) {
  pl_real *r = running ? pl_reals(running) + k * running->stride[0] : NULL;
  if (r) *r = (pl_real)((1 - momentum) * (double)*r + momentum * value);
}

/*
** The running variance is the unbiased one, as PyTorch keeps it. No gradient of a training
** call looks at these values, so this change in place is not counted: otherwise a network
** could not be called twice before its gradient is taken.
*/
static void move_running(const pl_args *c, layout l, const pl_real *mean, const pl_real *var) {
  double m = c->attr[MOMENTUM].d, unbiased = (double)l.count / (double)(l.count - 1);
  for (int64_t k = 0; k < l.c; k++) {
    move(c->in[RUNNING_MEAN], k, m, (double)mean[k]);
    move(c->in[RUNNING_VAR], k, m, (double)var[k] * unbiased);
  }
}

static pl_real channel_value(const pl_tensor *t, int64_t k, pl_real absent) {
  return t ? pl_reals(t)[k * t->stride[0]] : absent;
}

/* y = act(x * scale[k] + shift[k]) */
static void scale_channels(layout l, const pl_real *x, const pl_real *scale, const pl_real *shift,
                           pl_real slope, pl_real *y) {
  if (l.inner == 1) {
    for (int64_t i = 0; i < l.n; i++)
      for (int64_t k = 0; k < l.c; k++) {
        pl_real v = x[i * l.c + k] * scale[k] + shift[k];
        y[i * l.c + k] = !(v < 0) ? v : slope == 0 ? 0 : v * slope;
      }
    return;
  }
#pragma omp parallel for schedule(static) if (l.c * l.count > PL_GRAIN)
  for (int64_t p = 0; p < l.n * l.c; p++)
    PL_MATH->scale_shift(l.inner, y + p * l.inner, x + p * l.inner, scale[p % l.c], shift[p % l.c],
                         slope);
}

static bool batch_norm_forward(pl_args *c) {
  pl_tensor *x = pl_packed(c->in[X]);
  pl_ints channels = pl_list(c->in[X]->size[1]);
  pl_tensor *mean = pl_empty(PL_REAL, channels), *rstd = pl_empty(PL_REAL, channels);
  pl_tensor *scale = pl_empty(PL_REAL, channels), *shift = pl_empty(PL_REAL, channels);
  if (!x || !shift) return false;
  layout l = layout_of(x);
  pl_real *m = pl_reals(mean), *r = pl_reals(rstd);
  if (c->attr[TRAINING].i) {
    if (!statistics(l, pl_reals(x), m, r)) return false;
    move_running(c, l, m, r);
  }
  for (int64_t k = 0; k < l.c; k++) {
    if (!c->attr[TRAINING].i) {
      m[k] = channel_value(c->in[RUNNING_MEAN], k, 0);
      r[k] = channel_value(c->in[RUNNING_VAR], k, 1);
    }
    r[k] = (pl_real)(1 / sqrt((double)r[k] + c->attr[EPS].d));
    pl_reals(scale)[k] = r[k] * channel_value(c->in[WEIGHT], k, 1);
    pl_reals(shift)[k] = channel_value(c->in[BIAS], k, 0) - m[k] * pl_reals(scale)[k];
  }
  pl_real slope = (pl_real)pl_act_slope(c->attr[ACTIVATION].i, c->attr[SLOPE].d);
  scale_channels(l, pl_reals(x), pl_reals(scale), pl_reals(shift), slope, pl_reals(c->out[0]));
  return pl_save(c, 0, mean) && pl_save(c, 1, rstd);
}

/* Sums of g and of g (x - mean) rstd over each channel: the gradients of bias and weight. */
static void channel_dots(layout l, const pl_real *g, const pl_real *x, const pl_real *mean,
                         const pl_real *rstd, pl_real *gbias, pl_real *gweight) {
#pragma omp parallel for schedule(static) if (l.c * l.count > PL_GRAIN)
  for (int64_t k = 0; k < l.c; k++) {
    double sum = 0, dot = 0;
    for (int64_t i = 0; i < l.n; i++) {
      int64_t at = (i * l.c + k) * l.inner;
      double s = PL_MATH->sum(l.inner, g + at);
      sum += s;
      dot += PL_MATH->dot_about(l.inner, g + at, x + at, mean[k]);
    }
    gbias[k] = (pl_real)sum;
    gweight[k] = (pl_real)(dot * (double)rstd[k]);
  }
}

static void feature_dots(layout l, const pl_real *g, const pl_real *x, const pl_real *mean,
                         const pl_real *rstd, pl_real *gbias, pl_real *gweight) {
  for (int64_t k = 0; k < l.c; k++) gbias[k] = gweight[k] = 0;
  for (int64_t i = 0; i < l.n; i++)
    for (int64_t k = 0; k < l.c; k++) {
      pl_real v = g[i * l.c + k];
      gbias[k] += v;
      gweight[k] += v * (x[i * l.c + k] - mean[k]) * rstd[k];
    }
}

/* gx = a[k] g + b[k] x + d[k] */
static void blend_channels(layout l, const pl_real *g, const pl_real *x, const pl_real *a,
                           const pl_real *b, const pl_real *d, pl_real *gx) {
  if (l.inner == 1) {
    for (int64_t i = 0; i < l.n; i++)
      for (int64_t k = 0; k < l.c; k++)
        gx[i * l.c + k] = a[k] * g[i * l.c + k] + b[k] * x[i * l.c + k] + d[k];
    return;
  }
#pragma omp parallel for schedule(static) if (l.c * l.count > PL_GRAIN)
  for (int64_t p = 0; p < l.n * l.c; p++)
    PL_MATH->blend(l.inner, gx + p * l.inner, g + p * l.inner, x + p * l.inner, a[p % l.c],
                   b[p % l.c], d[p % l.c]);
}

static bool batch_norm_fast(const pl_args *c, pl_tensor *const *gout, unsigned need,
                            pl_tensor **gin) {
  pl_tensor *x = pl_packed(c->in[X]), *g = gout[0];
  if (c->attr[ACTIVATION].i != PL_NONE)
    g = pl_act_grad(g, c->out[0], pl_act_slope(c->attr[ACTIVATION].i, c->attr[SLOPE].d));
  g = pl_packed(g);
  if (!x || !g) return false;
  layout l = layout_of(x);
  pl_ints channels = pl_list(l.c);
  pl_tensor *gw = pl_empty(PL_REAL, channels), *gb = pl_empty(PL_REAL, channels);
  pl_tensor *factors = pl_empty(PL_REAL, pl_list(3, l.c));
  if (!factors) return false;
  const pl_real *mean = pl_reals(c->saved[0]), *rstd = pl_reals(c->saved[1]);
  (l.inner == 1 ? feature_dots : channel_dots)(l, pl_reals(g), pl_reals(x), mean, rstd,
                                               pl_reals(gb), pl_reals(gw));
  if (need >> WEIGHT & 1) gin[WEIGHT] = gw;
  if (need >> BIAS & 1) gin[BIAS] = gb;
  if (!(need & 1)) return true;
  pl_real *a = pl_reals(factors), *b = a + l.c, *d = b + l.c;
  for (int64_t k = 0; k < l.c; k++) {
    pl_real n = (pl_real)l.count, training = c->attr[TRAINING].i ? 1 : 0;
    a[k] = channel_value(c->in[WEIGHT], k, 1) * rstd[k];
    b[k] = -training * a[k] * rstd[k] * pl_reals(gw)[k] / n;
    d[k] = -training * a[k] * pl_reals(gb)[k] / n - b[k] * mean[k];
  }
  if (!(gin[X] = pl_empty(PL_REAL, pl_size(x)))) return false;
  blend_channels(l, pl_reals(g), pl_reals(x), a, b, d, pl_reals(gin[X]));
  return true;
}

pl_tensor *pl_over_channels(pl_tensor *t, const pl_tensor *x) {
  pl_ints size = {.n = x->rank};
  for (int d = 0; d < x->rank; d++) size.v[d] = d == 1 ? x->size[1] : 1;
  return t ? pl_reshape(t, size) : NULL;
}

static bool batch_norm_compose(pl_args *c) {
  pl_tensor *x = c->in[X], *mean, *var, *w = c->in[WEIGHT], *b = c->in[BIAS];
  pl_ints dims = {0};
  for (int d = 0; d < x->rank; d++)
    if (d != 1) dims.v[dims.n++] = d;
  bool training = c->attr[TRAINING].i;
  mean = training ? pl_mean(x, dims, true) : pl_over_channels(c->in[RUNNING_MEAN], x);
  pl_tensor *centred = pl_sub(x, mean);
  var =
      training ? pl_mean(pl_square(centred), dims, true) : pl_over_channels(c->in[RUNNING_VAR], x);
  pl_tensor *y = pl_div(centred, pl_sqrt(pl_affine(var, 1, c->attr[EPS].d)));
  if (w) y = pl_mul(y, pl_over_channels(w, x));
  if (b) y = pl_add(y, pl_over_channels(b, x));
  if (c->attr[ACTIVATION].i == PL_RELU) y = pl_relu(y);
  if (c->attr[ACTIVATION].i == PL_LEAKY_RELU) y = pl_leaky_relu(y, c->attr[SLOPE].d);
  c->out[0] = y;
  return y != NULL;
}

#define BN_IN "any[3,2,2,2] any[2] any[2] const[2] constpos[2]"
static const pl_op op_batch_norm = {
    .name = "batch_norm",
    .inputs = "x weight? bias? running_mean? running_var?",
    .attrs =
        "training:bool=false momentum:real=0.1 eps:real=1e-5 "
        "activation:choice(none|relu|leaky_relu) slope:real=0.01",
    .doc =
        "activation((x - mean) / sqrt(var + eps) * weight + bias) for each channel, dim 2 of x "
        "(Ioffe and Szegedy 2015). In training, mean and var are the batch's, and the running ones "
        "move "
        "towards them in place by the momentum; else the running ones are used",
    .samples = BN_IN " training=true; " BN_IN
                     " training=false; any[4,2] any[2] any[2] training=true; " BN_IN
                     " training=true activation=relu; " BN_IN
                     " training=true activation=leaky_relu slope=0.2; "
                     "any[3,2,4] training=true",
    .shape = batch_norm_shape,
    .forward = batch_norm_forward,
    .compose = batch_norm_compose,
    .fast = batch_norm_fast};

pl_tensor *pl_batch_norm(pl_tensor *x, pl_tensor *weight, pl_tensor *bias, pl_tensor *running_mean,
                         pl_tensor *running_var, bool training, double momentum, double eps,
                         int activation, double slope) {
  if (!x) return NULL;
  return pl_apply(
      &op_batch_norm, 5, (pl_tensor *[]){x, weight, bias, running_mean, running_var},
      (pl_attr[PL_MAX_ATTR]){
          {.i = training}, {.d = momentum}, {.d = eps}, {.i = activation}, {.d = slope}});
}

/*
** dropout (Srivastava et al. 2014): the mask is a tensor, so the gradient, of any order, is
** that of a product.
*/

static bool dropout_compose(pl_args *c) {
  double p = c->attr[0].d;
  if (!pl_need_real(c, 0)) return false;
  if (!(p >= 0 && p <= 1)) return pl_op_fail(c, "probability %g is not within 0 and 1", p);
  c->out[0] = c->in[0];
  if (!c->attr[1].i || p == 0) return true;
  pl_tensor *mask = pl_empty(PL_REAL, pl_size(c->in[0]));
  if (!mask || !pl_dropout_mask(mask, p)) return false;
  c->out[0] = pl_mul(c->in[0], mask);
  return c->out[0] != NULL;
}

static const pl_op op_dropout = {
    .name = "dropout",
    .inputs = "x",
    .attrs = "p:real=0.5 training:bool=true",
    .doc =
        "in training, x with elements set to 0 with probability p and the others divided by 1 - p "
        "(Srivastava et al. 2014); else x",
    .samples = "any[3,4] p=0.5; any[3,4] training=false",
    .compose = dropout_compose};

pl_tensor *pl_dropout(pl_tensor *x, double p, bool training) {
  if (!x) return NULL;
  return pl_apply(&op_dropout, 1, &x, (pl_attr[PL_MAX_ATTR]){{.d = p}, {.i = training}});
}

const pl_op *const pl_ops_norm[] = {&op_batch_norm, &op_dropout, NULL};
