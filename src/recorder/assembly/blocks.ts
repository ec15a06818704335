/** What happens to blocks wherever they lie: they go into the table, or are found to have gone unseen. */
import { recordAt, releaseFrom } from "./contexts";
import { FRESH, SLOT_BYTES, SLOT_OWNER, STATE_MASK } from "./layout";
import { reachPeak, shrank } from "./live";
import { addBlock, setBlock } from "./table";
import { died, gaveWay } from "./young";

/** Blocks whose free was not seen. */
export let missedFrees: u64 = 0;

/** Puts a block that has no place in the front into the table. */
export function toTable(address: u32, bytes: u32, owner: u32): void {
  if (owner & STATE_MASK) gaveWay(address);
  const known = addBlock(address, bytes, owner);
  if (!known) return;
  // before its slot is read: what is young gets another owner there
  reachPeak();
  missed(load<u32>(known, SLOT_BYTES), load<u32>(known, SLOT_OWNER));
  setBlock(known, bytes, owner);
}

/**
 * A block was allocated where another one should still be: the free of that one was not seen. `reachPeak` was called while it
 * was there.
 */
export function missed(bytes: u32, owner: u32): void {
  missedFrees++;
  shrank(bytes);
  if ((owner & STATE_MASK) != FRESH) releaseFrom(recordAt(owner & ~STATE_MASK), bytes);
  if (owner & STATE_MASK) died();
}
