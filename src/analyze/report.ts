import { type FrameKind, type HeapTotals, memoryErrorKinds } from "../profile/records.js";

/**
 * What a profile says, as `linmem report --format json` prints it; schema/report.schema.json describes it for
 * others. Sizes are bytes, times milliseconds since recording began, frames innermost first.
 */
export interface Report {
  format: "linmem-report";
  version: 1;
  run: RunReport;
  /** The diagnosis, most serious first. */
  findings: Finding[];
  /** All memories together, at even distances in time. */
  timeline: TimelineReport[];
  modules: ModuleReport[];
  /** Every linear memory of the run, in the order in which they came to life. */
  memories: MemoryReport[];
  warnings: WarningReport[];
  /** What `linmem check` found; absent for a run that was not checked. */
  memoryErrors?: MemoryErrorReport[];
  /** Of such a run: blocks that only leaks lead to. They are lost with those, and no errors of their own. */
  indirectLeaks?: MemoryErrorReport[];
  /**
   * Of such a run: blocks that nothing in the memory leads to, as leaks are, but JavaScript knows where they are, or where one
   * is that leads to them, and may hold them. Leaks only if it doesn't.
   */
  possibleLeaks?: MemoryErrorReport[];
}

/** Kinds of what `linmem check` finds: `schema/report.schema.json` has them too. */
export const findingKinds = [...memoryErrorKinds, "leak"] as const;

/** Something that a program should not have done to its memory; or blocks that it lost. */
export interface MemoryErrorReport {
  kind: (typeof findingKinds)[number];
  /** What was done; null for a leak. */
  access: "read" | "write" | "free" | "realloc" | null;
  /** The first byte that should have been left alone; what was to be released; where the first lost block is. */
  address: number;
  /** Bytes of the access; of a `mismatched-free` the size that was named; of a leak the bytes that were lost. */
  size: number;
  /** The block that it belongs to, as the program asked for it; absent where there is none. */
  block?: { address: number; size: number };
  memory: number;
  /** Absent while no module is known that uses the memory. */
  module?: number;
  /** Who did it; empty for a leak. */
  stack: FrameReport[];
  /** Who allocated the block. */
  allocatedAt?: FrameReport[];
  /** Who freed it. */
  freedAt?: FrameReport[];
  /** How often it happened; blocks of a leak. */
  count: number;
}

export type FindingKind =
  | "leak"
  | "retention"
  | "late-release"
  | "growth"
  | "reachability"
  | "fragmentation"
  | "high-water"
  | "reservation"
  | "churn"
  | "instance-churn"
  | "flat"
  | "too-short";

/** `problem`: mend it; `warning`: look at it; `note`: worth knowing. */
export type Severity = "problem" | "warning" | "note";

/** One thing that a profile says about the memory of a program. */
export interface Finding {
  kind: FindingKind;
  severity: Severity;
  /** One sentence without a full stop. Names in it are as the profile has them. */
  title: string;
  /** Sentences with the figures behind it. */
  evidence: string[];
  /** What to do. */
  advice: string;
  /** How much memory it is about: what orders findings of one severity. */
  bytes: number;
  /** Id of the module; absent when it is about the run. */
  module?: number;
  /** How sure it is, from 0 to 1. */
  certainty: number;
  /** The line that people would name, where there is one. */
  caller?: FrameReport;
  /** The stack of most of it, innermost frame first; empty when no stack is to blame. */
  stack: FrameReport[];
}

export interface TimelineReport {
  time: number;
  memoryBytes: number;
  liveBytes: number;
  /** Collections of garbage by the modules' own collectors, up to then. */
  collections: number;
}

export interface RunReport {
  /** Version of linmem that recorded it. */
  linmem: string;
  argv: string[];
  pid: number;
  engine: { name: string; version: string };
  platform: string;
  /** Milliseconds since 1970 at which recording began. */
  startTime: number;
  /** Up to the last thing heard of the run. */
  duration: number;
  /** Exit code or name of the signal; null when the run was killed. */
  exit: number | string | null;
  /** Spent on capturing stacks; null when the run was killed. */
  captureTime: number | null;
  /** False when the run was killed: what came after its last snapshot is missing. */
  complete: boolean;
  /** The most bytes that all memories together had at one time. */
  peakMemoryBytes: number;
}

