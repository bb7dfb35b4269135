/*
** profile.c: the rows of a profile, in a hash of name, direction and owner that grows.
*/
#include "profile.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base.h"

typedef pl_profile profile;

double pl_clock(void) {
  struct timespec t;
  if (PL_HERE->timeless) return 0;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static size_t *slot_of(const profile *p, const pl_profile_row *row) {
  const size_t mask = 2 * p->room - 1;
  size_t h = ((uintptr_t)row->name >> 4) * 31 + (size_t)row->owner * 2 + row->gradient;
  for (h = h * 0x9E3779B97F4A7C15u >> 20 & mask;; h = (h + 1) & mask) {
    if (!p->slot[h]) return p->slot + h;
    const pl_profile_row *r = p->rows + p->slot[h] - 1;
    if (r->name == row->name && r->gradient == row->gradient && r->owner == row->owner)
      return p->slot + h;
  }
}

/* False without memory: then the profile lacks a row, and the work goes on. */
static bool grow(profile *p) {
  const size_t room = p->room ? 2 * p->room : 64;
  pl_profile_row *rows = realloc(p->rows, room * sizeof *rows);
  if (!rows) return false;
  p->rows = rows;
  size_t *slot = calloc(2 * room, sizeof *slot);
  if (!slot) return false;
  free(p->slot);
  p->slot = slot;
  p->room = room;
  for (size_t i = 0; i < p->n; i++) *slot_of(p, rows + i) = i + 1;
  return true;
}

static void add(profile *p, const pl_profile_row *row) {
  if (p->n == p->room && !grow(p)) return;
  size_t *slot = slot_of(p, row);
  if (!*slot) {
    p->rows[p->n] = *row;
    *slot = ++p->n;
    return;
  }
  pl_profile_row *r = p->rows + *slot - 1;
  r->calls += row->calls;
  r->seconds += row->seconds;
  r->flops += row->flops;
  r->bytes += row->bytes;
}

void pl_span_begin(pl_span *s, const char *name, bool gradient) {
  profile *p = &PL_HERE->profile;
  s->name = NULL;
  if (!p->on) return;
  *s = (pl_span){.outer = p->innermost, .name = name, .gradient = gradient};
  p->innermost = s;
  if (!s->outer) s->began = pl_clock();
}

void pl_span_end(pl_span *s, double flops, double bytes) {
  if (!s->name) return;
  profile *p = &PL_HERE->profile;
  p->innermost = s->outer;
  if (flops < 0) flops = s->inner;
  if (s->outer) {
    s->outer->inner += flops;
  } else if (p->on) {
    add(p,
        &(pl_profile_row){s->name, s->gradient, p->owner, 1, pl_clock() - s->began, flops, bytes});
  }
}

void pl_profile_start(void) {
  profile *p = &PL_HERE->profile;
  p->n = 0;
  if (p->slot) memset(p->slot, 0, 2 * p->room * sizeof *p->slot);
  p->on = true;
}

void pl_profile_stop(void) { PL_HERE->profile.on = false; }

void pl_profile_end(pl_context *c) {
  free(c->profile.rows);
  free(c->profile.slot);
}

int pl_span_owner(void) { return PL_HERE->profile.owner; }

int pl_profile_owner(int owner) {
  profile *p = &PL_HERE->profile;
  const int was = p->owner;
  p->owner = owner;
  return was;
}

double pl_profile_seconds(const profile *p) {
  double seconds = 0;
  for (size_t i = 0; i < p->n; i++) seconds += p->rows[i].seconds;
  return seconds;
}

const pl_profile_row *pl_profile_rows(size_t *n) {
  const profile *p = &PL_HERE->profile;
  *n = p->n;
  return p->rows;
}
