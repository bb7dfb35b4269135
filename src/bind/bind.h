/*
** bind.h: what the files of the binding share. The binding turns C tensors into Lua
** userdata and the engine's error slot into Lua errors; it does no arithmetic.
**
** A box is a userdata that holds one retained tensor. Check the arguments (plb_check), make the
** box (plb_newbox), then open a scope, take hold of the tensors (plb_hold), compute, fill the box,
** close the scope, and raise only after that, so that nothing can leak when Lua raises. Whenever
** Lua allocates it may run a finalizer, and a finalizer may release any tensor: only one that is
** held lives to the end of the call.
*/
#ifndef PERILUNE_BIND_H
#define PERILUNE_BIND_H

#include <lauxlib.h>
#include <lua.h>
#include <stdatomic.h>

#include "../base/options.h"
#include "perilune.h"

#define PLB_TENSOR "perilune.tensor"

/*
** box.c: Lua states, boxes, their life and the modes in which functions run
*/

/* What the binding knows of a Lua state. It hangs on the context in which the state's calls run. */
/* What a userdata has besides memory of Lua's: its first member. */
typedef struct plb_owned {
  struct plb_owned *next, **link; /* in the list of its state; link = NULL: it has ended */
  void (*end)(struct plb_owned *);
} plb_owned;

typedef struct plb_state {
  pl_context *context;
  bool own;                  /* the context was opened for the state */
  const void *registry;      /* tells its threads from those of others */
  lua_State *last_used;      /* the thread that calls the engine, for what is called back */
  lua_State *main;           /* lives when last_used may be dead; NULL: the state has ended */
  lua_State *releasing;      /* the thread in which a box ends */
  int64_t limit;             /* of live bytes, from which on garbage is collected */
  int64_t boxes, most_boxes; /* that are there, and from where on garbage is collected */
  struct plb_guard *innermost, *innermost_tidy;
  plb_owned *owned;                    /* what ends with the state at the latest */
  int n_ops;                           /* ops that its scripts know */
  bool watches;                        /* opens those that are new */
  bool watches_modules;                /* a profile looks at each module that is called */
  unsigned forgotten;                  /* how often all chains of layers ceased to hold */
  _Atomic(struct plb_call *) released; /* of custom.c: calls that ended elsewhere */
  struct pl_stop *stop;                /* of the host floor */
  void (*reached)(struct plb_state *s, pl_status why); /* a limit; of the host floor too */
} plb_state;

/* Begins it, in this context or, NULL, in one of its own; raises without memory. */
plb_state *plb_begin(lua_State *L, pl_context *c);
/* That of a thread's state; NULL before it begins. */
plb_state *plb_state_of(lua_State *L);
/* Memory, all zero, that lives as long as the context; NULL if there is none. */
void *plb_hang(const plb_state *s, size_t bytes);
/* That of the context that is entered, or NULL. Async-signal-safe. */
plb_state *plb_here(void);
/* A thread of it that lives at any time; NULL when it has ended. */
lua_State *plb_alive(const plb_state *s);
/* Notes which thread calls, and enters the context of its state if another is entered; functions
 * that test for a tensor or make a box have done so. */
plb_state *plb_enter(lua_State *L);

/* From now on `end` is called once: by plb_end_owned, or when the state ends. Lua finalizes nothing that
   finalizers make while it closes. */
void plb_own(lua_State *L, plb_owned *o, void (*end)(plb_owned *));
void plb_end_owned(plb_owned *o);

/* A box is this userdata; most code sees its tensor alone. */
typedef struct plb_box {
  const void *magic;            /* tells a box from other userdata */
  pl_tensor *tensor;            /* NULL: released */
  bool kept;                    /* tidy leaves it alone */
  struct plb_guard *tidy;       /* whose list it is in, or NULL */
  struct plb_box *next, **link; /* in that list: the next, and what points to this one */
} plb_box;

