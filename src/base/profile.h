/*
** profile.h: where time goes. Whoever does work that is worth a line in a profile puts it in a
** span. Spans lie within each other; the outermost one gets the time, and the arithmetic of those
** inside it.
*/
#ifndef PERILUNE_PROFILE_H
#define PERILUNE_PROFILE_H

#include "perilune.h"

typedef struct pl_span {
  struct pl_span *outer;
  const char *name; /* NULL: no profile is being taken */
  bool gradient;
  double began;
  double inner; /* arithmetic of the spans inside */
} pl_span;

/* Seconds from some fixed moment on; 0 in a context whose clocks stand still. */
double pl_clock(void);
/* The name must live for ever: the address is what counts. */
void pl_span_begin(pl_span *s, const char *name, bool gradient);
/* flops: operations that it took itself; below 0: what the spans inside it took. */
void pl_span_end(pl_span *s, double flops, double bytes);
/* The owner of the ops that run now; see pl_profile_owner. */
int pl_span_owner(void);

#endif
