// `--symbols`, as all commands take it that show stacks.
import { Option } from "commander";

/** The option, which may be given several times; its value is a list of paths. */
export function symbolsOption(): Option {
  return new Option("--symbols <file>", "unstripped module, or file with its names or DWARF")
    .argParser((path: string, previous: string[]) => [...previous, path])
    .default([], "what modules contain or refer to");
}
