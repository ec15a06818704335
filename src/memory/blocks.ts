// Handles of blocks: raw bytes, text, arrays, structs.
import type { Allocator } from "./allocator.js";
import { type ArrayCopy, ArrayType, type ArrayView } from "./array-type.js";
import type { AnyType, CopyOf, InitOf, ValueOf } from "./data-types.js";
import { type FieldViews, fieldViews } from "./field-views.js";
import { Owned } from "./owned.js";
import { hex } from "./views.js";

/** Where a block lies, and how it was asked for. */
export interface Placement {
  heap: Allocator;
  ptr: number;
  /** Bytes that the block can be used for. */
  byteLength: number;
  /** Bytes asked of the allocator. */
  size: number;
  alignment: number;
}

/** What all blocks have in common. `ptr` and `byteLength` are what exports take. */
export abstract class OwnedBlock extends Owned {
  // Only declared, here and below: a field that is undefined first can hold anything, and is slower.
  declare protected readonly heap: Allocator;
  /** The alignment that it was asked for with, in bytes. */
  declare readonly alignment: number;
  declare private start: number;
  declare private used: number;
  declare private size: number;
  declare private views: FieldViews | undefined;

  /** Use the methods of a heap. @internal */
  constructor({ heap, ptr, byteLength, size, alignment }: Placement) {
    super();
    this.heap = heap;
    this.start = ptr;
    this.used = byteLength;
    this.size = size;
    this.alignment = alignment;
    this.views = undefined;
    heap.live.blocks++;
    heap.live.bytes += size;
  }

  /** "block", "string block"… */
  protected abstract get kind(): string;

  get name(): string {
    return `${this.kind} of ${this.used} bytes at ${hex(this.start)}`;
  }

  /**
   * Its address, to pass to an export. Exports with 64-bit addresses take `BigInt(block.ptr)`.
   * @throws ReleasedError
   */
  get ptr(): number {
    this.use();
    return this.start;
  }

  /** Its size in bytes. Of text: without the NUL behind it. */
  get byteLength(): number {
    return this.used;
  }

  /**
   * Gives the block away, to a function that releases it itself, and returns its address. At the end of the scope
   * nothing is released then.
   */
  give(): number {
    this.disown();
    this.close();
    return this.start;
  }

  /** For arenas: the bytes belong to somebody else from now on. @internal */
  lose(): void {
    if (this.sweep()) this.close();
  }

  protected moveTo(byteLength: number): void {
    const { heap, alignment, size } = this;
    this.start = heap.reallocate(this.ptr, size, byteLength, alignment);
    heap.live.bytes += byteLength - size;
    this.size = this.used = byteLength;
    this.views?.end(this.name, "resized: ask the block for its value again");
    this.views = undefined;
  }

  /** Views that end with the block. */
  protected fieldViews(): FieldViews {
    this.use();
    if (this.views === undefined) this.views = fieldViews(this.heap.memory).fork();
    else this.views.sync();
    return this.views;
  }

  protected free(): void {
    this.close();
    this.heap.free(this.start, this.size, this.alignment);
  }

  private close(): void {
    const { live } = this.heap;
    live.blocks--;
    live.bytes -= this.size;
    this.views?.end(this.name, this.fate);
    this.views = undefined;
  }
}

/** A block of bytes. */
export class Block extends OwnedBlock {
  /** @internal */
  constructor(placement: Placement) {
    super(placement);
    this.begin();
  }

  protected get kind(): string {
    return "block";
  }

  /** The bytes themselves. Valid until the memory grows or the block is released: don't keep it. */
  view(): Uint8Array {
    return this.heap.memory.viewBytes(this.ptr, this.byteLength);
  }

  /** A copy of the bytes. */
  copy(): Uint8Array<ArrayBuffer> {
    return this.heap.memory.copyBytes(this.ptr, this.byteLength);
  }

  /**
   * Makes it larger or smaller and returns its address, which may be another. What fits stays.
   * @throws AllocationError: then the block is as it was
   */
  resize(byteLength: number): number {
    this.moveTo(byteLength);
    return this.ptr;
  }
}

/** How text lies in a block. */
export type Encoding = "utf-8" | "utf-16";

/** A block of text. */
export class StringBlock extends OwnedBlock {
  /** How its text is encoded. */
  declare readonly encoding: Encoding;

  /** @internal */
  constructor(placement: Placement, encoding: Encoding) {
    super(placement);
    this.encoding = encoding;
    this.begin();
  }

  protected get kind(): string {
    return "string block";
  }

  /** The text, as it is in the memory now. */
  override toString(): string {
    const { memory } = this.heap;
    return this.encoding === "utf-8"
      ? memory.readUtf8(this.ptr, this.byteLength)
      : memory.readUtf16(this.ptr, this.byteLength);
  }
}

/** A block of elements of one type. */
export class ArrayBlock<T extends AnyType> extends OwnedBlock implements Iterable<ValueOf<T>> {
  /** The type of the elements. */
  declare readonly element: T;

  /** @internal */
  constructor(placement: Placement, element: T) {
    super(placement);
    this.element = element;
    this.begin();
  }

  protected get kind(): string {
    return `array block (${this.length} ${this.element.name})`;
  }

  /** Number of elements. */
  get length(): number {
    return this.byteLength / this.element.byteLength;
  }

  /** The elements, for use in a loop; the block's own methods ask for it each time. It ends with the block. */
  get value(): ArrayView<T> {
    return new ArrayType(this.element, this.length).readAt(this.fieldViews(), this.ptr);
  }

  /** The element at `index`; of structs and arrays an accessor, which ends with the block. */
  get(index: number): ValueOf<T> {
    return this.value.get(index);
  }

  /** Writes the element at `index`. */
  set(index: number, value: InitOf<T>): void {
    this.value.set(index, value);
  }

  /** Writes all of `values`, the first one to `start`; when they don't fit, nothing. */
  copyFrom(values: ArrayLike<InitOf<T>>, start = 0): void {
    this.value.copyFrom(values, start);
  }

  /** A copy: a typed array of numbers, an ordinary one of anything else. */
  copy(): ArrayCopy<T> {
    return this.value.copy();
  }

  /** A typed array over the elements. Valid until the memory grows or the block is released: don't keep it. */
  view(): ReturnType<ArrayView<T>["view"]> {
    return this.value.view();
  }

  /** The elements one after the other, each as `get` gives it. */
  [Symbol.iterator](): Generator<ValueOf<T>> {
    return this.value[Symbol.iterator]();
  }

  /** Makes it longer or shorter and returns its address. Bytes of new elements are 0. */
  resize(length: number): number {
    const before = this.byteLength;
    this.moveTo(new ArrayType(this.element, length).byteLength);
    if (this.byteLength > before) {
      this.heap.memory.viewBytes(this.ptr + before, this.byteLength - before).fill(0);
    }
    return this.ptr;
  }
}

/** A block that is one struct (or anything else that has a type). */
export class StructBlock<T extends AnyType> extends OwnedBlock {
  /** What lies in it. */
  declare readonly type: T;

  /** @internal */
  constructor(placement: Placement, type: T) {
    super(placement);
    this.type = type;
    this.begin();
  }

  protected get kind(): string {
    return `${this.type.name}: block`;
  }

  /** The struct's fields, to read and to assign. It ends with the block. */
  get value(): ValueOf<T> {
    return this.type.readAt(this.fieldViews(), this.ptr);
  }

  /** A copy: a plain object. */
  copy(): CopyOf<T> {
    return this.type.copyAt(this.fieldViews(), this.ptr);
  }
}
