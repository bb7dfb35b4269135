/*
** signature.c: reading what an op takes: "x weight bias?" and "dim:dim keepdim:bool=false", the
** notation of docs/ops.md. scripts/ops.py reads the rows of the table in the same way when the library
** is built, and tests/c/test_registry.c compares the two.
*/
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strtod_l */
#endif
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "autograd.h"

static const char *const lua_words[] = {"and",   "break", "do",       "else", "elseif", "end",
                                        "false", "for",   "function", "goto", "if",     "in",
                                        "local", "nil",   "not",      "or",   "repeat", "return",
                                        "then",  "true",  "until",    "while"};

/* Of a word, in every locale. */
static bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_word(const char *word) {
  const bool starts = *word && !(*word >= '0' && *word <= '9');
  while (is_letter(*word)) word++;
  return starts && !*word;
}

bool pl_is_name(const char *word) {
  for (size_t i = 0; i < sizeof lua_words / sizeof *lua_words; i++)
    if (!strcmp(word, lua_words[i])) return false;
  return is_word(word);
}

/* The next word, which is ended; NULL at the end of the text. */
static char *next_word(char **at) {
  char *word = *at + strspn(*at, " ");
  if (!*word) return NULL;
  *at = word + strcspn(word, " ");
  if (**at) *(*at)++ = 0;
  return word;
}

/*
** Inputs
*/

static bool read_input(const char *op, char *word, pl_signature *s) {
  pl_input_spec *in = &s->in[s->n_in];
  const size_t n = strlen(word);
  if (n > 1 && word[n - 1] == '?') in->optional = true, word[n - 1] = 0;
  else if (n > 3 && !strcmp(word + n - 3, "...")) s->variadic = true, word[n - 3] = 0;
  if (!is_word(word))
    return pl_fail(
        "%s: input '%s': a name expected, with ? behind it if it may be missing, or ... "
        "behind the only one",
        op, word);
  for (int i = 0; i < s->n_in; i++)
    if (!strcmp(s->in[i].name, word)) return pl_fail("%s: two inputs are called '%s'", op, word);
  if (!in->optional && s->n_in && s->in[s->n_in - 1].optional)
    return pl_fail("%s: input '%s' stands behind one that may be missing", op, word);
  in->name = word;
  s->n_in++;
  return true;
}

static bool read_inputs(const char *op, char *text, pl_signature *s) {
  for (char *word; (word = next_word(&text));) {
    if (s->n_in == PL_MAX_IN) return pl_fail("%s: more than %d inputs", op, PL_MAX_IN);
    if (!read_input(op, word, s)) return false;
  }
  if (!s->n_in) return pl_fail("%s: it has no inputs; an op takes tensors", op);
  if (s->variadic && s->n_in > 1) return pl_fail("%s: a list of tensors is the only input", op);
  return true;
}

/*
** Attributes
*/

#define WORD(type, word, ...) #word,
static const char *const types[] = {PL_ATTR_TYPES(WORD)};
#undef WORD
enum { TYPES = sizeof types / sizeof *types };

static bool bad_default(const char *op, const pl_attr_spec *a, const char *expected) {
  return pl_fail("%s: attribute '%s': its default is '%s'; %s expected", op, a->name, a->text,
                 expected);
}

static bool read_integer(const char *op, const pl_attr_spec *a, int64_t *v) {
  char *end;
  errno = 0;
  *v = strtoll(a->text, &end, 10);
  return (*a->text && !*end && !errno) || bad_default(op, a, "an integer");
}

static bool read_number(const char *op, const pl_attr_spec *a, double *v) {
  char *end;
  const bool minus = *a->text == '-';
  if (!strcmp(a->text + minus, "inf")) return *v = minus ? -HUGE_VAL : HUGE_VAL, true;
  locale_t with_points = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  *v = strtod_l(a->text, &end, with_points);
  freelocale(with_points);
  return (*a->text && !*end && isfinite(*v)) || bad_default(op, a, "a number, inf or -inf");
}

static bool read_bool(const char *op, const pl_attr_spec *a, int64_t *v) {
  *v = !strcmp(a->text, "true");
  return *v || !strcmp(a->text, "false") || bad_default(op, a, "true or false");
}

