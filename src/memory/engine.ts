// What engines tell about a memory only in roundabout ways: its address type, its maximum, and, for shared memories,
// its present size at the price of one call. All through modules of a few bytes that import the memory.
import { bufferOf } from "./intrinsics.js";
import { MAX_PAGES, PAGE_SIZE } from "./pages.js";

/** The size of addresses of a memory. */
export type AddressType = "i32" | "i64";

/** What a module declares about the memory that it imports; linking fails unless the memory fits. */
interface MemoryImport {
  address: AddressType;
  shared: boolean;
  /** In pages. A memory fits only when it has a maximum of at most this. */
  maximum: number | undefined;
}

function leb128(value: number): number[] {
  const bytes: number[] = [];
  do {
    const rest = Math.floor(value / 128);
    bytes.push((value % 128) + (rest > 0 ? 128 : 0));
    value = rest;
  } while (value > 0);
  return bytes;
}

/** `(module (memory (import "" "") …) (func (export "") (result i32) memory.size))`, with `i32.wrap_i64` for i64. */
function sizeModule({ address, shared, maximum }: MemoryImport): Uint8Array<ArrayBuffer> {
  const wide = address === "i64";
  const flags = (maximum === undefined ? 0 : 1) + (shared ? 2 : 0) + (wide ? 4 : 0);
  const imported = [1, 0, 0, 2, flags, 0, ...(maximum === undefined ? [] : leb128(maximum))];
  const body = [0, 0x3f, 0, ...(wide ? [0xa7] : []), 0x0b];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...[1, 5, 1, 0x60, 0, 1, 0x7f],
    ...[2, imported.length, ...imported],
    ...[3, 2, 1, 0],
    ...[7, 4, 1, 0, 0, 0],
    ...[10, body.length + 2, 1, body.length, ...body],
  ]);
}

let most64: number | undefined;

/** The largest maximum that a module may declare: V8 refuses modules that declare more than it grants. */
function largestMaximum(address: AddressType): number {
  if (address === "i32") return MAX_PAGES;
  return (most64 ??= largest(0, 2 ** 48, (maximum) =>
    WebAssembly.validate(sizeModule({ address, shared: false, maximum })),
  ));
}

/** The largest number from `low` to `high` that is `fine`, if `low` is, and all below a fine one are. */
function largest(low: number, high: number, fine: (value: number) => boolean): number {
  while (low < high) {
    const middle = high - Math.floor((high - low) / 2);
    if (fine(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

function link(module: WebAssembly.Module, memory: WebAssembly.Memory): () => number {
  return new WebAssembly.Instance(module, { "": { "": memory } }).exports[""] as () => number;
}

/** Undefined where that is forbidden, by a policy of the page, or where the engine knows no such memory. */
function compile(declared: MemoryImport): WebAssembly.Module | undefined {
  try {
    return new WebAssembly.Module(sizeModule(declared));
  } catch {
    return undefined;
  }
}

const compiled = new Map<AddressType, WebAssembly.Module | undefined>();

/** A function that returns the size of a shared memory in pages, as the engine knows it now. It keeps the memory. */
export function sizeReader(memory: WebAssembly.Memory, address: AddressType): () => number {
  if (!compiled.has(address))
    compiled.set(address, compile({ address, shared: true, maximum: largestMaximum(address) }));
  const module = compiled.get(address);
  // slower, and right as well
  if (module === undefined) return () => bufferOf(memory).byteLength / PAGE_SIZE;
  return link(module, memory);
}

function fits(memory: WebAssembly.Memory, declared: MemoryImport): boolean {
  const module = compile(declared);
  if (module === undefined) return false;
  try {
    link(module, memory);
    return true;
  } catch {
    return false;
  }
}

/** Whether exports take addresses in `memory` as numbers or as BigInts. */
export function addressType(memory: WebAssembly.Memory, shared: boolean): AddressType {
  const type = describe(memory);
  if (type?.address !== undefined) return type.address;
  const narrow = { address: "i32", shared, maximum: shared ? MAX_PAGES : undefined } as const;
  // nothing tells where modules are forbidden: most memories are of 32 bits
  return fits(memory, narrow) || compile(narrow) === undefined ? "i32" : "i64";
}

/**
 * The maximum of a memory that somebody else made, in pages. No engine tells it yet without a flag, but a module that
 * imports a memory of at most N pages links only when the memory's maximum is N or less: a binary search finds it.
 */
export function findMaximum(
  memory: WebAssembly.Memory,
  pages: number,
  address: AddressType,
  shared: boolean,
): number | undefined {
  const type = describe(memory);
  if (type !== undefined) return type.maximum === undefined ? undefined : Number(type.maximum);
  const most = largestMaximum(address);
  if (!fits(memory, { address, shared, maximum: most })) return undefined;
  // It fits every declared maximum from its own up: the largest that does not fit is one less.
  return (
    largest(pages - 1, most, (maximum) => maximum < pages || !fits(memory, { address, shared, maximum })) + 1
  );
}

interface MemoryType {
  maximum?: number | bigint;
  address?: AddressType;
}

/** The type reflection proposal, where the engine has it. */
function describe(memory: WebAssembly.Memory): MemoryType | undefined {
  return (memory as { type?: () => MemoryType }).type?.();
}

/** True for the buffer of a shared memory. Browsers hide the class `SharedArrayBuffer` from pages that are not isolated. */
export function isShared(buffer: ArrayBufferLike): boolean {
  return Object.prototype.toString.call(buffer) === "[object SharedArrayBuffer]";
}
