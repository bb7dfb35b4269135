/*
** math.h: the table of the vectorised loops over memory: elementwise families, reductions,
** rows of a softmax, normalisation, optimiser steps. Compiled once per instruction set.
*/
#ifndef PERILUNE_MATH_KERNELS_H
#define PERILUNE_MATH_KERNELS_H

#include "../kernels.h"

/* y[i] = f(x[i * sx]) */
typedef void pl_unary_kernel(ptrdiff_t n, pl_real *y, const pl_real *x, ptrdiff_t sx, pl_real p,
                             pl_real q);
/* gx[i] = derivative * g[i]; all contiguous */
typedef void pl_unary_grad_kernel(ptrdiff_t n, pl_real *gx, const pl_real *g, const pl_real *x,
                                  const pl_real *y, pl_real p, pl_real q);
/* y[i] = f(a[i * sa], b[i * sb]) */
typedef void pl_binary_kernel(ptrdiff_t n, pl_real *y, const pl_real *a, ptrdiff_t sa,
                              const pl_real *b, ptrdiff_t sb, pl_real p);
typedef void pl_binary_grad_kernel(ptrdiff_t n, pl_real *out, const pl_real *g, const pl_real *a,
                                   const pl_real *b, const pl_real *y, pl_real p);

/* One step of Adam (Kingma and Ba 2014, Algorithm 1), also as AdamW (Loshchilov and Hutter 2017).
 */
typedef struct {
  pl_real lr, beta1, beta2, eps, weight_decay, correction1, correction2;
  bool decoupled;
} pl_adam_options;

typedef struct {
  pl_real lr, momentum, dampening, weight_decay;
  bool nesterov, first;
} pl_sgd_options;

typedef struct {
  pl_real lr, alpha, eps, weight_decay, momentum;
} pl_rmsprop_options;

typedef struct {
#define UNARY(name, ...) \
  pl_unary_kernel *name; \
  pl_unary_grad_kernel *name##_grad;
#define STEP(name, ...) pl_unary_kernel *name;
#define BINARY(name, ...) \
  pl_binary_kernel *name; \
  pl_binary_grad_kernel *name##_grad_a, *name##_grad_b;
#define HALF(name, ...)   \
  pl_binary_kernel *name; \
  pl_binary_grad_kernel *name##_grad_a;
#define LINEAR(name, ...) pl_binary_kernel *name;
#include "elementwise.def"
#undef UNARY
#undef STEP
#undef BINARY
#undef HALF
#undef LINEAR

  /* The sum of n numbers, and of their squares, in fixed blocks of double precision. */
  double (*sum)(ptrdiff_t n, const pl_real *x);
  double (*sum_squares)(ptrdiff_t n, const pl_real *x);
  /* the sum of (x - about)^2, of x (y - about) */
  double (*sum_squares_about)(ptrdiff_t n, const pl_real *x, pl_real about);
  double (*dot_about)(ptrdiff_t n, const pl_real *x, const pl_real *y, pl_real about);
  /* y[i] += x[i] */
  void (*accumulate)(ptrdiff_t n, pl_real *y, const pl_real *x);
  /* y[i] += x[i] (z[i] - about) scale */
  void (*accumulate_about)(ptrdiff_t n, pl_real *y, const pl_real *x, const pl_real *z,
                           pl_real about, pl_real scale);
  /* log of the sum of exp(x) */
  pl_real (*logsumexp)(ptrdiff_t n, const pl_real *x);
  /* y = scale * exp(x + shift) + plus */
  void (*exp_shift)(ptrdiff_t n, pl_real *y, const pl_real *x, pl_real shift, pl_real scale,
                    pl_real plus);
  /* y = log softmax(x) over one row; returns log sum exp */
  pl_real (*log_softmax)(ptrdiff_t n, pl_real *y, const pl_real *x);
  void (*softmax)(ptrdiff_t n, pl_real *y, const pl_real *x);
  /* max(x, 0) - x y + log(1 + exp(-|x|)): of each, and their sum; and g (sigmoid(x) - y) */
  void (*bce)(ptrdiff_t n, pl_real *out, const pl_real *x, const pl_real *y);
  double (*bce_sum)(ptrdiff_t n, const pl_real *x, const pl_real *y);
  void (*bce_grad)(ptrdiff_t n, pl_real *gx, const pl_real *x, const pl_real *y, pl_real g);
  /* y = act(x * scale + shift) where act multiplies what is below 0 by slope (1: none) */
  void (*scale_shift)(ptrdiff_t n, pl_real *y, const pl_real *x, pl_real scale, pl_real shift,
                      pl_real slope);
  /* y = (x - about) * scale * w + b; w, b: NULL for 1 and 0 */
  void (*normalize)(ptrdiff_t n, pl_real *y, const pl_real *x, pl_real about, pl_real scale,
                    const pl_real *w, const pl_real *b);
  /* y[r][i] = act(y[r][i] + bias[i]) over rows of n */
  void (*bias_act)(ptrdiff_t rows, ptrdiff_t n, pl_real *y, const pl_real *bias, pl_real slope);
  /* out = a * x + b * y + c */
  void (*blend)(ptrdiff_t n, pl_real *out, const pl_real *x, const pl_real *y, pl_real a, pl_real b,
                pl_real c);
  /* gates [4n]: arguments in, activations out; gives c and h */
  void (*lstm)(ptrdiff_t n, pl_real *gates, const pl_real *c_before, pl_real *c, pl_real *h);
  /* gh in, gc in and out (by c_before), ggates [4n] out */
  void (*lstm_grad)(ptrdiff_t n, const pl_real *gates, const pl_real *c_before, const pl_real *c,
                    const pl_real *gh, pl_real *gc, pl_real *ggates);
  /* gates [3n]: input products in, activations out; hidden [3n]: products by h_before */
  void (*gru)(ptrdiff_t n, pl_real *gates, const pl_real *hidden, const pl_real *bias,
              const pl_real *h_before, pl_real *hn, pl_real *h);
  /* gh in, and out the part by z; ginput and ghidden [3n] out */
  void (*gru_grad)(ptrdiff_t n, const pl_real *gates, const pl_real *hn, const pl_real *h_before,
                   pl_real *gh, pl_real *ginput, pl_real *ghidden);
  void (*adam)(ptrdiff_t n, pl_real *p, const pl_real *g, pl_real *m, pl_real *v,
               const pl_adam_options *o);
  void (*sgd)(ptrdiff_t n, pl_real *p, const pl_real *g, pl_real *buf, const pl_sgd_options *o);
  void (*rmsprop)(ptrdiff_t n, pl_real *p, const pl_real *g, pl_real *square, pl_real *buf,
                  const pl_rmsprop_options *o);
} pl_math_kernels;

extern const pl_math_kernels pl_math_kernels_generic, pl_math_kernels_avx2, pl_math_kernels_avx512;

#endif
