/**
 * Young blocks: those that the running entry from JavaScript allocated. Most of them die before it returns, and all that
 * their context is told is that they were allocated. What is still here when the entry returns has outlived it, and is
 * what the JavaScript caller has to be known for.
 *
 * They lie in the front like others, marked in their slots. To find them the front is cut into cards of a few slots, as
 * generational collectors do with their heaps, and a card is dirty when the entry allocated in it: however often an
 * address is used again, it is one card. A young block that has to give way to another goes into the table, and its
 * address is written down.
 */
import { addLive, moveAllocation, movePeak, pairRecord, recordAt, releaseFrom } from "./contexts";
import { captureCaller } from "./host";
import { hot } from "./hot";
import {
  AFTER_PEAK,
  CARD_SHIFT,
  CARDS,
  DIRTY,
  FRESH,
  FRONT,
  FRONT_SLOT_SIZE,
  GIVEN_WAY,
  IN_PEAK,
  MOST_DIRTY,
  MOST_GIVEN_WAY,
  OLD,
  RECORD_SURVIVAL,
  SLOT_BYTES,
  SLOT_OWNER,
  STATE_MASK,
} from "./layout";
import { ownerOfPacked, packedBytes, packedOwner, withOwner } from "./slots";
import { findBlock } from "./table";

/** Bits of `hot.pending` above the number of live young blocks: the entry's caller is known. */
const HAS_CALLER: i32 = 1 << 30;
/** The entry's caller was asked for when it made its first block of a collected heap. */
const ASKED: i32 = 1 << 29;
const COUNT: i32 = ASKED - 1;
/** Of the entries that make blocks of a collected heap so many are captured when the host has no time to spare: 1 in 2^5. */
const COUNTED_SHIFT: u32 = 5;
const CARD_BYTES: usize = 1 << CARD_SHIFT;
/** So many live young blocks get their caller before the entry ends: it may be one that never does. */
const MANY: i32 = 8192;
/** Cards that become dirty between two looks at that. */
const LOOK: u32 = 64;

let givenWay: u32 = 0;

/** Caller of the running entry, once `HAS_CALLER` is set; 0 not captured. */
let entryCaller: u32 = 0;
/** While the host has time to spare every entry that leaves blocks is captured. */
let eager: bool = true;
let random: u32 = 0x2545f491;
/** What entries leave live, as a moving average. */
let typicalBytes: f64 = 64;

export let outlived: u64 = 0;
export let captured: u64 = 0;

/** A young block more; returns what hooks return. */
@inline
export function born(): i32 {
  const now = hot.pending + 1;
  hot.pending = now;
  return now;
}

/** The same for one less. */
@inline
export function died(): i32 {
  const now = hot.pending - 1;
  hot.pending = now;
  return now;
}

/** Card of a slot at this place in the front. */
@inline
export function cardOf(place: usize): usize {
  return place >> CARD_SHIFT;
}

@inline
export function isClean(card: usize): bool {
  return !load<u8>(card, CARDS);
}

/** Whether there has to be a look before the next card becomes dirty. */
@inline
export function isLookDue(): bool {
  return !(hot.dirty & (LOOK - 1));
}

/** Makes a clean card dirty. */
@inline
export function addDirty(card: usize): void {
  store<u8>(card, 1, CARDS);
  store<u16>(hot.dirty++ << 1, <u16>card, DIRTY);
}

/** The same for a young block that moved. There is room since `makeRoomToGrow`. */
export function markMoved(place: usize): void {
  const card = cardOf(place);
  if (isClean(card)) addDirty(card);
}

/** Makes a card dirty, after the look that may be due: young blocks get their caller when there are many. */
export function markCard(place: usize): void {
  const card = cardOf(place);
  if (!isClean(card)) return;
  if (isLookDue()) {
    if ((hot.pending & COUNT) > MANY) promoteAll();
    else if (hot.dirty == MOST_DIRTY) cleanCards();
  }
  addDirty(card);
}

/** A young block went into the table. */
export function gaveWay(address: u32): void {
  store<u32>(givenWay++ << 2, address, GIVEN_WAY);
}

/** Before a block gives way: there is room to write it down. */
export function makeRoom(): void {
  if (givenWay == MOST_GIVEN_WAY) promoteAll();
}

/** Before the front doubles, and with it perhaps the number of dirty cards. */
export function makeRoomToGrow(): void {
  if (hot.dirty > MOST_DIRTY >> 1) cleanCards();
}

