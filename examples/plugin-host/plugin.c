// A plugin: polite, greedy or broken, as it is asked to be.
#include <stddef.h>
#include <stdint.h>

__attribute__((import_module("host"), import_name("log"))) void host_log(const char *text, size_t length);

static char message[64];
static int visits;

static size_t append(char *to, size_t length, const char *text, size_t count) {
  for (size_t i = 0; i < count && length < sizeof message; i++) to[length++] = text[i];
  return length;
}

// Where the host puts text for the plugin.
char *inbox(void) {
  static char box[64];
  return box;
}

int greet(const char *name, size_t length) {
  size_t end = append(message, 0, "hello, ", 7);
  end = append(message, end, name, length);
  host_log(message, end);
  return ++visits;
}

// Takes all the memory it can get; returns how many pages that were.
int hoard(void) {
  int pages = 0;
  while (__builtin_wasm_memory_grow(0, 1) != (size_t)-1) pages++;
  return pages;
}

// Writes where it has no business to.
void stray(uint32_t address) { *(volatile char *)address = 1; }
