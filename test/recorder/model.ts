/**
 * What the recorder should say, kept in the plainest way: a Map of live blocks and one object for each pair of
 * context and caller. `Rig` drives a recorder as hooks and entries of an instrumented module would (see
 * src/instrument/hooks.ts and context.ts) and does the same to the model.
 */
import assert from "node:assert/strict";
import type { HeapTotals } from "../../src/profile/records.js";
import { createRecorder, type Recorder } from "../../src/recorder/index.js";
import { noHeap } from "../support/no-heap.js";

/** The recorder's functions as the instrumented module calls them. */
export interface Hooks {
  alloc(address: number, bytes: number, context: bigint): number;
  free(address: number): number;
  realloc(from: number, to: number, bytes: number, context: bigint): number;
  leave(): void;
  abandon(): void;
  nested(context: bigint): number;
  carry(context: bigint): bigint;
}

type QuickAndSlow = Hooks &
  Record<`${"alloc" | "free" | "realloc"}Slowly`, (...operands: unknown[]) => number>;

/** As hooks do, calls the quick function first, and the slow one where that did nothing. */
export function hooksOf(recorder: Recorder): Hooks {
  const all = recorder.imports as unknown as QuickAndSlow;
  const both =
    <Operands extends unknown[]>(quick: (...operands: Operands) => number, slow: typeof all.allocSlowly) =>
    (...operands: Operands): number => {
      const pending = quick(...operands);
      return pending < 0 ? slow(...operands) : pending;
    };
  return {
    ...all,
    alloc: both(all.alloc, all.allocSlowly),
    free: both(all.free, all.freeSlowly),
    realloc: both(all.realloc, all.reallocSlowly),
  };
}

/** Totals of a pair of context and caller, or of a context. */
export interface PairTotals {
  allocations: number;
  frees: number;
  allocatedBytes: number;
  liveBytes: number;
  liveBlocks: number;
  peakLiveBytes: number;
  temporary: number;
}

function noTotals(): PairTotals {
  return {
    allocations: 0,
    frees: 0,
    allocatedBytes: 0,
    liveBytes: 0,
    liveBlocks: 0,
    peakLiveBytes: 0,
    temporary: 0,
  };
}

/** Puts together again what `takeChanges` hands out bit by bit, as a reader of profiles does. */
export class Reader {
  readonly contexts = new Map<number, { context: number; caller: number }>();
  readonly totals = new Map<number, PairTotals>();

  /** Returns how many totals were delivered. */
  take(recorder: Recorder): number {
    const { contexts, totals } = recorder.takeChanges();
    for (const { id, context, caller } of contexts) {
      assert.ok(!this.contexts.has(id), `pair ${id} announced twice`);
      this.contexts.set(id, { context, caller });
    }
    for (const [id, allocations, frees, allocatedBytes, liveBytes, peakLiveBytes, temporary] of totals) {
      assert.ok(this.contexts.has(id), `pair ${id} has totals but was not announced`);
      const liveBlocks = allocations - frees;
      this.totals.set(id, {
        allocations,
        frees,
        allocatedBytes,
        liveBytes,
        liveBlocks,
        peakLiveBytes,
        temporary,
      });
    }
    return totals.length;
  }

  /** Totals by `context/caller`. */
  byPair(): Map<string, PairTotals> {
    const pairs = new Map<string, PairTotals>();
    for (const [id, totals] of this.totals) {
      const { context, caller } = this.contexts.get(id)!;
      add(pairs, `${context}/${caller}`, totals);
    }
    return pairs;
  }

  byContext(): Map<string, PairTotals> {
    return byContext(this.byPair());
  }

  byCaller(): Map<number, PairTotals> {
    const callers = new Map<number, PairTotals>();
    for (const [id, totals] of this.totals) add(callers, this.contexts.get(id)!.caller, totals);
    return callers;
  }

  sum(): PairTotals {
    const sums = new Map<string, PairTotals>();
    for (const totals of this.totals.values()) add(sums, "", totals);
    return sums.get("") ?? noTotals();
  }
}

