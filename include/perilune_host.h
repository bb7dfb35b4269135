/*
** perilune_host.h: Lua 5.4 with everything of Perilune in it, for C programs.
**
**   pl_host *host = pl_host_open(NULL);
**   if (!pl_host_run_string(host, "print(require('perilune').ones(2, 3))", "=demo"))
**     fprintf(stderr, "%s\n", pl_host_error(host));
**   pl_host_close(host);
**
** Nothing here raises or exits, and only pl_host_stop_signal and a limit of seconds install a signal
** handler.
**
** Any number of hosts may be open, in one thread, one within another (a C function that one calls
** runs another), or on several threads at the same time. Each has a context of its own (see
** perilune.h), which its functions enter and leave: its random stream, its modes, its errors, its
** memory are not those of the others, nor of the program around it. One thread at a time uses a
** host, not always the same; it is not closed while it runs.
**
** After a fork the child goes on with the hosts of the thread that forked, also from a C function that
** a script called, and with those in which no thread was. It leaves the others alone, open.
*/
#ifndef PERILUNE_HOST_H
#define PERILUNE_HOST_H

#include <stdbool.h>
#include <stddef.h>

#include "perilune.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lua_State;
typedef struct pl_host pl_host;

/* Takes what the script writes: stream is 1 for output, 2 for errors and warnings. Must not
 * raise. */
typedef void (*pl_host_writer)(void *user, int stream, const char *text, size_t size);

/*
** Limits of a host; each is off where it is 0. A run that reaches one ends with a code of its own
** (PL_ERROR_BYTES, PL_ERROR_DEADLINE, PL_ERROR_INSTRUCTIONS, PL_ERROR_OUTPUT, PL_ERROR_FILES,
** PL_ERROR_DEPTH), whatever the script does about errors, and the host can be used again.
** docs/embedding.md says how exact each is.
*/
typedef struct {
  size_t size;   /* sizeof(pl_limits) */
  int64_t bytes; /* of Lua and of tensors, scratch memory and cache together */
  /* of a run, from the outermost pl_host_run_* or pl_host_call on; uses the signal of
     pl_host_stop_signal, which is SIGURG if none was chosen */
  double seconds;
  int64_t instructions; /* of Lua, of a run; counting them makes Lua's own time 2.2 times as long */
  int64_t output;       /* bytes that a run writes to its streams */
  int64_t
      files; /* that scripts hold open at the same time: files and pipes of Lua's io, tables that
                    are read in pieces, mapped arrays, locked folders */
  int64_t depth; /* of calls within each other, of Lua and C, in all coroutines that wait for one
                    another; makes calls slower. Lua's own limits hold without it too */
} pl_limits;

/*
** What scripts that nobody has read may do; SECURITY.md says what that means. A host with a policy,
** also one that allows nothing, has for scripts
**
**   files   below the folders alone, with the functions of the library and those of Lua, and no
**           links, devices, pipes or sockets below them
**   Lua     without debug (but for debug.traceback), io.popen, os.execute and the like; os.exit
**           raises an error; text is loaded, bytecode and C modules are not, nor ops from C
**   tables  of Lua's libraries and of Perilune, and metatables of tensors and strings, which can be
**           read and not be written
**
**   const char *folders[] = {"/srv/jobs/7", NULL};
**   pl_policy policy = {.size = sizeof policy, .write = folders, .home = folders[0]};
**   pl_host_open(&(pl_host_options){.size = sizeof(pl_host_options), .policy = &policy});
*/
typedef enum {
  PL_ALLOW_CLOCK = 1 << 0,  /* os.time, os.clock, os.date, pl.clock and profiles know the time */
  PL_ALLOW_RANDOM = 1 << 1, /* math.randomseed() takes a seed that no other run has */
  PL_ALLOW_ENVIRONMENT = 1 << 2, /* os.getenv sees the variables of the process */
  PL_ALLOW_INPUT = 1 << 3        /* io.read and the like read standard input */
} pl_allowed;

typedef struct {
  size_t size;              /* sizeof(pl_policy) */
  const char *const *read;  /* folders whose files may be read, ending with NULL; NULL: none */
  const char *const *write; /* the same, for reading and writing */
  const char *home;         /* where relative paths begin; NULL: where the process is */
  size_t allow;             /* of pl_allowed */
} pl_policy;

typedef struct {
  size_t size; /* sizeof(pl_host_options) */
  int argc;    /* the script's global table `arg`: arg[0] = argv[0], arg[1] = argv[1]... */
  const char *const *argv; /* NULL: no such table */
  pl_host_writer write;    /* NULL: stdout and stderr of the process */
  void *user;              /* passed to write */
  const pl_limits *limits; /* NULL: none */
  const pl_policy *policy; /* NULL: scripts may do what the program may */
} pl_host_options;

/* Opens a state with Lua's libraries and `require "perilune"`; NULL options: the defaults. NULL if
 * that fails; pl_error() has the reason, and pl_error_code() what kind it is. */
PL_API pl_host *pl_host_open(const pl_host_options *options);
/* Accepts NULL. Tensors that C code retained stay valid. */
PL_API void pl_host_close(pl_host *host);
/* The state, for everything that Lua's own C interface can do. Who calls Lua functions with it
 * otherwise than by pl_host_call enters the host's context before, and leaves it afterwards. */
PL_API struct lua_State *pl_host_lua(pl_host *host);
PL_API pl_context *pl_host_context(pl_host *host);

