/** The end of `linmem run`: where the code on the stacks comes from goes into the profile, and a summary is printed. */
import { join } from "node:path";
import { analyze } from "../analyze/analyze.js";
import type { Launched } from "../attach/node/launcher.js";
import { demangle } from "../names/demangle.js";
import type { Profile } from "../profile/state.js";
import { summary } from "../report/summary.js";
import { outputWidth, ownCommand, usesColor } from "./output.js";
import { symbolizeFile } from "./symbolize.js";

export interface SummaryOptions {
  symbols: readonly string[];
  quiet?: true;
}

/** Says on standard error what the run recorded. */
export async function summarizeRun(
  launched: Launched,
  options: SummaryOptions,
  script?: string,
): Promise<void> {
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
