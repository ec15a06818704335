/**
 * The memory of the checker. It is the shadow memory of one linear memory, and behind that what is known of its
 * blocks. Most of it is never touched, and so takes no room: an engine gets such pages from the system at first use.
 *
 * ```
 *  0                    0x2000_0000 0x2100_0000        0x2900_0000      0x2940_0000       0x2950_0000
 *  | shadow, a byte for | nothing   | blocks, by their | how often each | contexts in     | blocks that were |
 *  | 8 of the program's |           | address          | place reported | which blocks    | freed, in that   |
 *  |                    |           |                  |                | were freed      | order            |
 *
 *  0x2b50_0000            0x2f50_0000
 *  | addresses that       | blocks that found
 *  | JavaScript knows, a  | their place taken,
 *  | bit for 8 bytes      | up to the end
 * ```
 *
 * A byte of shadow says how many of its 8 bytes, from the first on, the program may use. What lies beyond the end of the
 * program's memory is 0 by itself: nobody ever wrote there. So is what addresses beyond 4 GiB lead to, which an access has
 * whose offset takes it there: offsets of more than 128 MiB, for which that is not enough, are never looked up inline.
 */
export const GRANULE: u32 = 8;
export const FULL: u8 = 8;
/** Beyond the end of the memory. */
export const BEYOND: u8 = 0;
/**
 * The last 8 bytes of the memory, all of which may be used: every access to them is looked at, as one that is not aligned
 * as its instruction says it is may reach beyond them.
 */
export const LAST: u8 = 0xf5;
/** What the program may not use although the memory has it; everything above `FULL` but `LAST`. */
export const REDZONE: u8 = 0xf2;
export const FREED: u8 = 0xf3;
export const NULL_PAGE: u8 = 0xf4;

export const BLOCKS: usize = 0x2100_0000;
/** Every unit of so many bytes of the program's memory has a place for a block that begins in it … */
export const UNIT_BITS: u32 = 5;
/** … of so many places: a larger memory uses them again. */
export const PLACE_COUNT_BITS: u32 = 22;
export const PLACES: usize = 0x2900_0000;
export const PLACE_BITS: u32 = 20;
/** A cache: 2^15 sets of two hashes of 32 bits. */
export const FREE_CONTEXTS: usize = 0x2940_0000;
export const FREE_CONTEXT_BITS: u32 = 15;
export const QUEUE: usize = 0x2950_0000;
export const MOST_QUEUED: u32 = 1 << 20;
export const EXPOSED: usize = 0x2b50_0000;
export const FURTHER: usize = 0x2f50_0000;

/**
 * A block:
 *
 * ```
 *  0         4      8      12      13          16             24         28        32
 *  | address | size | next | state | extra: 24 | allocated in | freed at | release |
 * ```
 */
export const BLOCK_SIZE: usize = 32;
/** 0: none is here. */
export const ADDRESS: usize = 0;
/** As the program asked for it. */
export const SIZE: usize = 4;
/** The next one of the same unit, or of those that are not in use. */
export const NEXT: usize = 8;
/** State, and bytes by which the request was enlarged. */
export const STATE: usize = 12;
export const STATE_MASK: u32 = 0xff;
export const EXTRA_SHIFT: u32 = 8;
/** Context in which it was allocated. */
export const ALLOCATED_IN: usize = 16;
/** Where in the queue it is once it was freed. */
export const QUEUED_AT: usize = 24;
/** Number of the function that is to release it. */
export const RELEASE: usize = 28;

/**
 * A place in the queue:
 *
 * ```
 *  0       4     8          16               32
 *  | block | sum | freed in | four arguments |
 * ```
 */
export const QUEUED_SIZE: usize = 32;
/** 0: something else is at its address now. */
export const BLOCK: usize = 0;
/** Of what was in it when it was freed. */
export const SUM: usize = 4;
/** Context in which it was freed. */
export const FREED_IN: usize = 8;
/** What the function is to be called with that releases it. */
export const ARGUMENTS: usize = 16;

export const LIVE: u32 = 1;
/** Freed by the program, and kept from the allocator for a while. */
export const HELD: u32 = 2;
/** Released already: `realloc` moved what was in it. */
export const STALE: u32 = 3;
/** As `HELD`, but it is known already that something wrote to it. */
export const CHANGED: u32 = 4;
/** It has left the quarantine, and is being released. */
export const LEAVING: u32 = 5;

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
/** A read in front of the test of its pointer. */
export const SPECULATED_READ: u32 = 8;
