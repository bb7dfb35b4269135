/*
** utf8.c: whether a text is UTF-8 (Unicode 15, table 3-7): the shortest form of each code point, no
** surrogates, nothing beyond U+10FFFF.
*/
#include "io.h"

/* The bytes that the first announces, and the range of the second; 0: none begins so. */
static int sequence(unsigned char first, unsigned char *low, unsigned char *high) {
  *low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  *high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  return first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

int64_t pl_utf8_check(const char *text) {
  const unsigned char *s = (const unsigned char *)text;
  unsigned char low, high;
  for (int64_t at = 0; s[at];) {
    const int n = sequence(s[at], &low, &high);
    bool ok = n == 1 || (n && s[at + 1] >= low && s[at + 1] <= high);
    for (int i = 2; ok && i < n; i++) ok = (s[at + i] & 0xC0) == 0x80;
    if (!ok) return at;
    at += n;
  }
  return -1;
}
