// A window into a memory, for code that must see nothing else of it.
//
// The memory and its views are in `#private` fields, and nothing that this file calls can be replaced from outside
// (intrinsics.ts). The views cover the window only, so that even a mistake in the arithmetic here stays inside. What
// goes in or out is copied: a typed array over the window would carry the whole buffer in its `buffer`.
import { LinmemRangeError, LinmemTypeError } from "../errors.js";
import type { Loads } from "./field-views.js";
import {
  Bytes,
  backingOf,
  bufferOf,
  Data,
  fillBytes,
  get,
  isInteger,
  lengthOf,
  set,
  setBytes,
  toNumber,
  typedArrayName,
} from "./intrinsics.js";
import type { LinearMemory } from "./linear-memory.js";
import { checkBigInt, checkNumber } from "./number-fields.js";
import { show } from "./pages.js";
import { decodeUtf8 } from "./text.js";
import { hex } from "./views.js";

/** A whole number of bytes; NaN for a value of the wrong kind. Runs no code of the caller's. */
function whole(value: unknown): number {
  if (typeof value === "number") return isInteger(value) ? value : Number.NaN;
  return typeof value === "bigint" && value < 1n << 53n && value > -(1n << 53n)
    ? toNumber(value)
    : Number.NaN;
}

/**
 * `length` bytes of a memory from `offset` on, and nothing else: no method, property or prototype leads to the rest.
 * Offsets count from the start of the region. Growth of the memory changes nothing.
 *
 * Loads and stores are little-endian and work at any offset, aligned or not; they throw a RangeError
 * (`ERR_LINMEM_BOUNDS`) outside of the region, and a TypeError for an offset that is no whole number
 * (`ERR_LINMEM_ADDRESS`), a value of the wrong kind (`ERR_LINMEM_VALUE`), or a store to a read-only region
 * (`ERR_LINMEM_READ_ONLY`). Integers keep their low bits.
 *
 * Whoever holds a region can read and write it, and hand out parts; `readOnly()` gives one that can't be written.
 * Structs can lie in a region: `Point.at(region, 0)`. Code that replaces what the engine's prototypes hold sees nothing,
 * as long as linmem was loaded before it.
 */
export class Region implements Loads {
  readonly #memory: WebAssembly.Memory;
  readonly #start: number;
  readonly #length: number;
  #writable = true;
  #bytes!: Uint8Array;
  #data!: DataView;

