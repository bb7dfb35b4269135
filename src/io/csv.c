/*
** csv.c: reads tables as RFC 4180 has them: rows of fields with a separator between; a field in quotes
** may have separators and line ends in it, and quotes, each written twice.
**
** Beyond the RFC: lines end with LF, CR LF or CR; blank lines are left out; a quote within a field
** that does not begin with one is a quote; the first bytes may be UTF-8's mark (BOM). Blanks belong to
** their field, but do not count around numbers and around what stands for a missing value. The file may
** be in gzip.
**
** The file is read twice, once to learn what it has and once for the values, in pieces, so it may be
** larger than memory; a third time if a column has words behind numbers. A field that lies within one
** piece and has no quotes is never copied.
*/
#include "csv.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "decimal.h"
#include "source.h"
#include "words.h"

#include "../tensor/tensor.h"
#include "base/base.h"

enum {
  PIECE = 1 << 16,     /* bytes read at a time */
  MAX_FIELD = 1 << 24, /* of a field; a longer one is a quote that was not closed */
  MAX_COLUMNS = 100000,
  MAX_WORDS = 1000000, /* of a column */
};

/* What the fields of a column were so far; LARGE are whole numbers beyond int32. */
typedef enum { NOTHING, WHOLE, LARGE, NUMBERS, WORDS } guess;

/* A field for messages, which are one line; line 0 is none. */
typedef struct {
  int64_t line;
  char text[44];
} sample;

typedef struct {
  char *name;
  pl_csv_type type;
  bool required;
  bool given;    /* the words are the caller's, and there are no others */
  bool guessing; /* in this pass */
  bool late;     /* words came after numbers: the numbers before are words too, and were not kept */
  guess seen;
  sample odd; /* the first word; before there is one, the first whole number that real rounds */
  int64_t missing;
  int64_t values, numbers; /* while guessing: that are there, and how many of them are numbers */
  bool lax;                /* of given words: another is 0 */
  pl_words words;
} column;

typedef struct {
  const char *text; /* not ended by a zero, but a byte that is no part of a number follows */
  size_t n;
} field;

struct pl_csv {
  char *path;
  pl_source *file;
  pl_context *holder; /* of the file */
  locale_t plain;     /* numbers have points */
  pl_csv_options o;
  bool special[256]; /* ends a field without quotes */

  char buffer[PIECE + 1], *at, *end; /* a zero stands at the end */
  char *kept;                        /* a field that does not lie in the buffer as it is */
  size_t kept_n, kept_room;
  size_t begin; /* where the text begins in the file */
  int64_t line; /* from 1 */
  int64_t from; /* the line in which the field begins that is read */

  int n, room;
  column *columns;
  int now; /* the column that is read, from 0 */
  int64_t rows, done;
};

/*
** Messages
*/

static bool fail_line(const pl_csv *c, int64_t line, const char *text) {
  return pl_file_fail("%s: line %lld: %s", c->path, (long long)line, text);
}

static bool no_memory(const pl_csv *c) {
  return pl_fail_as(PL_ERROR_MEMORY, "%s: not enough memory to read it", c->path);
}

static sample sample_of(const pl_csv *c, field f) {
  enum { MOST = 40 };
  sample s = {.line = c->from};
  const size_t n = PL_MIN(f.n, MOST);
  for (size_t i = 0; i < n; i++)
    s.text[i] = (char)((unsigned char)f.text[i] < ' ' || f.text[i] == 127 ? '?' : f.text[i]);
  for (size_t i = n; f.n > n && i < n + 3; i++) s.text[i] = '.';
  return s;
}

/* "houses.csv: line 7, column 3 ('price'): 'cheap' is no number" */
static bool fail_sample(const pl_csv *c, int i, const sample *s, const char *what) {
  return pl_file_fail("%s: line %lld, column %d ('%.60s'): '%s' %s", c->path, (long long)s->line,
                      i + 1, i < c->n ? c->columns[i].name : "", s->text, what);
}

