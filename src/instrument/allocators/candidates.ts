/** Functions that may allocate, release or resize by their types, and how they would be called. */
import type { Module } from "../../wasm/module.js";
import type { CallGraph } from "../call-graph.js";
import type { AllocatorRole } from "../roles.js";
import { encodedAddress, encodedConstant, mayHaveConstant } from "./body-facts.js";
import { Kinship } from "./kinship.js";
import { endsInTrap, neverReturns } from "./never-returns.js";
import { pointerType } from "./pointer-type.js";
import { reachedBy } from "./reached.js";
import { indirectCallees, tabledByType } from "./sandbox.js";
import { firstArguments, type SelfArgument } from "./self-arguments.js";
import type { Way } from "./ways.js";

/** Functions that are tried in each class. */
const mostCandidates = 64;
/** Functions below one that does more than a step of something. */
const fewestOfDeep = 16;
/** Addresses of states that are tried for one method. */
const mostSelves = 3;

/** Roles by the number of parameters. */
export const allocationRoles: Partial<Record<number, readonly AllocatorRole[]>> = {
  1: ["malloc"],
  // calloc(40, 64) gives a block that others may align by chance, alloc_aligned(4, 25) never one of 100 bytes
  2: ["calloc", "alloc_aligned", "memalign", "malloc_method", "malloc"],
  3: ["malloc_method", "memalign_method"],
  4: ["malloc_method"],
  5: ["malloc_traced_method"],
};
export const storingRoles: Partial<Record<number, readonly AllocatorRole[]>> = { 3: ["posix_memalign"] };
export const releaseRoles: Partial<Record<number, readonly AllocatorRole[]>> = {
  1: ["free"],
  2: ["free", "free_method"],
  3: ["free", "free_method"],
  4: ["free_method"],
  5: ["free_method"],
  6: ["free_traced_method"],
};
export const resizeRoles: Partial<Record<number, readonly AllocatorRole[]>> = {
  2: ["realloc"],
  3: ["realloc_method", "sized_realloc"],
  4: ["rust_realloc", "wbindgen_realloc"],
};

export class Candidates {
  /** Functions that a table holds. */
  readonly tabled: ReadonlySet<number>;
  readonly #module: Module;
  readonly #graph: CallGraph;
  readonly #kinship: Kinship;
  #growers: Map<number, number> | undefined | null = null;
  #alive: Set<number> | undefined;

  constructor(module: Module, graph: CallGraph) {
    this.#module = module;
    this.#graph = graph;
    this.#kinship = new Kinship(module, graph);
    this.tabled = new Set(module.elements.flatMap(({ functions }) => functions ?? []));
  }

  /** How many parameters a function has. */
  count(index: number): number {
    return this.#module.functionType(index).params.length;
  }

  /** Functions of the module's own that take so many addresses or sizes; those most used first. */
  shaped(parameters: readonly number[], results: 0 | 1): number[] {
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
      if (fits[functions[body]] && this.alive.has(imported + body)) found.push(imported + body);
    return found.sort((a, b) => this.weight(b) - this.weight(a));
  }

