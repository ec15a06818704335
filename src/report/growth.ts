// Growth of memories, by the line that asked for it.
import { callerFrame } from "../analyze/frames.js";
import type { GrowReport, ModuleReport } from "../analyze/report.js";
import { countOf, formatBytes, formatCount, formatDuration } from "./format.js";
import { functionName, isAllocatorFrame, lineLocation } from "./frames.js";
import type { Page } from "./page.js";

/** Growth asked for at one line, granted or refused. */
interface GrowthSum {
  by: [name: string, at: string];
  granted: boolean;
  times: number;
  bytes: number;
  first: number;
  last: number;
}

/** Who asked for more memory, line by line. */
export function growthSection(
  page: Page,
  module: ModuleReport,
  grows: readonly GrowReport[],
  top: number,
): void {
  if (grows.length === 0) return;
  page.heading("Growth", 2);
  const sums = new Map<string, GrowthSum>();
  for (const grow of grows) {
    const by = askedBy(page, module, grow);
    const { granted, time } = grow;
    const key = JSON.stringify([by, granted]);
    const sum = sums.get(key) ?? { by, granted, times: 0, bytes: 0, first: time, last: time };
    sums.set(key, sum);
    sum.times++;
    sum.bytes += grow.toBytes - grow.fromBytes;
    sum.first = Math.min(sum.first, time);
    sum.last = Math.max(sum.last, time);
  }
  const largest = [...sums.values()].sort(
    (a, b) => Number(b.granted) - Number(a.granted) || b.bytes - a.bytes,
  );
  const { bold, cyan, red } = page.colors;
  page.table(
    [
      { align: "right", style: bold },
      { style: red },
      { align: "right" },
      {},
      { cut: "end" },
      { cut: "start", style: cyan },
    ],
    largest
      .slice(0, top)
      .map((sum) => [
        `+${formatBytes(sum.bytes)}`,
        sum.granted ? "" : "refused",
        formatCount(sum.times),
        sum.first === sum.last
          ? formatDuration(sum.first)
          : `${formatDuration(sum.first)} to ${formatDuration(sum.last)}`,
        ...sum.by,
      ]),
    { head: ["bytes", "", "times", "when", "asked by", "at"] },
  );
  const rest = largest.slice(top);
  if (rest.length > 0) {
    const times = rest.reduce((total, sum) => total + sum.times, 0);
    const lines = countOf(rest.length, "other line");
    page.line(`  ${page.colors.dim(`and ${countOf(times, "time", "times")} at ${lines} (--top N)`)}`);
  }
}

function askedBy(page: Page, module: ModuleReport, { stack }: GrowReport): [string, string] {
  if (stack.length === 0) return ["(noticed later)", ""];
  const caller = callerFrame(stack) ?? stack.find((frame) => !isAllocatorFrame(frame, module)) ?? stack[0]!;
  return [functionName(caller), lineLocation(caller, page.directory)];
}