function add<K>(into: Map<K, PairTotals>, key: K, totals: PairTotals): void {
  const sum = into.get(key) ?? noTotals();
  for (const name of Object.keys(sum) as (keyof PairTotals)[]) sum[name] += totals[name];
  into.set(key, sum);
}

function byContext(pairs: Map<string, PairTotals>): Map<string, PairTotals> {
  const contexts = new Map<string, PairTotals>();
  for (const [key, totals] of pairs) add(contexts, key.split("/")[0], totals);
  return contexts;
}

interface Block {
  bytes: number;
  pair: PairTotals;
  context: number;
  /** Its place in the order of all allocations. */
  order: number;
}

/** How many allocations may come, dead ones included, until live blocks are labelled before their entry ends. */
const entryLimit = 512;

export class Rig {
  readonly recorder: Recorder;
  readonly reader = new Reader();
  readonly live = new Map<number, Block>();
  readonly pairs = new Map<string, PairTotals>();
  readonly totals: HeapTotals = { ...noHeap, sizes: new Array<number>(32).fill(0) };
  /** What the host answers when it is asked who calls; 0 declines. */
  caller = 0;
  /** What the host answers when it is asked whether an entry is nested. */
  nestedAnswer = false;
  /** How often the host was asked for the caller, in all and in this entry. */
  captures = 0;
  capturesInEntry = 0;
  nestedQuestions = 0;
  /** Last return value of a hook: entries call `leave` unless it is 0. */
  pending = 0;
  /**
   * False once an entry had live blocks beyond `entryLimit`: the recorder then asks for the caller in the middle,
   * labels what is live at that moment, and the model knows each pair's live blocks only, not its totals.
   */
  exact = true;

  readonly #hooks: Hooks;
  readonly #numbers = new Map<string, number>();
  readonly #keys = new Map<number, string>();
  readonly #ofEntry = new Map<number, Block>();
  #allocationsSinceSettled = 0;
  #labelOfEntry = 0;
  #last = 0;
  #nextPeak = 0;
  /** The allocation that made the high-water mark that shares are remembered of. */
  #peakOrder = 0;
  #carried = 0n;
  #announcing = "";
  /** Numbers of contexts that the host declined to look at so far. */
  readonly declined = new Set<number>();

