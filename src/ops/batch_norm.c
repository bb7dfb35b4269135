/*
** batch_norm.c: batch normalisation.
*/
#include <math.h>
#include <omp.h>

#include "ops.h"

/*
** batch_norm (Ioffe and Szegedy 2015): y = act((x - mean) / sqrt(var + eps) * weight + bias)
** for each channel, dim 2 of x. Kept for the gradient: mean and 1 / sqrt(var + eps). In
** training mode these are the batch's, and the running statistics move towards them.
*/

enum { X, WEIGHT, BIAS, RUNNING_MEAN, RUNNING_VAR };
enum { TRAINING, MOMENTUM, EPS, ACTIVATION, SLOPE, MAX_POOL };
enum { STAYS }; /* in scratch: whether the running statistics do */

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

static bool batch_norm_shape(pl_args *c) {
  const pl_tensor *x = c->in[X];
  if (!pl_need_real(c, X)) return false;
  if (x->rank < 2) return pl_op_fail(c, "x is %s, expected at least 2 dims", PL_DESCRIBE(x));
  for (int i = WEIGHT; i <= RUNNING_VAR; i++)
    if (!pl_need_size(c, i, pl_list(x->size[1]), X)) return false;
  bool training = c->attr[TRAINING].i;
  if (!training && (!c->in[RUNNING_MEAN] || !c->in[RUNNING_VAR]))
    return pl_op_fail(c, "running_mean and running_var are needed outside of training");
  if (training && layout_of(x).count < 2)
    return pl_op_fail(c, "training needs more than one value a channel, x is %s%s", PL_DESCRIBE(x),
                      x->size[0] == 1 ? "; drop_last = true leaves out a last batch of one" : "");
  if (!pl_check_activation(c, ACTIVATION, c->attr[MAX_POOL].i > 1)) return false;
  int64_t n = c->attr[MAX_POOL].i;
  if (n == 1) return pl_out(c, 0, PL_REAL, pl_size(x));
  if (n < 1 || x->rank != 4 || n > PL_MIN(x->size[2], x->size[3]))
    return pl_op_fail(c, "max_pool is %lld, x %s: windows that fit into images [n,c,h,w] expected",
                      (long long)n, PL_DESCRIBE(x));
  return pl_out(c, 0, PL_REAL, pl_list(x->size[0], x->size[1], x->size[2] / n, x->size[3] / n));
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

static void move(pl_tensor *running, int64_t k, double momentum, double value) {
  pl_real *r = running ? pl_reals(running) + k * running->stride[0] : NULL;
  if (r) *r = (pl_real)((1 - momentum) * (double)*r + momentum * value);
}

/*
** The running variance is the unbiased one, as PyTorch keeps it. No gradient of a training
** call looks at these values, so this change in place is not counted: otherwise a network
** could not be called twice before its gradient is taken.
*/
static void move_running(const pl_args *c, layout l, int64_t k, pl_real mean, pl_real var) {
  if (c->scratch[STAYS]) return;
  double m = c->attr[MOMENTUM].d, unbiased = (double)l.count / (double)(l.count - 1);
  move(c->in[RUNNING_MEAN], k, m, (double)mean);
  move(c->in[RUNNING_VAR], k, m, (double)var * unbiased);
}

static pl_real channel_value(const pl_tensor *t, int64_t k, pl_real absent) {
  return t ? pl_reals(t)[k * t->stride[0]] : absent;
}

/* y = act((x - mean[k]) scale[k] + shift[k]) */
static void scale_features(layout l, const pl_real *x, const pl_real *mean, const pl_real *scale,
                           const pl_real *shift, pl_real slope, pl_real *y) {
  for (int64_t i = 0; i < l.n; i++)
    for (int64_t k = 0; k < l.c; k++) {
      pl_real v = (x[i * l.c + k] - mean[k]) * scale[k] + shift[k];
      y[i * l.c + k] = !(v < 0) ? v : slope == 0 ? 0 : v * slope;
    }
}

/* The factor and the summand that make a channel's x - mean the numbers before the activation. */
static void set_scale(const pl_args *c, int64_t k, pl_real rstd, pl_real *scale, pl_real *shift) {
  *scale = rstd * channel_value(c->in[WEIGHT], k, 1);
  *shift = channel_value(c->in[BIAS], k, 0);
}

static bool is_pooled(const pl_args *c) { return c->attr[MAX_POOL].i > 1; }

/* The windows of the maxima, over a channel of one image. */
static pl_pool windows(const pl_args *c) {
  int64_t n = c->attr[MAX_POOL].i, h = c->in[X]->size[2], w = c->in[X]->size[3];
  return (pl_pool){1, h, w, h / n, w / n, {n, n}, {n, n}, {0, 0}};
}

/*
** Images are cut into a fixed number of shares, of which a thread has neighbours: in all passes it
** meets the same images, whose numbers are in its second-level cache, since the convolution before
** has dealt them to the threads in the same way. Sums of shares are added in order, so bits do not
** depend on the number of threads.
*/
enum { SHARES = 16 };

/* What a call works on. Item i is channel i % c of share i / c. */
typedef struct {
  const pl_args *c;
  layout l;
  int64_t shares, items, step, outputs; /* step: from image to image; outputs: after pooling */
  const pl_real *x;
  pl_real *mean, *rstd;
  double *sum, *dot; /* [items] */
  pl_pool pool;
  const pl_kernels *kernels;
  pl_real *aside; /* before pooling: a plane for each thread */
} job;

/* False: no memory. */
static bool job_new(job *k, const pl_args *c, const pl_tensor *x, pl_real *mean, pl_real *rstd) {
  layout l = layout_of(x);
  *k = (job){.c = c, .l = l, .x = pl_reals(x), .mean = mean, .rstd = rstd};
  k->shares = PL_MIN(SHARES, l.n);
  k->items = k->shares * l.c;
  k->step = l.c * l.inner;
  k->outputs = l.inner;
  k->kernels = pl_kernels_for(l.inner);
  if (is_pooled(c)) {
    k->pool = windows(c);
    k->kernels = pl_kernels_for(k->pool.ow);
    k->outputs = k->pool.oh * k->pool.ow;
  }
  int64_t planes = is_pooled(c) ? omp_get_max_threads() : 0;
  k->sum = pl_scratch((size_t)(2 * k->items) * sizeof *k->sum +
                      (size_t)(planes * l.inner) * sizeof *k->aside);
  if (!k->sum) return false;
  k->dot = k->sum + k->items;
  if (planes) k->aside = (pl_real *)(k->dot + k->items);
  return true;
}

static int64_t first_image(const job *k, int64_t item) {
  return k->l.n * (item / k->l.c) / k->shares;
}

/* The numbers of an item, and where they begin. */
static pl_channel numbers_of(const job *k, int64_t item, const pl_real **x) {
  int64_t first = first_image(k, item), end = k->l.n * (item / k->l.c + 1) / k->shares;
  *x = k->x + first * k->step + item % k->l.c * k->l.inner;
  return (pl_channel){end - first, k->l.inner, k->step};
}

static double total(const job *k, const double *sums, int64_t channel) {
  double sum = 0;
  for (int64_t i = channel; i < k->items; i += k->l.c) sum += sums[i];
  return sum;
}

static void sum_item(const job *k, int64_t item) {
  const pl_real *x;
  pl_channel numbers = numbers_of(k, item, &x);
  k->sum[item] = k->kernels->channel->sum(numbers, x);
}

static void square_item(const job *k, int64_t item) {
  const pl_real *x;
  pl_channel numbers = numbers_of(k, item, &x);
  k->dot[item] = k->kernels->channel->squares(numbers, x, k->mean[item % k->l.c]);
}

static void end_statistics(const job *k, int64_t channel) {
  double var;
  if (k->c->attr[TRAINING].i) {
    var = (double)(pl_real)(total(k, k->dot, channel) / (double)k->l.count);
    move_running(k->c, k->l, channel, k->mean[channel], (pl_real)var);
  } else {
    k->mean[channel] = channel_value(k->c->in[RUNNING_MEAN], channel, 0);
    var = (double)channel_value(k->c->in[RUNNING_VAR], channel, 1);
  }
  k->rstd[channel] = (pl_real)(1 / sqrt(var + k->c->attr[EPS].d));
}

static void put_item(const job *k, int64_t item, pl_real *y, int32_t *at) {
  const pl_real *x, slope = pl_act_epilogue(k->c, ACTIVATION);
  pl_real scale, shift;
  const int64_t channel = item % k->l.c;
  const pl_real mean = k->mean[channel];
  int64_t to = (first_image(k, item) * k->l.c + channel) * k->outputs;
  pl_channel numbers = numbers_of(k, item, &x);
  set_scale(k->c, channel, k->rstd[channel], &scale, &shift);
  if (!k->aside) {
    k->kernels->channel->scale(numbers, x, mean, scale, shift, slope, y + to, k->step);
    return;
  }
  pl_real *aside = k->aside + omp_get_thread_num() * k->l.inner;
  for (int64_t i = 0; i < numbers.n; i++, x += k->step, to += k->l.c * k->outputs) {
    k->kernels->channel->scale((pl_channel){1, k->l.inner, 0}, x, mean, scale, shift, slope, aside,
                               0);
    k->kernels->pool->max_pool(&k->pool, 1, aside, y + to, at + to);
  }
}

static bool forward_images(pl_args *c, const pl_tensor *x, pl_tensor *mean, pl_tensor *rstd,
                           pl_tensor *out) {
  job k;
  pl_tensor *at = is_pooled(c) ? pl_empty(PL_INT32, pl_size(c->out[0])) : NULL;
  if (is_pooled(c) && !pl_save(c, 2, at)) return false;
  if (!job_new(&k, c, x, pl_reals(mean), pl_reals(rstd))) return false;
  pl_real *y = pl_reals(out);
  int32_t *to = at ? pl_int32s(at) : NULL;
#pragma omp parallel if (k.l.c * k.l.count > PL_GRAIN)
  {
    if (c->attr[TRAINING].i) {
#pragma omp for schedule(static)
      for (int64_t i = 0; i < k.items; i++) sum_item(&k, i);
#pragma omp for schedule(static)
      for (int64_t i = 0; i < k.l.c; i++)
        k.mean[i] = (pl_real)(total(&k, k.sum, i) / (double)k.l.count);
#pragma omp for schedule(static)
      for (int64_t i = 0; i < k.items; i++) square_item(&k, i);
    }
#pragma omp for schedule(static)
    for (int64_t i = 0; i < k.l.c; i++) end_statistics(&k, i);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < k.items; i++) put_item(&k, i, y, to);
  }
  pl_scratch_free(k.sum);
  return true;
}

