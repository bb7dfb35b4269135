/*
** limit.c: the bytes that a Lua state and its tensors may have together, and its open files.
*/
#include "base/base.h"
#include "bind.h"

static void reached(pl_context *c, pl_status why) {
  plb_state *s = c->lua_state;
  s->reached(s, why);
}

void plb_limit(plb_state *s, plb_bound bound) {
  s->reached = bound.reached;
  s->context->bound = (pl_bound){bound.bytes, bound.files, bound.lua, reached};
}

bool plb_may_grow(const plb_state *s, int64_t bytes) { return pl_within_bound(s->context, bytes); }

void plb_count_bytes(const plb_state *s, int64_t change) { s->context->bound.others += change; }

void plb_take_bytes(lua_State *L, int64_t bytes) {
  const plb_state *s = plb_enter(L);
  if (!pl_within_bound(s->context, bytes)) {
    lua_gc(L, LUA_GCCOLLECT);
    plb_enter(L);
  }
  if (!pl_within_bound(s->context, bytes)) {
    s->context->bound.reached(s->context, PL_ERROR_BYTES);
    luaL_error(L, "not enough memory: %I bytes more are beyond the limit", (LUAI_UACINT)bytes);
  }
  plb_count_bytes(s, bytes);
}

void plb_may_hold_file(lua_State *L) {
  plb_enter(L);
  if (!pl_may_hold_file()) plb_raise(L);
}

void plb_hold_file(lua_State *L) {
  plb_enter(L);
  if (!pl_hold_file()) plb_raise(L);
}

void plb_let_file_go(lua_State *L) { pl_let_file_go(plb_state_of(L)->context); }
