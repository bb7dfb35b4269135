/*
** module.h: how `require` finds perilune.core and the Lua library. Used by the host and,
** alone, as the module perilune.so for a stock Lua.
**
** The files under lua/ are compiled in (embedded.c, written by scripts/embed.py). A file
** in the folder $PERILUNE_LUA_PATH goes first, and so does one in the source tree for
** products that still lie in the build folder.
*/
#ifndef PERILUNE_MODULE_H
#define PERILUNE_MODULE_H

#include <lua.h>
#include <stddef.h>

typedef struct {
  const char *module; /* "perilune.nn" */
  const char *chunk;  /* "@perilune/nn.lua" */
  const char *text;
  size_t size;
} pl_embedded;

/* In the order of the module names; the last row has no module. */
extern const pl_embedded pl_embedded_lua[];

/* Registers the preloads and the searcher. */
void pl_modules_install(lua_State *L);
/* Pushes what require gives the library's own files for a module, whatever scripts may have. */
void pl_modules_require(lua_State *L, const char *module);

#endif
