/*
** repl.c: see repl.h. The order is lua.c's: a line is tried as an expression, then as a
** statement, and a syntax error at <eof> asks for more lines. What can be written in Lua
** is: perilune.help explains, its inspect shows results, its complete completes.
*/
#include "repl.h"

#include <glob.h>
#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "line.h"

static pl_host *volatile armed;

/* Whichever thread the signal came to; and what may run within that host. */
static void on_interrupt(int number) {
  (void)number;
  pl_host_interrupt();
  pl_host_stop(armed);
}

void pl_arm_interrupt(pl_host *host) {
  armed = host;
  struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESETHAND};
  sigaction(SIGINT, &action, NULL);
}

static void print_error(const pl_host *host) {
  fflush(stdout);
  if (pl_host_interrupted(host)) fputs("interrupted\n", stderr);
  else fprintf(stderr, "%s\n", pl_host_error(host));
}

/* Runs the function below `nargs` arguments; Ctrl-C stops it. Says what failed. */
static bool call(pl_host *host, int nargs, int nresults) {
  bool good;
  pl_arm_interrupt(host);
  good = pl_host_call(host, nargs, nresults);
  if (!good) print_error(host);
  fflush(stdout);
  return good;
}

/* Pushes require(module)[field]; false, and nothing pushed, if it does not load. */
static bool push_library(pl_host *host, const char *module, const char *field) {
  lua_State *L = pl_host_lua(host);
  lua_getglobal(L, "require");
  lua_pushstring(L, module);
  if (!pl_host_call(host, 1, 1)) return false;
  lua_getfield(L, -1, field);
  lua_remove(L, -2);
  return true;
}

/*
** Completion
*/

/* Pushes the pattern that matches every path which starts with `prefix`. */
static const char *push_pattern(lua_State *L, const char *prefix) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (; *prefix != '\0'; prefix++) {
    if (strchr("*?[\\", *prefix) != NULL) luaL_addchar(&b, '\\');
    luaL_addchar(&b, *prefix);
  }
  luaL_addchar(&b, '*');
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}

/* files(prefix) -> list of paths, folders with a slash at the end */
static int list_files(lua_State *L) {
  const char *pattern = push_pattern(L, luaL_checkstring(L, 1));
  glob_t found = {0};
  lua_newtable(L);
  if (glob(pattern, GLOB_MARK, NULL, &found) == 0) {
    for (size_t i = 0; i < found.gl_pathc; i++) {
      lua_pushstring(L, found.gl_pathv[i]);
      lua_seti(L, -2, (lua_Integer)i + 1);
    }
  }
  globfree(&found);
  return 1;
}

static char *copy_string(lua_State *L, int i) {
  const char *s = lua_tostring(L, i);
  return s != NULL && *s != '\0' ? strdup(s) : NULL;
}

/* perilune.help.complete.complete(text, width, files) -> text to insert, list to show */
static char *complete(void *user, const char *text, int width, char **list) {
  pl_host *host = user;
  lua_State *L = pl_host_lua(host);
  int top = lua_gettop(L);
  char *insert = NULL;
  if (push_library(host, "perilune.help.complete", "complete")) {
    lua_pushstring(L, text);
    lua_pushinteger(L, width);
    lua_pushcfunction(L, list_files);
    if (pl_host_call(host, 3, 2)) {
      insert = copy_string(L, -2);
      *list = copy_string(L, -1);
    }
  }
  lua_settop(L, top);
  return insert;
}

/*
** Reading
*/

/* Pushes _PROMPT or _PROMPT2 as a string. */
static const char *push_prompt(lua_State *L, bool first) {
  if (lua_getglobal(L, first ? "_PROMPT" : "_PROMPT2") == LUA_TNIL)
    lua_pushstring(L, first ? "> " : ">> ");
  else luaL_tolstring(L, -1, NULL);
  lua_remove(L, -2);
  return lua_tostring(L, -1);
}

