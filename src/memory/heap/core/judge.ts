/**
 * Tells blocks from what is none, and takes them back. A header of 16 bits alone is too much like other words: so what lies before and
 * behind a small block has to look as if it were one. Of a wide one its size has to be that for what was asked for. Compiled twice, see access.ts.
 */
import {
  askedOf,
  field,
  isPair,
  isSmall,
  isWide,
  MOVABLE,
  PREV_FREE,
  smallMismatch,
  smallSizeOf,
  USED,
  wideSize,
  wideSizeOf,
} from "../layout.js";
import { Pairs } from "./pairs.js";

export class Judge extends Pairs {
  /** Whether there is a small block that is used. */
  protected isSmallAt(block: number): boolean {
    const header = this.headerAt(block);
    const size = smallSizeOf(header);
    return isSmall(block, header) && this.isBetween(block, size, header);
  }

  /** Its header says much that has to agree. */
  protected isWideAt(block: number): boolean {
    if (block < this.word(field.first)) return false;
    const header = this.headerAt(block);
    const size = wideSizeOf(this.load(block, 8));
    return (
      isWide(block, header) &&
      (header & MOVABLE) === 0 &&
      size === wideSize(this.load(block, 4)) &&
      size <= this.word(field.top) - block
    );
  }

  /**
   * Whether what lies before and behind a small block, if it is one, looks as it has to: a header of 16 bits alone would be too
   * much like other words.
   */
  private isBetween(block: number, size: number, header: number): boolean {
    const rest = this.word(field.top) - block - size;
    if (size > this.word(field.top) - block) return false;
    const behind = block + size;
    if ((header & PREV_FREE) !== 0) {
      const before = this.freeSizeBefore(block);
      if (!this.isFreeBefore(block, before)) return false;
    }
    const next = this.headerAt(behind);
    if (smallMismatch(behind, next) === 0 || rest === 0) return true;
    if ((next & USED) !== 0) return this.isLarger(behind, next);
    const free = this.freeSizeAt(behind);
    return this.isFree(behind, free, next, rest);
  }

  /** Whether a block that says it is free, and how large, looks as if it were. `rest` is from there to the top. */
  // @inline
  private isFree(block: number, size: number, header: number, rest: number): boolean {
    // neither 0 nor too large
    if (size - 1 >= rest - 1 || this.freeSizeBefore(block + size) !== size) return false;
    return ((header | ~this.headerAt(block + size)) & PREV_FREE) === 0;
  }

  /** Whether there is a free block of this size before a block. */
  // @inline
  private isFreeBefore(block: number, size: number): boolean {
    if (size > block - this.word(field.first) || this.freeSizeAt(block - size) !== size) return false;
    return (this.headerAt(block - size) & USED) === 0;
  }

  /** Whether a header is one of a used block that is not small, behind one that is used, too. */
  private isLarger(block: number, header: number): boolean {
    return (header & PREV_FREE) === 0 && (isWide(block, header) || isPair(block, header));
  }

  /**
   * Takes back a small block, if what lies before and behind it looks as it has to, as `isBetween` says; false, and nothing happens, when it doesn't.
   * One look at each, as nobody can predict what it finds.
   */
  protected releaseSmall(block: number, size: number, header: number): boolean {
    const rest = this.word(field.top) - block - size;
    if (size > this.word(field.top) - block) return false;
    let end = block + size;
    if (rest === 0) {
      if (!this.isBetween(block, size, header)) return false;
      this.subtract(field.requested, askedOf(header), 1);
      this.release(block, size);
      return true;
    }
    const next = this.headerAt(end);
    let more: number = 0;
    if ((next & USED) === 0) {
      more = this.freeSizeAt(end);
      if (!this.isFree(end, more, next, rest)) return false;
      this.unlink(end, more);
    } else if (smallMismatch(end, next) !== 0 && !this.isLarger(end, next)) return false;
    let start = block;
    if ((header & PREV_FREE) !== 0) {
      const before = this.freeSizeBefore(block);
      start -= before;
      if (!this.isFreeBefore(block, before)) {
        if (more !== 0) this.put(end, more);
        return false;
      }
      this.unlink(start, before);
    }
    this.subtract(field.requested, askedOf(header), 1);
    end += more;
    this.merge(block, start, end);
    return true;
  }
}
