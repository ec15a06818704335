// The recorder against a plain model, driven at random as an instrumented module would.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRecorder } from "../../src/recorder/index.js";
import { hooksOf, Rig } from "./model.js";
import { forSeeds, type Random } from "./random.js";

interface Program {
  operations: number;
  /** Allocations that an entry makes, at most. */
  perEntry: number;
  contexts: number;
  callers: number;
  /** Compare after this many operations. */
  every: number;
  address(random: Random): number;
}

function aligned(random: Random): number {
  return (1 + random.below(1 << 16)) * 16;
}

function size(random: Random): number {
  return random.chance(0.05) ? random.below(3) : 1 << random.below(random.chance(0.02) ? 22 : 11);
}

/** Runs entries that allocate, free and resize blocks of their own and of earlier ones. */
function run(random: Random, program: Program, looksAt?: () => boolean): Rig {
  const rig = new Rig(looksAt);
  // contexts that differ in few bits, or in all; 0 is the context outside of all entries
  const contexts = Array.from({ length: program.contexts }, (_, i) =>
    i % 3 === 0 ? BigInt(i) : (BigInt(random.u32()) << 32n) | (BigInt(random.u32()) & ~1n),
  );
  const addresses: number[] = [];
  const freeAddress = (): number => {
    for (;;) {
      const address = program.address(random);
      if (!rig.live.has(address)) return address;
    }
  };
  const takeLive = (): number => {
    if (addresses.length === 0) return freeAddress();
    // the newest ones die most often
    const k = random.chance(0.6)
      ? addresses.length - 1 - Math.min(addresses.length - 1, random.below(4))
      : random.below(addresses.length);
    const address = addresses[k];
    addresses[k] = addresses[addresses.length - 1];
    addresses.pop();
    return address;
  };
  let left = 0;
  let inEntry = false;
  const begin = () => {
    inEntry = random.chance(0.9);
    left = random.below(program.perEntry);
    if (inEntry) rig.enter(random.chance(0.1) ? 0 : 1 + random.below(program.callers));
    else if (rig.pending !== 0) rig.abandon();
  };

  begin();
  for (let i = 0; i < program.operations; i++) {
    const what = random.below(1000);
    if (left-- <= 0 || what < 10) {
      // an entry ends in order, or by a trap: then the next one tidies up
      if (inEntry && random.chance(0.95)) rig.leave();
      begin();
    } else if (what < 460) {
      const address = freeAddress();
      rig.alloc(address, size(random), random.pick(contexts));
      addresses.push(address);
    } else if (what < 880) {
      rig.free(takeLive());
    } else if (what < 960) {
      const from = random.chance(0.1) ? 0 : takeLive();
      const inPlace = from !== 0 && random.chance(0.5);
      const to = inPlace ? from : freeAddress();
      rig.realloc(from, to, size(random), random.pick(contexts));
      addresses.push(to);
    } else if (what < 965) {
      const from = takeLive();
      if (rig.live.has(from)) {
        rig.realloc(from, 0, 1 + size(random), random.pick(contexts));
        addresses.push(from);
      }
    } else if (what < 970) {
      rig.realloc(random.chance(0.2) ? 0 : takeLive(), 0, 0, random.pick(contexts));
    } else if (what < 975) {
      rig.alloc(0, size(random), random.pick(contexts));
    } else if (what < 980) {
      rig.free(0);
    } else if (what < 985) {
      rig.free(freeAddress());
    } else if (what < 990) {
      rig.carry(random.chance(0.7) ? 0n : BigInt(1 + random.below(2)) * 2n);
    } else if (what < 995) {
      rig.setEager(random.chance(0.5));
    } else {
      const stale = random.chance(0.3);
      if (!rig.nested(BigInt(2 + 2 * random.below(50)), !stale)) begin();
    }
    if (i % program.every === 0) rig.check();
  }
  rig.check();
  return rig;
}

test("every total is right after every operation", () => {
  forSeeds(20, (random) => {
    const perEntry = 1 + random.below(40);
    run(random, { operations: 400, perEntry, contexts: 4, callers: 12, every: 1, address: aligned });
  });
});

test("totals are right over many operations, short entries and long ones", () => {
  forSeeds(6, (random) => {
    const perEntry = 10 ** (1 + random.below(3));
    run(random, {
      operations: 20_000,
      perEntry,
      contexts: 100,
      callers: 20,
      every: 1999,
      address: aligned,
    });
  });
});

test("totals are right while the host declines to look at contexts, and it is asked again until it does", () => {
  forSeeds(6, (random) => {
    const program = { perEntry: 30, contexts: 60, callers: 5, every: 999, address: aligned };
    const most = run(random, { ...program, operations: 20_000 }, () => random.chance(0.1));
    assert.ok(most.declined.size > 0);
    let declines = 25;
    const none = run(random, { ...program, operations: 40_000, contexts: 10 }, () => declines-- <= 0);
    assert.ok(declines < 0);
    // of 25, but for those with an allocation now and then
    assert.ok(none.declined.size < 5, `${none.declined.size}`);
  });
});

