/**
 * Which blocks does something in a linear memory lead to? A conservative scan, as a collector without type information
 * does it (Boehm and Weiser, Garbage Collection in an Uncooperative Environment, 1988): any aligned word whose value
 * lies in a block is taken for a pointer to it, into its middle as well as to its begin. So what is called
 * unreferenced has no pointer in the memory; what is called referenced may have none.
 *
 * One exception: an address in the last four bytes of a block that is a multiple of 8. There dlmalloc, which most modules
 * have, begins the chunk that follows, and its lists of free chunks would seem to refer to the blocks before them, and so
 * to all that those lead to. Only what lies outside of blocks can be such a list, and of a chunk in use there is none:
 * SQLite has a header of its own in front of what it hands out, and so points to the last bytes of short strings.
 *
 * It is right only while no wasm function runs: a block may be held by a local variable alone, which lies in no memory.
 * What JavaScript holds (the pointer in a wasm-bindgen object, say) it can't see either; where it is known what JavaScript
 * may hold, such blocks get flags of their own.
 */
import type { Blocks } from "../profile/blocks.js";

export interface Roots {
  /** Ranges of addresses `[start, end)` that lie outside of blocks. */
  ranges: readonly (readonly [start: number, end: number])[];
  /** Values of globals. */
  values: readonly number[];
  /** Whether functions that are not hooked may have made blocks larger where they are: then chunks tell. */
  resizedUnseen?: boolean;
  /** Whether JavaScript knows an address in a block; absent where nobody watched. */
  isExposed?(address: number, size: number): boolean;
}

const unreferenced = 1;
const referenced = 2;
const fromUnreferenced = 3;
const exposed = 4;
const fromExposed = 5;

/**
 * Work is counted in words that are looked at, a few nanoseconds each. One that lies in a block counts as so many: that block
 * has to be found, and is seldom in the processor's caches. So what is examined is the same on every machine, busy or not.
 */
const workOfAddress = 16;
/** So much is done between two calls of `spend`, and up to as many times more as a word may count. */
const workPerCall = 1 << 18;

/**
 * Writes the flags of all blocks (see `reach` in ../profile/blocks.ts).
 * @param memory the linear memory; a page's size divides its length
 * @param spend told what was done since it was last called, returns whether to give up
 * @returns false when it gave up; the flags are then 0
 */
export function examineBlocks(
  memory: ArrayBuffer,
  blocks: Blocks,
  roots: Roots,
  spend: (work: number) => boolean,
): boolean {
  const { count, addresses, flags } = blocks;
  const words = new Uint32Array(memory);
  const sizes = roots.resizedUnseen ? sizesByChunks(blocks, words) : blocks.sizes;
  const find = finder({ ...blocks, sizes });
  /** Blocks found and not looked through yet; each gets here once. */
  const found = new Uint32Array(count);
  let waiting = 0;
  let work = 0;
  let stopped = false;

  /** Whether an address may be that of a free chunk, which begins in the last bytes of the block. */
  const mayBeFreeChunk = (address: number, block: number): boolean =>
    address % chunkUnit === 0 &&
    address !== addresses[block]! &&
    addresses[block]! + sizes[block]! - address <= 4 &&
    !(words[(address - chunkAt + headAt) / 4]! & inUse);
  const scan = (start: number, end: number, visit: (block: number, address: number) => void): void => {
    const last = Math.min(words.length, Math.floor(end / 4));
    for (let at = Math.ceil(start / 4); at < last && !stopped; ) {
      const pause = Math.min(last, at + workPerCall);
      work += pause - at;
      for (; at < pause; at++) {
        const address = words[at]!;
        const block = find(address);
        if (block < 0) continue;
        work += workOfAddress;
        visit(block, address);
      }
      if (work < workPerCall) continue;
      stopped = spend(work);
      work = 0;
    }
  };
  const scanBlock = (block: number, visit: (block: number) => void): void =>
    scan(addresses[block]!, addresses[block]! + sizes[block]!, visit);
  /** Flags what was not reached before, and comes back to look through it. */
  const reacher = (flag: number) => (block: number) => {
    if (flags[block] !== 0) return;
    flags[block] = flag;
    found[waiting++] = block;
  };
  const follow = (visit: (block: number) => void): void => {
    while (waiting > 0 && !stopped) scanBlock(found[--waiting]!, visit);
  };

  const reached = reacher(referenced);
  const reachedFromRoot = (block: number, address: number) => {
    if (!mayBeFreeChunk(address, block)) reached(block);
  };
  for (const value of roots.values) {
    const block = find(value >>> 0);
    if (block >= 0) reachedFromRoot(block, value >>> 0);
  }
  for (const [start, end] of roots.ranges) scan(start, end, reachedFromRoot);
  follow(reached);
  if (roots.isExposed) {
    const reachedFrom = reacher(fromExposed);
    const reachedOnly = reacher(exposed);
    for (let block = 0; block < count; block++) {
      if (flags[block] === 0 && roots.isExposed(addresses[block]!, blocks.sizes[block]!)) reachedOnly(block);
    }
    follow(reachedFrom);
  }

  // Of the rest, those that no other one points to are where it begins; then one of each ring that is left.
  const pointedTo = new Uint8Array(count);
  for (let block = 0; block < count && !stopped; block++) {
    if (flags[block] !== 0) continue;
    scanBlock(block, (other) => {
      if (other !== block) pointedTo[other] = 1;
    });
  }
  const reachedFrom = reacher(fromUnreferenced);
  for (const rings of [false, true]) {
    for (let block = 0; block < count && !stopped; block++) {
      if (flags[block] !== 0 || (!rings && pointedTo[block] !== 0)) continue;
      flags[block] = unreferenced;
      scanBlock(block, reachedFrom);
      follow(reachedFrom);
    }
  }
  if (stopped) flags.fill(0);
  else spend(work);
  return !stopped;
}

