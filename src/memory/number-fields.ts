// Getters and setters of struct fields, one pair for each kind of number.
//
// They look alike, but must not be made by one piece of code with the name as a variable: a property whose name is not
// written out is 40 times slower as soon as a program has several structs. For the same reason accessors keep their
// state in properties with odd names, not in `#private` fields (measured: 0.7 ns against 30, V8 11 and 13).
// `new Function` could write them, but no Content-Security-Policy lets it.
import { LinmemTypeError } from "../errors.js";
import type { FieldViews, ScalarName } from "./field-views.js";
import { show } from "./pages.js";

/** State of a struct at an address. No field can have these names. */
export interface Accessor {
  "#views": FieldViews;
  /** In bytes, a multiple of the struct's alignment. */
  "#address": number;
}

type FieldProperty = PropertyDescriptor & ThisType<Accessor>;
type NumberReader =
  | "readI8"
  | "readU8"
  | "readI16"
  | "readU16"
  | "readI32"
  | "readU32"
  | "readF32"
  | "readF64";
type NumberWriter =
  | "writeI8"
  | "writeU8"
  | "writeI16"
  | "writeU16"
  | "writeI32"
  | "writeU32"
  | "writeF32"
  | "writeF64";

export function checkNumber(value: unknown): asserts value is number {
  if (typeof value !== "number") {
    throw new LinmemTypeError("ERR_LINMEM_VALUE", `the value to write must be a number, not ${show(value)}`);
  }
}

export function checkBigInt(value: unknown): asserts value is bigint {
  if (typeof value !== "bigint") {
    throw new LinmemTypeError("ERR_LINMEM_VALUE", `the value to write must be a BigInt, not ${show(value)}`);
  }
}

// Views that don't reach: the memory has grown, the address is outside, or the owner is gone. The source knows which.
// Not given the accessor itself: engines leave out an object that only serves to be read from.

export function missed(views: FieldViews, address: number, read: NumberReader): number {
  views.sync();
  return views.source[read](address);
}

function missedBig(views: FieldViews, address: number, read: "readI64" | "readU64"): bigint {
  views.sync();
  return views.source[read](address);
}

export function missedWrite(views: FieldViews, address: number, write: NumberWriter, value: number): void {
  views.sync();
  views.source[write](address, value);
}

function missedBigWrite(
  views: FieldViews,
  address: number,
  write: "writeI64" | "writeU64",
  value: bigint,
): void {
  views.sync();
  views.source[write](address, value);
}

