/**
 * Reading and writing of the format's numbers, names and vectors. Positions are plain numbers and values come
 * back without a wrapper object: the code section is walked at tens of megabytes a second. `Reader` is for
 * sections other than code, where checked reading in sequence matters more than the last nanosecond.
 *
 * Numbers are checked as the specification asks: at most 5 bytes for 32 and 33 bits, 10 for 64, and the unused
 * bits of the last byte must be zero (or the sign). Padding within those lengths is allowed; linkers write it.
 * Errors of a number carry the offset of its first byte, errors of missing bytes the offset where they end.
 */
import { DecodeError } from "../errors.js";

const utf8Decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenientDecoder = new TextDecoder("utf-8", { ignoreBOM: true });
const utf8Encoder = new TextEncoder();

const tooLong = (offset: number) => new DecodeError("integer representation too long", offset);
const tooLarge = (offset: number) => new DecodeError("integer too large", offset);
const unexpectedEnd = (offset: number) => new DecodeError("unexpected end", offset);

/** The unsigned 32-bit number at `pos`. With `skipLeb`, which finds its end, quicker than a Reader. */
export function u32At(bytes: Uint8Array, pos: number): number {
  const first = bytes[pos];
  if (first < 0x80) return first;
  return longU32At(bytes, pos);
}

function longU32At(bytes: Uint8Array, pos: number): number {
  let value = 0;
  for (let i = 0; i < 5; i++) {
    const byte = bytes[pos + i];
    if (byte === undefined) throw unexpectedEnd(bytes.length);
    if (i === 4) {
      if (byte >= 0x80) throw tooLong(pos);
      if (byte > 0x0f) throw tooLarge(pos);
    }
    value |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) break;
  }
  return value >>> 0;
}

/** Position after the number of at most 10 bytes, of any width and sign, at `pos`. */
export function skipLeb(bytes: Uint8Array, pos: number): number {
  const first = pos;
  while (bytes[pos] >= 0x80) pos++;
  if (pos >= bytes.length) throw unexpectedEnd(bytes.length);
  if (pos - first >= 10) throw tooLong(first);
  return pos + 1;
}

/** Number of bytes that the shortest form of an unsigned 32-bit number takes. */
export function u32Length(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5;
}

/** Reads one thing after the other from `pos` up to `end`; every method throws DecodeError with its offset. */
export class Reader {
  /** Offsets, in errors too, count from the start of `bytes`; give the whole module to keep them true. */
  constructor(
    readonly bytes: Uint8Array,
    public pos = 0,
    readonly end = bytes.length,
  ) {}

  get remaining(): number {
    return this.end - this.pos;
  }

  atEnd(): boolean {
    return this.pos >= this.end;
  }

  byte(): number {
    if (this.pos >= this.end) throw unexpectedEnd(this.end);
    return this.bytes[this.pos++];
  }

  /** The next byte without taking it. */
  peek(): number {
    if (this.pos >= this.end) throw unexpectedEnd(this.end);
    return this.bytes[this.pos];
  }

  u32(): number {
    const first = this.pos;
    const byte = this.byte();
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    for (let shift = 7; ; shift += 7) {
      const next = this.byte();
      if (shift === 28) {
        if (next >= 0x80) throw tooLong(first);
        if (next > 0x0f) throw tooLarge(first);
      }
      value |= (next & 0x7f) << shift;
      if (next < 0x80) return value >>> 0;
    }
  }

  /** So many of them. There may be thousands, and engines have not compiled this when it runs: no calls for short ones. */
  u32s(count: number): number[] {
    const { bytes, end } = this;
    const numbers = new Array<number>(count);
    let pos = this.pos;
    for (let i = 0; i < count; i++) {
      const byte = bytes[pos];
      const next = bytes[pos + 1];
      if (pos < end && byte < 0x80) {
        numbers[i] = byte;
        pos++;
      } else if (pos + 1 < end && next < 0x80) {
        numbers[i] = (byte & 0x7f) | (next << 7);
        pos += 2;
      } else {
        this.pos = pos;
        numbers[i] = this.u32();
        pos = this.pos;
      }
    }
    this.pos = pos;
    return numbers;
  }

  s32(): number {
    const first = this.pos;
    const value = this.s33();
    if (this.pos - first === 5) {
      // s33 allows one value bit more in the fifth byte.
      const last = this.bytes[this.pos - 1] & 0x78;
      if (last !== 0 && last !== 0x78) throw tooLarge(first);
    }
    return value;
  }

