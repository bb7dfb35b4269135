/*
** activation.h: the activation that an op applies to its result. An op with such an attribute,
** which `slope` follows, gives its kernel the epilogue's slope and the tensor of pl_pre_activation
** to write, then calls pl_activate; its gradient begins with pl_activation_grad.
*/
#ifndef PERILUNE_ACTIVATION_H
#define PERILUNE_ACTIVATION_H

#include "../autograd/autograd.h"
#include "activations.def"

extern const pl_op *const pl_activation_ops[];

/* `at` is the activation's place among the attributes, here and below. False with a message if the
 * slope is negative, or if a maximum that follows does not agree with the activation. */
bool pl_check_activation(const pl_args *c, int at, bool pooled);
/* Below zero, for a kernel's epilogue: 1 if there is none, or one that is not the kernel's. */
pl_real pl_act_epilogue(const pl_args *c, int at);
/* Whether the gradient is a kernel's prologue too, which needs the result. */
bool pl_act_by_sign(const pl_args *c, int at);

/* Where the kernel writes: the result, or what is yet to be activated; NULL: no memory. */
pl_tensor *pl_pre_activation(pl_args *c, int at);
bool pl_activate(pl_args *c, int at, pl_tensor *pre);
/* The gradient of the pre-activation, as ops where a graph of it is asked for. */
pl_tensor *pl_activation_grad(const pl_args *c, int at, pl_tensor *g);
/* The activation of x as an op. */
pl_tensor *pl_activated(const pl_args *c, int at, pl_tensor *x);

#endif
