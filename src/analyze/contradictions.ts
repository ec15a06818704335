/**
 * What a run says of an allocator that was found without names. Blocks that are released without having been allocated,
 * given out twice, or lie in one another are no blocks: then the functions are none of an allocator, or not all of it, and
 * every figure made from them would lie. Such a guess is dropped, and the reason is in the report; what is left is growth.
 */
import { Contexts } from "../profile/contexts.js";
import type { HeapTotals, ModuleRecord } from "../profile/records.js";
import type { MemoryState, Profile } from "../profile/state.js";

/** Blocks that went wrong as a share of the allocations, and how many at least, before a guess is dropped. */
const contradictingShare = 0.01;
const fewestContradictions = 4;

/** Whether a function was found by what it looks like or does: what has a name, or was named by the user, is no guess. */
export function isGuess({ evidence }: { evidence: string }): boolean {
  return !/^(?:name section|export |callee of |all that |--allocator)/.test(evidence);
}

/**
 * The profile without what was recorded of allocators that the run contradicts; the same one where there are none.
 * @param groups modules that are one and the same, as several threads compiled it
 */
export function withoutContradicted(profile: Profile, groups: readonly (readonly ModuleRecord[])[]): Profile {
  const reasons = new Map<number, string>();
  for (const group of groups) {
    const ids = new Set(group.map(({ id }) => id));
    const memories = [...profile.memories.values()].filter(({ module }) => ids.has(module ?? -1));
    const reason = contradiction(
      group[0]!,
      memories.flatMap(({ heap }) => heap ?? []),
    );
    if (reason !== undefined) for (const id of ids) reasons.set(id, reason);
  }
  if (reasons.size === 0) return profile;
  const modules = [...profile.modules].map(([id, module]) => {
    const reason = reasons.get(id);
    return [id, reason === undefined ? module : { ...module, allocator: [], reason }] as const;
  });
  const memories = [...profile.memories].map(
    ([id, memory]) => [id, reasons.has(memory.module ?? -1) ? withoutHeap(memory) : memory] as const,
  );
  return { ...profile, modules: new Map(modules), memories: new Map(memories) };
}

/** Why what was found of a module's allocator can't be right. */
function contradiction({ allocator }: ModuleRecord, heaps: readonly HeapTotals[]): string | undefined {
  const guess = allocator.find(isGuess);
  if (!guess) return undefined;
  const total = (key: "allocations" | "unknownFrees" | "missedFrees" | "untracked" | "overlaps") =>
    heaps.reduce((sum, heap) => sum + (heap[key] ?? 0), 0);
  // frees of blocks that there was no memory to record are unknown as well
  const unknown = Math.max(0, total("unknownFrees") - total("untracked"));
  const kinds = [
    [unknown, "released without having been allocated"],
    [total("missedFrees"), "given out again without having been released"],
    [total("overlaps"), "in one another"],
  ] as const;
  const wrong = kinds.reduce((sum, [count]) => sum + count, 0);
  if (wrong < fewestContradictions || wrong <= contradictingShare * total("allocations")) return undefined;
  const seen = kinds.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  const roles = allocator.map(({ role, name }) => `${role} ${name}`).join(", ");
  return (
    `what looked like its allocator (${roles}; ${guess.evidence}) did not behave so: of ${total("allocations")} ` +
    `blocks ${seen.join(", ")}. It is left out and only growth is shown; name the functions with ` +
    "--allocator malloc=…,free=…"
  );
}

function withoutHeap(memory: MemoryState): MemoryState {
  const { heap: _, ...kept } = memory;
  const timeline = memory.timeline.map(({ time, pages }) => ({ time, pages }));
  return { ...kept, timeline, contexts: new Contexts(), blocks: [] };
}