/* Runs a file (NULL: standard input) with arg[1], arg[2]... as its `...`. */
PL_API bool pl_host_run_file(pl_host *host, const char *path);
/* Runs a string; `name` is its chunk name, "=demo" style, for messages. */
PL_API bool pl_host_run_string(pl_host *host, const char *code, const char *name);
/* Calls the function below `nargs` arguments on the stack, as lua_pcall does; on failure leaves
 * nothing. */
PL_API bool pl_host_call(pl_host *host, int nargs, int nresults);
/* The message of the last function of this header that failed, of a run with a traceback; valid until
 * the next. */
PL_API const char *pl_host_error(const pl_host *host);

/* What kind of failure it was; PL_OK if the last run went well. Of a script that
 * fails because something is called that fails, what that failed by: memory, a file, an interrupt,
 * what is not supported. */
PL_API pl_status pl_host_error_code(const pl_host *host);

/*
** Tensors between C and scripts, without copies. A tensor that comes from a host belongs to the
** innermost scope of the context in which the caller is, as one of a builder does; both sides see the
** same memory. A tensor that several hosts on several threads get must be a shared one (pl_share).
** False, or NULL, with the reason in pl_host_error.
*/

/* Pushes t onto the stack of pl_host_lua as scripts see tensors; NULL pushes nil. */
PL_API bool pl_host_push_tensor(pl_host *host, pl_tensor *t);
/* The tensor at that place of the stack. */
PL_API pl_tensor *pl_host_to_tensor(pl_host *host, int index);
/*
** Calls what a global names, "step" or "game.opponent.move", a function or a network, with n_in
** tensors (NULL: nil) and takes n_out results: tensors, numbers as real tensors of rank 0, nil as
** NULL. On failure all of `out` is NULL.
**
**   pl_tensor *in[] = {pl_borrow(board, PL_REAL, pl_list(1, 9), NULL, NULL, NULL)}, *move;
**   if (!pl_host_call_tensors(host, "move", 1, in, 1, &move)) puts(pl_host_error(host));
*/
PL_API bool pl_host_call_tensors(pl_host *host, const char *name, int n_in, pl_tensor *const *in,
                                 int n_out, pl_tensor **out);

/*
** Networks, which can be called without a line of Lua. They are in evaluation mode from the
** beginning, and record nothing for gradients; what a call makes on the way is released at its end.
**
**   pl_net *net = pl_net_load(host, "lenet.safetensors");
**   pl_tensor *y;
**   if (net && pl_net_call(net, 1, &x, 1, &y)) ...
**   pl_net_close(net);
*/
typedef struct pl_net pl_net;
/* A network that a script wrote by pl.save(path, net). One of a class of the script's own needs that
 * class: run what defines it before. NULL with the reason in pl_host_error. */
PL_API pl_net *pl_net_load(pl_host *host, const char *path);
/* A network that a script has made and a global names, "net" or "models.best". It stays the
 * script's, in evaluation mode from now on. */
PL_API pl_net *pl_net_find(pl_host *host, const char *name);
/* Accepts NULL. Before its host is closed. */
PL_API void pl_net_close(pl_net *net);
/* y... = net(x...); tensors as in pl_host_call_tensors. */
PL_API bool pl_net_call(pl_net *net, int n_in, pl_tensor *const *in, int n_out, pl_tensor **out);
/* Pushes the network onto the stack of its host, for scripts and Lua's own interface. */
PL_API bool pl_net_push(pl_net *net);
/*
** The same network in another host, in the same memory, which is read only for all from now on: so
** many hosts on many threads answer with one set of weights. While it works no other thread uses one
** of the two hosts. NULL with the reason in pl_host_error(other).
*/
PL_API pl_net *pl_net_share(pl_net *net, pl_host *other);

/* What the host's memory is for: pl_stats_now of its context, and Lua's bytes. By the thread that uses
 * the host. */
PL_API bool pl_host_stats(pl_host *host, pl_stats *stats);

/* Other limits, from the next run on; NULL: none. While no run is under way. Scripts have no finalizers (__gc) from
 * now on, which nothing could stop, and of debug what looks and does not touch. */
PL_API bool pl_host_limit(pl_host *host, const pl_limits *limits);

/* Sends everything that scripts write from now on to `write`; NULL: stdout and stderr again. */
PL_API bool pl_host_redirect(pl_host *host, pl_host_writer write, void *user);

/* Stops what a host is running: Lua code, coroutines and long C calls raise an error. From any
 * thread, and async-signal-safe. A script that another thread runs stops at its next op, allocation
 * or change of coroutine; one that does none of these, as `while true do end`, only after: */
PL_API void pl_host_stop(pl_host *host);
/* Installs a handler for a signal that the program does not use otherwise, say SIGURG, and that the
 * threads which run hosts do not block: pl_host_stop sends it to the thread that runs the host, and
 * so stops every loop of Lua; what waits in a call of the system there, for input, gets EINTR. Before
 * hosts run. False if there is no such signal. */
PL_API bool pl_host_stop_signal(int number);
/* pl_host_stop for what this thread runs, hosts within hosts: for the signal handlers of a program
 * with one thread. */
PL_API void pl_host_interrupt(void);
/* Whether one of these two ended the last run. */
PL_API bool pl_host_interrupted(const pl_host *host);

#ifdef __cplusplus
}
#endif
#endif
