/**
 * A heap's debug mode: a layer over its core that puts each block between redzones, fills what nobody wrote, keeps freed
 * blocks back for a while, and remembers where each one was allocated and freed. The idea and the words are those of
 * AddressSanitizer (Serebryany, Bruening, Potapenko and Vyukov, USENIX ATC 2012); without hooks in the code that
 * writes, damage is found when somebody looks: at `free` and `check`, and when a freed block's bytes are to be used again.
 *
 * ```
 *  the core's block                              payload
 *  | fd fd … fd | requested | front | state | fd fd fd fd | cd cd … | fd fd … fd |
 *  |< front - 16 >|< 16 bytes                            >|          |< 16 to 31 >|
 * ```
 *
 * `front` is 32, or the block's alignment when that is more. The three words let another realm open the heap; what they say
 * is not believed where this realm knows better. Stacks are in JavaScript, and known only to the realm that allocated.
 */
import { LinmemError, LinmemRangeError } from "../../errors.js";
import { callers } from "../development.js";
import type { HeapCore } from "../generated/heap-core.js";
import { hex } from "../views.js";
import { blocksOf, type HeapBlock } from "./check.js";
import { ALIGNED, GUARD_FRONT, LARGEST } from "./layout.js";
import type { HeapOperations } from "./operations.js";

/** What `allocate` leaves in a block, `free` in a freed one, and what redzones hold. */
const FRESH = 0xcd;
const FREED = 0xdd;
const ZONE = 0xfd;

const PREFIX = 16;
const LARGEST_FRONT = 65_536;
const BACK = 16;
/** States, as words that no filled memory has. */
const LIVE_STATE = 0x6576_696c;
const FREED_STATE = 0x6565_7266;

/** What is kept back of freed blocks at most: this many bytes, or a quarter of the heap if that is less. */
const QUARANTINE_BYTES = 2 ** 20;

interface Guarded {
  ptr: number;
  byteLength: number;
  front: number;
  /** Undefined of blocks that another realm allocated. */
  allocated: string | undefined;
  freed: string | undefined;
}

interface Damage {
  /** The first and the last byte that isn't what it should be. */
  from: number;
  to: number;
}

/** Does for `Heap` what its core does, guarded. Addresses are those of payloads that the heap's callers see. */
export class GuardedCore implements HeapOperations {
  private readonly core: HeapCore;
  private readonly live = new Map<number, Guarded>();
  private readonly quarantine = new Map<number, Guarded>();
  private held = 0;
  private asked = 0;

  constructor(core: HeapCore) {
    this.core = core;
  }

  /** Takes over the blocks of a heap that another realm made. */
  adopt(): void {
    for (const { address, used, requested, own } of [...blocksOf(this.core)]) {
      if (!used || own === true) continue;
      const found = this.read(address, requested);
      if (found === undefined) {
        throw new LinmemError(
          "ERR_LINMEM_HEAP_DAMAGED",
          `the heap is damaged: the redzone before the block at ${hex(address)} was overwritten`,
        );
      }
      if (found.freed !== undefined) this.core.free(address);
      else this.enter(found);
    }
  }

  /** Used blocks, and bytes that were asked for. */
  get blocks(): number {
    return this.live.size;
  }

  get requested(): number {
    return this.asked;
  }

  allocate(byteLength: number): number {
    return this.allocateAligned(byteLength, ALIGNED);
  }

  /** All are wide, as any of them may become a movable one. */
  allocateWide(byteLength: number, alignment: number): number {
    return this.allocateAligned(byteLength, alignment);
  }

  allocateAligned(byteLength: number, alignment: number): number {
    const front = Math.max(GUARD_FRONT, alignment);
    const whole = front + byteLength + backOf(byteLength);
    if (whole > LARGEST) return 0;
    const take = () => this.core.allocateWide(whole, Math.max(alignment, ALIGNED));
    let inner = take();
    if (inner === 0 && this.quarantine.size > 0) {
      this.release(0);
      inner = take();
    }
    if (inner === 0) return 0;
    const block = { ptr: inner + front, byteLength, front, allocated: callers(), freed: undefined };
    this.core.memory.u8.fill(ZONE, inner, inner + whole);
    this.core.memory.u8.fill(FRESH, block.ptr, block.ptr + byteLength);
    this.write(block, LIVE_STATE);
    this.enter(block);
    return block.ptr;
  }

