// Checks of what a heap knows of its pages of small blocks.
import { LinmemError } from "../../errors.js";
import type { HeapCore } from "../generated/heap-core.js";
import { hex } from "../views.js";
import {
  ALIGNED,
  CELL,
  CELL_BITS,
  cellsOf,
  ENTRY_BITS,
  FREE_SLOT,
  field,
  GRANULE,
  INVERSE_BITS,
  KEPT_BYTES,
  KEPT_SIZE,
  KEPT_SLOT,
  KIND,
  KIND_BITS,
  KINDS,
  LARGEST_SLOT,
  LEAST_SLOT,
  LENT_SLOT,
  MOST_CELLS,
  MOST_KEPT_BYTES,
  NO_SLOT,
  PAGE_CODE,
  PAGES_OWN,
  pageBytes,
  RECORD_UNIT,
  record,
  slotsOf,
  WIDE_HEADER,
  wideSize,
  wideSizeOf,
} from "./layout.js";

/** What a record says of its page. */
export interface PageRecord {
  page: number;
  /** Bytes of a slot. */
  size: number;
  next: number;
  previous: number;
  free: number;
  used: number;
  slots: number;
  lent: boolean;
}

/** Address of a page's record, by its block. */
export function recordAt(words: Uint32Array, block: number): number {
  return ((words[(block >>> 2) + 1]! - PAGE_CODE) << 4) >>> 0;
}

/** Whether the second word of a block with a handle says that it is a page, or a part of a lent one. */
export function isPage(second: number): boolean {
  return second >= PAGE_CODE && second < PAGE_CODE + 2 ** 28;
}

export function readRecord(core: HeapCore, rec: number): PageRecord {
  const { u32: words, u8: bytes } = core.memory;
  const word = (name: keyof typeof record) => words[(rec + record[name]) >>> 2]!;
  const byte = (name: keyof typeof record) => bytes[rec + record[name]]!;
  const kind = (word("page") & KIND) >>> 0;
  const lent = byte("lent");
  return {
    page: word("page") - kind,
    size: kind === 0 ? LEAST_SLOT : kind * ALIGNED,
    next: word("next"),
    previous: word("previous"),
    free: byte("free"),
    used: byte("used"),
    slots: lent === 0 ? byte("slots") : lent,
    lent: lent !== 0,
  };
}

/** Index of the first word that the map has for a cell. */
function entryAt(core: HeapCore, cell: number): number {
  return (core.get("map") + (cell << ENTRY_BITS)) >>> 2;
}

/** The record that the map has for a cell, or 0. */
function recordIn(core: HeapCore, cell: number): number {
  return cell < core.get("cells") ? core.memory.u32[entryAt(core, cell)]! : 0;
}

/** Checks where the map of pages lies. */
export function checkMap(core: HeapCore): void {
  const words = core.memory.u32;
  const [map, cells] = [core.get("map"), core.get("cells")];
  if (map === 0 && cells === 0) return;
  const at = (map - WIDE_HEADER) >>> 2;
  const right = wideSizeOf(words[at + 2]!) === wideSize(cells << ENTRY_BITS);
  const inside = map % GRANULE === 0 && map > core.get("first") && map < core.get("top");
  if (!inside || cells > MOST_CELLS || words[at + 1] !== PAGES_OWN || !right)
    throw damaged(map, "is no map of pages");
}

/**
 * Checks that the map has the pages that there are and no others, that those with room are in the list of their size, and
 * what is counted.
 * @param found used slots by records, as the walk over all blocks came to them
 */
