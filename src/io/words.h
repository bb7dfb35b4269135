/*
** words.h: the different words of a column, each with its number from 1.
*/
#ifndef PERILUNE_WORDS_H
#define PERILUNE_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
  size_t at, n; /* where its text begins, and its length */
} pl_word;

typedef struct {
  char *text; /* each word with a zero behind it */
  size_t used, room;
  pl_word *word;
  int32_t n, word_room;
  int32_t *slot; /* a hash table: number of a word, or 0 */
  uint32_t slots;
  uint64_t seed; /* of the hash: nobody can choose words that share their slots */
} pl_words;

void pl_words_free(pl_words *w);
/* Its number, or 0. */
int32_t pl_words_find(const pl_words *w, const char *text, size_t n);
/* Adds a word that is not there; 0 if there is no memory. */
int32_t pl_words_add(pl_words *w, const char *text, size_t n);
/* Gives them their numbers in order: by value if `value` (may be NULL) has one for each, by their bytes
   otherwise; false if there is no memory. */
bool pl_words_sort(pl_words *w, const double *value);
static inline const char *pl_words_text(const pl_words *w, int32_t number, size_t *n) {
  const pl_word *word = &w->word[number - 1];
  *n = word->n;
  return w->text + word->at;
}

#endif
