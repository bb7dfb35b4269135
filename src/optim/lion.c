/*
** lion.c: Lion (Chen et al. 2023, Algorithm 2).
*/
#include "step.h"

static void lion_piece(const pl_step_param *s, int i, const void *options) {
  (void)i;
  PL_KERNELS(optim)->lion(s->n, s->p, s->g, s->state[0], options);
}

bool pl_lion(int n, pl_tensor *const *p, pl_tensor *const *g, pl_tensor *const *m,
             const pl_lion_step *o) {
  static const pl_step_rule lion = {"lion", "lion_", lion_piece, 8, 5};
  pl_lion_step s;
  if (!PL_READ_OPTIONS(lion.what, pl_lion_step, &s, o)) return false;
  const pl_lion_options k = {(pl_real)s.lr, (pl_real)s.beta1, (pl_real)s.beta2,
                             (pl_real)(1 - s.lr * s.weight_decay)};
  return pl_step(&lion, &(pl_step_lists){n, p, g, {{"momentum", m}}, s.maximize}, &k);
}
