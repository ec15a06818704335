/**
 * Whether functions that allocate and release are all there is of an allocator: where others work on its state as well,
 * since the optimiser put a part of it there or it has more ways in, blocks would come and go unseen.
 */
import type { Module } from "../../wasm/module.js";
import { externalKind } from "../../wasm/types.js";
import type { CallGraph } from "../call-graph.js";
import { bodyFacts } from "./body-facts.js";
import type { Candidates } from "./candidates.js";
import type { CoreFunction } from "./cores.js";
import { neverReturns } from "./never-returns.js";
import { pointerType } from "./pointer-type.js";
import { reachedBy } from "./reached.js";
import { countShared, lastOfState, stateAddresses } from "./state-addresses.js";
import type { Changes } from "./trials.js";
import type { Way } from "./ways.js";

/** How far below a function the one that it uses may be. */
export const depthOfUse = 12;
/** `resize` and `remap` of Zig's allocators: state, slice, alignment, size, return address; behind a trace in debug builds. */
const zigResizeParameters: readonly number[] = [6, 7];
/** `alloc` of Zig's allocators, at least: state, length, alignment, return address. */
const zigAllocParameters = 4;
/** Parameters of a method of Rust's that resizes: state, address, old size, alignment, new size. */
const mostOfResizer = 5;
/** Functions that may resize blocks with a part of the allocator in them. */
const mostResizers = 2;
/** Instructions of a function that stores one value. */
const mostOfSetter = 5;
/** Static addresses that two functions have in common when they work on one state. */
const fewestAddresses = 2;

/** What allocates in a heap and what releases. */
interface Pair {
  mallocs: readonly Way[];
  frees: readonly Way[];
}

/** What works on an allocator's state besides what was found. */
interface Elsewhere {
  /** Functions that resize blocks where they are. */
  inPlace: number[];
  /** One that does something else to it: then not all blocks can be seen to come and go. */
  part?: number;
}

export class Completeness {
  readonly #module: Module;
  readonly #graph: CallGraph;
  readonly #candidates: Candidates;
  readonly #exported: ReadonlySet<number>;

