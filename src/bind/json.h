/*
** json.h: JSON texts to and from Lua values.
*/
#ifndef PERILUNE_JSON_H
#define PERILUNE_JSON_H

#include <lua.h>

/*
** json_encode(value[, {nan="null"}]) -> string. Tables with the keys 1..n are arrays, all
** others, and empty ones, objects with their keys in order. Raises an error that names
** the place, for instance `options.sizes[3]`, of what JSON cannot hold.
*/
int plb_json_encode(lua_State *L);
/* json_decode(text[, null]) -> value | nil, message. `null`, nil if absent, stands for null. */
int plb_json_decode(lua_State *L);

#endif
