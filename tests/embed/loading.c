/*
** loading.c: hosts whose scripts have threads read pictures: on several threads, with limits, a policy,
** stopped, forked and closed while threads are at work. Through the public headers alone.
*/
#include <dirent.h>
#include <lua.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "sanitized.h"

enum { ROOM = 512 };
static char folder[] = "/tmp/perilune-loading-XXXXXX";

/* Runs a script that knows the folder. */
static bool run(pl_host *h, const char *code) {
  lua_pushstring(pl_host_lua(h), folder);
  lua_setglobal(pl_host_lua(h), "folder");
  return pl_host_run_string(h, code, "=loading");
}

static bool works(pl_host *h, const char *code) {
  if (run(h, code)) return true;
  printf("%s\n", pl_host_error(h));
  return false;
}

static double number(pl_host *h, const char *global) {
  lua_State *L = pl_host_lua(h);
  lua_getglobal(L, global);
  const double x = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return x;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Small pictures of two classes, a large one, and a link out of a folder. */
static const char make[] =
    "local pl = require 'perilune'\n"
    "for i = 1, 30 do\n"
    "  local class = folder .. '/box/small/' .. (i % 2 == 0 and 'a' or 'b')\n"
    "  assert(pl.mkdir(class))\n"
    "  assert(pl.image.write(class .. '/' .. i .. '.png', pl.rand(8, 9, 3)))\n"
    "end\n"
    "assert(pl.mkdir(folder .. '/outside'))\n"
    "assert(pl.image.write(folder .. '/outside/x.png', pl.rand(8, 9, 3)))\n"
    "assert(pl.image.write(folder .. '/box/large.png', pl.zeros(2000, 2000, 3)))\n"
    "os.execute(\"ln -s ../outside/x.png '\" .. folder .. \"/box/link.png'\")\n"
    "os.execute(\"ln -s ../../../outside '\" .. folder .. \"/box/small/a/linked'\")\n";

/* What all other hosts compute, in two passes. */
static const char reading[] =
    "local pl = require 'perilune'\n"
    "pl.manual_seed(7)\n"
    "local set = assert(pl.data.folder(folder .. '/box/small', {size = 8}))\n"
    "local augment = pl.image.transform {{'random_flip'}, {'random_crop', 7}}\n"
    "result = 0\n"
    "for pass = 1, 2 do\n"
    "  for x, y in pl.data.batches(set, {batch_size = 4, workers = workers, transform = augment}) "
    "do\n"
    "    result = result * 0.9 + (x * pl.arange(1, 7)):sum():item() + y:sum():item()\n"
    "  end\n"
    "end\n";

/* A reader in the middle of its pass. */
static const char beginning[] =
    "local pl = require 'perilune'\n"
    "local set = assert(pl.data.folder(folder .. '/box/small'))\n"
    "next_batch = pl.data.batches(set, {batch_size = 2, workers = 3, shuffle = false})\n"
    "next_batch()\n";

static const char going_on[] =
    "result = 0\n"
    "for x in next_batch do result = result * 0.9 + x:sum():item() end\n";

static double read_all(int workers) {
  pl_host *h = pl_host_open(NULL);
  lua_pushinteger(pl_host_lua(h), workers);
  lua_setglobal(pl_host_lua(h), "workers");
  const double result = works(h, reading) ? number(h, "result") : -1;
  pl_host_close(h);
  return result;
}

/*
** Hosts on threads
*/

static void *read_on_thread(void *result) {
  *(double *)result = read_all(3);
  return NULL;
}

static void test_threads(double expected) {
  enum { N = 3 };
  pthread_t thread[N];
  double result[N] = {0};
  bool same = true;
  for (int i = 0; i < N; i++) pthread_create(&thread[i], NULL, read_on_thread, &result[i]);
  for (int i = 0; i < N; i++) {
    pthread_join(thread[i], NULL);
    same = same && result[i] == expected;
  }
  check(same, "hosts on threads read the same");
  check(read_all(1) == expected && read_all(5) == expected, "with any number of threads");
}

/*
** Signals, and the end
*/

/* Whether each thread but this one lets no signal in. */
static bool others_block(int number) {
  const struct dirent *e;
  DIR *d = opendir("/proc/self/task");
  int others = 0, blocking = 0;
  while (d && (e = readdir(d))) {
    char path[ROOM], line[ROOM];
    if (e->d_name[0] == '.' || atoi(e->d_name) == (int)getpid()) continue;
    snprintf(path, sizeof path, "/proc/self/task/%.20s/status", e->d_name);
    FILE *f = fopen(path, "r");
    others++;
    while (f && fgets(line, sizeof line, f))
      if (strncmp(line, "SigBlk:", 7) == 0)
        blocking += strtoull(line + 7, NULL, 16) >> (number - 1) & 1;
    if (f) fclose(f);
  }
  if (d) closedir(d);
  return others == blocking && others >= 3;
}

static void test_end(void) {
  pl_host *h = pl_host_open(NULL);
  check(works(h, beginning), "a reader begins");
  if (!THREADS_SANITIZED) check(others_block(SIGURG), "its threads let no signals in");
  pl_host_close(h);
  check(pl_memory_now().tensors == 0, "and ends with its host");
}

/*
** Limits
*/

static pl_host *open_limited(const pl_limits *limits) {
  return pl_host_open(&(pl_host_options){.size = sizeof(pl_host_options), .limits = limits});
}

static const char slow[] =
    "local pl = require 'perilune'\n"
    "local files = {}\n"
    "for i = 1, 4000 do files[i] = folder .. '/box/large.png' end\n"
    "local images = pl.data.pictures(files, {size = 8})\n"
    "for _ in pl.data.batches({images}, {batch_size = 1000, workers = workers}) do end\n";

static void test_deadline(int workers) {
  pl_host *h = open_limited(&(pl_limits){.size = sizeof(pl_limits), .seconds = 0.3});
  lua_pushinteger(pl_host_lua(h), workers);
  lua_setglobal(pl_host_lua(h), "workers");
  const double began = now();
  check(!run(h, slow) && pl_host_error_code(h) == PL_ERROR_DEADLINE, "a deadline while waiting");
  check(now() - began < (SANITIZED ? 20 : 4), "is kept");
  check(run(h, "x = 1"), "and the host goes on");
  pl_host_close(h);
}

static void *interrupt_soon(void *context) {
  nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
  pl_context_interrupt(context);
  return NULL;
}

static void test_interrupt(void) {
  pl_host *h = pl_host_open(NULL);
  pthread_t thread;
  lua_pushinteger(pl_host_lua(h), 2);
  lua_setglobal(pl_host_lua(h), "workers");
  pthread_create(&thread, NULL, interrupt_soon, pl_host_context(h));
  const double began = now();
  check(!run(h, slow) && now() - began < (SANITIZED ? 20 : 4), "another thread ends the wait");
  pthread_join(thread, NULL);
  pl_host_close(h);
}

static void test_bytes(void) {
  pl_host *h = open_limited(&(pl_limits){.size = sizeof(pl_limits), .bytes = 40 << 20});
  check(works(h,
              "local pl = require 'perilune'\n"
              "local files = {}\n"
              "for i = 1, 30 do files[i] = folder .. '/box/small/a/2.png' end\n"
              "local images = pl.data.pictures(files, {size = 400})\n"
              "local o = {batch_size = 3, workers = 2, ahead = 20}\n"
              "for _ in pl.data.batches({images}, o) do end"),
        "as much is made ahead as the limit allows");
  check(!run(h,
             "local pl = require 'perilune'\n"
             "local images = pl.data.pictures {folder .. '/box/large.png'}\n"
             "for _ in pl.data.batches({images}, {workers = 2}) do end") &&
            pl_host_error_code(h) == PL_ERROR_BYTES,
        "what is too large ends the run");
  pl_host_close(h);
}

/*
** A policy
*/

static void test_policy(void) {
  char box[ROOM];
  snprintf(box, sizeof box, "%s/box", folder);
  const char *folders[] = {box, NULL};
  const pl_policy policy = {.size = sizeof policy, .read = folders};
  pl_host *h = pl_host_open(&(pl_host_options){.size = sizeof(pl_host_options), .policy = &policy});
  check(works(h,
              "local pl = require 'perilune'\n"
              "local set = assert(pl.data.folder(folder .. '/box/small', {size = 8}))\n"
              "assert(#set.images == 30)\n"
              "local n = 0\n"
              "for x in pl.data.batches(set, {workers = 2, batch_size = 7}) do n = n + #x end\n"
              "assert(n == 30)"),
        "a host with a policy reads below its folder, and follows no links");
  for (int workers = 0; workers <= 2; workers += 2) {
    lua_pushinteger(pl_host_lua(h), workers);
    lua_setglobal(pl_host_lua(h), "workers");
    check(works(h,
                "local pl = require 'perilune'\n"
                "for path, why in pairs {\n"
                "  ['/box/link.png'] = 'cannot open', ['/box/../outside/x.png'] = 'not allowed',\n"
                "  ['/outside/x.png'] = 'not below a folder that may be read'} do\n"
                "  local images = pl.data.pictures {folder .. path}\n"
                "  local ok, message = pcall(pl.data.batches({images}, {workers = workers}))\n"
                "  assert(not ok and message:find(why, 1, true), message)\n"
                "end\n"
                "assert(not pl.list_folder(folder .. '/outside'))\n"
                "assert(not pl.find_files(folder))"),
          "and nothing else");
  }
  pl_host_close(h);
}

/*
** A fork while threads are at work
*/

static bool child_succeeds(pid_t child) {
  int status;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void test_fork(void) {
  pl_host *h = pl_host_open(NULL);
  double expected = 0;
  if (works(h, beginning) && works(h, going_on)) expected = number(h, "result");
  check(works(h, beginning), "begins");
  const pid_t child = fork();
  if (child == 0) alarm(30);
  const bool same = works(h, going_on) && number(h, "result") == expected;
  pl_host_close(h);
  if (child == 0) _exit(!same);
  check(same && child_succeeds(child),
        "a child of a fork reads on by itself, and so does the parent");
  h = pl_host_open(NULL);
  check(works(h, beginning), "begins");
  const pid_t other = fork();
  if (other == 0) alarm(30);
  pl_host_close(h);
  if (other == 0) _exit(0);
  check(child_succeeds(other), "or ends");
}

/*
** What finalizers open while a host closes, which Lua itself does not close any more
*/

static int count_threads(void) {
  const struct dirent *e;
  DIR *d = opendir("/proc/self/task");
  int n = 0;
  while (d && (e = readdir(d))) n += e->d_name[0] != '.';
  if (d) closedir(d);
  return n;
}

static void test_opened_at_the_end(void) {
  pl_host *h = pl_host_open(NULL);
  check(
      works(h,
            "local pl = require 'perilune'\n"
            "local set = assert(pl.data.folder(folder .. '/box/small'))\n"
            "pl.data.batches(set, {batch_size = 2})()\n"
            "setmetatable({}, {__gc = function()\n"
            "  local augment = pl.image.transform {{'random_flip'}}\n"
            "  local again = pl.data.pictures(set.images:files(), {size = 8})\n"
            "  last = pl.data.batches({images = again}, {batch_size = 2, workers = 3, ahead = 9,\n"
            "    transform = augment})\n"
            "  last()\n"
            "end})"),
      "begins");
  const int before = count_threads();
  pl_host_close(h);
  check(count_threads() <= before, "threads end with their host, whenever they began");
}

int main(void) {
  if (!mkdtemp(folder)) return perror(folder), 1;
  pl_host *h = pl_host_open(NULL);
  if (!run(h, make)) return printf("%s\n", pl_host_error(h)), 1;
  pl_host_close(h);
  const double expected = read_all(0);
  check(expected > 0, "one host reads");
  test_threads(expected);
  test_end();
  test_policy();
  test_bytes();
  if (!SANITIZED) test_fork(); /* whose locks of memory do not survive one */
  test_opened_at_the_end();
  test_interrupt();
  test_deadline(0);
  test_deadline(2);
  char command[ROOM];
  snprintf(command, sizeof command, "rm -rf %s", folder);
  if (system(command) != 0) perror(command);
  return count();
}
