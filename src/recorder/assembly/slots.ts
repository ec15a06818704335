/** What slots of the front hold in one number, and slots of either place read alike. */
import {
  FRESH,
  FRONT_BYTES_BITS,
  FRONT_OWNER_BITS,
  FRONT_OWNER_SHIFT,
  SLOT_BYTES,
  SLOT_OWNER,
  STATE_MASK,
} from "./layout";
import { tableAddress } from "./table";

const BYTES_MASK: u32 = (1 << FRONT_BYTES_BITS) - 1;
const OWNER_MASK: u32 = (1 << FRONT_OWNER_BITS) - 1;

/** Whether a block is too long for a slot of the front. */
@inline
export function isLong(bytes: u32): bool {
  return bytes > BYTES_MASK;
}

/** What a slot of the front holds of an owner. */
@inline
export function packedOwner(owner: u32): u64 {
  return <u64>owner << FRONT_OWNER_SHIFT;
}

@inline
export function packedBytes(packed: u64): u32 {
  return <u32>packed & BYTES_MASK;
}

@inline
export function ownerOfPacked(packed: u64): u32 {
  return <u32>(packed >> FRONT_OWNER_SHIFT) & OWNER_MASK;
}

@inline
export function isFresh(packed: u64): bool {
  return (packed & packedOwner(STATE_MASK)) == packedOwner(FRESH);
}

@inline
function isOfTable(slot: usize): bool {
  return slot >= tableAddress();
}

export function bytesOf(slot: usize): u32 {
  return isOfTable(slot) ? load<u32>(slot, SLOT_BYTES) : packedBytes(load<u64>(slot));
}

export function ownerOf(slot: usize): u32 {
  return isOfTable(slot) ? load<u32>(slot, SLOT_OWNER) : ownerOfPacked(load<u64>(slot));
}

/** A slot of the front with another owner. */
@inline
export function withOwner(packed: u64, owner: u32): u64 {
  return (packed & ~packedOwner(OWNER_MASK)) | packedOwner(owner);
}
