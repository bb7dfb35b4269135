/*
** budget.h: what a host's runs may use: bytes, time, instructions, output, files, depth. Each limit that
** is reached stops the run as a request does (interrupt.h), with a code of its own; nothing in the
** script can swallow that.
**
**   bytes          asked by whatever allocates: Lua's allocator, tensors, scratch memory
**   time           a timer sends the stop signal to the thread that runs
**   instructions   a count hook, in all threads of Lua
**   output         asked by what writes
**   files          asked by what opens one and keeps it open
**   depth          a call hook, in all threads of Lua
*/
#ifndef PERILUNE_BUDGET_H
#define PERILUNE_BUDGET_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "../bind/bind.h"
#include "interrupt.h"
#include "perilune_host.h"

typedef struct pl_budget {
  pl_limits limits;
  plb_state *state;
  pl_stop *stop;
  int64_t instructions, output; /* left of the run */
  int64_t room, most_room;      /* bytes that Lua may have without asking */
  int64_t below;                /* calls in threads of Lua that wait for the one that runs */
  int64_t calls;                /* that may begin before the depth is looked at again */
  double deadline;              /* of the run, as pl_seconds counts */
  bool refused; /* Lua's last request for memory; it comes again after a collection */
  bool has_timer;
  int thread;    /* of the system, to which the timer sends */
  pid_t process; /* whose timer it is: the child of a fork has none, or another of that number */
  timer_t timer;
} pl_budget;

/* Since some point in the past. Async-signal-safe. */
double pl_seconds(void);

/* Of a run, the outermost of a host. False, and an error, if there can be no timer. */
bool pl_budget_begin(pl_budget *b, lua_State *L);
void pl_budget_end(pl_budget *b, lua_State *L);
/* The hook of a thread of Lua that nobody stops. */
void pl_budget_hook(const pl_budget *b, lua_State *L);
/* The thread L waits until another one, co, has run; returns what ends that. NULL: no limits. */
int64_t pl_budget_descend(pl_budget *b, lua_State *L, lua_State *co);
void pl_budget_ascend(pl_budget *b, int64_t below);
/* Lua asks for so many bytes more, than which there is less room: whether it may have them. */
bool pl_budget_allows(pl_budget *b, int64_t more);
/* There is more room than Lua needs. */
void pl_budget_return(pl_budget *b);
/* The budget of a host with these limits. */
pl_budget pl_budget_of(const pl_limits *limits, plb_state *state, pl_stop *stop);
/* Whether so much may be written. */
bool pl_budget_writes(pl_budget *b, size_t size);
/* What the error says: "the limit of 2 s was reached". Async-signal-safe it is not. */
void pl_budget_message(const pl_budget *b, pl_status why, char *text, size_t n);
/* Sets the timer of a run that goes on in the child of a fork. */
void pl_budget_fork(pl_budget *b);
/* Ends the timer. */
void pl_budget_close(pl_budget *b);

#endif
