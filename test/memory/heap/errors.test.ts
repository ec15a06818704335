// What a heap says to wrong requests, and that it is whole afterwards.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AllocationError, Heap, LinearMemory, LinmemError, struct, u32 } from "../../../src/index.js";
import { field } from "../../../src/memory/heap/layout.js";
import { Random } from "../../recorder/random.js";

const memory = () => new LinearMemory({ initial: 1, maximum: 16 });

/** Runs what has to fail, and checks that the heap is as it was. */
function refuses(heap: Heap, code: string, run: () => unknown): void {
  const before = heap.stats();
  assert.throws(run, { code });
  assert.deepEqual(heap.stats(), before);
  heap.check();
}

describe("a heap refuses", () => {
  test("to free a block twice", () => {
    const heap = Heap.create(memory());
    const [a, b, c] = [heap.allocate(100), heap.allocate(100), heap.allocate(100)];
    heap.free(b);
    refuses(heap, "ERR_LINMEM_DOUBLE_FREE", () => heap.free(b));
    heap.free(c);
    refuses(heap, "ERR_LINMEM_DOUBLE_FREE", () => heap.free(c));
    refuses(heap, "ERR_LINMEM_DOUBLE_FREE", () => heap.reallocate(b, 100, 10));
    heap.free(a);
    assert.equal(heap.stats().used, 0);
  });

  test("what is no block of it", () => {
    const both = memory();
    const heap = Heap.create(both, { byteLength: 8192 });
    const other = Heap.create(both, { start: 16_384, byteLength: 8192 });
    const block = heap.allocate(100);
    const foreign = other.allocate(100);
    heap.memory.u32.fill(0xffff_ffff, block / 4, block / 4 + 25);
    const addresses = [1, 8, block + 16, block + 1, foreign, 2 ** 32 + block, 65_520, 65_536 * 20, -16];
    for (const address of addresses) {
      refuses(heap, "ERR_LINMEM_FOREIGN_BLOCK", () => heap.free(address));
      refuses(heap, "ERR_LINMEM_FOREIGN_BLOCK", () => heap.byteLengthOf(address));
    }
    for (const address of [Number.NaN, 0.5, "16", undefined, null, {}]) {
      refuses(heap, "ERR_LINMEM_ADDRESS", () => heap.free(address as number));
    }
    heap.free(0);
    heap.free(block);
    other.free(foreign);
  });

  test("sizes and alignments that are none", () => {
    const heap = Heap.create(memory());
    const block = heap.allocate(10);
    for (const size of [-1, Number.NaN, 1.5, Number.POSITIVE_INFINITY, "8", undefined]) {
      refuses(heap, "ERR_LINMEM_SIZE", () => heap.allocate(size as number));
      refuses(heap, "ERR_LINMEM_SIZE", () => heap.allocateZeroed(size as number));
      refuses(heap, "ERR_LINMEM_SIZE", () => heap.reallocate(block, 10, size as number));
    }
    for (const alignment of [0, 3, -16, 24, 131_072, Number.NaN]) {
      refuses(heap, "ERR_LINMEM_ALIGNMENT", () => heap.allocate(8, alignment));
    }
    for (const size of [2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40]) {
      refuses(heap, "ERR_LINMEM_OUT_OF_MEMORY", () => heap.allocate(size));
      refuses(heap, "ERR_LINMEM_OUT_OF_MEMORY", () => heap.reallocate(block, 10, size));
    }
    heap.free(heap.allocate(0));
  });

  test("more than there is, wherever growth fails, and is whole", () => {
    for (const maximum of [1, 2, 3, 5]) {
      const heap = Heap.create(new LinearMemory({ initial: 1, maximum }));
      const blocks: number[] = [];
      assert.throws(
        () => {
          for (;;) blocks.push(heap.allocate(1000));
        },
        (error) => error instanceof AllocationError && error.numbers.asked === 1000,
      );
      heap.check();
      assert.equal(heap.stats().byteLength + heap.start, 65_536 * maximum);
      assert.equal(blocks.length, Math.floor((65_536 * maximum - blocks[0]! + 8) / 1008));
      refuses(heap, "ERR_LINMEM_OUT_OF_MEMORY", () => heap.reallocate(blocks[0]!, 1000, 5000));
      for (const block of blocks) heap.free(block);
      heap.check();
      // all of it is one piece again
      heap.free(heap.allocate(62_000 * maximum));
    }
  });

  test("to go past its own maximum, or into what somebody else added", () => {
    const heap = Heap.create(memory(), { maximumByteLength: 100_000 });
    refuses(heap, "ERR_LINMEM_OUT_OF_MEMORY", () => heap.allocate(100_000));
    heap.allocate(90_000);
    assert.ok(heap.stats().byteLength <= 100_000);

    const shared = memory();
    const second = Heap.create(shared);
    shared.grow(2);
    refuses(second, "ERR_LINMEM_OUT_OF_MEMORY", () => second.allocate(70_000));
  });

  test("targets and places where no heap fits", () => {
    assert.throws(() => Heap.create({} as LinearMemory), { code: "ERR_LINMEM_NOT_A_MEMORY" });
    assert.throws(() => Heap.create(new ArrayBuffer(1001)), { code: "ERR_LINMEM_BOUNDS" });
    assert.throws(() => Heap.create(new ArrayBuffer(512)), { code: "ERR_LINMEM_BOUNDS" });
    assert.throws(() => Heap.create(memory(), { start: 65_536 }), { code: "ERR_LINMEM_BOUNDS" });
    assert.throws(() => Heap.create(memory(), { byteLength: 70_000 }), { code: "ERR_LINMEM_BOUNDS" });
    assert.throws(() => Heap.create(memory(), { start: -1 }), { code: "ERR_LINMEM_SIZE" });
  });
});

