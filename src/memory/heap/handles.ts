/**
 * The handles of movable blocks: a table inside the heap's memory, so that another realm finds them again. layout.ts has
 * the picture.
 *
 * An entry never moves within its chunk, but a chunk may: whoever looks one up asks the header where it is. A block becomes
 * movable by `bind` and ordinary again by `unbind`; in between, no other operation of the core takes it for a block.
 */
import type { HeapCore } from "../generated/heap-core.js";
import {
  CHUNK,
  CHUNK_BITS,
  CHUNK_BYTES,
  DIRECTORY,
  ENTRY_BYTES,
  entry,
  field,
  GRANULE,
  HALF,
  MOST_HANDLES,
  MOVABLE,
  WIDE_HEADER,
} from "./layout.js";

/** Generations are part of ids, which are whole numbers below 2^53. */
const GENERATIONS = 2 ** 21;
/** Chunks that the first directory has room for. */
const FIRST_ROOM = 16;

const IN_CHUNK = (1 << CHUNK_BITS) - 1;
const ENTRY_WORDS = ENTRY_BYTES / 4;

/** Index of the first word of a handle's entry. The handle must be below the header's count. */
export function entryOf(words: Uint32Array, header: number, handle: number): number {
  const directory = words[header + field.directory]! >>> 2;
  const chunk = words[directory + (handle >>> CHUNK_BITS)]! >>> 2;
  return chunk + (handle & IN_CHUNK) * ENTRY_WORDS;
}

export class HandleTable {
  private readonly core: HeapCore;

  constructor(core: HeapCore) {
    this.core = core;
  }

  /** A handle that nobody has, or -1 when there is no memory for one. It has to be bound, or given back. */
  take(): number {
    const { core } = this;
    const { header } = core;
    const free = core.get("freeHandle");
    if (free !== 0) {
      const words = core.memory.u32;
      const at = entryOf(words, header, free - 1);
      words[header + field.freeHandle] = words[at + entry.requested]!;
      return free - 1;
    }
    const handle = core.get("handles");
    if ((handle & IN_CHUNK) === 0 && !this.addChunk(handle >>> CHUNK_BITS)) return -1;
    core.set("handles", handle + 1);
    return handle;
  }

  /** Takes back a handle that is not bound. */
  give(handle: number): void {
    const { core } = this;
    const words = core.memory.u32;
    const at = entryOf(words, core.header, handle);
    words[at + entry.address] = 0;
    words[at + entry.requested] = core.get("freeHandle");
    words[at + entry.pins] = 0;
    core.set("freeHandle", handle + 1);
    // nobody has one: the table begins anew
    if (core.get("movable") === 0) this.clear();
  }

  /** Begins a life of a handle; returns its generation. */
  enter(handle: number): number {
    const { core } = this;
    const words = core.memory.u32;
    const generation = (core.get("generation") % (GENERATIONS - 1)) + 1;
    core.set("generation", generation);
    core.set("movable", core.get("movable") + 1);
    const at = entryOf(words, core.header, handle);
    words[at + entry.pins] = 0;
    words[at + entry.generation] = generation;
    return generation;
  }

  /** Ends it. */
  leave(handle: number): void {
    this.core.set("movable", this.core.get("movable") - 1);
    this.give(handle);
  }

  /**
   * Makes a block movable.
   * @param payload the core's
   * @param address what the handle's entry is to say
   */
  bind(handle: number, payload: number, address: number): void {
    const { core } = this;
    const words = core.memory.u32;
    const at = entryOf(words, core.header, handle);
    words[at + entry.address] = address;
    words[at + entry.requested] = words[(payload - WIDE_HEADER + 4) >>> 2]!;
    this.mark(payload, true, handle);
  }

  /** Makes it an ordinary one again. */
  unbind(handle: number, payload: number): void {
    this.mark(payload, false, this.requestedOf(handle));
  }

