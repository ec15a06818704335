/**
 * The memory of the checker. It is the shadow memory of one linear memory, and behind that what is known of its
 * blocks. Most of it is never touched, and so takes no room: an engine gets such pages from the system at first use.
 *
 * ```
 *  0                     0x2000_0000      0x2040_0000      0x2080_0000        0x2088_0000
 *  | shadow, a byte for  | heads of the   | how often each | contexts in which  | blocks, 64 bytes each,
 *  | 8 of the program's  | block index    | place reported | blocks were freed  | up to the end
 * ```
 *
 * A byte of shadow says how many of its 8 bytes, from the first on, the program may use. What lies beyond the end of the
 * program's memory is 0 by itself: nobody ever wrote there.
 */
export const GRANULE: u32 = 8;
export const FULL: u8 = 8;
/** Beyond the end of the memory. */
export const BEYOND: u8 = 0;
/** What the program may not use although the memory has it; everything above `FULL`. */
export const REDZONE: u8 = 0xf2;
export const FREED: u8 = 0xf3;
export const NULL_PAGE: u8 = 0xf4;

export const HEADS: usize = 0x2000_0000;
export const HEAD_BITS: u32 = 20;
export const PLACES: usize = 0x2040_0000;
export const PLACE_BITS: u32 = 20;
/** A cache: 2^15 pairs of hashes. */
export const FREE_CONTEXTS: usize = 0x2080_0000;
export const FREE_CONTEXT_BITS: u32 = 15;
export const BLOCKS: usize = 0x2088_0000;

/**
 * A block:
 *
 * ```
 *  0         4      8      12      16      20        24          32       40 … 52          56           60
 *  | address | size | next | state | extra | release | allocated | freed  | its arguments  | later held | sum |
 * ```
 */
export const BLOCK_SIZE: usize = 64;
export const ADDRESS: usize = 0;
/** As the program asked for it. */
export const SIZE: usize = 4;
/** The next one of the same head, or of those that are not in use. */
export const NEXT: usize = 8;
export const STATE: usize = 12;
/** Bytes by which the request was enlarged. */
export const EXTRA: usize = 16;
/** Number of the function that was to release it, and with which arguments. */
export const RELEASE: usize = 20;
export const ARGUMENTS: usize = 40;
/** Contexts in which it was allocated and freed. */
export const ALLOCATED_IN: usize = 24;
export const FREED_IN: usize = 32;
/** The block that was freed next. */
export const LATER: usize = 56;
/** Of what was in it when it was freed. */
export const SUM: usize = 60;

export const LIVE: u32 = 1;
/** Freed by the program, and kept from the allocator for a while. */
export const HELD: u32 = 2;
/** Released already: `realloc` moved what was in it. */
export const STALE: u32 = 3;
/** Something else is at its address now. */
export const REPLACED: u32 = 4;
/** As `HELD`, but it is known already that something wrote to it. */
export const CHANGED: u32 = 5;

/** Numbers of the kinds of findings: mirror of `memoryErrorKinds` in src/profile/records.ts. */
export const HEAP_OVERFLOW: u32 = 1;
export const HEAP_UNDERFLOW: u32 = 2;
export const USE_AFTER_FREE: u32 = 3;
export const DOUBLE_FREE: u32 = 4;
export const INVALID_FREE: u32 = 5;
export const MISMATCHED_FREE: u32 = 6;
export const HOST_WRITE: u32 = 7;
export const NULL_ACCESS: u32 = 8;
export const STACK_OVERFLOW: u32 = 9;
export const OUT_OF_BOUNDS: u32 = 10;

/** What was done at a place. */
export const READ: u32 = 0;
export const WRITE: u32 = 1;
export const FREE: u32 = 2;
export const REALLOC: u32 = 3;
/** A read that may not even touch what lies behind a block in the block's last word; it is reported as `READ`. */
export const STRICT_READ: u32 = 4;
