/**
 * The checker: what checks and hooks of a checked module call. It keeps the shadow memory of one linear memory, where
 * inline checks read it themselves, and knows the blocks that what they find belongs to.
 *
 * Shadow memory, redzones and quarantine are those of AddressSanitizer (Serebryany, Bruening, Potapenko and Vyukov,
 * AddressSanitizer: A Fast Address Sanity Checker, USENIX ATC 2012).
 */
import { addBlock, blockAround, blocksEnd as endOfBlocks, findBlock, forget, nearestBlock, recycle } from "./blocks";
import { found, freedIn, pages } from "./host";
import {
  ADDRESS,
  ARGUMENTS,
  BEYOND,
  BLOCKS,
  DOUBLE_FREE,
  EXTRA,
  FREE,
  FREED,
  FREED_IN,
  GRANULE,
  FREE_CONTEXTS,
  FREE_CONTEXT_BITS,
  HEAP_OVERFLOW,
  HEAP_UNDERFLOW,
  HELD,
  INVALID_FREE,
  LIVE,
  MISMATCHED_FREE,
  NULL_ACCESS,
  NULL_PAGE,
  OUT_OF_BOUNDS,
  PLACE_BITS,
  PLACES,
  READ,
  REALLOC,
  RELEASE,
  SIZE,
  STACK_OVERFLOW,
  STALE,
  STATE,
  USE_AFTER_FREE,
  WRITE,
} from "./layout";
import { argumentOf, enqueue, evictTo, limit, replace, setLimit } from "./quarantine";
import {
  bad,
  isPartlyUsable,
  isUsable,
  markFreed,
  markHeader,
  markLive,
  markReleased,
  poison,
  setUsable,
  shadowOf,
  unmarkHeader,
} from "./shadow";


/** A place reports each time until it did so this often; from then on each time that the number doubles. */
const ALWAYS: u32 = 32;
/** Of an address that nobody knows it is looked up this often which block it lies in. */
const MOST_LOOKUPS: u32 = 1000;

let bytes: u64 = 0;
/** Whether reads of what lies before a block are errors, as writes are. */
let headerReads: bool = false;
/** Blocks may be larger than is known, and be released unseen. */
let freedOnly: bool = false;
/** The stack has grown into what lies below it. */
let stackIsFull: bool = false;
/** Below it lies no block. */
let heapStart: u32 = 0;
let lookups: u32 = 0;

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

export function setHeap(start: u32): void {
  heapStart = start;
}

export function checkFreedOnly(value: i32): void {
  freedOnly = value != 0;
}

export function checkHeaderReads(value: i32): void {
  headerReads = value != 0;
}

export function setQuarantine(most: f64): void {
  setLimit(<u64>most);
}

/** For checks of engines without a second memory: what an inline check reads. */
export function peek(address: u32): i32 {
  return load<u8>(<usize>(address >> 3));
}

export function peek2(address: u32): i32 {
  return load<u16>(<usize>(address >> 3));
}

/**
 * A check was not satisfied with what it read: that may be all right.
 * @param context lowest bit: the allocator is running, and may do as it likes
 */