static bool fail_field(const pl_csv *c, field f, const char *what) {
  const sample s = sample_of(c, f);
  return fail_sample(c, c->now, &s, what);
}

/*
** Fields and rows
*/

/* Nothing more can be read: a message, unless that is the end of the file. */
static void check_end(pl_csv *c) {
  const bool more = pl_source_has_more(c->file);
  const char *damage = pl_source_damage(c->file);
  if (damage) pl_file_fail("%s: %s", c->path, damage);
  else if (more) pl_file_fail("%s: more bytes follow those in gzip", c->path);
}

/* False at the end of the file, or with a message. */
static bool refill(pl_csv *c) {
  if (!pl_check_interrupt()) return false;
  const size_t n = pl_source_read(c->file, c->buffer, PIECE);
  c->at = c->buffer;
  c->end = c->buffer + n;
  *c->end = 0;
  if (n == 0) check_end(c);
  return n > 0;
}

static bool more(pl_csv *c) { return c->at < c->end || refill(c); }

static bool keep(pl_csv *c, const char *text, size_t n) {
  if (n > MAX_FIELD - c->kept_n)
    return fail_line(c, c->from, "a field of more than 16 MB; is a quote not closed?");
  if (c->kept_n + n + 1 > c->kept_room) {
    const size_t room = 2 * (c->kept_n + n) + 64;
    char *kept = realloc(c->kept, room);
    if (!kept) return no_memory(c);
    c->kept = kept;
    c->kept_room = room;
  }
  memcpy(c->kept + c->kept_n, text, n);
  c->kept_n += n;
  c->kept[c->kept_n] = 0;
  return true;
}

/* Leaves c->at at what ends the field. */
static bool read_plain(pl_csv *c, field *f) {
  c->kept_n = 0;
  for (;;) {
    char *from = c->at, *p = from;
    while (!c->special[(unsigned char)*p]) p++; /* the zero at the end is special */
    c->at = p;
    if (p < c->end && c->kept_n == 0) {
      *f = (field){from, (size_t)(p - from)};
      return true;
    }
    if (!keep(c, from, (size_t)(p - from))) return false;
    if (p < c->end || !refill(c)) break;
  }
  *f = (field){c->kept, c->kept_n};
  return !pl_error();
}

/* Counts the lines that end in a piece of a field; a CR LF may be parted by the end of the buffer. */
static void count_lines(pl_csv *c, const char *text, size_t n, char *last) {
  for (size_t i = 0; i < n; i++) {
    if (text[i] == '\r' || (text[i] == '\n' && *last != '\r')) c->line++;
    *last = text[i];
  }
}

/* Behind the opening quote; passes the closing one. */
static bool read_quoted(pl_csv *c, field *f) {
  char last = 0;
  c->kept_n = 0;
  for (;;) {
    if (!more(c))
      return pl_error() ? false : fail_line(c, c->from, "a quote is opened and never closed");
    const size_t left = (size_t)(c->end - c->at);
    const char *quote = memchr(c->at, '"', left);
    const size_t n = quote ? (size_t)(quote - c->at) : left;
    if (memchr(c->at, 0, n)) return fail_line(c, c->from, "a zero byte, which no text has");
    count_lines(c, c->at, n, &last);
    if (!keep(c, c->at, n)) return false;
    c->at += n + (quote != NULL);
    if (!quote) continue;
    if (!more(c) || *c->at != '"') break;
    if (!keep(c, "\"", 1)) return false;
    last = '"';
    c->at++;
  }
  *f = (field){c->kept, c->kept_n};
  return !pl_error();
}

static bool read_field(pl_csv *c, field *f) {
  if (!more(c)) {
    *f = (field){"", 0};
    return !pl_error();
  }
  if (*c->at != '"') return read_plain(c, f);
  c->at++;
  return read_quoted(c, f);
}

typedef enum { FIELD_ENDS, ROW_ENDS, FILE_ENDS, BROKEN } ending;