static bool forward_features(pl_args *c, const pl_tensor *x, pl_tensor *mean, pl_tensor *rstd,
                             pl_tensor *out) {
  layout l = layout_of(x);
  pl_tensor *scale = pl_empty(PL_REAL, pl_list(l.c)), *shift = pl_empty(PL_REAL, pl_list(l.c));
  if (!scale || !shift) return false;
  pl_real *m = pl_reals(mean), *r = pl_reals(rstd);
  bool training = c->attr[TRAINING].i;
  if (training && !feature_statistics(l, pl_reals(x), m, r)) return false;
  for (int64_t k = 0; k < l.c; k++) {
    if (training) {
      move_running(c, l, k, m[k], r[k]);
    } else {
      m[k] = channel_value(c->in[RUNNING_MEAN], k, 0);
      r[k] = channel_value(c->in[RUNNING_VAR], k, 1);
    }
    r[k] = (pl_real)(1 / sqrt((double)r[k] + c->attr[EPS].d));
    set_scale(c, k, r[k], pl_reals(scale) + k, pl_reals(shift) + k);
  }
  scale_features(l, pl_reals(x), m, pl_reals(scale), pl_reals(shift),
                 pl_act_epilogue(c, ACTIVATION), pl_reals(out));
  return true;
}

static bool batch_norm_forward(pl_args *c) {
  c->scratch[STAYS] = PL_HERE->recomputing;
  pl_tensor *x = pl_contiguous(c->in[X]);
  pl_ints channels = pl_list(c->in[X]->size[1]);
  pl_tensor *mean = pl_empty(PL_REAL, channels), *rstd = pl_empty(PL_REAL, channels);
  pl_tensor *y = pl_pre_activation(c, ACTIVATION);
  if (!x || !mean || !rstd || !y) return false;
  return (layout_of(x).inner == 1 && !is_pooled(c) ? forward_features : forward_images)(c, x, mean,
                                                                                        rstd, y) &&
         pl_activate(c, ACTIVATION, y) && pl_save(c, 0, mean) && pl_save(c, 1, rstd);
}

