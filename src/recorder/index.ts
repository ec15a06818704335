/**
 * The host side of the recorder: instantiates the module that hooks call, and reads its tables. Layout of its
 * memory: assembly/layout.ts, of which the offsets below are the mirror.
 */

import { fromBase64 } from "../base64.js";
import type { Blocks } from "../profile/blocks.js";
import type { ContextTotals, HeapTotals } from "../profile/records.js";
import { recorderWasmBase64 } from "./generated/recorder-wasm.js";
import { sortedBlocks } from "./live-blocks.js";

/** Module name under which an instrumented module imports the recorder's functions. */
export const recorderModuleName = "linmem";

/** What the recorder asks of its surroundings, while the program's stack stands. Never called on a hot path. */
export interface RecorderHost {
  /**
   * A calling context was seen for the first time: `context` is its number in this recorder, `hash` identifies
   * it in the module. Returns false to decline (budget spent): then it is asked again for one of many allocations in
   * such contexts.
   */
  contextSeen(context: number, hash: bigint): boolean;
  /**
   * An entry from JavaScript is about to return and leaves blocks live. Returns a number from 1 to 2^24 - 2 for
   * the JavaScript caller on the stack, or 0 to decline (budget spent).
   */
  captureCaller(): number;
  /** Whether a wasm frame lies on the stack below the entry that asks; false after a trap left the state stale. */
  isNested(): boolean;
}

/** Pair of a wasm context and a JavaScript caller (0: not captured), as numbered by the recorder. */
export interface RecordedContext {
  /** Number of the pair; what `ContextTotals` begin with. */
  id: number;
  /** Number that `contextSeen` announced; 0 for what came beyond the bound of contexts. */
  context: number;
  /** What `captureCaller` returned. */
  caller: number;
}

/** What one pair has allocated so far, and what of it is live now. */
export interface LiveContext extends RecordedContext {
  allocations: number;
  allocatedBytes: number;
  liveBytes: number;
  liveBlocks: number;
}

/** One recorder serves all instances that share a linear memory. It has a memory of its own. */
export interface Recorder {
  /** Functions to import under `recorderModuleName`. */
  readonly imports: Readonly<Record<string, WebAssembly.ExportValue>>;
  /**
   * For allocators in JavaScript: a block was allocated, `address` 0 for a failure. Each call is an entry of its own, so
   * the JavaScript caller is asked for before it returns.
   * @param context hash of the calling context
   */
  allocated(address: number, bytes: number, context: bigint): void;
  freed(address: number): void;
  /** `to` 0 is a failure that left the block as it was. */
  reallocated(from: number, to: number, bytes: number, context: bigint): void;
  /** A block is at another address, and otherwise what it was. */
  moved(from: number, to: number): void;
  totals(): HeapTotals;
  /** Pairs that are new and totals that changed since the previous call. */
  takeChanges(): { contexts: RecordedContext[]; totals: ContextTotals[] };
  /** Every pair as it is now. Leaves what `takeChanges` will say as it is. */
  liveContexts(): LiveContext[];
  /** Begins a period for `periodPeak`; `totals().peakLiveBytes` goes on counting from the start. */
  beginPeriod(): void;
  /** High-water mark of live bytes since `beginPeriod`. */
  periodPeak(): number;
  /**
   * Whether every entry that leaves blocks live asks for its caller (as at the start), or only a share of
   * them, weighed by how long their blocks usually live.
   */
  setEager(eager: boolean): void;
  /** Whether since the previous call a pair was seen for the first time, or more was live than ever before. */
  hasNews(): boolean;
  /**
   * The live blocks, in the order of their addresses, each with the number of its pair; undefined when there are more
   * than `most`.
   */
  blocks(most?: number): Blocks | undefined;
  /** Number of the JavaScript caller of the live block at an address; 0 when it is not known. */
  callerOf(address: number): number;
  /** Bytes of the recorder's own memory. */
  memoryBytes(): number;
}

/** What wasm calls; allocators in JavaScript get the same functions. */
type Hook = (...operands: never[]) => unknown;

