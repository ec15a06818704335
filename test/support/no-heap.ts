import type { HeapTotals } from "../../src/profile/records.js";

/** Totals of a heap in which nothing has happened. */
export const noHeap: Readonly<HeapTotals> = {
  allocations: 0,
  frees: 0,
  allocatedBytes: 0,
  liveBytes: 0,
  liveBlocks: 0,
  peakLiveBytes: 0,
  temporary: 0,
  unknownFrees: 0,
  missedFrees: 0,
  untracked: 0,
  failed: 0,
  sizes: [],
  outlived: 0,
  captured: 0,
  contextsDropped: 0,
};
