import type { Report } from "../analyze/report.js";

/** Lists and objects this deep are written one entry a line, what is deeper on that line. */
const openDepth = 4;

/**
 * The report as JSON, as schema/report.schema.json describes it, in pieces: with many contexts it is longer
 * than a string can be. A context, a growth, a memory is one line each.
 */
export function* jsonReport(report: Report): Generator<string> {
  yield* pieces(report, 0);
  yield "\n";
}

/**
 * What checked processes did wrong, all together, with `findings` as `memoryErrors` of a report.
 * @param suppressed findings that are left out
 */
export function* jsonCheck(reports: readonly Report[], suppressed: number): Generator<string> {
  yield* pieces(
    {
      format: "linmem-check",
      version: 1,
      runs: reports.map(({ run }) => run),
      findings: reports.flatMap(({ memoryErrors = [] }) => memoryErrors),
      indirectLeaks: reports.flatMap(({ indirectLeaks = [] }) => indirectLeaks),
      possibleLeaks: reports.flatMap(({ possibleLeaks = [] }) => possibleLeaks),
      suppressed,
      warnings: reports.flatMap(({ warnings }) => warnings),
    },
    0,
  );
  yield "\n";
}

function* pieces(value: unknown, depth: number): Generator<string> {
  if (typeof value !== "object" || value === null || depth >= openDepth) {
    yield JSON.stringify(value);
    return;
  }
  const isList = Array.isArray(value);
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  const [open, close] = isList ? "[]" : "{}";
  if (entries.length === 0) {
    yield `${open}${close}`;
    return;
  }
  const indent = "  ".repeat(depth + 1);
  let before = `${open}\n`;
  for (const [key, item] of entries) {
    yield before + indent + (isList ? "" : `${JSON.stringify(key)}: `);
    yield* pieces(item, depth + 1);
    before = ",\n";
  }
  yield `\n${"  ".repeat(depth)}${close}`;
}
