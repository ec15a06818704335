import type { Report } from "../../analyze/report.js";
import { moduleName } from "../frames.js";
import { defaultMetric, type ExportOptions, figure, samples, stackText } from "./samples.js";

const columns = [
  "module",
  "live_bytes",
  "live_blocks",
  "peak_live_bytes",
  "allocated_bytes",
  "allocations",
  "frees",
  "temporary",
  "caller_sampled",
  "stack",
];

/** Comma-separated values (RFC 4180): a line for each context, most of `metric` first. */
export function* csvExport(
  report: Report,
  { metric = defaultMetric(report), directory = "" }: ExportOptions = {},
): Generator<string> {
  yield `${columns.join(",")}\r\n`;
  const rows = [...samples(report)].sort((a, b) => figure(b.context, metric) - figure(a.context, metric));
  for (const sample of rows) {
    const { module, context } = sample;
    const cells = [
      textCell(moduleName(module)),
      context.liveBytes,
      context.liveBlocks,
      context.peakLiveBytes,
      context.allocatedBytes,
      context.allocations,
      context.frees,
      context.temporary,
      context.sampled ? 1 : 0,
      textCell(stackText(sample, directory)),
    ];
    yield `${cells.join(",")}\r\n`;
  }
}

/**
 * A text in quotes. Spreadsheets take a cell that begins with one of these characters for a formula, and names come
 * from the profiled program: an apostrophe in front makes it a text.
 */
function textCell(text: string): string {
  const safe = /^[=+\-@]/.test(text) ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}
