// `--symbols`, as all commands take it that show stacks.
import { Option } from "commander";

/** The option, which may be given several times; its value is a list of paths. */
export function symbolsOption(): Option {
  return new Option("--symbols <file>", "unstripped module, or file with its names or DWARF")
    .argParser((path: string, previous: string[]) => [...previous, path])
    .default([], "what modules contain or refer to");
}

/**
 * Says before a run what is wrong with files for `--symbols`.
 * @throws UsageError for a file that can't be read or is no module
 */
export async function checkSymbols(paths: readonly string[]): Promise<void> {
  if (paths.length === 0) return;
  const { SymbolFiles } = await import("./symbolize.js");
  new SymbolFiles(paths).close();
}
