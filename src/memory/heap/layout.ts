/**
 * How a `Heap` lies in its memory. All of its state is there, so that another realm can open it again. Numbers are
 * unsigned 32-bit words in the byte order of WebAssembly.
 *
 * ```
 *  start                      first                                          top            end
 *  | header                   | block | block | block | … | block            | never used   |
 *  | magic … counters | bitmap | heads of the bins |
 * ```
 *
 * A block begins 4 bytes before a multiple of 8, and its size is a multiple of 8. Its header are 16 bits, in the upper half of
 * its first word; the lower half belongs to the block before, whose payload ends there:
 *
 * ```
 *                   ├ size ───────────────────────────────────────────────────────────────────┤
 *  small:  |     …| check:4 requested:10 PREV_FREE 1 | payload …                              …|
 *  wide:   |     …| check:12 MOVABLE 1 PREV_FREE 0   | requested | size | payload …           …|
 *  free:   |     …| 0                                | next      | previous | size | … | size |
 *  of 8:   |     …| previous, upper half   0 0 0     | next, 1   | previous, lower half |
 *          0      2                                  4           8          12
 * ```
 *
 * Blocks of up to 1,022 bytes have no more than those 16 bits, and their size follows from what was asked for. `check` are bits of the address, which few other words have just there: with them, and with
 * what the header of the block behind says, `free` tells a block from what is none. All other blocks are wide: the upper half of their size's word lies where the header
 * of a small one would, and never looks like one (`sizeWord`). Free blocks of one bin form a list in both directions. Those of 8 bytes have room for nothing else: addresses
 * of blocks are multiples of 4 and sizes of 8, so that the lowest bit is free to say so, from both ends. No two free blocks
 * are neighbours, and the last block is never free; the block behind a free one knows that (`PREV_FREE`).
 *
 * Outside of pages, requests of at most 2 bytes share a block of 8 bytes, a *pair*: its header is one that no other block has, and what the second header
 * would be says what was asked for each half, or that it is free. Half of one pair that is half free is given out first (`openPair`).
 *
 * ```
 *  pair:   |     …| check:12 WIDE 0 0 | first | check:12 second:2 first:2 | second …|
 *          0      2                   4       6                          8         10
 * ```
 *
 * A movable block is a wide one with the number of its handle instead of what was asked for. The handle's entry leads back:
 *
 * ```
 *  movable: | check, flags | handle | size | payload …   |  ◄─┐
 *  entry:   | address ●────│────────│──────│─────────────│────┘
 *           | requested | pins | generation |
 * ```
 *
 * Entries lie in chunks of 64, so that the table grows without being copied; a directory has the chunks' addresses, and
 * the header that of the directory. Both are movable blocks too, small enough to go into holes; their handles are
 * `CHUNK` and above.
 *
 * Small blocks lie in pages when there are many: slots of one size without headers. What those would say is in the page's
 * *record*, out of line, so that allocating and releasing touch nothing else. A page is a block of 2, 4 or 8 KiB whose
 * payload lies at a multiple of 2 KiB, its cells; that for slots of 8 bytes is a little less, and the rest of its cell is for other blocks:
 *
 * ```
 *  page:    | check, flags | code of the record | size | slot | slot | slot | … | rest |
 *  record:  | page, kind | next | previous | free used slots lent | a byte for each slot … |
 *  map:     | 0, 0 | record; page, kind | record; page, kind | 0, 0 | …    for each 2 KiB of the memory
 * ```
 *
 * The map finds the record by the address. It has the page and the kind of its slots, too: which slot an address is, and whether that is used, can be
 * found out without waiting for one word of the record after the other.
 *
 * A slot that is freed is *kept* at first: it goes on the stack of its size, and its page is not told. Whoever asks for that
 * size next gets the last one of the stack, so that lists of pages change only where a stack runs empty or over. Before a heap takes
 * space that was never used all that is kept goes back to the pages.
 *
 * ```
 *  kind:    | kept ●──────│ partial | inverse of the size | size |      one for each size, in the header
 *                         ▼
 *  stack:   | slot, state | slot, state | … | slot, state |  |  |  |
 * ```
 *
 * A page in which little is left is *lent* to blocks of other sizes when there is no other memory. Runs of free slots become
 * free blocks; a run of used ones has a free slot before it, and room for a header in there:
 *
 * ```
 *  slots:   |  used   |  free   |  free   |  free   |  used   |  used   |  free   |
 *  blocks: H|  used     H| free block           H|  used     used     H| free block …
 * ```
 *
 * Their headers say what that of the page said. Where the free slots between used ones are too small for a header, or would leave
 * less than a block, they stay in the run. The record stays until the last slot is free.
 */

