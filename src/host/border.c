/*
** border.c: tensors and networks between C and the scripts of a host. Everything that could raise
** runs in one protected call, which finds what C asked for in a `job`; tensors come back retained,
** and belong to the caller's scope once the host was left.
*/
#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>

#include "../bind/bind.h"
#include "host.h"
#include "module.h"

/* Runs f(job) in the host, protected and with a traceback; leaves so many results on its stack. */
static bool run(pl_host *h, lua_CFunction f, void *job, int results) {
  lua_State *L = pl_host_lua(h);
  if (!lua_checkstack(L, 4)) return pl_host_refuse(h, PL_ERROR_MEMORY, "stack overflow");
  lua_pushcfunction(L, f);
  lua_pushlightuserdata(L, job);
  return pl_host_call(h, 1, results);
}

static void need_library(lua_State *L) {
  if (luaL_getmetatable(L, PLB_TENSOR) == LUA_TNIL) {
    pl_modules_require(L, "perilune");
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/*
** Tensors
*/

static void push(lua_State *L, pl_tensor *t) {
  if (!t) return lua_pushnil(L);
  plb_fill(L, plb_newbox(L), t);
}

/* The tensor at i, or one that stands for the number there, retained; NULL for nil. */
static pl_tensor *take(lua_State *L, int i, const char *what, int k) {
  if (lua_isnil(L, i)) return NULL;
  if (lua_type(L, i) != LUA_TNUMBER) {
    pl_tensor *t = plb_test(L, i);
    if (!t)
      luaL_error(L, "%s: result %d is a %s; tensor or number expected", what, k,
                 plb_typename(L, i));
    return pl_retain(t);
  }
  pl_scope_begin();
  pl_tensor *t = pl_retain(pl_full(PL_REAL, (pl_ints){0}, lua_tonumber(L, i)));
  pl_scope_end();
  if (!t) plb_raise(L);
  return t;
}

static int push_protected(lua_State *L) {
  need_library(L);
  push(L, lua_touserdata(L, 1));
  return 1;
}

bool pl_host_push_tensor(pl_host *h, pl_tensor *t) { return run(h, push_protected, t, 1); }

pl_tensor *pl_host_to_tensor(pl_host *h, int i) {
  lua_State *L = pl_host_lua(h);
  const plb_box *box = plb_box_at(L, i);
  if (box && box->tensor) {
    pl_tensor *t = pl_scope_own(pl_retain(box->tensor));
    if (!t) pl_host_refuse(h, pl_error_code(), pl_error());
    return t;
  }
  char text[128];
  snprintf(text, sizeof text, "tensor expected at %d of the stack, got %s", i,
           box ? "one that was released" : luaL_typename(L, i));
  return pl_host_refuse(h, PL_ERROR, text), NULL;
}

/*
** Calls
*/

typedef struct {
  const char *what;    /* for messages: a path of globals, which is called, or */
  const int *function; /* what this reference names */
  int n_in, n_out;
  pl_tensor *const *in; /* the caller's */
  pl_tensor **out;      /* retained */
} call;

/* Pushes the value that "game.opponent.play" names. */
static void push_path(lua_State *L, const char *path) {
  lua_pushglobaltable(L);
  for (const char *at = path; *at;) {
    const size_t n = strcspn(at, ".");
    if (!lua_istable(L, -1))
      luaL_error(L, "%s: a %s stands where '%s' is looked for", path, luaL_typename(L, -1), at);
    lua_pushlstring(L, at, n);
    lua_gettable(L, -2);
    lua_remove(L, -2);
    at += n + (at[n] == '.');
  }
  if (lua_isnil(L, -1)) luaL_error(L, "%s: there is no such global", path);
}

static int run_call(lua_State *L) {
  const call *c = lua_touserdata(L, 1);
  luaL_checkstack(L, c->n_in + c->n_out + LUA_MINSTACK, c->what);
  if (c->function) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, *c->function);
  } else {
    need_library(L);
    push_path(L, c->what);
  }
  if (c->function && c->n_in == 1 && c->n_out == 1 &&
      (c->out[0] = plb_follow_chain(L, lua_gettop(L), c->in[0])))
    return 0;
  for (int k = 0; k < c->n_in; k++) push(L, c->in[k]);
  lua_call(L, c->n_in, c->n_out);
  for (int k = 0; k < c->n_out; k++) c->out[k] = take(L, k - c->n_out, c->what, k + 1);
  return 0;
}

/* What comes back belongs to the scope of who called, or is released. */
static bool hand_over(pl_host *h, bool ok, int n, pl_tensor **out) {
  for (int k = 0; k < n; k++) {
    if (ok) out[k] = pl_scope_own(out[k]);
    else pl_release(out[k]), out[k] = NULL;
  }
  if (!ok || !pl_error()) return ok;
  pl_host_refuse(h, pl_error_code(), pl_error());
  return false;
}

bool pl_host_call_tensors(pl_host *h, const char *name, int n_in, pl_tensor *const *in, int n_out,
                          pl_tensor **out) {
  call c = {.what = name, .n_in = n_in, .n_out = n_out, .in = in, .out = out};
  for (int k = 0; k < n_out; k++) out[k] = NULL;
  if (pl_error()) return pl_host_refuse(h, pl_error_code(), pl_error());
  return hand_over(h, run(h, run_call, &c, 0), n_out, out);
}

