/*
** frechet.c: the Fréchet distance as a Lua function.
*/
#include "../learn/frechet.h"

#include "bind.h"

static int learn_frechet(lua_State *L) {
  double distance = 0;
  plb_check(L, 1), plb_check(L, 2);
  plb_make_room(L, 0);
  pl_scope_begin();
  const bool ok = pl_frechet(plb_hold_read(L, 1), plb_hold_read(L, 2), &distance);
  pl_scope_end();
  if (!ok) return plb_raise(L);
  lua_pushnumber(L, distance);
  return 1;
}

static const plb_function functions[] = {
    {"frechet", learn_frechet,
     "(a, b)\nThe squared Fréchet distance between the normal distributions with the means and "
     "covariances of the rows of two tensors [n,d], a number: |mean_a - mean_b|^2 + tr(S_a + S_b "
     "- 2 (S_a S_b)^(1/2))."},
    {NULL, NULL, NULL}};

void plb_open_frechet(lua_State *L) { plb_add(L, "Distances", functions, NULL); }
