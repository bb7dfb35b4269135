/*
** grad.c: gradients, the modes in which functions run (no_grad, tidy), and the random stream.
*/
#include <string.h>

#include "bind.h"

/*
** Gradients
*/

/* An option that does not exist is an error, so that a misspelt one is not silently left out. */
static void check_options(lua_State *L, int i, const char *who, const char *const *known) {
  if (lua_isnil(L, i)) return;
  luaL_checktype(L, i, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "1";
    int k = 0;
    while (known[k] && strcmp(known[k], name) != 0) k++;
    if (!known[k]) luaL_error(L, "%s: unknown option '%s'", who, name);
  }
}

static int tensor_requires_grad(lua_State *L) {
  pl_tensor *t = plb_check(L, 1);
  if (!pl_set_requires_grad(t, lua_isnoneornil(L, 2) || lua_toboolean(L, 2))) return plb_raise(L);
  lua_settop(L, 1);
  return 1;
}

/* backward([{gradient=, retain_graph=, create_graph=}]) */
static int tensor_backward(lua_State *L) {
  pl_tensor *t = plb_check(L, 1), *seed = NULL;
  lua_settop(L, 2);
  if (plb_test(L, 2)) {
    seed = plb_check(L, 2);
    lua_settop(L, 1);
    lua_pushnil(L);
  } else if (!lua_isnil(L, 2)) {
    static const char *const known[] = {"gradient", "retain_graph", "create_graph", NULL};
    check_options(L, 2, "backward", known);
    if (lua_getfield(L, 2, "gradient") != LUA_TNIL) seed = plb_check(L, 3);
  }
  bool retain = plb_bool_option(L, 2, "retain_graph", false);
  bool create = plb_bool_option(L, 2, "create_graph", false);
  plb_make_room(L, 0);
  return pl_backward(t, seed, retain, create) ? 0 : plb_raise(L);
}

/* What a sweep calls back: function `f` of the stack, with places in the list of leaves, from 1. */
typedef struct {
  lua_State *L;
  int f, m;
  const int *which;
} report;

static int run_report(lua_State *L) {
  const report *r = lua_touserdata(L, 1);
  luaL_checkstack(L, r->m + 4, "backward_each");
  for (int i = 0; i < r->m; i++) lua_pushinteger(L, r->which[i] + 1);
  lua_call(L, r->m, 0);
  return 0;
}

static bool ready(void *context, int m, const int *which) {
  report *r = context;
  lua_State *L = r->L;
  r->m = m, r->which = which;
  if (!lua_checkstack(L, 8)) return pl_fail("backward_each: stack overflow");
  lua_pushcfunction(L, run_report);
  lua_pushlightuserdata(L, r);
  lua_pushvalue(L, r->f);
  const bool ok = lua_pcall(L, 2, 0, 0) == LUA_OK;
  plb_enter(L);
  if (ok) return !pl_error();
  const char *message = lua_tostring(L, -1);
  pl_fail("%s", message ? message : "backward_each: the function raised an error that is no text");
  lua_pop(L, 1);
  return false;
}

enum { MAX_LIST = 1 << 20 };

/* The tensors of a list at i, or the one tensor there; false entries are NULL if allowed. */
static int read_list(lua_State *L, int i, const char *what, pl_tensor ***list, bool holes) {
  bool one = plb_test(L, i) != NULL;
  if (!one && !lua_istable(L, i))
    return luaL_error(L, "grad: %s: tensor or list of tensors expected, got %s", what,
                      luaL_typename(L, i));
  int n = one ? 1 : (int)lua_rawlen(L, i);
  if (n < 1 || n > MAX_LIST) return luaL_error(L, "grad: %s: %d tensors", what, n);
  *list = lua_newuserdatauv(L, (size_t)n * sizeof **list, 0);
  if (one) return (*list)[0] = plb_test(L, i), 1;
  for (int k = 0; k < n; k++) {
    lua_rawgeti(L, i, k + 1);
    (*list)[k] = plb_test(L, -1);
    if (!(*list)[k] && !(holes && !lua_toboolean(L, -1)))
      return luaL_error(L, "grad: %s: element %d is a %s; tensor expected", what, k + 1,
                        luaL_typename(L, -1));
    lua_pop(L, 1);
  }
  return n;
}

