/** A new instance, and with it a new memory, for every call. */

import { countOf, formatBytes } from "../figures.js";
import { callerFrame, type StackReader } from "../frames.js";
import { callerName, type Finding, type Subject } from "./finding.js";

const pageBytes = 65_536;
const leastMemories = 8;
/** So many of a module's memories come from one line. */
const leastShare = 0.8;

export function findInstanceChurn({ module, history }: Subject, stacks: StackReader): Finding[] {
  const { memories } = history;
  if (memories.length < leastMemories) return [];
  const byStack = new Map<number, (typeof memories)[number][]>();
  for (const memory of memories) {
    const all = byStack.get(stacks.key(memory.stack)) ?? [];
    byStack.set(stacks.key(memory.stack), all);
    all.push(memory);
  }
  const most = [...byStack.values()].sort((a, b) => b.length - a.length)[0]!;
  if (most.length < leastMemories || most.length < leastShare * memories.length) return [];
  const kept = most.filter(({ collected }) => collected === undefined);
  const keptBytes = kept.reduce((sum, { pages }) => sum + pages * pageBytes, 0);
  const bytes = most.reduce((sum, { pages }) => sum + pages * pageBytes, 0);
  const stack = stacks.frames(most[0]!.stack);
  const caller = callerFrame(stack);
  return [
    {
      kind: "instance-churn",
      severity: "warning",
      title: `${callerName(caller)} makes a new memory each time: ${countOf(most.length, "memory", "memories")}`,
      evidence: [
        `Together they had ${formatBytes(bytes)}; the garbage collector took ${countOf(most.length - kept.length, "memory", "memories")}, ` +
          `${formatBytes(keptBytes)} are left.`,
        "Each reserves 8 to 10 GiB of address space until it is collected; a process has room for about 13,000.",
      ],
      advice: "Make the instance once and use it again, or keep a few in a pool.",
      bytes: keptBytes,
      module: module.id,
      certainty: 0.9,
      ...(caller && { caller }),
      stack,
    },
  ];
}
