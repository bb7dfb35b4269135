/*
** rows.c: every row of the op table as a function and a method, with its text, and what a row says
** of itself.
*/
#include <string.h>

#include "bind.h"
#include "ops/table.h"

static void add_default(luaL_Buffer *b, const pl_attr_spec *s) {
  char text[48];
  if (s->type == PL_ATTR_CHOICE) {
    luaL_addstring(b, "=\"");
    for (const char *p = s->text; *p; p++) {
      if (*p == '|') luaL_addstring(b, "\"|\"");
      else luaL_addchar(b, *p);
    }
    luaL_addstring(b, "\"");
  } else if (!s->text[0]) {
    luaL_addstring(b, s->optional ? "?" : "");
  } else if (s->type == PL_ATTR_DIM && s->fallback.i >= 0) {
    snprintf(text, sizeof text, "=%d", (int)s->fallback.i + 1);
    luaL_addstring(b, text);
  } else {
    luaL_addstring(b, "=");
    luaL_addstring(b, s->text);
  }
}

/* Adds the inputs: "x, weight, bias?" or "xs...". */
static void add_inputs(luaL_Buffer *b, const pl_signature *s) {
  for (int k = 0; k < s->n_in; k++) {
    if (k) luaL_addstring(b, ", ");
    luaL_addstring(b, s->in[k].name);
    luaL_addstring(b, s->variadic ? "..." : s->in[k].optional ? "?" : "");
  }
}

/* Pushes "conv2d(x, weight, bias?, stride=1, ...)\nwhat it does"; what is in a table of its own has
 * its whole name, "pl.linalg.inv(a)". */
static void push_doc(lua_State *L, const pl_op *op) {
  const pl_signature *s = pl_op_signature(op);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  if (strchr(pl_op_name(op), '.')) luaL_addstring(&b, "pl.");
  luaL_addstring(&b, pl_op_name(op));
  luaL_addchar(&b, '(');
  add_inputs(&b, s);
  for (int k = 0; k < s->n_attr; k++) {
    luaL_addstring(&b, ", ");
    luaL_addstring(&b, s->attr[k].name);
    add_default(&b, &s->attr[k]);
  }
  luaL_addstring(&b, ")\n");
  luaL_addstring(&b, pl_op_doc(op));
  luaL_pushresult(&b);
}

