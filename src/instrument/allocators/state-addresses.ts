/** Static addresses that functions of an allocator have in common: there its state lies. */

/** State of an allocator: the most static addresses within so many bytes. */
const stateSize = 640;

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
