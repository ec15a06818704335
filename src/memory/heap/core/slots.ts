/**
 * Slots of pages, see layout.ts. With tens of thousands of blocks what a heap waits for is the memory: headers and links
 * at random places. Of a slot nothing is touched; records of all pages together stay in the caches. Compiled twice, see
 * access.ts.
 */

import { choose } from "../bits.js";
import {
  ALIGNED,
  CELL_BITS,
  cellsOf,
  ENTRY_BITS,
  FREE_SLOT,
  field,
  GRANULE,
  HEADER,
  INVERSE_BITS,
  KEPT_SIZE,
  KEPT_SLOT,
  KIND,
  KIND_BITS,
  KINDS,
  LENT_SLOT,
  NO_SLOT,
  pageBytes,
  RECORD_UNIT,
  record,
  WIDE_HEADER,
} from "../layout.js";
import { Blocks } from "./blocks.js";

/** No slot that is used begins there. */
const NOWHERE = 0xffff_ffff;

/** `RECORD_UNIT` is 2 to this power. */
const RECORD_BITS = 5;

export class Slots extends Blocks {
  /** Address of the record of the page that a payload lies in, or 0. */
  // @inline
  protected recordOf(payload: number): number {
    const cell = this.cellOf(payload);
    return cell < this.word(field.cells) ? this.load(this.entryAt(cell), 0) : 0;
  }

  /** That of a small block behind a page lies up to 8 bytes before the next cell. */
  // @inline
  protected cellOf(payload: number): number {
    return (payload + GRANULE) >>> CELL_BITS;
  }

  /** Where the map has what is known of a cell. */
  // @inline
  protected entryAt(cell: number): number {
    return this.word(field.map) + (cell << ENTRY_BITS);
  }

  /** Kind of a page's slots. */
  // @inline
  protected kindAt(rec: number): number {
    return (this.load(rec, record.page) & KIND) >>> 0;
  }

  /** Address of a page's first slot. */
  // @inline
  protected pageAt(rec: number): number {
    return (this.load(rec, record.page) & ~KIND) >>> 0;
  }

  // @inline
  protected slotBytes(kind: number): number {
    return this.wordAt(field.slotBytes, kind << KIND_BITS);
  }

  /** How many slots a page has, lent or not. */
  // @inline
  protected slotsIn(rec: number): number {
    return this.loadByte(rec, record.slots) + this.loadByte(rec, record.lent);
  }

  /** Number of the slot that begins so many bytes behind the first, or any other. */
  // @inline
  private slotBehind(offset: number, kind: number): number {
    return ((offset >>> 3) * this.wordAt(field.inverse, kind << KIND_BITS)) >>> INVERSE_BITS;
  }

  /** Number of the used slot that begins here, or `NOWHERE`. */
  private slotAt(rec: number, payload: number): number {
    const kind = this.kindAt(rec);
    const offset = payload - this.pageAt(rec);
    const slot = this.slotBehind(offset, kind);
    if (slot * this.slotBytes(kind) !== offset || slot >= this.slotsIn(rec)) return NOWHERE;
    return this.loadByte(rec + slot, record.states) < LENT_SLOT ? slot : NOWHERE;
  }

  protected isSlot(rec: number, payload: number): boolean {
    return this.slotAt(rec, payload) !== NOWHERE;
  }

  /** Takes the slot that was kept last; `kept` is behind it on its stack. */
  // @inline
  protected takeKept(kept: number, kind: number, slack: number, requested: number): number {
    const last = kept - KEPT_SIZE;
    this.setWordAt(field.kept, kind << KIND_BITS, last);
    this.storeByte(this.load(last, 4), slack, 0);
    this.add(field.requested, requested, 1);
    return this.load(last, 0);
  }

  /** Takes a slot of a page that has one; returns its address. `size` is that of its slots. */
  // @inline
  protected takeSlot(rec: number, size: number, requested: number): number {
    const slot = this.loadByte(rec, record.free);
    const next = this.loadByte(rec + slot, record.states) - FREE_SLOT;
    this.storeByte(rec + slot, size - requested, record.states);
    this.storeByte(rec, next, record.free);
    this.storeByte(rec, this.loadByte(rec, record.used) + 1, record.used);
    this.setWord(field.slotsUsed, this.word(field.slotsUsed) + size);
    this.add(field.requested, requested, 1);
    const page = this.pageAt(rec);
    if (next === NO_SLOT) this.unlinkPage(rec, size >>> 4);
    return page + slot * size;
  }

