/*
** host.c: a Lua state with everything in it, for the program and for embedding. Every
** entry that could raise runs protected; messages are kept outside of Lua, so that even
** "not enough memory" can be reported.
*/
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* fopencookie */
#endif
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../bind/bind.h"
#include "budget.h"
#include "guard.h"
#include "host.h"
#include "interrupt.h"
#include "long/long.h"
#include "long/work.h"
#include "module.h"
#include "policy.h"

typedef struct {
  pl_host *host;
  int number; /* 1 or 2 */
  FILE *file; /* what io.stdout or io.stderr became; NULL before the first redirection */
} stream;

struct pl_host {
  pl_context *context;      /* in which all runs */
  struct pl_access *access; /* its policy's, or NULL */
  lua_State *L;
  pl_stop *stop;
  pl_budget budget;
  const char *error;
  pl_status status; /* of the last run */
  bool interrupted;
  bool warnings; /* are on */
  bool warning;  /* is in the middle of one */
  pl_host_writer write;
  void *user;
  stream streams[2];
};

/*
** Errors
*/

static const char no_memory_for_it[] = "not enough memory for the message of an error";

static void drop_error(pl_host *h) {
  if (h->error != no_memory_for_it) free((char *)h->error);
}

static void keep_error(pl_host *h, const char *message) {
  drop_error(h);
  h->error = strdup(message);
  if (h->error == NULL) h->error = no_memory_for_it;
}

bool pl_host_refuse(pl_host *h, pl_status code, const char *message) {
  h->status = code;
  keep_error(h, message);
  return false;
}

/* What the engine said is the host's error. */
static bool refuse_by_engine(pl_host *h) {
  pl_host_refuse(h, pl_error_code(), pl_error());
  pl_error_clear();
  return false;
}

/* Errors made for a person's mistake are tables with traceback = false. */
static bool wants_traceback(lua_State *L, int i) {
  bool no;
  if (!lua_istable(L, i)) return true;
  lua_pushliteral(L, "traceback");
  no = lua_rawget(L, i) == LUA_TBOOLEAN && !lua_toboolean(L, -1);
  lua_pop(L, 1);
  return !no;
}

/* Pushes the text of the error object at 1; false if it must stand alone, without a traceback. */
static bool push_message(lua_State *L) {
  if (lua_tostring(L, 1) != NULL) {
    lua_pushvalue(L, 1);
    return true;
  }
  if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING) return false;
  if (lua_istable(L, 1) && lua_getfield(L, 1, "message") == LUA_TSTRING)
    return wants_traceback(L, 1);
  lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
  return true;
}

static int require_advice(lua_State *L) {
  pl_modules_require(L, "perilune.help.slip");
  return 1;
}

/* The library says of the message on top which method was perhaps meant, if it knows one. */
static void add_advice(lua_State *L) {
  const char *text = lua_tostring(L, -1);
  if (!strstr(text, "attempt to call a nil value (method '") || !lua_checkstack(L, 4)) return;
  lua_pushcfunction(L, require_advice);
  if (lua_pcall(L, 0, 1, 0) == LUA_OK) {
    lua_pushvalue(L, -2);
    if (lua_pcall(L, 1, 1, 0) == LUA_OK && lua_isstring(L, -1)) {
      lua_replace(L, -2);
      return;
    }
  }
  lua_pop(L, 1);
}

static int message_handler(lua_State *L) {
  if (!push_message(L)) return 1;
  add_advice(L);
  luaL_traceback(L, L, lua_tostring(L, -1), 1);
  return 1;
}

static pl_status kind_of(int status, const char *message) {
  const pl_status engine = plb_take_status(message);
  switch (status) {
    case LUA_ERRMEM: return PL_ERROR_MEMORY;
    case LUA_ERRSYNTAX: return PL_ERROR_SYNTAX;
    case LUA_ERRFILE: return PL_ERROR_FILE;
    default: return engine == PL_ERROR ? PL_ERROR_SCRIPT : engine;
  }
}

/* Keeps and pops the message on the stack; always false. */
static bool fail(pl_host *h, int status) {
  const char *message = lua_tostring(h->L, -1);
  if (!message) message = "(error without a message)";
  h->status = kind_of(status, message);
  keep_error(h, message);
  lua_pop(h->L, 1);
  return false;
}

/*
** Running
*/

