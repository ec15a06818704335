// Owned blocks over any allocator.
import { LinmemRangeError, LinmemTypeError } from "../errors.js";
import type { Allocator, Content, LiveBlocks } from "./allocator.js";
import { ArrayType, listOf, writeElements } from "./array-type.js";
import {
  ArrayBlock,
  Block,
  type Encoding,
  type OwnedBlock,
  type Placement,
  StringBlock,
  StructBlock,
} from "./blocks.js";
import type { BufferMemory } from "./buffer-memory.js";
import { checkInside, checkPlace } from "./data-source.js";
import { type AnyType, DataType, type InitOf, NumberType, numbers } from "./data-types.js";
import { isShared } from "./engine.js";
import type { ScalarName } from "./field-views.js";
import type { LinearMemory } from "./linear-memory.js";
import { show } from "./pages.js";
import { encodeUtf8, utf8Length } from "./text.js";
import { toWhole } from "./views.js";

/** How a block of bytes is to lie. */
export interface BlockOptions {
  /** A power of two, in bytes. Without it 8, of bytes that are copied in 1. */
  alignment?: number;
}

/** How text is to be written. */
export interface StringOptions {
  /** Without it what the module's language uses: UTF-16 for AssemblyScript, UTF-8 elsewhere. */
  encoding?: Encoding;
  /** Whether a NUL follows, outside of `byteLength`. Without it only where the allocator is C's. */
  terminated?: boolean;
}

/** A type, or the name of a number's: "f32". */
export type ElementType = AnyType | ScalarName;
/** The type that `T` names. */
export type TypeNamed<T extends ElementType> = T extends ScalarName ? NumberType<T> : T;

/**
 * Owned blocks in a linear memory: everything that `ModuleHeap` and other heaps share. `allocate`, `reallocate` and
 * `free` are the allocator itself; the other methods return handles that are released once, see `Owned`.
 */
export abstract class OwningHeap implements Allocator {
  /** The memory that the blocks lie in. */
  readonly memory: LinearMemory | BufferMemory;
  /** What the live handles of this heap hold: their number, and the bytes that were asked for. */
  readonly live: LiveBlocks = { blocks: 0, bytes: 0 };

  constructor(memory: LinearMemory | BufferMemory) {
    this.memory = memory;
  }

  /** How text is written unless one is told. */
  protected abstract get text(): Required<StringOptions>;

  abstract allocate(byteLength: number, alignment: number, content?: Content): number;
  abstract reallocate(ptr: number, oldByteLength: number, byteLength: number, alignment: number): number;
  abstract free(ptr: number, byteLength: number, alignment: number): void;

  /** A block of `byteLength` bytes with whatever lies there. */
  block(byteLength: number, { alignment = 8 }: BlockOptions = {}): Block {
    return this.own(new Block(this.place(byteLength, alignment)));
  }

  /**
   * A block with a copy of `bytes`, which may be a view of this memory.
   * @throws TypeError when they are no bytes (`ERR_LINMEM_VALUE`) or their buffer is detached (`ERR_LINMEM_DETACHED`)
   */
  copyIn(bytes: ArrayBufferView | ArrayBufferLike, { alignment = 1 }: BlockOptions = {}): Block {
    const source = bytesOf(bytes);
    const { byteOffset, byteLength } = source;
    const inside = source.buffer === this.memory.buffer;
    const block = this.block(byteLength, { alignment });
    return this.filled(block, () => {
      // Allocating may have grown the memory and detached a view of it.
      if (inside) this.memory.u8.copyWithin(block.ptr, byteOffset, byteOffset + byteLength);
      else this.memory.writeBytes(block.ptr, source);
    });
  }

