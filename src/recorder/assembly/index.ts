/**
 * The recorder: what hooks call. It keeps the live blocks of one linear memory and totals for each calling
 * context and JavaScript caller. JavaScript reads it at snapshots and is called only when something is new.
 *
 * What hooks call returns how many blocks of the running entry are live, plus `HAS_CALLER` once the entry's caller is
 * known and `ASKED` once it was asked for: the instrumented module keeps that number and calls `leave` at the end of an entry only when it isn't 0. Or it
 * returns `SLOWLY`, see `alloc`.
 */
import { missed, missedFrees, toTable } from "./blocks";
import {
  addAllocations,
  addUp,
  allocatedBytes,
  allocations,
  baseOf,
  cachedOwner,
  cachePlace,
  countCached,
  contextRecord,
  dropped,
  flushCache,
  initContexts,
  live,
  peakShare as peakShareOf,
  placeIn,
  recordAt,
  recordCount as countOfRecords,
  releaseFrom,
  temporary,
} from "./contexts";
import {
  adapt,
  addressIn,
  findInFront,
  frontEnd as endOfFront,
  initFront,
  isCrowded,
  keyOf,
  keyShift as shiftOfKeys,
  packedTag,
  placeOfKey,
  tagOf,
  tagOfPacked,
} from "./front";
import { isNested } from "./host";
import { hot } from "./hot";
import {
  CACHE,
  FRESH,
  FRONT,
  HISTOGRAM,
  MEMO,
  MEMO_BITS,
  RECORD_CALLER,
  RECORD_DIRTY,
  RECORD_SURVIVAL,
  RECORD_TEMPORARY,
  SPREAD,
  SPREAD64,
  STATE_MASK,
  UNSEEN_CONTEXT,
  TOTALS,
} from "./layout";
import {
  beginPeriod as beginPeriodOfPeak,
  grew,
  hasRisen,
  highestPeak,
  isHighest,
  liveBytes,
  periodPeak as peakOfPeriod,
  reachPeak,
  shrank,
} from "./live";
import { bytesOf, isFresh, isLong, ownerOf, ownerOfPacked, packedBytes, packedOwner } from "./slots";
import {
  findBlock,
  initTable,
  lost,
  removeBlock,
  tableAddress as addressOfTable,
  tableEnd as endOfTable,
} from "./table";
import {
  born,
  captured,
  countedUnder,
  addDirty,
  cardOf,
  died,
  endEntry,
  isClean,
  isLookDue,
  makeRoom,
  markCard,
  outlived,
  setEagerness,
  settle,
} from "./young";

/** What hooks get when they have to call again: the function that does all that there is to do. */
const SLOWLY: i32 = -1;

let unknownFrees: u64 = 0;
let failed: u64 = 0;
/** Blocks of a collected heap, and how often its collector ran. */
let collectable: u64 = 0;
let collections: u64 = 0;
/** Context of the calling module, where modules are linked dynamically. */
let carried: u64 = 0;

initTable(initContexts(initFront()));

/**
 * A block was allocated. Like `free` and `realloc` it does what is usual, which takes no call of any other function: for
 * such a function engines leave out the check of the stack and keep everything in registers. Otherwise it
 * does nothing and returns `SLOWLY`: then the hook calls the function of that name.
 * @param context hash of the calling context
 */
export function alloc(address: u32, bytes: u32, context: u64): i32 {
  const hash = context + hot.carriedPart;
  const cached = cachePlace(hash);
  if (load<u64>(cached, CACHE) != hash) return SLOWLY;
  const key = keyOf(address);
  const place = placeOfKey(key);
  if (load<u64>(place, FRONT)) return SLOWLY;
  if (isLong(bytes)) return SLOWLY;
  const card = cardOf(place);
  if (isClean(card)) {
    if (isLookDue()) return SLOWLY;
    addDirty(card);
  }
  countCached(cached, bytes);
  put(place, packedTag(key) | cachedOwner(cached), bytes);
  return count(address, bytes);
}

/** Puts a block into a slot of the front. */
@inline
function put(place: usize, tagAndOwner: u64, bytes: u32): void {
  store<u64>(place, tagAndOwner | bytes, FRONT);
}

