// Runs of bytes of a memory: views, copies, text, dumps. Text is encoded in text.ts.
import { LinmemRangeError, LinmemTypeError } from "../errors.js";
import { lengthOf, typedArrayName } from "./intrinsics.js";
import { show } from "./pages.js";
import { decodeUtf8, decodeUtf16, encodeUtf8, encodeUtf16, hexDump, utf8Length } from "./text.js";
import { type Address, hex, MemoryViews, toWhole } from "./views.js";

/** Bytes and text of one memory. `LinearMemory` is the class to use. */
export abstract class MemoryBytes extends MemoryViews {
  /** The address of `byteLength` bytes that are known to lie inside. */
  private range(address: Address, byteLength: Address): { start: number; end: number } {
    const size = toWhole(byteLength, "length");
    if (size < 0) {
      throw new LinmemRangeError("ERR_LINMEM_BOUNDS", `a length of ${hex(size)} bytes at ${show(address)}`, {
        size,
      });
    }
    const start = this.at(address, size);
    return { start, end: start + size };
  }

  /** The bytes themselves: what is written there is in the memory. Valid until the next growth. */
  viewBytes(address: Address, byteLength: Address): Uint8Array {
    const { start, end } = this.range(address, byteLength);
    return this.bytes.subarray(start, end);
  }

  /** A copy of the bytes, which no growth touches, in a buffer of its own (never a shared one). */
  copyBytes(address: Address, byteLength: Address): Uint8Array<ArrayBuffer> {
    const { start, end } = this.range(address, byteLength);
    return this.bytes.slice(start, end) as Uint8Array<ArrayBuffer>;
  }

  /** Copies `source` to `address`; it may be a view of this memory, overlapping or not. */
  writeBytes(address: Address, source: Uint8Array): void {
    const byteLength = sourceLength(source);
    const { start } = this.range(address, byteLength);
    this.bytes.set(source, start);
  }

  /** `byteLength` bytes of UTF-8 as text. What is not UTF-8 becomes U+FFFD. */
  readUtf8(address: Address, byteLength: Address): string {
    return decodeUtf8(this.viewBytes(address, byteLength));
  }

  /** UTF-8 up to a NUL, which must come within `limit` bytes (unless told: before the end of the memory). */
  readCString(address: Address, limit?: Address): string {
    const start = this.at(address, 1);
    const { bytes } = this;
    if (limit === undefined) {
      const end = bytes.indexOf(0, start);
      if (end < 0) throw noTerminator(start, bytes.length - start);
      return decodeUtf8(bytes.subarray(start, end));
    }
    const room = this.atMost(start, limit);
    const length = room.indexOf(0);
    if (length < 0) throw noTerminator(start, room.length);
    return decodeUtf8(room.subarray(0, length));
  }

  /** `byteLength` bytes (2 for each unit) of UTF-16, little-endian, at any address; lone surrogates stay. */
  readUtf16(address: Address, byteLength: Address): string {
    const { start, end } = this.range(address, byteLength);
    if ((end - start) % 2 !== 0) {
      throw new LinmemRangeError("ERR_LINMEM_TEXT", `UTF-16 of ${end - start} bytes: half a unit is left`, {
        size: end - start,
      });
    }
    return decodeUtf16(this.data, start, end - start);
  }

  /** UTF-16 up to a unit of 0, which must come within `limit` bytes (unless told: before the end of the memory). */
  readCString16(address: Address, limit?: Address): string {
    const rest = this.atMost(this.at(address, 1), limit);
    const data = new DataView(rest.buffer, rest.byteOffset, rest.length);
    for (let at = 0; at + 2 <= rest.length; at += 2) {
      if (data.getUint16(at, true) === 0) return decodeUtf16(data, 0, at);
    }
    throw noTerminator(Number(address), rest.length);
  }

  /**
   * Writes `text` as UTF-8 without a NUL and returns the number of bytes. A lone surrogate becomes U+FFFD.
   *
   * @param limit how many bytes there is room for; unless told, up to the end of the memory.
   * @throws RangeError (`ERR_LINMEM_BOUNDS`), and nothing written, when `text` does not fit.
   */
  writeUtf8(address: Address, text: string, limit?: Address): number {
    checkText(text);
    return encodeUtf8(text, this.room(address, text, 0, limit));
  }

