// Size and live bytes of all memories together, over the run.
import type { MemoryState } from "../profile/state.js";
import type { TimelineReport } from "./report.js";

const pageBytes = 65_536;
const mostPoints = 240;

/** The state after each snapshot, thinned out to those that lie evenly in time. */
export function timelineOf(memories: readonly MemoryState[]): TimelineReport[] {
  const changes: TimelineReport[] = [];
  for (const { timeline, time, initialPages, collected } of memories) {
    let last = { memoryBytes: initialPages * pageBytes, liveBytes: 0, collections: 0 };
    changes.push({ time, ...last });
    for (const point of timeline) {
      const { pages, liveBytes = 0, collections = last.collections } = point;
      const now = { memoryBytes: pages * pageBytes, liveBytes, collections };
      changes.push({
        time: point.time,
        memoryBytes: now.memoryBytes - last.memoryBytes,
        liveBytes: now.liveBytes - last.liveBytes,
        collections: now.collections - last.collections,
      });
      last = now;
    }
    if (collected !== undefined) {
      const { memoryBytes, liveBytes } = last;
      changes.push({ time: collected, memoryBytes: -memoryBytes, liveBytes: -liveBytes, collections: 0 });
    }
  }
  changes.sort((a, b) => a.time - b.time);
  const points: TimelineReport[] = [];
  const state = { memoryBytes: 0, liveBytes: 0, collections: 0 };
  changes.forEach((change, i) => {
    state.memoryBytes += change.memoryBytes;
    state.liveBytes += change.liveBytes;
    state.collections += change.collections;
    if (changes[i + 1]?.time !== change.time) points.push({ time: change.time, ...state });
  });
  return evenly(points);
}

/** For each of equal stretches of time the state at its end. */
function evenly(points: readonly TimelineReport[]): TimelineReport[] {
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last || last.time <= first.time) return [...points];
  const count = Math.min(mostPoints, Math.max(points.length, 2));
  const thinned: TimelineReport[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    const time = first.time + ((last.time - first.time) * i) / (count - 1);
    while (at + 1 < points.length && (points[at + 1]!.time <= time || i === count - 1)) at++;
    thinned.push({ ...points[at]!, time });
  }
  return thinned;
}
