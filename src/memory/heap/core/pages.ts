// Makes pages of blocks, with what they need beside them, and lends them again. Compiled twice, see access.ts.
import { choose } from "../bits.js";
import {
  ALIGNED,
  CELL,
  CELL_BITS,
  cellsOf,
  ENTRY_BITS,
  FREE_SLOT,
  field,
  KEPT_BYTES,
  KIND_BITS,
  KINDS,
  LARGE,
  LEAST_POOL,
  LENT_SLOT,
  MOST_CELLS,
  MOST_KEPT_BYTES,
  MOST_POOL,
  MOST_UNITS,
  NO_SLOT,
  PAGE_CODE,
  PAGES_OWN,
  PREV_FREE,
  pageBytes,
  RECORD_UNIT,
  record,
  slotsOf,
  WIDE_HEADER,
  wideSize,
} from "../layout.js";
import { Slots, unitsOf } from "./slots.js";

/** Blocks of the list of a page's size that are looked at for one that lies right. */
const PAGE_TRIES = 4;
/** Cells that one request looks at for pages to lend. */
const LEND_STEP = 64;
/** What the heap's own blocks lie at multiples of: lines of the processor's caches. */
const LINE = 64;

export class Pages extends Slots {
  /** Makes a page of a free block, where one lies right. */
  protected addUsedPage(size: number): boolean {
    const bytes = pageBytes(size);
    let block = this.fit(bytes);
    let tries: number = PAGE_TRIES;
    for (; block !== 0; block = this.load(block, 4)) {
      if (((block + WIDE_HEADER) & (CELL - 1)) === 0 && this.freeSizeAt(block) >= bytes) break;
      if (--tries === 0) block = 0;
      if (block === 0) break;
    }
    if (block !== 0) this.take(block, bytes);
    else block = this.takeAligned(bytes, WIDE_HEADER, CELL, false);
    return this.addPage(size, block);
  }

  /** Makes a page of what was never used. */
  protected addFreshPage(size: number): boolean {
    return this.addPage(size, this.takeAligned(pageBytes(size), WIDE_HEADER, CELL, true));
  }

  /** Makes a page of a block that lies as one has to, or is 0. */
  private addPage(size: number, block: number): boolean {
    if (block === 0) return false;
    const page = block + WIDE_HEADER;
    const bytes = pageBytes(size);
    const slots = slotsOf(size);
    this.setOwn(block, bytes, PAGES_OWN);
    const last = (page >>> CELL_BITS) + cellsOf(size) - 1;
    const stacked = this.hasStacks();
    const mapped = last < this.word(field.cells) || this.enlargeMap(last);
    const units = unitsOf(slots);
    const rec = stacked && mapped ? this.takeRecord(units) : 0;
    if (rec === 0 || !this.isUnmapped(page >>> CELL_BITS, last)) {
      if (rec !== 0) this.giveRecord(rec, units);
      this.release(block, bytes);
      return false;
    }
    this.addOwn(bytes);
    this.setWord(field.records, this.word(field.records) + 1);
    const kind = size >>> 4;
    this.store(rec, page + kind, record.page);
    this.storeByte(rec, 0, record.free);
    this.storeByte(rec, 0, record.used);
    this.storeByte(rec, slots, record.slots);
    this.storeByte(rec, 0, record.lent);
    for (let slot: number = 1; slot < slots; slot++)
      this.storeByte(rec + slot - 1, FREE_SLOT + slot, record.states);
    this.storeByte(rec + slots - 1, FREE_SLOT + NO_SLOT, record.states);
    this.store(block, PAGE_CODE + (rec >>> 4), 4);
    this.setCells(page, size, rec);
    this.setWord(field.slotsThere, this.word(field.slotsThere) + size * slots);
    this.linkPage(rec, kind);
    if (this.word(field.unpaged) < block + bytes) this.setWord(field.unpaged, block + bytes);
    return true;
  }

  /** Whether none of the cells of a page is one of a page that is lent. */
  private isUnmapped(first: number, last: number): boolean {
    const map = this.word(field.map);
    for (let cell = first; cell <= last; cell++)
      if (this.load(map + (cell << ENTRY_BITS), 0) !== 0) return false;
    return true;
  }

  /** A record of so many units that is not in use, or 0. */
  private takeRecord(units: number): number {
    const used = this.wordAt(field.freeRecords, units - 1);
    if (used !== 0) {
      this.setWordAt(field.freeRecords, units - 1, this.load(used, record.page));
      return used;
    }
    const bytes = units * RECORD_UNIT;
    const left = this.word(field.recordsEnd) - this.word(field.freshRecord);
    if (left < bytes) {
      // what is left is a smaller one
      if (left !== 0) this.giveRecord(this.word(field.freshRecord), left / RECORD_UNIT);
      this.setWord(field.freshRecord, this.word(field.recordsEnd));
      if (!this.addPool()) return 0;
    }
    const fresh = this.word(field.freshRecord);
    this.setWord(field.freshRecord, fresh + bytes);
    return fresh;
  }