import { choose, highestBit } from "./bits.js";

/** `lmHp` in little-endian order. */
export const MAGIC = 0x7048_6d6c;
export const VERSION = 11;

/** Words of the header, from `start`. */
export const field = {
  magic: 0,
  version: 1,
  start: 2,
  first: 3,
  /** Behind the last block. */
  top: 4,
  /** Behind what the heap may use now. */
  end: 5,
  /** Behind what it may ever use; 2^32 - 1 when nothing but the memory bounds it. */
  ceiling: 6,
  /** 1 in debug mode, see guard.ts. */
  guarded: 7,
  /** What was asked for, of all used blocks; and how many they are. Both are counted at once, as a word of 64 bits. */
  requested: 8,
  blocks: 9,
  /** Bytes of free blocks. */
  free: 10,
  /** Bytes of used slots; of them and of those that are free in pages that are not lent. */
  slotsUsed: 11,
  slotsThere: 12,
  /** Which words of the bitmap are not 0. */
  summary: 13,
  /** The block that compaction goes on with; 0 when none was begun. */
  compacting: 14,
  /** Walks of this compaction, see compact.ts. */
  walks: 15,
  /** Bins that are not empty. */
  bitmap: 16,
  /** Live handles of movable blocks. */
  movable: 31,
  /** Handles that were ever given out: entries from here on were never used. */
  handles: 32,
  /** A handle that can be given out again, plus 1; 0 when there is none. */
  freeHandle: 33,
  /** Counts handles given out, so that an old one is told from a new one of the same number. */
  generation: 34,
  /** Payload of the directory of chunks of entries, and how many it has room for. */
  directory: 35,
  room: 36,
  /** Chunks that there are. */
  chunks: 37,
  /** Payload of the map of pages, and how many entries it has: one for each 2 KiB of the memory, from address 0 on. */
  map: 38,
  cells: 39,
  /** The first records that can be used again, of 32, 64 and so on up to 256 bytes; 0 when there is none. */
  freeRecords: 40,
  /** Bytes of blocks that are the heap's own: pages, records, the map and the stacks. */
  own: 48,
  /** How many of those are no pages. */
  ownBlocks: 49,
  /** Records in use. */
  records: 50,
  /** Bytes in use from which on there are pages. */
  pagesFrom: 51,
  /** The cell of the map that lending goes on with. */
  cursor: 52,
  /** While there is no free block, no compaction under way, and too little in use for pages: up to where small requests may take what is above the top. Else 0. */
  stack: 53,
  /** The last block of records that was made: each begins with the address of the one before, and its size. */
  pools: 54,
  /** From here to the top all is blocks, none of which is a page or that with which compaction goes on. */
  unpaged: 55,
  /** Written instead of neighbours that free blocks don't have, and never read. */
  nowhere: 56,
  /** 0 when no slot is kept; it may be 1 then, too. */
  keptSome: 57,
  /** What of the last block of records was never used: from here to there. */
  freshRecord: 58,
  recordsEnd: 59,
  /** Bytes of a stack of kept slots, less 1; 0 when there are none. */
  keptMask: 60,
  /** A pair of which one half is free, or 0; and how many pairs are like that. */
  openPair: 61,
  openPairs: 62,
  /**
   * For each size of slots, the smallest first, four words: behind the last slot that is kept, see `KEPT_BYTES`, or 0 before there was a page;
   * the first record of a page with room; division by the size in granules, as a multiplication: 2 to the power of `INVERSE_BITS`
   * over it; and the size.
   */
  kept: 64,
  partial: 65,
  inverse: 66,
  slotBytes: 67,
  heads: 324,
} as const;

