/*
** access.h: which files a context may touch. All files of the library are found here, so that a
** context with an access, that of a host with a policy, reaches what lies below its folders and
** nothing else; one without reaches what the system lets it.
**
**   "runs/a/net.safetensors"
**        |  made absolute, without "." and doubled slashes; ".." is refused
**   "/srv/7/runs/a/net.safetensors"
**        |  begins with a folder of the access, which was opened with it: a descriptor
**   descriptor of /srv/7  +  "runs/a"  +  "net.safetensors"
**        |  one folder after the other, by openat, none of which may be a link
**   descriptor of /srv/7/runs/a  +  "net.safetensors"
**
** Everything is then done by a call of the system that takes the last line, follows no link either,
** and opens nothing but regular files. What others rename meanwhile is reached where it went to, if
** at all: a folder is never looked up twice, and no step leads upward. That is all that openat2
** with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS gives, on every kernel.
*/
#ifndef PERILUNE_ACCESS_H
#define PERILUNE_ACCESS_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

typedef struct pl_access pl_access;

/*
** Opens the folders of two lists that end with NULL, or are NULL; what may be written may be read
** too. Relative paths begin in `home`, or where the process is if it is NULL. NULL, with a message
** that begins with `who`, if one is no folder.
*/
pl_access *pl_access_open(const char *who, const char *const *read, const char *const *write,
                          const char *home);
/* Accepts NULL. */
void pl_access_close(pl_access *a);

/* A file or folder, which need not exist, as its name in a folder that is open. */
typedef struct {
  int folder; /* or AT_FDCWD */
  const char *name;
  bool checked; /* by an access */
  char *text;   /* that the name lies in, or NULL */
} pl_place;

typedef enum { PL_TO_READ, PL_TO_WRITE } pl_purpose;

/* False with a message "cannot DOING PATH: why". */
bool pl_place_find(pl_place *p, pl_purpose purpose, const char *doing, const char *path);
void pl_place_end(pl_place *p);
/* As openat, with O_CLOEXEC; where an access checks, a regular file or a folder. */
int pl_place_open(const pl_place *p, int flags, mode_t mode);
/* As stat; where an access checks, as lstat. */
bool pl_place_stat(const pl_place *p, struct stat *st);

/* Whether the context has an access that lets the file at the path be written. */
bool pl_access_may_write(const char *path);
/* Whether the path leads to a folder of the context's access, or is one: such a folder exists. */
bool pl_access_leads(const char *path);

#endif
