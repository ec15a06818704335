// Typed arrays over a memory that stay valid when it grows, and loads and stores at any address.
//
// Growth detaches the buffer of a memory, and every typed array over it has the length 0 from then on. So a view is
// valid as long as its length is not 0, which costs about 1 ns to look at. Shared buffers never detach, they stay
// short: there one call into a module that returns `memory.size` tells (about 2.5 ns). Rejected, with costs per access
// over a raw typed array (bench/RESULTS.md, "Library"): `view.buffer !== memory.buffer` (20 to 30 ns), an element read
// (`view[0] === undefined`, 2 to 5 ns once a buffer was detached), `buffer.detached` (10 ns), and views that track a
// resizable buffer (0.8 ns, but 20 ns for shared memories; not in Node 20 to 24; and `toResizableBuffer` changes what
// everybody else sees: TextDecoder refuses such views in browsers).
import { LinmemRangeError, LinmemTypeError } from "../errors.js";
import { show } from "./pages.js";

/** An address or a length in bytes. Exports of modules with 64-bit addresses return BigInts: both are taken. */
export type Address = number | bigint;

/** `0x` and hexadecimal digits; negative numbers keep their sign, infinities their name. */
export function hex(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  return `${value < 0 ? "-" : ""}0x${Math.abs(value).toString(16)}`;
}

/** `value` as a whole number that may lie anywhere: a TypeError for anything else, strings and fractions included. */
export function toWhole(value: unknown, name: string): number {
  const number = typeof value === "bigint" ? Number(value) : value;
  if (typeof number !== "number" || (!Number.isInteger(number) && Math.abs(number) !== Infinity)) {
    throw new LinmemTypeError(
      "ERR_LINMEM_ADDRESS",
      `${name} must be a whole number of bytes, not ${show(value)}`,
    );
  }
  return number;
}

function wrongValue(value: unknown, wanted: string): LinmemTypeError {
  return new LinmemTypeError(
    "ERR_LINMEM_VALUE",
    `the value to write must be a ${wanted}, not ${show(value)}`,
  );
}

function checkNumber(value: unknown): void {
  if (typeof value !== "number") throw wrongValue(value, "number");
}

function checkBigInt(value: unknown): void {
  if (typeof value !== "bigint") throw wrongValue(value, "BigInt");
}

/** The views of one memory, and how they are renewed. `LinearMemory` is the class to use. */
export abstract class MemoryViews {
  // Plain properties, not `#private`: in V8 11 a private field costs 10 to 50 ns as soon as objects differ in shape.
  protected bytes!: Uint8Array;
  protected data!: DataView;
  protected viewI8!: Int8Array;
  protected viewU16!: Uint16Array;
  protected viewI16!: Int16Array;
  protected viewU32!: Uint32Array;
  protected viewI32!: Int32Array;
  protected viewF32!: Float32Array;
  protected viewF64!: Float64Array;
  protected viewI64!: BigInt64Array;
  protected viewU64!: BigUint64Array;

  /** Looks at the memory as it is now, and makes new views where it changed. */
  protected abstract renew(): this;

  protected makeViews(buffer: ArrayBufferLike): void {
    this.bytes = new Uint8Array(buffer);
    this.data = new DataView(buffer);
    this.viewI8 = new Int8Array(buffer);
    this.viewU16 = new Uint16Array(buffer);
    this.viewI16 = new Int16Array(buffer);
    this.viewU32 = new Uint32Array(buffer);
    this.viewI32 = new Int32Array(buffer);
    this.viewF32 = new Float32Array(buffer);
    this.viewF64 = new Float64Array(buffer);
    this.viewI64 = new BigInt64Array(buffer);
    this.viewU64 = new BigUint64Array(buffer);
  }

