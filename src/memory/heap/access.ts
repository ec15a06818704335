/**
 * How the allocator reads and writes its memory, from JavaScript. The files that build on this one (layout, free-lists,
 * blocks, slots, pages, core) are written once and compiled twice: here by TypeScript, and by AssemblyScript, with
 * `../assembly/heap-access.ts` in the place of this file, to a module that works in the heap's memory itself. So they know
 * no other numbers than words of 32 bits without a sign: no sum that passes 2^32, and `>>> 0` after `&`, `|` and `~`.
 */
import { LinmemTypeError } from "../../errors.js";
import { field } from "./layout.js";

/** The memory below a heap. */
export interface HeapMemory {
  /** All of it, as it is now. */
  readonly u32: Uint32Array;
  readonly u8: Uint8Array;
}

export class Access {
  readonly memory: HeapMemory;
  /** Index of the header's first word. */
  readonly header: number;
  private readonly growTo: (end: number) => boolean;
  private words: Uint32Array;
  private bytes: Uint8Array;

  /** @param growTo makes the heap's `end` at least so large; false when that can't be */
  constructor(memory: HeapMemory, start: number, growTo: (end: number) => boolean) {
    this.memory = memory;
    this.header = start >>> 2;
    this.growTo = growTo;
    this.words = memory.u32;
    this.bytes = memory.u8;
  }

  /** Word of the header. */
  get(name: keyof typeof field): number {
    return this.memory.u32[this.header + field[name]]!;
  }

  set(name: keyof typeof field, value: number): void {
    this.memory.u32[this.header + field[name]] = value;
  }

  /** Views may have gone stale since the last operation. */
  protected begin(): void {
    this.words = this.memory.u32;
    this.bytes = this.memory.u8;
    if (this.words.length === 0)
      throw new LinmemTypeError("ERR_LINMEM_DETACHED", "the heap is gone: its buffer was detached");
  }

  protected word(index: number): number {
    return this.words[this.header + index]!;
  }

  protected setWord(index: number, value: number): void {
    this.words[this.header + index] = value;
  }

  /** A word of a table that begins at the word `table`. */
  protected wordAt(table: number, index: number): number {
    return this.words[this.header + table + index]!;
  }

  protected setWordAt(table: number, index: number, value: number): void {
    this.words[this.header + table + index] = value;
  }

  protected load(address: number, offset: number): number {
    return this.words[(address + offset) >>> 2]!;
  }

  protected store(address: number, value: number, offset: number): void {
    this.words[(address + offset) >>> 2] = value;
  }

  /** Two words. */
  protected storeBoth(address: number, first: number, second: number): void {
    this.words[address >>> 2] = first;
    this.words[(address >>> 2) + 1] = second;
  }

  protected loadByte(address: number, offset: number): number {
    return this.bytes[address + offset]!;
  }

  protected storeByte(address: number, value: number, offset: number): void {
    this.bytes[address + offset] = value;
  }

  /** Adds to the word at `index`, and to the one behind it. */
  protected add(index: number, first: number, second: number): void {
    const at = this.header + index;
    this.words[at] = this.words[at]! + first;
    this.words[at + 1] = this.words[at + 1]! + second;
  }

  protected subtract(index: number, first: number, second: number): void {
    const at = this.header + index;
    this.words[at] = this.words[at]! - first;
    this.words[at + 1] = this.words[at + 1]! - second;
  }

  protected copy(to: number, from: number, byteLength: number): void {
    this.bytes.copyWithin(to, from, from + byteLength);
  }

  protected clear(address: number, byteLength: number): void {
    this.bytes.fill(0, address, address + byteLength);
  }

  protected grow(end: number): boolean {
    if (!this.growTo(end)) return false;
    this.begin();
    return true;
  }
}