  /**
   * Takes back a slot of the page that a cell has, if it has one; false, and nothing happens, when none that is used begins here. The page hears of it only when the stack of its size
   * is full: what is allocated next is mostly taken from there, and neither has anything to decide that can't be predicted.
   */
  // @inline
  protected giveSlot(cell: number, payload: number): boolean {
    const entry = this.entryAt(cell);
    const rec = this.load(entry, 0);
    if (rec === 0) return false;
    const word = this.load(entry, 4);
    const kind = (word & KIND) >>> 0;
    const offset = payload - (word - kind);
    const slot = this.slotBehind(offset, kind);
    const size = this.slotBytes(kind);
    if (slot * size !== offset) return false;
    if (slot >= this.loadByte(rec, record.slots)) return this.giveLent(rec, payload);
    const state = rec + slot + record.states;
    const slack = this.loadByte(state, 0);
    if (slack >= LENT_SLOT) return false;
    this.subtract(field.requested, size - slack, 1);
    const kept = this.wordAt(field.kept, kind << KIND_BITS);
    const mask = this.word(field.keptMask);
    if ((kept & mask) >>> 0 > mask - KEPT_SIZE) {
      this.giveBackSlot(rec, slot);
      return true;
    }
    this.storeByte(state, KEPT_SLOT, 0);
    this.store(kept, payload, 0);
    this.store(kept, state, 4);
    this.setWordAt(field.kept, kind << KIND_BITS, kept + KEPT_SIZE);
    this.setWord(field.keptSome, 1);
    return true;
  }

  /** The page has this slot to give again. */
  protected giveBackSlot(rec: number, slot: number): void {
    const kind = this.kindAt(rec);
    const size = this.slotBytes(kind);
    const used = this.loadByte(rec, record.used) - 1;
    const next = this.loadByte(rec, record.free);
    this.storeByte(rec + slot, FREE_SLOT + next, record.states);
    this.storeByte(rec, used, record.used);
    this.storeByte(rec, slot, record.free);
    this.setWord(field.slotsUsed, this.word(field.slotsUsed) - size);
    if (next === NO_SLOT) this.linkPage(rec, kind);
    else if (used === 0) this.emptied(rec);
  }

  /** Gives all slots that are kept back to their pages; false when there are none. */
  protected drain(): boolean {
    if (this.word(field.keptSome) === 0) return false;
    this.setWord(field.keptSome, 0);
    let some = false;
    for (let kind: number = 0; kind < KINDS; kind++) if (this.drainKind(kind)) some = true;
    return some;
  }

  /** The same of one size. */
  protected drainKind(kind: number): boolean {
    const mask = this.word(field.keptMask);
    let kept = this.wordAt(field.kept, kind << KIND_BITS);
    if ((kept & mask) === 0) return false;
    while ((kept & mask) !== 0) {
      kept -= KEPT_SIZE;
      this.setWordAt(field.kept, kind << KIND_BITS, kept);
      const rec = this.recordOf(this.load(kept, 0));
      this.giveBackSlot(rec, this.load(kept, 4) - rec - record.states);
    }
    return true;
  }

  /** Whether what lies there belongs to the page alone: not what is behind its slots, nor a part of a page that is lent. */
  protected isWithin(rec: number, payload: number): boolean {
    const behind = this.pageAt(rec) + this.slotBytes(this.kindAt(rec)) * this.loadByte(rec, record.slots);
    return this.loadByte(rec, record.lent) === 0 && payload < behind + HEADER;
  }

  /** What was asked for a used slot. */
  protected slotRequest(rec: number, payload: number): number {
    const slack = this.loadByte(rec + this.slotAt(rec, payload), record.states);
    return this.slotBytes(this.kindAt(rec)) - slack;
  }

  protected setSlotRequest(rec: number, payload: number, requested: number): void {
    const slack = this.slotBytes(this.kindAt(rec)) - requested;
    this.storeByte(rec + this.slotAt(rec, payload), slack, record.states);
  }

  protected linkPage(rec: number, kind: number): void {
    const next = this.wordAt(field.partial, kind << KIND_BITS);
    this.store(rec, next, record.next);
    this.store(rec, 0, record.previous);
    if (next !== 0) this.store(next, rec, record.previous);
    this.setWordAt(field.partial, kind << KIND_BITS, rec);
  }