/** The property for a number at `offset` bytes of a struct in a memory. */
export const numberField: { [N in ScalarName]: (offset: number) => FieldProperty } = {
  i8(offset) {
    const step = offset;
    return {
      get() {
        const value = this["#views"].i8[this["#address"] + step];
        return value !== undefined ? value : missed(this["#views"], this["#address"] + offset, "readI8");
      },
      set(value: number) {
        checkNumber(value);
        const view = this["#views"].i8;
        const index = this["#address"] + step;
        if (view[index] !== undefined) view[index] = value;
        else missedWrite(this["#views"], this["#address"] + offset, "writeI8", value);
      },
    };
  },
  u8(offset) {
    const step = offset;
    return {
      get() {
        const value = this["#views"].u8[this["#address"] + step];
        return value !== undefined ? value : missed(this["#views"], this["#address"] + offset, "readU8");
      },
      set(value: number) {
        checkNumber(value);
        const view = this["#views"].u8;
        const index = this["#address"] + step;
        if (view[index] !== undefined) view[index] = value;
        else missedWrite(this["#views"], this["#address"] + offset, "writeU8", value);
      },
    };
  },
  i16(offset) {
    const step = offset >>> 1;
    return {
      get() {
        const value = this["#views"].i16[(this["#address"] >>> 1) + step];
        return value !== undefined ? value : missed(this["#views"], this["#address"] + offset, "readI16");
      },
      set(value: number) {
        checkNumber(value);
        const view = this["#views"].i16;
        const index = (this["#address"] >>> 1) + step;
        if (view[index] !== undefined) view[index] = value;
        else missedWrite(this["#views"], this["#address"] + offset, "writeI16", value);
      },
    };
  },
  u16(offset) {
    const step = offset >>> 1;
    return {
      get() {
        const value = this["#views"].u16[(this["#address"] >>> 1) + step];
        return value !== undefined ? value : missed(this["#views"], this["#address"] + offset, "readU16");
      },
      set(value: number) {
        checkNumber(value);
        const view = this["#views"].u16;
        const index = (this["#address"] >>> 1) + step;
        if (view[index] !== undefined) view[index] = value;
        else missedWrite(this["#views"], this["#address"] + offset, "writeU16", value);
      },
    };
  },
  i32(offset) {
    const step = offset >>> 2;
    return {
      get() {
        const value = this["#views"].i32[(this["#address"] >>> 2) + step];
        return value !== undefined ? value : missed(this["#views"], this["#address"] + offset, "readI32");
      },
      set(value: number) {
        checkNumber(value);
        const view = this["#views"].i32;
        const index = (this["#address"] >>> 2) + step;
        if (view[index] !== undefined) view[index] = value;
        else missedWrite(this["#views"], this["#address"] + offset, "writeI32", value);
      },
    };
  },
  u32(offset) {
    const step = offset >>> 2;
    return {
      get() {
        const value = this["#views"].u32[(this["#address"] >>> 2) + step];
        return value !== undefined ? value : missed(this["#views"], this["#address"] + offset, "readU32");
      },
      set(value: number) {
        checkNumber(value);
        const view = this["#views"].u32;
        const index = (this["#address"] >>> 2) + step;
        if (view[index] !== undefined) view[index] = value;
        else missedWrite(this["#views"], this["#address"] + offset, "writeU32", value);
      },
    };
  },
  f32(offset) {
    const step = offset >>> 2;
    return {
      get() {
        const value = this["#views"].f32[(this["#address"] >>> 2) + step];
        return value !== undefined ? value : missed(this["#views"], this["#address"] + offset, "readF32");
      },
      set(value: number) {
        checkNumber(value);
        const view = this["#views"].f32;
        const index = (this["#address"] >>> 2) + step;
        if (view[index] !== undefined) view[index] = value;
        else missedWrite(this["#views"], this["#address"] + offset, "writeF32", value);
      },
    };
  },
  f64(offset) {
    const step = offset >>> 3;
    return {
      get() {
        const value = this["#views"].f64[(this["#address"] >>> 3) + step];
        return value !== undefined ? value : missed(this["#views"], this["#address"] + offset, "readF64");
      },
      set(value: number) {
        checkNumber(value);
        const view = this["#views"].f64;
        const index = (this["#address"] >>> 3) + step;
        if (view[index] !== undefined) view[index] = value;
        else missedWrite(this["#views"], this["#address"] + offset, "writeF64", value);
      },
    };
  },
  i64(offset) {
    const step = offset >>> 3;
    return {
      get() {
        const value = this["#views"].i64[(this["#address"] >>> 3) + step];
        return value !== undefined ? value : missedBig(this["#views"], this["#address"] + offset, "readI64");
      },
      set(value: bigint) {
        checkBigInt(value);
        const view = this["#views"].i64;
        const index = (this["#address"] >>> 3) + step;
        if (view[index] !== undefined) view[index] = value;
        else missedBigWrite(this["#views"], this["#address"] + offset, "writeI64", value);
      },
    };
  },
  u64(offset) {
    const step = offset >>> 3;
    return {
      get() {
        const value = this["#views"].u64[(this["#address"] >>> 3) + step];
        return value !== undefined ? value : missedBig(this["#views"], this["#address"] + offset, "readU64");
      },
      set(value: bigint) {
        checkBigInt(value);
        const view = this["#views"].u64;
        const index = (this["#address"] >>> 3) + step;
        if (view[index] !== undefined) view[index] = value;
        else missedBigWrite(this["#views"], this["#address"] + offset, "writeU64", value);
      },
    };
  },
};
