/*
** json.c: JSON texts to and from Lua values, on cJSON.
**
** The same value always gives the same text: keys are sorted, numbers written with the
** fewest digits that read back to the same bits. Integers are exact up to 2^53; larger
** ones are refused and not rounded. Whole numbers are read as Lua integers.
**
** Lua may raise an error at any time, so what cJSON allocates hangs on a guard, a
** userdata which frees it, from the moment it exists.
*/

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/io.h"

#include "bind.h"

enum { MAX_DEPTH = 100 };
static const double max_exact = 9007199254740992.0; /* 2^53 */

typedef struct {
  cJSON *root;
  char *text;
  plb_state *state;
  int64_t bytes, items; /* that are counted, of the state's limit, and for how many items */
} guard;

static int guard_free(lua_State *L) {
  guard *g = lua_touserdata(L, 1);
  cJSON_Delete(g->root);
  cJSON_free(g->text);
  plb_count_bytes(g->state, -g->bytes);
  *g = (guard){.state = g->state};
  return 0;
}

static guard *new_guard(lua_State *L) {
  guard *g = lua_newuserdatauv(L, sizeof *g, 0);
  *g = (guard){.state = plb_enter(L)};
  if (luaL_newmetatable(L, "perilune.json")) {
    lua_pushcfunction(L, guard_free);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, guard_free);
    lua_setfield(L, -2, "__close");
  }
  lua_setmetatable(L, -2);
  lua_toclose(L, -1);
  return g;
}

/* Before cJSON has memory for so many items more, which it does not ask Lua for. */
static void count_items(lua_State *L, guard *g, int64_t n) {
  enum { ITEM_BYTES = sizeof(cJSON) + 32 };
  plb_take_bytes(L, n * ITEM_BYTES);
  g->bytes += n * ITEM_BYTES;
}

/*
** Encoding
*/

/* Where a value is: a list from it up to the outermost table. */
typedef struct place {
  const struct place *up;
  const char *key; /* NULL: an array, at `index` */
  lua_Integer index;
  int depth;
} place;

typedef struct {
  lua_State *L;
  bool nan_is_null;
  guard *guard;
} encoder;

static void add_place(luaL_Buffer *b, const place *at) {
  if (!at->up) return;
  add_place(b, at->up);
  if (!at->key) {
    lua_pushfstring(b->L, "[%I]", at->index);
    luaL_addvalue(b);
  } else {
    if (at->up->up) luaL_addchar(b, '.');
    luaL_addstring(b, at->key);
  }
}

/* Raises `json_encode: <place> <what>`. */
static void refuse(const encoder *e, const place *at, const char *what) {
  luaL_Buffer b;
  luaL_buffinit(e->L, &b);
  luaL_addstring(&b, at->up ? "" : "the value");
  add_place(&b, at);
  luaL_pushresult(&b);
  luaL_error(e->L, "json_encode: %s %s", lua_tostring(e->L, -1), what);
}

/* Hangs the item into its parent, under the place's key if it has one. */
static void attach(const encoder *e, cJSON *parent, const place *at, cJSON *item) {
  enum { AT_ONCE = 256 };
  if (item && (at->key ? cJSON_AddItemToObject(parent, at->key, item)
                       : cJSON_AddItemToArray(parent, item))) {
    if (++e->guard->items % AT_ONCE == 0) count_items(e->L, e->guard, AT_ONCE);
    return;
  }
  cJSON_Delete(item);
  luaL_error(e->L, "json_encode: not enough memory");
}

static cJSON *number_item(const encoder *e, const place *at, int i) {
  char text[32];
  const double v = lua_tonumber(e->L, i);
  if (!isfinite(v)) {
    if (e->nan_is_null) return cJSON_CreateNull();
    refuse(e, at, "is not a finite number (the option {nan=\"null\"} writes null)");
  }
  const lua_Integer n = lua_tointeger(e->L, i), most = (lua_Integer)max_exact;
  if (lua_isinteger(e->L, i) && (n > most || n < -most))
    refuse(e, at, "is an integer beyond 2^53, which JSON would round; pass it as a string");
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, v);
    if (strtod(text, NULL) == v) break;
  }
  pl_decimal_point(text);
  return cJSON_CreateRaw(text);
}

/* Raises an error for a text that cJSON, or other readers of JSON, would not give back. */
static void check_text(const encoder *e, const place *at, const char *what, const char *s,
                       size_t n) {
  char message[96];
  const int64_t bad = pl_utf8_check(s);
  if (bad >= 0)
    snprintf(message, sizeof message, "%s that is not UTF-8 (byte 0x%02X at %lld)", what,
             (unsigned char)s[bad], (long long)bad + 1);
  else if (strlen(s) != n) snprintf(message, sizeof message, "%s with a zero byte in it", what);
  else return;
  refuse(e, at, message);
}

