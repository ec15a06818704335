/** What is known of blocks: live ones, and those that were freed not long ago. */
import {
  ADDRESS,
  ALLOCATED_IN,
  BLOCK_SIZE,
  BLOCKS,
  EXTRA,
  HEAD_BITS,
  HEADS,
  LIVE,
  NEXT,
  REPLACED,
  SIZE,
  STATE,
} from "./layout";

/** Behind the last block that was ever made. */
let end: usize = BLOCKS;
/** Blocks that are not in use, linked by `NEXT`. */
let unused: usize = 0;

/** Neighbours have heads next to each other: programs use blocks together that lie together. Few begin in the same 16 bytes. */
@inline
function head(address: u32): usize {
  return HEADS + (((address >> 4) & ((1 << HEAD_BITS) - 1)) << 2);
}

/** The block that begins at an address, or 0. */
export function findBlock(address: u32): usize {
  let block = <usize>load<u32>(head(address));
  while (block && load<u32>(block, ADDRESS) != address) block = load<u32>(block, NEXT);
  return block;
}

/** Makes a block; 0 when the engine has no more memory. One that was known at its address is no longer found. */
export function addBlock(address: u32, size: u32, extra: u32, context: u64): usize {
  let block = unused;
  if (block) {
    unused = load<u32>(block, NEXT);
  } else {
    const have = <usize>memory.size() << 16;
    if (end + BLOCK_SIZE > have && memory.grow(16) < 0) return 0;
    block = end;
    end += BLOCK_SIZE;
  }
  const at = head(address);
  store<u32>(block, address, ADDRESS);
  store<u32>(block, size, SIZE);
  store<u32>(block, load<u32>(at), NEXT);
  store<u32>(block, LIVE, STATE);
  store<u32>(block, extra, EXTRA);
  store<u64>(block, context, ALLOCATED_IN);
  store<u32>(at, <u32>block);
  return block;
}

/** It is no longer found by its address. */
export function forget(block: usize): void {
  let at = head(load<u32>(block, ADDRESS));
  while (load<u32>(at) != <u32>block) {
    const next = <usize>load<u32>(at);
    if (!next) return;
    at = next + NEXT;
  }
  store<u32>(at, load<u32>(block, NEXT));
}

/** Its description may be used for another one. */
export function recycle(block: usize): void {
  store<u32>(block, 0, STATE);
  store<u32>(block, <u32>unused, NEXT);
  unused = block;
}

/** The block that an address lies in. */
export function blockAround(address: u32): usize {
  for (let block = BLOCKS; block < end; block += BLOCK_SIZE) {
    const state = load<u32>(block, STATE);
    if (state && state != REPLACED && address - load<u32>(block, ADDRESS) < load<u32>(block, SIZE)) return block;
  }
  return 0;
}

/** The block with the least distance to an address outside of it. Looks at all: only for what is reported. */
export function nearestBlock(address: u32): usize {
  let nearest: usize = 0;
  let least: u32 = ~0;
  for (let block = BLOCKS; block < end; block += BLOCK_SIZE) {
    const state = load<u32>(block, STATE);
    if (!state || state == REPLACED) continue;
    const start = load<u32>(block, ADDRESS);
    const last = start + load<u32>(block, SIZE);
    const distance = address >= last ? address - last : address < start ? start - address : 0;
    // of two at the same distance the one that is still in use
    if (distance < least || (distance == least && state == LIVE)) {
      least = distance;
      nearest = block;
    }
  }
  return nearest;
}

export function blocksEnd(): usize {
  return end;
}
