import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { analyze } from "../analyze/analyze.js";
import type { Report } from "../analyze/report.js";
import { defaultQuarantine, defaultRedzone } from "../attach/limits.js";
import { type Launched, launch } from "../attach/node/launcher.js";
import { branchHinting } from "../attach/node/run-options.js";
import { UsageError } from "../errors.js";
import type { AllocatorOverride } from "../instrument/index.js";
import { demangle } from "../names/demangle.js";
import { systemReason } from "../profile/file.js";
import { jsonCheck } from "../report/json.js";
import { checkText } from "../report/memory-errors.js";
import { isSuppressed, parseSuppressions, type Suppression, suppressionOf } from "../report/suppressions.js";
import { allocatorOption } from "./allocator-option.js";
import { ProgramEnded } from "./outcome.js";
import { outputWidth, usesColor } from "./output.js";
import { writeReport } from "./output-file.js";
import { programOf } from "./program.js";
import { SymbolFiles, symbolizeFile } from "./symbolize.js";
import { symbolsOption } from "./symbols-option.js";

interface CheckCommandOptions {
  out?: string;
  force?: true;
  format: "text" | "json";
  allocator: AllocatorOverride[];
  symbols: string[];
  halt?: true;
  errorExitcode?: number;
  strict?: true;
  suppressions: string[];
  genSuppressions?: string;
  leaks: "no" | "show" | "all" | "fail";
  redzone: number;
  quarantine: number;
  profile?: string;
}

/** Exit code with `--halt` when no other one is asked for. */
const haltCode = 1;
const noSnapshots = 2 ** 31 - 1;

