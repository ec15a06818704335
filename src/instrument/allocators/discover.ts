/**
 * Finds an allocator by what its functions do, where neither names nor constants tell: functions whose type fits are
 * called in a sandbox (sandbox.ts) and judged (trials.ts). It needs no knowledge of any allocator, so it finds those
 * that nobody made rules for; and what it finds is proved, not guessed.
 */
import type { Module } from "../../wasm/module.js";
import { externalKind } from "../../wasm/types.js";
import type { CallGraph } from "../call-graph.js";
import type { AllocatorRole } from "../roles.js";
import { bodyFacts } from "./body-facts.js";
import { type CoreFunction, pointerType, stateAddresses } from "./cores.js";
import { Fuel, indirectCallees, makeSandbox, type Sandbox, tabledByType } from "./sandbox.js";
import { firstArguments, type SelfArgument } from "./self-arguments.js";
import {
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

/** Functions that are tried in each class, those with the most callers first. */
const mostCandidates = 64;
/** Addresses of states that are tried for one method. */
const mostSelves = 3;
/** How far below a function the one that it uses may be. */
const depthOfUse = 12;
/** Static addresses that two functions have in common when they work on one state. */
const fewestAddresses = 2;

const evidence = {
  malloc: "tried out: its blocks never overlap, keep their bytes and come again once released",
  free: "tried out: what it releases is given out again, and nothing else",
  realloc: "tried out: moves the bytes of a block and leaves others alone",
} as const;

/** Fuel for a search, and for each of its three stages: 100 ms or so where it is used up. */
const fuelOfSearch = 24_000_000;
const fuelOfStage = 16_000_000;
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
  readonly #tabled: ReadonlySet<number>;
  readonly #fuel: Fuel;
  #tank: Fuel;
  #growers: Set<number> | undefined | null = null;

  constructor(module: Module, graph: CallGraph, prepare: readonly number[], fuel: Fuel) {
    this.#module = module;
    this.#graph = graph;
    this.#fuel = fuel;
    this.#tank = new Fuel(fuelOfStage, fuel);
    this.#prepare = prepare;
    this.#tabled = new Set(module.elements.flatMap(({ functions }) => functions ?? []));
  }

  run(): Discovery {
    const functions: CoreFunction[] = [];
    const notes: string[] = [];
    const makers = this.#makers();
    for (const heap of makers.length > 0 ? this.#heaps(makers) : []) {
      const resizers = this.#resizers(heap);
      const resizing = new Set(resizers.map(({ index }) => index));
      const own: CoreFunction[] = [];
      // realloc of the address 0 allocates
      for (const way of heap.mallocs) if (!resizing.has(way.index)) own.push(coreOf(way, evidence.malloc));
      for (const way of heap.frees) own.push(coreOf(way, evidence.free));
      for (const way of resizers) own.push(coreOf(way, evidence.realloc));
      if (this.#isBypassed(heap, resizers)) continue;
      const elsewhere = this.#partElsewhere(own);
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

  confirm(functions: readonly CoreFunction[]): Verdict {
    const ways = functions.flatMap(({ index, role }) => this.#ways(index, { [this.#count(index)]: [role] }));
    const mallocs = ways.filter(({ role }) => /^(?:malloc|alloc_aligned|malloc_method|memalign)$/.test(role));
    const frees = ways.filter(({ role }) => role.startsWith("free"));
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

  #count(index: number): number {
    return this.#module.functionType(index).params.length;
  }

  /** Functions of the module's own that take so many addresses or sizes; those most used first. */
  #shaped(parameters: readonly number[], results: 0 | 1): number[] {
    const { types, functions, importedFunctionCount: imported } = this.#module;
    const pointer = pointerType(this.#module);
    const fits = types.map(
      (type) =>
        type.kind === "func" &&
        parameters.includes(type.params.length) &&
        type.results.length === results &&
        type.params.every((param) => param === pointer) &&
        type.results.every((result) => result === pointer),
    );
    const found: number[] = [];
    for (let body = 0; body < functions.length; body++)
      if (fits[functions[body]]) found.push(imported + body);
    return found.sort((a, b) => this.#weight(b) - this.#weight(a));
  }

  #weight(index: number): number {
    return this.#graph.callCount[index] + (this.#tabled.has(index) ? 2 : 0);
  }

  /** Functions that can make the memory grow; undefined in a module that never does. */
  get #growing(): Set<number> | undefined {
    if (this.#growers === null) this.#growers = this.#findGrowers();
    return this.#growers;
  }

  #findGrowers(): Set<number> | undefined {
    const { growing } = this.#graph;
    if (growing.size === 0) return undefined;
    const growers = new Set<number>();
    const spread = (from: Iterable<number>) => {
      const work = [...from];
      for (let index = work.pop(); index !== undefined; index = work.pop()) {
        if (growers.has(index)) continue;
        growers.add(index);
        work.push(...this.#graph.callers(index));
      }
    };
    spread(growing);
    // through a table, once: an allocator may ask for pages by a function that it was given
    const tabled = tabledByType(this.#module);
    const types = new Set(
      [...tabled].filter(([, list]) => list.some((at) => growers.has(at))).map(([type]) => type),
    );
    if (types.size === 0) return growers;
    const { importedFunctionCount, functionCount } = this.#module;
    for (let index = importedFunctionCount; index < functionCount; index++) {
      if (growers.has(index)) continue;
      if (indirectCallees(this.#graph, tabled, index).some((callee) => growers.has(callee))) spread([index]);
    }
    return growers;
  }

  #ways(index: number, roles: Partial<Record<number, readonly AllocatorRole[]>>): Way[] {
    const parameters = this.#count(index);
    return (roles[parameters] ?? []).flatMap((role): Way[] => {
      if (!role.endsWith("_method")) return [{ role, index, parameters }];
      const selves: (SelfArgument | undefined)[] = firstArguments(this.#module, this.#graph, index).slice(
        0,
        mostSelves,
      );
      // methods of two arguments have a state; with more, Zig's pass one that nobody uses
      const all = parameters > 2 ? [...selves, undefined] : selves;
      return all.map((self) => ({ role, index, parameters, ...(self && { self }) }));
    });
  }

  #sandbox(
    ways: readonly Way[],
    more: { blocked?: ReadonlySet<number>; near?: boolean } = {},
  ): Sandbox | undefined {
    const roots = [...new Set(ways.map(({ index }) => index))];
    const globals = [...new Set(ways.flatMap(({ self }) => (self?.kind === "global" ? [self.value] : [])))];
    const options = { roots, globals, prepare: this.#prepare, ...more };
    return makeSandbox(this.#module, this.#graph, this.#tank, options);
  }

  /** Functions that give blocks, each in the one role that fits. */
  #makers(): Way[] {
    const growers = this.#growing;
    const candidates = this.#shaped([1, 2, 3, 4], 1).filter((index) => growers?.has(index) ?? true);
    const ways = candidates.slice(0, mostCandidates).flatMap((index) => this.#ways(index, allocationRoles));
    const sandbox = this.#sandbox(ways);
    if (!sandbox) return [];
    const proved = new Map<number, Way>();
    for (const way of ways) {
      if (!proved.has(way.index) && tryAllocation(sandbox, way) === "proved") proved.set(way.index, way);
    }
    return this.#leveled([...proved.values()], sandbox);
  }

  /**
   * Of functions that allocate and call each other, those of the level that the program uses: without what only
   * passes on to one below, parts that only one above uses, and heaps inside of blocks of another heap.
   */
  #leveled(makers: readonly Way[], sandbox: Sandbox): Way[] {
    const used = this.#usedWithout(new Set(makers.map(({ index }) => index)));
    const dropped = new Set<number>();
    for (const upper of makers) {
      for (const lower of makers) {
        if (upper.index === lower.index || aligning(upper.role) !== aligning(lower.role)) continue;
        if (!this.#graph.reaches(upper.index, new Set([lower.index]), depthOfUse)) continue;
        if (this.#graph.reaches(lower.index, new Set([upper.index]), depthOfUse)) continue;
        // what has an inlined copy of the one below stays: #standing tells
        if (trySameAddresses(sandbox, upper, lower)) continue;
        const belongs = !used.has(lower.index) || this.#weight(lower.index) * 4 < this.#weight(upper.index);
        dropped.add(belongs ? lower.index : upper.index);
      }
    }
    return makers.filter(({ index }) => !dropped.has(index));
  }

  /** Functions that can run without any of `barriers` having been called. */
  #usedWithout(barriers: ReadonlySet<number>): Set<number> {
    const { module, graph } = { module: this.#module, graph: this.#graph };
    const { exports, importedFunctionCount, functionCount, start } = module;
    const seen = new Set<number>(this.#tabled);
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
    const releasers = this.#shaped([1, 2, 3, 4, 5], 0).slice(0, mostCandidates);
    const heaps: Heap[] = [];
    this.#tank = new Fuel(fuelOfStage, this.#fuel);
    const assigned = new Set<number>();
    const byUse = [...makers].sort(
      (a, b) =>
        Number(aligning(a.role)) - Number(aligning(b.role)) || this.#weight(b.index) - this.#weight(a.index),
    );
    for (const malloc of byUse) {
      const taken = new Set(heaps.map((heap) => heap.malloc.index));
      if (assigned.has(malloc.index) || this.#graph.reaches(malloc.index, taken, depthOfUse)) continue;
      const ways = releasers
        .flatMap((index) => this.#ways(index, releaseRoles))
        .filter((way) => sameState(way, malloc));
      const sandbox = this.#sandbox([...makers, ...ways]);
      if (!sandbox) break;
      const proved = new Map<number, Way>();
      for (const way of ways) {
        if (!proved.has(way.index) && tryRelease(sandbox, malloc, way) === "proved")
          proved.set(way.index, way);
      }
      const all = [...proved.values()];
      if (all.length === 0) continue;
      const frees = this.#standing(all, (box, way) => tryRelease(box, malloc, way), [malloc]);
      const [free] = frees;
      const same = makers.filter(
        (way) => way === malloc || trySameHeap(sandbox, malloc, free, way) === "proved",
      );
      for (const { index } of same) assigned.add(index);
      const mallocs = this.#standing(same, tryAllocation);
      heaps.push({ malloc: mallocs.find((way) => !aligning(way.role)) ?? mallocs[0], free, frees, mallocs });
    }
    return heaps;
  }

  /** Whether others too call what these functions take their blocks from: then it is that which allocates. */
  #isBypassed({ mallocs, frees }: Heap, resizers: readonly Way[]): boolean {
    const inside = this.#inside(new Set([...mallocs, ...frees, ...resizers].map(({ index }) => index)));
    const { growing } = this.#graph;
    // functions that only the host calls are no allocator of the program, unless they have all there is
    const isFront = mallocs.every(({ index }) => this.#graph.callCount[index] === 0);
    if (isFront && growing.size > 0 && ![...growing].every((index) => inside.has(index))) return true;
    const shared = (index: number, results: 0 | 1) =>
      this.#graph.callees(index).filter((callee) => {
        if (inside.has(callee) || callee < this.#module.importedFunctionCount) return false;
        const type = this.#module.functionType(callee);
        const pointer = pointerType(this.#module);
        if (type.results.length !== results || type.params.length === 0) return false;
        return [...type.params, ...type.results].every((value) => value === pointer);
      });
    if (mallocs.some(({ index }) => shared(index, 1).some((callee) => this.#growing?.has(callee))))
      return true;
    // what releases may be called by others as well, by one that resizes and was not found for example
    return frees.some(({ index }) => shared(index, 0).length > 0);
  }

  /** Others of the same kind that a function may call. */
  #below({ index, role }: Way, others: readonly Way[]): Set<number> {
    const below = others.filter(
      (other) => other.index !== index && (!aligning(role) || aligning(other.role)),
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

  /** What resizes blocks of this heap. */
  #resizers({ malloc, free, mallocs, frees }: Heap): Way[] {
    const heap = new Set([...mallocs, ...frees].map(({ index }) => index));
    const candidates = this.#shaped([2, 3, 4], 1).filter((index) =>
      this.#graph.reaches(index, heap, depthOfUse),
    );
    const ways = candidates
      .slice(0, mostCandidates)
      .flatMap((index) => this.#ways(index, resizeRoles))
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

  /** A function outside of the allocator that works on its state, since the optimiser put a part of it there. */
  #partElsewhere(functions: readonly CoreFunction[]): number | undefined {
    const module = this.#module;
    const own = new Set(functions.map(({ index }) => index));
    const core = functions.filter(({ role }) => /^(?:malloc|alloc_aligned|free)/.test(role));
    const state = new Set(core.flatMap(({ index }) => [...stateAddresses(bodyFacts(module, index))]));
    // a copy that nothing calls tells that the optimiser puts parts of it into others
    const releasing = functions.filter(({ role }) => role.startsWith("free"));
    const uncalled = releasing.find(({ index }) => this.#weight(index) === 0);
    if (releasing.length > 1 && uncalled) return uncalled.index;
    if (state.size < fewestAddresses) return undefined;
    const inside = this.#inside(own);
    for (let index = module.importedFunctionCount; index < module.functionCount; index++) {
      if (inside.has(index)) continue;
      const { addresses } = bodyFacts(module, index);
      let shared = 0;
      for (const address of addresses) if (state.has(address)) shared++;
      if (shared >= fewestAddresses && !this.#onlyPasses(index, own)) return index;
    }
    return undefined;
  }

  /** The functions and what only they call. */
  #inside(own: ReadonlySet<number>): Set<number> {
    const inside = new Set(own);
    const work = [...own];
    for (let index = work.pop(); index !== undefined; index = work.pop()) {
      for (const callee of this.#graph.callees(index)) {
        if (inside.has(callee) || !this.#graph.callers(callee).every((caller) => inside.has(caller)))
          continue;
        inside.add(callee);
        work.push(callee);
      }
    }
    return inside;
  }

  #onlyPasses(index: number, own: ReadonlySet<number>): boolean {
    const callees = this.#graph.callees(index);
    return callees.length === 1 && own.has(callees[0]);
  }
}

/** Methods belong together when they take the same state; others have none. */
function sameState(way: Way, malloc: Way): boolean {
  if (way.self === undefined || malloc.self === undefined) return way.self === malloc.self;
  return way.self.kind === malloc.self.kind && way.self.value === malloc.self.value;
}

const allocationRoles: Partial<Record<number, readonly AllocatorRole[]>> = {
  1: ["malloc"],
  2: ["alloc_aligned", "memalign", "calloc", "malloc_method", "malloc"],
  3: ["malloc_method", "memalign_method"],
  4: ["malloc_method"],
};
const releaseRoles: Partial<Record<number, readonly AllocatorRole[]>> = {
  1: ["free"],
  2: ["free", "free_method"],
  3: ["free", "free_method"],
  4: ["free_method"],
  5: ["free_method"],
};
const resizeRoles: Partial<Record<number, readonly AllocatorRole[]>> = {
  2: ["realloc"],
  3: ["realloc_method"],
  4: ["rust_realloc", "wbindgen_realloc"],
};

/** Whether a role takes an alignment: those are made of the others and yet give other addresses. */
function aligning(role: AllocatorRole): boolean {
  return /aligned|memalign/.test(role);
}

function coreOf({ role, index }: Way, evidenceText: string): CoreFunction {
  return { role, index, evidence: evidenceText, confidence: "proved" };
}