interface RecorderExports {
  memory: WebAssembly.Memory;
  alloc(address: number, bytes: number, context: bigint): number;
  free(address: number): number;
  realloc(from: number, to: number, bytes: number, context: bigint): number;
  allocSlowly(address: number, bytes: number, context: bigint): number;
  freeSlowly(address: number): number;
  reallocSlowly(from: number, to: number, bytes: number, context: bigint): number;
  moved(from: number, to: number): void;
  leave(): void;
  abandon: Hook;
  nested: Hook;
  carry: Hook;
  counted: Hook;
  collected: Hook;
  setEager(value: number): void;
  hasNews(): number;
  beginPeriod(): void;
  periodPeak(): number;
  callerOf(address: number): number;
  recordCount(): number;
  recordsAddress(): number;
  peakShare(record: number): number;
  sync(): number;
  tableAddress(): number;
  tableEnd(): number;
  frontAddress(): number;
  frontEnd(): number;
  keyShift(): number;
}

const record = {
  size: 60,
  allocations: 8,
  allocatedBytes: 16,
  liveBytes: 24,
  liveBlocks: 32,
  temporary: 44,
  caller: 52,
  dirty: 55,
  base: 56,
} as const;
/** Instead of a caller: the host was not told of the context yet, or declined to look at it. */
const unseenContext = 0xffffff;

/**
 * Values of `dirty`; the recorder itself writes only 1. A record that is left alone still takes another share in
 * the high-water mark when a new one is reached: what it has live then. Until that has come it is looked at.
 */
const clean = 0;
const shareMayChange = 2;

/** `sync` writes this many numbers, then the histogram behind 16 places. */
const totalNames = [
  "allocations",
  "frees",
  "allocatedBytes",
  "liveBytes",
  "peakLiveBytes",
  "temporary",
  "unknownFrees",
  "missedFrees",
  "failed",
  "outlived",
  "captured",
  "contextsDropped",
  "untracked",
] as const;
/** Behind them; left out where there is no collected heap. */
const guestNames = ["collectable", "collections"] as const;
const histogramOffset = 16 * 8;

// taken before anything puts itself between the program and WebAssembly
const { Module, Instance } = WebAssembly;
let compiled: WebAssembly.Module | undefined;

function recorderModule(): WebAssembly.Module {
  compiled ??= new Module(fromBase64(recorderWasmBase64));
  return compiled;
}

