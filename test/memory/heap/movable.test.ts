// Movable blocks and compaction, against a model: a Map of blocks with the bytes that they should hold.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AllocationError, Heap, LinearMemory, type MovableBlock, type Pin } from "../../../src/index.js";
import { Random } from "../../recorder/random.js";

const memory = (maximum = 1000) => new LinearMemory({ initial: 1, maximum });

/** Bytes that tell whose they are: all of a small block, both ends of a large one. */
function places(byteLength: number): number[] {
  const ends = Math.min(byteLength, 24);
  return Array.from({ length: ends }, (_, i) => (i % 2 === 0 ? i >>> 1 : byteLength - 1 - (i >>> 1)));
}
const byteAt = (mark: number, place: number) => (mark * 31 + place * 7) & 0xff;

function write(heap: Heap, ptr: number, byteLength: number, mark: number): void {
  for (const place of places(byteLength)) heap.memory.u8[ptr + place] = byteAt(mark, place);
}

function verify(heap: Heap, ptr: number, byteLength: number, mark: number, kept = byteLength): void {
  for (const place of places(byteLength)) {
    if (place < kept) assert.equal(heap.memory.u8[ptr + place], byteAt(mark, place), `byte ${place}`);
  }
}

interface Known {
  block: MovableBlock;
  byteLength: number;
  mark: number;
  pins: Pin[];
}

interface Shape {
  target: () => LinearMemory | ArrayBuffer;
  operations: number;
  live: number;
  largest: number;
  every: number;
  debug?: boolean;
}

/** Allocates, resizes, releases, pins, and compacts in steps in between, for ordinary and movable blocks. */
function drive(seed: number, { target, operations, live, largest, every, debug = false }: Shape): void {
  const random = new Random(seed);
  const place = target();
  let heap = Heap.create(place, { debug });
  const movable: Known[] = [];
  const fixed = new Map<number, { byteLength: number; mark: number }>();
  let finished = 0;
  let moves = 0;
  const size = () =>
    random.chance(0.05) ? random.below(4) : 1 + random.below(2 ** random.below(Math.log2(largest) + 1));
  const attempt = <T>(ask: () => T): T | undefined => {
    try {
      return ask();
    } catch (error) {
      assert.ok(error instanceof AllocationError, String(error));
      return undefined;
    }
  };
  const release = (index: number) => {
    const { block, byteLength, mark, pins } = movable[index]!;
    verify(heap, block.ptr, byteLength, mark);
    for (const pin of pins) pin.release();
    block.release();
    movable[index] = movable[movable.length - 1]!;
    movable.pop();
  };
  const checkAll = (bytes = true) => {
    heap.check();
    if (bytes) checkBytes();
    const { blocks, requested } = heap.stats();
    assert.equal(blocks, movable.length + fixed.size);
    let asked = 0;
    for (const { byteLength } of movable) asked += byteLength;
    for (const { byteLength } of fixed.values()) asked += byteLength;
    assert.equal(requested, asked);
  };
  const checkBytes = () => {
    for (const { block, byteLength, mark } of movable) verify(heap, block.ptr, byteLength, mark);
    for (const [ptr, { byteLength, mark }] of fixed) verify(heap, ptr, byteLength, mark);
  };

  for (let i = 0; i < operations; i++) {
    const kind = random.below(100);
    if (kind < 40) {
      const [byteLength, mark] = [size(), random.below(256)];
      const block = attempt(() => heap.movable(byteLength));
      if (block !== undefined) {
        movable.push({ block, byteLength, mark, pins: [] });
        write(heap, block.ptr, byteLength, mark);
      }
    } else if (kind < 48) {
      const [byteLength, mark] = [size(), random.below(256)];
      const ptr = attempt(() => heap.allocate(byteLength, random.chance(0.2) ? 64 : 16));
      if (ptr !== undefined) {
        assert.ok(!fixed.has(ptr));
        fixed.set(ptr, { byteLength, mark });
        write(heap, ptr, byteLength, mark);
      }
    } else if (kind < 55 && movable.length > 0) {
      const known = random.pick(movable);
      const byteLength = size();
      if (known.pins.length > 0) {
        assert.throws(() => known.block.resize(byteLength), { code: "ERR_LINMEM_PINNED" });
      } else if (attempt(() => known.block.resize(byteLength)) !== undefined) {
        verify(heap, known.block.ptr, known.byteLength, known.mark, byteLength);
        known.byteLength = byteLength;
        write(heap, known.block.ptr, byteLength, known.mark);
      }
    } else if (kind < 58 && movable.length > 0) {
      const known = random.pick(movable);
      if (known.pins.length < 2) known.pins.push(known.block.pin());
      else known.pins.pop()!.release();
    } else if (kind < 68) {
      // most stop half-way
      const held = movable.flatMap(({ pins }) => pins.map((pin): [Pin, number] => [pin, pin.ptr]));
      const { done, blocks, bytes } = heap.compact(random.chance(0.7) ? { budgetMs: 0 } : {});
      assert.ok(bytes >= 16 * blocks);
      moves += blocks;
      if (done) finished++;
      for (const [pin, ptr] of held) assert.equal(pin.ptr, ptr, "a pinned block stays");
    } else if (kind < 70 && fixed.size > 0) {
      const ptr = random.pick([...fixed.keys()]);
      heap.free(ptr);
      fixed.delete(ptr);
    } else if (kind < 71 && !debug) {
      // another realm goes on; the handles here still lead to their blocks
      heap = Heap.open(place);
    } else if (movable.length > 0) {
      release(random.below(movable.length));
    }
    while (movable.length > live) release(random.below(movable.length));
    while (fixed.size > live / 8) {
      const ptr = random.pick([...fixed.keys()]);
      heap.free(ptr);
      fixed.delete(ptr);
    }
    // after each compaction all bytes
    if (i % every === 0) checkAll((kind >= 58 && kind < 68) || i % 8 === 0);
  }
  checkAll();
  assert.ok(finished > 0 && moves > 0);
  while (movable.length > 0) release(movable.length - 1);
  for (const ptr of fixed.keys()) heap.free(ptr);
  heap.check();
  assert.equal(heap.stats().blocks, 0);
  if (!debug) assert.equal(heap.stats().used, 0, "nothing is left of the handles");
}

