/*
** transforms.c: steps of images (image/steps.c) as Lua functions and values.
**
**   {"random_resized_crop", 64, scale = {0.5, 1}}      a table becomes a call: numbers, true and
**        |                                             false, words, lists of numbers
**   pl_step_call ──► pl_transform ──► userdata, which is called with images
*/
#include "image/transform.h"

#include <string.h>

#include "bind.h"

#define TRANSFORM "perilune.transform"

/* What the arguments of the calls are kept in, in one userdata that Lua frees. */
typedef struct {
  pl_argument *next;
  double *number;
} store;

/* Raises the message of the engine, which begins with the name of the step. */
static int raise_step(lua_State *L) {
  char text[PLB_MESSAGE];
  const char *message = plb_take_error(text);
  return luaL_error(L, "%s", message);
}

/* "resize: mode: " or, of what has no name, "resize: ". */
static const char *push_place(lua_State *L, const char *who, const char *name) {
  return lua_pushfstring(L, name ? "%s: %s: " : "%s: ", who, name);
}

static double number_of(lua_State *L, const char *who, const char *name, int i) {
  if (!plb_as_number(L, i))
    luaL_error(L, "%snumber expected, got %s", push_place(L, who, name), plb_shown(L, i));
  return lua_tonumber(L, i);
}

/* The list on top. */
static void take_list(lua_State *L, const char *who, pl_argument *a, store *s) {
  const lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
  if (n < 1 || n > PL_STEP_NUMBERS)
    luaL_error(L, "%sa list of 1 to %d numbers expected, got %d", push_place(L, who, a->name),
               PL_STEP_NUMBERS, (int)n);
  a->v = s->number;
  a->n = (int)n;
  for (lua_Integer k = 1; k <= n; k++) {
    lua_rawgeti(L, -1, k);
    *s->number++ = number_of(L, who, a->name, lua_gettop(L));
    lua_pop(L, 1);
  }
}

/* The value on top, which stays in the table or on the stack. */
static void take_value(lua_State *L, const char *who, const char *name, store *s) {
  pl_argument *a = s->next++;
  const int type = lua_type(L, -1);
  *a = (pl_argument){.name = name};
  if (type == LUA_TSTRING) a->text = lua_tostring(L, -1);
  else if (type == LUA_TTABLE) take_list(L, who, a, s);
  else if (type != LUA_TNIL) {
    a->boolean = type == LUA_TBOOLEAN;
    a->v = s->number;
    a->n = 1;
    *s->number++ = a->boolean ? lua_toboolean(L, -1) : number_of(L, who, a->name, lua_gettop(L));
  }
}

/* The named values of the table at i. */
static void take_named(lua_State *L, const char *who, int i, store *s) {
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1))
    if (lua_type(L, -2) == LUA_TSTRING) take_value(L, who, lua_tostring(L, -2), s);
}

static int count_entries(lua_State *L, int i) {
  int n = 0;
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) n++;
  return n;
}

/* A new store for so many arguments; on the stack. */
static store new_store(lua_State *L, int n) {
  const size_t numbers = (size_t)n * PL_STEP_NUMBERS * sizeof(double);
  char *memory = lua_newuserdatauv(L, numbers + (size_t)n * sizeof(pl_argument) + 1, 0);
  return (store){(pl_argument *)(memory + numbers), (double *)memory};
}

/*
** Transforms
*/

typedef struct {
  plb_owned owned;
  pl_transform *transform; /* NULL: released */
} transform_box;

static void release_transform(plb_owned *o) {
  transform_box *t = (transform_box *)o;
  pl_transform_release(t->transform);
  t->transform = NULL;
}

static int transform_end(lua_State *L) {
  plb_end_owned(luaL_checkudata(L, 1, TRANSFORM));
  return 0;
}

static pl_transform *check_transform(lua_State *L, int i) {
  const transform_box *t = luaL_checkudata(L, i, TRANSFORM);
  if (!t->transform) luaL_error(L, "transform: it was released");
  return t->transform;
}

pl_transform *plb_test_transform(lua_State *L, int i) {
  const transform_box *t = luaL_testudata(L, i, TRANSFORM);
  return t ? t->transform : NULL;
}

static int transform_text(lua_State *L) {
  const pl_transform *t = check_transform(L, 1);
  const int n = pl_transform_text(t, NULL, 0);
  char *text = lua_newuserdatauv(L, (size_t)n + 1, 0);
  pl_transform_text(t, text, (size_t)n + 1);
  lua_pushfstring(L, "transform: %s", text);
  return 1;
}

/* Pushes what the transform makes of the images at i. */
static void push_images(lua_State *L, const pl_transform *t, int i) {
  plb_check(L, i);
  plb_make_room(L, (size_t)pl_numel(plb_check(L, i)) * sizeof(pl_real));
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  plb_fill(L, box, pl_transform_images(t, plb_hold_read(L, i)));
  pl_scope_end();
  if (!*box) raise_step(L);
}

/* (self, images, ...): what comes after the images stays, as labels do. */
static int transform_call(lua_State *L) {
  pl_transform *t = check_transform(L, 1);
  if (!plb_test(L, 2))
    return luaL_error(L, "transform: images expected, got %s", plb_typename(L, 2));
  const int top = lua_gettop(L);
  push_images(L, t, 2);
  lua_replace(L, 2);
  lua_settop(L, top);
  return top - 1;
}