/* Passes what stands behind a field. */
static ending pass_end(pl_csv *c) {
  if (!more(c)) return pl_error() ? BROKEN : FILE_ENDS;
  const char ch = *c->at++;
  if (ch == c->o.separator) return FIELD_ENDS;
  if (ch == '\r' && more(c) && *c->at == '\n') c->at++;
  if (pl_error()) return BROKEN;
  if (ch == '\n' || ch == '\r') {
    c->line++;
    return ROW_ENDS;
  }
  fail_line(c, c->line,
            ch ? "text behind the closing quote of a field" : "a zero byte, which no text has");
  return BROKEN;
}

/* Passes line ends; false at the end of the file, or with a message. */
static bool skip_blank_lines(pl_csv *c) {
  while (more(c)) {
    if (*c->at != '\n' && *c->at != '\r') return true;
    if (pass_end(c) == BROKEN) return false;
  }
  return false;
}

/* What is done with each field. */
typedef bool use(pl_csv *c, field f, void *to);

static bool check_count(const pl_csv *c, int64_t line) {
  char text[100];
  if (c->now == c->n) return true;
  snprintf(text, sizeof text, "%d field%s; %d expected, as in the first row", c->now,
           c->now == 1 ? "" : "s", c->n);
  return fail_line(c, line, text);
}

/* A row; c->now is the number of its fields then. */
static bool read_fields(pl_csv *c, use *f, void *to) {
  ending e;
  c->now = 0;
  do {
    field text;
    c->from = c->line;
    if (!read_field(c, &text) || !f(c, text, to)) return false;
    if (++c->now > MAX_COLUMNS) return fail_line(c, c->line, "more than 100000 columns");
    e = pass_end(c);
  } while (e == FIELD_ENDS);
  return e != BROKEN;
}

/* Whether there was a row; false at the end, or with a message. */
static bool read_row(pl_csv *c, use *f, void *to) {
  if (!skip_blank_lines(c)) return false;
  const int64_t line = c->line;
  return read_fields(c, f, to) && check_count(c, line);
}

/*
** Values
*/

static field trimmed(field f) {
  while (f.n > 0 && (*f.text == ' ' || *f.text == '\t')) f.text++, f.n--;
  while (f.n > 0 && (f.text[f.n - 1] == ' ' || f.text[f.n - 1] == '\t')) f.n--;
  return f;
}

static bool is_missing(const pl_csv *c, field f) {
  f = trimmed(f);
  for (int i = 0; i < c->o.n_missing; i++)
    if (strncmp(c->o.missing[i], f.text, f.n) == 0 && c->o.missing[i][f.n] == 0) return true;
  return false;
}

/* WHOLE, LARGE, NUMBERS, or else WORDS. */
static guess read_number(const pl_csv *c, field f, double *value) {
  f = trimmed(f);
  switch (pl_decimal_read(f.text, f.n, c->plain, value)) {
    case PL_NO_NUMBER: return WORDS;
    case PL_WHOLE: return *value >= INT32_MIN && *value <= INT32_MAX ? WHOLE : LARGE;
    default: return NUMBERS;
  }
}

/* The value of a field that must be one of a real column. */
static bool read_real(const pl_csv *c, field f, double *value) {
  const field number = trimmed(f);
  const pl_decimal_kind kind = pl_decimal_read(number.text, number.n, c->plain, value);
  if (kind == PL_NO_NUMBER) return fail_field(c, f, "is no number");
  if (kind != PL_INFINITE && !isfinite((pl_real)*value))
    return fail_field(c, f, sizeof(pl_real) == 4 ? "is beyond float" : "is beyond double");
  return true;
}

static bool read_int32(const pl_csv *c, field f, double *value) {
  return read_number(c, f, value) == WHOLE ||
         fail_field(c, f, "is no whole number of int32's range");
}

/*
** Guesses that are refused
*/

