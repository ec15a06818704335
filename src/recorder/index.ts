import type { ContextTotals, HeapTotals } from "../profile/records.js";

/** Module name under which an instrumented module imports the recorder's functions. */
export const recorderModuleName = "linmem";

/** What the recorder asks of its surroundings, while the program's stack stands. Never called on a hot path. */
export interface RecorderHost {
  /** A calling context was seen for the first time: `context` is its number in this recorder, `hash` identifies it in the module. */
  contextSeen(context: number, hash: bigint): void;
  /**
   * An entry from JavaScript is about to return and leaves blocks live. Returns a number > 0 for the
   * JavaScript caller on the stack, or 0 to decline (budget spent).
   */
  captureCaller(): number;
  /** Whether a wasm frame lies on the stack below the entry that asks; false after a trap left the state stale. */
  isNested(): boolean;
}

/** Pair of a wasm context and a JavaScript caller (0: not captured), as numbered by the recorder. */
export interface RecordedContext {
  /** Number of the pair; what `ContextTotals` begin with. */
  id: number;
  /** Number that `contextSeen` announced. */
  context: number;
  /** What `captureCaller` returned. */
  caller: number;
}

/** One recorder serves all instances that share a linear memory. It has a memory of its own. */
export interface Recorder {
  /** Functions to import under `recorderModuleName`. */
  readonly imports: Record<string, WebAssembly.ExportValue>;
  totals(): HeapTotals;
  /** Pairs that are new and totals that changed since the previous call. */
  takeChanges(): { contexts: RecordedContext[]; totals: ContextTotals[] };
  /** Bytes of the recorder's own memory. */
  memoryBytes(): number;
}

export declare function createRecorder(host: RecorderHost): Recorder;