/** Keeps the cards dirty that hold young blocks. */
function cleanCards(): void {
  let kept: u32 = 1;
  for (let i: u32 = 1; i < hot.dirty; i++) {
    const card = load<u16>(i << 1, DIRTY);
    if (hasYoung(card)) store<u16>(kept++ << 1, card, DIRTY);
    else store<u8>(card, 0, CARDS);
  }
  // were all kept, each look from now on would find the same
  if (kept > MOST_DIRTY >> 1) promoteAll();
  else hot.dirty = kept;
}

@inline
function isYoung(packed: u64): bool {
  return (packed & packedOwner(STATE_MASK)) != 0;
}

@inline
function cardAt(index: u32): usize {
  return FRONT + (<usize>load<u16>(index << 1, DIRTY) << CARD_SHIFT);
}

function hasYoung(card: u32): bool {
  const at = FRONT + (<usize>card << CARD_SHIFT);
  for (let slot = at; slot < at + CARD_BYTES; slot += FRONT_SLOT_SIZE) if (isYoung(load<u64>(slot))) return true;
  return false;
}

/** Slot of a block that gave way, or 0 if it is no longer there or no longer young. */
function youngInTable(index: u32): usize {
  const slot = findBlock(load<u32>(index << 2, GIVEN_WAY));
  return slot && load<u32>(slot, SLOT_OWNER) & STATE_MASK ? slot : 0;
}

/** Brings the records up to date with the young blocks, whose state is that of a new high-water mark or is not. */
export function settle(atPeak: bool): void {
  for (let i: u32 = 1; i < hot.dirty; i++) {
    const at = cardAt(i);
    for (let slot = at; slot < at + CARD_BYTES; slot += FRONT_SLOT_SIZE) {
      const packed = load<u64>(slot);
      if (!isYoung(packed)) continue;
      store<u64>(slot, withOwner(packed, settled(ownerOfPacked(packed), packedBytes(packed), atPeak)));
    }
  }
  for (let i: u32 = 0; i < givenWay; i++) {
    const slot = youngInTable(i);
    if (!slot) continue;
    store<u32>(slot, settled(load<u32>(slot, SLOT_OWNER), load<u32>(slot, SLOT_BYTES), atPeak), SLOT_OWNER);
  }
}

/** Owner of a young block of which its record knows. */
function settled(owner: u32, bytes: u32, atPeak: bool): u32 {
  const place = owner & ~STATE_MASK;
  if ((owner & STATE_MASK) == FRESH) {
    addLive(recordAt(place), bytes);
    owner = place | AFTER_PEAK;
  }
  return atPeak ? place | IN_PEAK : owner;
}

/** Gives young blocks their caller before the entry ends. */
export function promoteAll(): void {
  promote(callerOfEntry());
}

/** Young blocks become old: they go on under the entry's caller, where it is known. */
function promote(caller: u32): void {
  let left = hot.pending & COUNT;
  for (let i: u32 = 0; i < givenWay; i++) {
    const slot = youngInTable(i);
    if (!slot) continue;
    const owner = promoted(load<u32>(slot, SLOT_OWNER), load<u32>(slot, SLOT_BYTES), caller);
    // a new pair may have moved the table
    store<u32>(youngInTable(i), owner, SLOT_OWNER);
    left--;
  }
  givenWay = 0;
  for (let i: u32 = 1; i < hot.dirty; i++) {
    store<u8>(load<u16>(i << 1, DIRTY), 0, CARDS);
    if (!left) continue;
    const at = cardAt(i);
    for (let slot = at; slot < at + CARD_BYTES; slot += FRONT_SLOT_SIZE) {
      const packed = load<u64>(slot);
      if (!isYoung(packed)) continue;
      store<u64>(slot, withOwner(packed, promoted(ownerOfPacked(packed), packedBytes(packed), caller)));
      left--;
    }
  }
  hot.dirty = 1;
  hot.pending &= ~COUNT;
}

let lastPlace: u32 = ~0;
let lastCaller: u32 = 0;
let lastPair: u32 = 0;

/** Place of the record that a block goes on under. */
@inline
function pairOfPlace(place: u32, caller: u32): u32 {
  if (!caller) return place;
  if (place != lastPlace || caller != lastCaller) {
    lastPair = pairRecord(place, caller);
    lastPlace = place;
    lastCaller = caller;
  }
  return lastPair;
}

