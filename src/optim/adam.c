/*
** adam.c: Adam (Kingma and Ba 2014, Algorithm 1), and AdamW (Loshchilov and Hutter 2017).
*/
#include "step.h"

#include <math.h>

typedef struct {
  pl_adam_step given;
  const int64_t *steps;
} adam_options;

static void adam_piece(const pl_step_param *s, int i, int64_t at, int64_t n, const void *options) {
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
  PL_KERNELS(optim)->adam(n, s->p + at, s->g + at, s->a + at, s->b + at, &k);
}

bool pl_adam(int n, pl_tensor *const *p, pl_tensor *const *g, pl_tensor *const *m,
             pl_tensor *const *v, const int64_t *steps, const pl_adam_step *o) {
  static const pl_step_rule adam = {"adam", "adam_", adam_piece, 12, 7};
  adam_options k = {.steps = steps};
  if (!PL_READ_OPTIONS(adam.what, pl_adam_step, &k.given, o)) return false;
  for (int i = 0; i < n; i++)
    if (steps[i] < 1) return pl_fail("adam: step %lld is not 1 or more", (long long)steps[i]);
  return pl_step(&adam, n, p, g, (pl_step_state){"first moment", m},
                 (pl_step_state){"second moment", v}, &k);
}