  constructor(module: Module, graph: CallGraph, candidates: Candidates) {
    this.#exported = new Set(
      module.exports.flatMap(({ kind, index }) => (kind === externalKind.function ? [index] : [])),
    );
    this.#module = module;
    this.#graph = graph;
    this.#candidates = candidates;
  }

  /** Whether others too call what these functions take their blocks from: then it is that which allocates. */
  isBypassed({ mallocs, frees }: Pair, resizers: readonly Way[]): boolean {
    const inside = this.#inside(new Set([...mallocs, ...frees, ...resizers].map(({ index }) => index)));
    const { growing } = this.#graph;
    // functions that only the host calls are no allocator of the program, unless they have all there is
    const isFront = mallocs.every(({ index }) => this.#graph.callCount[index] === 0);
    if (isFront && growing.size > 0 && ![...growing].every((index) => inside.has(index))) return true;
    const sources = this.#shared(
      mallocs,
      inside,
      1,
      (index) => this.#candidates.growing?.has(index) ?? false,
    );
    const ways = [...mallocs, ...frees];
    if (sources.some((source) => !this.#isCalledBackOnly(source, inside, ways))) return true;
    // what releases may be called by others as well, by one that resizes and was not found for example
    const parts = this.#shared(frees, inside, 0, (index) => this.#isPartOfState(index));
    const users = this.#usersOutside(parts, inside, ways);
    return users.size > mostResizers || [...users].some((index) => !this.#mayResize(index, mallocs, frees));
  }

  /**
   * Whether those outside that call a function are such as only a table holds, and the allocator calls functions of their
   * type through a table: one of its own that it was given, for more memory for example.
   */
  #isCalledBackOnly(index: number, inside: ReadonlySet<number>, ways: readonly Way[]): boolean {
    const own = new Set(ways.map((way) => way.index));
    const types = new Set<number>();
    for (const member of own) {
      for (const type of this.#graph.indirectTypes(member)) types.add(type);
      for (const callee of this.#graph.callees(member))
        if (inside.has(callee) || callee === index) own.add(callee);
    }
    return this.#graph.callers(index).every((caller) => {
      if (inside.has(caller) || !this.#candidates.alive.has(caller)) return true;
      const isOnlyTabled =
        this.#candidates.tabled.has(caller) &&
        !this.#exported.has(caller) &&
        this.#graph.callCount[caller] === 0;
      return isOnlyTabled && types.has(this.#module.functionTypeIndex(caller));
    });
  }

  /**
   * What some functions call, with as many results as asked for, and others too; also by way of functions that nobody else
   * calls and that only pass on to one such.
   */
  #shared(
    ways: readonly Way[],
    inside: ReadonlySet<number>,
    results: 0 | 1,
    counts: (index: number) => boolean,
  ): number[] {
    const pointer = pointerType(this.#module);
    const own = new Set(ways.map(({ index }) => index));
    const fits = (callee: number) => {
      if (callee < this.#module.importedFunctionCount) return false;
      const type = this.#module.functionType(callee);
      if (type.results.length !== results || type.params.length === 0) return false;
      return [...type.params, ...type.results].every((value) => value === pointer) && counts(callee);
    };
    const shared = new Set<number>();
    const seen = new Set<number>(own);
    const work = [...own];
    for (let index = work.pop(); index !== undefined; index = work.pop()) {
      const callees = this.#graph.callees(index).filter(fits);
      if (!own.has(index) && callees.length > 1) continue;
      for (const callee of callees) {
        if (!inside.has(callee)) shared.add(callee);
        else if (!seen.has(callee)) work.push(callee);
        seen.add(callee);
      }
    }
    return [...shared];
  }

  /**
   * Not a panic, and not a setter that the whole program shares, which puts what it is given where it is told to: those
   * have nothing to do with an allocator.
   */
  #isPartOfState(index: number): boolean {
    const { instructions, callees, globals, readsMemory } = bodyFacts(this.#module, index);
    const onlySets = instructions <= mostOfSetter || (!readsMemory && globals.size === 0);
    return (callees.size > 0 || !onlySets) && !neverReturns(this.#module, index);
  }

  /** Functions outside that use parts of an allocator, without what only sets its state up. */
  #usersOutside(parts: readonly number[], inside: ReadonlySet<number>, ways: readonly Way[]): Set<number> {
    const users = new Set<number>();
    const seen = new Set<number>();
    const work = [...parts];
    for (let part = work.pop(); part !== undefined; part = work.pop()) {
      for (const caller of this.#graph.callers(part)) {
        if (inside.has(caller) || seen.has(caller) || !this.#candidates.alive.has(caller)) continue;
        if (this.#setsUp(caller, ways)) continue;
        seen.add(caller);
        // what the allocator itself calls is one more part of it, and so may be what others only hand a chunk to
        const isPart = this.#graph.callers(caller).some((index) => inside.has(index));
        if (isPart || this.#isHelper(caller)) work.push(caller);
        else users.add(caller);
      }
    }
    return users;
  }

  /** Takes addresses, gives nothing, and only other functions call it. */
  #isHelper(index: number): boolean {
    const { params, results } = this.#module.functionType(index);
    const pointer = pointerType(this.#module);
    if (params.length < 2 || results.length > 0 || !params.every((type) => type === pointer)) return false;
    const isCalled = this.#graph.callers(index).some((caller) => this.#candidates.alive.has(caller));
    return isCalled && !this.#candidates.tabled.has(index) && !this.#exported.has(index);
  }

  /** Whether it makes the state that methods are given: it writes the global that they take it from, or returns it. */
  #setsUp(index: number, ways: readonly Way[]): boolean {
    const { written } = bodyFacts(this.#module, index);
    return ways.some(
      ({ self }) =>
        (self?.kind === "global" && written.has(self.value)) ||
        (self?.kind === "call" && self.value === index),
    );
  }

  /** Whether it may be what resizes, with a part of the allocator in it: takes an address and a size, moves blocks. */
  #mayResize(index: number, mallocs: readonly Way[], frees: readonly Way[]): boolean {
    const [made, released] = [mallocs, frees].map((ways) => new Set(ways.map((way) => way.index)));
    // Zig's are called through a table beside the others, and never move a block
    const isZigs =
      this.#candidates.tabled.has(index) && zigResizeParameters.includes(this.#candidates.count(index));
    if (isZigs) return true;
    const { params, results } = this.#module.functionType(index);
    const pointer = pointerType(this.#module);
    if (params.length < 2 || params.length > mostOfResizer || results.length !== 1) return false;
    if (![...params, ...results].every((type) => type === pointer)) return false;
    return this.#graph.reaches(index, made!, depthOfUse) && this.#graph.reaches(index, released!, depthOfUse);
  }

  /**
   * Functions outside of the allocator that work on its state, since the optimiser put a part of it there: some that only
   * resize blocks where they are, or one that is no such.
   * @param onlyResizes whether a function does that
   * @param changing those of some static addresses near which the allocator changes something, the others being those of
   *   messages and tables; undefined where that can't be tried
   */
  partElsewhere(
    functions: readonly CoreFunction[],
    { mallocs, frees }: Pair,
    changing: (addresses: ReadonlySet<number>) => Changes | undefined,
    onlyResizes: (index: number) => boolean,
  ): Elsewhere {
    const module = this.#module;
    const own = new Set(functions.map(({ index }) => index));
    const core = functions.filter(({ role }) => /^(?:malloc|alloc_aligned|free)/.test(role));
    const facts = core.map(({ index }) => bodyFacts(module, index));
    const changed = changing(new Set(facts.flatMap(({ addresses }) => [...addresses])));
    const state = new Set(
      facts.flatMap(({ addresses }) => [
        ...stateAddresses([...addresses].filter((address) => changed?.has(address) ?? true)),
      ]),
    );
    // elsewhere what lies behind may be another's that allocating changes as well: a break, a count
    const isZigs = mallocs.every(({ index }) => this.#candidates.count(index) >= zigAllocParameters);
    const ends = isZigs ? lastOfState(state, changed) : [...state];
    const [lowest, highest] = [Math.min(...state), Math.max(...ends)];
    const isShared = (addresses: ReadonlySet<number>) =>
      // an inlined copy may work on one size class alone, by an address that no other function has
      changed
        ? [...addresses].some((at) => at >= lowest && at <= highest)
        : countShared(addresses, state) >= fewestAddresses;
    // a copy that nothing calls tells that the optimiser puts parts of it into others
    const releasing = functions.filter(({ role }) => role.startsWith("free"));
    const uncalled = releasing.find(({ index }) => this.#candidates.weight(index) === 0);
    const inPlace: number[] = [];
    if (releasing.length > 1 && uncalled) return { inPlace, part: uncalled.index };
    if (state.size < (changed ? 1 : fewestAddresses)) return { inPlace };
    const inside = this.#inside(own);
    const ways = [...mallocs, ...frees];
    // static addresses tell least of a state that is handed on
    const isKept = mallocs.every(({ self }) => self !== undefined && self.kind !== "constant");
    for (let index = module.importedFunctionCount; index < module.functionCount; index++) {
      if (inside.has(index) || !this.#candidates.alive.has(index)) continue;
      const { addresses } = bodyFacts(module, index);
      if (!isShared(addresses) || this.#onlyPasses(index, own)) continue;
      if (this.#setsUp(index, ways) || (isKept && this.#mayResize(index, mallocs, frees))) continue;
      const isPart = isKept && this.#graph.callers(index).some((caller) => inside.has(caller));
      const users = isPart ? [...this.#usersOutside([index], inside, ways)] : [];
      if (isPart && users.every((user) => this.#mayResize(user, mallocs, frees))) continue;
      if (!onlyResizes(index)) return { inPlace, part: index };
      inPlace.push(index);
    }
    return { inPlace };
  }

  /** The functions and what is called only by way of them. */
  #inside(own: ReadonlySet<number>): Set<number> {
    const outside = reachedBy(this.#module, this.#graph, own);
    return new Set([...own, ...[...this.#candidates.alive].filter((index) => !outside.has(index))]);
  }

  #onlyPasses(index: number, own: ReadonlySet<number>): boolean {
    const callees = this.#graph.callees(index);
    return callees.length === 1 && own.has(callees[0]);
  }
}
