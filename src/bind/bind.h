/*
** bind.h: what the files of the binding share. The binding turns C tensors into Lua
** userdata and the engine's error slot into Lua errors; it does no arithmetic.
**
** A box is a userdata that holds one retained tensor. Make the box first (plb_newbox),
** then open a scope, compute, fill the box, close the scope, and raise only after that,
** so that nothing can leak when Lua raises.
*/
#ifndef PERILUNE_BIND_H
#define PERILUNE_BIND_H

#include <lauxlib.h>
#include <lua.h>

#include "perilune.h"

#define PLB_TENSOR "perilune.tensor"

/* A box is this userdata; most code sees its tensor alone. */
typedef struct {
  pl_tensor *tensor;
  bool kept; /* tidy leaves it alone */
} plb_box;

/* Pushes an empty box. */
pl_tensor **plb_newbox(lua_State *L);
/* Empties a box. */
void plb_let_go(lua_State *L, pl_tensor **box);
/* Puts a tensor (retained here) into the box; NULL leaves it empty. */
void plb_fill(lua_State *L, pl_tensor **box, pl_tensor *t);
/* The tensor of argument i, or an error that says what was there instead. */
pl_tensor *plb_check(lua_State *L, int i);
/* The same, or NULL if the value is not a tensor; an error if it was released. Not inside a scope.
 */
pl_tensor *plb_test(lua_State *L, int i);
/* Raises the message in the error slot, blamed on the caller's line, and clears the slot. */
int plb_raise(lua_State *L);
/* Pushes nil and the message in the error slot, and clears the slot: for expected failures. */
int plb_nil(lua_State *L);
/* 1 if the box on top was filled, else raises. */
int plb_done(lua_State *L, pl_tensor **box);
/* Collects garbage if live tensor bytes plus `want` pass the limit; call before an op. */
void plb_make_room(lua_State *L, size_t want);
/* The Lua thread that called the engine last, for what the engine calls back. */
lua_State *plb_running(void);
/* What stands at i, for messages: numbers and strings themselves, else the type. */
const char *plb_shown(lua_State *L, int i);
/* Reads a list of integers at i: an integer, or a table of them. */
pl_ints plb_ints(lua_State *L, int i, const char *what);
/* Pushes a list of integers. */
void plb_push_ints(lua_State *L, pl_ints ints);
/* Reads a kind name ("real", "int32", "uint8") at i. */
pl_kind plb_kind(lua_State *L, int i, pl_kind fallback);
/* An option of a table at i, or the fallback; an option of the wrong type is an error that names
 * it. */
double plb_number_option(lua_State *L, int i, const char *name, double fallback);
bool plb_bool_option(lua_State *L, int i, const char *name, bool fallback);

/* A function of the module, with the text that help() shows: its arguments, a newline, what it
 * does. */
typedef struct {
  const char *name;
  lua_CFunction f;
  const char *doc;
} plb_function;
/* Adds rows to the module table at 1 and to the methods of tensors at 2, either may be NULL. */
void plb_add(lua_State *L, const plb_function *functions, const plb_function *methods);

/*
** Each opener gets the module table at 1, the method table of tensors at 2 and the table of
** texts at 3.
*/
void plb_open_tensor(lua_State *L);  /* tensor userdata, creation */
void plb_open_inplace(lua_State *L); /* changes in place, optimiser steps */
void plb_open_ops(lua_State *L);     /* ops, by walking the table */
void plb_open_grad(lua_State *L);    /* gradients, modes, tidy, keep */
void plb_open_custom(lua_State *L);  /* functions with gradients written in Lua */
void plb_open_profile(lua_State *L); /* where time goes */
void plb_open_io(lua_State *L);      /* IDX, PNG, safetensors, JSON */
void plb_open_canvas(lua_State *L);  /* drawing */
void plb_open_frechet(lua_State *L); /* a distance between sets of features */
void plb_open_learn(lua_State *L);   /* support vector machines */

/* The metamethods __index and __newindex of tensors; both have the method table as upvalue. */
int plb_index(lua_State *L);
int plb_newindex(lua_State *L);
/* Tensor boxes made from now on are listed, to be released by tidy; see grad.c. */
void plb_note_box(lua_State *L);
/* Notes which thread calls; functions that test for a tensor or make a box have done so. */
void plb_enter(lua_State *L);
/* Ends the modes of coroutines that died of an error, when another thread calls; see grad.c. */
void plb_end_dead(lua_State *L);
/* The state ended. */
void plb_forget_modes(void);

/* The module: pushes one table with all of the above. */
LUAMOD_API int luaopen_perilune_core(lua_State *L);

#endif
