/** Variants in turn in one process, in short rounds; what counts is the median of what one round each gives. */
import { median } from "./statistics.js";

/** Does the work `count` times, and returns something that depends on all of it. */
export type Loop = (count: number) => unknown;

export interface Variant {
  name: string;
  loop: Loop;
  /** Runs before each round, outside the time. */
  before?: () => void;
}

export interface Timing {
  name: string;
  /** Nanoseconds of one repetition, median of the rounds. */
  time: number;
  /** Nanoseconds over the first variant, median of the differences of each round. */
  over: number;
  /** Times the first variant, median of the ratios of each round. */
  ratio: number;
}

/** Results of the loops, kept so that no engine leaves the work out. */
export const results: unknown[] = [];

/** Measures all variants against the first. */
export function measure(variants: readonly Variant[], count: number, rounds = 60, warmUp = 12): Timing[] {
  const times = variants.map((): number[] => []);
  for (let round = -warmUp; round < rounds; round++) {
    for (let i = 0; i < variants.length; i++) {
      const turn = (i + round + warmUp) % variants.length;
      const { loop, before } = variants[turn];
      before?.();
      const start = performance.now();
      const result = loop(count);
      const time = ((performance.now() - start) / count) * 1e6;
      results[turn] = result;
      if (round >= 0) times[turn].push(time);
    }
  }
  return variants.map(({ name }, i) => ({
    name,
    time: median(times[i]),
    over: median(times[i].map((time, round) => time - times[0][round])),
    ratio: median(times[i].map((time, round) => time / times[0][round])),
  }));
}
