/*
** rmsprop.c: RMSprop (Tieleman and Hinton 2012, lecture 6.5), as PyTorch has it; centred, by the
** variance in place of the mean square (Graves 2013, section 4.2).
*/
#include "step.h"

static void rmsprop_piece(const pl_step_param *s, int i, const void *options) {
  (void)i;
  if (s->state[2])
    PL_KERNELS(optim)->centered(s->n, s->p, s->g, s->state[0], s->state[1], s->state[2], options);
  else PL_KERNELS(optim)->rmsprop(s->n, s->p, s->g, s->state[0], s->state[1], options);
}

bool pl_rmsprop(int n, pl_tensor *const *p, pl_tensor *const *g, pl_tensor *const *square,
                pl_tensor *const *buf, const pl_rmsprop_step *o) {
  static const pl_step_rule rmsprop = {"rmsprop", "rmsprop_", rmsprop_piece, 8, 5};
  pl_rmsprop_step s;
  if (!PL_READ_OPTIONS(rmsprop.what, pl_rmsprop_step, &s, o)) return false;
  const pl_rmsprop_options k = {(pl_real)s.lr, (pl_real)s.alpha, (pl_real)s.eps,
                                (pl_real)s.weight_decay, (pl_real)s.momentum};
  return pl_step(
      &rmsprop,
      &(pl_step_lists){
          n, p, g, {{"mean square", square}, {"buffer", buf}, {"mean", s.mean}}, s.maximize},
      &k);
}
