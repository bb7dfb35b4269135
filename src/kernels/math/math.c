/*
** math.c: loops over memory that the compiler vectorises. Reductions keep LANES partial
** sums per fixed block and add the blocks in double, so their bits do not depend on how
** the caller cuts the work, nor on the instruction set's width.
*/
#include "math.h"

#include <math.h>

#include "vecmath.h"

#define PL_EXP      pl_exp_
#define PL_LOG      pl_log_
#define PL_LOG1P    pl_log1p_
#define PL_TANH     pl_tanh_
#define PL_SIGMOID  pl_sigmoid_
#define PL_SOFTPLUS pl_softplus_
#ifdef PL_REAL_IS_DOUBLE
#define PL_SQRT  sqrt
#define PL_POW   pow
#define PL_SIN   sin
#define PL_COS   cos
#define PL_FLOOR floor
#else
#define PL_SQRT  sqrtf
#define PL_POW   powf
#define PL_SIN   sinf
#define PL_COS   cosf
#define PL_FLOOR floorf
#endif

/*
** Elementwise families
*/

#define UNUSED(...) (void)sizeof((int[]){__VA_ARGS__})

#define FORWARD_1(name, f)                                                                         \
  static void name(ptrdiff_t n, pl_real *restrict out, const pl_real *restrict in, ptrdiff_t step, \
                   pl_real p, pl_real q) {                                                         \
    (void)p, (void)q;                                                                              \
    if (step == 1) {                                                                               \
      for (ptrdiff_t i = 0; i < n; i++) {                                                          \
        const pl_real x = in[i];                                                                   \
        out[i] = (f);                                                                              \
      }                                                                                            \
    } else {                                                                                       \
      for (ptrdiff_t i = 0; i < n; i++) {                                                          \
        const pl_real x = in[i * step];                                                            \
        out[i] = (f);                                                                              \
      }                                                                                            \
    }                                                                                              \
  }

#define STEP(name, attrs, samples, doc, f) FORWARD_1(k_##name, f)
#define UNARY(name, forget, attrs, samples, doc, f, df, ops)                                     \
  FORWARD_1(k_##name, f)                                                                         \
  static void k_##name##_grad(ptrdiff_t n, pl_real *restrict out, const pl_real *restrict gs,    \
                              const pl_real *restrict xs, const pl_real *restrict ys, pl_real p, \
                              pl_real q) {                                                       \
    (void)p, (void)q;                                                                            \
    for (ptrdiff_t i = 0; i < n; i++) {                                                          \
      const pl_real g = gs[i], x = xs[i], y = ys[i];                                             \
      (void)x, (void)y;                                                                          \
      out[i] = (df);                                                                             \
    }                                                                                            \
  }

#define LOOP_2(ai, bi, f)                 \
  for (ptrdiff_t i = 0; i < n; i++) {     \
    const pl_real a = as[ai], b = bs[bi]; \
    out[i] = (f);                         \
  }
#define FORWARD_2(name, f)                                                                       \
  static void name(ptrdiff_t n, pl_real *restrict out, const pl_real *restrict as, ptrdiff_t sa, \
                   const pl_real *restrict bs, ptrdiff_t sb, pl_real p) {                        \
    (void)p;                                                                                     \
    if (sa == 1 && sb == 1) {                                                                    \
      LOOP_2(i, i, f)                                                                            \
    } else if (sa == 1 && sb == 0) {                                                             \
      LOOP_2(i, 0, f)                                                                            \
    } else if (sa == 0 && sb == 1) {                                                             \
      LOOP_2(0, i, f)                                                                            \
    } else {                                                                                     \
      LOOP_2(i *sa, i *sb, f)                                                                    \
    }                                                                                            \
  }
#define BACKWARD_2(name, df)                                                       \
  static void name(ptrdiff_t n, pl_real *restrict out, const pl_real *restrict gs, \
                   const pl_real *restrict as, const pl_real *restrict bs,         \
                   const pl_real *restrict ys, pl_real p) {                        \
    (void)p;                                                                       \
    for (ptrdiff_t i = 0; i < n; i++) {                                            \
      const pl_real g = gs[i], a = as[i], b = bs[i], y = ys[i];                    \
      (void)g, (void)a, (void)b, (void)y;                                          \
      out[i] = (df);                                                               \
    }                                                                              \
  }
