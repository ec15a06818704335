/** Nothing is left of it, but the memory stays as large: what made the high-water mark. */

import { formatBytes, formatShare } from "../figures.js";
import type { ContextReport } from "../report.js";
import { routeOf } from "../routed-context.js";
import { callerName, type Finding, type Subject } from "./finding.js";

const leastBytes = 1024 * 1024;
const timesTheEnd = 2;

export function findHighWater({ module, report }: Subject): Finding[] {
  const { heap } = module;
  if (!heap || heap.peakLiveBytes < leastBytes || heap.peakLiveBytes < timesTheEnd * heap.liveBytes)
    return [];
  // several memories have their high-water marks at several times: their sum says nothing
  if (report.memories.filter((memory) => memory.module === module.id).length > 1) return [];
  const shares = new Map<string, { bytes: number; context: ContextReport }>();
  for (const context of module.contexts) {
    const frame = routeOf(context).caller;
    const key = frame ? JSON.stringify([frame.function, frame.file, frame.line]) : "";
    const share = shares.get(key) ?? { bytes: 0, context };
    shares.set(key, share);
    share.bytes += context.peakLiveBytes;
    if (context.peakLiveBytes > share.context.peakLiveBytes) share.context = context;
  }
  const [first, second] = [...shares.values()].sort((a, b) => b.bytes - a.bytes);
  if (!first) return [];
  const part = ({ bytes, context }: typeof first) =>
    `${formatBytes(bytes)} (${formatShare(bytes, heap.peakLiveBytes)}) by ${callerName(routeOf(context).caller)}`;
  const caller = routeOf(first.context).caller;
  return [
    {
      kind: "high-water",
      severity: "note",
      title: `${formatBytes(heap.peakLiveBytes)} were live at one moment, ${formatBytes(heap.liveBytes)} at the end`,
      evidence: [
        `A memory never shrinks: ${formatBytes(module.memory.finalBytes)} stay with the program because of that moment.`,
        `It held ${part(first)}${second && second.bytes > 0 ? `, ${part(second)}` : ""}.`,
      ],
      advice:
        "Do it in smaller pieces, or release what is no longer needed before the next step. A memory that is needed " +
        "once can be given back only as a whole: by an instance of its own, or a worker, that ends.",
      bytes: module.memory.finalBytes - heap.liveBytes,
      module: module.id,
      certainty: 0.9,
      ...(caller && { caller }),
      stack: first.context.stack,
    },
  ];
}
