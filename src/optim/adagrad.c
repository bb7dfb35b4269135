/*
** adagrad.c: Adagrad (Duchi, Hazan and Singer 2011), as PyTorch has it.
*/
#include "step.h"

typedef struct {
  pl_adagrad_step given;
  const int64_t *steps;
} adagrad_options;

static void adagrad_piece(const pl_step_param *s, int i, const void *options) {
  const adagrad_options *c = options;
  const pl_adagrad_step *o = &c->given;
  const double rate = o->lr / (1 + (double)(c->steps[i] - 1) * o->lr_decay);
  const pl_adagrad_options k = {(pl_real)rate, (pl_real)o->eps, (pl_real)o->weight_decay};
  PL_KERNELS(optim)->adagrad(s->n, s->p, s->g, s->state[0], &k);
}

bool pl_adagrad(int n, pl_tensor *const *p, pl_tensor *const *g, pl_tensor *const *sum,
                const int64_t *steps, const pl_adagrad_step *o) {
  static const pl_step_rule adagrad = {"adagrad", "adagrad_", adagrad_piece, 7, 5};
  adagrad_options k = {.steps = steps};
  if (!PL_READ_OPTIONS(adagrad.what, pl_adagrad_step, &k.given, o) ||
      !pl_check_steps(adagrad.what, n, steps))
    return false;
  return pl_step(&adagrad, &(pl_step_lists){n, p, g, {{"sum of squares", sum}}, k.given.maximize},
                 &k);
}
