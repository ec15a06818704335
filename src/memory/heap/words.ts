/**
 * A heap's memory as words with a sign, for the allocator in JavaScript. The allocator itself is written once, in core/,
 * and compiled twice by scripts/build-wasm.mjs: to WebAssembly, and to JavaScript in which every number is a word with a
 * sign. Those are what engines keep in registers; sums of words without one become numbers of 64 bits, which made
 * a heap in a buffer twice as slow.
 */
import { LinmemTypeError } from "../../errors.js";
import { field } from "./layout.js";

/** The memory below a heap. */
export interface HeapMemory {
  /** All of it, as it is now. */
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly u16: Uint16Array;
  readonly u8: Uint8Array;
}

export class Words {
  readonly memory: HeapMemory;
  /** Index of the header's first word. */
  readonly header: number;
  protected words: Int32Array;
  protected halves: Uint16Array;
  protected bytes: Uint8Array;
  private readonly growTo: (end: number) => boolean;
  private readonly unseen: boolean;

  /**
   * @param growTo makes the heap's `end` at least so large; false when that can't be
   * @param unseen whether others may make the memory larger without these views telling, as those of shared ones don't
   */
  constructor(memory: HeapMemory, start: number, growTo: (end: number) => boolean, unseen: boolean) {
    this.memory = memory;
    this.header = start >>> 2;
    this.growTo = growTo;
    this.unseen = unseen;
    this.words = memory.i32;
    this.halves = memory.u16;
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
    if (this.words.length === 0 || this.unseen) this.renew();
  }

  private renew(): void {
    this.words = this.memory.i32;
    this.halves = this.memory.u16;
    this.bytes = this.memory.u8;
    if (this.words.length === 0)
      throw new LinmemTypeError("ERR_LINMEM_DETACHED", "the heap is gone: its buffer was detached");
  }

  protected copy(to: number, from: number, byteLength: number): void {
    this.bytes.copyWithin(to >>> 0, from >>> 0, (from >>> 0) + byteLength);
  }

  protected clear(address: number, byteLength: number): void {
    this.bytes.fill(0, address >>> 0, (address >>> 0) + byteLength);
  }

  protected grow(end: number): boolean {
    if (!this.growTo(end >>> 0)) return false;
    this.renew();
    return true;
  }
}