  isBlock(ptr: number): boolean {
    return this.live.has(ptr);
  }

  requestedOf(ptr: number): number {
    return this.live.get(ptr)!.byteLength;
  }

  /** Always moves, so that whoever keeps the old address is found. 0, and nothing happens, when there is no room. */
  reallocate(ptr: number, byteLength: number, alignment = ALIGNED): number {
    const block = this.live.get(ptr)!;
    this.verify(block);
    const moved = this.allocateAligned(byteLength, alignment);
    if (moved === 0) return 0;
    this.core.memory.u8.copyWithin(moved, ptr, ptr + Math.min(block.byteLength, byteLength));
    this.free(ptr);
    return moved;
  }

  /**
   * False, and nothing happens, when no block begins here.
   * @throws RangeError, and the block stays, when its redzones are not whole
   */
  free(ptr: number): boolean {
    const block = this.live.get(ptr);
    if (block === undefined) return false;
    this.verify(block);
    block.freed = callers();
    this.live.delete(ptr);
    this.asked -= block.byteLength;
    this.core.memory.u8.fill(FREED, ptr, ptr + block.byteLength);
    this.write(block, FREED_STATE);
    this.quarantine.set(ptr, block);
    this.held += sizeOf(block);
    this.release(Math.min(QUARANTINE_BYTES, (this.core.get("end") - this.core.get("first")) / 4));
    return true;
  }

  /** Compaction moved a block. */
  moved(from: number, to: number): void {
    const block = this.live.get(from)!;
    this.live.delete(from);
    block.ptr = to;
    this.live.set(to, block);
  }

  /** Looks at all redzones, and at the bytes of freed blocks. */
  check(): void {
    for (const block of this.live.values()) this.verify(block);
    for (const block of this.quarantine.values()) this.verifyFreed(block);
  }

  /** The core's blocks as those who allocated them see them. */
  *walk(): Generator<HeapBlock> {
    const inside = new Map<number, Guarded>();
    for (const block of this.live.values()) inside.set(block.ptr - block.front, block);
    for (const each of blocksOf(this.core)) {
      const block = inside.get(each.address);
      if (each.own === true) yield each;
      else if (block === undefined) yield { ...each, used: false, requested: 0 };
      else {
        const { ptr, byteLength, allocated } = block;
        yield {
          ...each,
          address: ptr,
          requested: byteLength,
          ...(allocated && { allocatedAt: allocated }),
        };
      }
    }
  }

  /** Why an address is no block. */
  explain(ptr: number): LinmemRangeError | undefined {
    const freed = this.quarantine.get(ptr);
    if (freed !== undefined) {
      return new LinmemRangeError(
        "ERR_LINMEM_DOUBLE_FREE",
        `${hex(ptr)} is free: the ${nameOf(freed)} was freed already${history(freed)}`,
        { address: ptr },
      );
    }
    for (const block of [...this.live.values(), ...this.quarantine.values()]) {
      if (ptr <= block.ptr - block.front || ptr >= block.ptr - block.front + sizeOf(block)) continue;
      const distance = ptr - block.ptr;
      const place =
        distance < 0
          ? `${-distance} bytes before`
          : distance < block.byteLength
            ? `${distance} bytes inside of`
            : `${distance - block.byteLength} bytes behind`;
      return new LinmemRangeError(
        "ERR_LINMEM_FOREIGN_BLOCK",
        `${hex(ptr)} is no block: it lies ${place} the ${nameOf(block)}${history(block)}`,
        { address: ptr },
      );
    }
    return undefined;
  }

  private enter(block: Guarded): void {
    this.live.set(block.ptr, block);
    this.asked += block.byteLength;
  }

  /** Gives the oldest freed blocks to the core until at most so many bytes are kept back. */
  private release(most: number): void {
    for (const [ptr, block] of this.quarantine) {
      if (this.held <= most) return;
      this.quarantine.delete(ptr);
      this.held -= sizeOf(block);
      this.core.free(ptr - block.front);
      this.verifyFreed(block);
    }
  }

