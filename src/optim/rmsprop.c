/*
** rmsprop.c: RMSprop (Tieleman and Hinton 2012, lecture 6.5), as PyTorch has it.
*/
#include "step.h"

static void rmsprop_piece(const pl_step_param *s, int i, int64_t at, int64_t n,
                          const void *options) {
  (void)i;
  PL_KERNELS(optim)->rmsprop(n, s->p + at, s->g + at, s->a + at, s->b ? s->b + at : NULL, options);
}

bool pl_rmsprop(int n, pl_tensor *const *p, pl_tensor *const *g, pl_tensor *const *square,
                pl_tensor *const *buf, const pl_rmsprop_step *o) {
  static const pl_step_rule rmsprop = {"rmsprop", "rmsprop_", rmsprop_piece, 8, 5};
  pl_rmsprop_step s;
  if (!PL_READ_OPTIONS(rmsprop.what, pl_rmsprop_step, &s, o)) return false;
  const pl_rmsprop_options k = {(pl_real)s.lr, (pl_real)s.alpha, (pl_real)s.eps,
                                (pl_real)s.weight_decay, (pl_real)s.momentum};
  return pl_step(&rmsprop, n, p, g, (pl_step_state){"mean square", square},
                 (pl_step_state){"buffer", buf}, &k);
}
