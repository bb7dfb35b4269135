/*
** format.c: string.format.
*/
#include <ctype.h>
#include <lauxlib.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "long.h"
#include "work.h"

/* A specification is that of printf: '%', flags, width and precision, the letter. */
enum {
  SPEC_SIZE = 32,  /* with the length modifier of an integer */
  SPEC_LIMIT = 20, /* flags, width and precision */
  ITEM_SIZE = 512, /* "%99.99f" of the largest number has 409 bytes */
  TEXT_LIMIT = 100 /* a longer text is wider than any width */
};

typedef struct {
  pl_work work;
  luaL_Buffer result;
  int arg;
  char spec[SPEC_SIZE];
} formatting;

/*
** Specifications
*/

/* Reads the one that begins behind the '%' at `at`; returns its letter. */
static const char *read_spec(formatting *f, const char *at) {
  const size_t n = strspn(at, "-+ #0123456789.");
  if (n > SPEC_LIMIT) luaL_error(f->work.L, "invalid format (too long)");
  f->spec[0] = '%';
  memcpy(f->spec + 1, at, n + 1);
  f->spec[n + 2] = 0;
  return at + n;
}

static const char *skip_two_digits(const char *p) {
  for (int i = 0; i < 2 && isdigit((unsigned char)*p); i++) p++;
  return p;
}

/* Raises unless it has these flags alone, and a precision only where there may be one. */
static void check_spec(formatting *f, const char *flags, bool precision) {
  const char *p = f->spec + 1;
  p += strspn(p, flags);
  if (*p != '0') p = skip_two_digits(p); /* such a zero is a flag that is none of these */
  if (precision && *p == '.') p = skip_two_digits(p + 1);
  if (p[0] == 0 || p[1] != 0)
    luaL_error(f->work.L, "invalid conversion specification: '%s'", f->spec);
}

/* Makes it one of a lua_Integer: its length modifier comes before the letter. */
static void lengthen(formatting *f) {
  char *letter = f->spec + strlen(f->spec) - 1;
  const char end[] = {*letter, 0};
  memcpy(letter, LUA_INTEGER_FRMLEN, sizeof LUA_INTEGER_FRMLEN - 1);
  memcpy(letter + sizeof LUA_INTEGER_FRMLEN - 1, end, sizeof end);
}

/*
** Conversions: each adds the argument f->arg
*/

#define ADD_ITEM(f, value)                                           \
  do {                                                               \
    char *item_ = luaL_prepbuffsize(&(f)->result, ITEM_SIZE);        \
    const int n_ = snprintf(item_, ITEM_SIZE, (f)->spec, (value));   \
    luaL_addsize(&(f)->result, (size_t)n_);                          \
    pl_work_steps(&(f)->work, (size_t)n_); /* a digit takes 30 ns */ \
  } while (0)

static void add_character(formatting *f) {
  check_spec(f, "-", false);
  ADD_ITEM(f, (int)luaL_checkinteger(f->work.L, f->arg));
}

static void add_integer(formatting *f, const char *flags) {
  const lua_Integer value = luaL_checkinteger(f->work.L, f->arg);
  check_spec(f, flags, true);
  lengthen(f);
  ADD_ITEM(f, value);
}

static void add_number(formatting *f) {
  const lua_Number value = luaL_checknumber(f->work.L, f->arg);
  check_spec(f, "-+ #0", true);
  ADD_ITEM(f, value);
}

/* If the specification and the argument are both wrong, this tells of the first. */
static void add_hexadecimal(formatting *f) {
  check_spec(f, "-+ #0", true);
  const lua_Number value = luaL_checknumber(f->work.L, f->arg);
  ADD_ITEM(f, value);
}

static void add_address(formatting *f) {
  const void *p = lua_topointer(f->work.L, f->arg);
  check_spec(f, "-", false);
  if (p) ADD_ITEM(f, p);
  else {
    f->spec[strlen(f->spec) - 1] = 's';
    ADD_ITEM(f, "(null)");
  }
}

static void add_text(formatting *f) {
  size_t n;
  lua_State *L = f->work.L;
  const char *text = luaL_tolstring(L, f->arg, &n);
  pl_work_bytes(&f->work, n);
  if (f->spec[2] == 0) {
    luaL_addvalue(&f->result);
    return;
  }
  luaL_argcheck(L, n == strlen(text), f->arg, "string contains zeros");
  check_spec(f, "-", true);
  if (n >= TEXT_LIMIT && !strchr(f->spec, '.')) {
    luaL_addvalue(&f->result);
    return;
  }
  char item[ITEM_SIZE];
  const int size = snprintf(item, sizeof item, f->spec, text);
  lua_pop(L, 1);
  luaL_addlstring(&f->result, item, (size_t)size);
}