/** Owner of a young block that became old. */
function promoted(owner: u32, bytes: u32, caller: u32): u32 {
  const place = owner & ~STATE_MASK;
  const state = owner & STATE_MASK;
  const pair = pairOfPlace(place, caller);
  const record = recordAt(place);
  const survival: u32 = load<u8>(record, RECORD_SURVIVAL);
  store<u8>(record, <u8>(survival + ((255 - survival + 15) >> 4)), RECORD_SURVIVAL);
  outlived++;
  if (caller) captured++;
  if (pair == place) {
    if (state == FRESH) addLive(record, bytes);
    return pair | OLD;
  }
  const to = recordAt(pair);
  if (state != FRESH) releaseFrom(record, bytes);
  addLive(to, bytes);
  moveAllocation(record, to, bytes);
  if (state == IN_PEAK) movePeak(record, to, bytes);
  return pair | OLD;
}

/** Caller of the running entry, captured if it was not and is worth it. */
function callerOfEntry(): u32 {
  if (!(hot.pending & COUNT)) return 0;
  if (!(hot.pending & HAS_CALLER)) {
    entryCaller = eager || worthCapturing() ? <u32>max(captureCaller(), 0) : 0;
    hot.pending |= HAS_CALLER;
  }
  return entryCaller;
}

/**
 * Spends captures where blocks survive. A context's survival rises by a sixteenth of what is missing with every
 * block that outlives its entry, and falls by a sixteenth with every such block that is freed later. Where a
 * share f of them is freed it comes to rest at 255 / (1 + f), so that 2 - 255 / survival is the share that goes
 * on living: the probability of a capture, less for entries that leave fewer bytes than others do.
 */
function worthCapturing(): bool {
  let survival: u32 = 0;
  let bytes: u64 = 0;
  let left = hot.pending & COUNT;
  for (let i: u32 = 0; i < givenWay; i++) {
    const slot = youngInTable(i);
    if (!slot) continue;
    survival = max(survival, survivalOf(load<u32>(slot, SLOT_OWNER)));
    bytes += load<u32>(slot, SLOT_BYTES);
    // not one less is left: an address may have given way twice
  }
  // most cards have no young block any more: those need no second look
  let kept: u32 = 1;
  for (let i: u32 = 1; i < hot.dirty; i++) {
    const card = load<u16>(i << 1, DIRTY);
    const at = cardAt(i);
    const before = left;
    if (left) {
      for (let slot = at; slot < at + CARD_BYTES; slot += FRONT_SLOT_SIZE) {
        const packed = load<u64>(slot);
        if (!isYoung(packed)) continue;
        survival = max(survival, survivalOf(ownerOfPacked(packed)));
        bytes += packedBytes(packed);
        left--;
      }
    }
    if (left < before) store<u16>(kept++ << 1, card, DIRTY);
    else store<u8>(card, 0, CARDS);
  }
  hot.dirty = kept;
  const weight = min(<f64>bytes / typicalBytes, 1);
  typicalBytes += (<f64>bytes - typicalBytes) / 64;
  const surviving = survival > 128 ? 2 - 255 / <f64>survival : 1.0 / 128;
  return <f64>nextRandom() < surviving * weight * 4294967296.0;
}

/** xorshift32 (Marsaglia, Journal of Statistical Software 8, 2003). */
function nextRandom(): u32 {
  random ^= random << 13;
  random ^= random >> 17;
  random ^= random << 5;
  return random;
}

/**
 * Place of the record under which a block of a collected heap is counted. Nobody hears which of those outlive their entry,
 * so its caller is asked for at the first of them, and not again.
 */
@inline
export function countedUnder(place: u32): u32 {
  if (!(hot.pending & (HAS_CALLER | ASKED))) askForCounted();
  return hot.pending & HAS_CALLER ? pairOfPlace(place, entryCaller) : place;
}

function askForCounted(): void {
  hot.pending |= ASKED;
  if (!eager && nextRandom() >> (32 - COUNTED_SHIFT)) return;
  const caller = max(captureCaller(), 0);
  // without one, what is live at the end of the entry may ask again
  if (!caller) return;
  entryCaller = <u32>caller;
  hot.pending |= HAS_CALLER;
}

@inline
function survivalOf(owner: u32): u32 {
  return load<u8>(recordAt(owner & ~STATE_MASK), RECORD_SURVIVAL);
}

/** The entry ends, its caller still on the stack; or it had ended long ago, unseen. */
export function endEntry(callerIsThere: bool): void {
  promote(callerIsThere ? callerOfEntry() : 0);
  hot.pending = 0;
}

export function setEagerness(value: bool): void {
  eager = value;
}