/*
** Networks. lua/perilune/internal/border.lua does what needs the library.
*/

struct pl_net {
  pl_host *host;
  int module; /* a reference */
};

/* A network on its way: as a text and the tensors of its state, which are shared. */
typedef struct {
  const pl_net *from;
  char *text;
  int n;
  pl_tensor **tensor;
} parcel;

typedef struct {
  pl_net *net;
  const char *path; /* of a file, or */
  const char *name; /* of a global, or */
  const parcel *parcel;
} maker;

/* Pushes a function of border.lua. */
static void push_border(lua_State *L, const char *name) {
  pl_modules_require(L, "perilune.internal.border");
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
}

static void push_parcel(lua_State *L, const parcel *p) {
  lua_pushstring(L, p->text);
  lua_createtable(L, p->n, 0);
  for (int k = 0; k < p->n; k++) {
    push(L, p->tensor[k]);
    lua_rawseti(L, -2, k + 1);
  }
}

static int make_net(lua_State *L) {
  const maker *m = lua_touserdata(L, 1);
  need_library(L);
  push_border(L, m->path ? "load" : m->name ? "check" : "rebuild");
  if (m->path) lua_pushstring(L, m->path);
  else if (m->name) push_path(L, m->name), lua_pushstring(L, m->name);
  else push_parcel(L, m->parcel);
  lua_call(L, lua_gettop(L) - 2, 1);
  m->net->module = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

static pl_net *new_net(pl_host *h, maker m) {
  m.net = calloc(1, sizeof *m.net);
  if (!m.net) return pl_host_refuse(h, PL_ERROR_MEMORY, "not enough memory for a network"), NULL;
  *m.net = (pl_net){h, LUA_NOREF};
  if (run(h, make_net, &m, 0)) return m.net;
  pl_net_close(m.net);
  return NULL;
}

pl_net *pl_net_load(pl_host *h, const char *path) { return new_net(h, (maker){.path = path}); }

pl_net *pl_net_find(pl_host *h, const char *name) { return new_net(h, (maker){.name = name}); }

void pl_net_close(pl_net *net) {
  if (!net) return;
  lua_State *L = pl_host_lua(net->host);
  luaL_unref(L, LUA_REGISTRYINDEX, net->module);
  free(net);
}

bool pl_net_push(pl_net *net) {
  if (!net) return pl_fail("net_push: the network is missing");
  lua_State *L = pl_host_lua(net->host);
  if (!lua_checkstack(L, 1)) return pl_host_refuse(net->host, PL_ERROR_MEMORY, "stack overflow");
  lua_rawgeti(L, LUA_REGISTRYINDEX, net->module);
  return true;
}

/* Inside a tidy, so that all that the call makes is released but what comes back. */
bool pl_net_call(pl_net *net, int n_in, pl_tensor *const *in, int n_out, pl_tensor **out) {
  for (int k = 0; k < n_out; k++) out[k] = NULL;
  if (!net) return pl_fail("net_call: the network is missing");
  pl_host *h = net->host;
  lua_State *L = pl_host_lua(h);
  call c = {"network", &net->module, n_in, n_out, in, out};
  if (pl_error()) return pl_host_refuse(h, pl_error_code(), pl_error());
  pl_context *outer = pl_context_enter(pl_host_context(h));
  struct plb_guard *tidy = plb_begin_tidy(plb_here());
  const bool recording = pl_grad_mode(false), ok = run(h, run_call, &c, 0);
  pl_grad_mode(recording);
  plb_end_tidy(L, tidy);
  pl_context_enter(outer);
  return hand_over(h, ok, n_out, out);
}

/*
** From one host to another
*/

/* describe(network) -> text, tensors; keeps both outside of Lua. */
static int pack(lua_State *L) {
  parcel *p = lua_touserdata(L, 1);
  push_border(L, "describe");
  lua_rawgeti(L, LUA_REGISTRYINDEX, p->from->module);
  lua_call(L, 1, 2);
  const int n = (int)lua_rawlen(L, 3);
  p->text = strdup(lua_tostring(L, 2));
  p->tensor = calloc((size_t)n + 1, sizeof *p->tensor);
  if (!p->text || !p->tensor) return luaL_error(L, "not enough memory for a network");
  pl_scope_begin();
  for (; p->n < n; p->n++) {
    lua_rawgeti(L, 3, p->n + 1);
    if (!(p->tensor[p->n] = pl_retain(pl_share(plb_box_at(L, -1)->tensor)))) break;
    lua_pop(L, 1);
  }
  pl_scope_end();
  return p->n < n ? plb_raise(L) : 0;
}

static void unpack(parcel *p) {
  for (int k = 0; k < p->n; k++) pl_release(p->tensor[k]);
  free(p->tensor);
  free(p->text);
}

pl_net *pl_net_share(pl_net *net, pl_host *other) {
  parcel p = {.from = net};
  pl_net *result = NULL;
  if (!net) return pl_host_refuse(other, PL_ERROR, "net_share: the network is missing"), NULL;
  if (run(net->host, pack, &p, 0)) result = new_net(other, (maker){.parcel = &p});
  else pl_host_refuse(other, pl_host_error_code(net->host), pl_host_error(net->host));
  unpack(&p);
  return result;
}