/* Tensors that were read from a table, in the making and then held. */
typedef struct {
  int n;
  plb_box **box; /* NULL where there is none */
  pl_tensor **t; /* once the list is held */
} plb_list;
/* Pushes a table and a block, in which the list is. */
plb_list plb_new_list(lua_State *L, int n);
/* Makes the tensor on top, above those two, element k; false if it is no tensor. */
bool plb_take(lua_State *L, plb_list list, int k);
/* As plb_hold, all of them. */
void plb_hold_list(lua_State *L, plb_list list);

/* A tidy around a protected call from C, in the context of a state: what is made until the end is
 * released there, but for what is kept and parameters. NULL, which ends nothing, without memory. */
struct plb_guard *plb_begin_tidy(plb_state *s);
void plb_end_tidy(lua_State *L, struct plb_guard *tidy);

/* Pushes an empty box. */
pl_tensor **plb_newbox(lua_State *L);
/* Empties a box. */
void plb_let_go(lua_State *L, pl_tensor **box);
/* Puts a tensor (retained here) into the box; NULL leaves it empty. */
void plb_fill(lua_State *L, pl_tensor **box, pl_tensor *t);
/* The box that argument i is, or NULL. */
plb_box *plb_box_at(lua_State *L, int i);
/* The tensor of argument i, or an error that says what was there instead. */
pl_tensor *plb_check(lua_State *L, int i);
/* The same, or NULL if the value is not a tensor; an error if it was released. Not inside a
 * scope. */
pl_tensor *plb_test(lua_State *L, int i);
/* The tensor of argument i, which was checked: the open scope owns it too from now on. If it was
 * released since, ends the scope and raises. */
pl_tensor *plb_hold(lua_State *L, int i);
/* The same for what is no op: whoever traces a computation is told that the tensor's numbers are read. */
pl_tensor *plb_hold_read(lua_State *L, int i);
/* As plb_hold, or NULL if the value is not a tensor. */
pl_tensor *plb_hold_if(lua_State *L, int i);
/* The same where Lua runs while the tensor is used: pushes a box that holds it, to be emptied by
 * plb_let_go at the end. */
pl_tensor **plb_anchor(lua_State *L, int i);
/* Moves the message in the error slot to `text`, which is returned: that Lua makes a string of it may
 * fail, and the slot is clear then. */
enum { PLB_MESSAGE = 512 };
const char *plb_take_error(char text[PLB_MESSAGE]);
/* Raises the message in the error slot, and clears the slot. It blames the caller's line and names
 * the function that was called, not the op that it called in turn. */
int plb_raise(lua_State *L);
/* Pushes nil and the message in the error slot, and clears the slot: for expected failures. */
int plb_nil(lua_State *L);
/* Pushes true, or as plb_nil does. */
int plb_result(lua_State *L, bool ok);
/* What kind of failure the text of a Lua error tells of: that of the last message of the engine, if
 * the text has it, or a want of memory, which Lua and the binding report too; else PL_ERROR. The
 * engine's message is forgotten. */
pl_status plb_take_status(const char *text);
/* 1 if the box on top was filled, else raises. */
int plb_done(lua_State *L, pl_tensor **box);
/* Collects garbage if live tensor bytes plus `want` pass the limit; call before an op. What the
 * engine calls back runs in this thread. */
void plb_make_room(lua_State *L, size_t want);

/*
** custom.c
*/

/* Lets go what the state keeps for calls that ended while another context was entered, perhaps on
 * another thread; and all of that when the state ends. */
void plb_end_calls(lua_State *L);
void plb_close_calls(plb_state *s);

/*
** limit.c: the bytes that a Lua state and its tensors may have together, and its open files
*/

/* From now on; 0: any number. `reached` is called each time that a limit is. */
typedef struct {
  int64_t bytes, files;
  int64_t lua; /* bytes that Lua has now */
  void (*reached)(plb_state *s, pl_status why);
} plb_bound;
void plb_limit(plb_state *s, plb_bound bound);
/* Whether Lua may have so many more. */
bool plb_may_grow(const plb_state *s, int64_t bytes);
/* Lua has so many more. */
void plb_count_bytes(const plb_state *s, int64_t change);
/* Counts memory that somebody else will have; raises if it may not have it. */
void plb_take_bytes(lua_State *L, int64_t bytes);
/* Raises unless one more file may be held open; counts one that is; and does not any more. */
void plb_may_hold_file(lua_State *L);
void plb_hold_file(lua_State *L);
void plb_let_file_go(lua_State *L);

