// A heap against a plain model: a Map of blocks with the bytes that they should hold. 100,000 operations a seed.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AllocationError, Heap, LinearMemory, LinmemRangeError } from "../../../src/index.js";
import { binOf, field, pageBytes, WIDE_COST } from "../../../src/memory/heap/layout.js";
import { Random } from "../../recorder/random.js";

interface Shape {
  target: () => LinearMemory | ArrayBuffer;
  operations: number;
  /** About so many blocks are live. */
  live: number;
  largest: number;
  /** All invariants are checked after so many operations. */
  every: number;
  /** Whether small blocks lie in pages from the beginning, not only in a heap of some MiB. */
  pages?: boolean;
}

interface Known {
  byteLength: number;
  mark: number;
}

function drive(seed: number, { target, operations, live, largest, every, pages = false }: Shape): Heap {
  const random = new Random(seed);
  const heap = Heap.create(target());
  if (pages) {
    heap.memory.u32[heap.start / 4 + field.pagesFrom] = 0;
    heap.memory.u32[heap.start / 4 + field.stack] = heap.memory.u32[heap.start / 4 + field.first]!;
  }
  const blocks = new Map<number, Known>();
  let refused = 0;
  let pagesSeen = false;

  /**
   * Bytes at both ends tell whose they are: all of it would take longer than the operations. Even ones, which no header begins
   * with.
   */
  const mark = (ptr: number, { byteLength, mark }: Known) => {
    const bytes = heap.memory.u8;
    bytes.fill(mark, ptr, ptr + Math.min(byteLength, 8));
    bytes.fill(mark, Math.max(ptr, ptr + byteLength - 8), ptr + byteLength);
  };
  const verify = (ptr: number, { byteLength, mark }: Known, kept = byteLength) => {
    const bytes = heap.memory.u8;
    for (let i = 0; i < Math.min(kept, 8); i++) assert.equal(bytes[ptr + i], mark, "the first bytes");
    for (let i = Math.max(byteLength - 8, 0); i < kept; i++)
      assert.equal(bytes[ptr + i], mark, "the last bytes");
  };
  const size = () =>
    random.chance(0.05) ? random.below(4) : 1 + random.below(2 ** random.below(Math.log2(largest) + 1));
  /** Addresses that were those of blocks. */
  const gone: number[] = [];
  const end = (ptr: number) => {
    blocks.delete(ptr);
    gone.push(ptr);
    if (gone.length > 100) gone.shift();
  };
  /** An address where no block is: it was one's, lies in or next to one's, or somewhere. */
  const stray = () => {
    const { start } = heap;
    const somewhere = start + random.below(heap.stats().span + 64);
    const places = [gone[random.below(gone.length)], pick() + 4 * random.below(16) - 16, somewhere];
    return places[random.below(places.length)] ?? somewhere;
  };
  const pick = () => [...blocks.keys()][random.below(blocks.size)]!;
  const attempt = (ask: () => number) => {
    try {
      return ask();
    } catch (error) {
      assert.ok(error instanceof AllocationError, String(error));
      refused++;
      return 0;
    }
  };

  for (let i = 0; i < operations; i++) {
    const grow = random.below(2 * live) >= blocks.size;
    if (grow) {
      const known = { byteLength: size(), mark: 2 + 2 * random.below(127) };
      const alignment = random.chance(0.1) ? 1 << random.below(13) : 1;
      const zeroed = random.chance(0.1);
      const ptr = attempt(() =>
        zeroed
          ? heap.allocateZeroed(known.byteLength, alignment)
          : heap.allocate(known.byteLength, alignment),
      );
      if (ptr !== 0) {
        assert.equal(ptr % Math.max(alignment, known.byteLength > 2 ? 8 : 4), 0, "alignment");
        assert.ok(!blocks.has(ptr), "given out twice");
        if (zeroed)
          assert.ok(heap.memory.u8.subarray(ptr, ptr + known.byteLength).every((byte) => byte === 0));
        blocks.set(ptr, known);
        mark(ptr, known);
      }
    } else if (random.chance(0.3)) {
      const ptr = pick();
      const known = blocks.get(ptr)!;
      const byteLength = size();
      const moved = attempt(() => heap.reallocate(ptr, known.byteLength, byteLength));
      if (moved !== 0) {
        verify(moved, known, Math.min(known.byteLength, byteLength));
        end(ptr);
        known.byteLength = byteLength;
        blocks.set(moved, known);
        mark(moved, known);
      }
    } else if (blocks.size > 0) {
      const ptr = pick();
      verify(ptr, blocks.get(ptr)!);
      heap.free(ptr);
      end(ptr);
    }
    if (blocks.size > 0 && random.chance(0.2)) {
      const ptr = stray();
      if (ptr !== 0 && !blocks.has(ptr)) assert.throws(() => heap.free(ptr), LinmemRangeError);
    }
    if (i % every === 0) {
      heap.check();
      pagesSeen ||= heap.memory.u32[heap.start / 4 + field.records]! > 0;
      const { blocks: count, requested } = heap.stats();
      assert.equal(count, blocks.size);
      assert.equal(
        requested,
        [...blocks.values()].reduce((sum, { byteLength }) => sum + byteLength, 0),
      );
    }
  }
  assert.ok(pagesSeen || !pages, "there were pages");
  for (const [ptr, known] of blocks) verify(ptr, known);
  const walked = [...heap.walk()].filter(({ used, own }) => used && !own);
  assert.deepEqual(
    walked.map(({ address, requested }) => [address, requested]),
    [...blocks].map(([ptr, { byteLength }]) => [ptr, byteLength]).sort(([a], [b]) => a! - b!),
  );
  for (const ptr of blocks.keys()) heap.free(ptr);
  heap.check();
  assert.equal(heap.stats().used, 0);
  if (heap.memory instanceof LinearMemory) assert.equal(refused, 0);
  else assert.ok(refused > 0, "a small heap refuses now and then");
  return heap;
}

