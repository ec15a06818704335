// What a heap tells of itself in numbers, against its walk and what can be had of it.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AllocationError, Heap, type HeapBlock } from "../../../src/index.js";
import { field, GRANULE, HEADER, SMALL_MOST, WIDE_HEADER } from "../../../src/memory/heap/layout.js";
import { Random } from "../../recorder/random.js";

const sizes = (blocks: readonly HeapBlock[]) => blocks.reduce((sum, { size }) => sum + size, 0);

/** Of a heap with pages the walk shows their rests as free blocks, too: nobody can have those. */
function compare(heap: Heap, pages: boolean): void {
  const stats = heap.stats();
  const all = [...heap.walk()];
  const used = all.filter((block) => block.used && !block.own);
  const header = heap.memory.u32[heap.start / 4 + field.first]! - heap.start;
  assert.equal(stats.blocks, used.length);
  assert.equal(stats.used, sizes(used));
  assert.equal(
    stats.requested,
    used.reduce((sum, { requested }) => sum + requested, 0),
  );
  assert.equal(stats.span, header + sizes(all));
  const unused = stats.byteLength - stats.span;
  const free = sizes(all.filter((block) => !block.used)) + unused - (unused % GRANULE);
  if (pages) assert.ok(stats.free <= free);
  else assert.equal(stats.free, free);
  assert.equal(stats.internalFragmentation, stats.used === 0 ? 0 : 1 - stats.requested / stats.used);
  assert.equal(stats.externalFragmentation, stats.free === 0 ? 0 : 1 - stats.largestFree / stats.free);
}

describe("statistics are those of the blocks that there are, and the largest free one can be had", () => {
  for (const pages of [false, true]) {
    test(pages ? "with pages" : "without pages", () => {
      const random = new Random(4);
      const heap = Heap.create(new ArrayBuffer(400_000));
      if (pages) {
        heap.memory.u32[heap.start / 4 + field.pagesFrom] = 0;
        heap.memory.u32[heap.start / 4 + field.stack] = heap.memory.u32[heap.start / 4 + field.first]!;
      }
      const blocks: number[] = [];
      for (let i = 0; i < 5000; i++) {
        if (random.chance(0.55)) {
          try {
            blocks.push(heap.allocate(random.below(2 ** random.below(13))));
          } catch (error) {
            assert.ok(error instanceof AllocationError);
          }
        } else if (blocks.length > 0) heap.free(blocks.splice(random.below(blocks.length), 1)[0]!);
        if (i % 50 === 0) compare(heap, pages);
        const { largestFree } = heap.stats();
        const small = largestFree - HEADER <= SMALL_MOST;
        if (largestFree > 0) heap.free(heap.allocate(largestFree - (small ? HEADER : WIDE_HEADER)));
      }
    });
  }
});
