// The timeline of a memory, or of all together, as series over one axis of time.
import type { Profile } from "./selection.js";

const pageSize = 65536;

export interface Series {
  /** Milliseconds, ascending. */
  times: number[];
  /** Bytes; what a memory had when it was last heard of. */
  size: number[];
  /** Bytes; null where it is not known. */
  live: (number | null)[];
  /** Bytes: what is not live of the heap, or of the whole size where `heapBase` is not known of all. */
  free: (number | null)[];
  /** Whether `free` leaves out what lies below the heap. */
  heapKnown: boolean;
}

type Memory = Profile["memories"][number];

/** The series of some memories, added up. One that was collected counts up to then. */
export function seriesOf(profile: Profile, memories: readonly Memory[]): Series {
  const { duration } = profile.run;
  const events: { time: number; memory: number; size?: number; live?: number }[] = [];
  memories.forEach((memory, index) => {
    events.push({ time: memory.created, memory: index, size: memory.initialBytes });
    const { time, pages, liveBytes, hasHeap } = memory.timeline;
    time.forEach((at, i) => {
      events.push({
        time: at,
        memory: index,
        size: pages[i]! * pageSize,
        ...(hasHeap && { live: liveBytes[i]! }),
      });
    });
    if (memory.collected !== null) events.push({ time: memory.collected, memory: index, size: 0, live: 0 });
  });
  const indexOf = new Map(memories.map(({ id }, index) => [id, index]));
  for (const { memory, time, toBytes, granted } of profile.grows) {
    const index = indexOf.get(memory);
    if (granted && index !== undefined) events.push({ time, memory: index, size: toBytes });
  }
  events.sort((a, b) => a.time - b.time);
  const size = memories.map(() => 0);
  const live: (number | undefined)[] = memories.map(() => undefined);
  const heapKnown = memories.every(({ map }) => typeof map?.heapBase === "number");
  const series: Series = { times: [], size: [], live: [], free: [], heapKnown };
  let [sizeSum, liveSum, known] = [0, 0, 0];
  const point = (time: number) => {
    if (series.times.at(-1) === time) {
      series.size[series.size.length - 1] = sizeSum;
      series.live[series.live.length - 1] = known > 0 ? liveSum : null;
      return;
    }
    series.times.push(time);
    series.size.push(sizeSum);
    series.live.push(known > 0 ? liveSum : null);
  };
  for (const event of events) {
    const { memory } = event;
    if (event.size !== undefined) {
      // A memory never shrinks: an older figure that comes later changes nothing.
      const next = event.size === 0 ? 0 : Math.max(size[memory]!, event.size);
      sizeSum += next - size[memory]!;
      size[memory] = next;
    }
    if (event.live !== undefined) {
      if (live[memory] === undefined) known++;
      liveSum += event.live - (live[memory] ?? 0);
      live[memory] = event.live;
    }
    point(event.time);
  }
  if (series.times.length > 0 && duration > series.times.at(-1)!) point(duration);
  const below = heapKnown ? memories.reduce((sum, { map }) => sum + map!.heapBase!, 0) : 0;
  series.free = series.size.map((bytes, i) =>
    series.live[i] === null ? null : Math.max(0, bytes - below - series.live[i]!),
  );
  return series;
}

/** Times of the snapshots before which garbage was collected. */
export function collectionTimes(memories: readonly Memory[]): number[] {
  const times = memories.flatMap(({ timeline: { time, collections } }) =>
    [...time].filter((_, i) => collections[i]! > (collections[i - 1] ?? 0)),
  );
  return [...new Set(times)].sort((a, b) => a - b);
}
