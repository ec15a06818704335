import type { ModuleReport, Report } from "../analyze/report.js";
import { callerTable, knownSentence, liveCallers, liveSentence, liveTotals } from "./facts.js";
import { clean, countOf, formatBytes, formatCount } from "./format.js";
import { moduleName } from "./frames.js";
import { Page, type TextOptions } from "./page.js";
import { withoutProbes } from "./probes.js";

export interface SummaryOptions extends TextOptions {
  /** Where the profile was written. */
  path: string;
  /** How linmem is called. */
  command?: string;
}

const callersShown = 3;
const modulesShown = 3;

/** The few lines that a run ends with. */
export function summary(all: Report, { path, command = "linmem", ...options }: SummaryOptions): string {
  const page = new Page(options);
  const { report } = withoutProbes(all);
  const { bold, dim, yellow } = page.colors;
  const totals = liveTotals(report);
  const recorded = report.modules.some(({ heap }) => heap);
  const memory = `memories held up to ${formatBytes(report.run.peakMemoryBytes)}`;
  if (report.memories.length === 0) page.line("linmem: no WebAssembly memory came to life in this run");
  else if (!recorded) page.line(bold(`linmem: no blocks were recorded; ${memory}`));
  else {
    page.prose(`linmem: ${lowerFirst(liveSentence(totals))}; ${memory}`, {
      hanging: 2,
      style: bold,
    });
  }
  const callers = liveCallers(report);
  if (callers.length > 0) {
    const several = report.modules.filter(({ heap }) => heap).length > 1;
    callerTable(page, callers.slice(0, callersShown), totals, several);
    const rest = callers.length - callersShown;
    const more = rest > 0 ? `and ${countOf(rest, "other")}. ` : "";
    page.prose(more + knownSentence(report, totals), { indent: 2, style: dim });
  }
  const blind = report.modules.filter(
    (module) => module.allocator.length === 0 && module.memory.peakBytes > 0,
  );
  for (const module of blind.slice(0, modulesShown))
    page.prose(blindSentence(module), { indent: 2, hanging: 4 });
  if (blind.length > modulesShown) {
    page.line(`  and ${formatCount(blind.length - modulesShown)} more without recorded blocks`);
  }
  const [warning, ...others] = report.warnings;
  if (warning) {
    const more = others.length > 0 ? ` (and ${countOf(others.length, "more warning")})` : "";
    page.prose(clean(warning.message) + more, { indent: 2, hanging: 4, style: yellow });
  }
  if (path !== "") page.line(`  ${dim("more:")} ${clean(command)} report ${clean(path)}`);
  return page.toString();
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

function blindSentence(module: ModuleReport): string {
  const reason = clean(module.reason ?? "no allocator was found");
  return `${moduleName(module)}: blocks not recorded (${reason}); memory ${formatBytes(module.memory.peakBytes)}`;
}
