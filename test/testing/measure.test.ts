// What measureMemory says, of a C program whose allocator the tests call.
import assert from "node:assert/strict";
import { test } from "node:test";
import { measureMemory } from "../../src/testing/index.js";
import { cHeap } from "./c-heap.js";

const heap = cHeap();

test("bytes and blocks allocated, the peak above what was live, and what is live after", async () => {
  heap.malloc(10_000);
  const measured = await measureMemory(async () => {
    const first = heap.malloc(1000);
    const second = heap.malloc(500);
    await null;
    heap.free(first);
    heap.free(heap.malloc(200));
    return second;
  });
  const { result, ...rest } = measured;
  assert.deepEqual(rest, {
    peakBytes: 1500,
    allocatedBytes: 1700,
    allocatedBlocks: 3,
    grownPages: 0,
    liveBytes: 500,
    liveBlocks: 1,
  });
  heap.free(result);
});

test("the peak is that of this run, not of an earlier one", async () => {
  heap.free(heap.malloc(50_000));
  assert.equal((await measureMemory(() => heap.free(heap.malloc(300)))).peakBytes, 300);
  assert.equal((await measureMemory(() => heap.free(heap.malloc(20)))).peakBytes, 20);
});

test("freeing what was there before is less than nothing", async () => {
  const block = heap.malloc(64);
  const { liveBytes, liveBlocks, peakBytes } = await measureMemory(() => heap.free(block));
  assert.deepEqual([liveBytes, liveBlocks, peakBytes], [-64, -1, 0]);
});

test("growth in pages, with the memories of new instances", async () => {
  assert.equal((await measureMemory(() => heap.grow(3))).grownPages, 3);
  const { grownPages, result } = await measureMemory(() => cHeap());
  assert.equal(grownPages, result.memory.buffer.byteLength / 65536);
});

test("in a new instance too", async () => {
  const { peakBytes, allocatedBlocks } = await measureMemory(() => {
    const { malloc, free } = cHeap();
    free(malloc(700));
  });
  assert.deepEqual([peakBytes, allocatedBlocks], [700, 1]);
});

test("what the function throws comes through", async () => {
  await assert.rejects(
    measureMemory(() => Promise.reject(new RangeError("mine"))),
    new RangeError("mine"),
  );
});
