// A heap in any memory, with an allocator of its own: see layout.ts for how it lies there, core.ts for how it works.
import { AllocationError, LinmemError, LinmemRangeError, LinmemTypeError } from "../../errors.js";
import type { BufferMemory } from "../buffer-memory.js";
import { HeapCore } from "../generated/heap-core.js";
import { LinearMemory } from "../linear-memory.js";
import { OwningHeap, type StringOptions } from "../owning-heap.js";
import { PAGE_SIZE, show } from "../pages.js";
import { hex } from "../views.js";
import {
  aligned,
  checkAlignment,
  checkBytes,
  type HeapOptions,
  type HeapTarget,
  memoryOf,
  type OpenOptions,
} from "./arguments.js";
import { blocksOf, checkHeap, type HeapBlock } from "./check.js";
import type { CompactionStep } from "./compact.js";
import { GuardedCore } from "./guard.js";
import {
  ALIGNED,
  field,
  GRANULE,
  HALF_BYTES,
  HALF_MOST,
  HEADER_BYTES,
  LARGEST,
  MAGIC,
  smallSize,
  VERSION,
} from "./layout.js";
import { findListener, ReportedCore } from "./listener.js";
import { MovableBlock } from "./movable.js";
import { Movables } from "./movables.js";
import type { HeapOperations } from "./operations.js";
import { type HeapStats, statsOf } from "./stats.js";
import { wasmCore } from "./wasm-core.js";

/** Growth at a time: an eighth of what there is, so that the cost of growing is spread evenly; or this much if that is less. */
const GROWTH_SHARE = 8;
const MOST_GROWTH = 64 * 2 ** 20;
/** No sum of an address and a small size passes 2^32. */
const NO_CEILING = 0xffff_f000;

/**
 * A heap inside a linear memory or a buffer, for what should not lie in the JavaScript heap, or for modules without an
 * allocator. All of its state is in the memory: `Heap.open` finds it again, in another realm too.
 *
 * Payloads lie at multiples of 8, or of what is asked for. One thread at a time may use it.
 */
export class Heap extends OwningHeap {
  private readonly core: HeapCore;
  private readonly guard: GuardedCore | undefined;
  /** The core, or what stands before it. Set once the heap is laid out. */
  private front: HeapOperations;
  private readonly grows: boolean;
  /** Set when `front` is. */
  private movables!: Movables;

  private constructor(memory: LinearMemory | BufferMemory, start: number, grows: boolean, debug: boolean) {
    super(memory);
    this.grows = grows;
    this.core = new HeapCore(memory, start, (end) => this.grow(end), grows && memory.shared);
    this.guard = debug ? new GuardedCore(this.core) : undefined;
    this.front = this.guard ?? this.core;
  }

  /** From now on what is frequent is done in WebAssembly, where that is possible. */
  private quicken(): void {
    const { memory, start } = this;
    if (!(memory instanceof LinearMemory)) return;
    const core = wasmCore(memory, start, (end) => this.grow(end));
    if (core === undefined) return;
    this.front = core;
    Object.setPrototypeOf(this, core.prototypeFor(Heap.prototype));
  }

  /** To be called when the heap is laid out, or opened: from now on whoever profiles hears of it. */
  private announce(): this {
    const { memory, core, start } = this;
    const listener = findListener(() => ({
      memory: memory instanceof LinearMemory ? memory.wasm : memory.buffer,
      start,
      end: core.get("end"),
      blocks: [...this.walk()].filter(({ used, own }) => used && own !== true),
      token: this,
    }));
    // under a profiler nothing is fast, and there shall be no module that the program didn't make
    if (listener !== undefined) this.front = new ReportedCore(this.front, listener);
    else if (this.guard === undefined) this.quicken();
    const { guard, front, live } = this;
    this.movables = new Movables(memory, live, { core, guard, front, listener }, (asked) =>
      this.exhausted(asked),
    );
    return this;
  }

