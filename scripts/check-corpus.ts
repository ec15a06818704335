// Runs every workload of the corpus under `linmem check` and prints a table: whether its output is as without, what was
// found, how many blocks only JavaScript may hold, and how long it took. In modes `once` and `free` nothing is to be found.
//
//   LINMEM_CORPUS=directory npm run check-corpus            the directory may also be an argument
//   npm run check-corpus -- directory photon resvg          only these workloads
//
// Exits with 1 when an output differs or anything is found, a leak included.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { linmem } from "../test/attach/run-program.js";
import { workloadNames } from "../test/corpus/workloads.js";
import { corpusDirectory } from "../test/support/shared.js";

interface Found {
  kind: string;
  count: number;
  stack: { function: string }[];
  allocatedAt?: { function: string }[];
}

interface CheckJson {
  findings: Found[];
  possibleLeaks: Found[];
  warnings: { message: string }[];
}

/** Milliseconds that a workload may take: the largest do in some hundred seconds what takes one without checks. */
const longest = 1_800_000;

const given = process.argv.slice(2);
const named = given[0] !== undefined && existsSync(given[0]) ? given.shift() : undefined;
const directory = named ?? corpusDirectory();
if (!directory) {
  process.stderr.write("check-corpus: name the corpus' directory, in LINMEM_CORPUS or as an argument\n");
  process.exitCode = 2;
} else {
  checkAll(directory, given.length > 0 ? given : workloadNames(directory));
}

function checkAll(corpus: string, names: readonly string[]): void {
  const folder = mkdtempSync(join(tmpdir(), "linmem-check-corpus-"));
  let clean = true;
  process.stdout.write(`Node.js ${process.version}\n`);
  for (const name of names) {
    for (const args of [["once"], ["free", "20"]]) {
      const script = [join("workloads", `${name}.mjs`), ...args];
      const raw = run(corpus, script);
      const out = join(folder, `${name}.${args[0]}.json`);
      const checked = run(corpus, [linmem, "check", "--format", "json", "-o", out, ...script]);
      const { findings, possibleLeaks, warnings }: CheckJson = existsSync(out)
        ? (JSON.parse(readFileSync(out, "utf8")) as CheckJson)
        : { findings: [], possibleLeaks: [], warnings: [] };
      const errors = findings.filter(({ kind }) => kind !== "leak");
      const same = raw.output === checked.output;
      clean &&= same && findings.length === 0;
      const cells = [
        name.padEnd(22),
        args[0]!.padEnd(5),
        same ? "same output" : "OTHER OUTPUT",
        `${errors.length} errors`,
        `${findings.length - errors.length} leaks`,
        `${possibleLeaks.reduce((sum, { count }) => sum + count, 0)} blocks only in JavaScript`,
        `${(checked.time / raw.time).toFixed(1)}x`,
      ];
      process.stdout.write(`${cells.join("  ")}\n`);
      if (!same) process.stdout.write(`    ${checked.errors.split("\n").slice(0, 3).join("\n    ")}\n`);
      for (const { kind, count, stack, allocatedAt = [] } of findings.slice(0, 5)) {
        process.stdout.write(
          `    ${kind} ×${count}  ${(kind === "leak" ? allocatedAt : stack)
            .slice(0, 3)
            .map(({ function: name }) => name || "?")
            .join(" < ")}\n`,
        );
      }
      for (const { message } of warnings) process.stdout.write(`    ${message}\n`);
    }
  }
  rmSync(folder, { recursive: true, force: true });
  if (!clean) process.exitCode = 1;
}

function run(cwd: string, args: readonly string[]) {
  const start = performance.now();
  const { stdout, stderr, status, error } = spawnSync(process.execPath, args, {
    cwd,
    encoding: "utf8",
    maxBuffer: 1 << 28,
    timeout: longest,
  });
  // not the output that it would have had
  if (error)
    throw new Error(`${args.join(" ")} did not end in ${longest / 60_000} minutes: ${error.message}`);
  return { output: `${status}\n${stdout}`, errors: stderr, time: performance.now() - start };
}