/* Whether Lua takes it as a name; words of its own are none. */
static bool is_name(const char *text) {
  static const char *const words[] = {"and",   "break", "do",       "else", "elseif", "end",
                                      "false", "for",   "function", "goto", "if",     "in",
                                      "local", "nil",   "not",      "or",   "repeat", "return",
                                      "then",  "true",  "until",    "while"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strcmp(text, words[i]) == 0) return false;
  if (*text >= '0' && *text <= '9') return false;
  const char *p = text;
  while (*p == '_' || (*p >= '0' && *p <= '9') || ((*p | 32) >= 'a' && (*p | 32) <= 'z')) p++;
  return p > text && !*p;
}

/* How `types` of data.csv has a column: by its name if it is one of Lua's, else by its number. */
static void print_key(const pl_csv *c, int i, char *key, size_t n) {
  const char *name = c->columns[i].name;
  if (is_name(name) && strlen(name) < n) snprintf(key, n, "%s", name);
  else snprintf(key, n, "[%d]", i + 1);
}

static bool is_slip(const column *col) {
  return col->seen == WORDS && 2 * col->numbers > col->values;
}

/* A number column with a slip, rather than a category that has a word for each number. */
static bool fail_slip(const pl_csv *c, int i) {
  const column *col = &c->columns[i];
  char key[41], what[300];
  print_key(c, i, key, sizeof key);
  snprintf(what, sizeof what,
           "is no number, but %lld of %lld values are; if it stands for a missing value, add it to "
           "na; types = {%s = \"category\"} makes words of all",
           (long long)col->numbers, (long long)col->values, key);
  return fail_sample(c, i, &col->odd, what);
}

/* Two such numbers may be one after rounding. */
static bool fail_rounded(const pl_csv *c, int i) {
  char key[41], what[300];
  print_key(c, i, key, sizeof key);
  snprintf(what, sizeof what,
           "has more digits than real (%s) keeps; types = {%s = \"category\"} keeps them, "
           "types = {%s = \"real\"} rounds",
           sizeof(pl_real) == 4 ? "float" : "double", key, key);
  return fail_sample(c, i, &c->columns[i].odd, what);
}

/*
** The survey
*/

static bool fail_unseen(const pl_csv *c, field f) {
  if (c->columns[c->now].required) return fail_field(c, f, "is not among the words given");
  return fail_field(c, f,
                    "is not among the words given; unseen = \"zero\" takes it as none of them");
}

static bool add_word(pl_csv *c, column *col, field f) {
  if (pl_words_find(&col->words, f.text, f.n)) return true;
  if (col->given) return col->lax || fail_unseen(c, f);
  if (col->words.n == MAX_WORDS && col->guessing && is_slip(col)) return fail_slip(c, c->now);
  if (col->words.n == MAX_WORDS)
    return fail_field(c, f, "is one word too many: a column has at most 1000000; leave it out");
  const int32_t k = pl_words_add(&col->words, f.text, f.n);
  if (!k) return no_memory(c);
  size_t n;
  return pl_utf8_check(pl_words_text(&col->words, k, &n)) < 0 || fail_field(c, f, "is not UTF-8");
}

static bool look_at_word(pl_csv *c, column *col, field f) {
  if (col->seen != WORDS) {
    col->late = col->seen != NOTHING;
    col->odd = sample_of(c, f);
    col->seen = WORDS;
  }
  return col->late || add_word(c, col, f);
}

/* Whether real has all digits of a whole number, which was read as a double. */
static bool is_kept(double whole) {
  return (double)(pl_real)whole == whole && fabs(whole) < 9007199254740992.0; /* 2^53 */
}

/* What a field says of a column whose type is to be found. */
static bool look(pl_csv *c, column *col, field f) {
  double value;
  const guess kind = read_number(c, f, &value);
  col->values++;
  if (kind == WORDS) return look_at_word(c, col, f);
  col->numbers++;
  if (col->seen == WORDS) return col->late || add_word(c, col, f);
  if (kind > col->seen) col->seen = kind;
  if (kind < NUMBERS && !col->odd.line && !is_kept(value)) col->odd = sample_of(c, f);
  return isfinite((pl_real)value) || read_real(c, f, &value);
}

