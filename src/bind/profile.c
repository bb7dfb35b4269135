/*
** profile.c: profiles, as rows; perilune.profile makes tables of them.
*/
#include "bind.h"

static int profile_start(lua_State *L) {
  plb_enter(L);
  pl_profile_start();
  return 0;
}

static int profile_stop(lua_State *L) {
  plb_enter(L);
  pl_profile_stop();
  return 0;
}

static int profile_owner(lua_State *L) {
  lua_Integer owner = plb_whole(L, 1);
  plb_arg_check(L, owner >= 0 && owner < 1 << 30, 1, "0 to 2^30 expected");
  plb_enter(L);
  lua_pushinteger(L, pl_profile_owner((int)owner));
  return 1;
}

static void set_number(lua_State *L, const char *name, double value) {
  lua_pushnumber(L, value);
  lua_setfield(L, -2, name);
}

static int profile_rows(lua_State *L) {
  size_t n, now;
  plb_enter(L);
  pl_profile_rows(&n);
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    lua_createtable(L, 0, 7);
    const pl_profile_row *rows = pl_profile_rows(&now); /* a finaliser's ops may move them */
    const pl_profile_row row = rows[i];
    lua_pushstring(L, row.name);
    lua_setfield(L, -2, "name");
    lua_pushboolean(L, row.gradient);
    lua_setfield(L, -2, "gradient");
    lua_pushinteger(L, row.owner);
    lua_setfield(L, -2, "owner");
    lua_pushinteger(L, row.calls);
    lua_setfield(L, -2, "calls");
    set_number(L, "seconds", row.seconds);
    set_number(L, "flops", row.flops);
    set_number(L, "bytes", row.bytes);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static const plb_function functions[] = {
    {"profile_start", profile_start,
     "()\nForgets the profile that there was and begins another; see perilune.profile."},
    {"profile_stop", profile_stop, "()\nEnds the profile."},
    {"profile_owner", profile_owner,
     "(owner)\nFrom now on ops and their gradients belong to this owner, a number from 0; returns "
     "the one before."},
    {"profile_rows", profile_rows,
     "()\nThe profile as a list of tables: name of the op, gradient (whether it is that of the "
     "op), owner, calls, seconds, flops by formula, bytes of the tensors that went in and came "
     "out."},
    {NULL, NULL, NULL}};

void plb_open_profile(lua_State *L) { plb_add(L, "Profiles", functions, NULL); }
