// Looks at a heap without changing it: a walk over its blocks, and the check of all that has to be true.
import { LinmemError } from "../../errors.js";
import { hex } from "../views.js";
import type { HeapCore } from "./core.js";
import {
  BINS,
  BLOCK_HEADER,
  binOf,
  blockSize,
  FLAGS,
  FOOTED,
  field,
  GRANULE,
  HEADER_BYTES,
  PREV_FREE,
  USED,
} from "./layout.js";

/** A block as `walk` shows it. Bytes. */
export interface HeapBlock {
  /** Of its payload. */
  address: number;
  /** With its header of 8 bytes. */
  size: number;
  /** Whether it is allocated. */
  used: boolean;
  /** What was asked for; 0 of a free one. */
  requested: number;
  /** In debug mode: the stack that allocated it, innermost call first. */
  allocatedAt?: string;
}

export function* blocksOf(core: HeapCore): Generator<HeapBlock> {
  const top = core.get("top");
  for (let block = core.get("first"); block < top; ) {
    const words = core.memory.u32;
    const word = words[block >>> 2]!;
    const size = (word & ~FLAGS) >>> 0;
    const used = (word & USED) !== 0;
    if (size < GRANULE || size > top - block) throw damaged(block, `has the impossible size ${size}`);
    yield { address: block + BLOCK_HEADER, size, used, requested: used ? words[(block >>> 2) + 1]! : 0 };
    block += size;
  }
}

/** Size of a block of the highest bin that isn't empty. */
export function largestFreeBlock(core: HeapCore): number {
  const words = core.memory.u32;
  const summary = core.get("summary");
  if (summary === 0) return 0;
  const word = 31 - Math.clz32(summary);
  const bin = (word << 5) + 31 - Math.clz32(words[core.header + field.bitmap + word]!);
  const head = words[core.header + field.heads + bin]!;
  return (words[head >>> 2]! & ~FLAGS) >>> 0;
}

/**
 * Checks the header, and all blocks and lists unless `whole` is false.
 * @param byteLength of the memory
 */
export function checkHeap(core: HeapCore, byteLength: number, whole: boolean): void {
  const [start, first, top, end] = [core.get("start"), core.get("first"), core.get("top"), core.get("end")];
  const inOrder =
    start === core.header * 4 &&
    start + HEADER_BYTES <= first &&
    first <= top &&
    top <= end &&
    end <= byteLength;
  if (!inOrder || (first + BLOCK_HEADER) % GRANULE !== 0) {
    throw damaged(start, "has bounds in its header that can't be");
  }
  if (whole) checkBlocks(core, checkLists(core));
}

/** Checks the lists of free blocks; returns the blocks in them. */
function checkLists(core: HeapCore): Set<number> {
  const words = core.memory.u32;
  const [first, top] = [core.get("first"), core.get("top")];
  const listed = new Set<number>();
  for (let bin = 0; bin < BINS; bin++) {
    let previous = 0;
    let block = words[core.header + field.heads + bin]!;
    const marked = (words[core.header + field.bitmap + (bin >>> 5)]! >>> (bin & 31)) & 1;
    if (marked !== Number(block !== 0)) throw damaged(block, `: the bitmap is wrong about bin ${bin}`);
    while (block !== 0) {
      if (block < first || block >= top || (block + BLOCK_HEADER) % GRANULE !== 0 || listed.has(block)) {
        throw damaged(block, `is in the list of bin ${bin}, where it can't be`);
      }
      listed.add(block);
      const at = block >>> 2;
      if (words[at]! & USED) throw damaged(block, `is used, and in the list of bin ${bin}`);
      if (binOf((words[at]! & ~FLAGS) >>> 0) !== bin)
        throw damaged(block, `is in the list of the wrong bin ${bin}`);
      if (words[at + 2] !== previous)
        throw damaged(block, `has the wrong neighbour in the list of bin ${bin}`);
      previous = block;
      block = words[at + 1]!;
    }
  }
  for (let word = 0; word < BINS / 32; word++) {
    const marked = (core.get("summary") >>> word) & 1;
    const some = words[core.header + field.bitmap + word] !== 0;
    if (marked !== Number(some))
      throw damaged(core.header * 4, `: the bitmap's summary is wrong about word ${word}`);
  }
  return listed;
}

function checkBlocks(core: HeapCore, listed: ReadonlySet<number>): void {
  const words = core.memory.u32;
  let [used, requested, blocks, free] = [0, 0, 0, 0];
  let footed = false;
  let cursorIsBlock = core.get("cursor") === core.get("top");
  let end = core.get("first");
  for (const each of blocksOf(core)) {
    const block = each.address - BLOCK_HEADER;
    const at = block >>> 2;
    const word = words[at]!;
    if (((word & PREV_FREE) !== 0) !== footed) throw damaged(block, "is wrong about the block before it");
    footed = (word & FOOTED) !== 0;
    if (each.used) {
      if (footed) throw damaged(block, "is used, and footed as only free ones are");
      if (blockSize(each.requested) !== each.size) {
        throw damaged(block, `of ${each.size} bytes does not fit the ${each.requested} bytes asked for`);
      }
      used += each.size;
      requested += each.requested;
      blocks++;
    } else {
      if (!listed.has(block)) throw damaged(block, "is free, and in no list");
      if (footed && words[((block + each.size) >>> 2) - 1] !== each.size)
        throw damaged(block, "has a wrong foot");
      free++;
    }
    if (core.get("cursor") === block) cursorIsBlock = true;
    end = block + each.size;
  }
  if (end !== core.get("top")) throw damaged(end, "does not end at the top");
  if (footed) throw damaged(end, ": the last block is footed");
  if (free !== listed.size) throw damaged(core.header * 4, "has blocks in lists that it doesn't have");
  if (!cursorIsBlock) throw damaged(core.get("cursor"), "is no block, and sweeping would go on there");
  const counted =
    used === core.get("used") && requested === core.get("requested") && blocks === core.get("blocks");
  if (!counted)
    throw damaged(
      core.header * 4,
      `counts wrongly: ${blocks} blocks of ${used} bytes, ${requested} asked for`,
    );
}

function damaged(address: number, what: string): LinmemError {
  return new LinmemError(
    "ERR_LINMEM_HEAP_DAMAGED",
    `the heap is damaged: the block at ${hex(address)} ${what}`.replace(" :", ":"),
  );
}