static int rows_list(lua_State *L) {
  lua_newtable(L);
  for (int i = 0; pl_op_at(i); i++) {
    lua_pushstring(L, pl_op_name(pl_op_at(i)));
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* The member of pl_attr that each type has: "i", "d" or "ints". */
#define MEMBER(type, word, c_type, member) #member,
static const char *const members[] = {PL_ATTR_TYPES(MEMBER)};
#undef MEMBER

static void push_member(lua_State *L, const char *member, const pl_attr *a) {
  if (!strcmp(member, "ints")) plb_push_ints(L, a->ints);
  else if (!strcmp(member, "d")) lua_pushnumber(L, a->d);
  else lua_pushinteger(L, a->i);
}

static void push_default(lua_State *L, const pl_attr_spec *s) {
  switch (s->type) {
    case PL_ATTR_BOOL: lua_pushboolean(L, (int)s->fallback.i); break;
    case PL_ATTR_DIM:
      if (s->fallback.i == PL_NO_DIM) return lua_pushnil(L);
      /* fall through */
    case PL_ATTR_INDEX: lua_pushinteger(L, s->fallback.i + (s->fallback.i >= 0)); break;
    case PL_ATTR_CHOICE: lua_pushstring(L, s->text); break;
    default: push_member(L, members[s->type], &s->fallback);
  }
}

static void push_inputs(lua_State *L, const pl_signature *s) {
  lua_createtable(L, s->n_in, 1);
  for (int k = 0; k < s->n_in; k++) {
    lua_createtable(L, 0, 2);
    lua_pushstring(L, s->in[k].name);
    lua_setfield(L, -2, "name");
    lua_pushboolean(L, s->in[k].optional);
    lua_setfield(L, -2, "optional");
    lua_rawseti(L, -2, k + 1);
  }
  lua_pushboolean(L, s->variadic);
  lua_setfield(L, -2, "variadic");
}

static void push_attrs(lua_State *L, const pl_signature *s) {
#define WORD(type, word, ...) #word,
  static const char *const types[] = {PL_ATTR_TYPES(WORD)};
#undef WORD
  lua_createtable(L, s->n_attr, 0);
  for (int k = 0; k < s->n_attr; k++) {
    lua_createtable(L, 0, 3);
    lua_pushstring(L, s->attr[k].name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, types[s->attr[k].type]);
    lua_setfield(L, -2, "type");
    if (s->attr[k].optional) {
      push_default(L, &s->attr[k]);
      lua_setfield(L, -2, "default");
    }
    lua_rawseti(L, -2, k + 1);
  }
}

/* Pushes a function that calls the row, which messages name so. */
static void push_function(lua_State *L, const pl_op *op, lua_CFunction f, bool is_method) {
  lua_pushlightuserdata(L, (void *)op);
  lua_pushboolean(L, is_method);
  lua_pushcclosure(L, f, 2);
  lua_pushfstring(L, is_method ? "tensor:%s" : "%s", pl_op_name(op));
  lua_insert(L, -2);
  plb_name_function(L, lua_tostring(L, -2));
  lua_remove(L, -2);
}

/* In the order of pl_integers. */
static const char *const integers[] = {"refused", "real", "counted", "moved", "read"};

/* op(name) -> {name=, group=, inputs=, attrs=, samples=, doc=, outputs=, differentiable=,
 * integers=, onnx=, call=}, or nil */
static int rows_one(lua_State *L) {
  const pl_op *op = pl_op_find(plb_text(L, 1, NULL));
  if (!op) return lua_pushnil(L), 1;
  const char *const texts[][2] = {{"name", pl_op_name(op)},
                                  {"group", pl_op_group(op)},
                                  {"samples", pl_op_samples(op)},
                                  {"doc", pl_op_doc(op)},
                                  {"onnx", pl_op_onnx(op)}};
  lua_newtable(L);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    lua_pushstring(L, texts[i][1]);
    lua_setfield(L, -2, texts[i][0]);
  }
  push_inputs(L, pl_op_signature(op));
  lua_setfield(L, -2, "inputs");
  push_attrs(L, pl_op_signature(op));
  lua_setfield(L, -2, "attrs");
  lua_pushinteger(L, pl_op_outputs(op));
  lua_setfield(L, -2, "outputs");
  lua_pushboolean(L, pl_op_differentiable(op));
  lua_setfield(L, -2, "differentiable");
  push_function(L, op, plb_call_op, false);
  lua_setfield(L, -2, "call");
  lua_pushstring(L, integers[pl_op_integers(op)]);
  lua_setfield(L, -2, "integers");
  return 1;
}

static const plb_function functions[] = {
    {"ops", rows_list, "()\nThe names of all ops, in the order of the table."},
    {"op", rows_one,
     "(name)\nThe row of an op: name, group, inputs, attrs, samples, doc, outputs, "
     "differentiable, integers (what becomes of them), onnx (its rule for export), and the "
     "function "
     "itself, call."},
    {NULL, NULL, NULL}};

static const char *const operators[][2] = {
    {"add", "__add"},           {"sub", "__sub"},          {"mul", "__mul"},
    {"div", "__div"},           {"pow", "__pow"},          {"neg", "__unm"},
    {"floor_divide", "__idiv"}, {"remainder", "__mod"},    {"bitwise_and", "__band"},
    {"bitwise_or", "__bor"},    {"bitwise_xor", "__bxor"}, {"bitwise_not", "__bnot"}};

/* -x and ~x pass their operand twice. */
static int call_once(lua_State *L) {
  lua_settop(L, 1);
  return plb_call_op(L);
}

static void set_operator(lua_State *L, const pl_op *op) {
  for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
    if (strcmp(operators[i][0], pl_op_name(op)) != 0) continue;
    luaL_getmetatable(L, PLB_TENSOR);
    push_function(L, op, pl_op_signature(op)->n_in == 1 ? call_once : plb_call_op, false);
    lua_setfield(L, -2, operators[i][1]);
    lua_pop(L, 1);
  }
}

/* Sets the functions of a row: as field `name` of the module, or as field b of its table a by the
 * name "a.b"; and as a method, if it is no such and takes a tensor first. */