static bool survey_field(pl_csv *c, field f, void *to) {
  double value;
  (void)to;
  if (c->now >= c->n || c->columns[c->now].type == PL_CSV_SKIP) return true;
  column *col = &c->columns[c->now];
  if (is_missing(c, f)) {
    col->missing++;
    if (col->required) return fail_field(c, f, "stands for a missing value, and there must be one");
    if (col->type == PL_CSV_INT32)
      return fail_field(c, f, "stands for a missing value, which int32 has not");
    return col->type != PL_CSV_CATEGORY || add_word(c, col, (field){"", 0});
  }
  if (col->guessing) return look(c, col, f);
  if (col->type == PL_CSV_CATEGORY) return add_word(c, col, f);
  return col->type == PL_CSV_INT32 ? read_int32(c, f, &value) : read_real(c, f, &value);
}

static bool ignore_field(pl_csv *c, field f, void *to) {
  (void)c, (void)f, (void)to;
  return true;
}

/* Back to the first row with values. */
static bool rewind_table(pl_csv *c) {
  c->at = c->end = c->buffer;
  *c->end = 0;
  c->line = 1;
  c->done = 0;
  char mark[3];
  if (!pl_source_rewind(c->file)) return false;
  if (pl_source_read(c->file, mark, c->begin) < c->begin)
    return pl_file_fail("%s: was changed while it was read", c->path);
  return !c->o.header || read_row(c, ignore_field, NULL) ||
         pl_file_fail("%s: was changed while it was read", c->path);
}

static bool pass_over(pl_csv *c, int64_t limit) {
  if (!rewind_table(c)) return false;
  for (c->rows = 0; c->rows != limit && read_row(c, survey_field, NULL);) c->rows++;
  return !pl_error();
}

/* The type of a column that was to be guessed, by what it has. */
static bool decide(const pl_csv *c, int i) {
  column *col = &c->columns[i];
  if (!col->guessing) return true;
  if (col->seen == WORDS) {
    col->type = PL_CSV_CATEGORY;
    return !is_slip(col) || fail_slip(c, i);
  }
  col->type = col->seen == WHOLE && col->missing == 0 ? PL_CSV_INT32 : PL_CSV_REAL;
  return col->type == PL_CSV_INT32 || col->seen == NUMBERS || !col->odd.line || fail_rounded(c, i);
}

static bool sort_words(pl_csv *c, column *col) {
  pl_words *w = &col->words;
  double *value = malloc(((size_t)w->n + 1) * sizeof *value);
  if (!value) return no_memory(c);
  bool numbers = true;
  for (int32_t i = 1; i <= w->n && numbers; i++) {
    field f;
    f.text = pl_words_text(w, i, &f.n);
    value[i - 1] = -INFINITY; /* no word at all comes first */
    numbers = f.n == 0 || read_number(c, f, &value[i - 1]) != WORDS;
  }
  const bool ok = pl_words_sort(w, numbers ? value : NULL) || no_memory(c);
  free(value);
  return ok;
}

static bool finish_column(pl_csv *c, column *col) {
  if (col->type != PL_CSV_CATEGORY || col->given) return true;
  if (col->missing && !pl_words_find(&col->words, "", 0) && !pl_words_add(&col->words, "", 0))
    return no_memory(c);
  return sort_words(c, col);
}

/* Decides about all columns; `again`: the words of some are not known yet. */
static bool decide_all(pl_csv *c, bool *again) {
  *again = false;
  for (int i = 0; i < c->n; i++) {
    if (!decide(c, i)) return false;
    *again = *again || c->columns[i].late;
    c->columns[i].guessing = false;
  }
  return true;
}

bool pl_csv_survey(pl_csv *c, int64_t limit) {
  for (int i = 0; i < c->n; i++) c->columns[i].guessing = c->columns[i].type == PL_CSV_GUESS;
  if (!pass_over(c, limit)) return false;
  if (c->rows == 0)
    return pl_file_fail("%s: has no rows%s", c->path, c->o.header ? " below its header" : "");
  bool again;
  if (!decide_all(c, &again)) return false;
  if (again) {
    for (int i = 0; i < c->n; i++) c->columns[i].missing = 0;
    if (!pass_over(c, limit)) return false;
  }
  for (int i = 0; i < c->n; i++)
    if (!finish_column(c, &c->columns[i])) return false;
  return rewind_table(c);
}

