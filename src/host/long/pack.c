/*
** pack.c: string.pack, packsize and unpack (reference manual, 6.4.2), whose formats may have any length.
*/
#include <ctype.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdbool.h>

#include <stdint.h>
#include <string.h>

#include "long.h"
#include "position.h"
#include "work.h"

/* "!" alone: what any number and pointer needs. */
enum { DEFAULT_ALIGNMENT = _Alignof(union { LUAI_MAXALIGN; }) };
enum { LARGEST_INTEGER = 16, BYTE = 0xFF, WIDTH = (int)sizeof(lua_Integer) };

typedef enum {
  NOTHING,      /* changes how others are read, or is a blank */
  SIGNED,       /* b h i l j */
  UNSIGNED,     /* B H I L J T */
  SINGLE,       /* f */
  DOUBLE,       /* d n */
  TEXT,         /* cn: of n bytes */
  COUNTED_TEXT, /* s: its length stands before it */
  ENDED_TEXT,   /* z: a zero stands behind it */
  PADDING,      /* x */
  ALIGNMENT     /* X: padding only */
} kind;

typedef struct {
  pl_work work;
  const char *at; /* in the format, which ends with a zero */
  bool little;
  size_t most_aligned;
} format;

typedef struct {
  kind kind;
  size_t size;
  size_t padding; /* that comes before it */
} item;

/*
** Formats
*/

static format begin(lua_State *L) {
  const char *text = luaL_checkstring(L, 1);
  return (format){pl_work_begin(L), text, __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, 1};
}

/* A number at f->at, as many digits as are sure to fit an int, or what stands for none. */
static size_t read_number(format *f, size_t none) {
  if (!isdigit((unsigned char)*f->at)) return none;
  size_t n = 0;
  while (isdigit((unsigned char)*f->at) && n <= (INT_MAX - 9) / 10)
    n = n * 10 + (size_t)(*f->at++ - '0');
  return n;
}

static size_t read_size(format *f, size_t none) {
  const size_t n = read_number(f, none);
  if (n < 1 || n > LARGEST_INTEGER)
    luaL_error(f->work.L, "integral size (%d) out of limits [1,%d]", (int)n, LARGEST_INTEGER);
  return n;
}

static size_t read_length(format *f) {
  if (!isdigit((unsigned char)*f->at)) luaL_error(f->work.L, "missing size for format option 'c'");
  return read_number(f, 0);
}

/* An option that is no value: the order of bytes, the largest alignment, a blank. */
static item read_mode(format *f, char option) {
  switch (option) {
    case '<': f->little = true; break;
    case '>': f->little = false; break;
    case '=': f->little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__; break;
    case '!': f->most_aligned = read_size(f, DEFAULT_ALIGNMENT); break;
    case ' ': break;
    default: luaL_error(f->work.L, "invalid format option '%c'", option);
  }
  return (item){NOTHING, 0, 0};
}

static item read_option(format *f) {
  const char option = *f->at++;
  switch (option) {
    case 'b': return (item){SIGNED, sizeof(char), 0};
    case 'B': return (item){UNSIGNED, sizeof(char), 0};
    case 'h': return (item){SIGNED, sizeof(short), 0};
    case 'H': return (item){UNSIGNED, sizeof(short), 0};
    case 'i': return (item){SIGNED, read_size(f, sizeof(int)), 0};
    case 'I': return (item){UNSIGNED, read_size(f, sizeof(int)), 0};
    case 'l': return (item){SIGNED, sizeof(long), 0};
    case 'L': return (item){UNSIGNED, sizeof(long), 0};
    case 'j': return (item){SIGNED, sizeof(lua_Integer), 0};
    case 'J': return (item){UNSIGNED, sizeof(lua_Integer), 0};
    case 'T': return (item){UNSIGNED, sizeof(size_t), 0};
    case 'f': return (item){SINGLE, sizeof(float), 0};
    case 'd': return (item){DOUBLE, sizeof(double), 0};
    case 'n': return (item){DOUBLE, sizeof(lua_Number), 0};
    case 'c': return (item){TEXT, read_length(f), 0};
    case 's': return (item){COUNTED_TEXT, read_size(f, sizeof(size_t)), 0};
    case 'z': return (item){ENDED_TEXT, 0, 0};
    case 'x': return (item){PADDING, 1, 0};
    case 'X': return (item){ALIGNMENT, 0, 0};
    default: return read_mode(f, option);
  }
}

/* The size to whose multiples the item is aligned; that of X is what the next option would have. */
static size_t alignment(format *f, const item *it) {
  if (it->kind == TEXT) return 0;
  if (it->kind != ALIGNMENT) return it->size;
  const item next = *f->at ? read_option(f) : (item){NOTHING, 0, 0};
  if (next.kind == TEXT || next.size == 0)
    luaL_argerror(f->work.L, 1, "invalid next option for option 'X'");
  return next.size;
}

