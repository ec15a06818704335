// An address that is allocated again although its free was not seen: an allocator's function was not hooked.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRecorder } from "../../src/recorder/index.js";
import { checkSums, hooksOf, Reader } from "./model.js";
import { forSeeds } from "./random.js";

function makeRecorder() {
  const recorder = createRecorder({ contextSeen: () => true, captureCaller: () => 3, isNested: () => false });
  return { recorder, ...hooksOf(recorder) };
}

test("twice in a row", () => {
  const { recorder, alloc, free, leave } = makeRecorder();
  alloc(16, 100, 2n);
  alloc(16, 50, 4n);
  leave();
  const totals = recorder.totals();
  assert.deepEqual([totals.allocations, totals.frees, totals.missedFrees], [2, 0, 1]);
  assert.deepEqual([totals.liveBlocks, totals.liveBytes, totals.allocatedBytes], [1, 50, 150]);
  free(16);
  assert.deepEqual([recorder.totals().liveBlocks, recorder.totals().liveBytes], [0, 0]);
  free(16);
  assert.equal(recorder.totals().unknownFrees, 1);
});

test("twice, of a block for which the front has no room, while more is live than ever", () => {
  // too long, or of the slot that is never used
  for (const [address, bytes] of [
    [4096, 1 << 20],
    [1 << 20, 64],
  ] as const) {
    const { recorder, alloc, free, leave } = makeRecorder();
    const reader = new Reader();
    alloc(address, bytes, 2n);
    alloc(address, bytes, 4n);
    alloc(64, 8, 6n);
    leave();
    const totals = recorder.totals();
    assert.deepEqual([totals.allocations, totals.frees, totals.missedFrees], [3, 0, 1]);
    reader.take(recorder);
    checkSums(reader.sum(), totals);
    free(address);
    free(64);
    assert.deepEqual([recorder.totals().liveBlocks, recorder.totals().liveBytes], [0, 0]);
  }
});

test("in one entry, with others in between", () => {
  const { recorder, alloc, free, leave } = makeRecorder();
  for (let round = 0; round < 3; round++) {
    for (let i = 1; i <= 100; i++) alloc(16 * i, 8, 2n);
  }
  leave();
  assert.equal(recorder.totals().missedFrees, 200);
  assert.equal(recorder.totals().liveBytes, 800);
  for (let i = 1; i <= 100; i++) free(16 * i);
  assert.equal(recorder.totals().liveBytes, 0);
  assert.equal(recorder.totals().unknownFrees, 0);
});

test("in later entries", () => {
  const { recorder, alloc, free, leave } = makeRecorder();
  for (let round = 0; round < 3; round++) {
    for (let i = 1; i <= 100; i++) alloc(16 * i, 8, BigInt(2 * round + 2));
    leave();
  }
  assert.equal(recorder.totals().missedFrees, 200);
  assert.equal(recorder.totals().liveBytes, 800);
  const reader = new Reader();
  reader.take(recorder);
  const live = [...reader.byContext().values()].filter(({ liveBlocks }) => liveBlocks > 0);
  assert.deepEqual(
    live.map(({ liveBytes }) => liveBytes),
    [800],
    "the newest allocation has the address",
  );
  for (let i = 1; i <= 100; i++) free(16 * i);
  assert.equal(recorder.totals().liveBytes, 0);
});

test("sums hold when many frees are not seen", () => {
  forSeeds(10, (random) => {
    const { recorder, alloc, free, leave, realloc } = makeRecorder();
    const reader = new Reader();
    // some are too long for the front
    const bytes = () => random.below(random.chance(0.1) ? 2 ** 32 : 1000);
    for (let i = 0; i < 20_000; i++) {
      const address = 16 + 16 * random.below(300);
      const what = random.below(10);
      if (what < 5) alloc(address, bytes(), BigInt(2 * random.below(5)));
      else if (what < 8) free(address);
      else if (what < 9) realloc(address, 16 + 16 * random.below(300), bytes(), 2n);
      else if (random.chance(0.2)) leave();
      if (i % 500 === 0) {
        reader.take(recorder);
        checkSums(reader.sum(), recorder.totals());
      }
    }
    leave();
    assert.ok(recorder.totals().liveBlocks <= 300, "no more blocks than addresses");
    // a block whose free was not seen may hide behind a newer one at its address: two frees find both
    for (let i = 0; i < 600; i++) free(16 + 16 * (i % 300));
    const totals = recorder.totals();
    assert.deepEqual([totals.liveBlocks, totals.liveBytes], [0, 0]);
    reader.take(recorder);
    checkSums(reader.sum(), totals);
  });
});
