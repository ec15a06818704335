/**
 * The recorder: what hooks call. It keeps the live blocks of one linear memory and totals for each calling
 * context and JavaScript caller. JavaScript reads it at snapshots and is called only when something is new.
 *
 * Every hook returns how many blocks wait in the nursery, plus `HAS_CALLER` once the entry's caller is known:
 * the instrumented module keeps that number and calls `leave` at the end of an entry only when it isn't 0.
 */
import { addBlock, findBlock, initBlocks, lost, removeBlock } from "./blocks";
import {
  addTo,
  contextRecord,
  dropped,
  initContexts,
  markPeak,
  move,
  pairRecord,
  peakShare as peakShareOf,
  recordAt,
  recordCount as countOfRecords,
  releaseFrom,
} from "./contexts";
import { captureCaller, isNested } from "./host";
import {
  HISTOGRAM,
  MEMO,
  MEMO_BITS,
  RECORD_BASE,
  RECORD_SURVIVAL,
  RECORD_TEMPORARY,
  SLOT_ADDRESS,
  SLOT_BYTES,
  SLOT_RECORD,
  SPREAD,
  SPREAD64,
  TOTALS,
} from "./layout";
import * as nursery from "./nursery";

const HAS_CALLER: i32 = 1 << 30;
const BASE_MASK: u32 = 0xffffff;

let allocations: u64 = 0;
let frees: u64 = 0;
let allocatedBytes: u64 = 0;
let liveBytes: u64 = 0;
let peakLiveBytes: u64 = 0;
let temporary: u64 = 0;
let unknownFrees: u64 = 0;
let missedFrees: u64 = 0;
let failed: u64 = 0;
let outlived: u64 = 0;
let captured: u64 = 0;

/** The block allocated last. It enters the nursery when the next one comes: temporary blocks never do. */
let lastAddress: u32 = 0;
let lastBytes: u32 = 0;
let lastRecord: u32 = 0;

/** Caller of the running entry: -1 not asked for yet, 0 not captured. */
let entryCaller: i32 = -1;
/** While the host has time to spare every entry that leaves blocks is captured. */
let eager: bool = true;
let random: u32 = 0x2545f491;
/** Context of the calling module, where modules are linked dynamically. */
let carried: u64 = 0;

initBlocks(initContexts());

@inline
function state(): i32 {
  return <i32>nursery.population + <i32>(lastAddress != 0) + (entryCaller >= 0 ? HAS_CALLER : 0);
}

/**
 * A block was allocated. `address` 0 is a failed allocation.
 * @param context hash of the calling context
 */
export function alloc(address: u32, bytes: u32, context: u64): i32 {
  if (!address) {
    failed++;
    return state();
  }
  if (lastAddress) shelve();
  allocations++;
  allocatedBytes += bytes;
  liveBytes += bytes;
  const bucket = HISTOGRAM + ((31 - clz(bytes | 1)) << 3);
  store<u64>(bucket, load<u64>(bucket) + 1);
  const record = contextRecord(context + carried);
  addTo(recordAt(record), bytes);
  if (liveBytes > peakLiveBytes) {
    peakLiveBytes = liveBytes;
    markPeak();
  }
  lastAddress = address;
  lastBytes = bytes;
  lastRecord = record;
  return state();
}

/** A block was freed. Null is no block. */
export function free(address: u32): i32 {
  if (!address) return state();
  if (address == lastAddress) {
    const record = recordAt(lastRecord);
    temporary++;
    store<u32>(record, load<u32>(record, RECORD_TEMPORARY) + 1, RECORD_TEMPORARY);
    frees++;
    liveBytes -= lastBytes;
    releaseFrom(record, lastBytes);
    lastAddress = 0;
    return state();
  }
  if (forget(address)) frees++;
  else unknownFrees++;
  return state();
}

/**
 * A block was resized, and perhaps moved: counts as one free and one allocation. `to` 0 is a failure that
 * leaves the block as it was, unless the new size is 0: then the block was freed.
 */
export function realloc(from: u32, to: u32, bytes: u32, context: u64): i32 {
  if (to) {
    if (from) free(from);
    return alloc(to, bytes, context);
  }
  if (bytes == 0 && from) return free(from);
  failed++;
  return state();
}

/** Moves the last block to the nursery. */
@inline
function shelve(): void {
  if (nursery.isFull()) promote(callerOfEntry());
  const known = nursery.search(lastAddress);
  if (known) {
    // its free was not seen
    missed(known);
    nursery.remove(known);
    if (nursery.isFull()) promote(callerOfEntry());
  }
  nursery.put(lastAddress, lastBytes, lastRecord);
  lastAddress = 0;
}

@inline
function missed(slot: usize): void {
  const bytes = load<u32>(slot, SLOT_BYTES);
  missedFrees++;
  liveBytes -= bytes;
  releaseFrom(recordAt(load<u32>(slot, SLOT_RECORD)), bytes);
}

