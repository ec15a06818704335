import { Command, Option } from "commander";
import { analyze } from "../analyze/analyze.js";
import { type Diff, diffReports } from "../analyze/diff.js";
import { demangle } from "../names/demangle.js";
import { readProfileFile } from "../profile/file.js";
import { markdownDiff, textDiff } from "../report/diff.js";
import { outputWidth, usesColor } from "./output.js";
import { type OutputOptions, writeReport } from "./output-file.js";
import { parseTop } from "./whole-number.js";

interface DiffOptions extends OutputOptions {
  format: "text" | "markdown" | "html" | "json";
  top?: number;
}

/** `linmem diff`: what a change did to a program's memory. */
export function diffCommand(): Command {
  return new Command("diff")
    .description("compare two recorded runs of a program: what appeared, grew, shrank, vanished")
    .argument("<before>", "profile of the run to compare with")
    .argument("<after>", "profile of the run to look at")
    .addOption(
      new Option(
        "-f, --format <format>",
        "text for people, markdown for pull requests, html to explore, json for programs",
      )
        .choices(["text", "markdown", "html", "json"])
        .default("text"),
    )
    .option("-o, --out <file>", "file to write; - for standard output, the default")
    .option("--force", "overwrite the file if it exists")
    .option("--top <n>", "how many callers are shown", parseTop)
    .action(async (before: string, after: string, options: DiffOptions) => {
      if (options.format === "html") {
        const { writeHtml } = await import("./html-pages.js");
        await writeHtml([before, after], options);
        return;
      }
      const [old, now] = [await readProfileFile(before), await readProfileFile(after)];
      const diff = diffReports(analyze(old, { demangle }), analyze(now, { demangle }));
      await writeReport([formatted(diff, options)], options);
    });
}

function formatted(diff: Diff, { format, top, out = "-" }: DiffOptions): string {
  const directory = process.cwd();
  if (format === "json") return `${JSON.stringify(diff, undefined, 2)}\n`;
  if (format === "markdown") return markdownDiff(diff, { top, directory });
  const { stdout } = process;
  const look = out === "-" ? { width: outputWidth(stdout), color: usesColor(stdout) } : {};
  return textDiff(diff, { ...look, directory, top });
}
