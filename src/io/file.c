/*
** file.c: the file operations of a run, each of which keeps what was there if it fails. Where a
** file lies, and whether it may be touched, access.c says.
*/
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access.h"
#include "base/base.h"

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

/* A descriptor, or -1; a pipe is not opened, which would wait for its other end. */
static int open_regular(const char *path, int64_t *size) {
  pl_place at;
  struct stat st;
  int fd = -1;
  if (!pl_place_find(&at, PL_TO_READ, "open", path)) return -1;
  const bool there = pl_place_stat(&at, &st);
  if (there && !S_ISREG(st.st_mode)) pl_file_fail("cannot open %s: not a regular file", path);
  else if (!there || (fd = pl_place_open(&at, O_RDONLY, 0)) < 0) fail_os("open", path);
  else *size = st.st_size;
  pl_place_end(&at);
  return fd;
}

FILE *pl_file_open(const char *path, int64_t *size) {
  const int fd = open_regular(path, size);
  FILE *f = fd >= 0 ? fdopen(fd, "rb") : NULL;
  if (f || fd < 0) return f;
  fail_os("open", path);
  close(fd);
  return NULL;
}

/* Room for n bytes and one more, for what was there is not needed. */
static bool make_room(const char *path, void **data, size_t *room, size_t n) {
  if (*data && n < *room) return true;
  free(*data);
  *room = n + 1;
  *data = malloc(*room);
  return *data || pl_fail_as(PL_ERROR_MEMORY, "%s: not enough memory for its %zu bytes", path, n);
}

static bool read_all(int fd, char *data, size_t n) {
  while (n > 0) {
    const ssize_t k = read(fd, data, n);
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) return false;
    data += k;
    n -= (size_t)k;
  }
  return true;
}

bool pl_file_read_into(const char *path, size_t limit, void **data, size_t *room, size_t *n) {
  int64_t size = 0;
  const int fd = open_regular(path, &size);
  if (fd < 0) return false;
  *n = (size_t)size;
  bool ok =
      *n <= limit || pl_file_fail("%s: has %zu bytes, at most %zu were expected", path, *n, limit);
  ok = ok && make_room(path, data, room, *n) &&
       (read_all(fd, *data, *n) || pl_file_fail("%s: ended while it was read", path));
  close(fd);
  return ok;
}

void *pl_file_read(const char *path, size_t limit, size_t *n) {
  void *data = NULL;
  size_t room = 0;
  if (pl_file_read_into(path, limit, &data, &room, n)) return data;
  free(data);
  return NULL;
}

bool pl_file_size(const char *path, int64_t *size) {
  pl_place at;
  struct stat st;
  if (!pl_place_find(&at, PL_TO_READ, "open", path)) return false;
  const bool ok = pl_place_stat(&at, &st) || fail_os("open", path);
  if (ok) *size = st.st_size;
  pl_place_end(&at);
  return ok;
}

/*
** A file in the making
*/

struct pl_newfile {
  FILE *out;
  char *path;
  pl_place at;
  char *temp; /* beside it, of its name; NULL: `path` is a device */
};

static void newfile_free(pl_newfile *f) {
  pl_place_end(&f->at);
  free(f->temp);
  free(f->path);
  free(f);
}

static void remove_temp(const pl_newfile *f) {
  if (f->temp) unlinkat(f->at.folder, f->temp, 0);
}

