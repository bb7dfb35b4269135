/*
** threads.c: the number of OpenMP threads, the BLAS within them, and forks.
*/
#include <cblas.h>
#include <omp.h>
#include <pthread.h>
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
** what the environment allows less of counts from the beginning. OpenMP has these settings once a
** thread.
*/
void pl_threads_begin(void) {
  omp_set_dynamic(0);
  if (omp_get_max_active_levels() < 1) omp_set_max_active_levels(1);
  if (omp_get_thread_limit() < omp_get_max_threads()) omp_set_num_threads(omp_get_thread_limit());
}

static pthread_once_t blas_once = PTHREAD_ONCE_INIT;
static char blas_text[128];

/* OpenBLAS passes the number on to OpenMP, where it must not change ours. */
static void blas_begin(void) {
  char version[32] = "?";
  pl_threads_begin();
  const int threads = omp_get_max_threads();
  openblas_set_num_threads(1);
  omp_set_num_threads(threads);
  sscanf(openblas_get_config(), "OpenBLAS %31s", version);
  snprintf(blas_text, sizeof blas_text, "OpenBLAS %s (%s)", version, openblas_get_corename());
}

void pl_blas_one_thread(void) { pthread_once(&blas_once, blas_begin); }

/* OpenBLAS asks OpenMP at each call. */
int pl_blas_begin(void) {
  pl_blas_one_thread();
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  return threads;
}

void pl_blas_end(int threads) { omp_set_num_threads(threads); }

const char *pl_blas(void) {
  pl_blas_one_thread();
  return blas_text;
}

/*
** A child has the thread that forked and no other, but gcc's OpenMP would wait there for the threads
** that this one had. So it lets them go before, and begins others with the next region that needs
** them. Where there are none this costs nothing, and within a region it does nothing. Clang's OpenMP
** begins anew in a child by itself.
*/
static void before_fork(void) { omp_pause_resource_all(omp_pause_soft); }

__attribute__((constructor)) static void start(void) { pthread_atfork(before_fork, NULL, NULL); }
