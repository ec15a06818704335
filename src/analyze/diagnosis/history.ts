/**
 * How what callers hold develops over a run. The clock is work, not time: the allocations of the module so far. So a
 * program that waits, or does everything in the last second, looks like one that works evenly.
 */
import type { MemoryState } from "../../profile/state.js";
import type { ReportIds } from "../contexts.js";
import type { StackReader } from "../frames.js";
import type { CallerReport, ContextReport, FrameReport, ModuleReport } from "../report.js";

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
  // by the ids of the report, which count from 1
  const reported: ContextReport[] = [];
  const callerOf: CallerReport[] = [];
  for (const context of module.contexts) reported[context.id] = context;
  for (const caller of module.callers) for (const id of caller.contexts) callerOf[id] = caller;
  const times = moments(memories);
  const indexOf = (time: number) => lowerBound(times, time);
  const series = () => new Array<number>(times.length).fill(0);
  const [work, liveBytes, memoryBytes] = [series(), series(), series()];
  const callers = new Map<unknown, Collecting>();
  /** By row of the context. */
  const groups = new Map<MemoryState, CallerHistory[]>();
  const history: number[] = [];

  for (const memory of memories) {
    const last = { allocations: 0, liveBytes: 0, pages: 0 };
    const gone = memory.collected === undefined ? times.length : indexOf(memory.collected);
    for (const point of memory.timeline) {
      const at = indexOf(point.time);
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
    const grouped: CallerHistory[] = [];
    groups.set(memory, grouped);
    const ids = reportIds.get(memory) ?? [];
    for (const state of memory.contexts.values()) {
      const context = reported[ids[state.row] ?? 0];
      if (!context) continue;
      const wasm = stacks.key(state.stack);
      const caller = callerOf[context.id];
      const frame = caller?.frame;
      const key = frame ? caller : wasm;
      let group = callers.get(key);
      if (!group) {
        group = {
          ...(frame && { caller: frame }),
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
          made: new Map(),
        };
        callers.set(key, group);
      }
      group.wasm.add(wasm);
      grouped[state.row] = group;
      let allocations = 0;
      let blocks = 0;
      let bytes = 0;
      let most = 0;
      const length = state.readHistory(history);
      const kept = gone >= times.length && isKept(history, length);
      for (let i = 0; i < length; i += 4) {
        const at = indexOf(history[i]!);
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
        group.stack = context.stack;
      }
      if (most > (group.made.get(wasm) ?? 0)) group.made.set(wasm, most);
      if (gone < times.length) {
        group.liveBlocks[gone]! -= blocks;
        group.liveBytes[gone]! -= bytes;
      }
    }
  }
  for (const one of [work, liveBytes, memoryBytes]) accumulate(one);
  for (const group of callers.values()) {
    const { liveBytes, liveBlocks, allocations, keptBytes, keptBlocks } = group;
    for (const one of [liveBytes, liveBlocks, allocations, keptBytes, keptBlocks]) accumulate(one);
  }
  estimate([...callers.values()]);
  return {
    memories,
    times,
    work,
    liveBytes,
    memoryBytes,
    callers: [...callers.values()],
    callerOf: (memory, context) => groups.get(memory)?.[memory.contexts.get(context)?.row ?? 0],
  };
}

/** Whether a context has at the end half of what it had at most, from its history in fours. */
function isKept(history: readonly number[], length: number): boolean {
  let most = 0;
  for (let i = 3; i < length; i += 4) most = Math.max(most, history[i]!);
  return 2 * (history[length - 1] ?? 0) >= most;
}

interface Collecting extends CallerHistory {
  most: number;
  /** The most that it held of each wasm stack. */
  made: Map<number, number>;
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