/** Counts what was allocated; returns what hooks return of a block more. */
@inline
function count(address: u32, bytes: u32): i32 {
  countSize(address, bytes);
  return born();
}

@inline
function countSize(address: u32, bytes: u32): void {
  const bucket = clz(bytes) << 3;
  store<u64>(bucket, load<u64>(bucket, HISTOGRAM) + 1, HISTOGRAM);
  grew(bytes);
  hot.lastAddress = address;
}

/** `address` 0 is a failed allocation. */
export function allocSlowly(address: u32, bytes: u32, context: u64): i32 {
  if (!address) {
    failed++;
    return hot.pending;
  }
  makeRoom();
  const owner = contextRecord(context + hot.carriedPart);
  addAllocations(recordAt(owner), 1, bytes);
  const long = isLong(bytes);
  const slot = FRONT + placeOfKey(keyOf(address));
  // what goes into the table must not lie behind an older block of that address in the front: that would be found first
  const isTaken = long ? findInFront(address) != 0 : slot != FRONT && load<u64>(slot) != 0;
  if (isTaken) giveWay(slot, address);
  // in another front, perhaps: with another unit it may be the first slot that the block belongs into
  const key = keyOf(address);
  const place = placeOfKey(key);
  if (long || !place) {
    toTable(address, bytes, owner | FRESH);
  } else {
    markCard(place);
    put(place, packedTag(key) | packedOwner(owner | FRESH), bytes);
  }
  return count(address, bytes);
}

/** The block in a slot of the front gives way to one at `address`. The front, or its unit, may change. */
function giveWay(slot: usize, address: u32): void {
  const taken = addressIn(slot);
  if (taken == address) reachPeak();
  const bytes = bytesOf(slot);
  const owner = ownerOf(slot);
  store<u64>(slot, 0);
  if (taken == address) {
    missed(bytes, owner);
    return;
  }
  toTable(taken, bytes, owner);
  if (isCrowded(taken, address)) adapt();
}

/** A block was freed. */
export function free(address: u32): i32 {
  const key = keyOf(address);
  const place = placeOfKey(key);
  const packed = load<u64>(place, FRONT);
  if (tagOfPacked(packed) != tagOf(key)) return SLOWLY;
  if (isHighest()) return SLOWLY;
  store<u64>(place, 0, FRONT);
  return release(address, packedBytes(packed), ownerOfPacked(packed));
}

/** Null is no block. */
export function freeSlowly(address: u32): i32 {
  if (!address) return hot.pending;
  reachPeak();
  const slot = find(address);
  if (!slot) {
    unknownFrees++;
    return hot.pending;
  }
  const bytes = bytesOf(slot);
  const owner = ownerOf(slot);
  remove(slot);
  return release(address, bytes, owner);
}

/** Slot of the block at an address, of the front's or the table's, or 0. */
function find(address: u32): usize {
  const slot = findInFront(address);
  return slot ? slot : findBlock(address);
}

function remove(slot: usize): void {
  if (slot < endOfFront()) store<u64>(slot, 0);
  else removeBlock(slot);
}

@inline
function release(address: u32, bytes: u32, owner: u32): i32 {
  shrank(bytes);
  if (address == hot.lastAddress) {
    // the block allocated last was freed before the next allocation
    const record = recordAt(owner & ~STATE_MASK);
    store<u8>(record, 1, RECORD_DIRTY);
    store<u32>(record, load<u32>(record, RECORD_TEMPORARY) + 1, RECORD_TEMPORARY);
  }
  if ((owner & STATE_MASK) == FRESH) return died();
  const record = recordAt(owner & ~STATE_MASK);
  releaseFrom(record, bytes);
  if (owner & STATE_MASK) return died();
  survivorDied(record);
  return hot.pending;
}

/** A block that had outlived its entry was freed. */
@inline
function survivorDied(record: usize): void {
  const base = recordAt(baseOf(record));
  const survival: u32 = load<u8>(base, RECORD_SURVIVAL);
  store<u8>(base, <u8>(survival - ((survival + 15) >> 4)), RECORD_SURVIVAL);
}

