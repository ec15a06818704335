import { accessSync, closeSync, constants, openSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { defaultSnapshotInterval } from "../attach/limits.js";
import { launch } from "../attach/node/launcher.js";
import { UsageError } from "../errors.js";
import type { AllocatorOverride } from "../instrument/index.js";
import { systemReason } from "../profile/system-reason.js";
import { allocatorOption } from "./allocator-option.js";
import { ProgramEnded } from "./outcome.js";
import { cannotWrite } from "./output.js";
import { programOf } from "./program.js";
import { checkSymbols, symbolsOption } from "./symbols-option.js";

interface RunCommandOptions {
  out?: string;
  allocator: AllocatorOverride[];
  interval: number;
  symbols: string[];
  asyncCauses?: true;
  force?: true;
  quiet?: true;
}

/** `linmem run`: runs a program and leaves a profile of its WebAssembly memory. Ends as the program ended. */
export function runCommand(): Command {
  return new Command("run")
    .description("run a program and record what holds its WebAssembly memory")
    .usage(
      "[options] [node options] <script> [arguments]\n       linmem run [options] -- <command> [arguments]",
    )
    .argument("[program...]", "node options, script and its arguments; after --, any command")
    .option("-o, --out <file>", "profile to write (default: <script>.<pid>.linmem)")
    .addOption(allocatorOption())
    .addOption(
      new Option("--interval <milliseconds>", "time between snapshots")
        .argParser(parseInterval)
        .default(defaultSnapshotInterval),
    )
    .addOption(symbolsOption())
    .option("--async-causes", "in callbacks of packages, also show what started them")
    .option("-f, --force", "overwrite the profile if it exists")
    .option("-q, --quiet", "print no summary at the end")
    .passThroughOptions()
    .allowUnknownOption()
    .action(async (program: string[], options: RunCommandOptions, command: Command) => {
      const { start, script } = programOf(command, program);
      await checkSymbols(options.symbols);
      const out = checkOutput(options);
      const running = launch(
        {
          ...start,
          out,
          folder: process.cwd(),
          interval: options.interval,
          allocator: options.allocator,
          asyncCauses: options.asyncCauses,
        },
        async (launched) => (await summary).summarizeRun(launched, options, script),
      );
      // The program has started: what the end needs is loaded beside it.
      const summary = import("./run-summary.js");
      const outcome = await running.catch((error) => {
        throw new UsageError(`cannot run ${program[0]}: ${systemReason(error)}`, { cause: error });
      });
      throw new ProgramEnded(outcome);
    });
}

/** Makes sure that the profile can be written before the program starts. */
function checkOutput({ out, force }: RunCommandOptions): string | undefined {
  if (out === undefined) {
    try {
      accessSync(process.cwd(), constants.W_OK);
    } catch (error) {
      const reason = systemReason(error);
      throw new UsageError(
        `cannot write a profile to ${process.cwd()}: ${reason}; name another place with --out`,
      );
    }
    return undefined;
  }
  const path = resolve(out);
  if (force) {
    try {
      rmSync(path, { force: true });
    } catch (error) {
      throw cannotWrite(out, error);
    }
  }
  try {
    closeSync(openSync(path, "ax"));
  } catch (error) {
    throw cannotWrite(out, error);
  }
  // The process that has something to record makes it.
  rmSync(path);
  return path;
}

function parseInterval(text: string): number {
  const interval = Number(text);
  if (!(interval >= 10 && interval <= 2 ** 31 - 1)) {
    throw new InvalidArgumentError("give a number of milliseconds from 10 on.");
  }
  return interval;
}
