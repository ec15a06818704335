// Joins what is needed for movable blocks: the heap's operations, which may be guarded, and the table of handles.
import type { LiveBlocks } from "../allocator.js";
import type { HeapCore } from "../generated/heap-core.js";
import type { MemoryBytes } from "../memory-bytes.js";
import { type CompactionStep, compactStep } from "./compact.js";
import type { GuardedCore } from "./guard.js";
import { HandleTable } from "./handles.js";
import { GRANULE, GUARD_FRONT } from "./layout.js";
import type { HeapListener } from "./listener.js";
import { idOf, type MovableStore, ofId } from "./movable.js";
import type { HeapOperations } from "./operations.js";

/** What lies below. */
interface Parts {
  core: HeapCore;
  guard: GuardedCore | undefined;
  /** The core, or what stands before it. */
  front: HeapOperations;
  listener: HeapListener | undefined;
}

export class Movables implements MovableStore {
  readonly memory: MemoryBytes;
  readonly live: LiveBlocks;
  private readonly parts: Parts;
  private readonly table: HandleTable;
  /** Says why there is no memory. */
  private readonly exhausted: (byteLength: number) => Error;

  constructor(memory: MemoryBytes, live: LiveBlocks, parts: Parts, exhausted: (byteLength: number) => Error) {
    this.memory = memory;
    this.live = live;
    this.parts = parts;
    this.table = new HandleTable(parts.core);
    this.exhausted = exhausted;
  }

  /** Id of a new movable block. */
  allocate(byteLength: number): number {
    const { table } = this;
    const handle = table.take();
    const ptr = handle < 0 ? 0 : this.parts.front.allocateWide(byteLength, GRANULE);
    if (ptr === 0) {
      if (handle >= 0) table.give(handle);
      throw this.exhausted(byteLength);
    }
    table.bind(handle, this.inner(ptr), ptr);
    return idOf(handle, table.enter(handle));
  }

  /** Whether an id is one of a live block. */
  has(id: number): boolean {
    if (!Number.isSafeInteger(id) || id < 0) return false;
    const [handle, generation] = ofId(id);
    return this.addressOf(handle, generation) !== 0;
  }

  addressOf(handle: number, generation: number): number {
    return this.table.addressOf(handle, generation);
  }

  byteLengthOf(handle: number): number {
    const { guard } = this.parts;
    return guard === undefined
      ? this.table.requestedOf(handle)
      : guard.requestedOf(this.table.liveAddressOf(handle));
  }

  resize(handle: number, byteLength: number): void {
    const { table } = this;
    const ptr = table.liveAddressOf(handle);
    table.unbind(handle, this.inner(ptr));
    let now = ptr;
    try {
      now = this.parts.front.reallocate(ptr, byteLength) || ptr;
      if (now === ptr && this.parts.front.requestedOf(ptr) !== byteLength) throw this.exhausted(byteLength);
    } finally {
      table.bind(handle, this.inner(now), now);
    }
  }

  release(handle: number): void {
    const { table } = this;
    const ptr = table.liveAddressOf(handle);
    table.unbind(handle, this.inner(ptr));
    let freed = false;
    try {
      freed = this.parts.front.free(ptr);
    } finally {
      // in debug mode a damaged block stays
      if (freed) table.leave(handle);
      else table.bind(handle, this.inner(ptr), ptr);
    }
  }

  pins(handle: number): number {
    return this.table.pins(handle);
  }

  pin(handle: number, by: number): void {
    this.table.pin(handle, by);
  }

  unpinAll(): void {
    this.table.unpinAll();
  }

  compact(budgetMs: number): CompactionStep {
    const { core, guard, listener } = this.parts;
    if (guard === undefined && listener === undefined) return compactStep(core, budgetMs);
    return compactStep(core, budgetMs, (from, to) => {
      guard?.moved(from, to);
      listener?.moved(from, to);
    });
  }

  /** Where the core's block begins. */
  private inner(ptr: number): number {
    return this.parts.guard === undefined ? ptr : ptr - GUARD_FRONT;
  }
}
