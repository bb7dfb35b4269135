/*
** sgd.c: stochastic gradient descent with momentum (Polyak 1964; Nesterov 1983), as PyTorch has it.
*/
#include "step.h"

typedef struct {
  pl_sgd_step given;
  const bool *first;
} sgd_options;

static void sgd_piece(const pl_step_param *s, int i, const void *options) {
  const sgd_options *c = options;
  const pl_sgd_step *o = &c->given;
  const pl_sgd_options k = {(pl_real)o->lr,        (pl_real)o->momentum,
                            (pl_real)o->dampening, (pl_real)o->weight_decay,
                            o->nesterov,           c->first && c->first[i]};
  PL_KERNELS(optim)->sgd(s->n, s->p, s->g, s->state[0], &k);
}

bool pl_sgd(int n, pl_tensor *const *p, pl_tensor *const *g, pl_tensor *const *buf,
            const bool *first, const pl_sgd_step *o) {
  static const pl_step_rule sgd = {"sgd", "sgd_", sgd_piece, 2, 3};
  sgd_options k = {.first = first};
  if (!PL_READ_OPTIONS(sgd.what, pl_sgd_step, &k.given, o)) return false;
  return pl_step(&sgd, &(pl_step_lists){n, p, g, {{"buffer", buf}}, k.given.maximize}, &k);
}