export function createRecorder(host: RecorderHost): Recorder {
  const instance = new Instance(recorderModule(), {
    host: {
      contextSeen: (context: number, hash: bigint) =>
        host.contextSeen(context, BigInt.asUintN(64, hash)) ? 1 : 0,
      captureCaller: () => host.captureCaller(),
      isNested: () => (host.isNested() ? 1 : 0),
    },
  });
  const wasm = instance.exports as unknown as RecorderExports;
  const { alloc, free, realloc, allocSlowly, freeSlowly, reallocSlowly } = wasm;
  const { leave, abandon, nested, carry, counted, collected } = wasm;
  let announced = 0;
  let overlaps = 0;

  return {
    imports: {
      alloc,
      free,
      realloc,
      allocSlowly,
      freeSlowly,
      reallocSlowly,
      leave,
      abandon,
      nested,
      carry,
      counted,
      collected,
    } as Record<string, WebAssembly.ExportValue>,

    allocated(address, bytes, context) {
      let left = alloc(address, bytes, context);
      if (left < 0) left = allocSlowly(address, bytes, context);
      if (left !== 0) leave();
    },

    freed(address) {
      let left = free(address);
      if (left < 0) left = freeSlowly(address);
      if (left !== 0) leave();
    },

    reallocated(from, to, bytes, context) {
      let left = realloc(from, to, bytes, context);
      if (left < 0) left = reallocSlowly(from, to, bytes, context);
      if (left !== 0) leave();
    },

    moved(from, to) {
      wasm.moved(from, to);
    },

    totals() {
      const at = wasm.sync();
      const view = new DataView(wasm.memory.buffer);
      const totals = {} as HeapTotals;
      totalNames.forEach((name, i) => {
        totals[name] = view.getFloat64(at + 8 * i, true);
      });
      guestNames.forEach((name, i) => {
        const value = view.getFloat64(at + 8 * (totalNames.length + i), true);
        if (value > 0) totals[name] = value;
      });
      if (overlaps > 0) totals.overlaps = overlaps;
      totals.liveBlocks = totals.allocations - totals.frees - totals.missedFrees;
      totals.sizes = [];
      // counted by leading zeros: 32 of them, of blocks of no bytes, belong to the smallest
      const counted = (zeros: number) => Number(view.getBigUint64(at + histogramOffset + 8 * zeros, true));
      for (let zeros = 31; zeros >= 0; zeros--) totals.sizes.push(counted(zeros));
      totals.sizes[0] += counted(32);
      return totals;
    },

    takeChanges() {
      wasm.sync();
      const view = new DataView(wasm.memory.buffer);
      const start = wasm.recordsAddress();
      const count = wasm.recordCount();
      const contexts: RecordedContext[] = [];
      const totals: ContextTotals[] = [];
      for (let id = 0; id < count; id++) {
        const at = start + id * record.size;
        if (id >= announced) contexts.push(pairAt(view, at, id));
        const state = view.getUint8(at + record.dirty);
        if (state === clean) continue;
        const { allocations, allocatedBytes, liveBytes, liveBlocks } = figuresAt(view, at);
        const peakLiveBytes = wasm.peakShare(id);
        if (state === shareMayChange && peakLiveBytes !== liveBytes) continue;
        view.setUint8(at + record.dirty, peakLiveBytes === liveBytes ? clean : shareMayChange);
        totals.push([
          id,
          allocations,
          allocations - liveBlocks,
          allocatedBytes,
          liveBytes,
          peakLiveBytes,
          view.getUint32(at + record.temporary, true),
        ]);
      }
      announced = count;
      return { contexts, totals };
    },

    liveContexts() {
      wasm.sync();
      const view = new DataView(wasm.memory.buffer);
      const start = wasm.recordsAddress();
      return Array.from({ length: wasm.recordCount() }, (_, id) => {
        const at = start + id * record.size;
        return { ...pairAt(view, at, id), ...figuresAt(view, at) };
      });
    },

    beginPeriod() {
      wasm.beginPeriod();
    },

    periodPeak() {
      return wasm.periodPeak();
    },

    setEager(eager) {
      wasm.setEager(eager ? 1 : 0);
    },

    hasNews() {
      return wasm.hasNews() !== 0;
    },

    blocks(most = Number.POSITIVE_INFINITY) {
      const found = sortedBlocks(
        wasm.memory.buffer,
        [wasm.tableAddress() >>> 0, wasm.tableEnd() >>> 0],
        { range: [wasm.frontAddress(), wasm.frontEnd()], keyShift: wasm.keyShift() },
        most,
      );
      overlaps = found?.overlaps ?? overlaps;
      return found?.blocks;
    },

    callerOf(address) {
      return wasm.callerOf(address);
    },

    memoryBytes() {
      return wasm.memory.buffer.byteLength;
    },
  };
}

function pairAt(view: DataView, at: number, id: number): RecordedContext {
  return {
    id,
    // the base is told by its place
    context: view.getUint32(at + record.base, true) / record.size,
    caller: callerAt(view, at),
  };
}

function callerAt(view: DataView, at: number): number {
  const caller = view.getUint32(at + record.caller, true) & 0xffffff;
  return caller === unseenContext ? 0 : caller;
}

function figuresAt(view: DataView, at: number) {
  return {
    allocations: Number(view.getBigUint64(at + record.allocations, true)),
    allocatedBytes: Number(view.getBigUint64(at + record.allocatedBytes, true)),
    liveBytes: Number(view.getBigUint64(at + record.liveBytes, true)),
    liveBlocks: view.getUint32(at + record.liveBlocks, true),
  };
}
