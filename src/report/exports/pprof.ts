import {
  Location,
  Mapping,
  Function as PprofFunction,
  Profile,
  Sample,
  StringTable,
  ValueType,
} from "pprof-format";
import type { FrameReport, Report } from "../../analyze/report.js";
import { clean } from "../format.js";
import { functionName, location, shortPath } from "../frames.js";
import { defaultMetric, type ExportOptions, figure, metricNames, metrics, samples } from "./samples.js";

/** Names of the sample types: those of Go's heap profiles where there is one, so that their tools know them. */
const sampleTypes = {
  live: "inuse_space",
  "high-water": "peak_space",
  allocated: "alloc_space",
  allocations: "alloc_objects",
  temporary: "temporary_objects",
} as const;

/**
 * A profile for pprof, not yet compressed: a sample for each context with all figures as its values, a mapping for
 * each wasm module, and byte offsets in it as addresses.
 */
export function pprofExport(
  report: Report,
  { metric = defaultMetric(report), directory = "" }: ExportOptions = {},
): Uint8Array {
  const tables = new Tables(directory);
  const sample = [...samples(report)].flatMap(({ context, stack }) => {
    const value = metricNames.map((name) => figure(context, name));
    if (value.every((one) => one === 0)) return [];
    // pprof wants the innermost frame first.
    const locationId = stack.map((frame) => tables.locationOf(frame)).reverse();
    return [new Sample({ locationId, value })];
  });
  const { strings, functions, locations, mappings } = tables;
  const { startTime, duration, argv } = report.run;
  return new Profile({
    sampleType: metricNames.map(
      (name) =>
        new ValueType({
          type: strings.dedup(sampleTypes[name]),
          unit: strings.dedup(metrics[name].unit),
        }),
    ),
    defaultSampleType: strings.dedup(sampleTypes[metric]),
    sample,
    mapping: [...mappings.values()],
    location: [...locations.values()],
    function: [...functions.values()],
    comment: [strings.dedup(clean(argv.join(" ")))],
    timeNanos: nanoseconds(startTime),
    durationNanos: nanoseconds(duration),
    stringTable: strings,
  }).encode();
}

function nanoseconds(milliseconds: number): bigint {
  return BigInt(Math.round(Math.max(0, milliseconds))) * 1_000_000n;
}

/** The tables of a pprof file; ids count from 1. */
class Tables {
  readonly strings = new StringTable();
  readonly functions = new Map<string, PprofFunction>();
  readonly locations = new Map<string, Location>();
  readonly mappings = new Map<string, Mapping>();
  readonly #seen = new Map<FrameReport, number>();
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  locationOf(frame: FrameReport): number {
    let id = this.#seen.get(frame);
    if (id === undefined) {
      const key = JSON.stringify(frame);
      let location = this.locations.get(key);
      if (!location) {
        location = this.#location(frame, this.locations.size + 1);
        this.locations.set(key, location);
      }
      id = Number(location.id);
      this.#seen.set(frame, id);
    }
    return id;
  }

  #location(frame: FrameReport, id: number): Location {
    const isWasm = frame.kind === "wasm";
    const place = frame.source ?? (isWasm ? { line: 0, column: 0 } : frame);
    return new Location({
      id,
      ...(isWasm && { mappingId: this.#mapping(frame.file), address: frame.column }),
      line: [
        {
          functionId: this.#function(frame),
          line: place.line,
          column: place.column,
        },
      ],
    });
  }

  #function(frame: FrameReport): number {
    const name = functionName(frame);
    const { file: source } = frame.source ?? frame;
    const file =
      frame.kind === "wasm" && !frame.source
        ? location({ ...frame, column: 0 }, this.#directory)
        : source && shortPath(source, this.#directory);
    const key = JSON.stringify([name, file]);
    let known = this.functions.get(key);
    if (!known) {
      known = new PprofFunction({
        id: this.functions.size + 1,
        name: this.strings.dedup(name),
        systemName: this.strings.dedup(name),
        filename: this.strings.dedup(file),
      });
      this.functions.set(key, known);
    }
    return Number(known.id);
  }

  #mapping(file: string): number {
    let known = this.mappings.get(file);
    if (!known) {
      known = new Mapping({
        id: this.mappings.size + 1,
        // Without them pprof would look for a binary to read names from.
        hasFunctions: true,
        hasFilenames: true,
        hasLineNumbers: true,
        memoryLimit: Number.MAX_SAFE_INTEGER,
        filename: this.strings.dedup(clean(file)),
      });
      this.mappings.set(file, known);
    }
    return Number(known.id);
  }
}