/*
** %q: what Lua reads as the same value
*/

static void add_escaped(formatting *f, char c, bool digit_follows) {
  char code[8];
  if (c == '"' || c == '\\' || c == '\n') {
    luaL_addchar(&f->result, '\\');
    luaL_addchar(&f->result, c);
  } else if (iscntrl((unsigned char)c)) {
    snprintf(code, sizeof code, digit_follows ? "\\%03d" : "\\%d", (unsigned char)c);
    luaL_addstring(&f->result, code);
  } else luaL_addchar(&f->result, c);
}

static void quote_text(formatting *f) {
  size_t n;
  const char *text = lua_tolstring(f->work.L, f->arg, &n);
  luaL_addchar(&f->result, '"');
  for (size_t i = 0; i < n; i++) {
    pl_work_step(&f->work);
    add_escaped(f, text[i], isdigit((unsigned char)text[i + 1]));
  }
  luaL_addchar(&f->result, '"');
}

/* A whole number is hexadecimal too, lest it be read as an integer. */
static void quote_float(formatting *f, lua_Number x) {
  const char *text = isnan(x) ? "(0/0)" : x > 0 ? "1e9999" : "-1e9999";
  char item[64];
  if (isfinite(x)) {
    snprintf(item, sizeof item, "%a", x);
    char *point = strchr(item, localeconv()->decimal_point[0]);
    if (point) *point = '.';
    text = item;
  }
  luaL_addstring(&f->result, text);
}

/* The least integer has no decimal form that is no float. */
static void quote_integer(formatting *f, lua_Integer n) {
  char item[64];
  snprintf(item, sizeof item,
           n == LUA_MININTEGER ? "0x%" LUA_INTEGER_FRMLEN "x" : "%" LUA_INTEGER_FRMLEN "d", n);
  luaL_addstring(&f->result, item);
}

static void add_quoted(formatting *f) {
  lua_State *L = f->work.L;
  if (f->spec[2] != 0) luaL_error(L, "specifier '%%q' cannot have modifiers");
  switch (lua_type(L, f->arg)) {
    case LUA_TSTRING: quote_text(f); break;
    case LUA_TNUMBER:
      if (lua_isinteger(L, f->arg)) quote_integer(f, lua_tointeger(L, f->arg));
      else quote_float(f, lua_tonumber(L, f->arg));
      break;
    case LUA_TNIL:
    case LUA_TBOOLEAN:
      luaL_tolstring(L, f->arg, NULL);
      luaL_addvalue(&f->result);
      break;
    default: luaL_argerror(L, f->arg, "value has no literal form");
  }
}

/*
** The function
*/

static void add_argument(formatting *f, char letter) {
  switch (letter) {
    case 'c': add_character(f); break;
    case 'd':
    case 'i': add_integer(f, "-+0 "); break;
    case 'u': add_integer(f, "-0"); break;
    case 'o':
    case 'x':
    case 'X': add_integer(f, "-#0"); break;
    case 'a':
    case 'A': add_hexadecimal(f); break;
    case 'e':
    case 'E':
    case 'f':
    case 'g':
    case 'G': add_number(f); break;
    case 'p': add_address(f); break;
    case 'q': add_quoted(f); break;
    case 's': add_text(f); break;
    default: luaL_error(f->work.L, "invalid conversion '%s' to 'format'", f->spec);
  }
}

static int format(lua_State *L) {
  size_t n;
  const int top = lua_gettop(L);
  const char *at = luaL_checklstring(L, 1, &n), *end = at + n, *percent;
  formatting f = {.work = pl_work_begin(L), .arg = 1};
  luaL_buffinit(L, &f.result);
  for (; (percent = memchr(at, '%', (size_t)(end - at))); at++) {
    pl_work_step(&f.work);
    luaL_addlstring(&f.result, at, (size_t)(percent - at));
    at = percent + 1;
    if (*at == '%') luaL_addchar(&f.result, '%');
    else if (++f.arg > top) return luaL_argerror(L, f.arg, "no value");
    else {
      at = read_spec(&f, at);
      add_argument(&f, *at);
    }
  }
  luaL_addlstring(&f.result, at, (size_t)(end - at));
  luaL_pushresult(&f.result);
  return 1;
}

void pl_long_format(lua_State *L) {
  static const luaL_Reg functions[] = {{"format", format}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
