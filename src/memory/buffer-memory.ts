// A buffer that is no linear memory, read and written like one. It never grows.
import type { Loads } from "./field-views.js";
import { MemoryBytes } from "./memory-bytes.js";

/** An `ArrayBuffer` or a `SharedArrayBuffer` of fixed length, with the views, loads and stores of a `LinearMemory`. */
export class BufferMemory extends MemoryBytes implements Loads {
  /** The buffer itself. */
  readonly buffer: ArrayBufferLike;
  /** Whether threads can share it. */
  readonly shared: boolean;

  /** What lies behind the last whole 8 bytes is not used. */
  constructor(buffer: ArrayBufferLike) {
    super();
    this.buffer = buffer;
    this.shared = !(buffer instanceof ArrayBuffer);
    this.makeViews(buffer);
  }

  /** Its size in bytes. */
  get byteLength(): number {
    return this.bytes.length;
  }

  /** There is nothing to renew: a detached buffer stays so, and each access fails. */
  protected renew(): this {
    return this;
  }
}
