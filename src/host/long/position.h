/*
** position.h: positions in strings, as scripts give them: from 1 on, or negative from the end on.
*/
#ifndef PERILUNE_POSITION_H
#define PERILUNE_POSITION_H

#include <lua.h>
#include <stddef.h>

/* How many bytes stand before the position, which may be behind the end but not before 1. */
static inline size_t pl_begin_at(lua_Integer position, size_t length) {
  if (position > 0) return (size_t)position - 1;
  if (position == 0 || position < -(lua_Integer)length) return 0;
  return length - (size_t)-position;
}

/* How many bytes there are up to the position and with it, which may be before 1 but not behind the
 * end. */
static inline size_t pl_end_at(lua_Integer position, size_t length) {
  if (position > (lua_Integer)length) return length;
  if (position >= 0) return (size_t)position;
  if (position < -(lua_Integer)length) return 0;
  return length - (size_t)-position + 1;
}

#endif
