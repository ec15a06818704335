import type { Frame } from "./records.js";

/** Frames, each once, numbered from 1. Strings are compared, never put together: most are the same object. */
export class FrameTable {
  /** Open-addressed, by line and column: number of a frame, 0 where there is none. */
  #table = new Int32Array(1 << 8);
  readonly #frames: Frame[] = [];

  get size(): number {
    return this.#frames.length;
  }

  /** All frames, in the order of their numbers. */
  values(): readonly Frame[] {
    return this.#frames;
  }

  at(number: number): Frame | undefined {
    return this.#frames[number - 1];
  }

  /** The number of a frame; a new one is kept as it is. */
  numberOf(frame: Frame): number {
    const mask = this.#table.length - 1;
    let slot = home(frame) & mask;
    for (let number = this.#table[slot]!; number !== 0; number = this.#table[slot]!) {
      if (isSame(this.#frames[number - 1]!, frame)) return number;
      slot = (slot + 1) & mask;
    }
    const number = this.#frames.push(frame);
    this.#table[slot] = number;
    if (2 * number > this.#table.length) this.#grow();
    return number;
  }

  #grow(): void {
    this.#table = new Int32Array(2 * this.#table.length);
    const mask = this.#table.length - 1;
    this.#frames.forEach((frame, i) => {
      let slot = home(frame) & mask;
      while (this.#table[slot] !== 0) slot = (slot + 1) & mask;
      this.#table[slot] = i + 1;
    });
  }
}

function home({ line, column }: Frame): number {
  return Math.imul(Math.imul(column, 0x85ebca6b) ^ line, 0x9e3779b1) >>> 6;
}

function isSame(a: Frame, b: Frame): boolean {
  return (
    a.column === b.column &&
    a.line === b.line &&
    a.function === b.function &&
    a.file === b.file &&
    a.kind === b.kind &&
    a.module === b.module
  );
}