/* Ops that were registered since the last run are functions from now on. */
static bool open_new_ops(pl_host *h) {
  plb_end_calls(h->L);
  if (!plb_has_new_ops()) return true;
  lua_pushcfunction(h->L, plb_open_new_ops);
  const int status = lua_pcall(h->L, 0, 0, 0);
  return status == LUA_OK || fail(h, status);
}

/* A run that was stopped. A limit that was reached as the last thing that it did is an error too, and
 * one of memory says which. */
static bool stop(pl_host *h, pl_status why, int base, int status) {
  const char *message = pl_stop_message(h->stop, (char[PL_STOP_MESSAGE]){0});
  if (status == LUA_OK) lua_settop(h->L, base - 1);
  if (status == LUA_OK || (why != PL_ERROR_INTERRUPTED && !strstr(h->error, message)))
    keep_error(h, message);
  h->status = why;
  return false;
}

/* As lua_pcall of the function at `base`, with a traceback. */
static int call_traced(lua_State *L, int base, int nresults) {
  lua_pushcfunction(L, message_handler);
  lua_insert(L, base);
  const int status = lua_pcall(L, lua_gettop(L) - base - 1, nresults, base);
  lua_remove(L, base);
  return status;
}

/* The end of what pl_stop_enter began, which left its results from `base` on, or an error. */
static bool leave(pl_host *h, lua_State *before, int base, int status) {
  pl_context_enter(h->context); /* a function of C may have raised in another one */
  const pl_status stopped = pl_stop_leave(h->stop, h->L, before);
  h->status = PL_OK;
  h->interrupted = stopped == PL_ERROR_INTERRUPTED;
  const bool ok = status == LUA_OK || fail(h, status);
  return stopped && (!ok || !h->interrupted) ? stop(h, stopped, base, status) : ok;
}

bool pl_host_call(pl_host *h, int nargs, int nresults) {
  lua_State *L = h->L;
  pl_context *outer = pl_context_enter(h->context);
  const int base = lua_gettop(L) - nargs;
  bool ok = open_new_ops(h);
  if (ok) {
    lua_State *before = pl_stop_enter(h->stop, L);
    ok = leave(h, before, base, call_traced(L, base, nresults));
  } else {
    lua_settop(L, base - 1);
  }
  pl_context_enter(outer);
  return ok;
}

typedef struct {
  const char *path, *code, *name; /* code == NULL: the file at path */
  int status;                     /* of loading it */
  const char *mode;               /* as luaL_loadbufferx has it */
} chunk;

static int push_args(lua_State *L) {
  int n;
  if (lua_getglobal(L, "arg") != LUA_TTABLE) return lua_pop(L, 1), 0;
  n = (int)luaL_len(L, -1);
  luaL_checkstack(L, n + 3, "too many arguments to the script");
  for (int i = 1; i <= n; i++) lua_rawgeti(L, -i, i);
  lua_remove(L, -n - 1);
  return n;
}

/* What stands first in package.path, whose value is on top, if the host has put it there; else "". */
static const char *place_before(lua_State *L, const void *key) {
  size_t n;
  lua_rawgetp(L, LUA_REGISTRYINDEX, key);
  const char *before = lua_tolstring(L, -1, &n), *path = lua_tostring(L, -2);
  const bool there = before && path && strncmp(path, before, n) == 0;
  lua_pop(L, 1); /* the registry has it */
  return there ? before : "";
}

/* Makes files beside the script loadable: `require "model"` next to run.lua. Those beside the script
 * that ran before are not any more, unless that has changed the path. */
static void search_beside(lua_State *L, const char *path) {
  static const char key = 0; /* registry: what was put there */
  const char *slash = strrchr(path, '/');
  if (lua_getglobal(L, LUA_LOADLIBNAME) != LUA_TTABLE) return lua_pop(L, 1);
  if (lua_getfield(L, -1, "path") != LUA_TSTRING) return lua_pop(L, 2);
  const char *rest = lua_tostring(L, -1) + strlen(place_before(L, &key));
  if (slash != NULL) lua_pushlstring(L, path, (size_t)(slash - path) + 1);
  else lua_pushliteral(L, "./");
  lua_pushliteral(L, "?.lua;");
  lua_concat(L, 2);
  lua_pushvalue(L, -1);
  lua_pushstring(L, rest);
  lua_concat(L, 2);
  lua_setfield(L, -4, "path");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
  lua_pop(L, 2);
}

