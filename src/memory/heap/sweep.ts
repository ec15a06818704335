// Merging of free neighbours: a few blocks at a time, from where it stopped last time.
import { FreeLists } from "./free-lists.js";
import { FLAGS, FOOTED, field, PREV_FREE, USED } from "./layout.js";

/** Footed blocks that are given back at once when the last block is freed. */
const LOWER_STEP = 64;

export abstract class Sweeper extends FreeLists {
  /**
   * The last block, at `block`, is free: it goes back to what was never used, with the footed ones before it. Each
   * of those was made by a sweep; what is left after a number of them is found by the next one.
   */
  lowerTop(words: Uint32Array, block: number): void {
    let top = block;
    let left = LOWER_STEP;
    while (words[top >>> 2]! & PREV_FREE) {
      const free = words[(top >>> 2) - 1]!;
      if (left-- === 0) {
        // it stays, and what comes behind it shall not have to know
        words[(top - free) >>> 2]! &= ~FOOTED;
        break;
      }
      top -= free;
      this.unlink(words, top, free);
    }
    this.setTop(words, top);
  }

  /** Bytes from `top` on were never used, or are as if. */
  protected setTop(words: Uint32Array, top: number): void {
    const { header } = this;
    words[header + field.top] = top;
    if (words[header + field.cursor]! > top) words[header + field.cursor] = words[header + field.first]!;
    if (words[header + field.compacting]! > top) words[header + field.compacting] = top;
  }

  /** No block begins at `block` any more: it is part of the one at `by`. */
  protected merged(words: Uint32Array, block: number, by: number): void {
    const { header } = this;
    if (words[header + field.cursor] === block) words[header + field.cursor] = by;
    if (words[header + field.compacting] === block) words[header + field.compacting] = by;
  }

  /**
   * Merges free neighbours, from where it stopped last time on.
   * @param most blocks to look at
   * @param enough stops when a block of this size has come together
   * @returns whether one has
   */
  protected sweep(most: number, enough: number): boolean {
    const words = this.memory.u32;
    const { header } = this;
    const first = words[header + field.first]!;
    let left = Math.min(most, words[header + field.credit]!);
    const budget = left;
    let block = words[header + field.cursor]!;
    let found = false;
    while (left > 0 && !found) {
      let top = words[header + field.top]!;
      if (block >= top) {
        // a whole round has been made, or the heap is empty
        if (block === first || most === 0x7fff_ffff) break;
        block = first;
        top = words[header + field.top]!;
        if (block >= top) break;
      }
      left--;
      const word = words[block >>> 2]!;
      let size = (word & ~FLAGS) >>> 0;
      if (word & USED) {
        block += size;
        continue;
      }
      const own = size;
      let next = block + size;
      let foot = word & FOOTED;
      while (next < top && left > 0) {
        const behind = words[next >>> 2]!;
        if (behind & USED) break;
        const bytes = (behind & ~FLAGS) >>> 0;
        this.unlink(words, next, bytes);
        if (words[header + field.compacting] === next) words[header + field.compacting] = block;
        foot = behind & FOOTED;
        size += bytes;
        next += bytes;
        left--;
      }
      if (next === top) {
        this.unlink(words, block, own);
        this.setTop(words, block);
        if (word & PREV_FREE) this.lowerTop(words, block);
        block = first;
        continue;
      }
      if (size !== own) {
        this.unlink(words, block, own);
        words[block >>> 2] = size | FOOTED | (word & PREV_FREE);
        this.put(words, block, size);
      } else if (!foot) {
        words[block >>> 2] = word | FOOTED;
      }
      words[(next >>> 2) - 1] = size;
      words[next >>> 2]! |= PREV_FREE;
      if (size >= enough) found = true;
      block = next;
    }
    words[header + field.cursor] = block < words[header + field.top]! ? block : first;
    words[header + field.credit]! -= Math.min(budget - left, words[header + field.credit]!);
    return found;
  }
}