  /**
   * Lays out an empty heap. What was there is lost.
   *
   * @throws RangeError when there is no room for it (`ERR_LINMEM_BOUNDS`)
   * @throws TypeError for a target that is none (`ERR_LINMEM_NOT_A_MEMORY`), or a size that is none (`ERR_LINMEM_SIZE`)
   */
  static create(target: HeapTarget, options: HeapOptions = {}): Heap {
    const memory = memoryOf(target);
    const start = aligned(checkBytes(options.start ?? ALIGNED, "start"));
    const { byteLength, maximumByteLength, debug = false } = options;
    const whole = Math.min(memory.byteLength, NO_CEILING);
    const behind = byteLength === undefined ? whole : start + checkBytes(byteLength, "byteLength");
    const end = behind - (behind % ALIGNED);
    if (end > whole || end - start < HEADER_BYTES + 2 * ALIGNED) {
      throw new LinmemRangeError(
        "ERR_LINMEM_BOUNDS",
        `no room for a heap: it needs ${HEADER_BYTES + 2 * ALIGNED} bytes at least, and all of it has to lie in the ` +
          `${memory.byteLength} bytes of the memory; start is ${start}, its end ${end}`,
        { start, end, byteLength: memory.byteLength },
      );
    }
    const ceiling =
      maximumByteLength === undefined
        ? NO_CEILING
        : Math.min(start + checkBytes(maximumByteLength, "maximumByteLength"), NO_CEILING);
    const heap = new Heap(memory, start, byteLength === undefined && memory instanceof LinearMemory, debug);
    const bounded = Math.min(end, ceiling - (ceiling % ALIGNED));
    heap.core.format(start, bounded, heap.grows ? ceiling : bounded);
    if (debug) heap.core.set("guarded", 1);
    return heap.announce();
  }

  /**
   * Opens a heap that `create` laid out, here or elsewhere.
   *
   * @throws LinmemError when there is none (`ERR_LINMEM_NO_HEAP`), one of a newer version (`ERR_LINMEM_HEAP_VERSION`), or a
   *   damaged one (`ERR_LINMEM_HEAP_DAMAGED`); `check` finds more of that
   */
  static open(target: HeapTarget, { start = ALIGNED, unpin = false }: OpenOptions = {}): Heap {
    const memory = memoryOf(target);
    const begin = aligned(checkBytes(start, "start"));
    const fits = begin + HEADER_BYTES <= memory.byteLength;
    if (!fits || memory.u32[begin >>> 2] !== MAGIC) {
      throw new LinmemError(
        "ERR_LINMEM_NO_HEAP",
        `there is no heap at ${hex(begin)}: Heap.create lays one out`,
      );
    }
    const version = memory.u32[(begin >>> 2) + field.version];
    if (version !== VERSION) {
      throw new LinmemError(
        "ERR_LINMEM_HEAP_VERSION",
        `the heap at ${hex(begin)} has version ${version}, this linmem knows ${VERSION}: open it with the linmem that made it`,
      );
    }
    const ceiling = memory.u32[(begin >>> 2) + field.ceiling]!;
    const end = memory.u32[(begin >>> 2) + field.end]!;
    const debug = memory.u32[(begin >>> 2) + field.guarded] === 1;
    const heap = new Heap(memory, begin, ceiling > end && memory instanceof LinearMemory, debug);
    checkHeap(heap.core, memory.byteLength, false);
    heap.guard?.adopt();
    heap.announce();
    if (unpin) heap.movables.unpinAll();
    return heap;
  }

  /** Where it begins. */
  get start(): number {
    return this.core.get("start");
  }

  /**
   * The address of `byteLength` bytes, of which nothing is known. It is a multiple of `alignment`, a power of two up to 65,536, and
   * of 8 where more than 2 bytes are asked for. Where it is no more than that it is a multiple of 4: nothing that is so small needs more.
   *
   * @throws AllocationError (`ERR_LINMEM_OUT_OF_MEMORY`): there are none, and nothing has changed
   * @throws TypeError (`ERR_LINMEM_SIZE`, `ERR_LINMEM_ALIGNMENT`)
   */
  allocate(byteLength: number, alignment = 1): number {
    // whole numbers from 0 to 2^31: all others end in `checkRequest`
    if (byteLength >>> 0 !== byteLength || byteLength > LARGEST) this.checkRequest(byteLength);
    const natural = byteLength > HALF_MOST ? GRANULE : HALF_BYTES;
    const ptr =
      alignment <= natural && (alignment & (alignment - 1)) === 0 && alignment > 0
        ? this.front.allocate(byteLength)
        : this.front.allocateAligned(byteLength, checkAlignment(alignment));
    if (ptr === 0) throw this.exhausted(byteLength);
    return ptr;
  }

  /** The same with all bytes 0. */
  allocateZeroed(byteLength: number, alignment = 1): number {
    const ptr = this.allocate(byteLength, alignment);
    this.memory.u8.fill(0, ptr, ptr + byteLength);
    return ptr;
  }

