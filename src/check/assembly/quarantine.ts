/**
 * Blocks that the program freed, in that order: whoever uses them now is found out. The queue is a ring, so that what is put
 * into it and taken out lies one behind the other. It is emptied a part at a time.
 */
import { extraOf, forget, setState, stateOf } from "./blocks";
import {
  ADDRESS,
  ARGUMENTS,
  BLOCK,
  CHANGED,
  FREED_IN,
  HELD,
  LEAVING,
  MOST_QUEUED,
  QUEUE,
  QUEUED_AT,
  QUEUED_SIZE,
  SIZE,
  STALE,
  SUM,
} from "./layout";
import { markReleased, unmarkHeader } from "./shadow";

/** Bytes of a block beside what was asked for. */
const OVERHEAD: u32 = 16;

let oldest: usize = QUEUE;
let next: usize = QUEUE;
let end: usize = QUEUE;
/** Places that are taken. */
let taken: u32 = 0;
let held: u64 = 0;
let heldBlocks: u32 = 0;
/** Blocks that are only remembered, or whose place is taken by something else now. */
const MOST_STALE: u32 = 4096;
const MOST_SUMMED: u32 = 1024;
/**
 * Of small blocks as many are kept as of those of so many bytes, and some in any case: of more the descriptions, the shadow
 * and the blocks themselves would take the program's place in the processor's caches.
 */
const BLOCK_SHARE: u64 = 256;
const LEAST_BLOCKS: u64 = 16;

/** Bytes that may be kept from the allocator. */
export let limit: u64 = 0;

/** Is only there to be written. */
export let upcoming: u32 = 0;

/** Place of the block that is being let go; 0 when none is. */
let leaving: usize = 0;
/** What is in it is to be as it was. */
let isUnchanged: bool = false;

/** Which argument the function is to be called with that releases it. */
export function argumentOf(index: u32): u32 {
  return load<u32>(leaving + (index << 2), ARGUMENTS);
}

export function setLimit(bytes: u64): void {
  limit = bytes;
  // it only gets lower later
  if (end == QUEUE) end += <usize>min<u64>(mostBlocks(bytes) + MOST_STALE + 2, MOST_QUEUED) * QUEUED_SIZE;
}

@inline
function bytesOf(block: usize): u64 {
  return <u64>load<u32>(block, SIZE) + extraOf(block) + OVERHEAD;
}

@inline
function mostBlocks(bytes: u64): u64 {
  return max(bytes / BLOCK_SHARE, LEAST_BLOCKS);
}

@inline
function isTooMuch(most: u64): bool {
  return held > most || <u64>heldBlocks > mostBlocks(most) || taken - heldBlocks > MOST_STALE;
}

/** Whether something has to be let go. */
@inline
export function isFull(): bool {
  return isTooMuch(limit);
}

/** Puts a block behind all others. */
@inline
function enqueue(block: usize, context: u64): usize {
  const place = next;
  next += QUEUED_SIZE;
  if (next == end) next = QUEUE;
  taken++;
  store<u32>(place, <u32>block, BLOCK);
  store<u64>(place, context, FREED_IN);
  store<u32>(block, <u32>place, QUEUED_AT);
  return place;
}

@inline
function hasRoom(): bool {
  return taken < <u32>((end - QUEUE) / QUEUED_SIZE);
}

/** Takes a block that was freed, and that the caller has to release later; returns its place, or 0 if it can't. */
export function hold(block: usize, context: u64): usize {
  if (!hasRoom()) return 0;
  setState(block, HELD);
  held += bytesOf(block);
  heldBlocks++;
  return enqueue(block, context);
}

/** Takes a block that the allocator has back; returns false when there are enough of them. */
export function remember(block: usize, context: u64): bool {
  while (taken > heldBlocks && taken - heldBlocks >= MOST_STALE && !isHeld(oldest)) dropOldest();
  if (taken - heldBlocks >= MOST_STALE || !hasRoom()) return false;
  setState(block, STALE);
  enqueue(block, context);
  return true;
}

/**
 * Words at the beginning of a block of which a sum tells whether somebody changed them. Only those of blocks that begin a
 * granule: else their first bytes aren't poisoned, and who writes there is not found out.
 */
export function summedWords(block: usize): u32 {
  return load<u32>(block, ADDRESS) & 7 ? 0 : min<u32>((load<u32>(block, SIZE) + 3) >> 2, MOST_SUMMED);
}

/** Whether a block has to be released when it leaves its place. */
@inline
function isHeld(place: usize): bool {
  const block = load<u32>(place, BLOCK);
  return block != 0 && stateOf(block) != STALE;
}

@inline
function advance(): void {
  oldest += QUEUED_SIZE;
  if (oldest == end) oldest = QUEUE;
  taken--;
}

/** The oldest is one that needs no release. */
function dropOldest(): void {
  const block = load<u32>(oldest, BLOCK);
  advance();
  if (!block) return;
  markReleased(load<u32>(block, ADDRESS), load<u32>(block, SIZE), extraOf(block));
  forget(block);
}

/**
 * Lets go of the oldest block if there are too many. It is the caller that releases it; then `gone` is due.
 * @returns its place; 0 when all is well
 */
export function evictTo(most: u64): usize {
  // what a trap kept from being released is still to be
  if (leaving && load<u32>(leaving, BLOCK)) return leaving;
  while (taken && isTooMuch(most)) {
    if (!isHeld(oldest)) {
      dropOldest();
      continue;
    }
    leaving = oldest;
    advance();
    const block = <usize>load<u32>(leaving, BLOCK);
    held -= bytesOf(block);
    heldBlocks--;
    isUnchanged = stateOf(block) == HELD;
    setState(block, LEAVING);
    unmarkHeader(load<u32>(block, ADDRESS));
    markReleased(load<u32>(block, ADDRESS), load<u32>(block, SIZE), extraOf(block));
    // the next one will have left the processor's caches by now: it may fetch it while the program goes on
    if (taken) upcoming = load<u32>(load<u32>(oldest, BLOCK));
    return leaving;
  }
  leaving = 0;
  return 0;
}

/** Words of the leaving block whose sum is to be compared. */
@inline
export function comparedWords(): u32 {
  return isUnchanged ? summedWords(load<u32>(leaving, BLOCK)) : 0;
}

/** Place of the leaving block if what is in it is not as it was. */
export function changedUnseen(sum: u32): usize {
  return isUnchanged && load<u32>(leaving, SUM) != sum ? leaving : 0;
}

/** The leaving block is as good as released. */
export function gone(): void {
  const block = load<u32>(leaving, BLOCK);
  leaving = 0;
  if (block) forget(block);
}

/** Something else is at the address of a block that was freed, or may be. */
export function replace(block: usize): void {
  const state = stateOf(block);
  if (state == HELD || state == CHANGED) {
    held -= bytesOf(block);
    heldBlocks--;
  }
  store<u32>(load<u32>(block, QUEUED_AT), 0, BLOCK);
  markReleased(load<u32>(block, ADDRESS), load<u32>(block, SIZE), extraOf(block));
  forget(block);
}

/** For a look at all that is held: the first place behind another one, from 0 on; 0 when there are no more. */
export function nextHeld(place: usize): usize {
  let at = place;
  do {
    if (!at) at = oldest;
    else {
      at += QUEUED_SIZE;
      if (at == end) at = QUEUE;
      if (at == next) return 0;
    }
    const block = taken ? load<u32>(at, BLOCK) : 0;
    if (block && stateOf(block) == HELD) return at;
  } while (taken);
  return 0;
}
