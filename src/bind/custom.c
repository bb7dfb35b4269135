/*
** custom.c: functions whose gradient is written in Lua. The call keeps the rule and its
** context in the registry until no graph needs them. The rule runs inside the backward pass,
** protected: its error becomes the message in the slot, and it may not yield.
*/
#include <stdlib.h>

#include "bind.h"

enum { MOST_VALUES = sizeof((pl_custom){0}.values) / sizeof(pl_tensor *) };

typedef struct plb_call {
  pl_custom custom;
  plb_state *state;  /* whose context lives at least as long as the values, which are its own */
  int rule, context; /* references */
  int n_in;
  struct plb_call *next; /* of those that ended elsewhere */
} call;

/* In the place of their list: the state has ended. */
static const call no_more;
#define NO_MORE ((call *)&no_more)

static void unref(lua_State *L, call *k) {
  luaL_unref(L, LUA_REGISTRYINDEX, k->rule);
  luaL_unref(L, LUA_REGISTRYINDEX, k->context);
  free(k);
}

/* The thread that is in the state takes the call from its list. */
static void leave_to_state(call *k) {
  plb_state *s = k->state;
  call *first = atomic_load(&s->released);
  do {
    if (first == NO_MORE) {
      free(k);
      return;
    }
    k->next = first;
  } while (!atomic_compare_exchange_weak(&s->released, &first, k));
}

void plb_end_calls(lua_State *L) {
  plb_state *s = plb_here();
  if (!s || !atomic_load_explicit(&s->released, memory_order_relaxed)) return;
  for (call *k = atomic_exchange(&s->released, NULL), *next; k; k = next) {
    next = k->next;
    unref(L, k);
  }
}

void plb_close_calls(plb_state *s) {
  for (call *k = atomic_exchange(&s->released, NO_MORE), *next; k; k = next) {
    next = k->next;
    free(k);
  }
}

/* The state's registry is left alone unless its context is entered here: another thread may be in it. */
static void release_call(pl_custom *custom) {
  call *k = custom->context;
  const pl_custom was = *custom;
  lua_State *L = k->state == plb_here() ? plb_alive(k->state) : NULL;
  if (L) unref(L, k);
  else leave_to_state(k);
  for (int i = 0; i < MOST_VALUES; i++) pl_release(was.values[i]);
}

/* What the protected part needs and gives. */
typedef struct {
  call *k;
  pl_tensor *const *gout;
  unsigned need;
  pl_tensor **gin;
} flow;

/* rule(context, gradients of the results...) -> gradients of the inputs, nil for none */
static int run_rule(lua_State *L) {
  const flow *f = lua_touserdata(L, 1);
  int n = 1;
  lua_settop(L, 0);
  lua_rawgeti(L, LUA_REGISTRYINDEX, f->k->rule);
  lua_rawgeti(L, LUA_REGISTRYINDEX, f->k->context);
  for (int i = 0; i < MOST_VALUES && f->k->custom.values[i]; i++, n++) {
    if (f->gout[i]) plb_fill(L, plb_newbox(L), f->gout[i]);
    else lua_pushnil(L);
  }
  lua_call(L, n, f->k->n_in);
  for (int i = 0; i < f->k->n_in; i++) {
    if (!(f->need >> i & 1) || lua_isnil(L, i + 1)) continue;
    pl_tensor *g = plb_test(L, i + 1);
    if (!g)
      return luaL_error(L, "custom: gradient %d is a %s; tensor or nil expected", i + 1,
                        plb_typename(L, i + 1));
    f->gin[i] = pl_reshape(g, pl_size(g)); /* one that the pass's scope owns */
  }
  return 0;
}

static bool backward(void *context, pl_tensor *const *gout, unsigned need, pl_tensor **gin) {
  flow f = {context, gout, need, gin};
  if (f.k->state != plb_here())
    return pl_fail(
        "custom: the gradient is written in Lua, and the context of its host not entered");
  lua_State *L = f.k->state->last_used;
  if (!L) return pl_fail("custom: the Lua state with the gradient was closed");
  if (!lua_checkstack(L, 8)) return pl_fail("custom: stack overflow");
  lua_pushcfunction(L, run_rule);
  lua_pushlightuserdata(L, &f);
  const bool ok = lua_pcall(L, 1, 0, 0) == LUA_OK;
  plb_enter(L); /* a coroutine of the rule may have ended */
  if (ok) return !pl_error();
  const char *message = lua_tostring(L, -1);
  if (!message) message = "custom: the gradient raised an error that is no text";
  pl_fail_as(plb_take_status(message), "%s", message);
  lua_pop(L, 1);
  return false;
}

