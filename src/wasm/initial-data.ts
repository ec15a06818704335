/**
 * What a module puts at constant addresses of its first memory before it runs. Columns instead of an object for each
 * segment: a module of Go has 100,000 of them, and the objects took several times the memory of the module.
 */
import { op } from "./instructions.js";
import { Reader } from "./leb128.js";
import { eachSegment } from "./sections/data.js";

interface Columns {
  /** Addresses of the segments. */
  starts: Float64Array;
  lengths: Uint32Array;
  /** Where the bytes of each are in the source. */
  positions: Uint32Array;
}

export class InitialData implements Columns {
  /** Segments; none is empty. */
  readonly count: number;
  readonly starts: Float64Array;
  readonly lengths: Uint32Array;
  readonly positions: Uint32Array;
  readonly source: Uint8Array;
  #ascending?: InitialData;
  static #none?: InitialData;

  private constructor(source: Uint8Array, { starts, lengths, positions }: Columns, count = starts.length) {
    this.source = source;
    this.count = count;
    this.starts = starts.subarray(0, count);
    this.lengths = lengths.subarray(0, count);
    this.positions = positions.subarray(0, count);
  }

  /**
   * In the order of the module.
   * @param reader of the data section
   * @throws DecodeError when it is damaged
   */
  static read(reader: Reader): InitialData {
    const { bytes } = reader;
    let columns = columnsFor(0);
    let count = 0;
    eachSegment(
      reader,
      (segments) => {
        columns = columnsFor(segments);
      },
      ({ memory, offset, position, length }) => {
        const start = memory === 0 && length > 0 && offset >= 0 ? constantAt(bytes, offset) : undefined;
        if (start === undefined) return;
        columns.starts[count] = start;
        columns.lengths[count] = length;
        columns.positions[count++] = position;
      },
    );
    return new InitialData(bytes, columns, count);
  }

  /** One segment with these bytes. */
  static of(start: number, bytes: Uint8Array): InitialData {
    const columns = columnsFor(1);
    columns.starts[0] = start;
    columns.lengths[0] = bytes.length;
    return new InitialData(bytes, columns);
  }

  // made when it is asked for: as a field it would be made before TypeScript's name of the class is there, and nothing could be loaded
  static get none(): InitialData {
    InitialData.#none ??= new InitialData(new Uint8Array(), columnsFor(0));
    return InitialData.#none;
  }

  /** A view of a segment's bytes. */
  bytes(segment: number): Uint8Array {
    const position = this.positions[segment];
    return this.source.subarray(position, position + this.lengths[segment]);
  }

  /** Address behind a segment. */
  end(segment: number): number {
    return this.starts[segment] + this.lengths[segment];
  }

  /** The same by ascending addresses. Most linkers write it so. */
  ascending(): InitialData {
    this.#ascending ??= this.#sorted();
    return this.#ascending;
  }

  #sorted(): InitialData {
    const pieces = ascendingPieces(this.starts);
    if (pieces.length <= 1) return this;
    const columns = columnsFor(this.count);
    for (const name of ["starts", "lengths", "positions"] as const) {
      let place = 0;
      for (const [from, to] of pieces) {
        columns[name].set(this[name].subarray(from, to), place);
        place += to - from;
      }
    }
    return new InitialData(this.source, columns);
  }

  /** A copy without the rest of the module; undefined where its bytes are more than `most`. */
  copy(most: number): InitialData | undefined {
    const size = this.lengths.reduce((sum, length) => sum + length, 0);
    if (size > most) return undefined;
    const source = new Uint8Array(size);
    const positions = new Uint32Array(this.count);
    for (let segment = 0, at = 0; segment < this.count; segment++) {
      positions[segment] = at;
      source.set(this.bytes(segment), at);
      at += this.lengths[segment];
    }
    return new InitialData(source, {
      starts: this.starts.slice(),
      lengths: this.lengths.slice(),
      positions,
    });
  }
}

/** Where more runs of segments ascend than this they are sorted one by one. */
const mostRuns = 16;

/**
 * Pieces of the segments, by their indices, that make ascending addresses one behind the other; what has the same address stays as
 * it is. Go's linker writes 100,000 segments of which two runs ascend: to copy runs takes a tenth of the time of sorting.
 */
function ascendingPieces(starts: Float64Array): (readonly [from: number, to: number])[] {
  const runs: { next: number; readonly end: number }[] = [];
  for (let from = 0, i = 1; i <= starts.length; i++) {
    if (i < starts.length && starts[i - 1] <= starts[i]) continue;
    runs.push({ next: from, end: i });
    from = i;
  }
  if (runs.length > mostRuns) {
    const order = Uint32Array.from(starts, (_, segment) => segment);
    order.sort((a, b) => starts[a] - starts[b] || a - b);
    return Array.from(order, (segment) => [segment, segment + 1] as const);
  }
  const pieces: [number, number][] = [];
  for (;;) {
    const left = runs.filter(({ next, end }) => next < end);
    left.sort((a, b) => starts[a.next] - starts[b.next] || a.next - b.next);
    const [first, second] = left;
    if (!first) return pieces;
    // of what has the same address as the run that comes next, only what stands in front of it
    const limit = second ? starts[second.next] : Number.POSITIVE_INFINITY;
    const isBefore = (at: number) => (second && second.next < first.next ? at < limit : at <= limit);
    let low = first.next + 1;
    let high = first.end;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBefore(starts[middle])) low = middle + 1;
      else high = middle;
    }
    pieces.push([first.next, low]);
    first.next = low;
  }
}

function columnsFor(count: number): Columns {
  return {
    starts: new Float64Array(count),
    lengths: new Uint32Array(count),
    positions: new Uint32Array(count),
  };
}

/** Value of `i32.const n; end`, unsigned; undefined for any other expression. */
function constantAt(bytes: Uint8Array, position: number): number | undefined {
  if (bytes[position] !== op.i32Const) return undefined;
  const reader = new Reader(bytes, position + 1);
  const value = reader.s32() >>> 0;
  return reader.byte() === op.end ? value : undefined;
}