/** One module, summed over all its instances and memories. */
export interface ModuleReport {
  id: number;
  name: string;
  /** Size of the module itself. */
  bytes: number;
  toolchain: string;
  /** Whether blocks are recorded; if not, `reason` says why. */
  instrumented: boolean;
  reason?: string;
  /** The functions that were hooked. */
  allocator: { role: string; name: string; index: number; evidence: string }[];
  instances: { created: number; collected: number };
  memory: {
    /** Sums over its memories; `finalBytes` leaves out those that the garbage collector took. */
    initialBytes: number;
    peakBytes: number;
    finalBytes: number;
    grows: GrowReport[];
  };
  /** Absent when blocks are not recorded. */
  heap?: HeapReport;
  /** Pairs of wasm context and JavaScript caller, most live bytes first. */
  contexts: ContextReport[];
  /** `contexts` added up by the line of JavaScript that led to them, most live bytes first. */
  callers: CallerReport[];
  /** Objects that constructors of the module's glue code made, by class and caller, most live bytes first. */
  objects: ObjectReport[];
}

/** What is live in a memory that the garbage collector took is gone with it, and not counted as live. */
export interface HeapReport extends HeapTotals {
  /** Allocations whose release only the guest's collector knows of: here and in contexts they count as freed at once. */
  collectable: number;
  /** How often that collector ran, where a function is known that it runs in. */
  collections: number;
  /** Gone with memories that the garbage collector took. */
  collectedBytes: number;
  collectedBlocks: number;
}

export interface FrameReport {
  /** Demangled. */
  function: string;
  file: string;
  /** JavaScript: 1-based, 0 when unknown. wasm: index of the function in the original module. */
  line: number;
  /** JavaScript: 1-based, 0 when unknown. wasm: byte offset in the original module. */
  column: number;
  kind: FrameKind;
  /** wasm: place in the source that the code was compiled from; absent when nothing tells. */
  source?: { file: string; line: number; column: number };
  /** JavaScript: what is called there, where that is a function of a class: `yoga.Node.create`. */
  calls?: string;
  /** JavaScript: class of the object that the function returns, where its text says so. */
  makes?: string;
  /** The function was inlined into that of the next frame, of which file, line and column are. */
  inlined?: true;
}

export interface Totals {
  allocations: number;
  frees: number;
  allocatedBytes: number;
  liveBytes: number;
  liveBlocks: number;
  /** Share of the high-water mark: what was live of it at that moment. */
  peakLiveBytes: number;
}

export interface ContextReport extends Totals {
  id: number;
  stack: FrameReport[];
  /** The JavaScript caller of what is live is not known: it was beyond the capture budget. */
  sampled: boolean;
  /** Freed before the next allocation. */
  temporary: number;
}

export interface CallerReport extends Totals {
  /** Absent for what was made by callers that were not captured. */
  frame?: FrameReport;
  /** `liveBytes`, and all that the same wasm contexts hold for callers that were not captured. */
  atMostLiveBytes: number;
  /** Ids of its contexts, most live bytes first. */
  contexts: number[];
}

/** What the constructor of a class, or another function that makes objects of it, allocated, called by one line of the program. */
export interface ObjectReport {
  class: string;
  /** `new Image`, or the function that made them: `Image.fromBytes`, `resize`. */
  call: string;
  /** The call that made them; absent when it is not known. */
  frame?: FrameReport;
  /** Objects whose constructor left something live when it returned; null when nothing tells how many. */
  made: number | null;
  /** Those of them that were not released; null when nothing tells. */
  live: number | null;
  /** No more than so many were not released. */
  liveAtMost: number;
  liveBytes: number;
  liveBlocks: number;
  /** Ids of their contexts. */
  contexts: number[];
}

export interface GrowReport {
  memory: number;
  time: number;
  fromBytes: number;
  /** Size that was asked for; reached only if `granted`. */
  toBytes: number;
  granted: boolean;
  /** Who asked; empty when growth was only noticed afterwards. */
  stack: FrameReport[];
}

export interface MemoryReport {
  id: number;
  /** Absent while no module is known that uses it. */
  module?: number;
  thread: number;
  /** When it came to life. */
  time: number;
  initialBytes: number;
  peakBytes: number;
  /** Size at the end, or when it was collected. */
  finalBytes: number;
  maximumBytes: number | null;
  shared: boolean;
  /** When the garbage collector took it; null when it did not. */
  collected: number | null;
  grows: number;
  /** Live bytes of its blocks at the end, or when it was collected; absent when not recorded. */
  liveBytes?: number;
  /** Where in JavaScript it was created. */
  stack: FrameReport[];
}

export interface WarningReport {
  code: string;
  message: string;
  module?: number;
}