static void set_functions(lua_State *L, const pl_op *op) {
  const char *name = pl_op_name(op), *dot = strchr(name, '.');
  push_function(L, op, plb_call_op, false);
  if (dot) {
    lua_pushlstring(L, name, (size_t)(dot - name));
    luaL_getsubtable(L, 1, lua_tostring(L, -1));
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, dot + 1);
    lua_pop(L, 3);
    return;
  }
  lua_setfield(L, 1, name);
  if (pl_op_signature(op)->variadic) return;
  push_function(L, op, plb_call_op, true);
  lua_setfield(L, 2, name);
}

static void open_row(lua_State *L, const pl_op *op) {
  const char *name = pl_op_name(op);
  set_functions(L, op);
  push_doc(L, op);
  lua_setfield(L, 3, name);
  plb_add_to_group(L, pl_op_group(op), name);
  set_operator(L, op);
}

/*
** Ops that are registered at run time, by a library that a script loads or by the program around it.
** Lua says under which name each may be opened (lua/perilune/internal/registered.lua).
*/

static const char tables_key = 0;  /* registry: the list of the four tables that openers get */
static const char watcher_key = 0; /* registry: what opens the new ops of a state */

/* new() -> the names of ops that the state's scripts do not know; from now on they do */
static int registered_new(lua_State *L) {
  plb_state *s = plb_enter(L);
  const pl_op *op;
  int n = 0;
  lua_newtable(L);
  for (; (op = pl_op_at(s->n_ops + n)); n++) {
    lua_pushstring(L, pl_op_name(op));
    lua_rawseti(L, -2, n + 1);
  }
  s->n_ops += n;
  return 1;
}

/* count() -> how many ops the state's scripts know */
static int registered_count(lua_State *L) {
  lua_pushinteger(L, plb_enter(L)->n_ops);
  return 1;
}

/* open(name): its function, method, text */
static int registered_open(lua_State *L) {
  const pl_op *op = pl_op_find(plb_text(L, 1, NULL));
  lua_settop(L, 0);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &tables_key);
  for (int i = 1; i <= 4; i++) lua_rawgeti(L, 1, i);
  lua_remove(L, 1);
  if (op) open_row(L, op);
  return 0;
}

/* watch(f): f() is called before a run if there are new ones */
static int registered_watch(lua_State *L) {
  plb_need(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  plb_enter(L)->watches = true;
  lua_rawsetp(L, LUA_REGISTRYINDEX, &watcher_key);
  return 0;
}

/* load(path) -> the names of its ops */
static int registered_load(lua_State *L) {
  const char *path = plb_path(L, 1);
  plb_enter(L);
  const int n = pl_load_ops(path, 0, NULL);
  if (n < 0) return plb_raise(L);
  const pl_op **ops = lua_newuserdatauv(L, (size_t)n * sizeof *ops, 0);
  lua_createtable(L, n, 0);
  if (pl_load_ops(path, n, ops) < 0) return plb_raise(L);
  for (int i = 0; i < n; i++) {
    lua_pushstring(L, pl_op_name(ops[i]));
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

bool plb_has_new_ops(void) {
  const plb_state *s = plb_here();
  return s && s->watches && s->n_ops != pl_op_count();
}

int plb_open_new_ops(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &watcher_key);
  lua_call(L, 0, 0);
  return 0;
}

static void open_registered(lua_State *L) {
  static const luaL_Reg registered[] = {{"new", registered_new},   {"count", registered_count},
                                        {"open", registered_open}, {"watch", registered_watch},
                                        {"load", registered_load}, {NULL, NULL}};
  luaL_newlib(L, registered);
  lua_getfield(L, -1, "load");
  plb_name_function(L, "load_ops");
  lua_pop(L, 1);
  lua_setfield(L, 1, "registered");
  lua_createtable(L, 4, 0);
  for (int i = 1; i <= 4; i++) {
    lua_pushvalue(L, i);
    lua_rawseti(L, -2, i);
  }
  lua_rawsetp(L, LUA_REGISTRYINDEX, &tables_key);
}

void plb_open_rows(lua_State *L) {
  plb_state *s = plb_enter(L);
  for (s->n_ops = 0; s->n_ops < pl_n_rows; s->n_ops++) open_row(L, pl_op_at(s->n_ops));
  plb_add(L, "The program and the computer", functions, NULL);
  open_registered(L);
}
