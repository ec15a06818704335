// Growth that fails: each time that a heap asks for it, once, and for good. What was asked for is refused or had otherwise, and the
// heap is whole.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  AllocationError,
  Heap,
  LinearMemory,
  LinmemRangeError,
  type MovableBlock,
} from "../../../src/index.js";
import { field } from "../../../src/memory/heap/layout.js";
import { Random } from "../../recorder/random.js";

interface Outcome {
  /** How often the heap wanted to grow. */
  asked: number;
  /** Operations that were refused. */
  refused: number;
}

const operations = 1000;

/** Fills a heap with all kinds of blocks; of the memory's growths those that `fails` says fail. */
function fill(pages: boolean, fails: (growth: number) => boolean): Outcome {
  const random = new Random(5);
  const memory = new LinearMemory({ initial: 1, maximum: 400 });
  const grow = memory.grow.bind(memory);
  const outcome: Outcome = { asked: 0, refused: 0 };
  memory.grow = (by) => {
    if (fails(outcome.asked++)) throw new LinmemRangeError("ERR_LINMEM_REFUSED", "made to fail");
    return grow(by);
  };
  const heap = Heap.create(memory);
  if (pages) {
    memory.u32[heap.start / 4 + field.pagesFrom] = 0;
    memory.u32[heap.start / 4 + field.stack] = memory.u32[heap.start / 4 + field.first]!;
  }
  const blocks = new Map<number, number>();
  const movable: MovableBlock[] = [];
  const size = () => random.below(2 ** random.below(17));
  const enter = (ptr: number, byteLength: number) => {
    memory.u8.fill(ptr, ptr, ptr + byteLength);
    blocks.set(ptr, byteLength);
  };
  const verify = (at: number, byteLength: number, mark: number) =>
    assert.ok(memory.u8.subarray(at, at + byteLength).every((byte) => byte === (mark & 255)));

  for (let i = 0; i < operations; i++) {
    const before = heap.stats();
    const kind = random.below(10);
    const byteLength = size();
    try {
      if (kind < 4) enter(heap.allocate(byteLength), byteLength);
      else if (kind === 4) enter(heap.allocate(byteLength, 1 << random.below(13)), byteLength);
      else if (kind === 5) movable.push(heap.movable(byteLength));
      else if (kind === 6 && movable.length > 0) random.pick(movable).resize(byteLength);
      else if (blocks.size > 0) {
        const [ptr, old] = random.pick([...blocks]);
        if (kind === 9) {
          verify(ptr, old, ptr);
          heap.free(ptr);
          blocks.delete(ptr);
        } else {
          const moved = heap.reallocate(ptr, old, byteLength);
          verify(moved, Math.min(old, byteLength), ptr);
          blocks.delete(ptr);
          enter(moved, byteLength);
        }
      }
    } catch (error) {
      assert.ok(error instanceof AllocationError, String(error));
      outcome.refused++;
      const { blocks: count, requested } = heap.stats();
      assert.deepEqual([count, requested], [before.blocks, before.requested], "nothing has changed");
    }
    heap.check();
  }
  for (const [ptr, byteLength] of blocks) {
    verify(ptr, byteLength, ptr);
    heap.free(ptr);
  }
  for (const block of movable) block.release();
  heap.check();
  assert.equal(heap.stats().blocks, 0);
  return outcome;
}

describe("a heap whose memory does not grow when it should is whole", () => {
  for (const pages of [false, true]) {
    const kind = pages ? "with pages" : "without pages";
    const { asked, refused } = fill(pages, () => false);
    test(`${kind}: all growths are tried`, () => {
      assert.ok(asked > 10, `${asked} growths`);
      assert.equal(refused, 0);
    });
    for (let growth = 0; growth < asked; growth++) {
      test(`${kind}: growth ${growth} fails once`, () => {
        fill(pages, (each) => each === growth);
      });
      test(`${kind}: growth ${growth} fails twice`, () => {
        fill(pages, (each) => each === growth || each === growth + 1);
      });
      test(`${kind}: growth ${growth} and all after it fail`, () => {
        assert.ok(fill(pages, (each) => each >= growth).refused > 0);
      });
    }
  }
});
