// Work that programs do with their memory, for measuring what checks cost: each kernel does `rounds` units of its work and
// returns a checksum, which has to be the same however it was compiled or rewritten.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define KERNEL(name) __attribute__((export_name(#name), noinline, used)) uint32_t name(int rounds)

static uint32_t state;
static uint32_t next_random(void) {
  state = state * 1664525u + 1013904223u;
  return state >> 8;
}

// Bytes: a compressor with a window and a hash of positions, its decompressor, and a checksum by table.

enum { TEXT = 32768 };

static size_t compress(const uint8_t *from, size_t length, uint8_t *to) {
  uint32_t *heads = calloc(4096, sizeof *heads);
  size_t at = 0, out = 0;
  while (at < length) {
    size_t best = 0, distance = 0;
    if (at + 4 <= length) {
      uint32_t word;
      memcpy(&word, from + at, 4);
      uint32_t *head = &heads[(word * 2654435761u) >> 20];
      if (*head && at - (*head - 1) < 65536) {
        const uint8_t *candidate = from + *head - 1;
        while (at + best < length && best < 255 && candidate[best] == from[at + best]) best++;
        distance = at - (*head - 1);
      }
      *head = (uint32_t)at + 1;
    }
    if (best >= 4) {
      to[out++] = 1;
      to[out++] = (uint8_t)best;
      to[out++] = (uint8_t)distance;
      to[out++] = (uint8_t)(distance >> 8);
      at += best;
    } else {
      to[out++] = 0;
      to[out++] = from[at++];
    }
  }
  free(heads);
  return out;
}

static size_t decompress(const uint8_t *from, size_t length, uint8_t *to) {
  size_t out = 0;
  for (size_t at = 0; at < length;) {
    if (from[at] == 0) {
      to[out++] = from[at + 1];
      at += 2;
    } else {
      size_t count = from[at + 1], distance = from[at + 2] | from[at + 3] << 8;
      for (size_t i = 0; i < count; i++, out++) to[out] = to[out - distance];
      at += 4;
    }
  }
  return out;
}

