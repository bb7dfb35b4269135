/*
** file.c: the file operations of a run, each of which keeps what was there if it fails.
*/
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static bool fail_os(const char *doing, const char *path) {
  return pl_file_fail("cannot %s %s: %s", doing, path, strerror(errno));
}

/* Copies n bytes of s and a zero; the message if that fails. */
static char *copy_text(const char *s, size_t n) {
  char *copy = strndup(s, n);
  if (!copy) pl_fail_as(PL_ERROR_MEMORY, "not enough memory for a file name");
  return copy;
}

/* Syncs; devices and pipes that cannot do so are fine. */
static bool sync_fd(int fd) {
  return fsync(fd) == 0 || errno == EINVAL || errno == EROFS || errno == ENOTSUP;
}

/*
** Reading
*/

FILE *pl_file_open(const char *path, int64_t *size) {
  struct stat st;
  if (stat(path, &st) != 0) return fail_os("open", path), NULL;
  if (!S_ISREG(st.st_mode)) return pl_file_fail("cannot open %s: not a regular file", path), NULL;
  FILE *f = fopen(path, "rbe");
  if (!f) return fail_os("open", path), NULL;
  *size = st.st_size;
  return f;
}

void *pl_file_read(const char *path, size_t limit, size_t *n) {
  int64_t size = 0;
  FILE *f = pl_file_open(path, &size);
  if (!f) return NULL;
  char *data = NULL;
  *n = (size_t)size;
  if (*n > limit) pl_file_fail("%s: has %zu bytes, at most %zu were expected", path, *n, limit);
  else if (!(data = malloc(*n + 1)))
    pl_fail_as(PL_ERROR_MEMORY, "%s: not enough memory for its %zu bytes", path, *n);
  else if (fread(data, 1, *n, f) != *n) {
    pl_file_fail("%s: ended while it was read", path);
    free(data);
    data = NULL;
  }
  fclose(f);
  return data;
}

bool pl_file_size(const char *path, int64_t *size) {
  struct stat st;
  if (stat(path, &st) != 0) return fail_os("open", path);
  *size = st.st_size;
  return true;
}

/*
** A file in the making
*/

struct pl_newfile {
  FILE *out;
  char *path;
  char *temp; /* NULL: `path` is a device */
};

static void newfile_free(pl_newfile *f) {
  free(f->temp);
  free(f->path);
  free(f);
}