  private write({ ptr, byteLength, front }: Guarded, state: number): void {
    const words = this.core.memory.u32;
    const at = (ptr - PREFIX) >>> 2;
    words[at] = byteLength;
    words[at + 1] = front;
    words[at + 2] = state;
  }

  /** What the words before a payload say of a block of the core. */
  private read(inner: number, whole: number): Guarded | undefined {
    const words = this.core.memory.u32;
    for (let front = GUARD_FRONT; front <= LARGEST_FRONT && front + BACK <= whole; front *= 2) {
      const at = (inner + front - PREFIX) >>> 2;
      const [byteLength, written, state] = [words[at]!, words[at + 1], words[at + 2]];
      const block = { ptr: inner + front, byteLength, front, allocated: undefined, freed: undefined };
      if (written !== front || sizeOf(block) !== whole) continue;
      if (state === LIVE_STATE) return block;
      if (state === FREED_STATE) return { ...block, freed: "" };
    }
    return undefined;
  }

  private verify(block: Guarded): void {
    const { ptr, byteLength, front } = block;
    const end = ptr + byteLength;
    const before =
      this.changed(ptr - front, ptr - PREFIX, ZONE) ??
      this.changedWords(block, LIVE_STATE) ??
      this.changed(ptr - 4, ptr, ZONE);
    if (before !== undefined) throw corrupted("UNDERRUN", block, before, `${ptr - before.to} before it`);
    const behind = this.changed(end, end + backOf(byteLength), ZONE);
    if (behind !== undefined)
      throw corrupted("OVERRUN", block, behind, `${behind.from - end} behind its end`);
  }

  private verifyFreed(block: Guarded): void {
    const { ptr, byteLength } = block;
    const damage = this.changed(ptr, ptr + byteLength, FREED);
    if (damage !== undefined) {
      throw corrupted("WRITE_AFTER_FREE", block, damage, `${damage.from - ptr} inside of it`);
    }
  }

  private changed(from: number, to: number, filling: number): Damage | undefined {
    const bytes = this.core.memory.u8;
    let first = from;
    while (first < to && bytes[first] === filling) first++;
    if (first === to) return undefined;
    let last = to - 1;
    while (bytes[last] === filling) last--;
    return { from: first, to: last };
  }

  private changedWords({ ptr, byteLength, front }: Guarded, state: number): Damage | undefined {
    const at = (ptr - PREFIX) >>> 2;
    const words = this.core.memory.u32;
    const whole = [byteLength, front, state].every((word, index) => words[at + index] === word);
    return whole ? undefined : { from: ptr - PREFIX, to: ptr - 5 };
  }
}

function backOf(byteLength: number): number {
  return BACK + (-byteLength & (ALIGNED - 1));
}

function sizeOf({ front, byteLength }: Guarded): number {
  return front + byteLength + backOf(byteLength);
}

function nameOf({ byteLength, ptr }: Guarded): string {
  return `block of ${byteLength.toLocaleString("en")} bytes at ${hex(ptr)}`;
}

function history({ allocated, freed }: Guarded): string {
  const made = allocated === undefined ? "\nallocated by another realm" : `\nallocated here:\n${allocated}`;
  return freed === undefined ? made : `${made}\nfreed here:\n${freed}`;
}

const verbs = {
  UNDERRUN: "was underrun",
  OVERRUN: "was overrun",
  WRITE_AFTER_FREE: "was written to after it was freed",
};

function corrupted(kind: keyof typeof verbs, block: Guarded, { from, to }: Damage, place: string) {
  const codes = {
    UNDERRUN: "ERR_LINMEM_UNDERRUN",
    OVERRUN: "ERR_LINMEM_OVERRUN",
    WRITE_AFTER_FREE: "ERR_LINMEM_WRITE_AFTER_FREE",
  };
  const count = to - from + 1;
  const bytes = count === 1 ? `the byte at ${hex(from)}` : `${count} bytes from ${hex(from)} on`;
  return new LinmemRangeError(
    codes[kind],
    `${nameOf(block)} ${verbs[kind]}: ${bytes}, ${place}, ${count === 1 ? "was" : "were"} overwritten${history(block)}`,
    { address: from, block: block.ptr, byteLength: block.byteLength },
  );
}
