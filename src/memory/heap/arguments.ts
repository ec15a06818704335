// What a heap is given: checks of arguments.
import { LinmemRangeError, LinmemTypeError } from "../../errors.js";
import { BufferMemory } from "../buffer-memory.js";
import { isShared } from "../engine.js";
import { LinearMemory } from "../linear-memory.js";
import { PAGE_SIZE, show } from "../pages.js";
import { ALIGNED, GRANULE } from "./layout.js";

/** What a heap can lie in. Threads may share it, but use the heap one at a time. */
export type HeapTarget = LinearMemory | WebAssembly.Memory | ArrayBuffer | SharedArrayBuffer;

/** What `Heap.create` takes. Bytes. */
export interface HeapOptions {
  /** Where the heap begins; without it at 16. In the memory of a program: behind all that the program uses itself. */
  start?: number;
  /** How many bytes it has, for good. Without it all up to the end of the memory, and it grows with the memory. */
  byteLength?: number;
  /** The most bytes that it may ever have, counted from `start`. */
  maximumByteLength?: number;
  /**
   * Debug mode, for good: blocks lie between redzones, bytes that nobody wrote are 0xcd and those of freed blocks 0xdd, and
   * `free` and `check` find what was written past a block or after it was freed. Errors say where the block was allocated.
   * Each block then takes 56 bytes more, and some microseconds for the stack.
   */
  debug?: boolean;
}

/** What `Heap.open` takes. */
export interface OpenOptions {
  /** Where the heap begins; without it at 16. */
  start?: number;
  /** Forgets pins of movable blocks: for when all who held one are gone, as those of an earlier run are. */
  unpin?: boolean;
}

export function memoryOf(target: HeapTarget): LinearMemory | BufferMemory {
  if (target instanceof LinearMemory) return target;
  if (target instanceof WebAssembly.Memory) return LinearMemory.wrap(target);
  if (target instanceof ArrayBuffer || isShared(target)) return new BufferMemory(wholeWords(target));
  throw new LinmemTypeError(
    "ERR_LINMEM_NOT_A_MEMORY",
    `a memory or a buffer is expected, not ${show(target)}`,
  );
}

function wholeWords(buffer: ArrayBufferLike): ArrayBufferLike {
  if (buffer.byteLength % 8 === 0 && buffer.byteLength > 0) return buffer;
  throw new LinmemRangeError(
    "ERR_LINMEM_BOUNDS",
    `a heap needs a buffer whose length is a multiple of 8, not of ${buffer.byteLength} bytes`,
    { byteLength: buffer.byteLength },
  );
}

/** Where a heap can begin, from `start` on. */
export function aligned(start: number): number {
  return Math.ceil(start / ALIGNED) * ALIGNED;
}

export function checkBytes(bytes: unknown, what: string): number {
  if (typeof bytes === "number" && Number.isInteger(bytes) && bytes >= 0) return bytes;
  throw new LinmemTypeError("ERR_LINMEM_SIZE", `${what} must be a whole number of bytes, not ${show(bytes)}`);
}

export function checkAlignment(alignment: number): number {
  if (
    alignment >>> 0 === alignment &&
    alignment >= GRANULE &&
    (alignment & (alignment - 1)) === 0 &&
    alignment <= PAGE_SIZE
  ) {
    return alignment;
  }
  throw new LinmemTypeError(
    "ERR_LINMEM_ALIGNMENT",
    `an alignment must be a power of two up to ${PAGE_SIZE}, not ${show(alignment)}`,
  );
}
