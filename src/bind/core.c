/*
** core.c: the module perilune.core: one table with all that the binding has. The texts of
** its functions and methods are in its field `docs`; help() and the reference page read them.
*/
#include "bind.h"

static int core_memory(lua_State *L) {
  plb_enter(L); /* what a dead coroutine had in tidy ends */
  pl_memory m = pl_memory_now();
  lua_createtable(L, 0, 3);
  lua_pushinteger(L, m.tensors);
  lua_setfield(L, -2, "tensors");
  lua_pushinteger(L, m.live_bytes);
  lua_setfield(L, -2, "live_bytes");
  lua_pushinteger(L, m.cached_bytes);
  lua_setfield(L, -2, "cached_bytes");
  return 1;
}

static int core_threads(lua_State *L) {
  lua_Integer n = luaL_optinteger(L, 1, 0);
  luaL_argcheck(L, n >= 0 && n <= 4096, 1, "1 to 4096 threads expected");
  lua_pushinteger(L, pl_threads((int)n));
  return 1;
}

static int core_isa(lua_State *L) {
  lua_pushstring(L, pl_isa());
  return 1;
}

static int core_blas(lua_State *L) {
  lua_pushstring(L, pl_blas());
  return 1;
}

static int core_fail_after(lua_State *L) {
  pl_memory_fail_after(luaL_optinteger(L, 1, -1));
  return 0;
}

static const plb_function functions[] = {
    {"memory", core_memory,
     "()\nA table: tensors alive, live_bytes of their storage, cached_bytes kept for reuse."},
    {"threads", core_threads,
     "(n?)\nSets how many threads the kernels use, if n is given; returns how many they use."},
    {"isa", core_isa,
     "()\nThe instruction set of the kernels in use: \"avx512\", \"avx2\" or \"generic\"."},
    {"blas", core_blas, "()\nThe BLAS library and the processor that it was tuned for."},
    {"fail_after", core_fail_after,
     "(n=-1)\nFor tests: the n-th allocation from now fails, and all after it; -1 ends that."},
    {NULL, NULL, NULL}};

static void set_constants(lua_State *L) {
  lua_pushliteral(L, PL_VERSION);
  lua_setfield(L, 1, "version");
  lua_pushstring(L, sizeof(pl_real) == sizeof(double) ? "double" : "float");
  lua_setfield(L, 1, "real");
}

LUAMOD_API int luaopen_perilune_core(lua_State *L) {
  lua_settop(L, 0);
  lua_newtable(L); /* 1: the module */
  lua_newtable(L); /* 2: methods of tensors */
  lua_newtable(L); /* 3: texts */
  plb_open_tensor(L);
  plb_open_ops(L);
  plb_open_inplace(L);
  plb_open_grad(L);
  plb_open_custom(L);
  plb_open_profile(L);
  lua_pushvalue(L, 3);
  lua_setfield(L, 1, "docs");
  lua_pushvalue(L, 2);
  lua_setfield(L, 1, "methods");
  set_constants(L);
  plb_add(L, functions, NULL);
  plb_open_io(L);
  plb_open_canvas(L);
  plb_open_frechet(L);
  plb_open_learn(L);
  lua_settop(L, 1);
  return 1;
}
