// Debug mode: every byte around every block is overwritten once, and found, with the line that allocated the block.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Arena, Heap, LinearMemory, LinmemRangeError } from "../../../src/index.js";
import { Random } from "../../recorder/random.js";

const memory = () => new LinearMemory({ initial: 1, maximum: 100 });
const debugHeap = () => Heap.create(memory(), { debug: true });

const allocateHere = (heap: Heap, byteLength: number, alignment?: number) =>
  heap.allocate(byteLength, alignment);
const freeHere = (heap: Heap, ptr: number) => heap.free(ptr);

/** The error of `run`, as long as its code is the right one. */
function failure(code: string, run: () => unknown): LinmemRangeError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof LinmemRangeError && error.code === code, `${code} is expected: ${error}`);
    return error;
  }
  assert.fail(`${code} is expected`);
}

describe("debug mode finds", () => {
  test("each byte before and behind a block, at check and at free, and says where it was allocated", () => {
    const heap = debugHeap();
    for (const [byteLength, alignment] of [
      [100, 16],
      [0, 16],
      [1, 16],
      [16, 64],
      [333, 4096],
    ] as const) {
      const neighbour = allocateHere(heap, 40);
      const ptr = allocateHere(heap, byteLength, alignment);
      const next = allocateHere(heap, 40);
      const bytes = heap.memory.u8;
      for (let at = ptr - Math.max(32, alignment); at < ptr + byteLength + 16; at++) {
        if (at >= ptr && at < ptr + byteLength) continue;
        const right = bytes[at]!;
        bytes[at] = right ^ 0x41;
        const code = at < ptr ? "ERR_LINMEM_UNDERRUN" : "ERR_LINMEM_OVERRUN";
        for (const run of [() => heap.check(), () => heap.free(ptr), () => heap.reallocate(ptr, 0, 500)]) {
          const { message, numbers } = failure(code, run);
          assert.ok(
            message.startsWith(`block of ${byteLength} bytes at 0x${ptr.toString(16)} was `),
            message,
          );
          assert.match(message, /\nallocated here:\n +at allocateHere .*debug\.test\.ts/);
          assert.deepEqual([numbers.block, numbers.byteLength], [ptr, byteLength]);
        }
        bytes[at] = right;
      }
      heap.check();
      for (const each of [neighbour, ptr, next]) heap.free(each);
    }
    heap.check();
  });

  test("how far a write went", () => {
    const heap = debugHeap();
    const ptr = heap.allocate(10);
    heap.memory.u8.fill(0, ptr + 12, ptr + 15);
    const { message, numbers } = failure("ERR_LINMEM_OVERRUN", () => heap.free(ptr));
    assert.match(message, /was overrun: 3 bytes from 0x[0-9a-f]+ on, 2 behind its end, were overwritten/);
    assert.equal(numbers.address, ptr + 12);
  });

  test("a write after free, at check and when the bytes are to be used again", () => {
    const heap = debugHeap();
    const ptr = allocateHere(heap, 5000);
    freeHere(heap, ptr);
    heap.check();
    heap.memory.u8[ptr + 7] = 1;
    const found = failure("ERR_LINMEM_WRITE_AFTER_FREE", () => heap.check());
    assert.match(found.message, /allocated here:\n +at allocateHere[\s\S]*\nfreed here:\n +at freeHere/);
    assert.equal(found.numbers.address, ptr + 7);
    failure("ERR_LINMEM_WRITE_AFTER_FREE", () => {
      for (let i = 0; i < 10; i++) heap.free(heap.allocate(5000));
    });
    heap.check();
  });

  test("a double free with both stacks, and what an address that is no block lies in", () => {
    const heap = debugHeap();
    const ptr = allocateHere(heap, 100);
    for (const [address, place] of [
      [ptr + 16, "16 bytes inside of"],
      [ptr - 16, "16 bytes before"],
      [ptr + 112, "12 bytes behind"],
    ] as const) {
      const { message } = failure("ERR_LINMEM_FOREIGN_BLOCK", () => heap.free(address));
      assert.ok(message.includes(`it lies ${place} the block of 100 bytes`), message);
    }
    freeHere(heap, ptr);
    const { message } = failure("ERR_LINMEM_DOUBLE_FREE", () => heap.free(ptr));
    assert.match(
      message,
      /was freed already\nallocated here:\n +at allocateHere[\s\S]*\nfreed here:\n +at freeHere/,
    );
    failure("ERR_LINMEM_DOUBLE_FREE", () => heap.reallocate(ptr, 100, 200));
    failure("ERR_LINMEM_FOREIGN_BLOCK", () => heap.free(48));
    heap.check();
  });

  test("what went past the end of an arena's chunk", () => {
    const heap = debugHeap();
    const arena = new Arena(heap, { chunkByteLength: 64 });
    const ptr = arena.allocate(64);
    heap.memory.u8[ptr + 64] = 0;
    failure("ERR_LINMEM_OVERRUN", () => arena.release());
  });
});

