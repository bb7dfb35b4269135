/*
** random.c: the stream of random numbers.
*/
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

static const plb_function functions[] = {
    {"manual_seed", stream_manual_seed,
     "(seed)\nStarts the stream of random numbers anew: the same seed, the same numbers."},
    {"random_state", stream_random_state,
     "()\nWhere the stream of random numbers is, as a table for set_random_state."},
    {"set_random_state", stream_set_random_state,
     "(state)\nContinues the stream of random numbers from there."},
    {NULL, NULL, NULL}};

void plb_open_random(lua_State *L) { plb_add(L, "Random numbers", functions, NULL); }
