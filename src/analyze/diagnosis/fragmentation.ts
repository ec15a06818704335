/**
 * Memory that is free and of no use. Inside: what the allocator takes beyond what was asked for. Outside: holes between
 * live blocks, each too small for the next request, so that the memory grows although enough is free.
 */
import type { MemoryState } from "../../profile/state.js";
import { liveBlocksOf } from "../blocks.js";
import { countOf, formatBytes, formatShare } from "../figures.js";
import { callerFrame } from "../frames.js";
import type { Finding, Subject } from "./finding.js";

const pageBytes = 65_536;
/** Gaps below this are headers and rounding: no allocator gives them out. */
const leastHole = 32;
const leastBytes = 256 * 1024;
const leastShare = 0.3;
/** Growth counts when this share of the memory was free at the snapshot before it. */
const freeAtGrowth = 0.4;

interface Heap {
  live: number;
  overhead: number;
  holes: number;
  free: number;
  largest: number;
}

export function findFragmentation({ module, history }: Subject): Finding[] {
  const found: Finding[] = [];
  for (const memory of history.memories) {
    if (memory.collected !== undefined) continue;
    const heap = heapOf(memory);
    if (!heap) continue;
    const span = heap.live + heap.overhead + heap.free;
    const peak = memory.heap?.peakLiveBytes ?? 0;
    if (heap.free < leastBytes || heap.free < leastShare * span) continue;
    // what was full once and is not now is no matter of holes, but of the high-water mark
    if (span - heap.overhead < (1 + leastShare) * peak) continue;
    const growths = wastedGrowths(memory);
    const [growth] = growths;
    const stack = growth ? (module.memory.grows.find(({ time }) => time === growth.time)?.stack ?? []) : [];
    const caller = callerFrame(stack);
    found.push({
      kind: "fragmentation",
      severity: growths.length > 0 ? "warning" : "note",
      title: `${formatBytes(heap.free)} inside the heap are free in ${countOf(heap.holes, "hole")} between live blocks`,
      evidence: [
        `${formatBytes(heap.live)} are live within ${formatBytes(span)}: ${formatShare(heap.free, span)} is free, ` +
          `the largest hole ${formatBytes(heap.largest)}.`,
        ...(heap.overhead > 0
          ? [`Headers and rounding take ${formatBytes(heap.overhead)}, ${formatShare(heap.overhead, span)}.`]
          : []),
        ...(growths.length > 0
          ? [
              `The memory grew ${countOf(growths.length, "time")} while more was free than it grew by: ` +
                `to ${formatBytes(memory.pages * pageBytes)}, for at most ${formatBytes(peak)} live.`,
            ]
          : []),
      ],
      advice:
        "Long-lived blocks lie between short-lived ones. Make what lives long first, or keep it in a heap or a memory " +
        "of its own; reuse large buffers instead of making them anew in other sizes.",
      bytes: heap.free,
      module: module.id,
      certainty: 0.8,
      ...(caller && { caller }),
      stack,
    });
  }
  return found;
}

function heapOf(memory: MemoryState): Heap | undefined {
  const { count, addresses, sizes } = liveBlocksOf(memory);
  if (count < 2) return undefined;
  const heap: Heap = { live: 0, overhead: 0, holes: 0, free: 0, largest: 0 };
  for (let i = 0; i < count; i++) {
    heap.live += sizes[i]!;
    if (i + 1 === count) break;
    const gap = addresses[i + 1]! - addresses[i]! - sizes[i]!;
    if (gap < leastHole) {
      heap.overhead += gap;
      continue;
    }
    heap.holes++;
    heap.free += gap;
    heap.largest = Math.max(heap.largest, gap);
  }
  return heap;
}

/** Growth that was granted although more was free at the snapshots around it. */
function wastedGrowths(memory: MemoryState) {
  const { grows, timeline, layouts } = memory;
  const below = Math.max(
    0,
    ...layouts.map(({ data, stack }) => Math.max(data.at(-1)?.[1] ?? 0, stack?.[1] ?? 0)),
  );
  let i = 0;
  return grows.filter(({ granted, time, fromPages, deltaPages }) => {
    while (i + 1 < timeline.length && timeline[i + 1]!.time <= time) i++;
    const [before, after] = [timeline[i], timeline[i + 1]];
    if (!granted || before?.liveBytes === undefined || before.time > time) return false;
    // snapshots lie apart: neither at the two around it nor, as far as marks tell, in between may more have been live
    const mark = after?.peakLiveBytes ?? memory.heap?.peakLiveBytes ?? 0;
    const between = mark > (before.peakLiveBytes ?? 0) ? mark : 0;
    const live = Math.max(before.liveBytes, after?.liveBytes ?? 0, between);
    const free = fromPages * pageBytes - below - live;
    return free > deltaPages * pageBytes && free > freeAtGrowth * fromPages * pageBytes;
  });
}
