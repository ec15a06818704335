/** Source maps: of scripts, and of WebAssembly, where the column of line 1 is the offset in the module. */
import {
  decodedMappings,
  FlattenMap,
  type SourceMapInput,
  type SourceMapSegment,
  type TraceMap,
  traceSegment,
} from "@jridgewell/trace-mapping";

/** A place in a source, as its map names it. */
export interface MappedPosition {
  /** As the map has it, without `sourceRoot`. */
  source: string;
  sourceRoot: string;
  /** From 1. */
  line: number;
  /** From 1. */
  column: number;
  /** Column from 0 at which the mapping begins that was found. */
  generatedColumn: number;
}

export class SourceMap {
  readonly #map: TraceMap;

  /** @throws Error when the text is no source map */
  constructor(text: string) {
    // some servers put this in front, so that browsers don't run it as a script
    this.#map = new FlattenMap(JSON.parse(text.replace(/^\)\]\}'[^\n]*\n/, "")) as SourceMapInput);
  }

  /** Where the text at a position came from; undefined when no mapping has it. Both count from 0. */
  find(line: number, column: number): MappedPosition | undefined {
    const segment = traceSegment(this.#map, line, column);
    return segment ? this.#position(segment) : undefined;
  }

  /**
   * The mapping nearest to a column of line 0, where it has none of its own: the last one before it, or else the first
   * behind it, within a range of columns.
   */
  findNear(column: number, { start, end }: { start: number; end: number }): MappedPosition | undefined {
    const segments = decodedMappings(this.#map)[0] ?? [];
    let low = 0;
    let high = segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (segments[middle]![0] <= column) low = middle + 1;
      else high = middle;
    }
    for (let i = low - 1; i >= 0 && segments[i]![0] >= start; i--) {
      const position = this.#position(segments[i]!);
      if (position) return position;
    }
    for (let i = low; i < segments.length && segments[i]![0] < end; i++) {
      const position = this.#position(segments[i]!);
      if (position) return position;
    }
    return undefined;
  }

  #position(segment: Readonly<SourceMapSegment>): MappedPosition | undefined {
    // one of a single number says that code comes from nowhere
    if (segment.length < 4) return undefined;
    const [generatedColumn, index, sourceLine, sourceColumn] = segment as [number, number, number, number];
    const source = this.#map.sources[index];
    if (typeof source !== "string" || !(sourceLine >= 0 && sourceColumn >= 0)) return undefined;
    const { sourceRoot = "" } = this.#map;
    return { source, sourceRoot, line: sourceLine + 1, column: sourceColumn + 1, generatedColumn };
  }
}
