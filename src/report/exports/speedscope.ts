import type { FrameReport, Report } from "../../analyze/report.js";
import { functionName, location, shortPath } from "../frames.js";
import {
  defaultMetric,
  type ExportOptions,
  exportTitle,
  figure,
  type Metric,
  metricNames,
  metrics,
  type Sample,
  samples,
} from "./samples.js";

/**
 * The file format of speedscope, in pieces: one profile for each figure, so that its menu switches between them;
 * `metric` is the one it opens with.
 */
export function* speedscopeExport(
  report: Report,
  { metric = defaultMetric(report), directory = "" }: ExportOptions = {},
): Generator<string> {
  const frames = new FrameTable(directory);
  const all = [...samples(report)].map((sample) => ({
    sample,
    stack: `[${sample.stack.map((frame) => frames.indexOf(frame))}]`,
  }));
  const head = {
    $schema: "https://www.speedscope.app/file-format-schema.json",
    exporter: `linmem ${report.run.linmem}`,
    name: exportTitle(report),
    activeProfileIndex: metricNames.indexOf(metric),
  };
  yield `${JSON.stringify(head).slice(0, -1)},\n"shared":{"frames":[`;
  for (const [i, frame] of frames.list.entries()) yield `${i > 0 ? ",\n" : "\n"}${JSON.stringify(frame)}`;
  yield '\n]},\n"profiles":[';
  for (const [i, name] of metricNames.entries()) {
    yield i > 0 ? ",\n" : "\n";
    yield* oneProfile(name, all);
  }
  yield "\n]}\n";
}

function* oneProfile(metric: Metric, all: readonly { sample: Sample; stack: string }[]): Generator<string> {
  const shown = all.filter(({ sample }) => figure(sample.context, metric) > 0);
  const weights = shown.map(({ sample }) => figure(sample.context, metric));
  const { title, unit } = metrics[metric];
  const head = {
    type: "sampled",
    name: title,
    unit: unit === "bytes" ? "bytes" : "none",
    startValue: 0,
    endValue: weights.reduce((sum, weight) => sum + weight, 0),
    weights,
  };
  yield `${JSON.stringify(head).slice(0, -1)},\n"samples":[`;
  for (const [i, { stack }] of shown.entries()) yield `${i > 0 ? ",\n" : "\n"}${stack}`;
  yield "\n]}";
}

interface SpeedscopeFrame {
  name: string;
  file?: string;
  line?: number;
  col?: number;
}

/** The frames of the file, each once. */
class FrameTable {
  readonly list: SpeedscopeFrame[] = [];
  readonly #indices = new Map<string, number>();
  /** The same frame is in many stacks: found again by identity, without making its text. */
  readonly #seen = new Map<FrameReport, number>();
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  indexOf(frame: FrameReport): number {
    let index = this.#seen.get(frame);
    if (index === undefined) {
      const made = this.#frame(frame);
      const key = JSON.stringify(made);
      index = this.#indices.get(key) ?? this.list.push(made) - 1;
      this.#indices.set(key, index);
      this.#seen.set(frame, index);
    }
    return index;
  }

  #frame(frame: FrameReport): SpeedscopeFrame {
    const name = functionName(frame);
    // speedscope takes line and column for those of a text; an offset in wasm goes with the file.
    if (frame.kind === "wasm" && !frame.source) return { name, file: location(frame, this.#directory) };
    const { file, line, column } = frame.source ?? frame;
    return {
      name,
      ...(file !== "" && { file: shortPath(file, this.#directory) }),
      ...(line > 0 && { line }),
      ...(line > 0 && column > 0 && { col: column }),
    };
  }
}
