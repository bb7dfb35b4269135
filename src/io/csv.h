/*
** csv.h: tables as text, RFC 4180, read column by column into tensors.
**
**   open       reads the first row, which names the columns
**   choose     what becomes of each column
**   survey     reads all rows once: types that were to be guessed, words, how many rows there are;
**              whatever is wrong with the file is found here
**   read       some rows at a time, from the first on
*/
#ifndef PERILUNE_CSV_H
#define PERILUNE_CSV_H

#include "io.h"

typedef enum {
  PL_CSV_SKIP,  /* not read */
  PL_CSV_GUESS, /* int32 if all are whole numbers of its range and none is missing; real if all are
                   numbers; else a category. Refused are a category with more numbers than other
                   words, and whole numbers alone of which real would round one */
  PL_CSV_REAL,  /* missing ones are NaN */
  PL_CSV_INT32,
  PL_CSV_CATEGORY /* int32: which word it is, from 1; a missing one is the word "" */
} pl_csv_type;

typedef struct {
  char separator;
  bool header; /* the first row has names; else columns are named 1, 2, ... */
  int n_missing;
  const char *const *missing; /* texts that stand for no value, without blanks around them */
} pl_csv_options;

typedef struct pl_csv pl_csv;

/* The texts of the options stay the caller's, and must live as long as the table is open. */
pl_csv *pl_csv_open(const char *path, const pl_csv_options *o);
/* Accepts NULL. */
void pl_csv_close(pl_csv *c);
int pl_csv_columns(const pl_csv *c);
const char *pl_csv_name(const pl_csv *c, int i);
/* The name in messages too. */
bool pl_csv_rename(pl_csv *c, int i, const char *name);
/* `required`: no value may be missing. All columns are skipped before. */
void pl_csv_choose(pl_csv *c, int i, pl_csv_type type, bool required);
/* Adds a word to a category, which has the given ones, in that order, and no others then. */
bool pl_csv_add_word(pl_csv *c, int i, const char *word, size_t n);
/* Other words than the given ones are 0. */
void pl_csv_admit_unseen(pl_csv *c, int i);
/* At most so many rows; negative: all. */
bool pl_csv_survey(pl_csv *c, int64_t limit);
int64_t pl_csv_rows(const pl_csv *c);
pl_csv_type pl_csv_type_of(const pl_csv *c, int i);
int64_t pl_csv_missing(const pl_csv *c, int i);
/* What made a category of a column that was guessed, shortened, and where; NULL of others. */
const char *pl_csv_first_word(const pl_csv *c, int i, int64_t *line);
/* Words are sorted: numbers by value, others by their bytes. */
int pl_csv_words(const pl_csv *c, int i);
const char *pl_csv_word(const pl_csv *c, int i, int k, size_t *n);
/* Makes a tensor [m] of the next m rows for each column that is not skipped, NULL for the others;
   m is at most n, and 0 at the end. Negative on failure. */
int64_t pl_csv_read(pl_csv *c, int64_t n, pl_tensor **columns);

/*
** Writing (csv_write.c)
*/

typedef struct {
  const char *name;  /* NULL in all: no header */
  pl_tensor *values; /* [n]; NULL: a column of texts */
} pl_csv_output;
/* The text of a column without values, in a row from 0. */
typedef const char *pl_csv_text(void *user, int column, int64_t row, size_t *n);

/* Real numbers have as many digits as give the same bits again; NaN is written nan. */
bool pl_csv_write(const char *path, char separator, int n, const pl_csv_output *columns,
                  int64_t rows, pl_csv_text *text, void *user);

#endif
