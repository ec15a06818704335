/**
 * The checker: what checks and hooks of a checked module call. It keeps the shadow memory of one linear memory, where
 * inline checks read it themselves, and knows the blocks that what they find belongs to.
 *
 * Shadow memory, redzones and quarantine are those of AddressSanitizer (Serebryany, Bruening, Potapenko and Vyukov,
 * AddressSanitizer: A Fast Address Sanity Checker, USENIX ATC 2012).
 */
import { addBlock, blockAround, blocksEnd as endOfBlocks, findBlock, forget, recycle } from "./blocks";
import { freedIn, pressed } from "./host";
import {
  ADDRESS,
  ARGUMENTS,
  BLOCK_SIZE,
  BLOCKS,
  DOUBLE_FREE,
  EXTRA,
  FREE,
  FREE_CONTEXT_BITS,
  FREE_CONTEXTS,
  FREED_IN,
  HELD,
  HOST_WRITE,
  INVALID_FREE,
  LIVE,
  MISMATCHED_FREE,
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
  enqueue,
  evictTo,
  goneBlock,
  isOverfull,
  limit,
  replace,
  setLimit,
  setSum,
  summedWords,
} from "./quarantine";
import { placeOfContext, report } from "./report";
import { markFreed, markHeader, markLive, markReleased, unmarkHeader } from "./shadow";

export { upcoming } from "./quarantine";
export { access, checkHeaderReads, peek, peek2, setNullPage, setPages, stack, usable } from "./access";

/** Of an address that nobody knows it is looked up this often which block it lies in. */
const MOST_LOOKUPS: u32 = 1000;

/** Blocks may be larger than is known, and be released unseen. */
let freedOnly: bool = false;
/** Below it lies no block. */
let heapStart: u32 = 0;
let lookups: u32 = 0;
/** Behind it blocks mean that the memory will soon be full. */
let nearlyFull: u64 = 1 << 32;
/** How much may be held while blocks are let go. */
let target: u64 = 0;

export function setHeap(start: u32): void {
  heapStart = start;
}

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
  // one of no bytes may be at an address that stands for all of them
  if (!address || !(size + extra)) return;
  const known = findBlock(address);
  if (known) drop(known);
  if (<u64>address + size > nearlyFull) pressure();
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
 * @returns 0: the function may do it; 1: there is nothing to do; else 2 and the number of words that `evict` wants the
 *   sum of
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
  const block = freeableBlock(address, context);
  if (block <= REFUSED) return <i32>block;
  store<u32>(block, HELD, STATE);
  setFreed(block, context);
  store<u32>(block, release, RELEASE);
  store<u32>(block, argument0, ARGUMENTS);
  store<u32>(block, argument1, ARGUMENTS + 4);
  store<u32>(block, argument2, ARGUMENTS + 8);
  store<u32>(block, argument3, ARGUMENTS + 12);
  markFreed(address, load<u32>(block, SIZE));
  enqueue(block);
  return 2 + summedWords(block);
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
  if (load<u32>(block, STATE) == LIVE) return block;
  report(DOUBLE_FREE, address, 0, FREE, placeOfContext(context), block);
  return REFUSED;
}

function setFreed(block: usize, context: u64): void {
  store<u64>(block, context, FREED_IN);
  const hash = <u32>(context ^ (context >> 32)) * 0x9e37_79b1;
  const known = FREE_CONTEXTS + (<usize>(hash >> (32 - FREE_CONTEXT_BITS)) << 4);
  const first = load<u64>(known);
  if (first == context || load<u64>(known, 8) == context) return;
  store<u64>(known, first, 8);
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

/**
 * A block of the quarantine that is to be released now.
 * @param sum of the words of the block that was freed last
 * @returns 0 when there is none; else the number of the function, plus 1, above 48 bits: in the 16 below them the
 *   words that `evicted` wants the sum of, and in the lowest 32 the block's address
 */
export function evict(sum: u32): u64 {
  setSum(sum);
  target = limit;
  return evictOne();
}

/** The same, until nothing is held back any more. */
export function evictAll(sum: u32): u64 {
  target = 0;
  return evictOne();
}

function evictOne(): u64 {
  const block = evictTo(target);
  if (!block) return 0;
  const number = <u64>load<u32>(block, RELEASE) + 1;
  return (number << 48) | (<u64>summedWords(block) << 32) | load<u32>(block, ADDRESS);
}

/** It is released: returns whether there are more. */
export function evicted(sum: u32): i32 {
  const block = goneBlock();
  compare(block, sum);
  recycle(block);
  return isOverfull(target) ? 1 : 0;
}

/** Compares what is in a block with what was there when it was freed. Wasm that writes to it is found out at once. */
function compare(block: usize, sum: u32): void {
  if (load<u32>(block, STATE) != HELD || load<u32>(block, SUM) == sum) return;
  const address = load<u32>(block, ADDRESS);
  report(HOST_WRITE, address, 0, WRITE, placeOfContext(load<u64>(block, FREED_IN) + 1), block);
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

/** For a look at all that is held: the first block behind another one, from 0 on; 0 when there are no more. */
export function nextHeld(block: usize): usize {
  let next = block ? block + BLOCK_SIZE : BLOCKS;
  while (next < endOfBlocks() && load<u32>(next, STATE) != HELD) next += BLOCK_SIZE;
  return next < endOfBlocks() ? next : 0;
}

/** Words of a held block that `compareHeld` wants the sum of. */
export function heldWords(block: usize): u32 {
  return summedWords(block);
}

export function compareHeld(block: usize, sum: u32): void {
  compare(block, sum);
  store<u32>(block, sum, SUM);
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
  if (block) {
    if (load<u32>(block, STATE) == LIVE) outlived(block, context);
    else if (load<u32>(block, STATE) != STALE) replace(block); // an error, but the allocator has it back
  }
  allocated(to, size, extra, context);
}