  /** Writes `text` as UTF-8 and a NUL, and returns the number of bytes, NUL included; otherwise as `writeUtf8`. */
  writeCString(address: Address, text: string, limit?: Address): number {
    checkText(text);
    checkNoNul(text);
    const room = this.room(address, text, 1, limit);
    const length = encodeUtf8(text, room.subarray(0, room.length - 1));
    room[length] = 0;
    return length + 1;
  }

  /** Writes `text` as UTF-16, little-endian, and returns the number of bytes; otherwise as `writeUtf8`. */
  writeUtf16(address: Address, text: string, limit?: Address): number {
    checkText(text);
    const byteLength = text.length * 2;
    const start = this.fit(address, byteLength, limit);
    encodeUtf16(text, this.data, start);
    return byteLength;
  }

  /** Writes `text` as UTF-16 and a unit of 0, and returns the number of bytes, those included. */
  writeCString16(address: Address, text: string, limit?: Address): number {
    checkText(text);
    checkNoNul(text);
    const byteLength = text.length * 2 + 2;
    const start = this.fit(address, byteLength, limit);
    encodeUtf16(text, this.data, start);
    this.data.setUint16(start + byteLength - 2, 0, true);
    return byteLength;
  }

  /** The bytes as a table: 16 a line with address and ASCII; lines that repeat become one `*`. */
  dump(address: Address, byteLength: Address): string {
    const { start, end } = this.range(address, byteLength);
    return hexDump(this.bytes.subarray(start, end), start);
  }

  /** The bytes from `start` to the end, at most `limit` of them. */
  private atMost(start: number, limit: Address | undefined): Uint8Array {
    const left = this.bytes.length - start;
    return this.viewBytes(start, limit === undefined ? left : Math.min(toWhole(limit, "limit"), left));
  }

  /** The address of `byteLength` bytes that lie inside the memory, and are not more than `limit`. */
  private fit(address: Address, byteLength: number, limit: Address | undefined): number {
    const start = this.at(address, byteLength);
    const most = limit === undefined ? byteLength : toWhole(limit, "limit");
    if (byteLength > most) {
      throw new LinmemRangeError(
        "ERR_LINMEM_BOUNDS",
        `text of ${byteLength} bytes does not fit ${hex(most)} bytes`,
        {
          address: start,
          size: byteLength,
          limit: most,
        },
      );
    }
    return start;
  }

  /** Where `text` and `extra` bytes after it are known to fit. */
  private room(address: Address, text: string, extra: number, limit: Address | undefined): Uint8Array {
    const start = this.at(address, extra);
    const left = this.bytes.length - start;
    const room = limit === undefined ? left : Math.min(left, toWhole(limit, "limit"));
    // A unit of UTF-16 takes at most 3 bytes: only in a narrow place the exact length has to be known first.
    const most = text.length * 3 + extra;
    if (most > room) {
      const byteLength = utf8Length(text) + extra;
      this.fit(address, byteLength, limit);
      return this.bytes.subarray(start, start + byteLength);
    }
    return this.bytes.subarray(start, start + most);
  }
}

/** The length of a Uint8Array as the engine has it, whatever properties it claims to have. */
function sourceLength(source: Uint8Array): number {
  if (typedArrayName(source) !== "Uint8Array") {
    throw new LinmemTypeError(
      "ERR_LINMEM_VALUE",
      `the bytes to write must be a Uint8Array, not ${show(source)}`,
    );
  }
  const length = lengthOf(source);
  if (length === 0) checkAttached(source);
  return length;
}

function checkAttached(source: Uint8Array): void {
  try {
    new Uint8Array(source.buffer);
  } catch (cause) {
    throw new LinmemTypeError(
      "ERR_LINMEM_DETACHED",
      "the bytes to write are gone: their buffer was detached, by a transfer or by the growth of a memory",
      { cause },
    );
  }
}

function checkText(text: unknown): void {
  if (typeof text !== "string") {
    throw new LinmemTypeError("ERR_LINMEM_VALUE", `the text to write must be a string, not ${show(text)}`);
  }
}

function checkNoNul(text: string): void {
  const index = text.indexOf("\0");
  if (index >= 0) {
    throw new LinmemRangeError(
      "ERR_LINMEM_TEXT",
      `the text has a NUL at index ${index}, which would end it`,
      { index },
    );
  }
}

function noTerminator(address: number, size: number): LinmemRangeError {
  return new LinmemRangeError("ERR_LINMEM_TEXT", `no NUL in ${size} bytes at ${hex(address)}`, {
    address,
    size,
  });
}
