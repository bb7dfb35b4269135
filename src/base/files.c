/*
** files.c: see files.h.
*/
#include "base.h"

static bool has_room(pl_context *c) {
  return !c->bound.files || atomic_load(&c->files) < c->bound.files;
}

bool pl_may_hold_file(void) {
  pl_context *c = PL_HERE;
  if (has_room(c)) return true;
  if (c->reclaim) c->reclaim(0);
  if (has_room(c)) return true;
  c->bound.reached(c, PL_ERROR_FILES);
  return pl_fail_as(PL_ERROR_FILES, "one more is beyond the limit of %lld open files",
                    (long long)c->bound.files);
}

pl_context *pl_hold_file(void) {
  pl_context *c = PL_HERE;
  if (!pl_may_hold_file()) return NULL;
  atomic_fetch_add(&c->files, 1);
  return c;
}

void pl_let_file_go(pl_context *holder) {
  if (holder) atomic_fetch_sub(&holder->files, 1);
}
