/*
** What a call of a small network from C costs beyond its kernels: 40 times in turn 5,000 calls of
** Linear(8, 16), ReLU, Linear(16, 2) by pl_net_call, and of the same two ops in C.
**
**   ninja -C build net_call && build/net_call
*/
#include <perilune_host.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BLOCKS = 40, CALLS = 5000 };

static const char code[] =
    "local nn = require('perilune').nn\n"
    "net = nn.Sequential {nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2)}\n";

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double by_network(pl_net *net, pl_tensor *x) {
  const double begin = now();
  for (int i = 0; i < CALLS; i++) {
    pl_tensor *y;
    pl_scope_begin();
    if (!pl_net_call(net, 1, &x, 1, &y)) exit(1);
    pl_scope_end();
  }
  return (now() - begin) / CALLS * 1e6;
}

static double by_ops(pl_tensor *x) {
  pl_tensor *w1 = pl_full(PL_REAL, pl_list(16, 8), 1), *b1 = pl_full(PL_REAL, pl_list(16), 1),
            *w2 = pl_full(PL_REAL, pl_list(2, 16), 1), *b2 = pl_full(PL_REAL, pl_list(2), 1);
  const double begin = now();
  for (int i = 0; i < CALLS; i++) {
    pl_scope_begin();
    pl_linear(pl_linear(x, w1, b1, PL_ACT_RELU, 0), w2, b2, 0, 0);
    pl_scope_end();
  }
  return (now() - begin) / CALLS * 1e6;
}

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(void) {
  double network[BLOCKS], ops[BLOCKS], more[BLOCKS];
  pl_host *h = pl_host_open(NULL);
  if (!h || !pl_host_run_string(h, code, "=net")) return 1;
  pl_net *net = pl_net_find(h, "net");
  pl_threads(1);
  pl_scope_begin();
  pl_tensor *x = pl_full(PL_REAL, pl_list(1, 8), 1);
  for (int i = 0; i < BLOCKS; i++) {
    network[i] = by_network(net, x);
    ops[i] = by_ops(x);
    more[i] = network[i] - ops[i];
  }
  pl_scope_end();
  pl_net_close(net);
  pl_host_close(h);
  qsort(network, BLOCKS, sizeof *network, ascending);
  qsort(ops, BLOCKS, sizeof *ops, ascending);
  qsort(more, BLOCKS, sizeof *more, ascending);
  printf("us, least and median: network %.2f %.2f, ops %.2f %.2f, network - ops %.2f %.2f\n",
         network[0], network[BLOCKS / 2], ops[0], ops[BLOCKS / 2], more[0], more[BLOCKS / 2]);
  return 0;
}
