/**
 * How what callers hold develops over a run. The clock is work, not time: the allocations of the module so far. So a
 * program that waits, or does everything in the last second, looks like one that works evenly.
 */
import type { ContextState } from "../../profile/contexts.js";
import type { MemoryState } from "../../profile/state.js";
import type { ReportIds } from "../contexts.js";
import type { StackReader } from "../frames.js";
import type { ContextReport, FrameReport, ModuleReport } from "../report.js";

/** Moments that are looked at; of more snapshots those that lie evenly in work are taken. */
const mostMoments = 64;

/** What one line of JavaScript holds at each moment; of blocks whose caller is not known, what one wasm stack holds. */
export interface CallerHistory {
  /** Undefined when the caller was not captured. */
  caller?: FrameReport;
  /** Of the context that holds most. */
  stack: FrameReport[];
  /** Keys of the wasm stacks that it allocates through. */
  wasm: Set<number>;
  liveBytes: number[];
  liveBlocks: number[];
  allocations: number[];
  /**
   * What it would hold if callers that were not captured were the known ones of the same wasm stacks, in proportion.
   * Beyond the time budget for captures its own figures level off although it goes on.
   */
  estimatedBytes: number[];
  estimatedBlocks: number[];
  /**
   * The same of those contexts only that still have at the end half of what they had at most. One caller may both leak
   * and hold what is released late; added up, the two look like neither.
   */
  keptBytes: number[];
  keptBlocks: number[];
}

export interface ModuleHistory {
  memories: readonly MemoryState[];
  /** Milliseconds since recording began, ascending. */
  times: number[];
  /** Allocations of the module up to each moment. */
  work: number[];
  liveBytes: number[];
  /** Size of the memories. */
  memoryBytes: number[];
  callers: CallerHistory[];
  /** The caller of a context; contexts are unique within their memory. */
  callerOf(memory: MemoryState, context: number): CallerHistory | undefined;
}

const pageBytes = 65_536;

export function moduleHistory(
  module: ModuleReport,
  memories: readonly MemoryState[],
  stacks: StackReader,
  reportIds: ReportIds,
): ModuleHistory {
  const times = moments(memories);
  const series = () => new Array<number>(times.length).fill(0);
  const [work, liveBytes, memoryBytes] = [series(), series(), series()];
  const groups = new CallerGroups(module, times);

  for (const memory of memories) {
    const last = { allocations: 0, liveBytes: 0, pages: 0 };
    const gone = memory.collected === undefined ? times.length : lowerBound(times, memory.collected);
    for (const point of memory.timeline) {
      const at = lowerBound(times, point.time);
      if (at >= times.length) break;
      work[at]! += (point.allocations ?? last.allocations) - last.allocations;
      liveBytes[at]! += (point.liveBytes ?? last.liveBytes) - last.liveBytes;
      memoryBytes[at]! += (point.pages - last.pages) * pageBytes;
      last.allocations = point.allocations ?? last.allocations;
      last.liveBytes = point.liveBytes ?? last.liveBytes;
      last.pages = point.pages;
    }
    if (gone < times.length) {
      liveBytes[gone]! -= last.liveBytes;
      memoryBytes[gone]! -= last.pages * pageBytes;
    }
    const ids = reportIds.get(memory) ?? [];
    for (const state of memory.contexts.values()) {
      const id = ids[state.row] ?? 0;
      if (id !== 0) groups.add(memory, state, id, stacks.key(state.stack), gone);
    }
  }
  for (const one of [work, liveBytes, memoryBytes]) accumulate(one);
  return {
    memories,
    times,
    work,
    liveBytes,
    memoryBytes,
    callers: groups.finish(),
    callerOf: (memory, context) => groups.callerOf(memory, context),
  };
}

interface Collecting extends CallerHistory {
  /** The most that one of its contexts held, and which. */
  most: number;
  mostContext: number;
  /** By wasm stack: the most that it held through that. */
  made: Map<number, number>;
}

/** Contexts added up by the line of JavaScript that called, or by wasm stack where that is not known. */
class CallerGroups {
  readonly #module: ModuleReport;
  readonly #times: readonly number[];
  /**
   * By id of the context, which counts from 1: the index of its caller. Numbers, since going to each of 100,000 objects
   * costs more than all that is done with a context here.
   */
  readonly #callerIndex: Int32Array;
  readonly #isKnown: readonly boolean[];
  readonly #all: Collecting[] = [];
  /** By index of the caller. */
  readonly #known: Collecting[] = [];
  readonly #unknown = new Map<number, Collecting>();
  /** By row of the context. */
  readonly #byMemory = new Map<MemoryState, CallerHistory[]>();
  readonly #history: number[] = [];

  constructor(module: ModuleReport, times: readonly number[]) {
    this.#module = module;
    this.#times = times;
    this.#callerIndex = new Int32Array(1 + module.contexts.length);
    this.#isKnown = module.callers.map(({ frame }) => frame !== undefined);
    module.callers.forEach(({ contexts }, i) => {
      for (const id of contexts) this.#callerIndex[id] = i;
    });
  }

