/**
 * What a module puts into its memory before it runs, to be read by addresses. Between its segments there are zeros: linkers
 * leave out long runs of them, so that one table may lie in many segments.
 */
export interface ImageSegment {
  start: number;
  bytes: Uint8Array;
}

const utf8 = new TextDecoder();

export class MemoryImage {
  /** In ascending order; where they overlap the later one of the module is not always right. */
  readonly #segments: readonly ImageSegment[];
  /** The segment that was read last: what is read lies side by side. */
  #last = 0;

  constructor(segments: readonly ImageSegment[]) {
    this.#segments = [...segments].sort((a, b) => a.start - b.start);
  }

  u8(address: number): number {
    const { start, bytes } = this.#at(address);
    return bytes[address - start] ?? 0;
  }

  u32(address: number): number {
    const { start, bytes } = this.#at(address);
    const at = address - start;
    if (at >= 0 && at + 4 <= bytes.length) {
      return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
    }
    let value = 0;
    for (let i = 3; i >= 0; i--) value = value * 256 + this.u8(address + i);
    return value;
  }

  /** Text in UTF-8 up to a 0, or to `most` bytes. */
  text(address: number, most: number): string {
    const bytes: number[] = [];
    for (
      let byte = this.u8(address);
      byte !== 0 && bytes.length < most;
      byte = this.u8(address + bytes.length)
    ) {
      bytes.push(byte);
    }
    return utf8.decode(Uint8Array.from(bytes));
  }

  /** Addresses of 4 bytes that lie in one segment, at multiples of 8. */
  *findWord(word: number): Generator<number> {
    const first = word & 0xff;
    for (const { start, bytes } of this.#segments) {
      for (let at = bytes.indexOf(first); at >= 0; at = bytes.indexOf(first, at + 1)) {
        if ((start + at) % 8 === 0 && this.u32(start + at) === word) yield start + at;
      }
    }
  }

  /** The last segment that begins at or before an address. */
  #at(address: number): ImageSegment {
    const segments = this.#segments;
    const begins = (i: number) => segments[i]?.start ?? Number.POSITIVE_INFINITY;
    if (begins(this.#last) <= address && address < begins(this.#last + 1)) return segments[this.#last];
    let low = 0;
    let high = segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (segments[middle].start <= address) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return nothing;
    this.#last = low - 1;
    return segments[this.#last];
  }
}

const nothing: ImageSegment = { start: 0, bytes: new Uint8Array() };