static call *new_call(lua_State *L, int n_in) {
  plb_end_calls(L);
  call *k = calloc(1, sizeof *k);
  if (!k) luaL_error(L, "custom: not enough memory");
  k->custom = (pl_custom){.refs = 1, .context = k, .backward = backward, .release = release_call};
  k->state = plb_enter(L);
  k->n_in = n_in;
  lua_rawgeti(L, 1, 1);
  k->context = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushvalue(L, lua_upvalueindex(2));
  k->rule = luaL_ref(L, LUA_REGISTRYINDEX);
  return k;
}

/* The inputs at 2.. that are tensors come first; what follows them is passed to forward alone. */
static int count_inputs(lua_State *L) {
  int n = 0;
  while (n < PL_MAX_IN && plb_test(L, n + 2)) n++;
  if (n == PL_MAX_IN && lua_gettop(L) >= n + 2 && plb_test(L, n + 2))
    luaL_error(L, "custom: more than %d tensors", PL_MAX_IN);
  if (!n) luaL_error(L, "custom: the first argument is a %s; tensor expected", plb_typename(L, 2));
  return n;
}

/* Whether none of the n tensors from index i on was released since it was checked. */
static bool all_there(lua_State *L, int i, int n) {
  for (int k = 0; k < n; k++)
    if (!plb_box_at(L, i + k)->tensor) return false;
  return true;
}

/* The values that forward gave, on top of the stack, with a history. */
static int with_history(lua_State *L, int n_in, int n_out) {
  pl_tensor *in[PL_MAX_IN], *out[MOST_VALUES], **box[MOST_VALUES];
  int first = lua_gettop(L) - n_out + 1;
  luaL_checkstack(L, MOST_VALUES + 8, "custom");
  for (int i = 0; i < n_out; i++) plb_check(L, first + i);
  for (int i = 0; i < n_out; i++) box[i] = plb_newbox(L);
  call *k = new_call(L, n_in);
  plb_make_room(L, 0);
  if (!all_there(L, 2, n_in) || !all_there(L, first, n_out)) {
    release_call(&k->custom);
    return luaL_error(L, "custom: a finalizer released a tensor of the call");
  }
  pl_scope_begin();
  for (int i = 0; i < n_in; i++) in[i] = plb_hold(L, i + 2);
  for (int i = 0; i < n_out; i++) k->custom.values[i] = pl_retain(plb_hold(L, first + i));
  bool ok = pl_custom_call(&k->custom, n_in, in, out);
  for (int i = 0; ok && i < n_out; i++) plb_fill(L, box[i], out[i]);
  pl_scope_end();
  return ok ? n_out : plb_raise(L);
}

/* Upvalues: forward, backward. The context lies in a table at 1, so that it outlives the call. */
static int call_custom(lua_State *L) {
  int n_args = lua_gettop(L);
  luaL_checkstack(L, n_args + LUA_MINSTACK, "custom: too many arguments");
  lua_createtable(L, 1, 0);
  lua_newtable(L);
  lua_rawseti(L, -2, 1);
  lua_insert(L, 1);
  int n_in = count_inputs(L), top = lua_gettop(L);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "perilune.core");
  lua_getfield(L, -1, "no_grad");
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_rawgeti(L, 1, 1);
  for (int i = 0; i < n_args; i++) lua_pushvalue(L, i + 2);
  lua_call(L, n_args + 2, LUA_MULTRET); /* no_grad(forward, context, ...) */
  int n_out = lua_gettop(L) - top;
  if (n_out < 1 || n_out > MOST_VALUES)
    return luaL_error(L, "custom: forward gave %d values; 1 to %d tensors expected", n_out,
                      MOST_VALUES);
  return with_history(L, n_in, n_out);
}

static int new_custom(lua_State *L) {
  plb_need(L, 1, LUA_TFUNCTION);
  plb_need(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  lua_pushcclosure(L, call_custom, 2);
  return 1;
}

static const plb_function functions[] = {
    {"custom", new_custom,
     "(forward, backward)\nA function whose gradient you write yourself. forward(context, x, ...) "
     "gives the "
     "values, without recording; backward(context, grad, ...) gives the gradient of each tensor "
     "among the "
     "first arguments, nil for none. The context is a table to keep things in. Where backward is "
     "written in "
     "ops of tensors, the function has gradients of any order."},
    {NULL, NULL, NULL}};

void plb_open_custom(lua_State *L) { plb_add(L, "Gradients", functions, NULL); }
