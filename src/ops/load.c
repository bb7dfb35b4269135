/*
** load.c: pl_load_ops: shared objects that register ops. Each is opened once in a process, by
** whichever thread comes first; its ops appear together when its pl_ops_open has ended well.
*/
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* dladdr, a recursive lock */
#endif
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry.h"

typedef struct library {
  struct library *next;
  void *handle; /* one for each object, whatever path led to it */
  bool opening;
  pl_waiting ops; /* in the registry, once it is open */
} library;

/* Held while one is opened: recursive, for its pl_ops_open may run a host which loads another. */
static pthread_mutex_t loading = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static library *libraries;

/* A Lua interpreter loads us for itself alone; the library finds our functions when all can see
 * them. Of a program, which dlopen does not find, they can already. */
static void show_ourselves(void) {
  static const char here = 0;
  Dl_info info;
  if (dladdr(&here, &info) && info.dli_fname)
    dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL);
}

static library *find(const void *handle) {
  library *l = libraries;
  while (l && l->handle != handle) l = l->next;
  return l;
}

static bool open_ops(library *l, bool (*open)(void)) {
  pl_context *c = PL_HERE;
  pl_waiting *outer = c->opening;
  c->opening = &l->ops;
  l->opening = true;
  const bool good = open() && !pl_error();
  l->opening = false;
  c->opening = outer;
  if (!good) return pl_fail("its pl_ops_open gives false, and no reason");
  return l->ops.n ? pl_register_all(&l->ops)
                  : pl_fail(
                        "its pl_ops_open registers no op, or does so with another copy of "
                        "Perilune, with which the library is linked");
}

static library *open_new(void *handle) {
  bool (*open)(void);
  *(void **)&open = dlsym(handle, "pl_ops_open");
  if (!open) return pl_fail("it has no function pl_ops_open, so it is no library of ops"), NULL;
  library *l = calloc(1, sizeof *l);
  if (!l) return pl_fail_as(PL_ERROR_MEMORY, "not enough memory"), NULL;
  l->handle = handle;
  l->next = libraries;
  libraries = l; /* the first, but for those that open() has loaded and are before it then */
  if (open_ops(l, open)) return l;
  library **at = &libraries;
  while (*at != l) at = &(*at)->next;
  *at = l->next;
  pl_waiting_free(&l->ops);
  free(l);
  return NULL;
}

static library *load(const char *path) {
  show_ourselves();
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!handle) return pl_fail_as(PL_ERROR_FILE, "%s", dlerror()), NULL;
  library *l = find(handle);
  if (!l) return open_new(handle);
  if (l->opening) return pl_fail("its pl_ops_open loads it once more"), NULL;
  return l;
}

/* What went wrong, after the path, which the system's own words may begin with. */
static void name_path(const char *path) {
  char reason[400];
  const size_t n = strlen(path);
  const pl_status code = pl_error_code();
  snprintf(reason, sizeof reason, "%s", pl_error());
  pl_error_clear();
  const bool named = !strncmp(reason, path, n) && !strncmp(reason + n, ": ", 2);
  pl_fail_as(code, "load_ops: %s: %s", path, reason + (named ? n + 2 : 0));
}

int pl_load_ops(const char *path, int room, const pl_op **ops) {
  if (pl_error()) return -1;
  pthread_mutex_lock(&loading);
  const library *l = load(path);
  pthread_mutex_unlock(&loading);
  if (!l) return name_path(path), -1;
  const pl_registered *r = l->ops.first;
  for (int i = 0; i < room && i < l->ops.n; i++, r = pl_registered_next(r)) ops[i] = &r->op;
  return l->ops.n;
}
