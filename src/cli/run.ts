import { accessSync, closeSync, constants, openSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { analyze } from "../analyze/analyze.js";
import { defaultSnapshotInterval } from "../attach/limits.js";
import { type Launched, launch } from "../attach/node/launcher.js";
import { UsageError } from "../errors.js";
import type { AllocatorOverride } from "../instrument/index.js";
import { demangle } from "../names/demangle.js";
import { systemReason } from "../profile/file.js";
import type { Profile } from "../profile/state.js";
import { summary } from "../report/summary.js";
import { allocatorOption } from "./allocator-option.js";
import { ProgramEnded } from "./outcome.js";
import { cannotWrite, outputWidth, ownCommand, usesColor } from "./output.js";
import { programOf } from "./program.js";
import { SymbolFiles, symbolizeFile } from "./symbolize.js";
import { symbolsOption } from "./symbols-option.js";

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
      new SymbolFiles(options.symbols).close(); // says now what is wrong with them
      const out = checkOutput(options);
      let outcome: Launched["outcome"];
      try {
        outcome = await launch(
          {
            ...start,
            out,
            folder: process.cwd(),
            interval: options.interval,
            allocator: options.allocator,
            asyncCauses: options.asyncCauses,
          },
          (launched) => conclude(launched, options, script),
        );
      } catch (error) {
        throw new UsageError(`cannot run ${program[0]}: ${systemReason(error)}`, { cause: error });
      }
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

/** Says on standard error what the run recorded. */
async function conclude(launched: Launched, options: RunCommandOptions, script?: string): Promise<void> {
  const { stderr } = process;
  for (const failure of new Set(launched.failures)) stderr.write(`linmem: ${failure}\n`);
  const profiles = new Map<string, Profile>();
  for (const path of launched.profiles.sort()) {
    try {
      profiles.set(path, await symbolizeFile(path, { symbols: options.symbols, kept: launched.symbols }));
    } catch (error) {
      stderr.write(`linmem: cannot summarize ${path}: ${(error as Error).message}\n`);
    }
  }
  if (options.quiet) return;
  if (launched.profiles.length === 0 && launched.failures.length === 0) {
    stderr.write(
      launched.attached
        ? `linmem: ${script ?? "the program"} made no instance with a WebAssembly memory; no profile was written\n`
        : "linmem: nothing was recorded: no Node process got to run a program\n",
    );
  }
  const folder = process.cwd();
  const command = ownCommand(process.argv[1] ?? "", folder);
  const page = { width: outputWidth(stderr), color: usesColor(stderr), directory: folder };
  for (const [file, profile] of profiles) {
    const path = join(file).startsWith(join(folder, "/")) ? file.slice(folder.length + 1) : file;
    stderr.write(summary(analyze(profile, { demangle }), { path, command, ...page }));
  }
}

function parseInterval(text: string): number {
  const interval = Number(text);
  if (!(interval >= 10 && interval <= 2 ** 31 - 1)) {
    throw new InvalidArgumentError("give a number of milliseconds from 10 on.");
  }
  return interval;
}
