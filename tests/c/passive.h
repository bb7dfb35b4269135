/*
** passive.h: lets OpenMP's threads sleep while they wait. The tests ask for more threads than there
** are cores, which would spin for most of the time. OpenMP reads its environment before main, so
** the program starts itself again.
*/
#ifndef PERILUNE_TESTS_PASSIVE_H
#define PERILUNE_TESTS_PASSIVE_H

#include <stdlib.h>
#include <unistd.h>

static void wait_passively(char **argv) {
  if (getenv("OMP_WAIT_POLICY")) return;
  setenv("OMP_WAIT_POLICY", "passive", 1);
  execv("/proc/self/exe", argv); /* where it fails, the tests are slow */
}

#endif