  /**
   * @param offset first byte in the memory
   * @param length number of bytes
   * @throws RangeError (`ERR_LINMEM_BOUNDS`) when it reaches outside of the memory as it is now; TypeError for what is
   *   no memory (`ERR_LINMEM_NOT_A_MEMORY`) or no whole number (`ERR_LINMEM_ADDRESS`)
   */
  constructor(memory: LinearMemory | WebAssembly.Memory, offset: number | bigint, length: number | bigint) {
    this.#memory = rawMemory(memory);
    const total = lengthOf(new Bytes(bufferOf(this.#memory)));
    this.#start = place(offset, length, total, "memory");
    this.#length = whole(length);
    this.#renew();
  }

  /** Number of bytes. */
  get byteLength(): number {
    return this.#length;
  }

  /** Whether it can be written. */
  get writable(): boolean {
    return this.#writable;
  }

  /**
   * A part of this region; of a read-only one a read-only part.
   * @throws RangeError (`ERR_LINMEM_BOUNDS`) when it reaches outside of this region
   */
  subregion(offset: number | bigint, length: number | bigint): Region {
    const start = place(offset, length, this.#length, "region");
    const part = new Region(this.#memory, this.#start + start, length);
    part.#writable = this.#writable;
    return part;
  }

  /** The same bytes, which can't be written through the result. */
  readOnly(): Region {
    const region = new Region(this.#memory, this.#start, this.#length);
    region.#writable = false;
    return region;
  }

  #renew(): void {
    const buffer = bufferOf(this.#memory) as ArrayBuffer;
    this.#bytes = new Bytes(buffer, this.#start, this.#length);
    this.#data = new Data(buffer, this.#start, this.#length);
  }

  /** `size` bytes at `offset`, which are checked, and views that are valid. `size` is at least 1. */
  #at(offset: number | bigint, size: number): number {
    const at = place(offset, size, this.#length, "region");
    // Growth detaches views; those of a shared memory stay as they are, which is enough for a window.
    if (this.#bytes[at] === undefined) this.#renew();
    return at;
  }

  #toWrite(offset: number | bigint, size: number): number {
    if (!this.#writable) throw new LinmemTypeError("ERR_LINMEM_READ_ONLY", "the region is read-only");
    return this.#at(offset, size);
  }

  /** Exactly the bytes, not copied: must not leave this class. */
  #window(offset: number, length: number): Uint8Array {
    return new Bytes(bufferOf(this.#memory) as ArrayBuffer, this.#start + offset, length);
  }

  /** A copy of `byteLength` bytes from `offset` on, in a buffer of its own. */
  copyBytes(
    offset: number | bigint = 0,
    byteLength: number | bigint = this.#length,
  ): Uint8Array<ArrayBuffer> {
    const at = place(offset, byteLength, this.#length, "region");
    const copy = new Bytes(whole(byteLength));
    setBytes(copy, this.#window(at, whole(byteLength)));
    return copy;
  }

  /**
   * Copies `bytes` to `offset`; they may be a view of the same memory. All or nothing.
   * @throws TypeError when they are no Uint8Array (`ERR_LINMEM_VALUE`) or detached (`ERR_LINMEM_DETACHED`)
   */
  writeBytes(offset: number | bigint, bytes: Uint8Array): void {
    if (typedArrayName(bytes) !== "Uint8Array") {
      throw new LinmemTypeError(
        "ERR_LINMEM_VALUE",
        `the bytes to write must be a Uint8Array, not ${show(bytes)}`,
      );
    }
    const length = lengthOf(bytes);
    if (length === 0) {
      checkAttached(bytes);
      this.#toWriteNothing(offset);
    } else {
      setBytes(this.#window(this.#toWrite(offset, length), length), bytes);
    }
  }

  #toWriteNothing(offset: number | bigint): void {
    if (!this.#writable) this.#toWrite(0, 1);
    place(offset, 0, this.#length, "region");
  }

  /** Sets `byteLength` bytes from `offset` on to `value`. */
  fill(value: number, offset: number | bigint = 0, byteLength: number | bigint = this.#length): void {
    checkNumber(value);
    const at = place(offset, byteLength, this.#length, "region");
    if (whole(byteLength) === 0) this.#toWriteNothing(at);
    else fillBytes(this.#window(this.#toWrite(at, whole(byteLength)), whole(byteLength)), value);
  }

  /** `byteLength` bytes of UTF-8 as text. What is not UTF-8 becomes U+FFFD. */
  readUtf8(offset: number | bigint = 0, byteLength: number | bigint = this.#length): string {
    return decodeUtf8(this.copyBytes(offset, byteLength));
  }

  /** Writes `text` as UTF-8, all or nothing, and returns the number of bytes. Lone surrogates become U+FFFD. */
  writeUtf8(offset: number | bigint, text: string): number {
    if (typeof text !== "string") {
      throw new LinmemTypeError("ERR_LINMEM_VALUE", `text is expected, not ${show(text)}`);
    }
    const bytes = new TextEncoder().encode(text);
    this.writeBytes(offset, bytes);
    return lengthOf(bytes);
  }

  /** Loads the unsigned byte at `offset`. */
  readU8(offset: number | bigint): number {
    const at = this.#at(offset, 1);
    return get.u8(this.#data, at);
  }
  /** Loads the signed byte at `offset`. */
  readI8(offset: number | bigint): number {
    const at = this.#at(offset, 1);
    return get.i8(this.#data, at);
  }
  /** Loads the unsigned 16-bit number at `offset`. */
  readU16(offset: number | bigint): number {
    const at = this.#at(offset, 2);
    return get.u16(this.#data, at, true);
  }
  /** Loads the signed 16-bit number at `offset`. */
  readI16(offset: number | bigint): number {
    const at = this.#at(offset, 2);
    return get.i16(this.#data, at, true);
  }
  /** Loads the unsigned 32-bit number at `offset`. */
  readU32(offset: number | bigint): number {
    const at = this.#at(offset, 4);
    return get.u32(this.#data, at, true);
  }
  /** Loads the signed 32-bit number at `offset`. */
  readI32(offset: number | bigint): number {
    const at = this.#at(offset, 4);
    return get.i32(this.#data, at, true);
  }
  /** Loads the 32-bit float at `offset`. */
  readF32(offset: number | bigint): number {
    const at = this.#at(offset, 4);
    return get.f32(this.#data, at, true);
  }
  /** Loads the 64-bit float at `offset`. */
  readF64(offset: number | bigint): number {
    const at = this.#at(offset, 8);
    return get.f64(this.#data, at, true);
  }
  /** Loads the signed 64-bit number (a BigInt) at `offset`. */
  readI64(offset: number | bigint): bigint {
    const at = this.#at(offset, 8);
    return get.i64(this.#data, at, true);
  }
  /** Loads the unsigned 64-bit number (a BigInt) at `offset`. */
  readU64(offset: number | bigint): bigint {
    const at = this.#at(offset, 8);
    return get.u64(this.#data, at, true);
  }

  /** Stores an unsigned byte at `offset`. */
  writeU8(offset: number | bigint, value: number): void {
    checkNumber(value);
    const at = this.#toWrite(offset, 1);
    set.u8(this.#data, at, value);
  }
  /** Stores a signed byte at `offset`. */
  writeI8(offset: number | bigint, value: number): void {
    checkNumber(value);
    const at = this.#toWrite(offset, 1);
    set.i8(this.#data, at, value);
  }
  /** Stores an unsigned 16-bit number at `offset`. */
  writeU16(offset: number | bigint, value: number): void {
    checkNumber(value);
    const at = this.#toWrite(offset, 2);
    set.u16(this.#data, at, value, true);
  }
  /** Stores a signed 16-bit number at `offset`. */
  writeI16(offset: number | bigint, value: number): void {
    checkNumber(value);
    const at = this.#toWrite(offset, 2);
    set.i16(this.#data, at, value, true);
  }
  /** Stores an unsigned 32-bit number at `offset`. */
  writeU32(offset: number | bigint, value: number): void {
    checkNumber(value);
    const at = this.#toWrite(offset, 4);
    set.u32(this.#data, at, value, true);
  }
  /** Stores a signed 32-bit number at `offset`. */
  writeI32(offset: number | bigint, value: number): void {
    checkNumber(value);
    const at = this.#toWrite(offset, 4);
    set.i32(this.#data, at, value, true);
  }
  /** Stores a 32-bit float at `offset`. */
  writeF32(offset: number | bigint, value: number): void {
    checkNumber(value);
    const at = this.#toWrite(offset, 4);
    set.f32(this.#data, at, value, true);
  }
  /** Stores a 64-bit float at `offset`. */
  writeF64(offset: number | bigint, value: number): void {
    checkNumber(value);
    const at = this.#toWrite(offset, 8);
    set.f64(this.#data, at, value, true);
  }
  /** Stores a signed 64-bit number (a BigInt) at `offset`. */
  writeI64(offset: number | bigint, value: bigint): void {
    checkBigInt(value);
    const at = this.#toWrite(offset, 8);
    set.i64(this.#data, at, value, true);
  }
  /** Stores an unsigned 64-bit number (a BigInt) at `offset`. */
  writeU64(offset: number | bigint, value: bigint): void {
    checkBigInt(value);
    const at = this.#toWrite(offset, 8);
    set.u64(this.#data, at, value, true);
  }
}

// Methods can't be replaced by others that keep the regions they are called on.
Object.freeze(Region.prototype);
Object.freeze(Region);

/** The memory itself. Of a `WebAssembly.Memory` nothing is asked that could be replaced. */
function rawMemory(memory: LinearMemory | WebAssembly.Memory): WebAssembly.Memory {
  if (isMemory(memory)) return memory;
  const { wasm } = (memory ?? {}) as LinearMemory;
  if (isMemory(wasm)) return wasm;
  throw new LinmemTypeError("ERR_LINMEM_NOT_A_MEMORY", `a memory is expected, not ${show(memory)}`);
}

function isMemory(value: unknown): value is WebAssembly.Memory {
  try {
    bufferOf(value as WebAssembly.Memory);
    return true;
  } catch {
    return false;
  }
}

/** `offset`, checked: `length` bytes from there lie in `total` ones. */
function place(offset: unknown, length: unknown, total: number, of: string): number {
  const at = whole(offset);
  const size = whole(length);
  // NaN fails every comparison
  if (at >= 0 && size >= 0 && at <= total - size) return at;
  checkWhole(offset, "offset");
  checkWhole(length, "length");
  const numbers = { address: toNumber(offset), size: toNumber(length), byteLength: total };
  throw new LinmemRangeError(
    "ERR_LINMEM_BOUNDS",
    `out of bounds: ${numbers.size} ${numbers.size === 1 ? "byte" : "bytes"} at ${hex(numbers.address)} of a ${of} of ${hex(total)} bytes`,
    numbers,
  );
}

function checkWhole(value: unknown, name: string): void {
  if (typeof value === "bigint") return;
  if (typeof value === "number" && (isInteger(value) || value === Infinity || value === -Infinity)) return;
  throw new LinmemTypeError(
    "ERR_LINMEM_ADDRESS",
    `${name} must be a whole number of bytes, not ${show(value)}`,
  );
}

function checkAttached(bytes: Uint8Array): void {
  try {
    new Bytes(backingOf(bytes) as ArrayBuffer);
  } catch (cause) {
    throw new LinmemTypeError(
      "ERR_LINMEM_DETACHED",
      "the bytes to write are gone: their buffer was detached",
      {
        cause,
      },
    );
  }
}
