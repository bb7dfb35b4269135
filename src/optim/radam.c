/*
** radam.c: RAdam, Adam whose first steps are rectified (Liu et al. 2019, Algorithm 2), as PyTorch
** has it.
*/
#include "step.h"

#include <math.h>

typedef struct {
  pl_radam_step given;
  const int64_t *steps;
} radam_options;

/*
** A step is by_mean m / (root sqrt(v) + eps). Where there are too few gradients for a variance it is
** one of momentum alone: root = 0 and eps = 1.
*/
static void rectify(pl_moments_options *k, const pl_radam_step *o, double t) {
  const double power = pow(o->beta2, t), correction2 = 1 - power;
  const double most = 2 / (1 - o->beta2) - 1, length = most - 2 * t * power / correction2;
  const double step = o->lr / (1 - pow(o->beta1, t));
  const bool adaptive = length > 5;
  const double factor = adaptive ? sqrt((length - 4) * (length - 2) * most * correction2 /
                                        ((most - 4) * (most - 2) * length))
                                 : 1;
  k->by_mean = (pl_real)(step * factor);
  k->eps = (pl_real)(adaptive ? o->eps : 1);
  k->root = adaptive;
}

static void radam_piece(const pl_step_param *s, int i, const void *options) {
  const radam_options *c = options;
  const pl_radam_step *o = &c->given;
  pl_moments_options k = {.beta1 = (pl_real)o->beta1,
                          .beta2 = (pl_real)o->beta2,
                          .l2 = (pl_real)(o->decoupled ? 0 : o->weight_decay),
                          .keep = (pl_real)(o->decoupled ? 1 - o->lr * o->weight_decay : 1)};
  rectify(&k, o, (double)c->steps[i]);
  PL_KERNELS(optim)->moments(s->n, s->p, s->g, s->state[0], s->state[1], &k);
}

bool pl_radam(int n, pl_tensor *const *p, pl_tensor *const *g, pl_tensor *const *m,
              pl_tensor *const *v, const int64_t *steps, const pl_radam_step *o) {
  static const pl_step_rule radam = {"radam", "radam_", radam_piece, 14, 7};
  radam_options k = {.steps = steps};
  if (!PL_READ_OPTIONS(radam.what, pl_radam_step, &k.given, o) ||
      !pl_check_steps(radam.what, n, steps))
    return false;
  const pl_step_lists lists = {
      n, p, g, {{"first moment", m}, {"second moment", v}}, k.given.maximize};
  return pl_step(&radam, &lists, &k);
}