/*
** streams.c: files of Lua's library io that are counted so
*/

/* Of one that is open and has room. */
void plb_stream_opened(lua_State *L, luaL_Stream *s);
/* Has the functions of the library on top count what they open. */
void plb_count_streams(lua_State *L);

/*
** arg.c: reading arguments
*/

/* Notes under which name scripts call the function on top: "zeros", or "tensor:size" of a method. */
void plb_name_function(lua_State *L, const char *name);
/* Raises a message that begins with the name of the function that runs, and blames the line that
 * called it. */
int plb_error(lua_State *L, const char *format, ...);
/* "tensor" or Lua's name of the type of what stands at i: in messages a tensor is no userdata. */
const char *plb_typename(lua_State *L, int i);
/* What stands at i, for messages: numbers and strings themselves, else the type. */
const char *plb_shown(lua_State *L, int i);
/*
** Where a number is expected a tensor of rank 0 stands for its value. Whether there is a number at
** i, which may be an argument or the top of the stack; the tensor's value takes its place.
*/
bool plb_as_number(lua_State *L, int i);
/* Tells whoever traces a computation that a number of t becomes one of the program's. */
void plb_note_read(const pl_tensor *t);
/* Pushes a value of t: an integer for int32 and uint8, a float for real. */
void plb_push_value(lua_State *L, const pl_tensor *t, double v);
/* Raises "full: argument 2: TEXT"; of a method, self is not counted. */
int plb_bad_arg(lua_State *L, int i, const char *text);
/* The same if the argument at i is not as it should be. */
void plb_arg_check(lua_State *L, bool good, int i, const char *text);
/* The same: "full: argument 2: number expected, got string"; or, if what is missing is the tensor
 * whose method was called, that methods are called with a colon. */
int plb_expected(lua_State *L, int i, const char *what);
/* The argument at i, of its type and no other: a string is no number. */
void plb_need(lua_State *L, int i, int type);
double plb_number(lua_State *L, int i);
double plb_opt_number(lua_State *L, int i, double fallback);
lua_Integer plb_whole(lua_State *L, int i);
lua_Integer plb_opt_whole(lua_State *L, int i, lua_Integer fallback);
const char *plb_text(lua_State *L, int i, size_t *n);
/* The integer at i. */
int64_t plb_integer(lua_State *L, int i, const char *what);
/* Reads a list of integers at i: an integer, or a table of them. */
pl_ints plb_ints(lua_State *L, int i, const char *what);
/* Pushes a list of integers. */
void plb_push_ints(lua_State *L, pl_ints ints);
/* Reads the name of a dtype ("real", "int32", "uint8") at i, or {dtype = "int32"}, in which kind is
 * another name of dtype, and no other name may stand. */
pl_dtype plb_dtype(lua_State *L, int i, pl_dtype fallback);
/* The dtype that a table at i, a list of anything, has by name, or the fallback. */
pl_dtype plb_named_dtype(lua_State *L, int i, pl_dtype fallback);
/* An option of a table at i, or the fallback; an option of the wrong type is an error that names
 * it. */
double plb_number_option(lua_State *L, int i, const char *who, const char *name, double fallback);
bool plb_bool_option(lua_State *L, int i, const char *name, bool fallback);
/* An option that is not known is an error, so that a misspelt one is not silently left out. */
void plb_check_options(lua_State *L, int i, const char *who, const char *const *known);
/* The name of a file at i. */
const char *plb_path(lua_State *L, int i);

/*
** core.c: the module
*/

/* A function of the module, with the text that help() shows: its arguments, a newline, what it
 * does. */