/* An unused name beside the path; the file's mode is what the umask leaves of rw-rw-rw-. */
static int open_temp(pl_newfile *f) {
  const size_t room = strlen(f->path) + 40;
  f->temp = malloc(room);
  if (!f->temp) return pl_fail_as(PL_ERROR_MEMORY, "not enough memory for a file name"), -1;
  for (int try = 0; try < 100; try++) {
    if (try == 0) snprintf(f->temp, room, "%s.%ld.tmp", f->path, (long)getpid());
    else snprintf(f->temp, room, "%s.%ld-%d.tmp", f->path, (long)getpid(), try);
    int fd = open(f->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return -1;
}

static int open_target(pl_newfile *f) {
  struct stat st;
  if (stat(f->path, &st) == 0 && !S_ISREG(st.st_mode)) return open(f->path, O_WRONLY | O_CLOEXEC);
  return open_temp(f);
}

pl_newfile *pl_newfile_open(const char *path) {
  pl_newfile *f = calloc(1, sizeof *f);
  if (!f) return pl_fail_as(PL_ERROR_MEMORY, "not enough memory to write %s", path), NULL;
  f->path = copy_text(path, strlen(path));
  int fd = f->path ? open_target(f) : -1;
  if (fd >= 0) {
    f->out = fdopen(fd, "wb");
    if (f->out) return f;
    close(fd);
    if (f->temp) unlink(f->temp);
  }
  fail_os("write", path); /* keeps an earlier message */
  newfile_free(f);
  return NULL;
}

bool pl_newfile_write(pl_newfile *f, const void *data, size_t n) {
  return n == 0 || fwrite(data, 1, n, f->out) == n || fail_os("write", f->path);
}

void pl_newfile_discard(pl_newfile *f) {
  if (!f) return;
  fclose(f->out);
  if (f->temp) unlink(f->temp);
  newfile_free(f);
}

/* Makes the rename itself durable. */
static bool sync_folder_of(const char *path) {
  const char *slash = strrchr(path, '/');
  char *folder = !slash ? copy_text(".", 1) : copy_text(path, slash > path ? slash - path : 1);
  if (!folder) return false;
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool ok = fd >= 0 && sync_fd(fd);
  if (!ok) fail_os("sync the folder of", path);
  if (fd >= 0) close(fd);
  free(folder);
  return ok;
}

bool pl_newfile_commit(pl_newfile *f) {
  bool ok = fflush(f->out) == 0 && sync_fd(fileno(f->out));
  if (!ok) {
    fail_os("write", f->path);
    pl_newfile_discard(f);
    return false;
  }
  ok = fclose(f->out) == 0 && (!f->temp || rename(f->temp, f->path) == 0);
  if (!ok) {
    fail_os("write", f->path);
    if (f->temp) unlink(f->temp);
  } else if (f->temp) {
    ok = sync_folder_of(f->path);
  }
  newfile_free(f);
  return ok;
}

/*
** Writing
*/

bool pl_file_write(const char *path, const void *data, size_t n) {
  pl_newfile *f = pl_newfile_open(path);
  if (!f) return false;
  if (pl_newfile_write(f, data, n)) return pl_newfile_commit(f);
  pl_newfile_discard(f);
  return false;
}

static bool write_all(int fd, const char *data, size_t n) {
  while (n > 0) {
    ssize_t k = write(fd, data, n);
    if (k < 0 && errno == EINTR) continue;
    if (k < 0) return false;
    data += k;
    n -= (size_t)k;
  }
  return true;
}

bool pl_file_append(const char *path, const void *data, size_t n, bool sync, int64_t *length) {
  int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) return fail_os("write", path);
  struct stat st;
  bool ok = fstat(fd, &st) == 0;
  if (ok && !(write_all(fd, data, n) && (!sync || sync_fd(fd)))) {
    fail_os("write", path); /* before the next call changes errno */
    if (ftruncate(fd, st.st_size) != 0) pl_file_fail("cannot restore %s", path);
    ok = false;
  }
  if (!ok) fail_os("write", path);
  close(fd);
  if (ok) *length = st.st_size + (int64_t)n;
  return ok;
}

bool pl_file_truncate(const char *path, int64_t size) {
  int64_t now = 0;
  if (!pl_file_size(path, &now)) return false;
  if (size < 0 || size > now)
    return pl_file_fail("cannot cut %s to %lld bytes: it has %lld", path, (long long)size,
                        (long long)now);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return fail_os("write", path);
  bool ok = (ftruncate(fd, size) == 0 && sync_fd(fd)) || fail_os("cut", path);
  close(fd);
  return ok;
}

/* One folder; another process may make it at the same moment. */
static bool make_one(const char *path) {
  struct stat st;
  if (mkdir(path, 0777) == 0) return true;
  int why = errno;
  if (stat(path, &st) == 0) {
    if (S_ISDIR(st.st_mode)) return true;
    why = ENOTDIR;
  }
  errno = why;
  return fail_os("make the folder", path);
}

bool pl_folder_make(const char *path) {
  char *part = copy_text(path, strlen(path));
  bool ok = part != NULL;
  for (char *p = part; ok && *p; p++) {
    if (*p != '/' || p == part) continue;
    *p = '\0';
    ok = make_one(part);
    *p = '/';
  }
  ok = ok && make_one(part);
  free(part);
  return ok;
}

bool pl_folder_lock(const char *path) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail_os("open", path);
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return true; /* it lasts as long as the descriptor */
  const bool used = errno == EWOULDBLOCK;
  close(fd);
  return !used || pl_file_fail("%s is in use by another process", path);
}
