/*
** activation.c: activations as an attribute of other ops. Kernels apply those whose derivative is a
** matter of the result's sign (epilogue.h). The others are the elementwise op of that name, in one
** pass after the kernel, still within one op: its row has the values, and the gradient both as
** values and as ops. Where that needs the pre-activation, it is kept as a hidden tensor; a gradient
** that is to have gradients itself computes it once more, with its history.
*/
#include "activation.h"

#include <string.h>

#include "ops.h"

enum { KEPT = PL_MAX_SAVED - 1 }; /* the hidden tensor's place */

typedef enum { NONE, BY_SIGN, MONOTONE, OTHER } kind;

#define KIND(NAME, name, parameter, kind_) [PL_ACT_##NAME] = kind_,
static const kind kinds[] = {[PL_ACT_NONE] = NONE, PL_ACTIVATIONS(KIND)};

static kind kind_of(const pl_args *c, int at) { return kinds[c->attr[at].i]; }

static double parameter_of(const pl_args *c, int at) {
  const double slope = c->attr[at + 1].d;
#define PARAMETER(NAME, name, parameter, kind) [PL_ACT_##NAME] = parameter,
  const double parameters[] = {[PL_ACT_NONE] = 1, PL_ACTIVATIONS(PARAMETER)};
  return parameters[c->attr[at].i];
}

enum { N_ACTIVATIONS = sizeof kinds / sizeof *kinds };

bool pl_check_activation(const pl_args *c, int at, bool pooled) {
  if (c->attr[at].i < 0 || c->attr[at].i >= N_ACTIVATIONS)
    return pl_op_fail(c, "activation %lld is not known; this library has %d",
                      (long long)c->attr[at].i, N_ACTIVATIONS);
  if (kind_of(c, at) == BY_SIGN && !(parameter_of(c, at) >= 0))
    return pl_op_fail(c, "slope is %g, expected 0 or more", c->attr[at + 1].d);
  if (pooled && kind_of(c, at) == OTHER)
    return pl_op_fail(c, "max_pool with activation %s, which is not monotone: pool its result",
                      pl_op_name(pl_activation_ops[c->attr[at].i]));
  return true;
}

pl_real pl_act_epilogue(const pl_args *c, int at) {
  return kind_of(c, at) == BY_SIGN ? (pl_real)parameter_of(c, at) : 1;
}

bool pl_act_by_sign(const pl_args *c, int at) { return kind_of(c, at) == BY_SIGN; }

static bool has_pass(const pl_args *c, int at) { return kind_of(c, at) > BY_SIGN; }

pl_tensor *pl_pre_activation(pl_args *c, int at) {
  return has_pass(c, at) ? pl_empty(PL_REAL, pl_size(c->out[0])) : c->out[0];
}

/* A call of the activation's op. */
static pl_args call_of(const pl_args *c, int at, pl_tensor **x, pl_attr *attr) {
  memset(attr, 0, PL_MAX_ATTR * sizeof *attr);
  attr->d = parameter_of(c, at);
  return (pl_args){
      .op = pl_activation_ops[c->attr[at].i], .n_in = 1, .in = x, .attr = attr, .out = {c->out[0]}};
}

static bool reads_input(const pl_op *op) { return !(op->unsaved & PL_UNSAVED_IN); }

bool pl_activate(pl_args *c, int at, pl_tensor *pre) {
  pl_attr attr[PL_MAX_ATTR];
  if (!has_pass(c, at)) return true;
  pl_args a = call_of(c, at, &pre, attr);
  return a.op->forward(&a) && (!reads_input(a.op) || pl_save(c, KEPT, pre));
}

/* The same call without its activation. */
static pl_tensor *without(const pl_args *c, int at) {
  pl_attr attr[PL_MAX_ATTR];
  pl_tensor *out[PL_MAX_OUT];
  memcpy(attr, c->attr, (size_t)c->op->signature->n_attr * sizeof *attr);
  attr[at].i = PL_ACT_NONE;
  return pl_apply(c->op, c->n_in, c->in, attr, out) ? out[0] : NULL;
}

pl_tensor *pl_activation_grad(const pl_args *c, int at, pl_tensor *g) {
  if (kind_of(c, at) == NONE) return g;
  if (kind_of(c, at) == BY_SIGN) return pl_act_grad(g, c->out[0], parameter_of(c, at));
  pl_attr attr[PL_MAX_ATTR];
  pl_tensor *x = c->out[0], *gin[1] = {NULL}; /* any tensor will do where x is not read */
  pl_args a = call_of(c, at, &x, attr);
  const bool graph = c->out[0]->node != NULL;
  if (reads_input(a.op)) x = graph ? without(c, at) : c->saved[KEPT];
  if (!x || !(graph ? a.op->gradient : a.op->fused_gradient)(&a, &g, 1, gin)) return NULL;
  return gin[0];
}

pl_tensor *pl_activated(const pl_args *c, int at, pl_tensor *x) {
  pl_attr attr[PL_MAX_ATTR];
  if (!x || kind_of(c, at) == NONE) return x;
  pl_tensor *out[PL_MAX_OUT];
  const pl_args a = call_of(c, at, &x, attr);
  return pl_apply(a.op, 1, &x, attr, out) ? out[0] : NULL;
}
