// The bytes of a report's data: a JSON text, and columns of whole numbers that it refers to. Little-endian:
//
//   ┌──────────────┬──────────────┬───────────┬──────────────────────┬─────────┬───
//   │ u32 size of  │ u32 number   │ JSON text │ u32 count, u32 bytes │ numbers │ … next column
//   │ the JSON     │ of columns   │ (UTF-8)   │ of the column        │         │
//   └──────────────┴──────────────┴───────────┴──────────────────────┴─────────┴───
//
// A number n is written as 2n, or -2n - 1 when it is negative, in groups of 7 bits with the lowest first, as LEB128
// does: small numbers take a byte, and those up to 2^52 are exact. src/ui/unpack.ts reads it.
import type { ColumnReference } from "./data.js";

/** Numbers up to 2^52: twice that is still exact. */
const largest = 2 ** 52 - 1;

/** A column in the making. */
class Column {
  #bytes = new Uint8Array(1024);
  #length = 0;
  count = 0;

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  push(value: number): void {
    if (this.#length + 8 > this.#bytes.length) {
      const larger = new Uint8Array(this.#bytes.length * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    // A profile may hold any number: what is none, or out of range, becomes the nearest that can be written.
    const whole = Number.isNaN(value) ? 0 : Math.max(-largest, Math.min(largest, Math.round(value)));
    let rest = whole < 0 ? -2 * whole - 1 : 2 * whole;
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
    this.count++;
  }
}

/** The columns of a report. */
export class Columns {
  readonly #columns: Column[] = [];

  /** Writes a column and returns the reference to it. */
  add(values: Iterable<number>): ColumnReference {
    const column = new Column();
    for (const value of values) column.push(value);
    return { column: this.#columns.push(column) - 1 };
  }

  /** The bytes of `data` and of the columns that it refers to. */
  encode(data: unknown): Uint8Array<ArrayBuffer> {
    const json = new TextEncoder().encode(JSON.stringify(data));
    const size = this.#columns.reduce((sum, { bytes }) => sum + 8 + bytes.length, 8 + json.length);
    const bytes = new Uint8Array(size);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, json.length, true);
    view.setUint32(4, this.#columns.length, true);
    bytes.set(json, 8);
    let at = 8 + json.length;
    for (const column of this.#columns) {
      view.setUint32(at, column.count, true);
      view.setUint32(at + 4, column.bytes.length, true);
      bytes.set(column.bytes, at + 8);
      at += 8 + column.bytes.length;
    }
    return bytes;
  }
}
