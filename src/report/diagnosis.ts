// The findings of the diagnosis, as text: what, the figures behind it, where, what to do.
import { isCountedOnly } from "../analyze/collected-heaps.js";
import type { Finding, Report } from "../analyze/report.js";
import { sparkline } from "./charts.js";
import { clean, formatBytes, formatCount, formatDuration } from "./format.js";
import { functionName, lineLocation, moduleName } from "./frames.js";
import type { Page } from "./page.js";

const notesShown = 4;

const words: Record<Finding["severity"], string> = { problem: "PROBLEM", warning: "WARNING", note: "note" };

/** Lists the findings: all problems and warnings, and the first notes unless `all` are wanted. */
export function diagnosisSection(page: Page, report: Report, all = false): void {
  const { findings } = report;
  if (findings.length === 0) return;
  page.heading("Diagnosis");
  const serious = findings.filter(({ severity }) => severity !== "note");
  const notes = findings.filter(({ severity }) => severity === "note");
  const shown = [...serious, ...(all ? notes : notes.slice(0, notesShown))];
  const several = report.modules.filter(({ memory }) => memory.peakBytes > 0).length > 1;
  shown.forEach((finding, i) => {
    if (i > 0) page.line();
    entry(page, report, finding, several);
  });
  const left = findings.length - shown.length;
  if (left > 0) page.line(`  ${page.colors.dim(`and ${left} more of less weight (--top N)`)}`);
}

function entry(page: Page, report: Report, finding: Finding, several: boolean): void {
  const { bold, cyan, dim, red, yellow } = page.colors;
  const style = { problem: red, warning: yellow, note: dim }[finding.severity];
  const about = report.modules.find(({ id }) => id === finding.module);
  const module = several && about ? `${moduleName(about)}: ` : "";
  page.prose(`${words[finding.severity]}  ${module}${clean(finding.title)}`, {
    indent: 2,
    hanging: 4,
    style: (line) =>
      line.startsWith(words[finding.severity])
        ? style(words[finding.severity]) + bold(line.slice(words[finding.severity].length))
        : bold(line),
  });
  if (finding.caller) {
    const at = ` ${lineLocation(finding.caller, page.directory)}`;
    page.table(
      [
        { cut: "end", style: bold },
        { cut: "start", style: cyan },
      ],
      [[functionName(finding.caller), at.trim()]],
      { indent: 6 },
    );
  }
  for (const text of finding.evidence) page.prose(clean(text), { indent: 6 });
  page.prose(`→ ${clean(finding.advice)}`, { indent: 6, hanging: 8 });
  if (finding.kind === "leak" || finding.kind === "retention" || finding.kind === "late-release") {
    page.prose(`certainty ${Math.round(finding.certainty * 100)} %`, { indent: 6, style: dim });
  }
}

/** Size and live bytes over the run, as charts of one line each. */
export function timelineSection(page: Page, { timeline, run, modules }: Report): void {
  if (timeline.length < 4) return;
  const width = Math.max(10, Math.min(60, page.width - 34));
  const recorded = modules.some(({ heap }) => heap && !isCountedOnly(heap));
  const collections = timeline.map((point, i) => point.collections - (timeline[i - 1]?.collections ?? 0));
  const collected = timeline.at(-1)!.collections;
  const row = (name: string, values: readonly number[]) => [
    name,
    sparkline(values, width),
    formatBytes(Math.max(...values)),
  ];
  page.heading(`Over ${formatDuration(run.duration)}`);
  page.table(
    [{ style: page.colors.dim }, { style: page.colors.cyan }, {}],
    [
      row(
        "memory",
        timeline.map(({ memoryBytes }) => memoryBytes),
      ),
      ...(recorded
        ? [
            row(
              "live",
              timeline.map(({ liveBytes }) => liveBytes),
            ),
          ]
        : []),
      ...(collected > 0
        ? [["collections", sparkline(collections, width), `${formatCount(collected)} in all`]]
        : []),
    ],
    { head: ["", "", "at most"] },
  );
}
