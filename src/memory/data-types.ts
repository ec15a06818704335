// The types of typed data: numbers, booleans, enumerations, pointers. Structs and arrays are in struct.ts, array.ts.
import { LinmemRangeError, LinmemTypeError } from "../errors.js";
import type { FieldViews, Loads, ScalarName } from "./field-views.js";
import { type Accessor, missed, missedWrite, numberField } from "./number-fields.js";
import { show } from "./pages.js";
import { hex } from "./views.js";

/**
 * A type of data in a linear memory. `V` is what reading it gives, `I` what may be written, `C` a copy that needs the
 * memory no more.
 */
export abstract class DataType<V = unknown, I = V, C = V> {
  /** @param byteLength size in bytes, padding at the end included, so that an array of them has no gaps */
  constructor(
    /** In words, for messages. */
    readonly name: string,
    /** In bytes. */
    readonly byteLength: number,
    /** Its addresses are multiples of this, in bytes. */
    readonly alignment: number,
  ) {}

  /** @internal */
  abstract readAt(views: FieldViews, address: number): V;
  /** @internal */
  abstract writeAt(target: Loads, address: number, value: I): void;
  /** @internal */
  abstract copyAt(views: FieldViews, address: number): C;

  /** @internal An array of these that knows a quicker way than an `ArrayView` of any type, if there is one. */
  arrayAt?(length: number, views: FieldViews, address: number): Iterable<V> | undefined;

  /** @internal The property of a struct that has this at `offset`. */
  field(offset: number): PropertyDescriptor {
    return this.checkedField(offset);
  }

  /** @internal The same without typed arrays: each access is checked by the source. */
  checkedField(offset: number): PropertyDescriptor & ThisType<Accessor> {
    const type = this;
    return {
      get() {
        return type.readAt(this["#views"], this["#address"] + offset);
      },
    };
  }
}

/** Any type of data. */
// biome-ignore lint/suspicious/noExplicitAny: any type at all
export type AnyType = DataType<any, any, any>;

/** What reading `T` gives. */
export type ValueOf<T> = T extends DataType<infer V, infer _I, infer _C> ? V : never;
/** What may be written as `T`. */
export type InitOf<T> = T extends DataType<infer _V, infer I, infer _C> ? I : never;
/** A copy of `T`. */
export type CopyOf<T> = T extends DataType<infer _V, infer _I, infer C> ? C : never;

/** A type whose values are no part of the memory: fields of it can be assigned. */
export abstract class ScalarType<V = unknown, I = V> extends DataType<V, I, V> {
  /** The value at an address, which is not checked for alignment. */
  abstract read(source: Loads, address: number): V;

  readAt(views: FieldViews, address: number): V {
    return this.read(views.source, address);
  }

  copyAt(views: FieldViews, address: number): V {
    return this.read(views.source, address);
  }

  override checkedField(offset: number): PropertyDescriptor & ThisType<Accessor> {
    const type = this;
    return {
      get() {
        return type.read(this["#views"].source, this["#address"] + offset);
      },
      set(value: I) {
        type.writeAt(this["#views"].source, this["#address"] + offset, value);
      },
    };
  }
}

/** The typed array of each kind of number. */
export interface TypedArrays {
  /** Of `i8`. */
  i8: Int8Array;
  /** Of `u8`. */
  u8: Uint8Array;
  /** Of `i16`. */
  i16: Int16Array;
  /** Of `u16`. */
  u16: Uint16Array;
  /** Of `i32`. */
  i32: Int32Array;
  /** Of `u32`. */
  u32: Uint32Array;
  /** Of `f32`. */
  f32: Float32Array;
  /** Of `f64`. */
  f64: Float64Array;
  /** Of `i64`. */
  i64: BigInt64Array;
  /** Of `u64`. */
  u64: BigUint64Array;
}

const typedArrays = {
  i8: Int8Array,
  u8: Uint8Array,
  i16: Int16Array,
  u16: Uint16Array,
  i32: Int32Array,
  u32: Uint32Array,
  f32: Float32Array,
  f64: Float64Array,
  i64: BigInt64Array,
  u64: BigUint64Array,
};

/** What reading a number of kind `N` gives: a number, of 64-bit integers a BigInt. */
export type NumberOf<N extends ScalarName> = TypedArrays[N][number];

