/*
** chain.c: layers one after the other, each of them one op, computed without Lua in between: what a
** Sequential does of most networks. A small network's call takes half the time so, and what is
** between two layers is released as soon as nothing needs it.
**
** Modules are Lua tables, which a script may change at any time, so a chain is good only as long as
** the fields that it was made from are what they were. Where one is not, or an op fails, the chain
** gives nothing, and nothing has happened: the Sequential then calls its layers one by one, which
** sees what is new, or fails with a message that says where.
*/
#include "../base/context.h"
#include "bind.h"

typedef struct {
  const void *layer;
  int n_fields, fields;     /* that must be as they were */
  const pl_op *op;          /* NULL: the op before this one does what the layer is for */
  int n_operands, operands; /* fields that are the op's inputs behind x */
  pl_attr attr[PL_MAX_ATTR];
} link;

/* Its user value is a list: the Sequential's forward and call, then the layers, and of their fields
   names and values, with which `fields` and `operands` begin. */
typedef struct {
  int n;
  unsigned made_at; /* plb_state.forgotten then */
  link links[];
} chain;

enum { FORWARD = 1, CALL }; /* in the list */

#define CHAIN "perilune.chain"

/*
** Making
*/

/* The value on top goes to the end of the list. */
static void keep(lua_State *L, int list) { lua_rawseti(L, list, (int)lua_rawlen(L, list) + 1); }

/* The fields that the list `key` of the table at `spec` names, of the layer at `layer`: each name,
   and behind it the value. Says how many. */
static int keep_fields(lua_State *L, int spec, const char *key, int layer, int list) {
  lua_getfield(L, spec, key);
  const int names = lua_gettop(L), n = lua_istable(L, names) ? (int)lua_rawlen(L, names) : 0;
  for (int k = 0; k < n; k++) {
    lua_rawgeti(L, names, k + 1);
    lua_pushvalue(L, -1);
    keep(L, list);
    lua_gettable(L, layer);
    if (lua_isnil(L, -1)) lua_pushboolean(L, false); /* a list has no holes */
    keep(L, list);
    lua_settop(L, names);
  }
  return n;
}

/* The link that the table on top describes. */
static void read_link(lua_State *L, link *l, int list) {
  const int spec = lua_gettop(L), layer = spec + 1;
  plb_need(L, spec, LUA_TTABLE);
  lua_getfield(L, spec, "layer");
  plb_need(L, layer, LUA_TTABLE);
  l->layer = lua_topointer(L, layer);
  l->fields = (int)lua_rawlen(L, list) + 1;
  l->n_fields = keep_fields(L, spec, "fields", layer, list);
  if (lua_getfield(L, spec, "op") != LUA_TNIL) {
    l->op = pl_op_find(plb_text(L, lua_gettop(L), NULL));
    l->operands = (int)lua_rawlen(L, list) + 1;
    l->n_operands = keep_fields(L, spec, "operands", layer, list);
    if (!l->op || l->n_operands >= PL_MAX_IN)
      luaL_error(L, "chain: no op, or too many operands for one");
    lua_getfield(L, spec, "attributes");
    plb_read_attributes(L, l->op, lua_gettop(L), l->attr);
  }
  lua_pushvalue(L, layer);
  keep(L, list);
}

/* new(list of {layer =, fields = {names}, op = name or nil, operands = {names}, attributes =},
   forward, call): the last two are those of the Sequential's class */
static int chain_new(lua_State *L) {
  enum { LINKS = 1, CLASS_FORWARD, CLASS_CALL, MADE, LIST };
  plb_need(L, LINKS, LUA_TTABLE);
  lua_settop(L, CLASS_CALL);
  const int n = (int)lua_rawlen(L, LINKS);
  chain *c = lua_newuserdatauv(L, sizeof *c + (size_t)n * sizeof *c->links, 1);
  c->n = n;
  c->made_at = plb_enter(L)->forgotten;
  lua_newtable(L);
  lua_pushvalue(L, CLASS_FORWARD), lua_rawseti(L, LIST, FORWARD);
  lua_pushvalue(L, CLASS_CALL), lua_rawseti(L, LIST, CALL);
  for (int i = 0; i < n; i++) {
    c->links[i] = (link){0};
    lua_rawgeti(L, LINKS, i + 1);
    read_link(L, &c->links[i], LIST);
    lua_settop(L, LIST);
  }
  lua_setiuservalue(L, MADE, 1);
  luaL_setmetatable(L, CHAIN);
  return 1;
}

/*
** Whether all is as it was
*/

typedef struct {
  lua_State *L;
  const chain *c;
  int network, list, layer; /* where they stand; the layer is on top */
} walk;

static bool layer_holds(const walk *w, const link *l) {
  lua_State *L = w->L;
  if (lua_topointer(L, w->layer) != l->layer) return false;
  for (int k = 0; k < l->n_fields; k++) {
    lua_rawgeti(L, w->list, l->fields + 2 * k);
    lua_gettable(L, w->layer);
    lua_rawgeti(L, w->list, l->fields + 2 * k + 1);
    if (!lua_rawequal(L, -1, -2)) return false;
    lua_pop(L, 2);
  }
  return true;
}

/* Nobody looks at each module or op that is called, and the layers are those that there were. */
static bool holds(const walk *w) {
  const plb_state *s = plb_enter(w->L);
  bool good = !s->watches_modules && !s->context->tracer && w->c->made_at == s->forgotten;
  for (int i = 0; good && i < w->c->n; i++) {
    lua_rawgeti(w->L, w->network, i + 1);
    good = layer_holds(w, &w->c->links[i]);
    lua_settop(w->L, w->list);
  }
  good = good && lua_rawgeti(w->L, w->network, w->c->n + 1) == LUA_TNIL;
  lua_settop(w->L, w->list);
  return good;
}

