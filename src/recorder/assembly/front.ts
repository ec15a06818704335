/**
 * The front: slots in front of the table of blocks, found by address alone. Address space is cut into units of 16 bytes,
 * and the slot of a unit is its number modulo the number of slots: no search, nothing for the processor to guess wrong,
 * and blocks that lie together in the program's memory lie together here. Where a slot is taken the older block gives
 * way and goes into the table. When that happens often the front doubles, up to what covers a MiB; from then on the
 * unit does, as long as few blocks share one. Most programs' blocks seldom get to the table.
 *
 * The address is turned round until the number of its unit lies in the low bits: that is the *key* of a block, of which the
 * low bits are the place of its slot, and those above, where that of a unit begins too, the tag in it.
 *
 * The first slot is taken for good, so that null is never found and never free. Blocks that belong there go into the
 * table, and so do those that are too long for what a slot has room for.
 */
import { toTable } from "./blocks";
import { moveContexts } from "./contexts";
import {
  FEWEST_SHIFT,
  FRONT,
  FRONT_SLOT_SIZE,
  FRONT_TAG_SHIFT,
  MOST_FRONT_SLOTS,
  NO_BLOCK,
  reach,
  STATE_MASK,
} from "./layout";
import { hot } from "./hot";
import { ownerOfPacked, packedBytes } from "./slots";
import { makeRoomToGrow, markMoved, promoteAll } from "./young";

/** Low bits of a key that are never part of the tag. */
const PLACE_BITS: u32 = 12;
const PLACE_MASK: u32 = (1 << PLACE_BITS) - 1;

const MOST_SHIFT: u32 = 12;
/** The unit was too large once. */
let wasTooLarge: bool = false;
/** Blocks that had to give way since the front has been as it is, and how many of them to one of the same unit. */
let evictions: u32 = 0;
let neighbours: u32 = 0;

@inline
export function keyOf(address: u32): u32 {
  return rotr<u32>(address, hot.shift);
}

/** Where the slot of a key is, from `FRONT` on. What is there may be a block at another address. */
@inline
export function placeOfKey(key: u32): usize {
  return <usize>(key & hot.mask) * FRONT_SLOT_SIZE;
}

/** What a slot holds of a key: its tag, and a bit that is set in all that hold a block. */
@inline
export function tagOf(key: u32): u32 {
  return (key >> (PLACE_BITS - 1)) | 1;
}

@inline
export function packedTag(key: u32): u64 {
  return <u64>tagOf(key) << FRONT_TAG_SHIFT;
}

@inline
export function tagOfPacked(packed: u64): u32 {
  return <u32>(packed >> FRONT_TAG_SHIFT);
}

/** Slot of the block at an address if it is in the front, or 0. */
export function findInFront(address: u32): usize {
  const key = keyOf(address);
  const slot = FRONT + placeOfKey(key);
  return tagOfPacked(load<u64>(slot)) == tagOf(key) ? slot : 0;
}

/** Address of the block in a slot that is taken. */
export function addressIn(slot: usize): u32 {
  const tag = tagOfPacked(load<u64>(slot)) >> 1;
  const place = <u32>((slot - FRONT) / FRONT_SLOT_SIZE) & PLACE_MASK;
  return rotl<u32>((tag << PLACE_BITS) | place, hot.shift);
}

/** Behind the last slot. */
@inline
export function frontEnd(): usize {
  return FRONT + (<usize>hot.mask + 1) * FRONT_SLOT_SIZE;
}

/** By how many bits addresses are turned to the right. */
export function keyShift(): u32 {
  return hot.shift;
}

/** Lays out an empty front; returns its end. */
export function initFront(): usize {
  reach(frontEnd());
  store<u64>(FRONT, NO_BLOCK);
  return frontEnd();
}

/** A block at `taken` had to give way to one at `address`. Returns whether that happened so often that `adapt` is due. */
@inline
export function isCrowded(taken: u32, address: u32): bool {
  if (!((taken ^ address) >> hot.shift)) neighbours++;
  return ++evictions > (hot.mask + 1) >> 2;
}

/** Changes the size of the front, or of its unit, if that promises to help. Everything above the front may move. */
export function adapt(): void {
  const tooLarge = neighbours > evictions >> 1;
  evictions = 0;
  neighbours = 0;
  if (hot.mask < <u32>MOST_FRONT_SLOTS - 1) {
    growFront();
  } else if (tooLarge) {
    if (hot.shift == FEWEST_SHIFT) return;
    wasTooLarge = true;
    empty();
    hot.shift--;
  } else if (hot.shift < MOST_SHIFT && !wasTooLarge && fewShareLargerUnits()) {
    empty();
    hot.shift++;
  }
}

/** Whether an eighth at most of the blocks would share a unit if it were twice as large. */
function fewShareLargerUnits(): bool {
  let blocks: u32 = 0;
  let sharing: u32 = 0;
  const end = frontEnd();
  for (let at = FRONT; at < end; at += 2 * FRONT_SLOT_SIZE) {
    const first = <u32>(load<u64>(at) != 0);
    const second = <u32>(load<u64>(at, FRONT_SLOT_SIZE) != 0);
    blocks += first + second;
    sharing += first & second;
  }
  return sharing <= blocks >> 3;
}

/** Moves all blocks into the table. */
function empty(): void {
  promoteAll();
  const end = frontEnd();
  for (let at = FRONT + FRONT_SLOT_SIZE; at < end; at += FRONT_SLOT_SIZE) {
    const packed = load<u64>(at);
    if (!packed) continue;
    toTable(addressIn(at), packedBytes(packed), ownerOfPacked(packed));
    store<u64>(at, 0);
  }
}

/** Doubles the front, whose unit is 16 bytes then. */
function growFront(): void {
  makeRoomToGrow();
  const upper = frontEnd();
  const bytes = upper - FRONT;
  if (!moveContexts(bytes)) return;
  memory.fill(upper, 0, bytes);
  const added = hot.mask + 1;
  hot.mask |= added;
  for (let at = FRONT + FRONT_SLOT_SIZE; at < upper; at += FRONT_SLOT_SIZE) {
    const packed = load<u64>(at);
    if (!packed || !(keyOf(addressIn(at)) & added)) continue;
    const to = at + bytes;
    store<u64>(to, packed);
    store<u64>(at, 0);
    if (ownerOfPacked(packed) & STATE_MASK) markMoved(to - FRONT);
  }
}
