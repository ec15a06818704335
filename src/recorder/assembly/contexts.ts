/**
 * Calling contexts and their totals. A record belongs to a pair of context and JavaScript caller; the base
 * record of a context, with caller 0, takes every allocation first, and blocks move to the pair's record when
 * their caller becomes known.
 */
import { contextSeen } from "./host";
import { hot } from "./hot";
import { ownerOfPacked, packedOwner } from "./slots";
import { moveTable } from "./table";
import {
  CACHE,
  CACHE_ALLOCATED_BYTES,
  CACHE_ALLOCATIONS,
  CACHE_ENTRY_SIZE,
  CACHE_MASK,
  CACHE_OWNER,
  FRESH,
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
  RECORD_TEMPORARY,
  SPREAD,
  SPREAD_CALLERS,
  STATE_MASK,
  UNSEEN_CONTEXT,
} from "./layout";

const PLACE_MASK: u32 = 0xffffff;

let headBits: u32 = 8;
let heads: usize = 0;
let capacity: u32 = 128;
let count: u32 = 0;

/** Allocations that came when no further record could be had. */
export let dropped: u64 = 0;

/** Address of the record at a place: the place doesn't change, the address does when something below grows. */
@inline
export function recordAt(place: u32): usize {
  return hot.records + <usize>place;
}

@inline
function placeOf(index: u32): u32 {
  return index * <u32>RECORD_SIZE;
}

/** Place of the record of the same context without a caller. */
@inline
export function baseOf(record: usize): u32 {
  return load<u32>(record, RECORD_BASE);
}

export function recordCount(): u32 {
  return count;
}

/** Lays out heads and records from `at` on; returns their end. */
export function initContexts(at: usize): usize {
  heads = at;
  hot.records = at + (4 << headBits);
  const end = recordAt(placeOf(capacity));
  reach(end);
  // an empty place of the cache, all zeros, would be that of context 0
  store<u64>(cachePlace(0), ~0, CACHE);
  // record 0 takes what comes beyond the bound; its hash is no context's
  append(~0, 0, 0);
  return end;
}

/** Moves all of it up by `bytes`, and the table above it, to make room below; false when the engine refuses memory. */
export function moveContexts(bytes: usize): bool {
  if (!moveTable(bytes)) return false;
  memory.copy(heads + bytes, heads, recordAt(placeOf(capacity)) - heads);
  heads += bytes;
  hot.records += bytes;
  return true;
}

@inline
function head(hash: u64): usize {
  return heads + (((<u32>(hash ^ (hash >> 32)) * SPREAD) >> (32 - headBits)) << 2);
}

/** Remembers the state of a record at the last high-water mark before it changes. One whose epoch is older was not touched since. */
@inline
function touch(record: usize): void {
  if (load<u32>(record, RECORD_EPOCH) != hot.epoch) {
    store<f32>(record, <f32>load<u64>(record, RECORD_LIVE_BYTES), RECORD_PEAK);
    store<u32>(record, hot.epoch, RECORD_EPOCH);
  }
  store<u8>(record, 1, RECORD_DIRTY);
}

/** The state as it is now is the highest yet. */
@inline
export function markPeak(): void {
  hot.epoch++;
}

/** Bytes of a record that were live at the high-water mark. */
export function peakShare(index: u32): f64 {
  const record = recordAt(placeOf(index));
  return load<u32>(record, RECORD_EPOCH) == hot.epoch
    ? <f64>load<f32>(record, RECORD_PEAK)
    : <f64>load<u64>(record, RECORD_LIVE_BYTES);
}

/** A block lives, whose allocation was counted before. */
@inline
export function addLive(record: usize, bytes: u32): void {
  touch(record);
  store<u64>(record, load<u64>(record, RECORD_LIVE_BYTES) + bytes, RECORD_LIVE_BYTES);
  store<u32>(record, load<u32>(record, RECORD_LIVE_BLOCKS) + 1, RECORD_LIVE_BLOCKS);
}

@inline
export function releaseFrom(record: usize, bytes: u32): void {
  touch(record);
  store<u64>(record, load<u64>(record, RECORD_LIVE_BYTES) - bytes, RECORD_LIVE_BYTES);
  store<u32>(record, load<u32>(record, RECORD_LIVE_BLOCKS) - 1, RECORD_LIVE_BLOCKS);
}

