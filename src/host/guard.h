/*
** guard.h: functions of Lua that could keep a run from being stopped, with others in their place.
*/
#ifndef PERILUNE_GUARD_H
#define PERILUNE_GUARD_H

#include <lua.h>

/* In every host: xpcall's handlers are not called for the error that stops a run, for Lua calls no
 * hook while they run. */
void pl_guard_install(lua_State *L);
/* In hosts with limits: long calls that stop (long/long.h), no finalizers, in which there are no hooks
 * either, and of debug what only looks. A function of Lua; harmless if it was called before. */
int pl_guard_limited(lua_State *L);

#endif
