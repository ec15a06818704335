import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { defaultQuarantine, defaultRedzone } from "../attach/limits.js";
import { launch } from "../attach/node/launcher.js";
import { branchHinting } from "../attach/node/run-options.js";
import { UsageError } from "../errors.js";
import type { AllocatorOverride } from "../instrument/index.js";
import { systemReason } from "../profile/system-reason.js";
import { parseSuppressions, type Suppression } from "../report/suppressions.js";
import { allocatorOption } from "./allocator-option.js";
import type { FindingsOptions } from "./check-findings.js";
import { ProgramEnded } from "./outcome.js";
import { programOf } from "./program.js";
import { checkSymbols, symbolsOption } from "./symbols-option.js";

interface CheckCommandOptions extends Omit<FindingsOptions, "known" | "script"> {
  allocator: AllocatorOverride[];
  halt?: true;
  errorExitcode?: number;
  suppressions: string[];
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
      await checkSymbols(options.symbols);
      const known = options.suppressions.flatMap(readSuppressions);
      if (options.halt && known.length > 0) {
        throw new UsageError(
          "--halt does not go with --suppressions: what is suppressed is known only when the program has ended",
        );
      }
      const folder = mkdtempSync(join(tmpdir(), "linmem-check-"));
      let failed = false;
      try {
        const running = launch(
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
            failed = await (await findings).concludeCheck(launched, { ...options, known, script });
          },
        );
        // The program has started: what the end needs is loaded beside it.
        const findings = import("./check-findings.js");
        const outcome = await running.catch((error) => {
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
