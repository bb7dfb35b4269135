/*
** folder.c: the names of what is in a folder.
*/
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access.h"
#include "base/base.h"
#include "io.h"

/*
** Lists of names
*/

void pl_names_free(pl_names *names) {
  for (int64_t i = 0; i < names->n; i++) free(names->v[i]);
  free(names->v);
  *names = (pl_names){0};
}

static bool fail_memory(void) {
  return pl_fail_as(PL_ERROR_MEMORY, "not enough memory for file names");
}

bool pl_names_add(pl_names *names, const char *name) {
  if (names->n == names->room) {
    const int64_t room = names->room ? 2 * names->room : 16;
    char **v = realloc(names->v, (size_t)room * sizeof *v);
    if (!v) return fail_memory();
    names->v = v;
    names->room = room;
  }
  char *copy = strdup(name);
  if (!copy) return fail_memory();
  names->v[names->n++] = copy;
  return true;
}

static int compare(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Bytes decide, whatever the locale says, so that the order is the same everywhere. */
static void sort(pl_names *names) {
  if (names->n) qsort(names->v, (size_t)names->n, sizeof *names->v, compare);
}

/*
** One folder
*/

/* A link is what it leads to, unless an access checks, which follows none. */
static bool is_folder(int folder, const struct dirent *e, bool follow) {
  struct stat st;
  if (e->d_type != DT_LNK && e->d_type != DT_UNKNOWN) return e->d_type == DT_DIR;
  return fstatat(folder, e->d_name, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISDIR(st.st_mode);
}

static bool read_names(DIR *d, bool follow, pl_names *folders, pl_names *files) {
  const struct dirent *e;
  while ((e = readdir(d))) {
    if (e->d_name[0] == '.') continue;
    if (!pl_names_add(is_folder(dirfd(d), e, follow) ? folders : files, e->d_name)) return false;
    if (!pl_check_interrupt()) return false;
  }
  sort(folders);
  sort(files);
  return true;
}

typedef struct {
  dev_t device;
  ino_t number;
} identity;

static DIR *open_folder(const char *path, bool *follow) {
  pl_place at;
  if (!pl_place_find(&at, PL_TO_READ, "open", path)) return NULL;
  const int fd = pl_place_open(&at, O_RDONLY | O_DIRECTORY, 0);
  DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
  if (!d) {
    pl_file_fail("cannot open the folder %s: %s", path, strerror(errno));
    if (fd >= 0) close(fd);
  }
  *follow = !at.checked;
  pl_place_end(&at);
  return d;
}

static bool list(const char *path, pl_names *folders, pl_names *files, identity *id) {
  bool follow;
  struct stat st;
  DIR *d = open_folder(path, &follow);
  if (!d) return false;
  const bool ok = fstat(dirfd(d), &st) == 0 && read_names(d, follow, folders, files);
  if (ok) *id = (identity){st.st_dev, st.st_ino};
  else pl_file_fail("cannot read the folder %s: %s", path, strerror(errno));
  closedir(d);
  return ok;
}

bool pl_folder_list(const char *path, pl_names *folders, pl_names *files) {
  identity id;
  return list(path, folders, files, &id);
}

/*
** All that is below one
*/

enum { DEEPEST = 100, MOST_LINKS = 10000 };

typedef struct above {
  const struct above *next;
  identity id;
  int *links; /* to folders, that were followed on all ways */
} above;

/* Folders with links to one another have more ways through them than anybody can go. */
static bool may_follow(const char *path, int *links) {
  struct stat st;
  if (PL_HERE->access || lstat(path, &st) != 0 || !S_ISLNK(st.st_mode)) return true;
  return ++*links <= MOST_LINKS ||
         pl_file_fail("%s is one of more than %d links to folders", path, MOST_LINKS);
}

/* A link may lead to a folder in which it lies. */
static bool is_among(const above *a, identity id) {
  for (; a; a = a->next)
    if (a->id.device == id.device && a->id.number == id.number) return true;
  return false;
}

/* "a/b", or b alone; the caller frees it. */
static char *joined(const char *a, const char *b) {
  char *text;
  if (asprintf(&text, "%s%s%s", a, *a ? "/" : "", b) >= 0) return text;
  fail_memory();
  return NULL;
}

static bool find_below(const char *root, const char *below, const above *outer, int depth,
                       pl_names *all);

static bool find_in_folders(const char *root, const char *below, const above *here, int depth,
                            const pl_names *folders, pl_names *all) {
  for (int64_t i = 0; i < folders->n; i++) {
    char *name = joined(below, folders->v[i]);
    const bool ok = name && find_below(root, name, here, depth + 1, all);
    free(name);
    if (!ok) return false;
  }
  return true;
}

static bool add_files(const char *below, const pl_names *files, pl_names *all) {
  for (int64_t i = 0; i < files->n; i++) {
    char *name = joined(below, files->v[i]);
    const bool ok = name && pl_names_add(all, name);
    free(name);
    if (!ok) return false;
  }
  return true;
}

static bool find_below(const char *root, const char *below, const above *outer, int depth,
                       pl_names *all) {
  pl_names folders = {0}, files = {0};
  int links = 0;
  above here = {.next = outer, .links = outer ? outer->links : &links};
  char *path = *below ? joined(root, below) : strdup(root);
  if (!path) return fail_memory();
  bool ok = depth <= DEEPEST ||
            pl_file_fail("%s lies in more than %d folders below %s", path, DEEPEST, root);
  ok = ok && may_follow(path, here.links) && list(path, &folders, &files, &here.id);
  if (ok && !is_among(outer, here.id))
    ok = add_files(below, &files, all) && find_in_folders(root, below, &here, depth, &folders, all);
  free(path);
  pl_names_free(&folders);
  pl_names_free(&files);
  return ok;
}

/* By folder and then by name: "a/z" before "a-/b", and both before "a/b/c". */
static int compare_paths(const void *a, const void *b) {
  const char *p = *(char *const *)a, *q = *(char *const *)b;
  const char *p_name = strrchr(p, '/'), *q_name = strrchr(q, '/');
  const size_t m = p_name ? (size_t)(p_name - p) : 0, n = q_name ? (size_t)(q_name - q) : 0;
  const int order = memcmp(p, q, m < n ? m : n);
  if (order != 0) return order;
  if (m != n) return m < n ? -1 : 1;
  return strcmp(p + m, q + n);
}

bool pl_folder_find(const char *path, pl_names *files) {
  if (!find_below(path, "", NULL, 0, files)) return false;
  if (files->n) qsort(files->v, (size_t)files->n, sizeof *files->v, compare_paths);
  return true;
}