/*
** Gradients. With v = x - mean and s = rstd, over a channel of `count` numbers:
**   gbias = sum g, gweight = sum g v s, gx = weight s (g - gbias / count - v s gweight / count),
** of which the last two terms fall away outside of training. As a g + b v + d it takes one pass.
*/

typedef struct {
  pl_real a, b, d;
} blend;

static blend blend_of(const pl_args *c, layout l, int64_t k, pl_real rstd, pl_real gw, pl_real gb) {
  pl_real n = (pl_real)l.count;
  blend f = {.a = channel_value(c->in[WEIGHT], k, 1) * rstd};
  if (!c->attr[TRAINING].i) return f;
  f.b = -f.a * rstd * gw / n;
  f.d = -f.a * gb / n;
  return f;
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

static bool back_features(const pl_args *c, pl_tensor *g, const pl_tensor *x, pl_real *gw,
                          pl_real *gb, pl_real *gx) {
  layout l = layout_of(x);
  if (pl_act_by_sign(c, ACTIVATION)) g = pl_activation_grad(c, ACTIVATION, g);
  if (!(g = pl_contiguous(g))) return false;
  const pl_real *gs = pl_reals(g), *xs = pl_reals(x);
  const pl_real *mean = pl_reals(c->saved[0]), *rstd = pl_reals(c->saved[1]);
  feature_dots(l, gs, xs, mean, rstd, gb, gw);
  blend *f = gx ? pl_scratch((size_t)l.c * sizeof *f) : NULL;
  if (gx && !f) return false;
  for (int64_t k = 0; gx && k < l.c; k++) f[k] = blend_of(c, l, k, rstd[k], gw[k], gb[k]);
  for (int64_t i = 0; gx && i < l.n; i++)
    for (int64_t k = 0; k < l.c; k++) {
      int64_t at = i * l.c + k;
      gx[at] = f[k].a * gs[at];
      if (c->attr[TRAINING].i) gx[at] += f[k].b * (xs[at] - mean[k]) + f[k].d;
    }
  pl_scratch_free(f);
  return true;
}

/* What flows back to an item. */
static pl_channel_grad back_of(const job *k, int64_t item, const pl_real *g) {
  const int64_t channel = item % k->l.c;
  const int64_t from = (first_image(k, item) * k->l.c + channel) * k->outputs;
  pl_channel_grad b = {.g = g + from,
                       .maxima = k->outputs,
                       .g_step = k->l.c * k->outputs,
                       .slope = pl_act_epilogue(k->c, ACTIVATION),
                       .mean = k->mean[channel]};
  if (is_pooled(k->c)) {
    b.argmax = pl_int32s(k->c->saved[2]) + from;
    b.y = pl_reals(k->c->out[0]) + from;
  }
  set_scale(k->c, channel, k->rstd[channel], &b.scale, &b.shift);
  return b;
}

static void dot_item(const job *k, int64_t item, const pl_real *g) {
  pl_channel_grad b = back_of(k, item, g);
  pl_channel numbers = numbers_of(k, item, &b.x);
  k->kernels->channel->dots(numbers, &b, &k->sum[item], &k->dot[item]);
}

static void blend_item(const job *k, int64_t item, const pl_real *g, const pl_real *gw,
                       const pl_real *gb, pl_real *gx) {
  const int64_t channel = item % k->l.c;
  pl_channel_grad b = back_of(k, item, g);
  pl_channel numbers = numbers_of(k, item, &b.x);
  blend f = blend_of(k->c, k->l, channel, k->rstd[channel], gw[channel], gb[channel]);
  k->kernels->channel->blend(numbers, &b, f.a, f.b, f.d, gx + (b.x - k->x));
}

static bool back_images(const pl_args *c, pl_tensor *g, const pl_tensor *x, pl_real *gw,
                        pl_real *gb, pl_real *gx) {
  job k;
  if (!(g = pl_contiguous(g)) || !job_new(&k, c, x, pl_reals(c->saved[0]), pl_reals(c->saved[1])))
    return false;
  const pl_real *gs = pl_reals(g);
#pragma omp parallel if (k.l.c * k.l.count > PL_GRAIN)
  {
#pragma omp for schedule(static)
    for (int64_t i = 0; i < k.items; i++) dot_item(&k, i, gs);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < k.l.c; i++) {
      gb[i] = (pl_real)total(&k, k.sum, i);
      gw[i] = (pl_real)(total(&k, k.dot, i) * (double)k.rstd[i]);
    }
    if (gx) {
#pragma omp for schedule(static)
      for (int64_t i = 0; i < k.items; i++) blend_item(&k, i, gs, gw, gb, gx);
    }
  }
  pl_scratch_free(k.sum);
  return true;
}

