/*
** limit.c: the bytes that a Lua state and its tensors may have together.
*/
#include "base/base.h"
#include "bind.h"

static void reached(pl_context *c) {
  plb_state *s = c->lua_state;
  s->reached(s);
}

void plb_limit_bytes(plb_state *s, int64_t bytes, int64_t lua, void (*f)(plb_state *s)) {
  s->reached = f;
  s->context->bound = (pl_bound){bytes, lua, reached};
}

bool plb_may_grow(const plb_state *s, int64_t bytes) { return pl_within_bound(s->context, bytes); }

void plb_count_bytes(plb_state *s, int64_t change) { s->context->bound.others += change; }