/*
** Computing. Lua allocates nothing meanwhile, so no finalizer runs and nothing raises.
*/

/* The layer's operands; false if one is neither a tensor nor left out. */
static bool read_operands(const walk *w, const link *l, pl_tensor **in) {
  bool good = true;
  for (int k = 0; good && k < l->n_operands; k++) {
    lua_rawgeti(w->L, w->list, l->operands + 2 * k);
    lua_rawget(w->L, w->layer);
    const plb_box *box = plb_box_at(w->L, -1);
    in[k] = box ? box->tensor : NULL;
    good = in[k] || lua_isnil(w->L, -1);
    lua_pop(w->L, 1);
  }
  return good;
}

/* The result of a link, retained; NULL if there is none. */
static pl_tensor *compute(const walk *w, int i, pl_tensor *x) {
  const link *l = &w->c->links[i];
  pl_tensor *in[PL_MAX_IN] = {x}, *out[PL_MAX_OUT] = {NULL}, *y = NULL;
  lua_rawgeti(w->L, w->network, i + 1);
  /* A function that gave a field of another layer may have taken this one away. */
  const bool same = lua_topointer(w->L, w->layer) == l->layer;
  pl_scope_begin();
  if (same && read_operands(w, l, in + 1) && pl_call(l->op, 1 + l->n_operands, in, l->attr, out))
    y = pl_retain(out[0]);
  pl_scope_end();
  lua_settop(w->L, w->list);
  return y;
}

/* Stopped by somebody: no layer's fault. */
static bool was_stopped(void) {
  return pl_error() && pl_error_code() != PL_ERROR && pl_error_code() != PL_ERROR_MEMORY;
}

/* What the layers make of x, retained; or NULL, and what an op said is forgotten. */
static pl_tensor *follow(const walk *w, pl_tensor *x) {
  pl_retain(x);
  for (int i = 0; x && i < w->c->n; i++) {
    if (!w->c->links[i].op) continue;
    pl_tensor *y = compute(w, i, x);
    pl_release(x);
    x = y;
  }
  if (!x && was_stopped()) plb_raise(w->L);
  if (!x) pl_error_clear();
  return x;
}

/* run(chain, network, x) -> what comes of x, or nil */
static int chain_run(lua_State *L) {
  enum { ASKED = 1, NETWORK, X, BOX, LIST };
  const walk w = {L, luaL_checkudata(L, ASKED, CHAIN), NETWORK, LIST, LIST + 1};
  plb_need(L, NETWORK, LUA_TTABLE);
  lua_settop(L, X);
  plb_make_room(L, 0);
  pl_tensor **box = plb_newbox(L);
  lua_getiuservalue(L, ASKED, 1);
  if (!holds(&w)) return 0;
  pl_tensor *x = plb_test(L, X), *y = x && !pl_error() ? follow(&w, x) : NULL;
  if (!y) return 0;
  plb_fill(L, box, y);
  pl_release(y);
  lua_settop(L, BOX);
  return 1;
}

/* Whether the value on top, field `name` of the network, is the i-th of the list; popped. */
static bool is_listed(const walk *w, int i) {
  lua_rawgeti(w->L, w->list, i);
  const bool same = lua_rawequal(w->L, -1, -2);
  lua_settop(w->L, w->list);
  return same;
}

/* Pushes the chain of the Sequential at w->network, and its list; whether there is one that does what a
   call of the network would do. */
static bool find_chain(walk *w) {
  lua_State *L = w->L;
  lua_pushliteral(L, "_plan");
  if (!lua_istable(L, w->network) || lua_rawget(L, w->network) != LUA_TTABLE) return false;
  lua_pushliteral(L, "chain");
  lua_rawget(L, -2);
  if (!(w->c = luaL_testudata(L, -1, CHAIN))) return false;
  lua_getiuservalue(L, -1, 1);
  w->list = lua_gettop(L), w->layer = w->list + 1;
  lua_getfield(L, w->network, "forward");
  if (!is_listed(w, FORWARD)) return false;
  return luaL_getmetafield(L, w->network, "__call") != LUA_TNIL && is_listed(w, CALL) && holds(w);
}

pl_tensor *plb_follow_chain(lua_State *L, int network, pl_tensor *x) {
  walk w = {.L = L, .network = network};
  const int top = lua_gettop(L);
  plb_enter(L);
  pl_tensor *y = x && !pl_error() && find_chain(&w) ? follow(&w, x) : NULL;
  lua_settop(L, top);
  return y;
}

/* watch(on): whether modules are called one by one, since somebody looks at each */
static int chain_watch(lua_State *L) {
  plb_enter(L)->watches_modules = lua_toboolean(L, 1);
  return 0;
}

/* forget(): no chain that there is holds any more, since a layer may have got hooks */
static int chain_forget(lua_State *L) {
  plb_enter(L)->forgotten++;
  return 0;
}

void plb_open_chain(lua_State *L) {
  static const luaL_Reg functions[] = {{"new", chain_new},
                                       {"run", chain_run},
                                       {"watch", chain_watch},
                                       {"forget", chain_forget},
                                       {NULL, NULL}};
  luaL_newmetatable(L, CHAIN);
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  lua_setfield(L, 1, "chain");
}
