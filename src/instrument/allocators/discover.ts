/**
 * Finds an allocator by what its functions do, where neither names nor constants tell: functions whose type fits are
 * called in a sandbox (sandbox.ts) and judged (trials.ts). It needs no knowledge of any allocator, so it finds those
 * that nobody made rules for; and what it finds is proved, not guessed.
 */
import type { Module } from "../../wasm/module.js";
import { externalKind } from "../../wasm/types.js";
import type { CallGraph } from "../call-graph.js";
import {
  aligning,
  allocationRoles,
  Candidates,
  mostCandidates,
  releaseRoles,
  resizeRoles,
  sameState,
} from "./candidates.js";
import { Completeness, depthOfUse } from "./completeness.js";
import type { CoreFunction } from "./cores.js";
import { Fuel, makeSandbox, type Sandbox } from "./sandbox.js";
import {
  changingAddresses,
  tryAllocation,
  tryBriefly,
  tryRelease,
  tryResize,
  trySameAddresses,
  trySameHeap,
  type Verdict,
  type Way,
} from "./trials.js";

export interface Discovery {
  functions: CoreFunction[];
  notes: string[];
}

const evidence = {
  malloc: "tried out: its blocks never overlap, keep their bytes and come again once released",
  free: "tried out: what it releases is given out again, and nothing else",
  realloc: "tried out: moves the bytes of a block and leaves others alone",
} as const;

/** Headers that are handed out with their block: AssemblyScript's, with and without what its older collectors keep there. */
const headerBytes = [16, 4];

/** Fuel for a search, and for each of its three stages: 100 ms or so where it is used up. */
const fuelOfSearch = 24_000_000;
const fuelOfStage = 16_000_000;
const fuelOfLastLook = 2_000_000;
/** What lies so many bytes behind a static address may be an array of the state that begins there. */
const stateReach = 128;
/** Functions that are called to prepare a module at most. */
const mostPreparations = 8;

export function discoverAllocator(module: Module, graph: CallGraph): Discovery {
  const fuel = new Fuel(fuelOfSearch);
  const cold = new Search(module, graph, [], fuel).run();
  if (cold.functions.length > 0 || fuel.empty) return cold;
  const prepare = preparations(module);
  return prepare.length > 0 ? new Search(module, graph, prepare, fuel).run() : cold;
}

/** What a trial says of functions that were found otherwise. */
export function confirmAllocator(
  module: Module,
  graph: CallGraph,
  functions: readonly CoreFunction[],
): Verdict {
  const fuel = new Fuel(fuelOfSearch);
  const cold = new Search(module, graph, [], fuel).confirm(functions);
  // what misbehaves may only not have been prepared
  const prepare = cold === "proved" ? [] : preparations(module);
  return prepare.length > 0 ? new Search(module, graph, prepare, fuel).confirm(functions) : cold;
}

/**
 * Those of some static addresses at which functions that were found otherwise change something: the others are those of
 * messages and tables. undefined where that can't be tried.
 */
export function changedAddresses(
  module: Module,
  graph: CallGraph,
  functions: readonly CoreFunction[],
  addresses: ReadonlySet<number>,
): ReadonlySet<number> | undefined {
  return new Search(module, graph, [], new Fuel(fuelOfLastLook)).changing(functions, addresses);
}

/** What the host calls before all else: constructors, initialisers. Without names, whatever takes and gives nothing. */
function preparations(module: Module): number[] {
  const { start, exports, importedFunctionCount } = module;
  const exported = exports.flatMap(({ kind, index }) => {
    if (kind !== externalKind.function || index < importedFunctionCount) return [];
    const { params, results } = module.functionType(index);
    return params.length === 0 && results.length === 0 ? [index] : [];
  });
  const first = start === undefined || start < importedFunctionCount ? [] : [start];
  return [...new Set([...first, ...exported])].slice(0, mostPreparations);
}

/** A heap: what allocates in it and what releases. */
interface Heap {
  malloc: Way;
  free: Way;
  mallocs: Way[];
  frees: Way[];
}

