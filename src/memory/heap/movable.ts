// Blocks that compaction may move: their handles for JavaScript. handles.ts has those inside the memory.
import { LinmemError, ReleasedError } from "../../errors.js";
import type { LiveBlocks } from "../allocator.js";
import type { MemoryBytes } from "../memory-bytes.js";
import { Owned } from "../owned.js";
import { hex } from "../views.js";

/**
 * What handles need of their heap. A handle is told by its number and its generation; methods without that are for
 * those that are live.
 */
export interface MovableStore {
  readonly memory: MemoryBytes;
  readonly live: LiveBlocks;
  /** 0 when it isn't live. */
  addressOf(handle: number, generation: number): number;
  byteLengthOf(handle: number): number;
  /** @throws AllocationError */
  resize(handle: number, byteLength: number): void;
  release(handle: number): void;
  pins(handle: number): number;
  /** Adds 1 or -1 to them. */
  pin(handle: number, by: number): void;
}

/** Ids are generation times this plus number. */
const NUMBERS = 2 ** 32;

export function idOf(handle: number, generation: number): number {
  return generation * NUMBERS + handle;
}

/** Number and generation. */
export function ofId(id: number): [number, number] {
  return [id % NUMBERS, Math.floor(id / NUMBERS)];
}

/**
 * A block that `Heap.compact` may move: `ptr` says where it is now. An address, or a view, is good until the next
 * `compact` or `resize`, and no longer; whoever needs it longer holds a pin.
 */
export class MovableBlock extends Owned {
  /**
   * A whole number below 2^53 by which `Heap.movableBlock` finds the block again, in other realms too. Two million
   * blocks later it may be another's.
   */
  readonly id: number;
  private readonly store: MovableStore;
  private readonly handle: number;
  private readonly generation: number;
  /** As this handle knows it, for `live`: another realm may have resized it. */
  private counted: number;

  /** Use `Heap.movable`. @internal */
  constructor(store: MovableStore, id: number) {
    super();
    this.id = id;
    this.store = store;
    [this.handle, this.generation] = ofId(id);
    this.counted = store.byteLengthOf(this.handle);
    store.live.blocks++;
    store.live.bytes += this.counted;
    this.begin();
  }

  get name(): string {
    const address = this.store.addressOf(this.handle, this.generation);
    return `movable block of ${this.counted} bytes${address === 0 ? "" : ` at ${hex(address)}`}`;
  }

  /**
   * Where it is, now.
   * @throws ReleasedError, also when another realm released it
   */
  get ptr(): number {
    this.use();
    const address = this.store.addressOf(this.handle, this.generation);
    if (address === 0) throw new ReleasedError(this.name, "released by another handle");
    return address;
  }

  /** Its size in bytes. */
  get byteLength(): number {
    this.ptr;
    return this.store.byteLengthOf(this.handle);
  }

  /** The bytes themselves. Valid until the next `compact`, or until the memory grows: don't keep it. */
  view(): Uint8Array {
    return this.store.memory.viewBytes(this.ptr, this.byteLength);
  }

  /** A copy of the bytes. */
  copy(): Uint8Array<ArrayBuffer> {
    return this.store.memory.copyBytes(this.ptr, this.byteLength);
  }

  /**
   * Makes it larger or smaller and returns its address, which may be another. What fits stays.
   * @throws AllocationError: then the block is as it was
   * @throws LinmemError while it is pinned (`ERR_LINMEM_PINNED`)
   */
  resize(byteLength: number): number {
    this.ptr;
    if (this.pins > 0) {
      throw new LinmemError("ERR_LINMEM_PINNED", `${this.name} is pinned, and can't be resized`);
    }
    this.store.resize(this.handle, byteLength);
    this.store.live.bytes += byteLength - this.counted;
    this.counted = byteLength;
    return this.ptr;
  }

  /** How many pins hold it. */
  get pins(): number {
    this.ptr;
    return this.store.pins(this.handle);
  }

  /** Keeps it where it is until the pin is released: `using pin = block.pin()`. Pins are counted, in the memory. */
  pin(): Pin {
    return new Pin(this, this.store, this.handle, this.generation);
  }

  protected free(): void {
    const { store, handle, generation } = this;
    store.live.blocks--;
    store.live.bytes -= this.counted;
    // another handle may have been first
    if (store.addressOf(handle, generation) !== 0) store.release(handle);
  }
}

/** Holds a movable block where it is. */
export class Pin extends Owned {
  private readonly block: MovableBlock;
  private readonly store: MovableStore;
  private readonly handle: number;
  private readonly generation: number;

  /** Use `MovableBlock.pin`. @internal */
  constructor(block: MovableBlock, store: MovableStore, handle: number, generation: number) {
    super();
    block.ptr;
    this.block = block;
    this.store = store;
    this.handle = handle;
    this.generation = generation;
    store.pin(handle, 1);
    this.begin();
  }

  get name(): string {
    return `pin of ${this.block.name}`;
  }

  /**
   * Where the block is and stays.
   * @throws ReleasedError when the pin or its block was released
   */
  get ptr(): number {
    this.use();
    return this.block.ptr;
  }

  /** The bytes. Valid as long as the pin, unless the memory grows. */
  view(): Uint8Array {
    this.use();
    return this.block.view();
  }

  protected free(): void {
    const { store, handle, generation } = this;
    if (store.addressOf(handle, generation) !== 0) store.pin(handle, -1);
  }
}