/* Pushes an empty one. */
static pl_transform **new_transform(lua_State *L) {
  transform_box *t = lua_newuserdatauv(L, sizeof *t, 0);
  *t = (transform_box){0};
  plb_own(L, &t->owned, release_transform);
  if (luaL_newmetatable(L, TRANSFORM)) {
    lua_pushcfunction(L, transform_end);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, transform_text);
    lua_setfield(L, -2, "__tostring");
    lua_pushcfunction(L, transform_call);
    lua_setfield(L, -2, "__call");
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
  }
  lua_setmetatable(L, -2);
  return &t->transform;
}

static pl_transform *finish_transform(lua_State *L, pl_transform **t, int n,
                                      const pl_step_call *calls) {
  *t = pl_transform_new(n, calls);
  if (!*t) raise_step(L);
  return *t;
}

/* How many arguments the list at i has that begins with a name. Lua's length of a list with holes may be
   any, also far beyond what is in it. */
static int count_arguments(lua_State *L, const char *who, int i) {
  const lua_Unsigned n = lua_rawlen(L, i);
  if (n > PL_STEP_PARAMETERS + 1)
    luaL_error(L, "%s: %d arguments; at most %d expected", who, (int)n - 1, PL_STEP_PARAMETERS);
  return n ? (int)n - 1 : 0;
}

/* The step that stands as the k-th of the list at 1: its table is left on the stack. */
static pl_step_call read_step(lua_State *L, int k) {
  if (lua_rawgeti(L, 1, k) != LUA_TTABLE)
    luaL_error(L, "transform: step %d is a %s; {name, ...} expected", k, plb_typename(L, -1));
  const int table = lua_gettop(L);
  if (lua_rawgeti(L, table, 1) != LUA_TSTRING)
    luaL_error(L, "transform: step %d begins with a %s; the name of a step expected", k,
               plb_typename(L, -1));
  const char *name = lua_tostring(L, -1);
  const int n = count_arguments(L, name, table);
  store s = new_store(L, n + count_entries(L, table));
  pl_step_call call = {.name = name, .arguments = s.next};
  for (int i = 1; i <= n; i++, lua_pop(L, 1)) {
    lua_rawgeti(L, table, i + 1);
    take_value(L, name, NULL, &s);
  }
  take_named(L, call.name, table, &s);
  call.n = (int)(s.next - call.arguments);
  return call;
}

static int core_transform(lua_State *L) {
  plb_need(L, 1, LUA_TTABLE);
  const int n = (int)lua_rawlen(L, 1);
  if (n < 1) return luaL_error(L, "transform: a list of steps expected, got an empty table");
  pl_step_call *calls = lua_newuserdatauv(L, (size_t)n * sizeof *calls, 0);
  luaL_checkstack(L, 4 * n + 8, "too many steps");
  for (int k = 0; k < n; k++) calls[k] = read_step(L, k + 1);
  finish_transform(L, new_transform(L), n, calls);
  return 1;
}

/* A table without a list in it has options. */
static bool are_options(lua_State *L, int i) { return lua_istable(L, i) && lua_rawlen(L, i) == 0; }

/* (name, images, ..., options?) */
static int core_image_step(lua_State *L) {
  const char *name = plb_text(L, 1, NULL);
  const int top = lua_gettop(L);
  if (!pl_step_find(name)) return plb_error(L, "there is no step '%s'", name);
  if (!plb_test(L, 2))
    return luaL_error(L, "%s: images expected, got %s", name, plb_typename(L, 2));
  int n = 0;
  for (int i = 3; i <= top; i++) n += are_options(L, i) ? count_entries(L, i) : 1;
  store s = new_store(L, n);
  pl_step_call call = {.name = name, .arguments = s.next};
  for (int i = 3; i <= top; i++) {
    if (are_options(L, i)) {
      take_named(L, name, i, &s);
      continue;
    }
    lua_pushvalue(L, i);
    take_value(L, name, NULL, &s);
    lua_pop(L, 1);
  }
  call.n = (int)(s.next - call.arguments);
  push_images(L, finish_transform(L, new_transform(L), 1, &call), 2);
  return 1;
}

static void push_parameter(lua_State *L, const pl_parameter *p) {
  char text[128];
  lua_createtable(L, 0, 2);
  lua_pushstring(L, p->name);
  lua_setfield(L, -2, "name");
  if (!p->fallback.n) return;
  pl_parameter_text(p, &p->fallback, text, sizeof text);
  lua_pushstring(L, text);
  lua_setfield(L, -2, "default");
}

static int core_image_steps(lua_State *L) {
  lua_newtable(L);
  for (int i = 0; i < pl_step_row_count; i++) {
    const pl_step_row *row = &pl_step_rows[i];
    lua_newtable(L);
    for (int k = 0; k < PL_STEP_PARAMETERS && row->parameter[k].name; k++) {
      push_parameter(L, &row->parameter[k]);
      lua_rawseti(L, -2, k + 1);
    }
    lua_setfield(L, -2, row->name);
  }
  return 1;
}

static const plb_function functions[] = {
    {"image_steps", core_image_steps,
     "()\nThe steps of images: name -> list of parameters, {name =, default =}."},
    {"transform", core_transform,
     "(steps)\nA transform of images; perilune.image.transform calls it."},
    {"image_step", core_image_step,
     "(name, images, ..., options?)\nOne step of images; the functions of perilune.image call it."},
    {NULL, NULL, NULL}};

void plb_open_transforms(lua_State *L) { plb_add(L, "Files", functions, NULL); }