  /** @param looksAt Whether the host looks at a context that it is told of. */
  constructor(looksAt = () => true) {
    this.recorder = createRecorder({
      contextSeen: (context, hash) => {
        assert.equal(typeof hash, "bigint");
        const looks = looksAt();
        const asksAgain = this.declined.has(context);
        if (looks) this.declined.delete(context);
        else this.declined.add(context);
        if (asksAgain) {
          assert.equal(this.#numbers.get(this.#announcing), context, "another number than before");
          return looks;
        }
        assert.ok(!this.#numbers.has(this.#announcing), `context ${this.#announcing} announced twice`);
        assert.ok(!this.#keys.has(context), `number ${context} given twice`);
        assert.ok(context > 0, "0 is for what comes beyond the bound");
        if (this.#carried === 0n) assert.equal(hash, BigInt(this.#announcing.split("+")[0]));
        this.#numbers.set(this.#announcing, context);
        this.#keys.set(context, this.#announcing);
        return looks;
      },
      captureCaller: () => {
        this.captures++;
        this.capturesInEntry++;
        this.#labelOfEntry = this.caller;
        return this.caller;
      },
      isNested: () => {
        this.nestedQuestions++;
        return this.nestedAnswer;
      },
    });
    this.#hooks = hooksOf(this.recorder);
  }

  alloc(address: number, bytes: number, context: bigint): void {
    this.#announcing = `${context}+${this.#carried}`;
    this.pending = this.#hooks.alloc(address, bytes, context);
    this.#allocated(address, bytes);
  }

  free(address: number): void {
    this.pending = this.#hooks.free(address);
    this.#freed(address);
  }

  realloc(from: number, to: number, bytes: number, context: bigint): void {
    this.#announcing = `${context}+${this.#carried}`;
    this.pending = this.#hooks.realloc(from, to, bytes, context);
    if (to !== 0 || (bytes === 0 && from !== 0)) {
      // a block that is resized was in use: it is not a temporary one
      if (to !== 0) this.#last = 0;
      this.#freed(from);
      if (to !== 0) this.#allocated(to, bytes);
    } else {
      this.totals.failed++;
    }
  }

  move(from: number, to: number): void {
    this.recorder.moved(from, to);
    if (this.#last === from) this.#last = to;
    for (const blocks of [this.live, this.#ofEntry]) {
      const block = blocks.get(from);
      if (block === undefined) continue;
      blocks.delete(from);
      blocks.set(to, block);
    }
  }

  /** The outermost entry begins: what is pending was made outside of entries. */
  enter(caller: number): void {
    if (this.pending !== 0) this.abandon();
    this.caller = caller;
  }

  /** The outermost entry ends in order. */
  leave(): void {
    if (this.pending !== 0) {
      const expected = this.#ofEntry.size > 0 ? 1 : 0;
      this.#hooks.leave();
      if (this.exact) assert.ok(this.capturesInEntry <= expected, "asked for a caller without need");
      this.#begin();
    } else {
      assert.equal(this.#ofEntry.size, 0, "a hook said that nothing is pending while blocks were");
    }
    this.#settle(this.#labelOfEntry);
  }

  abandon(): void {
    if (this.exact) assert.equal(this.capturesInEntry, 0, "asked for a caller outside of an entry");
    this.#hooks.abandon();
    this.#begin();
    this.#settle(0);
  }

  /** An entry finds the module's context in use; returns whether it may go on as a nested one. */
  nested(context: bigint, answer: boolean): boolean {
    this.nestedAnswer = answer;
    const before = this.nestedQuestions;
    const isNested = this.#hooks.nested(context) !== 0;
    if (this.nestedQuestions > before) assert.equal(isNested, answer);
    if (!isNested) {
      this.#begin();
      this.#settle(0);
    }
    return isNested;
  }

  carry(context: bigint): void {
    assert.equal(this.#hooks.carry(context), this.#carried, "the context that was carried before");
    this.#carried = context;
  }

  /** The recorder begins anew, with what an outermost entry does next. */
  #begin(): void {
    this.#allocationsSinceSettled = 0;
    this.#carried = 0n;
  }

  setEager(eager: boolean): void {
    this.recorder.setEager(eager);
  }

  #allocated(address: number, bytes: number): void {
    const { totals } = this;
    if (address === 0) {
      totals.failed++;
      return;
    }
    assert.ok(!this.live.has(address), "the model knows no double allocations");
    totals.allocations++;
    totals.allocatedBytes += bytes;
    totals.liveBytes += bytes;
    totals.liveBlocks++;
    totals.sizes[Math.max(0, 31 - Math.clz32(bytes))]++;

    const context = this.#numbers.get(this.#announcing);
    assert.ok(context !== undefined, `context ${this.#announcing} was not announced`);
    const pair = this.#pair(context, 0);
    count(pair, bytes, 1);
    const block = { bytes, pair, context, order: totals.allocations };
    this.live.set(address, block);
    this.#ofEntry.set(address, block);
    this.#last = address;
    if (++this.#allocationsSinceSettled > entryLimit && this.#ofEntry.size > 1) this.exact = false;
  }

  /** Growth ends when something is released, or with a look at the totals: then there may be a new high-water mark. */
  #growthEnds(): void {
    const { totals } = this;
    totals.peakLiveBytes = Math.max(totals.peakLiveBytes, totals.liveBytes);
    if (totals.liveBytes <= this.#nextPeak) return;
    // shares are those of a moment within a 64th of the high-water mark
    this.#nextPeak = totals.liveBytes + Math.floor(totals.liveBytes / 64);
    this.#peakOrder = totals.allocations;
    for (const each of this.pairs.values()) each.peakLiveBytes = each.liveBytes;
  }

  #freed(address: number): void {
    if (address === 0) return;
    this.#growthEnds();
    const { totals } = this;
    const block = this.live.get(address);
    if (!block) {
      totals.unknownFrees++;
      return;
    }
    totals.frees++;
    totals.liveBytes -= block.bytes;
    totals.liveBlocks--;
    block.pair.frees++;
    block.pair.liveBlocks--;
    block.pair.liveBytes -= block.bytes;
    if (address === this.#last) {
      totals.temporary++;
      block.pair.temporary++;
      this.#last = 0;
    }
    this.live.delete(address);
    this.#ofEntry.delete(address);
  }

  #pair(context: number, caller: number): PairTotals {
    const key = `${context}/${caller}`;
    let pair = this.pairs.get(key);
    if (!pair) this.pairs.set(key, (pair = noTotals()));
    return pair;
  }

  /** Blocks that the entry left live belong to its caller. */
  #settle(caller: number): void {
    for (const block of this.#ofEntry.values()) {
      this.totals.outlived++;
      if (!caller) continue;
      this.totals.captured++;
      const unlabelled = block.pair;
      count(unlabelled, block.bytes, -1);
      block.pair = this.#pair(block.context, caller);
      count(block.pair, block.bytes, 1);
      if (block.order > this.#peakOrder) continue;
      unlabelled.peakLiveBytes -= block.bytes;
      block.pair.peakLiveBytes += block.bytes;
    }
    this.#ofEntry.clear();
    this.#labelOfEntry = 0;
    this.capturesInEntry = 0;
    this.pending = 0;
  }

  /** Compares everything. */
  check(): void {
    this.#growthEnds();
    const actual = this.recorder.totals();
    const { outlived, captured, ...expected } = this.totals;
    // made-up sizes may reach into the next block
    const { outlived: actualOutlived, captured: actualCaptured, overlaps: _, ...rest } = actual;
    assert.deepEqual(rest, expected);
    if (this.exact) {
      assert.deepEqual(
        { outlived: actualOutlived, captured: actualCaptured },
        { outlived, captured },
        "blocks that outlived their entry",
      );
    }
    this.reader.take(this.recorder);
    checkSums(this.reader.sum(), actual);
    compare(this.reader.byContext(), byContext(this.pairs), Object.keys(noTotals()));
    if (this.exact) compare(this.reader.byPair(), this.pairs, Object.keys(noTotals()));
  }

  /** Compares what is live for each pair. To be called between entries, and also right after long ones. */
  checkLive(): void {
    this.#growthEnds();
    this.reader.take(this.recorder);
    compare(this.reader.byPair(), this.pairs, ["liveBytes", "liveBlocks"]);
  }
}

function count(pair: PairTotals, bytes: number, sign: 1 | -1): void {
  pair.allocations += sign;
  pair.allocatedBytes += sign * bytes;
  pair.liveBytes += sign * bytes;
  pair.liveBlocks += sign;
}

/** Sums over pairs equal the totals of the memory. */
export function checkSums(sum: PairTotals, totals: HeapTotals): void {
  assert.equal(sum.allocations, totals.allocations, "allocations, summed over pairs");
  assert.equal(sum.frees, totals.frees + totals.missedFrees, "frees, summed over pairs");
  assert.equal(sum.allocatedBytes, totals.allocatedBytes, "allocated bytes, summed over pairs");
  assert.equal(sum.liveBytes, totals.liveBytes, "live bytes, summed over pairs");
  assert.equal(sum.liveBlocks, totals.liveBlocks, "live blocks, summed over pairs");
  assert.equal(sum.temporary, totals.temporary, "temporary, summed over pairs");
  const ratio = totals.peakLiveBytes ? sum.peakLiveBytes / totals.peakLiveBytes : 1;
  assert.ok(
    ratio >= 0.98 && ratio < 1 + 1e-6,
    `peak, summed over pairs: ${sum.peakLiveBytes}, should be ${totals.peakLiveBytes}`,
  );
}

function compare(actual: Map<string, PairTotals>, expected: Map<string, PairTotals>, names: string[]): void {
  for (const key of new Set([...actual.keys(), ...expected.keys()])) {
    const a = actual.get(key) ?? noTotals();
    const e = expected.get(key) ?? noTotals();
    for (const name of names as (keyof PairTotals)[]) {
      // shares are kept with 24 bits
      const tolerance = name === "peakLiveBytes" ? e[name] * 1e-6 + 0.5 : 0;
      assert.ok(
        Math.abs(a[name] - e[name]) <= tolerance,
        `${key}: ${name} is ${a[name]}, should be ${e[name]}`,
      );
    }
  }
}
