import type { Report } from "../../analyze/report.js";
import { defaultMetric, type ExportOptions, figure, samples, stackText } from "./samples.js";

/**
 * Collapsed stacks, as flamegraph.pl, inferno and speedscope read them: a line for each context, with its frames
 * from the outermost in, parted by ";", a space, and its figure. Contexts that have none of it are left out.
 */
export function* collapsedExport(
  report: Report,
  { metric = defaultMetric(report), directory = "" }: ExportOptions = {},
): Generator<string> {
  for (const sample of samples(report)) {
    const value = figure(sample.context, metric);
    if (value > 0) yield `${stackText(sample, directory) || "(stack not known)"} ${value}\n`;
  }
}
