/** What a walk over a body knows of the memory: which bytes may be used. */

/** So many facts are kept; of more the oldest are forgotten. */
const mostFacts = 24;
/** And so many reads of one. */
const mostReads = 16;

/** A read of the bytes `[low, high)` from a base on. */
export interface LenientRead {
  pos: number;
  low: number;
  high: number;
  /** It was made on every way that leads here, or would have been let pass on those on which it wasn't. */
  certain: boolean;
}

/** Bytes `[low, high)` from a base on may be used. */
export interface Fact {
  base: number;
  low: number;
  high: number;
  /** Calls change nothing about it. */
  lasting: boolean;
  /** Reads that it comes from and that were not checked as strictly as writes. */
  reads: readonly LenientRead[];
  /** Number of the stretch without branches that the first of them is in. */
  stretch: number;
}

/** Adds what was found out, to what is known of the same bytes if it can be. */
export function learn(facts: Fact[], fact: Fact): void {
  const near = facts.findIndex(
    ({ base, low, high, lasting, reads }) =>
      base === fact.base &&
      lasting === fact.lasting &&
      low <= fact.high &&
      high >= fact.low &&
      reads.length < mostReads,
  );
  if (near >= 0) {
    const { low, high, reads, stretch } = facts[near];
    facts[near] = {
      ...fact,
      low: Math.min(low, fact.low),
      high: Math.max(high, fact.high),
      reads: [...reads, ...fact.reads],
      stretch: reads.length > 0 ? stretch : fact.stretch,
    };
    return;
  }
  if (facts.length >= mostFacts) {
    const oldest = facts.findIndex(({ lasting }) => !lasting);
    facts.splice(Math.max(0, oldest), 1);
  }
  facts.push(fact);
}

/** What both know. */
export function common(one: readonly Fact[], other: readonly Fact[]): Fact[] {
  const both: Fact[] = [];
  for (const fact of one) {
    for (const { base, low, high, lasting, reads } of other) {
      if (base !== fact.base || lasting !== fact.lasting || low >= fact.high || high <= fact.low) continue;
      const met = {
        ...fact,
        low: Math.max(low, fact.low),
        high: Math.min(high, fact.high),
        reads: eitherReads(fact.reads, reads),
        stretch: 0,
      };
      const isKnown = both.some((it) => it.base === base && it.low <= met.low && it.high >= met.high);
      if (!isKnown && both.length < mostFacts) both.push(met);
    }
  }
  return both;
}

/** What one or the other read. */
function eitherReads(one: readonly LenientRead[], other: readonly LenientRead[]): readonly LenientRead[] {
  // without any, all of the bytes may be used
  if (one.length === 0) return other;
  if (other.length === 0) return one;
  const among = (reads: readonly LenientRead[], { low, high }: LenientRead) =>
    reads.find((read) => read.low === low && read.high === high);
  return [
    ...one.map((read) => ({ ...read, certain: read.certain && among(other, read)?.certain === true })),
    ...other.filter((read) => !among(one, read)).map((read) => ({ ...read, certain: false })),
  ];
}