  /** Room for more records. Each time a quarter more, so that most lie side by side: the processor knows where few pages of memory are. */
  private addPool(): boolean {
    const last = this.word(field.pools);
    let bytes: number = LEAST_POOL;
    if (last !== 0) bytes = this.load(last, 4) + (((this.load(last, 4) >>> 2) & ~(LINE - 1)) >>> 0);
    if (bytes > MOST_POOL) bytes = MOST_POOL;
    let pool = this.allocateOwn(bytes, LINE);
    if (pool === 0) {
      bytes = LEAST_POOL;
      pool = this.allocateOwn(bytes, LINE);
    }
    if (pool === 0) return false;
    this.store(pool, last, 0);
    this.store(pool, bytes, 4);
    this.setWord(field.pools, pool);
    this.setWord(field.freshRecord, pool + RECORD_UNIT);
    this.setWord(field.recordsEnd, pool + bytes);
    return true;
  }

  /** Whether there is room for slots that are kept, or now is; in a large heap for more of them. */
  private hasStacks(): boolean {
    const mask = this.word(field.keptMask);
    if (mask === 0) return this.addStacks(KEPT_BYTES);
    if (mask > KEPT_BYTES || this.word(field.slotsThere) < LARGE) return true;
    this.drain();
    const old = (this.wordAt(field.kept, 0) & ~mask) >>> 0;
    if (this.addStacks(MOST_KEPT_BYTES)) this.freeOwn(old);
    return true;
  }

  private addStacks(bytes: number): boolean {
    const stacks = this.allocateOwn(KINDS * bytes, bytes);
    if (stacks === 0) return false;
    for (let kind: number = 0; kind < KINDS; kind++)
      this.setWordAt(field.kept, kind << KIND_BITS, stacks + kind * bytes);
    this.setWord(field.keptMask, bytes - 1);
    return true;
  }

  private enlargeMap(cell: number): boolean {
    // 128 KiB more, or as much again
    let cells = (cell + 64) * 2;
    if (cells > MOST_CELLS) cells = MOST_CELLS;
    const map = this.allocateOwn(cells << ENTRY_BITS, LINE);
    if (map === 0) return false;
    const old = this.word(field.map);
    const before = this.word(field.cells);
    if (old !== 0) this.copy(map, old, before << ENTRY_BITS);
    this.clear(map + (before << ENTRY_BITS), (cells - before) << ENTRY_BITS);
    this.setWord(field.map, map);
    this.setWord(field.cells, cells);
    if (old !== 0) this.freeOwn(old);
    return true;
  }

  private freeOwn(payload: number): void {
    const size = this.sizeAt(payload - WIDE_HEADER);
    this.addOwn(0 - size);
    this.setWord(field.ownBlocks, this.word(field.ownBlocks) - 1);
    this.release(payload - WIDE_HEADER, size);
  }

  /** Payload of a block of the heap's own, at a multiple of `alignment`; or 0. It is not counted among those that are used, and doesn't move. */
  private allocateOwn(byteLength: number, alignment: number): number {
    const size = wideSize(byteLength);
    let block = this.takeAligned(size, WIDE_HEADER, alignment, false);
    if (block === 0) block = this.takeAligned(size, WIDE_HEADER, alignment, true);
    if (block === 0) return 0;
    this.addOwn(size);
    this.setOwn(block, size, PAGES_OWN);
    this.setWord(field.ownBlocks, this.word(field.ownBlocks) + 1);
    return block + WIDE_HEADER;
  }

  /**
   * Lends pages with few used slots, from where it stopped last time on, until there is a free block of `size` bytes; only
   * while at least a quarter of all slots is free.
   * @returns whether there is one
   */
  protected lendSome(size: number): boolean {
    const there = this.word(field.slotsThere);
    if (there - this.word(field.slotsUsed) <= there >>> 2) return false;
    const cells = this.word(field.cells);
    let cell = this.word(field.cursor);
    let found = false;
    for (let left: number = LEND_STEP; left > 0 && !found; left--) {
      if (cell >= cells) cell = 0;
      found = this.lendAt(cell, 4) && this.fit(size) !== 0;
      cell++;
    }
    this.setWord(field.cursor, cell);
    return found;
  }

