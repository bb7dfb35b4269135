/*
** pattern.c: a backtracking matcher of Lua's patterns. The pattern is read as it is matched, so what is
** wrong in it is an error only when it is reached.
**
** match(s, p) tries to match the pattern from p on with the subject from s on. Items that can match in
** one way are taken in a loop; where there are several ways, or something to undo, it calls itself:
**
**   a-b      match(0, "b"), match(1, "b"), ...       as long as a's follow
**   a*b      match(n, "b"), match(n - 1, "b"), ...   n a's follow
**   a?b      match(1, "b") if an a follows, then the loop goes on with "b"
**   (b       opens a capture, which is forgotten if match(0, "b") fails
*/
#include "pattern.h"

#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

/* What tells a small letter from a capital one; characters of a set that are tried between looks. */
enum { MAX_DEPTH = 200, SMALL = 'a' ^ 'A', SET_BLOCK = 4096 };

static const char *match(pl_match *m, const char *s, const char *p);

static unsigned char byte(const char *s) { return (unsigned char)*s; }

/*
** Single characters: x . %a [set]
*/

/* p is behind the '['; returns the ']'. It is not the first of the set's characters, nor escaped. */
static const char *set_end(pl_match *m, const char *p) {
  if (*p == '^') p++;
  do {
    if (p == m->pattern_end) luaL_error(m->work.L, "malformed pattern (missing ']')");
    pl_work_step(&m->work);
    if (*p++ == '%' && p < m->pattern_end) p++;
  } while (*p != ']');
  return p;
}

/* Where what follows the single character at p begins. */
static const char *character_end(pl_match *m, const char *p) {
  if (*p == '[') return set_end(m, p + 1) + 1;
  if (*p != '%') return p + 1;
  if (p + 1 == m->pattern_end) luaL_error(m->work.L, "malformed pattern (ends with '%%')");
  return p + 2;
}

/* Whether c is of the class of that letter; any other character stands for itself. */
static bool in_class(int c, int letter) {
  int is;
  switch (letter | SMALL) {
    case 'a': is = isalpha(c); break;
    case 'c': is = iscntrl(c); break;
    case 'd': is = isdigit(c); break;
    case 'g': is = isgraph(c); break;
    case 'l': is = islower(c); break;
    case 'p': is = ispunct(c); break;
    case 's': is = isspace(c); break;
    case 'u': is = isupper(c); break;
    case 'w': is = isalnum(c); break;
    case 'x': is = isxdigit(c); break;
    case 'z': is = c == 0; break; /* as in Lua 5.1 */
    default: return c == letter;
  }
  return letter & SMALL ? is : !is;
}

/* The set's characters are from p up to `end`, its ']'. */
static bool in_set(pl_match *m, int c, const char *p, const char *end) {
  const bool in = *p != '^';
  if (!in) p++;
  for (const char *look = p + SET_BLOCK; p < end;) {
    if (p >= look) {
      pl_work_look(&m->work);
      look = p + SET_BLOCK;
    }
    if (*p == '%') {
      if (in_class(c, byte(p + 1))) return in;
      p += 2;
    } else if (p[1] == '-' && p + 2 < end) {
      if (byte(p) <= c && c <= byte(p + 2)) return in;
      p += 3;
    } else if (byte(p++) == c) return in;
  }
  return !in;
}

/* Whether the character at s is as the pattern's from p to `end` says. */
static bool fits(pl_match *m, const char *s, const char *p, const char *end) {
  if (s == m->subject_end) return false;
  switch (*p) {
    case '.': return true;
    case '%': return in_class(byte(s), byte(p + 1));
    case '[': return in_set(m, byte(s), p + 1, end - 1);
    default: return *s == *p;
  }
}

/*
** Repetitions of the character from p to `end`, where the sign of repetition is
*/

static const char *longest(pl_match *m, const char *s, const char *p, const char *end) {
  const char *to = s;
  for (; fits(m, to, p, end); to++) pl_work_step(&m->work);
  for (;; to--) {
    const char *e = match(m, to, end + 1);
    if (e || to == s) return e;
  }
}

static const char *shortest(pl_match *m, const char *s, const char *p, const char *end) {
  for (;; s++) {
    const char *e = match(m, s, end + 1);
    if (e || !fits(m, s, p, end)) return e;
  }
}

/*
** Captures
*/

static const char *open_capture(pl_match *m, const char *s, const char *p, ptrdiff_t size) {
  if (m->n == PL_CAPTURES) luaL_error(m->work.L, "too many captures");
  m->capture[m->n++] = (pl_capture){s, size};
  const char *e = match(m, s, p);
  if (!e) m->n--;
  return e;
}

static const char *close_capture(pl_match *m, const char *s, const char *p) {
  int i = m->n - 1;
  while (i >= 0 && m->capture[i].size != PL_CAPTURE_OPEN) i--;
  if (i < 0) luaL_error(m->work.L, "invalid pattern capture");
  m->capture[i].size = s - m->capture[i].begin;
  const char *e = match(m, s, p);
  if (!e) m->capture[i].size = PL_CAPTURE_OPEN;
  return e;
}

/*
** What a '%' begins that is no single character. Each returns where the subject goes on, or NULL, and
** moves p behind itself
*/