export function checkRecords(core: HeapCore, found: ReadonlyMap<number, number>): void {
  const words = core.memory.u32;
  const wrong = (what: string) => damaged(core.header * 4, what);
  const open = new Set<number>();
  let there = 0;
  let cells = 0;
  for (const [rec, blocks] of found) {
    const { page, size, slots, used, free, lent } = readRecord(core, rec);
    if (used !== blocks) throw damaged(page - WIDE_HEADER, "is a page that counts its slots wrongly");
    there += size * (lent ? used : slots);
    if (free !== NO_SLOT) open.add(rec);
    const from = page >>> CELL_BITS;
    const to = from + cellsOf(size);
    for (let cell = from; cell < to; cell++)
      if (recordIn(core, cell) !== rec || words[entryAt(core, cell) + 1] !== words[(rec + record.page) >>> 2])
        throw damaged(page - WIDE_HEADER, "is a page that the map doesn't have");
    cells += to - from;
  }
  for (let cell = 0; cell < core.get("cells"); cell++) if (recordIn(core, cell) !== 0) cells--;
  if (cells !== 0) throw wrong("has a map of other pages than it has");
  if (found.size !== core.get("records") || there !== core.get("slotsThere"))
    throw wrong("counts its pages wrongly");
  for (let kind = 0; kind < KINDS; kind++) {
    const size = kind === 0 ? LEAST_SLOT : kind * ALIGNED;
    const at = core.header + (kind << KIND_BITS);
    if (words[at + field.slotBytes] !== size || words[at + field.inverse] !== inverseOf(size))
      throw wrong(`divides wrongly by ${size} bytes`);
    let previous = 0;
    for (let rec = words[at + field.partial]!; rec !== 0; ) {
      const each = open.delete(rec) ? readRecord(core, rec) : undefined;
      if (each?.size !== size || each.previous !== previous)
        throw wrong(`has a wrong list of pages for ${size} bytes`);
      previous = rec;
      rec = each.next;
    }
  }
  checkFreshRecords(core);
  let pools = 0;
  for (let pool = core.get("pools"); pool !== 0; pools++) {
    if (words[(pool - WIDE_HEADER + 4) >>> 2] !== PAGES_OWN || pools >= core.get("ownBlocks"))
      throw wrong("has a wrong list of records");
    pool = words[pool >>> 2]!;
  }
  const stacks = Number(words[core.header + field.kept] !== 0);
  if (pools + Number(core.get("cells") > 0) + stacks !== core.get("ownBlocks"))
    throw wrong("has a wrong list of records");
  if (open.size > 0) throw wrong("has pages with room that are in no list");
}

/** What of the last block of records was never used ends with that block. */
function checkFreshRecords(core: HeapCore): void {
  const pool = core.get("pools");
  const [fresh, end] = [core.get("freshRecord"), core.get("recordsEnd")];
  const right =
    pool === 0
      ? fresh === 0 && end === 0
      : end === pool + core.memory.u32[(pool + 4) >>> 2]! &&
        fresh > pool &&
        fresh <= end &&
        fresh % RECORD_UNIT === 0;
  if (!right) throw damaged(core.header * 4, "has records where none can be");
}

function inverseOf(size: number): number {
  return Math.ceil(2 ** INVERSE_BITS / (size / GRANULE));
}

/**
 * Checks the stacks of slots that are kept.
 * @param found how many slots of a kind are in that state, as the walk over all blocks came to them
 * @returns their bytes
 */
export function checkKept(core: HeapCore, found: Uint32Array): number {
  const { u32: words, u8: states } = core.memory;
  const wrong = (what: string) => damaged(core.header * 4, what);
  const stack = core.get("keptMask") === 0 ? 0 : core.get("keptMask") + 1;
  const first = (words[core.header + field.kept]! & -stack) >>> 0;
  if (first === 0 ? stack !== 0 : stack !== KEPT_BYTES && stack !== MOST_KEPT_BYTES)
    throw wrong("keeps slots in stacks of an impossible size");
  const own = words[(first - WIDE_HEADER + 4) >>> 2] === PAGES_OWN;
  if (first !== 0 && !(own && first < core.get("top"))) throw wrong("keeps slots where it can't");
  const seen = new Set<number>();
  let bytes = 0;
  for (let kind = 0; kind < KINDS; kind++) {
    const base = first === 0 ? 0 : first + kind * stack;
    const kept = words[core.header + field.kept + (kind << KIND_BITS)]!;
    const count = (kept - base) / KEPT_SIZE;
    if (kept < base || kept >= base + Math.max(stack, 1) || count !== found[kind])
      throw wrong(`keeps another number of slots than ${found[kind]} of kind ${kind}`);
    if (count > 0 && core.get("keptSome") === 0) throw wrong("does not know that it keeps slots");
    for (let at = base; at < kept; at += KEPT_SIZE) {
      const [payload, state] = [words[at >>> 2]!, words[(at >>> 2) + 1]!];
      const rec = recordIn(core, payload >>> CELL_BITS);
      const each = rec === 0 ? undefined : readRecord(core, rec);
      const slot = state - rec - record.states;
      const right =
        each?.lent === false && each.size >>> 4 === kind && each.page + slot * each.size === payload;
      if (!right || slot >= each.slots || states[state] !== KEPT_SLOT || seen.has(state))
        throw wrong(`keeps a slot at ${hex(payload)} that is none`);
      seen.add(state);
      bytes += each.size;
    }
  }
  return bytes;
}

