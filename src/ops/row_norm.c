/*
** row_norm.c: normalisation of each example by its own statistics: layer_norm over the last
** dims, instance_norm over the positions of each channel. Both see x as rows of numbers that lie
** side by side: y = (x - mean) / sqrt(var + eps) * weight + bias, mean and var being the row's.
** What differs is the weight: of a layer norm it has a number for each place in the row, of an
** instance norm one for the whole row. Kept for the gradient: mean and 1 / sqrt(var + eps).
*/
#include <math.h>
#include <omp.h>

#include "ops.h"

enum { X, WEIGHT, BIAS };

typedef struct {
  int64_t rows, n;
  int64_t channels; /* row r has the weight and bias of channel r % channels; 0: each place has */
} layout;

/*
** Shapes
*/

/* Weight and bias, which may be absent, must have this size. */
static bool check_affine(const pl_args *c, pl_ints size) {
  return pl_need_size(c, WEIGHT, size, X) && pl_need_size(c, BIAS, size, X);
}

static bool layer_norm_shape(pl_args *c) {
  const pl_tensor *x = c->in[X];
  pl_ints shape = c->attr[0].ints;
  if (!pl_need_real(c, X)) return false;
  bool ok = shape.n >= 1 && shape.n <= x->rank;
  for (int d = 0; ok && d < shape.n; d++) ok = x->size[x->rank - shape.n + d] == shape.v[d];
  char text[PL_TEXT];
  if (!ok)
    return pl_op_fail(c, "x is %s, normalized_shape [%s]: it must be x's last sizes",
                      PL_DESCRIBE(x), pl_size_text(shape, text, sizeof text));
  return check_affine(c, shape) && pl_out(c, 0, PL_REAL, pl_size(x));
}

static layout layer_layout(const pl_args *c) {
  layout l = {1, 1, 0};
  int split = c->in[X]->rank - c->attr[0].ints.n;
  for (int d = 0; d < c->in[X]->rank; d++) *(d < split ? &l.rows : &l.n) *= c->in[X]->size[d];
  return l;
}

static layout instance_layout(const pl_args *c) {
  const pl_tensor *x = c->in[X];
  layout l = {x->size[0] * x->size[1], 1, x->size[1]};
  for (int d = 2; d < x->rank; d++) l.n *= x->size[d];
  if (!l.channels) l.n = 0; /* no channel has a value; 0 channels stand for weights of places */
  return l;
}

static bool instance_norm_shape(pl_args *c) {
  const pl_tensor *x = c->in[X];
  if (!pl_need_real(c, X)) return false;
  if (x->rank < 3) return pl_op_fail(c, "x is %s, expected at least 3 dims", PL_DESCRIBE(x));
  if (instance_layout(c).n < 2)
    return pl_op_fail(c, "a channel needs more than one value, x is %s", PL_DESCRIBE(x));
  return check_affine(c, pl_list(x->size[1])) && pl_out(c, 0, PL_REAL, pl_size(x));
}

/*
** Values
*/

/* Weight or bias side by side, or NULL if there is none; after an error too. */
static const pl_real *affine_values(const pl_args *c, int i) {
  pl_tensor *t = c->in[i] ? pl_contiguous(c->in[i]) : NULL;
  return t ? pl_reals(t) : NULL;
}

static bool forward(pl_args *c, layout l) {
  pl_tensor *x = pl_contiguous(c->in[X]), *mean = pl_empty(PL_REAL, pl_list(l.rows));
  pl_tensor *rstd = pl_empty(PL_REAL, pl_list(l.rows));
  const pl_real *w = affine_values(c, WEIGHT), *b = affine_values(c, BIAS);
  if (pl_error()) return false;
  double eps = c->attr[l.channels ? 0 : 1].d;
  pl_real *m = pl_reals(mean), *s = pl_reals(rstd);
#pragma omp parallel for schedule(static) if (l.rows * l.n > PL_GRAIN)
  for (int64_t r = 0; r < l.rows; r++) {
    const pl_real *from = pl_reals(x) + r * l.n;
    pl_real *to = pl_reals(c->out[0]) + r * l.n;
    m[r] = (pl_real)(PL_KERNELS(reduce)->sum(l.n, from) / (double)l.n);
    double var = PL_KERNELS(reduce)->sum_squares_about(l.n, from, m[r]) / (double)l.n;
    s[r] = (pl_real)(1 / sqrt(var + eps));
    if (!l.channels) {
      PL_KERNELS(norm)->normalize(l.n, to, from, m[r], s[r], w, b);
      continue;
    }
    pl_real scale = w ? s[r] * w[r % l.channels] : s[r], shift = b ? b[r % l.channels] : 0;
    PL_KERNELS(norm)->scale_shift(l.n, to, from, m[r], scale, shift);
  }
  return pl_save(c, 0, mean) && pl_save(c, 1, rstd);
}

