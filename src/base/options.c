/*
** options.c: structs of options that carry their size; and what a program can ask of the library
** that it got.
*/
#include <string.h>

#include "base.h"

/* No struct of options is longer, in this version or a later one. */
enum { LONGEST = 4096 };

static bool all_zero(const char *from, const char *to) {
  while (from < to && *from == 0) from++;
  return from >= to;
}

bool pl_read_options(const char *who, const char *type, void *options, size_t known,
                     const void *given) {
  size_t size;
  if (!given) return pl_fail("%s: no %s", who, type);
  memcpy(&size, given, sizeof size);
  if (size < sizeof size || size > LONGEST || size % sizeof size)
    return pl_fail("%s: the size in its %s is %zu; sizeof(%s) expected", who, type, size, type);
  if (!all_zero((const char *)given + PL_MIN(size, known), (const char *)given + size))
    return pl_fail("%s: its %s sets what version %s of the library does not know", who, type,
                   PL_VERSION);
  memset(options, 0, known);
  memcpy(options, given, PL_MIN(size, known));
  return true;
}

const char *pl_version(void) { return PL_VERSION; }

size_t pl_real_size(void) { return sizeof(pl_real); }
