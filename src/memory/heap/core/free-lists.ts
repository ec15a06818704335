// The lists of a heap's free blocks, one for each bin. Compiled twice, see access.ts.

import { choose, highestBit, lowestBit } from "../bits.js";
import {
  binOf,
  EXACT_BYTES,
  field,
  HALF,
  TINY,
  tinyHeader,
  tinyNext,
  tinyNextOf,
  tinyPreviousOf,
  tinyRest,
} from "../layout.js";
import { Access } from "./access.js";

/** So many of a bin with several sizes are looked at before a larger bin is. */
const FIT_TRIES = 4;

export class FreeLists extends Access {
  // @inline
  protected headerAt(block: number): number {
    return this.loadHalf(block, HALF);
  }

  // @inline
  protected writeHeader(block: number, header: number): void {
    this.storeHalf(block, header, HALF);
  }

  /** Size of a free block. */
  // @inline
  protected freeSizeAt(block: number): number {
    return choose((this.load(block, 4) & 1) !== 0, TINY, this.load(block, 12));
  }

  /** Size of the free block that ends where a block begins. */
  // @inline
  protected freeSizeBefore(block: number): number {
    const word = this.load(block - 4, 0);
    return choose((word & 1) !== 0, TINY, word);
  }

  /** Head of the first bin from `bin` on that isn't empty, or 0. */
  protected headFrom(bin: number): number {
    const summary = this.word(field.summary);
    if (summary === 0) return 0;
    let index = bin >>> 5;
    let bits = (this.wordAt(field.bitmap, index) & (0xffff_ffff << (bin & 31))) >>> 0;
    if (bits === 0) {
      // bit 31 of the summary is not used, so shifting by 32 does not come up
      const above = (summary & (0xffff_fffe << index)) >>> 0;
      if (above === 0) return 0;
      index = lowestBit(above);
      bits = this.wordAt(field.bitmap, index);
    }
    return this.wordAt(field.heads, (index << 5) + lowestBit(bits));
  }

  /** A free block of at least this size, which is in its list; or 0. The smallest there is, if nearly. */
  protected fit(size: number): number {
    if (size < EXACT_BYTES) return this.headFrom(size >>> 3);
    const bin = binOf(size);
    let block = this.wordAt(field.heads, bin);
    for (let tries: number = FIT_TRIES; block !== 0 && tries > 0; tries--) {
      if (this.load(block, 12) >= size) return block;
      block = this.load(block, 4);
    }
    return this.headFrom(bin + 1);
  }

  /**
   * Makes a free block, at the head of its list. Whether there is a neighbour in it nobody can predict, and a wrong guess takes the
   * processor longer than all the rest: so here and in `unlink` everything is written, and what no neighbour is there for goes nowhere.
   */
  protected put(block: number, size: number): void {
    const bin = binOf(size);
    const next = this.wordAt(field.heads, bin);
    if (size === TINY) {
      this.setTinyLinks(block, next, 0);
      if (next !== 0) this.setTinyPrevious(next, block);
    } else {
      this.writeHeader(block, 0);
      this.store(block, next, 4);
      this.store(block, 0, 8);
      this.store(block, size, 12);
      this.store(block + size - 4, size, 0);
      this.store(choose(next !== 0, next, this.nowhere()), block, 8);
    }
    this.setWordAt(field.heads, bin, block);
    this.setWord(field.free, this.word(field.free) + size);
    const index = bin >>> 5;
    this.setWordAt(field.bitmap, index, (this.wordAt(field.bitmap, index) | (1 << (bin & 31))) >>> 0);
    this.setWord(field.summary, (this.word(field.summary) | (1 << index)) >>> 0);
    this.setWord(field.stack, 0);
  }

  protected unlink(block: number, size: number): void {
    const bin = binOf(size);
    let next = this.load(block, 4);
    let previous = this.load(block, 8);
    if (size === TINY) {
      next = tinyNextOf(next);
      previous = tinyPreviousOf(this.headerAt(block), this.loadHalf(block, 8));
      if (next !== 0) this.setTinyPrevious(next, previous);
      if (previous !== 0) this.store(previous, tinyNext(next), 4);
      else this.setWordAt(field.heads, bin, next);
    } else {
      this.store(choose(next !== 0, next, this.nowhere()), previous, 8);
      this.store(choose(previous !== 0, previous, this.headOf(bin) - 4), next, 4);
    }
    const alone = (next | previous) === 0;
    this.setWord(field.free, this.word(field.free) - size);
    const index = bin >>> 5;
    const emptied = choose(alone, 1, 0) << (bin & 31);
    const bits = (this.wordAt(field.bitmap, index) & ~emptied) >>> 0;
    this.setWordAt(field.bitmap, index, bits);
    if (bits !== 0) return;
    this.setWord(field.summary, (this.word(field.summary) & ~(1 << index)) >>> 0);
    this.setStack();
  }

  private setTinyLinks(block: number, next: number, previous: number): void {
    this.store(block, tinyNext(next), 4);
    this.setTinyPrevious(block, previous);
  }

  private setTinyPrevious(block: number, previous: number): void {
    this.writeHeader(block, tinyHeader(previous));
    this.storeHalf(block, tinyRest(previous), 8);
  }

  /** Where links would be whose second one is the word `nowhere`. */
  // @inline
  private nowhere(): number {
    return this.word(field.start) + 4 * field.nowhere - 8;
  }

  /** Address of the head of a bin. */
  private headOf(bin: number): number {
    return this.word(field.start) + ((field.heads + bin) << 2);
  }

  /** Finds out where the stack ends, as the bounds or the lists have changed. */
  protected setStack(): void {
    const end = this.word(field.end);
    const most = this.word(field.first) + this.word(field.pagesFrom);
    const none = this.word(field.summary) !== 0 || this.word(field.compacting) !== 0;
    this.setWord(field.stack, none ? 0 : end < most ? end : most);
  }

  /** Size of a block of the highest bin that isn't empty, or 0. */
  largestFree(): number {
    this.begin();
    const summary = this.word(field.summary);
    if (summary === 0) return 0;
    const word = highestBit(summary);
    const bin = (word << 5) + highestBit(this.wordAt(field.bitmap, word));
    return this.freeSizeAt(this.wordAt(field.heads, bin));
  }
}
