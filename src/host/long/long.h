/*
** long.h: Lua's own functions that can run long, written anew so that they can be stopped.
**
** A hook stops what Lua runs, but one call of a stock function may take years:
** (""):rep(1 << 50, ""), table.move({}, 1, 1 << 50, 2), a pattern that tries all ways to match. These
** look at the interrupt flag of the context that is entered, and raise "interrupted!" when it is
** set. Else they do what the stock ones do, by the reference manual of Lua 5.4, messages included.
**
** Stock are those that copy once, or look at each of a million arguments at most: string.char, len and
** sub. Between two looks there may be what Lua does at once: a copy, comparison, hash or conversion of
** a string, a stack that grows, a cycle of the collector.
*/
#ifndef PERILUNE_LONG_H
#define PERILUNE_LONG_H

#include <lua.h>

/* As luaL_loadbufferx and luaL_loadfilex, in hosts of all kinds. */
int pl_long_load_text(lua_State *L, const char *text, const char *name, const char *mode);
int pl_long_load_file(lua_State *L, const char *path, const char *mode);

/* Puts them into the tables string (in which methods of strings are found), table, utf8, io, os,
 * package and _G, as far as these are open: before a policy takes functions away, and before anything keeps some. */
void pl_long_install(lua_State *L);

/*
** For the files of this folder: each adds its functions to a library, the table on top
*/

void pl_long_strings(lua_State *L); /* strings.c */
void pl_long_format(lua_State *L);  /* format.c */
void pl_long_search(lua_State *L);  /* search.c */
void pl_long_pack(lua_State *L);    /* pack.c */
void pl_long_tables(lua_State *L);  /* tables.c */
void pl_long_sort(lua_State *L);    /* sort.c */
void pl_long_utf8(lua_State *L);    /* utf8.c */
void pl_long_load(lua_State *L);    /* load.c */
void pl_long_package(lua_State *L);
void pl_long_dates(lua_State *L); /* dates.c */
void pl_long_write(lua_State *L); /* write.c */
void pl_long_print(lua_State *L);

#endif
