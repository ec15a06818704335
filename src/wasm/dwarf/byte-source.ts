/**
 * Bytes that are read where they are needed. A module with 100 MB of debug information is a file from which a
 * few hundred kilobytes are read; nothing here asks for a whole section.
 */
import { DecodeError } from "../../errors.js";

export interface ByteSource {
  /** Bytes in all. */
  readonly size: number;
  /** The bytes from `start` up to `end`, both within the source; the caller does not write to them. */
  read(start: number, end: number): Uint8Array;
}

/** A source of bytes that are in memory already. */
export function memorySource(bytes: Uint8Array): ByteSource {
  return { size: bytes.length, read: (start, end) => bytes.subarray(start, end) };
}

/** Bytes of a window that is opened for something whose length is not known. */
const windowSize = 4096;

/** Bytes of the longest name or path that is read. */
const longestText = 1 << 16;

/** A section of debug information, read piece by piece. Offsets count from the start of the section. */
export class Section {
  readonly #source: ByteSource;
  readonly #start: number;
  readonly size: number;

  /** @param start offset of the section's contents in the source */
  constructor(source: ByteSource, start: number, size: number) {
    this.#source = source;
    this.#start = start;
    this.size = size;
  }

  /** @throws DecodeError when the range does not lie in the section */
  read(start: number, end: number): Uint8Array {
    if (!(start >= 0 && start <= end && end <= this.size)) {
      throw new DecodeError("debug information points out of its section", this.#start + Math.max(0, start));
    }
    return this.#source.read(this.#start + start, this.#start + end);
  }

  /** A cursor over a range. */
  cursor(start: number, end: number): Cursor {
    return new Cursor(this.read(start, end), start);
  }

  /**
   * Runs `decode` on what begins at `start` and ends somewhere: on a window first, then on ever larger ones as
   * long as it runs out of them.
   */
  decodeAt<T>(start: number, decode: (cursor: Cursor) => T): T {
    for (let size = windowSize; ; size *= 8) {
      const end = Math.min(start + size, this.size);
      try {
        return decode(this.cursor(start, end));
      } catch (error) {
        if (end === this.size || !(error instanceof OutOfBytes)) throw error;
      }
    }
  }

  /**
   * The text at `offset`, up to its zero byte.
   * @throws DecodeError when there is none, or one that is no name or path any more
   */
  text(offset: number): string {
    for (const size of [windowSize, longestText]) {
      const cursor = this.cursor(offset, Math.min(offset + size, Math.max(offset, this.size)));
      if (cursor.bytes.includes(0)) return cursor.text();
    }
    throw new DecodeError("a text in debug information does not end", offset);
  }
}

/** The bytes end before what is decoded does. */
class OutOfBytes extends DecodeError {
  constructor(offset: number) {
    super("debug information ends early", offset);
  }
}

const utf8 = new TextDecoder();

/** Bits of a LEB128 number beyond this mean nothing here. */
const largestScale = 2 ** 70;

/**
 * Reads little-endian DWARF. Numbers are JavaScript numbers: exact up to 2^53, and beyond that too large for
 * any address or offset that could be right.
 */
export class Cursor {
  pos = 0;
  readonly end: number;

  constructor(
    readonly bytes: Uint8Array,
    /** Offset of the first byte in its section. */
    readonly origin: number,
  ) {
    this.end = bytes.length;
  }

  /** Offset in the section. */
  get offset(): number {
    return this.origin + this.pos;
  }

  atEnd(): boolean {
    return this.pos >= this.end;
  }

  u8(): number {
    if (this.pos >= this.end) throw new OutOfBytes(this.offset);
    return this.bytes[this.pos++];
  }

  s8(): number {
    return (this.u8() << 24) >> 24;
  }

  u16(): number {
    const at = this.skip(2);
    return this.bytes[at] | (this.bytes[at + 1] << 8);
  }

  u24(): number {
    const at = this.skip(3);
    return this.bytes[at] | (this.bytes[at + 1] << 8) | (this.bytes[at + 2] << 16);
  }

  u32(): number {
    const at = this.skip(4);
    const { bytes } = this;
    return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
  }

  u64(): number {
    const low = this.u32();
    return low + this.u32() * 2 ** 32;
  }

  /** An unsigned number of 1, 2, 4 or 8 bytes. */
  unsigned(size: number): number {
    switch (size) {
      case 1:
        return this.u8();
      case 2:
        return this.u16();
      case 4:
        return this.u32();
      case 8:
        return this.u64();
      default:
        throw new DecodeError(`a number of ${size} bytes in debug information`, this.offset);
    }
  }

  uleb(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.u8();
      if (scale < largestScale) value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  }

  sleb(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.u8();
      if (scale < largestScale) value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) return byte & 0x40 && scale < largestScale ? value - scale : value;
    }
  }

  /** Passes over `count` bytes and returns the position of the first. */
  skip(count: number): number {
    const first = this.pos;
    if (!(count <= this.end - first)) throw new OutOfBytes(this.offset);
    this.pos = first + count;
    return first;
  }

  /** Passes over a text and its zero byte. */
  skipText(): void {
    const zero = this.bytes.indexOf(0, this.pos);
    if (zero < 0) throw new OutOfBytes(this.offset);
    this.pos = zero + 1;
  }

  text(): string {
    const first = this.pos;
    this.skipText();
    return utf8.decode(this.bytes.subarray(first, this.pos - 1));
  }
}

/** Counts the steps of decoding, so that debug information that lies can't keep anybody busy for long. */
export class Budget {
  #left: number;

  constructor(steps: number) {
    this.#left = steps;
  }

  /** @throws DecodeError when there were more steps than real debug information takes */
  spend(steps: number, offset: number): void {
    this.#left -= steps;
    if (this.#left < 0) throw new DecodeError("debug information does not come to an end", offset);
  }
}
