/*
** perilune_ops.h: one C function a row of the op table; docs/reference.md gives shapes and
** formulas. Included by perilune.h.
*/
#ifndef PERILUNE_OPS_H
#define PERILUNE_OPS_H

/* Elementwise, two inputs that broadcast */
PL_API pl_tensor *pl_add(pl_tensor *a, pl_tensor *b);
PL_API pl_tensor *pl_sub(pl_tensor *a, pl_tensor *b);
PL_API pl_tensor *pl_mul(pl_tensor *a, pl_tensor *b);
PL_API pl_tensor *pl_div(pl_tensor *a, pl_tensor *b);
PL_API pl_tensor *pl_pow(pl_tensor *a, pl_tensor *b);
PL_API pl_tensor *pl_maximum(pl_tensor *a, pl_tensor *b);
PL_API pl_tensor *pl_minimum(pl_tensor *a, pl_tensor *b);
PL_API pl_tensor *pl_act_grad(pl_tensor *a, pl_tensor *b, double slope);
PL_API pl_tensor *pl_eq(pl_tensor *a, pl_tensor *b);
PL_API pl_tensor *pl_ne(pl_tensor *a, pl_tensor *b);
PL_API pl_tensor *pl_lt(pl_tensor *a, pl_tensor *b);
PL_API pl_tensor *pl_le(pl_tensor *a, pl_tensor *b);
PL_API pl_tensor *pl_gt(pl_tensor *a, pl_tensor *b);
PL_API pl_tensor *pl_ge(pl_tensor *a, pl_tensor *b);
PL_API pl_tensor *pl_isnan(pl_tensor *x);
PL_API pl_tensor *pl_any(pl_tensor *x);
PL_API pl_tensor *pl_all(pl_tensor *x);
PL_API pl_tensor *pl_where(pl_tensor *condition, pl_tensor *a, pl_tensor *b);

/* Elementwise, one input */
PL_API pl_tensor *pl_neg(pl_tensor *x);
PL_API pl_tensor *pl_affine(pl_tensor *x, double scale, double shift);
PL_API pl_tensor *pl_exp(pl_tensor *x);
PL_API pl_tensor *pl_log(pl_tensor *x);
PL_API pl_tensor *pl_log1p(pl_tensor *x);
PL_API pl_tensor *pl_sqrt(pl_tensor *x);
PL_API pl_tensor *pl_square(pl_tensor *x);
PL_API pl_tensor *pl_reciprocal(pl_tensor *x);
PL_API pl_tensor *pl_abs(pl_tensor *x);
PL_API pl_tensor *pl_sin(pl_tensor *x);
PL_API pl_tensor *pl_cos(pl_tensor *x);
PL_API pl_tensor *pl_tanh(pl_tensor *x);
PL_API pl_tensor *pl_sigmoid(pl_tensor *x);
PL_API pl_tensor *pl_softplus(pl_tensor *x);
PL_API pl_tensor *pl_erf(pl_tensor *x);
PL_API pl_tensor *pl_gelu(pl_tensor *x);
PL_API pl_tensor *pl_silu(pl_tensor *x);
PL_API pl_tensor *pl_elu(pl_tensor *x, double alpha);
PL_API pl_tensor *pl_relu(pl_tensor *x);
PL_API pl_tensor *pl_leaky_relu(pl_tensor *x, double slope);
PL_API pl_tensor *pl_clamp(pl_tensor *x, double min, double max);
PL_API pl_tensor *pl_sign(pl_tensor *x);
PL_API pl_tensor *pl_floor(pl_tensor *x);
PL_API pl_tensor *pl_in_range(pl_tensor *x, double min, double max);

/* Shapes. Views, except cat, stack and pad */
PL_API pl_tensor *pl_reshape(pl_tensor *x,
                             pl_ints size); /* one size may be -1; copies if it must */
PL_API pl_tensor *pl_expand(pl_tensor *x, pl_ints size);
PL_API pl_tensor *pl_permute(pl_tensor *x, pl_ints dims);
PL_API pl_tensor *pl_transpose(pl_tensor *x, int dim0, int dim1);
PL_API pl_tensor *pl_slice(pl_tensor *x, int dim, int64_t start, int64_t length, int64_t step);
PL_API pl_tensor *pl_unslice(pl_tensor *x, int dim, int64_t start, int64_t step, int64_t size);
PL_API pl_tensor *pl_select(pl_tensor *x, int dim, int64_t index);
PL_API pl_tensor *pl_flip(pl_tensor *x, pl_ints dims);
PL_API pl_tensor *pl_cat(int n, pl_tensor *const *xs, int dim);
PL_API pl_tensor *pl_stack(int n, pl_tensor *const *xs, int dim);
/* pads: before and after for the last dim, then for the one before it, and so on */
PL_API pl_tensor *pl_pad(pl_tensor *x, pl_ints pads, double value);