static bool read_default(const char *op, pl_attr_spec *a) {
  int64_t both;
  switch (a->type) {
    case PL_ATTR_REAL: return read_number(op, a, &a->fallback.d);
    case PL_ATTR_BOOL: return read_bool(op, a, &a->fallback.i);
    case PL_ATTR_PAIR:
      if (!read_integer(op, a, &both)) return false;
      a->fallback.ints = pl_list(both, both);
      return true;
    case PL_ATTR_DIMS:
    case PL_ATTR_INTS:
    case PL_ATTR_CHOICE:
      return bad_default(op, a, "none (a list is empty, a choice its first word)");
    default: return read_integer(op, a, &a->fallback.i);
  }
}

/* "mean|sum": words with one bar between. */
static bool is_choice(const char *words) {
  for (const char *at = words; *at; at++)
    if (!is_letter(*at) && (*at != '|' || at == words || at[1] == '|' || !at[1])) return false;
  return *words;
}

static bool read_type(const char *op, pl_attr_spec *a, const char *word) {
  int type = 0;
  while (type < TYPES && strcmp(types[type], word) != 0) type++;
  if (type == TYPES)
    return pl_fail(
        "%s: attribute '%s': there is no type '%s'; int, real, bool, dim, index, dims, "
        "ints, pair or choice(a|b) expected",
        op, a->name, word);
  a->type = (pl_attr_type)type;
  return true;
}

/* Ends the text where c stands first; what follows, or NULL if c is not in it. */
static char *cut(char *text, char c) {
  char *at = text ? strchr(text, c) : NULL;
  if (at) *at++ = 0;
  return at;
}

/* Takes c from the end of the text, if it is there. */
static bool take_last(char *text, char c) {
  const size_t n = strlen(text);
  const bool there = n && text[n - 1] == c;
  if (there) text[n - 1] = 0;
  return there;
}

static bool read_name(const char *op, const char *name, const char *type, pl_signature *s) {
  if (!type || !is_word(name)) return pl_fail("%s: attribute '%s': name:type expected", op, name);
  for (int i = 0; i < s->n_attr; i++)
    if (!strcmp(s->attr[i].name, name))
      return pl_fail("%s: two attributes are called '%s'", op, name);
  for (int i = 0; i < s->n_in; i++)
    if (!strcmp(s->in[i].name, name))
      return pl_fail("%s: an input and an attribute are called '%s'", op, name);
  s->attr[s->n_attr].name = name;
  return true;
}

/* name:type, then (a|b) of a choice, then ? or =default */
static bool read_attr(const char *op, char *word, pl_signature *s) {
  pl_attr_spec *a = &s->attr[s->n_attr];
  char *type = cut(word, ':'), *given = cut(type, '='), *words = cut(type, '(');
  if (!read_name(op, word, type, s)) return false;
  char *last = words ? words : type;
  a->optional = given || take_last(last, '?') || words;
  if (words && (!take_last(last, ')') || !is_choice(words)))
    return pl_fail(
        "%s: attribute '%s': choice(%s: words with bars between them expected, "
        "choice(a|b)",
        op, a->name, words);
  a->text = given ? given : words ? words : last + strlen(last);
  if (!read_type(op, a, type)) return false;
  if ((a->type == PL_ATTR_CHOICE) != (words != NULL))
    return pl_fail("%s: attribute '%s': words in brackets are for a choice(a|b), which needs them",
                   op, a->name);
  if (a->type == PL_ATTR_DIM) a->fallback.i = PL_NO_DIM;
  s->n_attr++;
  return !given || read_default(op, a);
}

static bool read_attrs(const char *op, char *text, pl_signature *s) {
  for (char *word; (word = next_word(&text));) {
    if (s->n_attr == PL_MAX_ATTR) return pl_fail("%s: more than %d attributes", op, PL_MAX_ATTR);
    if (!read_attr(op, word, s)) return false;
  }
  return true;
}

bool pl_read_signature(const char *name, const char *inputs, const char *attrs, pl_signature *s,
                       char *room) {
  *s = (pl_signature){0};
  const size_t n_in = strlen(inputs) + 1;
  char *behind = room + n_in;
  memcpy(room, inputs, n_in);
  memcpy(behind, attrs, strlen(attrs) + 1);
  return read_inputs(name, room, s) && read_attrs(name, behind, s);
}