test("totals are right when entries make more blocks than are kept aside for their caller", () => {
  forSeeds(4, (random) => {
    run(random, {
      operations: 20_000,
      perEntry: 10_000,
      contexts: 50,
      callers: 5,
      every: 999,
      address: aligned,
    });
  });
});

test("addresses from 1 to 2^32 - 1, odd ones and those that are used again at once", () => {
  const edge = [1, 2, 3, 7, 8, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffff0, 0xfffffffe, 0xffffffff];
  const address = (random: Random) =>
    random.chance(0.4) ? random.pick(edge) : random.chance(0.3) ? 1 + random.below(64) : random.u32() || 1;
  forSeeds(20, (random) => {
    run(random, { operations: 800, perEntry: 60, contexts: 3, callers: 5, every: 1, address });
  });
});

test("the smallest and the largest address", () => {
  for (const address of [1, 0xffffffff]) {
    const rig = new Rig();
    rig.enter(1);
    for (const other of [16, 32, 48]) rig.alloc(other, 8, 2n);
    for (const other of [16, 32]) rig.free(other);
    // a pointer that never was a block, where blocks were removed just now
    rig.free(address);
    rig.check();
    rig.alloc(address, 100, 2n);
    rig.alloc(64, 1, 4n);
    rig.check();
    rig.leave();
    rig.check();
    rig.free(address);
    rig.free(address);
    rig.check();
  }
});

test("a block that moved to where the one allocated last was freed is not a temporary one", () => {
  const rig = new Rig();
  rig.enter(1);
  rig.alloc(16, 8, 2n);
  rig.alloc(32, 8, 2n);
  rig.free(32);
  rig.check();
  rig.move(16, 32);
  rig.free(32);
  rig.check();
});

test("null pointers are freed at any time", () => {
  forSeeds(50, (random) => {
    const rig = new Rig();
    const addresses = new Set(Array.from({ length: 1000 }, () => 16 + 16 * random.below(1 << 20)));
    rig.enter(1);
    for (const address of addresses) rig.alloc(address, 8, 2n);
    for (const address of addresses) {
      rig.free(address);
      rig.free(0);
    }
    rig.check();
  });
});

test("sizes from 0 to 2^32 - 1", () => {
  const rig = new Rig();
  const sizes = [0, 1, 2, 3, 4, 0x7fffffff, 0x80000000, 0xffffffff];
  rig.enter(1);
  sizes.forEach((bytes, i) => {
    rig.alloc(16 + 16 * i, bytes, 6n);
  });
  rig.leave();
  rig.check();
  assert.equal(rig.recorder.totals().liveBytes, 0x7fffffff + 0x80000000 + 0xffffffff + 10);
  sizes.forEach((_, i) => {
    rig.free(16 + 16 * i);
  });
  rig.check();
});

test("the context outside of all entries is a context as any other", () => {
  const rig = new Rig();
  rig.alloc(16, 10, 0n);
  rig.check();
  rig.alloc(32, 10, 2n);
  rig.alloc(48, 10, 0n);
  rig.check();
});

test("a context carried over from another module makes another context", () => {
  const rig = new Rig();
  for (const carried of [0n, 2n, 4n, 2n, 0n]) {
    rig.carry(carried);
    rig.alloc(16, 10, 8n);
    rig.free(16);
  }
  rig.check();
  assert.equal(rig.pairs.size, 3);
});

test("the share of each context in the high-water mark", () => {
  const rig = new Rig();
  rig.alloc(16, 100, 2n);
  rig.alloc(32, 50, 4n);
  rig.check();
  rig.free(16);
  rig.check();
  // not a new mark: the shares stay
  rig.alloc(48, 90, 6n);
  rig.check();
  // a new one, at which context 2 has nothing and context 6 has 90, although neither changes
  rig.alloc(64, 500, 8n);
  rig.check();
  const shares = rig.reader.byContext();
  assert.deepEqual(
    [...shares.values()].map(({ peakLiveBytes }) => peakLiveBytes).filter((bytes) => bytes > 0),
    [50, 90, 500],
  );
  // between the marks that are remembered lies a 64th
  rig.alloc(80, 9, 10n);
  rig.check();
  assert.equal(rig.recorder.totals().peakLiveBytes, 649);
  assert.equal(rig.reader.sum().peakLiveBytes, 640);
});

test("only what changed is delivered", () => {
  const recorder = createRecorder({ contextSeen: () => true, captureCaller: () => 7, isNested: () => false });
  const { alloc, free, leave } = hooksOf(recorder);
  for (let i = 1; i <= 100; i++) alloc(16 * i, 8, BigInt(2 * i));
  leave();
  assert.equal(recorder.takeChanges().contexts.length, 201);
  assert.deepEqual(recorder.takeChanges(), { contexts: [], totals: [] });
  free(16);
  assert.deepEqual(
    recorder
      .takeChanges()
      .totals.map(([, allocations, frees, , liveBytes]) => [allocations, frees, liveBytes]),
    [[1, 1, 0]],
  );
  alloc(16, 8, 2n);
  alloc(3200, 8, 202n);
  const { contexts, totals } = recorder.takeChanges();
  assert.deepEqual([contexts.length, totals.length], [1, 2]);
});