  /** The whole memory as bytes. Valid until the next growth: read it again from here instead of keeping it. */
  get u8(): Uint8Array {
    const view = this.bytes;
    return view.length !== 0 ? view : this.renew().bytes;
  }
  /** The whole memory as signed bytes; valid like `u8`. */
  get i8(): Int8Array {
    const view = this.viewI8;
    return view.length !== 0 ? view : this.renew().viewI8;
  }
  /** The whole memory as 16-bit numbers, index = address / 2; valid like `u8`. */
  get u16(): Uint16Array {
    const view = this.viewU16;
    return view.length !== 0 ? view : this.renew().viewU16;
  }
  /** The whole memory as signed 16-bit numbers, index = address / 2; valid like `u8`. */
  get i16(): Int16Array {
    const view = this.viewI16;
    return view.length !== 0 ? view : this.renew().viewI16;
  }
  /** The whole memory as 32-bit numbers, index = address / 4; valid like `u8`. */
  get u32(): Uint32Array {
    const view = this.viewU32;
    return view.length !== 0 ? view : this.renew().viewU32;
  }
  /** The whole memory as signed 32-bit numbers, index = address / 4; valid like `u8`. */
  get i32(): Int32Array {
    const view = this.viewI32;
    return view.length !== 0 ? view : this.renew().viewI32;
  }
  /** The whole memory as 32-bit floats, index = address / 4; valid like `u8`. */
  get f32(): Float32Array {
    const view = this.viewF32;
    return view.length !== 0 ? view : this.renew().viewF32;
  }
  /** The whole memory as 64-bit floats, index = address / 8; valid like `u8`. */
  get f64(): Float64Array {
    const view = this.viewF64;
    return view.length !== 0 ? view : this.renew().viewF64;
  }
  /** The whole memory as signed 64-bit integers (BigInt), index = address / 8; valid like `u8`. */
  get i64(): BigInt64Array {
    const view = this.viewI64;
    return view.length !== 0 ? view : this.renew().viewI64;
  }
  /** The whole memory as 64-bit integers (BigInt), index = address / 8; valid like `u8`. */
  get u64(): BigUint64Array {
    const view = this.viewU64;
    return view.length !== 0 ? view : this.renew().viewU64;
  }

  /** The address of an access as a number, once it is known to lie inside; `data` and `bytes` are valid from here on. */
  protected at(address: Address, size: number): number {
    // A detached view has the length 0 and a shared one may be too short: both end in `atSlowly`, which looks again.
    // `>>> 0` keeps exactly the whole numbers from 0 to 2 ** 32 - 1 (and -0, which is 0).
    return typeof address === "number" && address >>> 0 === address && address <= this.bytes.length - size
      ? address
      : this.atSlowly(address, size);
  }

  private atSlowly(address: Address, size: number): number {
    const at = toWhole(address, "address");
    if (at > this.bytes.length - size) this.renew();
    const { length } = this.bytes;
    if (at < 0 || at > length - size) {
      throw new LinmemRangeError(
        "ERR_LINMEM_BOUNDS",
        `out of bounds: ${size} ${size === 1 ? "byte" : "bytes"} at ${hex(at)} of a memory of ${hex(length)} bytes`,
        { address: at, size, byteLength: length },
      );
    }
    return at;
  }

  // Loads and stores. All are little-endian and work at any address, aligned or not. They throw a RangeError
  // (`ERR_LINMEM_BOUNDS`) outside the memory, and a TypeError (`ERR_LINMEM_ADDRESS`) for what is not a whole number.

