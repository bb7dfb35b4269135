/*
** profile.c: the rows of a profile, in a hash of name, direction and owner that grows.
*/
#include "profile.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base.h"

static struct {
  bool on;
  int owner;
  pl_profile_row *rows;
  size_t n, room;
  size_t *slot; /* index + 1, 0 is free; 2 * room of them */
} profile;

static PL_THREAD_LOCAL pl_span *innermost;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static size_t *slot_of(const pl_profile_row *row) {
  const size_t mask = 2 * profile.room - 1;
  size_t h = ((uintptr_t)row->name >> 4) * 31 + (size_t)row->owner * 2 + row->gradient;
  for (h = h * 0x9E3779B97F4A7C15u >> 20 & mask;; h = (h + 1) & mask) {
    if (!profile.slot[h]) return profile.slot + h;
    const pl_profile_row *r = profile.rows + profile.slot[h] - 1;
    if (r->name == row->name && r->gradient == row->gradient && r->owner == row->owner)
      return profile.slot + h;
  }
}

/* False without memory: then the profile lacks a row, and the work goes on. */
static bool grow(void) {
  const size_t room = profile.room ? 2 * profile.room : 64;
  pl_profile_row *rows = realloc(profile.rows, room * sizeof *rows);
  if (!rows) return false;
  profile.rows = rows;
  size_t *slot = calloc(2 * room, sizeof *slot);
  if (!slot) return false;
  free(profile.slot);
  profile.slot = slot;
  profile.room = room;
  for (size_t i = 0; i < profile.n; i++) *slot_of(rows + i) = i + 1;
  return true;
}

static void add(const pl_profile_row *row) {
  if (profile.n == profile.room && !grow()) return;
  size_t *slot = slot_of(row);
  if (!*slot) {
    profile.rows[profile.n] = *row;
    *slot = ++profile.n;
    return;
  }
  pl_profile_row *r = profile.rows + *slot - 1;
  r->calls += row->calls;
  r->seconds += row->seconds;
  r->flops += row->flops;
  r->bytes += row->bytes;
}

void pl_span_begin(pl_span *s, const char *name, bool gradient) {
  s->name = NULL;
  if (!profile.on) return;
  *s = (pl_span){.outer = innermost, .name = name, .gradient = gradient};
  innermost = s;
  if (!s->outer) s->began = now();
}

void pl_span_end(pl_span *s, double flops, double bytes) {
  if (!s->name) return;
  innermost = s->outer;
  if (flops < 0) flops = s->inner;
  if (s->outer) {
    s->outer->inner += flops;
  } else if (profile.on) {
    add(&(pl_profile_row){s->name, s->gradient, profile.owner, 1, now() - s->began, flops, bytes});
  }
}

void pl_profile_start(void) {
  profile.n = 0;
  if (profile.slot) memset(profile.slot, 0, 2 * profile.room * sizeof *profile.slot);
  profile.on = true;
}

void pl_profile_stop(void) { profile.on = false; }

int pl_span_owner(void) { return profile.owner; }

int pl_profile_owner(int owner) {
  const int was = profile.owner;
  profile.owner = owner;
  return was;
}

const pl_profile_row *pl_profile_rows(size_t *n) {
  *n = profile.n;
  return profile.rows;
}