/** Counts allocations. */
@inline
export function addAllocations(record: usize, count: u64, bytes: u64): void {
  store<u8>(record, 1, RECORD_DIRTY);
  store<u64>(record, load<u64>(record, RECORD_ALLOCATIONS) + count, RECORD_ALLOCATIONS);
  store<u64>(record, load<u64>(record, RECORD_ALLOCATED_BYTES) + bytes, RECORD_ALLOCATED_BYTES);
}

/**
 * Moves an allocation from the base record to the pair that made it. The base may not have been told of it yet, and have
 * less than none until `flushCache`.
 */
@inline
export function moveAllocation(from: usize, to: usize, bytes: u32): void {
  addAllocations(from, -1, -<u64>bytes);
  addAllocations(to, 1, bytes);
}

/** Moves the share in the high-water mark that goes with a block, between records that were touched just now. */
export function movePeak(from: usize, to: usize, bytes: u32): void {
  store<f32>(from, max<f32>(load<f32>(from, RECORD_PEAK) - <f32>bytes, 0), RECORD_PEAK);
  store<f32>(to, load<f32>(to, RECORD_PEAK) + <f32>bytes, RECORD_PEAK);
}

/** Where a context is remembered once it was seen, from `CACHE` on. The lowest bit of a context is clear here. */
@inline
export function cachePlace(hash: u64): usize {
  return (<usize>hash & (CACHE_MASK << 1)) * (CACHE_ENTRY_SIZE / 2);
}

/** What a slot of the front gets of a fresh block of the context that is remembered there. */
@inline
export function cachedOwner(cached: usize): u64 {
  return load<u64>(cached, CACHE + CACHE_OWNER);
}

/** Counts an allocation of the context that is remembered there: its record is told later. */
@inline
export function countCached(cached: usize, bytes: u32): void {
  store<u64>(cached, load<u64>(cached, CACHE + CACHE_ALLOCATIONS) + 1, CACHE + CACHE_ALLOCATIONS);
  store<u64>(cached, load<u64>(cached, CACHE + CACHE_ALLOCATED_BYTES) + bytes, CACHE + CACHE_ALLOCATED_BYTES);
}

/** Tells the record of the context that is remembered there what was counted. */
function flush(cached: usize): void {
  const count = load<u64>(cached, CACHE + CACHE_ALLOCATIONS);
  if (!count) return;
  addAllocations(recordAt(placeIn(cached)), count, load<u64>(cached, CACHE + CACHE_ALLOCATED_BYTES));
  store<u64>(cached, 0, CACHE + CACHE_ALLOCATIONS);
  store<u64>(cached, 0, CACHE + CACHE_ALLOCATED_BYTES);
}

/** Tells all records what was counted. */
export function flushCache(): void {
  const end = CACHE_ENTRY_SIZE * (CACHE_MASK + 1);
  for (let cached: usize = 0; cached < end; cached += CACHE_ENTRY_SIZE) flush(cached);
}

@inline
export function placeIn(cached: usize): u32 {
  return ownerOfPacked(cachedOwner(cached)) & ~STATE_MASK;
}

/** Place of the record of a calling context, made and announced to the host when it is new. */
export function contextRecord(hash: u64): u32 {
  const cached = cachePlace(hash);
  if (load<u64>(cached, CACHE) == hash) return placeIn(cached);
  let place = find(hash);
  if (!place) {
    if (count < MAX_RECORDS) place = append(hash, 0, 0);
    if (!place) {
      dropped++;
      return 0;
    }
    if (!contextSeen(count - 1, hash)) return setUnseen(place, true);
  } else if (isUnseen(place) && !isSeenNow(place, hash)) {
    return place;
  }
  flush(cached);
  store<u64>(cached, hash, CACHE);
  store<u64>(cached, packedOwner(place | FRESH), CACHE + CACHE_OWNER);
  return place;
}

/** Allocations in contexts that the host declined to look at, of which one asks again. */
const UNSEEN_ALLOCATIONS: u32 = 16;
let untilAsked: u32 = UNSEEN_ALLOCATIONS;

/** Such contexts are not in the cache, so that all of their allocations come here. */
@inline
function isUnseen(place: u32): bool {
  return (load<u32>(recordAt(place), RECORD_CALLER) & PLACE_MASK) == UNSEEN_CONTEXT;
}

