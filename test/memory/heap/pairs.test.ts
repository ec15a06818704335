// Two requests of at most 2 bytes share a block of 8 bytes; and what small headers tell from what is none.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Heap, LinearMemory } from "../../../src/index.js";
import { field } from "../../../src/memory/heap/layout.js";
import { Random } from "../../recorder/random.js";

const targets = {
  memory: () => new LinearMemory({ initial: 4, maximum: 64 }),
  buffer: () => new ArrayBuffer(1 << 20),
};

const word = (heap: Heap, name: keyof typeof field) => heap.memory.u32[heap.start / 4 + field[name]]!;

for (const [name, target] of Object.entries(targets)) {
  describe(`pairs, in a ${name}`, () => {
    test("two blocks take 8 bytes, and know what was asked for", () => {
      const heap = Heap.create(target());
      const before = heap.stats();
      const blocks = [1, 2, 0, 2].map((size) => heap.allocate(size));
      assert.deepEqual(
        blocks.map((ptr) => ptr - blocks[0]!),
        [0, 4, 8, 12],
      );
      assert.deepEqual(
        blocks.map((ptr) => heap.byteLengthOf(ptr)),
        [1, 2, 0, 2],
      );
      const { used, requested, blocks: count, span } = heap.stats();
      assert.deepEqual([used, requested, count, span - before.span], [16, 5, 4, 16]);
      heap.check();
      for (const ptr of blocks) heap.free(ptr);
      heap.check();
      assert.deepEqual(heap.stats(), before);
    });

    test("neither writes into the other, nor into the blocks around them", () => {
      const heap = Heap.create(target());
      const sizes = [6, 1, 2, 6, 2, 2, 14];
      const blocks = sizes.map((size) => heap.allocate(size));
      blocks.forEach((ptr, i) => {
        heap.memory.u8.fill(i + 200, ptr, ptr + sizes[i]!);
      });
      heap.check();
      blocks.forEach((ptr, i) => {
        const bytes = [...heap.memory.u8.subarray(ptr, ptr + sizes[i]!)];
        assert.deepEqual(bytes, Array(sizes[i]).fill(i + 200));
      });
    });

    test("half of a pair is given out again, and statistics count it as free", () => {
      const heap = Heap.create(target());
      const [first, second] = [heap.allocate(2), heap.allocate(2)];
      heap.allocate(100);
      const { used, free } = heap.stats();
      heap.free(second);
      assert.equal(heap.stats().used, used - 4);
      assert.equal(heap.stats().free, free + 4);
      assert.deepEqual(
        [...heap.walk()].slice(0, 2).map(({ address, size, used }) => [address, size, used]),
        [
          [first, 4, true],
          [second, 4, false],
        ],
      );
      heap.check();
      assert.equal(heap.allocate(1), second);
      heap.free(first);
      assert.equal(heap.allocate(0), first);
      heap.check();
    });

    test("a half can't be freed twice, and its neighbours' addresses are none", () => {
      const heap = Heap.create(target());
      const [first, second] = [heap.allocate(2), heap.allocate(2)];
      heap.allocate(100);
      heap.free(first);
      for (const run of [() => heap.free(first), () => heap.byteLengthOf(first)])
        assert.throws(run, { code: "ERR_LINMEM_DOUBLE_FREE" });
      for (const address of [first + 1, first + 2, first - 4, second + 2])
        assert.throws(() => heap.free(address), { code: /DOUBLE_FREE|FOREIGN/ });
      heap.free(second);
      assert.throws(() => heap.free(second), { code: "ERR_LINMEM_FOREIGN_BLOCK" });
      heap.check();
    });

    test("resized, a half stays or moves with its bytes", () => {
      const heap = Heap.create(target());
      const [first, second] = [heap.allocate(1), heap.allocate(2)];
      heap.memory.u8.set([7, 8], second);
      assert.equal(heap.reallocate(first, 1, 2), first);
      assert.equal(heap.byteLengthOf(first), 2);
      const moved = heap.reallocate(second, 2, 50);
      assert.equal(moved % 8, 0);
      assert.deepEqual([...heap.memory.u8.subarray(moved, moved + 2)], [7, 8]);
      heap.check();
      assert.equal(heap.allocate(2), second);
      assert.equal(heap.stats().requested, 54);
    });

    test("who asks for a multiple of 8 gets one", () => {
      const heap = Heap.create(target());
      for (let i = 0; i < 10; i++) {
        assert.equal(heap.allocate(1, 8) % 8, 0);
        assert.equal(heap.allocate(1, 4) % 4, 0);
        assert.equal(heap.reallocate(heap.allocate(2), 2, 1, 8) % 8, 0);
      }
      heap.check();
    });

    test("whoever opens the heap finds them", () => {
      const there = target();
      const heap = Heap.create(there);
      const [first, second] = [heap.allocate(1), heap.allocate(2)];
      heap.free(first);
      const other = Heap.open(there);
      other.check();
      assert.throws(() => other.free(first), { code: "ERR_LINMEM_DOUBLE_FREE" });
      assert.equal(other.allocate(1), first);
      other.free(second);
      other.free(first);
      assert.equal(heap.stats().used, 0);
    });

    test("freed in any order they leave nothing", () => {
      const random = new Random(6);
      const heap = Heap.create(target());
      for (let round = 0; round < 20; round++) {
        const blocks = random.shuffle(Int32Array.from({ length: 200 }, () => heap.allocate(random.below(4))));
        for (const ptr of blocks) {
          heap.free(ptr);
          heap.check();
        }
        assert.equal(heap.stats().used, 0);
        assert.deepEqual([word(heap, "openPair"), word(heap, "openPairs")], [0, 0]);
      }
    });

    test("a check finds a pair that is wrong", () => {
      const heap = Heap.create(target());
      const [first, , third] = [heap.allocate(1), heap.allocate(2), heap.allocate(2)];
      heap.check();
      const halves = heap.memory.u16;
      const open = heap.start / 4 + field.openPair;
      for (const at of [first / 2 - 1, first / 2 + 1, third / 2 + 1]) {
        for (const bit of [0, 1, 2, 3, 4, 9, 15]) {
          halves[at]! ^= 1 << bit;
          assert.throws(() => heap.check(), { code: "ERR_LINMEM_HEAP_DAMAGED" }, `${at}, bit ${bit}`);
          halves[at]! ^= 1 << bit;
        }
      }
      for (const wrong of [0, first - 4, 8]) {
        const right = heap.memory.u32[open]!;
        heap.memory.u32[open] = wrong;
        if (wrong === 0) heap.check();
        else assert.throws(() => heap.check(), { code: "ERR_LINMEM_HEAP_DAMAGED" });
        heap.memory.u32[open] = right;
      }
    });
  });
}

test("inside of blocks with words by chance, of a thousand addresses less than one looks like a block's", () => {
  const random = new Random(1);
  let [tried, taken] = [0, 0];
  for (let round = 0; round < 4; round++) {
    const heap = Heap.create(new LinearMemory({ initial: 1, maximum: 100 }));
    const all = Array.from({ length: 400 }, () => heap.allocate(16 + random.below(900)));
    const live = new Set(all.filter((ptr) => random.chance(0.7) || void heap.free(ptr)));
    const words = heap.memory.u32;
    for (const ptr of live) {
      const end = ptr + heap.byteLengthOf(ptr);
      for (let at = ptr; at + 4 <= end; at += 4) words[at / 4] = random.u32();
    }
    for (let at = all[0]!; at < heap.start + heap.stats().span; at += 8) {
      if (live.has(at)) continue;
      tried++;
      try {
        heap.byteLengthOf(at);
        taken++;
      } catch {
        // as it should be
      }
    }
  }
  assert.ok(taken < tried / 1000, `${taken} of ${tried}`);
});
