/*
** embed.c: a C program that uses Perilune through its two public headers: it makes a tensor
** in C, runs Lua on it, takes the output, and asks for an error. tests/embed/installed.sh
** builds it against an installed copy.
*/
#include <stdio.h>
#include <string.h>

#include "perilune_host.h"

static char output[256];

static void collect(void *user, int stream, const char *text, size_t size) {
  (void)user, (void)stream;
  strncat(output, text, size < sizeof output - strlen(output) ? size : 0);
}

static const char script[] =
    "local pl = require 'perilune'\n"
    "local net = pl.nn.Sequential {pl.nn.Linear(2, 3), pl.nn.Tanh()}\n"
    "print(#net(pl.ones(4, 2)), net:parameter_count())\n";

int main(void) {
  pl_scope_begin();
  pl_tensor *x = pl_from(PL_REAL, pl_list(3), (pl_real[]){1, 2, 3}), *y;
  double sum = 0;
  pl_set_requires_grad(x, true);
  y = pl_sum(pl_square(x), PL_ALL_DIMS, false);
  bool good = y && pl_backward(y, NULL, false, false) && pl_item(y, &sum) && sum == 14;
  good = good && pl_at(pl_grad_of(x), 2) == 6;
  pl_scope_end();

  pl_host *host =
      pl_host_open(&(pl_host_options){.size = sizeof(pl_host_options), .write = collect});
  good = good && pl_host_run_string(host, script, "=embed") && !strcmp(output, "4\t9\n");
  good = good && !pl_host_run_string(host, "error('no')", "=bad");
  good = good && strstr(pl_host_error(host), "bad:1: no");
  pl_host_close(host);
  good = good && pl_memory_now().tensors == 0;
  puts(good ? "1 passed, 0 failed" : "0 passed, 1 failed");
  return !good;
}
