/*
** check.h: counting, and what a host writes, for the tests of embedding.
*/
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <string.h>

#include "perilune_host.h"

static int passed, failed;

static void check(bool good, const char *what) {
  if (good) passed++;
  else failed++, printf("failed: %s\n", what);
}

/* The last line; the status of the program. */
static int count(void) {
  printf("%d passed, %d failed\n", passed, failed);
  return failed > 0;
}

/* What a host wrote. */
typedef struct {
  char text[8192];
} output;

/* A writer whose user is an output; NULL forgets it. */
static inline void collect(void *user, int stream, const char *text, size_t size) {
  output *o = user;
  (void)stream;
  if (o) strncat(o->text, text, size < sizeof o->text - strlen(o->text) ? size : 0);
}

#endif
