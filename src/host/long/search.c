/*
** search.c: string.find, match, gmatch and gsub.
*/
#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

#include "long.h"
#include "pattern.h"
#include "position.h"

/*
** find and match
*/

static bool is_plain(pl_match *m) {
  for (const char *p = m->pattern; p < m->pattern_end; p++) {
    pl_work_step(&m->work);
    if (*p && strchr("^$*+?.([%-", *p)) return false;
  }
  return true;
}

/* Where the pattern, taken as text, begins from s on, or NULL. */
static const char *find_text(pl_match *m, const char *s) {
  const char *text = m->pattern;
  const size_t n = (size_t)(m->pattern_end - text);
  if (n == 0) return s;
  for (; (size_t)(m->subject_end - s) >= n; s++) {
    s = memchr(s, *text, (size_t)(m->subject_end - s) - n + 1);
    if (!s) return NULL;
    pl_work_bytes(&m->work, n);
    if (memcmp(s, text, n) == 0) return s;
  }
  return NULL;
}

/* Where the first match from s on begins, or NULL; e is its end. */
static const char *find_match(pl_match *m, const char *s, const char **e) {
  const bool anchor = pl_match_anchor(m);
  do {
    *e = pl_match_at(m, s);
    if (*e) return s;
  } while (s++ < m->subject_end && !anchor);
  return NULL;
}

static int push_range(pl_match *m, const char *s, const char *e) {
  lua_pushinteger(m->work.L, s - m->subject + 1);
  lua_pushinteger(m->work.L, e - m->subject);
  return 2;
}

static int none(lua_State *L) {
  luaL_pushfail(L);
  return 1;
}

/* Reads the first three arguments; where the search begins, or NULL: behind the subject. */
static const char *begin(pl_match *m, lua_State *L) {
  pl_match_begin(m, L, 1, 2);
  const size_t length = (size_t)(m->subject_end - m->subject);
  const size_t from = pl_begin_at(luaL_optinteger(L, 3, 1), length);
  return from <= length ? m->subject + from : NULL;
}

static int find(lua_State *L) {
  pl_match m;
  const char *s = begin(&m, L), *e;
  if (!s) return none(L);
  if (lua_toboolean(L, 4) || is_plain(&m)) {
    s = find_text(&m, s);
    return s ? push_range(&m, s, s + (m.pattern_end - m.pattern)) : none(L);
  }
  s = find_match(&m, s, &e);
  return s ? push_range(&m, s, e) + pl_push_captures(&m, NULL, NULL) : none(L);
}

static int match(lua_State *L) {
  pl_match m;
  const char *s = begin(&m, L), *e;
  if (s) s = find_match(&m, s, &e);
  return s ? pl_push_captures(&m, s, e) : none(L);
}

/*
** gmatch: a function with the subject, the pattern and this
*/

typedef struct {
  const char *at;   /* where the search goes on */
  const char *last; /* the end of the last match, where no empty one follows */
} progress;

static int next_match(lua_State *L) {
  pl_match m;
  progress *g = lua_touserdata(L, lua_upvalueindex(3));
  pl_match_begin(&m, L, lua_upvalueindex(1), lua_upvalueindex(2));
  for (const char *s = g->at; s && s <= m.subject_end; s++) {
    const char *e = pl_match_at(&m, s);
    if (!e || e == g->last) continue;
    g->at = g->last = e;
    return pl_push_captures(&m, s, e);
  }
  return 0;
}

static int gmatch(lua_State *L) {
  pl_match m;
  const char *s = begin(&m, L);
  lua_settop(L, 2);
  progress *g = lua_newuserdatauv(L, sizeof *g, 0);
  *g = (progress){.at = s};
  lua_pushcclosure(L, next_match, 3);
  return 1;
}

/*
** gsub
*/

typedef struct {
  pl_match m;
  luaL_Buffer result;
  const char *kept; /* from here on the subject was not copied to the result */
  bool changed;
} substitution;