  /**
   * Makes a block larger or smaller, where it is if that can be, and returns its address. What fits stays.
   *
   * @param _oldByteLength not looked at: the heap knows it
   * @throws AllocationError (`ERR_LINMEM_OUT_OF_MEMORY`): then the block is as it was
   * @throws RangeError for what is no block, see `free`
   */
  reallocate(ptr: number, _oldByteLength: number, byteLength: number, alignment = 1): number {
    if (byteLength >>> 0 !== byteLength || byteLength > LARGEST) this.checkRequest(byteLength);
    if (!this.holds(ptr)) throw this.noBlock(ptr);
    if (alignment > (byteLength > HALF_MOST ? GRANULE : HALF_BYTES))
      return this.reallocateAligned(ptr, byteLength, alignment);
    const moved = this.front.reallocate(ptr, byteLength);
    if (moved === 0) throw this.exhausted(byteLength);
    return moved;
  }

  private reallocateAligned(ptr: number, byteLength: number, alignment: number): number {
    const old = this.front.requestedOf(ptr);
    let now = ptr;
    // in place it keeps its alignment; elsewhere it may not
    if (this.guard === undefined && ptr % alignment === 0 && smallSize(byteLength) <= smallSize(old)) {
      now = this.front.reallocate(ptr, byteLength);
      if (now === 0) throw this.exhausted(byteLength);
      if (now % alignment === 0) return now;
    }
    const moved = this.allocate(byteLength, alignment);
    this.memory.u8.copyWithin(moved, now, now + Math.min(old, byteLength));
    this.free(now);
    return moved;
  }

  /**
   * Takes a block back. Null is no block, and nothing happens.
   *
   * @throws RangeError, and nothing has changed: it was freed already (`ERR_LINMEM_DOUBLE_FREE`), or was never a block of
   *   this heap (`ERR_LINMEM_FOREIGN_BLOCK`). An address that was given out again meanwhile can't be told from a block.
   */
  free(ptr: number): void {
    if ((ptr >>> 0 !== ptr || !this.front.free(ptr)) && ptr !== 0) throw this.noBlock(ptr);
  }

  private holds(ptr: number): boolean {
    return ptr >>> 0 === ptr && this.front.isBlock(ptr);
  }

  /**
   * A block that `compact` may move, with whatever lies there. Its handle says where it is; it costs 24 bytes more than
   * an ordinary one.
   *
   * @throws AllocationError (`ERR_LINMEM_OUT_OF_MEMORY`): there are none, and nothing has changed
   * @throws TypeError (`ERR_LINMEM_SIZE`)
   */
  movable(byteLength: number): MovableBlock {
    if (byteLength >>> 0 !== byteLength || byteLength > LARGEST) this.checkRequest(byteLength);
    return new MovableBlock(this.movables, this.movables.allocate(byteLength));
  }

  /**
   * Another handle of a movable block, which was made here or in another realm. When one of them releases the block, the
   * others throw `ReleasedError`.
   *
   * @param id `MovableBlock.id`; `walk` shows those of all
   * @throws RangeError when no live block has this id (`ERR_LINMEM_FOREIGN_BLOCK`)
   */
  movableBlock(id: number): MovableBlock {
    if (this.movables.has(id)) return new MovableBlock(this.movables, id);
    throw new LinmemRangeError("ERR_LINMEM_FOREIGN_BLOCK", `no movable block has the id ${show(id)}`);
  }

  /**
   * Moves movable blocks that nobody has pinned together, so that what is free becomes one piece above them; where others
   * are in the way, as well as they fit between them. Addresses and views of movable blocks are not good any more.
   *
   * It works in steps: with a budget it stops in time, the heap can be used, and the next call goes on, until one of them is
   * `done`. What was released below meanwhile is found by the call after that.
   *
   * @param options `budgetMs`: milliseconds that it may take, unless one single block takes longer. 0: the least it can do.
   *   Without it all is done.
   * @throws TypeError for a budget that is none (`ERR_LINMEM_VALUE`)
   */
  compact({ budgetMs = Number.POSITIVE_INFINITY }: { budgetMs?: number } = {}): CompactionStep {
    if (typeof budgetMs !== "number" || !(budgetMs >= 0)) {
      throw new LinmemTypeError(
        "ERR_LINMEM_VALUE",
        `a budget must be a number of milliseconds, not ${show(budgetMs)}`,
      );
    }
    return this.movables.compact(budgetMs);
  }

