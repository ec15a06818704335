/**
 * Functions that allocate call each other: `calloc` calls `malloc`, which calls what asks for pages. Which of them the
 * program uses is what counts.
 */
import { aligning } from "./candidates.js";
import { depthOfUse } from "./completeness.js";
import { reachedBy } from "./reached.js";
import type { Sandbox } from "./sandbox.js";
import { triedAddresses, tryPages, type Verdict } from "./trials.js";
import type { Way } from "./ways.js";
import type { Workbench } from "./workbench.js";

export class Levels {
  readonly #bench: Workbench;

  constructor(bench: Workbench) {
    this.#bench = bench;
  }

  /**
   * Of functions that allocate and call each other, those of the level that the program uses: without what only
   * passes on to one below, parts that only one above uses, and heaps inside of blocks of another heap.
   */
  used(makers: readonly Way[]): readonly Way[] {
    const sandbox = makers.length > 1 ? this.#bench.sandbox(makers) : undefined;
    if (!sandbox) return makers;
    const used = this.#usedWithout(new Set(makers.map(({ index }) => index)));
    const dropped = new Set<number>();
    const givesPages = remembered((way) => tryPages(sandbox, way));
    const addresses = remembered((way) => triedAddresses(sandbox, way));
    const giveTheSame = (one: Way, other: Way) => {
      const its = addresses(other);
      return its !== undefined && (addresses(one)?.every((address, i) => address === its[i]) ?? false);
    };
    for (const upper of makers) {
      for (const lower of makers) {
        if (upper.index === lower.index || aligning(upper.role) !== aligning(lower.role)) continue;
        if (!this.#bench.graph.reaches(upper.index, new Set([lower.index]), depthOfUse)) continue;
        if (this.#bench.graph.reaches(lower.index, new Set([upper.index]), depthOfUse)) continue;
        // what asks for pages is no level of the program's
        if (givesPages(lower) && !givesPages(upper)) {
          dropped.add(lower.index);
          continue;
        }
        // what has an inlined copy of the one below stays: `standing` tells
        if (giveTheSame(upper, lower)) continue;
        const belongs =
          !used.has(lower.index) ||
          this.#bench.candidates.weight(lower.index) * 4 < this.#bench.candidates.weight(upper.index);
        dropped.add(belongs ? lower.index : upper.index);
      }
    }
    return makers.filter(({ index }) => !dropped.has(index));
  }

  /** Functions that can run without any of `barriers` having been called. */
  #usedWithout(barriers: ReadonlySet<number>): Set<number> {
    return reachedBy(this.#bench.module, this.#bench.graph, barriers);
  }

  /** Others of the same kind that a function may call. */
  below({ index, role }: Way, others: readonly Way[], sameKind = true): Set<number> {
    const below = others.filter(
      (other) => other.index !== index && (!sameKind || !aligning(role) || aligning(other.role)),
    );
    return new Set(
      below
        .map((other) => other.index)
        .filter((other) => this.#bench.graph.reaches(index, new Set([other]), depthOfUse)),
    );
  }

  /** Those that work by themselves: also where all others of their kind, but those that call them, don't. */
  standing(
    ways: readonly Way[],
    attempt: (sandbox: Sandbox, way: Way) => Verdict,
    needed: readonly Way[] = [],
  ): Way[] {
    const standing = ways.filter((way) => {
      const others = ways.filter(
        (other) => other.index !== way.index && (!aligning(way.role) || aligning(other.role)),
      );
      const above = new Set([way.index]);
      const blocked = others
        .map(({ index }) => index)
        .filter((index) => index !== way.scratch?.index)
        .filter((index) => !this.#bench.graph.reaches(index, above, depthOfUse));
      if (blocked.length === 0) return true;
      const scratch = way.scratch ? [way.scratch] : [];
      const sandbox = this.#bench.sandbox([way, ...scratch, ...needed], { blocked: new Set(blocked) });
      return sandbox !== undefined && attempt(sandbox, way) === "proved";
    });
    if (standing.length > 0) return standing;
    const depth = (way: Way) => this.below(way, ways).size;
    return ways.length > 0 ? [ways.reduce((a, b) => (depth(a) <= depth(b) ? a : b))] : [];
  }
}

/** Asks once for each function: a trial takes an instance, and there are many pairs. */
function remembered<T>(ask: (way: Way) => T): (way: Way) => T {
  const answers = new Map<Way, T>();
  return (way) => {
    if (!answers.has(way)) answers.set(way, ask(way));
    return answers.get(way) as T;
  };
}
