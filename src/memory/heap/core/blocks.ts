/**
 * Blocks with headers. What is freed merges with free neighbours at once; a request takes the smallest free block that
 * fits, or nearly, by a two-level bitmap over segregated lists (TLSF: Masmano, Ripoll, Crespo and Real, ECRTS 2004), and
 * space that was never used where there is none. All in constant time. Compiled twice, see access.ts.
 */

import {
  field,
  freeSize,
  GRANULE,
  HEADER,
  LEAST,
  MOVABLE,
  PREV_FREE,
  smallWord,
  tagOf,
  USED,
  WIDE,
  WIDE_HEADER,
} from "../layout.js";
import { FreeLists } from "./free-lists.js";

/** Flags of a block. */
const FLAGS = 7;

export class Blocks extends FreeLists {
  /** A block of this size from the lists, or 8 bytes more; or 0. Its first word is its size. */
  protected takeFrom(size: number): number {
    const block = this.fit(size);
    if (block !== 0) this.take(block, size);
    return block;
  }

  /** Takes a free block out of its list, and gives back what is more than `size`. */
  protected take(block: number, size: number): void {
    const whole = freeSize(this.load(block, 0));
    this.unlink(block, whole);
    const rest = whole - size;
    if (rest < LEAST) {
      this.store(block, whole, 0);
      const behind = block + whole;
      this.store(behind, (this.load(behind, 0) & ~PREV_FREE) >>> 0, 0);
      return;
    }
    this.store(block, size, 0);
    const behind = block + size;
    this.store(behind, rest, 0);
    this.store(behind + rest - 4, rest, 0);
    this.put(behind, rest);
  }

  /** A block of this size of what was never used, or 0. */
  protected takeFresh(size: number): number {
    const top = this.word(field.top);
    if (!this.reach(top, size)) return 0;
    this.store(top, size, 0);
    this.setWord(field.top, top + size);
    return top;
  }

  /** Whether the heap has so many bytes from `from` on, or now has. */
  protected reach(from: number, byteLength: number): boolean {
    if (byteLength <= this.word(field.end) - from) return true;
    if (byteLength > this.word(field.ceiling) - from || !this.grow(from + byteLength)) return false;
    this.setStack();
    return true;
  }

  /**
   * As `takeFrom`, with what is `header` bytes behind its beginning at a multiple of `alignment`; of what was never used where
   * `fresh` is set. What is left before it becomes a free block. It is wide, so far.
   */
  protected takeAligned(size: number, header: number, alignment: number, fresh: boolean): number {
    // what is left before it may be too small for a block
    let most = size + alignment + GRANULE;
    let block = this.word(field.top);
    if (fresh) {
      most = alignedFrom(block, header, alignment) - block + size;
      block = this.takeFresh(most);
    } else {
      block = this.takeFrom(most);
    }
    if (block === 0) return 0;
    const whole = this.load(block, 0);
    const aligned = alignedFrom(block, header, alignment);
    const before = aligned - block;
    this.store(aligned, (whole - before) | USED | WIDE, 0);
    if (before !== 0) {
      this.store(block, before, 0);
      this.release(block, before);
    }
    this.cut(aligned, size);
    return aligned;
  }

  /** Makes a block a free one, merged with its neighbours. Of its header only flags are looked at. */
  protected release(block: number, size: number): void {
    let start = block;
    let end = block + size;
    if ((this.load(block, 0) & PREV_FREE) !== 0) {
      const before = freeSize(this.load(block - 4, 0));
      start = block - before;
      this.unlink(start, before);
    }
    // whoever frees it again is to be told
    this.store(block, 0, 0);
    if (end === this.word(field.top)) {
      this.setTop(start);
      return;
    }
    let behind = this.load(end, 0);
    if ((behind & USED) === 0) {
      const more = freeSize(behind);
      this.unlink(end, more);
      end += more;
      behind = this.load(end, 0);
    }
    this.store(end, (behind | PREV_FREE) >>> 0, 0);
    this.forget(start, end);
    this.store(start, end - start, 0);
    this.store(end - 4, end - start, 0);
    this.put(start, end - start);
  }

  /** Bytes from `top` on were never used, or are as if. */
  // @inline
  protected setTop(top: number): void {
    this.setWord(field.top, top);
    if (this.word(field.compacting) > top) this.setWord(field.compacting, top);
    if (this.word(field.unpaged) > top) this.setWord(field.unpaged, top);
  }

  /** There is one block from `start` to `end` now. */
  protected forget(start: number, end: number): void {
    const compacting = this.word(field.compacting);
    if (compacting > start && compacting < end) this.setWord(field.compacting, start);
  }

