/** Blocks that the program freed, in that order: whoever uses them now is found out. */
import { forget, recycle } from "./blocks";
import {
  ADDRESS,
  ARGUMENTS,
  CHANGED,
  EXTRA,
  HELD,
  LATER,
  REPLACED,
  SIZE,
  STALE,
  STATE,
  SUM,
} from "./layout";
import { markReleased, unmarkHeader } from "./shadow";

/** Bytes of a block beside what was asked for. */
const OVERHEAD: u32 = 16;

let first: usize = 0;
let last: usize = 0;
let held: u64 = 0;
let heldBlocks: u32 = 0;
/** Blocks that are only remembered. */
let stale: u32 = 0;
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

/** The block that was let go last. */
let gone: usize = 0;

/** Which argument the function is to be called with that releases it. */
export function argumentOf(index: u32): u32 {
  return load<u32>(gone + (index << 2), ARGUMENTS);
}

export function setLimit(bytes: u64): void {
  limit = bytes;
}

@inline
function bytesOf(block: usize): u64 {
  return <u64>load<u32>(block, SIZE) + load<u32>(block, EXTRA) + OVERHEAD;
}

@inline
function isTooMuch(most: u64): bool {
  return held > most || <u64>heldBlocks > max(most / BLOCK_SHARE, LEAST_BLOCKS);
}

/** Takes a block that was freed. */
export function enqueue(block: usize): void {
  store<u32>(block, 0, LATER);
  if (last) store<u32>(last, <u32>block, LATER);
  else first = block;
  last = block;
  if (load<u32>(block, STATE) == HELD) {
    held += bytesOf(block);
    heldBlocks++;
  } else stale++;
}

/** What was in the block that was taken last, when it was freed. */
export function setSum(sum: u32): void {
  if (last) store<u32>(last, sum, SUM);
}

/**
 * Words at the beginning of a block of which a sum tells whether somebody changed them. Only those of blocks that begin a
 * granule: else their first bytes aren't poisoned, and who writes there is not found out.
 */
export function summedWords(block: usize): u32 {
  return load<u32>(block, ADDRESS) & 7 ? 0 : min<u32>((load<u32>(block, SIZE) + 3) >> 2, MOST_SUMMED);
}

function dequeue(): usize {
  const block = first;
  first = load<u32>(block, LATER);
  if (!first) last = 0;
  return block;
}

@inline
function isHeld(block: usize): bool {
  const state = load<u32>(block, STATE);
  return state == HELD || state == CHANGED;
}

/**
 * Lets go of the oldest block if there are too many. It is the caller that releases it; then `recycleGone` is due.
 * @returns the block; 0 when all is well
 */
export function evictTo(most: u64): usize {
  while (first && (isTooMuch(most) || stale > MOST_STALE)) {
    const block = dequeue();
    if (isHeld(block)) {
      held -= bytesOf(block);
      heldBlocks--;
      unmarkHeader(load<u32>(block, ADDRESS));
      markReleased(load<u32>(block, ADDRESS), load<u32>(block, SIZE), load<u32>(block, EXTRA));
      forget(block);
      gone = block;
      // the next one will have left the processor's caches by now: it may fetch it while the program goes on
      if (first) upcoming = load<u32>(first);
      return block;
    }
    stale--;
    if (load<u32>(block, STATE) == STALE) {
      markReleased(load<u32>(block, ADDRESS), load<u32>(block, SIZE), load<u32>(block, EXTRA));
      forget(block);
    }
    recycle(block);
  }
  return 0;
}

/** Whether there is more to let go. */
export function isOverfull(most: u64): bool {
  return first != 0 && isTooMuch(most);
}

/** The block that was let go last. */
export function goneBlock(): usize {
  return gone;
}

/** Something else is at the address of a block that was freed, or may be; it leaves when its turn comes. */
export function replace(block: usize): void {
  if (isHeld(block)) {
    held -= bytesOf(block);
    heldBlocks--;
    stale++;
  }
  markReleased(load<u32>(block, ADDRESS), load<u32>(block, SIZE), load<u32>(block, EXTRA));
  forget(block);
  store<u32>(block, REPLACED, STATE);
}