/** Granules of 8 bytes with a bin of their own; above, 16 bins for each power of two. */
const EXACT = 128;
export const BINS = EXACT + 16 * 22;
const HEADER_WORDS = field.heads + BINS;
export const HEADER_BYTES = 4 * HEADER_WORDS;

/** Where a block's header is. */
export const HALF = 2;
/** Bits of a header: this block is used, and small. */
export const SMALL = 1;
/** The block before is free. */
export const PREV_FREE = 2;
/** This block is used, and has a header of three words. */
export const WIDE = 4;
/** It is used. */
export const USED = SMALL | WIDE;
/** This wide block has a handle, and may be moved unless that is pinned. */
export const MOVABLE = 8;
/** What was asked for a small block, in its header. */
const ASKED_SHIFT = 2;
const ASKED = 0x3ff;
/** Bits of the block's address, moved up by so much, which small ones have, and wide ones. */
const SMALL_SHIFT = 9;
const SMALL_CHECK = 0xf000;
const WIDE_SHIFT = 1;
const WIDE_CHECK = 0xfff0;
/** What bits of the address are changed by, so that a row of equal words is no header. */
const WIDE_MARK = 0xa5c0;
const PAIR_MARK = 0x5a30;
const HALVES_MARK = 0x3c60;

/** Words of a handle's entry. */
export const entry = {
  /** Of the payload as whoever asked for it sees it; 0 while the handle is free. */
  address: 0,
  /** What was asked for; of a free handle the next free one, plus 1. */
  requested: 1,
  /** How many want it to stay where it is. */
  pins: 2,
  generation: 3,
} as const;
export const ENTRY_BYTES = 16;
/** Entries of a chunk: 2 to this power. */
export const CHUNK_BITS = 6;
export const CHUNK_BYTES = ENTRY_BYTES << CHUNK_BITS;
/** Handles from here on are not blocks of anybody's, but chunks of entries; the highest is the directory. */
export const CHUNK = 0xf000_0000;
export const DIRECTORY = 0xffff_ffff;
/** Handles are below. */
export const MOST_HANDLES = 2 ** 27;

/** Pages lie in one, two or four cells of the map, of so many bytes each. */
export const CELL = 2048;
export const CELL_BITS = 11;
/** Bytes that the map has for each cell: 2 to this power. */
export const ENTRY_BITS = 3;
/** As many as 2^32 bytes have, and those that the last page may reach over. */
export const MOST_CELLS = 0x20_0004;
/** What a page has instead of a handle, and runs of used slots in one that is lent: this plus the 16th part of its record's address. */
export const PAGE_CODE = 0xe000_0000;
/** What the map and blocks of records have. */
export const PAGES_OWN = 0xdfff_ffff;
/** The smallest slots, the largest, and the largest in pages of 4 KiB, in bytes. Between the first two sizes are multiples of 16. */
export const LEAST_SLOT = 8;
export const LARGEST_SLOT = 1024;
const SMALL_SLOT = 128;

