/** A small seeded generator, so that a failure can be run again: mulberry32 (Tommy Ettinger, public domain). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** A whole number from 0 to 2^32 - 1. */
  u32(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  /** A whole number from 0 to `bound` - 1. */
  below(bound: number): number {
    return Math.floor((this.u32() / 2 ** 32) * bound);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)];
  }

  chance(probability: number): boolean {
    return this.u32() < probability * 2 ** 32;
  }

  shuffle<T extends { length: number; [index: number]: number }>(items: T): T {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [items[i], items[j]] = [items[j], items[i]];
    }
    return items;
  }
}

/** Seeds for property tests: the given number of fixed ones, or the one in LINMEM_SEED. */
function seeds(count: number): number[] {
  const chosen = process.env.LINMEM_SEED;
  return chosen ? [Number(chosen)] : Array.from({ length: count }, (_, i) => i + 1);
}

/** Runs a property for each seed, and says in the failure which one it was. */
export function forSeeds(count: number, property: (random: Random) => void): void {
  for (const seed of seeds(count)) {
    try {
      property(new Random(seed));
    } catch (error) {
      if (error instanceof Error) error.message = `LINMEM_SEED=${seed}: ${error.message}`;
      throw error;
    }
  }
}
