/**
 * Calling contexts and their totals. A record belongs to a pair of context and JavaScript caller; the base
 * record of a context, with caller 0, takes every allocation first, and blocks move to the pair's record when
 * their caller becomes known.
 */
import { contextSeen } from "./host";
import { moveBlocks } from "./blocks";
import {
  CACHE,
  CACHE_MASK,
  DYNAMIC,
  MAX_PAIRS,
  MAX_RECORDS,
  reach,
  RECORD_ALLOCATED_BYTES,
  RECORD_ALLOCATIONS,
  RECORD_BASE,
  RECORD_CALLER,
  RECORD_DIRTY,
  RECORD_EPOCH,
  RECORD_HASH,
  RECORD_LIVE_BLOCKS,
  RECORD_LIVE_BYTES,
  RECORD_NEXT,
  RECORD_PEAK,
  RECORD_SIZE,
  RECORD_SURVIVAL,
  SPREAD,
  SPREAD_CALLERS,
} from "./layout";

const CALLER_MASK: u32 = 0xffffff;

let headBits: u32 = 8;
let records: usize = 0;
let capacity: u32 = 128;
let count: u32 = 0;

/** Allocations that came when no further record could be had. */
export let dropped: u64 = 0;

/** Counts new high-water marks. A record whose epoch is older was not touched since the last one. */
let epoch: u32 = 1;


@inline
export function recordAt(index: u32): usize {
  return records + <usize>index * RECORD_SIZE;
}

export function recordCount(): u32 {
  return count;
}

/** Lays out heads and records from the start of the dynamic part; returns their end. */
export function initContexts(): usize {
  records = DYNAMIC + (4 << headBits);
  const end = recordAt(capacity);
  reach(end);
  // record 0 takes what comes beyond the bound; its hash is no context's
  append(~0, 0, 0);
  return end;
}

@inline
function head(hash: u64): usize {
  return DYNAMIC + (((<u32>(hash ^ (hash >> 32)) * SPREAD) >> (32 - headBits)) << 2);
}

/** Remembers the state of a record at the last high-water mark before it changes. */
@inline
export function touch(record: usize): void {
  if (load<u32>(record, RECORD_EPOCH) != epoch) {
    store<f32>(record, <f32>load<u64>(record, RECORD_LIVE_BYTES), RECORD_PEAK);
    store<u32>(record, epoch, RECORD_EPOCH);
  }
  store<u8>(record, 1, RECORD_DIRTY);
}

/** The state as it is now is the highest yet. */
@inline
export function markPeak(): void {
  epoch++;
}

/** Bytes of the record that were live at the high-water mark. */
export function peakShare(index: u32): f64 {
  const record = recordAt(index);
  return load<u32>(record, RECORD_EPOCH) == epoch
    ? <f64>load<f32>(record, RECORD_PEAK)
    : <f64>load<u64>(record, RECORD_LIVE_BYTES);
}

@inline
export function addTo(record: usize, bytes: u32): void {
  touch(record);
  store<u64>(record, load<u64>(record, RECORD_ALLOCATIONS) + 1, RECORD_ALLOCATIONS);
  store<u64>(record, load<u64>(record, RECORD_ALLOCATED_BYTES) + bytes, RECORD_ALLOCATED_BYTES);
  store<u64>(record, load<u64>(record, RECORD_LIVE_BYTES) + bytes, RECORD_LIVE_BYTES);
  store<u32>(record, load<u32>(record, RECORD_LIVE_BLOCKS) + 1, RECORD_LIVE_BLOCKS);
}

@inline
export function releaseFrom(record: usize, bytes: u32): void {
  touch(record);
  store<u64>(record, load<u64>(record, RECORD_LIVE_BYTES) - bytes, RECORD_LIVE_BYTES);
  store<u32>(record, load<u32>(record, RECORD_LIVE_BLOCKS) - 1, RECORD_LIVE_BLOCKS);
}

/** Counts an allocation whose block is dead already. */
@inline
export function addDead(record: usize, bytes: u32): void {
  store<u8>(record, 1, RECORD_DIRTY);
  store<u64>(record, load<u64>(record, RECORD_ALLOCATIONS) + 1, RECORD_ALLOCATIONS);
  store<u64>(record, load<u64>(record, RECORD_ALLOCATED_BYTES) + bytes, RECORD_ALLOCATED_BYTES);
}

