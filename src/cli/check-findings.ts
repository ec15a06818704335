/** The end of `linmem check`: prints what was found, and says whether that is something to fail for. */
import { analyze } from "../analyze/analyze.js";
import type { Report } from "../analyze/report.js";
import type { Launched } from "../attach/node/launcher.js";
import { demangle } from "../names/demangle.js";
import { jsonCheck } from "../report/json.js";
import { checkText } from "../report/memory-errors.js";
import { isSuppressed, type Suppression, suppressionOf } from "../report/suppressions.js";
import { outputWidth, usesColor } from "./output.js";
import { writeReport } from "./output-file.js";
import { symbolizeFile } from "./symbolize.js";

export interface FindingsOptions {
  out?: string;
  force?: true;
  format: "text" | "json";
  symbols: string[];
  strict?: true;
  genSuppressions?: string;
  leaks: "no" | "show" | "all" | "fail";
  /** What is not to be shown. */
  known: readonly Suppression[];
  script: string | undefined;
}

/** Prints what was found; returns whether that is something to fail for. */
export async function concludeCheck(launched: Launched, options: FindingsOptions): Promise<boolean> {
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
    const hasLeaks = report.memoryErrors.some(({ kind }) => kind === "leak");
    for (const list of ["indirectLeaks", "possibleLeaks"] as const) {
      const isWanted = options.leaks !== "no" && (list === "possibleLeaks" || hasLeaks);
      const leaks = isWanted ? (report[list] ?? []) : [];
      report[list] = leaks.filter((leak) => !isSuppressed(leak, report.modules, known));
    }
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
    const entries = reports.flatMap(
      ({ memoryErrors = [], indirectLeaks = [], possibleLeaks = [], modules }) =>
        [...memoryErrors, ...(options.leaks === "all" ? [...indirectLeaks, ...possibleLeaks] : [])].map(
          (error) => suppressionOf(error, modules),
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
  { format, out, force, leaks }: FindingsOptions,
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
  const allLeaks = leaks === "all";
  if (out === undefined) {
    const look = { width: outputWidth(stderr), color: usesColor(stderr), directory };
    reports.forEach((report, i) => {
      stderr.write(checkText(report, { ...look, suppressed: suppressed[i]!, allLeaks }));
    });
  } else {
    const texts = reports.map((report, i) =>
      checkText(report, { directory, suppressed: suppressed[i]!, allLeaks }),
    );
    await writeReport(texts, { out, ...(force && { force }) });
  }
}

function fails({ memoryErrors = [], warnings }: Report, { leaks, strict }: FindingsOptions): boolean {
  if (strict && warnings.some(({ code }) => code === "not-checked" || code === "not-instrumented"))
    return true;
  return memoryErrors.some(({ kind }) => kind !== "leak" || leaks === "fail");
}
