// What text and summary both say about a report.
import { isCountedOnly } from "../analyze/collected-heaps.js";
import type { CallerReport, ModuleReport, Report } from "../analyze/report.js";
import { countOf, formatBytes, formatCount, formatDuration, formatShare } from "./format.js";
import { functionName, lineLocation, moduleName } from "./frames.js";
import type { Column, Page } from "./page.js";

/** A caller and the module that its blocks are in. */
export interface ModuleCaller {
  module: ModuleReport;
  caller: CallerReport;
}

/** Callers of all modules that hold live blocks, most bytes first. */
export function liveCallers({ modules }: Report): ModuleCaller[] {
  return modules
    .flatMap((module) => module.callers.map((caller) => ({ module, caller })))
    .filter(({ caller }) => caller.liveBlocks > 0)
    .sort((a, b) => b.caller.liveBytes - a.caller.liveBytes);
}

export interface LiveTotals {
  bytes: number;
  blocks: number;
  peakBytes: number;
  /** Live bytes whose caller is known. */
  knownBytes: number;
  /** Allocated in heaps of which it is not known what is live. */
  counted: { bytes: number; blocks: number };
  /** There are no others. */
  countedOnly: boolean;
}

export function liveTotals(report: Report): LiveTotals {
  const counted = { bytes: 0, blocks: 0 };
  const totals = { bytes: 0, blocks: 0, peakBytes: 0, knownBytes: 0, counted, countedOnly: true };
  for (const { heap, callers } of report.modules) {
    if (heap && isCountedOnly(heap)) {
      counted.bytes += heap.allocatedBytes;
      counted.blocks += heap.allocations;
    } else if (heap) {
      totals.countedOnly = false;
    }
    totals.bytes += heap?.liveBytes ?? 0;
    totals.blocks += heap?.liveBlocks ?? 0;
    totals.peakBytes += heap?.peakLiveBytes ?? 0;
    for (const caller of callers) totals.knownBytes += caller.frame ? caller.liveBytes : 0;
  }
  totals.countedOnly &&= counted.blocks > 0;
  return totals;
}

/** `33.9 MiB live in 1,043 blocks at the end; high-water mark 40 MiB`, as far as it is known. */
export function liveSentence({ bytes, blocks, peakBytes, counted, countedOnly }: LiveTotals): string {
  const made = `${formatBytes(counted.bytes)} allocated in ${countOf(counted.blocks, "block")} of ${countedOnly ? "a" : "another, a"} collected heap`;
  if (countedOnly) return made;
  const live =
    blocks === 0
      ? "Nothing is live at the end"
      : `${formatBytes(bytes)} live in ${countOf(blocks, "block")} at the end`;
  const sentence = `${live}; high-water mark ${formatBytes(peakBytes)}`;
  return counted.blocks > 0 ? `${sentence}; ${made}` : sentence;
}

/** How the run ended, for a sentence. */
export function ending({ run }: Report): string {
  if (run.exit === null) return "no end recorded";
  return typeof run.exit === "number" ? `exit code ${run.exit}` : `ended by ${run.exit}`;
}

/** How much is known of who called: for the line below the callers. */
export function knownSentence(report: Report, totals: LiveTotals): string {
  const outlived = report.modules.reduce((sum, { heap }) => sum + (heap?.outlived ?? 0), 0);
  const captured = report.modules.reduce((sum, { heap }) => sum + (heap?.captured ?? 0), 0);
  const { captureTime, duration } = report.run;
  const spent =
    captureTime === null ? "" : `, in ${formatDuration(captureTime)} of ${formatDuration(duration)}`;
  if (totals.knownBytes >= totals.bytes) return `Caller captured for all of it${spent}.`;
  return (
    `Caller captured for ${formatShare(totals.knownBytes, totals.bytes)} of the live bytes, and for ` +
    `${formatShare(captured, outlived)} of the blocks that outlived their call${spent}: the rest is sampled.`
  );
}

/**
 * The table of callers. Its last column says up to how much a caller may have made, where blocks of the same
 * stacks have callers that were not captured.
 */
export function callerTable(
  page: Page,
  rows: readonly ModuleCaller[],
  totals: LiveTotals,
  names: boolean,
): void {
  const cells = rows.map(({ module, caller }) => [
    formatBytes(caller.liveBytes),
    formatShare(caller.liveBytes, totals.bytes),
    formatCount(caller.liveBlocks),
    ...callerCells(page, caller),
    names ? moduleName(module) : "",
    caller.atMostLiveBytes > caller.liveBytes * 1.01 ? formatBytes(caller.atMostLiveBytes) : "",
  ]);
  const head = ["bytes", "share", "blocks", "made by", "at", names ? "module" : "", ""];
  if (cells.some((row) => row[6] !== "")) head[6] = "at most";
  page.table([...callerColumns(page), { cut: "end" }, { align: "right" }], cells, { head });
}

/** Bytes, share, blocks, and the two of `callerCells`. */
export function callerColumns({ colors: { bold, cyan } }: Page): Column[] {
  return [
    { align: "right", style: bold },
    { align: "right" },
    { align: "right" },
    { cut: "end", style: bold },
    { cut: "start", style: cyan },
  ];
}

/** A caller's function and its line. */
export function callerCells(page: Page, { frame }: CallerReport): [string, string] {
  return frame ? [functionName(frame), lineLocation(frame, page.directory)] : ["(caller not captured)", ""];
}

/** The line below a list that says what was left out of it; none where nothing was. */
export function leftOut(page: Page, bytes: readonly number[]): void {
  if (bytes.length === 0) return;
  const all = formatBytes(bytes.reduce((sum, one) => sum + one, 0));
  page.line(`  ${page.colors.dim(`and ${all} by ${countOf(bytes.length, "other")} (--top N)`)}`);
}
