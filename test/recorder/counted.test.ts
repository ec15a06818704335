// Blocks of a collected heap belong to the caller of the entry that made them, where that was asked for.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRecorder } from "../../src/recorder/index.js";
import { hooksOf, Reader } from "./model.js";

function start() {
  const asked: number[] = [];
  const state = { caller: 1 };
  const recorder = createRecorder({
    contextSeen: () => true,
    captureCaller: () => {
      asked.push(state.caller);
      return state.caller;
    },
    isNested: () => false,
  });
  const counted = recorder.imports.counted as (bytes: number, context: bigint) => number;
  const hooks = hooksOf(recorder);
  /** Does what an entry of an instrumented module does at its end. */
  const leave = (pending: number) => {
    if (pending !== 0) hooks.leave();
  };
  const byCaller = () => {
    const reader = new Reader();
    reader.take(recorder);
    return reader.byCaller();
  };
  return { recorder, hooks, counted, leave, byCaller, asked, state };
}

test("an entry asks once, at its first block, and all of its blocks are the caller's", () => {
  const { counted, leave, byCaller, asked, state, recorder } = start();
  for (const caller of [3, 5, 3]) {
    state.caller = caller;
    let pending = 0;
    for (let i = 0; i < 10; i++) pending = counted(100, BigInt(2 + 2 * (i % 3)));
    leave(pending);
  }
  assert.deepEqual(asked, [3, 5, 3]);
  const callers = byCaller();
  assert.deepEqual([callers.get(3)!.allocations, callers.get(3)!.allocatedBytes], [20, 2000]);
  assert.deepEqual([callers.get(5)!.allocations, callers.get(5)!.liveBlocks], [10, 0]);
  assert.equal(callers.get(0)?.allocations ?? 0, 0);
  const { allocations, collectable, liveBlocks } = recorder.totals();
  assert.deepEqual([allocations, collectable, liveBlocks], [30, 30, 0]);
});

test("where the host has no time, blocks are counted without a caller, and the entry does not ask again", () => {
  const { counted, leave, byCaller, asked, state } = start();
  state.caller = 0;
  let pending = 0;
  for (let i = 0; i < 1000; i++) pending = counted(8, 2n);
  leave(pending);
  assert.equal(asked.length, 1);
  assert.deepEqual(
    [...byCaller()].map(([caller, { allocations }]) => [caller, allocations]),
    [[0, 1000]],
  );
});

test("without time to spare one entry in 32 is asked for", () => {
  const { counted, leave, byCaller, asked, recorder } = start();
  recorder.setEager(false);
  const entries = 32_000;
  for (let i = 0; i < entries; i++) leave(counted(8, 2n));
  assert.ok(asked.length > 800 && asked.length < 1200, `${asked.length} of ${entries}`);
  const callers = byCaller();
  assert.equal(callers.get(1)!.allocations, asked.length);
  assert.equal(callers.get(0)!.allocations, entries - asked.length);
});

test("blocks that are freed by hand are not disturbed: they get their caller at the end of the entry", () => {
  const { hooks, counted, leave, byCaller, asked, state } = start();
  state.caller = 0;
  counted(8, 2n);
  hooks.alloc(4096, 100, 4n);
  let pending = hooks.alloc(8192, 50, 4n);
  state.caller = 7;
  leave(pending);
  // the next entry knows its caller before it allocates
  state.caller = 9;
  counted(8, 2n);
  pending = hooks.alloc(12_288, 25, 4n);
  leave(pending);
  assert.deepEqual(asked, [0, 7, 9]);
  const callers = byCaller();
  assert.deepEqual([callers.get(7)!.liveBlocks, callers.get(7)!.liveBytes], [2, 150]);
  assert.deepEqual(
    [callers.get(9)!.liveBlocks, callers.get(9)!.liveBytes, callers.get(9)!.allocations],
    [1, 25, 2],
  );
  assert.equal(callers.get(0)!.allocations, 1);
});
