/*
** box.c: the life of tensors in Lua. A box is a userdata that holds one retained tensor. Here are
** the boxes, the collector's pressure, and tidy and the other modes in which functions run, which
** must know of every box that is made.
*/
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "bind.h"

/*
** States
*/

static void end_dead(plb_state *s, lua_State *L);

static const char state_key = 0; /* registry: the plb_state */

plb_state *plb_here(void) { return pl_here ? pl_here->lua_state : NULL; }

plb_state *plb_state_of(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &state_key);
  plb_state *s = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return s;
}

void *plb_hang(const plb_state *s, size_t bytes) { return pl_context_hang(s->context, bytes); }

static void be_in(const plb_state *s) {
  if (pl_here != s->context) pl_context_enter(s->context);
}

/* Another thread than before, or one of a state whose context nobody entered. */
static plb_state *enter_other(lua_State *L) {
  plb_state *s = plb_state_of(L);
  be_in(s);
  s->last_used = L;
  end_dead(s, L);
  return s;
}

static inline plb_state *enter(lua_State *L) {
  plb_state *s = pl_here ? pl_here->lua_state : NULL;
  return __builtin_expect(s && s->last_used == L, 1) ? s : enter_other(L);
}

plb_state *plb_enter(lua_State *L) { return enter(L); }

lua_State *plb_alive(const plb_state *s) { return s->releasing ? s->releasing : s->main; }

/*
** Boxes
*/

/* Its address marks a box, which is cheaper than to compare metatables. */
static const char magic = 0;

static void link_box(plb_box *box, struct plb_guard *g);
static void unlink_box(plb_box *box);

pl_tensor **plb_newbox(lua_State *L) {
  plb_state *s = enter(L);
  plb_box *box = lua_newuserdatauv(L, sizeof *box, 0);
  s->boxes++;
  *box = (plb_box){.magic = &magic};
  lua_rawgetp(L, LUA_REGISTRYINDEX, &magic);
  lua_setmetatable(L, -2);
  link_box(box, s->innermost_tidy);
  return &box->tensor;
}

void plb_fill(lua_State *L, pl_tensor **box, pl_tensor *t) {
  (void)L;
  *box = pl_retain(t);
}

plb_box *plb_box_at(lua_State *L, int i) {
  if (lua_type(L, i) != LUA_TUSERDATA || lua_rawlen(L, i) != sizeof(plb_box)) return NULL;
  plb_box *box = lua_touserdata(L, i);
  return box->magic == &magic ? box : NULL;
}

#define RELEASED "this tensor was released (return it from tidy, or keep it)"

pl_tensor *plb_test(lua_State *L, int i) {
  enter(L);
  plb_box *box = plb_box_at(L, i);
  if (box && !box->tensor) plb_error(L, RELEASED);
  return box ? box->tensor : NULL;
}

pl_tensor *plb_check(lua_State *L, int i) {
  enter(L);
  plb_box *box = plb_box_at(L, i);
  if (!box) plb_expected(L, i, "tensor");
  if (!box->tensor) plb_bad_arg(L, i, RELEASED);
  return box->tensor;
}

static pl_tensor *hold(lua_State *L, const plb_box *box) {
  pl_tensor *t = pl_scope_own(pl_retain(box->tensor));
  if (t) return t;
  pl_scope_end();
  if (!pl_error()) pl_fail(RELEASED);
  return plb_raise(L), NULL;
}

pl_tensor *plb_hold(lua_State *L, int i) { return hold(L, plb_box_at(L, i)); }

pl_tensor *plb_hold_read(lua_State *L, int i) {
  pl_tensor *t = plb_hold(L, i);
  plb_note_read(t);
  return t;
}

pl_tensor *plb_hold_if(lua_State *L, int i) { return plb_box_at(L, i) ? plb_hold(L, i) : NULL; }

void plb_hold_list(lua_State *L, plb_list list) {
  for (int k = 0; k < list.n; k++) list.t[k] = list.box[k] ? hold(L, list.box[k]) : NULL;
}

plb_list plb_new_list(lua_State *L, int n) {
  plb_box **box;
  lua_createtable(L, n, 0);
  box = lua_newuserdatauv(L, (size_t)n * (sizeof *box + sizeof(pl_tensor *)) + 1, 0);
  return (plb_list){.n = n, .box = box, .t = (pl_tensor **)(box + n)};
}

bool plb_take(lua_State *L, plb_list list, int k) {
  list.box[k] = plb_test(L, -1) ? plb_box_at(L, -1) : NULL;
  if (!list.box[k]) return false;
  lua_pushvalue(L, -1);
  lua_rawseti(L, -4, k + 1);
  return true;
}

