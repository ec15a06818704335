// The allocator is compiled twice, for JavaScript and for WebAssembly: both do the same, to the byte. 100,000 operations a seed.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AllocationError, Heap, LinearMemory, type MovableBlock } from "../../../src/index.js";
import { field } from "../../../src/memory/heap/layout.js";
import { Random } from "../../recorder/random.js";

const initial = 2;

/** Heaps in memories are fast, others are not: told by their methods. */
function isFast(heap: Heap): boolean {
  return heap.allocate !== Heap.prototype.allocate;
}

function bytesOf(heap: Heap): Buffer {
  const { buffer } = heap.memory.u8;
  return Buffer.from(buffer as ArrayBuffer, 0, heap.memory.byteLength);
}

function same(heaps: readonly [Heap, Heap]): void {
  const [one, other] = heaps.map(bytesOf);
  assert.ok(one!.equals(other!), "all bytes are the same");
}

/** Pages of small blocks as soon as there is anything. */
function usePages(heap: Heap): void {
  const words = heap.memory.u32;
  words[heap.start / 4 + field.pagesFrom] = 0;
  words[heap.start / 4 + field.stack] = words[heap.start / 4 + field.first]!;
}

interface Shape {
  heaps: [Heap, Heap];
  operations: number;
  live: number;
  largest: number;
}

/** Does the same in both heaps, and compares what they answer. */
function drive(seed: number, { heaps, operations, live, largest }: Shape): number[] {
  const random = new Random(seed);
  const blocks: number[] = [];
  const movable: [MovableBlock, MovableBlock][] = [];
  const both = <T>(act: (heap: Heap) => T): T | undefined => {
    const answers = heaps.map((heap) => {
      try {
        return act(heap);
      } catch (error) {
        assert.ok(error instanceof AllocationError, String(error));
        return undefined;
      }
    });
    assert.equal(answers[0], answers[1]);
    return answers[0];
  };
  const size = () =>
    random.chance(0.05) ? random.below(4) : 1 + random.below(2 ** random.below(Math.log2(largest) + 1));
  for (let i = 0; i < operations; i++) {
    const chance = random.below(100);
    const byteLength = size();
    if (chance < 2) {
      const made = heaps.map((heap) => {
        try {
          return heap.movable(byteLength);
        } catch (error) {
          assert.ok(error instanceof AllocationError, String(error));
          return undefined;
        }
      });
      assert.equal(made[0]?.ptr, made[1]?.ptr);
      if (made[0] !== undefined && made[1] !== undefined) movable.push([made[0], made[1]]);
    } else if (chance < 4 && movable.length > 0) {
      for (const each of movable.splice(random.below(movable.length), 1)[0]!) each.release();
    } else if (random.below(2 * live) >= blocks.length) {
      const alignment = chance < 10 ? 1 << random.below(13) : 8;
      const ptr = both((heap) => heap.allocate(byteLength, alignment));
      if (ptr !== undefined) blocks.push(ptr);
    } else if (blocks.length > 0) {
      const index = random.below(blocks.length);
      const ptr = blocks[index]!;
      if (chance < 30) {
        blocks[index] = both((heap) => heap.reallocate(ptr, 0, byteLength)) ?? ptr;
      } else {
        assert.equal(both((heap) => heap.byteLengthOf(ptr)) !== undefined, true);
        both((heap) => heap.free(ptr));
        blocks[index] = blocks[blocks.length - 1]!;
        blocks.pop();
      }
    }
    if (i % 5000 === 4999) {
      for (const heap of heaps) heap.compact();
      for (const [one, other] of movable) assert.equal(one.ptr, other.ptr);
      same(heaps);
      for (const heap of heaps) heap.check();
    }
  }
  for (const each of movable) for (const block of each) block.release();
  same(heaps);
  return blocks;
}

const growing = (shared = false): [Heap, Heap] => [
  Heap.create(new LinearMemory({ initial, maximum: 2000, shared })),
  underProfiler(() => Heap.create(new LinearMemory({ initial, maximum: 2000, shared }))),
];

/** Whoever listens keeps a heap in JavaScript. */
function underProfiler(make: () => Heap): Heap {
  const key = Symbol.for("linmem.heaps");
  const nothing = () => {};
  const value = () => ({ allocated: nothing, freed: nothing, reallocated: nothing, moved: nothing });
  Object.defineProperty(globalThis, key, { value, configurable: true });
  try {
    return make();
  } finally {
    Reflect.deleteProperty(globalThis, key);
  }
}