describe("a heap does what a model does", () => {
  for (const seed of [1, 2]) {
    test(`in a memory that grows, checked after each of 100,000 operations, seed ${seed}`, () => {
      drive(seed, {
        target: () => new LinearMemory({ initial: 1, maximum: 1000 }),
        operations: 100_000,
        live: 20,
        largest: 4096,
        every: 1,
      });
    });
    test(`in a buffer too small for all it is asked for, seed ${seed}`, () => {
      drive(seed, {
        target: () => new ArrayBuffer(40_000),
        operations: 100_000,
        live: 20,
        largest: 8192,
        every: 1,
      });
    });
    test(`in pages, in a memory that grows, seed ${seed}`, () => {
      drive(seed, {
        target: () => new LinearMemory({ initial: 1, maximum: 1000 }),
        operations: 100_000,
        live: 30,
        largest: 2048,
        every: 2,
        pages: true,
      });
    });
    test(`in pages, in a buffer too small for all it is asked for, seed ${seed}`, () => {
      drive(seed, {
        target: () => new ArrayBuffer(80_000),
        operations: 100_000,
        live: 200,
        largest: 2048,
        every: 8,
        pages: true,
      });
    });
    test(`with many blocks, seed ${seed}`, () => {
      drive(seed, {
        target: () => new LinearMemory({ initial: 1, maximum: 4000 }),
        operations: 100_000,
        live: 1500,
        largest: 65_536,
        every: 5000,
      });
    });
  }
});

/** As many blocks of so many bytes as a heap has room for. */
function fillUp(heap: Heap, byteLength: number): number[] {
  const blocks: number[] = [];
  for (;;) {
    try {
      blocks.push(heap.allocate(byteLength));
    } catch (error) {
      assert.ok(error instanceof AllocationError);
      return blocks;
    }
  }
}

test("pages are lent whatever gaps there are between their used slots, and come back whole", () => {
  for (const size of [8, 16, 24, 40, 56, 64, 80, 1024]) {
    for (const gap of [1, 2, 3, 4, 7]) {
      for (const first of [0, 1, 2]) {
        const heap = Heap.create(new ArrayBuffer(40_000));
        heap.memory.u32[heap.start / 4 + field.pagesFrom] = 0;
        heap.memory.u32[heap.start / 4 + field.stack] = heap.memory.u32[heap.start / 4 + field.first]!;
        const all = fillUp(heap, size);
        const kept = all.filter((_, i) => (i + first) % (gap + 1) === 0);
        for (const ptr of all) if (!kept.includes(ptr)) heap.free(ptr);
        for (const ptr of kept) heap.memory.u8.fill(170, ptr, ptr + size);
        // before this is refused, what has room is lent
        assert.deepEqual(fillUp(heap, 39_000), []);
        heap.check();
        const others = fillUp(heap, 100);
        for (const ptr of others) heap.memory.u8.fill(1, ptr, ptr + 100);
        for (const ptr of kept)
          assert.ok(
            heap.memory.u8.subarray(ptr, ptr + size).every((byte) => byte === 170),
            `slots of ${size} bytes, ${gap} free between them`,
          );
        heap.check();
        for (const ptr of [...others, ...kept]) heap.free(ptr);
        heap.check();
        assert.equal(heap.stats().blocks, 0);
      }
    }
  }
});

test("pages come and go as sizes change, checked after each phase", () => {
  const random = new Random(9);
  const heap = Heap.create(new LinearMemory({ initial: 1, maximum: 1000 }));
  for (let round = 0; round < 10; round++) {
    let blocks: number[] = [];
    for (let largest = 16; largest <= 4096; largest *= 2) {
      for (let live = heap.stats().requested; live < 3 << 20; ) {
        const size = 1 + largest / 4 + random.below((largest * 3) / 4);
        blocks.push(heap.allocate(size));
        live += size;
      }
      heap.check();
      blocks = blocks.filter((ptr) => random.chance(0.1) || !free(heap, ptr));
      heap.check();
    }
    for (const ptr of blocks) heap.free(ptr);
    heap.check();
    assert.equal(heap.stats().blocks, 0);
  }
});

function free(heap: Heap, ptr: number): true {
  heap.free(ptr);
  return true;
}

test("a page is not made of a block that lies right and is too small, behind one that is large enough in its list", () => {
  const heap = Heap.create(new ArrayBuffer(40_000));
  const cell = 2048;
  // it begins 12 bytes before a cell, as a page does
  const filler = heap.allocate(1100);
  const behind = heap.allocate(1100) - filler;
  heap.allocate(cell + ((-behind - behind - filler) & (cell - 1)) - WIDE_COST);
  const bytes = pageBytes(8);
  const small = heap.allocate(bytes - 8 - WIDE_COST);
  assert.equal(small % cell, 0);
  heap.allocate(1100);
  const large = heap.allocate(bytes - WIDE_COST);
  assert.equal(binOf(bytes), binOf(bytes - 8));
  heap.allocate(1100);
  heap.free(small);
  heap.free(large);
  heap.memory.u32[heap.start / 4 + field.pagesFrom] = 0;
  heap.allocate(8);
  heap.check();
});