static bool layer_norm_forward(pl_args *c) { return forward(c, layer_layout(c)); }

static bool instance_norm_forward(pl_args *c) { return forward(c, instance_layout(c)); }

/*
** Gradients in one pass
*/

typedef struct {
  layout l;
  const pl_real *g, *x, *mean, *rstd, *w;
  double *sum, *dot; /* of each row: the sum of g w, and of g w (x - mean); w of places only */
  pl_real *gx;       /* NULL if it is not asked for */
} back;

/* gx = rstd w (g - mean(g) - (x - mean) rstd^2 mean(g (x - mean))), where g may be g w. */
static void back_row(const back *k, int64_t r, pl_real *weighted) {
  int64_t n = k->l.n;
  const pl_real *g = k->g + r * n, *x = k->x + r * n;
  if (weighted) PL_KERNELS(math)->mul(n, weighted, g, 1, k->w, 1, 0), g = weighted;
  k->sum[r] = PL_KERNELS(reduce)->sum(n, g);
  k->dot[r] = PL_KERNELS(reduce)->dot_about(n, g, x, k->mean[r]);
  if (!k->gx) return;
  double rstd = (double)k->rstd[r], count = (double)n;
  double a = k->l.channels && k->w ? rstd * (double)k->w[r % k->l.channels] : rstd;
  double b = -a * rstd * rstd * k->dot[r] / count;
  double d = -a * k->sum[r] / count;
  PL_KERNELS(norm)->blend(n, k->gx + r * n, g, x, k->mean[r], (pl_real)a, (pl_real)b, (pl_real)d);
}

static bool back_rows(const back *k) {
  int64_t n = k->l.n;
  bool by_place = k->w && !k->l.channels;
  pl_real *scratch =
      by_place ? pl_scratch((size_t)(n * omp_get_max_threads()) * sizeof *scratch) : NULL;
  if (by_place && !scratch) return false;
#pragma omp parallel for schedule(static) if (k->l.rows * n > PL_GRAIN)
  for (int64_t r = 0; r < k->l.rows; r++)
    back_row(k, r, scratch ? scratch + omp_get_thread_num() * n : NULL);
  pl_scratch_free(scratch);
  return true;
}

/* Of an instance norm: sums over the images, of each channel. */
static void affine_of_channels(const back *k, pl_real *gw, pl_real *gb) {
  int64_t channels = k->l.channels;
  for (int64_t i = 0; i < channels; i++) {
    double dot = 0, sum = 0;
    for (int64_t r = i; r < k->l.rows; r += channels)
      dot += k->dot[r] * (double)k->rstd[r], sum += k->sum[r];
    if (gw) gw[i] = (pl_real)dot;
    if (gb) gb[i] = (pl_real)sum;
  }
}

/* Of a layer norm: sums over the rows, of each place. A thread has places of its own. */
static void affine_of_places(const back *k, pl_real *gw, pl_real *gb) {
  enum { PLACES = 512 };
  int64_t n = k->l.n;
#pragma omp parallel for schedule(static) if (k->l.rows * n > PL_GRAIN)
  for (int64_t i = 0; i < n; i += PLACES) {
    int64_t m = PL_MIN(PLACES, n - i);
    for (int64_t j = i; j < i + m; j++) {
      if (gw) gw[j] = 0;
      if (gb) gb[j] = 0;
    }
    for (int64_t r = 0; r < k->l.rows; r++) {
      const pl_real *g = k->g + r * n + i, *x = k->x + r * n + i;
      if (gw) PL_KERNELS(reduce)->accumulate_about(m, gw + i, g, x, k->mean[r], k->rstd[r]);
      if (gb) PL_KERNELS(reduce)->accumulate(m, gb + i, g);
    }
  }
}

