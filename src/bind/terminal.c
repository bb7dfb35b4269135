/*
** terminal.c: the terminal and the clock as Lua functions.
*/
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/profile.h"
#include "bind.h"

static int io_isatty(lua_State *L) {
  lua_pushboolean(L, isatty((int)plb_whole(L, 1)));
  return 1;
}

/* Of the terminal on stderr or stdout, else $COLUMNS, else 80. */
static int io_terminal_width(lua_State *L) {
  struct winsize size = {0};
  int width = 0;
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
    width = size.ws_col;
  const char *columns = getenv("COLUMNS");
  if (width == 0 && columns) width = atoi(columns);
  lua_pushinteger(L, width > 0 ? width : 80);
  return 1;
}

static int io_clock(lua_State *L) {
  plb_enter(L);
  lua_pushnumber(L, pl_clock());
  return 1;
}

static const plb_function functions[] = {
    {"isatty", io_isatty, "(fd)\nWhether a file descriptor, 1 for output, is a terminal."},
    {"terminal_width", io_terminal_width, "()\nThe columns of the terminal; 80 if there is none."},
    {"clock", io_clock, "()\nSeconds from some fixed moment on, for measuring durations."},
    {NULL, NULL, NULL}};

void plb_open_terminal(lua_State *L) {
  plb_add(L, "The program and the computer", functions, NULL);
}