describe("in debug mode", () => {
  test("new bytes and freed ones are easy to tell, and cleared ones are 0", () => {
    const heap = debugHeap();
    const filled = (ptr: number, byteLength: number, value: number) =>
      heap.memory.u8.subarray(ptr, ptr + byteLength).every((byte) => byte === value);
    const ptr = heap.allocate(100);
    assert.ok(filled(ptr, 100, 0xcd));
    assert.ok(filled(heap.allocateZeroed(50), 50, 0));
    heap.memory.u8.fill(7, ptr, ptr + 100);
    const moved = heap.reallocate(ptr, 100, 150);
    assert.notEqual(moved, ptr, "whoever kept the old address is found");
    assert.ok(filled(moved, 100, 7) && filled(moved + 100, 50, 0xcd));
    assert.ok(filled(ptr, 100, 0xdd));
    const smaller = heap.reallocate(moved, 150, 20, 256);
    assert.ok(smaller % 256 === 0 && filled(smaller, 20, 7));
  });

  test("statistics, the walk and sizes are those of the blocks without redzones", () => {
    const heap = debugHeap();
    const ptr = allocateHere(heap, 100);
    heap.free(heap.allocate(33));
    const { blocks, requested, used } = heap.stats();
    assert.deepEqual([blocks, requested, heap.byteLengthOf(ptr)], [1, 100, 100]);
    assert.ok(used > 133);
    const [block, ...more] = [...heap.walk()].filter((each) => each.used);
    assert.equal(more.length, 0);
    assert.deepEqual([block!.address, block!.requested], [ptr, 100]);
    assert.match(block!.allocatedAt!, /^ +at allocateHere .*debug\.test\.ts/);
  });

  test("another realm opens the heap, with its redzones", () => {
    const target = memory();
    const first = Heap.create(target, { debug: true });
    const blocks = [0, 1, 100, 5000].flatMap((size) => [first.allocate(size), first.allocate(size, 1024)]);
    const freed = first.allocate(200);
    first.free(freed);
    const second = Heap.open(target);
    assert.deepEqual(
      [...second.walk()].filter(({ used }) => used).map(({ address }) => address),
      [...blocks].sort((a, b) => a - b),
    );
    second.memory.u8[blocks[4]! + 100] = 0;
    const { message } = failure("ERR_LINMEM_OVERRUN", () => second.free(blocks[4]!));
    assert.match(message, /\nallocated by another realm$/);
    second.memory.u8[blocks[4]! + 100] = 0xfd;
    for (const ptr of blocks) second.free(ptr);
    assert.equal(second.stats().blocks, 0);
    second.check();
    const damaged = Heap.create(target, { debug: true });
    target.u32[(damaged.allocate(10) - 16) / 4] = 90;
    assert.throws(() => Heap.open(target), { code: "ERR_LINMEM_HEAP_DAMAGED" });
  });

  test("what is kept back of freed blocks is given up before a request fails", () => {
    const heap = Heap.create(new ArrayBuffer(32_768), { debug: true });
    for (let i = 0; i < 100; i++) heap.free(heap.allocate(6000));
    const large = heap.allocate(29_000 - 64);
    assert.throws(() => heap.allocate(3000), { code: "ERR_LINMEM_OUT_OF_MEMORY" });
    assert.throws(() => heap.allocate(0x7fff_ff00), { code: "ERR_LINMEM_OUT_OF_MEMORY" });
    heap.free(large);
    heap.check();
  });

  for (const seed of [1, 2, 3]) {
    test(`a correct program runs as without it, seed ${seed}`, () => {
      const random = new Random(seed);
      const heap = debugHeap();
      const blocks = new Map<number, { byteLength: number; mark: number }>();
      const verify = (ptr: number, byteLength: number, mark: number) =>
        assert.ok(heap.memory.u8.subarray(ptr, ptr + byteLength).every((byte) => byte === mark));
      for (let i = 0; i < 5000; i++) {
        const ptr = [...blocks.keys()][random.below(Math.max(blocks.size, 1))];
        const byteLength = random.below(2 ** random.below(12));
        const mark = random.below(256);
        let place: number;
        if (ptr === undefined || random.below(100) >= blocks.size) {
          const alignment = 1 << random.below(10);
          place = heap.allocate(byteLength, alignment);
          assert.equal(place % alignment, 0);
        } else {
          const old = blocks.get(ptr)!;
          verify(ptr, old.byteLength, old.mark);
          blocks.delete(ptr);
          if (random.chance(0.7)) {
            heap.free(ptr);
            continue;
          }
          place = heap.reallocate(ptr, old.byteLength, byteLength);
          verify(place, Math.min(old.byteLength, byteLength), old.mark);
        }
        heap.memory.u8.fill(mark, place, place + byteLength);
        blocks.set(place, { byteLength, mark });
        if (i % 50 === 0) heap.check();
      }
      assert.equal(heap.stats().blocks, blocks.size);
      for (const [ptr, { byteLength, mark }] of blocks) verify(ptr, byteLength, mark);
    });
  }
});
