/** Blocks that the program freed, in that order: whoever uses them now is found out. */
import { forget, recycle } from "./blocks";
import {
  ADDRESS,
  ARGUMENTS,
  EXTRA,
  HELD,
  LATER,
  RELEASE,
  REPLACED,
  SIZE,
  STALE,
  STATE,
} from "./layout";
import { markReleased, unmarkHeader } from "./shadow";

/** Bytes of a block beside what was asked for. */
const OVERHEAD: u32 = 16;

let first: usize = 0;
let last: usize = 0;
let held: u64 = 0;
/** Blocks that are only remembered. */
let stale: u32 = 0;
const MOST_STALE: u32 = 4096;

/** Bytes that may be kept from the allocator. */
export let limit: u64 = 0;

let argument0: u32 = 0;
let argument1: u32 = 0;
let argument2: u32 = 0;
let argument3: u32 = 0;

/** Of the block that was let go last. */
export function argumentOf(index: u32): u32 {
  return index == 0 ? argument0 : index == 1 ? argument1 : index == 2 ? argument2 : argument3;
}

export function setLimit(bytes: u64): void {
  limit = bytes;
}

@inline
function bytesOf(block: usize): u64 {
  return <u64>load<u32>(block, SIZE) + load<u32>(block, EXTRA) + OVERHEAD;
}

/** Takes a block that was freed. */
export function enqueue(block: usize): void {
  store<u32>(block, 0, LATER);
  if (last) store<u32>(last, <u32>block, LATER);
  else first = block;
  last = block;
  if (load<u32>(block, STATE) == HELD) held += bytesOf(block);
  else stale++;
}

function dequeue(): usize {
  const block = first;
  first = load<u32>(block, LATER);
  if (!first) last = 0;
  return block;
}

/**
 * Lets go of the oldest block if there are too many.
 * @returns the number of the function that is to release one, plus 1; 0 when all is well
 */
export function evictTo(most: u64): u32 {
  while (first && (held > most || stale > MOST_STALE)) {
    const block = dequeue();
    const state = load<u32>(block, STATE);
    if (state != HELD) {
      stale--;
      if (state == STALE) {
        markReleased(load<u32>(block, ADDRESS), load<u32>(block, SIZE), load<u32>(block, EXTRA));
        forget(block);
      }
      recycle(block);
      continue;
    }
    held -= bytesOf(block);
    unmarkHeader(load<u32>(block, ADDRESS));
    markReleased(load<u32>(block, ADDRESS), load<u32>(block, SIZE), load<u32>(block, EXTRA));
    forget(block);
    argument0 = load<u32>(block, ARGUMENTS);
    argument1 = load<u32>(block, ARGUMENTS + 4);
    argument2 = load<u32>(block, ARGUMENTS + 8);
    argument3 = load<u32>(block, ARGUMENTS + 12);
    const release = load<u32>(block, RELEASE);
    recycle(block);
    return release + 1;
  }
  return 0;
}

/** Something else is at the address of a block that was only remembered; it leaves when its turn comes. */
export function replace(block: usize): void {
  markReleased(load<u32>(block, ADDRESS), load<u32>(block, SIZE), load<u32>(block, EXTRA));
  forget(block);
  store<u32>(block, REPLACED, STATE);
}
