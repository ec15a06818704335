/** Accesses to one object that are checked together. */

/**
 * Accesses with one base and no branch or call in between: the first of them is checked together with all others, and those
 * are looked at only when that check fails.
 */
export interface AccessGroup {
  first: number;
  /** Positions of all, the first one too. */
  members: readonly number[];
  /** Bytes that are looked at, as distances from the address operand of the first. */
  points: readonly number[];
  /** Different for groups between the same two branches. */
  number: number;
}

export interface GroupedAccess {
  pos: number;
  base: number;
  /** Of the address operand. */
  offset: number;
  low: number;
  high: number;
  stretch: number;
}

/** Bytes from the first to the last that a group spans. */
const mostSpan = 64;

/**
 * The groups among accesses, by the positions of their members.
 * @param accesses in the order of their positions
 * @param gap of two bytes that may be used and have this distance or less, all between them may be used
 */
export function groupsOf(accesses: readonly GroupedAccess[], gap: number): Map<number, AccessGroup> {
  const groups = new Map<number, AccessGroup>();
  let from = 0;
  for (let at = 1; at <= accesses.length; at++) {
    if (accesses[at]?.stretch === accesses[from].stretch) continue;
    if (at - from > 2) addGroups(groups, accesses.slice(from, at), gap);
    from = at;
  }
  return groups;
}

/** Groups among the accesses between two branches. */
function addGroups(groups: Map<number, AccessGroup>, accesses: readonly GroupedAccess[], gap: number): void {
  const open = new Map<number, { members: GroupedAccess[]; low: number; high: number }>();
  let number = 0;
  const close = ({ members, low, high }: { members: GroupedAccess[]; low: number; high: number }) => {
    const count = Math.ceil((high - 1 - low) / gap) + 1;
    if (members.length <= count) return;
    const [{ pos: first, offset }] = members;
    const points = Array.from({ length: count }, (_, i) => Math.min(low + i * gap, high - 1) - offset);
    const group = { first, members: members.map(({ pos }) => pos), points, number: number++ };
    for (const { pos } of members) groups.set(pos, group);
  };
  for (const access of accesses) {
    const group = open.get(access.base);
    const low = Math.min(group?.low ?? access.low, access.low);
    const high = Math.max(group?.high ?? access.high, access.high);
    if (group && high - low <= mostSpan) {
      group.members.push(access);
      Object.assign(group, { low, high });
      continue;
    }
    if (group) close(group);
    open.set(access.base, { members: [access], low: access.low, high: access.high });
  }
  for (const group of open.values()) close(group);
}
