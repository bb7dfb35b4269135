/*
** registry.h: ops that were registered at run time. They are a list, to which is added under a lock
** and from which nothing is taken, so that it is read without one.
**
**   first --> mine.squash --> mine.swish --> NULL
*/
#ifndef PERILUNE_REGISTRY_H
#define PERILUNE_REGISTRY_H

#include <stdatomic.h>

#include "../autograd/autograd.h"

typedef struct pl_registered {
  pl_op op;
  pl_signature signature;
  _Atomic(struct pl_registered *) next;
  char text[]; /* those of the spec, and the words of the signature */
} pl_registered;

/* The first; NULL if there is none. */
pl_registered *pl_registered_first(void);
static inline pl_registered *pl_registered_next(const pl_registered *r) {
  return atomic_load_explicit(&r->next, memory_order_acquire);
}

/* Ops that wait for the end of pl_ops_open, to be registered together. */
typedef struct {
  pl_registered *first, *last;
  int n;
} pl_waiting;
/* Registers them all, or, with a message, none. */
bool pl_register_all(pl_waiting *w);
void pl_waiting_free(pl_waiting *w);

#endif