pl_tensor **plb_anchor(lua_State *L, int i) {
  plb_check(L, i);
  pl_tensor **box = plb_newbox(L);
  plb_box_at(L, -1)->kept = true;
  plb_fill(L, box, plb_check(L, i));
  return box;
}

static void let_go(plb_state *s, lua_State *L, pl_tensor **box) {
  lua_State *outer = s->releasing;
  s->releasing = L;
  pl_release(*box);
  *box = NULL;
  s->releasing = outer;
}

/* In a finalizer too, which may come when another context is entered. */
static plb_state *state_in_gc(lua_State *L) {
  plb_state *s = plb_here();
  const bool same = s && (s->last_used == L || s->registry == lua_topointer(L, LUA_REGISTRYINDEX));
  return same ? s : plb_state_of(L);
}

void plb_let_go(lua_State *L, pl_tensor **box) { let_go(state_in_gc(L), L, box); }

static int box_close(lua_State *L) {
  plb_box *box = plb_box_at(L, 1);
  if (!box) return 0;
  unlink_box(box);
  plb_let_go(L, &box->tensor);
  return 0;
}

static int box_gc(lua_State *L) {
  if (plb_box_at(L, 1)) state_in_gc(L)->boxes--;
  return box_close(L);
}

/*
** Errors
*/

const char *plb_take_error(char text[PLB_MESSAGE]) {
  snprintf(text, PLB_MESSAGE, "%s", pl_error() ? pl_error() : "unknown error");
  pl_error_clear();
  return text;
}

int plb_nil(lua_State *L) {
  char text[PLB_MESSAGE];
  const char *message = plb_take_error(text);
  luaL_pushfail(L);
  lua_pushstring(L, message);
  return 2;
}

int plb_result(lua_State *L, bool ok) {
  if (!ok) return plb_nil(L);
  lua_pushboolean(L, true);
  return 1;
}

/* plb_raise may have put another name before what the engine said. */
pl_status plb_take_status(const char *text) {
  pl_context *c = pl_context_now();
  const char *colon = strstr(c->message, ": "), *said = colon ? colon + 2 : c->message;
  const bool of_engine = *said && strstr(text, said);
  c->message[0] = '\0';
  if (of_engine) return c->status;
  return strstr(text, "not enough memory") ? PL_ERROR_MEMORY : PL_ERROR;
}

int plb_done(lua_State *L, pl_tensor **box) { return *box && !pl_error() ? 1 : plb_raise(L); }

/*
** Memory. Lua's collector sees boxes of some fifty bytes and not the tensors in them, so it is run
** when the tensors that are alive pass a limit, which then becomes twice of what is left. So it is
** when there are many boxes: what has a finalizer outlives the cycle that finds it, and Lua's
** threshold, which is set by what is left, rises from cycle to cycle (230 MB after 4 million ops).
*/

enum { SMALLEST_LIMIT = 64 << 20, FEWEST_BOXES = 20000 };

void plb_make_room(lua_State *L, size_t want) {
  plb_state *s = enter(L);
  if (pl_memory_now().live_bytes + (int64_t)want > s->limit || s->boxes > s->most_boxes) {
    lua_gc(L, LUA_GCCOLLECT);
    s->limit = PL_MAX(SMALLEST_LIMIT, 2 * (pl_memory_now().live_bytes + (int64_t)want));
    s->most_boxes = PL_MAX(FEWEST_BOXES, 2 * s->boxes);
  }
  enter(L); /* a finalizer may have run another thread */
}

/* An allocation failed, perhaps one for which the limit was raised. */
static void reclaim(size_t bytes) {
  plb_state *s = plb_here();
  lua_State *caller = s->last_used;
  (void)bytes;
  if (s->main) lua_gc(s->main, LUA_GCCOLLECT);
  s->last_used = caller;
  s->limit = SMALLEST_LIMIT;
}

/*
** Modes. Each is a guard, a to-be-closed value, so that it ends when an error passes too. The
** guard of a coroutine that died of an error is not closed: it ends when another thread calls.
** The guard of tidy has the list of the boxes that were made in it, which the boxes themselves are;
** one that is no value of Lua has those that were made in none.
*/

#define GUARD "perilune.guard"
enum { OUTER_GUARD = 1, THREAD }; /* the user values of a guard */

typedef struct plb_guard {
  bool is_tidy, was, ended; /* was: the gradient mode to go back to */
  plb_box *boxes;           /* made in it, of a tidy */
  struct plb_guard *tidy;   /* the tidy around it, in the end the one that is no value */
  plb_state *state;
  lua_State *thread;
} guard;

static const char guard_key = 0; /* registry: the innermost guard, or nil */

static void link_box(plb_box *box, guard *g) {
  box->tidy = g;
  box->next = g->boxes;
  box->link = &g->boxes;
  if (box->next) box->next->link = &box->next;
  g->boxes = box;
}