/* Reductions; dims empty: all */
PL_API pl_tensor *pl_sum(pl_tensor *x, pl_ints dims, bool keepdim);
PL_API pl_tensor *pl_mean(pl_tensor *x, pl_ints dims, bool keepdim);
PL_API pl_tensor *pl_var(pl_tensor *x, pl_ints dims, bool keepdim, bool unbiased);
PL_API pl_tensor *pl_norm(pl_tensor *x, pl_ints dims, bool keepdim);
PL_API pl_tensor *pl_logsumexp(pl_tensor *x, int dim, bool keepdim);
/* out[0]: values, out[1]: int32 positions, from 1 */
PL_API bool pl_max(pl_tensor *x, int dim, bool keepdim, pl_tensor *out[2]);
PL_API bool pl_min(pl_tensor *x, int dim, bool keepdim, pl_tensor *out[2]);
PL_API pl_tensor *pl_argmax(pl_tensor *x, int dim, bool keepdim);
PL_API pl_tensor *pl_amax(pl_tensor *x, pl_ints dims, bool keepdim);
PL_API pl_tensor *pl_amin(pl_tensor *x, pl_ints dims, bool keepdim);
PL_API pl_tensor *pl_prod(pl_tensor *x, int dim, bool keepdim);
PL_API pl_tensor *pl_cumsum(pl_tensor *x, int dim);
PL_API bool pl_sort(pl_tensor *x, int dim, bool descending, pl_tensor *out[2]);
PL_API bool pl_topk(pl_tensor *x, int64_t k, int dim, bool largest, pl_tensor *out[2]);

/* Indexing; index tensors are int32 and count from 1 */
PL_API pl_tensor *pl_gather(pl_tensor *x, pl_tensor *index, int dim);
PL_API pl_tensor *pl_scatter_add(pl_tensor *x, pl_tensor *index, int dim, int64_t size);
PL_API pl_tensor *pl_index_select(pl_tensor *x, pl_tensor *index, int dim);
PL_API pl_tensor *pl_index_add(pl_tensor *x, pl_tensor *index, int dim, int64_t size);
PL_API pl_tensor *pl_embedding(pl_tensor *index, pl_tensor *weight);
PL_API pl_tensor *pl_one_hot(pl_tensor *index, int64_t classes);
PL_API pl_tensor *pl_nonzero(pl_tensor *x); /* positions in row-major order */

/* Layers */
typedef enum {
  PL_ACT_NONE,
  PL_ACT_RELU,
  PL_ACT_LEAKY_RELU,
  PL_ACT_SIGMOID,
  PL_ACT_TANH,
  PL_ACT_GELU,
  PL_ACT_SILU,
  PL_ACT_ELU
} pl_activation; /* what an op applies to its result */
/* their names in version 0.1 */
enum { PL_NONE = PL_ACT_NONE, PL_RELU = PL_ACT_RELU, PL_LEAKY_RELU = PL_ACT_LEAKY_RELU };
PL_API pl_tensor *pl_bmm(pl_tensor *a, pl_tensor *b);
PL_API pl_tensor *pl_matmul(pl_tensor *a, pl_tensor *b);
PL_API pl_tensor *pl_linear(pl_tensor *x, pl_tensor *weight, pl_tensor *bias, int activation,
                            double slope);
PL_API pl_tensor *pl_conv2d(pl_tensor *x, pl_tensor *weight, pl_tensor *bias, pl_ints stride,
                            pl_ints padding, pl_ints dilation, int activation, double slope,
                            int64_t max_pool);
PL_API pl_tensor *pl_conv_transpose2d(pl_tensor *x, pl_tensor *weight, pl_tensor *bias,
                                      pl_ints stride, pl_ints padding, pl_ints output_padding,
                                      pl_ints dilation, int activation, double slope);
PL_API pl_tensor *pl_conv2d_input_grad(pl_tensor *g, pl_tensor *weight, pl_ints stride,
                                       pl_ints padding, pl_ints dilation, pl_ints size);
PL_API pl_tensor *pl_conv2d_weight_grad(pl_tensor *g, pl_tensor *x, pl_ints stride, pl_ints padding,
                                        pl_ints dilation, pl_ints size);