/** Bytes of a page's record. */
export const record = {
  /** The page's address, of its first slot, and in the lowest bits the kind of its slots; of a record that isn't used the next one. */
  page: 0,
  /** Records of other pages for that size that have room. */
  next: 4,
  previous: 8,
  /** The first free slot, or `NO_SLOT`. */
  free: 12,
  /** How many slots are used, or kept; how many there are. */
  used: 13,
  slots: 14,
  /** How many slots a page has that is lent: then it has none otherwise. Else 0. */
  lent: 15,
  /** For each slot what it has more than was asked for, or `FREE_SLOT` plus the number of the next free one, `KEPT_SLOT` or `LENT_SLOT`. */
  states: 16,
} as const;
/** Bits of the kind of slots: their size over 16, so that of the smallest is 0. */
export const KIND = 127;
/** Kinds of slots. */
export const KINDS = 65;
/** A kind has 4 words in the header: 2 to this power. */
export const KIND_BITS = 2;
/** Exact for what is at most 1,023 granules from the page's first slot. */
export const INVERSE_BITS = 20;
/** A slot that is part of a block of its own now. What used slots have is less. */
export const LENT_SLOT = 0x11;
/** A free slot that its page does not know to be free. */
export const KEPT_SLOT = 0x12;
export const FREE_SLOT = 0x13;
export const NO_SLOT = 0xff - FREE_SLOT;
/** No more than can be numbered; then a record has 256 bytes. */
const MOST_SLOTS = 236;
/** Records are multiples of this, and lie at multiples of it; so many bytes of them are made at a time, or more. */
export const RECORD_UNIT = 32;
/** Units that the largest has. */
export const MOST_UNITS = 8;
export const LEAST_POOL = 2304;
export const MOST_POOL = 0x4000;

/** Bytes of a stack of kept slots, and what it is aligned to, at first and in large heaps; of one slot in it: its address, and that of its state. The last has no slot. */
export const KEPT_BYTES = 256;
export const MOST_KEPT_BYTES = 1024;
export const KEPT_SIZE = 8;
/** Bytes of slots from which on a heap is a large one. */
export const LARGE = 0x80_0000;

/** Bytes from where a block begins to its payload. */
export const HEADER = 4;
export const WIDE_HEADER = 12;
/** Bytes of a header: of those before the payload 2 belong to the block before. */
const SMALL_COST = 2;
export const WIDE_COST = 10;
/** Sizes and addresses of payloads are multiples of it. */
export const GRANULE = 8;
/** The smallest block. When it is free there is room for its links alone, see `tinyNext`. */
export const TINY = 8;
/** What is asked for half of a pair at most; what half of a pair has instead when it is free; where the second half is. */
export const HALF_MOST = 2;
export const HALF_FREE = 3;
export const HALF_BYTES = 4;
/** Both halves are free. */
export const PAIR_FREE = 0xf;
/** What is asked for a small block at most. */
export const SMALL_MOST = 0x3fe;
/** Blocks below this size have a bin with no other size in it. */
export const EXACT_BYTES = EXACT * GRANULE;
/** Where a heap begins, and where it ends, are multiples of it; so are addresses of slots whose sizes are. */
export const ALIGNED = 16;
/** In debug mode: bytes from the core's payload to that of a block without an alignment of its own. */
export const GUARD_FRONT = 32;
/** The largest request in bytes. */
export const LARGEST = 0x7fff_ff00;

/** How many cells of the map a page has for slots of so many bytes. */
export function cellsOf(size: number): number {
  return size <= 32 ? 1 : size <= SMALL_SLOT ? 2 : 4;
}

/** How many slots of this size a page has. */
export function slotsOf(size: number): number {
  const slots = ((cellsOf(size) * CELL - ALIGNED) / size) >>> 0;
  return slots < MOST_SLOTS ? slots : MOST_SLOTS;
}

/** Bytes of a page, its header included. That for the smallest slots leaves some of its cell to other blocks. */
export function pageBytes(size: number): number {
  return size === LEAST_SLOT ? slotsOf(size) * size + ALIGNED : cellsOf(size) * CELL;
}

/** Size of the slot for a request. */
export function slotSize(requested: number): number {
  const rounded = ((requested + (ALIGNED - 1)) & ~(ALIGNED - 1)) >>> 0;
  return choose(requested <= LEAST_SLOT, LEAST_SLOT, rounded);
}

/** Size of the small block for a request. */
export function smallSize(requested: number): number {
  return ((requested + (SMALL_COST + GRANULE - 1)) & ~(GRANULE - 1)) >>> 0;
}

