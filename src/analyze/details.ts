// What a report has no room for, but a picture has: how figures went over time, and what lies where in a memory.
import { type Blocks, decodeBlocks } from "../profile/blocks.js";
import type { LayoutRecord } from "../profile/records.js";
import type { MemoryState, Profile, TimelinePoint } from "../profile/state.js";
import { type AnalyzeOptions, analyzeContexts, believed } from "./analyze.js";
import { liveBlocksOf } from "./blocks.js";
import { isCountedOnly } from "./collected-heaps.js";
import type { Report } from "./report.js";

export interface Details {
  report: Report;
  history: History;
  /** By the memory's id. */
  memories: Map<number, MemoryDetails>;
}

/** How the contexts of all modules went, in the order of `report.modules` and of their `contexts`. */
export interface History {
  /** Moments of which figures are known, ascending. */
  times: number[];
  /** For each context, changes one after the other: index in `times`, and what was added since the one before. */
  contexts: HistoryEntry[][];
}

export interface HistoryEntry {
  index: number;
  allocations: number;
  frees: number;
  liveBytes: number;
}

export interface MemoryDetails {
  timeline: TimelinePoint[];
  layouts: LayoutRecord[];
  /** Live blocks as last written; `contexts` has indices into all contexts of the report, counted from 1, 0: unknown. */
  blocks?: Blocks & { time: number };
}

/** Numbers of `ContextState.history` for one snapshot. */
const historyWidth = 4;

/** So many moments are kept of a run: a picture shows no more. */
const mostTimes = 240;

/** Works out what a profile says, with what only pictures show. */
export function analyzeInDetail(recorded: Profile, options: AnalyzeOptions = {}): Details {
  const profile = believed(recorded);
  const { report, reportIds } = analyzeContexts(profile, options);
  /** By module and id of the report: place in the order of all. */
  const placesOf = new Map<number | undefined, number[]>();
  let contexts = 0;
  for (const module of report.modules) {
    const places: number[] = [];
    for (const { id } of module.contexts) places[id] = contexts++;
    placesOf.set(module.id, places);
  }
  const moduleOf = new Map(report.memories.map(({ id, module }) => [id, module]));
  const all = [...profile.memories.values()].map((memory): Placed => {
    const places = placesOf.get(moduleOf.get(memory.id)) ?? [];
    return { memory, placeOf: (row) => places[reportIds.get(memory)?.[row] ?? 0] };
  });
  return {
    report,
    history: history(all, contexts),
    memories: new Map(all.map((one) => [one.memory.id, memoryDetails(one, profile.end?.time)])),
  };
}

interface Placed {
  memory: MemoryState;
  /** Place of a context in the order of the report's, from its row; undefined when it is not in the report. */
  placeOf(row: number): number | undefined;
}

function history(memories: readonly Placed[], contexts: number): History {
  const all = new Set<number>();
  for (const {
    memory: { timeline, collected },
  } of memories) {
    for (const { time } of timeline) all.add(time);
    if (collected !== undefined) all.add(collected);
  }
  const sorted = [...all].sort((a, b) => a - b);
  const every = Math.ceil(sorted.length / mostTimes);
  // The last of each group: what happened in it is known by then.
  const times = sorted.filter((_, i) => (sorted.length - 1 - i) % every === 0);
  const groupOf = new Map(
    sorted.map((time, i) => [time, times.length - 1 - Math.floor((sorted.length - 1 - i) / every)]),
  );
  const changes: Map<number, HistoryEntry>[] = Array.from({ length: contexts }, () => new Map());
  const change = (context: number, time: number): HistoryEntry => {
    const index = groupOf.get(time) ?? times.length - 1;
    let entry = changes[context]!.get(index);
    if (!entry) changes[context]!.set(index, (entry = { index, allocations: 0, frees: 0, liveBytes: 0 }));
    return entry;
  };
  const numbers: number[] = [];
  for (const { memory, placeOf } of memories) {
    for (const state of memory.contexts.values()) {
      const context = placeOf(state.row);
      if (context === undefined) continue;
      let [allocations, frees, liveBytes] = [0, 0, 0];
      const length = state.readHistory(numbers);
      for (let at = 0; at < length; at += historyWidth) {
        const entry = change(context, numbers[at]!);
        entry.allocations += numbers[at + 1]! - allocations;
        entry.frees += numbers[at + 2]! - frees;
        entry.liveBytes += numbers[at + 3]! - liveBytes;
        allocations = numbers[at + 1]!;
        frees = numbers[at + 2]!;
        liveBytes = numbers[at + 3]!;
      }
      if (memory.collected === undefined) continue;
      // What was live in it is gone with the memory.
      const entry = change(context, memory.collected);
      entry.frees += allocations - frees;
      entry.liveBytes -= liveBytes;
    }
  }
  return { times, contexts: changes.map((one) => [...one.values()].sort((a, b) => a.index - b.index)) };
}

/** @param end when the run ended; undefined where that was not recorded */
function memoryDetails({ memory, placeOf }: Placed, end: number | undefined): MemoryDetails {
  const { timeline, layouts, blocks, contexts, heap } = memory;
  if (blocks.length === 0) {
    // no block is written where none is left, and none where the run was killed
    const noneLeft = end !== undefined && heap?.liveBlocks === 0 && !isCountedOnly(heap);
    return { timeline, layouts, ...(noneLeft && { blocks: { ...decodeBlocks([]), time: end } }) };
  }
  const decoded = liveBlocksOf(memory);
  const numbered = decoded.contexts.map((id) => (placeOf(contexts.get(id)?.row ?? 0) ?? -1) + 1);
  return { timeline, layouts, blocks: { ...decoded, contexts: numbered, time: blocks[0]!.time } };
}
