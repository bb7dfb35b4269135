/*
** trace.c: following a computation: each call of an op, with its tensors and attributes, is told to a
** function of Lua, which writes it down (perilune.onnx).
*/
#include <string.h>

#include "../base/context.h"
#include "bind.h"
#include "ops/table.h"

typedef struct {
  pl_tracer tracer; /* first: it is what the engine sees */
  plb_state *state;
  bool failed; /* something could not be told: Lua had no memory */
} trace;

/* registry[&trace] = {note, boxes} */
enum { NOTE = 1, BOXES };

/*
** What is told
*/

/* Pushes the one box of a tensor, which lives as long as the table of boxes at `boxes`. */
static void push_box(lua_State *L, int boxes, pl_tensor *t) {
  if (!t) {
    lua_pushboolean(L, false);
    return;
  }
  if (lua_rawgetp(L, boxes, t) != LUA_TNIL) return;
  lua_pop(L, 1);
  plb_fill(L, plb_newbox(L), t);
  plb_box_at(L, -1)->kept = true;
  lua_pushvalue(L, -1);
  lua_rawsetp(L, boxes, t);
}

static void push_boxes(lua_State *L, int boxes, int n, pl_tensor *const *t) {
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    push_box(L, boxes, t[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

static void push_choice(lua_State *L, const pl_attr_spec *s, int64_t i) {
  const char *at = s->text;
  for (; i > 0; i--) at += strcspn(at, "|") + 1;
  lua_pushlstring(L, at, strcspn(at, "|"));
}

/* Dims and positions count from 0, as in C and in ONNX; one that was left out is nil. */
static void push_attribute(lua_State *L, const pl_attr_spec *s, const pl_attr *a) {
  switch (s->type) {
    case PL_ATTR_REAL: lua_pushnumber(L, a->d); break;
    case PL_ATTR_BOOL: lua_pushboolean(L, a->i != 0); break;
    case PL_ATTR_CHOICE: push_choice(L, s, a->i); break;
    case PL_ATTR_DIMS:
    case PL_ATTR_INTS:
    case PL_ATTR_PAIR: plb_push_ints(L, a->ints); break;
    case PL_ATTR_DIM:
      if (a->i == PL_NO_DIM) lua_pushnil(L);
      else lua_pushinteger(L, a->i);
      break;
    default: lua_pushinteger(L, a->i);
  }
}

static void push_attributes(lua_State *L, const pl_signature *s, const pl_attr *attr) {
  lua_createtable(L, 0, s->n_attr);
  for (int k = 0; k < s->n_attr; k++) {
    push_attribute(L, &s->attr[k], &attr[k]);
    lua_setfield(L, -2, s->attr[k].name);
  }
}

typedef struct {
  trace *t;
  const char *kind; /* "op", "copy", "read" or the name of a change */
  const pl_args *call;
  int n;
  pl_tensor *const *tensors;
} event;

/* note(kind, tensors, op, inputs, attributes, dtype of the call, bits of the inputs without it) */
static int tell(lua_State *L) {
  const event *e = lua_touserdata(L, 1);
  const pl_args *c = e->call;
  lua_settop(L, 0);
  lua_rawgetp(L, LUA_REGISTRYINDEX, e->t);
  lua_rawgeti(L, 1, BOXES);
  lua_rawgeti(L, 1, NOTE);
  lua_pushstring(L, e->kind);
  push_boxes(L, 2, e->n, e->tensors);
  if (!c) return lua_call(L, 2, 0), 0;
  lua_pushstring(L, c->op->name);
  push_boxes(L, 2, c->n_in, c->in);
  push_attributes(L, c->op->signature, c->attr);
  if (pl_joins(c->op)) lua_pushstring(L, pl_dtype_name(pl_joined(c->op, c->n_in, c->in)));
  else lua_pushnil(L);
  lua_pushinteger(L, c->op->apart);
  lua_call(L, 7, 0);
  return 0;
}

/* What is told may fail for want of memory alone, and then not the computation. */
static void note(pl_tracer *tracer, const char *kind, const pl_args *c, int n,
                 pl_tensor *const *tensors) {
  trace *t = (trace *)tracer;
  event e = {t, kind, c, n, tensors};
  lua_State *L = t->state == plb_here() ? plb_alive(t->state) : NULL;
  if (!L || !lua_checkstack(L, 8)) {
    t->failed = true;
    return;
  }
  t->state->context->tracer = NULL;
  lua_pushcfunction(L, tell);
  lua_pushlightuserdata(L, &e);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
    t->failed = true;
    lua_pop(L, 1);
  }
  t->state->context->tracer = tracer;
}

static void called(pl_tracer *t, const pl_args *c, int n_out, pl_tensor *const *out) {
  note(t, "op", c, n_out, out);
}

static void copied(pl_tracer *t, pl_tensor *from, pl_tensor *to) {
  note(t, "copy", NULL, 2, (pl_tensor *[]){from, to});
}

static void read_value(pl_tracer *t, pl_tensor *x) { note(t, "read", NULL, 1, (pl_tensor *[]){x}); }

static void changed(pl_tracer *t, const char *what, pl_tensor *x, pl_tensor *y) {
  note(t, what, NULL, 2, (pl_tensor *[]){x, y});
}

/*
** Functions of the module
*/

/* trace(boxes, note, f, ...) -> what f(...) gives */
static int trace_call(lua_State *L) {
  plb_need(L, 1, LUA_TTABLE);
  plb_need(L, 2, LUA_TFUNCTION);
  plb_need(L, 3, LUA_TFUNCTION);
  trace t = {.tracer = {called, copied, read_value, changed, NULL, NULL, false},
             .state = plb_enter(L)};
  pl_context *c = t.state->context;
  if (c->tracer) return luaL_error(L, "a computation is being traced already");
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, NOTE);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, BOXES);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &t);
  c->tracer = &t.tracer;
  const int status = lua_pcall(L, lua_gettop(L) - 3, LUA_MULTRET, 0);
  plb_enter(L);
  c->tracer = NULL;
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &t);
  if (status != LUA_OK) return lua_error(L);
  if (t.failed) return luaL_error(L, "not enough memory");
  return lua_gettop(L) - 2;
}

/* trace_box(boxes, tensor) -> the box of a tensor that traces with these boxes show */
static int trace_box(lua_State *L) {
  plb_need(L, 1, LUA_TTABLE);
  push_box(L, 1, plb_check(L, 2));
  return 1;
}

void plb_open_trace(lua_State *L) {
  static const luaL_Reg functions[] = {{"call", trace_call}, {"box", trace_box}, {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_setfield(L, 1, "trace");
}
