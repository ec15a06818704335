/**
 * Blocks with headers. What is freed merges with free neighbours at once; a request takes the smallest free block that
 * fits, or nearly, by a two-level bitmap over segregated lists (TLSF: Masmano, Ripoll, Crespo and Real, ECRTS 2004), and
 * space that was never used where there is none. All in constant time. Compiled twice, see access.ts.
 */

import {
  field,
  GRANULE,
  MOVABLE,
  PREV_FREE,
  SMALL,
  sizeWord,
  smallHeader,
  smallSizeOf,
  USED,
  WIDE,
  wideHeader,
  wideSizeOf,
} from "../layout.js";
import { FreeLists } from "./free-lists.js";

export class Blocks extends FreeLists {
  /** Size of a used block. */
  protected sizeAt(block: number): number {
    const header = this.headerAt(block);
    return (header & SMALL) !== 0 ? smallSizeOf(header) : wideSizeOf(this.load(block, 8));
  }

  /** A block of this size from the lists, or 0. Its header has no flags. */
  protected takeFrom(size: number): number {
    const block = this.fit(size);
    if (block !== 0) this.take(block, size);
    return block;
  }

  /** Takes a free block out of its list, and gives back what is more than `size`. */
  protected take(block: number, size: number): void {
    const whole = this.freeSizeAt(block);
    this.unlink(block, whole);
    this.writeHeader(block, 0);
    const rest = whole - size;
    if (rest === 0) this.clearFlag(block + whole);
    else this.put(block + size, rest);
  }

  /** A block of this size of what was never used, or 0. Its header has no flags. */
  protected takeFresh(size: number): number {
    const top = this.word(field.top);
    if (!this.reach(top, size)) return 0;
    this.writeHeader(top, 0);
    this.setWord(field.top, top + size);
    return top;
  }

  /** Whether the heap has so many bytes from `from` on, or now has. It ends 4 bytes behind a block at least, as one needs. */
  protected reach(from: number, byteLength: number): boolean {
    if (byteLength <= this.word(field.end) - from) return true;
    if (byteLength > this.word(field.ceiling) - from || !this.grow(from + byteLength)) return false;
    this.setStack();
    return true;
  }

  /**
   * As `takeFrom`, with what is `header` bytes behind its beginning at a multiple of `alignment`; of what was never used where
   * `fresh` is set. What is left before and behind it becomes free blocks, so its header may have a flag.
   */
  protected takeAligned(size: number, header: number, alignment: number, fresh: boolean): number {
    let most = size + alignment - GRANULE;
    let block = this.word(field.top);
    if (fresh) {
      most = alignedFrom(block, header, alignment) - block + size;
      block = this.takeFresh(most);
    } else {
      block = this.takeFrom(most);
    }
    if (block === 0) return 0;
    const aligned = alignedFrom(block, header, alignment);
    // used, so far as others look
    this.writeHeader(aligned, WIDE);
    const before = aligned - block;
    if (before !== 0) {
      this.writeHeader(block, 0);
      this.release(block, before);
    }
    this.giveRest(aligned + size, most - before - size);
    return aligned;
  }

  /** Makes a free block of what lies behind a used one; nothing if that is nothing. */
  private giveRest(rest: number, size: number): void {
    if (size === 0) return;
    this.writeHeader(rest, 0);
    this.release(rest, size);
  }

  /** Makes a block a free one, merged with its neighbours. Of its header only `PREV_FREE` is looked at. */
  protected release(block: number, size: number): void {
    let start = block;
    let end = block + size;
    if ((this.headerAt(block) & PREV_FREE) !== 0) {
      const before = this.freeSizeBefore(block);
      start = block - before;
      this.unlink(start, before);
    }
    if (end === this.word(field.top)) {
      this.writeHeader(block, 0);
      this.setTop(start);
      return;
    }
    if ((this.headerAt(end) & USED) === 0) {
      const more = this.freeSizeAt(end);
      this.unlink(end, more);
      end += more;
    }
    this.merge(block, start, end);
  }

  /** Makes one free block of a block and its free neighbours, which are in no list any more. */
  // @inline
  protected merge(block: number, start: number, end: number): void {
    // whoever frees it again is to be told
    this.writeHeader(block, 0);
    this.writeHeader(end, (this.headerAt(end) | PREV_FREE) >>> 0);
    this.forget(start, end);
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

  private clearFlag(block: number): void {
    this.writeHeader(block, (this.headerAt(block) & ~PREV_FREE) >>> 0);
  }

  private flagOf(block: number): number {
    return (this.headerAt(block) & PREV_FREE) >>> 0;
  }

  /** Writes the header of a small block that is used; that has `PREV_FREE` already, if it should. */
  protected setSmall(block: number, requested: number): void {
    this.writeHeader(block, (smallHeader(block, requested) | this.flagOf(block)) >>> 0);
  }

  /** The same of a wide one, with what was asked for. */
  protected setWide(block: number, size: number, requested: number): void {
    this.writeHeader(block, (wideHeader(block) | this.flagOf(block)) >>> 0);
    this.store(block, requested, 4);
    this.store(block, sizeWord(size), 8);
  }

  /** The same of one of the heap's own, with its code. */
  protected setOwn(block: number, size: number, code: number): void {
    this.setWide(block, size, code);
    this.writeHeader(block, (this.headerAt(block) | MOVABLE) >>> 0);
  }

  /** Changes the size that a used block's header says. What a small one's says of what was asked for is wrong then. */
  private setSize(block: number, size: number): void {
    if ((this.headerAt(block) & SMALL) !== 0) this.setSmall(block, size - GRANULE);
    else this.store(block, sizeWord(size), 8);
  }

  /** Leaves `wanted` of `whole` bytes to a used block, and makes what is behind a free one. */
  protected cut(block: number, whole: number, wanted: number): void {
    this.setSize(block, wanted);
    this.giveRest(block + wanted, whole - wanted);
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
    if ((this.headerAt(next) & USED) !== 0) return false;
    const more = this.freeSizeAt(next);
    if (size + more < wanted) return false;
    this.absorb(next, more);
    this.forget(block, next + more);
    this.cut(block, size + more, wanted);
    return true;
  }

  /**
   * Makes a used block larger backwards, into a free block before it, with its bytes; returns where it is now, or 0.
   * @param before bytes of what precedes its payload
   */
  protected extendBack(block: number, before: number, size: number, wanted: number, kept: number): number {
    const header = this.headerAt(block);
    if ((header & PREV_FREE) === 0) return 0;
    const free = this.freeSizeBefore(block);
    if (free + size < wanted) return 0;
    const start = block - free;
    this.absorb(start, free);
    this.forget(start, block + size);
    // whoever uses the old address is to be told
    this.writeHeader(block, 0);
    this.copy(start + before, block + before, kept);
    this.writeHeader(start, (header & SMALL) !== 0 ? SMALL : wideHeader(start));
    this.cut(start, free + size, wanted);
    return start;
  }

  /** A free block that is going to be part of a used one. */
  private absorb(block: number, size: number): void {
    this.unlink(block, size);
    this.clearFlag(block + size);
  }
}

/** The first place from `block` on for a block with what is `header` bytes behind its beginning at a multiple of `alignment`. */
function alignedFrom(block: number, header: number, alignment: number): number {
  return (((block + header + alignment - 1) & ~(alignment - 1)) >>> 0) - header;
}
