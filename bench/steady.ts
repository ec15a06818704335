/**
 * What profiling costs a program that has warmed up. Machines are noisy, so all variants run in one process, in
 * turn and in short rounds, and what counts is the median of the ratios of one round each.
 */
import { captureShare, repeatedCapturePrice } from "../src/attach/limits.js";
import { calibrate, inTurn, perform, type Schedule } from "./rounds.js";
import { geometricMean, median, quantile, sum } from "./statistics.js";
import { table } from "./tables.js";
import { type Running, type VariantName, variants } from "./variants.js";
import type { Workload } from "./workloads/index.js";

const rounds = 40;
/** Each variant is loaded and compiled so many times, and a round of it is the median of theirs. */
const copies = 3;
const roundMilliseconds = 35;
/** Milliseconds of work of its own that every variant does before anything counts. */
const warmUp = 3000;
/** The same, if captures still spend their credit: that belongs to the first seconds, which are measured apart. */
const longestWarmUp = 60_000;
/** Share of the time beyond which captures do that: these tell nothing new, and are charged as several. */
const settledShare = (1.3 * captureShare) / repeatedCapturePrice;
/** The naive hook is so slow that it does less in a round, and fewer rounds. */
const naiveShare = 50;
const naiveRounds = 5;

export interface Measured {
  workload: Workload;
  /** Milliseconds of a round as it is. */
  raw: number;
  /** Ratios to the rounds of `raw`. */
  ratios: Map<VariantName, number[]>;
  /** The same for processor time, which other processes disturb less. */
  cpuRatios: Map<VariantName, number[]>;
  /** All time over that of `raw`: shows what happens in a few rounds only, such as snapshots. */
  total: Map<VariantName, number>;
  naive?: number;
  /** Allocations a second that the program makes as it is, in millions. */
  allocationRate: number;
  contexts: number;
  /** Share of its time that the profiled variant spent on captures. */
  captures: number;
}

export async function measureSteady(
  workload: Workload,
  names: readonly VariantName[],
  withNaive: boolean,
): Promise<Measured> {
  const loaded: { name: VariantName; running: Running }[] = [];
  for (let copy = 0; copy < copies; copy++) {
    for (const name of ["raw", ...names] as const) {
      loaded.push({ name, running: await variants[name](workload, copy) });
    }
  }
  const all = loaded.map(({ running }) => running);
  const raw = all[0];
  const count = calibrate(raw, roundMilliseconds);
  const profiled = loaded.find(({ name }) => name === "profiled")?.running;
  const state = () => ({
    captures: profiled?.captureTime() ?? 0,
    allocations: profiled?.recorded().allocations ?? 0,
  });
  let before = state();
  const measured = perform(
    all,
    count,
    (function* () {
      yield* settle(all);
      before = state();
      return yield* inTurn(all.length, rounds);
    })(),
  );
  const ofCopies = (name: VariantName, columns: number[][]) =>
    columns.filter((_, i) => loaded[i].name === name);
  /** By round. */
  const medians = (name: VariantName, columns: number[][]) => {
    const own = ofCopies(name, columns);
    return Array.from({ length: rounds }, (_, round) => median(own.map((it) => it[round])));
  };
  const totalOf = (name: VariantName) => sum(ofCopies(name, measured.times).flat());
  const rawTimes = medians("raw", measured.times);
  const rawCpuTimes = medians("raw", measured.cpuTimes);
  const ratios = new Map<VariantName, number[]>();
  const cpuRatios = new Map<VariantName, number[]>();
  const total = new Map<VariantName, number>();
  let captures = 0;
  for (const name of names) {
    const times = medians(name, measured.times);
    ratios.set(
      name,
      times.map((time, round) => time / rawTimes[round]),
    );
    cpuRatios.set(
      name,
      medians(name, measured.cpuTimes).map((time, round) => time / rawCpuTimes[round]),
    );
    total.set(name, totalOf(name) / totalOf("raw"));
    if (name === "profiled" && profiled)
      captures = (profiled.captureTime() - before.captures) / sum(ofCopies(name, measured.times)[0]);
  }
  const recorded = profiled?.recorded();
  const result: Measured = {
    workload,
    raw: median(rawTimes),
    ratios,
    cpuRatios,
    total,
    allocationRate: ((recorded?.allocations ?? 0) - before.allocations) / sum(rawTimes) / 1000,
    contexts: recorded?.contexts ?? 0,
    captures,
  };
  if (withNaive)
    result.naive = await measureNaive(workload, raw, Math.max(1, Math.round(count / naiveShare)));
  for (const it of all) it.end();
  return result;
}

/** Until the engine has compiled what it will, and captures take no more than their share. */
function* settle(all: readonly Running[]): Schedule<void> {
  const spent = new Map(all.map((_, turn) => [turn, 0]));
  while (spent.size > 0) {
    for (const [turn, before] of [...spent]) {
      const captures = all[turn].captureTime();
      let time = before;
      while (time - before < 500) time += (yield turn).time;
      spent.set(turn, time);
      const share = (all[turn].captureTime() - captures) / (time - before);
      if (time >= longestWarmUp || (time >= warmUp && share <= settledShare)) spent.delete(turn);
    }
  }
}

async function measureNaive(workload: Workload, raw: Running, count: number): Promise<number> {
  const naive = await variants.naive(workload);
  const ratios: number[] = [];
  naive.round(count);
  raw.round(count);
  for (let round = 0; round < naiveRounds; round++) ratios.push(naive.round(count) / raw.round(count));
  return median(ratios);
}

const ratio = (value: number) => value.toFixed(value < 10 ? 3 : 0);

/** The table for users: what `linmem run` costs, against the goals. */
export function profileTable(results: readonly Measured[]): string {
  const rows = results.map((it) => {
    const { workload, raw, total, naive, allocationRate, contexts, captures } = it;
    const profiled = it.ratios.get("profiled")!;
    return [
      workload.name,
      raw.toFixed(1),
      allocationRate.toFixed(2),
      String(contexts),
      ratio(median(profiled)),
      ratio(quantile(profiled, 0.1)),
      ratio(quantile(profiled, 0.9)),
      ratio(median(it.cpuRatios.get("profiled")!)),
      ratio(total.get("profiled")!),
      `${(100 * captures).toFixed(1)} %`,
      naive === undefined ? "" : ratio(naive),
    ];
  });
  const medians = results.map(({ ratios }) => median(ratios.get("profiled")!));
  const header =
    "workload|raw, ms a round|10⁶ allocations/s|contexts|profiled|p10|p90|CPU|whole time|captures|naive".split(
      "|",
    );
  return [
    table(header, rows),
    "",
    `Geometric mean ${ratio(geometricMean(medians))} (goal: at most 1.08), worst ${ratio(Math.max(...medians))} (goal: at most 1.25).`,
  ].join("\n");
}

/** The table for developers: which part costs what. */
export function partsTable(results: readonly Measured[], names: readonly VariantName[]): string {
  const rows = results.map(({ workload, cpuRatios }) => [
    workload.name,
    ...names.map((name) => ratio(median(cpuRatios.get(name)!))),
  ]);
  const mean = (name: VariantName) => geometricMean(results.map((it) => median(it.cpuRatios.get(name)!)));
  rows.push(["geometric mean", ...names.map((name) => ratio(mean(name)))]);
  return table(["workload", ...names], rows);
}
