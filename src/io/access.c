/*
** access.c: see access.h.
*/
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_PATH */
#endif
#include "access.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "io.h"

/* A folder, under the name that it was given by and under its real one. */
typedef struct {
  int fd;
  bool write;
  char *named, *real; /* named: NULL if it is no other */
} root;

struct pl_access {
  size_t n;
  char *home; /* or NULL */
  root roots[];
};

/*
** Names
*/

/* Appends the parts of a path, each after a slash, to a text of n bytes; -1 if one leads upward. */
static ssize_t append_parts(char *text, size_t n, const char *path) {
  for (size_t part; *path; path += part) {
    path += strspn(path, "/");
    part = strcspn(path, "/");
    if (part == 0 || (part == 1 && path[0] == '.')) continue;
    if (part == 2 && path[0] == '.' && path[1] == '.') return -1;
    text[n++] = '/';
    memcpy(text + n, path, part);
    n += part;
  }
  text[n] = '\0';
  return (ssize_t)n;
}

/* The path from the system's root on, "" for that itself; NULL, with errno, if it has none. */
static char *absolute(const char *home, const char *path) {
  char here[PATH_MAX];
  if (*path == '/') home = "";
  else if (!home && !(home = getcwd(here, sizeof here))) return NULL;
  char *text = malloc(strlen(home) + strlen(path) + 3);
  if (!text) return NULL;
  const ssize_t n = append_parts(text, 0, home);
  if (n >= 0 && append_parts(text, (size_t)n, path) >= 0) return text;
  free(text);
  errno = EPERM;
  return NULL;
}

/* What follows the folder's name in a path, "" or "/..."; NULL if it does not lie there. */
static const char *below(const char *folder, const char *path) {
  const size_t n = folder ? strlen(folder) : 0;
  if (!folder || strncmp(path, folder, n) != 0) return NULL;
  return path[n] == '\0' || path[n] == '/' ? path + n : NULL;
}

static const char *below_root(const root *r, const char *path) {
  const char *rest = below(r->real, path);
  return rest ? rest : below(r->named, path);
}

/*
** Opening
*/

static size_t count(const char *const *list) {
  size_t n = 0;
  while (list && list[n]) n++;
  return n;
}

