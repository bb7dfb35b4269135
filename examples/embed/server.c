/*
** server.c: answers from one network on several threads. Each thread has a host, all hosts the
** network's weights, which lie in memory once. Over TCP on this computer, a request is an image, 28 x
** 28 bytes, and the answer one byte, its class from 0.
**
**   server NET.safetensors [THREADS]            listens on port 7784 until it is killed
**   server NET.safetensors THREADS SECONDS      has as many clients ask as fast as they can, on a port
**                                               of the system's choice, and prints the throughput
**
** A network to begin with: perilune -e 'local nn = pl.nn; pl.save("net.safetensors", nn.Sequential {
**   nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10)})'
*/
#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "perilune_host.h"

enum { SIDE = 28, PIXELS = SIDE * SIDE, MOST_THREADS = 64, PORT = 7784 };

typedef struct {
  int socket; /* that listens; each thread accepts at it */
  pl_host *host;
  pl_net *net;
  pthread_t thread, client;
  atomic_bool *over;
  long answers; /* that its client got */
} worker;

static void fail(const char *what, const char *why) {
  fprintf(stderr, "server: %s: %s\n", what, why);
  exit(1);
}

/* All of a message, whose parts may come one by one; false at the end of the connection. */
static bool receive(int fd, uint8_t *bytes, size_t n) {
  while (n) {
    const ssize_t got = read(fd, bytes, n);
    if (got <= 0) return false;
    bytes += got, n -= (size_t)got;
  }
  return true;
}

/* The class with the highest score, or 255 if the network failed. */
static uint8_t classify(worker *w, const uint8_t *image) {
  pl_scope_begin();
  pl_tensor *x = pl_from(PL_UINT8, pl_list(1, 1, SIDE, SIDE), image), *scores;
  x = pl_affine(pl_to(x, PL_REAL), 1.0 / 255, 0);
  double class = 0; /* argmax counts from 1 */
  if (pl_net_call(w->net, 1, &x, 1, &scores)) pl_item(pl_argmax(scores, 1, false), &class);
  else fprintf(stderr, "server: %s\n", pl_host_error(w->host));
  pl_error_clear();
  pl_scope_end();
  return (uint8_t)((int)class - 1);
}

static void *serve(void *argument) {
  worker *w = argument;
  uint8_t image[PIXELS];
  for (int fd; (fd = accept(w->socket, NULL, NULL)) >= 0; close(fd))
    while (receive(fd, image, sizeof image)) {
      const uint8_t class = classify(w, image);
      if (send(fd, &class, 1, MSG_NOSIGNAL) != 1) break; /* it has gone */
    }
  return NULL;
}

/*
** Clients
*/

static void *ask(void *argument) {
  worker *w = argument;
  struct sockaddr_in address;
  socklen_t size = sizeof address;
  uint8_t image[PIXELS] = {0}, class;
  getsockname(w->socket, (struct sockaddr *)&address, &size);
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr *)&address, size)) fail("connect", "refused");
  while (!*w->over) {
    for (int i = 0; i < PIXELS; i++) image[i] = (uint8_t)(i * w->answers);
    if (send(fd, image, sizeof image, MSG_NOSIGNAL) != PIXELS || !receive(fd, &class, 1)) break;
    w->answers += class != 255;
  }
  close(fd);
  return NULL;
}

static void measure(int n, worker *w, double seconds) {
  long answers = 0;
  for (int i = 0; i < n; i++) pthread_create(&w[i].client, NULL, ask, &w[i]);
  nanosleep(&(struct timespec){(time_t)seconds, (long)(1e9 * (seconds - (time_t)seconds))}, NULL);
  *w->over = true;
  for (int i = 0; i < n; i++) {
    pthread_join(w[i].client, NULL);
    answers += w[i].answers;
  }
  printf("%d threads, one network: %.0f answers a second\n", n, (double)answers / seconds);
}

static int listen_at(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 64))
    fail("port", "in use");
  return fd;
}

/* The first host loads the network; the others share it. One kernel thread each is best where many
 * requests are answered at a time. */
static void open_workers(int n, worker *w, const char *path, int fd, atomic_bool *over) {
  for (int i = 0; i < n; i++) {
    w[i] = (worker){.socket = fd, .host = pl_host_open(NULL), .over = over};
    if (!w[i].host || !pl_host_run_string(w[i].host, "require('perilune').threads(1)", "=server"))
      fail("host", w[i].host ? pl_host_error(w[i].host) : "not enough memory");
    w[i].net = i ? pl_net_share(w[0].net, w[i].host) : pl_net_load(w[0].host, path);
    if (!w[i].net) fail("network", pl_host_error(w[i].host));
  }
}

int main(int argc, char **argv) {
  static worker w[MOST_THREADS];
  const int threads = argc > 2 ? atoi(argv[2]) : 2;
  const double seconds = argc > 3 ? atof(argv[3]) : 0;
  atomic_bool over = false;
  if (argc < 2 || threads < 1 || threads > MOST_THREADS) {
    fprintf(stderr, "usage: server NET.safetensors [THREADS [SECONDS]], at most %d threads\n",
            MOST_THREADS);
    return 2;
  }
  const int fd = listen_at(seconds > 0 ? 0 : PORT);
  open_workers(threads, w, argv[1], fd, &over);
  for (int i = 0; i < threads; i++) pthread_create(&w[i].thread, NULL, serve, &w[i]);
  if (seconds > 0) {
    measure(threads, w, seconds);
    shutdown(fd, SHUT_RDWR); /* ends accept */
  } else {
    printf("port %d, %d threads\n", PORT, threads);
  }
  for (int i = 0; i < threads; i++) {
    pthread_join(w[i].thread, NULL);
    pl_net_close(w[i].net);
    pl_host_close(w[i].host);
  }
  close(fd);
  return 0;
}
