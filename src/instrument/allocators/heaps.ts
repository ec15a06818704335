/** Heaps: what allocates in each, what releases and what resizes, as trials prove it. */
import {
  allocationRoles,
  isSpecial,
  parametersOf,
  releaseRoles,
  resizeRoles,
  storingRoles,
} from "./candidates.js";
import { depthOfUse } from "./completeness.js";
import { Levels } from "./levels.js";
import type { Sandbox } from "./sandbox.js";
import { tryAllocation, tryRelease, tryResize, trySameHeap } from "./trials.js";
import type { Way } from "./ways.js";
import type { Workbench } from "./workbench.js";

/** Headers that are handed out with their block: AssemblyScript's, with and without what its older collectors keep there. */
const headerBytes = [16, 4];

/** Functions that are tried as ones that store the address of a block. */
const mostStoring = 12;

/** Levels of functions that resize and call each other. */
const mostLevels = 3;

/** A heap: what allocates in it and what releases. */
export interface Heap {
  malloc: Way;
  free: Way;
  mallocs: Way[];
  frees: Way[];
}

export class Heaps {
  readonly #bench: Workbench;
  readonly #levels: Levels;

  constructor(bench: Workbench) {
    this.#bench = bench;
    this.#levels = new Levels(bench);
  }

  /** The heaps of the level that the program uses; where nothing releases at it, those of the levels below. */
  find(): Heap[] {
    let makers = this.#makers();
    for (;;) {
      const level = this.#levels.used(makers);
      if (level.length === 0) return [];
      const heaps = this.#heaps(level);
      if (heaps.length > 0) return heaps;
      const tried = new Set(level.map(({ index }) => index));
      makers = makers.filter(({ index }) => !tried.has(index));
    }
  }

  /** Functions that give blocks, each in the one role that fits. */
  #makers(): Way[] {
    const { candidates } = this.#bench;
    const ways = candidates.allocating().flatMap((index) => candidates.ways(index, allocationRoles));
    const sandbox = this.#bench.sandbox(ways);
    if (!sandbox) return [];
    const proved = new Map<number, Way>();
    for (const way of ways) {
      if (proved.has(way.index) || tryAllocation(sandbox, way) !== "proved") continue;
      proved.set(way.index, way);
      this.#bench.goOn();
    }
    return [...proved.values()];
  }

  /** The heaps that take from no other, with what allocates and releases in each, without what only passes on. */
  #heaps(makers: readonly Way[]): Heap[] {
    const releasers = this.#bench.candidates.shaped(parametersOf(releaseRoles), 0);
    const heaps: Heap[] = [];
    this.#bench.nextStage();
    const assigned = new Set<number>();
    const above = (way: Way) => this.#levels.below(way, makers, false).size;
    const byUse = [...makers].sort(
      (a, b) =>
        above(a) - above(b) ||
        Number(isSpecial(a.role)) - Number(isSpecial(b.role)) ||
        this.#bench.candidates.weight(b.index) - this.#bench.candidates.weight(a.index),
    );
    for (const candidate of byUse) {
      const taken = new Set(heaps.map((heap) => heap.malloc.index));
      if (assigned.has(candidate.index) || this.#bench.graph.reaches(candidate.index, taken, depthOfUse))
        continue;
      const ways = this.#bench.candidates
        .kin(candidate, releasers)
        .flatMap((index) => this.#bench.candidates.waysOnState(index, releaseRoles, candidate));
      const sandbox = this.#bench.sandbox([...makers, ...ways]);
      if (!sandbox) break;
      const { malloc, frees: all } = this.#releasers(sandbox, candidate, ways);
      if (all.length === 0) continue;
      const frees = this.#levels.standing(all, (box, way) => tryRelease(box, malloc, way), [malloc]);
      const [free] = frees;
      const same = makers
        .map((way) => (way === candidate ? malloc : way))
        .filter((way) => way === malloc || trySameHeap(sandbox, malloc, free, way) === "proved");
      for (const { index } of same) assigned.add(index);
      same.push(...this.#storing(malloc, free));
      const mallocs = this.#levels.standing(same, tryAllocation);
      heaps.push({ malloc: mallocs.find((way) => !isSpecial(way.role)) ?? mallocs[0], free, frees, mallocs });
    }
    return heaps;
  }

  /** Functions that store the address of a block where they are told to, beside those that return it. */
  #storing(malloc: Way, free: Way): Way[] {
    const { candidates } = this.#bench;
    if (malloc.self) return [];
    const ways = candidates
      .kin(malloc, candidates.shaped(parametersOf(storingRoles), 1))
      .slice(0, mostStoring)
      .flatMap((index) => candidates.ways(index, storingRoles).map((way) => ({ ...way, scratch: malloc })));
    const sandbox = ways.length > 0 ? this.#bench.sandbox([malloc, free, ...ways]) : undefined;
    if (!sandbox) return [];
    return ways.filter(
      (way) =>
        tryAllocation(sandbox, way) === "proved" && trySameHeap(sandbox, malloc, free, way) === "proved",
    );
  }

  /** What releases the blocks of a function; where it is a method that may hand out headers, also as such a one. */
  #releasers(sandbox: Sandbox, malloc: Way, ways: readonly Way[]): { malloc: Way; frees: Way[] } {
    const mayHandOutHeaders = malloc.role === "malloc_method" && malloc.parameters <= 3;
    for (const header of mayHandOutHeaders ? [0, ...headerBytes] : [0]) {
      const form = header === 0 ? malloc : { ...malloc, header };
      const proved = new Map<number, Way>();
      for (const way of ways) {
        if (!proved.has(way.index) && tryRelease(sandbox, form, way) === "proved") proved.set(way.index, way);
      }
      if (proved.size > 0) return { malloc: form, frees: [...proved.values()] };
    }
    return { malloc, frees: [] };
  }

  /** What resizes blocks of this heap: the lowest level of it, and those above, which call it. */
  resizers({ malloc, free }: Heap): Way[][] {
    const { candidates } = this.#bench;
    const ways = candidates
      .kin(free, candidates.shaped(parametersOf(resizeRoles), 1))
      .flatMap((index) => candidates.waysOnState(index, resizeRoles, malloc));
    if (ways.length === 0) return [[]];
    this.#bench.nextStage();
    const sandbox = this.#bench.sandbox([malloc, free, ...ways]);
    if (!sandbox) return [[]];
    const proved = new Map<number, Way>();
    for (const way of ways) {
      // one that takes both sizes and that only the host calls is a function of the program
      if (way.role === "sized_realloc" && candidates.weight(way.index) === 0) continue;
      if (!proved.has(way.index) && tryResize(sandbox, malloc, free, way) === "proved")
        proved.set(way.index, way);
    }
    const levels: Way[][] = [];
    for (let left = [...proved.values()]; left.length > 0 && levels.length < mostLevels; ) {
      const standing = this.#levels.standing(left, (box, way) => tryResize(box, malloc, free, way), [
        malloc,
        free,
      ]);
      levels.push(standing);
      left = left.filter((way) => !standing.includes(way));
    }
    return levels.length > 0 ? levels : [[]];
  }
}
