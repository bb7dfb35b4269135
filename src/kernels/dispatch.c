/*
** dispatch.c: picks the kernels for this processor, once. PERILUNE_ISA names another set;
** one that the processor lacks, or that does not exist, is ignored.
*/
#include "dispatch.h"

#include <stdlib.h>
#include <string.h>

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

static const struct {
  pl_kernels kernels;
  bool (*runs)(void);
} sets[] = {
#ifdef PL_HAVE_X86
    {{"avx512", &pl_math_kernels_avx512, &pl_conv_kernels_avx512, &pl_conv_kernels_avx2,
      &pl_panel_kernels_avx512, &pl_gemm_kernels_avx512},
     has_avx512},
    {{"avx2", &pl_math_kernels_avx2, &pl_conv_kernels_avx2, &pl_conv_kernels_avx2,
      &pl_panel_kernels_avx2, &pl_gemm_kernels_avx2},
     has_avx2},
#endif
    {{"generic", &pl_math_kernels_generic, &pl_conv_kernels_generic, &pl_conv_kernels_generic,
      &pl_panel_kernels_generic, &pl_gemm_kernels_generic},
     always},
};

const pl_kernels *pl_kernels_now(void) {
  static const pl_kernels *picked;
  if (picked) return picked;
  const char *wish = getenv("PERILUNE_ISA");
  const pl_kernels *best = NULL;
  for (size_t i = sizeof sets / sizeof *sets; i-- > 0;) {
    if (!sets[i].runs()) continue;
    best = &sets[i].kernels;
    if (wish && !strcmp(wish, best->name)) break;
  }
  return picked = best;
}

const char *pl_isa(void) { return pl_kernels_now()->name; }
