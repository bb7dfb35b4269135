/*
** nadam.c: NAdam, Adam with Nesterov's momentum (Dozat 2016), as PyTorch has it.
*/
#include "step.h"

#include <math.h>

typedef struct {
  pl_nadam_step given;
  const int64_t *steps;
  const double *products;
} nadam_options;

/* The momentum of step t, which warms up (Sutskever et al. 2013). */
static double momentum(const pl_nadam_step *o, int64_t t) {
  return o->beta1 * (1 - 0.5 * pow(0.96, (double)t * o->momentum_decay));
}

static void nadam_piece(const pl_step_param *s, int i, const void *options) {
  const nadam_options *c = options;
  const pl_nadam_step *o = &c->given;
  const int64_t t = c->steps[i];
  const double now = momentum(o, t), next = momentum(o, t + 1), product = c->products[i] * now;
  const pl_moments_options k = {.beta1 = (pl_real)o->beta1,
                                .beta2 = (pl_real)o->beta2,
                                .eps = (pl_real)o->eps,
                                .l2 = (pl_real)(o->decoupled ? 0 : o->weight_decay),
                                .keep = (pl_real)(o->decoupled ? 1 - o->lr * o->weight_decay : 1),
                                .by_gradient = (pl_real)(o->lr * (1 - now) / (1 - product)),
                                .by_mean = (pl_real)(o->lr * next / (1 - product * next)),
                                .root = (pl_real)(1 / sqrt(1 - pow(o->beta2, (double)t)))};
  PL_KERNELS(optim)->moments(s->n, s->p, s->g, s->state[0], s->state[1], &k);
}

bool pl_nadam(int n, pl_tensor *const *p, pl_tensor *const *g, pl_tensor *const *m,
              pl_tensor *const *v, const int64_t *steps, double *products, const pl_nadam_step *o) {
  static const pl_step_rule nadam = {"nadam", "nadam_", nadam_piece, 14, 7};
  nadam_options k = {.steps = steps, .products = products};
  if (!PL_READ_OPTIONS(nadam.what, pl_nadam_step, &k.given, o) ||
      !pl_check_steps(nadam.what, n, steps))
    return false;
  const pl_step_lists lists = {
      n, p, g, {{"first moment", m}, {"second moment", v}}, k.given.maximize};
  if (!pl_step(&nadam, &lists, &k)) return false;
  for (int i = 0; i < n; i++) products[i] *= momentum(&k.given, steps[i]);
  return true;
}
