/*
** nn.h: the tables of loops of neural networks: softmax and binary cross-entropy, normalisation,
** pooling, recurrent cells, steps of optimisers.
*/
#ifndef PERILUNE_NN_KERNELS_H
#define PERILUNE_NN_KERNELS_H

#include "../epilogue.h"

/* softmax.c: rows of a softmax, and binary cross-entropy of logits */
typedef struct {
  /* log of the sum of exp(x - max), and max, the largest: apart, for their sum rounds off what is
   * small beside a large max */
  double (*log_sum)(ptrdiff_t n, const pl_real *x, pl_real *max);
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
} pl_softmax_kernels;

/* norm.c: rows of a normalisation, and of an epilogue that comes after its product */
typedef struct {
  /* y = (x - about) * scale + shift */
  void (*scale_shift)(ptrdiff_t n, pl_real *y, const pl_real *x, pl_real about, pl_real scale,
                      pl_real shift);
  /* y = (x - about) * scale * w + b; w, b: NULL for 1 and 0 */
  void (*normalize)(ptrdiff_t n, pl_real *y, const pl_real *x, pl_real about, pl_real scale,
                    const pl_real *w, const pl_real *b);
  /* y[r][i] = act(y[r][i] + bias[i]) over rows of n, which begin every ld; bias: NULL for 0 */
  void (*bias_act)(ptrdiff_t rows, ptrdiff_t n, pl_real *y, ptrdiff_t ld, const pl_real *bias,
                   pl_real slope);
  /* out = a * x + b * (y - about) + c */
  void (*blend)(ptrdiff_t n, pl_real *out, const pl_real *x, const pl_real *y, pl_real about,
                pl_real a, pl_real b, pl_real c);
} pl_norm_kernels;

/* A channel of a batch: n runs of `inner` elements, `step` apart. */
typedef struct {
  int64_t n, inner, step;
} pl_channel;

/*
** The gradient of act((x - mean) scale + shift), and x, with which it is summed. The runs of g are g_step
** apart. Where `argmax` is not NULL, the result was pooled: runs of g have `maxima` elements, which
** belong to those places of a run of x, from 1, and y, laid out like g, is the result there.
*/
typedef struct {
  const pl_real *g, *x, *y;
  const int32_t *argmax;
  int64_t maxima, g_step;
  pl_real scale, shift, slope, mean;
} pl_channel_grad;

/* batch_norm.c: passes over one channel, on the calling thread */
typedef struct {
  /* the sum of x, and of (x - about)^2 */
  double (*sum)(pl_channel c, const pl_real *x);
  double (*squares)(pl_channel c, const pl_real *x, pl_real about);
  /* y = act((x - mean) scale + shift), whose runs are y_step apart */
  void (*scale)(pl_channel c, const pl_real *x, pl_real mean, pl_real scale, pl_real shift,
                pl_real slope, pl_real *y, int64_t y_step);
  /* with g' = prologue(g): the sum of g', and of g' (x - mean) */
  void (*dots)(pl_channel c, const pl_channel_grad *b, double *sum, double *dot);
  /* gx = by_g g' + by_x (x - mean) + plus */
  void (*blend)(pl_channel c, const pl_channel_grad *b, pl_real by_g, pl_real by_x, pl_real plus,
                pl_real *gx);
} pl_channel_kernels;

/* pool.c */
typedef struct {
  /*
  ** Of `planes` planes, on the calling thread: y = max over each window, argmax = position of it in
  ** its plane, from 1 (the first of equals; NaN before all else)
  */
  void (*max_pool)(const pl_pool *p, int64_t planes, const pl_real *x, pl_real *y, int32_t *argmax);
  /* gx = 0, then gx[plane, argmax] += g */
  void (*max_pool_grad)(const pl_pool *p, int64_t planes, const pl_real *g, const int32_t *argmax,
                        pl_real *gx);
  /* y = mean over each window, the padding counted as zeros; and its adjoint */
  void (*avg_pool)(const pl_pool *p, const pl_real *x, pl_real *y);
  void (*avg_pool_grad)(const pl_pool *p, const pl_real *g, pl_real *gx);
} pl_pool_kernels;

/* recurrent.c: a step of a cell for one row of the batch */
typedef struct {
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
} pl_recurrent_kernels;

/* Adam (Kingma and Ba 2014, Algorithm 1), also as AdamW (Loshchilov and Hutter 2017). */
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
  pl_real rate, eps, weight_decay;
} pl_adagrad_options;

/* p = keep p - (by_gradient d + by_mean m) / (root sqrt(v) + eps), where d = g + l2 p and m and v
 * are the decaying means of d and of its square: NAdam, RAdam */
typedef struct {
  pl_real beta1, beta2, eps, l2, keep, by_gradient, by_mean, root;
} pl_moments_options;

typedef struct {
  pl_real eta, keep, mu, rest, weight_decay; /* rest: 1 - mu */
} pl_asgd_options;

typedef struct {
  pl_real lr, beta1, beta2, keep;
} pl_lion_options;

/* optim.c: one step of an optimiser over n parameters */
typedef struct {
  void (*adam)(ptrdiff_t n, pl_real *p, const pl_real *g, pl_real *m, pl_real *v,
               const pl_adam_options *o);
  /* top: the largest v so far */
  void (*amsgrad)(ptrdiff_t n, pl_real *p, const pl_real *g, pl_real *m, pl_real *v, pl_real *top,
                  const pl_adam_options *o);
  void (*sgd)(ptrdiff_t n, pl_real *p, const pl_real *g, pl_real *buf, const pl_sgd_options *o);
  void (*rmsprop)(ptrdiff_t n, pl_real *p, const pl_real *g, pl_real *square, pl_real *buf,
                  const pl_rmsprop_options *o);
  void (*centered)(ptrdiff_t n, pl_real *p, const pl_real *g, pl_real *square, pl_real *buf,
                   pl_real *mean, const pl_rmsprop_options *o);
  void (*adagrad)(ptrdiff_t n, pl_real *p, const pl_real *g, pl_real *sum,
                  const pl_adagrad_options *o);
  void (*moments)(ptrdiff_t n, pl_real *p, const pl_real *g, pl_real *m, pl_real *v,
                  const pl_moments_options *o);
  void (*asgd)(ptrdiff_t n, pl_real *p, const pl_real *g, pl_real *mean, const pl_asgd_options *o);
  void (*lion)(ptrdiff_t n, pl_real *p, const pl_real *g, pl_real *m, const pl_lion_options *o);
} pl_optim_kernels;

#endif
