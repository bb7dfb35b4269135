/*
** step.h: what the steps of optimisers share. All parameters are checked, then changed in one pass:
** they are cut into pieces of PL_STEP_PIECE elements, which the threads share.
**
**   parameters  |  1  |    2    |3|      pieces   1a 2a 3a | 1b 2b     thread 0 | thread 1
*/
#ifndef PERILUNE_STEP_H
#define PERILUNE_STEP_H

#include "../ops/ops.h"

enum { PL_STEP_PIECE = 8192 };

/* A piece of a parameter, of its gradient, and of what the optimiser remembers of it (NULL:
 * nothing). */
enum { PL_STEP_STATES = 3 };
typedef struct {
  int64_t n;
  pl_real *p, *state[PL_STEP_STATES];
  const pl_real *g;
} pl_step_param;

/* What an optimiser does with a piece of parameter i. */
typedef void pl_step_piece(const pl_step_param *s, int i, const void *options);

/* What is remembered, a tensor for each parameter, with a name for messages. */
typedef struct {
  const char *name;
  pl_tensor *const *list; /* NULL: there is none */
} pl_step_state;

/* An optimiser: its name in messages and profiles, its arithmetic, and what it costs for an
 * element: operations, and reads and writes. */
typedef struct {
  const char *what, *op;
  pl_step_piece *f;
  double flops, moves;
} pl_step_rule;

/* The lists of a step. All optimisers can go up the gradient instead of down. */
typedef struct {
  int n;
  pl_tensor *const *p, *const *g;
  pl_step_state state[PL_STEP_STATES];
  bool maximize;
} pl_step_lists;

bool pl_step(const pl_step_rule *rule, const pl_step_lists *lists, const void *options);
/* False with a message unless all steps are counted from 1. */
bool pl_check_steps(const char *what, int n, const int64_t *steps);

#endif