static void unlink_box(plb_box *box) {
  if (!box->tidy) return;
  *box->link = box->next;
  if (box->next) box->next->link = box->link;
  box->tidy = NULL;
}

static bool outlives_tidy(const plb_box *box) {
  return box->kept || (pl_requires_grad(box->tensor) && pl_is_leaf(box->tensor));
}

/* Releases what is still listed, except parameters where not all is to go. */
static void release_listed(lua_State *L, guard *g, bool all) {
  for (plb_box *box; (box = g->boxes);) {
    unlink_box(box);
    if (box->tensor && (all || !outlives_tidy(box))) let_go(g->state, L, &box->tensor);
  }
}

static void end_innermost(plb_state *s, lua_State *L) {
  guard *g = s->innermost;
  luaL_checkstack(L, 8, NULL);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &guard_key);
  if (g->is_tidy) {
    s->innermost_tidy = g->tidy;
    release_listed(L, g, false);
  } else {
    pl_grad_mode(g->was);
  }
  g->ended = true;
  lua_getiuservalue(L, -1, OUTER_GUARD);
  s->innermost = lua_touserdata(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &guard_key);
  lua_pop(L, 1);
}

static int guard_close(lua_State *L) {
  guard *g = luaL_checkudata(L, 1, GUARD);
  be_in(g->state);
  while (!g->ended) end_innermost(g->state, L);
  return 0;
}

static void end_dead(plb_state *s, lua_State *L) {
  for (guard *g; (g = s->innermost) && g->thread != L && lua_status(g->thread) > LUA_YIELD;)
    end_innermost(s, L);
}

static guard *push_guard(lua_State *L) {
  plb_state *s = enter(L);
  guard *g = lua_newuserdatauv(L, sizeof *g, THREAD);
  *g = (guard){.was = pl_grad_enabled(), .tidy = s->innermost_tidy, .state = s, .thread = L};
  luaL_setmetatable(L, GUARD);
  lua_pushthread(L);
  lua_setiuservalue(L, -2, THREAD);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &guard_key);
  lua_setiuservalue(L, -2, OUTER_GUARD);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &guard_key);
  return s->innermost = g;
}

/* Calls the function below its arguments, under the guard at index 1. */
static int call_guarded(lua_State *L) {
  lua_call(L, lua_gettop(L) - 2, LUA_MULTRET);
  return lua_gettop(L) - 1;
}

static void check_callable(lua_State *L) {
  if (lua_isfunction(L, 1)) return;
  if (luaL_getmetafield(L, 1, "__call") == LUA_TNIL) plb_expected(L, 1, "function");
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

static int no_grad(lua_State *L) { return with_mode(L, false); }
static int enable_grad(lua_State *L) { return with_mode(L, true); }

/*
** tidy
*/

/* What is on top, and what is in it if it is a table, belongs to the tidy around this one. The
 * tables that were seen are keys of the table at 2. */
static void hand_out(lua_State *L, guard *g, int depth);

enum { MAX_DEPTH = 100 };

static void hand_out_table(lua_State *L, guard *g, int depth) {
  lua_pushvalue(L, -1);
  const bool seen = lua_rawget(L, 2) != LUA_TNIL;
  lua_pop(L, 1);
  if (seen) return;
  if (depth == MAX_DEPTH)
    luaL_error(L, "tidy: what is returned is nested deeper than %d tables", MAX_DEPTH);
  luaL_checkstack(L, 8, "tidy");
  lua_pushvalue(L, -1);
  lua_pushboolean(L, 1);
  lua_rawset(L, 2);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) hand_out(L, g, depth + 1);
}

static void hand_out(lua_State *L, guard *g, int depth) {
  if (lua_istable(L, -1)) {
    hand_out_table(L, g, depth);
  } else if (plb_test(L, -1) && plb_box_at(L, -1)->tidy == g) {
    plb_box *box = plb_box_at(L, -1);
    unlink_box(box);
    link_box(box, g->tidy);
  }
}

static int tidy(lua_State *L) {
  check_callable(L);
  guard *g = push_guard(L);
  g->is_tidy = true;
  g->state->innermost_tidy = g;
  lua_insert(L, 1);
  lua_toclose(L, 1);
  lua_newtable(L); /* tables that were handed out */
  lua_insert(L, 2);
  lua_call(L, lua_gettop(L) - 3, LUA_MULTRET);
  const int n = lua_gettop(L) - 2;
  for (int i = 1; i <= n; i++) {
    lua_pushvalue(L, i + 2);
    hand_out(L, g, 0);
    lua_pop(L, 1);
  }
  return n;
}

