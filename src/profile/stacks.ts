import { CallTree } from "./call-tree.js";
import { FrameTable } from "./frame-table.js";
import type { Frame, StackRecord } from "./records.js";
import { idsPerThread, threadOf } from "./thread-ids.js";

/** The stacks of a profile, as a tree: deep stacks of a large program have most of their frames in common. */
export class Stacks {
  readonly #frames = new FrameTable();
  readonly #tree = new CallTree();
  /** Strings of frames: parsing makes a new one each time, and a file's name is in thousands of its lines. */
  readonly #strings = new Map<string, string>();
  /** By the ids of the file, each thread's for itself: number in `#frames`. */
  readonly #frameNumbers = new Ids();
  /** Node in `#tree`. */
  readonly #nodes = new Ids();

  /** Threads that wrote stacks. */
  get threads(): number {
    return this.#nodes.threads;
  }

  /** All frames of all stacks, each once. */
  frames(): readonly Frame[] {
    return this.#frames.values();
  }

  /** Frames of a stack, innermost first; undefined when the file has none with this id. */
  get(id: number): Frame[] | undefined {
    const frames: Frame[] = [];
    for (let node = this.node(id); node !== 0; node = this.outer(node))
      frames.push(this.frame(this.frameNumber(node)));
    return frames.length === 0 ? undefined : frames;
  }

  /** The same number for stacks with equal frames; 0 for none. */
  node(id: number): number {
    return this.#nodes.get(id);
  }

  /** The node of what is outside of a node's innermost frame; 0 where nothing is. */
  outer(node: number): number {
    return this.#tree.parent(node);
  }

  /** The number of a node's innermost frame, the same for equal frames. */
  frameNumber(node: number): number {
    return this.#tree.frame(node);
  }

  frame(number: number): Frame {
    return this.#frames.at(number)!;
  }

  /** Takes a frame that stacks refer to. */
  addFrame(id: number, frame: Frame): boolean {
    const shared = { ...frame, file: this.#shared(frame.file), function: this.#shared(frame.function) };
    return this.#frameNumbers.set(id, this.#frames.numberOf(shared));
  }

  #shared(text: string): string {
    const known = this.#strings.get(text);
    if (known === undefined) this.#strings.set(text, text);
    return known ?? text;
  }

  /** Takes a stack; false when its parent or one of its frames is not there, which leaves nothing of it. */
  add({ id, parent, frames }: Omit<StackRecord, "type">): boolean {
    let node = this.#nodes.get(parent);
    if (frames.length === 0 || (parent !== 0 && node === 0)) return false;
    for (const frame of frames) if (this.#frameNumbers.get(frame) === 0) return false;
    for (let i = frames.length - 1; i >= 0; i--) {
      node = this.#tree.child(node, this.#frameNumbers.get(frames[i]!));
      if (!this.#nodes.set(id - i, node)) return false;
    }
    return true;
  }

  /** Takes a stack with all of its frames. */
  addWhole(id: number, frames: readonly Frame[]): boolean {
    let node = 0;
    for (let i = frames.length - 1; i >= 0; i--)
      node = this.#tree.child(node, this.#frames.numberOf(frames[i]!));
    return this.#nodes.set(id, node);
  }
}

/** Numbers from 1 by ids of a file. */
class Ids {
  // Arrays, since each thread counts its ids from 1; of a file that leaps, the engine makes dictionaries of them.
  readonly #byThread = new Map<number, number[]>();
  /** Most ids are the main thread's, and are small: they need neither division nor hash. */
  #main: number[] | undefined;

  get threads(): number {
    return this.#byThread.size;
  }

  /** 0 when there is none. */
  get(id: number): number {
    if (id < idsPerThread) return this.#main?.[id] ?? 0;
    return this.#byThread.get(threadOf(id))?.[id % idsPerThread] ?? 0;
  }

  /** False when this can't be an id. */
  set(id: number, number: number): boolean {
    if (!Number.isSafeInteger(id) || id < 1) return false;
    if (id < idsPerThread) {
      this.#main ??= this.#of(0);
      this.#main[id] = number;
    } else {
      this.#of(threadOf(id))[id % idsPerThread] = number;
    }
    return true;
  }

  #of(thread: number): number[] {
    let numbers = this.#byThread.get(thread);
    if (!numbers) this.#byThread.set(thread, (numbers = []));
    return numbers;
  }
}
