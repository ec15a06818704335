// Looks at a heap without changing it: a walk over its blocks, and the check of all that has to be true.

import type { HeapCore } from "../generated/heap-core.js";
import {
  checkKept,
  checkMap,
  checkPage,
  checkRecords,
  damaged,
  isPage,
  readRecord,
  recordAt,
} from "./check-pages.js";
import { entryOf } from "./handles.js";
import { freeSizeBefore, headerOf, isTiny, sizeOf } from "./headers.js";
import {
  askedOf,
  BINS,
  binOf,
  CHUNK,
  CHUNK_BITS,
  CHUNK_BYTES,
  DIRECTORY,
  entry,
  field,
  GRANULE,
  GUARD_FRONT,
  HALF_BYTES,
  HALF_FREE,
  HEADER,
  HEADER_BYTES,
  halvesOf,
  isPair,
  isSmall,
  isWide,
  KINDS,
  LENT_SLOT,
  MOST_HANDLES,
  MOVABLE,
  PAGES_OWN,
  PAIR_FREE,
  PREV_FREE,
  record,
  SMALL,
  sizeWord,
  smallSize,
  TINY,
  tinyNextOf,
  tinyPreviousOf,
  USED,
  WIDE_HEADER,
  wideSize,
  wideSizeOf,
} from "./layout.js";
import { idOf } from "./movable.js";

/** A block as `walk` shows it. Bytes. */
export interface HeapBlock {
  /** Of its payload. */
  address: number;
  /** With its header of 2 bytes, or 10 if it is movable, larger than 1,022 bytes, or the heap's own. */
  size: number;
  /** Whether it is allocated. */
  used: boolean;
  /** What was asked for; 0 of a free one. */
  requested: number;
  /** The id of a movable block. */
  movable?: number;
  /** It is the heap's own: handles of movable blocks, or records of small ones. */
  own?: true;
  /** In debug mode: the stack that allocated it, innermost call first. */
  allocatedAt?: string;
}

/** All blocks as those who asked for them see them: of a page its slots. */
export function* blocksOf(core: HeapCore): Generator<HeapBlock> {
  for (const { block, shown } of wholeBlocks(core)) {
    if (isPairAt(core, block)) yield* halvesIn(core, block);
    else if (shown.own && isPage(core.memory.u32[(block >>> 2) + 1]!)) yield* slotsIn(core, block, shown);
    else yield shown;
  }
}

function isPairAt({ memory }: HeapCore, block: number): boolean {
  return isPair(block, headerOf(memory, block));
}

/** Both halves of a pair. */
function* halvesIn({ memory }: HeapCore, block: number): Generator<HeapBlock> {
  const halves = halvesOf(block, memory.u16[(block + 6) >>> 1]!);
  for (const second of [0, 1]) {
    const requested = (halves >>> (2 * second)) & HALF_FREE;
    const used = requested !== HALF_FREE;
    const address = block + HEADER + second * HALF_BYTES;
    yield { address, size: HALF_BYTES, used, requested: used ? requested : 0 };
  }
}

/** Slots of a page, or of the part of a lent one that is still a block; and what of it is none. */
function* slotsIn(core: HeapCore, block: number, { address, size: whole }: HeapBlock): Generator<HeapBlock> {
  const { u8: bytes, u32: words } = core.memory;
  const rec = recordAt(words, block);
  const { page, size, slots } = readRecord(core, rec);
  const first = (address - page) / size;
  let slot = first;
  for (; slot < slots && bytes[rec + record.states + slot] !== LENT_SLOT; slot++) {
    const state = bytes[rec + record.states + slot]!;
    const used = state < LENT_SLOT;
    yield { address: page + slot * size, size, used, requested: used ? size - state : 0 };
  }
  const rest = whole - (slot - first) * size;
  yield { address: page + slot * size, size: rest, used: false, requested: 0 };
}

interface WholeBlock {
  /** Where it begins. */
  block: number;
  wide: boolean;
  shown: HeapBlock;
}