  /** Loads the unsigned byte at `address`, which need not be aligned. */
  readU8(address: Address): number {
    const at = this.at(address, 1);
    return this.data.getUint8(at);
  }
  /** Loads the signed byte at `address`, which need not be aligned. */
  readI8(address: Address): number {
    const at = this.at(address, 1);
    return this.data.getInt8(at);
  }
  /** Loads the unsigned 16-bit number at `address`, which need not be aligned. */
  readU16(address: Address): number {
    const at = this.at(address, 2);
    return this.data.getUint16(at, true);
  }
  /** Loads the signed 16-bit number at `address`, which need not be aligned. */
  readI16(address: Address): number {
    const at = this.at(address, 2);
    return this.data.getInt16(at, true);
  }
  /** Loads the unsigned 32-bit number at `address`, which need not be aligned. */
  readU32(address: Address): number {
    const at = this.at(address, 4);
    return this.data.getUint32(at, true);
  }
  /** Loads the signed 32-bit number at `address`, which need not be aligned. */
  readI32(address: Address): number {
    const at = this.at(address, 4);
    return this.data.getInt32(at, true);
  }
  /** Loads the 32-bit float at `address`, which need not be aligned. */
  readF32(address: Address): number {
    const at = this.at(address, 4);
    return this.data.getFloat32(at, true);
  }
  /** Loads the 64-bit float at `address`, which need not be aligned. */
  readF64(address: Address): number {
    const at = this.at(address, 8);
    return this.data.getFloat64(at, true);
  }
  /** Loads the signed 64-bit number (a BigInt) at `address`, which need not be aligned. */
  readI64(address: Address): bigint {
    const at = this.at(address, 8);
    return this.data.getBigInt64(at, true);
  }
  /** Loads the unsigned 64-bit number (a BigInt) at `address`, which need not be aligned. */
  readU64(address: Address): bigint {
    const at = this.at(address, 8);
    return this.data.getBigUint64(at, true);
  }

  // Stores keep the low bits of integers, as a DataView does, and throw a TypeError (`ERR_LINMEM_VALUE`) for a value
  // that is not a number, or for 64-bit integers not a BigInt.

  /** Stores a byte at `address`, which need not be aligned. */
  writeU8(address: Address, value: number): void {
    const at = this.at(address, 1);
    checkNumber(value);
    this.data.setUint8(at, value);
  }
  /** Stores a signed byte at `address`, which need not be aligned. */
  writeI8(address: Address, value: number): void {
    const at = this.at(address, 1);
    checkNumber(value);
    this.data.setInt8(at, value);
  }
  /** Stores an unsigned 16-bit number at `address`, which need not be aligned. */
  writeU16(address: Address, value: number): void {
    const at = this.at(address, 2);
    checkNumber(value);
    this.data.setUint16(at, value, true);
  }
  /** Stores a signed 16-bit number at `address`, which need not be aligned. */
  writeI16(address: Address, value: number): void {
    const at = this.at(address, 2);
    checkNumber(value);
    this.data.setInt16(at, value, true);
  }
  /** Stores an unsigned 32-bit number at `address`, which need not be aligned. */
  writeU32(address: Address, value: number): void {
    const at = this.at(address, 4);
    checkNumber(value);
    this.data.setUint32(at, value, true);
  }
  /** Stores a signed 32-bit number at `address`, which need not be aligned. */
  writeI32(address: Address, value: number): void {
    const at = this.at(address, 4);
    checkNumber(value);
    this.data.setInt32(at, value, true);
  }
  /** Stores a 32-bit float at `address`, which need not be aligned. */
  writeF32(address: Address, value: number): void {
    const at = this.at(address, 4);
    checkNumber(value);
    this.data.setFloat32(at, value, true);
  }
  /** Stores a 64-bit float at `address`, which need not be aligned. */
  writeF64(address: Address, value: number): void {
    const at = this.at(address, 8);
    checkNumber(value);
    this.data.setFloat64(at, value, true);
  }
  /** Stores a signed 64-bit number (a BigInt) at `address`, which need not be aligned. */
  writeI64(address: Address, value: bigint): void {
    const at = this.at(address, 8);
    checkBigInt(value);
    this.data.setBigInt64(at, value, true);
  }
  /** Stores an unsigned 64-bit number (a BigInt) at `address`, which need not be aligned. */
  writeU64(address: Address, value: bigint): void {
    const at = this.at(address, 8);
    checkBigInt(value);
    this.data.setBigUint64(at, value, true);
  }
}