/** A number, as the instructions of WebAssembly load and store it. Integers keep their low bits when written. */
export class NumberType<N extends ScalarName = ScalarName> extends ScalarType<NumberOf<N>> {
  /** Its typed array in a LinearMemory. */
  readonly scalar: N;
  private readonly reader: `read${Uppercase<N>}`;
  private readonly writer: `write${Uppercase<N>}`;

  constructor(scalar: N) {
    const size = typedArrays[scalar].BYTES_PER_ELEMENT;
    super(scalar, size, size);
    this.scalar = scalar;
    this.reader = `read${scalar.toUpperCase() as Uppercase<N>}`;
    this.writer = `write${scalar.toUpperCase() as Uppercase<N>}`;
  }

  /** The number at an address, aligned or not. */
  read(source: Loads, address: number): NumberOf<N> {
    return (source[this.reader as keyof Loads] as (address: number) => NumberOf<N>).call(source, address);
  }

  writeAt(target: Loads, address: number, value: NumberOf<N>): void {
    const write = target[this.writer as keyof Loads] as (address: number, value: NumberOf<N>) => void;
    write.call(target, address, value);
  }

  override field(offset: number): PropertyDescriptor {
    return numberField[this.scalar](offset);
  }

  /** A typed array of `length` of them over `buffer`. */
  over(buffer: ArrayBufferLike, address: number, length: number): TypedArrays[N] {
    return new typedArrays[this.scalar](buffer as ArrayBuffer, address, length) as TypedArrays[N];
  }

  /** Whether `values` is a typed array of this kind. */
  isArray(values: unknown): values is TypedArrays[N] {
    return values instanceof typedArrays[this.scalar];
  }

  /** A new typed array of their values. */
  from(values: ArrayLike<NumberOf<N>>): TypedArrays[N] {
    return new typedArrays[this.scalar](values as ArrayLike<never>) as TypedArrays[N];
  }
}

/** A signed byte: C's `int8_t`, Rust's `i8`. */
export const i8 = new NumberType("i8");
/** A byte: C's `uint8_t`, Rust's `u8`. */
export const u8 = new NumberType("u8");
/** C's `int16_t`, Rust's `i16`. */
export const i16 = new NumberType("i16");
/** C's `uint16_t`, Rust's `u16`. */
export const u16 = new NumberType("u16");
/** C's `int32_t`, Rust's `i32`. */
export const i32 = new NumberType("i32");
/** C's `uint32_t`, Rust's `u32`, and `size_t` and `usize` where addresses have 32 bits. */
export const u32 = new NumberType("u32");
/** C's `float`, Rust's `f32`. */
export const f32 = new NumberType("f32");
/** C's `double`, Rust's `f64`. */
export const f64 = new NumberType("f64");
/** C's `int64_t`, Rust's `i64`; a BigInt in JavaScript. */
export const i64 = new NumberType("i64");
/** C's `uint64_t`, Rust's `u64`; a BigInt in JavaScript. */
export const u64 = new NumberType("u64");

/** The numbers by their names, where a name is enough. */
export const numbers: { readonly [N in ScalarName]: NumberType<N> } = {
  i8,
  u8,
  i16,
  u16,
  i32,
  u32,
  f32,
  f64,
  i64,
  u64,
};

class BooleanType extends ScalarType<boolean> {
  constructor() {
    super("bool", 1, 1);
  }

  read(source: Loads, address: number): boolean {
    return source.readU8(address) !== 0;
  }

  writeAt(target: Loads, address: number, value: boolean): void {
    target.writeU8(address, byteOf(value));
  }

  override field(offset: number): PropertyDescriptor & ThisType<Accessor> {
    return {
      get() {
        const value = this["#views"].u8[this["#address"] + offset];
        return (
          (value !== undefined ? value : missed(this["#views"], this["#address"] + offset, "readU8")) !== 0
        );
      },
      set(value: boolean) {
        const byte = byteOf(value);
        const view = this["#views"].u8;
        const index = this["#address"] + offset;
        if (view[index] !== undefined) view[index] = byte;
        else missedWrite(this["#views"], this["#address"] + offset, "writeU8", byte);
      },
    };
  }
}

function byteOf(value: unknown): number {
  if (typeof value !== "boolean") {
    throw new LinmemTypeError("ERR_LINMEM_VALUE", `the value to write must be a boolean, not ${show(value)}`);
  }
  return value ? 1 : 0;
}

