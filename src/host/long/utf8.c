/*
** utf8.c: utf8.char, codes, codepoint, len and offset.
*/
#include <lauxlib.h>
#include <limits.h>
#include <stdbool.h>

#include "long.h"
#include "work.h"

/* The largest that six bytes hold, and the largest of Unicode. */
static const lua_Unsigned largest = 0x7FFFFFFF, largest_strict = 0x10FFFF;

static bool continues(const char *s) { return ((unsigned char)*s & 0xC0) == 0x80; }

/*
** The character at s; returns where the next begins, or NULL if it is none: wrong bytes, more of
** them than needed, and, if strict, a surrogate or too large. Reads no further than the zero behind
** a string.
**
**   110xxxxx 10xxxxxx             as many ones as bytes; the values' bits are the x
**   1110xxxx 10xxxxxx 10xxxxxx    up to six bytes
*/
static const char *decode(const char *s, lua_Unsigned *code, bool strict) {
  static const lua_Unsigned least[] = {0, 0, 0x80, 0x800, 0x10000, 0x200000, 0x4000000};
  const unsigned char first = (unsigned char)*s;
  int n = 0;
  while (n < 7 && first & 0x80 >> n) n++;
  if (n == 1 || n == 7) return NULL;
  *code = n ? first & 0x7F >> n : first;
  for (int i = 1; i < n; i++) {
    if (!continues(s + i)) return NULL;
    *code = *code << 6 | ((unsigned char)s[i] & 0x3F);
  }
  if (*code < least[n]) return NULL;
  if (strict && (*code > largest_strict || (*code >= 0xD800 && *code <= 0xDFFF))) return NULL;
  return s + (n ? n : 1);
}

/* A position from 1 on; a negative one counts from the end, and becomes 0 before the beginning. */
static lua_Integer position(lua_Integer i, size_t length) {
  if (i >= 0) return i;
  return i < -(lua_Integer)length ? 0 : (lua_Integer)length + i + 1;
}

/* len(s [, i [, j [, lax]]]) */
static int len(lua_State *L) {
  size_t length;
  const char *s = luaL_checklstring(L, 1, &length);
  const lua_Integer first = position(luaL_optinteger(L, 2, 1), length),
                    last = position(luaL_optinteger(L, 3, -1), length);
  const bool strict = !lua_toboolean(L, 4);
  luaL_argcheck(L, first >= 1 && first - 1 <= (lua_Integer)length, 2,
                "initial position out of bounds");
  luaL_argcheck(L, last <= (lua_Integer)length, 3, "final position out of bounds");
  pl_work work = pl_work_begin(L);
  lua_Unsigned code;
  lua_Integer n = 0;
  for (const char *at = s + first - 1, *next; at < s + last; at = next, n++) {
    pl_work_step(&work);
    next = decode(at, &code, strict);
    if (next) continue;
    luaL_pushfail(L);
    lua_pushinteger(L, at - s + 1);
    return 2;
  }
  lua_pushinteger(L, n);
  return 1;
}

/* codepoint(s [, i [, j [, lax]]]) */
static int codepoint(lua_State *L) {
  size_t length;
  const char *s = luaL_checklstring(L, 1, &length);
  const lua_Integer first = position(luaL_optinteger(L, 2, 1), length),
                    last = position(luaL_optinteger(L, 3, first), length);
  const bool strict = !lua_toboolean(L, 4);
  luaL_argcheck(L, first >= 1, 2, "out of bounds");
  luaL_argcheck(L, last <= (lua_Integer)length, 3, "out of bounds");
  if (first > last) return 0;
  if (last - first >= INT_MAX) return luaL_error(L, "string slice too long");
  luaL_checkstack(L, (int)(last - first) + 1, "string slice too long");
  pl_work work = pl_work_begin(L);
  lua_Unsigned code;
  int n = 0;
  for (const char *at = s + first - 1; at < s + last; n++) {
    pl_work_step(&work);
    at = decode(at, &code, strict);
    if (!at) return luaL_error(L, "invalid UTF-8 code");
    lua_pushinteger(L, (lua_Integer)code);
  }
  return n;
}

