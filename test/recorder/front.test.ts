// Heaps that are larger than the front of the recorder, or whose blocks want the same slots: its size and its unit change
// while blocks come and go, and nothing of it may be seen from outside.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Rig } from "./model.js";
import { Random } from "./random.js";

const context = 42n;

/** Entries that free blocks of earlier ones and allocate others, at addresses `unit` bytes apart. */
function churn(rig: Rig, random: Random, unit: number, live: number, operations: number): void {
  const taken: number[] = [...rig.live.keys()];
  let left = 0;
  for (let i = 0; i < operations; i++) {
    if (left-- === 0) {
      if (i > 0) rig.leave();
      rig.enter(1 + random.below(5));
      left = 1 + random.below(400);
    }
    if (random.below(2 * live) < taken.length) {
      const at = random.below(taken.length);
      rig.free(taken[at]);
      taken[at] = taken[taken.length - 1];
      taken.pop();
      continue;
    }
    const address = unit * (1 + random.below(4 * live));
    if (rig.live.has(address)) continue;
    rig.alloc(address, 1 + random.below(unit), context + 2n * BigInt(random.below(30)));
    taken.push(address);
  }
  rig.leave();
}

function checkAll(rig: Rig): void {
  rig.check();
  const blocks = rig.recorder.blocks()!;
  assert.deepEqual(
    Array.from({ length: blocks.count }, (_, i) => blocks.addresses[i]),
    [...rig.live.keys()].sort((a, b) => a - b),
  );
}

test("a heap of many MiB with blocks of some size, then one of small blocks in it, and back", () => {
  const random = new Random(1);
  const rig = new Rig();
  for (const [unit, live] of [
    [256, 30_000],
    [16, 30_000],
    [1024, 20_000],
  ]) {
    churn(rig, random, unit, live, 250_000);
    checkAll(rig);
  }
});

test("blocks that all belong to one slot, or to the one that is never used", () => {
  const rig = new Rig();
  for (const first of [1 << 20, (1 << 20) + 16]) {
    rig.enter(1);
    for (let i = 0; i < 400; i++) rig.alloc(first + (i << 20), 8, context);
    for (let i = 0; i < 400; i += 2) rig.free(first + (i << 20));
    rig.leave();
    checkAll(rig);
    rig.enter(2);
    for (let i = 1; i < 400; i += 2) rig.realloc(first + (i << 20), first + (i << 20), 24, context);
    rig.leave();
    checkAll(rig);
  }
});

test("a block that belongs into the slot that is never used once the unit has changed, which it made do so", () => {
  const rig = new Rig();
  rig.enter(1);
  // each takes the slot of the one before, until the front is as large as it gets and then its unit doubles
  for (let i = 1; i <= 40_000; i++) {
    const address = 2 ** 21 * (i % 2000) + 16;
    if (rig.live.has(address)) rig.free(address);
    rig.alloc(address, 8, context);
    if (rig.live.size > 1000) rig.free(rig.live.keys().next().value!);
  }
  rig.leave();
  for (const address of [...rig.live.keys()]) rig.free(address);
  // the slot is where null would be found, or put
  rig.alloc(0, 8, context);
  rig.realloc(0, 64, 8, context);
  rig.leave();
  checkAll(rig);
});
