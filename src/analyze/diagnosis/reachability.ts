/** What the scan at the end of the run found: live blocks that nothing in the linear memory leads to. */
import { reach } from "../../profile/blocks.js";
import { liveBlocksOf } from "../blocks.js";
import { countOf, formatBytes, formatShare } from "../figures.js";
import { callerName, type Finding, isCollected, type Subject } from "./finding.js";
import type { CallerHistory } from "./history.js";
import { releaseCall } from "./leak.js";

const leastBytes = 1024;
const leastShare = 0.05;

interface Sum {
  bytes: number;
  blocks: number;
}

export function findUnreferenced({ module, history }: Subject): Finding[] {
  const examined: Sum = { bytes: 0, blocks: 0 };
  const lost: Sum = { bytes: 0, blocks: 0 };
  const held: Sum = { bytes: 0, blocks: 0 };
  let heads = 0;
  let hidden = 0;
  const byCaller = new Map<CallerHistory, Sum>();
  for (const memory of history.memories) {
    if (memory.collected !== undefined) continue;
    const { count, sizes, contexts, flags } = liveBlocksOf(memory);
    if (count > 0) hidden += memory.layouts.reduce((sum, layout) => sum + layout.hiddenGlobals, 0);
    for (let i = 0; i < count; i++) {
      if (flags[i] === reach.notExamined) continue;
      add(examined, sizes[i]!);
      if (flags[i] === reach.referenced) continue;
      if (flags[i] === reach.unreferenced || flags[i] === reach.exposed) heads++;
      if (flags[i] === reach.exposed || flags[i] === reach.fromExposed) add(held, sizes[i]!);
      add(lost, sizes[i]!);
      const caller = history.callerOf(memory, contexts[i]!);
      if (!caller) continue;
      const sum = byCaller.get(caller) ?? { bytes: 0, blocks: 0 };
      byCaller.set(caller, sum);
      add(sum, sizes[i]!);
    }
  }
  if (lost.bytes < leastBytes || lost.bytes < leastShare * examined.bytes) return [];
  const [first, ...others] = [...byCaller].sort(([, a], [, b]) => b.bytes - a.bytes);
  const [caller, sum] = first!;
  const evidence = [
    `Nothing in data, globals or other live blocks leads to ${countOf(lost.blocks, "block")}: ` +
      `${countOf(heads, "object")}, and what belongs to them.`,
    `${formatBytes(sum.bytes)} of it ${callerName(caller.caller)} made` +
      (others.length > 0 ? `, the rest ${countOf(others.length, "other caller")}.` : "."),
  ];
  if (held.blocks > 0) {
    evidence.push(`JavaScript knows where ${countOf(held.blocks, "block")} of it is, or what leads there.`);
  }
  if (hidden > 0) {
    evidence.push(
      `The module has ${countOf(hidden, "global")} that can't be read from outside: what they alone hold counts too.`,
    );
  }
  return [
    {
      kind: "reachability",
      severity: "note",
      title:
        `${formatBytes(lost.bytes)} (${formatShare(lost.bytes, examined.bytes)} of what is live) ` +
        "are referenced by nothing in the memory",
      evidence,
      advice: isCollected(module)
        ? "The module's own collector will take it when it runs; what JavaScript holds by address it has to pin."
        : `Either JavaScript objects hold it, or it is lost for good. Look whether the program still has them; where ` +
          `it is done with one, ${releaseCall(module)}.`,
      bytes: lost.bytes,
      module: module.id,
      certainty: hidden > 0 ? 0.5 : 0.9,
      ...(caller.caller && { caller: caller.caller }),
      stack: caller.stack,
    },
  ];
}

function add(sum: Sum, bytes: number): void {
  sum.bytes += bytes;
  sum.blocks++;
}
