/*
** csv_write.c: writes tables as RFC 4180 has them, with LF at the end of each row.
*/
#include <stdlib.h>
#include <string.h>

#include "csv.h"
#include "decimal.h"

#include "../tensor/tensor.h"

static bool write_text(pl_newfile *f, char separator, const char *text, size_t n) {
  const char special[] = {separator, '"', '\n', '\r', ' ', '\t', 0};
  if (n > 0 && strcspn(text, special) >= n) return pl_newfile_write(f, text, n);
  if (!pl_newfile_write(f, "\"", 1)) return false;
  for (const char *end = text + n; text < end;) {
    const char *quote = memchr(text, '"', (size_t)(end - text));
    const size_t part = (size_t)((quote ? quote + 1 : end) - text);
    if (!pl_newfile_write(f, text, part) || (quote && !pl_newfile_write(f, "\"", 1))) return false;
    text += part;
  }
  return pl_newfile_write(f, "\"", 1);
}

static bool write_value(pl_newfile *f, const pl_tensor *t, int64_t i) {
  char text[32];
  const size_t n = t->dtype == PL_REAL ? pl_decimal_print(pl_reals(t)[i], text)
                                       : (size_t)snprintf(text, sizeof text, "%.0f", pl_at(t, i));
  return pl_newfile_write(f, text, n);
}

static bool write_header(pl_newfile *f, char separator, int n, const pl_csv_output *columns) {
  for (int i = 0; i < n; i++)
    if ((i && !pl_newfile_write(f, &separator, 1)) ||
        !write_text(f, separator, columns[i].name, strlen(columns[i].name)))
      return false;
  return pl_newfile_write(f, "\n", 1);
}

/* Values are packed by now. */
typedef struct {
  char separator;
  int n;
  const pl_csv_output *columns;
  pl_tensor **values;
  pl_csv_text *text;
  void *user;
} table;

static bool write_row(pl_newfile *f, const table *t, int64_t row) {
  for (int i = 0; i < t->n; i++) {
    size_t n = 0;
    if (i && !pl_newfile_write(f, &t->separator, 1)) return false;
    const char *text = t->values[i] ? NULL : t->text(t->user, i, row, &n);
    if (!(text ? write_text(f, t->separator, text, n) : write_value(f, t->values[i], row)))
      return false;
  }
  return pl_newfile_write(f, "\n", 1);
}

static bool write_table(pl_newfile *f, const table *t, int64_t rows) {
  if (t->columns[0].name && !write_header(f, t->separator, t->n, t->columns)) return false;
  for (int64_t row = 0; row < rows; row++)
    if ((row % 1024 == 0 && !pl_check_interrupt()) || !write_row(f, t, row)) return false;
  return true;
}

static bool pack(int n, const pl_csv_output *columns, pl_tensor **values) {
  for (int i = 0; i < n; i++) {
    values[i] = columns[i].values ? pl_contiguous(columns[i].values) : NULL;
    if (columns[i].values && !values[i]) return false;
  }
  return true;
}

bool pl_csv_write(const char *path, char separator, int n, const pl_csv_output *columns,
                  int64_t rows, pl_csv_text *text, void *user) {
  pl_tensor **values = calloc((size_t)n + 1, sizeof *values);
  if (!values) return pl_fail_as(PL_ERROR_MEMORY, "not enough memory to write %s", path);
  const table t = {separator, n, columns, values, text, user};
  pl_newfile *f = pack(n, columns, values) ? pl_newfile_open(path) : NULL;
  bool ok = f && write_table(f, &t, rows);
  if (ok) ok = pl_newfile_commit(f);
  else pl_newfile_discard(f);
  free(values);
  return ok;
}
