/*
** base.h: what every floor may use: the context, the error slot, storage, scratch memory,
** threads, profiles.
** This floor knows libc and OpenMP, nothing of tensors.
*/
#ifndef PERILUNE_BASE_H
#define PERILUNE_BASE_H

#include "perilune.h"

#include "context.h"
#include "files.h"
#include "memory.h"
#include "options.h"
#include "profile.h"

#define PL_MIN(a, b) ((a) < (b) ? (a) : (b))
#define PL_MAX(a, b) ((a) > (b) ? (a) : (b))

/* n / by, rounded up; and n, rounded up to a multiple of `to`. n is not negative. */
static inline int64_t pl_ceil_div(int64_t n, int64_t by) { return (n + by - 1) / by; }
static inline int64_t pl_round_up(int64_t n, int64_t to) { return pl_ceil_div(n, to) * to; }

/* Whether a loop over elements goes on with the i-th one: asked now and then, for a tensor may have any
 * number of elements in no memory at all (expand). False with a message when the context is to stop. */
static inline bool pl_goes_on(int64_t i) { return (i & 0xFFFF) != 0xFFFF || pl_check_interrupt(); }

/* Elements below which a loop over memory stays on one thread. */
enum { PL_GRAIN = 16384 };

/* From now on each BLAS call within a parallel region runs on the thread that makes it. */
void pl_blas_one_thread(void);
/* Brackets those outside of one, for which the same holds then: sums are the same for any number of
 * threads, and what OpenBLAS shares between calls of several threads is left alone. */
int pl_blas_begin(void);
void pl_blas_end(int threads);

#endif
