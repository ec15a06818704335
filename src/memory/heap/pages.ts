/**
 * Pages of small blocks, see layout.ts. With tens of thousands of blocks what a heap waits for is the memory: headers and
 * links at random places. Of a block in a page neither is touched; records of all pages together stay in the caches.
 */
import { FreeLists, type Words } from "./free-lists.js";
import {
  BLOCK_HEADER,
  FREE_SLOT,
  field,
  GRANULE,
  LARGEST_SLOT,
  NO_SLOT,
  PAGE,
  PAGE_BITS,
  PAGE_CODE,
  PREV_FREE,
  record,
  SLOT_BYTES,
  USED,
} from "./layout.js";

/** Blocks that sweeping may look at for each that was freed. */
export const CREDIT = 4;

/** For each size in granules: slots of a page, and what division by it is as a multiplication, in 20 bits. */
const slotsFor = new Int32Array(LARGEST_SLOT / GRANULE + 1);
const inverse = new Int32Array(LARGEST_SLOT / GRANULE + 1);
for (let granules = 1; granules < slotsFor.length; granules++) {
  slotsFor[granules] = Math.floor(PAGE / (granules * GRANULE));
  inverse[granules] = Math.ceil(2 ** 20 / granules);
}

/** Slots of a page for blocks of so many granules. */
export function slotsOf(granules: number): number {
  return slotsFor[granules]!;
}

export abstract class Pages extends FreeLists {
  /** Nobody uses the page any more. */
  protected abstract releasePage(at: number): void;

  /** Address of the record of the page that a payload would lie in, or 0. */
  recordOf(words: Words, payload: number): number {
    const { header } = this;
    const cell = payload >>> PAGE_BITS;
    if (cell >= words[header + field.cells]!) return 0;
    return words[(words[header + field.map]! >>> 2) + cell]! >>> 0;
  }

  /** Number of the slot whose payload this is, or -1: there is none, or it is free. */
  protected slotOf(words: Words, at: number, payload: number, bytes = this.memory.u8): number {
    const rec = at >>> 2;
    const granules = words[rec + record.granules]!;
    const offset = payload - BLOCK_HEADER - (words[rec + record.page]! >>> 0);
    const slot = Math.imul(offset >>> 4, inverse[granules]!) >>> 20;
    if (Math.imul(slot, granules) << 4 !== offset || slot >= slotsFor[granules]!) return -1;
    return bytes[at + SLOT_BYTES + slot]! < FREE_SLOT ? slot : -1;
  }

  /** Takes a slot of a page that has one; returns its payload. */
  protected takeSlot(words: Words, at: number, size: number, requested: number): number {
    const { header } = this;
    const { bytes } = this;
    const rec = at >>> 2;
    const slot = words[rec + record.free]!;
    const place = at + SLOT_BYTES + slot;
    const next = bytes[place]! & NO_SLOT;
    bytes[place] = size - BLOCK_HEADER - requested;
    words[rec + record.free] = next;
    words[rec + record.used] = words[rec + record.used]! + 1;
    if (next === NO_SLOT) this.unlinkPage(words, at);
    words[header + field.used] = (words[header + field.used]! + size) | 0;
    words[header + field.requested] = (words[header + field.requested]! + requested) | 0;
    words[header + field.blocks] = (words[header + field.blocks]! + 1) | 0;
    return (words[rec + record.page]! + BLOCK_HEADER + Math.imul(slot, size)) >>> 0;
  }

  /** Takes back a slot; false, and nothing happens, when none that is used begins here. */
  protected giveSlot(words: Words, at: number, payload: number): boolean {
    const { header } = this;
    const { bytes } = this;
    const slot = this.slotOf(words, at, payload, bytes);
    if (slot < 0) return false;
    const rec = at >>> 2;
    const size = words[rec + record.granules]! << 4;
    const place = at + SLOT_BYTES + slot;
    const requested = size - BLOCK_HEADER - bytes[place]!;
    const next = words[rec + record.free]!;
    const used = words[rec + record.used]! - 1;
    bytes[place] = FREE_SLOT | next;
    words[rec + record.free] = slot;
    words[rec + record.used] = used;
    words[header + field.used] = (words[header + field.used]! - size) | 0;
    words[header + field.requested] = (words[header + field.requested]! - requested) | 0;
    words[header + field.blocks] = (words[header + field.blocks]! - 1) | 0;
    words[header + field.credit] = (words[header + field.credit]! + CREDIT) | 0;
    if (next === NO_SLOT) this.linkPage(words, at);
    // the last one with room stays, so that one block that comes and goes doesn't make a page each time
    else if (used === 0 && (words[rec + record.next] !== 0 || words[rec + record.previous] !== 0)) {
      this.releasePage(at);
    }
    return true;
  }

