/**
 * The numbers that every event reads or changes, side by side in one line of the processor's cache. A global is found through
 * one more object of the engine's, and those of a module lie in the order in which it happens to declare them: they took
 * five lines, in caches that belong to the program.
 */
import { FEWEST_FRONT_SLOTS, FEWEST_SHIFT, HOT } from "./layout";

@unmanaged
class Hot {
  /** What the context of the calling module adds to a context, where modules are linked dynamically. */
  carriedPart: u64;
  /** By how many bytes less is live than at the high-water mark (live.ts). */
  headroom: i64;
  /** What hooks return: live young blocks, and what is known of their entry (young.ts). */
  pending: i32;
  /** Of the block allocated last; 0 once that was resized, or another one moved there. */
  lastAddress: u32;
  /** Dirty cards, and one (young.ts). */
  dirty: u32;
  /** The bits of a key that are the place of its slot (front.ts). */
  mask: u32;
  /** By how many bits an address is turned to become a key; the front's unit is two to this, in bytes. */
  shift: u32;
  /** Address of the records (contexts.ts). */
  records: usize;
  /** Counts new high-water marks (contexts.ts). */
  epoch: u32;
}

export const hot = changetype<Hot>(HOT);

hot.dirty = 1;
hot.mask = <u32>FEWEST_FRONT_SLOTS - 1;
hot.shift = FEWEST_SHIFT;
hot.epoch = 1;
