/**
 * What a module puts into its memory before it runs, to be read by addresses. Between its segments there are zeros: linkers
 * leave out long runs of them, so that one table may lie in many segments.
 */

import type { InitialData } from "./initial-data.js";

const utf8 = new TextDecoder();

export class MemoryImage {
  /** In ascending order; where they overlap the later one of the module is not always right. */
  readonly #data: InitialData;
  /** The segment that was read last, -1 for what lies before all: what is read lies side by side. */
  #last = -1;

  constructor(data: InitialData) {
    this.#data = data.ascending();
  }

  /** Whether a segment puts something at an address, be it a 0. */
  holdsData(address: number): boolean {
    return this.#find(address, 1) >= 0;
  }

  u8(address: number): number {
    const at = this.#find(address, 1);
    return at < 0 ? 0 : this.#data.source[at];
  }

  u32(address: number): number {
    const at = this.#find(address, 4);
    if (at >= 0) {
      const bytes = this.#data.source;
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
    const data = this.#data;
    for (let segment = 0; segment < data.count; segment++) {
      const start = data.starts[segment];
      const bytes = data.bytes(segment);
      for (let at = bytes.indexOf(first); at >= 0; at = bytes.indexOf(first, at + 1)) {
        if ((start + at) % 8 === 0 && this.u32(start + at) === word) yield start + at;
      }
    }
  }

  /** Where `count` bytes at an address are in the source; -1 where not all of them are in one segment. */
  #find(address: number, count: number): number {
    const { starts, lengths, positions } = this.#data;
    if (!this.#isLast(address)) this.#last = this.#lastBefore(address);
    const segment = this.#last;
    if (segment < 0) return -1;
    const at = address - starts[segment];
    return at + count <= lengths[segment] ? positions[segment] + at : -1;
  }

  /** Whether the segment that was read last is the last one that begins at or before an address. */
  #isLast(address: number): boolean {
    const { starts, count } = this.#data;
    const last = this.#last;
    return last >= 0 && starts[last] <= address && (last + 1 === count || address < starts[last + 1]);
  }

  /** The last segment that begins at or before an address, or -1. */
  #lastBefore(address: number): number {
    const { starts, count } = this.#data;
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (starts[middle] <= address) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
