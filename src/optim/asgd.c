/*
** asgd.c: averaged stochastic gradient descent (Polyak and Juditsky 1992; the rates are those of
** Xu 2011), as PyTorch has it.
*/
#include "step.h"

#include <math.h>

typedef struct {
  pl_asgd_step given;
  const double *eta, *mu;
} asgd_options;

static void asgd_piece(const pl_step_param *s, int i, const void *options) {
  const asgd_options *c = options;
  const double eta = c->eta[i], mu = c->mu[i];
  const pl_asgd_options k = {(pl_real)eta, (pl_real)(1 - c->given.lambd * eta), (pl_real)mu,
                             (pl_real)(1 - mu), (pl_real)c->given.weight_decay};
  PL_KERNELS(optim)->asgd(s->n, s->p, s->g, s->state[0], &k);
}

bool pl_asgd(int n, pl_tensor *const *p, pl_tensor *const *g, pl_tensor *const *mean,
             const int64_t *steps, double *eta, double *mu, const pl_asgd_step *given) {
  static const pl_step_rule asgd = {"asgd", "asgd_", asgd_piece, 8, 5};
  asgd_options k = {.eta = eta, .mu = mu};
  const pl_asgd_step *o = &k.given;
  if (!PL_READ_OPTIONS(asgd.what, pl_asgd_step, &k.given, given) ||
      !pl_check_steps(asgd.what, n, steps) ||
      !pl_step(&asgd, &(pl_step_lists){n, p, g, {{"mean", mean}}, o->maximize}, &k))
    return false;
  for (int i = 0; i < n; i++) {
    const double t = (double)steps[i];
    eta[i] = o->lr / pow(1 + o->lambd * o->lr * t, o->alpha);
    mu[i] = 1 / fmax(1, t - o->t0);
  }
  return true;
}
