/**
 * The table of live blocks: open addressing with linear probing, keyed by address.
 *
 * A hash table that doubles wastes up to half its memory, and the recorder's memory has to follow the live
 * heap at 16 bytes a block. So a slot's home is `hash × capacity / 2^32`, which works for any capacity and
 * keeps the order of hashes: the table can grow by an eighth, in place. The hash is that of the 256 bytes in which
 * the block begins, and blocks that begin there lie side by side, as they did when they were allocated: against a
 * hash of the whole address that made tree-sitter's parses, where half of the blocks get here, 4 % faster. All blocks are moved to the top end
 * of the larger table and put to their new homes from there, in order; the part still to be read is always
 * ahead of where the next block goes. Removal shifts followers back (Knuth 6.4, algorithm R), so there are no
 * tombstones.
 */
import { reach, SLOT_ADDRESS, SLOT_BYTES, SLOT_OWNER, SLOT_SIZE, SPREAD } from "./layout";

/** Slots behind the last home, so that probing needs no wrap-around. */
const SLACK: u32 = 256;
/**
 * Above this many slots the table grows by an eighth, and only when it takes no more than 16 bytes a block
 * beyond `ALLOWANCE`, which a recorder of any size may take. So a small table is half empty and a large one filled
 * to between three quarters and five sixths: the emptier, the shorter the searches.
 */
const LARGE: u32 = 1 << 14;
/** By how much it grows then: a sixteenth of it made allocations among 4,000,000 live blocks 15 % slower. */
const STEP: u32 = 3;
const BYTES_A_BLOCK: u64 = 16;
const ALLOWANCE: u64 = 76 << 10;

let base: usize = 0;
let capacity: u32 = 0;
let count: u32 = 0;
let limit: u32 = 0;

/** Blocks that found no place. */
export let lost: u64 = 0;

/** Where the search for an address begins. Allocators give out multiples of 8 or 16. */
@inline
function home(address: u32): u32 {
  return <u32>((<u64>((address >> 8) * SPREAD) * <u64>capacity) >> 32) + ((address >> 4) & 15);
}

@inline
function slot(index: u32): usize {
  return base + <usize>index * SLOT_SIZE;
}

/** Engines call out for `memory.copy`, even of 12 bytes. */
@inline
function copySlot(to: usize, from: usize): void {
  store<u64>(to, load<u64>(from));
  store<u32>(to, load<u32>(from, SLOT_OWNER), SLOT_OWNER);
}

function setCapacity(slots: u32): void {
  capacity = slots;
  if (slots < LARGE) {
    limit = slots >> 1;
  } else {
    const larger = <u64>(slots + (slots >> STEP)) * SLOT_SIZE;
    limit = <u32>((larger - ALLOWANCE) / BYTES_A_BLOCK);
  }
}

/** Lays out an empty table at `at`. */
export function initTable(at: usize): void {
  base = at;
  setCapacity(256);
  reach(slot(capacity + SLACK));
}

/** Moves the table up by `bytes`, to make room below it; false when the engine refuses memory. */
export function moveTable(bytes: usize): bool {
  const length = <usize>(capacity + SLACK) * SLOT_SIZE;
  if (!reach(base + length + bytes)) return false;
  memory.copy(base + bytes, base, length);
  base += bytes;
  return true;
}

/** Slot of the block at `address`, or 0. */
export function findBlock(address: u32): usize {
  let at = slot(home(address));
  while (true) {
    const found = load<u32>(at, SLOT_ADDRESS);
    if (found == address) return at;
    if (!found) return 0;
    at += SLOT_SIZE;
  }
}

/**
 * Puts a block into the table. Returns the slot of the block that was at the same address, which the caller has
 * to put to rest and overwrite; otherwise 0.
 */
export function addBlock(address: u32, bytes: u32, owner: u32): usize {
  if (count >= limit && !enlarge()) return refuse();
  let at = slot(home(address));
  let found = load<u32>(at, SLOT_ADDRESS);
  while (found) {
    if (found == address) return at;
    at += SLOT_SIZE;
    found = load<u32>(at, SLOT_ADDRESS);
  }
  // the last slot stays empty: it ends every search
  while (at >= slot(capacity + SLACK - 1)) {
    // in a table that is half empty these addresses were made to collide: more room does not help
    if (count < limit >> 1 || !enlarge()) return refuse();
    at = slot(home(address));
    while (load<u32>(at, SLOT_ADDRESS)) at += SLOT_SIZE;
  }
  store<u32>(at, address, SLOT_ADDRESS);
  setBlock(at, bytes, owner);
  count++;
  return 0;
}

@inline
export function setBlock(at: usize, bytes: u32, owner: u32): void {
  store<u32>(at, bytes, SLOT_BYTES);
  store<u32>(at, owner, SLOT_OWNER);
}

function refuse(): usize {
  lost++;
  return 0;
}

export function removeBlock(at: usize): void {
  let hole = at;
  let next = at + SLOT_SIZE;
  for (;;) {
    const address = load<u32>(next, SLOT_ADDRESS);
    if (!address) break;
    if (slot(home(address)) <= hole) {
      copySlot(hole, next);
      hole = next;
    }
    next += SLOT_SIZE;
  }
  store<u32>(hole, 0, SLOT_ADDRESS);
  count--;
}

function enlarge(): bool {
  const slots = capacity < LARGE ? capacity * 2 : capacity + (capacity >> STEP);
  const oldEnd = slot(capacity + SLACK);
  const end = slot(slots + SLACK);
  if (!reach(end)) return false;

  let read = end;
  for (let at = oldEnd; at > base; ) {
    at -= SLOT_SIZE;
    if (load<u32>(at, SLOT_ADDRESS)) {
      read -= SLOT_SIZE;
      copySlot(read, at);
    }
  }
  memory.fill(base, 0, read - base);
  setCapacity(slots);

  for (; read < end; read += SLOT_SIZE) {
    const address = load<u32>(read, SLOT_ADDRESS);
    const bytes = load<u32>(read, SLOT_BYTES);
    const owner = load<u32>(read, SLOT_OWNER);
    store<u32>(read, 0, SLOT_ADDRESS);
    let at = slot(home(address));
    while (at < end && load<u32>(at, SLOT_ADDRESS)) at += SLOT_SIZE;
    // with this much slack it takes addresses made for the purpose to get here
    if (at >= end - SLOT_SIZE) {
      lost++;
      count--;
      continue;
    }
    store<u32>(at, address, SLOT_ADDRESS);
    store<u32>(at, bytes, SLOT_BYTES);
    store<u32>(at, owner, SLOT_OWNER);
  }
  return true;
}

/** First slot. */
export function tableAddress(): usize {
  return base;
}

/** Behind the last slot. */
export function tableEnd(): usize {
  return slot(capacity + SLACK);
}
