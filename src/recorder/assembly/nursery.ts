/**
 * Blocks allocated by the entry from JavaScript that is running. Most blocks die before their entry returns;
 * they never reach the large table. What is still here when the entry returns has outlived it, and is what the
 * JavaScript caller has to be known for.
 *
 * A small open-addressed table that fits the first-level cache. Slots are not reused until it is emptied; a log
 * of the slots taken makes emptying cost no more than what was put in.
 */
import {
  NURSERY,
  NURSERY_BITS,
  NURSERY_LIMIT,
  NURSERY_LOG,
  SLOT_ADDRESS,
  SLOT_BYTES,
  SLOT_RECORD,
  SLOT_SIZE,
  SPREAD,
} from "./layout";

const REMOVED: u32 = 1;
const END: usize = NURSERY + (SLOT_SIZE << NURSERY_BITS);

/** Slots taken since it was last emptied. */
export let taken: u32 = 0;
/** Live blocks in it. */
export let population: u32 = 0;

@inline
function first(address: u32): usize {
  return NURSERY + <usize>((address * SPREAD) >> (32 - NURSERY_BITS)) * SLOT_SIZE;
}

@inline
export function isFull(): bool {
  return taken == NURSERY_LIMIT;
}

/** Adds a block that is not in the nursery; the nursery is not full. */
@inline
export function put(address: u32, bytes: u32, record: u32): void {
  let at = first(address);
  while (load<u32>(at, SLOT_ADDRESS)) {
    at += SLOT_SIZE;
    if (at == END) at = NURSERY;
  }
  store<u32>(at, address, SLOT_ADDRESS);
  store<u32>(at, bytes, SLOT_BYTES);
  store<u32>(at, record, SLOT_RECORD);
  store<u16>(NURSERY_LOG + (taken << 1), <u16>((at - NURSERY) / SLOT_SIZE));
  taken++;
  population++;
}

/** Slot of the block at `address`, or 0. */
@inline
export function search(address: u32): usize {
  let at = first(address);
  while (true) {
    const found = load<u32>(at, SLOT_ADDRESS);
    if (found == address) return at;
    if (!found) return 0;
    at += SLOT_SIZE;
    if (at == END) at = NURSERY;
  }
}

@inline
export function remove(at: usize): void {
  store<u32>(at, REMOVED, SLOT_ADDRESS);
  if (!--population && taken > 64) empty();
}

/** Slot of the k-th insertion; its address may be a removed one. */
@inline
export function logged(k: u32): usize {
  return NURSERY + <usize>load<u16>(NURSERY_LOG + (k << 1)) * SLOT_SIZE;
}

@inline
export function isLive(at: usize): bool {
  return load<u32>(at, SLOT_ADDRESS) > REMOVED;
}

export function empty(): void {
  for (let k: u32 = 0; k < taken; k++) store<u32>(logged(k), 0, SLOT_ADDRESS);
  taken = 0;
  population = 0;
}