static bool batch_norm_fused(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                             pl_tensor **gin) {
  pl_tensor *x = pl_contiguous(c->in[X]);
  pl_ints channels = pl_list(c->in[X]->size[1]);
  pl_tensor *gw = pl_empty(PL_REAL, channels), *gb = pl_empty(PL_REAL, channels);
  if (!x || !gw || !gb) return false;
  if (needs_grad >> WEIGHT & 1) gin[WEIGHT] = gw;
  if (needs_grad >> BIAS & 1) gin[BIAS] = gb;
  if (needs_grad & 1 && !(gin[X] = pl_empty(PL_REAL, pl_size(x)))) return false;
  pl_tensor *g =
      pl_act_by_sign(c, ACTIVATION) ? gout[0] : pl_activation_grad(c, ACTIVATION, gout[0]);
  return g && (layout_of(x).inner == 1 && !is_pooled(c) ? back_features : back_images)(
                  c, g, x, pl_reals(gw), pl_reals(gb), needs_grad & 1 ? pl_reals(gin[X]) : NULL);
}

pl_tensor *pl_over_channels(pl_tensor *t, const pl_tensor *x) {
  pl_ints size = {.n = x->rank};
  for (int d = 0; d < x->rank; d++) size.v[d] = d == 1 ? x->size[1] : 1;
  return t ? pl_reshape(t, size) : NULL;
}

