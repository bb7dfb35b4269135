/*
** history.c: see history.h
*/
#include "history.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEEP = 1000 }; /* entries; the file is cut back when it has twice as many */

/* Creates every folder that leads to the file. */
static void make_parents(char *path) {
  for (char *p = strchr(path + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
    *p = '\0';
    mkdir(path, 0700);
    *p = '/';
  }
}

static bool file_path(char *path, size_t n) {
  const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
  int length;
  if (state != NULL && *state == '/') length = snprintf(path, n, "%s/perilune/history", state);
  else if (home != NULL && *home == '/')
    length = snprintf(path, n, "%s/.local/state/perilune/history", home);
  else return false;
  return length > 0 && (size_t)length < n;
}

static void write_escaped(FILE *f, const char *entry) {
  for (const char *p = entry; *p != '\0'; p++) {
    if (*p == '\n') fputs("\\n", f);
    else if (*p == '\\') fputs("\\\\", f);
    else fputc(*p, f);
  }
  fputc('\n', f);
}

static void unescape(char *s) {
  char *to = s;
  for (; *s != '\0'; s++) {
    if (*s == '\\' && s[1] != '\0') {
      s++;
      *to++ = *s == 'n' ? '\n' : *s;
    } else {
      *to++ = *s;
    }
  }
  *to = '\0';
}

/* Reads the file as it is; entry i of *count is lines[i % KEEP]. */
static bool read_lines(const char *path, char **lines, size_t *count) {
  FILE *f = fopen(path, "r");
  char *line = NULL;
  size_t room = 0;
  ssize_t n;
  *count = 0;
  if (f == NULL) return false;
  while ((n = getline(&line, &room, f)) > 0) {
    if (line[n - 1] == '\n') line[n - 1] = '\0';
    free(lines[*count % KEEP]);
    lines[(*count)++ % KEEP] = line;
    line = NULL;
    room = 0;
  }
  free(line);
  fclose(f);
  return true;
}

/* Replaces the file by the newest entries: whole or not at all. */
static void shorten(const char *path, char *const *lines, size_t count) {
  char temporary[PATH_MAX + 16];
  FILE *f;
  bool good;
  snprintf(temporary, sizeof temporary, "%s.%ld", path, (long)getpid());
  f = fopen(temporary, "w");
  if (f == NULL) return;
  for (size_t i = count - KEEP; i < count; i++) fprintf(f, "%s\n", lines[i % KEEP]);
  good = fflush(f) == 0 && fsync(fileno(f)) == 0;
  good = fclose(f) == 0 && good;
  if (!good || rename(temporary, path) != 0) unlink(temporary);
}

void pl_history_load(void (*add)(const char *entry)) {
  char path[PATH_MAX];
  char *lines[KEEP] = {NULL};
  size_t count = 0;
  if (!file_path(path, sizeof path) || !read_lines(path, lines, &count)) return;
  if (count > 2 * (size_t)KEEP) shorten(path, lines, count);
  for (size_t i = count > KEEP ? count - KEEP : 0; i < count; i++) {
    unescape(lines[i % KEEP]);
    add(lines[i % KEEP]);
  }
  for (size_t i = 0; i < KEEP; i++) free(lines[i]);
}

void pl_history_append(const char *entry) {
  char path[PATH_MAX];
  FILE *f;
  if (!file_path(path, sizeof path)) return;
  make_parents(path);
  f = fopen(path, "a");
  if (f == NULL) return;
  write_escaped(f, entry);
  fclose(f);
}
