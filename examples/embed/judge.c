/*
** judge.c: students' scripts, judged in turn on several threads. A script defines what the task asks
** for; the task, a script too, checks it with `assert`. Each runs in a host of its own: with limits, so
** that none takes the judge's time, memory or output, and with a policy that allows nothing: scripts
** compute, and touch no file.
**
**   judge TASK.lua THREADS SCRIPT.lua...
*/
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "perilune_host.h"

enum { MOST_THREADS = 16, REASON = 60 };

typedef struct {
  const char *script, *verdict;
  char reason[REASON];
  double seconds;
} entry;

typedef struct {
  const char *task;
  int n;
  entry *entries;
  atomic_int next;
} court;

static void forget(void *user, int stream, const char *text, size_t size) {
  (void)user, (void)stream, (void)text, (void)size;
}

static const char *verdict_of(const pl_host *h, bool ok) {
  if (ok) return "passed";
  switch (pl_host_error_code(h)) {
    case PL_ERROR_DEADLINE: return "too slow";
    case PL_ERROR_BYTES: return "too large";
    case PL_ERROR_OUTPUT: return "too loud";
    case PL_ERROR_DEPTH: return "too deep";
    case PL_ERROR_SYNTAX: return "no Lua";
    case PL_ERROR_FILE: return "no file";
    default: return "wrong";
  }
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void judge(const char *task, entry *e) {
  const pl_policy nothing = {.size = sizeof nothing};
  const pl_limits limits = {.size = sizeof limits,
                            .bytes = 64 << 20,
                            .seconds = 1,
                            .output = 100000,
                            .files = 10,
                            .depth = 10000};
  const pl_host_options options = {
      .size = sizeof options, .write = forget, .limits = &limits, .policy = &nothing};
  pl_host *h = pl_host_open(&options);
  const double began = now();
  if (!h) {
    e->verdict = "no host";
    return;
  }
  const bool ok = pl_host_run_string(h, "require('perilune').threads(1)", "=judge") &&
                  pl_host_run_file(h, e->script) && pl_host_run_file(h, task);
  e->verdict = verdict_of(h, ok);
  if (!ok) snprintf(e->reason, REASON, "%s", pl_host_error(h));
  e->reason[strcspn(e->reason, "\n")] = 0;
  e->seconds = now() - began;
  pl_host_close(h);
}

static void *work(void *argument) {
  court *c = argument;
  for (int i; (i = c->next++) < c->n;) judge(c->task, &c->entries[i]);
  return NULL;
}

int main(int argc, char **argv) {
  const int threads = argc > 2 ? atoi(argv[2]) : 0;
  if (argc < 4 || threads < 1 || threads > MOST_THREADS) {
    fprintf(stderr, "usage: judge TASK.lua THREADS SCRIPT.lua..., at most %d threads\n",
            MOST_THREADS);
    return 2;
  }
  court c = {.task = argv[1], .n = argc - 3};
  c.entries = calloc((size_t)c.n, sizeof *c.entries);
  if (!c.entries) return 1;
  for (int i = 0; i < c.n; i++) c.entries[i].script = argv[i + 3];
  pthread_t thread[MOST_THREADS];
  for (int i = 0; i < threads; i++) pthread_create(&thread[i], NULL, work, &c);
  for (int i = 0; i < threads; i++) pthread_join(thread[i], NULL);
  int passed = 0;
  printf("%-32s %-10s %8s  %s\n", "script", "verdict", "seconds", "reason");
  for (int i = 0; i < c.n; i++) {
    const entry *e = &c.entries[i];
    passed += !strcmp(e->verdict, "passed");
    printf("%-32s %-10s %8.3f  %s\n", e->script, e->verdict, e->seconds, e->reason);
  }
  printf("%d of %d passed\n", passed, c.n);
  free(c.entries);
  return 0;
}
