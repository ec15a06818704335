/** What is asked of the walk over a body that finds out which accesses need no check (redundant.ts), and what it answers. */
import type { AccessGroup } from "./groups.js";

export interface KnownMemory {
  /** Global with the stack pointer, if it is checked. */
  stackPointer?: number;
  /** Addresses that are static data, `[start, end)`. */
  data: readonly [start: number, end: number];
  /** Of two bytes that may be used and have this distance or less, all between them may be used. */
  gap: number;
  /** What may be used once may always be used: no blocks are watched. */
  isConstant: boolean;
  /** Go's own compiler made the module. */
  isGo: boolean;
}

/** What is known of the accesses of a body, by their positions. */
export interface AccessFacts {
  /** These need no check. */
  redundant: ReadonlySet<number>;
  /** These reads are checked as strictly as writes. */
  strict: ReadonlySet<number>;
  /** These reads stand in front of the test of their pointer: they may be through null. */
  speculated: ReadonlySet<number>;
  /** For the accesses of a group, the group. */
  groups: ReadonlyMap<number, AccessGroup>;
  /** Where Go's stack pointer is set to something new. */
  stackChanges: ReadonlySet<number>;
}

export const none: ReadonlySet<number> = new Set();

export const nothingKnown: AccessFacts = {
  redundant: none,
  strict: none,
  speculated: none,
  groups: new Map(),
  stackChanges: none,
};