/** Size of the wide block for a request. */
export function wideSize(requested: number): number {
  return ((requested + (WIDE_COST + GRANULE - 1)) & ~(GRANULE - 1)) >>> 0;
}

/** The header of a small block that is used, behind one that is, too. */
export function smallHeader(block: number, requested: number): number {
  return (((block << SMALL_SHIFT) & SMALL_CHECK) | (requested << ASKED_SHIFT) | SMALL) >>> 0;
}

/** How a header differs from that of a small block at `block` that is used and behind another used one; of it only `PREV_FREE` may. */
export function smallMismatch(block: number, header: number): number {
  return ((header ^ ((block << SMALL_SHIFT) | SMALL)) & (SMALL_CHECK | SMALL | PREV_FREE)) >>> 0;
}

/** Whether a header is that of a small block that is used. */
export function isSmall(block: number, header: number): boolean {
  return (smallMismatch(block, header) & ~PREV_FREE) === 0;
}

/** The header of a wide block that is used, behind one that is, too. */
export function wideHeader(block: number): number {
  return ((((block << WIDE_SHIFT) ^ WIDE_MARK) & WIDE_CHECK) | WIDE) >>> 0;
}

/** Whether a header is that of a wide block that is used. */
export function isWide(block: number, header: number): boolean {
  return ((header ^ wideHeader(block)) & (WIDE_CHECK | USED)) === 0;
}

/** The header of a pair, behind a block that is used. */
export function pairHeader(block: number): number {
  return ((((block << WIDE_SHIFT) ^ PAIR_MARK) & WIDE_CHECK) | WIDE) >>> 0;
}

/** Whether a header is that of a pair. */
export function isPair(block: number, header: number): boolean {
  return ((header ^ pairHeader(block)) & (WIDE_CHECK | USED | MOVABLE)) === 0;
}

/** What the second header of a pair is, by what is asked for its halves: 2 bits each. */
export function halvesHeader(block: number, halves: number): number {
  return ((((block << WIDE_SHIFT) ^ HALVES_MARK) & WIDE_CHECK) | halves) >>> 0;
}

/** What it says of the halves; more than `PAIR_FREE` when it is none. */
export function halvesOf(block: number, header: number): number {
  return (header ^ halvesHeader(block, 0)) >>> 0;
}

/** The third word of a wide block: its size, with bit 16 left out, so that it is never taken for the header of a small block. */
export function sizeWord(size: number): number {
  return (((size >>> 3) & 0xffff) | ((size >>> 2) & 0xfffe_0000)) >>> 0;
}

/** The size that such a word says. */
export function wideSizeOf(word: number): number {
  return (((word & 0xffff) << 3) | ((word & 0xfffe_0000) << 2)) >>> 0;
}

/** What was asked for a small block, by its header. */
export function askedOf(header: number): number {
  return (header >>> ASKED_SHIFT) & ASKED;
}

/** Size of a small block. */
export function smallSizeOf(header: number): number {
  return smallSize(askedOf(header));
}

/** Of a free block of 8 bytes: its second word by the next block of its list, or 0, and the other way round. */
export function tinyNext(block: number): number {
  return choose(block === 0, 1, block - 3);
}

export function tinyNextOf(word: number): number {
  return choose(word === 1, 0, word + 3);
}

/** The same of its header and of the lower half of the word behind it, by the block before it in its list, or 0. */
export function tinyHeader(block: number): number {
  return ((block >>> 16) & 0xfff8) >>> 0;
}

export function tinyRest(block: number): number {
  return ((block >>> 3) & 0xffff) >>> 0;
}

export function tinyPreviousOf(header: number, rest: number): number {
  const place = (((header & 0xfff8) << 16) | (rest << 3)) >>> 0;
  return choose(place === 0, 0, place + HEADER);
}

/** The bin that a block of this size belongs to. */
export function binOf(size: number): number {
  const granules = size >>> 3;
  const power = highestBit(granules);
  return choose(granules < EXACT, granules, EXACT + ((power - 7) << 4) + ((granules >>> (power - 4)) & 15));
}
