/*
** interrupt.h: stopping a running script from a signal handler.
**
** A request reaches all three places where time is spent: C calls see the engine's
** flag, and the running Lua thread, main or coroutine, gets a hook that raises. The
** hook keeps raising until the outermost call has ended, so that a loop around pcall
** stops too. A script that called core.handle_interrupts(true) is only told: it polls
** core.interrupted(), finishes what it does, and ends by itself.
*/
#ifndef PERILUNE_INTERRUPT_H
#define PERILUNE_INTERRUPT_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

/* Asks the script to stop; async-signal-safe. */
void pl_stop_request(void);
/* Makes coroutine.resume and coroutine.wrap tell which thread runs. */
void pl_stop_watch(lua_State *L);
/* Brackets a call from C; leave returns whether a request came, and forgets it if `before` is
 * NULL. */
lua_State *pl_stop_enter(lua_State *L);
bool pl_stop_leave(lua_State *L, lua_State *before);

/* Adds handle_interrupts, interrupted and clear_interrupt to the module perilune.core, which is at
 * 1 and alone. */
void pl_stop_install(lua_State *L);

#endif
