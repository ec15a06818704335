/** What is told of what was found: each place counts, and says so ever more seldom. */
import { found } from "./host";
import { PLACE_BITS, PLACES } from "./layout";

/** A place reports each time until it did so this often; from then on each time that the number doubles. */
const ALWAYS: u32 = 32;

@inline
export function placeOf(site: u32): usize {
  return PLACES + (<usize>(site & ((1 << PLACE_BITS) - 1)) << 2);
}

@inline
export function placeOfContext(context: u64): usize {
  return placeOf(((<u32>(context ^ (context >> 32)) * 0x9e37_79b1) >> (32 - PLACE_BITS)) | (1 << (PLACE_BITS - 1)));
}

export function report(kind: u32, address: u64, size: u32, how: u32, place: usize, block: usize): void {
  const times = load<u32>(place) + 1;
  store<u32>(place, times);
  if (times > ALWAYS && times & (times - 1)) return;
  found(kind, <f64>address, size, how, place, block);
}
