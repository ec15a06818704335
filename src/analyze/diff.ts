/**
 * What changed between two profiles of the same program. Callers are the same when function and file agree: lines
 * move when a program is edited, and no two of them may agree in one profile without being added up.
 */
import type { CallerReport, FrameReport, ModuleReport, Report } from "./report.js";

export interface DiffTotals {
  liveBytes: number;
  liveBlocks: number;
  peakLiveBytes: number;
  allocations: number;
  memoryBytes: number;
}

export interface DiffRow {
  /** Undefined for callers that were not captured. */
  caller?: FrameReport;
  module: string;
  before: { liveBytes: number; liveBlocks: number };
  after: { liveBytes: number; liveBlocks: number };
  change: "appeared" | "grew" | "shrank" | "vanished";
}

export interface Diff {
  before: DiffTotals;
  after: DiffTotals;
  /** Callers that hold something else than before, the largest change first. */
  rows: DiffRow[];
  /** Titles of findings of some weight that one of the two has alone. */
  newFindings: string[];
  goneFindings: string[];
}

/** Changes below this share of the smaller of the two are what runs differ by. */
const tolerance = 0.01;

export function diffReports(before: Report, after: Report): Diff {
  const rows = new Map<string, DiffRow>();
  for (const [report, side] of [
    [before, "before"],
    [after, "after"],
  ] as const) {
    for (const module of report.modules) {
      for (const caller of module.callers) {
        const key = keyOf(module, caller);
        let row = rows.get(key);
        if (!row) {
          const none = () => ({ liveBytes: 0, liveBlocks: 0 });
          row = { module: lastPart(module.name), before: none(), after: none(), change: "grew" };
          rows.set(key, row);
        }
        if (caller.frame) row.caller = caller.frame;
        row[side].liveBytes += caller.liveBytes;
        row[side].liveBlocks += caller.liveBlocks;
      }
    }
  }
  const changed = [...rows.values()].filter(({ before, after }) => {
    const less = Math.min(before.liveBytes, after.liveBytes);
    return Math.abs(after.liveBytes - before.liveBytes) > tolerance * less;
  });
  for (const row of changed) {
    if (row.before.liveBlocks === 0) row.change = "appeared";
    else if (row.after.liveBlocks === 0) row.change = "vanished";
    else row.change = row.after.liveBytes > row.before.liveBytes ? "grew" : "shrank";
  }
  const delta = ({ before, after }: DiffRow) => Math.abs(after.liveBytes - before.liveBytes);
  const old = new Map(serious(before).map((finding) => [finding.key, finding.title]));
  const now = new Map(serious(after).map((finding) => [finding.key, finding.title]));
  return {
    before: totalsOf(before),
    after: totalsOf(after),
    rows: changed.sort((a, b) => delta(b) - delta(a)),
    newFindings: [...now].filter(([key]) => !old.has(key)).map(([, title]) => title),
    goneFindings: [...old].filter(([key]) => !now.has(key)).map(([, title]) => title),
  };
}

function serious({ findings }: Report): { key: string; title: string }[] {
  return findings
    .filter(({ severity }) => severity !== "note")
    .map(({ kind, caller, title }) => ({
      key: JSON.stringify([kind, caller?.function, caller?.file]),
      title,
    }));
}

function keyOf(module: ModuleReport, { frame }: CallerReport): string {
  return JSON.stringify([lastPart(module.name), frame?.function, frame && lastPart(frame.file)]);
}

/** Two checkouts lie in two folders. */
function lastPart(path: string): string {
  return path.replace(/^.*[/\\](?=[^/\\])/, "");
}

function totalsOf({ modules, run }: Report): DiffTotals {
  const totals = {
    liveBytes: 0,
    liveBlocks: 0,
    peakLiveBytes: 0,
    allocations: 0,
    memoryBytes: run.peakMemoryBytes,
  };
  for (const { heap } of modules) {
    totals.liveBytes += heap?.liveBytes ?? 0;
    totals.liveBlocks += heap?.liveBlocks ?? 0;
    totals.peakLiveBytes += heap?.peakLiveBytes ?? 0;
    totals.allocations += heap?.allocations ?? 0;
  }
  return totals;
}