static bool open_root(root *r, const char *path) {
  char *real = realpath(path, NULL);
  if (!real) return false;
  r->real = absolute(NULL, real);
  free(real);
  r->named = absolute(NULL, path); /* NULL too if it leads upward */
  r->fd = r->real ? open(r->real[0] ? r->real : "/", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
  return r->fd >= 0;
}

static bool open_roots(pl_access *a, const char *who, const char *const *list, bool write) {
  for (; list && *list; list++) {
    root *r = &a->roots[a->n++];
    r->write = write;
    r->fd = -1;
    if (!open_root(r, *list))
      return pl_file_fail("%s: cannot open the folder %s: %s", who, *list, strerror(errno));
  }
  return true;
}

static bool set_home(pl_access *a, const char *who, const char *home) {
  if (!home) return true;
  a->home = realpath(home, NULL);
  return a->home || pl_file_fail("%s: cannot open the folder %s: %s", who, home, strerror(errno));
}

pl_access *pl_access_open(const char *who, const char *const *read, const char *const *write,
                          const char *home) {
  pl_access *a = calloc(1, sizeof *a + (count(read) + count(write)) * sizeof *a->roots);
  if (!a) return pl_fail_as(PL_ERROR_MEMORY, "%s: not enough memory for its folders", who), NULL;
  const bool ok = open_roots(a, who, write, true) && open_roots(a, who, read, false);
  if (ok && set_home(a, who, home)) return a;
  pl_access_close(a);
  return NULL;
}

void pl_access_close(pl_access *a) {
  if (!a) return;
  for (size_t i = 0; i < a->n; i++) {
    if (a->roots[i].fd >= 0) close(a->roots[i].fd);
    free(a->roots[i].named);
    free(a->roots[i].real);
  }
  free(a->home);
  free(a);
}

/*
** Places
*/

/* The folder, one of the access, in which the path lies; rest as `below` gives it. */
static const root *root_of(const pl_access *a, pl_purpose purpose, const char *path,
                           const char **rest) {
  for (size_t i = 0; i < a->n; i++) {
    const root *r = &a->roots[i];
    if ((r->write || purpose == PL_TO_READ) && (*rest = below_root(r, path))) return r;
  }
  return NULL;
}

/* Opens the next folder and closes this one; -1, with errno, if it is none. */
static int step(int folder, const char *name) {
  const int next = openat(folder, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  const int why = errno;
  close(folder);
  errno = why;
  return next;
}

/* Walks from the root to the folder of the last part of `rest`, which is taken apart. */
static bool walk(pl_place *p, const root *r, char *rest) {
  p->folder = fcntl(r->fd, F_DUPFD_CLOEXEC, 0);
  p->name = *rest ? rest + 1 : ".";
  for (char *slash; p->folder >= 0 && (slash = strchr(p->name, '/')); p->name = slash + 1) {
    *slash = '\0';
    p->folder = step(p->folder, p->name);
  }
  return p->folder >= 0;
}

static bool refuse(const char *doing, const char *path, const char *why) {
  return pl_file_fail("cannot %s %s: %s", doing, path, why);
}

static bool find_checked(pl_place *p, const pl_access *a, pl_purpose purpose, const char *doing,
                         const char *path) {
  const char *rest;
  p->text = absolute(a->home, path);
  if (!p->text)
    return refuse(doing, path, errno == EPERM ? "'..' is not allowed here" : strerror(errno));
  const root *r = root_of(a, purpose, p->text, &rest);
  if (!r)
    return refuse(doing, path,
                  purpose == PL_TO_READ ? "it is not below a folder that may be read"
                                        : "it is not below a folder that may be written");
  if (walk(p, r, p->text + (rest - p->text))) return true;
  return refuse(doing, path,
                errno == ENOTDIR ? "a part of its path is no folder" : strerror(errno));
}

bool pl_place_find(pl_place *p, pl_purpose purpose, const char *doing, const char *path) {
  const pl_access *a = PL_HERE->access;
  *p = (pl_place){.folder = AT_FDCWD, .name = path, .checked = a != NULL};
  if (!a || find_checked(p, a, purpose, doing, path)) return true;
  pl_place_end(p);
  return false;
}

void pl_place_end(pl_place *p) {
  if (p->folder >= 0) close(p->folder); /* AT_FDCWD is negative */
  free(p->text);
  *p = (pl_place){.folder = AT_FDCWD};
}

/* Whether the descriptor is one of a file or folder, and not of a device, pipe or socket. */
static bool is_plain(int fd) {
  struct stat st;
  if (fstat(fd, &st) != 0) return false;
  if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) return true;
  errno = EPERM;
  return false;
}

/* A pipe does not wait for its other end, a terminal does not become that of the process. */
static int open_checked(const pl_place *p, int flags, mode_t mode) {
  struct stat st;
  const bool there = pl_place_stat(p, &st);
  if (there && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) return errno = EPERM, -1;
  const int fd = openat(p->folder, p->name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, mode);
  if (fd < 0 || is_plain(fd)) return fd;
  close(fd);
  return errno = EPERM, -1;
}

int pl_place_open(const pl_place *p, int flags, mode_t mode) {
  if (p->checked) return open_checked(p, flags | O_CLOEXEC, mode);
  return openat(p->folder, p->name, flags | O_CLOEXEC, mode);
}

bool pl_place_stat(const pl_place *p, struct stat *st) {
  return fstatat(p->folder, p->name, st, p->checked ? AT_SYMLINK_NOFOLLOW : 0) == 0;
}

bool pl_access_may_write(const char *path) {
  const pl_access *a = PL_HERE->access;
  const char *rest;
  char *text = a ? absolute(a->home, path) : NULL;
  const bool may = text && root_of(a, PL_TO_WRITE, text, &rest);
  free(text);
  return may;
}

bool pl_access_leads(const char *path) {
  const pl_access *a = PL_HERE->access;
  char *text = a ? absolute(a->home, path) : NULL;
  bool leads = false;
  for (size_t i = 0; text && !leads && i < a->n; i++)
    leads =
        below(text, a->roots[i].real) || below(text, a->roots[i].named ? a->roots[i].named : "");
  free(text);
  return leads;
}
