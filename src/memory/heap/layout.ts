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
 * A block begins 8 bytes before a multiple of 16, and its size, header included, is a multiple of 16:
 *
 * ```
 *  used:  | size:28 flags:4 | requested | payload …                                   |
 *  free:  | size:28 flags:4 | next      | previous | …                     | size     |
 *         0                 4           8          12               size-4 (if footed)
 * ```
 *
 * `requested` is what was asked for: with the size it tells how much is lost inside blocks, and as only one size goes
 * with it, whether something is a block at all. Free blocks of one bin form a list in both directions.
 *
 * Freed blocks stay as they are, for the next request of their size: most programs ask for few sizes again and again.
 * Neighbours are merged later, a few at each request that finds nothing (`sweep`). A merged block is *footed*: it
 * has its size at its end as well and the block behind it knows (`prevFree`), so that that one can grow backwards.
 *
 * A movable block has the number of its handle where others have what was asked for. The handle's entry leads back:
 *
 * ```
 *  movable: | size:28 flags:4 | handle | payload …   |  ◄─┐
 *  entry:   | address ●───────│────────│─────────────│────┘
 *           | requested | pins | generation |
 * ```
 *
 * Entries lie in chunks of 64, so that the table grows without being copied; a directory has the chunks' addresses, and
 * the header that of the directory. Both are movable blocks too, small enough to go into holes; their handles are
 * `CHUNK` and above.
 *
 * In a heap of some MiB small blocks lie in pages: a page is a block that could be a run of blocks of one size, and what
 * their headers would say is in its *record*, out of line, so that allocating and releasing touch nothing but that:
 *
 * ```
 *  page:    | size:28 flags:4 | record | payload … | (header) | payload … | (header) | payload … | rest |
 *  record:  | page ● | free | used | granules | next | previous | a byte for each slot …               |
 *  map:     | 0 | 0 | record ● | 0 | …   for each 8 KiB of the memory, to find the record by the address
 * ```
 *
 * When merging comes to a page of which half is free, it writes the headers and the page is gone: so pages never keep
 * memory from other sizes.
 */

/** `lmHp` in little-endian order. */
export const MAGIC = 0x7048_6d6c;
export const VERSION = 3;

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
  /** Bytes of all used blocks, with their headers. */
  used: 8,
  requested: 9,
  /** Used blocks. */
  blocks: 10,
  /** The block that sweeping goes on with. */
  cursor: 11,
  /** Blocks that sweeping may look at. */
  credit: 12,
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
  /** Payload of the map of pages, and how many words it has: one for each 8 KiB of the memory, from address 0 on. */
  map: 38,
  cells: 39,
  /** The first record of a page that can be used again; 0 when there is none. */
  freeRecord: 40,
  /** Blocks of records that there are. */
  pools: 41,
  /** Pages that there are. */
  pages: 42,
  /** Bytes in use from which on there are pages. */
  pagesFrom: 43,
  /** For each size below 2 KiB the first record of a page with room. */
  partial: 48,
  heads: 176,
} as const;

/** Granules of 16 bytes with a bin of their own; above, 16 bins for each power of two. */
const EXACT = 128;
export const BINS = EXACT + 16 * 21;
const HEADER_WORDS = field.heads + BINS;
export const HEADER_BYTES = 4 * HEADER_WORDS;

export const USED = 1;
/** The block before is free and footed. */
export const PREV_FREE = 2;
/** This free block has its size at its end. */
export const FOOTED = 4;
/** This used block has a handle, and may be moved unless that is pinned. */
export const MOVABLE = 8;
export const FLAGS = 15;

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

/** A page, and at the same time its header as a block. Its payload lies at a multiple of it. */
export const PAGE = 8192;
export const PAGE_BITS = 13;
/** What a page has instead of a handle: this plus the sixteenth part of its record's address. */
export const PAGE_CODE = 0xe000_0000;
/** What the map and blocks of records have. */
export const PAGES_OWN = 0xdfff_ffff;
/** Sizes of blocks that pages are made for. */
export const LEAST_SLOT = 80;
export const LARGEST_SLOT = 1024;

/** Words of a page's record. */
export const record = {
  /** The page's address; of a record that isn't used the next one. */
  page: 0,
  /** The first free slot, or `NO_SLOT`. */
  free: 1,
  /** Used slots. */
  used: 2,
  /** Size of a slot, in granules. */
  granules: 3,
  /** Records of other pages for that size that have room. */
  next: 4,
  previous: 5,
} as const;
/** A byte for each slot lies here: what it has more than was asked for, or `FREE_SLOT` and the number of the next free one. */
export const SLOT_BYTES = 24;
export const RECORD_BYTES = 128;
export const FREE_SLOT = 0x80;
export const NO_SLOT = 0x7f;
export const POOL_RECORDS = 32;

/** Bytes before the payload. */
export const BLOCK_HEADER = 8;
export const GRANULE = 16;
/** Blocks below this size have a bin with no other size in it. */
export const EXACT_BYTES = EXACT * GRANULE;
/** In debug mode: bytes from the core's payload to that of a block without an alignment of its own. */
export const GUARD_FRONT = 32;
/** The largest request in bytes. */
export const LARGEST = 0x7fff_ff00;

/** Size of the block for a request. */
export function blockSize(requested: number): number {
  return requested <= GRANULE - BLOCK_HEADER ? GRANULE : (requested + BLOCK_HEADER + GRANULE - 1) & ~FLAGS;
}

/** The bin that a block of this size belongs to. */
export function binOf(size: number): number {
  const granules = size >>> 4;
  if (granules < EXACT) return granules;
  const power = 31 - Math.clz32(granules);
  return EXACT + ((power - 7) << 4) + ((granules >>> (power - 4)) & 15);
}
