import { Contexts } from "./contexts.js";
import type {
  BlocksRecord,
  CallRecord,
  EndRecord,
  Frame,
  GrowRecord,
  HeaderRecord,
  HeapTotals,
  InstanceRecord,
  LayoutRecord,
  MemoryErrorRecord,
  MemoryRecord,
  ModuleRecord,
  ProfileRecord,
  SnapshotRecord,
  SourceFrame,
  WarningRecord,
} from "./records.js";
import { Stacks } from "./stacks.js";

/** What the records of a file add up to. */
export interface Profile {
  header: HeaderRecord;
  modules: Map<number, ModuleRecord>;
  stacks: Stacks;
  memories: Map<number, MemoryState>;
  instances: Map<number, InstanceState>;
  warnings: WarningRecord[];
  /** Where frames come from, by `frameKey`. */
  sources: Map<string, SourceFrame[]>;
  /** What scripts say of the objects that they make, by `frameKey`. */
  calls: Map<string, Pick<CallRecord, "calls" | "makes">>;
  /** Absent when the run was killed. */
  end?: EndRecord;
  /** Time of the last record that has one, in milliseconds since the header's `time`. */
  lastTime: number;
  /** The last line was cut off, as a kill leaves it. */
  cut: boolean;
  /** Lines that could not be understood and were left out; the cut one is not among them. */
  damagedLines: number;
}

export interface MemoryState extends Omit<MemoryRecord, "type"> {
  /** Size as last heard of. */
  pages: number;
  peakPages: number;
  grows: GrowRecord[];
  /** Its size and totals at each snapshot, in the order of the file. */
  timeline: TimelinePoint[];
  /** What the modules that use it say about its addresses. */
  layouts: LayoutRecord[];
  /** Live blocks when they were last written, for `decodeBlocks`. */
  blocks: BlocksRecord[];
  /** What was done wrong to it, by id. */
  errors: Map<number, MemoryErrorRecord>;
  /** Totals of the last snapshot; absent when blocks of this memory are not recorded. */
  heap?: HeapTotals;
  /** By the id of the context, which is unique within its memory. */
  contexts: Contexts;
  /** When the garbage collector took it. */
  collected?: number;
}

/** A snapshot of a memory, without its contexts. Totals are absent when its blocks are not recorded. */
export interface TimelinePoint {
  time: number;
  pages: number;
  allocations?: number;
  frees?: number;
  allocatedBytes?: number;
  liveBytes?: number;
  /** High-water mark of `liveBytes` up to then. */
  peakLiveBytes?: number;
  liveBlocks?: number;
  /** How often the guest's collector had run. */
  collections?: number;
}

interface InstanceState extends Omit<InstanceRecord, "type"> {
  collected?: number;
}

/** The state before any record but the header. */
export function emptyProfile(header: HeaderRecord): Profile {
  return {
    header,
    modules: new Map(),
    stacks: new Stacks(),
    memories: new Map(),
    instances: new Map(),
    warnings: [],
    sources: new Map(),
    calls: new Map(),
    lastTime: 0,
    cut: false,
    damagedLines: 0,
  };
}

/**
 * Takes one more record into the state. Returns false when it refers to a memory, a frame or a stack that the file
 * never introduced: its line was lost, and so is what this one says.
 */
export function fold(profile: Profile, record: ProfileRecord): boolean {
  if ("time" in record && record.type !== "header")
    profile.lastTime = Math.max(profile.lastTime, record.time);
  switch (record.type) {
    case "header":
      return false;
    case "module":
      profile.modules.set(record.id, record);
      return true;
    case "frame": {
      const { type, id, ...frame } = record;
      return profile.stacks.addFrame(id, frame);
    }
    case "stack":
      return profile.stacks.add(record);
    case "whole-stack":
      return profile.stacks.addWhole(record.id, record.frames);
    case "memory": {
      const { type, ...facts } = record;
      const pages = record.initialPages;
      profile.memories.set(record.id, {
        ...facts,
        pages,
        peakPages: pages,
        grows: [],
        timeline: [],
        layouts: [],
        blocks: [],
        errors: new Map(),
        contexts: new Contexts(),
      });
      return true;
    }
    case "memory-module":
      return withMemory(profile, record.memory, (memory) => {
        memory.module ??= record.module;
      });
    case "instance": {
      const { type, ...facts } = record;
      profile.instances.set(record.id, facts);
      return true;
    }
    case "collected": {
      const memory = profile.memories.get(record.memory ?? -1);
      const instance = profile.instances.get(record.instance ?? -1);
      if (memory) memory.collected ??= record.time;
      if (instance) instance.collected ??= record.time;
      return memory !== undefined || instance !== undefined;
    }
    case "grow":
      return withMemory(profile, record.memory, (memory) => {
        memory.grows.push(record);
        if (record.granted) setPages(memory, record.fromPages + record.deltaPages);
      });
    case "context":
      return withMemory(profile, record.memory, ({ contexts }) =>
        contexts.setStacks(record.id, record.stack, record.caller),
      );
    case "snapshot":
      return withMemory(profile, record.memory, (memory) => {
        setPages(memory, record.pages);
        if (record.heap) memory.heap = record.heap;
        memory.timeline.push(timelinePoint(record));
        for (const totals of record.contexts) memory.contexts.setTotals(record.time, totals);
      });
    case "layout":
      return withMemory(profile, record.memory, (memory) => memory.layouts.push(record));
    case "blocks":
      return withMemory(profile, record.memory, (memory) => {
        if (memory.blocks[0]?.time !== record.time) memory.blocks = [];
        memory.blocks.push(record);
      });
    case "memory-error":
      return withMemory(profile, record.memory, (memory) => memory.errors.set(record.id, record));
    case "warning":
      profile.warnings.push(record);
      return true;
    case "source":
      profile.sources.set(frameKey(record.frame), record.source);
      return true;
    case "call":
      profile.calls.set(frameKey(record.frame), record);
      return true;
    case "end":
      profile.end = record;
      return true;
  }
}

/** Equal for frames of the same place. */
export function frameKey({ kind, module, file, line, column }: Omit<Frame, "function">): string {
  return `${kind} ${line} ${column} ${module ?? file}`;
}

function withMemory(profile: Profile, id: number, change: (memory: MemoryState) => unknown): boolean {
  const memory = profile.memories.get(id);
  if (memory) change(memory);
  return memory !== undefined;
}

function timelinePoint({ time, pages, heap }: SnapshotRecord): TimelinePoint {
  if (!heap) return { time, pages };
  const { allocations, frees, allocatedBytes, liveBytes, peakLiveBytes, liveBlocks, collections } = heap;
  const point = { time, pages, allocations, frees, allocatedBytes, liveBytes, peakLiveBytes, liveBlocks };
  return collections ? { ...point, collections } : point;
}

/** A memory never shrinks: of two figures that arrive out of order, the larger is the later one. */
function setPages(memory: MemoryState, pages: number): void {
  memory.pages = Math.max(memory.pages, pages);
  memory.peakPages = memory.pages;
}
