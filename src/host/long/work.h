/*
** work.h: how a call that may run long looks, now and then, whether it is to stop.
**
**   pl_work work = pl_work_begin(L);
**   for (...) {
**     pl_work_step(&work);    raises when the host stops
**     ...
**   }
*/
#ifndef PERILUNE_WORK_H
#define PERILUNE_WORK_H

#include <lua.h>
#include <stddef.h>

/*
** A look costs some nanoseconds, so there is one in so many steps. A step is a byte, an element or a
** try: nanoseconds as a rule, and at most what a C function takes that an element's metamethod may
** be, which does not look itself before 256 steps of its own. So 256 x 256 steps of 20 ns, a
** millisecond, pass between two looks.
*/
enum { PL_WORK_STEPS = 256, PL_WORK_BLOCK = 16384 };

typedef struct {
  lua_State *L;
  ptrdiff_t left; /* steps before the next look */
} pl_work;

/* Raises if the host is to stop; else begins to count anew. */
void pl_work_look(pl_work *w);

static inline pl_work pl_work_begin(lua_State *L) {
  return (pl_work){.L = L, .left = PL_WORK_STEPS};
}

static inline void pl_work_steps(pl_work *w, size_t n) {
  w->left -= (ptrdiff_t)n;
  if (__builtin_expect(w->left <= 0, 0)) pl_work_look(w);
}

static inline void pl_work_step(pl_work *w) { pl_work_steps(w, 1); }

/* What the C library does to n bytes at once, a step for a cache line. */
static inline void pl_work_bytes(pl_work *w, size_t n) { pl_work_steps(w, 1 + n / 64); }

/* How many of the bytes that are left may be worked on before the next call of this. */
static inline size_t pl_work_block(pl_work *w, size_t left) {
  const size_t n = left < PL_WORK_BLOCK ? left : PL_WORK_BLOCK;
  pl_work_bytes(w, n);
  return n;
}

#endif