/** Bytes of slots that are kept. */
export function keptIn(core: HeapCore): number {
  const words = core.memory.u32;
  let bytes = 0;
  for (let at = core.header + field.kept; at < core.header + field.kept + (KINDS << KIND_BITS); at += 4)
    bytes += ((words[at]! & core.get("keptMask")) / KEPT_SIZE) * words[at + field.slotBytes - field.kept]!;
  return bytes;
}

/** Checks a page, or a block of a lent one; returns what it holds. */
export function checkPage(
  core: HeapCore,
  block: number,
  { address, size: whole }: { address: number; size: number },
) {
  const { u32: words, u8: bytes } = core.memory;
  const rec = recordAt(words, block);
  const wrong = (what: string) => damaged(block, `is a page ${what}`);
  if (rec === 0 || recordIn(core, address >>> CELL_BITS) !== rec) throw wrong("that the map doesn't have");
  const { page, size, slots, free, lent } = readRecord(core, rec);
  const right = size <= LARGEST_SLOT && page % CELL === 0 && slots === slotsOf(size);
  if (!right) throw wrong("with a wrong record");
  const first = lent ? (address - page) / size : 0;
  const state = (slot: number) => bytes[rec + record.states + slot]!;
  let end = first;
  while (end < slots && state(end) !== LENT_SLOT) end++;
  const sum = { rec, kind: size >>> 4, used: 0, requested: 0, blocks: 0, kept: 0 };
  for (let slot = first; slot < end; slot++) {
    const slack = state(slot);
    if (slack === KEPT_SLOT) sum.kept++;
    if (slack >= KEPT_SLOT) continue;
    if (slack >= LENT_SLOT || slack > size) throw wrong("with a slot in an impossible state");
    sum.used += size;
    sum.requested += size - slack;
    sum.blocks++;
  }
  const apart = first === 0 || state(first - 1) === LENT_SLOT;
  const bytesNeeded = lent ? (end - first) * size + ALIGNED : pageBytes(size);
  if (
    !Number.isInteger(first) ||
    !apart ||
    whole !== bytesNeeded ||
    (lent ? sum.blocks === 0 || sum.kept > 0 : end < slots)
  )
    throw wrong("whose slots are not where its block is");
  if (lent) {
    if (free !== NO_SLOT) throw wrong("that is lent, and has room");
    return sum;
  }
  let count = 0;
  for (let slot = free; slot !== NO_SLOT; count++) {
    if (slot >= slots || state(slot) < FREE_SLOT || count >= slots)
      throw wrong("with a wrong list of free slots");
    slot = state(slot) - FREE_SLOT;
  }
  if (count + sum.blocks + sum.kept !== slots) throw wrong("with free slots that are in no list");
  return sum;
}

export function damaged(address: number, what: string): LinmemError {
  return new LinmemError(
    "ERR_LINMEM_HEAP_DAMAGED",
    `the heap is damaged: the block at ${hex(address)} ${what}`.replace(" :", ":"),
  );
}