/* Pushes a line, or nothing. */
static pl_line_status push_line(lua_State *L, bool first) {
  char *line = NULL;
  pl_line_status status = pl_line_read(push_prompt(L, first), &line);
  lua_pop(L, 1);
  if (status == PL_LINE_OK) lua_pushstring(L, line);
  free(line);
  return status;
}

/* Whether loading failed because the text ends too early. */
static bool is_incomplete(lua_State *L, int status) {
  static const char mark[] = "<eof>";
  size_t n;
  const char *message = lua_tolstring(L, -1, &n);
  if (status != LUA_ERRSYNTAX || n < sizeof mark - 1) return false;
  return strcmp(message + n - (sizeof mark - 1), mark) == 0;
}

/* Pushes the function that returns the values of the expression, or nothing. */
static bool push_expression(lua_State *L) {
  const char *text = lua_pushfstring(L, "return %s", lua_tostring(L, -1));
  bool good = luaL_loadbuffer(L, text, strlen(text), "=stdin") == LUA_OK;
  lua_remove(L, -2);
  if (!good) lua_pop(L, 1);
  return good;
}

/* Pushes the function of the statement, or a message; reads on while it is open. */
static pl_line_status push_statement(lua_State *L, int *status) {
  for (;;) {
    size_t n;
    const char *text = lua_tolstring(L, 1, &n);
    pl_line_status more;
    *status = luaL_loadbuffer(L, text, n, "=stdin");
    if (!is_incomplete(L, *status)) return PL_LINE_OK;
    more = push_line(L, false);
    if (more == PL_LINE_INTERRUPTED) return more;
    if (more == PL_LINE_END) return PL_LINE_OK; /* with the message */
    lua_pushliteral(L, "\n");
    lua_replace(L, 2); /* the message */
    lua_concat(L, 3);
  }
}

/* Says once that a local variable ends with its line. */
static void warn_local(const char *text) {
  static bool said;
  text += strspn(text, " \t");
  if (said || strncmp(text, "local", 5) != 0 || strchr(" \t", text[5]) == NULL) return;
  said = true;
  fputs("note: locals do not survive their line here; leave out `local`\n", stderr);
}

/* Leaves only the function, or a message and a status that is not LUA_OK, on the stack. */
static pl_line_status read_chunk(lua_State *L, int *status) {
  pl_line_status read;
  lua_settop(L, 0);
  read = push_line(L, true);
  if (read != PL_LINE_OK) return read;
  *status = LUA_OK;
  if (!push_expression(L)) read = push_statement(L, status);
  if (read != PL_LINE_OK) return read;
  pl_line_remember(lua_tostring(L, 1));
  if (*status == LUA_OK) warn_local(lua_tostring(L, 1));
  lua_remove(L, 1);
  return read;
}

/*
** Evaluating
*/

/* Shows all values on the stack. */
static void show(pl_host *host) {
  lua_State *L = pl_host_lua(host);
  int n = lua_gettop(L);
  if (n == 0) return;
  luaL_checkstack(L, 8, "too many results to show");
  if (!push_library(host, "perilune.help.inspect", "show")) lua_getglobal(L, "print");
  lua_insert(L, 1);
  call(host, n, 0);
}

static void evaluate(pl_host *host, int status) {
  lua_State *L = pl_host_lua(host);
  if (status != LUA_OK) {
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    return;
  }
  if (call(host, 0, LUA_MULTRET)) show(host);
}

static void set_globals(pl_host *host) {
  lua_State *L = pl_host_lua(host);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "perilune.help");
  if (call(host, 1, 1)) lua_setglobal(L, "help");
}

void pl_repl(pl_host *host) {
  lua_State *L = pl_host_lua(host);
  pl_line_status read;
  int status;
  set_globals(host);
  pl_line_open("perilune", complete, host);
  while ((read = read_chunk(L, &status)) != PL_LINE_END) {
    if (read == PL_LINE_OK) evaluate(host, status);
  }
  lua_settop(L, 0);
  pl_line_close();
}
