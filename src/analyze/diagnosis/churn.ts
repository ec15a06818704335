/** Temporary allocations: many blocks that die at once, worth keeping and using again. */

import { countOf, formatBytes, formatShare } from "../figures.js";
import { callerFrame } from "../frames.js";
import { callerName, type Finding, type Subject } from "./finding.js";

const leastBlocks = 10_000;
/** Of a stack's blocks so many are freed before the next allocation. */
const leastTemporary = 0.5;
/** Of all blocks of the module so many come from that stack. */
const leastShare = 0.1;

export function findChurn({ module }: Subject): Finding[] {
  const { heap } = module;
  if (!heap) return [];
  const [worst] = module.contexts
    .filter(
      ({ allocations, temporary }) =>
        temporary >= leastBlocks &&
        temporary >= leastTemporary * allocations &&
        allocations >= leastShare * heap.allocations,
    )
    .sort((a, b) => b.temporary - a.temporary);
  if (!worst) return [];
  const { allocations, temporary, allocatedBytes, stack } = worst;
  const caller = callerFrame(stack);
  const inner = stack.find(({ kind, function: name }) => kind === "wasm" && name !== "");
  return [
    {
      kind: "churn",
      severity: "note",
      title: `${countOf(temporary, "block")} of one stack were freed before the next allocation`,
      evidence: [
        `${callerName(caller ?? inner)} made ${countOf(allocations, "block")} of ` +
          `${formatBytes(allocatedBytes / allocations)} on average there, ${formatShare(allocations, heap.allocations)} of all.`,
      ],
      advice:
        "Each costs an allocation and a release. Keep one buffer and use it again, or pass many items in one call " +
        "rather than one by one.",
      bytes: 0,
      module: module.id,
      certainty: 0.9,
      ...(caller && { caller }),
      stack,
    },
  ];
}