export function access(address: u32, size: u32, how: u32, site: u32, context: u64): void {
  if (<u32>context & 1 || isUsable(address, size)) return;
  let value = shadowOf(bad);
  if (value == BEYOND && <u64>bad >= bytes) {
    const now = pages();
    if (<u64>now << 16 > bytes) {
      // somebody made it grow whom we don't see
      setPages(now);
      access(address, size, how, site, context);
      return;
    }
    report(OUT_OF_BOUNDS, address, size, how, placeOf(site), 0);
    return;
  }
  // Library functions read whole words, of which the block may end in the middle: `strlen`
  if (how == READ && size <= 16 && !(address & (size - 1)) && isPartlyUsable(address, size)) return;
  if (value == NULL_PAGE) {
    // where the stack comes first it is the deepest part of it
    report(stackIsFull ? STACK_OVERFLOW : NULL_ACCESS, address, size, how, placeOf(site), 0);
    return;
  }
  if (how == READ && !headerReads) {
    const after = findBlock((bad & ~7) + GRANULE);
    if (after && bad + 4 >= load<u32>(after, ADDRESS)) {
      useWhole(after);
      return;
    }
  }
  if (value == FREED) {
    const block = blockAround(bad);
    report(USE_AFTER_FREE, block ? bad : address, size, how, placeOf(site), block);
    return;
  }
  const block = nearestBlock(bad);
  if (!block) return;
  const under = bad < load<u32>(block, ADDRESS);
  report(under ? HEAP_UNDERFLOW : HEAP_OVERFLOW, under ? address : bad, size, how, placeOf(site), block);
}

/** Somebody asked the header of a block how large it is, and may use all of it. */
function useWhole(block: usize): void {
  if (load<u32>(block, STATE) != LIVE) return;
  const extra = load<u32>(block, EXTRA);
  markLive(load<u32>(block, ADDRESS), load<u32>(block, SIZE) + extra, 0);
}

/** The stack pointer was set to what lies outside of the stack. */
export function stack(pointer: u32, site: u32, context: u64): void {
  if (<u32>context & 1) return;
  stackIsFull = true;
  report(STACK_OVERFLOW, pointer, 0, WRITE, placeOf(site), 0);
}

@inline
function placeOf(site: u32): usize {
  return PLACES + (<usize>(site & ((1 << PLACE_BITS) - 1)) << 2);
}

@inline
function placeOfContext(context: u64): usize {
  return placeOf(((<u32>(context ^ (context >> 32)) * 0x9e37_79b1) >> (32 - PLACE_BITS)) | (1 << (PLACE_BITS - 1)));
}

function report(kind: u32, address: u32, size: u32, how: u32, place: usize, block: usize): void {
  const times = load<u32>(place) + 1;
  store<u32>(place, times);
  if (times > ALWAYS && times & (times - 1)) return;
  found(kind, address, size, how, place, block);
}

/** The program got a block. `extra` bytes behind it are nobody's. */
export function allocated(address: u32, size: u32, extra: u32, context: u64): void {
  // one of no bytes may be at an address that stands for all of them
  if (!address || !(size + extra)) return;
  const known = findBlock(address);
  if (known) drop(known);
  if (!addBlock(address, size, extra, context)) return;
  if (freedOnly) {
    markLive(address, (size + 7) & ~7, 0);
    return;
  }
  markLive(address, size, extra);
  // what begins a page may be the first thing of a segment, behind what belongs to somebody else
  if (address & 0xffff) markHeader(address);
}

/** A block whose release was not seen. */
function drop(block: usize): void {
  if (load<u32>(block, STATE) == LIVE) {
    markReleased(load<u32>(block, ADDRESS), load<u32>(block, SIZE), load<u32>(block, EXTRA));
    forget(block);
    recycle(block);
  } else {
    replace(block);
  }
}

/**
 * The program frees a block.
 * @param release number of the function that it calls, for `evict`; the arguments are what it calls it with
 * @returns whether that is all that is to be done now
 */
export function release(
  address: u32,
  release: u32,
  argument0: u32,
  argument1: u32,
  argument2: u32,
  argument3: u32,
  context: u64,
): i32 {
  if (!address) return 0;
  const block = findBlock(address);
  if (!block) return isInvalid(address, FREE, context) ? 1 : 0;
  if (load<u32>(block, STATE) != LIVE) {
    report(DOUBLE_FREE, address, 0, FREE, placeOfContext(context), block);
    return 1;
  }
  store<u32>(block, HELD, STATE);
  setFreed(block, context);
  store<u32>(block, release, RELEASE);
  store<u32>(block, argument0, ARGUMENTS);
  store<u32>(block, argument1, ARGUMENTS + 4);
  store<u32>(block, argument2, ARGUMENTS + 8);
  store<u32>(block, argument3, ARGUMENTS + 12);
  markFreed(address, load<u32>(block, SIZE));
  enqueue(block);
  return 1;
}

