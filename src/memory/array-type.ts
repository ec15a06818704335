// Arrays of typed data: fields of structs, and whole blocks.
import { LinmemRangeError, LinmemTypeError } from "../errors.js";
import { type DataSource, Scratch, viewsFor } from "./data-source.js";
import {
  type AnyType,
  type CopyOf,
  DataType,
  type InitOf,
  NumberType,
  type TypedArrays,
  type ValueOf,
} from "./data-types.js";
import type { FieldViews, Loads, ScalarName } from "./field-views.js";
import { LinearMemory } from "./linear-memory.js";
import { show } from "./pages.js";

/** The typed array that `view()` and `copy()` of an array of `T` give, if there is one. */
export type TypedArrayOf<T> = T extends NumberType<infer N extends ScalarName> ? TypedArrays[N] : never;

/** What `copy()` of an array of `T` gives: a typed array of numbers, otherwise an ordinary array. */
export type ArrayCopy<T> = T extends NumberType<infer N extends ScalarName> ? TypedArrays[N] : CopyOf<T>[];

/** Elements one after the other in a memory. Nothing is copied; `get` and `set` work after any growth. */
export class ArrayView<T extends AnyType> implements Iterable<ValueOf<T>> {
  // The names are those of struct accessors, see number-fields.ts.
  declare protected readonly "#views": FieldViews;
  declare protected readonly "#address": number;
  /** Number of elements. */
  declare readonly length: number;
  readonly #element: T;

  /** @internal */
  constructor(element: T, length: number, views: FieldViews, address: number) {
    this["#views"] = views;
    this["#address"] = address;
    this.#element = element;
    this.length = length;
  }

  /** The element at `index`; of structs and arrays an accessor, not a copy. */
  get(index: number): ValueOf<T> {
    return this.#element.readAt(this["#views"], this.#addressOf(index));
  }

  /** Writes the element at `index`, all of it or, when it can't be written, nothing. */
  set(index: number, value: InitOf<T>): void {
    this.#element.writeAt(this["#views"].source, this.#addressOf(index), value);
  }

