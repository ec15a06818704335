// The table of live blocks under addresses that suit it and addresses that don't.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRecorder, type Recorder } from "../../src/recorder/index.js";
import { checkSums, type Hooks, hooksOf, Reader } from "./model.js";
import { forSeeds, Random } from "./random.js";

const spread = 0x9e3779b1;

function makeRecorder(): { recorder: Recorder; hooks: Hooks } {
  const recorder = createRecorder({ contextSeen: () => true, captureCaller: () => 0, isNested: () => false });
  return { recorder, hooks: hooksOf(recorder) };
}

/** Address whose product with the recorder's spreading factor is `hash`. */
function addressOfHash(hash: number): number {
  // the inverse modulo 2^32, by Newton's iteration
  let inverse = 1;
  for (let i = 0; i < 6; i++) inverse = Math.imul(inverse, 2 - Math.imul(spread, inverse));
  return Math.imul(hash, inverse) >>> 0;
}

function sizeAt(address: number): number {
  return (address ^ (address >>> 7)) & 0xfff;
}

/** Allocates and frees all addresses in several orders; every total has to be right in between. */
function exercise(addresses: readonly number[], seed = 1): Recorder {
  const { recorder, hooks } = makeRecorder();
  const random = new Random(seed);
  const sum = (part: readonly number[]) => part.reduce((bytes, address) => bytes + sizeAt(address), 0);
  const expectLive = (live: readonly number[]) => {
    const totals = recorder.totals();
    assert.equal(totals.liveBlocks, live.length);
    assert.equal(totals.liveBytes, sum(live));
    assert.equal(totals.unknownFrees, 0);
    assert.equal(totals.missedFrees, 0);
    assert.equal(totals.untracked, 0);
  };
  const fill = (part: readonly number[]) => {
    part.forEach((address, i) => {
      hooks.alloc(address, sizeAt(address), BigInt(i & 6) + 2n);
      if (i % 500 === 0) hooks.leave();
    });
    hooks.leave();
  };

  fill(addresses);
  expectLive(addresses);
  // a third goes, in random order, and comes back
  const shuffled = random.shuffle([...addresses]);
  const third = shuffled.slice(0, addresses.length / 3);
  for (const address of third) hooks.free(address);
  expectLive(shuffled.slice(third.length));
  fill(third);
  expectLive(addresses);
  // all go, oldest or newest first, and nothing stays
  for (const address of seed % 2 ? addresses : [...addresses].reverse()) hooks.free(address);
  expectLive([]);
  for (const address of third) hooks.free(address);
  assert.equal(recorder.totals().unknownFrees, third.length);
  const reader = new Reader();
  reader.take(recorder);
  checkSums(reader.sum(), recorder.totals());
  return recorder;
}

function series(count: number, at: (i: number) => number): number[] {
  return [...new Set(Array.from({ length: count }, (_, i) => at(i) >>> 0))].filter(
    (address) => address !== 0,
  );
}

const count = 50_000;

test("multiples of 16, ascending and descending", () => {
  exercise(series(count, (i) => 1024 + 16 * i));
  exercise(series(count, (i) => 1024 + 16 * i).reverse(), 2);
});

test("random addresses, even and odd", () => {
  forSeeds(3, (random) => {
    exercise(
      series(count, () => random.u32()),
      random.below(100),
    );
    exercise(
      series(count, () => random.u32() & ~15),
      random.below(100),
    );
  });
});

test("addresses from 2 GiB up to the last byte of 4 GiB", () => {
  exercise(series(count, (i) => 2 ** 31 + 16 * i));
  exercise(series(count, (i) => 2 ** 32 - 16 * (i + 1)));
  exercise(series(count, (i) => 2 ** 32 - 1 - i));
});

test("addresses that are equal in many of their lower bits", () => {
  for (const bits of [12, 14, 16]) {
    const most = Math.min(count, 2 ** (32 - bits) - 1);
    exercise(series(most, (i) => (i + 1) * 2 ** bits));
    exercise(series(most, (i) => (i + 1) * 2 ** bits + 8));
  }
});

test("every distance that allocators are likely to use", () => {
  for (const distance of [24, 40, 48, 80, 112, 1008, 4112, 10_946, 17_711, 65_552]) {
    exercise(series(Math.min(20_000, Math.floor(2 ** 32 / distance)), (i) => 64 + distance * i));
  }
});

test("addresses that all want the same place", () => {
  // no allocator does this; somebody who knows the recorder could
  for (const from of [0, 0x80000000, 0xffff0000]) {
    exercise(series(200, (i) => addressOfHash(from + i + 1)));
  }
});

test("addresses that all want the last places cost no more memory than others", () => {
  const { recorder, hooks } = makeRecorder();
  const addresses = series(5000, (i) => addressOfHash(0xffffffff - i));
  for (const address of addresses) hooks.alloc(address, 8, 2n);
  hooks.leave();
  assert.ok(recorder.memoryBytes() < 2 ** 22, `${recorder.memoryBytes()} bytes of memory`);
  const { liveBlocks, untracked } = recorder.totals();
  assert.equal(liveBlocks, addresses.length);
  for (const address of addresses) hooks.free(address);
  const totals = recorder.totals();
  // what the table had no place for is said
  assert.equal(totals.unknownFrees, untracked);
  assert.equal(totals.liveBlocks, untracked);
});

test("the table grows to two million blocks and is emptied, with frees in between", () => {
  const { recorder, hooks } = makeRecorder();
  const random = new Random(7);
  const live: number[] = [];
  let bytes = 0;
  let next = 0;
  const most = 2_000_000;
  const check = () => {
    const totals = recorder.totals();
    assert.equal(totals.liveBlocks, live.length);
    assert.equal(totals.liveBytes, bytes);
    assert.equal(totals.unknownFrees + totals.missedFrees + totals.untracked, 0);
  };
  const freeAny = () => {
    const k = random.below(live.length);
    const address = live[k];
    live[k] = live[live.length - 1];
    live.pop();
    hooks.free(address);
    bytes -= sizeAt(address);
  };
  const allocate = () => {
    // 16 bytes apart, from the middle of the address space over its end
    const address = (2 ** 31 + 16 * Math.imul(next++, 0x10001)) >>> 0;
    hooks.alloc(address || 8, sizeAt(address || 8), 2n);
    live.push(address || 8);
    bytes += sizeAt(address || 8);
    if (next % 700 === 0) hooks.leave();
  };
  const used = new Set<number>();
  for (let i = 0; i < 3_000_000; i++) used.add((2 ** 31 + 16 * Math.imul(i, 0x10001)) >>> 0);
  assert.equal(used.size, 3_000_000, "the test's own addresses differ");
  for (let step = 1000; live.length < most; step = Math.min(step * 2, most)) {
    while (live.length < Math.min(step, most)) {
      allocate();
      if (random.chance(0.2)) freeAny();
    }
    check();
  }
  const memory = recorder.memoryBytes();
  while (live.length > 0) {
    freeAny();
    if (random.chance(0.1)) allocate();
    if (live.length % 500_000 === 0) check();
  }
  check();
  assert.ok(recorder.memoryBytes() === memory, "no memory is needed for fewer blocks");
});