/** Removes a block from where it is; false when it is nowhere. */
function forget(address: u32): bool {
  let slot = nursery.search(address);
  if (slot) {
    const bytes = load<u32>(slot, SLOT_BYTES);
    liveBytes -= bytes;
    releaseFrom(recordAt(load<u32>(slot, SLOT_RECORD)), bytes);
    nursery.remove(slot);
    return true;
  }
  slot = findBlock(address);
  if (!slot) return false;
  const bytes = load<u32>(slot, SLOT_BYTES);
  const record = recordAt(load<u32>(slot, SLOT_RECORD));
  liveBytes -= bytes;
  releaseFrom(record, bytes);
  removeBlock(slot);
  const base = recordAt(load<u32>(record, RECORD_BASE) & BASE_MASK);
  const survival = load<u8>(base, RECORD_SURVIVAL);
  store<u8>(base, survival - ((survival + 1) >> 1), RECORD_SURVIVAL);
  return true;
}

/** Moves what is in the nursery to the table of blocks, under a caller where one is known. */
function promote(caller: u32): void {
  const taken = nursery.taken;
  for (let k: u32 = 0; k < taken; k++) {
    const slot = nursery.logged(k);
    if (!nursery.isLive(slot)) continue;
    const address = load<u32>(slot, SLOT_ADDRESS);
    const bytes = load<u32>(slot, SLOT_BYTES);
    let record = load<u32>(slot, SLOT_RECORD);
    const base = recordAt(record);
    const survival = load<u8>(base, RECORD_SURVIVAL);
    store<u8>(base, survival + ((255 - survival + 7) >> 3), RECORD_SURVIVAL);
    if (caller) {
      const pair = pairRecord(record, caller);
      if (pair != record) move(recordAt(record), recordAt(pair), bytes);
      record = pair;
      captured++;
    }
    outlived++;
    const known = findBlock(address);
    if (known) {
      missed(known);
      removeBlock(known);
    }
    addBlock(address, bytes, record);
  }
  nursery.empty();
}

function callerOfEntry(): u32 {
  if (entryCaller < 0 && nursery.population) {
    // negative is an error of the host: not captured
    const caller = eager || worthCapturing() ? captureCaller() : 0;
    entryCaller = caller < 0 ? 0 : caller;
  }
  return entryCaller > 0 ? <u32>entryCaller : 0;
}

/**
 * Spends captures where blocks survive. A context's survival rises by an eighth of what is missing with every
 * block that outlives its entry, and is halved with every such block that is freed later: 255 where nothing is
 * freed, about 50 where everything is. A capture is made with the square of it as probability.
 */
function worthCapturing(): bool {
  let survival: u32 = 0;
  const taken = min(nursery.taken, 64);
  for (let k: u32 = 0; k < taken; k++) {
    const slot = nursery.logged(k);
    if (nursery.isLive(slot)) {
      survival = max(survival, load<u8>(recordAt(load<u32>(slot, SLOT_RECORD)), RECORD_SURVIVAL));
    }
  }
  // xorshift32 (Marsaglia, Journal of Statistical Software 8, 2003)
  random ^= random << 13;
  random ^= random >> 17;
  random ^= random << 5;
  return random >> 16 <= survival * survival;
}

/** The outermost entry from JavaScript returns, its caller still on the stack. */
export function leave(): void {
  if (lastAddress) shelve();
  promote(callerOfEntry());
  entryCaller = -1;
}

/** Blocks were allocated outside every known entry, or by one that a trap or an exception ended. */
export function abandon(): void {
  if (lastAddress) shelve();
  promote(0);
  entryCaller = -1;
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
    if (times & (times - 1) && times & 1023) return 1;
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

/** Sets the context of the calling module for the calls that follow; 0 when it is back. */
export function carry(context: u64): void {
  carried = context * SPREAD64;
}

/** Whether every entry that leaves blocks is to be captured, or only those that are worth it. */
export function setEager(value: i32): void {
  eager = value != 0;
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

/** Writes the totals where the host reads them; returns their address. */
export function sync(): usize {
  store<f64>(TOTALS, <f64>allocations, 0);
  store<f64>(TOTALS, <f64>frees, 8);
  store<f64>(TOTALS, <f64>allocatedBytes, 16);
  store<f64>(TOTALS, <f64>liveBytes, 24);
  store<f64>(TOTALS, <f64>peakLiveBytes, 32);
  store<f64>(TOTALS, <f64>temporary, 40);
  store<f64>(TOTALS, <f64>unknownFrees, 48);
  store<f64>(TOTALS, <f64>missedFrees, 56);
  store<f64>(TOTALS, <f64>failed, 64);
  store<f64>(TOTALS, <f64>outlived, 72);
  store<f64>(TOTALS, <f64>captured, 80);
  store<f64>(TOTALS, <f64>dropped, 88);
  store<f64>(TOTALS, <f64>lost, 96);
  return TOTALS;
}
