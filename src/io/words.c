/*
** words.c: see words.h. Open addressing with linear probing, at most half full.
*/
#include "words.h"

#include <stdlib.h>
#include <string.h>

void pl_words_free(pl_words *w) {
  free(w->text);
  free(w->word);
  free(w->slot);
  *w = (pl_words){.seed = w->seed};
}

/* FNV-1a (Fowler, Noll, Vo), begun with the seed, and mixed at its end. */
static uint64_t hash(const pl_words *w, const char *text, size_t n) {
  uint64_t h = w->seed ^ 0xcbf29ce484222325u;
  for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)text[i]) * 0x100000001b3u;
  h = (h ^ h >> 32) * 0x9e3779b97f4a7c15u;
  return h ^ h >> 29;
}

/* The slot of a word, or the free one where it belongs. */
static int32_t *find_slot(const pl_words *w, const char *text, size_t n) {
  for (uint64_t i = hash(w, text, n);; i++) {
    int32_t *slot = &w->slot[i & (w->slots - 1)];
    if (!*slot) return slot;
    const pl_word *word = &w->word[*slot - 1];
    if (word->n == n && memcmp(w->text + word->at, text, n) == 0) return slot;
  }
}

int32_t pl_words_find(const pl_words *w, const char *text, size_t n) {
  return w->slots ? *find_slot(w, text, n) : 0;
}

/* Puts all words where they belong. */
static void fill_slots(pl_words *w) {
  memset(w->slot, 0, w->slots * sizeof *w->slot);
  for (int32_t i = 0; i < w->n; i++) *find_slot(w, w->text + w->word[i].at, w->word[i].n) = i + 1;
}

static bool grow_slots(pl_words *w) {
  if (2 * ((uint32_t)w->n + 1) <= w->slots) return true;
  const uint32_t slots = w->slots ? 2 * w->slots : 64;
  int32_t *slot = realloc(w->slot, slots * sizeof *slot);
  if (!slot) return false;
  w->slot = slot;
  w->slots = slots;
  fill_slots(w);
  return true;
}

static bool grow_words(pl_words *w) {
  if (w->n < w->word_room) return true;
  const int32_t room = w->word_room ? 2 * w->word_room : 16;
  pl_word *word = realloc(w->word, (size_t)room * sizeof *word);
  if (!word) return false;
  w->word = word;
  w->word_room = room;
  return true;
}

static bool grow_text(pl_words *w, size_t n) {
  if (w->room - w->used > n) return true;
  const size_t room = 2 * w->room + n + 64;
  char *text = realloc(w->text, room);
  if (!text) return false;
  w->text = text;
  w->room = room;
  return true;
}

int32_t pl_words_add(pl_words *w, const char *text, size_t n) {
  if (!grow_slots(w) || !grow_words(w) || !grow_text(w, n)) return 0;
  memcpy(w->text + w->used, text, n);
  w->text[w->used + n] = 0;
  *find_slot(w, text, n) = w->n + 1;
  w->word[w->n++] = (pl_word){w->used, n};
  w->used += n + 1;
  return w->n;
}

/* What qsort compares: a word with its value. */
typedef struct {
  pl_word word;
  double value;
} item;

static int by_value(const void *a, const void *b, void *text) {
  const item *x = a, *y = b;
  if (x->value != y->value) return x->value < y->value ? -1 : 1;
  const size_t n = x->word.n < y->word.n ? x->word.n : y->word.n;
  const int order = memcmp((char *)text + x->word.at, (char *)text + y->word.at, n);
  return order ? order : x->word.n < y->word.n ? -1 : x->word.n > y->word.n;
}

bool pl_words_sort(pl_words *w, const double *value) {
  item *items = malloc((size_t)w->n * sizeof *items + 1);
  if (!items) return false;
  for (int32_t i = 0; i < w->n; i++) items[i] = (item){w->word[i], value ? value[i] : 0};
  qsort_r(items, (size_t)w->n, sizeof *items, by_value, w->text);
  for (int32_t i = 0; i < w->n; i++) w->word[i] = items[i].word;
  free(items);
  if (w->slots) fill_slots(w);
  return true;
}
