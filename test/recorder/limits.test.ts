// What happens beyond the bounds of contexts and callers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRecorder } from "../../src/recorder/index.js";
import { checkSums, hooksOf, Reader } from "./model.js";

const maximumContexts = 262_144;

test("contexts beyond the bound are counted under context 0, their callers still told apart", () => {
  let seen = 0;
  let caller = 0;
  const recorder = createRecorder({
    contextSeen: () => {
      seen++;
      return true;
    },
    captureCaller: () => caller,
    isNested: () => false,
  });
  const { alloc, free, leave } = hooksOf(recorder);
  const reader = new Reader();
  const contexts = 300_000;
  for (let i = 1; i <= contexts; i++) {
    alloc(16 * i, 8, BigInt(i) * 0x29e3779b1n);
    // half of them die
    if (i % 2) free(16 * i);
    if (i % 10_000 === 0) reader.take(recorder);
  }
  // record 0 takes the rest
  assert.equal(seen, maximumContexts - 1);
  const totals = recorder.totals();
  assert.equal(totals.contextsDropped, contexts - seen);
  assert.deepEqual(
    [totals.allocations, totals.liveBlocks, totals.liveBytes],
    [contexts, contexts / 2, contexts * 4],
  );
  leave();

  for (caller = 2; caller <= 3; caller++) {
    for (let i = 1; i <= 100; i++)
      alloc(16 * (contexts + 100 * caller + i), caller, 2n ** 60n + BigInt(2 * i));
    leave();
  }
  // a context known before is still itself
  caller = 4;
  alloc(8, 1000, 0x29e3779b1n);
  leave();
  reader.take(recorder);
  checkSums(reader.sum(), recorder.totals());
  assert.equal(reader.contexts.size > maximumContexts, true);
  const pairs = reader.byPair();
  assert.deepEqual([pairs.get("0/2")!.liveBlocks, pairs.get("0/2")!.liveBytes], [100, 200]);
  assert.deepEqual([pairs.get("0/3")!.liveBlocks, pairs.get("0/3")!.liveBytes], [100, 300]);
  assert.equal(pairs.get("1/4")!.liveBytes, 1000);
});

test("callers beyond the bound of pairs leave blocks with their context", () => {
  let caller = 0;
  const recorder = createRecorder({
    contextSeen: () => true,
    captureCaller: () => ++caller,
    isNested: () => false,
  });
  const { alloc, leave } = hooksOf(recorder);
  const blocks = 400_000;
  for (let i = 1; i <= blocks; i++) {
    alloc(16 * i, 10, 2n);
    leave();
  }
  const reader = new Reader();
  reader.take(recorder);
  checkSums(reader.sum(), recorder.totals());
  assert.ok(reader.contexts.size >= maximumContexts && reader.contexts.size < blocks);
  assert.equal(reader.byPair().get("1/1")!.liveBlocks, 1);
  const known = reader.contexts.size - 2;
  assert.equal(reader.byPair().get("1/0")!.liveBlocks, blocks - known);
});

test("a thousand recorders share one compiled module and little memory", () => {
  const recorders = Array.from({ length: 1000 }, (_, i) => {
    const recorder = createRecorder({
      contextSeen: () => true,
      captureCaller: () => 1,
      isNested: () => false,
    });
    hooksOf(recorder).alloc(16, i, 2n);
    return recorder;
  });
  assert.ok(recorders.every((recorder, i) => recorder.totals().liveBytes === i));
  assert.ok(recorders.every((recorder) => recorder.memoryBytes() <= 2 ** 17));
});
