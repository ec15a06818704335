import { Command, Option } from "commander";
import { analyze } from "../analyze/analyze.js";
import { demangle } from "../names/demangle.js";
import { readProfileFile } from "../profile/file.js";
import { type SortKey, sortKeys, tableReport } from "../report/table.js";
import { outputWidth, usesColor, writeOutput } from "./output.js";
import { symbolize } from "./symbolize.js";
import { symbolsOption } from "./symbols-option.js";
import { parseTop } from "./whole-number.js";

interface TableOptions {
  sort: SortKey;
  filter: string[];
  symbols: string[];
  top: number;
}

/** `linmem table`: all stacks of a profile as lines, to sort, filter and search. */
export function tableCommand(): Command {
  return new Command("table")
    .description("list the stacks of a profile, one a line, sorted and filtered")
    .argument("<profile>", "file that `linmem run` wrote")
    .addOption(new Option("-s, --sort <column>", "largest first").choices(sortKeys).default("live"))
    .addOption(
      new Option(
        "--filter <text>",
        "only rows with this in a function, file or module; !text: only rows without",
      )
        .argParser((text: string, previous: string[]) => [...previous, text])
        .default([], "all"),
    )
    .addOption(symbolsOption())
    .option("--top <n>", "how many rows", parseTop, 40)
    .action(async (path: string, { symbols, ...options }: TableOptions) => {
      const profile = await readProfileFile(path);
      if (symbols.length > 0) symbolize(profile, { symbols });
      const { stdout } = process;
      const look = { width: outputWidth(stdout), color: usesColor(stdout), directory: process.cwd() };
      await writeOutput(tableReport(analyze(profile, { demangle }), { ...look, ...options }));
    });
}
