/**
 * The allocator of a `Heap`: small blocks in pages (slots.ts, pages.ts) over blocks with headers (blocks.ts), all within the
 * memory as layout.ts draws it. Each operation is bounded, but for the last resort before a request fails: that lends all
 * pages with room, as it would otherwise refuse memory that there is.
 *
 * Addresses are bytes in the memory. No checks of arguments here. Compiled twice, see access.ts.
 */
import {
  BLOCK_HEADER,
  blockSize,
  FLAGS,
  field,
  GRANULE,
  HEADER_BYTES,
  LARGEST,
  LARGEST_SLOT,
  MAGIC,
  MOVABLE,
  pageBytes,
  record,
  SMALL_SHARE,
  SMALL_SLOT,
  slotSize,
  USED,
  VERSION,
} from "../layout.js";
import { Pages } from "./pages.js";

/** Bytes in use from which on there are pages of any size: below, all of a heap is in the caches anyway, and half-empty pages count. */
const PAGES_FROM = 0x20_0000;

export class HeapCore extends Pages {
  /** Lays out an empty heap. `start` and `end` are multiples of 16. */
  format(start: number, end: number, ceiling: number): void {
    this.begin();
    this.clear(start, HEADER_BYTES);
    const first = (((start + HEADER_BYTES + BLOCK_HEADER + FLAGS) & ~FLAGS) >>> 0) - BLOCK_HEADER;
    this.setWord(field.version, VERSION);
    this.setWord(field.start, start);
    this.setWord(field.first, first);
    this.setWord(field.top, first);
    this.setWord(field.end, end);
    this.setWord(field.ceiling, ceiling);
    this.setWord(field.pagesFrom, PAGES_FROM);
    this.setStack();
    // last: what is only half written is no heap
    this.setWord(field.magic, MAGIC);
  }

  /** Address of a payload, or 0: too large requests are refused here. */
  // @inline
  allocate(requested: number): number {
    this.begin();
    if (requested <= LARGEST_SLOT) {
      const block = this.word(field.top);
      const bytes = blockSize(requested);
      if (block + bytes <= this.word(field.stack)) {
        this.setWord(field.top, block + bytes);
        return this.use(block, bytes | USED, requested);
      }
      const size = slotSize(requested);
      const rec = this.wordAt(field.partial, size >>> 4);
      if (rec !== 0) return this.takeSlot(rec, size, requested);
      return this.allocateSmall(size, requested);
    }
    return this.allocateBlock(requested);
  }

  /**
   * Where no page of a size has room. A page for larger slots comes before what was never used, but after free blocks too
   * small for a page: a page needs much in one piece, and what is in pieces would stay so.
   */
  private allocateSmall(size: number, requested: number): number {
    const bytes = blockSize(requested);
    const paged = size !== 0 && this.hasPages(size);
    let block = this.fit(bytes);
    if (block !== 0) {
      // a piece that could be a page is to be one
      const whole = paged && this.sizeAt(block) >= pageBytes(size);
      if (whole && this.addUsedPage(size)) return this.takeNew(size, requested);
      // that may have changed the lists
      if (whole) block = this.takeFrom(bytes);
      else this.take(block, bytes);
    } else if (this.lendSome(bytes)) {
      block = this.takeFrom(bytes);
    }
    if (block === 0 && paged && this.addFreshPage(size)) return this.takeNew(size, requested);
    if (block === 0) block = this.find(bytes);
    return this.useFound(block, requested);
  }

  /** Whether there is enough in use for pages of such slots. */
  private hasPages(size: number): boolean {
    const blocks =
      this.word(field.top) - this.word(field.first) - this.word(field.free) - this.word(field.own);
    const from = this.word(field.pagesFrom);
    return blocks + this.word(field.slotsUsed) >= (size <= SMALL_SLOT ? from >>> SMALL_SHARE : from);
  }

  private takeNew(size: number, requested: number): number {
    return this.takeSlot(this.wordAt(field.partial, size >>> 4), size, requested);
  }

  /** The same for a block with a header of its own. */
  private allocateBlock(requested: number): number {
    if (requested > LARGEST) return 0;
    const size = blockSize(requested);
    return this.useFound(this.find(size), requested);
  }

  /** Address of a payload at a multiple of `alignment`, a power of two from 16 on; or 0. The block has a header of its own. */
  allocateAligned(requested: number, alignment: number): number {
    this.begin();
    if (alignment <= GRANULE) return this.allocateBlock(requested);
    const size = blockSize(requested);
    let block = this.takeAligned(size, alignment, false);
    if (block === 0 && this.lendSome(size + alignment)) block = this.takeAligned(size, alignment, false);
    if (block === 0) block = this.takeAligned(size, alignment, true);
    if (block === 0) {
      this.lendAll();
      block = this.takeAligned(size, alignment, false);
      if (block === 0) block = this.takeAligned(size, alignment, true);
    }
    return this.useFound(block, requested);
  }

