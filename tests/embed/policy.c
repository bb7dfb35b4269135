/*
** policy.c: hosts with a policy. What hostile scripts try (tests/sandbox/escapes.lua) is stopped, what
** scripts need (works.lua) works, and files outside of the folders are what they were. Through the
** public headers alone.
**
** usage: policy FOLDER    the folder tests/sandbox
*/
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* renameat2, not everywhere declared */
#endif
#include <dirent.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"

/*
** A folder of the script's, another beside it, and ways between them
*/

enum { ROOM = 512 };
typedef struct {
  char top[ROOM], box[ROOM + 8], outside[ROOM + 8];
} world;

static const char *join(const char *folder, const char *name) {
  static char paths[4][2 * ROOM]; /* of the last calls */
  static unsigned turn;
  char path[2 * ROOM];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return strcpy(paths[turn++ % 4], path);
}

static void put(const char *path, const char *text) {
  FILE *f = fopen(path, "w");
  if (!f || fputs(text, f) < 0 || fclose(f) != 0) perror(path), exit(1);
}

static bool holds(const char *path, const char *text) {
  char found[64] = "";
  FILE *f = fopen(path, "r");
  const size_t n = f ? fread(found, 1, sizeof found - 1, f) : 0;
  if (f) fclose(f);
  return n == strlen(text) && strcmp(found, text) == 0;
}

static int count_files(const char *folder) {
  DIR *d = opendir(folder);
  int n = 0;
  while (d && readdir(d)) n++;
  if (d) closedir(d);
  return n - 2;
}

static void make_socket(const char *path) {
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (strlen(path) < sizeof a.sun_path) strcpy(a.sun_path, path);
  if (fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) != 0) perror("bind");
  if (fd >= 0) close(fd);
}

static const char *const outside_files[] = {"secret",          "code.lua", "image.png",
                                            "net.safetensors", "svm",      "images.idx"};
enum { OUTSIDE = sizeof outside_files / sizeof *outside_files };

static void make_links(const world *w) {
  const struct {
    const char *to, *name;
  } links[] = {{join(w->outside, "secret"), "to_file"},
               {w->outside, "to_folder"},
               {"/", "to_root"},
               {"/proc/self", "to_proc"},
               {"..", "up"},
               {"../outside/secret", "relative"},
               {"to_folder", "chain"},
               {"../outside/new", "dangling"}};
  for (size_t i = 0; i < sizeof links / sizeof *links; i++)
    if (symlink(links[i].to, join(w->box, links[i].name)) != 0) perror("symlink"), exit(1);
}