class Search {
  readonly #module: Module;
  readonly #graph: CallGraph;
  readonly #prepare: readonly number[];
  readonly #candidates: Candidates;
  readonly #completeness: Completeness;
  readonly #fuel: Fuel;
  #tank: Fuel;

  constructor(module: Module, graph: CallGraph, prepare: readonly number[], fuel: Fuel) {
    this.#module = module;
    this.#graph = graph;
    this.#fuel = fuel;
    this.#tank = new Fuel(fuelOfStage, fuel);
    this.#prepare = prepare;
    this.#candidates = new Candidates(module, graph);
    this.#completeness = new Completeness(module, graph, this.#candidates);
  }

  run(): Discovery {
    const functions: CoreFunction[] = [];
    const notes: string[] = [];
    for (const heap of this.#levels()) {
      const resizers = this.#resizers(heap);
      const resizing = new Set(resizers.map(({ index }) => index));
      const own: CoreFunction[] = [];
      // realloc of the address 0 allocates
      for (const way of heap.mallocs) if (!resizing.has(way.index)) own.push(coreOf(way, evidence.malloc));
      for (const way of heap.frees) own.push(coreOf(way, evidence.free));
      for (const way of resizers) own.push(coreOf(way, evidence.realloc));
      if (this.#completeness.isBypassed(heap, resizers)) continue;
      const elsewhere = this.#completeness.partElsewhere(own, heap, (addresses) =>
        this.#changing(heap, addresses),
      );
      if (elsewhere === undefined) functions.push(...own);
      else {
        notes.push(
          `function ${heap.malloc.index} allocates and function ${heap.free.index} releases, but a part of that ` +
            `allocator is in function ${elsewhere} too, so its blocks are not tracked: not hooked`,
        );
      }
    }
    return { functions: [...new Map(functions.map((member) => [member.index, member])).values()], notes };
  }