/* Returns the function and, for a file, its arguments; an error here needs no traceback. */
static int load(lua_State *L) {
  chunk *c = lua_touserdata(L, 1);
  lua_settop(L, 0);
  if (c->code != NULL)
    c->status = pl_long_load_text(L, c->code, c->name ? c->name : c->code, c->mode);
  else c->status = pl_long_load_file(L, c->path, c->mode);
  if (c->status != LUA_OK) return lua_error(L);
  if (c->code != NULL) return 1;
  if (c->path != NULL) search_beside(L, c->path);
  return 1 + push_args(L);
}

static int load_and_call(lua_State *L, chunk *c) {
  const int base = lua_gettop(L) + 1;
  lua_pushcfunction(L, load);
  lua_pushlightuserdata(L, c);
  const int status = lua_pcall(L, 1, LUA_MULTRET, 0);
  if (status == LUA_OK) return call_traced(L, base, 0);
  return c->status ? c->status : status;
}

/* Reading the text is a part of the run: it takes time and memory too. */
static bool run(pl_host *h, chunk *c) {
  lua_State *L = h->L;
  pl_context *outer = pl_context_enter(h->context);
  const int base = lua_gettop(L) + 1;
  c->mode = h->access ? "t" : "bt";
  h->interrupted = false;
  bool ok = open_new_ops(h);
  if (ok) {
    lua_State *before = pl_stop_enter(h->stop, L);
    ok = leave(h, before, base, load_and_call(L, c));
  }
  pl_context_enter(outer);
  return ok;
}

bool pl_host_run_file(pl_host *h, const char *path) { return run(h, &(chunk){.path = path}); }

bool pl_host_run_string(pl_host *h, const char *code, const char *name) {
  return run(h, &(chunk){.code = code, .name = name});
}

const char *pl_host_error(const pl_host *h) { return h->error; }

pl_status pl_host_error_code(const pl_host *h) { return h->status; }

bool pl_host_interrupted(const pl_host *h) { return h->interrupted; }

void pl_host_stop(pl_host *h) { pl_stop_request(h->stop); }

bool pl_host_stop_signal(int number) { return pl_stop_by(number); }

void pl_host_interrupt(void) { pl_stop_request_here(); }

/*
** Output. Redirected streams are C files with our write function, so print, io.write,
** file methods and warnings all go the same way.
*/

static void emit(pl_host *h, int number, const char *text, size_t size) {
  FILE *file = number == 1 ? stdout : stderr;
  if (!pl_budget_writes(&h->budget, size)) return;
  if (h->write != NULL) {
    h->write(h->user, number, text, size);
    return;
  }
  fwrite(text, 1, size, file);
  fflush(file);
}

/* As it is without a writer. */
static void to_process(void *user, int number, const char *text, size_t size) {
  (void)user, (void)number, (void)text, (void)size;
}

static ssize_t cookie_write(void *cookie, const char *text, size_t size) {
  stream *s = cookie;
  emit(s->host, s->number, text, size);
  return (ssize_t)size;
}

static void warn(void *user, const char *text, int to_continue) {
  pl_host *h = user;
  bool control = !h->warning && !to_continue && *text == '@';
  if (control) {
    if (strcmp(text, "@on") == 0) h->warnings = true;
    if (strcmp(text, "@off") == 0) h->warnings = false;
  } else if (h->warnings) {
    if (!h->warning) emit(h, 2, "warning: ", 9);
    emit(h, 2, text, strlen(text));
    if (!to_continue) emit(h, 2, "\n", 1);
  }
  h->warning = to_continue;
}

static int redirected_print(lua_State *L) {
  stream *s = lua_touserdata(L, lua_upvalueindex(1));
  int n = lua_gettop(L);
  size_t length;
  pl_work work = pl_work_begin(L);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (int i = 1; i <= n; i++) {
    if (i > 1) luaL_addchar(&b, '\t');
    luaL_tolstring(L, i, &length);
    pl_work_bytes(&work, length);
    luaL_addvalue(&b);
  }
  luaL_addchar(&b, '\n');
  luaL_pushresult(&b);
  fwrite(lua_tostring(L, -1), 1, lua_rawlen(L, -1), s->file);
  return 0;
}