describe("movable blocks do what a model does", () => {
  for (const seed of [1, 2]) {
    test(`in a memory that grows, checked after each of 100,000 operations, seed ${seed}`, () => {
      drive(seed, { target: memory, operations: 100_000, live: 24, largest: 2048, every: 1 });
    });
    test(`in a buffer too small for all it is asked for, seed ${seed}`, () => {
      drive(seed, {
        target: () => new ArrayBuffer(24_000),
        operations: 100_000,
        live: 24,
        largest: 4096,
        every: 1,
      });
    });
    test(`with many blocks, seed ${seed}`, () => {
      drive(seed, {
        target: () => memory(4000),
        operations: 100_000,
        live: 1500,
        largest: 16_384,
        every: 5000,
      });
    });
    test(`in debug mode, seed ${seed}`, () => {
      drive(seed, { target: memory, operations: 3000, live: 24, largest: 2048, every: 5, debug: true });
    });
  }
});

describe("handles of movable blocks", () => {
  test("are found again by their ids, by another realm too", () => {
    const target = new ArrayBuffer(65_536);
    const heap = Heap.create(target);
    const gap = heap.movable(1000);
    const block = heap.movable(100);
    block.view().fill(7);
    const again = Heap.open(target);
    const other = again.movableBlock(block.id);
    gap.release();
    const before = block.ptr;
    assert.equal(again.compact().blocks > 0, true);
    assert.notEqual(block.ptr, before);
    assert.equal(other.ptr, block.ptr);
    assert.ok(block.view().every((byte) => byte === 7));
    const shown = [...again.walk()].filter(({ movable }) => movable !== undefined);
    assert.deepEqual(
      shown.map(({ movable, address, requested }) => [movable, address, requested]),
      [[block.id, block.ptr, 100]],
    );
    other.release();
    assert.throws(() => block.ptr, { code: "ERR_LINMEM_RELEASED" });
    block.release();
    assert.throws(() => block.release(), { code: "ERR_LINMEM_DOUBLE_RELEASE" });
    for (const id of [block.id, -1, 0, 0.5, Number.NaN, 2 ** 53, "1"])
      assert.throws(() => heap.movableBlock(id as number), { code: "ERR_LINMEM_FOREIGN_BLOCK" });
    assert.equal(heap.live.blocks, 0);
    heap.check();
  });

  test("an old id is not taken for the block that has its number now", () => {
    const heap = Heap.create(memory());
    const keeper = heap.movable(1);
    const old = heap.movable(10);
    const stale = heap.movableBlock(old.id);
    old.release();
    const next = heap.movable(10);
    assert.notEqual(next.id, stale.id);
    assert.throws(() => stale.ptr, { code: "ERR_LINMEM_RELEASED" });
    stale.release();
    assert.equal(next.byteLength, 10);
    next.release();
    keeper.release();
  });

  test("an address of one is not taken for a block", () => {
    const heap = Heap.create(memory());
    for (let i = 0; i < 40; i++) {
      const block = heap.movable(8 * i);
      const before = heap.stats();
      const refused = { code: "ERR_LINMEM_FOREIGN_BLOCK", message: /movable/ };
      assert.throws(() => heap.free(block.ptr), refused);
      assert.throws(() => heap.reallocate(block.ptr, 8 * i, 8), refused);
      assert.throws(() => heap.byteLengthOf(block.ptr), refused);
      assert.deepEqual(heap.stats(), before);
    }
    heap.check();
  });

  test("pins hold, are counted, outlive their realm, and can be forgotten", () => {
    const target = new ArrayBuffer(65_536);
    const heap = Heap.create(target);
    const gap = heap.movable(1000);
    const block = heap.movable(100);
    const [first, second] = [block.pin(), block.pin()];
    gap.release();
    const { ptr } = block;
    first.release();
    assert.equal(block.pins, 1);
    heap.compact();
    assert.deepEqual([block.ptr, second.ptr, second.view().length], [ptr, ptr, 100]);
    Heap.open(target).compact();
    assert.equal(block.ptr, ptr);
    Heap.open(target, { unpin: true }).compact();
    assert.notEqual(block.ptr, ptr);
    block.release();
    assert.throws(() => second.ptr, { code: "ERR_LINMEM_RELEASED" });
  });

  test("in a heap that has no room: nothing changes", () => {
    const heap = Heap.create(new ArrayBuffer(16_384));
    const blocks: MovableBlock[] = [];
    assert.throws(() => {
      for (;;) blocks.push(heap.movable(200));
    }, AllocationError);
    heap.check();
    const before = heap.stats();
    assert.throws(() => blocks[0]!.resize(5000), AllocationError);
    assert.throws(() => heap.movable(2 ** 31), AllocationError);
    for (const size of [-1, Number.NaN, 1.5])
      assert.throws(() => heap.movable(size), { code: "ERR_LINMEM_SIZE" });
    assert.deepEqual(heap.stats(), before);
    assert.equal(blocks[0]!.byteLength, 200);
    for (const block of blocks) block.release();
    heap.check();
    assert.equal(heap.stats().used, 0);
  });

  test("in debug mode an overrun is found, and the block stays", () => {
    const heap = Heap.create(memory(), { debug: true });
    const gap = heap.movable(50);
    const block = heap.movable(100);
    gap.release();
    heap.compact();
    heap.memory.u8[block.ptr + 100] = 1;
    assert.throws(() => heap.check(), { code: "ERR_LINMEM_OVERRUN", message: /movable\.test/ });
    assert.throws(() => block.release(), { code: "ERR_LINMEM_OVERRUN" });
    assert.equal(heap.stats().blocks, 1);
  });
});
