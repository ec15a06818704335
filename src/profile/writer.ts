import { CallTree } from "./call-tree.js";
import { FrameTable } from "./frame-table.js";
import type { Frame, FrameRecord, ProfileRecord, StackRecord } from "./records.js";
import { threadId } from "./thread-ids.js";

/** A record as one line of a profile, newline included. */
export function serializeRecord(record: ProfileRecord): string {
  return `${JSON.stringify(record)}\n`;
}

/** Gives every frame and every stack one id, and has what is new of them written. */
export class StackTable {
  readonly #thread: number;
  readonly #emit: (record: FrameRecord | StackRecord) => void;
  readonly #frames = new FrameTable();
  readonly #tree = new CallTree();

  /** @param emit Writes a record of a new frame or stack; called before `idOf` returns the stack's id. */
  constructor(thread: number, emit: (record: FrameRecord | StackRecord) => void) {
    this.#thread = thread;
    this.#emit = emit;
  }

  /** Frames of a stack of this table, innermost first; none for any other id. */
  framesOf(id: number): Frame[] {
    const frames: Frame[] = [];
    const innermost = id - threadId(this.#thread, 0);
    if (innermost > this.#tree.size) return [];
    for (let node = innermost; node > 0; node = this.#tree.parent(node)) {
      frames.push(this.#frames.at(this.#tree.frame(node))!);
    }
    return frames;
  }

  /** The id of a stack, innermost frame first; 0 for one without frames. */
  idOf(frames: readonly Frame[]): number {
    let [node, parent] = [0, 0];
    /** Ids of the frames that are not in the tree yet, outermost first. */
    const added: number[] = [];
    for (let i = frames.length - 1; i >= 0; i--) {
      const frame = this.#frameNumber(frames[i]!);
      const known = this.#tree.size;
      const next = this.#tree.child(node, frame);
      if (next > known) {
        if (added.length === 0) parent = node;
        added.push(threadId(this.#thread, frame));
      }
      node = next;
    }
    if (node === 0) return 0;
    const id = threadId(this.#thread, node);
    if (added.length > 0) {
      const outer = parent === 0 ? 0 : threadId(this.#thread, parent);
      this.#emit({ type: "stack", id, parent: outer, frames: added.reverse() });
    }
    return id;
  }

  #frameNumber(frame: Frame): number {
    const known = this.#frames.size;
    const number = this.#frames.numberOf(frame);
    if (number > known) {
      const { kind, function: name, file, line, column, module } = frame;
      const record: FrameRecord = {
        type: "frame",
        id: threadId(this.#thread, number),
        kind,
        function: name,
        file,
        line,
        column,
      };
      this.#emit(module === undefined ? record : { ...record, module });
    }
    return number;
  }
}