  /** The heaps of the level that the program uses; where nothing releases at it, those of the levels below. */
  #levels(): Heap[] {
    let makers = this.#makers();
    for (;;) {
      const level = this.#leveled(makers);
      if (level.length === 0) return [];
      const heaps = this.#heaps(level);
      if (heaps.length > 0) return heaps;
      const tried = new Set(level.map(({ index }) => index));
      makers = makers.filter(({ index }) => !tried.has(index));
    }
  }

  /** Those of some static addresses at which functions that were found otherwise change something. */
  changing(
    functions: readonly CoreFunction[],
    addresses: ReadonlySet<number>,
  ): ReadonlySet<number> | undefined {
    const [[malloc], [free]] = this.#waysOf(functions);
    return malloc && free && this.#changing({ malloc, free }, addresses);
  }

  #changing({ malloc, free }: Pick<Heap, "malloc" | "free">, addresses: ReadonlySet<number>) {
    // one trial more, also where the search has used up all it had
    this.#tank = new Fuel(fuelOfLastLook);
    return changingAddresses(this.#sandbox([malloc, free]), malloc, free, addresses, stateReach);
  }

  /** How functions of known roles are called: those that allocate and those that release. */
  #waysOf(functions: readonly CoreFunction[]): [mallocs: Way[], frees: Way[]] {
    const ways = functions.flatMap(({ index, role }) =>
      this.#candidates.ways(index, { [this.#candidates.count(index)]: [role] }),
    );
    return [
      ways.filter(({ role }) => /^(?:malloc|alloc_aligned|malloc(?:_traced)?_method|memalign)$/.test(role)),
      ways.filter(({ role }) => role.startsWith("free")),
    ];
  }

  confirm(functions: readonly CoreFunction[]): Verdict {
    const [mallocs, frees] = this.#waysOf(functions);
    if (this.#agreeBriefly(mallocs, frees)) return "proved";
    const sandbox = this.#sandbox([...mallocs, ...frees]);
    if (!sandbox) return "unknown";
    const verdicts: Verdict[] = [];
    for (const malloc of mallocs) {
      const allocation = tryAllocation(sandbox, malloc);
      if (allocation !== "proved") verdicts.push(allocation);
      else verdicts.push(...frees.map((free) => tryRelease(sandbox, malloc, free)));
      if (verdicts.includes("proved")) return "proved";
    }
    return verdicts.includes("contradicted") ? "contradicted" : "unknown";
  }

  /** Nearly all allocators that were found by constants pass here, in a tenth of the time. */
  #agreeBriefly(mallocs: readonly Way[], frees: readonly Way[]): boolean {
    const [malloc] = mallocs;
    const [free] = frees;
    if (!malloc || !free || this.#prepare.length > 0) return false;
    const sandbox = this.#sandbox([malloc, free], { near: true });
    return sandbox !== undefined && tryBriefly(sandbox, malloc, free) === "proved";
  }

  #sandbox(
    ways: readonly Way[],
    more: { blocked?: ReadonlySet<number>; near?: boolean } = {},
  ): Sandbox | undefined {
    const makers = ways.flatMap(({ self }) => (self?.kind === "call" ? [self.value] : []));
    const roots = [...new Set([...ways.map(({ index }) => index), ...makers])];
    const globals = [...new Set(ways.flatMap(({ self }) => (self?.kind === "global" ? [self.value] : [])))];
    const options = { roots, globals, prepare: this.#prepare, ...more };
    return makeSandbox(this.#module, this.#graph, this.#tank, options);
  }

  /** Functions that give blocks, each in the one role that fits. */
  #makers(): Way[] {
    const growers = this.#candidates.growing;
    const candidates = this.#candidates
      .shaped(parametersOf(allocationRoles), 1)
      .filter((index) => growers?.has(index) ?? true);
    const ways = candidates
      .slice(0, mostCandidates)
      .flatMap((index) => this.#candidates.ways(index, allocationRoles));
    const sandbox = this.#sandbox(ways);
    if (!sandbox) return [];
    const proved = new Map<number, Way>();
    for (const way of ways) {
      if (!proved.has(way.index) && tryAllocation(sandbox, way) === "proved") proved.set(way.index, way);
    }
    return [...proved.values()];
  }

  /**
   * Of functions that allocate and call each other, those of the level that the program uses: without what only
   * passes on to one below, parts that only one above uses, and heaps inside of blocks of another heap.
   */
  #leveled(makers: readonly Way[]): readonly Way[] {
    const sandbox = makers.length > 1 ? this.#sandbox(makers) : undefined;
    if (!sandbox) return makers;
    const used = this.#usedWithout(new Set(makers.map(({ index }) => index)));
    const dropped = new Set<number>();
    for (const upper of makers) {
      for (const lower of makers) {
        if (upper.index === lower.index || aligning(upper.role) !== aligning(lower.role)) continue;
        if (!this.#graph.reaches(upper.index, new Set([lower.index]), depthOfUse)) continue;
        if (this.#graph.reaches(lower.index, new Set([upper.index]), depthOfUse)) continue;
        // what has an inlined copy of the one below stays: #standing tells
        if (trySameAddresses(sandbox, upper, lower)) continue;
        const belongs =
          !used.has(lower.index) ||
          this.#candidates.weight(lower.index) * 4 < this.#candidates.weight(upper.index);
        dropped.add(belongs ? lower.index : upper.index);
      }
    }
    return makers.filter(({ index }) => !dropped.has(index));
  }

  /** Functions that can run without any of `barriers` having been called. */
  #usedWithout(barriers: ReadonlySet<number>): Set<number> {
    const { module, graph } = { module: this.#module, graph: this.#graph };
    const { exports, importedFunctionCount, functionCount, start } = module;
    const seen = new Set<number>(this.#candidates.tabled);
    for (const { kind, index } of exports) if (kind === externalKind.function) seen.add(index);
    if (start !== undefined) seen.add(start);
    for (let index = importedFunctionCount; index < functionCount; index++) {
      if (graph.callCount[index] === 0) seen.add(index);
    }
    const work = [...seen];
    for (let index = work.pop(); index !== undefined; index = work.pop()) {
      if (barriers.has(index)) continue;
      for (const callee of graph.callees(index)) {
        if (seen.has(callee)) continue;
        seen.add(callee);
        work.push(callee);
      }
    }
    return seen;
  }

  /** The heaps that take from no other, with what allocates and releases in each, without what only passes on. */
  #heaps(makers: readonly Way[]): Heap[] {
    const releasers = this.#candidates.shaped(parametersOf(releaseRoles), 0);
    const heaps: Heap[] = [];
    this.#tank = new Fuel(fuelOfStage, this.#fuel);
    const assigned = new Set<number>();
    const above = (way: Way) => this.#below(way, makers, false).size;
    const byUse = [...makers].sort(
      (a, b) =>
        above(a) - above(b) ||
        Number(aligning(a.role)) - Number(aligning(b.role)) ||
        this.#candidates.weight(b.index) - this.#candidates.weight(a.index),
    );
    for (const candidate of byUse) {
      const taken = new Set(heaps.map((heap) => heap.malloc.index));
      if (assigned.has(candidate.index) || this.#graph.reaches(candidate.index, taken, depthOfUse)) continue;
      const ways = this.#candidates
        .kin(candidate, releasers)
        .flatMap((index) => this.#candidates.ways(index, releaseRoles))
        .filter((way) => sameState(way, candidate));
      const sandbox = this.#sandbox([...makers, ...ways]);
      if (!sandbox) break;
      const { malloc, frees: all } = this.#releasers(sandbox, candidate, ways);
      if (all.length === 0) continue;
      const frees = this.#standing(all, (box, way) => tryRelease(box, malloc, way), [malloc]);
      const [free] = frees;
      const same = makers
        .map((way) => (way === candidate ? malloc : way))
        .filter((way) => way === malloc || trySameHeap(sandbox, malloc, free, way) === "proved");
      for (const { index } of same) assigned.add(index);
      const mallocs = this.#standing(same, tryAllocation);
      heaps.push({ malloc: mallocs.find((way) => !aligning(way.role)) ?? mallocs[0], free, frees, mallocs });
    }
    return heaps;
  }

  /** Others of the same kind that a function may call. */
  #below({ index, role }: Way, others: readonly Way[], sameKind = true): Set<number> {
    const below = others.filter(
      (other) => other.index !== index && (!sameKind || !aligning(role) || aligning(other.role)),
    );
    return new Set(
      below
        .map((other) => other.index)
        .filter((other) => this.#graph.reaches(index, new Set([other]), depthOfUse)),
    );
  }

  /** Those that work by themselves: also where all others of their kind, but those that call them, don't. */
  #standing(
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
        .filter((index) => !this.#graph.reaches(index, above, depthOfUse));
      if (blocked.length === 0) return true;
      const sandbox = this.#sandbox([way, ...needed], { blocked: new Set(blocked) });
      return sandbox !== undefined && attempt(sandbox, way) === "proved";
    });
    if (standing.length > 0) return standing;
    const depth = (way: Way) => this.#below(way, ways).size;
    return ways.length > 0 ? [ways.reduce((a, b) => (depth(a) <= depth(b) ? a : b))] : [];
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

  /** What resizes blocks of this heap. */
  #resizers({ malloc, free }: Heap): Way[] {
    const ways = this.#candidates
      .kin(free, this.#candidates.shaped(parametersOf(resizeRoles), 1))
      .flatMap((index) => this.#candidates.ways(index, resizeRoles))
      .filter((way) => sameState(way, malloc));
    if (ways.length === 0) return [];
    this.#tank = new Fuel(fuelOfStage, this.#fuel);
    const sandbox = this.#sandbox([malloc, free, ...ways]);
    if (!sandbox) return [];
    const proved = new Map<number, Way>();
    for (const way of ways) {
      if (!proved.has(way.index) && tryResize(sandbox, malloc, free, way) === "proved")
        proved.set(way.index, way);
    }
    return this.#standing([...proved.values()], (box, way) => tryResize(box, malloc, free, way), [
      malloc,
      free,
    ]);
  }
}

/** Numbers of parameters for which there are roles. */
function parametersOf(roles: Partial<Record<number, unknown>>): number[] {
  return Object.keys(roles).map(Number);
}

function coreOf({ role, index }: Way, evidenceText: string): CoreFunction {
  return { role, index, evidence: evidenceText, confidence: "proved" };
}
