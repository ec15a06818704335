/**
 * The allocator of a `Heap`: small blocks in pages (slots.ts, pages.ts), the smallest in pairs (pairs.ts), over blocks with headers (blocks.ts), all within the
 * memory as layout.ts draws it. Each operation is bounded, but for the last resort before a request fails: that lends all
 * pages with room, as it would otherwise refuse memory that there is.
 *
 * Addresses are bytes in the memory. No checks of arguments here. Compiled twice, see access.ts.
 */
import { choose } from "../bits.js";
import {
  ALIGNED,
  askedOf,
  field,
  GRANULE,
  HALF_MOST,
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
  PREV_FREE,
  pageBytes,
  SMALL,
  SMALL_MOST,
  slotSize,
  smallHeader,
  smallMismatch,
  smallSize,
  smallSizeOf,
  TINY,
  VERSION,
  WIDE_HEADER,
  wideSize,
} from "../layout.js";
import { Judge } from "./judge.js";

/** Bytes in use from which on there are pages: below, all of a heap is in the caches anyway, and half-empty pages count. */
const PAGES_FROM = 0x20_0000;

export class HeapCore extends Judge {
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
    // both ends at once
    if (requested - (HALF_MOST + 1) <= SMALL_MOST - (HALF_MOST + 1)) {
      const size = slotSize(requested);
      const kind = size >>> 4;
      const kept = this.wordAt(field.kept, kind << KIND_BITS);
      if ((kept & this.word(field.keptMask)) !== 0)
        return this.takeKept(kept, kind, size - requested, requested);
      const block = this.word(field.top);
      const bytes = smallSize(requested);
      if (block + bytes <= this.word(field.stack)) {
        this.setWord(field.top, block + bytes);
        this.writeHeader(block, smallHeader(block, requested));
        this.add(field.requested, requested, 1);
        return block + HEADER;
      }
      const rec = this.wordAt(field.partial, kind << KIND_BITS);
      if (rec !== 0) return this.takeSlot(rec, size, requested);
      return this.allocateSmall(size, requested);
    }
    return this.allocateRest(requested);
  }

  /** The same of what is too small, or too large, for a small block. */
  private allocateRest(requested: number): number {
    if (requested <= HALF_MOST) return this.allocateHalf(requested);
    return requested <= LARGEST_SLOT
      ? this.allocateSlot(LARGEST_SLOT, requested)
      : this.allocateBlock(requested);
  }

  /** Address of half of a pair, or of a slot where there are pages; or 0. */
  private allocateHalf(requested: number): number {
    const half = this.takeHalf(requested);
    if (half !== 0) return half;
    if (this.hasPages() || this.word(field.partial) !== 0) return this.allocateSlot(LEAST_SLOT, requested);
    const block = this.find(TINY);
    return block === 0 ? 0 : this.makePair(block, requested);
  }

  private allocateSlot(size: number, requested: number): number {
    const kind = size >>> 4;
    const kept = this.wordAt(field.kept, kind << KIND_BITS);
    if ((kept & this.word(field.keptMask)) !== 0)
      return this.takeKept(kept, kind, size - requested, requested);
    const rec = this.wordAt(field.partial, kind << KIND_BITS);
    return rec !== 0 ? this.takeSlot(rec, size, requested) : this.allocateSmall(size, requested);
  }

  /**
   * Where no page of a size has room. A page comes before what was never used, but after free blocks too small for a page: a page
   * needs much in one piece, and what is in pieces would stay so. For the smallest slots it comes first, as a block with a header takes twice as much.
   */
  private allocateSmall(size: number, requested: number): number {
    const bytes = choose(requested > SMALL_MOST, wideSize(requested), smallSize(requested));
    const paged = this.hasPages();
    const smallest = paged && size === LEAST_SLOT;
    if (smallest && (this.addUsedPage(size) || this.addFreshPage(size))) return this.takeNew(size, requested);
    let block = this.fit(bytes);
    if (block === 0 && this.drain()) block = this.fit(bytes);
    if (block !== 0) {
      // a piece that could be a page is to be one
      const whole = paged && this.freeSizeAt(block) >= pageBytes(size);
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
    this.setWide(block, size, requested);
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
    this.add(field.requested, requested, 1);
    if (requested > SMALL_MOST) {
      this.setWide(block, wideSize(requested), requested);
      return block + WIDE_HEADER;
    }
    this.setSmall(block, requested);
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
    if (this.pairOf(payload) !== 0) return true;
    return (
      this.isInside(payload) && (this.isSmallAt(payload - HEADER) || this.isWideAt(payload - WIDE_HEADER))
    );
  }

  private isInside(payload: number): boolean {
    return (
      (payload & (GRANULE - 1)) === 0 && payload > this.word(field.first) && payload < this.word(field.top)
    );
  }

  /** What was asked for a block, for which `isBlock` holds. */
  requestedOf(payload: number): number {
    this.begin();
    const rec = this.recordOf(payload);
    if (rec !== 0 && this.isSlot(rec, payload)) return this.slotRequest(rec, payload);
    if (this.pairOf(payload) !== 0) return this.halfRequest(payload);
    const header = this.headerAt(payload - HEADER);
    return (header & SMALL) !== 0 ? askedOf(header) : this.load(payload - WIDE_HEADER, 4);
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
      const header = this.headerAt(block);
      const size = smallSizeOf(header);
      const wrong = smallMismatch(block, header);
      // never of an address that is no multiple of 8: top is 4 more than one
      if ((((top - block) ^ size) | wrong) === 0) {
        // whoever frees it again is to be told
        this.writeHeader(block, 0);
        this.setWord(field.top, block);
        this.subtract(field.requested, askedOf(header), 1);
        return true;
      }
      const right = (payload & (GRANULE - 1)) === 0 && (wrong & ~PREV_FREE) === 0;
      if (right && this.releaseSmall(block, size, header)) return true;
    } else {
      const cell = this.cellOf(payload);
      if (cell < this.word(field.cells) && this.giveSlot(cell, payload)) return true;
    }
    return this.freeRest(payload);
  }

  /** The same of blocks between pages, of wide ones, and of what is none. */
  private freeRest(payload: number): boolean {
    const rec = this.recordOf(payload);
    if (rec !== 0 && this.isWithin(rec, payload)) return false;
    const block = payload - HEADER;
    if (!this.isInside(payload)) return this.freePaired(payload);
    const header = this.headerAt(block);
    if (isSmall(block, header) && this.releaseSmall(block, smallSizeOf(header), header)) return true;
    return this.freeWide(payload) || this.freePaired(payload);
  }

  private freeWide(payload: number): boolean {
    const block = payload - WIDE_HEADER;
    if (!this.isWideAt(block)) return false;
    this.subtract(field.requested, this.load(block, 4), 1);
    this.release(block, this.sizeAt(block));
    return true;
  }

  private freePaired(payload: number): boolean {
    const pair = this.pairOf(payload);
    if (pair === 0) return false;
    this.freeHalf(pair, payload);
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
    if (this.pairOf(payload) !== 0) return this.reallocateHalf(payload, requested);
    const small = this.isSmallBlock(payload);
    const before = this.requestedOf(payload);
    if (small && requested > SMALL_MOST) return this.move(payload, before, requested);
    const header = small ? HEADER : WIDE_HEADER;
    const wanted = small ? smallSize(requested) : wideSize(requested);
    const block = payload - header;
    const size = this.sizeAt(block);
    let moved = block;
    if (wanted <= size) this.cut(block, size, wanted);
    else if (!this.extend(block, size, wanted)) {
      moved = this.extendBack(block, header, size, wanted, before);
      if (moved === 0) return this.move(payload, before, requested);
    }
    if (small) this.setSmall(moved, requested);
    else this.store(moved, requested, 4);
    this.setWord(field.requested, this.word(field.requested) + requested - before);
    return moved + header;
  }

  /** Of a block that is one. */
  private isSmallBlock(payload: number): boolean {
    return (this.headerAt(payload - HEADER) & SMALL) !== 0;
  }

  /** To another place, where it has a header of the same kind, unless it is too large for a small one. */
  private move(payload: number, before: number, requested: number): number {
    const to = this.isSmallBlock(payload)
      ? this.allocateBlock(requested)
      : this.allocateWide(requested, GRANULE);
    return this.moveTo(to, payload, before, requested);
  }

  private reallocateSlot(rec: number, payload: number, requested: number): number {
    const before = this.slotRequest(rec, payload);
    if (slotSize(requested) >>> 4 === this.kindAt(rec)) {
      this.setSlotRequest(rec, payload, requested);
      this.setWord(field.requested, this.word(field.requested) + requested - before);
      return payload;
    }
    return this.moveTo(this.allocate(requested), payload, before, requested);
  }

  private reallocateHalf(payload: number, requested: number): number {
    const before = this.halfRequest(payload);
    if (requested > HALF_MOST) return this.moveTo(this.allocate(requested), payload, before, requested);
    this.setHalfRequest(payload, requested);
    this.setWord(field.requested, this.word(field.requested) + requested - before);
    return payload;
  }

  /** Moves the bytes of a block to a new one, unless that is 0, and returns it. */
  private moveTo(to: number, payload: number, before: number, requested: number): number {
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
