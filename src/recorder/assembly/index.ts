/**
 * The recorder: what hooks call. It keeps the live blocks of one linear memory and totals for each calling
 * context and JavaScript caller. JavaScript reads it at snapshots and is called only when something is new.
 *
 * Every hook returns how many blocks of the running entry are live, plus `HAS_CALLER` once the entry's caller is
 * known: the instrumented module keeps that number and calls `leave` at the end of an entry only when it isn't 0.
 */
import {
  addBlock,
  blocksAddress as addressOfBlocks,
  blocksEnd as endOfBlocks,
  findBlock,
  initBlocks,
  lost,
  removeBlock,
  setBlock,
} from "./blocks";
import {
  addDead,
  addTo,
  contextRecord,
  dropped,
  initContexts,
  markPeak,
  move,
  movePeak,
  pairRecord,
  peakShare as peakShareOf,
  recordAt,
  recordCount as countOfRecords,
  releaseFrom,
} from "./contexts";
import { captureCaller, isNested } from "./host";
import {
  ENTRY_ADDRESS,
  ENTRY_BYTES,
  ENTRY_RECORD,
  ENTRY_STATE,
  HISTOGRAM,
  MEMO,
  MEMO_BITS,
  NURSERY_SIZE,
  RECORD_BASE,
  RECORD_SURVIVAL,
  RECORD_TEMPORARY,
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
/** High-water mark since `beginPeriod`, or of all time. */
let peakLiveBytes: u64 = 0;
/** High-water mark of all time, as of the beginning of the period. */
let earlierPeak: u64 = 0;
/** Live bytes above which the contexts' shares are remembered anew: a 64th above the last time. */
let nextPeak: u64 = 0;
let temporary: u64 = 0;
let unknownFrees: u64 = 0;
let missedFrees: u64 = 0;
let failed: u64 = 0;
let outlived: u64 = 0;
let captured: u64 = 0;

/** First entry of the nursery that its context doesn't know of. */
let unsettled: u32 = 1;
/** First entry of the nursery that came after the last high-water mark remembered. */
let afterPeak: u32 = 1;
let lastAddress: u32 = 0;
/** What hooks return: live blocks in the nursery, and `HAS_CALLER`. */
let pending: i32 = 0;
/** Caller of the running entry, once `HAS_CALLER` is set; 0 not captured. */
let entryCaller: u32 = 0;
/** While the host has time to spare every entry that leaves blocks is captured. */
let eager: bool = true;
let random: u32 = 0x2545f491;
/** What entries leave live, as a moving average. */
let typicalBytes: f64 = 64;
/** Context of the calling module, where modules are linked dynamically. */
let carried: u64 = 0;

initBlocks(initContexts());

/**
 * A block was allocated. `address` 0 is a failed allocation.
 * @param context hash of the calling context
 */
export function alloc(address: u32, bytes: u32, context: u64): i32 {
  if (!address) {
    failed++;
    return pending;
  }
  const record = contextRecord(context + carried * SPREAD64);
  if (nursery.isFull()) makeRoom();
  const at = nursery.head(address);
  const known = nursery.find(at, address);
  if (known) missed(known, at);
  nursery.put(at, address, bytes, record);
  lastAddress = address;
  pending++;
  liveBytes += bytes;
  if (liveBytes > peakLiveBytes) {
    peakLiveBytes = liveBytes;
    if (liveBytes > nextPeak) rememberPeak();
  }
  return pending;
}

/** A block was freed. Null is no block. */
export function free(address: u32): i32 {
  const at = nursery.head(address);
  const entry = nursery.find(at, address);
  if (entry) {
    const bytes = load<u32>(entry, ENTRY_BYTES);
    liveBytes -= bytes;
    pending--;
    if (address == lastAddress) temporaryIn(load<u32>(entry, ENTRY_RECORD));
    if (load<u16>(entry, ENTRY_STATE) == nursery.FRESH) {
      nursery.retire(entry, at, nursery.DEAD);
    } else {
      releaseFrom(recordAt(load<u32>(entry, ENTRY_RECORD)), bytes);
      frees++;
      nursery.retire(entry, at, nursery.GONE);
    }
  } else if (address) {
    freeOld(address);
  }
  return pending;
}

/** Frees a block that outlived its entry. */
function freeOld(address: u32): void {
  const slot = findBlock(address);
  if (!slot) {
    unknownFrees++;
    return;
  }
  const bytes = load<u32>(slot, SLOT_BYTES);
  const index = load<u32>(slot, SLOT_RECORD);
  const record = recordAt(index);
  if (address == lastAddress) temporaryIn(index);
  liveBytes -= bytes;
  frees++;
  releaseFrom(record, bytes);
  removeBlock(slot);
  const base = recordAt(load<u32>(record, RECORD_BASE) & BASE_MASK);
  const survival: u32 = load<u8>(base, RECORD_SURVIVAL);
  store<u8>(base, <u8>(survival - ((survival + 15) >> 4)), RECORD_SURVIVAL);
}

/** The block allocated last was freed before the next allocation. */
@inline
function temporaryIn(record: u32): void {
  temporary++;
  lastAddress = 0;
  const at = recordAt(record);
  store<u32>(at, load<u32>(at, RECORD_TEMPORARY) + 1, RECORD_TEMPORARY);
}

/**
 * A block was resized, and perhaps moved: counts as one free and one allocation. `to` 0 is a failure that
 * leaves the block as it was, unless the new size is 0: then the block was freed.
 */
export function realloc(from: u32, to: u32, bytes: u32, context: u64): i32 {
  if (to) {
    // the old block was in use until now: it is not a temporary one
    lastAddress = 0;
    free(from);
    return alloc(to, bytes, context);
  }
  if (bytes == 0 && from) return free(from);
  failed++;
  return pending;
}

/** A block was allocated where another one should still be: the free of that one was not seen. */
function missed(entry: usize, at: usize): void {
  const bytes = load<u32>(entry, ENTRY_BYTES);
  settle();
  missedFrees++;
  liveBytes -= bytes;
  pending--;
  releaseFrom(recordAt(load<u32>(entry, ENTRY_RECORD)), bytes);
  nursery.retire(entry, at, nursery.GONE);
}

/** The same for a block that outlived its entry. */
function missedOld(slot: usize): void {
  const bytes = load<u32>(slot, SLOT_BYTES);
  missedFrees++;
  liveBytes -= bytes;
  releaseFrom(recordAt(load<u32>(slot, SLOT_RECORD)), bytes);
}

function rememberPeak(): void {
  settle();
  markPeak();
  afterPeak = nursery.next;
  nextPeak = liveBytes + (liveBytes >> 6);
}

@inline
function countSize(bytes: u32): void {
  const bucket = HISTOGRAM + ((31 - clz(bytes | 1)) << 3);
  store<u64>(bucket, load<u64>(bucket) + 1);
}

/** Brings the totals up to date with the nursery. */
function settle(): void {
  const end = nursery.next;
  let bytesAdded: u64 = 0;
  let dead: u32 = 0;
  for (let index = unsettled; index < end; index++) {
    const entry = nursery.entryAt(index);
    const bytes = load<u32>(entry, ENTRY_BYTES);
    const record = recordAt(load<u32>(entry, ENTRY_RECORD));
    countSize(bytes);
    bytesAdded += bytes;
    if (load<u16>(entry, ENTRY_STATE) == nursery.FRESH) {
      addTo(record, bytes);
      store<u16>(entry, nursery.SETTLED, ENTRY_STATE);
    } else {
      addDead(record, bytes);
      dead++;
      store<u16>(entry, nursery.GONE, ENTRY_STATE);
    }
  }
  allocations += end - unsettled;
  allocatedBytes += bytesAdded;
  frees += dead;
  unsettled = end;
}

/** The nursery is full: half of its blocks are dead, or the others have to go on to the table. */
function makeRoom(): void {
  if (<u32>(pending & ~HAS_CALLER) > NURSERY_SIZE >> 1) {
    promote(callerOfEntry());
  } else {
    settle();
    afterPeak = nursery.compact(afterPeak);
    unsettled = nursery.next;
  }
}

/** Empties the nursery into the table of blocks, its blocks under a caller where one is known. */
function promote(caller: u32): void {
  const end = nursery.next;
  const fresh = unsettled;
  let bytesAdded: u64 = 0;
  let dead: u32 = 0;
  let lastBase: u32 = ~0;
  let pair: u32 = 0;
  for (let index: u32 = 1; index < end; index++) {
    const entry = nursery.entryAt(index);
    const state = load<u16>(entry, ENTRY_STATE);
    if (state == nursery.GONE) continue;
    const bytes = load<u32>(entry, ENTRY_BYTES);
    let record = load<u32>(entry, ENTRY_RECORD);
    if (index >= fresh) {
      countSize(bytes);
      bytesAdded += bytes;
    }
    if (state == nursery.DEAD) {
      addDead(recordAt(record), bytes);
      dead++;
      continue;
    }
    const survivalAt = recordAt(record) + RECORD_SURVIVAL;
    const survival: u32 = load<u8>(survivalAt);
    store<u8>(survivalAt, <u8>(survival + ((255 - survival + 15) >> 4)));
    outlived++;
    if (record != lastBase) {
      lastBase = record;
      pair = caller ? pairRecord(record, caller) : record;
    }
    if (caller) captured++;
    if (state == nursery.FRESH) {
      addTo(recordAt(pair), bytes);
    } else if (pair != record) {
      move(recordAt(record), recordAt(pair), bytes);
      if (index < afterPeak) movePeak(recordAt(record), recordAt(pair), bytes);
    }
    record = pair;
    const known = addBlock(load<u32>(entry, ENTRY_ADDRESS), bytes, record);
    if (known) {
      missedOld(known);
      setBlock(known, bytes, record);
    }
  }
  allocations += end - fresh;
  allocatedBytes += bytesAdded;
  frees += dead;
  nursery.empty();
  unsettled = 1;
  afterPeak = 1;
  pending &= HAS_CALLER;
}

/** Caller of the running entry, captured if it was not and is worth it. */
function callerOfEntry(): u32 {
  if (!pending) return 0;
  if (!(pending & HAS_CALLER)) {
    entryCaller = eager || worthCapturing() ? <u32>max(captureCaller(), 0) : 0;
    pending |= HAS_CALLER;
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
  const end = nursery.next;
  for (let index: u32 = 1; index < end; index++) {
    const entry = nursery.entryAt(index);
    if (load<u16>(entry, ENTRY_STATE) >= nursery.DEAD) continue;
    survival = max(survival, load<u8>(recordAt(load<u32>(entry, ENTRY_RECORD)), RECORD_SURVIVAL));
    bytes += load<u32>(entry, ENTRY_BYTES);
  }
  const weight = min(<f64>bytes / typicalBytes, 1);
  typicalBytes += (<f64>bytes - typicalBytes) / 64;
  // xorshift32 (Marsaglia, Journal of Statistical Software 8, 2003)
  random ^= random << 13;
  random ^= random >> 17;
  random ^= random << 5;
  const surviving = survival > 128 ? 2 - 255 / <f64>survival : 1.0 / 128;
  return <f64>random < surviving * weight * 4294967296.0;
}

/** The outermost entry from JavaScript returns, its caller still on the stack. */
export function leave(): void {
  promote(callerOfEntry());
  pending = 0;
  carried = 0;
}

/** Blocks were allocated outside every known entry, or by one that a trap or an exception ended. */
export function abandon(): void {
  promote(0);
  pending = 0;
  carried = 0;
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
  return previous;
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

/** Begins a period with a high-water mark of its own, beside that of all time. Costs the hooks nothing. */
export function beginPeriod(): void {
  earlierPeak = max(earlierPeak, peakLiveBytes);
  peakLiveBytes = liveBytes;
}

/** High-water mark of live bytes since `beginPeriod`. */
export function periodPeak(): f64 {
  return <f64>peakLiveBytes;
}

/** The table of blocks lies from here to `blocksEnd`; both change when it grows. */
export function blocksAddress(): usize {
  return addressOfBlocks();
}

export function blocksEnd(): usize {
  return endOfBlocks();
}

/** The blocks of the running entry lie from here to `nurseryEnd`. */
export function nurseryAddress(): usize {
  return nursery.entryAt(1);
}

export function nurseryEnd(): usize {
  return nursery.entryAt(nursery.next);
}

/** Brings all totals up to date and writes the sums where the host reads them; returns their address. */
export function sync(): usize {
  settle();
  store<f64>(TOTALS, <f64>allocations, 0);
  store<f64>(TOTALS, <f64>frees, 8);
  store<f64>(TOTALS, <f64>allocatedBytes, 16);
  store<f64>(TOTALS, <f64>liveBytes, 24);
  store<f64>(TOTALS, <f64>max(earlierPeak, peakLiveBytes), 32);
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