/**
 * A block was resized, and perhaps moved: counts as one free and one allocation. A null is never found here: the first
 * slot of the front is taken for good.
 */
export function realloc(from: u32, to: u32, bytes: u32, context: u64): i32 {
  const oldKey = keyOf(from);
  const old = placeOfKey(oldKey);
  const packed = load<u64>(old, FRONT);
  if (tagOfPacked(packed) != tagOf(oldKey)) return SLOWLY;
  if (isLong(bytes)) return SLOWLY;
  const hash = context + hot.carriedPart;
  const cached = cachePlace(hash);
  if (load<u64>(cached, CACHE) != hash) return SLOWLY;
  if (isHighest()) return SLOWLY;
  if (from == to && isFresh(packed)) {
    // in place, which keeps its card dirty and the number of young blocks what it was
    shrank(packedBytes(packed));
    countCached(cached, bytes);
    put(old, packedTag(oldKey) | cachedOwner(cached), bytes);
    countSize(to, bytes);
    return hot.pending;
  }
  const key = keyOf(to);
  const place = placeOfKey(key);
  if (place != old && load<u64>(place, FRONT)) return SLOWLY;
  const card = cardOf(place);
  if (isClean(card)) {
    if (isLookDue()) return SLOWLY;
    addDirty(card);
  }
  // the old block was in use until now: it is not a temporary one
  hot.lastAddress = 0;
  store<u64>(old, 0, FRONT);
  release(from, packedBytes(packed), ownerOfPacked(packed));
  countCached(cached, bytes);
  put(place, packedTag(key) | cachedOwner(cached), bytes);
  return count(to, bytes);
}

/** `to` 0 is a failure that leaves the block as it was, unless the new size is 0: then the block was freed. */
export function reallocSlowly(from: u32, to: u32, bytes: u32, context: u64): i32 {
  if (to) {
    hot.lastAddress = 0;
    freeSlowly(from);
    return allocSlowly(to, bytes, context);
  }
  if (bytes == 0 && from) return freeSlowly(from);
  failed++;
  return hot.pending;
}

/** A block of a heap whose collector releases blocks: counted, as nobody hears when it dies. */
export function counted(bytes: u32, context: u64): i32 {
  const hash = context + hot.carriedPart;
  const cached = cachePlace(hash);
  const place = load<u64>(cached, CACHE) == hash ? placeIn(cached) : contextRecord(hash);
  addAllocations(recordAt(countedUnder(place)), 1, bytes);
  const bucket = clz(bytes) << 3;
  store<u64>(bucket, load<u64>(bucket, HISTOGRAM) + 1, HISTOGRAM);
  collectable++;
  return hot.pending;
}

/** The guest's collector ran. */
export function collected(): void {
  collections++;
}

/** A block was moved by an allocator that keeps its handles right: it is at another address, and nothing else changes. */
export function moved(from: u32, to: u32): void {
  makeRoom();
  const slot = find(from);
  if (!slot) return;
  const bytes = bytesOf(slot);
  const owner = ownerOf(slot);
  remove(slot);
  // newer than one in the table: it would be found first
  const taken = findInFront(to);
  if (taken) giveWay(taken, to);
  toTable(to, bytes, owner);
  if (hot.lastAddress == from) hot.lastAddress = to;
  else if (hot.lastAddress == to) hot.lastAddress = 0;
}

/** The outermost entry from JavaScript returns, its caller still on the stack. */
export function leave(): void {
  endEntry(true);
  carried = 0;
  hot.carriedPart = 0;
}

/** Blocks were allocated outside every known entry, or by one that a trap or an exception ended. */
export function abandon(): void {
  endEntry(false);
  carried = 0;
  hot.carriedPart = 0;
}

/**
 * An entry from JavaScript found the module's context in use: either it is nested in another entry, or a trap
 * or an exception ended one before it could tidy up. The host can tell from the stack, at a cost; so what it
 * said is remembered for each context and asked again now and then.
 * @returns 0 when the state was stale: the entry is an outermost one
 */
