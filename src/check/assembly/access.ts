/** Accesses, and what the stack pointer is set to: what checks call when what they read in the shadow does not suffice. */
import { blockAround, extraOf, findBlock, nearestBlock, setState, stateOf } from "./blocks";
import { pages } from "./host";
import {
  ADDRESS,
  BEYOND,
  CHANGED,
  FREED,
  GRANULE,
  HEAP_OVERFLOW,
  HEAP_UNDERFLOW,
  HELD,
  LIVE,
  NULL_ACCESS,
  NULL_PAGE,
  OUT_OF_BOUNDS,
  READ,
  SIZE,
  SPECULATED_READ,
  STACK_OVERFLOW,
  STRICT_READ,
  USE_AFTER_FREE,
  WRITE,
} from "./layout";
import { placeOf, report } from "./report";
import { bad, isPartlyUsable, isUsable, markLive, poison, setUsable, shadowOf } from "./shadow";

let bytes: u64 = 0;
/** Whether reads of what lies before a block are errors, as writes are. */
let headerReads: bool = false;
/** The last block of no bytes: nothing describes it, but `calloc` reads its header as well. */
let lastEmpty: u32 = 0;
/** The stack has grown into what lies below it. */
let stackIsFull: bool = false;

/** The program's memory has that many pages: it never shrinks. */
export function setPages(count: u32): void {
  const now = <u64>count << 16;
  if (now <= bytes) return;
  setUsable(bytes, now);
  bytes = now;
}

/** Nothing lies at these addresses, which a null pointer leads to. */
export function setNullPage(until: u32): void {
  poison(0, until, NULL_PAGE);
}

export function checkHeaderReads(value: i32): void {
  headerReads = value != 0;
}

export function noteEmpty(address: u32): void {
  lastEmpty = address;
}

/** For checks of engines without a second memory: what an inline check reads. */
export function peek(address: u32, offset: u32): i32 {
  const at = <u64>address + offset;
  return at >> 32 ? BEYOND : load<u8>(<usize>(at >> 3));
}

export function peek2(address: u32, offset: u32): i32 {
  const at = <u64>address + offset;
  return at >> 32 ? BEYOND : load<u16>(<usize>(at >> 3));
}

/** Before a loop: whether all may be used that it will touch. */
export function usable(address: u32, size: u32): i32 {
  return isUsable(address, size) ? 1 : 0;
}

/** Whether bytes from an address on lie in the memory. */
function isWithin(first: u64, size: u32): bool {
  if (first + size <= bytes) return true;
  // somebody may have made it grow whom we don't see
  setPages(pages());
  return first + size <= bytes;
}

/**
 * A check was not satisfied with what it read: that may be all right.
 * @param base the access is at that plus `offset`
 * @param context lowest bit: the allocator is running, and may do as it likes
 */
export function access(base: u32, offset: u32, size: u32, how: u32, site: u32, context: u64): void {
  if (how == SPECULATED_READ) {
    // what is read through null is not used
    if (base == 0) return;
    how = READ;
  }
  const first = <u64>base + offset;
  const within = isWithin(first, size);
  const address = <u32>first;
  if (within && (<u32>context & 1 || isUsable(address, size))) return;
  // of a long one the first byte that is wrong may lie in the memory
  if (!within && (first >= bytes || <u32>context & 1 || isUsable(address, <u32>(bytes - first)))) {
    report(OUT_OF_BOUNDS, first, size, how & WRITE, placeOf(site), 0);
    return;
  }
  const value = shadowOf(bad);
  // Library functions read whole words, of which the block may end in the middle: `strlen`
  if (how == READ && size <= 16 && !(address & (size - 1)) && isPartlyUsable(address, size)) return;
  if (how == STRICT_READ) how = READ;
  if (value == NULL_PAGE) {
    // where the stack comes first it is the deepest part of it
    report(stackIsFull ? STACK_OVERFLOW : NULL_ACCESS, address, size, how, placeOf(site), 0);
    return;
  }
  if (within && how == READ && !headerReads) {
    const start = (bad & ~7) + GRANULE;
    if (start && start == lastEmpty && bad + 4 >= start) return;
    const after = start ? findBlock(start) : 0;
    if (after && bad + 4 >= load<u32>(after, ADDRESS)) {
      // `calloc` reads the byte with flags, who wants to know the size all 4
      if (size >= 4) useWhole(after);
      return;
    }
  }
  if (value == FREED) {
    const block = blockAround(bad);
    if (block && how == WRITE && stateOf(block) == HELD) setState(block, CHANGED);
    report(USE_AFTER_FREE, block ? bad : address, size, how, placeOf(site), block);
    return;
  }
  const block = nearestBlock(bad, bytes);
  if (!block) {
    if (!within) report(OUT_OF_BOUNDS, first, size, how, placeOf(site), 0);
    return;
  }
  const start = load<u32>(block, ADDRESS);
  const under = bad < start;
  if (!under && bad - start < load<u32>(block, SIZE) && stateOf(block) != LIVE) {
    // its first bytes, which share a granule with something else
    if (how == WRITE && stateOf(block) == HELD) setState(block, CHANGED);
    report(USE_AFTER_FREE, bad, size, how, placeOf(site), block);
    return;
  }
  report(under ? HEAP_UNDERFLOW : HEAP_OVERFLOW, under ? address : bad, size, how, placeOf(site), block);
}

/** Somebody asked the header of a block how large it is, and may use all of it. */
function useWhole(block: usize): void {
  if (stateOf(block) != LIVE) return;
  markLive(load<u32>(block, ADDRESS), load<u32>(block, SIZE) + extraOf(block), 0);
}

/** The stack pointer was set to what lies outside of the stack. */
export function stack(pointer: u32, site: u32, context: u64): void {
  if (<u32>context & 1) return;
  stackIsFull = true;
  report(STACK_OVERFLOW, pointer, 0, WRITE, placeOf(site), 0);
}