  /** What a wide block says: whether it has a handle, and that or what was asked for. */
  private mark(payload: number, movable: boolean, second: number): void {
    const { u16: halves, u32: words } = this.core.memory;
    const block = payload - WIDE_HEADER;
    const at = (block + HALF) >>> 1;
    if (movable) halves[at]! |= MOVABLE;
    else halves[at]! &= ~MOVABLE;
    words[(block + 4) >>> 2] = second;
  }

  /** What a handle's entry says of its block's address; 0 when the handle is not one of this generation. */
  addressOf(handle: number, generation: number): number {
    const words = this.core.memory.u32;
    const { header } = this.core;
    if (handle >= words[header + field.handles]!) return 0;
    const at = entryOf(words, header, handle);
    return words[at + entry.generation] === generation ? words[at + entry.address]! : 0;
  }

  /** The same of a handle that is known to be live. */
  liveAddressOf(handle: number): number {
    return this.read(handle, entry.address);
  }

  /** What was asked of the core for it. */
  requestedOf(handle: number): number {
    return this.read(handle, entry.requested);
  }

  pins(handle: number): number {
    return this.read(handle, entry.pins);
  }

  /** Adds 1 or -1. */
  pin(handle: number, by: number): void {
    const words = this.core.memory.u32;
    words[entryOf(words, this.core.header, handle) + entry.pins]! += by;
  }

  /** Forgets all pins: those who held them are gone. */
  unpinAll(): void {
    for (let handle = this.core.get("handles"); handle-- > 0; ) {
      const words = this.core.memory.u32;
      words[entryOf(words, this.core.header, handle) + entry.pins] = 0;
    }
  }

  private read(handle: number, word: number): number {
    const words = this.core.memory.u32;
    return words[entryOf(words, this.core.header, handle) + word]!;
  }

  private addChunk(chunk: number): boolean {
    const { core } = this;
    if (chunk >= MOST_HANDLES >>> CHUNK_BITS) return false;
    if (chunk === core.get("room") && !this.enlarge(chunk * 2 || FIRST_ROOM)) return false;
    const payload = this.allocate(CHUNK_BYTES, CHUNK + chunk);
    if (payload === 0) return false;
    core.memory.u32[(core.get("directory") >>> 2) + chunk] = payload;
    core.set("chunks", chunk + 1);
    return true;
  }

  private enlarge(room: number): boolean {
    const { core } = this;
    const payload = this.allocate(room * 4, DIRECTORY);
    if (payload === 0) return false;
    const old = core.get("directory");
    core.memory.u8.copyWithin(payload, old, old + core.get("chunks") * 4);
    if (old !== 0) this.free(old, core.get("room") * 4);
    core.set("directory", payload);
    core.set("room", room);
    return true;
  }

  private clear(): void {
    const { core } = this;
    const directory = core.get("directory");
    if (directory === 0) return;
    for (let chunk = core.get("chunks"); chunk-- > 0; )
      this.free(core.memory.u32[(directory >>> 2) + chunk]!, CHUNK_BYTES);
    this.free(directory, core.get("room") * 4);
    for (const name of ["directory", "room", "chunks", "handles", "freeHandle"] as const) core.set(name, 0);
  }

  /** A movable block of the table's own: it is used, but nobody asked for it. */
  private allocate(byteLength: number, handle: number): number {
    const { core } = this;
    const payload = core.allocateWide(byteLength, GRANULE);
    if (payload === 0) return 0;
    this.mark(payload, true, handle);
    core.set("blocks", core.get("blocks") - 1);
    core.set("requested", core.get("requested") - byteLength);
    return payload;
  }

  private free(payload: number, byteLength: number): void {
    const { core } = this;
    this.mark(payload, false, byteLength);
    core.set("blocks", core.get("blocks") + 1);
    core.set("requested", core.get("requested") + byteLength);
    core.free(payload);
  }
}
