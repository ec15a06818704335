/**
 * How a profiler hears of heaps that are not a module's. A heap that is made asks for a listener once, under a name that
 * whoever wants to listen puts on the global object:
 *
 * ```js
 * Object.defineProperty(globalThis, Symbol.for("linmem.heaps"), { value: (heap) => ({ allocated(ptr, byteLength) {…}, … }) });
 * ```
 *
 * When there is one, the heap calls it; when there is none, nothing is different from a heap without any of this.
 */
import type { HeapOperations } from "./operations.js";

/** What a heap says of itself. */
export interface AnnouncedHeap {
  /** What it lies in. */
  memory: WebAssembly.Memory | ArrayBufferLike;
  /** Its addresses: from `start` to `end`, as far as it has come. */
  start: number;
  end: number;
  /** Used blocks that it has already: one that was opened may. */
  blocks: readonly { address: number; requested: number }[];
  /** Lives as long as the heap. */
  token: object;
}

/** What happens in a heap, told after it has happened. Addresses of payloads; sizes as asked for, in bytes. */
export interface HeapListener {
  /** `ptr` is 0 when there was no memory. */
  allocated(ptr: number, byteLength: number): void;
  freed(ptr: number): void;
  /** Resized, perhaps moved; `to` is 0 when there was no memory. */
  reallocated(from: number, to: number, byteLength: number): void;
  /** Moved by compaction. */
  moved(from: number, to: number): void;
}

/** Called with each new heap; undefined when nobody wants to hear of it. */
export type HeapAnnouncement = (heap: AnnouncedHeap) => HeapListener | undefined;

const key = Symbol.for("linmem.heaps");

/** Asks for somebody who listens to a new heap. */
export function findListener(describe: () => AnnouncedHeap): HeapListener | undefined {
  const announce = (globalThis as { [key]?: HeapAnnouncement })[key];
  return typeof announce === "function" ? announce(describe()) : undefined;
}

/** Tells a listener what happens. It stands before a heap's core, so that a heap without a listener pays nothing. */
export class ReportedCore implements HeapOperations {
  private readonly inner: HeapOperations;
  private readonly listener: HeapListener;

  constructor(inner: HeapOperations, listener: HeapListener) {
    this.inner = inner;
    this.listener = listener;
  }

  allocate(byteLength: number): number {
    const ptr = this.inner.allocate(byteLength);
    this.listener.allocated(ptr, byteLength);
    return ptr;
  }

  allocateAligned(byteLength: number, alignment: number): number {
    const ptr = this.inner.allocateAligned(byteLength, alignment);
    this.listener.allocated(ptr, byteLength);
    return ptr;
  }

  allocateWide(byteLength: number, alignment: number): number {
    const ptr = this.inner.allocateWide(byteLength, alignment);
    this.listener.allocated(ptr, byteLength);
    return ptr;
  }

  isBlock(ptr: number): boolean {
    return this.inner.isBlock(ptr);
  }

  requestedOf(ptr: number): number {
    return this.inner.requestedOf(ptr);
  }

  reallocate(ptr: number, byteLength: number): number {
    const moved = this.inner.reallocate(ptr, byteLength);
    this.listener.reallocated(ptr, moved, byteLength);
    return moved;
  }

  free(ptr: number): boolean {
    const freed = this.inner.free(ptr);
    if (freed) this.listener.freed(ptr);
    return freed;
  }
}
