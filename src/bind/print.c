/*
** print.c: how tensors are printed.
*/
#include <string.h>

#include "bind.h"

enum { NAMES = 4 };
static const char *const names[NAMES + 1] = {"precision", "threshold", "width", "edge_items", NULL};
static const lua_Integer least[NAMES] = {0, 0, 10, 1};
static const lua_Integer most[NAMES] = {17, 1 << 20, 1 << 20, 1 << 20};

static void read_settings(lua_State *L, int *const *settings) {
  for (int k = 0; k < NAMES; k++) {
    if (lua_getfield(L, 1, names[k]) != LUA_TNIL) {
      int exact;
      const lua_Integer v = lua_tointegerx(L, -1, &exact);
      if (!exact || lua_type(L, -1) != LUA_TNUMBER || v < least[k] || v > most[k])
        plb_error(L, "%s: integer from %d to %d expected, got %s", names[k], (int)least[k],
                  (int)most[k], plb_shown(L, -1));
      *settings[k] = (int)v;
    }
    lua_pop(L, 1);
  }
}

static int set_print(lua_State *L) {
  plb_enter(L);
  pl_print_options o = pl_get_print();
  int *const settings[NAMES] = {&o.precision, &o.threshold, &o.width, &o.edge_items};
  plb_need(L, 1, LUA_TTABLE);
  plb_check_options(L, 1, "set_print", names);
  lua_createtable(L, 0, NAMES);
  for (int k = 0; k < NAMES; k++) {
    lua_pushinteger(L, *settings[k]);
    lua_setfield(L, -2, names[k]);
  }
  read_settings(L, settings);
  pl_set_print(o);
  return 1;
}

static const plb_function functions[] = {
    {"set_print", set_print,
     "({precision=4, threshold=1000, width=80, edge_items=3})\nHow tensors are printed from now "
     "on: "
     "with so many decimals at most, in lines of so many characters, and of a tensor with more "
     "elements than the threshold the first and last edge_items of each dim. What is not given "
     "stays. The result is the settings as they were, to go back to."},
    {NULL, NULL, NULL}};

void plb_open_print(lua_State *L) { plb_add(L, "Asking and converting", functions, NULL); }