describe("opening", () => {
  test("finds all blocks again, in a memory, a buffer and a shared one", () => {
    for (const target of [memory(), new ArrayBuffer(65_536), new SharedArrayBuffer(65_536)]) {
      const heap = Heap.create(target, { start: 160 });
      const block = heap.allocate(100);
      heap.memory.u8[block] = 7;
      heap.free(heap.allocate(50));
      const again = Heap.open(target, { start: 160 });
      assert.deepEqual(again.stats(), heap.stats());
      assert.deepEqual([...again.walk()], [...heap.walk()]);
      again.check();
      assert.equal(again.memory.u8[block], 7);
      again.free(block);
      assert.equal(heap.stats().used, 0);
    }
  });

  test("refuses what is no heap, newer or damaged", () => {
    const target = memory();
    assert.throws(() => Heap.open(target), { code: "ERR_LINMEM_NO_HEAP" });
    assert.throws(() => Heap.open(target, { start: 2 ** 20 }), { code: "ERR_LINMEM_NO_HEAP" });
    const heap = Heap.create(target);
    const version = target.u32[5]!;
    target.u32[5] = 99;
    assert.throws(() => Heap.open(target), { code: "ERR_LINMEM_HEAP_VERSION" });
    target.u32[5] = version;
    heap.allocate(64);
    for (let word = 6; word < 10; word++) {
      const right = target.u32[word]!;
      target.u32[word] = 0xffff_0000;
      assert.throws(() => Heap.open(target), { code: "ERR_LINMEM_HEAP_DAMAGED" });
      target.u32[word] = right;
    }
    Heap.open(target).check();
  });

  test("ends whatever word was overwritten, and so does a check: with an error of its own, or none", () => {
    const random = new Random(3);
    for (const pages of [false, true]) {
      const heap = Heap.create(memory());
      const { u32: words } = heap.memory;
      if (pages) {
        words[heap.start / 4 + field.pagesFrom] = 0;
        words[heap.start / 4 + field.stack] = words[heap.start / 4 + field.first]!;
      }
      const blocks = Array.from({ length: 200 }, () => heap.allocate(random.below(1200)));
      for (let i = 0; i < 20; i++) heap.movable(random.below(500));
      for (const block of blocks) if (random.chance(0.4)) heap.free(block);
      const saved = heap.memory.u8.slice();
      const found = new Set<string>();
      for (let i = 0; i < 4000; i++) {
        const at = heap.start / 4 + random.below(random.chance(0.6) ? 120 : saved.length / 4 - 16);
        const right = heap.memory.u32[at]!;
        const values = [0, 1, 2 ** 30 + right, 2 ** 32 - 1, random.u32(), right + 4, right - 8, saved.length];
        heap.memory.u32[at] = random.pick([...values, right ^ (1 << random.below(32))]);
        try {
          Heap.open(heap.memory as LinearMemory).check();
        } catch (error) {
          assert.ok(error instanceof LinmemError, `word ${at}: ${error}`);
          found.add(error.code);
        }
        heap.memory.u8.set(saved);
      }
      const expected = ["ERR_LINMEM_HEAP_DAMAGED", "ERR_LINMEM_HEAP_VERSION", "ERR_LINMEM_NO_HEAP"];
      assert.deepEqual([...found].sort(), expected);
      heap.check();
    }
  });

  test("a check finds what was overwritten", () => {
    const heap = Heap.create(memory());
    const blocks = Array.from({ length: 20 }, (_, i) => heap.allocate(30 + 20 * i));
    for (const i of [3, 4, 9, 15]) heap.free(blocks[i]!);
    heap.check();
    const { u32: words } = heap.memory;
    const span = heap.stats().span + heap.start;
    const payload = new Set<number>();
    const headers = new Set<number>();
    for (const { address, size, used } of heap.walk()) {
      headers.add((address - 4) / 4);
      // what a free block holds between its links and its size is nobody's, as are payloads
      const end = address - 4 + size;
      for (let at = used ? address : address + 12; at < (used ? end : end - 4); at += 4) payload.add(at / 4);
    }
    const unnoticed: number[] = [];
    for (let word = 4; word < span / 4; word++) {
      if (payload.has(word)) continue;
      const right = words[word]!;
      // a header is the upper half of its word: the lower one is payload
      words[word] = right ^ (headers.has(word) ? 0x30_0000 : 0x30);
      try {
        heap.check();
        unnoticed.push(word - 4);
      } catch {
        // found
      } finally {
        words[word] = right;
      }
    }
    // of the header: magic and version, which opening looks at, what only counts or bounds (ceiling, walks,
    // generation, pagesFrom, cursor), free records, debug mode, that slots are kept when none is, what is never read, and what lies
    // between it and the first block
    assert.deepEqual(
      unnoticed,
      [0, 1, 6, 7, 15, 34, 40, 41, 42, 43, 44, 45, 46, 47, 51, 52, 56, 57, 63, 804],
    );
  });
});

