/**
 * The front: slots in front of the table of blocks, found by address alone. Address space is cut into units of 16 bytes,
 * and the slot of a unit is its number modulo the number of slots: no search, nothing for the processor to guess wrong,
 * and blocks that lie together in the program's memory lie together here. Where a slot is taken the older block gives
 * way and goes into the table. When that happens often the front doubles, up to what covers a MiB; from then on the
 * unit does, as long as few blocks share one. Most programs' blocks seldom get to the table.
 *
 * The first slot is taken for good, so that null is never found and never free. Blocks that belong there go into the
 * table.
 */
import { toTable } from "./blocks";
import { moveContexts } from "./contexts";
import {
  FRONT,
  FRONT_SLOT_SIZE,
  MOST_FRONT_SLOTS,
  NO_BLOCK,
  reach,
  SLOT_ADDRESS,
  SLOT_BYTES,
  SLOT_OWNER,
  STATE_MASK,
} from "./layout";
import { makeRoomToGrow, markMoved, promoteAll } from "./young";

const SLOTS: usize = 512;

/** The bits of an address that are the place of its slot. */
let mask: usize = (SLOTS - 1) * FRONT_SLOT_SIZE;
/** The unit is 16 bytes times two to this. */
let shift: u32 = 0;
const MOST_SHIFT: u32 = 8;
/** The unit was too large once. */
let wasTooLarge: bool = false;
/** Blocks that had to give way since the front has been as it is, and how many of them to one of the same unit. */
let evictions: u32 = 0;
let neighbours: u32 = 0;

/** Where the slot of an address is, from `FRONT` on. What is there may be a block at another address. */
@inline
export function frontPlace(address: u32): usize {
  return <usize>(address >> shift) & mask;
}

/** Slot of an address. */
@inline
export function frontSlot(address: u32): usize {
  return FRONT + frontPlace(address);
}

/** Behind the last slot. */
@inline
export function frontEnd(): usize {
  return FRONT + mask + FRONT_SLOT_SIZE;
}

/** Lays out an empty front; returns its end. */
export function initFront(): usize {
  reach(frontEnd());
  store<u32>(FRONT, NO_BLOCK, SLOT_ADDRESS);
  return frontEnd();
}

/** A block at `taken` had to give way to one at `address`. Returns whether that happened so often that `adapt` is due. */
@inline
export function isCrowded(taken: u32, address: u32): bool {
  if ((taken ^ address) >> shift < <u32>FRONT_SLOT_SIZE) neighbours++;
  return ++evictions > <u32>(mask / FRONT_SLOT_SIZE) >> 2;
}

/** Changes the size of the front, or of its unit, if that promises to help. Everything above the front may move. */
export function adapt(): void {
  const tooLarge = neighbours > evictions >> 1;
  evictions = 0;
  neighbours = 0;
  if (mask < (MOST_FRONT_SLOTS - 1) * FRONT_SLOT_SIZE) {
    growFront();
  } else if (tooLarge) {
    if (!shift) return;
    wasTooLarge = true;
    empty();
    shift--;
  } else if (shift < MOST_SHIFT && !wasTooLarge && fewShareLargerUnits()) {
    empty();
    shift++;
  }
}

/** Whether an eighth at most of the blocks would share a unit if it were twice as large. */
function fewShareLargerUnits(): bool {
  let blocks: u32 = 0;
  let sharing: u32 = 0;
  const end = frontEnd();
  for (let at = FRONT; at < end; at += 2 * FRONT_SLOT_SIZE) {
    const first = <u32>(load<u32>(at, SLOT_ADDRESS) != 0);
    const second = <u32>(load<u32>(at, FRONT_SLOT_SIZE + SLOT_ADDRESS) != 0);
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
    const address = load<u32>(at, SLOT_ADDRESS);
    if (!address) continue;
    toTable(address, load<u32>(at, SLOT_BYTES), load<u32>(at, SLOT_OWNER));
    store<u32>(at, 0, SLOT_ADDRESS);
  }
}

/** Doubles the front, whose unit is 16 bytes then. */
function growFront(): void {
  makeRoomToGrow();
  const bytes = mask + FRONT_SLOT_SIZE;
  if (!moveContexts(bytes)) return;
  const upper = frontEnd();
  memory.fill(upper, 0, bytes);
  mask = 2 * bytes - FRONT_SLOT_SIZE;
  for (let at = FRONT + FRONT_SLOT_SIZE; at < upper; at += FRONT_SLOT_SIZE) {
    const address = load<u32>(at, SLOT_ADDRESS);
    if (!(<usize>address & bytes)) continue;
    const to = at + bytes;
    const owner = load<u32>(at, SLOT_OWNER);
    store<u32>(to, address, SLOT_ADDRESS);
    store<u32>(to, load<u32>(at, SLOT_BYTES), SLOT_BYTES);
    store<u32>(to, owner, SLOT_OWNER);
    store<u32>(at, 0, SLOT_ADDRESS);
    if (owner & STATE_MASK) markMoved(to - FRONT);
  }
}