/** C's `_Bool` and Rust's `bool`: one byte. Any byte but 0 reads as true; 0 and 1 are written. */
export const bool: ScalarType<boolean> = new BooleanType();

/** Kinds of numbers that an enumeration may lie in. */
export type EnumBase = "i8" | "u8" | "i16" | "u16" | "i32" | "u32";

class EnumType<K extends string> extends ScalarType<K> {
  readonly #base: NumberType<EnumBase>;
  readonly #names = new Map<number, K>();
  readonly #values = new Map<string, number>();

  constructor(members: Readonly<Record<K, number | string>>, base: NumberType<EnumBase>) {
    super(`enumeration over ${base.name}`, base.byteLength, base.alignment);
    this.#base = base;
    for (const name of Object.keys(members) as K[]) {
      const value = members[name];
      // the way back, from value to name, that TypeScript adds to its enums
      if (typeof value === "string") continue;
      if (base.from([value])[0] !== value) {
        throw new LinmemRangeError("ERR_LINMEM_ENUM", `${name} = ${show(value)} does not fit ${base.name}`);
      }
      if (!this.#names.has(value)) this.#names.set(value, name);
      this.#values.set(name, value);
    }
  }

  decode(value: number, address: number): K {
    const name = this.#names.get(value);
    if (name === undefined) {
      const names = [...this.#values.keys()].join(", ");
      throw new LinmemRangeError("ERR_LINMEM_ENUM", `${value} at ${hex(address)} is none of ${names}`, {
        value,
        address,
      });
    }
    return name;
  }

  encode(name: unknown): number {
    const value = this.#values.get(name as string);
    if (value === undefined) {
      const names = [...this.#values.keys()].join(", ");
      throw new LinmemTypeError("ERR_LINMEM_ENUM", `${show(name)} is none of ${names}`);
    }
    return value;
  }

  read(source: Loads, address: number): K {
    return this.decode(this.#base.read(source, address), address);
  }

  writeAt(target: Loads, address: number, value: K): void {
    this.#base.writeAt(target, address, this.encode(value));
  }

  override field(offset: number): PropertyDescriptor & ThisType<Accessor> {
    const type = this;
    const { get, set } = this.#base.field(offset);
    return {
      get() {
        return type.decode(get!.call(this), this["#address"] + offset);
      },
      set(value: K) {
        set!.call(this, type.encode(value));
      },
    };
  }
}

/** Names of a TypeScript enum, without the numbers that it has as keys too. */
export type MemberName<E> = {
  [K in keyof E]: K extends string ? (E[K] extends number ? K : never) : never;
}[keyof E];

/**
 * An enumeration: reads and writes the name of a member. In C an enum is an `i32` (clang: `u32` when no member is
 * negative), in Rust what its `repr` says.
 *
 * @param members name to number; a TypeScript enum will do
 * @throws RangeError (`ERR_LINMEM_ENUM`) when a member does not fit `base`, or what is read is no member's number
 */
export function enumeration<const E extends Readonly<Record<string, number | string>>>(
  members: E,
  base: NumberType<EnumBase> = u32,
): ScalarType<MemberName<E> & string> {
  return new EnumType<MemberName<E> & string>(members as Record<MemberName<E> & string, number>, base);
}

/** An address with 32 bits; 0 is null. `T` says what is there, for `T.at(memory, pointer)`. */
export type Pointer<T = unknown> = number & PointsTo<T>;

/** Only for the compiler: pointers to different types are different types. */
export interface PointsTo<T> {
  /** No pointer has this. */
  readonly "#to"?: T;
}

class PointerType<T> extends ScalarType<Pointer<T>, number> {
  constructor(to?: AnyType) {
    super(`pointer${to === undefined ? "" : ` to ${to.name}`}`, 4, 4);
  }

  read(source: Loads, address: number): Pointer<T> {
    return source.readU32(address);
  }

  writeAt(target: Loads, address: number, value: number): void {
    target.writeU32(address, value);
  }

  override field(offset: number): PropertyDescriptor {
    return numberField.u32(offset);
  }
}

/**
 * A pointer of a module with 32-bit addresses: reads and writes the address. What it points to is read with
 * `To.at(memory, address)`. In a struct that points to its like, leave `to` out: TypeScript can't infer a type from
 * itself.
 */
export function pointer<T extends AnyType>(to?: T): ScalarType<Pointer<T>, number> {
  return new PointerType<T>(to);
}
