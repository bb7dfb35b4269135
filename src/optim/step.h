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

/* A parameter, its gradient, and what the optimiser remembers of it (NULL: nothing). */
typedef struct {
  int64_t n;
  pl_real *p, *a, *b;
  const pl_real *g;
} pl_step_param;

/* What an optimiser does with `n` elements of parameter i from `at` on. */
typedef void pl_step_piece(const pl_step_param *s, int i, int64_t at, int64_t n,
                           const void *options);

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

bool pl_step(const pl_step_rule *rule, int n, pl_tensor *const *p, pl_tensor *const *g,
             pl_step_state a, pl_step_state b, const void *options);

#endif
