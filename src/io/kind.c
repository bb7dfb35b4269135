/*
** kind.c: what a file is, by its first bytes: the one place that knows how files of others begin.
*/
#include "io.h"

#include <string.h>

#include "base/base.h"

enum { HEAD = 512 };

#define LOADS            "pl.load reads it"
#define SHEET            "saved as CSV, a table is read by pl.data.csv"
#define IN_PYTHON(state) "in Python: safetensors.torch.save_file(" state ", \"net.safetensors\")"
#define TORCH \
  { "torch", "a PyTorch file, of torch.save", IN_PYTHON("torch.load(\"net.pt\")") }
#define PICKLE \
  { "pickle", "a Python pickle, which may run any code and is not read", NULL }

typedef struct {
  int at; /* where they begin */
  const char *magic;
  size_t n;
  pl_file_kind kind;
} row;

/* A literal and its length, for some have zeros. */
#define MAGIC(text)            MAGIC_AT(0, text)
#define MAGIC_AT(offset, text) offset, text, sizeof text - 1

static const row rows[] = {
    {MAGIC("\x93NUMPY"), {"npy", "a NumPy array", LOADS}},
    {MAGIC("PK\5\6"), {"npz", "an empty zip archive", LOADS}},
    {MAGIC("PK\6\6"), {"npz", "an empty zip archive", LOADS}},
    {MAGIC("\x89PNG\r\n\x1a\n"), {"png", "a PNG image", "pl.image.read reads it"}},
    {MAGIC("\xff\xd8\xff"), {"jpeg", "a JPEG image", "pl.image.read reads it"}},
    {MAGIC("GIF8"), {"gif", "a GIF image", NULL}},
    {MAGIC("RIFF"), {"riff", "a RIFF file, such as WebP, WAV and AVI", NULL}},
    {MAGIC("II*\0"), {"tiff", "a TIFF image", NULL}},
    {MAGIC("MM\0*"), {"tiff", "a TIFF image", NULL}},
    {MAGIC("\0\0\x08"), {"idx", "an IDX file", "pl.data.idx reads it"}},
    {MAGIC("\0\0\x0c"), {"idx", "an IDX file", "pl.data.idx reads it"}},
    {MAGIC("\x80\2\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19"), TORCH}, /* before version 1.6 */
    {MAGIC("\x80\2"), PICKLE},
    {MAGIC("\x80\3"), PICKLE},
    {MAGIC("\x80\4"), PICKLE},
    {MAGIC("\x80\5"), PICKLE},
    {MAGIC("\x89HDF"), {"hdf5", "an HDF5 file", "numpy.savez writes what pl.load reads"}},
    {MAGIC("GGUF"), {"gguf", "a GGUF file", NULL}},
    {MAGIC("PAR1"), {"parquet", "a Parquet table", SHEET}},
    {MAGIC("\x1f\x8b"), {"gzip", "a gzip file", "gunzip unpacks it"}},
    {MAGIC("BZh"), {"bzip2", "a bzip2 file", "bunzip2 unpacks it"}},
    {MAGIC("\xfd"
           "7zXZ"),
     {"xz", "an xz file", "unxz unpacks it"}},
    {MAGIC("\x28\xb5\x2f\xfd"), {"zstd", "a zstd file", "unzstd unpacks it"}},
    {MAGIC_AT(257, "ustar"), {"tar", "a tar archive", "tar -xf unpacks it"}},
    {MAGIC("%PDF"), {"pdf", "a PDF document", NULL}},
    {MAGIC("SQLite format 3"), {"sqlite", "an SQLite database", SHEET}},
    {MAGIC("MATLAB 5.0 MAT-file"),
     {"matlab", "a MATLAB file", "scipy.io.loadmat and numpy.savez write what pl.load reads"}},
    {MAGIC("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), {"office", "an Office document", SHEET}},
    {MAGIC("<!DOCTYPE"), {"html", "an HTML page", NULL}},
    {MAGIC("<!doctype"), {"html", "an HTML page", NULL}},
    {MAGIC("<html"), {"html", "an HTML page", NULL}},
    {MAGIC("version https://git-lfs"),
     {"lfs", "a pointer of Git LFS", "git lfs pull fetches the file"}},
    {MAGIC("{"), {"json", "JSON text", NULL}},
};

static const pl_file_kind unknown = {"", NULL, NULL},
                          safetensors = {"safetensors", "a safetensors file", LOADS},
                          npz = {"npz", "an archive of NumPy arrays", LOADS}, torch = TORCH,
                          script = {"torchscript", "a TorchScript file",
                                    IN_PYTHON("torch.jit.load(\"net.pt\").state_dict()")},
                          office = {"office", "an Office document", SHEET},
                          bmp = {"bmp", "a BMP image", NULL}, zip = {"zip", "a zip archive", NULL},
                          text = {"text", "text", "if it is a table, pl.data.csv reads it"};

/* By the name of the first member, which stands in the first bytes. */
static const pl_file_kind *kind_of_zip(const char *head, size_t n) {
  const size_t length = n < 30 ? 0 : (unsigned char)head[26] | (size_t)(unsigned char)head[27] << 8;
  const char *name = head + 30;
  if (length < 4 || 30 + length > n) return &zip;
  if (memcmp(name + length - 4, ".npy", 4) == 0) return &npz;
  if (memmem(name, length, "[Content_Types].xml", 19)) return &office;
  if (memmem(name, length, "/data/", 6)) return &script;
  return memmem(name, length, "/data.pkl", 9) ? &torch : &zip;
}

/* Two letters with which texts may begin too, and zeros. */
static bool is_bmp(const char *head, size_t n) {
  return n >= 14 && memcmp(head, "BM", 2) == 0 && memcmp(head + 6, "\0\0\0\0", 4) == 0;
}

/* The length of a header, which begins with a brace. */
static bool is_safetensors(const char *head, size_t n, int64_t size) {
  uint64_t length;
  if (n < 9) return false;
  memcpy(&length, head, sizeof length);
  return length >= 2 && length <= (uint64_t)size - 8 && head[8] == '{';
}

/* No byte that no text has, and the end of a line. */
static bool is_text(const char *head, size_t n) {
  for (size_t i = 0; i < n; i++)
    if ((unsigned char)head[i] < ' ' && (!head[i] || !strchr("\t\n\r\f", head[i]))) return false;
  return memchr(head, '\n', n) || memchr(head, '\r', n);
}

static const pl_file_kind *kind_of(const char *head, size_t n, int64_t size) {
  if (is_safetensors(head, n, size)) return &safetensors;
  if (n >= 4 && memcmp(head, "PK\3\4", 4) == 0) return kind_of_zip(head, n);
  if (is_bmp(head, n)) return &bmp;
  for (const row *r = rows; r < rows + sizeof rows / sizeof *rows; r++)
    if (n >= (size_t)r->at + r->n && memcmp(head + r->at, r->magic, r->n) == 0) return &r->kind;
  return is_text(head, n) ? &text : &unknown;
}

const pl_file_kind *pl_file_kind_of(const char *path) {
  char head[HEAD];
  int64_t size = 0;
  FILE *f = pl_file_open(path, &size);
  if (!f) return NULL;
  const size_t n = fread(head, 1, sizeof head, f);
  fclose(f);
  return kind_of(head, n, size);
}

static bool fail_kind(const char *path, const char *expected, const pl_file_kind *kind) {
  if (!kind->what) return pl_file_fail("%s: not %s", path, expected);
  return pl_file_fail("%s: not %s, but %s%s%s", path, expected, kind->what, kind->hint ? "; " : "",
                      kind->hint ? kind->hint : "");
}

bool pl_file_fail_kind(const char *path, const char *expected) {
  const pl_file_kind *kind = pl_file_kind_of(path);
  return kind && fail_kind(path, expected, kind);
}

bool pl_bytes_fail_kind(const char *path, const char *expected, const void *file, size_t n) {
  return fail_kind(path, expected, kind_of(file, PL_MIN(n, HEAD), (int64_t)n));
}
