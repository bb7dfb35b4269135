/*
** adam.c: Adam (Kingma and Ba 2014, Algorithm 1), AdamW (Loshchilov and Hutter 2017), and both as
** AMSGrad (Reddi, Kale and Kumar 2018).
*/
#include "step.h"

#include <math.h>

typedef struct {
  pl_adam_step given;
  const int64_t *steps;
} adam_options;

static void adam_piece(const pl_step_param *s, int i, const void *options) {
  const adam_options *c = options;
  const pl_adam_step *o = &c->given;
  const double t = (double)c->steps[i];
  const pl_adam_options k = {(pl_real)o->lr,
                             (pl_real)o->beta1,
                             (pl_real)o->beta2,
                             (pl_real)o->eps,
                             (pl_real)o->weight_decay,
                             (pl_real)(1 - pow(o->beta1, t)),
                             (pl_real)(1 - pow(o->beta2, t)),
                             o->decoupled};
  if (s->state[2])
    PL_KERNELS(optim)->amsgrad(s->n, s->p, s->g, s->state[0], s->state[1], s->state[2], &k);
  else PL_KERNELS(optim)->adam(s->n, s->p, s->g, s->state[0], s->state[1], &k);
}

bool pl_adam(int n, pl_tensor *const *p, pl_tensor *const *g, pl_tensor *const *m,
             pl_tensor *const *v, const int64_t *steps, const pl_adam_step *o) {
  static const pl_step_rule adam = {"adam", "adam_", adam_piece, 12, 7};
  adam_options k = {.steps = steps};
  if (!PL_READ_OPTIONS(adam.what, pl_adam_step, &k.given, o) ||
      !pl_check_steps(adam.what, n, steps))
    return false;
  return pl_step(
      &adam,
      &(pl_step_lists){
          n,
          p,
          g,
          {{"first moment", m}, {"second moment", v}, {"largest second moment", k.given.largest}},
          k.given.maximize},
      &k);
}
