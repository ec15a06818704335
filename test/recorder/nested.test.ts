// An entry that finds the module's context in use: nested in another one, or after a trap.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Rig } from "./model.js";

test("the host is asked once for each context, and now and then again", () => {
  const rig = new Rig();
  for (let i = 0; i < 10_000; i++) assert.ok(rig.nested(100n, true));
  // at every power of two, and every 65,536 times
  assert.ok(rig.nestedQuestions >= 10 && rig.nestedQuestions <= 30, `${rig.nestedQuestions} questions`);

  rig.nestedQuestions = 0;
  for (let round = 0; round < 100; round++) {
    for (let context = 200n; context < 220n; context += 2n) rig.nested(context, true);
  }
  assert.ok(rig.nestedQuestions >= 10 && rig.nestedQuestions <= 100, `${rig.nestedQuestions} questions`);
});

test("an entry out of the allocator always asks", () => {
  const rig = new Rig();
  for (let i = 0; i < 100; i++) rig.nested(101n, true);
  assert.equal(rig.nestedQuestions, 100);
});

test("a stale context is noticed at the first entry, and blocks that the trap left are nobody's", () => {
  const rig = new Rig();
  rig.enter(5);
  rig.alloc(16, 8, 2n);
  rig.alloc(32, 8, 2n);
  // a trap here; another export is called
  assert.equal(rig.nested(300n, false), false);
  assert.equal(rig.captures, 0);
  rig.enter(6);
  rig.alloc(48, 8, 2n);
  rig.leave();
  rig.check();
  assert.equal(rig.reader.byCaller().get(0)!.liveBlocks, 2);
  assert.equal(rig.reader.byCaller().get(6)!.liveBlocks, 1);
});

test("a context once nested and stale later is noticed within 65,536 entries", () => {
  const rig = new Rig();
  for (let i = 0; i < 5000; i++) rig.nested(400n, true);
  let entries = 1;
  while (rig.nested(400n, false)) entries++;
  assert.ok(entries <= 65_536, `${entries} entries`);
  // and is not believed to be nested from then on
  assert.equal(rig.nested(400n, false), false);
});

test("a nested entry leaves the blocks of the outer one pending", () => {
  const rig = new Rig();
  rig.enter(1);
  rig.alloc(16, 8, 2n);
  assert.ok(rig.nested(500n, true));
  rig.alloc(32, 8, 4n);
  assert.notEqual(rig.pending, 0);
  rig.leave();
  rig.check();
  assert.equal(rig.reader.byCaller().get(1)!.liveBlocks, 2);
});

test("many contexts that share places in what is remembered", () => {
  const rig = new Rig();
  for (let round = 0; round < 3; round++) {
    for (let i = 1n; i <= 3000n; i++) assert.ok(rig.nested(i << 33n, true));
    for (let i = 1n; i <= 3000n; i++) assert.ok(!rig.nested((i << 33n) + 2n, false));
  }
});
