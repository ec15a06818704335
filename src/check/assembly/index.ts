/**
 * The checker: what checks and hooks of a checked module call. It keeps the shadow memory of one linear memory, where
 * inline checks read it themselves, and knows the blocks that what they find belongs to.
 *
 * Shadow memory, redzones and quarantine are those of AddressSanitizer (Serebryany, Bruening, Potapenko and Vyukov,
 * AddressSanitizer: A Fast Address Sanity Checker, USENIX ATC 2012).
 */
import { noteEmpty } from "./access";
import {
  blockAround,
  extraOf,
  findBlock,
  forget,
  heapStart,
  newBlock,
  noteSize,
  placeOf as placeOfBlock,
  stateOf,
} from "./blocks";
import { forgetExposed } from "./exposed";
import { freedIn, pressed } from "./host";
import {
  ADDRESS,
  ALLOCATED_IN,
  ARGUMENTS,
  BLOCK,
  DOUBLE_FREE,
  EXTRA_SHIFT,
  FREE,
  FREE_CONTEXT_BITS,
  FREE_CONTEXTS,
  FREED_IN,
  HOST_WRITE,
  INVALID_FREE,
  LIVE,
  MISMATCHED_FREE,
  NEXT,
  REALLOC,
  RELEASE,
  SIZE,
  STALE,
  STATE,
  SUM,
  WRITE,
} from "./layout";
import {
  argumentOf,
  changedUnseen,
  comparedWords,
  evictTo,
  gone,
  hold,
  isFull,
  limit,
  nextHeld as nextHeldPlace,
  remember,
  replace,
  setLimit,
  summedWords,
} from "./quarantine";
import { placeOfContext, report } from "./report";
import { markFreed, markHeader, markLive, markReleased, unmarkHeader } from "./shadow";

export { access, checkHeaderReads, peek, peek2, setNullPage, setPages, stack, usable } from "./access";
export { setHeap } from "./blocks";
export { expose, isExposed } from "./exposed";
export { upcoming } from "./quarantine";

/** Of an address that nobody knows it is looked up this often which block it lies in. */
const MOST_LOOKUPS: u32 = 1000;

/** Blocks may be larger than is known, and be released unseen. */
let freedOnly: bool = false;
let lookups: u32 = 0;
/** Behind it blocks mean that the memory will soon be full. */
let nearlyFull: u64 = 1 << 32;
/** How much may be held while blocks are let go. */
let target: u64 = 0;

export function checkFreedOnly(value: i32): void {
  freedOnly = value != 0;
}

export function setQuarantine(most: f64): void {
  setLimit(<u64>most);
}

/** The memory can't become larger than that: what is held back has to leave room. */
export function setMost(bytes: f64): void {
  nearlyFull = (<u64>bytes / 8) * 7;
}

/** The program got a block. `extra` bytes behind it are nobody's. */
export function allocated(address: u32, size: u32, extra: u32, context: u64): void {
  forgetExposed(address, size);
  describe(address, size, extra, context);
}

/** A block is here, which may have been here before with another size. */
function describe(address: u32, size: u32, extra: u32, context: u64): void {
  // one of no bytes may be at an address that stands for all of them
  if (!address) return;
  if (!(size + extra)) {
    noteEmpty(address);
    return;
  }
  const place = placeOfBlock(address);
  // nothing is known of a block here
  if (load<u32>(place, ADDRESS) | load<u32>(place, NEXT)) {
    const known = findBlock(address);
    if (known) drop(known);
  }
  if (<u64>address + size > nearlyFull) pressure();
  const block = newBlock(address);
  if (!block) return;
  store<u32>(block, address, ADDRESS);
  store<u32>(block, size, SIZE);
  store<u32>(block, LIVE | (extra << EXTRA_SHIFT), STATE);
  store<u64>(block, context, ALLOCATED_IN);
  noteSize(size);
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
  if (stateOf(block) == LIVE) {
    markReleased(load<u32>(block, ADDRESS), load<u32>(block, SIZE), extraOf(block));
    forget(block);
  } else {
    replace(block);
  }
}

/** What `release` says of a block that is held. */
const MUST_EVICT: u64 = 1 << 63;

/**
 * The program frees a block.
 * @param release number of the function that it calls, for `evict`; the arguments are what it calls it with
 * @returns 0: the function may do it; 1: there is nothing to do; else the block is held: the lowest 32 bits are where its sum
 *   is to be stored, those above how many of its words are to be summed up, and the highest bit says that `evict` is due
 */
export function release(
  address: u32,
  release: u32,
  argument0: u32,
  argument1: u32,
  argument2: u32,
  argument3: u32,
  context: u64,
): u64 {
  if (!address) return 0;
  const block = freeableBlock(address, context);
  if (block <= REFUSED) return <u64>block;
  const place = hold(block, context);
  if (!place) {
    forget(block);
    return 0;
  }
  noteFreeContext(context);
  store<u32>(block, release, RELEASE);
  store<u32>(place, argument0, ARGUMENTS);
  store<u32>(place, argument1, ARGUMENTS + 4);
  store<u32>(place, argument2, ARGUMENTS + 8);
  store<u32>(place, argument3, ARGUMENTS + 12);
  markFreed(address, load<u32>(block, SIZE));
  const held = (<u64>summedWords(block) << 32) | (place + SUM);
  return isFull() ? held | MUST_EVICT : held;
}

/** For engines without a second memory: stores the sum of a block that is held. */
export function summed(place: usize, sum: u32): void {
  store<u32>(place, sum);
}