  /** Counts blocks of the heap's own. */
  protected addOwn(bytes: number): void {
    this.setWord(field.own, this.word(field.own) + bytes);
  }

  /** Writes the header of a small block that is used; its first word is its size, perhaps with flags. */
  protected setSmall(block: number, requested: number): void {
    const word = this.load(block, 0);
    const size = this.sizeAt(block);
    this.store(block, (smallWord(block, size, requested) | (word & PREV_FREE) | USED) >>> 0, 0);
  }

  /** The same of a wide one, with what was asked for. */
  protected setWide(block: number, requested: number): void {
    this.store(block, (this.load(block, 0) | USED | WIDE) >>> 0, 0);
    this.store(block, requested, 4);
    this.store(block, tagOf(block + WIDE_HEADER), 8);
  }

  /** The same of one of the heap's own, with its code. */
  protected setOwn(block: number, code: number): void {
    this.setWide(block, code);
    this.store(block, (this.load(block, 0) | MOVABLE) >>> 0, 0);
  }

  /** Changes the size that a used block's header says. What a small one's says of what was asked for is wrong then. */
  protected setSize(block: number, size: number): void {
    const word = this.load(block, 0);
    const kept = word & FLAGS;
    if ((word & WIDE) !== 0) this.store(block, ((word & MOVABLE) | kept | size) >>> 0, 0);
    else this.store(block, (smallWord(block, size, size - HEADER) | kept) >>> 0, 0);
  }

  /** Leaves `size` bytes to a used block, or 8 more, and makes what is behind a free one. */
  protected cut(block: number, size: number): void {
    const rest = this.sizeAt(block) - size;
    if (rest < LEAST) return;
    this.setSize(block, size);
    this.store(block + size, rest, 0);
    this.release(block + size, rest);
  }

  /** Makes a used block larger forwards, to `wanted` bytes: into the space above the top or a free block behind it. */
  protected extend(block: number, size: number, wanted: number): boolean {
    const next = block + size;
    if (next === this.word(field.top)) {
      if (!this.reach(block, wanted)) return false;
      this.setWord(field.top, block + wanted);
      this.forget(block, block + wanted);
      this.setSize(block, wanted);
      return true;
    }
    const behind = this.load(next, 0);
    const more = freeSize(behind);
    if ((behind & USED) !== 0 || size + more < wanted) return false;
    this.absorb(next, more);
    this.forget(block, next + more);
    this.split(block, size + more, wanted);
    return true;
  }

  /**
   * Makes a used block larger backwards, into a free block before it, with its bytes; returns where it is now, or 0.
   * @param header bytes of its header
   */
  protected extendBack(block: number, header: number, size: number, wanted: number, kept: number): number {
    const word = this.load(block, 0);
    if ((word & PREV_FREE) === 0) return 0;
    const free = freeSize(this.load(block - 4, 0));
    if (free + size < wanted) return 0;
    const start = block - free;
    this.absorb(start, free);
    this.forget(start, block + size);
    // whoever uses the old address is to be told
    this.store(block, 0, 0);
    if (header === WIDE_HEADER) this.store(block, 0, 8);
    this.copy(start + header, block + header, kept);
    this.store(start, (word & FLAGS & ~PREV_FREE) >>> 0, 0);
    this.split(start, free + size, wanted);
    if (header === WIDE_HEADER) this.store(start, tagOf(start + WIDE_HEADER), 8);
    return start;
  }

  /** Leaves `wanted` of `whole` bytes to a used block, or 8 more, and makes what is behind a free one. */
  private split(block: number, whole: number, wanted: number): void {
    const rest = whole - wanted;
    if (rest < LEAST) {
      this.setSize(block, whole);
      return;
    }
    this.setSize(block, wanted);
    this.store(block + wanted, rest, 0);
    this.release(block + wanted, rest);
  }

  /** A free block that is going to be part of a used one. */
  private absorb(block: number, size: number): void {
    this.unlink(block, size);
    const behind = block + size;
    this.store(behind, (this.load(behind, 0) & ~PREV_FREE) >>> 0, 0);
  }
}

/** The first place from `block` on for a block with what is `header` bytes behind its beginning at a multiple of `alignment`. */
function alignedFrom(block: number, header: number, alignment: number): number {
  const first = alignedPayload(block + header, alignment) - header;
  return first - block === GRANULE ? first + alignment : first;
}

function alignedPayload(payload: number, alignment: number): number {
  return ((payload + alignment - 1) & ~(alignment - 1)) >>> 0;
}
