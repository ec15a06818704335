// Blocks that outlive the entry from JavaScript that made them belong to its caller.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRecorder } from "../../src/recorder/index.js";
import { hooksOf, Reader, Rig } from "./model.js";
import { forSeeds, Random } from "./random.js";

const context = 42n;

test("blocks left live take the caller of their entry, the others stay without one", () => {
  const rig = new Rig();
  let address = 0;
  for (const caller of [3, 0, 5, 3]) {
    rig.enter(caller);
    for (let i = 0; i < 10; i++) rig.alloc((address += 16), 100, context);
    for (let i = 0; i < 4; i++) rig.free(address - 16 * i);
    rig.leave();
    rig.check();
  }
  const callers = rig.reader.byCaller();
  assert.equal(callers.get(3)!.liveBlocks, 12);
  assert.equal(callers.get(5)!.liveBlocks, 6);
  // 6 blocks whose caller was declined, and the allocations of those that died
  assert.equal(callers.get(0)!.liveBlocks, 6);
  assert.equal(callers.get(0)!.allocations, 4 * 4 + 6);
  assert.equal(rig.captures, 4);
});

test("an entry whose blocks all died asks for nothing", () => {
  const rig = new Rig();
  for (let i = 0; i < 5000; i++) {
    rig.enter(1);
    rig.alloc(16, 8, context);
    rig.alloc(32, 8, context);
    rig.free(16);
    rig.free(32);
    assert.equal(rig.pending, 0);
    rig.leave();
  }
  rig.check();
  assert.equal(rig.captures, 0);
});

test("blocks of earlier entries that are freed or resized count for the caller who made them", () => {
  const rig = new Rig();
  rig.enter(1);
  rig.alloc(16, 10, context);
  rig.alloc(32, 20, context);
  rig.leave();
  rig.enter(2);
  rig.free(16);
  rig.realloc(32, 48, 40, context);
  rig.leave();
  rig.check();
  const callers = rig.reader.byCaller();
  assert.deepEqual([callers.get(1)!.allocations, callers.get(1)!.liveBlocks], [2, 0]);
  assert.deepEqual([callers.get(2)!.allocations, callers.get(2)!.liveBytes], [1, 40]);
});

test("blocks made outside of entries are never labelled", () => {
  const rig = new Rig();
  rig.caller = 9;
  for (let i = 1; i <= 500; i++) rig.alloc(16 * i, 8, context);
  rig.enter(1);
  assert.equal(rig.captures, 0);
  rig.alloc(32_000, 8, context);
  rig.leave();
  rig.check();
  assert.equal(rig.reader.byCaller().get(0)!.liveBlocks, 500);
  assert.equal(rig.reader.byCaller().get(1)!.liveBlocks, 1);
});

test("an entry of many blocks asks for its caller once, in the middle, and labels all it leaves", () => {
  for (const blocks of [9000, 20_000, 100_000]) {
    const rig = new Rig();
    rig.enter(7);
    for (let i = 1; i <= blocks; i++) rig.alloc(16 * i, 8, context);
    assert.equal(rig.captures, 1, "asked while it runs");
    rig.leave();
    rig.enter(8);
    rig.alloc(16 * (blocks + 1), 8, context);
    rig.leave();
    assert.equal(rig.captures, 2);
    rig.check();
    rig.checkLive();
    assert.equal(rig.reader.byCaller().get(7)!.liveBlocks, blocks);
    assert.equal(rig.reader.byCaller().get(8)!.liveBlocks, 1);
  }
});

test("an entry of many blocks whose caller is declined is not asked again", () => {
  const rig = new Rig();
  rig.enter(0);
  for (let i = 1; i <= 10_000; i++) rig.alloc(16 * i, 8, context);
  rig.leave();
  rig.check();
  rig.checkLive();
  assert.equal(rig.captures, 1);
  assert.equal(rig.recorder.totals().captured, 0);
});

test("an entry that ends by a trap in the middle of many blocks passes its caller to nobody", () => {
  const rig = new Rig();
  rig.enter(7);
  for (let i = 1; i <= 1500; i++) rig.alloc(16 * i, 8, context);
  // no leave: the next entry finds blocks pending and tidies up
  rig.enter(8);
  rig.alloc(32_000, 8, context);
  rig.leave();
  const { reader } = rig;
  reader.take(rig.recorder);
  assert.equal(reader.byCaller().get(8)!.liveBlocks, 1);
  const ofTrapped = (reader.byCaller().get(7)?.liveBlocks ?? 0) + reader.byCaller().get(0)!.liveBlocks;
  assert.equal(ofTrapped, 1500);
});

test("what a host throws or answers out of range leaves blocks without a caller", () => {
  let answer = () => -1;
  const recorder = createRecorder({
    contextSeen: () => true,
    captureCaller: () => answer(),
    isNested: () => false,
  });
  const { alloc, leave } = hooksOf(recorder);
  const reader = new Reader();
  alloc(16, 8, context);
  leave();
  answer = () => {
    throw new Error("no stack today");
  };
  alloc(32, 8, context);
  assert.throws(() => leave(), /no stack today/);
  answer = () => 2;
  leave();
  reader.take(recorder);
  assert.deepEqual([...reader.byCaller().keys()], [0, 2]);
  assert.equal(recorder.totals().liveBlocks, 2);
  assert.equal(reader.sum().liveBlocks, 2);
});

