/**
 * The lines of a profile (`*.linmem`): one JSON object each, append-only, every line complete in itself.
 * docs/profile-format.md describes them for readers in other languages. All sizes are in bytes unless the
 * name says pages; all times are milliseconds since the header's `time`.
 */
export const profileVersion = 2;

export type FrameKind = "wasm" | "js";

/** One frame of a stack. Frames of a stack are innermost first. */
export interface Frame {
  kind: FrameKind;
  /** Function name as the engine or the name section gives it, not demangled; "" when it has none. */
  function: string;
  /** URL or path of a script; name of a module for wasm frames; "" when unknown. */
  file: string;
  /** 1-based line of a script, 0 when unknown. For wasm frames the function index in the original module. */
  line: number;
  /** 1-based column of a script, 0 when unknown. For wasm frames the byte offset in the original module. */
  column: number;
  /** Id of the module of a wasm frame; absent when it is not known. */
  module?: number;
}

/** A place in the source. */
export interface SourceFrame {
  /** Function name, not demangled; "" when unknown. */
  function: string;
  /** Path or URL; "" when unknown. */
  file: string;
  /** From 1; 0 when unknown. */
  line: number;
  /** From 1; 0 when unknown. */
  column: number;
}

/** First line of a file. */
export interface HeaderRecord {
  type: "header";
  format: "linmem";
  version: number;
  /** Version of linmem that wrote it. */
  linmem: string;
  /** Milliseconds since 1970 at which recording began. */
  time: number;
  pid: number;
  engine: { name: string; version: string };
  platform: string;
  argv: string[];
  /** Accesses to memory were checked. */
  checked?: boolean;
}

export interface ModuleRecord {
  type: "module";
  id: number;
  /** Worker thread that compiled it, 0 for the main thread. */
  thread: number;
  name: string;
  bytes: number;
  /** `wasm-bindgen 0.2.92`, `Emscripten`, …; "" when unknown. */
  toolchain: string;
  /** Functions that were hooked. Empty when only growth is recorded. */
  allocator: { role: string; name: string; index: number; evidence: string }[];
  /** Whether calling contexts and blocks are recorded; if not, `reason` says why. */
  instrumented: boolean;
  reason?: string;
  /**
   * Its code section: a hash of the contents, by which a file with debug information is known to belong to it,
   * and the offset at which they begin.
   */
  code?: { hash: string; start: number };
}

/** A frame, written once and referred to by `id`. */
export interface FrameRecord extends Frame {
  type: "frame";
  id: number;
}

/**
 * A stack, written once: `frames` are ids, innermost first, of the frames that it has inside of stack `parent` (0: it has
 * no others). What it is without its innermost frame has the id `id - 1`, without the next one `id - 2`, and so on
 * for each of `frames`: stacks that go on from there name that as their parent.
 */
export interface StackRecord {
  type: "stack";
  id: number;
  parent: number;
  frames: number[];
}

/** A stack of a file of version 1, which repeats its frames. */
export interface WholeStackRecord {
  type: "whole-stack";
  id: number;
  frames: Frame[];
}

/** A linear memory that came to life: defined by an instance, or made by JavaScript. */
export interface MemoryRecord {
  type: "memory";
  id: number;
  time: number;
  thread: number;
  /** Module whose instance defines it or whose allocator manages it; absent until one is known. */
  module?: number;
  initialPages: number;
  maximumPages: number | null;
  shared: boolean;
  /** It came from another thread, which has a record of it as well: in sums it counts there. */
  received?: true;
  /** Where in JavaScript it was created (stack id). */
  stack: number;
}

/** Says later which module a memory made by JavaScript serves. */
export interface MemoryModuleRecord {
  type: "memory-module";
  memory: number;
  module: number;
}

export interface InstanceRecord {
  type: "instance";
  id: number;
  time: number;
  module: number;
  /** Its memories, defined or imported. */
  memories: number[];
  stack: number;
}

/** The garbage collector took a memory or an instance. */
export interface CollectedRecord {
  type: "collected";
  time: number;
  memory?: number;
  instance?: number;
}

export interface GrowRecord {
  type: "grow";
  memory: number;
  time: number;
  fromPages: number;
  /** Pages asked for on top. */
  deltaPages: number;
  /** False when the engine refused; the memory is then as before. */
  granted: boolean;
  /** Who asked (stack id); 0 when growth was only noticed afterwards. */
  stack: number;
}

/**
 * One pair of wasm calling context and JavaScript caller. `caller` is the stack id of the JavaScript caller
 * that made the blocks; 0 stands for blocks whose caller was not captured: freed before their entry
 * returned, or beyond the capture budget.
 */
export interface ContextRecord {
  type: "context";
  id: number;
  memory: number;
  /** Wasm part of the stack, and for nested entries the JavaScript in between (stack id). */
  stack: number;
  caller: number;
}

/** Totals of one context: `[id, allocations, frees, allocatedBytes, liveBytes, peakLiveBytes, temporary]`. */
export type ContextTotals = [
  id: number,
  allocations: number,
  frees: number,
  allocatedBytes: number,
  liveBytes: number,
  peakLiveBytes: number,
  temporary: number,
];

