/*
** inplace.c: methods whose names end in _ change the tensor and return it. None of
** them is recorded for gradients.
*/
#include "bind.h"

/* The target is argument 1, which must be one that may be changed. */
static void check_target(lua_State *L, const char *name) {
  if (!pl_may_change(name, plb_check(L, 1))) plb_raise(L);
}

/* Between these two the scope holds the target: return self(L, change(target(L), ...)). */
static pl_tensor *target(lua_State *L) {
  pl_scope_begin();
  return plb_hold(L, 1);
}

static int self(lua_State *L, bool ok) {
  pl_scope_end();
  if (!ok) return plb_raise(L);
  lua_settop(L, 1);
  return 1;
}

static int tensor_zero(lua_State *L) {
  check_target(L, "zero_");
  return self(L, pl_fill(target(L), 0));
}

/* Argument 2 is a tensor whose values are to be written into the target. */
static void check_source(lua_State *L, const char *name) {
  const pl_tensor *t = plb_check(L, 1);
  if (!pl_may_write(name, t, plb_check(L, 2))) plb_raise(L);
}

static int tensor_fill(lua_State *L) {
  if (plb_test(L, 2)) check_source(L, "fill_");
  check_target(L, "fill_");
  const double value = plb_number(L, 2);
  if (!pl_check_fits("fill_", pl_dtype_of(plb_check(L, 1)), value, -1)) return plb_raise(L);
  return self(L, pl_fill(target(L), value));
}

typedef bool randomize(pl_tensor *t, double a, double b);

static int fill_random(lua_State *L, const char *name, randomize *f) {
  check_target(L, name);
  const double a = plb_opt_number(L, 2, 0), b = plb_opt_number(L, 3, 1);
  return self(L, f(target(L), a, b));
}

static int tensor_uniform(lua_State *L) { return fill_random(L, "uniform_", pl_uniform); }
static int tensor_normal(lua_State *L) { return fill_random(L, "normal_", pl_normal); }

static int tensor_bernoulli(lua_State *L) {
  check_target(L, "bernoulli_");
  const double p = plb_opt_number(L, 2, 0.5);
  return self(L, pl_bernoulli(target(L), p));
}

/* Argument 2 as a tensor in the open scope: itself, or a number of the kind that the target has. */
static pl_tensor *operand(lua_State *L, const pl_tensor *to) {
  pl_tensor *t = plb_hold_if(L, 2);
  const pl_dtype dtype = pl_dtype_of(to) == PL_REAL ? PL_REAL : PL_INT32;
  return t ? t : pl_full(dtype, PL_ALL_DIMS, lua_tonumber(L, 2));
}

/* A tensor, or a number; a whole one for a target of integers. */
static void check_operand(lua_State *L, const char *name) {
  const pl_tensor *to = plb_check(L, 1);
  if (plb_test(L, 2)) check_source(L, name);
  else if (lua_type(L, 2) != LUA_TNUMBER) plb_expected(L, 2, "number or tensor");
  else if (pl_dtype_of(to) != PL_REAL && !pl_check_fits(name, PL_INT32, lua_tonumber(L, 2), -1))
    plb_raise(L);
}

static int tensor_copy(lua_State *L) {
  check_source(L, "copy_");
  pl_tensor *t = target(L);
  return self(L, pl_copy(t, plb_hold(L, 2)));
}

static int add_scaled(lua_State *L, double sign) {
  check_operand(L, sign > 0 ? "add_" : "sub_");
  const double alpha = plb_opt_number(L, 3, 1);
  pl_tensor *t = target(L);
  return self(L, pl_add_in_place(t, 1, operand(L, t), sign * alpha));
}

static int tensor_add(lua_State *L) { return add_scaled(L, 1); }
static int tensor_sub(lua_State *L) { return add_scaled(L, -1); }

static int scale(lua_State *L, bool divides) {
  check_operand(L, divides ? "div_" : "mul_");
  pl_tensor *t = target(L);
  return self(L, pl_mul_in_place(t, operand(L, t), divides));
}

static int tensor_mul(lua_State *L) { return scale(L, false); }
static int tensor_div(lua_State *L) { return scale(L, true); }

static const plb_function methods[] = {
    {"zero_", tensor_zero, "()\nSets all elements to 0, in place."},
    {"fill_", tensor_fill, "(value)\nSets all elements to a number, in place."},
    {"copy_", tensor_copy,
     "(source)\nCopies values of any dtype, which broadcast, into the tensor, in place; what does "
     "not fit its dtype is an error."},
    {"add_", tensor_add,
     "(x, alpha=1)\nAdds alpha times a number or a tensor, which broadcasts, in place."},
    {"sub_", tensor_sub,
     "(x, alpha=1)\nSubtracts alpha times a number or a tensor, which broadcasts, in place."},
    {"mul_", tensor_mul, "(x)\nMultiplies by a number or a tensor, which broadcasts, in place."},
    {"div_", tensor_div, "(x)\nDivides by a number or a tensor, which broadcasts, in place."},
    {"uniform_", tensor_uniform,
     "(low=0, high=1)\nFills with uniform random numbers in [low, high), in place."},
    {"normal_", tensor_normal, "(mean=0, std=1)\nFills with normal random numbers, in place."},
    {"bernoulli_", tensor_bernoulli,
     "(p=0.5)\nFills with 1 with probability p and else 0, in place."},
    {NULL, NULL, NULL}};

void plb_open_inplace(lua_State *L) { plb_add(L, "In place", NULL, methods); }
