/*
** strings.c: string.rep, byte, upper, lower, reverse and dump.
*/
#include <ctype.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "long.h"
#include "position.h"
#include "work.h"

/*
** rep: the text and what stands between are written once, and the rest is copied from there
**
**   ab, ab, ab, ab, ab          done: a multiple of the period "ab, " and a part of the next
**   `--'    |  |
**    `------|--'                each copy reads whole periods that are there already
*/

static void fill(pl_work *w, char *to, size_t done, size_t total, size_t period) {
  while (done < total) {
    const size_t part = done % period, there = done - part, left = total - done;
    const size_t n = pl_work_block(w, left < there ? left : there);
    memcpy(to + done, to + part, n);
    done += n;
  }
}

static void copy(pl_work *w, char *to, const char *from, size_t n) {
  for (size_t done = 0, block; done < n; done += block) {
    block = pl_work_block(w, n - done);
    memcpy(to + done, from + done, block);
  }
}

static int rep(lua_State *L) {
  size_t length, gap;
  const char *text = luaL_checklstring(L, 1, &length);
  const lua_Integer n = luaL_checkinteger(L, 2);
  const char *between = luaL_optlstring(L, 3, "", &gap);
  const size_t period = length + gap;
  if (n <= 0 || period == 0) return lua_pushliteral(L, ""), 1;
  if (period > (size_t)INT_MAX / (lua_Unsigned)n)
    return luaL_error(L, "resulting string too large");
  const size_t total = (size_t)n * period - gap;
  pl_work work = pl_work_begin(L);
  luaL_Buffer b;
  char *to = luaL_buffinitsize(L, &b, total);
  copy(&work, to, text, length);
  if (n > 1) {
    copy(&work, to + length, between, gap);
    fill(&work, to, period, total, period);
  }
  luaL_pushresultsize(&b, total);
  return 1;
}

/*
** byte
*/

static int byte(lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  const lua_Integer first = luaL_optinteger(L, 2, 1), last = luaL_optinteger(L, 3, first);
  const size_t from = pl_begin_at(first, length), to = pl_end_at(last, length);
  if (from >= to) return 0;
  if (to - from >= INT_MAX) return luaL_error(L, "string slice too long");
  luaL_checkstack(L, (int)(to - from), "string slice too long");
  pl_work work = pl_work_begin(L);
  for (size_t i = from; i < to; i++) {
    pl_work_step(&work);
    lua_pushinteger(L, (unsigned char)text[i]);
  }
  return (int)(to - from);
}

/*
** upper, lower, reverse: a result of the same length
*/

static int change_case(lua_State *L, bool up) {
  size_t length;
  const unsigned char *text = (const unsigned char *)luaL_checklstring(L, 1, &length);
  pl_work work = pl_work_begin(L);
  luaL_Buffer b;
  char *to = luaL_buffinitsize(L, &b, length);
  for (size_t i = 0; i < length;)
    for (size_t end = i + pl_work_block(&work, length - i); i < end; i++)
      to[i] = (char)(up ? toupper(text[i]) : tolower(text[i]));
  luaL_pushresultsize(&b, length);
  return 1;
}

static int upper(lua_State *L) { return change_case(L, true); }

static int lower(lua_State *L) { return change_case(L, false); }

static int reverse(lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  pl_work work = pl_work_begin(L);
  luaL_Buffer b;
  char *to = luaL_buffinitsize(L, &b, length);
  for (size_t i = 0; i < length;)
    for (size_t end = i + pl_work_block(&work, length - i); i < end; i++)
      to[i] = text[length - 1 - i];
  luaL_pushresultsize(&b, length);
  return 1;
}

/*
** dump: Lua writes a function in small pieces
*/

typedef struct {
  pl_work work;
  luaL_Buffer buffer;
  bool begun;
} dumped;

static int write_piece(lua_State *L, const void *piece, size_t n, void *to) {
  dumped *d = to;
  if (!d->begun) luaL_buffinit(L, &d->buffer);
  d->begun = true;
  pl_work_bytes(&d->work, n);
  luaL_addlstring(&d->buffer, piece, n);
  return 0;
}

static int dump(lua_State *L) {
  const int strip = lua_toboolean(L, 2);
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1); /* what lua_dump writes */
  dumped d = {.work = pl_work_begin(L)};
  if (lua_dump(L, write_piece, &d, strip)) return luaL_error(L, "unable to dump given function");
  luaL_pushresult(&d.buffer);
  return 1;
}

void pl_long_strings(lua_State *L) {
  static const luaL_Reg functions[] = {{"rep", rep},     {"byte", byte},       {"upper", upper},
                                       {"lower", lower}, {"reverse", reverse}, {"dump", dump},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
