// Arenas against a list of what should lie in them, and scopes that sit on one.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import {
  Arena,
  type ArenaMark,
  Heap,
  LinearMemory,
  ModuleHeap,
  Scope,
  struct,
  u32,
} from "../../src/index.js";
import { Random } from "../recorder/random.js";

const newHeap = () => Heap.create(new LinearMemory({ initial: 1, maximum: 200 }));

interface Known {
  ptr: number;
  byteLength: number;
  mark: number;
}

function drive(seed: number): void {
  const random = new Random(seed);
  const heap = newHeap();
  const arena = new Arena(heap, { chunkByteLength: 4096 });
  const known: Known[] = [];
  const marks: { mark: ArenaMark; blocks: number }[] = [];
  const fill = ({ ptr, byteLength, mark }: Known) => arena.memory.u8.fill(mark, ptr, ptr + byteLength);
  const verify = ({ ptr, byteLength, mark }: Known, kept = byteLength) => {
    for (let i = 0; i < kept; i++) assert.equal(arena.memory.u8[ptr + i], mark);
  };
  const size = () => (random.chance(0.02) ? random.below(20_000) : random.below(200));

  for (let i = 0; i < 20_000; i++) {
    if (random.chance(0.7)) {
      const alignment = random.chance(0.05) ? 1 << random.below(17) : 1 << random.below(5);
      const block = { byteLength: size(), mark: random.below(256), ptr: 0 };
      block.ptr = arena.allocate(block.byteLength, alignment);
      assert.equal(block.ptr % alignment, 0);
      known.push(block);
      fill(block);
    } else if (known.length > 0 && random.chance(0.4)) {
      // what older blocks hold must survive, so a block may only go if no mark is behind it
      const block = known.at(-1)!;
      if (known.length > (marks.at(-1)?.blocks ?? 0) && random.chance(0.5)) {
        known.pop();
        arena.free(block.ptr, block.byteLength);
      } else {
        const which = known[random.below(known.length)]!;
        const byteLength = size();
        const old = which.byteLength;
        which.ptr = arena.reallocate(which.ptr, old, byteLength, 1);
        which.byteLength = byteLength;
        verify(which, Math.min(old, byteLength));
        fill(which);
        // moved behind the marks it is younger than they are
        known.splice(known.indexOf(which), 1);
        known.push(which);
        marks.length = 0;
      }
    } else if (random.chance(0.5)) {
      marks.push({ mark: arena.mark(), blocks: known.length });
    } else if (marks.length > 0) {
      const index = random.below(marks.length);
      const { mark, blocks } = marks[index]!;
      for (const block of known) verify(block);
      arena.reset(mark);
      known.length = blocks;
      marks.length = index + (random.chance(0.5) ? 1 : 0);
    }
    if (random.chance(0.001)) {
      arena.reset();
      known.length = marks.length = 0;
    }
    if (i % 100 === 0) {
      for (const block of known) verify(block);
      const inOrder = known.filter(({ byteLength }) => byteLength > 0).sort((a, b) => a.ptr - b.ptr);
      for (let b = 1; b < inOrder.length; b++) {
        assert.ok(inOrder[b - 1]!.ptr + inOrder[b - 1]!.byteLength <= inOrder[b]!.ptr, "no overlap");
      }
      const chunks = [...heap.walk()].filter(({ used }) => used);
      const inChunk = ({ ptr, byteLength }: Known) =>
        chunks.some((c) => c.address <= ptr && ptr + byteLength <= c.address + c.requested);
      assert.ok(known.every(inChunk), "inside of chunks");
      heap.check();
    }
  }
  arena.release();
  assert.equal(heap.stats().blocks, 0);
}

