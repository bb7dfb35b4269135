/*
** pattern.h: Lua's patterns (reference manual, 6.4.1).
*/
#ifndef PERILUNE_PATTERN_H
#define PERILUNE_PATTERN_H

#include <stdbool.h>

#include "work.h"

enum { PL_CAPTURES = 32, PL_CAPTURE_OPEN = -1, PL_CAPTURE_POSITION = -2 };

typedef struct {
  const char *begin;
  ptrdiff_t size; /* or PL_CAPTURE_OPEN, PL_CAPTURE_POSITION */
} pl_capture;

typedef struct {
  pl_work work;
  const char *subject, *subject_end, *pattern, *pattern_end;
  int depth; /* of tries within tries */
  int n;     /* captures that were opened */
  pl_capture capture[PL_CAPTURES];
} pl_match;

/* Reads the subject and the pattern, which stand at these indices and stay there. */
void pl_match_begin(pl_match *m, lua_State *L, int subject, int pattern);
/* Leaves out a '^' at the beginning of the pattern, and returns whether there was one. */
bool pl_match_anchor(pl_match *m);
/* The end of the match that begins at s, or NULL; raises where the pattern is wrong. */
const char *pl_match_at(pl_match *m, const char *s);
/* Capture i, from 0 on, of the match from s to e, which is not open; the first is the whole if there
 * is none. */
pl_capture pl_match_capture(pl_match *m, int i, const char *s, const char *e);
/* Pushes it, as a string or an integer. */
void pl_push_capture(pl_match *m, int i, const char *s, const char *e);
/* Pushes all, or the whole if there are none and s is not NULL; returns how many. */
int pl_push_captures(pl_match *m, const char *s, const char *e);

#endif
