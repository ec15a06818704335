/**
 * Memories that the garbage collector took when the program was as good as over. When `main` has returned, nothing refers
 * to an instance any more, and a collection that was under way may take it in the last milliseconds, with all that leaked
 * in it: of the same program one run would have a leak and another nothing. So it counts as live at the end what was live
 * when the program used wasm for the last time.
 */
import type { MemoryState, Profile } from "../profile/state.js";

/** Milliseconds before the end; a program that goes on for longer without its memory has given it back. */
const mostBeforeEnd = 250;

/** The profile with these memories as if they hadn't been collected; the same one where there are none. */
export function withMemoriesOfTheEnd(profile: Profile): Profile {
  const { end } = profile;
  if (!end) return profile;
  const late = [...profile.memories.values()].filter(
    ({ collected }) => collected !== undefined && end.time - collected <= mostBeforeEnd,
  );
  if (late.length === 0) return profile;
  const lastUse = Math.max(
    ...[...profile.memories.values()].map(lastUseOf),
    ...[...profile.instances.values()].map(({ time }) => time),
  );
  const kept = late.filter(({ collected }) => collected! >= lastUse);
  if (kept.length === 0) return profile;
  const memories = new Map(profile.memories);
  for (const { collected, ...memory } of kept) memories.set(memory.id, memory);
  return { ...profile, memories };
}

/** When a memory was made, grew, or something was seen to have been allocated or released in it. */
function lastUseOf({ time, timeline, grows, collected }: MemoryState): number {
  let last = grows.at(-1)?.time ?? time;
  timeline.forEach((point, i) => {
    const before = timeline[i - 1];
    if (point.allocations !== before?.allocations || point.frees !== before?.frees)
      last = Math.max(last, point.time);
  });
  // what is seen when it is collected happened before
  return collected === undefined ? last : Math.min(last, collected);
}