static void make_world(world *w) {
  snprintf(w->top, sizeof w->top, "%s/perilune-XXXXXX",
           getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
  if (!mkdtemp(w->top)) perror("mkdtemp"), exit(1);
  snprintf(w->box, sizeof w->box, "%s/box", w->top);
  snprintf(w->outside, sizeof w->outside, "%s/outside", w->top);
  mkdir(w->box, 0777);
  mkdir(w->outside, 0777);
  mkdir(join(w->box, "folder"), 0777);
  mkdir(join(w->top, "boxside"), 0777);
  put(join(join(w->top, "boxside"), "secret"), "loot");
  for (int i = 0; i < OUTSIDE; i++)
    put(join(w->outside, outside_files[i]), i == 1 ? "return 'loot'" : "loot");
  make_links(w);
  mkfifo(join(w->box, "pipe"), 0666);
  make_socket(join(w->box, "socket"));
}

static void check_outside(const world *w) {
  check(count_files(w->outside) == OUTSIDE, "no file came or went outside");
  for (int i = 0; i < OUTSIDE; i++)
    check(holds(join(w->outside, outside_files[i]), i == 1 ? "return 'loot'" : "loot"),
          outside_files[i]);
  check(access("/tmp/perilune_policy_test", F_OK) != 0, "nothing in /tmp");
  check(access("/dev/shm/perilune_policy_test", F_OK) != 0, "nothing in /dev/shm");
}

static void remove_world(const world *w) {
  char command[2 * ROOM];
  snprintf(command, sizeof command, "rm -rf '%s'", w->top);
  if (system(command) != 0) puts("the folder of the test is left");
}

/*
** Hosts
*/

static void swallow(void *user, int stream, const char *text, size_t size) {
  char *last = user;
  (void)stream;
  if (last && size && size < 64) memcpy(last, text, size), last[size] = '\0';
}

static pl_host *open_host(const pl_policy *policy, char *said) {
  pl_host *h = pl_host_open(&(pl_host_options){
      .size = sizeof(pl_host_options), .policy = policy, .write = swallow, .user = said});
  if (!h) printf("%s\n", pl_error());
  return h;
}

/* One that may write into the box, its home, and nothing else. */
static pl_host *open_box(const world *w, char *said) {
  const char *const folders[] = {w->box, NULL};
  pl_host *h =
      open_host(&(pl_policy){.size = sizeof(pl_policy), .write = folders, .home = w->box}, said);
  if (!h) exit(1);
  lua_State *L = pl_host_lua(h);
  lua_pushstring(L, w->box);
  lua_setglobal(L, "box");
  lua_pushstring(L, w->outside);
  lua_setglobal(L, "outside");
  return h;
}

static bool run(pl_host *h, const char *code) { return pl_host_run_string(h, code, "=policy"); }

static void must(pl_host *h, const char *code) {
  check(run(h, code), code);
  if (pl_host_error_code(h)) printf("%s\n", pl_host_error(h));
}

static void must_fail(pl_host *h, const char *code, const char *message) {
  check(!run(h, code), code);
  if (pl_host_error_code(h) && !strstr(pl_host_error(h), message))
    check(false, message), printf("%s\n", pl_host_error(h));
}

/*
** The library's own tables: those of its modules, of Lua's libraries, and their metatables
*/

static const char set_key = 0; /* registry: table -> true */

/* Adds the table on top with all in it to the set at index 1, and pops it. */
static void add_inner(lua_State *L) {
  lua_pushvalue(L, -1);
  const bool known = lua_rawget(L, 1) != LUA_TNIL;
  lua_pop(L, 1);
  if (known || !lua_checkstack(L, 10)) return lua_pop(L, 1);
  lua_pushvalue(L, -1);
  lua_pushboolean(L, true);
  lua_rawset(L, 1);
  if (lua_getmetatable(L, -1)) add_inner(L);
  for (lua_pushnil(L); lua_next(L, -2);) {
    if (lua_istable(L, -1)) add_inner(L);
    else lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static bool is_library(const char *name) {
  static const char *const lua[] = {"string", "table", "math", "utf8", "coroutine", "io", "os"};
  for (size_t i = 0; i < sizeof lua / sizeof *lua; i++)
    if (strcmp(name, lua[i]) == 0) return true;
  return strncmp(name, "perilune", 8) == 0;
}

static int gather(lua_State *L) {
  lua_settop(L, 0);
  lua_newtable(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (lua_pushnil(L); lua_next(L, 2);) {
    if (lua_istable(L, -1) && is_library(lua_tostring(L, -2))) add_inner(L);
    else lua_pop(L, 1);
  }
  luaL_getmetatable(L, "perilune.tensor");
  add_inner(L);
  luaL_getmetatable(L, LUA_FILEHANDLE);
  add_inner(L);
  lua_pushliteral(L, "");
  if (lua_getmetatable(L, -1)) add_inner(L);
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &set_key);
  return 0;
}

static int is_inner(lua_State *L) {
  lua_settop(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &set_key);
  if (lua_isnil(L, 1)) return 0;
  lua_pushvalue(L, 1);
  lua_rawget(L, 2);
  return 1;
}

/*
** Tests
*/

static int attempts;

/* attempt(name, ok, loot) */
static int attempt(lua_State *L) {
  const bool escaped = lua_toboolean(L, 2) && !lua_isnoneornil(L, 3);
  attempts++;
  if (escaped) printf("escaped: %s gives %s\n", luaL_checkstring(L, 1), luaL_tolstring(L, 3, NULL));
  check(!escaped, "an escape is stopped");
  return 0;
}

static const char runner[] =
    "local attempt, pcall, output, out = attempt, pcall, io.output, io.stdout\n"
    "local list = {}\n"
    "for name in pairs(escapes) do list[#list + 1] = name end\n"
    "table.sort(list)\n"
    "for _, name in ipairs(list) do\n"
    "  attempt(name, pcall(escapes[name]))\n"
    "  output(out)\n"
    "end\n";

static void test_escapes(const world *w, const char *folder) {
  pl_host *h = open_box(w, NULL);
  lua_State *L = pl_host_lua(h);
  must(h, "for _ in pairs(require 'perilune') do end");
  lua_pushcfunction(L, gather);
  if (!pl_host_call(h, 0, 0)) check(false, pl_host_error(h));
  lua_register(L, "is_inner", is_inner);
  lua_register(L, "attempt", attempt);
  if (luaL_loadfile(L, join(folder, "escapes.lua")) != LUA_OK || !pl_host_call(h, 0, 1))
    puts(pl_host_error(h)), exit(1);
  lua_setglobal(L, "escapes");
  must(h, runner);
  check(attempts >= 60, "there are escapes");
  check_outside(w);
  pl_host_close(h);
}

static void test_works(const world *w, const char *folder) {
  char last[64] = "";
  pl_host *h = open_box(w, last);
  if (!pl_host_run_file(h, join(folder, "works.lua"))) check(false, pl_host_error(h));
  check(strcmp(last, "works\n") == 0, "a script works to its end");
  check(access(join(w->box, "net.safetensors"), R_OK) == 0, "the network is there");
  check(access(join(w->box, "loss.png"), R_OK) == 0, "the plot is there");
  check(count_files(join(w->box, "runs")) == 1, "the run is there");
  pl_net *net = pl_net_load(h, "net.safetensors");
  check(net != NULL, "the program loads the network");
  pl_net_close(net);
  must(h, "net = require('perilune').nn.Linear(2, 3) function double(x) return 2 * x end");
  net = pl_net_find(h, "net");
  check(net != NULL, "the program finds a network");
  pl_net_close(net);
  pl_scope_begin();
  pl_tensor *in = pl_full(PL_REAL, pl_list(1, 2), 1), *out = NULL;
  check(pl_host_call_tensors(h, "double", 1, &in, 1, &out), "the program calls a function");
  pl_scope_end();
  check(!pl_net_load(h, join(w->outside, "net.safetensors")), "also for it the policy holds");
  pl_host_close(h);
  check_outside(w);
}

/* Folders that may be read; what lies in both; a home elsewhere. */
static void test_folders(const world *w) {
  const char *const folders[] = {w->outside, NULL}, *const none[] = {NULL};
  pl_host *h = open_host(
      &(pl_policy){.size = sizeof(pl_policy), .read = folders, .write = none, .home = w->top},
      NULL);
  must(h, "assert(io.open('outside/secret'):read 'a' == 'loot')");
  must(h, "assert(not io.open('outside/secret', 'a'))");
  must(h, "assert(not io.open('outside/secret', 'r+'))");
  must(h, "assert(not require('perilune').write_file('outside/new', ''))");
  must(h, "assert(not os.remove 'outside/secret')");
  must(h, "package.path = 'outside/?.lua'; assert(require 'code' == 'loot')");
  must(h, "assert(not io.open 'box/folder')");
  pl_host_close(h);
  check_outside(w);
  h = open_host(&(pl_policy){.size = sizeof(pl_policy)}, NULL);
  must(h, "assert(not io.open '.' and not io.open 'x' and not io.open '/')");
  must(h, "local pl = require 'perilune'; assert(pl.nn.Linear(2, 1)(pl.ones(1, 2)))");
  must(h, "assert(not require('perilune').save('x', {}))");
  pl_host_close(h);
}

static void test_allowed(void) {
  pl_host *h =
      open_host(&(pl_policy){.size = sizeof(pl_policy),
                             .allow = PL_ALLOW_CLOCK | PL_ALLOW_RANDOM | PL_ALLOW_ENVIRONMENT},
                NULL);
  must(h, "assert(os.time() > 1e9 and os.clock() >= 0 and os.date())");
  must(h, "assert(require('perilune').clock() > 0)");
  must(h, "math.randomseed()");
  must(h, "assert(os.getenv 'PATH')");
  must(h, "assert(not os.execute and not io.popen)");
  pl_host_close(h);
}

static void test_refused_policies(const world *w) {
  const char *const folders[] = {join(w->top, "nowhere"), NULL};
  const pl_policy bad[] = {{.size = sizeof(pl_policy), .allow = 1 << 20},
                           {.size = sizeof(pl_policy), .read = folders},
                           {.size = sizeof(pl_policy), .write = folders},
                           {.size = sizeof(pl_policy), .home = folders[0]},
                           {.size = 3}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    pl_host *h =
        pl_host_open(&(pl_host_options){.size = sizeof(pl_host_options), .policy = &bad[i]});
    check(!h && pl_error() && strstr(pl_error(), "pl_host_open: "),
          "a policy that cannot be is refused");
    pl_error_clear();
    pl_host_close(h);
  }
}

/* The program gives a chunk of the script's author. */
static void test_bytecode(const world *w) {
  pl_host *h = open_box(w, NULL);
  must_fail(h, "\x1bLua", "attempt to load a binary chunk");
  put(join(w->box, "bytes.lua"), "\x1bLua");
  check(!pl_host_run_file(h, join(w->box, "bytes.lua")), "a file with bytecode is not run");
  must_fail(h, "os.exit(0)", "os.exit is not allowed by the policy of this host");
  must_fail(h, "require('perilune').load_ops 'x.so'", "load_ops is not allowed");
  must_fail(h, "string.rep = 1", "scripts can only read");
  pl_host_close(h);
}

/* Two hosts with folders of their own, and one without a policy, in one thread. */
static int read_in(lua_State *L) {
  pl_host *other = lua_touserdata(L, lua_upvalueindex(1));
  must(other, "assert(io.open 'folder' and not io.open(outside .. '/secret'))");
  return 0;
}

static void test_neighbours(const world *w) {
  pl_host *boxed = open_box(w, NULL), *open = open_host(NULL, NULL);
  lua_State *L = pl_host_lua(open);
  lua_pushlightuserdata(L, boxed);
  lua_pushcclosure(L, read_in, 1);
  lua_setglobal(L, "read_in");
  lua_pushstring(L, join(w->outside, "secret"));
  lua_setglobal(L, "secret");
  must(open, "read_in() assert(require('perilune').read_file(secret) == 'loot')");
  must(open, "assert(io.popen and os.exit and debug.getinfo and string.dump and package.loadlib)");
  must(open, "string.own = 1; assert(getmetatable('').__index == string)");
  must(boxed, "assert(not string.own)");
  pl_host_close(boxed);
  must(open, "assert(io.open(secret))");
  pl_host_close(open);
}

/* A folder and a link out of the box change places all the time. */
static atomic_bool racing;
static atomic_int swaps;

static void *swap(void *user) {
  const world *w = user;
  char a[2 * ROOM], b[2 * ROOM];
  snprintf(a, sizeof a, "%s/race", w->box);
  snprintf(b, sizeof b, "%s/other", w->box);
  while (racing)
    if (renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) == 0) swaps++;
  return NULL;
}

static const char racer[] =
    "local pl = require 'perilune'\n"
    "local read = 0\n"
    "for i = 1, 4000 do\n"
    "  local f = io.open 'race/secret'\n"
    "  if f then read = read + 1 assert(f:read 'a' == 'mine') f:close() end\n"
    "  local text = pl.read_file 'race/secret'\n"
    "  assert(not text or text == 'mine')\n"
    "  local g = io.open('race/new', 'w')\n"
    "  if g then g:close() end\n"
    "  pl.write_file('race/whole', 'x')\n"
    "  os.remove 'race/whole'\n"
    "end\n"
    "assert(read > 0, 'never read')\n";

static void test_races(const world *w) {
  pthread_t t;
  mkdir(join(w->box, "race"), 0777);
  put(join(join(w->box, "race"), "secret"), "mine");
  if (symlink(w->outside, join(w->box, "other")) != 0) perror("symlink");
  pl_host *h = open_box(w, NULL);
  racing = true;
  pthread_create(&t, NULL, swap, (void *)w);
  must(h, racer);
  racing = false;
  pthread_join(t, NULL);
  pl_host_close(h);
  check_outside(w);
}

int main(int argc, char **argv) {
  world w;
  if (argc != 2) return fputs("usage: policy FOLDER\n", stderr), 2;
  make_world(&w);
  test_escapes(&w, argv[1]);
  test_works(&w, argv[1]);
  test_folders(&w);
  test_allowed();
  test_refused_policies(&w);
  test_bytecode(&w);
  test_neighbours(&w);
  test_races(&w);
  remove_world(&w);
  printf("%d attempts, %d swaps\n", attempts, (int)swaps);
  return count();
}