/** The program frees a block with a function that can't be put off: returns whether it must not be called at all. */
export function releaseNow(address: u32, context: u64): i32 {
  if (!address) return 0;
  const block = findBlock(address);
  if (!block) return isInvalid(address, FREE, context) ? 1 : 0;
  if (load<u32>(block, STATE) != LIVE) {
    report(DOUBLE_FREE, address, 0, FREE, placeOfContext(context), block);
    return 1;
  }
  outlived(block, context);
  return 0;
}

function setFreed(block: usize, context: u64): void {
  store<u64>(block, context, FREED_IN);
  const hash = <u32>(context ^ (context >> 32)) * 0x9e37_79b1;
  const known = FREE_CONTEXTS + (<usize>(hash >> (32 - FREE_CONTEXT_BITS)) << 3);
  if (load<u64>(known) == context) return;
  store<u64>(known, context);
  freedIn(context);
}

/** A block that the allocator has back is remembered for a while. */
function outlived(block: usize, context: u64): void {
  if (freedOnly) {
    forget(block);
    recycle(block);
    return;
  }
  store<u32>(block, STALE, STATE);
  setFreed(block, context);
  unmarkHeader(load<u32>(block, ADDRESS));
  markFreed(load<u32>(block, ADDRESS), load<u32>(block, SIZE) + load<u32>(block, EXTRA));
  enqueue(block);
}

/** Whether an address that no block begins at can be none: it is in the middle of one, or outside of the heap. */
function isInvalid(address: u32, how: u32, context: u64): bool {
  let block: usize = 0;
  if (address >= heapStart) {
    if (freedOnly || ++lookups > MOST_LOOKUPS) return false;
    block = blockAround(address);
    if (!block) return false;
  }
  report(INVALID_FREE, address, 0, how, placeOfContext(context), block);
  return true;
}

/** See `evictTo`; `evictAll` empties the quarantine. */
export function evict(): u32 {
  return evictTo(limit);
}

export function evictAll(): u32 {
  return evictTo(0);
}

/** What to call the function with that `evict` named. */
export function argument(index: u32): u32 {
  return argumentOf(index);
}

/**
 * The program releases or resizes a block and says how large it is: returns what the allocator has to hear.
 * @param strict whether it must be right; else the argument may be something else than a size
 */
export function sized(address: u32, size: u32, how: u32, strict: i32, context: u64): u32 {
  const block = address ? findBlock(address) : 0;
  if (!block || load<u32>(block, STATE) != LIVE) return size;
  const asked = load<u32>(block, SIZE);
  if (asked != size) {
    if (!strict) return size;
    report(MISMATCHED_FREE, address, size, how, placeOfContext(context), block);
  }
  return asked + load<u32>(block, EXTRA);
}

/** The program is about to resize a block. */
export function resize(address: u32, context: u64): void {
  if (!address) return;
  const block = findBlock(address);
  if (!block) isInvalid(address, REALLOC, context);
  else if (load<u32>(block, STATE) != LIVE) {
    report(DOUBLE_FREE, address, 0, REALLOC, placeOfContext(context), block);
  }
}

/** The program resized a block, which may have moved; `to` 0 is a failure, unless the new size is 0. */
export function resized(from: u32, to: u32, size: u32, extra: u32, context: u64): void {
  if (!to && size) return;
  const block = from && from != to ? findBlock(from) : 0;
  if (block && load<u32>(block, STATE) == LIVE) outlived(block, context);
  allocated(to, size, extra, context);
}

export function blocksStart(): usize {
  return BLOCKS;
}

export function blocksEnd(): usize {
  return endOfBlocks();
}