/* An unused name beside the path; the file's mode is what the umask leaves of rw-rw-rw-. */
static int open_temp(pl_newfile *f) {
  const size_t room = strlen(f->at.name) + 40;
  f->temp = malloc(room);
  if (!f->temp) return pl_fail_as(PL_ERROR_MEMORY, "not enough memory for a file name"), -1;
  for (int try = 0; try < 100; try++) {
    if (try == 0) snprintf(f->temp, room, "%s.%ld.tmp", f->at.name, (long)getpid());
    else snprintf(f->temp, room, "%s.%ld-%d.tmp", f->at.name, (long)getpid(), try);
    int fd = openat(f->at.folder, f->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return -1;
}

static int open_target(pl_newfile *f) {
  struct stat st;
  if (!pl_place_find(&f->at, PL_TO_WRITE, "write", f->path)) return -1;
  if (pl_place_stat(&f->at, &st) && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
    return pl_place_open(&f->at, O_WRONLY, 0);
  return open_temp(f);
}

pl_newfile *pl_newfile_open(const char *path) {
  pl_newfile *f = calloc(1, sizeof *f);
  if (!f) return pl_fail_as(PL_ERROR_MEMORY, "not enough memory to write %s", path), NULL;
  f->at.folder = AT_FDCWD;
  f->path = copy_text(path, strlen(path));
  int fd = f->path ? open_target(f) : -1;
  if (fd >= 0) {
    f->out = fdopen(fd, "wb");
    if (f->out) return f;
    close(fd);
    remove_temp(f);
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
  remove_temp(f);
  newfile_free(f);
}

/* Makes the rename itself durable. */
static bool sync_folder_of(const pl_newfile *f) {
  const char *slash = f->at.checked ? NULL : strrchr(f->path, '/');
  const size_t length = slash && slash > f->path ? (size_t)(slash - f->path) : 1;
  char *folder = slash ? copy_text(f->path, length) : copy_text(".", 1);
  if (!folder) return false;
  int fd = openat(f->at.folder, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool ok = fd >= 0 && sync_fd(fd);
  if (!ok) fail_os("sync the folder of", f->path);
  if (fd >= 0) close(fd);
  free(folder);
  return ok;
}

static bool put_in_place(const pl_newfile *f) {
  return !f->temp || renameat(f->at.folder, f->temp, f->at.folder, f->at.name) == 0;
}

bool pl_newfile_commit(pl_newfile *f) {
  bool ok = fflush(f->out) == 0 && sync_fd(fileno(f->out));
  if (!ok) {
    fail_os("write", f->path);
    pl_newfile_discard(f);
    return false;
  }
  ok = fclose(f->out) == 0 && put_in_place(f);
  if (!ok) {
    fail_os("write", f->path);
    remove_temp(f);
  } else if (f->temp) {
    ok = sync_folder_of(f);
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

/* Opens a file, or a folder to lock it; -1 with a message "cannot DOING PATH: why". */
static int open_fd(const char *path, pl_purpose purpose, const char *doing, int flags) {
  pl_place at;
  if (!pl_place_find(&at, purpose, doing, path)) return -1;
  const int fd = pl_place_open(&at, flags, 0666);
  if (fd < 0) fail_os(doing, path);
  pl_place_end(&at);
  return fd;
}

bool pl_file_append(const char *path, const void *data, size_t n, bool sync, int64_t *length) {
  int fd = open_fd(path, PL_TO_WRITE, "write", O_WRONLY | O_APPEND | O_CREAT);
  if (fd < 0) return false;
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
  int fd = open_fd(path, PL_TO_WRITE, "write", O_WRONLY);
  if (fd < 0) return false;
  bool ok = (ftruncate(fd, size) == 0 && sync_fd(fd)) || fail_os("cut", path);
  close(fd);
  return ok;
}

/* Another process may make it at the same moment. */
static bool make_at(const pl_place *at) {
  struct stat st;
  if (mkdirat(at->folder, at->name, 0777) == 0) return true;
  int why = errno;
  if (pl_place_stat(at, &st)) {
    if (S_ISDIR(st.st_mode)) return true;
    why = ENOTDIR;
  }
  errno = why;
  return false;
}

static bool make_one(const char *path) {
  pl_place at;
  if (pl_access_leads(path)) return true;
  if (!pl_place_find(&at, PL_TO_WRITE, "make the folder", path)) return false;
  const bool ok = make_at(&at) || fail_os("make the folder", path);
  pl_place_end(&at);
  return ok;
}

bool pl_folder_make(const char *path) {
  char *part = copy_text(path, strlen(path));
  bool ok = part != NULL;
  for (char *p = part; ok && *p; p++) {
    if (*p != '/' || p == part) continue;
    if (!(ok = pl_check_interrupt())) break;
    *p = '\0';
    ok = make_one(part);
    *p = '/';
  }
  ok = ok && make_one(part);
  free(part);
  return ok;
}

bool pl_folder_lock(const char *path) {
  pl_context *holder = pl_hold_file();
  int fd = holder ? open_fd(path, PL_TO_WRITE, "open", O_RDONLY | O_DIRECTORY) : -1;
  if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) return true; /* as long as the descriptor */
  const bool used = fd >= 0 && errno == EWOULDBLOCK, opened = fd >= 0;
  if (opened) close(fd);
  pl_let_file_go(holder);
  if (!opened) return false;
  return !used || pl_file_fail("%s is in use by another process", path);
}

/*
** Files as the C library has them, for scripts
*/

bool pl_file_remove(const char *path) {
  pl_place at;
  if (!pl_place_find(&at, PL_TO_WRITE, "remove", path)) return false;
  bool ok = unlinkat(at.folder, at.name, 0) == 0;
  if (!ok && (errno == EISDIR || errno == EPERM))
    ok = unlinkat(at.folder, at.name, AT_REMOVEDIR) == 0;
  if (!ok) fail_os("remove", path);
  pl_place_end(&at);
  return ok;
}

bool pl_file_rename(const char *from, const char *to) {
  pl_place old, new;
  if (!pl_place_find(&old, PL_TO_WRITE, "rename", from)) return false;
  bool ok = pl_place_find(&new, PL_TO_WRITE, "rename to", to);
  if (ok) {
    ok = renameat(old.folder, old.name, new.folder, new.name) == 0 || fail_os("rename", from);
    pl_place_end(&new);
  }
  pl_place_end(&old);
  return ok;
}

/* Of "r", "w", "a" and "r+", "w+", "a+". */
static int flags_of(const char *mode) {
  const bool both = strchr(mode, '+') != NULL;
  switch (*mode) {
    case 'w': return (both ? O_RDWR : O_WRONLY) | O_CREAT | O_TRUNC;
    case 'a': return (both ? O_RDWR : O_WRONLY) | O_CREAT | O_APPEND;
    default: return both ? O_RDWR : O_RDONLY;
  }
}

FILE *pl_file_stream(const char *path, const char *mode) {
  const int flags = flags_of(mode);
  const int fd = open_fd(path, flags == O_RDONLY ? PL_TO_READ : PL_TO_WRITE, "open", flags);
  if (fd < 0) return NULL;
  FILE *f = fdopen(fd, mode);
  if (f) return f;
  fail_os("open", path);
  close(fd);
  return NULL;
}
