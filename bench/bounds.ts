/**
 * `npm run bench:bounds -- [--quick] [--write]`: the recorder at its bounds: many blocks, contexts, events,
 * instances, deep recursion. Prints markdown, and with --write puts it into bench/RESULTS.md. Takes about two
 * minutes, with --quick a quarter of that.
 */
import { createRecorder, type Recorder } from "../src/recorder/index.js";
import { compileDriver, createDriver, type Driver } from "./recorder-driver.js";
import { circumstances, writeResults } from "./results.js";

const quick = process.argv.includes("--quick");

interface Rig {
  recorder: Recorder;
  driver: Driver;
  leave(): void;
}

function makeRig(): Rig {
  const recorder = createRecorder({ contextSeen: () => true, captureCaller: () => 1, isNested: () => false });
  return { recorder, driver: createDriver(recorder), leave: recorder.imports.leave as () => void };
}

const lines: string[] = [];

function say(line = ""): void {
  lines.push(line);
  process.stdout.write(`${line}\n`);
}

function table(head: string[], rows: (string | number)[][]): void {
  say(`| ${head.join(" | ")} |`);
  say(`|${head.map((_, i) => (i === 0 ? "---" : "---:")).join("|")}|`);
  for (const row of rows) {
    say(
      `| ${row.map((cell) => (typeof cell === "number" ? cell.toLocaleString("en") : cell)).join(" | ")} |`,
    );
  }
  say();
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(2)} MiB`;
}

function liveBlocks(): void {
  const rows = [];
  const { recorder, driver, leave } = makeRig();
  const empty = recorder.memoryBytes();
  let live = 0;
  for (const blocks of [100_000, 250_000, 500_000, 1_000_000, 1_500_000, 2_000_000, 3_000_000]) {
    driver.fill(live, blocks - live, 64n);
    leave();
    live = blocks;
    const bytes = recorder.memoryBytes();
    const counted = recorder.totals();
    if (counted.liveBlocks !== blocks || counted.untracked > 0) throw new Error("the recorder lost blocks");
    rows.push([blocks, mebibytes(bytes), ((bytes - empty) / blocks).toFixed(1)]);
  }
  say(
    `Live blocks, 64 contexts. An empty recorder has ${empty / 1024} KiB. Allowed: 16 bytes a block and 1 MiB.`,
  );
  say();
  table(["live blocks", "recorder's memory", "bytes per block"], rows);
}

function contexts(): void {
  const rows = [];
  const { recorder, driver, leave } = makeRig();
  const empty = recorder.memoryBytes();
  for (const count of [10_000, 100_000, 262_143]) {
    driver.contexts(count);
    leave();
    const bytes = recorder.memoryBytes() - empty;
    rows.push([count, mebibytes(recorder.memoryBytes()), (bytes / count).toFixed(1)]);
  }
  say("Calling contexts, without live blocks. Allowed: 64 bytes a context and 1 MiB.");
  say();
  table(["contexts", "recorder's memory", "bytes per context"], rows);
}

/** A recursion calls itself from one site: every depth is a context of its own. */
function recursion(): void {
  const factor = 0x29e3779b1n;
  const rows = [];
  for (const depth of [1000, 10_000, 100_000, 400_000]) {
    const { recorder, leave } = makeRig();
    const { alloc, allocSlowly } = recorder.imports as Record<
      string,
      (address: number, bytes: number, context: bigint) => number
    >;
    let context = 2n;
    for (let i = 1; i <= depth; i++) {
      context = BigInt.asUintN(64, context * factor + 4n);
      if (alloc(16 * i, 32, context) < 0) allocSlowly(16 * i, 32, context);
    }
    leave();
    const start = performance.now();
    const { contexts } = recorder.takeChanges();
    const time = performance.now() - start;
    const { contextsDropped } = recorder.totals();
    rows.push([
      depth,
      contexts.length,
      contextsDropped,
      mebibytes(recorder.memoryBytes()),
      `${time.toFixed(1)} ms`,
    ]);
  }
  say(
    "Recursion, a live block of its own at every depth; beyond 262,144 records contexts are counted together.",
  );
  say();
  table(["depth", "records", "allocations beyond", "recorder's memory", "first snapshot"], rows);
}

function instances(): void {
  const count = 1000;
  const start = performance.now();
  const rigs = Array.from({ length: count }, makeRig);
  for (const { driver, leave } of rigs) {
    driver.fill(0, 10, 4n);
    leave();
  }
  const time = performance.now() - start;
  const bytes = rigs.reduce((sum, { recorder }) => sum + recorder.memoryBytes(), 0);
  say(
    `${count} recorders with 10 blocks each: ${mebibytes(bytes)} in all, ` +
      `${(bytes / count / 1024).toFixed(0)} KiB and ${((time / count) * 1000).toFixed(0)} µs each.`,
  );
  say();
}

/** Nanoseconds for a pair of `alloc` and `free`: the best of several rounds, loop included. */
function nanoseconds(pairs: number, round: () => void): string {
  let best = Infinity;
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    round();
    best = Math.min(best, performance.now() - start);
  }
  return ((best * 1e6) / pairs).toFixed(1);
}

function patterns(): void {
  const pairs = quick ? 1_000_000 : 5_000_000;
  const rows = [];
  for (const contexts of [1n, 64n, 4096n]) {
    const row: (string | number)[] = [Number(contexts)];
    const temporary = makeRig();
    row.push(nanoseconds(pairs, () => temporary.driver.temporary(pairs, contexts)));
    for (const depth of [2, 100]) {
      const { driver } = makeRig();
      row.push(nanoseconds(pairs, () => driver.lifo(pairs, depth, contexts)));
    }
    for (const live of [100, 1000, 50_000, 1_000_000]) {
      const { driver, leave } = makeRig();
      driver.fill(0, live, contexts);
      leave();
      row.push(nanoseconds(pairs, () => driver.churn(pairs, live, contexts, 0)));
    }
    const { driver, leave } = makeRig();
    driver.fill(0, 1000, contexts);
    leave();
    row.push(nanoseconds(pairs, () => driver.churn(pairs, 1000, contexts, 10)));
    rows.push(row);
  }
  say("Time for a pair of `alloc` and `free`, called from wasm, in ns; the driver's own loop included.");
  say();
  table(
    [
      "contexts",
      "temporary",
      "LIFO, depth 2",
      "LIFO, depth 100",
      "random, 100 live",
      "random, 1,000 live",
      "random, 50,000 live",
      "random, 1,000,000 live",
      "random, 1,000 live, `leave` every 10",
    ],
    rows,
  );
}

/** A thousand million pairs, or what a minute allows: half of them temporary, half at random among 1,000. */
function events(): void {
  const { recorder, driver, leave } = makeRig();
  driver.fill(0, 1000, 64n);
  leave();
  const step = 10_000_000;
  const start = performance.now();
  const limit = quick ? 2000 : 60_000;
  let pairs = 0;
  while (pairs < 1e9 && performance.now() - start < limit) {
    driver.churn(step / 2, 1000, 64n, 100);
    // their addresses are others than those of the blocks that live
    driver.empty(1000);
    driver.temporary(step / 2, 64n);
    driver.fill(0, 1000, 64n);
    leave();
    pairs += step;
  }
  const seconds = (performance.now() - start) / 1000;
  const totals = recorder.totals();
  if (totals.liveBlocks !== 1000 || totals.unknownFrees > 0 || totals.missedFrees > 0) {
    throw new Error("the recorder miscounted");
  }
  say(
    `${(totals.allocations + totals.frees).toLocaleString("en")} events in ${seconds.toFixed(1)} s, ` +
      `${((seconds * 1e9) / pairs).toFixed(1)} ns a pair; ${totals.liveBlocks} live at the end, ` +
      `memory ${mebibytes(recorder.memoryBytes())}.`,
  );
  say();
}

await compileDriver();
liveBlocks();
contexts();
recursion();
instances();
patterns();
events();
const measured = circumstances("npm run bench:bounds -- --write");
if (process.argv.includes("--write")) {
  writeResults(
    "bounds",
    `## Bounds\n\nThe recorder alone.\n\n${lines.join("\n").trim()}\n\nMeasured ${measured}`,
  );
}
