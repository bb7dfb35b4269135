/*
** random.c: the stream of random numbers.
*/
#include "base/random.h"
#include "bind.h"

static int stream_manual_seed(lua_State *L) {
  plb_enter(L);
  pl_seed((uint64_t)plb_whole(L, 1));
  return 0;
}

static int stream_random_state(lua_State *L) {
  plb_enter(L);
  pl_random_state s = pl_random_get();
  lua_createtable(L, 0, 2);
  lua_pushinteger(L, (lua_Integer)s.key);
  lua_setfield(L, -2, "key");
  lua_pushinteger(L, (lua_Integer)s.counter);
  lua_setfield(L, -2, "counter");
  return 1;
}

static int stream_set_random_state(lua_State *L) {
  plb_need(L, 1, LUA_TTABLE);
  lua_getfield(L, 1, "key");
  lua_getfield(L, 1, "counter");
  if (!lua_isinteger(L, -1) || !lua_isinteger(L, -2))
    return luaL_error(L, "set_random_state: a table {key=, counter=} of integers expected");
  plb_enter(L);
  pl_random_set((pl_random_state){(uint64_t)lua_tointeger(L, -2), (uint64_t)lua_tointeger(L, -1)});
  return 0;
}

static int stream_random_key(lua_State *L) {
  enum { UNUSED = 11 }; /* a double, as files have numbers, holds the others exactly */
  plb_enter(L);
  const pl_random_state s = pl_random_take(1);
  const pl_philox p = pl_philox_block(s.key, s.counter);
  lua_pushinteger(L, (lua_Integer)(((uint64_t)p.v[0] << 32 | p.v[1]) >> UNUSED));
  return 1;
}

static const plb_function functions[] = {
    {"random_key", stream_random_key,
     "()\nA random integer of 53 bits, as the key of other random numbers."},
    {"manual_seed", stream_manual_seed,
     "(seed)\nStarts the stream of random numbers anew: the same seed, the same numbers."},
    {"random_state", stream_random_state,
     "()\nWhere the stream of random numbers is, as a table for set_random_state."},
    {"set_random_state", stream_set_random_state,
     "(state)\nContinues the stream of random numbers from there."},
    {NULL, NULL, NULL}};

void plb_open_random(lua_State *L) { plb_add(L, "Random numbers", functions, NULL); }