/* Pushes a list of n empty boxes, and gives them. */
static pl_tensor ***push_boxes(lua_State *L, int n) {
  pl_tensor ***boxes = lua_newuserdatauv(L, (size_t)n * sizeof *boxes, 0);
  lua_createtable(L, n, 0);
  for (int k = 0; k < n; k++) {
    boxes[k] = plb_newbox(L);
    lua_rawseti(L, -2, k + 1);
  }
  return boxes;
}

/* backward_each(output, leaves, f) */
static int grad_backward_each(lua_State *L) {
  pl_tensor *t = plb_check(L, 1), **leaves;
  luaL_checktype(L, 3, LUA_TFUNCTION);
  lua_settop(L, 3);
  int n = read_list(L, 2, "leaves", &leaves, false);
  report r = {.L = L, .f = 3};
  plb_make_room(L, 0);
  return pl_backward_each(t, NULL, n, leaves, ready, &r) ? 0 : plb_raise(L);
}

/* grad(outputs, inputs[, {grad_outputs=, retain_graph=, create_graph=}]) -> list */
static int grad_grad(lua_State *L) {
  pl_tensor **outputs, **inputs, **seeds = NULL;
  static const char *const known[] = {"grad_outputs", "retain_graph", "create_graph", NULL};
  lua_settop(L, 3);
  check_options(L, 3, "grad", known);
  int n_out = read_list(L, 1, "outputs", &outputs, false);
  int n_in = read_list(L, 2, "inputs", &inputs, false);
  bool retain = plb_bool_option(L, 3, "retain_graph", false);
  bool create = plb_bool_option(L, 3, "create_graph", false);
  if (!lua_isnil(L, 3) && lua_getfield(L, 3, "grad_outputs") != LUA_TNIL) {
    int n = read_list(L, lua_gettop(L), "grad_outputs", &seeds, true);
    if (n != n_out) return luaL_error(L, "grad: %d grad_outputs for %d outputs", n, n_out);
  }
  pl_tensor **grads = lua_newuserdatauv(L, (size_t)n_in * sizeof *grads, 0);
  pl_tensor ***boxes = push_boxes(L, n_in);
  plb_make_room(L, 0);
  pl_scope_begin();
  bool ok = pl_grad(n_out, outputs, seeds, n_in, inputs, grads, retain, create);
  for (int k = 0; ok && k < n_in; k++) plb_fill(L, boxes[k], grads[k]);
  pl_scope_end();
  if (!ok) return plb_raise(L);
  for (int k = 0; k < n_in; k++) {
    if (grads[k]) continue;
    lua_pushboolean(L, 0); /* no path */
    lua_rawseti(L, -2, k + 1);
  }
  return 1;
}

/*
** Modes. Each is a guard, a to-be-closed value, so that it ends when an error passes too. The
** guard of a coroutine that died of an error is not closed: it ends when another thread calls.
*/

#define GUARD "perilune.guard"
enum { OUTER_LIST = 1, OUTER_GUARD, THREAD }; /* the user values of a guard */

typedef struct {
  bool is_mode, was, ended; /* was: the gradient mode to go back to */
  lua_Integer noted;        /* boxes that the outer tidy has listed */
  lua_State *thread;
} guard;

static const char guard_key = 0; /* registry: the innermost guard, or nil */
static const char boxes_key = 0; /* registry: the list of the innermost tidy, weak, or nil */
static guard *innermost;
static lua_Integer noted = -1; /* how many boxes are listed; -1: no tidy is running */

void plb_note_box(lua_State *L) {
  if (noted < 0) return;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &boxes_key);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, ++noted);
  lua_pop(L, 1);
}

/* Releases what is still listed, except parameters. */
static void release_listed(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &boxes_key);
  for (lua_Integer i = 1; i <= noted; i++) {
    if (lua_rawgeti(L, -1, i) == LUA_TUSERDATA) {
      plb_box *box = lua_touserdata(L, -1);
      pl_tensor *t = box->tensor;
      if (t && !box->kept && !(pl_requires_grad(t) && pl_is_leaf(t))) plb_let_go(L, &box->tensor);
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static void end_innermost(lua_State *L) {
  guard *g = innermost;
  luaL_checkstack(L, 8, NULL);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &guard_key);
  if (g->is_mode) {
    pl_grad_mode(g->was);
  } else {
    release_listed(L);
    noted = g->noted;
    lua_getiuservalue(L, -1, OUTER_LIST);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &boxes_key);
  }
  g->ended = true;
  lua_getiuservalue(L, -1, OUTER_GUARD);
  innermost = lua_touserdata(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &guard_key);
  lua_pop(L, 1);
}

