/**
 * Slots of pages, see layout.ts. With tens of thousands of blocks what a heap waits for is the memory: headers and links
 * at random places. Of a slot nothing is touched; records of all pages together stay in the caches. Compiled twice, see
 * access.ts.
 */

import {
  ALIGNED,
  CELL_BITS,
  cellsOf,
  FREE_SLOT,
  field,
  GRANULE,
  HEADER,
  INVERSE_BITS,
  LENT_SLOT,
  NO_SLOT,
  pageBytes,
  record,
  WIDE_HEADER,
} from "../layout.js";
import { Blocks } from "./blocks.js";

/** No slot that is used begins there. */
const NOWHERE = 0xffff_ffff;

export class Slots extends Blocks {
  /**
   * Address of the record of the page that a payload lies in, or 0. That of a small block behind a page lies up to 8 bytes before
   * the next cell.
   */
  // @inline
  protected recordOf(payload: number): number {
    const cell = (payload + GRANULE) >>> CELL_BITS;
    return cell < this.word(field.cells) ? this.load(this.word(field.map) + (cell << 2), 0) : 0;
  }

  /** Number of the used slot that begins here, or `NOWHERE`. */
  // @inline
  private slotAt(rec: number, payload: number): number {
    const offset = (payload - this.load(rec, record.page)) >>> 0;
    const slot = ((offset >>> 3) * this.load(rec, record.inverse)) >>> INVERSE_BITS;
    if (slot * this.load(rec, record.size) !== offset || slot >= this.loadByte(rec, record.slots))
      return NOWHERE;
    return this.loadByte(rec + slot, record.states) < LENT_SLOT ? slot : NOWHERE;
  }

  protected isSlot(rec: number, payload: number): boolean {
    return this.slotAt(rec, payload) !== NOWHERE;
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
    if (next === NO_SLOT) this.unlinkPage(rec, size);
    return this.load(rec, record.page) + slot * size;
  }

  /** Takes back a slot; false, and nothing happens, when none that is used begins here. */
  // @inline
  protected giveSlot(rec: number, payload: number): boolean {
    const slot = this.slotAt(rec, payload);
    if (slot === NOWHERE) return false;
    const size = this.load(rec, record.size);
    const requested = size - this.loadByte(rec + slot, record.states);
    const used = this.loadByte(rec, record.used) - 1;
    const next = this.loadByte(rec, record.free);
    this.storeByte(rec + slot, FREE_SLOT + next, record.states);
    this.storeByte(rec, used, record.used);
    this.setWord(field.slotsUsed, this.word(field.slotsUsed) - size);
    this.subtract(field.requested, requested, 1);
    if (next !== NO_SLOT) {
      this.storeByte(rec, slot, record.free);
      if (used === 0) this.emptied(rec);
    } else if (this.loadByte(rec, record.lent) !== 0) {
      this.giveLent(rec, slot, size);
    } else {
      this.storeByte(rec, slot, record.free);
      this.linkPage(rec, size);
    }
    return true;
  }

  /** Whether what lies there belongs to the page alone: not what is behind its slots, nor a part of a page that is lent. */
  protected isWithin(rec: number, payload: number): boolean {
    const behind =
      this.load(rec, record.page) + this.load(rec, record.size) * this.loadByte(rec, record.slots);
    return this.loadByte(rec, record.lent) === 0 && payload < behind + HEADER;
  }

  /** What was asked for a used slot. */
  protected slotRequest(rec: number, payload: number): number {
    return this.load(rec, record.size) - this.loadByte(rec + this.slotAt(rec, payload), record.states);
  }

  protected setSlotRequest(rec: number, payload: number, requested: number): void {
    const slack = this.load(rec, record.size) - requested;
    this.storeByte(rec + this.slotAt(rec, payload), slack, record.states);
  }

  protected linkPage(rec: number, size: number): void {
    const head = size >>> 4;
    const next = this.wordAt(field.partial, head);
    this.store(rec, next, record.next);
    this.store(rec, 0, record.previous);
    if (next !== 0) this.store(next, rec, record.previous);
    this.setWordAt(field.partial, head, rec);
  }

  protected unlinkPage(rec: number, size: number): void {
    const next = this.load(rec, record.next);
    const previous = this.load(rec, record.previous);
    if (next !== 0) this.store(next, previous, record.previous);
    if (previous !== 0) this.store(previous, next, record.next);
    else this.setWordAt(field.partial, size >>> 4, next);
  }

  /** The last slot of a page was given back: the page is, too, unless it is the only one of its size with room. */
  private emptied(rec: number): void {
    if (this.load(rec, record.next) !== 0 || this.load(rec, record.previous) !== 0) this.dropPage(rec);
  }

  /** Makes a free block of a page without used slots, which is not lent. */
  protected dropPage(rec: number): void {
    const page = this.load(rec, record.page);
    const size = this.load(rec, record.size);
    this.unlinkPage(rec, size);
    this.setWord(field.slotsThere, this.word(field.slotsThere) - size * this.loadByte(rec, record.slots));
    this.dropRecord(rec);
    this.addOwn(0 - pageBytes(size));
    this.release(page - WIDE_HEADER, pageBytes(size));
  }

  /** The map forgets a page, and its record can be used again. */
  private dropRecord(rec: number): void {
    const size = this.load(rec, record.size);
    this.setCells(this.load(rec, record.page), size, 0);
    const kind = recordKind(this.loadByte(rec, record.slots));
    this.store(rec, this.wordAt(field.freeRecords, kind), record.page);
    this.setWordAt(field.freeRecords, kind, rec);
    const records = this.word(field.records) - 1;
    this.setWord(field.records, records);
    if (records === 0) this.setUnpaged(this.word(field.first));
  }

  /** From here on there are no pages. */
  protected setUnpaged(from: number): void {
    const compacting = this.word(field.compacting);
    this.setWord(field.unpaged, from < compacting ? compacting : from);
  }

  /** Tells the map what record the page for slots of this size has. */
  protected setCells(page: number, size: number, rec: number): void {
    let cell = this.word(field.map) + ((page >>> CELL_BITS) << 2);
    const end = cell + (cellsOf(size) << 2);
    for (; cell < end; cell += 4) this.store(cell, rec, 0);
  }

  /** A slot of a lent page is free: so is the block that it is part of, when that was the last one. */
  private giveLent(rec: number, slot: number, size: number): void {
    this.setWord(field.slotsThere, this.word(field.slotsThere) - size);
    const slots = this.loadByte(rec, record.slots);
    let from = slot;
    let to = slot + 1;
    while (from > 0 && this.loadByte(rec + from - 1, record.states) !== LENT_SLOT) {
      from--;
      if (this.loadByte(rec + from, record.states) < LENT_SLOT) return;
    }
    while (to < slots && this.loadByte(rec + to, record.states) !== LENT_SLOT) {
      if (this.loadByte(rec + to, record.states) < LENT_SLOT) return;
      to++;
    }
    for (let each = from; each < to; each++) this.storeByte(rec + each, LENT_SLOT, record.states);
    const block = this.load(rec, record.page) + from * size - WIDE_HEADER;
    if (this.loadByte(rec, record.used) === 0) this.dropRecord(rec);
    const bytes = (to - from) * size + ALIGNED;
    this.addOwn(0 - bytes);
    this.release(block, bytes);
  }
}

/** Which list of records one with so many slots belongs to. */
export function recordKind(slots: number): number {
  return (record.states + slots - 1) >>> 6;
}
