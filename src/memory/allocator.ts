// The one interface between owned blocks and whatever hands out memory: a module's own allocator, or a `Heap`.
import type { BufferMemory } from "./buffer-memory.js";
import type { LinearMemory } from "./linear-memory.js";

/** What is going to lie in a block, for allocators that must know it (AssemblyScript's). */
export type Content = "bytes" | "text";

/** What the live handles of a heap hold. */
export interface LiveBlocks {
  /** Their number. */
  blocks: number;
  /** Bytes that were asked for. */
  bytes: number;
}

/** Hands out pieces of one linear memory. All sizes in bytes; alignments are powers of two. */
export interface Allocator {
  /** The memory that the blocks lie in. */
  readonly memory: LinearMemory | BufferMemory;
  /** What its live handles hold. */
  readonly live: LiveBlocks;

  /**
   * The address of `byteLength` bytes, of which nothing is known.
   * @throws AllocationError: there are none, and nothing has changed
   */
  allocate(byteLength: number, alignment: number, content?: Content): number;

  /**
   * Makes a block larger or smaller, and returns its address, which may be another. What fits stays.
   * @throws AllocationError: then the block is as it was
   */
  reallocate(ptr: number, oldByteLength: number, byteLength: number, alignment: number): number;

  /** Takes a block back, with the size and the alignment that it was asked for with. */
  free(ptr: number, byteLength: number, alignment: number): void;
}