function setUnseen(place: u32, unseen: bool): u32 {
  const record = recordAt(place);
  const dirty = load<u32>(record, RECORD_CALLER) & ~PLACE_MASK;
  store<u32>(record, dirty | (unseen ? UNSEEN_CONTEXT : 0), RECORD_CALLER);
  return place;
}

/** Asks the host again when it is time. */
function isSeenNow(place: u32, hash: u64): bool {
  if (--untilAsked) return false;
  untilAsked = UNSEEN_ALLOCATIONS;
  if (!contextSeen(place / <u32>RECORD_SIZE, hash)) return false;
  setUnseen(place, false);
  return true;
}

/** Place of the record of a context and a caller; the base record's own when no further one can be had. */
export function pairRecord(base: u32, caller: u32): u32 {
  // another factor than that of a carried context, or caller 11 and caller 7 behind context 4 were one pair
  const hash = load<u64>(recordAt(base), RECORD_HASH) + <u64>caller * SPREAD_CALLERS;
  const place = find(hash);
  if (place) return place;
  const made = count < MAX_PAIRS ? append(hash, caller, base) : 0;
  return made ? made : base;
}

function find(hash: u64): u32 {
  let place = load<u32>(head(hash));
  while (place) {
    const record = recordAt(place);
    if (load<u64>(record, RECORD_HASH) == hash) return place;
    place = (load<u32>(record, RECORD_NEXT) & PLACE_MASK) << 2;
  }
  return 0;
}

function append(hash: u64, caller: u32, base: u32): u32 {
  if (count == capacity && !enlarge()) return 0;
  const place = placeOf(count++);
  const record = recordAt(place);
  memory.fill(record, 0, RECORD_SIZE);
  store<u64>(record, hash, RECORD_HASH);
  store<u32>(record, hot.epoch, RECORD_EPOCH);
  store<u32>(record, caller & PLACE_MASK, RECORD_CALLER);
  store<u8>(record, 1, RECORD_DIRTY);
  store<u32>(record, caller ? base : place, RECORD_BASE);
  store<u8>(record, 255, RECORD_SURVIVAL);
  if (place) link(place);
  return place;
}

@inline
function link(place: u32): void {
  const record = recordAt(place);
  const at = head(load<u64>(record, RECORD_HASH));
  const survival = load<u32>(record, RECORD_NEXT) & ~PLACE_MASK;
  store<u32>(record, survival | (load<u32>(at) >> 2), RECORD_NEXT);
  store<u32>(at, place);
}

/** Makes room for more records, and for heads to go with them. */
function enlarge(): bool {
  // With its heads a record takes 62 to 64 bytes. Room for a sixteenth too many fits the MiB that is beyond those while there
  // are few, for a thirty-second at any number there may be; each time what lies above has to move.
  const more: u32 = capacity < 4096 ? capacity : capacity >> (capacity < 1 << 17 ? 4 : 5);
  let bytes = <usize>more * RECORD_SIZE;
  const moreHeads = capacity + more > <u32>2 << headBits;
  if (moreHeads) bytes += 4 << headBits;
  if (!moveTable(bytes)) return false;
  capacity += more;
  if (moreHeads) {
    memory.copy(hot.records + (4 << headBits), hot.records, placeOf(count));
    hot.records += 4 << headBits;
    headBits++;
    memory.fill(heads, 0, 4 << headBits);
    for (let index: u32 = 1; index < count; index++) link(placeOf(index));
  }
  return true;
}

/** Sums over all records. */
export let allocations: u64 = 0;
export let allocatedBytes: u64 = 0;
export let live: u64 = 0;
export let temporary: u64 = 0;

export function addUp(): void {
  allocations = 0;
  allocatedBytes = 0;
  live = 0;
  temporary = 0;
  const end = recordAt(placeOf(count));
  for (let record = hot.records; record < end; record += RECORD_SIZE) {
    allocations += load<u64>(record, RECORD_ALLOCATIONS);
    allocatedBytes += load<u64>(record, RECORD_ALLOCATED_BYTES);
    live += load<u32>(record, RECORD_LIVE_BLOCKS);
    temporary += load<u32>(record, RECORD_TEMPORARY);
  }
}