static int keep_open(lua_State *L) {
  luaL_Stream *p = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  p->closef = keep_open;
  luaL_pushfail(L);
  lua_pushliteral(L, "cannot close standard file");
  return 2;
}

/* Lua's own table, which a policy lets scripts only read. */
static void push_io(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, LUA_IOLIBNAME);
  lua_remove(L, -2);
}

/* Makes io[field] a file that writes to the stream, and leaves it on the stack. */
static void install_file(lua_State *L, stream *s, const char *field) {
  luaL_Stream *p = lua_newuserdatauv(L, sizeof *p, 0);
  p->f = s->file;
  p->closef = keep_open;
  luaL_setmetatable(L, LUA_FILEHANDLE);
  push_io(L);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, field);
  lua_pop(L, 1);
}

static int install_streams(lua_State *L) {
  stream *s = lua_touserdata(L, 1);
  install_file(L, &s[1], "stderr");
  push_io(L);
  lua_getfield(L, -1, "output");
  install_file(L, &s[0], "stdout");
  lua_call(L, 1, 0); /* io.output(io.stdout) */
  lua_pushlightuserdata(L, &s[0]);
  lua_pushcclosure(L, redirected_print, 1);
  lua_setglobal(L, "print");
  return 0;
}

static bool open_streams(pl_host *h) {
  for (int i = 0; i < 2; i++) {
    stream *s = &h->streams[i];
    if (s->file != NULL) continue;
    s->file = fopencookie(s, "w", (cookie_io_functions_t){.write = cookie_write});
    if (s->file == NULL) return false;
    setvbuf(s->file, NULL, _IONBF, 0);
  }
  return true;
}

bool pl_host_redirect(pl_host *h, pl_host_writer write, void *user) {
  bool first = h->streams[1].file == NULL;
  if (first && write != NULL) {
    if (!open_streams(h)) {
      return pl_host_refuse(h, PL_ERROR_MEMORY, "not enough memory for the output streams");
    }
    lua_pushcfunction(h->L, install_streams);
    lua_pushlightuserdata(h->L, h->streams);
    const int status = lua_pcall(h->L, 1, 0, 0);
    if (status != LUA_OK) return fail(h, status);
  }
  h->write = write;
  h->user = user;
  return true;
}

/*
** Opening and closing
*/

static void set_args(lua_State *L, const pl_host_options *o) {
  if (o->argv == NULL) return;
  lua_createtable(L, o->argc, 1);
  for (int i = 0; i < o->argc; i++) {
    lua_pushstring(L, o->argv[i]);
    lua_rawseti(L, -2, i);
  }
  lua_setglobal(L, "arg");
}

/* math.random starts from the same seed in every run, as the engine's generator does. */
static void seed(lua_State *L) {
  lua_getglobal(L, LUA_MATHLIBNAME);
  lua_getfield(L, -1, "randomseed");
  lua_pushinteger(L, 0);
  lua_call(L, 1, 0);
  lua_pop(L, 1);
}

/* open_all(host, options) */
static int open_all(lua_State *L) {
  pl_host *h = lua_touserdata(L, 1);
  const pl_host_options *o = lua_touserdata(L, 2);
  luaL_checkversion(L);
  lua_gc(L, LUA_GCSTOP);
  plb_begin(L, h->context);
  luaL_openlibs(L);
  h->stop = pl_stop_watch(L);
  pl_guard_install(L);
  if (o->limits || o->policy) pl_guard_limited(L);
  pl_modules_install(L);
  seed(L);
  if (o->policy) pl_policy_apply(L, o->policy);
  set_args(L, o);
  lua_gc(L, LUA_GCRESTART);
  return 0;
}

/* In the host's context; what fails leaves its message in the host. */
static bool open_state(pl_host *h, pl_host_options *o) {
  if (o->policy && !(h->access = pl_policy_begin(o->policy)))
    return pl_host_refuse(h, pl_error_code(), pl_error());
  h->L = luaL_newstate();
  if (h->L == NULL) return pl_host_refuse(h, PL_ERROR_MEMORY, "not enough memory for a Lua state");
  lua_setwarnf(h->L, warn, h);
  lua_pushcfunction(h->L, open_all);
  lua_pushlightuserdata(h->L, h);
  lua_pushlightuserdata(h->L, o);
  const int status = lua_pcall(h->L, 2, 0, 0);
  if (status != LUA_OK) return fail(h, status);
  return pl_host_redirect(h, o->write, o->user) && (!o->limits || pl_host_limit(h, o->limits));
}

