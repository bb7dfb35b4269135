/*
** core.c: the module perilune.core: one table with all that the binding has. The texts of
** its functions and methods are in its field `docs`; help() and the reference page read them.
*/
#include <string.h>

#include "bind.h"

static int core_memory(lua_State *L) {
  plb_enter(L); /* what a dead coroutine had in tidy ends */
  pl_stats s = {.size = sizeof s};
  pl_stats_now(&s);
  const struct {
    const char *name;
    int64_t value;
  } figures[] = {{"tensors", s.tensors},
                 {"live_bytes", s.tensor_bytes},
                 {"graph_bytes", s.graph_bytes},
                 {"peak_bytes", s.peak_bytes},
                 {"cached_bytes", s.cached_bytes}};
  lua_newtable(L);
  for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
    lua_pushinteger(L, figures[i].value);
    lua_setfield(L, -2, figures[i].name);
  }
  return 1;
}

static int core_memory_limit(lua_State *L) {
  lua_Integer n = plb_opt_whole(L, 1, -1);
  plb_arg_check(L, lua_isnoneornil(L, 1) || n >= 0, 1, "a number of bytes of at least 0 expected");
  plb_enter(L);
  lua_pushinteger(L, pl_memory_limit(n));
  return 1;
}

static int core_threads(lua_State *L) {
  lua_Integer n = plb_opt_whole(L, 1, 0);
  plb_arg_check(L, n >= 0 && n <= 4096, 1, "1 to 4096 threads expected");
  plb_enter(L);
  lua_pushinteger(L, pl_threads((int)n));
  return 1;
}

static int core_isa(lua_State *L) {
  lua_pushstring(L, pl_isa());
  return 1;
}

static int core_blas(lua_State *L) {
  lua_pushstring(L, pl_blas());
  return 1;
}

static int core_fail_after(lua_State *L) {
  plb_enter(L);
  pl_memory_fail_after(plb_opt_whole(L, 1, -1));
  return 0;
}

static const plb_function memory[] = {
    {"memory", core_memory,
     "()\nA table: tensors alive, live_bytes of their storage, of which graph_bytes are held by "
     "what "
     "was recorded for gradients, peak_bytes, the most there were, cached_bytes kept for reuse."},
    {"memory_limit", core_memory_limit,
     "(bytes?)\nSets how many bytes of tensors may be live, if a number is given, beyond which an "
     "error is raised; 0: any number. Returns the limit there was."},
    {NULL, NULL, NULL}};

static const plb_function functions[] = {
    {"threads", core_threads,
     "(n?)\nSets how many threads the kernels use, if n is given; returns how many they use."},
    {"isa", core_isa,
     "()\nThe instruction set of the kernels in use: \"avx512\", \"avx2\" or \"generic\"."},
    {"blas", core_blas, "()\nThe BLAS library and the processor that it was tuned for."},
    {"fail_after", core_fail_after,
     "(n=-1)\nFor tests: the n-th allocation from now fails, and all after it; -1 ends that."},
    {NULL, NULL, NULL}};

/*
** Rows of functions
*/

/* Pushes the list of names with this title in the list of groups at 4, added if it is new. */
static void push_group(lua_State *L, const char *title) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, 4);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, 4, i);
    lua_getfield(L, -1, "title");
    const bool found = strcmp(lua_tostring(L, -1), title) == 0;
    lua_pop(L, 1);
    if (found) return;
    lua_pop(L, 1);
  }
  lua_newtable(L);
  lua_pushstring(L, title);
  lua_setfield(L, -2, "title");
  lua_pushvalue(L, -1);
  lua_rawseti(L, 4, n + 1);
}

void plb_add_to_group(lua_State *L, const char *title, const char *name) {
  push_group(L, title);
  lua_pushstring(L, name);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 1);
}

/* Sets the rows as fields of the table at `to`, and their texts under prefix .. name at 3. */
static void add_rows(lua_State *L, const char *group, const plb_function *rows, int to,
                     const char *prefix) {
  for (; rows && rows->name; rows++) {
    lua_pushfstring(L, "%s%s", prefix, rows->name);
    lua_pushcfunction(L, rows->f);
    plb_name_function(L, lua_tostring(L, -2));
    lua_setfield(L, to, rows->name);
    lua_pushfstring(L, "%s%s%s", prefix, rows->name, rows->doc);
    lua_rawset(L, 3);
    plb_add_to_group(L, group, rows->name);
  }
}

void plb_add(lua_State *L, const char *group, const plb_function *functions_,
             const plb_function *methods_) {
  add_rows(L, group, functions_, 1, "");
  add_rows(L, group, methods_, 2, "tensor:");
}

/*
** The module
*/

static void set_constants(lua_State *L) {
  lua_pushliteral(L, PL_VERSION);
  lua_setfield(L, 1, "version");
  lua_pushstring(L, sizeof(pl_real) == sizeof(double) ? "double" : "float");
  lua_setfield(L, 1, "real");
}

LUAMOD_API int luaopen_perilune_core(lua_State *L) {
  lua_settop(L, 0);
  if (!plb_state_of(L)) plb_begin(L, NULL);
  for (int i = 0; i < 4; i++) lua_newtable(L); /* module, methods of tensors, texts, groups */
  plb_open_box(L);
  plb_open_tensor(L);
  plb_open_print(L);
  plb_open_rows(L);
  plb_open_chain(L);
  plb_open_inplace(L);
  plb_open_grad(L);
  plb_open_custom(L);
  plb_open_trace(L);
  plb_open_anomaly(L);
  plb_add(L, "Memory", memory, NULL);
  plb_open_random(L);
  plb_open_optim(L);
  plb_open_profile(L);
  lua_pushvalue(L, 4);
  lua_setfield(L, 1, "groups");
  lua_pushvalue(L, 3);
  lua_setfield(L, 1, "docs");
  lua_pushvalue(L, 2);
  lua_setfield(L, 1, "methods");
  set_constants(L);
  plb_open_archive(L);
  plb_open_json(L);
  plb_open_images(L);
  plb_open_transforms(L);
  plb_open_loader(L);
  plb_open_numpy(L);
  plb_open_tables(L);
  plb_open_files(L);
  plb_open_canvas(L);
  plb_open_frechet(L);
  plb_open_learn(L);
  plb_open_terminal(L);
  plb_add(L, "The program and the computer", functions, NULL);
  lua_settop(L, 1);
  return 1;
}
