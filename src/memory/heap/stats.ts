// What a heap tells of itself in numbers.

import type { HeapCore } from "../generated/heap-core.js";
import { usedIn } from "./check.js";
import { keptIn } from "./check-pages.js";
import type { GuardedCore } from "./guard.js";
import { GRANULE, HALF_BYTES } from "./layout.js";

/** How a heap stands. Bytes, but for `blocks` and the two shares. */
export interface HeapStats {
  /** Used blocks. */
  blocks: number;
  /** What was asked for. */
  requested: number;
  /** What used blocks take, with their headers; in debug mode with redzones and what is kept back. */
  used: number;
  /** What the heap has and nobody uses: free blocks, and what was never used. */
  free: number;
  /** A block of this size, header included, can be had without growth. There may be a slightly larger one. */
  largestFree: number;
  /** From the start to the end of the last block. */
  span: number;
  /** What the heap has now. */
  byteLength: number;
  /** Share of the used bytes that nobody asked for: headers and rounding. */
  internalFragmentation: number;
  /** Share of the free bytes that is not in the largest free block. */
  externalFragmentation: number;
}

/** Takes the same time whatever the heap holds. In debug mode what was asked for is what the guard knows. */
export function statsOf(core: HeapCore, guard: GuardedCore | undefined): HeapStats {
  const slotsUsed = core.get("slotsUsed") - keptIn(core);
  // halves of pairs
  const halves = HALF_BYTES * core.get("openPairs");
  const used = usedIn(core) + slotsUsed - halves;
  const { requested, blocks } = guard ?? { requested: core.get("requested"), blocks: core.get("blocks") };
  const [top, end] = [core.get("top"), core.get("end")];
  // blocks have whole granules, and the heap ends 4 bytes behind one
  const unused = end - top - ((end - top) % GRANULE);
  const free = core.get("free") + core.get("slotsThere") - slotsUsed + halves + unused;
  const largestFree = Math.max(unused, core.largestFree());
  return {
    blocks,
    requested,
    used,
    free,
    largestFree,
    span: top - core.get("start"),
    byteLength: end - core.get("start"),
    internalFragmentation: used === 0 ? 0 : 1 - requested / used,
    externalFragmentation: free === 0 ? 0 : 1 - largestFree / free,
  };
}
