/**
 * What profiling costs a program that has warmed up, in one process: `node steady-process.js <workload> <variants> [naive]`, with
 * commas between the variants. Prints a `Measured` of steady.ts. Machines are noisy, so all variants run in turn and in
 * short rounds, and what counts are the ratios of one round each.
 */
import { captureShare, repeatedCapturePrice } from "../src/attach/limits.js";
import { calibrate, inTurn, perform, type Schedule } from "./rounds.js";
import { median, sum } from "./statistics.js";
import type { Measured } from "./steady.js";
import { type Running, type VariantName, variants } from "./variants.js";
import { type Workload, workloads } from "./workloads/index.js";

const rounds = 40;
const roundMilliseconds = 35;
/** Milliseconds of work of its own that every variant does before anything counts. */
const warmUp = 3000;
/** The same, if captures still spend their credit: that belongs to the first seconds, which are measured apart. */
const longestWarmUp = 60_000;
/** Share of the time beyond which captures do that: these tell nothing new, and are charged as several. */
const settledShare = (1.3 * captureShare) / repeatedCapturePrice;
/** They are rare by then: so many looks, each of so many milliseconds of work, have to find it so. */
const settledLooks = 4;
const lookMilliseconds = 500;
/** The naive hook is so slow that it does less in a round, and fewer rounds. */
const naiveShare = 50;
const naiveRounds = 5;

async function measure(
  workload: Workload,
  names: readonly VariantName[],
  withNaive: boolean,
): Promise<Measured> {
  const all: Running[] = [];
  for (const name of ["raw", ...names] as const) all.push(await variants[name](workload));
  const [raw] = all;
  const count = calibrate(raw, roundMilliseconds);
  const profiled = names.indexOf("profiled") + 1;
  const state = () => ({ captures: all[profiled].captureTime(), ...all[profiled].recorded() });
  let before = state();
  const { times, cpuTimes } = perform(
    all,
    count,
    (function* () {
      yield* settle(all);
      before = state();
      return yield* inTurn(all.length, rounds);
    })(),
  );
  const after = state();
  const toRaw = (columns: number[][]) =>
    columns.slice(1).map((column) => column.map((time, round) => time / columns[0][round]));
  const measured: Measured = {
    raw: median(times[0]),
    ratios: toRaw(times),
    cpuRatios: toRaw(cpuTimes),
    totals: times.slice(1).map((column) => sum(column) / sum(times[0])),
    allocationRate: (after.allocations - before.allocations) / sum(times[0]) / 1000,
    contexts: after.contexts,
    captures: (after.captures - before.captures) / sum(times[profiled]),
  };
  if (withNaive)
    measured.naive = await measureNaive(workload, raw, Math.max(1, Math.round(count / naiveShare)));
  for (const it of all) it.end();
  return measured;
}

/** Until the engine has compiled what it will, and captures take no more than their share. */
function* settle(all: readonly Running[]): Schedule<void> {
  const unsettled = new Map(all.map((_, turn) => [turn, { spent: 0, looks: 0 }]));
  while (unsettled.size > 0) {
    for (const [turn, state] of [...unsettled]) {
      const captures = all[turn].captureTime();
      let time = 0;
      while (time < lookMilliseconds) time += (yield turn).time;
      state.spent += time;
      const isSettled = (all[turn].captureTime() - captures) / time <= settledShare;
      state.looks = isSettled ? state.looks + 1 : 0;
      const { spent, looks } = state;
      if (spent >= longestWarmUp || (spent >= warmUp && looks >= settledLooks)) unsettled.delete(turn);
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

const [name, names, naive] = process.argv.slice(2);
const workload = workloads.find((it) => it.name === name)!;
const measured = await measure(workload, names.split(",") as VariantName[], naive !== undefined);
process.stdout.write(JSON.stringify(measured));
// workloads may keep timers and workers
process.exit(0);
