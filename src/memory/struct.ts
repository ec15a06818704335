// Structs in the layout of C and of Rust's `repr(C)`: each field at the next multiple of its alignment, the whole
// rounded up to the largest alignment. What compilers say about it is in test/fixtures/layouts/.
//
// `struct()` makes a class with a getter and a setter for each field: no Proxy, and nothing of JavaScript per access but
// a typed array read (number-fields.ts).
import { LinmemTypeError } from "../errors.js";
import { ArrayView, writeWhole } from "./array-type.js";
import { type DataSource, viewsFor } from "./data-source.js";
import {
  type AnyType,
  type CopyOf,
  DataType,
  type InitOf,
  type ScalarType,
  type ValueOf,
} from "./data-types.js";
import type { FieldViews, Loads } from "./field-views.js";
import { LinearMemory } from "./linear-memory.js";
import type { Accessor } from "./number-fields.js";
import { show } from "./pages.js";

/** The fields of a struct, in the order in which they lie. */
export type StructFields = Readonly<Record<string, AnyType>>;

/** Names of the fields that can be assigned: numbers, booleans, enumerations, pointers. */
// biome-ignore lint/suspicious/noExplicitAny: any scalar at all
export type ScalarFields<F> = { [K in keyof F]: F[K] extends ScalarType<any, any> ? K : never }[keyof F];

/** An accessor of a struct: numbers, booleans, names and pointers can be assigned, structs and arrays be looked into. */
export type StructValue<F extends StructFields> = {
  -readonly [K in keyof F & ScalarFields<F>]: ValueOf<F[K]>;
} & {
  readonly [K in Exclude<keyof F, ScalarFields<F>>]: ValueOf<F[K]>;
};

/** What a struct can be written from. A field that is left out keeps its value. */
export type StructInit<F extends StructFields> = { readonly [K in keyof F]?: InitOf<F[K]> };

/** A copy of a struct: a plain object. */
export type StructCopy<F extends StructFields> = { -readonly [K in keyof F]: CopyOf<F[K]> };

/** Where a field lies in its struct. */
export interface FieldLayout {
  /** In bytes from the start of the struct. */
  readonly offset: number;
  /** In bytes. */
  readonly byteLength: number;
  /** In bytes. */
  readonly alignment: number;
  /** What lies there. */
  readonly type: AnyType;
}

type AccessorClass = new (views: FieldViews, address: number) => Accessor;
type ArrayClass = typeof ArrayView<AnyType>;

/** The type of a struct: where its fields lie, and how they are read. Made by `struct`. */
export class StructType<F extends StructFields> extends DataType<
  StructValue<F>,
  StructInit<F>,
  StructCopy<F>
> {
  /** Offset, size and type of each field. */
  readonly fields: { readonly [K in keyof F]: FieldLayout };
  readonly #inMemory: AccessorClass;
  /** For regions and the like. */
  readonly #checked: AccessorClass;
  /** Of structs in a memory. */
  readonly #array: ArrayClass;

  constructor(fields: F) {
    const { layout, byteLength, alignment } = layOut(fields);
    super(`struct of ${Object.keys(fields).join(", ")}`, byteLength, alignment);
    this.fields = layout as { readonly [K in keyof F]: FieldLayout };
    this.#inMemory = accessorClass(this, layout, (type, offset) => type.field(offset));
    this.#checked = accessorClass(this, layout, (type, offset) => type.checkedField(offset));
    this.#array = arrayClass(this.#inMemory, byteLength);
  }

  /**
   * An accessor for the struct at an address; stays valid when the memory grows.
   * @throws RangeError outside the memory (`ERR_LINMEM_BOUNDS`) or not aligned (`ERR_LINMEM_ALIGNMENT`)
   */
  at(source: DataSource, address: number | bigint): StructValue<F> {
    return this.readAt(viewsFor(source, address, this), Number(address));
  }

  /** A copy of the struct at an address; throws like `at`. */
  copy(source: DataSource, address: number | bigint): StructCopy<F> {
    return this.copyAt(viewsFor(source, address, this), Number(address));
  }

  /**
   * Writes the fields that `value` has, all or, when one can't be written, none; throws like `at`, and TypeError for a
   * value or a field that doesn't fit.
   */
  write(source: DataSource, address: number | bigint, value: StructInit<F>): void {
    const views = viewsFor(source, address, this);
    writeWhole<DataType<unknown, StructInit<F>>>(this, views.source, Number(address), value);
  }

  /** @internal */
  readAt(views: FieldViews, address: number): StructValue<F> {
    const Class = isDirect(views, address) ? this.#inMemory : this.#checked;
    return new Class(views, address) as unknown as StructValue<F>;
  }

  /** @internal */
  override arrayAt(length: number, views: FieldViews, address: number): Iterable<StructValue<F>> | undefined {
    if (!isDirect(views, address + length * this.byteLength)) return undefined;
    return new this.#array(this, length, views, address) as Iterable<StructValue<F>>;
  }

  /** @internal */
  writeAt(target: Loads, address: number, value: StructInit<F>): void {
    if (typeof value !== "object" || value === null) {
      throw new LinmemTypeError(
        "ERR_LINMEM_VALUE",
        `${this.name} is written from an object, not from ${show(value)}`,
      );
    }
    for (const name of Object.keys(value)) {
      if (!Object.hasOwn(this.fields, name)) {
        throw new LinmemTypeError("ERR_LINMEM_FIELD", `${this.name} has no field ${show(name)}`);
      }
      const field = value[name];
      if (field !== undefined)
        this.fields[name].type.writeAt(target, address + this.fields[name].offset, field);
    }
  }

  /** @internal */
  copyAt(views: FieldViews, address: number): StructCopy<F> {
    const copy: Record<string, unknown> = {};
    for (const [name, { type, offset }] of Object.entries<FieldLayout>(this.fields)) {
      copy[name] = type.copyAt(views, address + offset);
    }
    return copy as StructCopy<F>;
  }
}

