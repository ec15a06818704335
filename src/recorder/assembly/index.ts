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
  addDead,
  addUp,
  allocatedBytes,
  allocations,
  baseOf,
  cachePlace,
  contextRecord,
  dropped,
  initContexts,
  live,
  peakShare as peakShareOf,
  recordAt,
  recordCount as countOfRecords,
  releaseFrom,
  temporary,
} from "./contexts";
import { adapt, frontEnd as endOfFront, frontPlace, frontSlot, initFront, isCrowded } from "./front";
import { isNested } from "./host";
import {
  CACHE,
  FRESH,
  FRONT,
  FRONT_SLOT_SIZE,
  HISTOGRAM,
  MEMO,
  MEMO_BITS,
  RECORD_CALLER,
  RECORD_SURVIVAL,
  RECORD_TEMPORARY,
  SLOT_ADDRESS,
  SLOT_BYTES,
  SLOT_OWNER,
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
  died,
  endEntry,
  makeRoom,
  markCard,
  markCardSlowly,
  outlived,
  pending,
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
let lastAddress: u32 = 0;
/** Context of the calling module, where modules are linked dynamically. */
let carried: u64 = 0;
/** What that adds to a context. */
let carriedPart: u64 = 0;

initTable(initContexts(initFront()));

/**
 * A block was allocated. Like `free` and `realloc` it does what is usual, which takes no call of any other function: for
 * such a function engines leave out the frame and the check of the stack, half of what it would cost. Otherwise it
 * does nothing and returns `SLOWLY`: then the hook calls the function of that name.
 * @param context hash of the calling context
 */
export function alloc(address: u32, bytes: u32, context: u64): i32 {
  const hash = context + carriedPart;
  const cached = cachePlace(hash);
  if (load<u64>(cached, CACHE) != hash) return SLOWLY;
  const place = frontPlace(address);
  if (load<u32>(place, FRONT + SLOT_ADDRESS)) return SLOWLY;
  if (!markCard(place)) return SLOWLY;
  put(place, address, bytes, load<u32>(cached, CACHE + 8));
  return pending;
}

/** Puts a block into a slot of the front. */
@inline
function put(place: usize, address: u32, bytes: u32, owner: u32): void {
  store<u32>(place, address, FRONT + SLOT_ADDRESS);
  store<u32>(place, bytes, FRONT + SLOT_BYTES);
  store<u32>(place, owner | FRESH, FRONT + SLOT_OWNER);
  count(address, bytes);
}

@inline
function count(address: u32, bytes: u32): void {
  const bucket = clz(bytes) << 3;
  store<u64>(bucket, load<u64>(bucket, HISTOGRAM) + 1, HISTOGRAM);
  grew(bytes);
  lastAddress = address;
  born();
}

/** `address` 0 is a failed allocation. */
export function allocSlowly(address: u32, bytes: u32, context: u64): i32 {
  if (!address) {
    failed++;
    return pending;
  }
  makeRoom();
  const owner = contextRecord(context + carriedPart);
  const slot = frontSlot(address);
  const taken = load<u32>(slot, SLOT_ADDRESS);
  if (slot == FRONT) {
    toTable(address, bytes, owner | FRESH);
    count(address, bytes);
    return pending;
  }
  if (taken) giveWay(slot, address);
  const place = frontPlace(address);
  markCardSlowly(place);
  put(place, address, bytes, owner);
  return pending;
}

/** The block in a slot of the front gives way to one at `address`. The front may grow. */
function giveWay(slot: usize, address: u32): void {
  const taken = load<u32>(slot, SLOT_ADDRESS);
  const bytes = load<u32>(slot, SLOT_BYTES);
  const owner = load<u32>(slot, SLOT_OWNER);
  store<u32>(slot, 0, SLOT_ADDRESS);
  if (taken == address) {
    missed(bytes, owner);
    return;
  }
  toTable(taken, bytes, owner);
  if (isCrowded(taken, address)) adapt();
}

/** A block was freed. */
export function free(address: u32): i32 {
  const place = frontPlace(address);
  if (load<u32>(place, FRONT + SLOT_ADDRESS) != address) return SLOWLY;
  if (isHighest()) return SLOWLY;
  store<u32>(place, 0, FRONT + SLOT_ADDRESS);
  release(address, load<u32>(place, FRONT + SLOT_BYTES), load<u32>(place, FRONT + SLOT_OWNER));
  return pending;
}

/** Null is no block. */
export function freeSlowly(address: u32): i32 {
  if (!address) return pending;
  reachPeak();
  let slot = frontSlot(address);
  const inFront = load<u32>(slot, SLOT_ADDRESS) == address;
  if (!inFront) slot = findBlock(address);
  if (!slot) {
    unknownFrees++;
    return pending;
  }
  const bytes = load<u32>(slot, SLOT_BYTES);
  const owner = load<u32>(slot, SLOT_OWNER);
  if (inFront) store<u32>(slot, 0, SLOT_ADDRESS);
  else removeBlock(slot);
  release(address, bytes, owner);
  return pending;
}

@inline
function release(address: u32, bytes: u32, owner: u32): void {
  shrank(bytes);
  const record = recordAt(owner & ~STATE_MASK);
  if ((owner & STATE_MASK) == FRESH) {
    addDead(record, bytes);
    died();
  } else {
    releaseFrom(record, bytes);
    if (owner & STATE_MASK) died();
    else survivorDied(record);
  }
  if (address == lastAddress) {
    // the block allocated last was freed before the next allocation
    lastAddress = 0;
    store<u32>(record, load<u32>(record, RECORD_TEMPORARY) + 1, RECORD_TEMPORARY);
  }
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
  const old = frontPlace(from);
  if (load<u32>(old, FRONT + SLOT_ADDRESS) != from) return SLOWLY;
  const place = frontPlace(to);
  if (place != old && load<u32>(place, FRONT + SLOT_ADDRESS)) return SLOWLY;
  const hash = context + carriedPart;
  const cached = cachePlace(hash);
  if (load<u64>(cached, CACHE) != hash) return SLOWLY;
  if (isHighest()) return SLOWLY;
  if (!markCard(place)) return SLOWLY;
  // the old block was in use until now: it is not a temporary one
  lastAddress = 0;
  store<u32>(old, 0, FRONT + SLOT_ADDRESS);
  release(from, load<u32>(old, FRONT + SLOT_BYTES), load<u32>(old, FRONT + SLOT_OWNER));
  put(place, to, bytes, load<u32>(cached, CACHE + 8));
  return pending;
}

/** `to` 0 is a failure that leaves the block as it was, unless the new size is 0: then the block was freed. */
export function reallocSlowly(from: u32, to: u32, bytes: u32, context: u64): i32 {
  if (to) {
    lastAddress = 0;
    freeSlowly(from);
    return allocSlowly(to, bytes, context);
  }
  if (bytes == 0 && from) return freeSlowly(from);
  failed++;
  return pending;
}

/** A block of a heap whose collector releases blocks: counted, as nobody hears when it dies. */
export function counted(bytes: u32, context: u64): i32 {
  const hash = context + carriedPart;
  const cached = cachePlace(hash);
  const place = load<u64>(cached, CACHE) == hash ? load<u32>(cached, CACHE + 8) : contextRecord(hash);
  addDead(recordAt(countedUnder(place)), bytes);
  const bucket = clz(bytes) << 3;
  store<u64>(bucket, load<u64>(bucket, HISTOGRAM) + 1, HISTOGRAM);
  collectable++;
  return pending;
}

/** The guest's collector ran. */
export function collected(): void {
  collections++;
}

/** A block was moved by an allocator that keeps its handles right: it is at another address, and nothing else changes. */
export function moved(from: u32, to: u32): void {
  let slot = frontSlot(from);
  const inFront = load<u32>(slot, SLOT_ADDRESS) == from;
  if (!inFront) slot = findBlock(from);
  if (!slot) return;
  const bytes = load<u32>(slot, SLOT_BYTES);
  const owner = load<u32>(slot, SLOT_OWNER);
  if (inFront) store<u32>(slot, 0, SLOT_ADDRESS);
  else removeBlock(slot);
  const place = frontSlot(to);
  // newer than one in the table: it would be found first
  if (load<u32>(place, SLOT_ADDRESS) == to) giveWay(place, to);
  toTable(to, bytes, owner);
  if (lastAddress == from) lastAddress = to;
}

/** The outermost entry from JavaScript returns, its caller still on the stack. */
export function leave(): void {
  endEntry(true);
  carried = 0;
  carriedPart = 0;
}

/** Blocks were allocated outside every known entry, or by one that a trap or an exception ended. */
export function abandon(): void {
  endEntry(false);
  carried = 0;
  carriedPart = 0;
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
  carriedPart = context * SPREAD64;
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
  let slot = frontSlot(address);
  if (load<u32>(slot, SLOT_ADDRESS) != address) slot = findBlock(address);
  if (!slot) return 0;
  const caller = load<u32>(recordAt(load<u32>(slot, SLOT_OWNER) & ~STATE_MASK), RECORD_CALLER) & 0xff_ffff;
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

/** The slots of the front that hold blocks lie from here to `frontEnd`. */
export function frontAddress(): usize {
  return FRONT + FRONT_SLOT_SIZE;
}

export function frontEnd(): usize {
  return endOfFront();
}

/** Brings all totals up to date and writes the sums where the host reads them; returns their address. */
export function sync(): usize {
  const highest = highestPeak();
  settle(false);
  addUp();
  store<f64>(TOTALS, <f64>allocations, 0);
  store<f64>(TOTALS, <f64>(allocations - live - missedFrees), 8);
  store<f64>(TOTALS, <f64>allocatedBytes, 16);
  store<f64>(TOTALS, <f64>liveBytes, 24);
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
