/**
 * What an HTML report holds, as the page reads it. Figures that there are many of are in columns: a column is a list
 * of whole numbers, in the file a reference to bytes (see pack.ts), in the page an array. Frames, functions and
 * nodes are shared by all profiles of a report, so that two can be compared. All texts are fit to be shown: without
 * control characters and those that change the direction of text. Sizes are bytes, times milliseconds.
 */
export interface ReportData<C = ColumnReference> {
  format: "linmem-html";
  version: 1;
  /** Texts that the columns refer to by index; 0 is "". */
  strings: string[];
  frames: {
    /** Name of the function; index of a text. */
    name: C;
    /** Where it is, for people: `src/app.mjs:12:5`, `photon_rs_bg.wasm:0x1a2b3`; index of a text. */
    place: C;
    /** The package in `node_modules`, the wasm module, "(program)" or "(engine)"; index of a text. */
    package: C;
    /** See `frameKinds`. */
    kind: C;
    /** The same number for frames of one function. */
    function: C;
  };
  /** The stacks of all contexts as one tree. A parent comes before its children; node 0 is the root. */
  nodes: { parent: C; frame: C };
  /** One, or two to be compared: before, after. */
  profiles: ProfileData<C>[];
}

/** A reference to a column: its number in the file. */
export interface ColumnReference {
  column: number;
}

export const frameKinds = ["js", "wasm", "allocator"] as const;

export interface ProfileData<C = ColumnReference> {
  /** What the report calls it: the file's name. */
  title: string;
  run: {
    command: string;
    engine: string;
    /** Milliseconds since 1970. */
    startTime: number;
    duration: number;
    ending: string;
    complete: boolean;
    linmem: string;
    peakMemoryBytes: number;
  };
  modules: ModuleData[];
  contexts: {
    /** Its innermost frame, as a node of the tree. */
    node: C;
    /** Index of its module. */
    module: C;
    /** Node of the JavaScript line that people would call the caller; 0 when it is not known. */
    caller: C;
    allocations: C;
    frees: C;
    allocatedBytes: C;
    liveBytes: C;
    liveBlocks: C;
    peakLiveBytes: C;
    temporary: C;
  };
  history: {
    /** Moments of which the contexts' figures are known, ascending. */
    times: number[];
    /** How many entries each context has, one after the other. */
    entries: C;
    /** Of an entry: index in `times`, counted from that of the context's previous entry. */
    step: C;
    /** Of an entry: what changed since the previous one. */
    allocations: C;
    frees: C;
    liveBytes: C;
  };
  memories: MemoryData<C>[];
  /** Memories beyond those listed. */
  memoriesLeft: number;
  grows: GrowData[];
  findings: FindingData[];
  warnings: string[];
}

export interface ModuleData {
  name: string;
  toolchain: string;
  instrumented: boolean;
  reason: string;
  liveBytes: number;
  liveBlocks: number;
  peakLiveBytes: number;
  allocations: number;
  allocatedBytes: number;
  /** What is live only the module's garbage collector knows. */
  countedOnly: boolean;
  /** How often that ran. */
  collections: number;
  instances: number;
  memoryBytes: number;
}

export interface MemoryData<C = ColumnReference> {
  id: number;
  /** Index of the module; -1 when none is known. */
  module: number;
  created: number;
  collected: number | null;
  initialBytes: number;
  finalBytes: number;
  maximumBytes: number | null;
  shared: boolean;
  liveBytes: number | null;
  /** Node of the innermost frame of where it was created; 0 when unknown. */
  node: number;
  timeline: {
    time: C;
    pages: C;
    liveBytes: C;
    /** Collections of garbage up to then. */
    collections: C;
    /** Whether live bytes are known. */
    hasHeap: boolean;
  };
  map?: MapData<C>;
}

/** What lies where in a memory. What no part covers is not known. */
export interface MapData<C = ColumnReference> {
  /** When the blocks were written; null when they were not. */
  time: number | null;
  /** Pairs of start and end. */
  data: number[];
  stack: [start: number, end: number] | null;
  heapBase: number | null;
  blocks: {
    /** Bytes between the end of the previous block and its start. */
    gap: C;
    size: C;
    /** Index of its context counted from 1; 0 when unknown. */
    context: C;
    /** See `reachabilities`; empty when that is not known of any. */
    reachability: C;
  };
}

/** In the order of their numbers in profiles. */
export const reachabilities = [
  "not examined",
  "nothing in the memory points to it",
  "reachable within the memory",
  "only unreachable blocks point to it",
] as const;

export interface GrowData {
  memory: number;
  time: number;
  fromBytes: number;
  toBytes: number;
  granted: boolean;
  /** Node of the innermost frame of the stack that asked, and of its JavaScript caller; 0 when unknown. */
  node: number;
  caller: number;
}

/** A finding of the diagnosis, in words. */
export interface FindingData {
  severity: "problem" | "advice" | "fact";
  title: string;
  evidence: string[];
  where: string;
  advice: string;
  /** What of the flame graph it is about: stacks with this text, by this figure. */
  show?: { text: string; metric: "live" | "highWater" | "temporary" };
}