  /**
   * Gives back pages that are kept though none of their slots is used: one for each size at most; and when that were all, the
   * records and the map as well. For compaction.
   */
  dropEmpty(): void {
    this.begin();
    this.drain();
    for (let kind: number = 0; kind < KINDS; kind++) {
      const rec = this.wordAt(field.partial, kind << KIND_BITS);
      if (rec !== 0 && this.loadByte(rec, record.used) === 0) this.dropPage(rec);
    }
    if (this.word(field.records) !== 0) return;
    for (let units: number = 0; units < MOST_UNITS; units++) this.setWordAt(field.freeRecords, units, 0);
    this.setWord(field.freshRecord, 0);
    this.setWord(field.recordsEnd, 0);
    for (let pool = this.word(field.pools); pool !== 0; ) {
      const next = this.load(pool, 0);
      this.freeOwn(pool);
      pool = next;
    }
    const stacks = this.wordAt(field.kept, 0);
    for (let kind: number = 0; kind < KINDS; kind++) this.setWordAt(field.kept, kind << KIND_BITS, 0);
    this.setWord(field.keptMask, 0);
    if (stacks !== 0) this.freeOwn(stacks);
    this.setWord(field.pools, 0);
    if (this.word(field.map) !== 0) this.freeOwn(this.word(field.map));
    this.setWord(field.map, 0);
    this.setWord(field.cells, 0);
  }

  /** Lends all pages that have any room: for when there is no other memory. */
  protected lendAll(): void {
    this.drain();
    const cells = this.word(field.cells);
    for (let cell: number = 0; cell < cells; cell++) this.lendAt(cell, 1);
  }

  /** Lends the page that begins in a cell, if at most one slot of so many is used and not all are. */
  private lendAt(cell: number, share: number): boolean {
    const rec = this.load(this.word(field.map) + (cell << ENTRY_BITS), 0);
    if (rec === 0 || this.load(rec, record.page) >>> CELL_BITS !== cell) return false;
    // that may be the end of the page
    if (this.drainKind(this.kindAt(rec)) && this.load(this.word(field.map) + (cell << ENTRY_BITS), 0) !== rec)
      return true;
    const used = this.loadByte(rec, record.used);
    const slots = this.loadByte(rec, record.slots);
    if (this.loadByte(rec, record.lent) !== 0 || used === slots || used * share > slots) return false;
    if (used === 0) this.dropPage(rec);
    else this.lend(rec);
    return true;
  }

  /** Makes free blocks of a page's free slots, and blocks of the heap's own of runs of used ones. */
  private lend(rec: number): void {
    const page = this.pageAt(rec);
    const kind = this.kindAt(rec);
    const size = this.slotBytes(kind);
    const slots = this.loadByte(rec, record.slots);
    this.unlinkPage(rec, kind);
    this.storeByte(rec, NO_SLOT, record.free);
    this.storeByte(rec, 0, record.slots);
    this.storeByte(rec, slots, record.lent);
    const free = slots - this.loadByte(rec, record.used);
    this.setWord(field.slotsThere, this.word(field.slotsThere) - size * free);
    const end = page - WIDE_HEADER + pageBytes(size);
    // where the part begins that is still one block, and the only flag that its header may need
    let rest = page - WIDE_HEADER;
    let flag = (this.headerAt(rest) & PREV_FREE) >>> 0;
    let first = this.nextUsed(rec, 0, slots);
    this.setLent(rec, 0, first);
    while (first < slots) {
      let behindRun = this.nextFree(rec, first, slots);
      let next = this.nextUsed(rec, behindRun, slots);
      while (next < slots && isNarrow((next - behindRun) * size)) {
        behindRun = this.nextFree(rec, next, slots);
        next = this.nextUsed(rec, behindRun, slots);
      }
      const block = page - WIDE_HEADER + first * size;
      const behind = block + (behindRun - first) * size + ALIGNED;
      const apart = block !== rest;
      this.writeHeader(block, choose(apart, 0, flag));
      this.setOwn(block, behind - block, PAGE_CODE + (rec >>> 4));
      if (apart) {
        this.writeHeader(rest, flag);
        this.addOwn(rest - block);
        this.release(rest, block - rest);
      }
      flag = 0;
      rest = behind;
      this.setLent(rec, behindRun, next);
      first = next;
    }
    if (rest === end) return;
    this.writeHeader(rest, flag);
    this.addOwn(rest - end);
    this.release(rest, end - rest);
  }

  /** The first slot from `slot` on that is used, or `slots`. */
  private nextUsed(rec: number, slot: number, slots: number): number {
    while (slot < slots && this.loadByte(rec + slot, record.states) >= LENT_SLOT) slot++;
    return slot;
  }

  private nextFree(rec: number, slot: number, slots: number): number {
    while (slot < slots && this.loadByte(rec + slot, record.states) < LENT_SLOT) slot++;
    return slot;
  }

  private setLent(rec: number, from: number, to: number): void {
    for (let slot = from; slot < to; slot++) this.storeByte(rec + slot, LENT_SLOT, record.states);
  }
}

/** Whether a gap between used slots has no room for a header: it stays with the run. */
function isNarrow(gap: number): boolean {
  return gap < ALIGNED;
}