static int guard_close(lua_State *L) {
  guard *g = luaL_checkudata(L, 1, GUARD);
  while (!g->ended) end_innermost(L);
  return 0;
}

void plb_end_dead(lua_State *L) {
  while (innermost && innermost->thread != L && lua_status(innermost->thread) > LUA_YIELD)
    end_innermost(L);
}

void plb_forget_modes(void) {
  innermost = NULL;
  noted = -1;
  pl_grad_mode(true);
}

static guard *push_guard(lua_State *L) {
  plb_enter(L);
  guard *g = lua_newuserdatauv(L, sizeof *g, THREAD);
  *g = (guard){.is_mode = true, .was = pl_grad_mode(true), .thread = L};
  pl_grad_mode(g->was);
  luaL_setmetatable(L, GUARD);
  lua_pushthread(L);
  lua_setiuservalue(L, -2, THREAD);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &guard_key);
  lua_setiuservalue(L, -2, OUTER_GUARD);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &guard_key);
  return innermost = g;
}

/* Calls the function below its arguments, under the guard at index 1. */
static int call_guarded(lua_State *L) {
  lua_call(L, lua_gettop(L) - 2, LUA_MULTRET);
  return lua_gettop(L) - 1;
}

static void check_callable(lua_State *L) {
  if (lua_isfunction(L, 1)) return;
  if (luaL_getmetafield(L, 1, "__call") == LUA_TNIL) luaL_typeerror(L, 1, "function");
  lua_pop(L, 1);
}

static int with_mode(lua_State *L, bool on) {
  check_callable(L);
  push_guard(L);
  lua_insert(L, 1);
  lua_toclose(L, 1);
  pl_grad_mode(on);
  return call_guarded(L);
}

static int grad_no_grad(lua_State *L) { return with_mode(L, false); }
static int grad_enable_grad(lua_State *L) { return with_mode(L, true); }

/* Takes the tensor on top off the list and hands it to the outer one, if there is one. */
static void hand_out(lua_State *L, int depth);

enum { MAX_DEPTH = 100 };

static void hand_out_table(lua_State *L, int depth) {
  if (depth == MAX_DEPTH)
    luaL_error(L, "tidy: what is returned is nested deeper than %d tables", MAX_DEPTH);
  luaL_checkstack(L, 8, "tidy");
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) hand_out(L, depth + 1);
}

/* The values that are handed out are keys of the table at index 2. */
static void hand_out(lua_State *L, int depth) {
  if (plb_test(L, -1)) {
    lua_pushvalue(L, -1);
    lua_pushboolean(L, 1);
    lua_rawset(L, 2);
  } else if (lua_istable(L, -1)) {
    lua_pushvalue(L, -1);
    bool seen = lua_rawget(L, 2) != LUA_TNIL;
    lua_pop(L, 1);
    if (seen) return;
    lua_pushvalue(L, -1);
    lua_pushboolean(L, 1);
    lua_rawset(L, 2);
    hand_out_table(L, depth);
  }
}

/* Removes the keys of the table at 2 from the list, and notes them in the outer one. */
static void unlist(lua_State *L, const guard *g) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &boxes_key);
  int list = lua_gettop(L);
  lua_Integer outer = g->noted;
  lua_getiuservalue(L, 1, OUTER_LIST);
  for (lua_Integer i = 1; i <= noted; i++) {
    lua_rawgeti(L, list, i);
    lua_pushvalue(L, -1);
    if (!lua_isnil(L, -1) && lua_rawget(L, 2) != LUA_TNIL) {
      lua_pushnil(L);
      lua_rawseti(L, list, i);
      if (outer >= 0) {
        lua_pushvalue(L, -2);
        lua_rawseti(L, list + 1, ++outer);
      }
    }
    lua_pop(L, 2);
  }
  ((guard *)g)->noted = outer;
  lua_pop(L, 2);
}

