/*
** perilune_optim.h: changes in place: steps of optimisers, and arithmetic. None of them is recorded
** for gradients. Included by perilune.h.
*/
#ifndef PERILUNE_H
#include "perilune.h"
#elif !defined(PERILUNE_OPTIM_H)
#define PERILUNE_OPTIM_H

/*
** Optimiser steps of n parameters in place, in one pass; PyTorch's formulas. Each list has a tensor
** for every parameter, of its size and dense, which gradients need not be. What is said to be NULL
** perhaps may be. `maximize` goes up the gradient. False with a message if one does not fit; then
** nothing is changed.
*/
typedef struct {
  size_t size; /* sizeof(pl_sgd_step) */
  double lr, momentum, dampening, weight_decay;
  bool nesterov, maximize;
} pl_sgd_step;
typedef struct {
  size_t size; /* sizeof(pl_adam_step) */
  double lr, beta1, beta2, eps, weight_decay;
  bool decoupled /* AdamW */, maximize;
  pl_tensor *const *largest; /* AMSGrad: the largest second moments, a list like it; NULL: Adam */
} pl_adam_step;
typedef struct {
  size_t size; /* sizeof(pl_rmsprop_step) */
  double lr, alpha, eps, weight_decay, momentum;
  bool maximize;
  pl_tensor *const *mean; /* centred: the means of the gradients, a list; NULL: it is not */
} pl_rmsprop_step;
typedef struct {
  size_t size; /* sizeof(pl_adagrad_step) */
  double lr, lr_decay, eps, weight_decay;
  bool maximize;
} pl_adagrad_step;
typedef struct {
  size_t size; /* sizeof(pl_nadam_step) */
  double lr, beta1, beta2, eps, weight_decay, momentum_decay;
  bool decoupled, maximize;
} pl_nadam_step;
typedef struct {
  size_t size; /* sizeof(pl_radam_step) */
  double lr, beta1, beta2, eps, weight_decay;
  bool decoupled, maximize;
} pl_radam_step;
typedef struct {
  size_t size; /* sizeof(pl_asgd_step) */
  double lr, lambd, alpha, t0, weight_decay;
  bool maximize;
} pl_asgd_step;
typedef struct {
  size_t size; /* sizeof(pl_lion_step) */
  double lr, beta1, beta2, weight_decay;
  bool maximize;
} pl_lion_step;
/* first, of each parameter: buf, perhaps NULL, has no history yet; may be NULL without buf */
PL_API bool pl_sgd(int n, pl_tensor *const *p, pl_tensor *const *g, pl_tensor *const *buf,
                   const bool *first, const pl_sgd_step *o);
/* steps: of each parameter, from 1 */
PL_API bool pl_adam(int n, pl_tensor *const *p, pl_tensor *const *g, pl_tensor *const *m,
                    pl_tensor *const *v, const int64_t *steps, const pl_adam_step *o);
/* buf: perhaps NULL */
PL_API bool pl_rmsprop(int n, pl_tensor *const *p, pl_tensor *const *g, pl_tensor *const *square,
                       pl_tensor *const *buf, const pl_rmsprop_step *o);
PL_API bool pl_adagrad(int n, pl_tensor *const *p, pl_tensor *const *g, pl_tensor *const *sum,
                       const int64_t *steps, const pl_adagrad_step *o);
/* products, of each parameter: of the momenta of the steps before, 1 at first; is changed */
PL_API bool pl_nadam(int n, pl_tensor *const *p, pl_tensor *const *g, pl_tensor *const *m,
                     pl_tensor *const *v, const int64_t *steps, double *products,
                     const pl_nadam_step *o);
PL_API bool pl_radam(int n, pl_tensor *const *p, pl_tensor *const *g, pl_tensor *const *m,
                     pl_tensor *const *v, const int64_t *steps, const pl_radam_step *o);
/* eta and mu, of each parameter: the rate and the part of the average of this step, which are lr
 * and 1 at first; they become those of the next */
PL_API bool pl_asgd(int n, pl_tensor *const *p, pl_tensor *const *g, pl_tensor *const *mean,
                    const int64_t *steps, double *eta, double *mu, const pl_asgd_step *o);
PL_API bool pl_lion(int n, pl_tensor *const *p, pl_tensor *const *g, pl_tensor *const *m,
                    const pl_lion_step *o);
/* The Euclidean norm of all elements of n tensors, accumulated in double. */
PL_API bool pl_total_norm(int n, pl_tensor *const *ts, double *norm);
/* False with a message that names `what` if x must not be changed in place: see inplace.c. */
PL_API bool pl_may_change(const char *what, const pl_tensor *x);
/* The same, and with a message too if y, whose values are to be written into x, has a history that
 * would be lost: while recording is on it must not require a gradient. */
PL_API bool pl_may_write(const char *what, const pl_tensor *x, const pl_tensor *y);
/* x = scale * x + alpha * y in place, y broadcast (NULL: 0). */
PL_API bool pl_add_in_place(pl_tensor *x, double scale, pl_tensor *y, double alpha);
/* x *= y, or x /= y, in place, y broadcast. */
PL_API bool pl_mul_in_place(pl_tensor *x, pl_tensor *y, bool divide);

#endif
