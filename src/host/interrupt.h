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

/* What is known of the stopping of one state; it hangs on the state's context. */
typedef struct pl_stop pl_stop;

/* Asks what the state runs to stop; from any thread, and async-signal-safe. */
void pl_stop_request(pl_stop *s);
/* The same for all that this thread runs, states within states. */
void pl_stop_request_here(void);
/* Makes coroutine.resume and coroutine.wrap tell which thread runs. */
pl_stop *pl_stop_watch(lua_State *L);
/* Brackets a call from C, in the context of the state, `around` being the one that was entered
 * before; leave returns whether a request came, and forgets it if `before` is NULL. */
lua_State *pl_stop_enter(pl_stop *s, lua_State *L, pl_stop *around);
bool pl_stop_leave(pl_stop *s, lua_State *L, lua_State *before);
/* Of the context that is entered, or NULL. */
pl_stop *pl_stop_here(void);

/* Adds handle_interrupts, interrupted and clear_interrupt to the module perilune.core, which is at
 * 1 and alone. */
void pl_stop_install(lua_State *L);

#endif
