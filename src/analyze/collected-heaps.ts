/** Heaps of guests with a garbage collector: allocations are counted, and when blocks die only the collector knows. */
import type { HeapTotals } from "../profile/records.js";

/** Whether all blocks of a heap are of that kind: then nothing can be said of what is live, or was. */
export function isCountedOnly(heap: Pick<HeapTotals, "allocations" | "collectable"> | undefined): boolean {
  return heap !== undefined && heap.allocations > 0 && heap.collectable === heap.allocations;
}