#define LINEAR(name, samples, doc, f, ga_ops, gb_ops) FORWARD_2(k_##name, f)
#define BINARY(name, forget, attrs, samples, doc, f, ga, gb, ga_ops, gb_ops) \
  FORWARD_2(k_##name, f)                                                     \
  BACKWARD_2(k_##name##_grad_a, ga)                                          \
  BACKWARD_2(k_##name##_grad_b, gb)
#define HALF(name, forget, attrs, samples, doc, f, ga, ga_ops) \
  FORWARD_2(k_##name, f)                                       \
  BACKWARD_2(k_##name##_grad_a, ga)
#include "elementwise.def"
#undef UNARY
#undef STEP
#undef BINARY
#undef HALF
#undef LINEAR

/*
** Reductions
*/

enum { LANES = 32, BLOCK = 4096 };

#define REDUCTION(name, args, term)                                     \
  static double name args {                                             \
    double total = 0;                                                   \
    for (ptrdiff_t start = 0; start < n; start += BLOCK) {              \
      ptrdiff_t end = start + BLOCK < n ? start + BLOCK : n, i = start; \
      pl_real lane[LANES] = {0};                                        \
      for (; i + LANES <= end; i += LANES)                              \
        for (int j = 0; j < LANES; j++) {                               \
          const ptrdiff_t k = i + j;                                    \
          lane[j] += (term);                                            \
        }                                                               \
      double sum = 0;                                                   \
      for (ptrdiff_t k = i; k < end; k++) sum += (double)(term);        \
      for (int j = 0; j < LANES; j++) sum += (double)lane[j];           \
      total += sum;                                                     \
    }                                                                   \
    return total;                                                       \
  }
REDUCTION(sum, (ptrdiff_t n, const pl_real *restrict x), x[k])
REDUCTION(sum_squares, (ptrdiff_t n, const pl_real *restrict x), x[k] * x[k])
REDUCTION(sum_squares_about, (ptrdiff_t n, const pl_real *restrict x, pl_real about),
          (x[k] - about) * (x[k] - about))
REDUCTION(dot_about,
          (ptrdiff_t n, const pl_real *restrict x, const pl_real *restrict y, pl_real about),
          x[k] * (y[k] - about))

static void accumulate(ptrdiff_t n, pl_real *restrict y, const pl_real *restrict x) {
  for (ptrdiff_t i = 0; i < n; i++) y[i] += x[i];
}

static void accumulate_about(ptrdiff_t n, pl_real *restrict y, const pl_real *restrict x,
                             const pl_real *restrict z, pl_real about, pl_real scale) {
  for (ptrdiff_t i = 0; i < n; i++) y[i] += x[i] * ((z[i] - about) * scale);
}

/* The largest value that is not NaN; NaN comes through the exponential that follows. */
static pl_real row_max(ptrdiff_t n, const pl_real *x) {
  pl_real lane[LANES];
  ptrdiff_t i = 0;
  for (int j = 0; j < LANES; j++) lane[j] = -(pl_real)INFINITY;
  for (; i + LANES <= n; i += LANES)
    for (int j = 0; j < LANES; j++) lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
  pl_real m = lane[0];
  for (int j = 1; j < LANES; j++) m = lane[j] > m ? lane[j] : m;
  for (; i < n; i++) m = x[i] > m ? x[i] : m;
  return m;
}

/* y = exp(x - max); returns their sum. A row of -inf has max 0 subtracted. */
static double row_exp(ptrdiff_t n, pl_real *restrict y, const pl_real *restrict x, pl_real *max) {
  pl_real m = row_max(n, x);
  if (m == -(pl_real)INFINITY) m = 0;
  for (ptrdiff_t i = 0; i < n; i++) y[i] = PL_EXP(x[i] - m);
  *max = m;
  return sum(n, y);
}

/* exp of what lies BLOCK by BLOCK in the cache only, so a long row is read and never written. */
static pl_real logsumexp(ptrdiff_t n, const pl_real *restrict x) {
  pl_real m = row_max(n, x), e[BLOCK];
  double total = 0;
  if (m == -(pl_real)INFINITY) m = 0;
  for (ptrdiff_t start = 0; start < n; start += BLOCK) {
    ptrdiff_t k = n - start < BLOCK ? n - start : BLOCK;
    for (ptrdiff_t i = 0; i < k; i++) e[i] = PL_EXP(x[start + i] - m);
    total += sum(k, e);
  }
  return m + (pl_real)log(total);
}

static void exp_shift(ptrdiff_t n, pl_real *restrict y, const pl_real *restrict x, pl_real shift,
                      pl_real scale, pl_real plus) {
  for (ptrdiff_t i = 0; i < n; i++) y[i] = scale * PL_EXP(x[i] + shift) + plus;
}

static pl_real log_softmax(ptrdiff_t n, pl_real *restrict y, const pl_real *restrict x) {
  pl_real m;
  pl_real log_sum = (pl_real)log(row_exp(n, y, x, &m));
  for (ptrdiff_t i = 0; i < n; i++) y[i] = x[i] - m - log_sum;
  return m + log_sum;
}

static void softmax(ptrdiff_t n, pl_real *restrict y, const pl_real *restrict x) {
  pl_real m;
  pl_real scale = (pl_real)(1 / row_exp(n, y, x, &m));
  for (ptrdiff_t i = 0; i < n; i++) y[i] *= scale;
}

/*
** Binary cross-entropy of a logit
*/

static inline pl_real bce_term(pl_real x, pl_real y) {
  return (x < 0 ? 0 : x) - x * y + PL_SOFTPLUS(x < 0 ? x : -x);
}

REDUCTION(bce_sum, (ptrdiff_t n, const pl_real *restrict x, const pl_real *restrict y),
          bce_term(x[k], y[k]))

static void bce(ptrdiff_t n, pl_real *restrict out, const pl_real *restrict x,
                const pl_real *restrict y) {
  for (ptrdiff_t i = 0; i < n; i++) out[i] = bce_term(x[i], y[i]);
}

static void bce_grad(ptrdiff_t n, pl_real *restrict gx, const pl_real *restrict x,
                     const pl_real *restrict y, pl_real g) {
  for (ptrdiff_t i = 0; i < n; i++) gx[i] = g * (PL_SIGMOID(x[i]) - y[i]);
}

/* What is below 0 times slope; a slope of 0 is a case of its own, for 0 * -inf is NaN. */
#define ACTIVATE(v, slope) ((v) < 0 ? (v) * (slope) : (v))

static void scale_shift(ptrdiff_t n, pl_real *restrict y, const pl_real *restrict x, pl_real scale,
                        pl_real shift, pl_real slope) {
  if (slope == 0)
    for (ptrdiff_t i = 0; i < n; i++) {
      const pl_real v = x[i] * scale + shift;
      y[i] = v < 0 ? 0 : v;
    }
  else
    for (ptrdiff_t i = 0; i < n; i++) {
      const pl_real v = x[i] * scale + shift;
      y[i] = ACTIVATE(v, slope);
    }
}

static void normalize(ptrdiff_t n, pl_real *restrict y, const pl_real *restrict x, pl_real about,
                      pl_real scale, const pl_real *restrict w, const pl_real *restrict b) {
  if (w && b)
    for (ptrdiff_t i = 0; i < n; i++) y[i] = (x[i] - about) * scale * w[i] + b[i];
  else if (w)
    for (ptrdiff_t i = 0; i < n; i++) y[i] = (x[i] - about) * scale * w[i];
  else if (b)
    for (ptrdiff_t i = 0; i < n; i++) y[i] = (x[i] - about) * scale + b[i];
  else
    for (ptrdiff_t i = 0; i < n; i++) y[i] = (x[i] - about) * scale;
}

static void bias_act(ptrdiff_t rows, ptrdiff_t n, pl_real *restrict y, const pl_real *restrict bias,
                     pl_real slope) {
  for (ptrdiff_t r = 0; r < rows; r++, y += n) {
    if (slope == 0)
      for (ptrdiff_t i = 0; i < n; i++) {
        const pl_real v = y[i] + bias[i];
        y[i] = v < 0 ? 0 : v;
      }
    else
      for (ptrdiff_t i = 0; i < n; i++) {
        const pl_real v = y[i] + bias[i];
        y[i] = ACTIVATE(v, slope);
      }
  }
}

static void blend(ptrdiff_t n, pl_real *restrict out, const pl_real *restrict x,
                  const pl_real *restrict y, pl_real a, pl_real b, pl_real c) {
  for (ptrdiff_t i = 0; i < n; i++) out[i] = a * x[i] + b * y[i] + c;
}

/*
** Recurrent cells, one row of the batch; the formulas are in recurrent.c
*/

static void lstm(ptrdiff_t n, pl_real *restrict gates, const pl_real *restrict c_before,
                 pl_real *restrict c, pl_real *restrict h) {
  pl_real *restrict i = gates, *restrict f = i + n, *restrict g = f + n, *restrict o = g + n;
  for (ptrdiff_t k = 0; k < n; k++) {
    i[k] = PL_SIGMOID(i[k]);
    f[k] = PL_SIGMOID(f[k]);
    g[k] = PL_TANH(g[k]);
    o[k] = PL_SIGMOID(o[k]);
    c[k] = f[k] * c_before[k] + i[k] * g[k];
    h[k] = o[k] * PL_TANH(c[k]);
  }
}

static void lstm_grad(ptrdiff_t n, const pl_real *restrict gates, const pl_real *restrict c_before,
                      const pl_real *restrict c, const pl_real *restrict gh, pl_real *restrict gc,
                      pl_real *restrict ggates) {
  const pl_real *restrict i = gates, *restrict f = i + n, *restrict g = f + n, *restrict o = g + n;
  pl_real *restrict gi = ggates, *restrict gf = gi + n, *restrict gg = gf + n,
                    *restrict go = gg + n;
  for (ptrdiff_t k = 0; k < n; k++) {
    const pl_real t = PL_TANH(c[k]), d = gc[k] + gh[k] * o[k] * (1 - t * t);
    go[k] = gh[k] * t * o[k] * (1 - o[k]);
    gi[k] = d * g[k] * i[k] * (1 - i[k]);
    gf[k] = d * c_before[k] * f[k] * (1 - f[k]);
    gg[k] = d * i[k] * (1 - g[k] * g[k]);
    gc[k] = d * f[k];
  }
}

static void gru(ptrdiff_t n, pl_real *restrict gates, const pl_real *restrict hidden,
                const pl_real *restrict bias, const pl_real *restrict h_before,
                pl_real *restrict hn, pl_real *restrict h) {
  pl_real *restrict r = gates, *restrict z = r + n, *restrict m = z + n;
  for (ptrdiff_t k = 0; k < n; k++) {
    r[k] = PL_SIGMOID(r[k] + hidden[k] + bias[k]);
    z[k] = PL_SIGMOID(z[k] + hidden[n + k] + bias[n + k]);
    hn[k] = hidden[2 * n + k] + bias[2 * n + k];
    m[k] = PL_TANH(m[k] + r[k] * hn[k]);
    h[k] = m[k] + z[k] * (h_before[k] - m[k]);
  }
}

static void gru_grad(ptrdiff_t n, const pl_real *restrict gates, const pl_real *restrict hn,
                     const pl_real *restrict h_before, pl_real *restrict gh,
                     pl_real *restrict ginput, pl_real *restrict ghidden) {
  const pl_real *restrict r = gates, *restrict z = r + n, *restrict m = z + n;
  for (ptrdiff_t k = 0; k < n; k++) {
    const pl_real gm = gh[k] * (1 - z[k]) * (1 - m[k] * m[k]);
    ginput[k] = ghidden[k] = gm * hn[k] * r[k] * (1 - r[k]);
    ginput[n + k] = ghidden[n + k] = gh[k] * (h_before[k] - m[k]) * z[k] * (1 - z[k]);
    ginput[2 * n + k] = gm;
    ghidden[2 * n + k] = gm * r[k];
    gh[k] *= z[k];
  }
}

/*
** Optimiser steps
*/

static void adam(ptrdiff_t n, pl_real *restrict p, const pl_real *restrict g, pl_real *restrict m,
                 pl_real *restrict v, const pl_adam_options *o) {
  const pl_real b1 = o->beta1, b2 = o->beta2, eps = o->eps, step = o->lr / o->correction1;
  const pl_real root = 1 / PL_SQRT(o->correction2);
  const pl_real l2 = o->decoupled ? 0 : o->weight_decay;
  const pl_real keep = o->decoupled ? 1 - o->lr * o->weight_decay : 1;
  for (ptrdiff_t i = 0; i < n; i++) {
    pl_real d = g[i] + l2 * p[i];
    m[i] = b1 * m[i] + (1 - b1) * d;
    v[i] = b2 * v[i] + (1 - b2) * d * d;
    p[i] = keep * p[i] - step * m[i] / (PL_SQRT(v[i]) * root + eps);
  }
}

static void sgd(ptrdiff_t n, pl_real *restrict p, const pl_real *restrict g, pl_real *restrict buf,
                const pl_sgd_options *o) {
  const pl_real lr = o->lr, wd = o->weight_decay, mu = o->momentum;
  if (!buf) {
    for (ptrdiff_t i = 0; i < n; i++) p[i] -= lr * (g[i] + wd * p[i]);
    return;
  }
  const pl_real in = o->first ? 1 : 1 - o->dampening, keep = o->first ? 0 : mu;
  for (ptrdiff_t i = 0; i < n; i++) {
    pl_real d = g[i] + wd * p[i];
    buf[i] = keep * buf[i] + in * d;
    p[i] -= lr * (o->nesterov ? d + mu * buf[i] : buf[i]);
  }
}

static void rmsprop(ptrdiff_t n, pl_real *restrict p, const pl_real *restrict g,
                    pl_real *restrict square, pl_real *restrict buf, const pl_rmsprop_options *o) {
  for (ptrdiff_t i = 0; i < n; i++) {
    pl_real d = g[i] + o->weight_decay * p[i];
    square[i] = o->alpha * square[i] + (1 - o->alpha) * d * d;
    pl_real step = d / (PL_SQRT(square[i]) + o->eps);
    if (buf) step = buf[i] = o->momentum * buf[i] + step;
    p[i] -= o->lr * step;
  }
}

const pl_math_kernels PL_ISA_NAME(pl_math_kernels) = {
#define UNARY(name, ...) .name = k_##name, .name##_grad = k_##name##_grad,
#define STEP(name, ...)  .name = k_##name,
#define BINARY(name, ...) \
  .name = k_##name, .name##_grad_a = k_##name##_grad_a, .name##_grad_b = k_##name##_grad_b,
#define HALF(name, ...)   .name = k_##name, .name##_grad_a = k_##name##_grad_a,
#define LINEAR(name, ...) .name = k_##name,
#include "elementwise.def"
#undef UNARY
#undef STEP
#undef BINARY
#undef HALF
#undef LINEAR
    .sum = sum,
    .sum_squares = sum_squares,
    .sum_squares_about = sum_squares_about,
    .dot_about = dot_about,
    .accumulate = accumulate,
    .accumulate_about = accumulate_about,
    .logsumexp = logsumexp,
    .exp_shift = exp_shift,
    .log_softmax = log_softmax,
    .softmax = softmax,
    .bce = bce,
    .bce_sum = bce_sum,
    .bce_grad = bce_grad,
    .scale_shift = scale_shift,
    .normalize = normalize,
    .bias_act = bias_act,
    .blend = blend,
    .lstm = lstm,
    .lstm_grad = lstm_grad,
    .gru = gru,
    .gru_grad = gru_grad,
    .adam = adam,
    .sgd = sgd,
    .rmsprop = rmsprop,
};
