// Slots that are freed are kept on a stack for the next request of their size, and their pages don't know yet.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Heap, LinearMemory } from "../../../src/index.js";
import {
  CELL,
  field,
  KEPT_BYTES,
  KEPT_SIZE,
  KIND_BITS,
  MOST_KEPT_BYTES,
} from "../../../src/memory/heap/layout.js";

/** As many of one size as a stack holds. */
const most = KEPT_BYTES / KEPT_SIZE - 1;

/** With pages from the beginning. */
function paged(target: LinearMemory | ArrayBuffer): Heap {
  const heap = Heap.create(target);
  const words = heap.memory.u32;
  words[heap.start / 4 + field.pagesFrom] = 0;
  words[heap.start / 4 + field.stack] = words[heap.start / 4 + field.first]!;
  return heap;
}

const targets = {
  memory: () => new LinearMemory({ initial: 4, maximum: 64 }),
  buffer: () => new ArrayBuffer(1 << 20),
};

for (const [name, target] of Object.entries(targets)) {
  describe(`slots that are kept, in a ${name}`, () => {
    test("what was freed last is given out first", () => {
      const heap = paged(target());
      const blocks = Array.from({ length: 40 }, () => heap.allocate(100));
      for (const block of blocks.slice(0, most)) heap.free(block);
      heap.check();
      const again = Array.from({ length: most }, () => heap.allocate(97));
      assert.deepEqual(again, blocks.slice(0, most).reverse());
      heap.check();
    });

    test("they count as free, and can't be freed again", () => {
      const heap = paged(target());
      const [kept, used] = [heap.allocate(100), heap.allocate(100)];
      const { used: before, free } = heap.stats();
      heap.free(kept);
      assert.throws(() => heap.free(kept), { code: "ERR_LINMEM_DOUBLE_FREE" });
      assert.throws(() => heap.byteLengthOf(kept), { code: "ERR_LINMEM_DOUBLE_FREE" });
      assert.throws(() => heap.reallocate(kept, 100, 10), { code: "ERR_LINMEM_DOUBLE_FREE" });
      const stats = heap.stats();
      assert.deepEqual(
        [stats.blocks, stats.requested, stats.used, stats.free],
        [1, 100, before - 112, free + 112],
      );
      const shown = [...heap.walk()].filter(({ address }) => address === kept || address === used);
      assert.deepEqual(
        shown.map(({ used, requested }) => [used, requested]),
        [
          [false, 0],
          [true, 100],
        ],
      );
    });

    test("whoever opens the heap finds them", () => {
      const there = target();
      const heap = paged(there);
      const [one] = [heap.allocate(200), heap.allocate(200)];
      heap.free(one);
      const other = Heap.open(there);
      other.check();
      assert.throws(() => other.free(one), { code: "ERR_LINMEM_DOUBLE_FREE" });
      assert.equal(other.allocate(200), one);
    });

    test("what more is freed goes back to the pages, and empty pages to all", () => {
      const heap = paged(target());
      const blocks = Array.from({ length: 600 }, () => heap.allocate(100));
      for (const block of blocks) heap.free(block);
      heap.check();
      const { free, largestFree, blocks: none } = heap.stats();
      assert.equal(none, 0);
      // all but the page that the stack holds, and the heap's own
      assert.ok(largestFree > free - 3 * 2 * CELL, `${largestFree} of ${free}`);
    });

    test("their pages are free before the heap takes what was never used", () => {
      const heap = paged(target());
      // four pages of seven slots: all of them are kept
      const blocks = Array.from({ length: 28 }, () => heap.allocate(1000));
      for (const block of blocks) heap.free(block);
      const { span } = heap.stats();
      const large = heap.allocate(2 * 4 * CELL);
      assert.equal(heap.stats().span, span);
      heap.free(large);
      heap.check();
    });

    test("a check finds a stack that is wrong", () => {
      const heap = paged(target());
      const blocks = Array.from({ length: 10 }, () => heap.allocate(100));
      for (const block of blocks.slice(3, 7)) heap.free(block);
      heap.check();
      const words = heap.memory.u32;
      const at = heap.start / 4 + field.kept + ((112 >>> 4) << KIND_BITS);
      const stack = (words[at]! - 4 * KEPT_SIZE) / 4;
      for (const word of [at, ...Array.from({ length: 8 }, (_, i) => stack + i)]) {
        const right = words[word]!;
        for (const wrong of [0, right + 8, right - 8, right + 1, words[stack]!, words[stack + 1]!]) {
          if (wrong === right) continue;
          words[word] = wrong;
          assert.throws(() => heap.check(), { code: "ERR_LINMEM_HEAP_DAMAGED" }, `word ${word}: ${wrong}`);
          words[word] = right;
        }
      }
      words[heap.start / 4 + field.keptSome] = 0;
      assert.throws(() => heap.check(), { code: "ERR_LINMEM_HEAP_DAMAGED" });
    });
  });
}

test("a large heap keeps more of them", () => {
  const heap = Heap.create(new LinearMemory({ initial: 1, maximum: 400 }));
  const kept = (size: number) => heap.memory.u32[heap.start / 4 + field.kept + ((size >>> 4) << KIND_BITS)]!;
  const count = (size: number) =>
    (kept(size) & heap.memory.u32[heap.start / 4 + field.keptMask]!) / KEPT_SIZE;
  const blocks = Array.from({ length: 30_000 }, () => heap.allocate(500));
  for (const block of blocks.slice(-200)) heap.free(block);
  assert.equal(count(512), MOST_KEPT_BYTES / KEPT_SIZE - 1);
  heap.check();
  for (const block of blocks.slice(0, -200)) heap.free(block);
  heap.check();
  heap.compact();
  assert.equal(heap.stats().span - (heap.memory.u32[heap.start / 4 + field.first]! - heap.start), 0);
  heap.check();
  assert.equal(heap.allocate(500), blocks[0]);
});

test("slots that are kept survive that the stacks become larger", () => {
  const heap = Heap.create(new LinearMemory({ initial: 1, maximum: 400 }));
  const small = Array.from({ length: 30_000 }, () => heap.allocate(100));
  for (const block of small.splice(-40)) heap.free(block);
  for (let i = 0; i < 20_000; i++) heap.allocate(400);
  assert.equal(heap.memory.u32[heap.start / 4 + field.keptMask], MOST_KEPT_BYTES - 1);
  heap.check();
  for (const block of small) heap.free(block);
  heap.check();
});

test("a request fails only when no slot is kept any more", () => {
  const heap = paged(new ArrayBuffer(128 * 1024));
  const blocks: number[] = [];
  for (;;) {
    try {
      blocks.push(heap.allocate(500));
    } catch {
      break;
    }
  }
  // in as many pages as there are, no two slots side by side
  const freed = blocks.filter((_, i) => i % 16 < 8);
  for (const block of freed) heap.free(block);
  heap.check();
  const again = freed.map(() => heap.allocate(400));
  assert.equal(new Set(again).size, freed.length);
  heap.check();
});