  /** A block of this size, not marked as used; or 0. */
  private find(size: number): number {
    let block = this.takeFrom(size);
    if (block === 0 && this.lendSome(size)) block = this.takeFrom(size);
    if (block === 0) block = this.takeFresh(size);
    if (block !== 0) return block;
    this.lendAll();
    block = this.takeFrom(size);
    return block === 0 ? this.takeFresh(size) : block;
  }

  private useFound(block: number, requested: number): number {
    if (block === 0) return 0;
    return this.use(block, (this.load(block, 0) | USED) >>> 0, requested);
  }

  // @inline
  private use(block: number, word: number, requested: number): number {
    this.storeBoth(block, word, requested);
    this.add(field.requested, requested, 1);
    return block + BLOCK_HEADER;
  }

  /** Whether a used block that isn't movable begins here. Told by its size and what was asked for. */
  isBlock(payload: number): boolean {
    this.begin();
    const rec = this.recordOf(payload);
    if (rec !== 0) {
      if (this.isSlot(rec, payload)) return true;
      if (this.loadByte(rec, record.lent) === 0) return false;
    }
    return this.hasHeader(payload);
  }

  private hasHeader(payload: number): boolean {
    const top = this.word(field.top);
    if ((payload & FLAGS) !== 0 || payload <= this.word(field.first) || payload > top) return false;
    const block = payload - BLOCK_HEADER;
    const word = this.load(block, 0);
    const size = (word & ~FLAGS) >>> 0;
    return (
      (word & (USED | MOVABLE)) === USED && size === blockSize(this.load(block, 4)) && size <= top - block
    );
  }

  /** What was asked for a block, for which `isBlock` holds. */
  requestedOf(payload: number): number {
    this.begin();
    const rec = this.recordOf(payload);
    if (rec !== 0 && this.isSlot(rec, payload)) return this.slotRequest(rec, payload);
    return this.load(payload - BLOCK_HEADER, 4);
  }

  /** Takes back a block; false, and nothing happens, when none begins here. */
  // @inline
  free(payload: number): boolean {
    this.begin();
    const rec = this.recordOf(payload);
    if (rec !== 0) {
      if (this.giveSlot(rec, payload)) return true;
      if (this.loadByte(rec, record.lent) === 0) return false;
    }
    const top = this.word(field.top);
    if ((payload & FLAGS) !== 0 || payload <= this.word(field.first) || payload > top) return false;
    const block = payload - BLOCK_HEADER;
    const word = this.load(block, 0);
    const asked = this.load(block, 4);
    const size = blockSize(asked);
    if (word === (size | USED) >>> 0 && block + size === top && this.word(field.stack) !== 0) {
      // whoever frees it again is to be told
      this.store(block, 0, 0);
      this.setWord(field.top, block);
    } else {
      if ((word & (USED | MOVABLE)) !== USED || (word & ~FLAGS) >>> 0 !== size || size > top - block)
        return false;
      this.release(block, size);
    }
    this.subtract(field.requested, asked, 1);
    return true;
  }

  /**
   * Resizes a block, for which `isBlock` holds; returns where it is now, or 0: then it is as it was. One with a header of its
   * own keeps that.
   */
  reallocate(payload: number, requested: number): number {
    this.begin();
    const rec = this.recordOf(payload);
    if (rec !== 0 && this.isSlot(rec, payload)) return this.reallocateSlot(rec, payload, requested);
    const block = payload - BLOCK_HEADER;
    const size = this.sizeAt(block);
    const before = this.load(block, 4);
    const wanted = blockSize(requested);
    let moved = block;
    if (wanted <= size) this.cut(block, wanted);
    else if (!this.extend(block, size, wanted)) {
      moved = this.extendBack(block, size, wanted, before);
      if (moved === 0) {
        const to = this.allocateBlock(requested);
        if (to === 0) return 0;
        this.copy(to, payload, before);
        this.subtract(field.requested, before, 1);
        this.release(block, size);
        return to;
      }
    }
    this.store(moved, requested, 4);
    this.setWord(field.requested, this.word(field.requested) + requested - before);
    return moved + BLOCK_HEADER;
  }

  private reallocateSlot(rec: number, payload: number, requested: number): number {
    const before = this.slotRequest(rec, payload);
    if (slotSize(requested) === this.load(rec, record.size)) {
      this.setSlotRequest(rec, payload, requested);
      this.setWord(field.requested, this.word(field.requested) + requested - before);
      return payload;
    }
    const to = this.allocate(requested);
    if (to === 0) return 0;
    this.copy(to, payload, before < requested ? before : requested);
    this.free(payload);
    return to;
  }

  /** Makes a free block of bytes that are part of none, behind a used one. For compaction. */
  giveBack(block: number, size: number): void {
    this.begin();
    this.release(block, size);
  }

  /** Takes a free block out of its list, without a word to the one behind it. For compaction. */
  withdraw(block: number, size: number): void {
    this.begin();
    this.unlink(block, size);
  }

  /** The header says of a compaction something else than before. */
  settle(): void {
    this.begin();
    this.setStack();
  }
}
