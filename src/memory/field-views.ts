// The typed arrays that struct fields are read through.
//
// A getter that looks whether its view is still valid costs as much as two reads. So it doesn't look: it reads, and a
// view that growth made stale answers `undefined`. In V8 that answer is remembered for the place in the code, and every
// later read through it takes 5 ns instead of 0.6 (bench/RESULTS.md, "Library"). Therefore views are also renewed in
// time wherever growth can be known: whenever LinearMemory learns of it, and whenever an accessor is made.
import { ReleasedError } from "../errors.js";
import { LinearMemory } from "./linear-memory.js";

/**
 * What typed data can be read from and written to: a `LinearMemory`, a `Region`, or another object like them. Loads and
 * stores are little-endian, work at any address, aligned or not, and throw a RangeError outside.
 */
export interface Loads {
  /** Bytes that it has: addresses are below. */
  readonly byteLength: number;
  /** Loads the signed byte at `address`. */
  readI8(address: number): number;
  /** Loads the unsigned byte at `address`. */
  readU8(address: number): number;
  /** Loads the signed 16-bit number at `address`. */
  readI16(address: number): number;
  /** Loads the unsigned 16-bit number at `address`. */
  readU16(address: number): number;
  /** Loads the signed 32-bit number at `address`. */
  readI32(address: number): number;
  /** Loads the unsigned 32-bit number at `address`. */
  readU32(address: number): number;
  /** Loads the 32-bit float at `address`. */
  readF32(address: number): number;
  /** Loads the 64-bit float at `address`. */
  readF64(address: number): number;
  /** Loads the signed 64-bit number (a BigInt) at `address`. */
  readI64(address: number): bigint;
  /** Loads the unsigned 64-bit number (a BigInt) at `address`. */
  readU64(address: number): bigint;
  /** Stores a signed byte at `address`. */
  writeI8(address: number, value: number): void;
  /** Stores an unsigned byte at `address`. */
  writeU8(address: number, value: number): void;
  /** Stores a signed 16-bit number at `address`. */
  writeI16(address: number, value: number): void;
  /** Stores an unsigned 16-bit number at `address`. */
  writeU16(address: number, value: number): void;
  /** Stores a signed 32-bit number at `address`. */
  writeI32(address: number, value: number): void;
  /** Stores an unsigned 32-bit number at `address`. */
  writeU32(address: number, value: number): void;
  /** Stores a 32-bit float at `address`. */
  writeF32(address: number, value: number): void;
  /** Stores a 64-bit float at `address`. */
  writeF64(address: number, value: number): void;
  /** Stores a signed 64-bit number (a BigInt) at `address`. */
  writeI64(address: number, value: bigint): void;
  /** Stores an unsigned 64-bit number (a BigInt) at `address`. */
  writeU64(address: number, value: bigint): void;
  /** A copy of the bytes, in a buffer of its own. */
  copyBytes(address: number, byteLength: number): Uint8Array;
  /** Copies `bytes` to `address`, all or nothing. */
  writeBytes(address: number, bytes: Uint8Array): void;
}

/** Names of the methods of `Loads`, and of the typed arrays of views. */
export type ScalarName = "i8" | "u8" | "i16" | "u16" | "i32" | "u32" | "f32" | "f64" | "i64" | "u64";

const noArrays = {
  i8: new Int8Array(0),
  u8: new Uint8Array(0),
  i16: new Int16Array(0),
  u16: new Uint16Array(0),
  i32: new Int32Array(0),
  u32: new Uint32Array(0),
  f32: new Float32Array(0),
  f64: new Float64Array(0),
  i64: new BigInt64Array(0),
  u64: new BigUint64Array(0),
};

/** Where the accessors of one memory, or of one owned block in it, read and write. */
export class FieldViews {
  i8: Int8Array = noArrays.i8;
  u8: Uint8Array = noArrays.u8;
  i16: Int16Array = noArrays.i16;
  u16: Uint16Array = noArrays.u16;
  i32: Int32Array = noArrays.i32;
  u32: Uint32Array = noArrays.u32;
  f32: Float32Array = noArrays.f32;
  f64: Float64Array = noArrays.f64;
  i64: BigInt64Array = noArrays.i64;
  u64: BigUint64Array = noArrays.u64;
  /** What is read and written where the typed arrays don't reach. */
  source: Loads;
  /** Neighbours in the ring of all views of a memory, which are renewed together. */
  private next: FieldViews = this;
  private previous: FieldViews = this;

  constructor(source: Loads) {
    this.source = source;
    if (source instanceof LinearMemory) this.sync();
  }

  /** Views of the same memory for one owner, to be ended by `end`. */
  fork(): FieldViews {
    const views = new FieldViews(this.source);
    views.next = this.next;
    views.previous = this;
    this.next.previous = views;
    this.next = views;
    return views;
  }

  /** Makes every access through these views fail: their owner `handle` is gone. */
  end(handle: string, fate: string): void {
    this.previous.next = this.next;
    this.next.previous = this.previous;
    this.next = this.previous = this;
    Object.assign(this, noArrays);
    this.source = new Gone(handle, fate) as unknown as Loads;
  }

  /** Renews these views if the memory has grown; costs about 2 ns if not. */
  sync(): void {
    const memory = this.source;
    if (memory instanceof LinearMemory && memory.u8 !== this.u8) this.assign(memory);
  }

  /** Renews all views of the memory. */
  syncAll(): void {
    for (let views: FieldViews = this.next; views !== this; views = views.next) views.sync();
    this.sync();
  }

  private assign(memory: LinearMemory): void {
    this.i8 = memory.i8;
    this.u8 = memory.u8;
    this.i16 = memory.i16;
    this.u16 = memory.u16;
    this.i32 = memory.i32;
    this.u32 = memory.u32;
    this.f32 = memory.f32;
    this.f64 = memory.f64;
    this.i64 = memory.i64;
    this.u64 = memory.u64;
  }
}

/** In place of a memory, when the handle is gone: everything throws. */
class Gone {
  constructor(
    readonly handle: string,
    readonly fate: string,
  ) {}

  fail(): never {
    throw new ReleasedError(this.handle, this.fate);
  }

  get byteLength(): number {
    return this.fail();
  }
}
const names = Object.keys(noArrays).map((name) => name.toUpperCase());
for (const method of [
  "copyBytes",
  "writeBytes",
  ...names.flatMap((name) => [`read${name}`, `write${name}`]),
]) {
  Object.defineProperty(Gone.prototype, method, { value: Gone.prototype.fail });
}

const known = new WeakMap<object, FieldViews>();

/** The views of a memory, up to date. The same memory always gives the same ones. */
export function fieldViews(source: Loads): FieldViews {
  let views = known.get(source);
  if (views === undefined) {
    views = new FieldViews(source);
    known.set(source, views);
    if (source instanceof LinearMemory) source.onGrow(views.syncAll.bind(views));
  } else {
    views.sync();
  }
  return views;
}