test("owned handles, text, arrays and structs lie in a heap as in a module's", () => {
  const Point = struct({ x: u32, y: u32 });
  for (const target of [memory(), new ArrayBuffer(65_536)]) {
    const heap = Heap.create(target);
    const point = heap.struct(Point, { x: 3, y: 4 });
    const text = heap.string("Grüße");
    const list = heap.array("f64", [1, 2, 3]);
    const bytes = heap.copyIn(Uint8Array.of(1, 2, 3));
    assert.deepEqual({ ...point.copy() }, { x: 3, y: 4 });
    assert.equal(String(text), "Grüße");
    list.resize(1000);
    assert.deepEqual([...list.copy()].slice(0, 4), [1, 2, 3, 0]);
    assert.deepEqual([...bytes.copy()], [1, 2, 3]);
    assert.equal(heap.stats().requested, heap.live.bytes);
    for (const each of [point, text, list, bytes]) each.release();
    assert.equal(heap.stats().blocks, 0);
    heap.check();
  }
});

test("blocks grow where they are, forwards and backwards", () => {
  const heap = Heap.create(memory());
  const [a, b, c, d] = [100, 100, 100, 100].map((size) => heap.allocate(size));
  heap.memory.u8.fill(9, c, c! + 100);
  heap.free(d!);
  assert.equal(heap.reallocate(c!, 100, 300), c, "into what was never used");
  heap.free(b!);
  assert.equal(heap.reallocate(a!, 100, 200), a, "into the free block behind it");
  heap.free(a!);
  // a request that nothing fits merges what is free, and tells the block behind it
  heap.allocate(30_000);
  const back = heap.reallocate(c!, 300, 400);
  assert.equal(back, a, "into the free block before it");
  assert.ok(
    heap.memory.u8.subarray(back, back + 100).every((byte) => byte === 9),
    "with its bytes",
  );
  heap.check();
});

test("views that went stale are noticed, whoever made the memory grow", () => {
  for (const shared of [false, true]) {
    const first = new LinearMemory({ initial: 1, maximum: 400, shared });
    const second = LinearMemory.wrap(first.wasm);
    const heap = Heap.create(first);
    const other = Heap.open(second);
    const blocks: number[] = [];
    for (let round = 0; round < 60; round++) {
      for (let i = 0; i < 100; i++) blocks.push((round % 2 === 0 ? heap : other).allocate(500 + i));
      for (let i = 0; i < 30; i++) (round % 2 === 0 ? other : heap).free(blocks.splice(2 * i, 1)[0]!);
    }
    heap.check();
    assert.equal(other.stats().blocks, blocks.length);
    first.grow(1);
    heap.free(blocks[0]!);
    other.free(blocks[1]!);
    heap.check();
  }
});

test("a heap whose buffer was detached says so", () => {
  const buffer = new ArrayBuffer(65_536);
  const heap = Heap.create(buffer);
  const block = heap.allocate(10);
  structuredClone(buffer, { transfer: [buffer] });
  for (const use of [() => heap.allocate(10), () => heap.free(block)])
    assert.throws(use, { code: "ERR_LINMEM_DETACHED" });
});
