/**
 * Blocks with headers. What is freed merges with free neighbours at once; a request takes the smallest free block that
 * fits, or nearly, by a two-level bitmap over segregated lists (TLSF: Masmano, Ripoll, Crespo and Real, ECRTS 2004), and
 * space that was never used where there is none. All in constant time. Compiled twice, see access.ts.
 */

import { BLOCK_HEADER, FLAGS, field, GRANULE, PREV_FREE, USED } from "../layout.js";
import { FreeLists } from "./free-lists.js";

/** The first payload at a multiple of `alignment` that a block from `block` on can have. */
function alignedPayload(block: number, alignment: number): number {
  return ((block + BLOCK_HEADER + alignment - 1) & ~(alignment - 1)) >>> 0;
}

export class Blocks extends FreeLists {
  /** A block of exactly this size from the lists, with a header without flags; or 0. */
  protected takeFrom(size: number): number {
    const block = this.fit(size);
    if (block !== 0) this.take(block, size);
    return block;
  }

  /** Takes a free block out of its list, and gives back what is more than `size`. */
  protected take(block: number, size: number): void {
    const whole = this.sizeAt(block);
    this.unlink(block, whole);
    this.store(block, size, 0);
    const behind = block + size;
    const rest = whole - size;
    if (rest === 0) this.store(behind, (this.load(behind, 0) & ~PREV_FREE) >>> 0, 0);
    else {
      this.store(behind, rest, 0);
      this.store(behind + rest - 4, rest, 0);
      this.put(behind, rest);
    }
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
   * As `takeFrom`, with the payload at a multiple of `alignment`; of what was never used where `fresh` is set. What is
   * left before it becomes a free block.
   */
  protected takeAligned(size: number, alignment: number, fresh: boolean): number {
    let most = size + alignment - GRANULE;
    let block = this.word(field.top);
    if (fresh) {
      most = (alignedPayload(block, alignment) - BLOCK_HEADER - block + size) >>> 0;
      block = this.takeFresh(most);
    } else {
      block = this.takeFrom(most);
    }
    if (block === 0) return 0;
    const aligned = alignedPayload(block, alignment) - BLOCK_HEADER;
    const before = aligned - block;
    this.store(aligned, (most - before) | USED, 0);
    if (before !== 0) {
      this.store(block, before, 0);
      this.release(block, before);
    }
    this.cut(aligned, size);
    return aligned;
  }

  /** Makes a block a free one, whose header says its size; merged with its neighbours. */
  protected release(block: number, size: number): void {
    let start = block;
    let end = block + size;
    if ((this.load(block, 0) & PREV_FREE) !== 0) {
      const before = this.load(block - 4, 0);
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
      const more = (behind & ~FLAGS) >>> 0;
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

  /** Leaves `size` bytes to a used block, and makes what is behind a free one. */
  protected cut(block: number, size: number): void {
    const word = this.load(block, 0);
    const rest = ((word & ~FLAGS) >>> 0) - size;
    if (rest === 0) return;
    this.store(block, word - rest, 0);
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
      this.store(block, this.load(block, 0) + (wanted - size), 0);
      return true;
    }
    const word = this.load(next, 0);
    const behind = (word & ~FLAGS) >>> 0;
    if ((word & USED) !== 0 || size + behind < wanted) return false;
    this.absorb(next, behind);
    this.forget(block, next + behind);
    this.store(block, this.load(block, 0) + behind, 0);
    this.cut(block, wanted);
    return true;
  }

  /** Makes a used block larger backwards, into a free block before it, with its bytes; returns where it is now, or 0. */
  protected extendBack(block: number, size: number, wanted: number, kept: number): number {
    const word = this.load(block, 0);
    if ((word & PREV_FREE) === 0) return 0;
    const free = this.load(block - 4, 0);
    if (free + size < wanted) return 0;
    const start = block - free;
    this.absorb(start, free);
    this.forget(start, block + size);
    this.copy(start + 4, block + 4, kept + 4);
    this.store(start, ((word & FLAGS & ~PREV_FREE) | (free + size)) >>> 0, 0);
    this.cut(start, wanted);
    return start;
  }

  /** A free block that is going to be part of a used one. */
  private absorb(block: number, size: number): void {
    this.unlink(block, size);
    const behind = block + size;
    this.store(behind, (this.load(behind, 0) & ~PREV_FREE) >>> 0, 0);
  }
}