  /**
   * Takes a context of a memory.
   * @param id that of the report
   * @param wasm key of its wasm stack
   * @param gone moment at which the memory was collected; the number of moments when it never was
   */
  add(memory: MemoryState, state: ContextState, id: number, wasm: number, gone: number): void {
    const group = this.#group(this.#callerIndex[id]!, wasm);
    let rows = this.#byMemory.get(memory);
    if (!rows) this.#byMemory.set(memory, (rows = []));
    rows[state.row] = group;
    const times = this.#times;
    const history = this.#history;
    let allocations = 0;
    let blocks = 0;
    let bytes = 0;
    let most = 0;
    const length = state.readHistory(history);
    const kept = gone >= times.length && isKept(history, length);
    for (let i = 0; i < length; i += 4) {
      const at = lowerBound(times, history[i]!);
      if (at >= times.length) break;
      const nowBlocks = history[i + 1]! - history[i + 2]!;
      group.allocations[at]! += history[i + 1]! - allocations;
      group.liveBlocks[at]! += nowBlocks - blocks;
      group.liveBytes[at]! += history[i + 3]! - bytes;
      if (kept) {
        group.keptBlocks[at]! += nowBlocks - blocks;
        group.keptBytes[at]! += history[i + 3]! - bytes;
      }
      allocations = history[i + 1]!;
      blocks = nowBlocks;
      bytes = history[i + 3]!;
      most = Math.max(most, bytes);
    }
    if (most > group.most) {
      group.most = most;
      group.mostContext = id;
    }
    const made = group.made.get(wasm);
    if (made === undefined || most > made) group.made.set(wasm, most);
    if (gone < times.length) {
      group.liveBlocks[gone]! -= blocks;
      group.liveBytes[gone]! -= bytes;
    }
  }

  finish(): CallerHistory[] {
    const contexts: ContextReport[] = [];
    for (const context of this.#module.contexts) contexts[context.id] = context;
    for (const group of this.#all) {
      const { liveBytes, liveBlocks, allocations, keptBytes, keptBlocks } = group;
      for (const one of [liveBytes, liveBlocks, allocations, keptBytes, keptBlocks]) accumulate(one);
      group.stack = contexts[group.mostContext]!.stack;
      group.wasm = new Set(group.made.keys());
    }
    estimate(this.#all);
    return this.#all;
  }

  callerOf(memory: MemoryState, context: number): CallerHistory | undefined {
    return this.#byMemory.get(memory)?.[memory.contexts.get(context)?.row ?? 0];
  }

  #group(caller: number, wasm: number): Collecting {
    const known = this.#isKnown[caller];
    const found = known ? this.#known[caller] : this.#unknown.get(wasm);
    if (found) return found;
    const series = () => new Array<number>(this.#times.length).fill(0);
    const group: Collecting = {
      ...(known && { caller: this.#module.callers[caller]!.frame! }),
      stack: [],
      wasm: new Set(),
      liveBytes: series(),
      liveBlocks: series(),
      allocations: series(),
      estimatedBytes: [],
      estimatedBlocks: [],
      keptBytes: series(),
      keptBlocks: series(),
      most: -1,
      mostContext: 0,
      made: new Map(),
    };
    if (known) this.#known[caller] = group;
    else this.#unknown.set(wasm, group);
    this.#all.push(group);
    return group;
  }
}

/** Whether a context has at the end half of what it had at most, from its history in fours. */
function isKept(history: readonly number[], length: number): boolean {
  let most = 0;
  for (let i = 3; i < length; i += 4) most = Math.max(most, history[i]!);
  return 2 * (history[length - 1] ?? 0) >= most;
}

function estimate(groups: readonly Collecting[]): void {
  const known = new Map<number, Collecting[]>();
  for (const group of groups) {
    group.estimatedBytes = [...group.liveBytes];
    group.estimatedBlocks = [...group.liveBlocks];
    if (!group.caller) continue;
    for (const wasm of group.wasm) {
      const sharers = known.get(wasm);
      if (sharers) sharers.push(group);
      else known.set(wasm, [group]);
    }
  }
  for (const unknown of groups) {
    if (unknown.caller) continue;
    for (const wasm of unknown.wasm) {
      const sharers = known.get(wasm) ?? [];
      const whole = sharers.reduce((sum, { made }) => sum + (made.get(wasm) ?? 0), 0);
      if (whole <= 0) continue;
      for (const sharer of sharers) {
        const share = (sharer.made.get(wasm) ?? 0) / whole;
        for (let i = 0; i < unknown.liveBytes.length; i++) {
          sharer.estimatedBytes[i]! += unknown.liveBytes[i]! * share;
          sharer.estimatedBlocks[i]! += unknown.liveBlocks[i]! * share;
          sharer.keptBytes[i]! += unknown.keptBytes[i]! * share;
          sharer.keptBlocks[i]! += unknown.keptBlocks[i]! * share;
        }
      }
    }
  }
}

/** Times of snapshots, thinned out to those that lie evenly in work; the last one always. */
function moments(memories: readonly MemoryState[]): number[] {
  const points = memories
    .flatMap(({ timeline }) =>
      timeline.map(({ time, allocations = 0 }, i) => ({
        time,
        work: allocations - (timeline[i - 1]?.allocations ?? 0),
      })),
    )
    .sort((a, b) => a.time - b.time);
  const times: number[] = [];
  const total = points.reduce((sum, point) => sum + point.work, 0);
  const unique = new Set(points.map(({ time }) => time)).size;
  let done = 0;
  points.forEach(({ time, work }, i) => {
    done += work;
    if (points[i + 1]?.time === time) return;
    const due =
      total > 0 ? (times.length / mostMoments) * total : (times.length / mostMoments) * points.length;
    const progress = total > 0 ? done : i + 1;
    if (unique <= mostMoments || progress >= due || i === points.length - 1) times.push(time);
  });
  return times;
}

/** Index of the first number that is not smaller. */
function lowerBound(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function accumulate(differences: number[]): void {
  for (let i = 1; i < differences.length; i++) differences[i]! += differences[i - 1]!;
}
