/*
** interrupt.h: stopping a running script from a signal handler or another thread.
**
** A request is a flag, which ops see at once. The thread that executes the state sees it when Lua
** allocates (so also when an op makes a tensor or fails) or changes the coroutine, and then hooks
** what runs: the hook raises until the outermost call has ended, so that a loop around pcall stops
** too. A signal handler on that thread hooks at once. Loops of Lua that do none of this would cost
** 2.2 times their time with a hook that asks, so another thread reaches those by a signal, if the
** program has one for it. A script that called core.handle_interrupts(true) is only told: it polls
** core.interrupted(), finishes what it does, and ends by itself.
*/
#ifndef PERILUNE_INTERRUPT_H
#define PERILUNE_INTERRUPT_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

#include "perilune.h"

/* What is known of the stopping of one state; it hangs on the state's context. */
typedef struct pl_stop pl_stop;

/* Asks what the state runs to stop; from any thread, and async-signal-safe. */
void pl_stop_request(pl_stop *s);
/* The same for all that this thread runs, states within states. */
void pl_stop_request_here(void);
/* The signal that requests from other threads send; false if there is none of that number. */
bool pl_stop_by(int number);
/* Makes coroutine.resume and coroutine.wrap tell which thread runs, and allocations ask. */
pl_stop *pl_stop_watch(lua_State *L);
/* Brackets a call from C, in the context of the state; leave returns why it was stopped, and forgets
 * it if `before` is NULL. */
lua_State *pl_stop_enter(pl_stop *s, lua_State *L);
pl_status pl_stop_leave(pl_stop *s, lua_State *L, lua_State *before);

/*
** Limits; see budget.h. One that is reached stops the run whether or not the script handles interrupts.
*/
struct pl_budget;
struct pl_budget *pl_stop_budget(const pl_stop *s);
void pl_stop_set_budget(pl_stop *s, struct pl_budget *b);
/* From the thread that executes. */
void pl_stop_limit(pl_stop *s, pl_status why);
/* Why it is stopped; PL_OK: it is not. */
pl_status pl_stop_reason(const pl_stop *s);
enum { PL_STOP_MESSAGE = 96 };
const char *pl_stop_message(const pl_stop *s, char text[PL_STOP_MESSAGE]);
/* That of pl_stop_by, or 0. */
int pl_stop_signal(void);

/* Adds handle_interrupts, interrupted and clear_interrupt to the module perilune.core, which is at
 * 1 and alone. */
void pl_stop_install(lua_State *L);

#endif