static uint32_t checksum(const uint8_t *bytes, size_t length) {
  static uint32_t table[256];
  if (!table[1]) {
    for (uint32_t i = 0; i < 256; i++) {
      uint32_t value = i;
      for (int bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320u ^ (value >> 1) : value >> 1;
      table[i] = value;
    }
  }
  uint32_t sum = ~0u;
  for (size_t i = 0; i < length; i++) sum = table[(sum ^ bytes[i]) & 255] ^ (sum >> 8);
  return ~sum;
}

KERNEL(compressing) {
  uint32_t result = 0;
  for (int round = 0; round < rounds; round++) {
    state = (uint32_t)round + 1;
    uint8_t *text = malloc(TEXT), *packed = malloc(2 * TEXT), *again = malloc(TEXT);
    for (int i = 0; i < TEXT; i++) {
      text[i] = i > 64 && next_random() % 8 ? text[i - 1 - next_random() % 64] : 'a' + next_random() % 26;
    }
    size_t length = compress(text, TEXT, packed);
    size_t back = decompress(packed, length, again);
    result += checksum(packed, length) ^ checksum(again, back) ^ (uint32_t)memcmp(text, again, TEXT);
    free(text);
    free(packed);
    free(again);
  }
  return result;
}

// Words: quicksort of numbers.

static void quicksort(int32_t *values, int count) {
  while (count > 12) {
    int32_t pivot = values[count / 2];
    int i = -1, j = count;
    for (;;) {
      do i++;
      while (values[i] < pivot);
      do j--;
      while (values[j] > pivot);
      if (i >= j) break;
      int32_t swap = values[i];
      values[i] = values[j];
      values[j] = swap;
    }
    quicksort(values, j + 1);
    values += j + 1;
    count -= j + 1;
  }
  for (int i = 1; i < count; i++) {
    int32_t value = values[i];
    int j = i;
    for (; j > 0 && values[j - 1] > value; j--) values[j] = values[j - 1];
    values[j] = value;
  }
}

KERNEL(sorting) {
  enum { COUNT = 20000 };
  uint32_t result = 0;
  int32_t *values = malloc(COUNT * sizeof *values);
  for (int round = 0; round < rounds; round++) {
    state = (uint32_t)round + 7;
    for (int i = 0; i < COUNT; i++) values[i] = (int32_t)next_random();
    quicksort(values, COUNT);
    for (int i = 0; i < COUNT; i += 97) result = result * 31 + (uint32_t)values[i];
  }
  free(values);
  return result;
}

// Small blocks: a table of chained nodes whose keys are strings.

struct node {
  struct node *next;
  char *key;
  int count;
};

KERNEL(counting_words) {
  enum { HEADS = 1024 };
  uint32_t result = 0;
  for (int round = 0; round < rounds; round++) {
    state = (uint32_t)round + 3;
    struct node **heads = calloc(HEADS, sizeof *heads);
    for (int i = 0; i < 6000; i++) {
      char word[16];
      int length = 3 + (int)(next_random() % 9);
      uint32_t seed = next_random() % 900;
      for (int k = 0; k < length; k++) word[k] = (char)('a' + (seed * (uint32_t)(k + 7)) % 26);
      word[length] = 0;
      uint32_t hash = 5381;
      for (const char *c = word; *c; c++) hash = hash * 33 + (uint8_t)*c;
      struct node *node = heads[hash % HEADS];
      while (node && strcmp(node->key, word)) node = node->next;
      if (!node) {
        node = malloc(sizeof *node);
        node->key = strdup(word);
        node->count = 0;
        node->next = heads[hash % HEADS];
        heads[hash % HEADS] = node;
      }
      node->count++;
    }
    for (int i = 0; i < HEADS; i++) {
      for (struct node *node = heads[i], *next; node; node = next) {
        next = node->next;
        result = result * 17 + (uint32_t)node->count * strlen(node->key);
        free(node->key);
        free(node);
      }
    }
    free(heads);
  }
  return result;
}

// Nothing but the allocator and pointers.

struct tree {
  struct tree *left, *right;
};

static struct tree *grow_tree(int depth) {
  struct tree *tree = malloc(sizeof *tree);
  tree->left = depth ? grow_tree(depth - 1) : 0;
  tree->right = depth ? grow_tree(depth - 1) : 0;
  return tree;
}

static uint32_t fell_tree(struct tree *tree) {
  if (!tree) return 0;
  uint32_t count = 1 + fell_tree(tree->left) + fell_tree(tree->right);
  free(tree);
  return count;
}

KERNEL(binary_trees) {
  uint32_t result = 0;
  for (int round = 0; round < rounds; round++) result += fell_tree(grow_tree(11));
  return result;
}

// Doubles in rows.

KERNEL(matrices) {
  enum { N = 96 };
  double *a = malloc(N * N * sizeof *a), *b = malloc(N * N * sizeof *b), *c = malloc(N * N * sizeof *c);
  for (int i = 0; i < N * N; i++) {
    a[i] = i % 13;
    b[i] = i % 7;
  }
  double sum = 0;
  for (int round = 0; round < rounds; round++) {
    for (int i = 0; i < N; i++) {
      for (int j = 0; j < N; j++) {
        double value = 0;
        for (int k = 0; k < N; k++) value += a[i * N + k] * b[k * N + j];
        c[i * N + j] = value;
      }
    }
    sum += c[round % (N * N)];
  }
  free(a);
  free(b);
  free(c);
  return (uint32_t)sum;
}

KERNEL(sieving) {
  enum { LIMIT = 200000 };
  uint32_t result = 0;
  for (int round = 0; round < rounds; round++) {
    uint8_t *composite = calloc(LIMIT, 1);
    for (int i = 2; i * i < LIMIT; i++) {
      if (composite[i]) continue;
      for (int j = i * i; j < LIMIT; j += i) composite[j] = 1;
    }
    for (int i = 2; i < LIMIT; i++) result += !composite[i];
    free(composite);
  }
  return result;
}

// Pixels: neighbours of each in three rows.

KERNEL(blurring) {
  enum { WIDTH = 160, HEIGHT = 120 };
  uint8_t *from = malloc(WIDTH * HEIGHT * 4), *to = malloc(WIDTH * HEIGHT * 4);
  for (int i = 0; i < WIDTH * HEIGHT * 4; i++) from[i] = (uint8_t)(i * 7);
  for (int round = 0; round < rounds; round++) {
    memcpy(to, from, WIDTH * HEIGHT * 4);
    for (int y = 1; y < HEIGHT - 1; y++) {
      for (int x = 1; x < WIDTH - 1; x++) {
        for (int c = 0; c < 3; c++) {
          int sum = 0;
          for (int dy = -1; dy <= 1; dy++) {
            const uint8_t *row = from + ((y + dy) * WIDTH + x) * 4 + c;
            sum += row[-4] + 2 * row[0] + row[4];
          }
          to[(y * WIDTH + x) * 4 + c] = (uint8_t)(sum / 12);
        }
      }
    }
    uint8_t *swap = from;
    from = to;
    to = swap;
  }
  uint32_t result = checksum(from, WIDTH * HEIGHT * 4);
  free(from);
  free(to);
  return result;
}

// An interpreter: code, stack and variables lie in memory.

struct machine {
  int32_t stack[32];
  int32_t variables[8];
  int top;
};

enum { PUSH, LOAD, STORE, ADD, MULTIPLY, XOR, LESS, JUMP, JUMP_IF, HALT };

static int32_t interpret(struct machine *machine, const int32_t *code) {
  for (int at = 0;;) {
    int32_t *top = machine->stack + machine->top;
    switch (code[at++]) {
      case PUSH: *top = code[at++]; machine->top++; break;
      case LOAD: *top = machine->variables[code[at++]]; machine->top++; break;
      case STORE: machine->variables[code[at++]] = top[-1]; machine->top--; break;
      case ADD: top[-2] = (int32_t)((uint32_t)top[-2] + (uint32_t)top[-1]); machine->top--; break;
      case MULTIPLY: top[-2] = (int32_t)((uint32_t)top[-2] * (uint32_t)top[-1]); machine->top--; break;
      case XOR: top[-2] ^= top[-1]; machine->top--; break;
      case LESS: top[-2] = top[-2] < top[-1]; machine->top--; break;
      case JUMP: at = code[at]; break;
      case JUMP_IF: machine->top--; at = top[-1] ? code[at] : at + 1; break;
      default: return machine->variables[0];
    }
  }
}

KERNEL(interpreting) {
  static const int32_t program[] = {
      PUSH, 0, STORE, 1, PUSH, 1, STORE, 0,
      LOAD, 0, PUSH, 31, MULTIPLY, LOAD, 1, XOR, STORE, 0,
      LOAD, 1, PUSH, 1, ADD, STORE, 1,
      LOAD, 1, LOAD, 2, LESS, JUMP_IF, 8, HALT};
  struct machine *machine = calloc(1, sizeof *machine);
  int32_t *code = malloc(sizeof program);
  memcpy(code, program, sizeof program);
  uint32_t result = 0;
  for (int round = 0; round < rounds; round++) {
    machine->variables[2] = 20000;
    machine->top = 0;
    result += (uint32_t)interpret(machine, code);
  }
  free(machine);
  free(code);
  return result;
}

// Text: a parser that makes a tree of values, and a printer.

struct value {
  enum { NUMBER, STRING, LIST } kind;
  union {
    double number;
    char *string;
    struct { struct value **items; int count, room; } list;
  } as;
};

static struct value *parse(const char **at) {
  struct value *value = malloc(sizeof *value);
  if (**at == '[') {
    value->kind = LIST;
    value->as.list.items = 0;
    value->as.list.count = value->as.list.room = 0;
    (*at)++;
    while (**at != ']') {
      if (value->as.list.count == value->as.list.room) {
        value->as.list.room = value->as.list.room * 2 + 4;
        value->as.list.items = realloc(value->as.list.items, sizeof(void *) * (size_t)value->as.list.room);
      }
      value->as.list.items[value->as.list.count++] = parse(at);
      if (**at == ',') (*at)++;
    }
    (*at)++;
  } else if (**at == '"') {
    const char *end = strchr(++*at, '"');
    value->kind = STRING;
    value->as.string = malloc((size_t)(end - *at) + 1);
    memcpy(value->as.string, *at, (size_t)(end - *at));
    value->as.string[end - *at] = 0;
    *at = end + 1;
  } else {
    value->kind = NUMBER;
    value->as.number = 0;
    while (**at >= '0' && **at <= '9') value->as.number = value->as.number * 10 + (*(*at)++ - '0');
  }
  return value;
}

static char *print(const struct value *value, char *to) {
  if (value->kind == LIST) {
    *to++ = '[';
    for (int i = 0; i < value->as.list.count; i++) {
      if (i) *to++ = ',';
      to = print(value->as.list.items[i], to);
    }
    *to++ = ']';
  } else if (value->kind == STRING) {
    *to++ = '"';
    for (const char *c = value->as.string; *c; c++) *to++ = *c;
    *to++ = '"';
  } else {
    char digits[12];
    int count = 0;
    uint32_t number = (uint32_t)value->as.number;
    do digits[count++] = (char)('0' + number % 10);
    while (number /= 10);
    while (count) *to++ = digits[--count];
  }
  return to;
}

static void release(struct value *value) {
  if (value->kind == LIST) {
    for (int i = 0; i < value->as.list.count; i++) release(value->as.list.items[i]);
    free(value->as.list.items);
  } else if (value->kind == STRING) {
    free(value->as.string);
  }
  free(value);
}

KERNEL(parsing) {
  enum { ITEMS = 400 };
  char *text = malloc(ITEMS * 40 + 8), *out = malloc(ITEMS * 40 + 8), *to = text;
  *to++ = '[';
  state = 11;
  for (int i = 0; i < ITEMS; i++) {
    if (i) *to++ = ',';
    *to++ = '[';
    for (int k = 0; k < 4; k++) *to++ = (char)('1' + next_random() % 9);
    *to++ = ',';
    *to++ = '"';
    for (int k = 0; k < 12; k++) *to++ = (char)('a' + next_random() % 26);
    *to++ = '"';
    *to++ = ']';
  }
  *to++ = ']';
  *to = 0;
  uint32_t result = 0;
  for (int round = 0; round < rounds; round++) {
    const char *at = text;
    struct value *value = parse(&at);
    char *end = print(value, out);
    release(value);
    *end = 0;
    result += (uint32_t)(end - out) + (uint32_t)strcmp(text, out);
  }
  result += checksum((uint8_t *)out, strlen(out));
  free(text);
  free(out);
  return result;
}

// Structures with many fields, which point to each other.

struct body {
  double place[3], speed[3], mass;
  struct body *next;
};

KERNEL(bodies) {
  struct body *first = 0;
  state = 5;
  for (int i = 0; i < 40; i++) {
    struct body *body = malloc(sizeof *body);
    for (int k = 0; k < 3; k++) {
      body->place[k] = (double)(next_random() % 1000);
      body->speed[k] = 0;
    }
    body->mass = 1 + (double)(next_random() % 5);
    body->next = first;
    first = body;
  }
  for (int round = 0; round < rounds; round++) {
    for (struct body *a = first; a; a = a->next) {
      for (struct body *b = a->next; b; b = b->next) {
        double away[3], square = 1;
        for (int k = 0; k < 3; k++) {
          away[k] = a->place[k] - b->place[k];
          square += away[k] * away[k];
        }
        double pull = 0.01 / (square * __builtin_sqrt(square));
        for (int k = 0; k < 3; k++) {
          a->speed[k] -= away[k] * b->mass * pull;
          b->speed[k] += away[k] * a->mass * pull;
        }
      }
    }
    for (struct body *a = first; a; a = a->next)
      for (int k = 0; k < 3; k++) a->place[k] += a->speed[k];
  }
  uint32_t result = 0;
  for (struct body *a = first, *next; a; a = next) {
    next = a->next;
    result = result * 31 + (uint32_t)(int32_t)(a->place[0] * 100);
    free(a);
  }
  return result;
}

// A graph and a heap of what comes next.

struct edge {
  int to, length;
  struct edge *next;
};

KERNEL(shortest_paths) {
  enum { NODES = 2000, EDGES = 8000 };
  struct edge **edges = calloc(NODES, sizeof *edges);
  state = 9;
  for (int i = 0; i < EDGES; i++) {
    struct edge *edge = malloc(sizeof *edge);
    int from = (int)(next_random() % NODES);
    edge->to = (int)(next_random() % NODES);
    edge->length = 1 + (int)(next_random() % 100);
    edge->next = edges[from];
    edges[from] = edge;
  }
  int *distances = malloc(NODES * sizeof *distances);
  struct { int distance, node; } *heap = malloc((EDGES + 1) * sizeof *heap);
  uint32_t result = 0;
  for (int round = 0; round < rounds; round++) {
    for (int i = 0; i < NODES; i++) distances[i] = 1 << 30;
    int count = 1;
    heap[0].distance = 0;
    heap[0].node = round % NODES;
    distances[round % NODES] = 0;
    while (count) {
      int distance = heap[0].distance, node = heap[0].node;
      count--;
      int at = 0;
      for (int child = 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && heap[child + 1].distance < heap[child].distance) child++;
        if (heap[count].distance <= heap[child].distance) break;
        heap[at] = heap[child];
        at = child;
      }
      heap[at] = heap[count];
      if (distance > distances[node]) continue;
      for (struct edge *edge = edges[node]; edge; edge = edge->next) {
        int further = distance + edge->length;
        if (further >= distances[edge->to]) continue;
        distances[edge->to] = further;
        int up = count++;
        for (; up > 0 && heap[(up - 1) / 2].distance > further; up = (up - 1) / 2) heap[up] = heap[(up - 1) / 2];
        heap[up].distance = further;
        heap[up].node = edge->to;
      }
    }
    for (int i = 0; i < NODES; i++) result = result * 3 + (uint32_t)distances[i];
  }
  for (int i = 0; i < NODES; i++) {
    for (struct edge *edge = edges[i], *next; edge; edge = next) {
      next = edge->next;
      free(edge);
    }
  }
  free(edges);
  free(distances);
  free(heap);
  return result;
}

