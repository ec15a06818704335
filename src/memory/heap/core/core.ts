/**
 * The allocator of a `Heap`: small blocks in pages (slots.ts, pages.ts) over blocks with headers (blocks.ts), all within the
 * memory as layout.ts draws it. Each operation is bounded, but for the last resort before a request fails: that lends all
 * pages with room, as it would otherwise refuse memory that there is.
 *
 * Addresses are bytes in the memory. No checks of arguments here. Compiled twice, see access.ts.
 */
import {
  ALIGNED,
  askedOf,
  field,
  freeSize,
  GRANULE,
  HEADER,
  HEADER_BYTES,
  INVERSE_BITS,
  isSmall,
  KIND_BITS,
  KINDS,
  LARGEST,
  LARGEST_SLOT,
  LEAST_SLOT,
  MAGIC,
  MOVABLE,
  PREV_FREE,
  pageBytes,
  SMALL_MOST,
  sizeOf,
  slotSize,
  smallMismatch,
  smallSize,
  smallSizeOf,
  smallWord,
  tagOf,
  USED,
  VERSION,
  WIDE,
  WIDE_HEADER,
  wideSize,
} from "../layout.js";
import { Pages } from "./pages.js";

/** Bytes in use from which on there are pages: below, all of a heap is in the caches anyway, and half-empty pages count. */
const PAGES_FROM = 0x20_0000;

export class HeapCore extends Pages {
  /** Lays out an empty heap. `start` and `end` are multiples of 16. */
  format(start: number, end: number, ceiling: number): void {
    this.begin();
    this.clear(start, HEADER_BYTES);
    const first =
      (((start + HEADER_BYTES + WIDE_HEADER + (ALIGNED - 1)) & ~(ALIGNED - 1)) >>> 0) - WIDE_HEADER;
    this.setWord(field.version, VERSION);
    this.setWord(field.start, start);
    this.setWord(field.first, first);
    this.setWord(field.top, first);
    this.setWord(field.unpaged, first);
    this.setWord(field.end, end);
    this.setWord(field.ceiling, ceiling);
    this.setWord(field.pagesFrom, PAGES_FROM);
    for (let kind: number = 0; kind < KINDS; kind++) {
      const size = kind === 0 ? LEAST_SLOT : kind << 4;
      const granules = size >>> 3;
      this.setWordAt(field.slotBytes, kind << KIND_BITS, size);
      this.setWordAt(field.inverse, kind << KIND_BITS, ((1 << INVERSE_BITS) + granules - 1) / granules);
    }
    this.setStack();
    // last: what is only half written is no heap
    this.setWord(field.magic, MAGIC);
  }

  /** Address of a payload, or 0: too large requests are refused here. */
  // @inline
  allocate(requested: number): number {
    this.begin();
    if (requested <= LARGEST_SLOT) {
      const size = slotSize(requested);
      const kind = size >>> 4;
      const kept = this.wordAt(field.kept, kind << KIND_BITS);
      if ((kept & this.word(field.keptMask)) !== 0)
        return this.takeKept(kept, kind, size - requested, requested);
      const block = this.word(field.top);
      const bytes = smallSize(requested);
      if (block + bytes <= this.word(field.stack)) {
        this.setWord(field.top, block + bytes);
        this.store(block, (smallWord(block, bytes, requested) | USED) >>> 0, 0);
        this.add(field.requested, requested, 1);
        return block + HEADER;
      }
      const rec = this.wordAt(field.partial, kind << KIND_BITS);
      if (rec !== 0) return this.takeSlot(rec, size, requested);
      return this.allocateSmall(size, requested);
    }
    return this.allocateBlock(requested);
  }