/** `linmem check`: runs a program and says where it misuses its WebAssembly memory. Ends as the program ended. */
export function checkCommand(): Command {
  return new Command("check")
    .description("run a program and find memory errors in its WebAssembly modules")
    .usage(
      "[options] [node options] <script> [arguments]\n       linmem check [options] -- <command> [arguments]",
    )
    .argument("[program...]", "node options, script and its arguments; after --, any command")
    .addOption(
      new Option("--format <format>", "text for people, json for programs")
        .choices(["text", "json"])
        .default("text"),
    )
    .option(
      "-o, --out <file>",
      "file for the findings (default: standard error for text, standard output for json)",
    )
    .option("--profile <file>", "keep the profile of the run, for linmem report")
    .option("-f, --force", "overwrite files that exist")
    .option("--halt", "end the program at the first error, with exit code 1 or what --error-exitcode says")
    .addOption(
      new Option(
        "--error-exitcode <code>",
        "exit code when there were errors (default: the program's own)",
      ).argParser(parseExitCode),
    )
    .addOption(
      new Option("--suppressions <file>", "findings that are known already (may be given several times)")
        .argParser((path: string, previous: string[]) => [...previous, path])
        .default([]),
    )
    .option("--gen-suppressions <file>", "write a file for --suppressions with all that was found")
    .option("--strict", "count it as an error when a module could not be checked")
    .addOption(
      new Option(
        "--leaks <how>",
        "blocks that nothing in the memory leads to at the end: with all also those that JavaScript may hold, with fail they are errors",
      )
        .choices(["no", "show", "all", "fail"])
        .default("show"),
    )
    .addOption(
      new Option("--redzone <bytes>", "between a block and what follows")
        .argParser(parseRedzone)
        .default(defaultRedzone),
    )
    .addOption(
      new Option("--quarantine <KiB>", "of freed blocks that are kept from being used again")
        .argParser(parseQuarantine)
        .default(defaultQuarantine / 1024),
    )
    .addOption(allocatorOption())
    .addOption(symbolsOption())
    .passThroughOptions()
    .allowUnknownOption()
    .action(async (program: string[], options: CheckCommandOptions, command: Command) => {
      const { start, script } = programOf(command, program);
      new SymbolFiles(options.symbols).close(); // says now what is wrong with them
      const known = options.suppressions.flatMap(readSuppressions);
      if (options.halt && known.length > 0) {
        throw new UsageError(
          "--halt does not go with --suppressions: what is suppressed is known only when the program has ended",
        );
      }
      const folder = mkdtempSync(join(tmpdir(), "linmem-check-"));
      let failed = false;
      try {
        const outcome = await launch(
          {
            ...start,
            ...(options.profile !== undefined && { out: resolve(options.profile) }),
            folder,
            interval: noSnapshots,
            allocator: options.allocator,
            check: {
              redzone: options.redzone,
              quarantine: options.quarantine * 1024,
              ...(hasBranchHinting() && { hintsIn: process.version }),
              ...(options.halt && { halt: options.errorExitcode ?? haltCode }),
            },
          },
          async (launched) => {
            failed = await conclude(launched, { ...options, known, script });
          },
        ).catch((error) => {
          if (error instanceof UsageError) throw error;
          throw new UsageError(`cannot run ${program[0]}: ${systemReason(error)}`, { cause: error });
        });
        throw new ProgramEnded(failed ? (options.errorExitcode ?? outcome) : outcome);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
}

/** Whether this version of Node.js can be told to heed branch hints. */
function hasBranchHinting(): boolean {
  const { stdout } = spawnSync(process.execPath, ["--v8-options"], { encoding: "utf8", env: {} });
  return typeof stdout === "string" && stdout.includes(branchHinting);
}

/** @throws UsageError when the file can't be read, or makes no sense */
function readSuppressions(path: string): Suppression[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`cannot read ${path}: ${systemReason(error)}`, { cause: error });
  }
  return parseSuppressions(text, path);
}

interface ConcludeOptions extends CheckCommandOptions {
  known: readonly Suppression[];
  script: string | undefined;
}

/** Prints what was found; returns whether that is something to fail for. */
async function conclude(launched: Launched, options: ConcludeOptions): Promise<boolean> {
  const { stderr } = process;
  const { known, script } = options;
  for (const failure of new Set(launched.failures)) stderr.write(`linmem: ${failure}\n`);
  const reports: Report[] = [];
  const suppressed: number[] = [];
  for (const path of launched.profiles.sort()) {
    const profile = await symbolizeFile(path, { symbols: options.symbols, kept: launched.symbols });
    const report = analyze(profile, { demangle });
    const all = (report.memoryErrors ?? []).filter(({ kind }) => kind !== "leak" || options.leaks !== "no");
    report.memoryErrors = all.filter((error) => !isSuppressed(error, report.modules, known));
    suppressed.push(all.length - report.memoryErrors.length);
    const possible = options.leaks === "no" ? [] : (report.possibleLeaks ?? []);
    report.possibleLeaks = possible.filter((leak) => !isSuppressed(leak, report.modules, known));
    reports.push(report);
  }
  if (reports.length === 0 && launched.failures.length === 0) {
    stderr.write(
      launched.attached
        ? `linmem: ${script ?? "the program"} made no instance with a WebAssembly memory; nothing was checked\n`
        : "linmem: nothing was checked: no Node process got to run a program\n",
    );
  }
  await print(reports, suppressed, options);
  if (options.genSuppressions !== undefined) {
    const entries = reports.flatMap(({ memoryErrors = [], possibleLeaks = [], modules }) =>
      [...memoryErrors, ...(options.leaks === "all" ? possibleLeaks : [])].map((error) =>
        suppressionOf(error, modules),
      ),
    );
    const different = [...new Set(entries)].filter((entry) => entry !== undefined);
    const { genSuppressions: out, force } = options;
    await writeReport([different.join("\n")], { out, ...(force && { force }) });
  }
  return reports.some((report) => fails(report, options));
}

/** @param suppressed how many findings were left out of each report */
async function print(
  reports: readonly Report[],
  suppressed: readonly number[],
  { format, out, force, leaks }: CheckCommandOptions,
): Promise<void> {
  const { stderr } = process;
  if (format === "json") {
    const left = suppressed.reduce((sum, count) => sum + count, 0);
    await writeReport(jsonCheck(reports, left), {
      ...(out !== undefined && { out }),
      ...(force && { force }),
    });
    return;
  }
  const directory = process.cwd();
  const possibleLeaks = leaks === "all";
  if (out === undefined) {
    const look = { width: outputWidth(stderr), color: usesColor(stderr), directory };
    reports.forEach((report, i) => {
      stderr.write(checkText(report, { ...look, suppressed: suppressed[i]!, possibleLeaks }));
    });
  } else {
    const texts = reports.map((report, i) =>
      checkText(report, { directory, suppressed: suppressed[i]!, possibleLeaks }),
    );
    await writeReport(texts, { out, ...(force && { force }) });
  }
}

function fails({ memoryErrors = [], warnings }: Report, { leaks, strict }: CheckCommandOptions): boolean {
  if (strict && warnings.some(({ code }) => code === "not-checked" || code === "not-instrumented"))
    return true;
  return memoryErrors.some(({ kind }) => kind !== "leak" || leaks === "fail");
}

function parseExitCode(text: string): number {
  const code = Number(text);
  if (!(Number.isInteger(code) && code >= 1 && code <= 255)) {
    throw new InvalidArgumentError("give a number from 1 to 255.");
  }
  return code;
}

function parseRedzone(text: string): number {
  const bytes = Number(text);
  if (!(Number.isInteger(bytes) && bytes >= 8 && bytes <= 4096 && bytes % 8 === 0)) {
    throw new InvalidArgumentError("give a multiple of 8 from 8 to 4096.");
  }
  return bytes;
}

function parseQuarantine(text: string): number {
  const size = Number(text);
  if (!(Number.isInteger(size) && size >= 0 && size <= 4 * 1024 * 1024)) {
    throw new InvalidArgumentError("give a whole number of KiB from 0 to 4194304.");
  }
  return size;
}