/* %1 to %9: the text of a capture once more; that of a position is longer than any subject. */
static const char *again(pl_match *m, const char *s, const char **p) {
  const int i = (*p)[1] - '1';
  if (i < 0 || i >= m->n || m->capture[i].size == PL_CAPTURE_OPEN)
    luaL_error(m->work.L, "invalid capture index %%%d", i + 1);
  const size_t size = (size_t)m->capture[i].size;
  *p += 2;
  if (size > (size_t)(m->subject_end - s)) return NULL;
  pl_work_bytes(&m->work, size);
  return memcmp(s, m->capture[i].begin, size) ? NULL : s + size;
}

/* %bxy: from an x to the y that balances it. */
static const char *balanced(pl_match *m, const char *s, const char **p) {
  if (m->pattern_end - *p < 4)
    luaL_error(m->work.L, "malformed pattern (missing arguments to '%%b')");
  const char x = (*p)[2], y = (*p)[3];
  *p += 4;
  if (s == m->subject_end || *s != x) return NULL;
  size_t open = 1;
  for (s++; s < m->subject_end; s++) {
    pl_work_step(&m->work);
    if (*s == y) {
      if (--open == 0) return s + 1;
    } else if (*s == x) open++;
  }
  return NULL;
}

/* %f[set]: between a character out of the set and one in it; outside of the subject are zeros. */
static const char *frontier(pl_match *m, const char *s, const char **p) {
  const char *set = *p + 3;
  if ((*p)[2] != '[') luaL_error(m->work.L, "missing '[' after '%%f' in pattern");
  const char *end = set_end(m, set);
  *p = end + 1;
  const int before = s == m->subject ? 0 : byte(s - 1);
  return !in_set(m, before, set, end) && in_set(m, byte(s), set, end) ? s : NULL;
}

/* The function that matches what begins at p, or NULL if that is a single character. */
typedef const char *special(pl_match *m, const char *s, const char **p);
static special *special_at(const char *p) {
  if (*p != '%') return NULL;
  if (p[1] == 'b') return balanced;
  if (p[1] == 'f') return frontier;
  return isdigit(byte(p + 1)) ? again : NULL;
}

/*
** The loop
*/

/* The rest of the pattern begins with the character at p, which ends at `end` before a sign of
 * repetition; where there is but one way left, the loop goes on there, with p, and with s. */
static const char *match_items(pl_match *m, const char *s, const char *p) {
  while (p != m->pattern_end) {
    special *one_way;
    pl_work_step(&m->work);
    if (*p == '(' && p[1] == ')') return open_capture(m, s, p + 2, PL_CAPTURE_POSITION);
    if (*p == '(') return open_capture(m, s, p + 1, PL_CAPTURE_OPEN);
    if (*p == ')') return close_capture(m, s, p + 1);
    if (*p == '$' && p + 1 == m->pattern_end) return s == m->subject_end ? s : NULL;
    if ((one_way = special_at(p))) {
      if (!(s = one_way(m, s, &p))) return NULL;
      continue;
    }
    const char *end = character_end(m, p);
    if (!fits(m, s, p, end)) {
      if (*end != '*' && *end != '-' && *end != '?') return NULL;
      p = end + 1;
      continue;
    }
    if (*end == '*') return longest(m, s, p, end);
    if (*end == '-') return shortest(m, s, p, end);
    if (*end == '+') return longest(m, s + 1, p, end);
    if (*end == '?') {
      const char *e = match(m, s + 1, end + 1);
      if (e) return e;
      p = end + 1;
      continue;
    }
    s++;
    p = end;
  }
  return s;
}

static const char *match(pl_match *m, const char *s, const char *p) {
  if (m->depth++ == MAX_DEPTH) luaL_error(m->work.L, "pattern too complex");
  const char *e = match_items(m, s, p);
  m->depth--;
  return e;
}

/*
** What others call
*/

void pl_match_begin(pl_match *m, lua_State *L, int subject, int pattern) {
  size_t n;
  m->work = pl_work_begin(L);
  m->subject = luaL_checklstring(L, subject, &n);
  m->subject_end = m->subject + n;
  m->pattern = luaL_checklstring(L, pattern, &n);
  m->pattern_end = m->pattern + n;
}

bool pl_match_anchor(pl_match *m) {
  const bool anchor = *m->pattern == '^';
  if (anchor) m->pattern++;
  return anchor;
}

const char *pl_match_at(pl_match *m, const char *s) {
  m->depth = m->n = 0;
  return match(m, s, m->pattern);
}

pl_capture pl_match_capture(pl_match *m, int i, const char *s, const char *e) {
  if (i == 0 && m->n == 0) return (pl_capture){s, e - s};
  if (i >= m->n) luaL_error(m->work.L, "invalid capture index %%%d", i + 1);
  if (m->capture[i].size == PL_CAPTURE_OPEN) luaL_error(m->work.L, "unfinished capture");
  return m->capture[i];
}

void pl_push_capture(pl_match *m, int i, const char *s, const char *e) {
  const pl_capture c = pl_match_capture(m, i, s, e);
  if (c.size == PL_CAPTURE_POSITION) {
    lua_pushinteger(m->work.L, c.begin - m->subject + 1);
    return;
  }
  pl_work_bytes(&m->work, (size_t)c.size);
  lua_pushlstring(m->work.L, c.begin, (size_t)c.size);
}

int pl_push_captures(pl_match *m, const char *s, const char *e) {
  const int n = m->n == 0 && s ? 1 : m->n;
  luaL_checkstack(m->work.L, n, "too many captures");
  for (int i = 0; i < n; i++) pl_push_capture(m, i, s, e);
  return n;
}