// Doubles at distances that double: a Fourier transform.

KERNEL(transforming) {
  enum { N = 1024 };
  double *re = malloc(N * sizeof *re), *im = malloc(N * sizeof *im);
  double *cosine = malloc(N / 2 * sizeof *cosine), *sine = malloc(N / 2 * sizeof *sine);
  double c = 1, s = 0;
  for (int i = 0; i < N / 2; i++) {
    cosine[i] = c;
    sine[i] = s;
    double next = c * 0.9999811752826011 - s * 0.006135884649154475;
    s = s * 0.9999811752826011 + c * 0.006135884649154475;
    c = next;
  }
  double sum = 0;
  for (int round = 0; round < rounds; round++) {
    for (int i = 0; i < N; i++) {
      re[i] = (i * (round + 3)) % 17;
      im[i] = 0;
    }
    for (int i = 1, j = 0; i < N; i++) {
      int bit = N >> 1;
      for (; j & bit; bit >>= 1) j ^= bit;
      j ^= bit;
      if (i < j) {
        double swap = re[i];
        re[i] = re[j];
        re[j] = swap;
      }
    }
    for (int length = 2; length <= N; length *= 2) {
      for (int from = 0; from < N; from += length) {
        for (int k = 0; k < length / 2; k++) {
          int a = from + k, b = a + length / 2, turn = k * (N / length);
          double x = re[b] * cosine[turn] + im[b] * sine[turn], y = im[b] * cosine[turn] - re[b] * sine[turn];
          re[b] = re[a] - x;
          im[b] = im[a] - y;
          re[a] += x;
          im[a] += y;
        }
      }
    }
    sum += re[round % N];
  }
  free(re);
  free(im);
  free(cosine);
  free(sine);
  return (uint32_t)(int32_t)(sum * 16);
}
