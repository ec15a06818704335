/**
 * Where everything lies in the recorder's memory. What grows lies last, and moves up when what lies below
 * grows: a copy at memory speed, now and then, instead of an indirection on every access.
 *
 * ```
 *  0       1 KiB     4 KiB             20 KiB          24 KiB          32 KiB
 *  | unused | totals  | nursery entries | nursery heads | context cache | nested memo | heads | records | blocks …
 *                       1024 × 16         2048 × 2        512 × 16        512 × 16     4 × n   60 × n    12 × n
 * ```
 */

/** Totals as `sync` writes them for the host: numbers as f64 (exact up to 2^53), then the histogram. */
export const TOTALS: usize = 0x400;
export const HISTOGRAM: usize = TOTALS + 16 * 8;

/**
 * An entry of the nursery: a block allocated by the running entry from JavaScript.
 *
 * ```
 *  0         4       8        12     14     16
 *  | address | bytes | record | next | state |
 * ```
 */
export const NURSERY: usize = 0x1000;
/** Entries, the first of which is not used: index 0 ends a chain. */
export const NURSERY_SIZE: u32 = 1024;
export const ENTRY_SHIFT: usize = 4;
export const ENTRY_ADDRESS: usize = 0;
export const ENTRY_BYTES: usize = 4;
export const ENTRY_RECORD: usize = 8;
/** Entry allocated before in the same chain, 0 at its end. */
export const ENTRY_NEXT: usize = 12;
export const ENTRY_STATE: usize = 14;

export const NURSERY_HEADS: usize = NURSERY + (<usize>NURSERY_SIZE << ENTRY_SHIFT);
export const NURSERY_HEAD_BITS: u32 = 11;

/** Contexts seen lately: hash (8 bytes), record (4), unused (4). */
export const CACHE: usize = NURSERY_HEADS + (2 << NURSERY_HEAD_BITS);
export const CACHE_MASK: u32 = 511;

/** Contexts of nested entries: hash (8 bytes), times seen (4), unused (4). */
export const MEMO: usize = CACHE + (16 * (CACHE_MASK + 1));
export const MEMO_BITS: u32 = 9;

export const DYNAMIC: usize = MEMO + (16 << MEMO_BITS);

/**
 * A slot of the table of blocks; address 0: free.
 *
 * ```
 *  0         4       8        12
 *  | address | bytes | record |
 * ```
 */
export const SLOT_SIZE: usize = 12;
export const SLOT_ADDRESS: usize = 0;
export const SLOT_BYTES: usize = 4;
export const SLOT_RECORD: usize = 8;

/**
 * A record: what one pair of calling context and JavaScript caller allocated.
 *
 * ```
 *  0      8             16               24          32           36           40
 *  | hash | allocations | allocatedBytes | liveBytes | peak share | liveBlocks | epoch |
 *  44          48     52          55      56         59         60
 *  | temporary | next | caller:24 | dirty | base:24  | survival |
 * ```
 */
export const RECORD_SIZE: usize = 60;
export const RECORD_HASH: usize = 0;
export const RECORD_ALLOCATIONS: usize = 8;
export const RECORD_ALLOCATED_BYTES: usize = 16;
export const RECORD_LIVE_BYTES: usize = 24;
/** Live bytes at the high-water mark, as f32 (7 digits); valid when `epoch` is the current one. */
export const RECORD_PEAK: usize = 32;
export const RECORD_LIVE_BLOCKS: usize = 36;
export const RECORD_EPOCH: usize = 40;
/** Allocations freed before the next allocation. */
export const RECORD_TEMPORARY: usize = 44;
/** Next record with the same head, 0 at the end. */
export const RECORD_NEXT: usize = 48;
/** What the host's `captureCaller` returned, 0 for none. */
export const RECORD_CALLER: usize = 52;
/** Set by every change, cleared by the host when it has read the record. */
export const RECORD_DIRTY: usize = 55;
/** Record of the same context without a caller; itself when it has none. */
export const RECORD_BASE: usize = 56;
/** In base records: how likely a block that outlives its entry goes on living, 0 to 255. */
export const RECORD_SURVIVAL: usize = 59;

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