/* Reads the next item, before which there are so many bytes; false at the end. */
static bool next_item(format *f, item *it, size_t before) {
  if (*f->at == 0) return false;
  pl_work_step(&f->work);
  *it = read_option(f);
  size_t align = alignment(f, it);
  if (align <= 1) return true;
  if (align > f->most_aligned) align = f->most_aligned;
  if (align & (align - 1)) luaL_argerror(f->work.L, 1, "format asks for alignment not power of 2");
  it->padding = -before & (align - 1);
  return true;
}

/*
** Bytes of numbers, `reach` from the least: a number of more bytes than `reach` goes on with `fill`
*/

static void put_bytes(const format *f, char *to, size_t size, lua_Unsigned n, unsigned char fill) {
  for (size_t i = 0; i < size; i++, n >>= CHAR_BIT)
    to[f->little ? i : size - 1 - i] = (char)(i < WIDTH ? (unsigned char)n : fill);
}

static unsigned char byte_at(const format *f, const char *from, size_t size, size_t i) {
  return (unsigned char)from[f->little ? i : size - 1 - i];
}

static lua_Integer get_integer(const format *f, const char *from, size_t size, bool is_signed) {
  lua_Unsigned n = 0;
  const size_t known = size < WIDTH ? size : WIDTH;
  for (size_t i = 0; i < known; i++) n |= (lua_Unsigned)byte_at(f, from, size, i) << (i * CHAR_BIT);
  if (size < WIDTH && is_signed) {
    const lua_Unsigned sign = (lua_Unsigned)1 << (size * CHAR_BIT - 1);
    n = (n ^ sign) - sign;
  }
  const unsigned char fill = is_signed && (lua_Integer)n < 0 ? BYTE : 0;
  for (size_t i = WIDTH; i < size; i++)
    if (byte_at(f, from, size, i) != fill)
      luaL_error(f->work.L, "%d-byte integer does not fit into Lua Integer", (int)size);
  return (lua_Integer)n;
}

/* The bits of a floating number of that size. */
static lua_Unsigned bits_of(lua_Number x, size_t size) {
  const float single = (float)x;
  uint32_t short_bits;
  uint64_t bits;
  memcpy(&short_bits, &single, sizeof short_bits);
  memcpy(&bits, &x, sizeof bits);
  return size == sizeof single ? short_bits : bits;
}

static lua_Number number_of(lua_Unsigned n, size_t size) {
  float single;
  double x;
  const uint32_t short_bits = (uint32_t)n;
  memcpy(&single, &short_bits, sizeof single);
  memcpy(&x, &n, sizeof x);
  return size == sizeof single ? (lua_Number)single : x;
}

/*
** pack: each adds argument `arg`, and returns how many bytes there are more than the item's size
*/

static void add_zeros(pl_work *w, luaL_Buffer *b, size_t n) {
  for (size_t block; n > 0; n -= block) {
    block = pl_work_block(w, n);
    memset(luaL_prepbuffsize(b, block), 0, block);
    luaL_addsize(b, block);
  }
}

static void add_number(format *f, luaL_Buffer *b, size_t size, lua_Unsigned n, unsigned char fill) {
  char bytes[LARGEST_INTEGER];
  put_bytes(f, bytes, size, n, fill);
  luaL_addlstring(b, bytes, size);
}

static void pack_integer(format *f, luaL_Buffer *b, const item *it, int arg) {
  const lua_Integer n = luaL_checkinteger(f->work.L, arg);
  if (it->size < WIDTH) {
    const lua_Unsigned values = (lua_Unsigned)1 << (it->size * CHAR_BIT);
    if (it->kind == SIGNED)
      luaL_argcheck(f->work.L, (lua_Unsigned)n + values / 2 < values, arg, "integer overflow");
    else luaL_argcheck(f->work.L, (lua_Unsigned)n < values, arg, "unsigned overflow");
  }
  add_number(f, b, it->size, (lua_Unsigned)n, it->kind == SIGNED && n < 0 ? BYTE : 0);
}

static void add_text(format *f, luaL_Buffer *b, const char *text, size_t n) {
  pl_work_bytes(&f->work, n);
  luaL_addlstring(b, text, n);
}

static size_t pack_text(format *f, luaL_Buffer *b, const item *it, int arg) {
  size_t n;
  lua_State *L = f->work.L;
  const char *text = luaL_checklstring(L, arg, &n);
  if (it->kind == TEXT) {
    luaL_argcheck(L, n <= it->size, arg, "string longer than given size");
    add_text(f, b, text, n);
    add_zeros(&f->work, b, it->size - n);
    return 0;
  }
  if (it->kind == COUNTED_TEXT) {
    luaL_argcheck(L, it->size >= sizeof n || n >> (it->size * CHAR_BIT) == 0, arg,
                  "string length does not fit in given size");
    add_number(f, b, it->size, n, 0);
    add_text(f, b, text, n);
    return n;
  }
  luaL_argcheck(L, strlen(text) == n, arg, "string contains zeros");
  add_text(f, b, text, n + 1);
  return n + 1;
}