  /**
   * Where no page of a size has room. A page comes before what was never used, but after free blocks too small for a page: a page
   * needs much in one piece, and what is in pieces would stay so. For the smallest slots it comes first, as a block with a header takes twice as much.
   */
  private allocateSmall(size: number, requested: number): number {
    const bytes = smallSize(requested);
    const paged = this.hasPages();
    const smallest = paged && size === LEAST_SLOT;
    if (smallest && (this.addUsedPage(size) || this.addFreshPage(size))) return this.takeNew(size, requested);
    let block = this.fit(bytes);
    if (block === 0 && this.drain()) block = this.fit(bytes);
    if (block !== 0) {
      // a piece that could be a page is to be one
      const whole = paged && freeSize(this.load(block, 0)) >= pageBytes(size);
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

  /** Whether there is enough in use for pages. */
  private hasPages(): boolean {
    const blocks =
      this.word(field.top) - this.word(field.first) - this.word(field.free) - this.word(field.own);
    return blocks + this.word(field.slotsUsed) >= this.word(field.pagesFrom);
  }

  private takeNew(size: number, requested: number): number {
    return this.takeSlot(this.wordAt(field.partial, (size >>> 4) << KIND_BITS), size, requested);
  }

  /** The same for a block with a header of its own. */
  private allocateBlock(requested: number): number {
    if (requested > SMALL_MOST) return this.allocateWide(requested, GRANULE);
    return this.useFound(this.find(smallSize(requested)), requested);
  }

  /** Address of a payload at a multiple of `alignment`, a power of two from 8 on; or 0. The block has a header of its own. */
  allocateAligned(requested: number, alignment: number): number {
    this.begin();
    if (requested > SMALL_MOST) return this.allocateWide(requested, alignment);
    if (alignment <= GRANULE) return this.allocateBlock(requested);
    return this.useFound(this.findAligned(smallSize(requested), HEADER, alignment), requested);
  }

  /** The same; the block can become a movable one. */
  allocateWide(requested: number, alignment: number): number {
    this.begin();
    if (requested > LARGEST - alignment) return 0;
    const size = wideSize(requested);
    const aligned = alignment > GRANULE;
    const block = aligned ? this.findAligned(size, WIDE_HEADER, alignment) : this.find(size);
    if (block === 0) return 0;
    this.setWide(block, requested);
    this.add(field.requested, requested, 1);
    return block + WIDE_HEADER;
  }

  /** As `find`, with what is `header` bytes behind its beginning at a multiple of `alignment`. */
  private findAligned(size: number, header: number, alignment: number): number {
    let block = this.takeAligned(size, header, alignment, false);
    if (block === 0 && this.drain()) block = this.takeAligned(size, header, alignment, false);
    if (block === 0 && this.lendSome(size + alignment))
      block = this.takeAligned(size, header, alignment, false);
    if (block === 0) block = this.takeAligned(size, header, alignment, true);
    if (block !== 0) return block;
    this.lendAll();
    block = this.takeAligned(size, header, alignment, false);
    return block === 0 ? this.takeAligned(size, header, alignment, true) : block;
  }

  /** A block of this size, not marked as used; or 0. */
  private find(size: number): number {
    let block = this.takeFrom(size);
    if (block === 0 && this.drain()) block = this.takeFrom(size);
    if (block === 0 && this.lendSome(size)) block = this.takeFrom(size);
    if (block === 0) block = this.takeFresh(size);
    if (block !== 0) return block;
    this.lendAll();
    block = this.takeFrom(size);
    return block === 0 ? this.takeFresh(size) : block;
  }

  private useFound(block: number, requested: number): number {
    if (block === 0) return 0;
    this.setSmall(block, requested);
    this.add(field.requested, requested, 1);
    return block + HEADER;
  }

  /** Whether a used block that isn't movable begins here. Told by its header. */
  isBlock(payload: number): boolean {
    this.begin();
    const rec = this.recordOf(payload);
    if (rec !== 0) {
      if (this.isSlot(rec, payload)) return true;
      if (this.isWithin(rec, payload)) return false;
    }
    return (
      this.isInside(payload) && (this.isSmallAt(payload - HEADER) || this.isWideAt(payload - WIDE_HEADER))
    );
  }

  private isInside(payload: number): boolean {
    return (
      (payload & (GRANULE - 1)) === 0 && payload > this.word(field.first) && payload < this.word(field.top)
    );
  }

  private isSmallAt(block: number): boolean {
    const word = this.load(block, 0);
    const size = smallSizeOf(word);
    return isSmall(block, word) && size <= this.word(field.top) - block;
  }

  private isWideAt(block: number): boolean {
    if (block < this.word(field.first) || this.load(block, 8) !== tagOf(block + WIDE_HEADER)) return false;
    const word = this.load(block, 0);
    const size = sizeOf(word);
    // it may be 8 bytes larger than it needs to be
    const more = size - wideSize(this.load(block, 4));
    return (
      (word & USED) !== 0 &&
      (word & WIDE) !== 0 &&
      (word & MOVABLE) === 0 &&
      more <= GRANULE &&
      size <= this.word(field.top) - block
    );
  }

  /** What was asked for a block, for which `isBlock` holds. */
  requestedOf(payload: number): number {
    this.begin();
    const rec = this.recordOf(payload);
    if (rec !== 0 && this.isSlot(rec, payload)) return this.slotRequest(rec, payload);
    const block = payload - HEADER;
    const word = this.load(block, 0);
    return isSmall(block, word) ? askedOf(word) : this.load(payload - WIDE_HEADER, 4);
  }

  /**
   * Takes back a block; false, and nothing happens, when none begins here. What is frequent comes first, and all of it from values
   * that are there already: whoever frees the last block, or one behind all pages, pays for nothing else.
   */
  // @inline
  free(payload: number): boolean {
    this.begin();
    const top = this.word(field.top);
    const unpaged = this.word(field.unpaged);
    // both ends at once
    if (payload - unpaged < top - unpaged) {
      const block = payload - HEADER;
      const word = this.load(block, 0);
      const size = smallSizeOf(word);
      const wrong = smallMismatch(block, word);
      // never of an address that is no multiple of 8: top is 4 more than one
      if ((((top - block) ^ size) | wrong) === 0) {
        // whoever frees it again is to be told
        this.store(block, 0, 0);
        this.setWord(field.top, block);
        this.subtract(field.requested, askedOf(word), 1);
        return true;
      }
      if ((payload & (GRANULE - 1)) === 0 && (wrong & ~PREV_FREE) === 0 && size <= top - block) {
        this.subtract(field.requested, askedOf(word), 1);
        this.release(block, size);
        return true;
      }
    } else {
      const rec = this.recordOf(payload);
      if (rec !== 0 && this.giveSlot(rec, payload)) return true;
    }
    return this.freeRest(payload);
  }

  /** The same of blocks between pages, of wide ones, and of what is none. */
  private freeRest(payload: number): boolean {
    const rec = this.recordOf(payload);
    if (rec !== 0 && this.isWithin(rec, payload)) return false;
    if (!this.isInside(payload)) return false;
    const block = payload - HEADER;
    const word = this.load(block, 0);
    if (!isSmall(block, word)) return this.freeWide(payload);
    const size = smallSizeOf(word);
    if (size > this.word(field.top) - block) return false;
    this.subtract(field.requested, askedOf(word), 1);
    this.release(block, size);
    return true;
  }

  private freeWide(payload: number): boolean {
    const block = payload - WIDE_HEADER;
    if (!this.isWideAt(block)) return false;
    this.subtract(field.requested, this.load(block, 4), 1);
    this.store(block, 0, 8);
    this.release(block, this.sizeAt(block));
    return true;
  }

  /**
   * Resizes a block, for which `isBlock` holds; returns where it is now, or 0: then it is as it was. One with a header of its
   * own keeps that; what is not a small block any more moves.
   */
  reallocate(payload: number, requested: number): number {
    this.begin();
    const rec = this.recordOf(payload);
    if (rec !== 0 && this.isSlot(rec, payload)) return this.reallocateSlot(rec, payload, requested);
    const small = isSmall(payload - HEADER, this.load(payload - HEADER, 0));
    const before = this.requestedOf(payload);
    if (small && requested > SMALL_MOST) return this.move(payload, before, requested);
    const header = small ? HEADER : WIDE_HEADER;
    const wanted = small ? smallSize(requested) : wideSize(requested);
    const block = payload - header;
    const size = this.sizeAt(block);
    let moved = block;
    if (wanted <= size) this.cut(block, wanted);
    else if (!this.extend(block, size, wanted)) {
      moved = this.extendBack(block, header, size, wanted, before);
      if (moved === 0) return this.move(payload, before, requested);
    }
    if (small) this.setSmall(moved, requested);
    else this.store(moved, requested, 4);
    this.setWord(field.requested, this.word(field.requested) + requested - before);
    return moved + header;
  }

  /** To another place, where it has a header of the same kind, unless it is too large for a small one. */
  private move(payload: number, before: number, requested: number): number {
    const small = isSmall(payload - HEADER, this.load(payload - HEADER, 0));
    const to = small ? this.allocateBlock(requested) : this.allocateWide(requested, GRANULE);
    if (to === 0) return 0;
    this.copy(to, payload, before < requested ? before : requested);
    this.free(payload);
    return to;
  }

  private reallocateSlot(rec: number, payload: number, requested: number): number {
    const before = this.slotRequest(rec, payload);
    if (slotSize(requested) >>> 4 === this.kindAt(rec)) {
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
    this.setUnpaged(this.word(field.records) === 0 ? this.word(field.first) : this.word(field.unpaged));
  }
}