export function nested(context: u64): i32 {
  const memo = MEMO + (((<u32>(context ^ (context >> 32)) * SPREAD) >> (32 - MEMO_BITS)) << 4);
  let times: u32 = 0;
  // the lowest bit says that the allocator is running: JavaScript seldom gets there, so always ask
  if (load<u64>(memo) == context && !(context & 1)) {
    times = load<u32>(memo, 8) + 1;
    store<u32>(memo, times, 8);
    if (times & (times - 1) && times & 0xffff) return 1;
  }
  if (isNested()) {
    store<u64>(memo, context);
    store<u32>(memo, max(times, 1), 8);
    return 1;
  }
  store<u64>(memo, 0);
  abandon();
  return 0;
}

/** Takes the context of the calling module for the calls that follow; returns the one that it replaces. */
export function carry(context: u64): u64 {
  const previous = carried;
  carried = context;
  hot.carriedPart = context * SPREAD64;
  return previous;
}

/** Whether every entry that leaves blocks is to be captured, or only those that are worth it. */
export function setEager(value: i32): void {
  setEagerness(value != 0);
}

/** Records that `hasNews` saw last. */
let seenRecords: u32 = 0;

/** Whether since the previous call there was a new pair of context and caller, or more was live than ever before. */
export function hasNews(): i32 {
  const records = countOfRecords();
  const isNew = hasRisen() || records > seenRecords;
  seenRecords = records;
  return isNew ? 1 : 0;
}

/** Number of the JavaScript caller of a live block; 0 when it is not known. */
export function callerOf(address: u32): u32 {
  const slot = find(address);
  if (!slot) return 0;
  const caller = load<u32>(recordAt(ownerOf(slot) & ~STATE_MASK), RECORD_CALLER) & 0xff_ffff;
  return caller == UNSEEN_CONTEXT ? 0 : caller;
}

export function recordCount(): u32 {
  return countOfRecords();
}

/** Address of the records; changes when they grow. */
export function recordsAddress(): usize {
  return recordAt(0);
}

export function peakShare(record: u32): f64 {
  return peakShareOf(record);
}

/** Begins a period with a high-water mark of its own, beside that of all time. Costs the hooks nothing. */
export function beginPeriod(): void {
  beginPeriodOfPeak();
}

/** High-water mark of live bytes since `beginPeriod`. */
export function periodPeak(): f64 {
  return peakOfPeriod();
}

/** The table of blocks lies from here to `tableEnd`; both change when it grows. */
export function tableAddress(): usize {
  return addressOfTable();
}

export function tableEnd(): usize {
  return endOfTable();
}

/** The slots of the front lie from here to `frontEnd`. */
export function frontAddress(): usize {
  return FRONT;
}

export function frontEnd(): usize {
  return endOfFront();
}

/** By how many bits addresses are turned to the right for the front. */
export function keyShift(): u32 {
  return shiftOfKeys();
}

/** Brings all totals up to date and writes the sums where the host reads them; returns their address. */
export function sync(): usize {
  const highest = highestPeak();
  settle(false);
  flushCache();
  addUp();
  store<f64>(TOTALS, <f64>allocations, 0);
  store<f64>(TOTALS, <f64>(allocations - live - missedFrees), 8);
  store<f64>(TOTALS, <f64>allocatedBytes, 16);
  store<f64>(TOTALS, <f64>liveBytes(), 24);
  store<f64>(TOTALS, <f64>highest, 32);
  store<f64>(TOTALS, <f64>temporary, 40);
  store<f64>(TOTALS, <f64>unknownFrees, 48);
  store<f64>(TOTALS, <f64>missedFrees, 56);
  store<f64>(TOTALS, <f64>failed, 64);
  store<f64>(TOTALS, <f64>outlived, 72);
  store<f64>(TOTALS, <f64>captured, 80);
  store<f64>(TOTALS, <f64>dropped, 88);
  store<f64>(TOTALS, <f64>lost, 96);
  store<f64>(TOTALS, <f64>collectable, 104);
  store<f64>(TOTALS, <f64>collections, 112);
  return TOTALS;
}