/** The program frees a block with a function that can't be put off: returns whether it must not be called at all. */
export function releaseNow(address: u32, context: u64): i32 {
  if (!address) return 0;
  const block = freeableBlock(address, context);
  if (block <= REFUSED) return <i32>block;
  outlived(block, context);
  return 0;
}

const UNKNOWN: usize = 0;
const REFUSED: usize = 1;

/** The live block that begins at an address; `UNKNOWN` if there may be one, `REFUSED` when there is none. */
function freeableBlock(address: u32, context: u64): usize {
  const block = findBlock(address);
  if (!block) return isInvalid(address, FREE, context) ? REFUSED : UNKNOWN;
  if (stateOf(block) == LIVE) return block;
  report(DOUBLE_FREE, address, 0, FREE, placeOfContext(context), block);
  return REFUSED;
}

/** Tells the host of contexts in which blocks are freed, each time that one was not seen lately. */
@inline
function noteFreeContext(context: u64): void {
  const hash = <u32>(context ^ (context >> 32)) * 0x9e37_79b1;
  const known = FREE_CONTEXTS + (<usize>(hash >> (32 - FREE_CONTEXT_BITS)) << 3);
  // its lowest bit is always clear here
  const own = <u32>context | 1;
  if (load<u32>(known) != own && load<u32>(known, 4) != own) newFreeContext(known, own, context);
}

function newFreeContext(known: usize, own: u32, context: u64): void {
  store<u32>(known, load<u32>(known), 4);
  store<u32>(known, own);
  freedIn(context);
}

/** A block that the allocator has back is remembered for a while. */
function outlived(block: usize, context: u64): void {
  if (freedOnly || !remember(block, context)) {
    if (!freedOnly) markReleased(load<u32>(block, ADDRESS), load<u32>(block, SIZE), extraOf(block));
    forget(block);
    return;
  }
  noteFreeContext(context);
  unmarkHeader(load<u32>(block, ADDRESS));
  markFreed(load<u32>(block, ADDRESS), load<u32>(block, SIZE) + extraOf(block));
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

/**
 * A block of the quarantine that is to be released now. More than one are let go when there are too many, so that this is
 * seldom due.
 * @returns 0 when there is none; else the number of the function, plus 1, above 48 bits: in the 16 below them the
 *   words that `evicted` wants the sum of, and in the lowest 32 the block's address
 */
export function evict(): u64 {
  target = limit - (limit >> 4);
  return evictOne();
}

/** The same, until nothing is held back any more. */
export function evictAll(): u64 {
  target = 0;
  return evictOne();
}

function evictOne(): u64 {
  const place = evictTo(target);
  if (!place) return 0;
  const block = load<u32>(place, BLOCK);
  const number = <u64>load<u32>(block, RELEASE) + 1;
  return (number << 48) | (<u64>comparedWords() << 32) | load<u32>(block, ADDRESS);
}

/**
 * The block of `evict` is released next.
 * @param sum of its words
 * @returns another block to release then, as `evict` does
 */
export function evicted(sum: u32): u64 {
  const changed = changedUnseen(sum);
  if (changed) reportChange(changed);
  gone();
  return evictOne();
}

/** Somebody wrote to a block that was freed, and not wasm, which is found out at once. */
function reportChange(place: usize): void {
  const block = load<u32>(place, BLOCK);
  const at = placeOfContext(load<u64>(place, FREED_IN) + 1);
  report(HOST_WRITE, load<u32>(block, ADDRESS), 0, WRITE, at, block);
}

/** What to call the function with that `evict` named. */
export function argument(index: u32): u32 {
  return argumentOf(index);
}

/** The memory is full, or will be soon: less is held back from now on. */
export function pressure(): void {
  if (!limit) return;
  setLimit(limit < 1 << 16 ? 0 : limit >> 2);
  pressed(limit);
}

/** For a look at all that is held: the place of the first block behind another one, from 0 on; 0 when there are no more. */
export function nextHeld(place: usize): usize {
  return nextHeldPlace(place);
}

/** Words of a held block that `compareHeld` wants the sum of. */
export function heldWords(place: usize): u32 {
  return summedWords(load<u32>(place, BLOCK));
}

export function compareHeld(place: usize, sum: u32): void {
  if (load<u32>(place, SUM) == sum) return;
  reportChange(place);
  store<u32>(place, sum, SUM);
}

/**
 * The program releases or resizes a block and says how large it is: returns what the allocator has to hear.
 * @param strict whether it must be right; else the argument may be something else than a size
 */
export function sized(address: u32, size: u32, how: u32, strict: i32, context: u64): u32 {
  const block = address ? findBlock(address) : 0;
  if (!block || stateOf(block) != LIVE) return size;
  const asked = load<u32>(block, SIZE);
  if (asked != size) {
    if (!strict) return size;
    report(MISMATCHED_FREE, address, size, how, placeOfContext(context), block);
  }
  return asked + extraOf(block);
}

/** The program is about to resize a block. */
export function resize(address: u32, context: u64): void {
  if (!address) return;
  const block = findBlock(address);
  if (!block) isInvalid(address, REALLOC, context);
  else if (stateOf(block) != LIVE) {
    report(DOUBLE_FREE, address, 0, REALLOC, placeOfContext(context), block);
  }
}

/** The program resized a block, which may have moved; `to` 0 is a failure, unless the new size is 0. */
export function resized(from: u32, to: u32, size: u32, extra: u32, context: u64): void {
  if (!to && size) return;
  const block = from && from != to ? findBlock(from) : 0;
  if (block) {
    if (stateOf(block) == LIVE) outlived(block, context);
    else if (stateOf(block) != STALE) replace(block); // an error, but the allocator has it back
  }
  if (from == to) describe(to, size, extra, context);
  else allocated(to, size, extra, context);
}
