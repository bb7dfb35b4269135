/*
** tables.h: what the functions on tables share.
*/
#ifndef PERILUNE_TABLES_H
#define PERILUNE_TABLES_H

#include <lua.h>

enum { PL_READS = 1, PL_WRITES = 2, PL_MEASURES = 4 };

/* Raises unless the argument is a table or has metamethods to be used as one in these ways. */
void pl_check_table(lua_State *L, int arg, int uses);
/* The same with PL_MEASURES, and its length. */
lua_Integer pl_check_length(lua_State *L, int arg, int uses);

#endif
