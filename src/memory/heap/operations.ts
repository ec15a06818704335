// What `Heap` asks of the layers below it, which lie on each other: core, guard (debug mode), report (profiler).

/** Addresses are those of payloads, sizes what was asked for, in bytes. No checks of arguments: all are whole numbers below 2^32. */
export interface HeapOperations {
  /** Address of a new block, or 0. */
  allocate(byteLength: number): number;
  /** The same at a multiple of `alignment`, a power of two from 8 on, with a header of its own. */
  allocateAligned(byteLength: number, alignment: number): number;
  /** The same for a block that can become a movable one. */
  allocateWide(byteLength: number, alignment: number): number;
  /** Whether a used block begins here. */
  isBlock(ptr: number): boolean;
  /** What was asked for a block, for which `isBlock` holds. */
  requestedOf(ptr: number): number;
  /** Resizes a block, for which `isBlock` holds; returns where it is now, or 0: then it is as it was. One with a header keeps that. */
  reallocate(ptr: number, byteLength: number): number;
  /** Takes back a block; false, and nothing happens, when none begins here. */
  free(ptr: number): boolean;
}