  /** A block with `text`. Lone surrogates become U+FFFD in UTF-8, and stay what they are in UTF-16. */
  string(text: string, options: StringOptions = {}): StringBlock {
    if (typeof text !== "string") {
      throw new LinmemTypeError("ERR_LINMEM_VALUE", `text is expected, not ${show(text)}`);
    }
    const { encoding = this.text.encoding, terminated = this.text.terminated } = options;
    if (encoding !== "utf-8" && encoding !== "utf-16") {
      throw new LinmemTypeError("ERR_LINMEM_VALUE", `no encoding for blocks: ${show(encoding)}`);
    }
    const unit = encoding === "utf-8" ? 1 : 2;
    const byteLength = encoding === "utf-8" ? utf8Length(text) : 2 * text.length;
    const place = this.place(byteLength + (terminated ? unit : 0), unit, "text");
    place.byteLength = byteLength;
    const block = this.own(new StringBlock(place, encoding));
    return this.filled(block, () => {
      if (unit === 2) this.memory.writeUtf16(block.ptr, text);
      else encodeUtf8(text, this.memory.viewBytes(block.ptr, byteLength));
      if (terminated) this.memory.viewBytes(block.ptr + byteLength, unit).fill(0);
    });
  }

  /**
   * A block of elements: `heap.array("f32", 100)`, all bytes 0, or `heap.array("f32", [1, 2, 3])`.
   * @param element a type, or the name of a number's
   */
  array<T extends ElementType>(
    element: T,
    values: number | ArrayLike<InitOf<TypeNamed<T>>>,
  ): ArrayBlock<TypeNamed<T>> {
    const type = typeOf(element);
    const list = typeof values === "number" ? undefined : listOf(values);
    const { byteLength, alignment } = new ArrayType(type, list?.length ?? (values as number));
    const block = this.own(new ArrayBlock<TypeNamed<T>>(this.place(byteLength, alignment), type));
    return this.filled(block, () => {
      if (list === undefined || !(type instanceof NumberType)) this.clear(block);
      if (list !== undefined) writeElements<AnyType>(type, this.memory, block.ptr, list);
    });
  }

  /** A block for one struct, all bytes 0 but for the fields of `init`. */
  struct<T extends AnyType>(type: T, init?: InitOf<T>): StructBlock<T> {
    checkType(type);
    const block = this.own(new StructBlock(this.place(type.byteLength, type.alignment), type));
    return this.filled(block, () => {
      this.clear(block);
      if (init !== undefined) type.writeAt(this.memory, block.ptr, init);
    });
  }

  /**
   * Takes ownership of a block that the module allocated and handed out: from here on the handle releases it.
   * @throws RangeError for null (`ERR_LINMEM_NULL`), or outside the memory (`ERR_LINMEM_BOUNDS`)
   */
  adopt(ptr: number | bigint, byteLength: number, { alignment = 1 }: BlockOptions = {}): Block {
    return new Block(this.adoption(ptr, checkSize(byteLength), checkAlignment(alignment), "block"));
  }

  /** `adopt` of a struct. RangeError also when it isn't aligned (`ERR_LINMEM_ALIGNMENT`). */
  adoptStruct<T extends AnyType>(type: T, ptr: number | bigint): StructBlock<T> {
    checkType(type);
    const placement = this.adoption(ptr, type.byteLength, type.alignment, type.name);
    checkPlace(this.memory, placement.ptr, type);
    return new StructBlock(placement, type);
  }

  /** `adopt` of `length` elements. RangeError also when they aren't aligned (`ERR_LINMEM_ALIGNMENT`). */
  adoptArray<T extends ElementType>(
    element: T,
    ptr: number | bigint,
    length: number,
  ): ArrayBlock<TypeNamed<T>> {
    const type = typeOf(element);
    const whole = new ArrayType(type, length);
    const placement = this.adoption(ptr, whole.byteLength, whole.alignment, whole.name);
    checkPlace(this.memory, placement.ptr, whole);
    return new ArrayBlock<TypeNamed<T>>(placement, type);
  }