static void add(substitution *g, const char *text, size_t n) {
  pl_work_bytes(&g->m.work, n);
  luaL_addlstring(&g->result, text, n);
}

/* Copies the subject up to s. */
static void keep(substitution *g, const char *s) {
  add(g, g->kept, (size_t)(s - g->kept));
  g->kept = s;
}

static void add_capture(substitution *g, int i, const char *s, const char *e) {
  const pl_capture c = pl_match_capture(&g->m, i, s, e);
  if (c.size != PL_CAPTURE_POSITION) {
    add(g, c.begin, (size_t)c.size);
    return;
  }
  lua_pushinteger(g->m.work.L, c.begin - g->m.subject + 1);
  luaL_addvalue(&g->result);
}

/* Adds what "%0" to "%9" or "%%" stands for. */
static void add_escape(substitution *g, char c, const char *s, const char *e) {
  if (c == '%') luaL_addchar(&g->result, c);
  else if (c == '0') add(g, s, (size_t)(e - s));
  else if (c >= '1' && c <= '9') add_capture(g, c - '1', s, e);
  else luaL_error(g->m.work.L, "invalid use of '%%' in replacement string");
}

static void add_text(substitution *g, const char *s, const char *e) {
  size_t n;
  const char *text = lua_tolstring(g->m.work.L, 3, &n), *end = text + n, *escape;
  while ((escape = memchr(text, '%', (size_t)(end - text)))) {
    add(g, text, (size_t)(escape - text));
    add_escape(g, escape[1], s, e);
    text = escape + 2;
  }
  add(g, text, (size_t)(end - text));
}

/* Pushes what the table or the function at 3 has for the match; nothing, and false, to keep it. */
static bool push_value(substitution *g, const char *s, const char *e) {
  lua_State *L = g->m.work.L;
  if (lua_type(L, 3) == LUA_TFUNCTION) {
    lua_pushvalue(L, 3);
    lua_call(L, pl_push_captures(&g->m, s, e), 1);
  } else {
    pl_push_capture(&g->m, 0, s, e);
    lua_gettable(L, 3);
  }
  if (lua_isstring(L, -1)) return true;
  if (lua_toboolean(L, -1)) luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
  lua_pop(L, 1);
  return false;
}

/* Writes what comes in the place of the match. */
static void replace(substitution *g, const char *s, const char *e) {
  const int type = lua_type(g->m.work.L, 3);
  keep(g, s);
  if (type == LUA_TSTRING || type == LUA_TNUMBER) add_text(g, s, e);
  else if (push_value(g, s, e)) luaL_addvalue(&g->result);
  else return;
  g->kept = e;
  g->changed = true;
}

/* Returns how many matches there were, up to `most`. */
static lua_Integer substitute(substitution *g, lua_Integer most) {
  const bool anchor = pl_match_anchor(&g->m);
  const char *s = g->kept, *last = NULL;
  lua_Integer n = 0;
  while (n < most) {
    const char *e = pl_match_at(&g->m, s);
    if (e && e != last) {
      replace(g, s, e);
      n++;
      s = last = e;
    } else if (s++ == g->m.subject_end) break;
    if (anchor) break;
  }
  return n;
}

static int gsub(lua_State *L) {
  substitution g = {.changed = false};
  pl_match_begin(&g.m, L, 1, 2);
  const int type = lua_type(L, 3);
  const lua_Integer most = luaL_optinteger(L, 4, g.m.subject_end - g.m.subject + 1);
  luaL_argexpected(
      L, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE,
      3, "string/function/table");
  luaL_buffinit(L, &g.result);
  g.kept = g.m.subject;
  const lua_Integer n = substitute(&g, most);
  if (!g.changed) lua_pushvalue(L, 1);
  else {
    keep(&g, g.m.subject_end);
    luaL_pushresult(&g.result);
  }
  lua_pushinteger(L, n);
  return 2;
}

void pl_long_search(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"find", find}, {"match", match}, {"gmatch", gmatch}, {"gsub", gsub}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
