// The lists of a heap's free blocks, one for each bin, and the words of its header.
import { LinmemTypeError } from "../../errors.js";
import { binOf, EXACT_BYTES, field } from "./layout.js";

/** The memory below a heap. */
export interface HeapMemory {
  /** Whether threads share it. */
  readonly shared: boolean;
  /** All of it, as it is now. */
  readonly u32: Uint32Array;
  /** The same words: what is usual is done in signed arithmetic, which engines keep in registers. */
  readonly i32: Int32Array;
  readonly u8: Uint8Array;
}

/** Either view of them: the bits are the same. */
export type Words = Uint32Array | Int32Array;

/** See layout.ts for how they lie in the memory. */
export abstract class FreeLists {
  readonly memory: HeapMemory;
  /** Index of the header's first word. */
  readonly header: number;
  /**
   * Views that were asked for once: asking costs as much as half an allocation. One that has gone stale reads undefined, which
   * `allocate` and `free` look for; those of a shared memory only become too short, and have to be asked for.
   */
  protected words: Int32Array;
  protected bytes: Uint8Array;

  constructor(memory: HeapMemory, start: number) {
    this.memory = memory;
    this.header = start >>> 2;
    this.words = memory.i32;
    this.bytes = memory.u8;
  }

  /** Asks for the views again. */
  protected renew(): void {
    this.words = this.memory.i32;
    this.bytes = this.memory.u8;
    if (this.words.length === 0)
      throw new LinmemTypeError("ERR_LINMEM_DETACHED", "the heap is gone: its buffer was detached");
  }

  get(name: keyof typeof field): number {
    return this.memory.u32[this.header + field[name]]!;
  }

  set(name: keyof typeof field, value: number): void {
    this.memory.u32[this.header + field[name]] = value;
  }

  /** Head of the first bin from `bin` on that isn't empty, or 0. */
  protected headFrom(words: Uint32Array, bin: number): number {
    const { header } = this;
    const index = bin >>> 5;
    let bits = words[header + field.bitmap + index]! & (-1 << (bin & 31));
    let word = index;
    if (bits === 0) {
      const above = index === 31 ? 0 : words[header + field.summary]! & (-2 << index);
      if (above === 0) return 0;
      word = 31 - Math.clz32(above & -above);
      bits = words[header + field.bitmap + word]!;
    }
    const found = (word << 5) + 31 - Math.clz32(bits & -bits);
    return words[header + field.heads + found]!;
  }

  /** Puts a free block at the head of its list. */
  put(words: Words, block: number, size: number): void {
    const { header } = this;
    const bin = size >>> 0 < EXACT_BYTES ? size >>> 4 : binOf(size);
    const head = header + field.heads + bin;
    const next = words[head]! | 0;
    const at = block >>> 2;
    words[at + 1] = next;
    words[at + 2] = 0;
    words[head] = block;
    if (next !== 0) {
      words[(next >>> 2) + 2] = block;
    } else {
      const map = header + field.bitmap + (bin >>> 5);
      words[map] = words[map]! | (1 << (bin & 31));
      words[header + field.summary] = words[header + field.summary]! | (1 << (bin >>> 5));
    }
  }

  unlink(words: Words, block: number, size: number): void {
    const at = block >>> 2;
    const next = words[at + 1]! | 0;
    const previous = words[at + 2]! | 0;
    if (next !== 0) words[(next >>> 2) + 2] = previous;
    if (previous !== 0) {
      words[(previous >>> 2) + 1] = next;
      return;
    }
    const bin = binOf(size);
    words[this.header + field.heads + bin] = next;
    if (next === 0) this.emptied(words, bin);
  }

  protected emptied(words: Words, bin: number): void {
    const { header } = this;
    const map = header + field.bitmap + (bin >>> 5);
    const bits = words[map]! & ~(1 << (bin & 31));
    words[map] = bits;
    if (bits === 0) words[header + field.summary] = words[header + field.summary]! & ~(1 << (bin >>> 5));
  }
}