/** All blocks, a page as one of the heap's own. */
function* wholeBlocks(core: HeapCore): Generator<WholeBlock> {
  const top = core.get("top");
  for (let block = core.get("first"); block < top; ) {
    const words = core.memory.u32;
    const header = headerOf(core.memory, block);
    const used = (header & USED) !== 0;
    const wide = used && (header & SMALL) === 0 && !isPair(block, header);
    const size = sizeOf(core.memory, block);
    if (size < TINY || size > top - block || size % GRANULE !== 0)
      throw damaged(block, `has the impossible size ${size}`);
    const shown: HeapBlock = { address: block + (wide ? WIDE_HEADER : HEADER), size, used, requested: 0 };
    const second = words[(block >>> 2) + 1]!;
    if (!wide) shown.requested = (header & SMALL) !== 0 ? askedOf(header) : 0;
    else if ((header & MOVABLE) === 0) shown.requested = second;
    else if (second >= PAGES_OWN) shown.own = true;
    else {
      if (second >= core.get("handles")) throw damaged(block, `has the impossible handle ${second}`);
      const at = entryOf(words, core.header, second);
      shown.requested = words[at + entry.requested]!;
      shown.movable = idOf(second, words[at + entry.generation]!);
    }
    yield { block, wide, shown };
    block += size;
  }
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
    first <= core.get("unpaged") &&
    core.get("unpaged") <= top &&
    top <= end &&
    end <= byteLength;
  if (!inOrder || (first + HEADER) % GRANULE !== 0) {
    throw damaged(start, "has bounds in its header that can't be");
  }
  checkChunks(core);
  checkMap(core);
  if (!whole) return;
  const most = Math.min(end, (first + core.get("pagesFrom")) >>> 0);
  if (core.get("stack") !== (core.get("summary") === 0 && core.get("compacting") === 0 ? most : 0))
    throw damaged(start, "has a wrong end of its stack");
  const movable = checkBlocks(core, checkLists(core));
  checkHandles(core, movable);
}

