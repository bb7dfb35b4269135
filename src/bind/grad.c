/*
** grad.c: gradients.
*/
#include <string.h>

#include "../base/context.h"
#include "bind.h"

/*
** Gradients
*/

static int tensor_requires_grad(lua_State *L) {
  pl_tensor *t = plb_check(L, 1);
  if (!pl_set_requires_grad(t, lua_isnoneornil(L, 2) || lua_toboolean(L, 2))) return plb_raise(L);
  lua_settop(L, 1);
  return 1;
}

/* backward([{gradient=, retain_graph=, create_graph=}]) */
static int tensor_backward(lua_State *L) {
  plb_check(L, 1);
  lua_settop(L, 2);
  lua_pushnil(L);
  if (plb_test(L, 2)) {
    lua_insert(L, 2); /* the seed at 3, no options */
  } else if (!lua_isnil(L, 2)) {
    static const char *const known[] = {"gradient", "retain_graph", "create_graph", NULL};
    plb_check_options(L, 2, "backward", known);
    lua_getfield(L, 2, "gradient");
    lua_replace(L, 3);
    if (!lua_isnil(L, 3) && !plb_test(L, 3))
      return plb_error(L, "gradient: tensor expected, got %s", plb_shown(L, 3));
  }
  bool retain = plb_bool_option(L, 2, "retain_graph", false);
  bool create = plb_bool_option(L, 2, "create_graph", false);
  plb_make_room(L, 0);
  pl_scope_begin();
  bool ok = pl_backward(plb_hold(L, 1), plb_hold_if(L, 3), retain, create);
  pl_scope_end();
  return ok ? 0 : plb_raise(L);
}

/* What a backward pass calls back: function `f` of the stack, with places in the list of leaves,
 * from 1. */
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
  if (!message) message = "backward_each: the function raised an error that is no text";
  pl_fail_as(plb_take_status(message), "%s", message);
  lua_pop(L, 1);
  return false;
}

enum { MAX_LIST = 1 << 20 };

/* The tensors of a list at i, or the one tensor there; false entries are NULL if allowed. */
static plb_list read_list(lua_State *L, int i, const char *what, bool holes) {
  bool one = plb_test(L, i) != NULL;
  if (!one && !lua_istable(L, i))
    luaL_error(L, "grad: %s: tensor or list of tensors expected, got %s", what, plb_typename(L, i));
  int n = one ? 1 : (int)lua_rawlen(L, i);
  if (n < 1 || n > MAX_LIST) luaL_error(L, "grad: %s: %d tensors", what, n);
  plb_list list = plb_new_list(L, n);
  for (int k = 0; k < n; k++) {
    if (one) lua_pushvalue(L, i);
    else lua_rawgeti(L, i, k + 1);
    if (!plb_take(L, list, k) && !(holes && !lua_toboolean(L, -1)))
      luaL_error(L, "grad: %s: element %d is a %s; tensor expected", what, k + 1,
                 plb_typename(L, -1));
    lua_pop(L, 1);
  }
  return list;
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
  plb_check(L, 1);
  plb_need(L, 3, LUA_TFUNCTION);
  lua_settop(L, 3);
  plb_list leaves = read_list(L, 2, "leaves", false);
  report r = {.L = L, .f = 3};
  plb_make_room(L, 0);
  pl_scope_begin();
  plb_hold_list(L, leaves);
  bool ok = pl_backward_each(plb_hold(L, 1), NULL, leaves.n, leaves.t, ready, &r);
  pl_scope_end();
  return ok ? 0 : plb_raise(L);
}

