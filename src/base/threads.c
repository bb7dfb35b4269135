/*
** threads.c: the number of OpenMP threads, and what the BLAS says of itself.
*/
#include <cblas.h>
#include <omp.h>
#include <stdio.h>

#include "base.h"

extern char *openblas_get_config(void);
extern char *openblas_get_corename(void);
extern void openblas_set_num_threads(int n);

int pl_threads(int n) {
  if (n > 0) omp_set_num_threads(n < omp_get_thread_limit() ? n : omp_get_thread_limit());
  return omp_get_max_threads();
}

/*
** OpenBLAS waits for as many threads as OpenMP promises, so none may be promised that do not come:
** what the environment allows less of counts from the beginning.
*/
static void promise_what_comes(void) {
  omp_set_dynamic(0);
  if (omp_get_max_active_levels() < 1) omp_set_max_active_levels(1);
  if (omp_get_thread_limit() < omp_get_max_threads()) omp_set_num_threads(omp_get_thread_limit());
}

/* OpenBLAS passes the number on to OpenMP, where it must not change ours. */
void pl_blas_one_thread(void) {
  static bool done;
  if (done) return;
  promise_what_comes();
  int threads = omp_get_max_threads();
  openblas_set_num_threads(1);
  omp_set_num_threads(threads);
  done = true;
}

const char *pl_blas(void) {
  static char text[128];
  char version[32] = "?";
  sscanf(openblas_get_config(), "OpenBLAS %31s", version);
  snprintf(text, sizeof text, "OpenBLAS %s (%s)", version, openblas_get_corename());
  return text;
}