/** Bytes of used blocks outside of pages. */
export function usedIn(core: HeapCore): number {
  return core.get("top") - core.get("first") - core.get("free") - core.get("own");
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
      if (block < first || block >= top || (block + HEADER) % GRANULE !== 0 || listed.has(block)) {
        throw damaged(block, `is in the list of bin ${bin}, where it can't be`);
      }
      listed.add(block);
      if (headerOf(core.memory, block) & USED) throw damaged(block, `is used, and in the list of bin ${bin}`);
      const size = sizeOf(core.memory, block);
      if (binOf(size) !== bin) throw damaged(block, `is in the list of the wrong bin ${bin}`);
      const links = linksOf(core, block);
      if (links.previous !== previous)
        throw damaged(block, `has the wrong neighbour in the list of bin ${bin}`);
      previous = block;
      block = links.next;
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

/** Addresses of a free block's neighbours in its list, or 0. */
function linksOf({ memory }: HeapCore, block: number): { next: number; previous: number } {
  const { u16: halves, u32: words } = memory;
  const next = words[(block >>> 2) + 1]!;
  if (!isTiny(words, block)) return { next, previous: words[(block >>> 2) + 2]! };
  const previous = tinyPreviousOf(headerOf(memory, block), halves[(block + 8) >>> 1]!);
  return { next: tinyNextOf(next), previous };
}

/** Checks all blocks; returns the movable ones: payloads by handle. */
function checkBlocks(core: HeapCore, listed: ReadonlySet<number>): Map<number, number> {
  const words = core.memory.u32;
  let [used, requested, blocks, free] = [0, 0, 0, 0];
  let before: HeapBlock | undefined;
  let compactingIsBlock = [0, core.get("top")].includes(core.get("compacting"));
  const movable = new Map<number, number>();
  let own = 0;
  let ownBytes = 0;
  let freeBytes = 0;
  let end = core.get("first");
  let openPairs = 0;
  let openKnown = core.get("openPair") === 0;
  const inside = { used: 0, requested: 0, blocks: 0 };
  const kept = new Uint32Array(KINDS);
  const pages = new Map<number, number>();
  for (const { block, wide, shown: each } of wholeBlocks(core)) {
    const at = block >>> 2;
    const header = headerOf(core.memory, block);
    end = block + each.size;
    if (core.get("compacting") === block) compactingIsBlock = true;
    const behindFree = before?.used === false;
    // other bits of a free block of 8 bytes are a link
    if (((header & PREV_FREE) !== 0) !== behindFree)
      throw damaged(block, "is wrong about the block before it");
    before = each;
    const right = wide
      ? isWide(block, header) && words[at + 2] === sizeWord(each.size)
      : each.used
        ? isSmall(block, header) || isPair(block, header)
        : each.size === TINY || header === 0;
    if (!right) throw damaged(block, "has a header of another place");
    if (!each.used) {
      if (behindFree) throw damaged(block, "is free, as that before it is, and they are not one");
      if (!listed.has(block)) throw damaged(block, "is free, and in no list");
      if (freeSizeBefore(words, end) !== each.size) throw damaged(block, "has a wrong size at its end");
      free++;
      freeBytes += each.size;
    } else if (isPair(block, header)) {
      const halves = [...halvesIn(core, block)];
      if (halvesOf(block, core.memory.u16[(block + 6) >>> 1]!) >= PAIR_FREE)
        throw damaged(block, "is a pair that does not know its halves");
      used += each.size;
      for (const half of halves) {
        requested += half.requested;
        blocks += Number(half.used);
        openPairs += Number(!half.used);
      }
      openKnown ||= core.get("openPair") === block && halves.some((half) => !half.used);
    } else if (each.own === true && isPage(words[at + 1]!)) {
      if (end > core.get("unpaged")) throw damaged(block, "is a page where none is expected");
      ownBytes += each.size;
      const found = checkPage(core, block, each);
      const { rec } = found;
      inside.used += found.used;
      inside.requested += found.requested;
      inside.blocks += found.blocks;
      kept[found.kind]! += found.kept;
      pages.set(rec, (pages.get(rec) ?? 0) + found.blocks + found.kept);
    } else if (each.own === true) {
      own++;
      if (words[at + 1] === PAGES_OWN) ownBytes += each.size;
      else used += each.size;
    } else {
      if (each.movable !== undefined) {
        const handle = words[at + 1]!;
        if (movable.has(handle)) throw damaged(block, `has the handle ${handle} of another block`);
        movable.set(handle, each.address);
      }
      if (each.size !== (wide ? wideSize(each.requested) : smallSize(each.requested))) {
        throw damaged(block, `of ${each.size} bytes does not fit the ${each.requested} bytes asked for`);
      }
      used += each.size;
      requested += each.requested;
      blocks++;
    }
  }
  if (end !== core.get("top")) throw damaged(end, "does not end at the top");
  if (before?.used === false) throw damaged(end, ": the last block is free");
  if (free !== listed.size) throw damaged(core.header * 4, "has blocks in lists that it doesn't have");
  if (!compactingIsBlock || core.get("compacting") > core.get("unpaged"))
    throw damaged(core.get("compacting"), "is no block, and compaction would go on there");
  if (!openKnown || openPairs !== core.get("openPairs"))
    throw damaged(core.header * 4, "has other pairs that are half free than it knows");
  const known = core.get("chunks") + Number(core.get("room") > 0) + core.get("ownBlocks");
  if (own !== known || ownBytes !== core.get("own"))
    throw damaged(core.header * 4, "has blocks of its own that it doesn't know");
  checkRecords(core, pages);
  const keptBytes = checkKept(core, kept);
  const counted =
    used === usedIn(core) &&
    freeBytes === core.get("free") &&
    inside.used + keptBytes === core.get("slotsUsed") &&
    requested + inside.requested === core.get("requested") &&
    blocks + inside.blocks === core.get("blocks");
  if (!counted)
    throw damaged(
      core.header * 4,
      `counts wrongly: ${blocks} blocks of ${used} bytes and ${inside.blocks} slots of ${inside.used}, ${requested + inside.requested} asked for`,
    );
  return movable;
}

/** Checks that there are as many chunks of entries as handles need, and that each is one. */
function checkChunks(core: HeapCore): void {
  const words = core.memory.u32;
  const [first, top] = [core.get("first"), core.get("top")];
  const own = (payload: number, handle: number, byteLength: number) => {
    const at = (payload - WIDE_HEADER) >>> 2;
    return (
      payload % GRANULE === 0 &&
      payload > first &&
      payload < top &&
      words[at + 1] === handle &&
      wideSizeOf(words[at + 2]!) === wideSize(byteLength)
    );
  };
  const [directory, room, chunks] = [core.get("directory"), core.get("room"), core.get("chunks")];
  const most = MOST_HANDLES >>> CHUNK_BITS;
  if (
    chunks > room ||
    room > most ||
    core.get("handles") > chunks << CHUNK_BITS ||
    (directory === 0) !== (room === 0)
  )
    throw damaged(core.header * 4, "has fewer chunks of handles than handles");
  if (directory !== 0 && !own(directory, DIRECTORY, room * 4))
    throw damaged(directory, "is no directory of handles");
  for (let chunk = 0; chunk < chunks; chunk++) {
    const payload = words[(directory >>> 2) + chunk]!;
    if (!own(payload, CHUNK + chunk, CHUNK_BYTES)) throw damaged(payload, `is not chunk ${chunk} of handles`);
  }
}

/**
 * Checks that handles that are free lead to each other, and others to a block that leads back.
 * @param blocks payloads of movable blocks by their handles
 */
function checkHandles(core: HeapCore, blocks: ReadonlyMap<number, number>): void {
  const words = core.memory.u32;
  const count = core.get("handles");
  const free = new Set<number>();
  for (let next = core.get("freeHandle"); next !== 0; ) {
    const handle = next - 1;
    const at = entryOf(words, core.header, handle);
    if (handle >= count || free.has(handle) || blocks.has(handle) || words[at + entry.address] !== 0) {
      throw damaged(core.header * 4, `has the free handle ${handle}, which can't be free`);
    }
    free.add(handle);
    next = words[at + entry.requested]!;
  }
  const live = core.get("movable");
  if (live !== blocks.size || live + free.size !== count) {
    throw damaged(
      core.header * 4,
      `counts its handles wrongly: ${live} live and ${free.size} free ones of ${count}, ${blocks.size} blocks`,
    );
  }
  const front = core.get("guarded") === 1 ? GUARD_FRONT : 0;
  for (const [handle, payload] of blocks) {
    const address = words[entryOf(words, core.header, handle) + entry.address];
    if (address !== payload + front)
      throw damaged(payload - WIDE_HEADER, `is not where its handle ${handle} leads`);
  }
}