/** Whether typed arrays reach up to `address`: they are indexed with 32 bits. */
function isDirect(views: FieldViews, address: number): boolean {
  return address <= 2 ** 32 && views.source instanceof LinearMemory;
}

/**
 * A struct in the layout of C and Rust's `repr(C)`:
 * `const Point = struct({ x: f32, y: f32, alive: bool, tag: array(u8, 16) })`.
 *
 * @throws TypeError (`ERR_LINMEM_FIELD`): a field that is no type, or a name that accessors can't have
 */
export function struct<F extends StructFields>(fields: F): StructType<F> {
  return new StructType(fields);
}

/** The type of accessors of a struct: `type Point = Value<typeof Point>`. */
export type Value<T extends AnyType> = ValueOf<T>;

interface Layout {
  layout: Record<string, FieldLayout>;
  byteLength: number;
  alignment: number;
}

function layOut(fields: StructFields): Layout {
  // Numbers as names come first in every object, whatever the order that they were written in.
  const names = Object.keys(fields);
  const layout: Record<string, FieldLayout> = Object.create(null);
  let end = 0;
  let alignment = 1;
  for (const name of names) {
    if (name.startsWith("#") || name === "__proto__" || String(Number(name)) === name) {
      throw new LinmemTypeError("ERR_LINMEM_FIELD", `a field can't be called ${show(name)}`);
    }
    const type = fields[name];
    if (!(type instanceof DataType)) {
      throw new LinmemTypeError("ERR_LINMEM_FIELD", `field ${show(name)} must be a type, not ${show(type)}`);
    }
    const offset = roundUp(end, type.alignment);
    layout[name] = Object.freeze({ offset, byteLength: type.byteLength, alignment: type.alignment, type });
    end = offset + type.byteLength;
    alignment = Math.max(alignment, type.alignment);
  }
  return { layout: Object.freeze(layout), byteLength: roundUp(end, alignment), alignment };
}

function roundUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

const inspect = Symbol.for("nodejs.util.inspect.custom");

function accessorClass(
  type: AnyType,
  layout: Record<string, FieldLayout>,
  property: (type: AnyType, offset: number) => PropertyDescriptor,
): AccessorClass {
  // A class of its own for each struct: engines tell objects apart by it.
  class StructAccessor implements Accessor {
    // Only declared: a field that is undefined first can hold anything, and is slower to read.
    declare "#views": FieldViews;
    declare "#address": number;

    constructor(views: FieldViews, address: number) {
      this["#views"] = views;
      this["#address"] = address;
    }

    /** What console.log shows in Node: the fields. */
    [inspect](): unknown {
      return type.copyAt(this["#views"], this["#address"]);
    }
  }
  for (const [name, field] of Object.entries(layout)) {
    Object.defineProperty(StructAccessor.prototype, name, {
      ...property(field.type, field.offset),
      enumerable: true,
    });
  }
  // A field may be called so.
  if (!Object.hasOwn(layout, "constructor")) Reflect.deleteProperty(StructAccessor.prototype, "constructor");
  return StructAccessor;
}

/** Arrays of one kind of struct: an accessor is made in the loop, where the engine sees that it needs none. */
function arrayClass(accessor: AccessorClass, byteLength: number): ArrayClass {
  // V8 puts constants of an enclosing function into compiled code, but never its parameters.
  const Element = accessor;
  const stride = byteLength;
  return class StructArray<T extends AnyType> extends ArrayView<T> {
    override get(index: number): ValueOf<T> {
      if (index >>> 0 !== index || index >= this.length) return super.get(index);
      return new Element(this["#views"], this["#address"] + index * stride) as ValueOf<T>;
    }
  };
}
