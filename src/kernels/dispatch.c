/*
** dispatch.c: picks the kernels for this processor, once. PERILUNE_ISA names another set;
** one that the processor lacks, or that does not exist, is ignored.
*/
#include "dispatch.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/*
** Convolutions of up to 16 floats in width take vectors of 32 bytes even where there are wider
** ones: blocks of 32 channels would be half empty. Measured on LeNet-5: 48,000 images/s became
** 57,000 (docs/design.md, bench/fit.lua).
*/
enum { NARROW_BYTES = 64 };

static bool always(void) { return true; }

#ifdef PL_HAVE_X86
static bool has_avx2(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void) {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
}
#endif

/* A set: its name, the bytes of its vectors, the set for narrow results. */
#define DECLARE(isa, type, name) extern const pl_##type##_kernels pl_##name##_kernels_##isa;
#define FIELD(isa, type, name)   .name = &pl_##name##_kernels_##isa,
#define SET(isa_, bytes, narrow_)                                        \
  PL_KERNEL_TABLES(DECLARE, isa_)                                        \
  static const pl_kernels isa_ = {.isa = #isa_,                          \
                                  .lanes = bytes / (int)sizeof(pl_real), \
                                  .narrow = &narrow_,                    \
                                  PL_KERNEL_TABLES(FIELD, isa_)};
SET(generic, 16, generic)
#ifdef PL_HAVE_X86
SET(avx2, 32, avx2)
SET(avx512, 64, avx2)
#endif

/* From the widest to the one that runs everywhere. */
static const struct {
  const pl_kernels *kernels;
  bool (*runs)(void);
} sets[] = {
#ifdef PL_HAVE_X86
    {&avx512, has_avx512},
    {&avx2, has_avx2},
#endif
    {&generic, always},
};
enum { SETS = sizeof sets / sizeof *sets };

const pl_kernels *pl_kernels_at(int i) {
  for (int k = 0; k < SETS; k++)
    if (sets[k].runs() && i-- == 0) return sets[k].kernels;
  return NULL;
}

static const pl_kernels *pick(const char *wish) {
  for (int i = 0; wish && pl_kernels_at(i); i++)
    if (!strcmp(wish, pl_kernels_at(i)->isa)) return pl_kernels_at(i);
  return pl_kernels_at(0);
}

const pl_kernels *pl_kernels_now(void) {
  static const pl_kernels *_Atomic picked; /* each thread would pick the same */
  const pl_kernels *k = atomic_load_explicit(&picked, memory_order_relaxed);
  if (!k) atomic_store_explicit(&picked, k = pick(getenv("PERILUNE_ISA")), memory_order_relaxed);
  return k;
}

const pl_kernels *pl_kernels_for(int64_t width) {
  const pl_kernels *k = pl_kernels_now();
  return width <= NARROW_BYTES / (int)sizeof(pl_real) ? k->narrow : k;
}

const char *pl_isa(void) { return pl_kernels_now()->isa; }