  /** `adopt` of text of `byteLength` bytes. */
  adoptString(ptr: number | bigint, byteLength: number, encoding = this.text.encoding): StringBlock {
    const placement = this.adoption(ptr, checkSize(byteLength), encoding === "utf-8" ? 1 : 2, "string block");
    return new StringBlock(placement, encoding);
  }

  /** Called with each new handle of a block that was allocated here. */
  protected own<B extends OwnedBlock>(block: B): B {
    return block;
  }

  private place(byteLength: number, alignment: number, content?: Content): Placement {
    const ptr = this.allocate(checkSize(byteLength), checkAlignment(alignment), content);
    return { heap: this, ptr, byteLength, size: byteLength, alignment };
  }

  private adoption(ptr: number | bigint, byteLength: number, alignment: number, what: string): Placement {
    // 32-bit addresses from 2 GiB up come out of exports as negative numbers.
    const signed = toWhole(ptr, "address");
    const address = signed < 0 && signed >= -(2 ** 31) ? signed + 2 ** 32 : signed;
    if (address === 0) throw new LinmemRangeError("ERR_LINMEM_NULL", `null is no ${what} to own`);
    checkInside(this.memory, address, byteLength);
    return { heap: this, ptr: address, byteLength, size: byteLength, alignment };
  }

  private clear(block: OwnedBlock): void {
    this.memory.viewBytes(block.ptr, block.byteLength).fill(0);
  }

  /** Fills a new block; when that fails, nothing is left of it. */
  private filled<B extends OwnedBlock>(block: B, fill: () => void): B {
    try {
      fill();
    } catch (error) {
      block.release();
      throw error;
    }
    return block;
  }
}

function typeOf<T extends ElementType>(element: T): TypeNamed<T> {
  const named = typeof element === "string" && Object.hasOwn(numbers, element);
  const type = named ? numbers[element as ScalarName] : element;
  checkType(type);
  return type as TypeNamed<T>;
}

function checkType(type: unknown): void {
  if (!(type instanceof DataType)) {
    throw new LinmemTypeError("ERR_LINMEM_TYPE", `a type or the name of one is expected, not ${show(type)}`);
  }
  if (type.byteLength === 0) {
    throw new LinmemTypeError("ERR_LINMEM_TYPE", `${type.name} has no bytes to allocate`);
  }
}

function checkSize(byteLength: number): number {
  if (typeof byteLength !== "number" || !Number.isInteger(byteLength) || byteLength < 0) {
    throw new LinmemTypeError(
      "ERR_LINMEM_SIZE",
      `a size must be a whole number of bytes, not ${show(byteLength)}`,
    );
  }
  return byteLength;
}

function checkAlignment(alignment: number): number {
  if (typeof alignment !== "number" || !isPowerOfTwo(alignment)) {
    throw new LinmemTypeError(
      "ERR_LINMEM_ALIGNMENT",
      `an alignment must be a power of two, not ${show(alignment)}`,
    );
  }
  return alignment;
}

function isPowerOfTwo(value: number): boolean {
  // The logarithm takes 20 ns, a third of a whole allocation: only for what bits can't tell.
  if (value >>> 0 === value) return value !== 0 && (value & (value - 1)) === 0;
  return value > 2 ** 31 && Number.isInteger(Math.log2(value));
}

function bytesOf(bytes: ArrayBufferView | ArrayBufferLike): Uint8Array {
  if (bytes instanceof Uint8Array) return bytes;
  try {
    if (ArrayBuffer.isView(bytes)) return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes instanceof ArrayBuffer || isShared(bytes)) return new Uint8Array(bytes);
  } catch (cause) {
    throw new LinmemTypeError(
      "ERR_LINMEM_DETACHED",
      "the bytes to copy are gone: their buffer was detached",
      { cause },
    );
  }
  throw new LinmemTypeError("ERR_LINMEM_VALUE", `bytes to copy are expected, not ${show(bytes)}`);
}