  /** What was asked for a block, in bytes. */
  byteLengthOf(ptr: number): number {
    if (!this.holds(ptr)) throw this.noBlock(ptr);
    return this.front.requestedOf(ptr);
  }

  /** How it stands. Takes the same time whatever the heap holds. */
  stats(): HeapStats {
    return statsOf(this.core, this.guard);
  }

  /** All blocks, used and free, in the order of their addresses. The heap must not change meanwhile. */
  walk(): Generator<HeapBlock> {
    return this.guard?.walk() ?? blocksOf(this.core);
  }

  /**
   * Verifies everything that has to be true of the heap.
   *
   * @throws LinmemError (`ERR_LINMEM_HEAP_DAMAGED`) with the first thing that isn't
   * @throws RangeError in debug mode: a block was underrun (`ERR_LINMEM_UNDERRUN`), overrun (`ERR_LINMEM_OVERRUN`), or
   *   written to after it was freed (`ERR_LINMEM_WRITE_AFTER_FREE`)
   */
  check(): void {
    this.guard?.check();
    checkHeap(this.core, this.memory.byteLength, true);
  }

  protected get text(): Required<StringOptions> {
    return { encoding: "utf-8", terminated: false };
  }

  /** Grows the memory, if nobody else has put anything behind the heap. */
  private grow(end: number): boolean {
    const { memory, core } = this;
    const now = core.get("end");
    const byteLength = Math.min(memory.byteLength, NO_CEILING);
    if (!this.grows || !(memory instanceof LinearMemory) || byteLength - now >= PAGE_SIZE) return false;
    const ceiling = core.get("ceiling");
    const geometric = now + Math.min((now - this.start) / GROWTH_SHARE, MOST_GROWTH);
    for (const wanted of [Math.min(Math.max(end, geometric), ceiling), end]) {
      const pages = Math.ceil((wanted - byteLength) / PAGE_SIZE);
      try {
        if (pages > 0) memory.grow(pages);
      } catch (error) {
        if (error instanceof LinmemRangeError) continue;
        throw error;
      }
      const reached = Math.min(memory.byteLength, ceiling);
      core.set("end", reached - (reached % ALIGNED));
      return core.get("end") >= end;
    }
    return false;
  }

  private checkRequest(byteLength: unknown): void {
    const size = checkBytes(byteLength, "a size");
    if (size > LARGEST) throw this.exhausted(size);
  }

  private exhausted(asked: number): AllocationError {
    const { free, largestFree, byteLength } = this.stats();
    const grow = this.grows ? "and can't grow enough" : "and doesn't grow";
    return new AllocationError(
      "ERR_LINMEM_OUT_OF_MEMORY",
      `no block of ${asked.toLocaleString("en")} bytes: the heap has ${byteLength.toLocaleString("en")} bytes, ` +
        `${free.toLocaleString("en")} of them free and ${largestFree.toLocaleString("en")} in one piece, ${grow}`,
      { asked, free, largestFree, byteLength },
    );
  }

  private noBlock(ptr: unknown): Error {
    if (typeof ptr !== "number" || !Number.isInteger(ptr)) {
      return new LinmemTypeError("ERR_LINMEM_ADDRESS", `a block's address is expected, not ${show(ptr)}`);
    }
    const explained = this.guard?.explain(ptr);
    if (explained !== undefined) return explained;
    const inside = ptr % HALF_BYTES === 0 && ptr > this.core.get("first") && ptr < this.core.get("end");
    if (inside) {
      const past = ptr >= this.core.get("top");
      const block = past ? undefined : [...this.walk()].find(({ address }) => address === ptr);
      if (block?.movable !== undefined) {
        return new LinmemRangeError(
          "ERR_LINMEM_FOREIGN_BLOCK",
          `${hex(ptr)} is a movable block, which its handle resizes and releases`,
          { address: ptr },
        );
      }
      if (past || block?.used === false) {
        return new LinmemRangeError(
          "ERR_LINMEM_DOUBLE_FREE",
          `${hex(ptr)} is free: it was freed already, or never allocated`,
          { address: ptr },
        );
      }
    }
    return new LinmemRangeError(
      "ERR_LINMEM_FOREIGN_BLOCK",
      `${hex(ptr)} is no block of the heap at ${hex(this.start)}: it was never allocated here, or lies inside a block`,
      { address: ptr },
    );
  }
}