/** Moves a live block from the base record to the pair that made it. */
export function move(from: usize, to: usize, bytes: u32): void {
  releaseFrom(from, bytes);
  store<u64>(from, load<u64>(from, RECORD_ALLOCATIONS) - 1, RECORD_ALLOCATIONS);
  store<u64>(from, load<u64>(from, RECORD_ALLOCATED_BYTES) - bytes, RECORD_ALLOCATED_BYTES);
  addTo(to, bytes);
}

/** Moves the share in the high-water mark that goes with a block, between records that were touched just now. */
export function movePeak(from: usize, to: usize, bytes: u32): void {
  store<f32>(from, max<f32>(load<f32>(from, RECORD_PEAK) - <f32>bytes, 0), RECORD_PEAK);
  store<f32>(to, load<f32>(to, RECORD_PEAK) + <f32>bytes, RECORD_PEAK);
}

/** Record of a calling context, made and announced to the host when it is new. */
@inline
export function contextRecord(hash: u64): u32 {
  // the lowest bit is the in-allocator state, clear here
  const cached = CACHE + ((<usize>(<u32>hash >> 1) & CACHE_MASK) << 4);
  return load<u64>(cached) == hash && load<u32>(cached, 8) ? load<u32>(cached, 8) : search(hash, cached);
}

function search(hash: u64, cached: usize): u32 {
  let index = find(hash);
  if (!index) {
    if (count < MAX_RECORDS) index = append(hash, 0, 0);
    if (!index) {
      dropped++;
      return 0;
    }
    contextSeen(index, hash);
  }
  store<u64>(cached, hash);
  store<u32>(cached, index, 8);
  return index;
}

/** Record of a context and a caller; the base record itself when no further one can be had. */
export function pairRecord(base: u32, caller: u32): u32 {
  // another factor than that of a carried context, or caller 11 and caller 7 behind context 4 were one pair
  const hash = load<u64>(recordAt(base), RECORD_HASH) + <u64>caller * SPREAD_CALLERS;
  const index = find(hash);
  if (index) return index;
  const made = count < MAX_PAIRS ? append(hash, caller, base) : 0;
  return made ? made : base;
}

function find(hash: u64): u32 {
  let index = load<u32>(head(hash));
  while (index) {
    const record = recordAt(index);
    if (load<u64>(record, RECORD_HASH) == hash) return index;
    index = load<u32>(record, RECORD_NEXT);
  }
  return 0;
}

function append(hash: u64, caller: u32, base: u32): u32 {
  if (count == capacity && !enlarge()) return 0;
  const index = count++;
  const record = recordAt(index);
  memory.fill(record, 0, RECORD_SIZE);
  store<u64>(record, hash, RECORD_HASH);
  store<u32>(record, epoch, RECORD_EPOCH);
  store<u32>(record, caller & CALLER_MASK, RECORD_CALLER);
  store<u8>(record, 1, RECORD_DIRTY);
  store<u32>(record, caller ? base : index, RECORD_BASE);
  store<u8>(record, 255, RECORD_SURVIVAL);
  if (index) link(index);
  return index;
}

@inline
function link(index: u32): void {
  const record = recordAt(index);
  const at = head(load<u64>(record, RECORD_HASH));
  store<u32>(record, load<u32>(at), RECORD_NEXT);
  store<u32>(at, index);
}

/** Makes room for more records, and for heads to go with them. */
function enlarge(): bool {
  const more: u32 = capacity < 4096 ? capacity : capacity >> 3;
  let bytes = <usize>more * RECORD_SIZE;
  const moreHeads = capacity + more > <u32>2 << headBits;
  if (moreHeads) bytes += 4 << headBits;
  if (!moveBlocks(bytes)) return false;
  capacity += more;
  if (moreHeads) {
    memory.copy(records + (4 << headBits), records, <usize>count * RECORD_SIZE);
    records += 4 << headBits;
    headBits++;
    memory.fill(DYNAMIC, 0, 4 << headBits);
    for (let index: u32 = 1; index < count; index++) link(index);
  }
  return true;
}