/*
 * dlmalloc's chunk around a block: the head is the chunk's size, and in its lowest bits whether it and the one before it
 * are in use. The first word of the chunk that follows belongs to the block.
 *
 *   chunk                 block                                  next chunk
 *   +----------+----------+------------------------------- … ----+----------+----------+
 *   | before's |   head   |                                      : block's  |   head   |
 *   +----------+----------+------------------------------- … ----+----------+----------+
 *      -8         -4         0                                       after      +4
 */
const chunkAt = -8;
const headAt = -4;
const beforeInUse = 1;
const inUse = 2;
const chunkUnit = 8;
const smallestChunk = 16;
/** A chunk may be larger by that without having been asked for: less would be no chunk of its own. */
const unasked = 8;

/** Sizes of blocks, those larger of which a chunk of dlmalloc says that it was resized where it is. */
function sizesByChunks({ count, addresses, sizes }: Blocks, words: Uint32Array): Float64Array {
  const found = Float64Array.from(sizes.subarray(0, count));
  for (let block = 0; block < count; block++) {
    const address = addresses[block]!;
    if (address % chunkUnit !== 0) continue;
    const head = words[(address + headAt) / 4] ?? 0;
    const size = head - (head % chunkUnit);
    const usual = Math.max(smallestChunk, Math.ceil((sizes[block]! + 4) / chunkUnit) * chunkUnit) + unasked;
    const after = address + chunkAt + size;
    const next = addresses[block + 1] ?? words.length * 4;
    if (!(head & inUse) || size <= usual || after - chunkAt > next) continue;
    if ((words[(after + 4) / 4] ?? 0) & beforeInUse) found[block] = after + 4 - address;
  }
  return found;
}

/** Slots of the index for each block. */
const slotsPerBlock = 2;

/**
 * Finds the block that an address lies in, or -1. Almost all words of a memory are no addresses of blocks: they cost
 * two comparisons. For others an index says where to look.
 */
function finder({ count, addresses, sizes }: Blocks): (address: number) => number {
  if (count === 0) return () => -1;
  const low = addresses[0]!;
  // a block of no bytes is where its address points
  const high = addresses[count - 1]! + Math.max(1, sizes[count - 1]!);
  let shift = 4;
  while ((high - low) / 2 ** shift > slotsPerBlock * count) shift++;
  const slot = (address: number) => Math.floor((address - low) / 2 ** shift);
  /** For each slot the first block that begins in it or beyond. */
  const first = new Uint32Array(slot(high) + 2).fill(count);
  for (let block = count - 1; block >= 0; block--) first[slot(addresses[block]!)] = block;
  for (let i = first.length - 2; i >= 0; i--) first[i] = Math.min(first[i]!, first[i + 1]!);

  return (address) => {
    if (address < low || address >= high) return -1;
    const at = (address - low) >>> shift;
    // the last block that begins at the address or before: from the one before the slot to the last in it
    let from = Math.max(0, first[at]! - 1);
    let to = first[at + 1]! - 1;
    while (from < to) {
      const middle = (from + to + 1) >>> 1;
      if (addresses[middle]! <= address) from = middle;
      else to = middle - 1;
    }
    return address < addresses[from]! + Math.max(1, sizes[from]!) ? from : -1;
  };
}
