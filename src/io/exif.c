/*
** exif.c: which way up a photograph is, from the EXIF data of a JPEG.
**
**   "Exif\0\0" | "II" or "MM", 42, where the list is | ... | n, n entries of 12 bytes | ...
**              |<- offsets count from here                     tag, type, count, value
**
** The first list alone is looked at, and nothing that it points to, so there is no loop to run into.
*/
#include "exif.h"

#include <string.h>

enum { ORIENTATION = 0x112, SHORT = 3, ENTRY = 12 };

typedef struct {
  const unsigned char *v;
  size_t n;
  bool big; /* the byte order */
} tiff;

/* A number of 2 or 4 bytes; 0 where there are none. */
static uint32_t number(const tiff *t, size_t at, int bytes) {
  uint32_t v = 0;
  if (at > t->n || t->n - at < (size_t)bytes) return 0;
  for (int i = 0; i < bytes; i++)
    v |= (uint32_t)t->v[at + (size_t)i] << 8 * (t->big ? bytes - 1 - i : i);
  return v;
}

static int orientation_of(const tiff *t) {
  const size_t list = number(t, 4, 4), n = number(t, list, 2);
  for (size_t i = 0, at = list + 2; i < n && at < t->n; i++, at += ENTRY)
    if (number(t, at, 2) == ORIENTATION && number(t, at + 2, 2) == SHORT)
      return (int)number(t, at + 8, 2);
  return 1;
}

int pl_exif_orientation(const unsigned char *data, size_t n) {
  if (n < 14 || memcmp(data, "Exif\0", 6) != 0) return 1;
  tiff t = {data + 6, n - 6, data[6] == 'M'};
  if (memcmp(t.v, t.big ? "MM" : "II", 2) != 0 || number(&t, 2, 2) != 42) return 1;
  const int found = orientation_of(&t);
  return found >= 1 && found <= 8 ? found : 1;
}
