// Where typed data may lie, and the checks before it is looked at.
import { LinmemRangeError, LinmemTypeError } from "../errors.js";
import type { AnyType } from "./data-types.js";
import { type FieldViews, fieldViews, type Loads } from "./field-views.js";
import { LinearMemory } from "./linear-memory.js";
import { show } from "./pages.js";
import { hex, MemoryViews, toWhole } from "./views.js";

/** What typed data can lie in: a memory, or a `Region` of one. Addresses in a region count from its start. */
export type DataSource = Loads | WebAssembly.Memory;

/**
 * The views through which `type` at `address` is read.
 * @throws RangeError outside (`ERR_LINMEM_BOUNDS`) or not aligned (`ERR_LINMEM_ALIGNMENT`)
 */
export function viewsFor(source: DataSource, address: number | bigint, type: AnyType): FieldViews {
  const views = fieldViews(loadsOf(source));
  checkPlace(views.source, toWhole(address, "address"), type);
  return views;
}

function loadsOf(source: DataSource): Loads {
  if (typeof (source as Loads | undefined)?.readU8 === "function") return source as Loads;
  if (source instanceof WebAssembly.Memory) return LinearMemory.wrap(source);
  throw new LinmemTypeError(
    "ERR_LINMEM_NOT_A_MEMORY",
    `a memory or a region is expected, not ${show(source)}`,
  );
}

/** Checks that `type` can lie at `address`. */
export function checkPlace(source: Loads, address: number, type: AnyType): void {
  if (address % type.alignment !== 0) {
    throw new LinmemRangeError(
      "ERR_LINMEM_ALIGNMENT",
      `${type.name} at ${hex(address)}: its address must be a multiple of ${type.alignment}`,
      { address, alignment: type.alignment },
    );
  }
  checkInside(source, address, type.byteLength);
}

/** Checks that `size` bytes at `address` are there. */
export function checkInside(source: Loads, address: number, size: number): void {
  const { byteLength } = source;
  if (address >= 0 && address <= byteLength - size) return;
  throw new LinmemRangeError(
    "ERR_LINMEM_BOUNDS",
    `out of bounds: ${size} ${size === 1 ? "byte" : "bytes"} at ${hex(address)} of ${hex(byteLength)} bytes`,
    { address, size, byteLength },
  );
}

/** Bytes outside of any memory, in which a value is put together before it is written. */
export class Scratch extends MemoryViews implements Loads {
  readonly byteLength: number;

  constructor(byteLength: number) {
    super();
    this.byteLength = byteLength;
    this.makeViews(new ArrayBuffer(Math.ceil(byteLength / 8) * 8));
  }

  /** The value that was put together. */
  get content(): Uint8Array {
    return this.u8.subarray(0, this.byteLength);
  }

  protected renew(): this {
    return this;
  }

  copyBytes(address: number, byteLength: number): Uint8Array {
    return this.u8.slice(address, address + byteLength);
  }

  writeBytes(address: number, bytes: Uint8Array): void {
    this.u8.set(bytes, address);
  }
}
