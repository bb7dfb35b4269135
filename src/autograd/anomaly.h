/*
** anomaly.h: looking for the call in which a NaN or an infinity arises.
*/
#ifndef PERILUNE_ANOMALY_H
#define PERILUNE_ANOMALY_H

#include "../base/context.h"
#include "autograd.h"

typedef struct {
  pl_tracer tracer; /* first: it is what the engine sees */
  pl_tracer *outer;
  /* where the call that runs is made, a number from 1; and that place as text. Either may be NULL */
  int (*place)(void *context);
  const char *(*text)(void *context, int place);
  void *context;
} pl_anomaly;

/* From here to the end, calls and gradients in this context fail that give a NaN or an infinity. */
void pl_anomaly_begin(pl_anomaly *a);
void pl_anomaly_end(pl_anomaly *a);

#endif
