/**
 * What profiling costs a program that has warmed up, in several processes one after the other (steady-process.ts): where the
 * engine puts the code of program and recorder makes up to 4 %, and is the same for as long as a process lives.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { geometricMean, median, quantile } from "./statistics.js";
import { table } from "./tables.js";
import type { VariantName } from "./variants.js";
import type { Workload } from "./workloads/index.js";

const processes = 5;
const program = fileURLToPath(new URL("steady-process.js", import.meta.url));

/** What one process measured; lists by variant. */
export interface Measured {
  /** Milliseconds of a round as it is. */
  raw: number;
  /** Ratios to the rounds of `raw`. */
  ratios: number[][];
  /** The same for processor time, which other processes disturb less. */
  cpuRatios: number[][];
  /** All time over that of `raw`: shows what happens in a few rounds only, such as snapshots. */
  totals: number[];
  naive?: number;
  /** Allocations a second that the program makes as it is, in millions. */
  allocationRate: number;
  contexts: number;
  /** Share of its time that the profiled variant spent on captures. */
  captures: number;
}

/** What the processes of a workload measured. */
export interface Steady {
  workload: Workload;
  processes: Measured[];
}

export function measureSteady(workload: Workload, names: readonly VariantName[], withNaive: boolean): Steady {
  const args = [program, workload.name, names.join(","), ...(withNaive ? ["naive"] : [])];
  const measured = Array.from({ length: processes }, () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    if (status !== 0) throw new Error(`${workload.name} failed: ${stderr}`);
    return JSON.parse(stdout) as Measured;
  });
  return { workload, processes: measured };
}

/** The median over processes. */
function of({ processes }: Steady, figure: (measured: Measured) => number): number {
  return median(processes.map(figure));
}

const ratio = (value: number) => value.toFixed(value < 10 ? 3 : 0);

/** The table for users: what `linmem run` costs, against the goals. */
export function profileTable(results: readonly Steady[]): string {
  const profiled = (it: Steady) => it.processes.map(({ ratios }) => median(ratios[0]));
  const rows = results.map((it) => [
    it.workload.name,
    of(it, ({ raw }) => raw).toFixed(1),
    of(it, ({ allocationRate }) => allocationRate).toFixed(2),
    String(of(it, ({ contexts }) => contexts)),
    ratio(median(profiled(it))),
    `${ratio(Math.min(...profiled(it)))} to ${ratio(Math.max(...profiled(it)))}`,
    ratio(of(it, ({ ratios }) => quantile(ratios[0], 0.1))),
    ratio(of(it, ({ ratios }) => quantile(ratios[0], 0.9))),
    ratio(of(it, ({ cpuRatios }) => median(cpuRatios[0]))),
    ratio(of(it, ({ totals }) => totals[0])),
    `${(100 * of(it, ({ captures }) => captures)).toFixed(1)} %`,
    ratio(of(it, ({ naive }) => naive ?? 0)),
  ]);
  const medians = results.map((it) => median(profiled(it)));
  const header =
    "workload|raw, ms a round|10⁶ allocations/s|contexts|profiled|processes|p10|p90|CPU|whole time|captures|naive".split(
      "|",
    );
  return [
    table(header, rows),
    "",
    `Geometric mean ${ratio(geometricMean(medians))} (goal: at most 1.08), worst ${ratio(Math.max(...medians))} (goal: at most 1.25).`,
  ].join("\n");
}

/** The table for developers: which part costs what. */
export function partsTable(results: readonly Steady[], names: readonly VariantName[]): string {
  const costs = results.map((it) => names.map((_, i) => of(it, ({ cpuRatios }) => median(cpuRatios[i]))));
  const rows = results.map(({ workload }, row) => [workload.name, ...costs[row].map(ratio)]);
  rows.push(["geometric mean", ...names.map((_, i) => ratio(geometricMean(costs.map((row) => row[i]))))]);
  return table(["workload", ...names], rows);
}