/* grad(outputs, inputs[, {grad_outputs=, retain_graph=, create_graph=}]) -> list */
static int grad_grad(lua_State *L) {
  static const char *const known[] = {"grad_outputs", "retain_graph", "create_graph", NULL};
  lua_settop(L, 3);
  plb_check_options(L, 3, "grad", known);
  plb_list outputs = read_list(L, 1, "outputs", false);
  plb_list inputs = read_list(L, 2, "inputs", false), seeds = {0};
  bool retain = plb_bool_option(L, 3, "retain_graph", false);
  bool create = plb_bool_option(L, 3, "create_graph", false);
  if (!lua_isnil(L, 3) && lua_getfield(L, 3, "grad_outputs") != LUA_TNIL) {
    seeds = read_list(L, lua_gettop(L), "grad_outputs", true);
    if (seeds.n != outputs.n)
      return luaL_error(L, "grad: %d grad_outputs for %d outputs", seeds.n, outputs.n);
  }
  pl_tensor **grads = lua_newuserdatauv(L, (size_t)inputs.n * sizeof *grads, 0);
  pl_tensor ***boxes = push_boxes(L, inputs.n);
  plb_make_room(L, 0);
  pl_scope_begin();
  plb_hold_list(L, outputs);
  plb_hold_list(L, inputs);
  plb_hold_list(L, seeds);
  bool ok = pl_grad(outputs.n, outputs.t, seeds.t, inputs.n, inputs.t, grads, retain, create);
  for (int k = 0; ok && k < inputs.n; k++) plb_fill(L, boxes[k], grads[k]);
  pl_scope_end();
  if (!ok) return plb_raise(L);
  for (int k = 0; k < inputs.n; k++) {
    if (grads[k]) continue;
    lua_pushboolean(L, 0); /* no path */
    lua_rawseti(L, -2, k + 1);
  }
  return 1;
}

/*
** What nn.checkpoint needs
*/

static bool is_among(plb_list list, const pl_tensor *t) {
  bool found = false;
  for (int i = 0; i < list.n; i++) found |= list.t[i] == t;
  return found;
}

/* leaves(outputs, others) -> list of the leaves that the outputs depend on, without the others */
static int checkpoint_leaves(lua_State *L) {
  lua_settop(L, 2);
  plb_list outputs = read_list(L, 1, "outputs", false), others = {0};
  if (lua_rawlen(L, 2)) others = read_list(L, 2, "others", false);
  plb_make_room(L, 0);
  pl_scope_begin();
  plb_hold_list(L, outputs);
  int n = pl_leaves(outputs.n, outputs.t, 0, NULL);
  pl_scope_end();
  if (n < 0) return plb_raise(L);
  pl_tensor **leaves = lua_newuserdatauv(L, (size_t)n * sizeof *leaves + 1, 0);
  pl_tensor ***boxes = push_boxes(L, n);
  int kept = 0;
  pl_scope_begin();
  plb_hold_list(L, outputs);
  plb_hold_list(L, others);
  const bool same = pl_leaves(outputs.n, outputs.t, n, leaves) == n;
  for (int k = 0; same && k < n; k++)
    if (!is_among(others, leaves[k])) plb_fill(L, boxes[kept++], leaves[k]);
  pl_scope_end();
  if (!same) return pl_error() ? plb_raise(L) : luaL_error(L, "checkpoint: a graph has changed");
  for (; n > kept; n--) lua_pushnil(L), lua_rawseti(L, -2, n);
  return 1;
}

/* recomputing(on) -> whether it was so */
static int checkpoint_recomputing(lua_State *L) {
  pl_context *c = plb_enter(L)->context;
  lua_pushboolean(L, c->recomputing);
  c->recomputing = lua_toboolean(L, 1);
  return 1;
}

static const plb_function functions[] = {
    {"grad", grad_grad,
     "(outputs, inputs, {grad_outputs=, retain_graph=false, create_graph=false})\nThe list of "
     "gradients of the sum of the outputs by each input; false where there is no path. With "
     "create_graph they have gradients themselves."},
    {"backward_each", grad_backward_each,
     "(output, leaves, f)\nAs output:backward(), but while it goes on calls f(i, ...) with the "
     "places "
     "of those leaves whose grad is complete, and which may now be changed; see step_backward of "
     "the optimisers."},
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
  static const luaL_Reg checkpoint[] = {
      {"leaves", checkpoint_leaves}, {"recomputing", checkpoint_recomputing}, {NULL, NULL}};
  plb_add(L, "Gradients", functions, methods);
  luaL_newlib(L, checkpoint);
  lua_setfield(L, 1, "checkpoint");
}