  /** What was asked for a slot. */
  protected slotRequest(words: Words, at: number, payload: number): number {
    const rec = at >>> 2;
    const slot = this.slotOf(words, at, payload);
    return (words[rec + record.granules]! << 4) - BLOCK_HEADER - this.memory.u8[at + SLOT_BYTES + slot]!;
  }

  /** Writes the record of a new page, all of whose slots are free. */
  protected openPage(words: Uint32Array, at: number, page: number, granules: number): void {
    const { header } = this;
    const bytes = this.memory.u8;
    const rec = at >>> 2;
    const slots = slotsOf(granules);
    words[rec + record.page] = page;
    words[rec + record.free] = 0;
    words[rec + record.used] = 0;
    words[rec + record.granules] = granules;
    for (let slot = 0; slot < slots; slot++)
      bytes[at + SLOT_BYTES + slot] = FREE_SLOT | (slot + 1 < slots ? slot + 1 : NO_SLOT);
    words[(page >>> 2) + 1] = PAGE_CODE + (at >>> 4);
    words[(words[header + field.map]! >>> 2) + ((page + BLOCK_HEADER) >>> PAGE_BITS)] = at;
    words[header + field.pages]!++;
    this.linkPage(words, at);
  }

  /** Forgets a page: its block is an ordinary one from now on, or many. */
  protected closePage(words: Uint32Array, at: number): void {
    const { header } = this;
    const rec = at >>> 2;
    const page = words[rec + record.page]!;
    if (words[rec + record.free] !== NO_SLOT) this.unlinkPage(words, at);
    words[(words[header + field.map]! >>> 2) + ((page + BLOCK_HEADER) >>> PAGE_BITS)] = 0;
    words[header + field.pages]!--;
    words[rec + record.page] = words[header + field.freeRecord]!;
    words[header + field.freeRecord] = at;
  }

  /** Makes ordinary blocks of a page, used and free ones. */
  protected dissolve(words: Uint32Array, page: number): void {
    const bytes = this.memory.u8;
    const at = recordAt(words, page);
    const rec = at >>> 2;
    const granules = words[rec + record.granules]!;
    const size = granules << 4;
    const slots = slotsOf(granules);
    let flags = words[page >>> 2]! & PREV_FREE;
    this.closePage(words, at);
    let block = page;
    for (let slot = 0; slot < slots; slot++) {
      const state = bytes[at + SLOT_BYTES + slot]!;
      if (state < FREE_SLOT) {
        words[block >>> 2] = size | USED | flags;
        words[(block >>> 2) + 1] = size - BLOCK_HEADER - state;
      } else {
        words[block >>> 2] = size | flags;
        this.put(words, block, size);
      }
      flags = 0;
      block += size;
    }
    const rest = page + PAGE - block;
    if (rest === 0) return;
    words[block >>> 2] = rest;
    this.put(words, block, rest);
  }

  private linkPage(words: Words, at: number): void {
    const rec = at >>> 2;
    const head = this.header + field.partial + words[rec + record.granules]!;
    const next = words[head]!;
    words[rec + record.next] = next;
    words[rec + record.previous] = 0;
    if (next !== 0) words[(next >>> 2) + record.previous] = at;
    words[head] = at;
  }

  private unlinkPage(words: Words, at: number): void {
    const rec = at >>> 2;
    const next = words[rec + record.next]!;
    const previous = words[rec + record.previous]!;
    if (next !== 0) words[(next >>> 2) + record.previous] = previous;
    if (previous !== 0) words[(previous >>> 2) + record.next] = next;
    else words[this.header + field.partial + words[rec + record.granules]!] = next;
  }
}

/** Address of a page's record, by its block. */
export function recordAt(words: Uint32Array, page: number): number {
  return ((words[(page >>> 2) + 1]! - PAGE_CODE) << 4) >>> 0;
}

/** Whether the second word of a block with a handle says that it is a page. */
export function isPage(second: number): boolean {
  return second >= PAGE_CODE && second < PAGE_CODE + 2 ** 28;
}
