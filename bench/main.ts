/**
 * `npm run bench -- [profile|parts|instrument|first|memory|heap]… [filter] [--write]`: measures, prints markdown, and with
 * --write puts it into bench/RESULTS.md. Without a part all of them run. A filter is a part of a workload's or
 * module's name; of `memory`, the library, one of views, strings, heap, fields; of `heap`, the allocator, a trace. Memory of the recorder and other bounds:
 * `npm run bench:bounds`.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { measureFirst } from "./first.js";
import { measureInstrument } from "./instrument.js";
import { libraryParts } from "./memory-parts.js";
import { ensurePackages } from "./packages.js";
import { circumstances, writeResults } from "./results.js";
import { measureSteady, partsTable, profileTable } from "./steady.js";
import type { VariantName } from "./variants.js";
import { type Workload, workloads } from "./workloads/index.js";

const partNames: readonly VariantName[] = ["hooks", "contexts", "contexts + hooks", "recorder", "profiled"];

const parts = {
  profile: {
    title: "Profiling, steady state",
    text: "Time against the raw program, after warming up: medians of the ratios of 40 rounds, all variants in one process, in turn. Five processes, of which the median counts: where code comes to lie makes up to 4 %. CPU: the same for processor time, which a busy machine disturbs less. Whole time: all rounds together, snapshots included. Naive: a hook in JavaScript that takes the stack of every allocation.",
    run: async (chosen: readonly Workload[]) => profileTable(steady(chosen, ["profiled"], true)),
  },
  parts: {
    title: "Profiling, part by part",
    text: "The same with parts of it, as ratios of processor time. Hooks call a recorder that does nothing, save in the last two columns; those add the real recorder, and then captures and snapshots.",
    run: async (chosen: readonly Workload[]) => partsTable(steady(chosen, partNames, false), partNames),
  },
  first: {
    title: "The first two seconds",
    text: "A whole process that does what takes two seconds raw, up to the end of the work: medians of 5 runs each, in turn. CPU includes what the engine compiles in the background.",
    run: async (chosen: readonly Workload[]) => measureFirst(chosen),
  },
  instrument: {
    title: "Instrumenting",
    text: "`instrument()` with all that belongs to it. Fresh: its first call in a process that has what V8 compiled of linmem in an earlier one, as `linmem run` has it from its second run on; first: without that. Medians of 7 processes each, in turn. Binaryen.js: `readBinary` and `emitBinary` without a pass.",
    run: async (_chosen: readonly Workload[], filter: string) => measureInstrument(filter),
  },
} as const;

/** In processes of their own: how V8 compiles a loop depends on all that ran before it. */
const programs = {
  memory: () => libraryParts.filter((part) => part.includes(filter)).map((part) => ["./memory.js", part]),
  heap: () => [["./heap/main.js", filter]],
};

function runPrograms(name: keyof typeof programs): void {
  for (const [file, ...options] of programs[name]()) {
    const program = fileURLToPath(new URL(file, import.meta.url));
    if (write) options.push("--write");
    const { status } = spawnSync(process.execPath, [program, ...options], { stdio: "inherit" });
    if (status !== 0) process.exit(status ?? 1);
  }
}

function steady(chosen: readonly Workload[], names: readonly VariantName[], naive: boolean) {
  return chosen.map((workload) => {
    process.stderr.write(`${workload.name}: ${workload.does}\n`);
    return measureSteady(workload, names, naive);
  });
}

const args = process.argv.slice(2);
const write = args.includes("--write");
const words = args.filter((argument) => !argument.startsWith("--"));
type Part = keyof typeof parts | keyof typeof programs;
const isPart = (word: string): word is Part =>
  // heaps are a part of the library's too
  word in parts || word === "memory" || (word === "heap" && words[0] !== "memory");
const [filter = ""] = words.filter((word) => !isPart(word));
const asked = words.some(isPart)
  ? words.filter(isPart)
  : ([...Object.keys(parts), ...Object.keys(programs)] as Part[]);
const chosen = workloads.filter(({ name }) => name.includes(filter));

if (asked.some((name) => !(name in programs))) ensurePackages();
for (const name of asked) {
  if (name === "memory" || name === "heap") {
    runPrograms(name);
    continue;
  }
  const { title, text, run } = parts[name];
  const result = await run(chosen, filter);
  const section = `## ${title}\n\n${text}\n\n${result}\n\nMeasured ${circumstances(`npm run bench -- ${name}`)}`;
  process.stdout.write(`\n${section}\n`);
  if (write) writeResults(name, section);
}
// workloads may keep timers and workers
process.exit(0);
