/*
** sort.c: table.sort, as quicksort in place (Hoare, 1962) with the median of three as the pivot, the
** partition between two elements that stop its scans, and the smaller part sorted first (Sedgewick,
** "Implementing Quicksort programs", 1978).
**
**      lo                             hi - 1  hi
**     +----+--------------------------+-----+----+
**     | <= |  i -->            <-- j  |pivot| >= |
**     +----+--------------------------+-----+----+
**
** An order that is none, as of a function that always says yes, lets a scan run past the end of its
** range, which is an error.
*/
#include <lauxlib.h>
#include <limits.h>
#include <stdbool.h>

#include "long.h"
#include "tables.h"
#include "work.h"

typedef struct {
  pl_work work;
  bool by_function;
} sorter;

/* From this length on the pivot is not taken from the middle, where much data has its worst. */
enum { LONG_RANGE = 100 };

/* Whether the value at stack index a is less than that at b, both negative, by the function at 2. */
static bool less_by_function(lua_State *L, int a, int b) {
  lua_pushvalue(L, 2);
  lua_pushvalue(L, a - 1);
  lua_pushvalue(L, b - 2);
  lua_call(L, 2, 1);
  const bool is = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return is;
}

static inline bool less(sorter *s, int a, int b) {
  pl_work_step(&s->work);
  return s->by_function ? less_by_function(s->work.L, a, b)
                        : lua_compare(s->work.L, a, b, LUA_OPLT);
}

/* The two values on top become elements i (the topmost) and j. */
static void set_both(lua_State *L, lua_Integer i, lua_Integer j) {
  lua_seti(L, 1, i);
  lua_seti(L, 1, j);
}

/* Swaps elements i and j if they are in the wrong order; i < j. Returns whether they were. */
static bool order(sorter *s, lua_Integer i, lua_Integer j) {
  lua_geti(s->work.L, 1, i);
  lua_geti(s->work.L, 1, j);
  const bool wrong = less(s, -1, -2);
  if (wrong) set_both(s->work.L, i, j);
  else lua_pop(s->work.L, 2);
  return wrong;
}

static lua_Integer pivot_of(lua_Integer lo, lua_Integer hi) {
  const lua_Unsigned length = (lua_Unsigned)(hi - lo);
  if (length < LONG_RANGE) return lo + (lua_Integer)(length / 2);
  const lua_Unsigned mixed = ((lua_Unsigned)lo ^ length) * 0x9E3779B97F4A7C15u >> 32;
  return lo + (lua_Integer)(length / 4 + mixed % (length / 2));
}

static int bad_order(lua_State *L) { return luaL_error(L, "invalid order function for sorting"); }

/* Pushes element i, above the pivot. */
static bool less_than_pivot(sorter *s, lua_Integer i) {
  lua_geti(s->work.L, 1, i);
  return less(s, -1, -2);
}

/* Pushes element j, above element i. */
static bool pivot_is_less(sorter *s, lua_Integer j) {
  lua_geti(s->work.L, 1, j);
  return less(s, -3, -1);
}

/* The pivot is on top, and element hi - 1, which are popped; returns where it came to stand. */
static lua_Integer partition(sorter *s, lua_Integer lo, lua_Integer hi) {
  lua_State *L = s->work.L;
  lua_Integer i = lo, j = hi - 1;
  for (;;) {
    while (less_than_pivot(s, ++i)) {
      if (i == hi - 1) bad_order(L);
      lua_pop(L, 1);
    }
    while (pivot_is_less(s, --j)) {
      if (j < i) bad_order(L);
      lua_pop(L, 1);
    }
    if (j < i) break;
    set_both(L, i, j);
  }
  lua_pop(L, 1);
  lua_remove(L, -2); /* the pivot, which is element hi - 1 */
  lua_geti(L, 1, hi - 1);
  set_both(L, i, hi - 1);
  return i;
}

/* Orders the first, a middle and the last element; false if that was all. */
static bool place_median(sorter *s, lua_Integer lo, lua_Integer hi) {
  lua_State *L = s->work.L;
  order(s, lo, hi);
  if (hi - lo == 1) return false;
  const lua_Integer middle = pivot_of(lo, hi);
  if (!order(s, lo, middle)) order(s, middle, hi);
  if (hi - lo == 2) return false;
  lua_geti(L, 1, middle);
  lua_pushvalue(L, -1);
  lua_geti(L, 1, hi - 1);
  set_both(L, middle, hi - 1);
  return true;
}

static void sort_range(sorter *s, lua_Integer lo, lua_Integer hi) {
  while (lo < hi && place_median(s, lo, hi)) {
    const lua_Integer middle = partition(s, lo, hi);
    if (middle - lo < hi - middle) {
      sort_range(s, lo, middle - 1);
      lo = middle + 1;
    } else {
      sort_range(s, middle + 1, hi);
      hi = middle - 1;
    }
  }
}

static int sort(lua_State *L) {
  sorter s = {.work = pl_work_begin(L), .by_function = !lua_isnoneornil(L, 2)};
  const lua_Integer n = pl_check_length(L, 1, PL_READS | PL_WRITES);
  if (n < 2) return 0;
  luaL_argcheck(L, n < INT_MAX, 1, "array too big");
  if (s.by_function) luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  luaL_checkstack(L, 16, NULL);
  sort_range(&s, 1, n);
  return 0;
}

void pl_long_sort(lua_State *L) {
  static const luaL_Reg functions[] = {{"sort", sort}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
