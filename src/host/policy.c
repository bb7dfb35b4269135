/*
** policy.c: see policy.h. What scripts find in such a host is put together in Lua, by
** lua/perilune/internal/policy/, of what is handed to it here.
*/
#include "policy.h"

#include <lauxlib.h>
#include <lualib.h>

#include "../bind/bind.h"
#include "module.h"

enum { ALLOWED = PL_ALLOW_CLOCK | PL_ALLOW_RANDOM | PL_ALLOW_ENVIRONMENT | PL_ALLOW_INPUT };

struct pl_access *pl_policy_begin(const pl_policy *policy) {
  pl_policy p;
  if (!PL_READ_OPTIONS("pl_host_open", pl_policy, &p, policy)) return NULL;
  if (p.allow & ~(size_t)ALLOWED)
    return pl_fail("pl_host_open: its pl_policy allows what version %s does not know", PL_VERSION),
           NULL;
  return plb_confine(p.read, p.write, p.home, p.allow & PL_ALLOW_CLOCK);
}

void pl_policy_end(struct pl_access *access) { plb_release_access(access); }

/* {clock = true, ...} */
static void push_allowed(lua_State *L, size_t allow) {
  static const struct {
    pl_allowed what;
    const char *name;
  } names[] = {{PL_ALLOW_CLOCK, "clock"},
               {PL_ALLOW_RANDOM, "random"},
               {PL_ALLOW_ENVIRONMENT, "environment"},
               {PL_ALLOW_INPUT, "input"}};
  lua_newtable(L);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    lua_pushboolean(L, (allow & names[i].what) != 0);
    lua_setfield(L, -2, names[i].name);
  }
}

/* setmetatable(value, meta) -> value; as that of debug, which the policy may take from the state */
static int set_metatable(lua_State *L) {
  lua_settop(L, 2);
  lua_setmetatable(L, 1);
  return 1;
}

/* No Lua files by name, no C modules: what scripts require is found by policy.lua. */
static void remove_searchers(lua_State *L) {
  enum { PRELOAD = 1, LIBRARY, KEPT = LIBRARY };
  lua_getglobal(L, LUA_LOADLIBNAME);
  lua_getfield(L, -1, "searchers");
  for (lua_Integer i = luaL_len(L, -1); i > KEPT; i--) {
    lua_pushnil(L);
    lua_seti(L, -2, i);
  }
  lua_pop(L, 2);
}

void pl_policy_apply(lua_State *L, const pl_policy *policy) {
  pl_policy p;
  if (!PL_READ_OPTIONS("pl_host_open", pl_policy, &p, policy)) luaL_error(L, "%s", pl_error());
  remove_searchers(L);
  pl_modules_require(L, "perilune.internal.policy");
  lua_pushglobaltable(L);
  plb_push_files(L);
  lua_pushcfunction(L, set_metatable);
  lua_setfield(L, -2, "setmetatable");
  push_allowed(L, p.allow);
  lua_call(L, 3, 0);
}