PL_API pl_tensor *pl_max_pool2d(pl_tensor *x, pl_ints size, pl_ints stride, pl_ints padding);
PL_API pl_tensor *pl_avg_pool2d(pl_tensor *x, pl_ints size, pl_ints stride, pl_ints padding);
PL_API pl_tensor *pl_avg_pool2d_grad(pl_tensor *g, pl_ints size, pl_ints stride, pl_ints padding,
                                     pl_ints input);
PL_API pl_tensor *pl_batch_norm(pl_tensor *x, pl_tensor *weight, pl_tensor *bias,
                                pl_tensor *running_mean, pl_tensor *running_var, bool training,
                                double momentum, double eps, int activation, double slope,
                                int64_t max_pool);
/* over the last dims, whose sizes are normalized_shape; over the positions of each channel */
PL_API pl_tensor *pl_layer_norm(pl_tensor *x, pl_tensor *weight, pl_tensor *bias,
                                pl_ints normalized_shape, double eps);
PL_API pl_tensor *pl_instance_norm(pl_tensor *x, pl_tensor *weight, pl_tensor *bias, double eps);
PL_API pl_tensor *pl_dropout(pl_tensor *x, double p, bool training);
PL_API pl_tensor *pl_softmax(pl_tensor *x, int dim);
PL_API pl_tensor *pl_log_softmax(pl_tensor *x, int dim);
/* out: the states of all steps, the last state, and of an LSTM the last cell */
PL_API bool pl_lstm(pl_tensor *x, pl_tensor *weight_ih, pl_tensor *weight_hh, pl_tensor *bias_ih,
                    pl_tensor *bias_hh, pl_tensor *h0, pl_tensor *c0, pl_tensor *out[3]);
PL_API bool pl_gru(pl_tensor *x, pl_tensor *weight_ih, pl_tensor *weight_hh, pl_tensor *bias_ih,
                   pl_tensor *bias_hh, pl_tensor *h0, pl_tensor *out[2]);

/* Losses, means over the batch */
PL_API pl_tensor *pl_cross_entropy(pl_tensor *logits, pl_tensor *labels, double label_smoothing);
PL_API pl_tensor *pl_mse_loss(pl_tensor *x, pl_tensor *y);
/* reduction: 0 mean of all elements, 1 sum of them, 2 sum of each row, 3 none */
PL_API pl_tensor *pl_binary_cross_entropy_with_logits(pl_tensor *logits, pl_tensor *target,
                                                      int reduction);

/*
** Optimiser steps of n parameters in place, in one pass; PyTorch's formulas. Each list has a tensor
** for every parameter, of its size and dense, which gradients need not be. buf may be NULL. False
** with a message if one does not fit; then nothing is changed.
*/
typedef struct {
  double lr, momentum, dampening, weight_decay;
  bool nesterov;
} pl_sgd_step;
typedef struct {
  double lr, beta1, beta2, eps, weight_decay;
  bool decoupled; /* AdamW */
} pl_adam_step;
typedef struct {
  double lr, alpha, eps, weight_decay, momentum;
} pl_rmsprop_step;
/* first, of each parameter: buf has no history yet; may be NULL without buf */
PL_API bool pl_sgd(int n, pl_tensor *const *p, pl_tensor *const *g, pl_tensor *const *buf,
                   const bool *first, const pl_sgd_step *o);
/* steps: of each parameter, from 1 */
PL_API bool pl_adam(int n, pl_tensor *const *p, pl_tensor *const *g, pl_tensor *const *m,
                    pl_tensor *const *v, const int64_t *steps, const pl_adam_step *o);
PL_API bool pl_rmsprop(int n, pl_tensor *const *p, pl_tensor *const *g, pl_tensor *const *square,
                       pl_tensor *const *buf, const pl_rmsprop_step *o);
/* The Euclidean norm of all elements of n tensors, accumulated in double. */
PL_API bool pl_total_norm(int n, pl_tensor *const *ts, double *norm);
/* False with a message that names `what` if x must not be changed in place: see update.c. */
PL_API bool pl_may_change(const char *what, const pl_tensor *x);
/* x = scale * x + alpha * y in place, y broadcast (NULL: 0). */
PL_API bool pl_add_in_place(pl_tensor *x, double scale, pl_tensor *y, double alpha);
/* x *= y, or x /= y, in place, y broadcast. */
PL_API bool pl_mul_in_place(pl_tensor *x, pl_tensor *y, bool divide);

#endif