export interface HeapTotals {
  allocations: number;
  frees: number;
  allocatedBytes: number;
  liveBytes: number;
  liveBlocks: number;
  /** High-water mark of live bytes. */
  peakLiveBytes: number;
  /** Allocations freed before the next allocation. */
  temporary: number;
  /** Frees of addresses that were never seen allocated. */
  unknownFrees: number;
  /** Blocks that were allocated again at the same address without a free that was seen. */
  missedFrees: number;
  /** Live blocks that another one began in, where that was looked at: at the end. Absent for 0. */
  overlaps?: number;
  /** Blocks that the recorder had no memory for; their later free counts as unknown. */
  untracked: number;
  /** Allocations that returned null. */
  failed: number;
  /** Allocation counts by size: entry k counts sizes in [2^k, 2^(k+1)); entry 0 also size 0. */
  sizes: number[];
  /** Blocks that outlived their entry from JavaScript, and those of them whose caller was captured. */
  outlived: number;
  captured: number;
  /** A bound was hit: contexts beyond it are counted under one context. */
  contextsDropped: number;
  /**
   * Allocations of a heap whose collector releases blocks unseen: here and in contexts they count as freed at once. Absent
   * from files that don't know of such heaps, as `collections` is.
   */
  collectable?: number;
  /** How often that collector ran, where a function is known that it runs in. */
  collections?: number;
}

/** State of one memory. `contexts` has only those that changed since its previous snapshot. */
export interface SnapshotRecord {
  type: "snapshot";
  time: number;
  memory: number;
  pages: number;
  heap?: HeapTotals;
  contexts: ContextTotals[];
}

/**
 * What a module that uses a memory says about the memory's addresses, written with its first instance. Ranges are
 * `[start, end)` in bytes.
 */
export interface LayoutRecord {
  type: "layout";
  memory: number;
  module: number;
  /** Size of the memory at that time. */
  pages: number;
  /** Active data segments at constant addresses, in ascending order, touching ones joined. */
  data: [start: number, end: number][];
  /** Where the shadow stack lies; between its end and the data it is a bound, not a measurement. */
  stack?: [start: number, end: number];
  /** First address that the module's heap may use. */
  heapBase?: number;
  /** Mutable globals that may hold addresses and can't be read from outside: reachability doesn't know them. */
  hiddenGlobals: number;
}

/**
 * Live blocks of a memory, in the order of their addresses; at most 65,536 in a record, further ones in those that
 * follow with the same `time`. See blocks.ts.
 */
export interface BlocksRecord {
  type: "blocks";
  time: number;
  memory: number;
  count: number;
  data: string;
}

/** What JavaScript says of an object that it makes, at a place on a stack. Read from its script when the run is over. */
export interface CallRecord {
  type: "call";
  frame: Omit<Frame, "function">;
  /** What is called there, where that is a function of a class: `yoga.Node.create`. */
  calls?: string;
  /** Class of the object that the function around it returns. */
  makes?: string;
}

/** Kinds of memory errors, in the order of the checker's numbers for them, from 1 on. */
export const memoryErrorKinds = [
  "heap-overflow",
  "heap-underflow",
  "use-after-free",
  "double-free",
  "invalid-free",
  "mismatched-free",
  "host-write-after-free",
  "null-access",
  "stack-overflow",
  "out-of-bounds",
] as const;

export type MemoryErrorKind = (typeof memoryErrorKinds)[number];

/**
 * Something that a checked program should not have done to a memory. Written when it first happens, and once more at the
 * end if it happened again: then with the same `id`, which is unique within the memory, and its final `count`.
 */
export interface MemoryErrorRecord {
  type: "memory-error";
  id: number;
  memory: number;
  time: number;
  kind: MemoryErrorKind;
  access: "read" | "write" | "free" | "realloc";
  /** First byte that the program should have left alone, or what it wanted to release. */
  address: number;
  /** Bytes of the access; of a `mismatched-free` the size that the program named. */
  size: number;
  /** The block that it belongs to, as the program asked for it; absent when there is none. */
  block?: { address: number; size: number };
  /** Who did it (stack id). */
  stack: number;
  /** Where the block was allocated: the wasm part of the stack, and the JavaScript that called it; 0 when not known. */
  allocatedAt?: number;
  allocatedBy?: number;
  /** Where it was freed: the wasm part of the stack. */
  freedAt?: number;
  count: number;
}

export interface WarningRecord {
  type: "warning";
  code: string;
  message: string;
  module?: number;
}

/**
 * Where the code of frames comes from, added when the run is over: `linmem run` looks up what appears in stacks.
 * It holds for every frame with this kind, file, line, column and module.
 */
export interface SourceRecord {
  type: "source";
  frame: Omit<Frame, "function">;
  /** Innermost first: functions that were inlined there, then the frame's own. */
  source: SourceFrame[];
}

/** Last line that the program writes, if it ended in order. Without it the run was killed. */
export interface EndRecord {
  type: "end";
  time: number;
  /** Exit code, or the name of the signal. */
  exit: number | string;
  /** Milliseconds that capturing stacks took, in all threads that have ended. */
  captureTime: number;
}

export type ProfileRecord =
  | HeaderRecord
  | ModuleRecord
  | FrameRecord
  | StackRecord
  | WholeStackRecord
  | MemoryRecord
  | MemoryModuleRecord
  | InstanceRecord
  | CollectedRecord
  | GrowRecord
  | ContextRecord
  | SnapshotRecord
  | LayoutRecord
  | BlocksRecord
  | MemoryErrorRecord
  | WarningRecord
  | SourceRecord
  | CallRecord
  | EndRecord;
