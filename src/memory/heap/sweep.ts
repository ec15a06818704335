// Merging of free neighbours: a few blocks at a time, from where it stopped last time.
import { FLAGS, FOOTED, field, MOVABLE, PREV_FREE, record, USED } from "./layout.js";
import { isPage, Pages, recordAt, slotsOf } from "./pages.js";

/** Footed blocks that are given back at once when the last block is freed. */
const LOWER_STEP = 64;
/** Making blocks of a page counts as much as looking at so many. */
const DISSOLVE_COST = 16;

export abstract class Sweeper extends Pages {
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

  /** Whether a block is a page that is rather to be many blocks: half of it is free, or some if there is no other memory. */
  private isSparse(words: Uint32Array, block: number, any: boolean): boolean {
    if (!isPage(words[(block >>> 2) + 1]!)) return false;
    const rec = recordAt(words, block) >>> 2;
    const used = words[rec + record.used]!;
    const slots = slotsOf(words[rec + record.granules]!);
    return any ? used < slots : used * 2 <= slots;
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
        if (word & MOVABLE && this.isSparse(words, block, most === 0x7fff_ffff)) {
          this.dissolve(words, block);
          // that was work, but its blocks are still to be looked at
          left = Math.max(left - DISSOLVE_COST, 1);
          continue;
        }
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
