import { formatBytes, formatCount, formatDuration, formatShare } from "../report/format.js";
import { type Metric, metrics } from "./selection.js";

/** A figure of a metric: `1.5 MiB`, `1,234`. */
export function formatFigure(metric: Metric, value: number): string {
  return metrics[metric].unit === "bytes" ? formatBytes(value) : formatCount(Math.round(value));
}

/** `1.5 MiB, 12 % of 12.5 MiB`. */
export function formatPart(metric: Metric, value: number, whole: number): string {
  return `${formatFigure(metric, value)}, ${formatShare(value, whole)} of ${formatFigure(metric, whole)}`;
}

export function formatRange({ from, to }: { from: number; to: number }): string {
  return `${formatDuration(from)} to ${formatDuration(to)}`;
}

export function formatAddress(address: number): string {
  return `0x${address.toString(16)}`;
}
