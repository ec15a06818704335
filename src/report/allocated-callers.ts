// Who called while blocks of a collected heap were made: which of them still live only the collector knows.
import type { ModuleReport } from "../analyze/report.js";
import { formatBytes, formatCount, formatShare } from "./format.js";
import { functionName, lineLocation } from "./frames.js";
import type { Page } from "./page.js";

/** Left out where no caller is known. */
export function allocatedCallers(page: Page, module: ModuleReport, top: number): void {
  const all = module.callers
    .filter(({ allocations }) => allocations > 0)
    .sort((a, b) => b.allocatedBytes - a.allocatedBytes);
  if (!all.some(({ frame }) => frame)) return;
  const whole = all.reduce((sum, { allocatedBytes }) => sum + allocatedBytes, 0);
  const { bold, cyan } = page.colors;
  page.heading("Allocated in the whole run, by caller in JavaScript", 2);
  page.table(
    [
      { align: "right", style: bold },
      { align: "right" },
      { align: "right" },
      { cut: "end", style: bold },
      { cut: "start", style: cyan },
    ],
    all
      .slice(0, top)
      .map(({ frame, allocations, allocatedBytes }) => [
        formatBytes(allocatedBytes),
        formatShare(allocatedBytes, whole),
        formatCount(allocations),
        frame ? functionName(frame) : "(caller not captured)",
        frame ? lineLocation(frame, page.directory) : "",
      ]),
    { head: ["bytes", "share", "blocks", "called by", "at"], indent: 2 },
  );
}