  /** Signed 33-bit number: block types and heap types. */
  s33(): number {
    const first = this.pos;
    let value = 0;
    let scale = 1;
    for (let i = 0; ; i++) {
      const byte = this.byte();
      if (i === 4) {
        if (byte >= 0x80) throw tooLong(first);
        const unused = byte & 0x70;
        if (unused !== 0 && unused !== 0x70) throw tooLarge(first);
      }
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) return byte & 0x40 ? value - scale : value;
    }
  }

  u64(): bigint {
    const first = this.pos;
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.byte();
      if (shift === 63n) {
        if (byte >= 0x80) throw tooLong(first);
        if (byte > 1) throw tooLarge(first);
      }
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  s64(): bigint {
    const first = this.pos;
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.byte();
      if (shift === 63n) {
        if (byte >= 0x80) throw tooLong(first);
        if (byte !== 0 && byte !== 0x7f) throw tooLarge(first);
      }
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(Number(shift) + 7, value);
    }
  }

  /** Takes `count` bytes and returns the position of the first. */
  skip(count: number): number {
    const first = this.pos;
    if (count > this.end - first) throw new DecodeError("length out of bounds", first);
    this.pos = first + count;
    return first;
  }

  /** `count` bytes, not copied. */
  take(count: number): Uint8Array {
    const first = this.skip(count);
    return this.bytes.subarray(first, first + count);
  }

  /** Number of items of a vector, each of which takes at least `itemBytes` bytes: never more than can follow. */
  count(itemBytes: number, maximum: number, what: string): number {
    const first = this.pos;
    const count = this.u32();
    if (count > maximum) throw new DecodeError(`${count} ${what}, more than the limit of ${maximum}`, first);
    if (count * itemBytes > this.end - this.pos) throw new DecodeError("length out of bounds", first);
    return count;
  }

  /** A name; malformed UTF-8 is an error. */
  name(): string {
    const length = this.u32();
    const first = this.skip(length);
    try {
      return utf8Decoder.decode(this.bytes.subarray(first, first + length));
    } catch {
      throw new DecodeError("malformed UTF-8 encoding", first);
    }
  }

  /** A name for display; malformed UTF-8 becomes U+FFFD. */
  displayName(): string {
    return lenientDecoder.decode(this.take(this.u32()));
  }

  expectEnd(what: string): void {
    if (this.pos !== this.end) throw new DecodeError(`section size mismatch: ${what} ends early`, this.pos);
  }
}

/** Collects bytes in a buffer that doubles. */
export class Writer {
  /** May move whenever something is written; only the first `length` bytes are meant. */
  buffer: Uint8Array<ArrayBuffer>;
  length = 0;

  constructor(capacity = 256) {
    this.buffer = new Uint8Array(capacity);
  }

  /** Makes room for `count` more bytes. After it `buffer` may be written directly and `length` advanced. */
  reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.buffer.length) return;
    const larger = new Uint8Array(Math.max(needed, this.buffer.length * 2));
    larger.set(this.buffer.subarray(0, this.length));
    this.buffer = larger;
  }

  byte(value: number): void {
    if (this.length === this.buffer.length) this.reserve(1);
    this.buffer[this.length++] = value;
  }

  u32(value: number): void {
    this.reserve(5);
    while (value >= 0x80) {
      this.buffer[this.length++] = (value & 0x7f) | 0x80;
      value >>>= 7;
    }
    this.buffer[this.length++] = value;
  }

  /** Always 5 bytes, so that a size can be written into its place later, with `patchU32`. */
  paddedU32(value: number): void {
    this.reserve(5);
    this.length += 5;
    this.patchU32(this.length - 5, value);
  }

  /** Writes `value` over the 5 bytes at `pos`. */
  patchU32(pos: number, value: number): void {
    for (let i = 0; i < 4; i++) {
      this.buffer[pos + i] = (value & 0x7f) | 0x80;
      value >>>= 7;
    }
    this.buffer[pos + 4] = value;
  }

  s32(value: number): void {
    this.s33(value);
  }

  /** Any integer of up to 53 bits. */
  s33(value: number): void {
    this.reserve(8);
    while (value < -64 || value > 63) {
      const low = ((value % 128) + 128) % 128;
      this.buffer[this.length++] = low | 0x80;
      value = (value - low) / 128;
    }
    this.buffer[this.length++] = value & 0x7f;
  }

  u64(value: bigint): void {
    this.reserve(10);
    while (value >= 0x80n) {
      this.buffer[this.length++] = Number(value & 0x7fn) | 0x80;
      value >>= 7n;
    }
    this.buffer[this.length++] = Number(value);
  }

  s64(value: bigint): void {
    this.reserve(10);
    while (value < -64n || value > 63n) {
      this.buffer[this.length++] = Number(value & 0x7fn) | 0x80;
      value >>= 7n;
    }
    this.buffer[this.length++] = Number(value & 0x7fn);
  }

  bytes(source: Uint8Array): void {
    this.reserve(source.length);
    this.buffer.set(source, this.length);
    this.length += source.length;
  }

  /** Appends `source[start..end)`. Short ranges go byte by byte: a subarray costs more than they do. */
  copy(source: Uint8Array, start: number, end: number): void {
    const count = end - start;
    this.reserve(count);
    if (count > 48) {
      this.buffer.set(source.subarray(start, end), this.length);
      this.length += count;
    } else {
      const buffer = this.buffer;
      let to = this.length;
      for (let from = start; from < end; from++) buffer[to++] = source[from];
      this.length = to;
    }
  }

  name(text: string): void {
    const encoded = utf8Encoder.encode(text);
    this.u32(encoded.length);
    this.bytes(encoded);
  }

  /** What was written, not copied; the writer is used up. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.buffer.subarray(0, this.length);
  }
}