static void push_weak_list(lua_State *L) {
  lua_createtable(L, 64, 0);
  if (luaL_newmetatable(L, "perilune.weak")) {
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
  }
  lua_setmetatable(L, -2);
}

static int grad_tidy(lua_State *L) {
  check_callable(L);
  guard *g = push_guard(L);
  lua_insert(L, 1);
  lua_toclose(L, 1);
  lua_newtable(L); /* what is handed out */
  lua_insert(L, 2);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &boxes_key);
  lua_setiuservalue(L, 1, OUTER_LIST);
  push_weak_list(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &boxes_key);
  g->is_mode = false;
  g->noted = noted;
  noted = 0;
  lua_call(L, lua_gettop(L) - 3, LUA_MULTRET);
  int n = lua_gettop(L) - 2;
  for (int i = 1; i <= n; i++) {
    lua_pushvalue(L, i + 2);
    hand_out(L, 0);
    lua_pop(L, 1);
  }
  unlist(L, g);
  return n;
}

static int grad_keep(lua_State *L) {
  plb_check(L, 1);
  ((plb_box *)lua_touserdata(L, 1))->kept = true;
  lua_settop(L, 1);
  return 1;
}

/*
** The random stream
*/

static int grad_manual_seed(lua_State *L) {
  pl_seed((uint64_t)luaL_checkinteger(L, 1));
  return 0;
}

static int grad_random_state(lua_State *L) {
  pl_random_state s = pl_random_get();
  lua_createtable(L, 0, 2);
  lua_pushinteger(L, (lua_Integer)s.key);
  lua_setfield(L, -2, "key");
  lua_pushinteger(L, (lua_Integer)s.counter);
  lua_setfield(L, -2, "counter");
  return 1;
}

static int grad_set_random_state(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_getfield(L, 1, "key");
  lua_getfield(L, 1, "counter");
  if (!lua_isinteger(L, -1) || !lua_isinteger(L, -2))
    return luaL_error(L, "set_random_state: a table {key=, counter=} of integers expected");
  pl_random_set((pl_random_state){(uint64_t)lua_tointeger(L, -2), (uint64_t)lua_tointeger(L, -1)});
  return 0;
}

static const plb_function functions[] = {
    {"grad", grad_grad,
     "(outputs, inputs, {grad_outputs=, retain_graph=false, create_graph=false})\nThe list of "
     "gradients of the sum of the outputs by each input; false where there is no path. With "
     "create_graph they have gradients themselves."},
    {"no_grad", grad_no_grad,
     "(f, ...)\nCalls f(...) without recording for gradients and returns its results."},
    {"backward_each", grad_backward_each,
     "(output, leaves, f)\nAs output:backward(), but while it goes on calls f(i, ...) with the "
     "places "
     "of those leaves whose grad is complete, and which may now be changed; see step_backward of "
     "the optimisers."},
    {"enable_grad", grad_enable_grad, "(f, ...)\nCalls f(...) with recording, inside of no_grad."},
    {"tidy", grad_tidy,
     "(f, ...)\nCalls f(...) and returns its results. Every tensor made inside that is not "
     "returned, kept by pl.keep, a parameter or a gradient is released at the end: call each "
     "training step in it."},
    {"keep", grad_keep,
     "(t)\nKeeps a tensor that was made inside tidy alive beyond its end; returns it."},
    {"manual_seed", grad_manual_seed,
     "(seed)\nStarts the stream of random numbers anew: the same seed, the same numbers."},
    {"random_state", grad_random_state,
     "()\nWhere the stream of random numbers is, as a table for set_random_state."},
    {"set_random_state", grad_set_random_state,
     "(state)\nContinues the stream of random numbers from there."},
    {NULL, NULL, NULL}};

static const plb_function methods[] = {
    {"requires_grad_", tensor_requires_grad,
     "(on=true)\nMakes a real tensor that no op made a leaf whose gradient is wanted, or ends "
     "that."},
    {"backward", tensor_backward,
     "({gradient=, retain_graph=false, create_graph=false})\nAdds the gradient of this tensor (of "
     "one element, or times `gradient`) by every leaf to the leaf's field grad."},
    {NULL, NULL, NULL}};

void plb_open_grad(lua_State *L) {
  luaL_newmetatable(L, GUARD);
  lua_pushcfunction(L, guard_close);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
  plb_add(L, functions, methods);
}
