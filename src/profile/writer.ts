import type { Frame, FrameKind, ProfileRecord, StackRecord } from "./records.js";

/** A record as one line of a profile, newline included. */
export function serializeRecord(record: ProfileRecord): string {
  return `${JSON.stringify(record)}\n`;
}

const idsPerThread = 2 ** 32;

/**
 * The id in the file of what worker thread `thread` (0: the main thread) numbers `number` (from 1). Threads
 * number their modules, memories, instances and stacks without asking each other: each has a range of
 * 2³² ids of its own, so ids of the main thread are the plain numbers, and 0 stays free for "none".
 */
export function threadId(thread: number, number: number): number {
  return thread * idsPerThread + number;
}

/** The worker thread that gave an id, 0 for the main thread. */
export function threadOf(id: number): number {
  return Math.floor(id / idsPerThread);
}

/** Gives every stack one id, and has it written the first time it is seen. */
export class StackTable {
  readonly #thread: number;
  readonly #emit: (record: StackRecord) => void;
  readonly #ids = new Map<string, number>();
  readonly #keys: string[] = [];

  /** @param emit Writes the record of a new stack; called before `idOf` returns its id. */
  constructor(thread: number, emit: (record: StackRecord) => void) {
    this.#thread = thread;
    this.#emit = emit;
  }

  /** Frames of a stack of this table, innermost first; none for any other id. */
  framesOf(id: number): Frame[] {
    const key = this.#keys[id - threadId(this.#thread, 1)];
    if (key === undefined) return [];
    // Read back from the key: frames of their own would take as much memory again.
    return (JSON.parse(key) as [FrameKind, string, string, number, number, number?][]).map(
      ([kind, name, file, line, column, module]) =>
        orderedFrame({ kind, function: name, file, line, column, ...(module !== undefined && { module }) }),
    );
  }

  /** The id of a stack, innermost frame first; 0 for one without frames. */
  idOf(frames: readonly Frame[]): number {
    if (frames.length === 0) return 0;
    const key = JSON.stringify(frames.map((frame) => Object.values(orderedFrame(frame))));
    let id = this.#ids.get(key);
    if (id === undefined) {
      id = threadId(this.#thread, this.#ids.size + 1);
      this.#ids.set(key, id);
      this.#keys.push(key);
      this.#emit({ type: "stack", id, frames: frames.map(orderedFrame) });
    }
    return id;
  }
}

function orderedFrame({ kind, function: name, file, line, column, module }: Frame): Frame {
  const frame = { kind, function: name, file, line, column };
  return module === undefined ? frame : { ...frame, module };
}
