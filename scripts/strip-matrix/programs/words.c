// Counts words: enough callers of every allocation function of C that it looks like a program.
#include <stdlib.h>
#include <string.h>

struct Entry {
  struct Entry *next;
  char *word;
  unsigned *places;
  unsigned count, capacity;
};

struct Index {
  struct Entry **buckets;
  unsigned size;
};

#define export(name) __attribute__((export_name(name), used, noinline))

static unsigned hash(const char *word, size_t length) {
  unsigned h = 2166136261u;
  for (size_t i = 0; i < length; i++) h = (h ^ (unsigned char)word[i]) * 16777619u;
  return h;
}

export("index_new") struct Index *index_new(unsigned size) {
  struct Index *index = malloc(sizeof *index);
  if (!index) return NULL;
  index->size = size ? size : 16;
  index->buckets = calloc(index->size, sizeof *index->buckets);
  return index;
}

static struct Entry *entry_new(const char *word, size_t length) {
  struct Entry *entry = malloc(sizeof *entry);
  entry->word = malloc(length + 1);
  memcpy(entry->word, word, length);
  entry->word[length] = 0;
  entry->capacity = 4;
  entry->count = 0;
  entry->places = malloc(entry->capacity * sizeof *entry->places);
  entry->next = NULL;
  return entry;
}

export("index_add") void index_add(struct Index *index, const char *word, size_t length, unsigned place) {
  struct Entry **slot = &index->buckets[hash(word, length) % index->size];
  while (*slot && (strlen((*slot)->word) != length || memcmp((*slot)->word, word, length))) slot = &(*slot)->next;
  if (!*slot) *slot = entry_new(word, length);
  struct Entry *entry = *slot;
  if (entry->count == entry->capacity) {
    entry->capacity *= 2;
    entry->places = realloc(entry->places, entry->capacity * sizeof *entry->places);
  }
  entry->places[entry->count++] = place;
}

export("index_free") void index_free(struct Index *index) {
  for (unsigned i = 0; i < index->size; i++) {
    for (struct Entry *entry = index->buckets[i]; entry;) {
      struct Entry *next = entry->next;
      free(entry->places);
      free(entry->word);
      free(entry);
      entry = next;
    }
  }
  free(index->buckets);
  free(index);
}

export("buffer") void *buffer(size_t alignment, size_t size) {
  void *block = NULL;
  if (alignment > 4096) return posix_memalign(&block, alignment, size) ? NULL : block;
  return aligned_alloc(alignment, size);
}

export("text_new") char *text_new(size_t size) {
  return malloc(size);
}

export("text_grow") char *text_grow(char *text, size_t size) {
  return realloc(text, size);
}

export("text_free") void text_free(char *text) {
  free(text);
}

export("join") char *join(const char *a, const char *b) {
  size_t n = strlen(a), m = strlen(b);
  char *joined = malloc(n + m + 1);
  if (!joined) return NULL;
  memcpy(joined, a, n);
  memcpy(joined + n, b, m + 1);
  return joined;
}
