/**
 * Blocks allocated by the entry from JavaScript that is running. Most blocks die before their entry returns;
 * they never reach the large table, and their context's totals are brought up to date in batches. What is still
 * here when the entry returns has outlived it, and is what the JavaScript caller has to be known for.
 *
 * Entries in the order of allocation, and chains through them by address, the newest first: a block that is
 * freed is usually the head of its chain and leaves it, so that an address used again and again costs no more
 * each time. When there is no room left and at least half of the blocks are dead, the others close ranks.
 */
import {
  ENTRY_ADDRESS,
  ENTRY_BYTES,
  ENTRY_NEXT,
  ENTRY_RECORD,
  ENTRY_SHIFT,
  ENTRY_STATE,
  NURSERY,
  NURSERY_HEAD_BITS,
  NURSERY_HEADS,
  NURSERY_SIZE,
  SPREAD,
} from "./layout";

/** The block is live and its context doesn't know it yet. */
export const FRESH: u16 = 0;
/** The block is live and counted in its context. */
export const SETTLED: u16 = 1;
/** The block was freed before its context knew of it. */
export const DEAD: u16 = 2;
/** Nothing is left to do. */
export const GONE: u16 = 3;

/** So few entries that clearing their heads one by one is faster than clearing all heads. */
const FEW: u32 = 64;

/** Index of the next entry. */
export let next: u32 = 1;

/** Where the chain of an address begins. */
@inline
export function head(address: u32): usize {
  return NURSERY_HEADS + (<usize>((address * SPREAD) >> (32 - NURSERY_HEAD_BITS)) << 1);
}

@inline
export function entryAt(index: u32): usize {
  return NURSERY + (<usize>index << ENTRY_SHIFT);
}

@inline
export function isFull(): bool {
  return next == NURSERY_SIZE;
}

/** Adds a block to the chain that begins at `at`. The nursery is not full. */
@inline
export function put(at: usize, address: u32, bytes: u32, record: u32): void {
  const entry = entryAt(next);
  store<u32>(entry, address, ENTRY_ADDRESS);
  store<u32>(entry, bytes, ENTRY_BYTES);
  store<u32>(entry, record, ENTRY_RECORD);
  // next, and the state FRESH behind it
  store<u32>(entry, load<u16>(at), ENTRY_NEXT);
  store<u16>(at, <u16>next);
  next++;
}

/** Entry of the live block at `address`, whose chain begins at `at`, or 0. */
@inline
export function find(at: usize, address: u32): usize {
  let index: u32 = load<u16>(at);
  while (index) {
    const entry = entryAt(index);
    if (load<u32>(entry, ENTRY_ADDRESS) == address) return entry;
    index = load<u16>(entry, ENTRY_NEXT);
  }
  return 0;
}

/** Takes the entry of a live block out of its chain, and leaves it in `state`. */
@inline
export function retire(entry: usize, at: usize, state: u16): void {
  store<u16>(entry, state, ENTRY_STATE);
  if (entryAt(load<u16>(at)) == entry) store<u16>(at, load<u16>(entry, ENTRY_NEXT));
  // an address of another chain: null would be found by the free of a null pointer
  else store<u32>(entry, load<u32>(entry, ENTRY_ADDRESS) ^ 0x80000000, ENTRY_ADDRESS);
}

/** Closes ranks: only live blocks stay, all of them settled. Returns the new index of what was at `mark`. */
export function compact(mark: u32): u32 {
  const end = next;
  let newMark: u32 = 0;
  empty();
  for (let index: u32 = 1; index < end; index++) {
    if (index == mark) newMark = next;
    const entry = entryAt(index);
    if (load<u16>(entry, ENTRY_STATE) != SETTLED) continue;
    const address = load<u32>(entry, ENTRY_ADDRESS);
    const to = entryAt(next);
    put(head(address), address, load<u32>(entry, ENTRY_BYTES), load<u32>(entry, ENTRY_RECORD));
    store<u16>(to, SETTLED, ENTRY_STATE);
  }
  return newMark ? newMark : next;
}

export function empty(): void {
  if (next > FEW) {
    memory.fill(NURSERY_HEADS, 0, 2 << NURSERY_HEAD_BITS);
  } else {
    // what was flipped by `retire` left its chain's head to another entry, which is cleared with that one
    for (let index: u32 = 1; index < next; index++) {
      store<u16>(head(load<u32>(entryAt(index), ENTRY_ADDRESS)), 0);
    }
  }
  next = 1;
}