struct plb_guard *plb_begin_tidy(plb_state *s) {
  guard *g = pl_object_new(sizeof *g);
  if (!g) return pl_error_clear(), NULL;
  *g = (guard){.is_tidy = true, .tidy = s->innermost_tidy, .state = s};
  return s->innermost_tidy = g;
}

void plb_end_tidy(lua_State *L, struct plb_guard *g) {
  if (!g) return;
  g->state->innermost_tidy = g->tidy;
  release_listed(L, g, false);
  pl_object_free(g, sizeof *g);
}

static int keep(lua_State *L) {
  plb_check(L, 1);
  plb_box_at(L, 1)->kept = true;
  lua_settop(L, 1);
  return 1;
}

/*
** What other userdata have
*/

void plb_own(lua_State *L, plb_owned *o, void (*end)(plb_owned *)) {
  plb_state *s = plb_enter(L);
  *o = (plb_owned){.next = s->owned, .link = &s->owned, .end = end};
  if (o->next) o->next->link = &o->next;
  s->owned = o;
}

void plb_end_owned(plb_owned *o) {
  if (!o->link) return;
  *o->link = o->next;
  if (o->next) o->next->link = o->link;
  o->link = NULL;
  o->end(o);
}

/*
** The beginning and the end of a state
*/

/* Lua has ended all boxes by now, but for those that finalizers made while it closes. */
static void end_boxes(plb_state *s, lua_State *L) {
  release_listed(L, s->innermost_tidy, true);
  while (s->innermost_tidy->tidy) {
    s->innermost_tidy = s->innermost_tidy->tidy;
    release_listed(L, s->innermost_tidy, true);
  }
}

/* Its threads must not be used any more. Finalizers of objects that are older than the binding may
 * still come, so a context of its own is closed only when the thread begins another state. */
static int end_state(lua_State *L) {
  plb_state *s = plb_state_of(L);
  be_in(s);
  while (s->owned) plb_end_owned(s->owned);
  end_boxes(s, L);
  plb_close_calls(s);
  s->last_used = s->main = NULL;
  s->innermost = NULL;
  pl_grad_mode(true);
  pl_memory_on_shortage(NULL);
  if (s->own) pl_memory_trim();
  return 0;
}

/* A value in the registry whose end is the state's end. */
static void watch_end(lua_State *L) {
  static const char key = 0;
  lua_newtable(L);
  lua_newtable(L);
  lua_pushcfunction(L, end_state);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
}

plb_state *plb_begin(lua_State *L, pl_context *c) {
  const bool own = !c;
  const plb_state *last = plb_here();
  if (own && last && last->own && !last->main) pl_context_close(last->context);
  if (own) c = pl_context_open();
  plb_state *s = c ? pl_context_hang(c, sizeof *s) : NULL;
  guard *outside = c ? pl_context_hang(c, sizeof *outside) : NULL;
  if (!s || !outside) {
    if (own) pl_context_close(c);
    luaL_error(L, "not enough memory for a context");
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  *s = (plb_state){.context = c,
                   .own = own,
                   .registry = lua_topointer(L, LUA_REGISTRYINDEX),
                   .main = lua_tothread(L, -1),
                   .limit = SMALLEST_LIMIT,
                   .most_boxes = FEWEST_BOXES,
                   .innermost_tidy = outside};
  outside->state = s;
  lua_pop(L, 1);
  c->lua_state = s;
  lua_pushlightuserdata(L, s);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &state_key);
  watch_end(L);
  enter(L);
  pl_memory_on_shortage(reclaim);
  return s;
}

static const plb_function gradient_modes[] = {
    {"no_grad", no_grad,
     "(f, ...)\nCalls f(...) without recording for gradients and returns its results."},
    {"enable_grad", enable_grad, "(f, ...)\nCalls f(...) with recording, inside of no_grad."},
    {NULL, NULL, NULL}};

static const plb_function lives[] = {
    {"tidy", tidy,
     "(f, ...)\nCalls f(...) and returns its results. Every tensor made inside that is not "
     "returned, kept by pl.keep, or a parameter is released at the end; the gradients of "
     "parameters "
     "stay in their fields grad. Call each training step in it."},
    {"keep", keep,
     "(t)\nKeeps a tensor that was made inside tidy alive beyond its end; returns it."},
    {NULL, NULL, NULL}};

void plb_open_box(lua_State *L) {
  luaL_newmetatable(L, PLB_TENSOR);
  lua_pushcfunction(L, box_gc);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, box_close);
  lua_setfield(L, -2, "__close");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &magic);
  luaL_newmetatable(L, GUARD);
  lua_pushcfunction(L, guard_close);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
  plb_add(L, "Gradients", gradient_modes, NULL);
  plb_add(L, "Memory", lives, NULL);
}
