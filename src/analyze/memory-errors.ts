/** What a checked program did wrong, and what it lost: from the records of a profile to what a report shows. */
import { reach } from "../profile/blocks.js";
import type { MemoryErrorRecord } from "../profile/records.js";
import type { MemoryState, Profile } from "../profile/state.js";
import { liveBlocksOf } from "./blocks.js";
import type { StackReader } from "./frames.js";
import type { MemoryErrorReport, Report } from "./report.js";

/** What a report says of a checked run. */
export type CheckedReport = Required<Pick<Report, "memoryErrors" | "indirectLeaks" | "possibleLeaks">>;

/**
 * Errors in the order in which they first happened, behind them leaks, the largest first; and what only those lead to, and possible
 * leaks, the same way.
 * @param isCollected whether a module has a garbage collector of its own
 */
export function memoryErrors(
  profile: Profile,
  stacks: StackReader,
  moduleOf: (id: number | undefined) => number | undefined,
  isCollected: (module: number) => boolean,
): CheckedReport {
  const errors: MemoryErrorReport[] = [];
  const leaks: MemoryErrorReport[] = [];
  const indirectLeaks: MemoryErrorReport[] = [];
  const possibleLeaks: MemoryErrorReport[] = [];
  const records: { memory: MemoryState; record: MemoryErrorRecord }[] = [];
  for (const memory of profile.memories.values()) {
    for (const record of memory.errors.values()) records.push({ memory, record });
    const module = moduleOf(memory.module);
    // what a collector has not got to yet is not lost
    if (module !== undefined && isCollected(module)) continue;
    leaks.push(...leaksOf(memory, stacks, module, lost));
    indirectLeaks.push(...leaksOf(memory, stacks, module, lostWith));
    possibleLeaks.push(...leaksOf(memory, stacks, module, held));
  }
  records.sort((a, b) => a.record.time - b.record.time || a.record.id - b.record.id);
  for (const { memory, record } of records) {
    errors.push(errorReport(record, moduleOf(memory.module), stacks));
  }
  const bySize = (a: MemoryErrorReport, b: MemoryErrorReport) => b.size - a.size;
  return {
    memoryErrors: [...errors, ...leaks.sort(bySize)],
    indirectLeaks: indirectLeaks.sort(bySize),
    possibleLeaks: possibleLeaks.sort(bySize),
  };
}

function errorReport(
  record: MemoryErrorRecord,
  module: number | undefined,
  stacks: StackReader,
): MemoryErrorReport {
  const { kind, access, address, size, block, count, memory } = record;
  const { allocatedAt, allocatedBy = 0, freedAt } = record;
  return {
    kind,
    access,
    address,
    size,
    ...(block && { block }),
    memory,
    ...(module !== undefined && { module }),
    stack: stacks.frames(record.stack),
    ...(allocatedAt !== undefined && { allocatedAt: stacks.whole(allocatedAt, allocatedBy) }),
    ...(freedAt !== undefined && { freedAt: stacks.frames(freedAt) }),
    count,
  };
}

const lost: readonly number[] = [reach.unreferenced];
const lostWith: readonly number[] = [reach.fromUnreferenced];
const held: readonly number[] = [reach.exposed, reach.fromExposed];

/**
 * Blocks by where they were allocated.
 * @param wanted which of them
 */
function leaksOf(
  memory: MemoryState,
  stacks: StackReader,
  module: number | undefined,
  wanted: readonly number[],
): MemoryErrorReport[] {
  if (memory.collected !== undefined || memory.blocks.length === 0) return [];
  const { count, addresses, sizes, contexts, flags } = liveBlocksOf(memory);
  const byContext = new Map<number, MemoryErrorReport>();
  for (let i = 0; i < count; i++) {
    if (!wanted.includes(flags[i]!)) continue;
    const known = byContext.get(contexts[i]!);
    if (known) {
      known.count++;
      known.size += sizes[i]!;
      continue;
    }
    const context = memory.contexts.get(contexts[i]!);
    byContext.set(contexts[i]!, {
      kind: "leak",
      access: null,
      address: addresses[i]!,
      size: sizes[i]!,
      block: { address: addresses[i]!, size: sizes[i]! },
      memory: memory.id,
      ...(module !== undefined && { module }),
      stack: [],
      allocatedAt: context ? stacks.whole(context.stack, context.caller) : [],
      count: 1,
    });
  }
  return [...byContext.values()];
}
