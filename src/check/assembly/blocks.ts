/**
 * What is known of blocks: live ones, and those that were freed not long ago. A block's description lies where its address
 * says, beside those of its neighbours: to find it takes no search and touches one line of the processor's caches. Of two
 * blocks that belong to the same place the later one is described elsewhere, and linked from there.
 */
import {
  ADDRESS,
  BLOCK_SIZE,
  BLOCKS,
  EXTRA_SHIFT,
  FURTHER,
  LIVE,
  NEXT,
  PLACE_COUNT_BITS,
  SIZE,
  STATE,
  STATE_MASK,
  UNIT_BITS,
} from "./layout";

const UNIT: u32 = 1 << UNIT_BITS;
/** The bits of an address that are, as a number of bytes, where its place is: a place is as large as a unit. */
const PLACE_MASK: u32 = ((1 << PLACE_COUNT_BITS) - 1) << UNIT_BITS;

/** Below it lies no block. */
export let heapStart: u32 = 0;

/** Behind the last description that was ever made outside of its place. */
let end: usize = FURTHER;
/** Of these, those that are not in use, linked by `NEXT`. */
let unused: usize = 0;
/** Bytes of the largest block there ever was. */
let largest: u32 = 0;

export function setHeap(start: u32): void {
  heapStart = start;
}

/** Where the block is described that begins at an address, if no other block of the same place is. */
@inline
export function placeOf(address: u32): usize {
  return BLOCKS + (address & PLACE_MASK);
}

/** The block that begins at an address, or 0. */
export function findBlock(address: u32): usize {
  let block = placeOf(address);
  while (block && load<u32>(block, ADDRESS) != address) block = load<u32>(block, NEXT);
  return block;
}

/** Where to describe a block that begins at an address and isn't known; 0 when the engine has no more memory. */
@inline
export function newBlock(address: u32): usize {
  const place = placeOf(address);
  return load<u32>(place, ADDRESS) ? furtherBlock(place) : place;
}

function furtherBlock(place: usize): usize {
  let block = unused;
  if (block) {
    unused = load<u32>(block, NEXT);
  } else {
    const have = <usize>memory.size() << 16;
    if (end + BLOCK_SIZE > have && memory.grow(16) < 0) return 0;
    block = end;
    end += BLOCK_SIZE;
  }
  store<u32>(block, load<u32>(place, NEXT), NEXT);
  store<u32>(place, <u32>block, NEXT);
  return block;
}

/** Blocks of so many bytes may have to be looked for from now on. */
@inline
export function noteSize(size: u32): void {
  if (size > largest) largest = size;
}

@inline
export function stateOf(block: usize): u32 {
  return load<u8>(block, STATE);
}

@inline
export function setState(block: usize, state: u32): void {
  store<u8>(block, <u8>state, STATE);
}

@inline
export function extraOf(block: usize): u32 {
  return load<u32>(block, STATE) >> EXTRA_SHIFT;
}

/** It is no longer known. */
export function forget(block: usize): void {
  if (block < FURTHER) {
    store<u32>(block, 0, ADDRESS);
    return;
  }
  let before = placeOf(load<u32>(block, ADDRESS));
  while (load<u32>(before, NEXT) != <u32>block) before = load<u32>(before, NEXT);
  store<u32>(before, load<u32>(block, NEXT), NEXT);
  store<u32>(block, 0, ADDRESS);
  store<u32>(block, <u32>unused, NEXT);
  unused = block;
}

/** Beginning of the unit of an address. */
@inline
function unitOf(address: u32): u32 {
  return address & ~(UNIT - 1);
}

/** The block that an address lies in: of several the one that begins last. Looks at one place after the other. */
export function blockAround(address: u32): usize {
  for (let unit = unitOf(address); address - unit < largest + UNIT; unit -= UNIT) {
    let found: usize = 0;
    for (let block = placeOf(unit); block; block = load<u32>(block, NEXT)) {
      const start = load<u32>(block, ADDRESS);
      if (unitOf(start) != unit || !start) continue;
      if (address - start < load<u32>(block, SIZE) && (!found || start > load<u32>(found, ADDRESS))) found = block;
    }
    if (found) return found;
    if (!unit) break;
  }
  return 0;
}

/** Blocks that end this far below an address have nothing to do with it, and it is no use to look for them. */
const FARTHEST: u32 = 1 << 20;

let nearest: usize = 0;
/** Distance of the nearest block. */
let least: u32 = 0;

/** Compares the blocks of a unit with the nearest so far. Of two at the same distance the one that is still in use is nearer. */
function lookNear(unit: u32, address: u32): void {
  for (let block = placeOf(unit); block; block = load<u32>(block, NEXT)) {
    const start = load<u32>(block, ADDRESS);
    if (unitOf(start) != unit || !start) continue;
    const last = start + load<u32>(block, SIZE);
    const distance = address >= last ? address - last : address < start ? start - address : 0;
    if (distance < least || (distance == least && stateOf(block) == LIVE)) {
      least = distance;
      nearest = block;
    }
  }
}

/** The block with the least distance to an address outside of it; nothing lies at `end` or behind it. */
export function nearestBlock(address: u32, end: u64): usize {
  nearest = 0;
  least = ~0;
  // what begins before that ends farther away than what was found, or than it matters
  for (let unit = unitOf(address); address - unit < largest + UNIT + min(least, FARTHEST); unit -= UNIT) {
    lookNear(unit, address);
    if (!unit) break;
  }
  for (let unit = <u64>unitOf(address) + UNIT; unit < end && unit - address <= least; unit += UNIT) {
    lookNear(<u32>unit, address);
  }
  return nearest;
}
