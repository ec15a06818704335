/** Static addresses that functions of an allocator have in common: there its state lies. */
import type { Changes } from "./trials.js";

/** State of an allocator: the most static addresses within so many bytes. */
const stateSize = 640;

/** What lies so many bytes behind a static address may be an array of the state that begins there. */
export const stateReach = 128;

export function countShared(some: ReadonlySet<number>, others: ReadonlySet<number>): number {
  let count = 0;
  for (const member of some) if (others.has(member)) count++;
  return count;
}

/** The densest cluster of a function's static addresses. */
export function stateAddresses(addresses: Iterable<number>): Set<number> {
  const sorted = [...addresses].sort((a, b) => a - b);
  let best = [0, 0];
  for (let from = 0, to = 0; from < sorted.length; from++) {
    while (to < sorted.length && sorted[to] - sorted[from] < stateSize) to++;
    if (to - from > best[1] - best[0]) best = [from, to];
  }
  return new Set(sorted.slice(...best));
}

/**
 * Where a state ends: the last byte that trials saw change behind each of its addresses. Behind the first of a list for each size
 * lie the others, and a copy that the optimiser made for one size has the address of that one alone.
 */
export function lastOfState(state: Iterable<number>, changes: Changes | undefined): number[] {
  return Array.from(state, (address) => changes?.get(address) ?? address);
}