typedef struct {
  const char *name;
  lua_CFunction f;
  const char *doc;
} plb_function;
/* Adds rows, which help and the reference list under the title of their group, to the module table
 * at 1 and to the methods of tensors at 2; either may be NULL. */
void plb_add(lua_State *L, const char *group, const plb_function *functions,
             const plb_function *methods);
/* Lists one name under the title of its group. */
void plb_add_to_group(lua_State *L, const char *group, const char *name);

/*
** Each opener gets the module table at 1, the method table of tensors at 2, the table of texts at 3
** and the list of groups at 4.
*/
void plb_open_box(lua_State *L);        /* tensor userdata, modes, tidy, keep */
void plb_open_tensor(lua_State *L);     /* making tensors, asking them */
void plb_open_print(lua_State *L);      /* how they are printed */
void plb_open_rows(lua_State *L);       /* ops, by walking the table */
void plb_open_chain(lua_State *L);      /* layers, one after the other */
void plb_open_inplace(lua_State *L);    /* changes in place */
void plb_open_optim(lua_State *L);      /* optimisers' steps */
void plb_open_grad(lua_State *L);       /* gradients */
void plb_open_custom(lua_State *L);     /* functions with gradients written in Lua */
void plb_open_trace(lua_State *L);      /* following a computation */
void plb_open_anomaly(lua_State *L);    /* where a NaN arises */
void plb_open_random(lua_State *L);     /* the stream of random numbers */
void plb_open_profile(lua_State *L);    /* where time goes */
void plb_open_archive(lua_State *L);    /* safetensors */
void plb_open_json(lua_State *L);       /* JSON */
void plb_open_images(lua_State *L);     /* IDX, PNG, JPEG, batches */
void plb_open_transforms(lua_State *L); /* steps of images */
void plb_open_loader(lua_State *L);     /* pictures in folders, batches made ahead */
void plb_open_numpy(lua_State *L);      /* NumPy's files, bytes */
void plb_open_tables(lua_State *L);     /* CSV */
void plb_open_files(lua_State *L);      /* files and folders */
void plb_open_terminal(lua_State *L);   /* terminal, clock */
void plb_open_canvas(lua_State *L);     /* drawing */
void plb_open_frechet(lua_State *L);    /* a distance between sets of features */
void plb_open_learn(lua_State *L);      /* support vector machines */

/*
** transforms.c: steps of images
*/

struct pl_transform;
/* The transform that the value at i is, or NULL: it lives as long as the value, or is retained. */
struct pl_transform *plb_test_transform(lua_State *L, int i);

/*
** access.c: files of states that may not touch all of them
*/

struct pl_access;
/* Gives the context that is entered what pl_access_open opens, and clocks that stand still unless
 * `clock`; NULL with a message. It is released when the context is closed. */
struct pl_access *plb_confine(const char *const *read, const char *const *write, const char *home,
                              bool clock);
void plb_release_access(struct pl_access *access);
/* Pushes a table of functions: open(path, mode), a file of the io library; no_input(), one that is
 * empty; remove(path); rename(from, to). On failure they give nil and a message. */
void plb_push_files(lua_State *L);

/* Whether ops were registered that the scripts of the state, which is entered, do not know; and a
 * function for Lua that makes them known. */
bool plb_has_new_ops(void);
int plb_open_new_ops(lua_State *L);
/* Calls the row of the op table that its first upvalue is; the second says whether it is a method. */
int plb_call_op(lua_State *L);
/* Reads the attributes of a row from the table of names at i, which may be nil; the others get their
 * defaults. */
void plb_read_attributes(lua_State *L, const pl_op *op, int i, pl_attr *attr);
/* What the network at i makes of x, retained, if that needs no Lua; else NULL. Raises if it was
 * stopped. */
pl_tensor *plb_follow_chain(lua_State *L, int i, pl_tensor *x);
/* The metamethods __index and __newindex of tensors; both have the method table as upvalue. */
int plb_index(lua_State *L);
int plb_newindex(lua_State *L);

/* The module: pushes one table with all of the above. */
LUAMOD_API int luaopen_perilune_core(lua_State *L);

#endif
