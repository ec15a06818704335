/**
 * Profiles for programs: `import { readProfile, diagnose, report } from "linmem/report"`. Needs Node.
 *
 * @module linmem/report
 */
import { type AnalyzeOptions, analyze } from "./analyze/analyze.js";
import { type Diff, diffReports } from "./analyze/diff.js";
import type { Finding, Report } from "./analyze/report.js";
import { plainContext } from "./analyze/routed-context.js";
import { demangle } from "./names/demangle.js";
import { readProfileFile } from "./profile/file.js";
import type { Profile } from "./profile/state.js";
import { textReport } from "./report/text.js";

export type { Diff, Finding, Profile, Report };

/**
 * Reads a profile that `linmem run` wrote.
 * @throws ProfileError when the file can't be read, is no profile, or one of a newer version.
 */
export function readProfile(path: string): Promise<Profile> {
  return readProfileFile(path);
}

/** What is wrong with the memory of a recorded run, most serious first. */
export function diagnose(profile: Profile, options?: AnalyzeOptions): Finding[] {
  return report(profile, options).findings;
}

/** All that a profile says: what `linmem report --format json` prints. */
export function report(profile: Profile, options?: AnalyzeOptions): Report {
  const { modules, ...rest } = analyze(profile, { demangle, ...options });
  return {
    ...rest,
    modules: modules.map((module) => ({ ...module, contexts: module.contexts.map(plainContext) })),
  };
}

/** The report as text, without colours: what `linmem report` prints. */
export function formatReport(report: Report): string {
  return textReport(report);
}

/** What changed from one report to another. */
export function diff(before: Report, after: Report): Diff {
  return diffReports(before, after);
}