/* char(...) */
static int character(lua_State *L) {
  const int n = lua_gettop(L);
  pl_work work = pl_work_begin(L);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (int i = 1; i <= n; i++) {
    const lua_Unsigned code = (lua_Unsigned)luaL_checkinteger(L, i);
    luaL_argcheck(L, code <= largest, i, "value out of range");
    pl_work_step(&work);
    lua_pushfstring(L, "%U", (long)code);
    luaL_addvalue(&b);
  }
  luaL_pushresult(&b);
  return 1;
}

/*
** Places of characters, from 0 on
*/

/* Where the character begins to which the byte at `at` belongs. */
static lua_Integer beginning(pl_work *w, const char *s, lua_Integer at) {
  pl_work_step(w);
  for (; at > 0 && continues(s + at); at--) pl_work_step(w);
  return at;
}

/* Where the one behind it begins. */
static lua_Integer behind(pl_work *w, const char *s, lua_Integer at) {
  do {
    pl_work_step(w);
    at++;
  } while (continues(s + at));
  return at;
}

/* The n-th character before, n negative, or counted from the one at `at`, which is the first; -1 if
 * the string has not so many. */
static lua_Integer count_back(pl_work *w, const char *s, lua_Integer at, lua_Integer n) {
  for (; n < 0 && at > 0; n++) at = beginning(w, s, at - 1);
  return n == 0 ? at : -1;
}

static lua_Integer count_on(pl_work *w, const char *s, size_t length, lua_Integer at,
                            lua_Integer n) {
  for (; n > 1 && at < (lua_Integer)length; n--) at = behind(w, s, at);
  return n == 1 ? at : -1;
}

/* offset(s, n [, i]) */
static int offset(lua_State *L) {
  size_t length;
  const char *s = luaL_checklstring(L, 1, &length);
  const lua_Integer n = luaL_checkinteger(L, 2), start = n >= 0 ? 1 : (lua_Integer)length + 1;
  lua_Integer at = position(luaL_optinteger(L, 3, start), length) - 1;
  luaL_argcheck(L, at >= 0 && at <= (lua_Integer)length, 3, "position out of bounds");
  pl_work work = pl_work_begin(L);
  if (n != 0 && continues(s + at)) return luaL_error(L, "initial position is a continuation byte");
  if (n == 0) at = beginning(&work, s, at);
  else at = n < 0 ? count_back(&work, s, at, n) : count_on(&work, s, length, at, n);
  if (at >= 0) lua_pushinteger(L, at + 1);
  else luaL_pushfail(L);
  return 1;
}

/* The iterators of codes(s [, lax]): from the position of a character to that of the next. */
static int next_code(lua_State *L, bool strict) {
  size_t length;
  lua_Unsigned code;
  pl_work work = pl_work_begin(L);
  const char *s = luaL_checklstring(L, 1, &length);
  lua_Unsigned at = (lua_Unsigned)lua_tointeger(L, 2);
  for (; at < length && continues(s + at); at++) pl_work_step(&work);
  if (at >= length) return 0;
  if (!decode(s + at, &code, strict)) return luaL_error(L, "invalid UTF-8 code");
  lua_pushinteger(L, (lua_Integer)at + 1);
  lua_pushinteger(L, (lua_Integer)code);
  return 2;
}

static int next_strict(lua_State *L) { return next_code(L, true); }

static int next_lax(lua_State *L) { return next_code(L, false); }

static int codes(lua_State *L) {
  luaL_checkstring(L, 1);
  lua_pushcfunction(L, lua_toboolean(L, 2) ? next_lax : next_strict);
  lua_pushvalue(L, 1);
  lua_pushinteger(L, 0);
  return 3;
}

void pl_long_utf8(lua_State *L) {
  static const luaL_Reg functions[] = {{"len", len},        {"codepoint", codepoint},
                                       {"char", character}, {"offset", offset},
                                       {"codes", codes},    {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