/*
** Reading
*/

/* Where the values of a row go. */
typedef struct {
  pl_tensor **columns;
  int64_t row;
} place;

static bool store_field(pl_csv *c, field f, void *to) {
  const place *p = to;
  double value = NAN;
  if (c->now >= c->n || !p->columns[c->now]) return true;
  const column *col = &c->columns[c->now];
  pl_tensor *t = p->columns[c->now];
  const bool missing = is_missing(c, f);
  if (col->type == PL_CSV_REAL) {
    if (!missing && !read_real(c, f, &value)) return false;
    pl_reals(t)[p->row] = (pl_real)value;
    return true;
  }
  if (col->type == PL_CSV_CATEGORY) {
    value = pl_words_find(&col->words, missing ? "" : f.text, missing ? 0 : f.n);
    if (value == 0 && !col->lax) return fail_unseen(c, f);
  } else if (!read_int32(c, f, &value)) {
    return false;
  }
  pl_int32s(t)[p->row] = (int32_t)value;
  return true;
}

static bool make_columns(const pl_csv *c, int64_t n, pl_tensor **columns) {
  for (int i = 0; i < c->n; i++) {
    const pl_csv_type type = c->columns[i].type;
    columns[i] = NULL;
    if (type == PL_CSV_SKIP) continue;
    columns[i] = pl_empty(type == PL_CSV_REAL ? PL_REAL : PL_INT32, pl_list(n));
    if (!columns[i]) return false;
  }
  return true;
}

int64_t pl_csv_read(pl_csv *c, int64_t n, pl_tensor **columns) {
  n = PL_MIN(n, c->rows - c->done);
  place p = {columns, 0};
  if (!make_columns(c, n, columns)) return -1;
  for (; p.row < n; p.row++)
    if (!read_row(c, store_field, &p)) break;
  c->done += p.row;
  if (p.row < n) pl_file_fail("%s: was changed while it was read", c->path);
  return p.row < n ? -1 : n;
}

/*
** Opening
*/

static bool add_column(pl_csv *c, field f, void *to) {
  char number[16];
  (void)to;
  if (c->n == c->room) {
    const int room = c->room ? 2 * c->room : 16;
    column *columns = realloc(c->columns, (size_t)room * sizeof *columns);
    if (!columns) return no_memory(c);
    c->columns = columns;
    c->room = room;
  }
  if (!c->o.header) f = (field){number, (size_t)snprintf(number, sizeof number, "%d", c->n + 1)};
  char *name = strndup(f.text, f.n);
  if (!name) return no_memory(c);
  c->columns[c->n++] =
      (column){.name = name, .words.seed = (uintptr_t)c->columns ^ (uintptr_t)name};
  return pl_utf8_check(name) < 0 || fail_field(c, f, "is not UTF-8");
}

/* Text that looks like a table, and is what came in the place of one. */
static bool is_instead(const pl_csv *c) {
  const pl_file_kind *kind = pl_file_kind_of(c->path);
  return kind && (strcmp(kind->name, "html") == 0 || strcmp(kind->name, "lfs") == 0);
}

/* What the file begins with: passes UTF-8's mark, refuses what is no text. */
static bool begin(pl_csv *c) {
  if (!more(c)) return pl_error() ? false : pl_file_fail("%s: is empty", c->path);
  const size_t n = (size_t)(c->end - c->at);
  if (n >= 2 && (memcmp(c->at, "\xff\xfe", 2) == 0 || memcmp(c->at, "\xfe\xff", 2) == 0))
    return pl_file_fail("%s: is text in UTF-16; UTF-8 expected", c->path);
  if (memchr(c->at, 0, PL_MIN(n, 512)) || is_instead(c)) {
    if (!pl_source_is_packed(c->file)) return pl_file_fail_kind(c->path, "a table as text (CSV)");
    return pl_file_fail("%s: not a table as text (CSV) in gzip", c->path);
  }
  if (n >= 3 && memcmp(c->at, "\xef\xbb\xbf", 3) == 0) c->at += c->begin = 3;
  return true;
}