describe("an arena", () => {
  for (const seed of [1, 2, 3]) test(`does what a list does, seed ${seed}`, () => drive(seed));

  test("ends the handles whose memory it takes back, and only those", () => {
    const heap = newHeap();
    const arena = new Arena(heap);
    const kept = arena.string("kept");
    const mark = arena.mark();
    const text = arena.string("gone");
    const list = arena.array("f32", [1, 2]);
    const { value } = list;
    assert.equal(arena.live.blocks, 3);
    arena.reset(mark);
    assert.deepEqual({ ...arena.live }, { blocks: 1, bytes: 4 });
    assert.equal(String(kept), "kept");
    assert.throws(() => text.ptr, { code: "ERR_LINMEM_RELEASED", message: /its arena was reset/ });
    assert.throws(() => value.get(0), { code: "ERR_LINMEM_RELEASED" });
    assert.throws(() => list.release(), { code: "ERR_LINMEM_DOUBLE_RELEASE" });
    text[Symbol.dispose]();
    kept.release();
    assert.equal(arena.live.blocks, 0);
  });

  test("a released handle gives its bytes back when it is the last one, as in a stack", () => {
    const arena = new Arena(newHeap());
    const first = arena.block(100);
    const { ptr } = arena.block(100);
    arena.reset();
    assert.equal(arena.block(100).ptr + 104, ptr);
    assert.ok(first.released);
    const last = arena.block(50);
    const place = last.ptr;
    last.release();
    assert.equal(arena.block(60).ptr, place);
    // but not past a mark
    const marked = arena.block(8);
    const mark = arena.mark();
    marked.release();
    const younger = arena.block(8);
    assert.ok(younger.ptr >= ptr);
    arena.reset(mark);
    assert.ok(younger.released);
  });

  test("keeps one chunk and gives the others back to its heap", () => {
    const heap = newHeap();
    const arena = new Arena(heap, { chunkByteLength: 1000 });
    for (let i = 0; i < 50; i++) arena.allocate(400);
    assert.equal(arena.byteLength, 25_000);
    assert.equal(heap.stats().blocks, 25);
    arena.reset();
    assert.equal(heap.stats().blocks, 1);
    arena.allocate(400);
    assert.equal(heap.stats().blocks, 1);
    arena.release();
    assert.deepEqual([heap.stats().blocks, arena.byteLength], [0, 0]);
    arena[Symbol.dispose]();
    assert.throws(() => arena.release(), { code: "ERR_LINMEM_DOUBLE_RELEASE" });
    for (const size of [0, 8]) assert.throws(() => arena.allocate(size), { code: "ERR_LINMEM_RELEASED" });
    assert.throws(() => arena.mark(), { code: "ERR_LINMEM_RELEASED" });
  });

  test("in a loop of mark and reset holds no more than once", () => {
    const arena = new Arena(newHeap());
    const at = new Set<number>();
    for (let i = 0; i < 1000; i++) {
      const mark = arena.mark();
      at.add(arena.string(`round ${i % 10}`).ptr);
      arena.reset(mark);
    }
    assert.equal(at.size, 1);
  });

  test("goes to no mark that it passed on the way back, nor to another's", () => {
    const heap = newHeap();
    const arena = new Arena(heap);
    const early = arena.mark();
    arena.allocate(10);
    const late = arena.mark();
    arena.reset(early);
    assert.throws(() => arena.reset(late), { code: "ERR_LINMEM_STALE_MARK" });
    assert.throws(() => new Arena(heap).reset(early), { code: "ERR_LINMEM_STALE_MARK" });
    arena.reset(early);
  });

  test("refuses what is no size, no alignment, no heap, and what its heap has not", () => {
    const heap = Heap.create(new ArrayBuffer(8192));
    const arena = new Arena(heap, { chunkByteLength: 1024 });
    const before = arena.allocate(100);
    for (const size of [-1, 1.5, Number.NaN, "8", undefined]) {
      assert.throws(() => arena.allocate(size as number), { code: "ERR_LINMEM_SIZE" });
      assert.throws(() => arena.reallocate(before, 100, size as number), { code: "ERR_LINMEM_SIZE" });
      if (size !== undefined) {
        assert.throws(() => new Arena(heap, { chunkByteLength: size as number }), {
          code: "ERR_LINMEM_SIZE",
        });
      }
    }
    for (const alignment of [0, 3, -8, 131_072, Number.NaN]) {
      assert.throws(() => arena.allocate(8, alignment), { code: "ERR_LINMEM_ALIGNMENT" });
    }
    for (const size of [8192, 2 ** 31, 2 ** 32, 2 ** 40]) {
      assert.throws(() => arena.allocate(size), { code: "ERR_LINMEM_OUT_OF_MEMORY" });
    }
    assert.throws(() => new Arena({} as Heap), { code: "ERR_LINMEM_NOT_A_HEAP" });
    assert.equal(arena.allocate(4, 4), before + 100);
    heap.check();
  });

  test("lies on a module's heap as well", () => {
    const module = new WebAssembly.Module(readFileSync(new URL("../fixtures/heaps/c.wasm", import.meta.url)));
    const heap = new ModuleHeap(new WebAssembly.Instance(module));
    const arena = new Arena(heap);
    const Point = struct({ x: u32, y: u32 });
    assert.deepEqual({ ...arena.struct(Point, { x: 1, y: 2 }).copy() }, { x: 1, y: 2 });
    arena.release();
  });
});

describe("a scope on an arena", () => {
  test("takes everything back that was allocated since it began", () => {
    const arena = new Arena(newHeap());
    const before = arena.string("before");
    const order: string[] = [];
    const inside = Scope.run((scope) => {
      scope.defer(() => order.push(String(text)));
      const text = arena.string("inside");
      return text;
    }, arena);
    assert.deepEqual(order, ["inside"], "what the scope defers may still use it");
    assert.ok(inside.released);
    assert.equal(String(before), "before");
  });

  test("also when the work throws, and when scopes lie in each other", async () => {
    const arena = new Arena(newHeap());
    const start = arena.mark();
    const outer = new Scope(arena);
    const text = outer.add(arena.string("outer"));
    assert.throws(
      () =>
        Scope.run(() => {
          arena.allocate(1000);
          throw new Error("work");
        }, arena),
      /work/,
    );
    await Scope.run(async () => {
      await null;
      arena.block(10);
    }, arena);
    assert.equal(String(text), "outer");
    outer.move().release();
    assert.ok(text.released);
    assert.equal(arena.mark(), start, "nothing is left");
  });

  test("that ends before one that began later takes its memory, and that one says so", () => {
    const arena = new Arena(newHeap());
    const first = new Scope(arena);
    arena.allocate(8);
    const second = new Scope(arena);
    first.release();
    assert.throws(() => second.release(), { code: "ERR_LINMEM_STALE_MARK" });
  });
});
