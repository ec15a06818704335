/**
 * `npm run bench:check -- [kernel] [--ways=inline,asan] [--quick] [--write]`: what checks cost the kernels of a C program, by `linmem check` and by
 * what Emscripten can build into it. Needs its compiler (`emcc`, Debian's 3.1.6), and for checks that read the
 * shadow memory themselves Node 22 or later. Node is started as `linmem check` starts it, with branch hints. All ways run in one process, in turn.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { circumstances, writeResults } from "../results.js";
import { calibrate, inTurn, perform } from "../rounds.js";
import { geometricMean, median } from "../statistics.js";
import { table } from "../tables.js";
import { ensureBuilds, kernels } from "./builds.js";
import { type LoadedWay, loadWay, type WayName, ways } from "./ways.js";

const args = process.argv.slice(2);
const quick = args.includes("--quick");
const [filter = ""] = args.filter((argument) => !argument.startsWith("--"));
const rounds = quick ? 9 : 15;
const roundMilliseconds = 15;
/** Milliseconds of processor time that each way works before anything counts: the engine compiles meanwhile. */
const warmUp = quick ? 300 : 500;

/** Milliseconds of a round that is repeated less often. */
const slowRound = 500;
const slowRounds = 2;

const ratio = (value: number) => value.toFixed(2);

function measure(loaded: ReadonlyMap<WayName, LoadedWay>, kernel: string): Map<WayName, number> {
  const workers = [...loaded.values()].map(({ kernels }) => ({
    round(count: number) {
      const start = performance.now();
      kernels[kernel](count);
      return performance.now() - start;
    },
  }));
  const [raw] = workers;
  const expected = loaded.get("raw")!.kernels[kernel](3);
  for (const [name, { kernels }] of loaded) {
    const result = kernels[kernel](3);
    if (result !== expected) throw new Error(`${kernel} is ${result} by ${name}, and ${expected} raw`);
  }
  const count = calibrate(raw, roundMilliseconds);
  const isSlow = workers.map((worker) => {
    let [spent, done] = [0, 0];
    for (const start = process.cpuUsage(); spent < warmUp; done++) {
      worker.round(count);
      const { user, system } = process.cpuUsage(start);
      spent = (user + system) / 1000;
    }
    return spent / done > slowRound;
  });
  const ratiosOf = (chosen: readonly (typeof raw)[], rounds: number) => {
    const { cpuTimes } = perform(chosen, count, inTurn(chosen.length, rounds));
    return cpuTimes.map((own) => median(own.map((time, round) => time / cpuTimes[0][round])));
  };
  const quickOnes = workers.filter((_, i) => !isSlow[i]);
  const ratios = ratiosOf(quickOnes, rounds);
  return new Map(
    [...loaded.keys()].map((name, i) => [
      name,
      isSlow[i] ? ratiosOf([raw, workers[i]], slowRounds)[1] : ratios[quickOnes.indexOf(workers[i])],
    ]),
  );
}

/** The largest resident size of processes that run all kernels. */
function residentSize(name: WayName): number {
  const program = fileURLToPath(new URL("./resident.js", import.meta.url));
  const sizes = Array.from({ length: quick ? 1 : 3 }, () => {
    const { stdout, stderr, status } = spawnSync(process.execPath, [...process.execArgv, program, name], {
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(stderr);
    return Number(stdout);
  });
  return median(sizes);
}

const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

ensureBuilds();
const loaded = new Map<WayName, LoadedWay>();
const only = args
  .find((argument) => argument.startsWith("--ways="))
  ?.slice("--ways=".length)
  .split(",");
for (const [name, way] of ways)
  if (name === "raw" || (only?.includes(name) ?? true)) loaded.set(name, await loadWay(way));
const chosen = kernels.filter((kernel) => kernel.includes(filter));
const results = chosen.map((kernel) => {
  const measured = measure(loaded, kernel);
  process.stderr.write(`${kernel}  ${[...measured.values()].map(ratio).join("  ")}\n`);
  return measured;
});

const others = [...loaded.keys()].filter((name) => name !== "raw");
const mean = (name: WayName) => geometricMean(results.map((it) => it.get(name)!));
const rows = chosen.map((kernel, i) => [kernel, ...others.map((name) => ratio(results[i].get(name)!))]);
rows.push(["geometric mean", ...others.map((name) => ratio(mean(name)))]);
const titles = [...loaded.keys()].map((name) => ways.get(name)!.title);
const time = table(["kernel", ...titles.slice(1)], rows);

const sizes = table(
  ["", ...titles],
  [
    ["module, KiB", ...[...loaded.values()].map(({ code }) => (code / 1024).toFixed(0))],
    ["linear memory", ...[...loaded.values()].map((way) => mebibytes(way.memory()))],
    ["resident size of a process", ...[...loaded.keys()].map((name) => mebibytes(residentSize(name)))],
  ],
);
const best = loaded.has("inline") ? "inline" : "calls";
const verdict = !loaded.has("asan")
  ? ""
  : `Geometric mean ${ratio(mean(best))} (goal: at most 1.7 where checks are inline); AddressSanitizer takes ${ratio((mean("asan") - 1) / (mean(best) - 1))} times as much beyond the raw time, and ${ratio(mean("asan") / mean(best))} times as long.`;
const text =
  "Processor time against the raw program: medians of the ratios of rounds, all in one process, in turn. Emscripten 3.1.6, -O2; linmem rewrites what is raw, the others compile it anew.";
const [major] = process.versions.node.split(".");
const title = `Checking, Node ${major}`;
const section = `## ${title}\n\n${text}\n\n${time}\n\n${verdict}\n\n${sizes}\n\nMeasured ${circumstances("npm run bench:check")}`;
process.stdout.write(`\n${section}\n`);
if (args.includes("--write")) writeResults(`check ${major}`, section);
for (const way of loaded.values()) way.end();