  protected unlinkPage(rec: number, kind: number): void {
    const next = this.load(rec, record.next);
    const previous = this.load(rec, record.previous);
    if (next !== 0) this.store(next, previous, record.previous);
    if (previous !== 0) this.store(previous, next, record.next);
    else this.setWordAt(field.partial, kind << KIND_BITS, next);
  }

  /** The last slot of a page was given back: the page is, too, unless it is the only one of its size with room. */
  private emptied(rec: number): void {
    if (this.load(rec, record.next) !== 0 || this.load(rec, record.previous) !== 0) this.dropPage(rec);
  }

  /** Makes a free block of a page without used slots, which is not lent. */
  protected dropPage(rec: number): void {
    const page = this.pageAt(rec);
    const kind = this.kindAt(rec);
    const size = this.slotBytes(kind);
    this.unlinkPage(rec, kind);
    this.setWord(field.slotsThere, this.word(field.slotsThere) - size * this.loadByte(rec, record.slots));
    this.dropRecord(rec);
    this.addOwn(0 - pageBytes(size));
    this.release(page - WIDE_HEADER, pageBytes(size));
  }

  /** The map forgets a page, and its record can be used again. */
  private dropRecord(rec: number): void {
    const page = this.pageAt(rec);
    const size = this.slotBytes(this.kindAt(rec));
    this.setCells(page, size, 0);
    this.giveRecord(rec, unitsOf(this.slotsIn(rec)));
    const records = this.word(field.records) - 1;
    this.setWord(field.records, records);
    if (records === 0) this.setUnpaged(this.word(field.first));
  }

  /** A record of so many units can be used again. */
  protected giveRecord(rec: number, units: number): void {
    this.store(rec, this.wordAt(field.freeRecords, units - 1), record.page);
    this.setWordAt(field.freeRecords, units - 1, rec);
  }

  /** From here on there are no pages. */
  protected setUnpaged(from: number): void {
    const compacting = this.word(field.compacting);
    this.setWord(field.unpaged, from < compacting ? compacting : from);
  }

  /** Tells the map what record the page for slots of this size has. */
  protected setCells(page: number, size: number, rec: number): void {
    const place = choose(rec !== 0, page + (size >>> 4), 0);
    const first = page >>> CELL_BITS;
    for (let cell = first; cell < first + cellsOf(size); cell++) {
      this.store(this.entryAt(cell), rec, 0);
      this.store(this.entryAt(cell), place, 4);
    }
  }

  /**
   * Takes back a slot of a lent page; false, and nothing happens, when none begins here. The block that it is part of is free when it was the last one
   * in there.
   */
  private giveLent(rec: number, payload: number): boolean {
    const taken = this.slotAt(rec, payload);
    if (taken === NOWHERE) return false;
    const size = this.slotBytes(this.kindAt(rec));
    const slack = this.loadByte(rec + taken, record.states);
    const used = this.loadByte(rec, record.used) - 1;
    this.subtract(field.requested, size - slack, 1);
    this.storeByte(rec + taken, FREE_SLOT + NO_SLOT, record.states);
    this.storeByte(rec, used, record.used);
    this.setWord(field.slotsUsed, this.word(field.slotsUsed) - size);
    this.setWord(field.slotsThere, this.word(field.slotsThere) - size);
    const slots = this.loadByte(rec, record.lent);
    let from = taken;
    let to = taken + 1;
    while (from > 0 && this.loadByte(rec + from - 1, record.states) !== LENT_SLOT) {
      from--;
      if (this.loadByte(rec + from, record.states) < LENT_SLOT) return true;
    }
    while (to < slots && this.loadByte(rec + to, record.states) !== LENT_SLOT) {
      if (this.loadByte(rec + to, record.states) < LENT_SLOT) return true;
      to++;
    }
    for (let each = from; each < to; each++) this.storeByte(rec + each, LENT_SLOT, record.states);
    const block = this.pageAt(rec) + from * size - WIDE_HEADER;
    if (used === 0) this.dropRecord(rec);
    const bytes = (to - from) * size + ALIGNED;
    this.addOwn(0 - bytes);
    this.release(block, bytes);
    return true;
  }
}

/** How many units the record of a page with so many slots has. */
export function unitsOf(slots: number): number {
  return (record.states + slots + RECORD_UNIT - 1) >>> RECORD_BITS;
}
