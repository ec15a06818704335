/**
 * The allocator as a module in WebAssembly that imports the memory of the heap: compiled from the same sources as the one in
 * JavaScript, see core/access.ts. Both work on the same bytes, and may take turns: what is rare is done in JavaScript.
 *
 * For a buffer that is no linear memory, and where no module can be compiled at once, there is that in JavaScript alone.
 */
import { heapWasmBase64, heapWasmLimits } from "../generated/heap-wasm.js";
import type { LinearMemory } from "../linear-memory.js";
import { GRANULE, HALF_MOST } from "./layout.js";
import type { HeapOperations } from "./operations.js";

/** What the module exports. The first argument is where the heap begins; addresses come back with a sign. */
interface HeapExports {
  allocate(heap: number, requested: number): number;
  allocateAligned(heap: number, requested: number, alignment: number): number;
  allocateWide(heap: number, requested: number, alignment: number): number;
  isBlock(heap: number, payload: number): number;
  requestedOf(heap: number, payload: number): number;
  reallocate(heap: number, payload: number, requested: number): number;
  free(heap: number, payload: number): number;
}

/** What of a `Heap` is to be fast. */
interface Fast {
  allocate(byteLength: number, alignment?: number): number;
  free(ptr: number): void;
}

/** The module for memories of one thread, and the one for memories of several. */
const compiled = new Map<boolean, WebAssembly.Module | null>();

/** Limits of the imported memory: a minimum of 0 and a maximum of 65,536 pages, for several threads. */
const SHARED_LIMITS = [0x03, 0x80, 0x00, 0x80, 0x80, 0x04];

/** Null where that is forbidden: by a policy of the page, or in a thread that must not compile synchronously. Tried once. */
function compile(shared: boolean): WebAssembly.Module | null {
  let module = compiled.get(shared);
  if (module !== undefined) return module;
  const bytes = Uint8Array.from(atob(heapWasmBase64), (c) => c.charCodeAt(0));
  if (shared) bytes.set(SHARED_LIMITS, heapWasmLimits);
  try {
    module = new WebAssembly.Module(bytes);
  } catch {
    module = null;
  }
  compiled.set(shared, module);
  return module;
}

/** @param grow as of `HeapCore` */
export function wasmCore(
  memory: LinearMemory,
  start: number,
  grow: (end: number) => boolean,
): WasmCore | undefined {
  const module = memory.address === "i32" ? compile(memory.shared) : null;
  if (module === null) return undefined;
  const imports = { env: { memory: memory.wasm }, heap: { grow: (end: number) => Number(grow(end >>> 0)) } };
  try {
    const instance = new WebAssembly.Instance(module, imports);
    return new WasmCore(instance.exports as unknown as HeapExports, start);
  } catch {
    // no room for its code, or a kind of memory that it doesn't know
    return undefined;
  }
}

export class WasmCore implements HeapOperations {
  private readonly exports: HeapExports;
  private readonly start: number;

  constructor(exports: HeapExports, start: number) {
    this.exports = exports;
    this.start = start;
  }

  allocate(byteLength: number): number {
    return this.exports.allocate(this.start, byteLength) >>> 0;
  }

  allocateAligned(byteLength: number, alignment: number): number {
    return this.exports.allocateAligned(this.start, byteLength, alignment) >>> 0;
  }

  allocateWide(byteLength: number, alignment: number): number {
    return this.exports.allocateWide(this.start, byteLength, alignment) >>> 0;
  }

  isBlock(ptr: number): boolean {
    return this.exports.isBlock(this.start, ptr) !== 0;
  }

  requestedOf(ptr: number): number {
    return this.exports.requestedOf(this.start, ptr) >>> 0;
  }

  reallocate(ptr: number, byteLength: number): number {
    return this.exports.reallocate(this.start, ptr, byteLength) >>> 0;
  }

  free(ptr: number): boolean {
    return this.exports.free(this.start, ptr) !== 0;
  }

  /**
   * A prototype for the one heap that this is the core of, with the two calls that have to be fast. Engines call an export
   * directly where it is a constant, as it is in closures of its own; through a property that differs from heap to heap the
   * same call takes 5 to 8 ns more.
   */
  prototypeFor(prototype: Fast): Fast {
    const { start } = this;
    // a constant of another module is looked up each time
    const [most, granule]: readonly number[] = [HALF_MOST, GRANULE];
    const { allocate, free } = this.exports;
    const slowly = prototype.allocate;
    const refuse = prototype.free;
    return {
      // @ts-expect-error: TypeScript knows it only in class bodies
      __proto__: prototype,
      allocate(this: Fast, byteLength: number, alignment = 1): number {
        const natural = alignment === 1 || (alignment === granule && byteLength > most!);
        if (byteLength >>> 0 === byteLength && natural) {
          const ptr = allocate(start, byteLength) >>> 0;
          if (ptr !== 0) return ptr;
        }
        return slowly.call(this, byteLength, alignment);
      },
      free(this: Fast, ptr: number): void {
        if (ptr >>> 0 !== ptr || free(start, ptr) === 0) refuse.call(this, ptr);
      },
    };
  }
}