/* As pack_text does; false if the item takes no argument. */
static bool pack_item(format *f, luaL_Buffer *b, const item *it, int arg, size_t *more) {
  switch (it->kind) {
    case SIGNED:
    case UNSIGNED: pack_integer(f, b, it, arg); return true;
    case SINGLE:
    case DOUBLE:
      add_number(f, b, it->size, bits_of(luaL_checknumber(f->work.L, arg), it->size), 0);
      return true;
    case TEXT:
    case COUNTED_TEXT:
    case ENDED_TEXT: *more = pack_text(f, b, it, arg); return true;
    case PADDING: luaL_addchar(b, 0); return false;
    default: return false;
  }
}

/* pack(format, ...) */
static int pack(lua_State *L) {
  format f = begin(L);
  luaL_Buffer b;
  int arg = 2;
  size_t total = 0;
  lua_pushnil(L); /* what a missing argument is, rather than the buffer */
  luaL_buffinit(L, &b);
  for (item it; next_item(&f, &it, total);) {
    size_t more = 0;
    add_zeros(&f.work, &b, it.padding);
    if (pack_item(&f, &b, &it, arg, &more)) arg++;
    total += it.padding + it.size + more;
  }
  luaL_pushresult(&b);
  return 1;
}

/* packsize(format) */
static int packsize(lua_State *L) {
  format f = begin(L);
  size_t total = 0;
  for (item it; next_item(&f, &it, total);) {
    luaL_argcheck(L, it.kind != COUNTED_TEXT && it.kind != ENDED_TEXT, 1, "variable-length format");
    luaL_argcheck(L, total + it.padding + it.size <= INT_MAX, 1, "format result too large");
    total += it.padding + it.size;
  }
  lua_pushinteger(L, (lua_Integer)total);
  return 1;
}

/*
** unpack
*/

typedef struct {
  const char *text;
  size_t n, at;
} packed;

/* Pushes the text of so many bytes that begins behind the item, and goes on `skip` bytes behind it. */
static void take_text(format *f, packed *p, const char *text, size_t n, size_t skip) {
  pl_work_bytes(&f->work, n);
  lua_pushlstring(f->work.L, text, n);
  p->at += skip;
}

static void unpack_counted(format *f, packed *p, const item *it) {
  const size_t n = (size_t)get_integer(f, p->text + p->at, it->size, false);
  luaL_argcheck(f->work.L, n <= p->n - p->at - it->size, 2, "data string too short");
  take_text(f, p, p->text + p->at + it->size, n, n);
}

static void unpack_ended(format *f, packed *p) {
  const char *text = p->text + p->at, *end = memchr(text, 0, p->n - p->at);
  luaL_argcheck(f->work.L, end, 2, "unfinished string for format 'z'");
  take_text(f, p, text, (size_t)(end - text), (size_t)(end - text) + 1);
}

/* Pushes the value of the item at p->at; false if it has none. */
static bool unpack_item(format *f, packed *p, const item *it) {
  lua_State *L = f->work.L;
  const char *from = p->text + p->at;
  switch (it->kind) {
    case SIGNED:
    case UNSIGNED: lua_pushinteger(L, get_integer(f, from, it->size, it->kind == SIGNED)); break;
    case SINGLE:
    case DOUBLE:
      lua_pushnumber(L, number_of((lua_Unsigned)get_integer(f, from, it->size, false), it->size));
      break;
    case TEXT: take_text(f, p, from, it->size, 0); break;
    case COUNTED_TEXT: unpack_counted(f, p, it); break;
    case ENDED_TEXT: unpack_ended(f, p); break;
    default: return false;
  }
  return true;
}

/* unpack(format, s [, pos]) */
static int unpack(lua_State *L) {
  format f = begin(L);
  packed p;
  int values = 0;
  p.text = luaL_checklstring(L, 2, &p.n);
  p.at = pl_begin_at(luaL_optinteger(L, 3, 1), p.n);
  luaL_argcheck(L, p.at <= p.n, 3, "initial position out of string");
  for (item it; next_item(&f, &it, p.at);) {
    luaL_argcheck(L, it.padding + it.size <= p.n - p.at, 2, "data string too short");
    luaL_checkstack(L, 2, "too many results");
    p.at += it.padding;
    if (unpack_item(&f, &p, &it)) values++;
    p.at += it.size;
  }
  lua_pushinteger(L, (lua_Integer)p.at + 1);
  return values + 1;
}

void pl_long_pack(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"pack", pack}, {"packsize", packsize}, {"unpack", unpack}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
