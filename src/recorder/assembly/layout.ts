/**
 * Where everything lies in the recorder's memory. What grows lies last, and moves up when what lies below
 * grows: a copy at memory speed, now and then, instead of an indirection on every access.
 *
 * ```
 *  0        1 KiB    4 KiB   12 KiB        14 KiB  22 KiB          54 KiB        62 KiB
 *  | hot    | totals | dirty | given way   | cards | context cache | nested memo | front  | heads | records | table …
 *                      4096×2  512 × 4       8192    1024 × 32       512 × 16      8 × n    4 × n   60 × n    12 × n
 * ```
 */

/** What every event reads or changes (hot.ts): a line of its own. */
export const HOT: usize = 0x40;

/**
 * Totals as `sync` writes them for the host: numbers as f64 (exact up to 2^53), then allocations by the leading zeros of
 * their size, 0 to 32, as u64.
 */
export const TOTALS: usize = 0x400;
export const HISTOGRAM: usize = TOTALS + 16 * 8;

/** Numbers of the cards that are dirty (young.ts). */
export const DIRTY: usize = 0x1000;
export const MOST_DIRTY: u32 = 4096;

/** Addresses of blocks of the running entry that had to give way to others in the front. */
export const GIVEN_WAY: usize = DIRTY + 2 * MOST_DIRTY;
export const MOST_GIVEN_WAY: u32 = 512;

export const FRONT_SLOT_SIZE: usize = 8;
export const FEWEST_FRONT_SLOTS: usize = 1 << 12;
export const MOST_FRONT_SLOTS: usize = 1 << 16;
/** The front's unit is two to this or more, in bytes. */
export const FEWEST_SHIFT: u32 = 4;

/** A byte for each card: so many slots of the front. */
export const CARDS: usize = GIVEN_WAY + 4 * MOST_GIVEN_WAY;
export const CARD_SHIFT: usize = 6;

/**
 * Contexts seen lately: hash (8 bytes), what a slot of the front gets of a fresh block of that context (8), and allocations
 * (8) and their bytes (8) that its record has not been told of.
 */
export const CACHE_ENTRY_SIZE: usize = 32;
export const CACHE_OWNER: usize = 8;
export const CACHE_ALLOCATIONS: usize = 16;
export const CACHE_ALLOCATED_BYTES: usize = 24;
export const CACHE: usize = CARDS + (MOST_FRONT_SLOTS * FRONT_SLOT_SIZE >> CARD_SHIFT);
export const CACHE_MASK: usize = 1023;

/** Contexts of nested entries: hash (8 bytes), times seen (4), unused (4). */
export const MEMO: usize = CACHE + CACHE_ENTRY_SIZE * (CACHE_MASK + 1);
export const MEMO_BITS: u32 = 9;

/** Slots of the front, a power of two of them (front.ts). */
export const FRONT: usize = MEMO + (16 << MEMO_BITS);

/**
 * A slot of the front: one live block in 64 bits, as eight of them fit into a line of the processor's cache; 0: free. What of the
 * address the place of the slot doesn't say is the tag. A block that is too long for it lies in the table; places of as many
 * records as there may be (`MAX_PAIRS`) fit.
 *
 * ```
 *  low                                     high
 *  | bytes:18 | record:25, state | 1 | tag:20 |
 * ```
 */
export const FRONT_BYTES_BITS: u32 = 18;
export const FRONT_OWNER_SHIFT: u32 = FRONT_BYTES_BITS;
export const FRONT_OWNER_BITS: u32 = 25;
export const FRONT_TAG_SHIFT: u32 = FRONT_OWNER_SHIFT + FRONT_OWNER_BITS;

/** What the first slot of the front holds for good: it isn't free, and no block lies there. */
export const NO_BLOCK: u64 = 1;

/**
 * A slot of the table: one live block; address 0: free. Places of records are multiples of 4, which leaves two bits for the
 * state.
 *
 * ```
 *  0         4       8                      12
 *  | address | bytes | record:30 | state:2  |
 * ```
 */
export const SLOT_SIZE: usize = 12;
export const SLOT_ADDRESS: usize = 0;
export const SLOT_BYTES: usize = 4;
export const SLOT_OWNER: usize = 8;
export const STATE_MASK: u32 = 3;
/** The block has outlived the entry that allocated it. */
export const OLD: u32 = 0;
/** It was allocated by the running entry, and its record knows of the allocation, but not yet that it lives. */
export const FRESH: u32 = 1;
/** The same, and its record knows that it lives since before the last high-water mark remembered. */
export const IN_PEAK: u32 = 2;
/** The same, since after that. */
export const AFTER_PEAK: u32 = 3;

/**
 * A record: what one pair of calling context and JavaScript caller allocated.
 *
 * ```
 *  0      8             16               24          32           36           40      44
 *  | hash | allocations | allocatedBytes | liveBytes | liveBlocks | peak share | epoch |
 *  44          48        51         52          55      56     60
 *  | temporary | next:24 | survival | caller:24 | dirty | base |
 * ```
 *
 * The base is a word of its own: a processor that reads more than the byte that it wrote just now has to wait until that is
 * in its cache, and every release of an older block writes the survival.
 */
export const RECORD_SIZE: usize = 60;
export const RECORD_HASH: usize = 0;
export const RECORD_ALLOCATIONS: usize = 8;
export const RECORD_ALLOCATED_BYTES: usize = 16;
export const RECORD_LIVE_BYTES: usize = 24;
export const RECORD_LIVE_BLOCKS: usize = 32;
/** Live bytes at the high-water mark, as f32 (7 digits); valid when `epoch` is the current one. */
export const RECORD_PEAK: usize = 36;
export const RECORD_EPOCH: usize = 40;
/** Allocations freed before the next allocation. */
export const RECORD_TEMPORARY: usize = 44;
/** Place of the next record with the same head, in words, 0 at the end. */
export const RECORD_NEXT: usize = 48;
/** In base records: how likely a block that outlives its entry goes on living, 0 to 255. */
export const RECORD_SURVIVAL: usize = 51;
/** What the host's `captureCaller` returned, 0 for none. */
export const RECORD_CALLER: usize = 52;
/** The caller of a base record while the host has not looked at its context; no caller has that number. */
export const UNSEEN_CONTEXT: u32 = 0xff_ffff;
/** Set by every change, cleared by the host when it has read the record. */
export const RECORD_DIRTY: usize = 55;
/** Place of the record of the same context without a caller; its own when it has no caller. */
export const RECORD_BASE: usize = 56;

/** Bound of records. What comes beyond is counted under record 0, still told apart by caller. */
export const MAX_RECORDS: u32 = 1 << 18;
export const MAX_PAIRS: u32 = MAX_RECORDS + (1 << 16);

/** Spreads addresses and hashes: 2^32 divided by the golden ratio (Knuth, The Art of Computer Programming 6.4). */
export const SPREAD: u32 = 0x9e3779b1;
export const SPREAD64: u64 = 0x9e3779b97f4a7c15;
/** 2^64 divided by the square root of 2, odd. */
export const SPREAD_CALLERS: u64 = 0xb504f333f9de6485;

/** Makes the memory reach at least to `end`; false when the engine refuses. */
export function reach(end: usize): bool {
  const have = <usize>memory.size() << 16;
  if (end <= have) return true;
  return memory.grow(<i32>((end - have + 0xffff) >> 16)) >= 0;
}