// of a given size, as the header says whether a heap may grow
const fixed = { byteLength: initial * 65_536 - 16 };
const bounded = (): [Heap, Heap] => [
  Heap.create(new LinearMemory({ initial, maximum: initial }), fixed),
  Heap.create(new ArrayBuffer(initial * 65_536), fixed),
];

describe("both compilations of the allocator leave the same bytes", () => {
  for (const seed of [1, 2, 3]) {
    for (const pages of [false, true]) {
      const kind = pages ? "in pages" : "as it comes";
      test(`in memories that grow, ${kind}, seed ${seed}`, () => {
        const heaps = growing(seed === 3);
        assert.deepEqual(heaps.map(isFast), [true, false]);
        if (pages) heaps.forEach(usePages);
        const blocks = drive(seed, { heaps, operations: 100_000, live: 3000, largest: 4096 });
        for (const heap of heaps) for (const ptr of blocks) heap.free(ptr);
        same(heaps);
      });
      test(`in memories too small for all they are asked for, ${kind}, seed ${seed}`, () => {
        const heaps = bounded();
        assert.deepEqual(heaps.map(isFast), [true, false]);
        if (pages) heaps.forEach(usePages);
        const blocks = drive(seed, { heaps, operations: 100_000, live: 400, largest: 2048 });
        for (const heap of heaps) for (const ptr of blocks) heap.free(ptr);
        same(heaps);
      });
    }
  }

  test("and each opens what the other wrote", () => {
    const heaps = bounded();
    heaps.forEach(usePages);
    const blocks = drive(4, { heaps, operations: 20_000, live: 400, largest: 2048 });
    const buffer = new ArrayBuffer(initial * 65_536);
    const memory = new LinearMemory({ initial, maximum: initial });
    new Uint8Array(buffer).set(bytesOf(heaps[0]));
    memory.u8.set(bytesOf(heaps[1]));
    const crossed: [Heap, Heap] = [Heap.open(memory), Heap.open(buffer)];
    assert.deepEqual(crossed.map(isFast), [true, false]);
    for (const heap of crossed) {
      heap.check();
      for (const ptr of blocks) heap.free(ptr);
      assert.equal(heap.stats().used, 0);
    }
    same(crossed);
    drive(5, { heaps: crossed, operations: 20_000, live: 400, largest: 2048 });
  });
});

test("and across 2 GiB, where words have a sign", () => {
  const start = 2 ** 31 - 70_000;
  const byteLength = 300_000;
  const pages = 2 ** 15 + 8;
  const heaps = [new LinearMemory({ initial: pages, maximum: pages }), new ArrayBuffer(pages * 65_536)].map(
    (target) => Heap.create(target, { start, byteLength }),
  ) as [Heap, Heap];
  assert.deepEqual(heaps.map(isFast), [true, false]);
  for (const large of [false, true]) {
    if (large) heaps.forEach(usePages);
    const random = new Random(6);
    const blocks: number[] = [];
    for (let i = 0; i < 20_000; i++) {
      const size = random.below(random.chance(0.1) ? 3000 : 200);
      const index = random.below(1000);
      const resize = random.chance(0.5);
      const [one, other] = heaps.map((heap) => {
        if (blocks[index] === undefined) return heap.allocate(size);
        if (resize) return heap.reallocate(blocks[index], 0, size);
        heap.free(blocks[index]);
        return undefined;
      });
      assert.equal(one, other);
      blocks[index] = one!;
    }
    assert.ok(blocks.some((ptr) => ptr > 2 ** 31) && blocks.some((ptr) => ptr < 2 ** 31));
    for (const heap of heaps) heap.check();
    const [one, other] = heaps.map(({ memory }) => Buffer.from(memory.copyBytes(start, byteLength)));
    assert.ok(one!.equals(other!));
    for (const heap of heaps) for (const ptr of blocks) heap.free(ptr ?? 0);
    assert.deepEqual(
      heaps.map((heap) => heap.stats().used),
      [0, 0],
    );
  }
});

test("both notice the same wrong addresses", () => {
  const heaps = growing();
  heaps.forEach(usePages);
  for (const heap of heaps) {
    const blocks = Array.from({ length: 500 }, (_, i) => heap.allocate(i % 300));
    for (let i = 0; i < 500; i += 3) heap.free(blocks[i]!);
    const live = new Set(blocks.filter((_, i) => i % 3 !== 0));
    const { blocks: count } = heap.stats();
    for (let ptr = -64; ptr < heap.memory.byteLength + 64; ptr += 4) {
      if (live.has(ptr) || ptr === 0) continue;
      assert.throws(() => heap.free(ptr), RangeError);
    }
    assert.equal(heap.stats().blocks, count);
    heap.check();
  }
});
