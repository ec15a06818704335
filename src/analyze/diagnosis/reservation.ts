/** Limits of a memory that fit what the run needed: an `initial` and a `maximum` worth setting. */
import { isCountedOnly } from "../collected-heaps.js";
import { countOf, formatBytes } from "../figures.js";
import type { FrameReport } from "../report.js";
import type { Finding, Subject } from "./finding.js";

const pageBytes = 65_536;
/** Of a memory with addresses of 32 bits. */
const mostPages = 65_536;
/** A memory that holds more than this beyond what was needed, and several times as much, is too large. */
const leastBytes = 4 * 1024 * 1024;
const timesTheNeed = 4;
const manyGrowths = 16;
/** Room beyond what this run needed. */
const margin = 1.25;
const boundMargin = 4;

export function findReservation({ module, report, history }: Subject): Finding[] {
  const [memory] = history.memories;
  if (!memory || history.memories.length > 1 || !report.run.complete || !memory.heap) return [];
  // what was live together, and so was needed, is not known
  if (isCountedOnly(memory.heap)) return [];
  const below = Math.max(
    0,
    ...memory.layouts.map(({ data, stack }) => Math.max(data.at(-1)?.[1] ?? 0, stack?.[1] ?? 0)),
  );
  const needed = below + memory.heap.peakLiveBytes;
  const initial = memory.initialPages * pageBytes;
  const final = memory.pages * pageBytes;
  const granted = memory.grows.filter((grow) => grow.granted).length;
  const fit = Math.ceil((needed * margin) / pageBytes);
  const limit = memory.maximumPages ?? mostPages;
  const maximum = Math.min(Math.ceil((final * boundMargin) / pageBytes), mostPages);
  const bound =
    memory.maximumPages === null
      ? ` and \`maximum: ${maximum}\` (${formatBytes(maximum * pageBytes)}), so that a leak ends in an error and not ` +
        "with the machine's memory"
      : "";
  const common = {
    kind: "reservation",
    severity: "note",
    module: module.id,
    certainty: 0.7,
    stack: [] as FrameReport[],
  } as const;
  if (initial - needed > leastBytes && initial > timesTheNeed * needed) {
    return [
      {
        ...common,
        title: `The memory begins with ${formatBytes(initial)}, and ${formatBytes(needed)} were needed`,
        evidence: [
          `Data, stack and the most that was live together took ${formatBytes(needed)}; it grew ${countOf(granted, "time")}.`,
        ],
        advice:
          `An \`initial\` of ${fit} pages (${formatBytes(fit * pageBytes)}) would do${bound}. ` +
          "Pages that are never touched cost address space only, until something clears them.",
        bytes: initial - needed,
      },
    ];
  }
  // to begin with all there is would be no advice
  if (granted < manyGrowths || memory.pages >= limit) return [];
  const pages = Math.max(Math.min(fit, limit), memory.pages);
  return [
    {
      ...common,
      title: `The memory grew ${countOf(granted, "time")}, from ${formatBytes(initial)} to ${formatBytes(final)}`,
      evidence: ["Each growth detaches all views, and takes the engine 1 µs to 1 ms."],
      advice: `An \`initial\` of ${pages} pages (${formatBytes(pages * pageBytes)}) saves them${bound}.`,
      bytes: 0,
    },
  ];
}