static bool batch_norm_decompose(pl_args *c) {
  pl_tensor *x = c->in[X], *mean, *var, *w = c->in[WEIGHT], *b = c->in[BIAS];
  pl_ints dims = {0};
  for (int d = 0; d < x->rank; d++)
    if (d != 1) dims.v[dims.n++] = d;
  bool training = c->attr[TRAINING].i;
  /* those of the forward pass if they are kept: the running ones may have moved since */
  const bool kept = !training && c->saved[0] && !pl_requires_grad(c->in[RUNNING_MEAN]) &&
                    !pl_requires_grad(c->in[RUNNING_VAR]);
  mean = training ? pl_mean(x, dims, true)
                  : pl_over_channels(kept ? c->saved[0] : c->in[RUNNING_MEAN], x);
  pl_tensor *centred = pl_sub(x, mean);
  var =
      training ? pl_mean(pl_square(centred), dims, true) : pl_over_channels(c->in[RUNNING_VAR], x);
  pl_tensor *y = kept ? pl_mul(centred, pl_over_channels(c->saved[1], x))
                      : pl_div(centred, pl_sqrt(pl_affine(var, 1, c->attr[EPS].d)));
  if (w) y = pl_mul(y, pl_over_channels(w, x));
  if (b) y = pl_add(y, pl_over_channels(b, x));
  y = pl_activated(c, ACTIVATION, y);
  pl_ints pool = pl_list(c->attr[MAX_POOL].i);
  if (is_pooled(c)) y = pl_max_pool2d(y, pool, pool, pl_list(0));
  c->out[0] = y;
  return y != NULL;
}

#define BN_IN                                  "any[3,2,2,2] any[2] any[2] const[2] constpos[2]"
#define BN_SAMPLE(NAME, name, parameter, kind) "; " BN_IN " training=true activation=" #name
PL_OP(
    batch_norm, .group = PL_GROUP_LAYERS, .inputs = "x weight? bias? running_mean? running_var?",
    .attrs = "training:bool=false momentum:real=0.1 eps:real=1e-5 " PL_ACTIVATION_CHOICE
             " slope:real=0.01 max_pool:int=1",
    .doc =
        "activation((x - mean) / sqrt(var + eps) * weight + bias) for each channel, dim 2 of x "
        "(Ioffe and Szegedy 2015). In training, mean and var are the batch's, and the running ones "
        "move towards them in place by the momentum; else the running ones are used. With max_pool "
        "above 1, then max_pool2d of that with windows of max_pool x max_pool, in the same pass",
    .onnx =
        "pooled(activated(batch_norm(x, weight, bias, running_mean, running_var, training, eps), "
        "activation, slope), max_pool)",
    .samples = BN_IN
    " training=true; " BN_IN " training=false; any[4,2] any[2] any[2] training=true; " BN_IN
    " training=true activation=relu; " BN_IN
    " training=true activation=leaky_relu slope=0.2; "
    "any[3,2,4] training=true; "
    "any[2,2,4,5] any[2] any[2] training=true activation=relu max_pool=2; "
    "any[2,2,4,5] any[2] any[2] const[2] constpos[2] max_pool=3; "
    "any[2,2,4,5] any[2] any[2] training=true activation=sigmoid max_pool=2; "
    "any[5,2] any[2] any[2] training=true activation=gelu" PL_ACTIVATIONS(BN_SAMPLE),
    .shape = batch_norm_shape, .forward = batch_norm_forward, .decompose = batch_norm_decompose,
    .fused_gradient = batch_norm_fused);
