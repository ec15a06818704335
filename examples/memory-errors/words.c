// Counts words, with three mistakes: `linmem check` finds each.
#include <stdlib.h>
#include <string.h>

struct Words {
  char *text;
  int count;
};

__attribute__((export_name("words_new"))) struct Words *words_new(int length) {
  struct Words *words = malloc(sizeof *words);
  words->text = malloc(length); // one byte too few for the zero at the end
  words->count = 0;
  return words;
}

__attribute__((export_name("words_text"))) char *words_text(struct Words *words) { return words->text; }

__attribute__((export_name("words_count"))) int words_count(struct Words *words, int length) {
  words->text[length] = 0;
  char *copy = malloc(length + 1); // never released
  strcpy(copy, words->text);
  for (char *word = strtok(copy, " "); word; word = strtok(0, " ")) words->count++;
  return words->count;
}

__attribute__((export_name("words_free"))) int words_free(struct Words *words) {
  free(words->text);
  free(words);
  return words->count; // after it was freed
}