test("callers have numbers up to 2^24 - 2", () => {
  const rig = new Rig();
  const callers = [1, 2, 255, 256, 65_535, 65_536, 2 ** 23, 2 ** 24 - 3, 2 ** 24 - 2];
  callers.forEach((caller, i) => {
    rig.enter(caller);
    rig.alloc(16 + 16 * i, 8, context);
    rig.leave();
  });
  rig.check();
  assert.deepEqual([...rig.reader.byCaller().keys()], [0, ...callers]);
});

test("a share of the high-water mark goes with the blocks to the caller who made them", () => {
  const rig = new Rig();
  rig.enter(1);
  rig.alloc(16, 1000, context);
  rig.leave();
  rig.enter(2);
  rig.alloc(32, 100_000, context);
  rig.alloc(48, 5, context);
  rig.leave();
  rig.free(32);
  rig.free(16);
  rig.check();
  const callers = rig.reader.byCaller();
  assert.equal(callers.get(1)!.peakLiveBytes, 1000);
  assert.equal(callers.get(2)!.peakLiveBytes, 100_005);
  assert.equal(callers.get(0)!.peakLiveBytes, 0);
});

/** Entries of one block each, by a caller who releases it in the next entry, or one who never does. */
class Program {
  captures = 0;
  readonly recorder = createRecorder({
    contextSeen: () => true,
    captureCaller: () => {
      this.captures++;
      return this.caller;
    },
    isNested: () => false,
  });
  caller = 0;
  #address = 0;
  readonly #hooks = hooksOf(this.recorder);

  entry(caller: number): number {
    this.caller = caller;
    this.#hooks.alloc((this.#address += 16), 64, context);
    this.#hooks.leave();
    return this.#address;
  }

  careful(): void {
    const address = this.entry(1);
    this.#hooks.free(address);
  }

  careless(): void {
    this.entry(2);
  }

  /** Share of the live blocks that name who left them. */
  labelled(): number {
    const reader = new Reader();
    reader.take(this.recorder);
    return (reader.byCaller().get(2)?.liveBlocks ?? 0) / this.recorder.totals().liveBlocks;
  }
}

test("while the host has time every entry is captured, in any order", () => {
  forSeeds(5, (random) => {
    const program = new Program();
    for (let i = 0; i < 2000; i++) {
      if (random.chance(0.5)) program.careful();
      else program.careless();
    }
    assert.equal(program.captures, 2000);
    assert.equal(program.labelled(), 1);
  });
});

test("with no time to spare, a context whose blocks always die is hardly captured", () => {
  const program = new Program();
  program.recorder.setEager(false);
  for (let i = 0; i < 100; i++) program.careful();
  program.captures = 0;
  for (let i = 0; i < 10_000; i++) program.careful();
  assert.ok(program.captures <= 300, `${program.captures} captures of 10,000 entries`);
});

test("with no time to spare, a context that begins to leak is captured again soon", () => {
  const program = new Program();
  program.recorder.setEager(false);
  for (let i = 0; i < 1000; i++) program.careful();
  for (let i = 0; i < 1000; i++) program.careless();
  assert.ok(program.labelled() >= 0.95, `${program.labelled()} of the blocks name who left them`);
});

test("with no time to spare, a context that always leaks is captured at once", () => {
  const program = new Program();
  program.recorder.setEager(false);
  for (let i = 0; i < 1000; i++) program.careless();
  for (let i = 0; i < 1000; i++) program.careful();
  assert.ok(program.labelled() >= 0.95, `${program.labelled()} of the blocks name who left them`);
});

test("a context seen for the first time is captured even with no time to spare", () => {
  let captures = 0;
  const recorder = createRecorder({
    contextSeen: () => true,
    captureCaller: () => ++captures,
    isNested: () => false,
  });
  const { alloc, leave } = hooksOf(recorder);
  const random = new Random(1);
  recorder.setEager(false);
  for (let i = 1; i <= 1000; i++) {
    alloc(16 * i, 64, BigInt(random.u32()) * 2n + 2n ** 40n * BigInt(i));
    leave();
  }
  assert.ok(captures >= 950, `${captures} of 1000`);
});

test("a new pair of context and caller is news, and so is more live than ever", () => {
  const rig = new Rig();
  const entry = (caller: number, of: bigint, bytes: number) => {
    rig.enter(caller);
    rig.alloc(16, bytes, of);
    rig.leave();
    const news = rig.recorder.hasNews();
    rig.free(16);
    return news;
  };
  assert.equal(entry(1, context, 100), true);
  assert.equal(entry(1, context, 100), false);
  assert.equal(entry(2, context, 50), true);
  assert.equal(entry(1, 44n, 50), true);
  assert.equal(entry(2, context, 100), false);
  assert.equal(entry(2, context, 101), true);
  assert.equal(rig.recorder.hasNews(), false);
});
