/** Functions that may allocate, release or resize by their types, and how they would be called. */
import type { Module } from "../../wasm/module.js";
import type { CallGraph } from "../call-graph.js";
import type { AllocatorRole } from "../roles.js";
import { pointerType } from "./cores.js";
import { Kinship } from "./kinship.js";
import { indirectCallees, tabledByType } from "./sandbox.js";
import { firstArguments, type SelfArgument } from "./self-arguments.js";
import type { Way } from "./trials.js";

/** Functions that are tried in each class. */
export const mostCandidates = 64;
/** Addresses of states that are tried for one method. */
const mostSelves = 3;

/** Roles by the number of parameters. */
export const allocationRoles: Partial<Record<number, readonly AllocatorRole[]>> = {
  1: ["malloc"],
  2: ["alloc_aligned", "memalign", "calloc", "malloc_method", "malloc"],
  3: ["malloc_method", "memalign_method"],
  4: ["malloc_method"],
  5: ["malloc_traced_method"],
};
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
  3: ["realloc_method"],
  4: ["rust_realloc", "wbindgen_realloc"],
};

export class Candidates {
  /** Functions that a table holds. */
  readonly tabled: ReadonlySet<number>;
  readonly #module: Module;
  readonly #graph: CallGraph;
  readonly #kinship: Kinship;
  #growers: Set<number> | undefined | null = null;

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
      if (fits[functions[body]]) found.push(imported + body);
    return found.sort((a, b) => this.weight(b) - this.weight(a));
  }

  /** How much a function is used. */
  weight(index: number): number {
    return this.#graph.callCount[index] + (this.tabled.has(index) ? 2 : 0);
  }

  /** Functions that can make the memory grow; undefined in a module that never does. */
  get growing(): Set<number> | undefined {
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

  /** How a function would be called in the roles that fit. */
  ways(index: number, roles: Partial<Record<number, readonly AllocatorRole[]>>): Way[] {
    const parameters = this.count(index);
    return (roles[parameters] ?? []).flatMap((role): Way[] => {
      if (!role.endsWith("_method")) return [{ role, index, parameters }];
      const selves: (SelfArgument | undefined)[] = role.endsWith("_traced_method")
        ? []
        : firstArguments(this.#module, this.#graph, index).slice(0, mostSelves);
      // methods of two arguments have a state; with more, Zig's pass one that nobody uses
      const all = parameters > 2 ? [...selves, undefined] : selves;
      const ways = all.map((self): Way => ({ role, index, parameters, ...(self && { self }) }));
      if (role !== "free_method" || parameters !== 4) return ways;
      return ways.flatMap((way) => [way, { ...way, alignmentFirst: true }]);
    });
  }

  /** Of these functions those that have most to do with this one, others behind them. */
  kin({ index }: Way, functions: readonly number[]): number[] {
    return functions
      .map((other) => ({ other, kinship: this.#kinship.of(index, other) }))
      .sort((a, b) => b.kinship - a.kinship)
      .slice(0, mostCandidates)
      .map(({ other }) => other);
  }
}

/** Methods belong together when they take the same state; others have none. */
export function sameState(way: Way, malloc: Way): boolean {
  if (way.self === undefined || malloc.self === undefined) return way.self === malloc.self;
  // a function that sets the state up returns what a global holds from then on: the trial tells
  if ((way.self.kind === "call") !== (malloc.self.kind === "call")) return way.self.kind !== "constant";
  return way.self.kind === malloc.self.kind && way.self.value === malloc.self.value;
}

/** Whether a role takes an alignment: those are made of the others and yet give other addresses. */
export function aligning(role: AllocatorRole): boolean {
  return /aligned|memalign/.test(role);
}
