// What all exports have in common: one sample for each context, with its stack and its figures.
import { isCountedOnly } from "../../analyze/collected-heaps.js";
import type { ContextReport, FrameReport, ModuleReport, Report } from "../../analyze/report.js";
import { clean } from "../format.js";
import { functionName, location, moduleName } from "../frames.js";

/** The figures that a sample can have, in the order in which files list them. */
export const metrics = {
  live: { title: "live at the end", key: "liveBytes", unit: "bytes" },
  "high-water": { title: "live at the high-water mark", key: "peakLiveBytes", unit: "bytes" },
  allocated: { title: "allocated bytes", key: "allocatedBytes", unit: "bytes" },
  allocations: { title: "allocations", key: "allocations", unit: "count" },
  temporary: { title: "freed before the next allocation", key: "temporary", unit: "count" },
} as const satisfies Record<string, { title: string; key: keyof ContextReport; unit: "bytes" | "count" }>;

export type Metric = keyof typeof metrics;

export const metricNames = Object.keys(metrics) as Metric[];

/** What is shown where nobody says what: live bytes, unless only garbage collectors know of them. */
export function defaultMetric(report: Report): Metric {
  const heaps = report.modules.flatMap(({ heap }) => (heap && heap.allocations > 0 ? [heap] : []));
  return heaps.length > 0 && heaps.every(isCountedOnly) ? "allocated" : "live";
}

export interface ExportOptions {
  /** The figure that a file shows first, or alone where its format has one only; default `defaultMetric`. */
  metric?: Metric;
  /** Paths below it are shortened; "" leaves them. */
  directory?: string;
}

export interface Sample {
  module: ModuleReport;
  context: ContextReport;
  /** Outermost first, at most `maximumFrames`. */
  stack: FrameReport[];
}

/** Deeper stacks lose their middle: other tools draw a row for every frame, and some recurse. */
export const maximumFrames = 1024;

/** One sample for each context of each module. */
export function* samples(report: Report): Generator<Sample> {
  for (const module of report.modules) {
    for (const context of module.contexts) {
      yield { module, context, stack: boundedStack(context.stack).reverse() };
    }
  }
}

/** A copy of `stack` of at most `maximum` frames: where it is longer, one frame stands for its middle. */
export function boundedStack(stack: readonly FrameReport[], maximum = maximumFrames): FrameReport[] {
  if (stack.length <= maximum) return stack.slice();
  const outer = Math.floor((maximum - 1) / 2);
  const inner = maximum - 1 - outer;
  const left = stack.length - inner - outer;
  const gap: FrameReport = {
    kind: stack[inner]!.kind,
    function: `(${left} frames left out)`,
    file: "",
    line: 0,
    column: 0,
  };
  return [...stack.slice(0, inner), gap, ...stack.slice(stack.length - outer)];
}

/** A figure of a context that can be added up: what a damaged profile made negative counts as nothing. */
export function figure(context: ContextReport, metric: Metric): number {
  return Math.max(0, Math.round(context[metrics[metric].key]));
}

/** `resize (photon_rs_bg.wasm:0x4be31)`: a frame as one text, that tells frames of the same name apart. */
function frameText(frame: FrameReport, directory: string): string {
  const name = functionName(frame);
  return frame.file === "" && frame.line === 0 ? name : `${name} (${location(frame, directory)})`;
}

/** A title for the whole file: the modules it is about. */
export function exportTitle({ modules }: Report): string {
  return clean(modules.map(moduleName).join(", ")) || "no module";
}

/** The stack of a sample in one line, outermost first, frames parted by ";", as in collapsed stacks. */
export function stackText({ stack }: Sample, directory: string): string {
  return stack.map((frame) => frameText(frame, directory).replaceAll(";", ":")).join(";");
}
