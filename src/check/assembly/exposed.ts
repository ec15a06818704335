/**
 * Addresses that JavaScript knows: it was handed them, or named them itself. What it holds lies in no linear memory, so a block
 * that nothing in the memory leads to is lost only when JavaScript can't hold it either.
 */
import { heapStart } from "./blocks";
import { EXPOSED } from "./layout";
import { isInMemory } from "./shadow";

/** Whether there is anything to forget. */
let any: bool = false;

/** The eight bytes with the bit of a granule. */
@inline
function wordOf(granule: u32): usize {
  return EXPOSED + ((<usize>granule >> 6) << 3);
}

/** Bits of a word from that of a granule on. */
@inline
function fromBit(granule: u32): u64 {
  return ~(<u64>0) << (granule & 63);
}

/** Bits of a word up to and with that of a granule. */
@inline
function upToBit(granule: u32): u64 {
  return ~(<u64>0) >> (63 - (granule & 63));
}

/** JavaScript gets this number, or gives it. What is no address is as good as one: no harm is done by a bit too many. */
export function expose(value: u32): void {
  if (value < heapStart || !isInMemory(value)) return;
  any = true;
  const granule = value >> 3;
  const word = wordOf(granule);
  store<u64>(word, load<u64>(word) | (<u64>1 << (granule & 63)));
}

@inline
function lastGranuleOf(address: u32, size: u32): u32 {
  return <u32>((<u64>address + max<u32>(size, 1) - 1) >> 3);
}

/** A new block is here: what was known of the address was another one. */
export function forgetExposed(address: u32, size: u32): void {
  if (!any) return;
  const from = address >> 3;
  const last = lastGranuleOf(address, size);
  let word = wordOf(from);
  const lastWord = wordOf(last);
  if (word == lastWord) {
    store<u64>(word, load<u64>(word) & ~(fromBit(from) & upToBit(last)));
    return;
  }
  store<u64>(word, load<u64>(word) & ~fromBit(from));
  for (word += 8; word < lastWord; word += 8) store<u64>(word, 0);
  store<u64>(lastWord, load<u64>(lastWord) & ~upToBit(last));
}

/** Whether JavaScript knows an address in a block. */
export function isExposed(address: u32, size: u32): bool {
  if (!any) return false;
  const from = address >> 3;
  const last = lastGranuleOf(address, size);
  let word = wordOf(from);
  const lastWord = wordOf(last);
  let bits = load<u64>(word) & fromBit(from);
  for (; word < lastWord && !bits; bits = load<u64>(word)) word += 8;
  return (word == lastWord ? bits & upToBit(last) : bits) != 0;
}