static cJSON *string_item(const encoder *e, const place *at, int i) {
  size_t n;
  const char *s = lua_tolstring(e->L, i, &n);
  check_text(e, at, "is a string", s, n);
  return cJSON_CreateString(s);
}

/* The length of an array, 0 for an object; anything else is refused. */
static lua_Integer array_length(const encoder *e, const place *at, int i) {
  lua_Integer integers = 0, strings = 0, n = (lua_Integer)lua_rawlen(e->L, i);
  for (lua_pushnil(e->L); lua_next(e->L, i); lua_pop(e->L, 1)) {
    if (lua_type(e->L, -2) == LUA_TSTRING) strings++;
    else if (lua_isinteger(e->L, -2) && lua_tointeger(e->L, -2) >= 1 &&
             lua_tointeger(e->L, -2) <= n)
      integers++;
    else refuse(e, at, "has keys that are neither strings nor 1 to n");
  }
  if (integers != n || (n > 0 && strings > 0)) refuse(e, at, "has keys that are not 1 to n");
  return n;
}

static int by_text(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Pushes a block with the sorted keys of the table; the table keeps the strings alive. */
static const char **sorted_keys(const encoder *e, const place *at, int i, size_t *n) {
  *n = 0;
  for (lua_pushnil(e->L); lua_next(e->L, i); lua_pop(e->L, 1)) ++*n;
  const char **keys = lua_newuserdatauv(e->L, (*n + 1) * sizeof *keys, 0);
  size_t k = 0, length;
  for (lua_pushnil(e->L); lua_next(e->L, i); lua_pop(e->L, 1)) {
    keys[k++] = lua_tolstring(e->L, -2, &length);
    check_text(e, at, "has a key", keys[k - 1], length);
  }
  qsort(keys, *n, sizeof *keys, by_text);
  return keys;
}

static void encode(const encoder *e, cJSON *parent, const place *at, int i);

static void encode_array(const encoder *e, cJSON *parent, const place *at, int i, lua_Integer n) {
  cJSON *array = cJSON_CreateArray();
  attach(e, parent, at, array);
  for (lua_Integer k = 1; k <= n; k++) {
    const place item = {at, NULL, k, at->depth + 1};
    lua_rawgeti(e->L, i, k);
    encode(e, array, &item, lua_gettop(e->L));
    lua_pop(e->L, 1);
  }
}

static void encode_object(const encoder *e, cJSON *parent, const place *at, int i) {
  size_t n;
  cJSON *object = cJSON_CreateObject();
  attach(e, parent, at, object);
  const char **keys = sorted_keys(e, at, i, &n);
  for (size_t k = 0; k < n; k++) {
    const place item = {at, keys[k], 0, at->depth + 1};
    lua_pushstring(e->L, keys[k]);
    lua_rawget(e->L, i);
    encode(e, object, &item, lua_gettop(e->L));
    lua_pop(e->L, 1);
  }
  lua_pop(e->L, 1); /* the block of keys */
}

static void encode_table(const encoder *e, cJSON *parent, const place *at, int i) {
  if (at->depth > MAX_DEPTH) refuse(e, at, "is nested too deep (does a table contain itself?)");
  luaL_checkstack(e->L, 8, "json_encode");
  const lua_Integer n = array_length(e, at, i);
  if (n > 0) encode_array(e, parent, at, i, n);
  else encode_object(e, parent, at, i);
}

/* Encodes the value at stack index i (absolute) into the parent. */
static void encode(const encoder *e, cJSON *parent, const place *at, int i) {
  switch (lua_type(e->L, i)) {
    case LUA_TNIL: attach(e, parent, at, cJSON_CreateNull()); break;
    case LUA_TBOOLEAN: attach(e, parent, at, cJSON_CreateBool(lua_toboolean(e->L, i))); break;
    case LUA_TNUMBER: attach(e, parent, at, number_item(e, at, i)); break;
    case LUA_TSTRING: attach(e, parent, at, string_item(e, at, i)); break;
    case LUA_TTABLE: encode_table(e, parent, at, i); break;
    default:
      lua_pushfstring(e->L, "is a %s, which JSON cannot hold", plb_typename(e->L, i));
      refuse(e, at, lua_tostring(e->L, -1));
  }
}

static bool nan_option(lua_State *L, int i) {
  if (lua_isnoneornil(L, i)) return false;
  plb_need(L, i, LUA_TTABLE);
  if (lua_getfield(L, i, "nan") == LUA_TNIL) return false;
  const char *word = lua_tostring(L, -1);
  if (!word || strcmp(word, "null") != 0)
    luaL_error(L, "json_encode: option nan is '%s'; \"null\" expected",
               luaL_tolstring(L, -1, NULL));
  return true;
}

/*
** json_encode(value[, {nan="null"}]) -> string. Tables with the keys 1..n are arrays, all others,
** and empty ones, objects with their keys in order. Raises an error that names the place of what
** JSON cannot hold, for instance `options.sizes[3]`.
*/
static int json_encode(lua_State *L) {
  plb_arg_check(L, !lua_isnone(L, 1), 1, "value expected, got no value");
  const bool nan_is_null = nan_option(L, 2);
  lua_settop(L, 1);
  guard *g = new_guard(L);
  const encoder e = {L, nan_is_null, g};
  const place top = {NULL, NULL, 0, 0};
  g->root = cJSON_CreateArray(); /* holds the value, so that it is owned from the start */
  if (!g->root) return luaL_error(L, "json_encode: not enough memory");
  encode(&e, g->root, &top, 1);
  g->text = cJSON_PrintUnformatted(g->root->child);
  if (!g->text) return luaL_error(L, "json_encode: not enough memory");
  lua_pushstring(L, g->text);
  return 1;
}

/*
** Decoding
*/

static void push_number(lua_State *L, double v) {
  if (v == floor(v) && fabs(v) <= max_exact && !(v == 0 && signbit(v)))
    lua_pushinteger(L, (lua_Integer)v);
  else lua_pushnumber(L, v);
}

/* Pushes the item; null is what lies at index 2. cJSON limits the depth. */
static void push_item(lua_State *L, const cJSON *item) {
  const cJSON *child;
  lua_Integer k = 0;
  luaL_checkstack(L, 4, "json_decode");
  if (cJSON_IsBool(item)) lua_pushboolean(L, cJSON_IsTrue(item));
  else if (cJSON_IsNumber(item)) push_number(L, item->valuedouble);
  else if (cJSON_IsString(item)) lua_pushstring(L, item->valuestring);
  else if (cJSON_IsNull(item)) lua_pushvalue(L, 2);
  else {
    lua_newtable(L);
    cJSON_ArrayForEach(child, item) {
      push_item(L, child);
      if (cJSON_IsArray(item)) lua_rawseti(L, -2, ++k);
      else lua_setfield(L, -2, child->string);
    }
  }
}

/* Where a text holds the escape of a zero byte, at which strings of cJSON would end; or NULL. */
static const char *find_zero(const char *text, const char *end) {
  for (const char *c = text; (c = memchr(c, '\\', (size_t)(end - c))) != NULL && end - c >= 6;
       c += 2)
    if (memcmp(c, "\\u0000", 6) == 0) return c;
  return NULL;
}

/* At least as many as there are in the text. */
static int64_t most_items(const char *text, size_t n) {
  int64_t items = 1;
  for (size_t i = 0; i < n; i++) items += text[i] == ',' || text[i] == '[' || text[i] == '{';
  return items;
}

/* json_decode(text[, null]) -> value | nil, message. `null`, nil if absent, stands for null. */
static int json_decode(lua_State *L) {
  size_t n;
  const char *end = NULL, *text = plb_text(L, 1, &n);
  lua_settop(L, 2);
  const char *zero = find_zero(text, text + n);
  if (zero) {
    pl_fail("json_decode: a string with a zero byte at byte %lld of %zu",
            (long long)(zero - text) + 1, n);
    return plb_nil(L);
  }
  guard *g = new_guard(L);
  count_items(L, g, most_items(text, n));
  g->root = cJSON_ParseWithLengthOpts(text, n + 1, &end, true);
  if (!g->root || end != text + n) {
    pl_fail("json_decode: not JSON at byte %lld of %zu", (long long)(end - text) + 1, n);
    return plb_nil(L);
  }
  push_item(L, g->root);
  return 1;
}

static const plb_function functions[] = {
    {"json_encode", json_encode,
     "(value, {nan=\"null\"}?)\nA plain value as JSON text. Infinities and NaN, which JSON does "
     "not have, raise an error; with the option they become null."},
    {"json_decode", json_decode, "(text)\nThe value of a JSON text, or nil and a message."},
    {NULL, NULL, NULL}};

void plb_open_json(lua_State *L) { plb_add(L, "Files", functions, NULL); }