static bool fused(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad, pl_tensor **gin,
                  layout l) {
  pl_tensor *x = pl_contiguous(c->in[X]), *g = pl_contiguous(gout[0]);
  const pl_real *w = affine_values(c, WEIGHT);
  for (int i = 0; i < c->n_in && !pl_error(); i++)
    if (needs_grad >> i & 1) gin[i] = pl_empty(PL_REAL, pl_size(c->in[i]));
  double *sums = pl_error() ? NULL : pl_scratch((size_t)(2 * l.rows + 1) * sizeof *sums);
  if (!sums) return false;
  back k = {.l = l,
            .g = pl_reals(g),
            .x = pl_reals(x),
            .mean = pl_reals(c->saved[0]),
            .rstd = pl_reals(c->saved[1]),
            .w = w,
            .sum = sums,
            .dot = sums + l.rows,
            .gx = needs_grad >> X & 1 ? pl_reals(gin[X]) : NULL};
  bool ok = !(l.channels || k.gx) || back_rows(&k);
  pl_real *gw = needs_grad >> WEIGHT & 1 ? pl_reals(gin[WEIGHT]) : NULL;
  pl_real *gb = needs_grad >> BIAS & 1 ? pl_reals(gin[BIAS]) : NULL;
  if (ok && (gw || gb)) (l.channels ? affine_of_channels : affine_of_places)(&k, gw, gb);
  pl_scratch_free(sums);
  return ok;
}

static bool layer_norm_fused(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                             pl_tensor **gin) {
  return fused(c, gout, needs_grad, gin, layer_layout(c));
}

static bool instance_norm_fused(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                                pl_tensor **gin) {
  return fused(c, gout, needs_grad, gin, instance_layout(c));
}

/*
** In ops
*/

/* From dimension `from` on; weight and bias broadcast. */
static bool decompose(pl_args *c, int from, double eps, pl_tensor *w, pl_tensor *b) {
  pl_tensor *x = c->in[X];
  pl_ints dims = {0};
  for (int d = from; d < x->rank; d++) dims.v[dims.n++] = d;
  pl_tensor *centred = pl_sub(x, pl_mean(x, dims, true));
  pl_tensor *var = pl_mean(pl_square(centred), dims, true);
  pl_tensor *y = pl_div(centred, pl_sqrt(pl_affine(var, 1, eps)));
  if (w) y = pl_mul(y, w);
  if (b) y = pl_add(y, b);
  return (c->out[0] = y) != NULL;
}

static bool layer_norm_decompose(pl_args *c) {
  return decompose(c, c->in[X]->rank - c->attr[0].ints.n, c->attr[1].d, c->in[WEIGHT], c->in[BIAS]);
}

static bool instance_norm_decompose(pl_args *c) {
  return decompose(c, 2, c->attr[0].d, pl_over_channels(c->in[WEIGHT], c->in[X]),
                   pl_over_channels(c->in[BIAS], c->in[X]));
}

/*
** Rows
*/

PL_OP(layer_norm, .group = PL_GROUP_LAYERS, .inputs = "x weight? bias?",
      .attrs = "normalized_shape:ints eps:real=1e-5",
      .doc =
          "(x - mean) / sqrt(var + eps) * weight + bias, mean and var being those over the last "
          "dims of x, whose sizes are normalized_shape, as are those of weight and bias (Ba et al. "
          "2016)",
      .onnx = "layer_norm(x, weight, bias, normalized_shape, eps)",
      .samples =
          "any[3,5] any[5] any[5] normalized_shape=5; any[2,3,4] any[3,4] any[3,4] "
          "normalized_shape=3,4 eps=0.1; any[2,3,4] normalized_shape=4; any[3,4] any[4] "
          "normalized_shape=4; any[2,3] any[2,3] any[2,3] normalized_shape=2,3",
      .shape = layer_norm_shape, .forward = layer_norm_forward, .decompose = layer_norm_decompose,
      .fused_gradient = layer_norm_fused);

PL_OP(instance_norm, .group = PL_GROUP_LAYERS, .inputs = "x weight? bias?",
      .attrs = "eps:real=1e-5",
      .doc =
          "(x - mean) / sqrt(var + eps) * weight + bias for each channel of each image, x "
          "[n,c,...], mean and var being those over all its positions, weight and bias [c] "
          "(Ulyanov et al. 2016)",
      .onnx =
          "InstanceNormalization(x, per_channel(weight, x, 1), per_channel(bias, x, 0), {epsilon = "
          "eps})",
      .samples =
          "any[2,3,2,2] any[3] any[3]; any[2,3,4]; any[2,2,3,2] any[2] eps=0.1; "
          "any[1,1,5] any[1] any[1]",
      .shape = instance_norm_shape, .forward = instance_norm_forward,
      .decompose = instance_norm_decompose, .fused_gradient = instance_norm_fused);
