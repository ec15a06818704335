// Counts and differences as text for people.
import type { Counts, Difference } from "./compare.js";

export function describeDifference({ script, line, treatment, raw, instrumented }: Difference): string {
  return `${script}:${line} (${treatment})\n  raw:          ${raw}\n  instrumented: ${instrumented}`;
}

export function describeCounts(counts: Counts): string {
  const list = (reasons: Map<string, number>) =>
    [...reasons].map(([reason, count]) => `${count} ${reason}`).join("; ") || "none";
  const lines = [
    `${counts.scripts} scripts, ${counts.assertions} assertions run, ${counts.unlikeSuite} of them raw ` +
      "with another outcome than the suite asks for",
    `commands skipped: ${list(counts.skipped)}`,
  ];
  for (const [treatment, sum] of counts.byTreatment) {
    lines.push(
      `${treatment}: ${sum.modules} modules, ${sum.changed} changed, ${sum.hooked} with hooks; ` +
        `${sum.identical} of ${sum.compared} outcomes identical` +
        `${sum.accepted > 0 ? ` (${sum.accepted} invalid modules became valid)` : ""}, ` +
        `${sum.identicalStacks} of ${sum.stacks} error stacks identical; ` +
        `${sum.allocations} allocations in ${sum.contexts} contexts recorded; ` +
        `valid but not instrumented: ${list(sum.refused)}`,
    );
  }
  return lines.join("\n");
}
