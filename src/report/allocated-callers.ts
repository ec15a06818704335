// Who called while blocks of a collected heap were made: which of them still live only the collector knows.
import type { ModuleReport } from "../analyze/report.js";
import { callerCells, callerColumns, leftOut } from "./facts.js";
import { formatBytes, formatCount, formatShare } from "./format.js";
import type { Page } from "./page.js";

/** Left out where no caller is known. */
export function allocatedCallers(page: Page, module: ModuleReport, top: number): void {
  const all = module.callers
    .filter(({ allocations }) => allocations > 0)
    .sort((a, b) => b.allocatedBytes - a.allocatedBytes);
  if (!all.some(({ frame }) => frame)) return;
  const whole = all.reduce((sum, { allocatedBytes }) => sum + allocatedBytes, 0);
  page.heading("Allocated in the whole run, by caller in JavaScript", 2);
  page.table(
    callerColumns(page),
    all
      .slice(0, top)
      .map((caller) => [
        formatBytes(caller.allocatedBytes),
        formatShare(caller.allocatedBytes, whole),
        formatCount(caller.allocations),
        ...callerCells(page, caller),
      ]),
    { head: ["bytes", "share", "blocks", "called by", "at"], indent: 2 },
  );
  leftOut(
    page,
    all.slice(top).map(({ allocatedBytes }) => allocatedBytes),
  );
}
