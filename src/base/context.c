/*
** context.c: opening, entering and closing contexts; see context.h.
*/
#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base.h"

PL_THREAD_LOCAL pl_context *pl_here;

typedef struct pl_part {
  struct pl_part *next;
  _Alignas(max_align_t) char memory[];
} pl_part;

void *pl_context_hang(pl_context *c, size_t bytes) {
  pl_part *p = calloc(1, sizeof *p + bytes);
  if (!p) return NULL;
  p->next = c->parts;
  c->parts = p;
  return p->memory;
}

pl_context *pl_context_open(void) {
  pl_context *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  pl_memory_begin(c);
  pl_random_begin(c);
  return c;
}

void pl_context_free(pl_context *c) {
  for (pl_part *p; (p = c->parts); free(p)) c->parts = p->next;
  free(c);
}

void (*pl_scopes_end)(void);

/* Tensors for which no scope was open have had the whole life of the context. */
static void end_scopes(pl_context *c) {
  pl_context *outer = pl_here;
  if (c->owned.n) {
    pl_here = c;
    pl_scopes_end();
    pl_here = outer;
  }
  free(c->owned.v);
}

void pl_context_close(pl_context *c) {
  if (!c) return;
  end_scopes(c);
  if (pl_here == c) pl_here = NULL;
  pl_profile_end(c);
  if (pl_memory_end(c)) pl_context_free(c);
}

pl_context *pl_context_enter(pl_context *c) {
  pl_context *before = PL_HERE;
  if (c == before) return before;
  before->threads = omp_get_max_threads();
  pl_here = c;
  if (c->threads) omp_set_num_threads(c->threads);
  return before;
}

pl_context *pl_context_now(void) { return PL_HERE; }

/*
** The context of a thread that entered no other
*/

static pthread_key_t own;

static void end_thread(void *c) {
  pl_here = NULL;
  pl_context_close(c);
}

__attribute__((constructor)) static void start(void) { pthread_key_create(&own, end_thread); }

/* The C library ends a program in the same way that cannot have the memory for a thread. */
pl_context *pl_context_first(void) {
  pl_context *c = pthread_getspecific(own);
  if (!c) {
    c = pl_context_open();
    if (!c || pthread_setspecific(own, c)) {
      fputs("perilune: not enough memory for a thread\n", stderr);
      abort();
    }
    pl_threads_begin();
  }
  return pl_here = c;
}
