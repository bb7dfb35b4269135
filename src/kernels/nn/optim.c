/*
** optim.c: one step of an optimiser over a run of parameters: Adam and AdamW (Kingma and Ba 2014;
** Loshchilov and Hutter 2017), SGD with momentum, RMSprop (Tieleman and Hinton 2012), and those
** whose papers their files in src/optim name.
**
**   parameter p   | p0 p1 ... pn |   the gradient g lies alike, and so does what the
**   memory m, v   | m0 m1 ... mn |   optimiser remembers; all are read and written once
*/
#include "../kernels.h"
#include "../math/scalar.h"

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

static void amsgrad(ptrdiff_t n, pl_real *restrict p, const pl_real *restrict g,
                    pl_real *restrict m, pl_real *restrict v, pl_real *restrict top,
                    const pl_adam_options *o) {
  const pl_real b1 = o->beta1, b2 = o->beta2, eps = o->eps, step = o->lr / o->correction1;
  const pl_real root = 1 / PL_SQRT(o->correction2);
  const pl_real l2 = o->decoupled ? 0 : o->weight_decay;
  const pl_real keep = o->decoupled ? 1 - o->lr * o->weight_decay : 1;
  for (ptrdiff_t i = 0; i < n; i++) {
    pl_real d = g[i] + l2 * p[i];
    m[i] = b1 * m[i] + (1 - b1) * d;
    v[i] = b2 * v[i] + (1 - b2) * d * d;
    top[i] = top[i] > v[i] ? top[i] : v[i]; /* v if that is NaN */
    p[i] = keep * p[i] - step * m[i] / (PL_SQRT(top[i]) * root + eps);
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

static void centered(ptrdiff_t n, pl_real *restrict p, const pl_real *restrict g,
                     pl_real *restrict square, pl_real *restrict buf, pl_real *restrict mean,
                     const pl_rmsprop_options *o) {
  for (ptrdiff_t i = 0; i < n; i++) {
    pl_real d = g[i] + o->weight_decay * p[i];
    square[i] = o->alpha * square[i] + (1 - o->alpha) * d * d;
    mean[i] = o->alpha * mean[i] + (1 - o->alpha) * d;
    pl_real step = d / (PL_SQRT(square[i] - mean[i] * mean[i]) + o->eps);
    if (buf) step = buf[i] = o->momentum * buf[i] + step;
    p[i] -= o->lr * step;
  }
}

static void adagrad(ptrdiff_t n, pl_real *restrict p, const pl_real *restrict g,
                    pl_real *restrict sum, const pl_adagrad_options *o) {
  const pl_real rate = o->rate, eps = o->eps, wd = o->weight_decay;
  for (ptrdiff_t i = 0; i < n; i++) {
    pl_real d = g[i] + wd * p[i];
    sum[i] += d * d;
    p[i] -= rate * d / (PL_SQRT(sum[i]) + eps);
  }
}

static void moments(ptrdiff_t n, pl_real *restrict p, const pl_real *restrict g,
                    pl_real *restrict m, pl_real *restrict v, const pl_moments_options *o) {
  const pl_moments_options k = *o;
  for (ptrdiff_t i = 0; i < n; i++) {
    pl_real d = g[i] + k.l2 * p[i];
    m[i] = k.beta1 * m[i] + (1 - k.beta1) * d;
    v[i] = k.beta2 * v[i] + (1 - k.beta2) * d * d;
    p[i] =
        k.keep * p[i] - (k.by_gradient * d + k.by_mean * m[i]) / (PL_SQRT(v[i]) * k.root + k.eps);
  }
}

static void asgd(ptrdiff_t n, pl_real *restrict p, const pl_real *restrict g,
                 pl_real *restrict mean, const pl_asgd_options *o) {
  const pl_asgd_options k = *o;
  for (ptrdiff_t i = 0; i < n; i++) {
    pl_real d = g[i] + k.weight_decay * p[i];
    p[i] = k.keep * p[i] - k.eta * d;
    mean[i] = k.rest * mean[i] + k.mu * p[i];
  }
}

static void lion(ptrdiff_t n, pl_real *restrict p, const pl_real *restrict g, pl_real *restrict m,
                 const pl_lion_options *o) {
  const pl_lion_options k = *o;
  for (ptrdiff_t i = 0; i < n; i++) {
    pl_real c = k.beta1 * m[i] + (1 - k.beta1) * g[i];
    pl_real sign = c > 0 ? 1 : c < 0 ? -1 : c; /* of 0 and NaN, itself */
    p[i] = k.keep * p[i] - k.lr * sign;
    m[i] = k.beta2 * m[i] + (1 - k.beta2) * g[i];
  }
}

const pl_optim_kernels PL_ISA_NAME(pl_optim_kernels) = {.adam = adam,
                                                        .amsgrad = amsgrad,
                                                        .sgd = sgd,
                                                        .rmsprop = rmsprop,
                                                        .centered = centered,
                                                        .adagrad = adagrad,
                                                        .moments = moments,
                                                        .asgd = asgd,
                                                        .lion = lion};
