/** What the program may use, byte by byte. */
import { FREED, FULL, GRANULE, LAST, REDZONE } from "./layout";

/** Of 64 bytes that may all be used. */
const ALL_FULL: u64 = 0x0808_0808_0808_0808;

@inline
export function shadowOf(address: u32): u8 {
  return load<u8>(<usize>(address >> 3));
}

/** The shadow of so many granules, up to 8, in a number of 64 bits. */
@inline
function maskOf(granules: u32): u64 {
  return granules < 8 ? (<u64>1 << (granules << 3)) - 1 : ~0;
}

/** One byte of shadow, eight times. */
const EIGHT: u64 = 0x0101_0101_0101_0101;

/** Number of the memory's last granule. */
let lastGranule: u32 = 0;

@inline
export function isInMemory(address: u32): bool {
  return address >> 3 <= lastGranule;
}

/** After a change of it. */
function seal(): void {
  if (load<u8>(lastGranule) == FULL) store<u8>(lastGranule, LAST);
}

/** Granules from the one at `from` on, up to but without `until`, in units of 8 bytes. */
function fill(from: u32, until: u32, value: u8): void {
  if (until <= from) return;
  const count = until - from;
  const eight = <u64>value * EIGHT;
  // for so few granules an engine's `memory.fill` takes longer than all else that is done to a block
  if (count > 64) memory.fill(from, value, count);
  else if (count >= 8) {
    for (let at = from; at < until - 8; at += 8) store<u64>(at, eight);
    store<u64>(until - 8, eight);
  } else {
    // no loop: how often one came round the processor could not foresee
    const mask = maskOf(count);
    store<u64>(from, (load<u64>(from) & ~mask) | (eight & mask));
  }
  if (until > lastGranule) seal();
}

/** The memory has that many bytes: what is new may be used. */
export function setUsable(from: u64, until: u64): void {
  if (load<u8>(lastGranule) == LAST) store<u8>(lastGranule, FULL);
  lastGranule = <u32>(until >> 3) - 1;
  fill(<u32>(from >> 3), <u32>(until >> 3), FULL);
}

export function poison(from: u32, until: u32, value: u8): void {
  fill(from >> 3, until >> 3, value);
}

/**
 * A block may be used, what was added behind it may not, and neither the 4 bytes before it: there allocators keep a
 * header. (Those before them may belong to the block before: dlmalloc uses the first word of the next chunk too.)
 */
export function markLive(address: u32, size: u32, extra: u32): void {
  const granules = (size + extra + 4) >> 3;
  if (!(address & 7) && size < 64 && extra && granules <= 8) {
    // all of a small block at once; behind it the memory goes on
    const full = size >> 3;
    const used = (size + 7) >> 3;
    const part = <u64>(size & 7) << ((full & 7) << 3);
    const redzone = (maskOf(granules) ^ maskOf(used)) & (<u64>REDZONE * EIGHT);
    const shadow = (maskOf(full) & ALL_FULL) | part | redzone;
    store<u64>(address >> 3, (load<u64>(address >> 3) & ~maskOf(granules)) | shadow);
    return;
  }
  const end = address + size;
  const first = address >> 3;
  const last = end >> 3;
  fill(first, last, FULL);
  // of a granule that it shares with what lies before it nothing can be said
  if (end & 7) {
    store<u8>(last, last == first && address & 7 ? FULL : <u8>(end & 7));
    if (last >= lastGranule) seal();
  }
  // behind what was added the next header begins, or a block that is aligned to 8
  if (extra) fill((end + 7) >> 3, (end + extra + 4) >> 3, REDZONE);
}

export function markHeader(address: u32): void {
  if (address & 7 || address < GRANULE) return;
  const at = <usize>(address >> 3) - 1;
  const value = load<u8>(at);
  if (value == FULL || value == FREED) store<u8>(at, 4);
}

export function unmarkHeader(address: u32): void {
  if (address & 7 || address < GRANULE) return;
  const at = <usize>(address >> 3) - 1;
  if (load<u8>(at) == 4) store<u8>(at, FULL);
}

export function markFreed(address: u32, size: u32): void {
  const until = (address + size + 7) >> 3;
  fill((address + 7) >> 3, until, FREED);
  // of a granule that it shares with what lies before it the rest can be poisoned
  const before = address & 7;
  const first = address >> 3;
  if (before && before + size >= GRANULE && load<u8>(first) == FULL) store<u8>(first, <u8>before);
}

/** The allocator has a block back, and may give it to whom it likes. */
export function markReleased(address: u32, size: u32, extra: u32): void {
  const until = (address + size + extra + 7) >> 3;
  const before = address & 7;
  if (before && load<u8>(address >> 3) == before) store<u8>(address >> 3, FULL);
  for (let at = address >> 3; at < until; at += 8) {
    const shadow = load<u64>(at);
    // what may not be used at all has its highest bit set
    const mask = ((shadow >> 7) & EIGHT & maskOf(min<u32>(until - at, 8))) * 0xff;
    store<u64>(at, (shadow & ~mask) | (ALL_FULL & mask));
  }
  if (until > lastGranule) seal();
}

/** Whether `size` bytes from `address` on are all usable; else the first that isn't is in `bad`. */
export let bad: u32 = 0;

export function isUsable(address: u32, size: u32): bool {
  const end = <u64>address + size;
  let from = <usize>(address >> 3);
  const last = <usize>(end >> 3);
  while (from + 32 <= last) {
    const one = (load<u64>(from) ^ ALL_FULL) | (load<u64>(from, 8) ^ ALL_FULL);
    const other = (load<u64>(from, 16) ^ ALL_FULL) | (load<u64>(from, 24) ^ ALL_FULL);
    if (one | other) break;
    from += 32;
  }
  let at = max<u64>(address, <u64>from << 3);
  while (at < end) {
    if (at >> 32) {
      bad = 0xffff_ffff;
      return false;
    }
    const granule = <usize>(at >> 3);
    if (end - at >= 64 && load<u64>(granule) == ALL_FULL) {
      at = (at + 64) & ~7;
      continue;
    }
    const usable = load<u8>(granule);
    const start = at & ~7;
    if (usable != FULL && usable != LAST) {
      const usableEnd = start + <u64>(usable < FULL ? usable : 0);
      if (min(end, start + GRANULE) > usableEnd) {
        bad = <u32>max(at, usableEnd);
        return false;
      }
    }
    at = start + GRANULE;
  }
  return true;
}

/** Whether any of a few bytes is usable. */
export function isPartlyUsable(address: u32, size: u32): bool {
  for (let i: u32 = 0; i < size; i++) {
    const at = address + i;
    const usable = shadowOf(at);
    if ((usable <= FULL && (at & 7) < usable) || usable == LAST) return true;
  }
  return false;
}
