import { gzipSync } from "node:zlib";
import { Command, Option } from "commander";
import { analyze } from "../analyze/analyze.js";
import type { Report } from "../analyze/report.js";
import { UsageError } from "../errors.js";
import { demangle } from "../names/demangle.js";
import { readProfileFile } from "../profile/file.js";
import { collapsedExport } from "../report/exports/collapsed.js";
import { csvExport } from "../report/exports/csv.js";
import { pprofExport } from "../report/exports/pprof.js";
import { type ExportOptions, type Metric, metricNames } from "../report/exports/samples.js";
import { speedscopeExport } from "../report/exports/speedscope.js";
import { jsonReport } from "../report/json.js";
import { textReport } from "../report/text.js";
import { outputWidth, usesColor } from "./output.js";
import { type OutputOptions, refuseTerminal, writeReport } from "./output-file.js";
import { symbolsOption } from "./symbols-option.js";
import { parseTop } from "./whole-number.js";

/** The formats for other tools. */
const exports = {
  speedscope: speedscopeExport,
  pprof: (report: Report, options: ExportOptions) => [gzipSync(pprofExport(report, options))],
  collapsed: collapsedExport,
  csv: csvExport,
} satisfies Record<string, (report: Report, options: ExportOptions) => Iterable<string | Uint8Array>>;

const formats = ["text", "json", "html", ...(Object.keys(exports) as (keyof typeof exports)[])] as const;

interface ReportOptions extends OutputOptions {
  symbols: string[];
  format: (typeof formats)[number];
  metric?: Metric;
  top?: number;
}

/** `linmem report`: what a profile says about the memory that a run held. */
export function reportCommand(): Command {
  return new Command("report")
    .description("show what is live at the end of a recorded run, and where it was made")
    .argument("<profile>", "file that `linmem run` wrote")
    .argument("[after]", "a second one, for html to compare with the first")
    .addOption(
      new Option(
        "-f, --format <format>",
        "text for people, html to explore, json for programs; speedscope, pprof, collapsed stacks or csv for other tools",
      )
        .choices(formats)
        .default("text"),
    )
    .option("-o, --out <file>", "file to write; - for standard output, the default")
    .option("--force", "overwrite the file if it exists")
    .addOption(
      new Option("--metric <figure>", "what the formats for other tools show (first)").choices(metricNames),
    )
    .addOption(symbolsOption())
    .option("--top <n>", "how many callers, stacks, growths and memories text shows of each", parseTop)
    .action(async (path: string, after: string | undefined, options: ReportOptions) => {
      if (options.format === "html") {
        const { writeHtml } = await import("./html-pages.js");
        await writeHtml(after === undefined ? [path] : [path, after], options);
        return;
      }
      if (after !== undefined) {
        throw new UsageError(`--format ${options.format} shows one profile; --format html compares two`);
      }
      if (options.format === "pprof") refuseTerminal("binary", options);
      const profile = await readProfileFile(path);
      if (options.symbols.length > 0) (await import("./symbolize.js")).symbolize(profile, options);
      const report = analyze(profile, { demangle });
      await writeReport(pieces(report, options), options);
    });
}

function pieces(
  report: Report,
  { format, metric, top, out = "-" }: ReportOptions,
): Iterable<string | Uint8Array> {
  const directory = process.cwd();
  if (format === "json") return jsonReport(report);
  if (format !== "text" && format !== "html") return exports[format](report, { metric, directory });
  const { stdout } = process;
  const look = out === "-" ? { width: outputWidth(stdout), color: usesColor(stdout) } : {};
  return [textReport(report, { ...look, directory, top })];
}