  /**
   * Writes all of `values`, the first one to `start`.
   * @throws RangeError (`ERR_LINMEM_INDEX`) when they don't all fit; then nothing is written
   */
  copyFrom(values: ArrayLike<InitOf<T>>, start = 0): void {
    const list = listOf(values);
    const address = this.#addressOf(start, list.length);
    writeElements(this.#element, this["#views"].source, address, list);
  }

  /** A copy that needs the memory no more. */
  copy(): ArrayCopy<T> {
    const views = this["#views"];
    const element: AnyType = this.#element;
    if (element instanceof NumberType && views.source instanceof LinearMemory) {
      return this.view().slice() as ArrayCopy<T>;
    }
    const values = Array.from({ length: this.length }, (_, index) =>
      element.copyAt(views, this.#addressOf(index)),
    );
    return (element instanceof NumberType ? element.from(values as never) : values) as ArrayCopy<T>;
  }

  /**
   * A typed array over the elements, for speed. Valid until the memory grows; after a release it shows what lies there
   * then. Only for arrays of numbers in a whole memory.
   * @throws TypeError (`ERR_LINMEM_NO_VIEW`) otherwise: a `Region` gives no typed array away
   */
  view(): TypedArrayOf<T> {
    const { source } = this["#views"];
    const element: AnyType = this.#element;
    // asked first: of a released block this throws the better error
    const { byteLength } = source;
    if (!(element instanceof NumberType) || !(source instanceof LinearMemory)) {
      throw new LinmemTypeError(
        "ERR_LINMEM_NO_VIEW",
        `no typed array shows ${element.name} in these ${byteLength} bytes: use get(), or copy()`,
      );
    }
    return element.over(source.buffer, this["#address"], this.length) as TypedArrayOf<T>;
  }

  /** The elements one after the other, each as `get` gives it. */
  *[Symbol.iterator](): Generator<ValueOf<T>> {
    for (let index = 0; index < this.length; index++) yield this.get(index);
  }

  #addressOf(index: number, count = 1): number {
    if (Number.isInteger(index) && index >= 0 && index + count <= this.length) {
      return this["#address"] + index * this.#element.byteLength;
    }
    if (typeof index !== "number") {
      throw new LinmemTypeError("ERR_LINMEM_INDEX", `an index must be a number, not ${show(index)}`);
    }
    throw new LinmemRangeError(
      "ERR_LINMEM_INDEX",
      `${count === 1 ? "" : `${count} elements from `}index ${show(index)} outside an array of ${this.length}`,
      { index, count, length: this.length },
    );
  }
}

/** `values` as an array of its own, so that nobody changes it in the middle. Typed arrays stay what they are. */
export function listOf<V>(values: ArrayLike<V>): ArrayLike<V> {
  if (typeof values !== "object" || values === null) {
    throw new LinmemTypeError("ERR_LINMEM_VALUE", `an array to copy from is expected, not ${show(values)}`);
  }
  return ArrayBuffer.isView(values) ? values : Array.from(values);
}

/** Writes all or, when one of them can't be written, none. */
export function writeElements<T extends AnyType>(
  element: T,
  target: Loads,
  address: number,
  values: ArrayLike<InitOf<T>>,
): void {
  const typed = values as unknown as Uint8Array;
  if (element instanceof NumberType && element.isArray(values)) {
    target.writeBytes(address, new Uint8Array(typed.buffer, typed.byteOffset, typed.byteLength));
    return;
  }
  const scratch = new Scratch(values.length * element.byteLength);
  // What a struct leaves out stays as it is.
  if (!(element instanceof NumberType)) scratch.writeBytes(0, target.copyBytes(address, scratch.byteLength));
  for (let index = 0; index < values.length; index++) {
    element.writeAt(scratch, index * element.byteLength, values[index]);
  }
  target.writeBytes(address, scratch.content);
}

/** Writes `value` or, when a part of it can't be written, nothing. */
export function writeWhole<T extends AnyType>(
  type: T,
  target: Loads,
  address: number,
  value: InitOf<T>,
): void {
  writeElements(type, target, address, [value]);
}

/** `length` elements of one type, one after the other. */
export class ArrayType<T extends AnyType> extends DataType<ArrayView<T>, ArrayLike<InitOf<T>>, ArrayCopy<T>> {
  constructor(
    /** The type of the elements. */
    readonly element: T,
    /** Number of elements. */
    readonly length: number,
  ) {
    if (!Number.isInteger(length) || length < 0) {
      throw new LinmemTypeError(
        "ERR_LINMEM_LENGTH",
        `the length of an array must be a whole number, not ${show(length)}`,
      );
    }
    super(`array of ${length} ${element.name}`, element.byteLength * length, element.alignment);
    if (this.byteLength > MAX_BYTES) {
      throw new LinmemRangeError("ERR_LINMEM_LENGTH", `an array of ${this.byteLength} bytes fits no memory`, {
        byteLength: this.byteLength,
      });
    }
  }

  /**
   * The array at an address.
   * @throws RangeError outside the memory (`ERR_LINMEM_BOUNDS`) or not aligned (`ERR_LINMEM_ALIGNMENT`)
   */
  at(source: DataSource, address: number | bigint): ArrayView<T> {
    return this.readAt(viewsFor(source, address, this), Number(address));
  }

  /** @internal */
  readAt(views: FieldViews, address: number): ArrayView<T> {
    const { element, length } = this;
    const quick = element.arrayAt?.(length, views, address) as ArrayView<T> | undefined;
    return quick ?? new ArrayView(element, length, views, address);
  }

  /** @internal */
  writeAt(target: Loads, address: number, values: ArrayLike<InitOf<T>>): void {
    const list = listOf(values);
    if (list.length !== this.length) {
      throw new LinmemRangeError("ERR_LINMEM_LENGTH", `${list.length} values for an ${this.name}`, {
        length: list.length,
        wanted: this.length,
      });
    }
    writeElements(this.element, target, address, list);
  }

  /** @internal */
  copyAt(views: FieldViews, address: number): ArrayCopy<T> {
    return this.readAt(views, address).copy();
  }
}

/** What a 64-bit memory could hold at the most and JavaScript still count. */
const MAX_BYTES = Number.MAX_SAFE_INTEGER;

/** An array as it lies in a struct: `array(u8, 16)`. */
export function array<T extends AnyType>(element: T, length: number): ArrayType<T> {
  return new ArrayType(element, length);
}