static bool open_table(pl_csv *c) {
  c->special['\n'] = c->special['\r'] = c->special[0] = true;
  c->special[(unsigned char)c->o.separator] = true;
  if (!begin(c)) return false;
  if (skip_blank_lines(c)) return read_fields(c, add_column, NULL);
  return pl_error() ? false : pl_file_fail("%s: is empty", c->path);
}

/* Not a character of numbers, words, or of the format itself. */
static bool check_separator(char s) {
  return (s && strchr("\t !#$%&'()*,/:;<=>?@[\\]^_`{|}~", s)) ||
         pl_fail("csv: the separator '%c' is none; ',', ';' or a tab, for instance, expected", s);
}

pl_csv *pl_csv_open(const char *path, const pl_csv_options *o) {
  if (!check_separator(o->separator)) return NULL;
  pl_source *file = pl_source_open(path);
  if (!file) return NULL;
  pl_csv *c = calloc(1, sizeof *c);
  if (!c) {
    pl_source_close(file);
    return pl_fail_as(PL_ERROR_MEMORY, "%s: not enough memory to read it", path), NULL;
  }
  c->file = file;
  c->o = *o;
  c->line = 1;
  c->at = c->end = c->buffer;
  c->path = strdup(path);
  c->plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  if (!c->path || !c->plain) pl_fail_as(PL_ERROR_MEMORY, "%s: not enough memory to read it", path);
  else if ((c->holder = pl_hold_file()) && open_table(c)) return c;
  pl_csv_close(c);
  return NULL;
}

void pl_csv_close(pl_csv *c) {
  if (!c) return;
  for (int i = 0; i < c->n; i++) {
    free(c->columns[i].name);
    pl_words_free(&c->columns[i].words);
  }
  if (c->plain) freelocale(c->plain);
  pl_source_close(c->file);
  pl_let_file_go(c->holder);
  free(c->columns);
  free(c->kept);
  free(c->path);
  free(c);
}

int pl_csv_columns(const pl_csv *c) { return c->n; }

const char *pl_csv_name(const pl_csv *c, int i) { return c->columns[i].name; }

bool pl_csv_rename(pl_csv *c, int i, const char *name) {
  char *copy = strdup(name);
  if (!copy) return no_memory(c);
  free(c->columns[i].name);
  c->columns[i].name = copy;
  return true;
}

void pl_csv_choose(pl_csv *c, int i, pl_csv_type type, bool required) {
  c->columns[i].type = type;
  c->columns[i].required = required;
}

void pl_csv_admit_unseen(pl_csv *c, int i) { c->columns[i].lax = true; }

bool pl_csv_add_word(pl_csv *c, int i, const char *word, size_t n) {
  column *col = &c->columns[i];
  col->given = true;
  if (pl_words_find(&col->words, word, n))
    return pl_fail("csv: '%.60s' is given twice among the words of column '%.60s'", word,
                   col->name);
  return pl_words_add(&col->words, word, n) || no_memory(c);
}

int64_t pl_csv_rows(const pl_csv *c) { return c->rows; }

pl_csv_type pl_csv_type_of(const pl_csv *c, int i) { return c->columns[i].type; }

int64_t pl_csv_missing(const pl_csv *c, int i) { return c->columns[i].missing; }

const char *pl_csv_first_word(const pl_csv *c, int i, int64_t *line) {
  const column *col = &c->columns[i];
  *line = col->odd.line;
  return col->seen == WORDS ? col->odd.text : NULL;
}

int pl_csv_words(const pl_csv *c, int i) { return c->columns[i].words.n; }

const char *pl_csv_word(const pl_csv *c, int i, int k, size_t *n) {
  return pl_words_text(&c->columns[i].words, k + 1, n);
}