  /** Where a function takes only addresses and sizes: how many, and whether it returns one; undefined where it takes others. */
  inPlaceParameters(index: number): { count: number; tells: boolean } | undefined {
    const { params, results } = this.#module.functionType(index);
    const pointer = pointerType(this.#module);
    if (results.length > 1 || ![...params, ...results].every((type) => type === pointer)) return undefined;
    return { count: params.length, tells: results.length === 1 };
  }

  /** How much a function is used. */
  weight(index: number): number {
    return this.#graph.callCount[index] + (this.tabled.has(index) ? 2 : 0);
  }

  /** Functions that can be called at all: by the host, through a table, or by such a one. */
  get alive(): ReadonlySet<number> {
    this.#alive ??= reachedBy(this.#module, this.#graph);
    return this.#alive;
  }

  /** Functions that allocate blocks by their types, those most used and those nearest to `memory.grow` in turn. */
  allocating(): number[] {
    const growers = this.growing;
    const byUse = this.shaped(parametersOf(allocationRoles), 1).filter(
      (index) => growers?.has(index) ?? true,
    );
    // where the memory never grows and nothing was optimised, hundreds are used more that do next to nothing
    const others = growers
      ? [...byUse].sort((a, b) => growers.get(a)! - growers.get(b)!)
      : byUse.filter((index) => this.#isDeep(index));
    const mixed = new Set(
      byUse.flatMap((index, i) => (others[i] === undefined ? [index] : [index, others[i]])),
    );
    return [...mixed].slice(0, mostCandidates);
  }

  /** Whether a function calls many others, which call others in their turn: what an allocator is without optimisation. */
  #isDeep(root: number): boolean {
    const reached = new Set([root]);
    for (const index of reached) {
      if (reached.size >= fewestOfDeep) return true;
      for (const callee of this.#graph.callees(index))
        if (callee >= this.#module.importedFunctionCount && !this.#isPanic(callee)) reached.add(callee);
    }
    return false;
  }

  /** Functions that can make the memory grow, with the number of calls in between; undefined in a module that never does. */
  get growing(): ReadonlyMap<number, number> | undefined {
    if (this.#growers === null) this.#growers = this.#findGrowers();
    return this.#growers;
  }

  #findGrowers(): Map<number, number> | undefined {
    const { growing } = this.#graph;
    if (growing.size === 0) return undefined;
    const growers = new Map<number, number>();
    const spread = (from: Iterable<number>, first: number) => {
      let level = [...from];
      for (let distance = first; level.length > 0; distance++) {
        // a panic may allocate its message, but nothing that could panic allocates therefore
        level = [...new Set(level)].filter((index) => !growers.has(index) && !this.#isPanic(index));
        for (const index of level) growers.set(index, distance);
        level = level.flatMap((index) => this.#graph.callers(index));
      }
    };
    spread(growing, 0);
    // through a table, once: an allocator may ask for pages by a function that it was given
    const tabled = tabledByType(this.#module);
    const types = new Set(
      [...tabled].filter(([, list]) => list.some((at) => growers.has(at))).map(([type]) => type),
    );
    if (types.size === 0) return growers;
    const { importedFunctionCount, functionCount } = this.#module;
    for (let index = importedFunctionCount; index < functionCount; index++) {
      if (growers.has(index)) continue;
      const callees = indirectCallees(this.#graph, tabled, index).filter((callee) => growers.has(callee));
      if (callees.length > 0) spread([index], 1 + Math.min(...callees.map((callee) => growers.get(callee)!)));
    }
    return growers;
  }

  #isPanic(index: number): boolean {
    return endsInTrap(this.#module, index) && neverReturns(this.#module, index);
  }

  /** How a function would be called in the roles that fit. */
  ways(index: number, roles: Partial<Record<number, readonly AllocatorRole[]>>): Way[] {
    const parameters = this.count(index);
    return (roles[parameters] ?? []).flatMap((role): Way[] => {
      if (!role.endsWith("_method")) return inBothOrders({ role, index, parameters });
      const selves: (SelfArgument | undefined)[] = role.endsWith("_traced_method")
        ? []
        : firstArguments(this.#module, this.#graph, index).slice(0, mostSelves);
      // methods of two arguments have a state; with more, Zig's pass one that nobody uses
      const all = parameters > 2 ? [...selves, undefined] : selves;
      return all.flatMap((self) => inBothOrders({ role, index, parameters, ...(self && { self }) }));
    });
  }

  /** The same for functions of the heap of `malloc`. What is no method may hand its state on by itself. */
  waysOnState(index: number, roles: Partial<Record<number, readonly AllocatorRole[]>>, malloc: Way): Way[] {
    return this.ways(index, roles).flatMap((way) => {
      const isMethod = way.role.endsWith("_method");
      if (!isMethod || sameState(way, malloc)) return [way];
      // where the code does not show what state a method is given, it may be the same
      return way.self === undefined && malloc.self ? [{ ...way, self: malloc.self }] : [];
    });
  }

  /** Functions that are called with this address as their first argument, as far as the code shows it. */
  #calledOn(state: number): Set<number> {
    const { importedFunctionCount: imported, bodies } = this.#module;
    const form = [encodedConstant(state), encodedAddress(state)];
    const called = new Set<number>();
    for (let index = imported; index < imported + bodies.count; index++)
      if (mayHaveConstant(this.#module, index, form))
        for (const callee of this.#graph.callees(index)) if (callee >= imported) called.add(callee);
    return new Set(
      [...called].filter((callee) =>
        firstArguments(this.#module, this.#graph, callee).some(
          ({ kind, value }) => kind === "constant" && value === state,
        ),
      ),
    );
  }

  /** Of these functions those that have most to do with this one, others behind them. */
  kin({ index, self }: Way, functions: readonly number[]): number[] {
    const companions = self?.kind === "constant" ? this.#calledOn(self.value) : new Set();
    return functions
      .map((other) => ({
        other,
        kinship: this.#kinship.of(index, other) + (companions.has(other) ? kinshipOfCompanions : 0),
      }))
      .sort((a, b) => b.kinship - a.kinship)
      .slice(0, mostCandidates)
      .map(({ other }) => other);
  }
}

/** What takes a size and an alignment may take them the other way round. */
function inBothOrders(way: Way): Way[] {
  const { role, parameters } = way;
  const takesBoth =
    role === "rust_realloc" ||
    (role === "free" && parameters === 3) ||
    (role === "free_method" && parameters === 4);
  return takesBoth ? [way, { ...way, alignmentFirst: true }] : [way];
}

/** Numbers of parameters for which there are roles. */
export function parametersOf(roles: Partial<Record<number, unknown>>): number[] {
  return Object.keys(roles).map(Number);
}

/** What it weighs that two methods are given the same address first: all that those have in common whose state is handed on. */
const kinshipOfCompanions = 8;

/** Methods belong together when they take the same state; others have none. */
function sameState(way: Way, malloc: Way): boolean {
  if (way.self === undefined || malloc.self === undefined) return way.self === malloc.self;
  // a function that sets the state up returns what a global holds from then on: the trial tells
  if ((way.self.kind === "call") !== (malloc.self.kind === "call")) return way.self.kind !== "constant";
  return way.self.kind === malloc.self.kind && way.self.value === malloc.self.value;
}

/** Whether a role is one that a program has beside a plain one. */
export function isSpecial(role: AllocatorRole): boolean {
  return role === "calloc" || aligning(role);
}

/** Whether a role takes an alignment: those are made of the others and yet give other addresses. */
export function aligning(role: AllocatorRole): boolean {
  return /aligned|memalign/.test(role);
}