/* The message may be the engine's, which names the function already. */
static void fail_to_open(pl_status code, const char *message) {
  static const char who[] = "pl_host_open: ";
  const bool named = strncmp(message, who, sizeof who - 1) == 0;
  pl_fail_as(code, "%s%s", named ? "" : who, message);
}

pl_host *pl_host_open(const pl_host_options *options) {
  pl_host_options o = {0};
  if (options && !PL_READ_OPTIONS("pl_host_open", pl_host_options, &o, options)) return NULL;
  pl_host *h = calloc(1, sizeof *h);
  if (h) h->context = pl_context_open();
  if (!h || !h->context) {
    pl_fail_as(PL_ERROR_MEMORY, "pl_host_open: not enough memory for a host");
    return free(h), NULL;
  }
  for (int i = 0; i < 2; i++) h->streams[i] = (stream){.host = h, .number = i + 1};
  pl_context *outer = pl_context_enter(h->context);
  const bool ok = open_state(h, &o);
  pl_context_enter(outer);
  if (ok) return h;
  fail_to_open(h->status, h->error ? h->error : "not enough memory");
  pl_host_close(h);
  return NULL;
}

void pl_host_close(pl_host *h) {
  if (h == NULL) return;
  pl_context *outer = pl_context_enter(h->context);
  if (h->L != NULL) lua_close(h->L);
  if (outer != h->context) pl_context_enter(outer);
  pl_budget_close(&h->budget);
  pl_context_close(h->context);
  pl_policy_end(h->access);
  for (int i = 0; i < 2; i++)
    if (h->streams[i].file != NULL) fclose(h->streams[i].file);
  drop_error(h);
  free(h);
}

/*
** Limits
*/

static void reached(plb_state *s, pl_status why) { pl_stop_limit(s->stop, why); }

/* Everything that is written has to be seen. */
static bool watch_output(pl_host *h) {
  pl_host_writer write = h->write;
  return write || (pl_host_redirect(h, to_process, NULL) && pl_host_redirect(h, NULL, NULL));
}

bool pl_host_limit(pl_host *h, const pl_limits *limits) {
  pl_limits l = {0};
  if (limits && !PL_READ_OPTIONS("pl_host_limit", pl_limits, &l, limits))
    return refuse_by_engine(h);
  if (!(l.seconds >= 0) || (l.bytes | l.instructions | l.output | l.files | l.depth) < 0)
    return pl_host_refuse(h, PL_ERROR, "pl_host_limit: a limit is negative");
  if (l.seconds > 0 && !pl_stop_signal() && !pl_stop_by(SIGURG))
    return pl_host_refuse(h, PL_ERROR, "pl_host_limit: there is no signal for the time");
  if (l.output && !watch_output(h)) return false;
  lua_pushcfunction(h->L, pl_guard_limited);
  const int status = lua_pcall(h->L, 0, 0, 0);
  if (status != LUA_OK) return fail(h, status);
  pl_budget_close(&h->budget);
  h->budget = pl_budget_of(&l, plb_state_of(h->L), h->stop);
  const int64_t lua = (int64_t)lua_gc(h->L, LUA_GCCOUNT) * 1024 + lua_gc(h->L, LUA_GCCOUNTB);
  plb_limit(h->budget.state, (plb_bound){l.bytes, l.files, lua, reached});
  pl_stop_set_budget(h->stop, limits ? &h->budget : NULL);
  return true;
}

bool pl_host_stats(pl_host *h, pl_stats *stats) {
  pl_context *outer = pl_context_enter(h->context);
  const bool ok = pl_stats_now(stats) || refuse_by_engine(h);
  pl_context_enter(outer);
  if (ok && stats->size >= offsetof(pl_stats, lua_bytes) + sizeof stats->lua_bytes)
    stats->lua_bytes = (int64_t)lua_gc(h->L, LUA_GCCOUNT) * 1024 + lua_gc(h->L, LUA_GCCOUNTB);
  return ok;
}

lua_State *pl_host_lua(pl_host *h) { return h->L; }

pl_context *pl_host_context(pl_host *h) { return h->context; }
